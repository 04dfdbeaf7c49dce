// Checks of log-ins wait here for each other: one at a time, in a line with an end, of which one address may fill a part. So whoever guesses
// passwords guesses no faster than they are checked, and keeps nobody out but himself.
import { CodedError } from '../errors.ts'

const SHARE_PER_ADDRESS = 4

type Waiting = Readonly<{ check: () => Promise<boolean>; resolve: (right: boolean) => void; reject: (error: Error) => void }>

export class CheckLine {
  readonly #max: number
  readonly #line: Waiting[] = []
  readonly #byAddress = new Map<string, number>()
  #working = false

  constructor(max: number) {
    this.#max = max
  }

  /** Rejects with `throttled` where no place is left, `internal` where the check fails. */
  enter(host: string, check: () => Promise<boolean>): Promise<boolean> {
    const waiting = this.#byAddress.get(host) ?? 0
    if (this.#line.length >= this.#max || waiting >= Math.max(1, Math.floor(this.#max / SHARE_PER_ADDRESS)))
      return Promise.reject(new CodedError('throttled', 'Too many log-ins wait to be checked (limits.loginsWaiting): try again later.'))
    this.#byAddress.set(host, waiting + 1)
    const checked = new Promise<boolean>((resolve, reject) => {
      this.#line.push({ check, resolve, reject })
    })
    const leave = (): void => {
      const left = (this.#byAddress.get(host) ?? 1) - 1
      if (left > 0) this.#byAddress.set(host, left)
      else this.#byAddress.delete(host)
    }
    checked.then(leave, leave)
    void this.#work()
    return checked
  }

  async #work(): Promise<void> {
    if (this.#working) return
    this.#working = true
    for (let next = this.#line.shift(); next !== undefined; next = this.#line.shift()) {
      try {
        next.resolve(await next.check())
      } catch (error) {
        next.reject(new CodedError('internal', `The password could not be checked: ${error instanceof Error ? error.message : String(error)}`))
      }
    }
    this.#working = false
  }
}

/** Without the port. */
export const hostOf = (remote: string): string => remote.slice(0, Math.max(0, remote.lastIndexOf(':')))
