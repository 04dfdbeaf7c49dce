// Reading of flags: node:util's parser, with errors that name the nearest known flag.
import { parseArgs } from 'node:util'
import { suggestion } from '../config/nearest.ts'

/** The program was called wrongly: one sentence, exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

type Options = Readonly<Record<string, Readonly<{ type: 'string' | 'boolean'; multiple?: boolean }>>>

/** What each flag was given: text, repeated text, or that it is there. */
type Values<T extends Options> = {
  readonly [K in keyof T]?: T[K]['type'] extends 'boolean' ? boolean : T[K] extends { multiple: true } ? string[] : string
}

export function readFlags<T extends Options>(args: readonly string[], options: T, positionals: number): { values: Values<T>; positionals: string[] } {
  const known = Object.keys(options).map((name) => `--${name}`)
  try {
    const parsed = parseArgs({ args: [...args], options, allowPositionals: true, strict: true })
    if (parsed.positionals.length > positionals) throw new UsageError(`unexpected argument ${parsed.positionals[positionals]}. See bascule --help.`)
    return { values: parsed.values as Values<T>, positionals: parsed.positionals }
  } catch (error) {
    if (error instanceof UsageError) throw error
    const flag = args.find((arg) => arg.startsWith('-') && !known.includes(arg.replace(/=.*$/s, '')))?.replace(/=.*$/s, '')
    if (error instanceof Error && 'code' in error && error.code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION' && flag !== undefined) {
      throw new UsageError(`unknown flag ${flag}${suggestion(flag, known, '')} See bascule --help.`)
    }
    throw new UsageError(error instanceof Error ? error.message.replaceAll('\n', ' ') : String(error))
  }
}

/** A whole number that a flag was given, or what it is without. */
export function wholeFlag(name: string, given: string | undefined, standard: number): number {
  if (given === undefined) return standard
  if (!/^\d{1,15}$/.test(given)) throw new UsageError(`${name} is a whole number, not ${given}`)
  return Number(given)
}
