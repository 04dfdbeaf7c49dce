// docs/conformance/ours.md: what our own broker does not keep, from its profile, with the reasons.
import { bascule } from '../../conformance/profiles/bascule.ts'
import { inline, table } from '../../conformance/report/markdown.ts'
import { suites } from '../../conformance/suites.ts'

export function conformanceOfOurs(): string {
  const rows = Object.entries(bascule.known).flatMap(([name, clauses]) => {
    const suite = suites.find((each) => each.name === name)
    if (suite === undefined) throw new Error(`there is no suite ${name}`)
    return Object.entries(clauses).map(([id, reason]) => {
      const clause = suite.chapters.flatMap((chapter) => chapter.clauses).find((each) => each.id === id)
      if (clause === undefined) throw new Error(`${name} has no clause ${id}`)
      return [`[${inline(suite.title)}](suites/${name}.md)`, inline(id), clause.level, inline(clause.says), reason]
    })
  })
  return `${[
    '# Where our own broker departs',
    'Generated from its profile by `npm run generate`. Everything else that can be checked is kept: `bascule conformance run --level should` fails on what stands neither here nor in the specification. One must is kept by a setting that is not the default: AMQP-3.2.10-a by `amqp.unknownAnnotations: refuse`; see [AMQP](../protocols/amqp.md).',
    rows.length === 0 ? 'Nowhere.' : table(['suite', 'clause', 'level', 'what a server does', 'why ours does not'], rows),
  ].join('\n\n')}\n`
}
