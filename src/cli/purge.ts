// `bascule purge`: removes what is on a queue and in nobody's hands.
import { ask, managementUrl } from './management.ts'
import { readFlags, UsageError } from './usage.ts'

const options = { url: { type: 'string' }, json: { type: 'boolean' } } as const

export async function purge(args: readonly string[]): Promise<number> {
  const { values, positionals } = readFlags(args, options, 1)
  const [queue] = positionals
  if (queue === undefined) throw new UsageError('purge wants a queue. See bascule help purge.')
  const answer = await ask<Readonly<{ removed: number }>>(managementUrl(values.url), 'POST', `/api/queues/${encodeURIComponent(queue)}/purge`)
  process.stdout.write(values.json === true ? `${JSON.stringify(answer)}\n` : `removed ${answer.removed}\n`)
  return 0
}
