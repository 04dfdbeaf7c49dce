// `bascule explain`: one message as clients of every protocol would read it, and what each conversion loses, by field and rule.
import { type Body, type Entry } from './browse.ts'
import { ask, managementUrl } from './management.ts'
import { indented, plain } from './table.ts'
import { readFlags, UsageError, wholeFlag } from './usage.ts'

const options = {
  url: { type: 'string' },
  json: { type: 'boolean' },
  last: { type: 'boolean' },
  index: { type: 'string' },
  bytes: { type: 'string' },
} as const

type View = Readonly<{
  protocol: string
  own: boolean
  destination?: string
  fields?: readonly (readonly [string, string])[]
  body?: Body
  refused?: string
  lost: readonly Readonly<{ field: string; rule: string; says: string }>[]
}>
type Explanation = Readonly<{ queue: string; message: Entry; protocols: readonly View[] }>

export async function explain(args: readonly string[]): Promise<number> {
  const { values, positionals } = readFlags(args, options, 2)
  const [queue, sequence] = positionals
  if (queue === undefined) throw new UsageError('explain wants a queue. See bascule help explain.')
  if ([sequence, values.index, values.last].filter((one) => one !== undefined).length > 1)
    throw new UsageError('explain takes a sequence, --index or --last: one of them')
  const query = new URLSearchParams({ queue, bytes: String(wholeFlag('bytes', values.bytes, 16_384)) })
  if (sequence !== undefined) query.set('sequence', String(wholeFlag('the sequence', sequence, 0)))
  if (values.index !== undefined) query.set('index', String(wholeFlag('index', values.index, 0)))
  if (values.last === true) query.set('last', 'true')
  const found = await ask<Explanation>(managementUrl(values.url), 'GET', `/api/explain?${query}`)
  process.stdout.write(values.json === true ? `${JSON.stringify(found)}\n` : written(found))
  return 0
}

function written({ queue, message, protocols }: Explanation): string {
  const origin = message.dead === undefined ? '' : `, dead: ${message.dead.reason} (from ${message.dead.origin})`
  const head = `queue ${plain(queue)}, sequence ${message.sequence}, ${message.state}, came by ${message.protocol ?? '?'} at ${message.acceptedAt ?? '?'}${plain(origin)}\n`
  return head + protocols.map((view) => `\n${writtenView(view)}`).join('')
}

function writtenView(view: View): string {
  let text = `${view.protocol}${view.own ? ' (as it came)' : ''}\n`
  if (view.refused !== undefined) text += `  not delivered: ${plain(view.refused)}\n`
  if (view.fields !== undefined) {
    text += `  destination  ${plain(view.destination ?? '(has no name here)')}\n`
    for (const [name, value] of view.fields) text += `  ${plain(name)}: ${plain(value)}\n`
  }
  if (view.body !== undefined) text += writtenBody(view.body)
  return text + writtenLosses(view.lost)
}

/** Fields that are lost by one rule stand together. */
function writtenLosses(lost: View['lost']): string {
  const rules = new Map<string, { says: string; fields: string[] }>()
  for (const { field, rule, says } of lost) {
    const known = rules.get(rule)
    if (known === undefined) rules.set(rule, { says, fields: [field] })
    else known.fields.push(field)
  }
  return [...rules].map(([rule, { says, fields }]) => `  lost: ${fields.map(plain).join(', ')} (${rule})\n    ${says}\n`).join('')
}

function writtenBody({ kind, bytes, text, base64, cut }: Body): string {
  const what = `  ${kind}, ${bytes} bytes${text === undefined ? ', in base64' : ''}${cut === true ? ', its beginning' : ''}\n`
  return bytes === 0 ? what : `${what}${indented(text ?? base64 ?? '', '    ')}\n`
}
