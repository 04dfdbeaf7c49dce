// `bascule unschedule`: a message is sent no more.
import { ask, managementUrl } from './management.ts'
import { readFlags, UsageError, wholeFlag } from './usage.ts'

const options = { url: { type: 'string' }, json: { type: 'boolean' } } as const

export async function unschedule(args: readonly string[]): Promise<number> {
  const { values, positionals } = readFlags(args, options, 1)
  const [given] = positionals
  if (given === undefined) throw new UsageError('unschedule wants the number of a scheduled message. See bascule help unschedule.')
  const number = wholeFlag('the number of a scheduled message', given, 0)
  const answer = await ask<Readonly<{ number: number }>>(managementUrl(values.url), 'POST', `/api/unschedule?number=${number}`)
  process.stdout.write(values.json === true ? `${JSON.stringify(answer)}\n` : `${answer.number} is sent no more\n`)
  return 0
}
