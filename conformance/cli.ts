// `bascule conformance run | mutants`: flags in, an exit code out. How our own broker is started is handed in, since a conformance suite knows no broker.
import { parseArgs } from 'node:util'
import type { Clause, ProtocolName } from './check.ts'
import { prove } from './mutants.ts'
import { bascule } from './profiles/bascule.ts'
import { type Result, runSuite } from './runner.ts'
import { framings, suites } from './suites.ts'
import type { Target } from './target.ts'

/** A broker that this process started. */
export type Own = Readonly<{ urls: Target['urls']; close: () => Promise<void> }>

export async function conformance(args: readonly string[], openOwn: () => Promise<Own>): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      target: { type: 'string', multiple: true },
      suite: { type: 'string' },
      user: { type: 'string' },
      pass: { type: 'string' },
      filter: { type: 'string' },
      patience: { type: 'string', default: '2000' },
      parallel: { type: 'string', default: '16' },
      verbose: { type: 'boolean' },
    },
  })
  const [what = 'run'] = positionals
  const names = values.suite?.split(',')
  const chosen = suites.filter((suite) => names === undefined || names.includes(suite.name))
  const own = values.target === undefined ? await openOwn() : undefined
  const urls = own?.urls ?? urlsOf(values.target ?? [])
  const target: Target = {
    urls,
    ...(values.user === undefined ? {} : { user: values.user }),
    ...(values.pass === undefined ? {} : { password: values.pass }),
    profile: bascule,
  }
  const wanted = ({ id }: Clause): boolean => values.filter === undefined || id.includes(values.filter)
  const patienceMs = Number(values.patience)
  const parallel = Number(values.parallel)
  let bad = 0
  try {
    for (const suite of chosen) {
      if (what === 'mutants') {
        await prove(suite, framings, target, {
          patienceMs,
          parallel,
          wanted,
          onProof: ({ check, doubts, mutants }) => {
            if (doubts.length > 0) bad++
            process.stdout.write(
              doubts.length === 0 ? `proven   ${check.id} by ${mutants}\n` : doubts.map((doubt) => `DOUBTFUL ${check.id}: ${doubt}\n`).join(''),
            )
          },
        })
        continue
      }
      const onResult = (result: Result): void => {
        if (result.outcome === 'error' || (result.outcome === 'fail' && result.clause.level === 'must')) bad++
        process.stdout.write(`${result.outcome.padEnd(13)} ${result.clause.id}${result.seen === '' ? '' : `: ${result.seen}`}\n`)
        if (values.verbose === true || result.outcome === 'fail') for (const line of result.lines) process.stdout.write(`    ${line}\n`)
      }
      await runSuite(suite, target, { patienceMs, parallel, wanted, onResult })
    }
  } finally {
    await own?.close()
  }
  return bad === 0 ? 0 : 1
}

function urlsOf(given: readonly string[]): Target['urls'] {
  const urls: Partial<Record<ProtocolName, string>> = {}
  for (const each of given) {
    const [name = '', ...rest] = each.split('=')
    if (name !== 'mqtt' && name !== 'amqp' && name !== 'stomp' && name !== 'ws')
      throw new Error(`--target wants mqtt=, amqp=, stomp= or ws=, not ${each}`)
    urls[name] = rest.join('=')
  }
  return urls
}
