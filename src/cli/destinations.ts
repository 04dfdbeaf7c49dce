// `bascule destinations`: the queues of a node, with what is on them.
import type { DestinationFigures, DestinationsPage } from '../core/administration.ts'
import { ask, managementUrl } from './management.ts'
import { table } from './table.ts'
import { readFlags } from './usage.ts'

const options = { url: { type: 'string' }, json: { type: 'boolean' } } as const

export async function destinations(args: readonly string[]): Promise<number> {
  const { values, positionals } = readFlags(args, options, 1)
  const [match = ''] = positionals
  const queues: DestinationFigures[] = []
  let retained = 0
  for (let after: number | undefined = 0; after !== undefined; ) {
    const query = new URLSearchParams({ match, after: String(after) })
    const page: DestinationsPage = await ask<DestinationsPage>(managementUrl(values.url), 'GET', `/api/destinations?${query}`)
    queues.push(...page.queues)
    retained = page.retained
    after = page.next
  }
  const nameOf = ({ namespace, name }: DestinationFigures): string => (namespace === '' ? name : `${namespace}:${name}`)
  queues.sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))
  if (values.json === true) {
    process.stdout.write(`${JSON.stringify({ queues, retained })}\n`)
    return 0
  }
  const rows = queues.map((one) => [
    nameOf(one),
    one.messages,
    one.ready,
    one.bytes,
    one.consumers,
    one.dropped,
    one.durable ? 'durable' : 'volatile',
  ])
  process.stdout.write(table(['queue', 'messages', 'ready', 'bytes', 'consumers', 'dropped', 'kind'], rows))
  return 0
}
