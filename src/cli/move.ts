// `bascule move`: messages from one queue to another, or dead letters back to where they came from.
import type { Moved } from '../core/move.ts'
import { ask, managementUrl } from './management.ts'
import { plain } from './table.ts'
import { readFlags, UsageError, wholeFlag } from './usage.ts'

const options = { url: { type: 'string' }, json: { type: 'boolean' }, count: { type: 'string' }, redrive: { type: 'boolean' } } as const

export async function move(args: readonly string[]): Promise<number> {
  const { values, positionals } = readFlags(args, options, 2)
  const [from, to] = positionals
  const redrive = values.redrive === true
  if (from === undefined || (to === undefined) !== redrive)
    throw new UsageError('move wants two queues, FROM and TO; or --redrive and one. See bascule help move.')
  const query = new URLSearchParams()
  if (to !== undefined) query.set('to', to)
  if (values.count !== undefined) query.set('count', String(wholeFlag('count', values.count, 1)))
  const path = `/api/queues/${encodeURIComponent(from)}/${redrive ? 'redrive' : 'move'}?${query}`
  const moved = await ask<Moved>(managementUrl(values.url), 'POST', path)
  process.stdout.write(values.json === true ? `${JSON.stringify(moved)}\n` : written(moved, redrive))
  return 0
}

function written({ moved, to, left }: Moved, redrive: boolean): string {
  const targets = Object.entries(to).map(([name, count]) => `  ${count} to ${plain(name)}\n`)
  const stayed = redrive && left > 0 ? `${left} stayed: no dead letters, or their queue is gone\n` : ''
  return `moved ${moved}\n${targets.join('')}${stayed}`
}
