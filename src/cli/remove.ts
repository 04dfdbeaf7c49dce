// `bascule remove`: a queue that nobody needs any more goes.
import { ask, managementUrl } from './management.ts'
import { readFlags, UsageError } from './usage.ts'

const options = { url: { type: 'string' }, json: { type: 'boolean' }, force: { type: 'boolean' } } as const

export async function remove(args: readonly string[]): Promise<number> {
  const { values, positionals } = readFlags(args, options, 1)
  const [queue] = positionals
  if (queue === undefined) throw new UsageError('remove wants a queue. See bascule help remove.')
  const path = `/api/queues/${encodeURIComponent(queue)}${values.force === true ? '?force=true' : ''}`
  const answer = await ask<Readonly<{ removed: number }>>(managementUrl(values.url), 'DELETE', path)
  process.stdout.write(values.json === true ? `${JSON.stringify(answer)}\n` : `removed, with ${answer.removed} messages\n`)
  return 0
}
