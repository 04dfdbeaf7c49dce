// Errors that no check caught: a client library throws into nowhere when a broker does what it did not expect. They must not end the run of all others.

export type Strays = Readonly<{
  /** What was caught so far, in a line each. */
  seen: readonly string[]
  /** From here on such errors end the process again. */
  stop: () => void
}>

/** Beyond these they are counted only. */
const TOLD = 20

export function catchStrays(write: (line: string) => void): Strays {
  const seen: string[] = []
  const caught = (error: unknown): void => {
    const [line = ''] = (error instanceof Error ? error.message : String(error)).split('\n')
    seen.push(line)
    if (seen.length <= TOLD) write(`an error that no check caught: ${line}`)
  }
  process.on('uncaughtException', caught)
  process.on('unhandledRejection', caught)
  return {
    seen,
    stop() {
      process.off('uncaughtException', caught)
      process.off('unhandledRejection', caught)
    },
  }
}
