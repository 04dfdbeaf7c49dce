// Finds the command and runs it. One file a command; each is loaded when it is asked for.
import { suggestion } from '../config/nearest.ts'
import { text } from './help.ts'
import { UsageError } from './usage.ts'

/** Ends with the exit code: 0 done, 1 failed, 2 wrong usage. */
type Command = (args: readonly string[]) => Promise<number>

const commands: Readonly<Record<string, () => Promise<Command>>> = {
  start: async () => (await import('./start.ts')).start,
  journal: async () => (await import('./journal.ts')).journal,
  failover: async () => (await import('./failover.ts')).failover,
  state: async () => (await import('./state.ts')).state,
  destinations: async () => (await import('./destinations.ts')).destinations,
  connections: async () => (await import('./connections.ts')).connections,
  browse: async () => (await import('./browse.ts')).browse,
  explain: async () => (await import('./explain.ts')).explain,
  move: async () => (await import('./move.ts')).move,
  purge: async () => (await import('./purge.ts')).purge,
  remove: async () => (await import('./remove.ts')).remove,
  scheduled: async () => (await import('./scheduled.ts')).scheduled,
  unschedule: async () => (await import('./unschedule.ts')).unschedule,
  send: async () => (await import('./send.ts')).send,
  receive: async () => (await import('./receive.ts')).receive,
  pair: async () => (await import('./pair.ts')).pair,
  drill: async () => (await import('./drill.ts')).drill,
  conformance: async () => (await import('./conformance.ts')).conformance,
  user: async () => (await import('./user.ts')).user,
  version: async () => (await import('./version.ts')).printVersion,
}

export async function run(args: readonly string[]): Promise<void> {
  // Whoever reads our output may leave early (`| head`); that must end neither the broker nor the printing of the rest.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
  const code = await runCommand(args)
  // A node that has stopped is over, whatever timer is still set somewhere. The others end when their output is written.
  if (args[0] === 'start') process.exit(code)
  // Client libraries may hold on to whatever a strange broker left them with, but not to the process.
  if (args[0] === 'conformance') {
    for (const stream of [process.stdout, process.stderr]) await new Promise<void>((resolve) => void stream.write('', () => resolve()))
    process.exit(code)
  }
  process.exitCode = code
}

async function runCommand([name, ...rest]: readonly string[]): Promise<number> {
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    const [about] = rest
    process.stdout.write(about !== undefined && Object.hasOwn(text, about) ? text[about] : text.bascule)
    return name === undefined ? 2 : 0
  }
  const command = name === '--version' || name === '-v' ? 'version' : name
  if (!Object.hasOwn(commands, command)) {
    process.stderr.write(`bascule: unknown command ${name}${suggestion(name, Object.keys(commands), '')} See bascule --help.\n`)
    return 2
  }
  if (rest.includes('--help') || rest.includes('-h')) {
    process.stdout.write(text[command] ?? text.bascule)
    return 0
  }
  try {
    return await (await commands[command]())(rest)
  } catch (error) {
    // What a user can mend is one line; what he cannot has its stack.
    const known = error instanceof UsageError || (error instanceof Error && !(error instanceof TypeError) && !(error instanceof RangeError))
    const line = known ? error.message.replaceAll('\n', ' ') : error instanceof Error ? (error.stack ?? error.message) : String(error)
    process.stderr.write(`bascule: ${line}\n`)
    return error instanceof UsageError ? 2 : 1
  }
}
