// `bascule browse`: what is on a queue, without taking it.
import { ask, managementUrl } from './management.ts'
import { plain, table } from './table.ts'
import { readFlags, UsageError, wholeFlag } from './usage.ts'

const options = {
  url: { type: 'string' },
  json: { type: 'boolean' },
  count: { type: 'string' },
  after: { type: 'string' },
  bytes: { type: 'string' },
  held: { type: 'boolean' },
} as const

/** An entry as the management interface renders it. */
export type Entry = Readonly<{
  sequence: number
  state: string
  protocol?: string
  durable?: boolean
  priority?: number
  bytes?: number
  acceptedAt?: string
  attempts?: number
  dead?: Readonly<{ reason: string; origin: string }>
  unreadable?: boolean | string
  body?: Body
}>
export type Body = Readonly<{ kind: string; bytes: number; text?: string; base64?: string; cut?: boolean }>
type Page = Readonly<{ messages: readonly Entry[]; next?: string }>

const PAGE = 500

export async function browse(args: readonly string[]): Promise<number> {
  const { values, positionals } = readFlags(args, options, 1)
  const [queue] = positionals
  if (queue === undefined) throw new UsageError('browse wants a queue. See bascule help browse.')
  const count = wholeFlag('count', values.count, 100)
  const bytes = wholeFlag('bytes', values.bytes, values.json === true ? 1_024 : 60)
  const entries: Entry[] = []
  let after: string | undefined = values.after ?? '0'
  while (after !== undefined && entries.length < count) {
    const query = new URLSearchParams({ after, limit: String(Math.min(PAGE, count - entries.length)), bytes: String(bytes) })
    if (values.held === true) query.set('held', 'true')
    const page: Page = await ask<Page>(managementUrl(values.url), 'GET', `/api/queues/${encodeURIComponent(queue)}/messages?${query}`)
    if (values.json === true) for (const entry of page.messages) process.stdout.write(`${JSON.stringify(entry)}\n`)
    entries.push(...page.messages)
    after = page.next
  }
  if (values.json === true) return 0
  const rows = entries.map((one) => [
    one.sequence,
    one.state,
    one.protocol ?? '',
    one.acceptedAt ?? '',
    one.durable === true ? 'durable' : 'volatile',
    one.priority ?? 0,
    one.attempts ?? 0,
    one.bytes ?? 0,
    one.dead === undefined ? summary(one) : `(${one.dead.reason}, from ${one.dead.origin}) ${summary(one)}`,
  ])
  process.stdout.write(table(['sequence', 'state', 'protocol', 'accepted', 'kind', 'priority', 'attempts', 'bytes', 'body'], rows))
  if (after !== undefined) process.stdout.write(`There is more: --after ${after}\n`)
  return 0
}

function summary({ body, unreadable }: Entry): string {
  if (body === undefined) return unreadable === true ? 'its bytes cannot be read' : String(unreadable ?? '')
  return bodyText(body).split('\n')[0]
}

/** The body as text, or in base64 and said to be so. */
export function bodyText({ text, base64, cut }: Body): string {
  return `${text === undefined ? `base64 ${base64 ?? ''}` : plain(text.replaceAll('\n', '⏎'))}${cut === true ? '…' : ''}`
}
