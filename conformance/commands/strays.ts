// Errors that no check caught: a client library throws into nowhere when a broker does what it did not expect. They must not end the run of all others.
// Whatever else is thrown so is a fault of ours, perhaps of the broker in this process, and must not go unnoticed.
import { outcomeOf } from '../outcome.ts'

export type Strays = Readonly<{
  /** What was caught so far, in a line each. */
  seen: readonly string[]
  /** Those among them that come from no client library: they count as failed. */
  faults: readonly string[]
  /** From here on such errors end the process again. */
  stop: () => void
}>

/** Beyond these they are counted only. */
const TOLD = 20

export function catchStrays(write: (line: string) => void): Strays {
  const seen: string[] = []
  const faults: string[] = []
  const caught = (error: unknown): void => {
    const [line = ''] = (error instanceof Error ? error.message : String(error)).split('\n')
    const fault = isFault(error)
    seen.push(line)
    if (fault) faults.push(line)
    if (seen.length > TOLD) return
    write(`an error that no check caught: ${fault && error instanceof Error ? (error.stack ?? line) : line}`)
  }
  process.on('uncaughtException', caught)
  process.on('unhandledRejection', caught)
  return {
    seen,
    faults,
    stop() {
      process.off('uncaughtException', caught)
      process.off('unhandledRejection', caught)
    },
  }
}

/** By the place that threw it, the first one that is not of Node.js itself. */
function isFault(error: unknown): boolean {
  // What a check has found out and waits for no more.
  if (outcomeOf(error).outcome !== 'error') return false
  const places = error instanceof Error ? (error.stack ?? '').split('\n').filter((line) => /^ {4}at /.test(line) && !/\bnode:/.test(line)) : []
  return !/[/\\]node_modules[/\\](rhea|stompit|mqtt)[/\\]/.test(places[0] ?? '')
}
