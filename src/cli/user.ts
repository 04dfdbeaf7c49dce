// `bascule user hash`: a password from standard input to what the configuration wants.
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { COST_LN, COST_LN_MAX, COST_LN_MIN, makeHash } from '../users/hash.ts'
import { readFlags, UsageError } from './usage.ts'

const options = { cost: { type: 'string' } } as const

/** A password of more bytes is a mistake: the wrong file, perhaps. */
const PASSWORD_BYTES_MAX = 4096

export async function user(args: readonly string[]): Promise<number> {
  const { values, positionals } = readFlags(args, options, 1)
  if (positionals[0] !== 'hash') throw new UsageError(`user wants hash, not ${positionals[0] ?? 'nothing'}. See bascule help user.`)
  const cost = values.cost === undefined ? COST_LN : Number(values.cost)
  if (!Number.isInteger(cost) || cost < COST_LN_MIN || cost > COST_LN_MAX)
    throw new UsageError(`--cost ${values.cost}: a number from ${COST_LN_MIN} to ${COST_LN_MAX}`)
  const password = await readPassword()
  if (password === '') throw new UsageError('user hash wants a password on standard input')
  if (Buffer.byteLength(password) > PASSWORD_BYTES_MAX) throw new UsageError(`a password has at most ${PASSWORD_BYTES_MAX} bytes`)
  process.stdout.write(`${makeHash(Buffer.from(password), cost)}\n`)
  return 0
}

/** The first line. On a terminal what is typed is not shown. */
async function readPassword(): Promise<string> {
  const terminal = process.stdin.isTTY
  if (terminal) process.stderr.write('Password: ')
  const nowhere = new Writable({ write: (_, __, done) => done() })
  const lines = createInterface({ input: process.stdin, output: nowhere, terminal })
  try {
    for await (const line of lines) return line
    return ''
  } finally {
    lines.close()
    if (terminal) process.stderr.write('\n')
  }
}
