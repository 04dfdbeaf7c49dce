// `bascule user hash` and `bascule user entry`: a password from standard input to what the configuration wants.
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { COST_LN, COST_LN_MAX, COST_LN_MIN, makeHash } from '../users/hash.ts'
import { preparePassword } from '../users/prepare-password.ts'
import { ITERATIONS, ITERATIONS_MAX, ITERATIONS_MIN, makeVerifier, MECHANISMS, writeVerifier } from '../users/scram.ts'
import { readFlags, UsageError } from './usage.ts'

const options = { cost: { type: 'string' }, iterations: { type: 'string' } } as const

/** A password of more bytes is a mistake: the wrong file, perhaps. */
const PASSWORD_BYTES_MAX = 4096

export async function user(args: readonly string[]): Promise<number> {
  const { values, positionals } = readFlags(args, options, 2)
  const [what, name] = positionals
  if (what !== 'hash' && what !== 'entry') throw new UsageError(`user wants hash or entry, not ${what ?? 'nothing'}. See bascule help user.`)
  if (what === 'entry' ? name === undefined || name === '' : name !== undefined || values.iterations !== undefined) {
    throw new UsageError(what === 'entry' ? 'user entry wants a name: bascule user entry anna' : 'user hash wants no name and no --iterations')
  }
  const cost = numberFlag('--cost', values.cost, COST_LN, COST_LN_MIN, COST_LN_MAX)
  const iterations = numberFlag('--iterations', values.iterations, ITERATIONS, ITERATIONS_MIN, ITERATIONS_MAX)
  const password = await readPassword()
  if (password === '') throw new UsageError(`user ${what} wants a password on standard input`)
  if (Buffer.byteLength(password) > PASSWORD_BYTES_MAX) throw new UsageError(`a password has at most ${PASSWORD_BYTES_MAX} bytes`)
  const hash = makeHash(Buffer.from(password), cost)
  process.stdout.write(what === 'hash' || name === undefined ? `${hash}\n` : entry(name, hash, password, iterations))
  return 0
}

/** One of the list `users`. A string of JSON is one of YAML. */
function entry(name: string, hash: string, password: string, iterations: number): string {
  const prepared = preparePassword(password)
  if (prepared === undefined)
    throw new UsageError('the password holds characters that a password may not hold (RFC 4013); bascule user hash takes it')
  const verifiers = MECHANISMS.map((mechanism) => `      - ${writeVerifier(makeVerifier(mechanism, prepared, iterations))}`)
  return [`  - name: ${JSON.stringify(name)}`, `    password: ${hash}`, '    scram:', ...verifiers, ''].join('\n')
}

function numberFlag(flag: string, given: string | undefined, standard: number, least: number, most: number): number {
  const value = given === undefined ? standard : Number(given)
  if (!Number.isInteger(value) || value < least || value > most) throw new UsageError(`${flag} ${given}: a number from ${least} to ${most}`)
  return value
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
