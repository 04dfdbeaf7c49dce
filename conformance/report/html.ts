// One page without anything beside it: counts, and every clause with what was seen, the bytes behind a click, filters by outcome, suite and word.
import type { Level } from '../check.ts'
import { escaped } from './escaped.ts'
import { type Cell, type ClauseReport, countsOf, type Report, type Standing, standing, type SuiteReport, titleOf } from './report.ts'

const ORDER: readonly Standing[] = ['fail', 'error', 'differs', 'known', 'pass', 'lossy', 'refused', 'not supported', 'skipped', 'unchecked']

/** How people read each standing. */
const WORDS: Readonly<Record<Standing, string>> = {
  pass: 'kept',
  lossy: 'lossy',
  refused: 'refused',
  fail: 'fails',
  differs: 'differs',
  known: 'known to fail',
  'not supported': 'not supported',
  skipped: 'not tried',
  error: 'error',
  unchecked: 'not checked',
}

export function html(report: Report, gate: Level): string {
  const title = `Conformance of ${report.brokers.map(titleOf).join(' beside ')}`
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>${escaped(title)}</h1>
<p>${escaped(report.date)}, ${Math.round(report.seconds)} s; an answer may take ${report.patienceMs} ms. Counted as failed: what breaks a ${escaped(gate)}${gate === 'must' ? '' : ' or stricter'}.</p>
${counts(report, gate)}
<form id="filter">
${ORDER.map((each) => `<label class="${slug(each)}"><input type="checkbox" value="${slug(each)}" checked> ${WORDS[each]}</label>`).join('\n')}
<input type="search" placeholder="clause or word" aria-label="clause or word">
</form>
${report.suites.map((suite) => section(suite, report, gate)).join('\n')}
<script>${SCRIPT}</script>
</body>
</html>
`
}

function counts({ brokers, suites }: Report, gate: Level): string {
  const heads = ORDER.map((each) => `<th>${WORDS[each]}</th>`).join('')
  const rows = suites.flatMap((suite) =>
    brokers.flatMap((broker, column) => {
      if (suite.clauses.every(({ cells }) => cells[column] === undefined)) return []
      const of = countsOf(suite.clauses, column, gate)
      const cells = ORDER.map((each) => `<td class="${of[each] > 0 ? slug(each) : ''}">${of[each]}</td>`).join('')
      return [`<tr><td><a href="#${escaped(suite.name)}">${escaped(suite.title)}</a></td><td>${escaped(titleOf(broker))}</td>${cells}</tr>`]
    }),
  )
  return `<table class="counts"><thead><tr><th>suite</th><th>broker</th>${heads}</tr></thead><tbody>${rows.join('\n')}</tbody></table>`
}

function section(suite: SuiteReport, { brokers }: Report, gate: Level): string {
  const heads = brokers.map((broker) => `<th>${escaped(titleOf(broker))}</th>`).join('')
  const chapters = [...new Set(suite.clauses.map(({ chapter }) => chapter))]
  const bodies = chapters.map((chapter) => {
    const rows = suite.clauses.filter((clause) => clause.chapter === chapter).map((clause) => row(clause, gate))
    return `<tbody><tr class="chapter"><th colspan="${brokers.length + 3}">${escaped(chapter)}</th></tr>${rows.join('\n')}</tbody>`
  })
  return `<section><h2 id="${escaped(suite.name)}">${suite.specification === '' ? escaped(suite.title) : `<a href="${escaped(suite.specification)}">${escaped(suite.title)}</a>`}</h2>
<table class="clauses"><thead><tr><th>clause</th><th>level</th><th>what a server does</th>${heads}</tr></thead>
${bodies.join('\n')}</table></section>`
}

function row({ id, level, says, how, cells }: ClauseReport, gate: Level): string {
  const standings = cells.map((cell) => (cell === undefined ? undefined : standing(cell, level, gate)))
  const columns = cells.map((cell, i) => (cell === undefined ? '<td></td>' : cellOf(cell, standings[i] ?? cell.outcome))).join('')
  const classes = standings.map((each) => (each === undefined ? '' : slug(each))).join(' ')
  const provoked = how === undefined ? '' : `<div class="how">${escaped(how)}</div>`
  return `<tr class="clause" data-standing="${classes}"><td class="id">${escaped(id)}</td><td>${level}</td><td>${escaped(says)}${provoked}</td>${columns}</tr>`
}

function cellOf({ seen, known, lines }: Cell, stands: Standing): string {
  const reason = known === undefined ? '' : `<div>${stands === 'known' ? 'Known' : 'Kept, though known to fail'}: ${escaped(known)}</div>`
  const bytes = lines.length === 0 ? '' : `<details><summary>${lines.length} lines</summary><pre>${escaped(lines.join('\n'))}</pre></details>`
  return `<td class="${slug(stands)}"><b>${WORDS[stands]}</b>${seen === '' ? '' : `<div>${escaped(seen)}</div>`}${reason}${bytes}</td>`
}

const slug = (standing: Standing): string => standing.replaceAll(' ', '-')

const STYLE = `
:root { color-scheme: light dark; font: 14px/1.45 system-ui, sans-serif }
body { margin: 2rem auto; max-width: 100rem; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
table.counts { width: auto }
th, td { border: 1px solid #8884; padding: .3rem .5rem; text-align: left; vertical-align: top }
.chapter th { background: #8881 }
.id { font-family: ui-monospace, monospace; white-space: nowrap }
.how { opacity: .7; font-style: italic }
pre { font-size: 12px; overflow-x: auto; max-width: 60vw; white-space: pre-wrap; overflow-wrap: anywhere }
td.pass b { color: #1a7f37 } td.fail, td.error { background: #d1242f22 } td.differs { background: #bf870022 } td.known { background: #8250df22 }
#filter { position: sticky; top: 0; background: Canvas; padding: .6rem 0; display: flex; gap: 1rem; flex-wrap: wrap }
`

/** A row is shown when one of its cells has a checked standing and its text has the word. */
const SCRIPT = `
const form = document.getElementById('filter')
const rows = [...document.querySelectorAll('tr.clause')]
const show = () => {
  const wanted = new Set([...form.querySelectorAll('input:checked')].map((box) => box.value))
  const word = form.querySelector('[type=search]').value.toLowerCase()
  for (const row of rows)
    row.hidden = !row.dataset.standing.split(' ').some((each) => wanted.has(each)) || !row.textContent.toLowerCase().includes(word)
  for (const chapter of document.querySelectorAll('tbody'))
    if (chapter.querySelector('.chapter')) chapter.hidden = !chapter.querySelector('tr.clause:not([hidden])')
}
form.addEventListener('input', show)
form.addEventListener('submit', (event) => event.preventDefault())
`
