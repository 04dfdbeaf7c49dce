// `bascule journal check | dump`: thin over `journal/check.ts`.
import { readFlags, UsageError } from './usage.ts'

const options = { data: { type: 'string' }, json: { type: 'boolean' } } as const

export async function journal(args: readonly string[]): Promise<number> {
  const { positionals } = readFlags(args, options, 1)
  throw new UsageError(`journal wants check or dump, not ${positionals[0] ?? 'nothing'}. See bascule help journal.`)
}
