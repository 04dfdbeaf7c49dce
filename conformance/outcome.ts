// How a check ends other than well: thrown from wherever it is noticed.

/** `lossy` and `refused` are of the bridge only: no specification says what must cross from one protocol to another. */
export type Outcome = 'pass' | 'fail' | 'lossy' | 'refused' | 'not supported' | 'skipped' | 'error'

class Ended extends Error {
  readonly outcome: Outcome
  constructor(outcome: Outcome, seen: string) {
    super(seen)
    this.outcome = outcome
  }
}

/** The clause is broken. `seen`: what the broker did, in a sentence that its maintainers could use. */
export function fail(seen: string): never {
  throw new Ended('fail', seen)
}

/** The broker says that it does not have this feature, and says so in the way the specification gives. */
export function notSupported(seen: string): never {
  throw new Ended('not supported', seen)
}

/** It cannot be tried here: what is missing. */
export function skip(reason: string): never {
  throw new Ended('skipped', reason)
}

/** It crossed, and was changed or left out. */
export function lossy(seen: string): never {
  throw new Ended('lossy', seen)
}

/** The broker did not take it, and said so. */
export function refused(seen: string): never {
  throw new Ended('refused', seen)
}

export function mustBe(holds: boolean, seen: string): asserts holds {
  if (!holds) fail(seen)
}

export function mustEqual<T extends string | number | boolean | undefined>(got: T, wanted: T, what: string): void {
  if (got !== wanted) fail(`${what} is ${String(got)} where ${String(wanted)} was due`)
}

/** What another clause tells as a failure cannot be gone through on the way to this one: where waiting for it fails, this check is not tried. */
export async function orSkip<T>(waiting: Promise<T>, reason: string): Promise<T> {
  try {
    return await waiting
  } catch (error) {
    if (outcomeOf(error).outcome === 'fail') skip(reason)
    throw error
  }
}

/** What a check threw: an error that is none of the above is one of the check itself, or of the network. */
export function outcomeOf(error: unknown): Readonly<{ outcome: Outcome; seen: string }> {
  if (error instanceof Ended) return { outcome: error.outcome, seen: error.message }
  return { outcome: 'error', seen: error instanceof Error ? (error.stack ?? error.message) : String(error) }
}
