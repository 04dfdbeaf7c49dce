// What arrives on one connection, for checks that read it piece by piece.
import { fail } from '../outcome.ts'
import type { Trial } from '../trial.ts'

/** Pieces in the order in which they came, and at last the end of the connection. */
export class Inbox<T> {
  readonly #trial: Trial
  readonly #waiting: T[] = []
  #ended = false
  #spoilt: string | undefined
  #wake: () => void = () => {}

  constructor(trial: Trial) {
    this.#trial = trial
  }

  put(piece: T): void {
    this.#waiting.push(piece)
    this.#wake()
  }

  end(): void {
    this.#ended = true
    this.#wake()
  }

  /** Something came that is no piece of this protocol: `seen` is what every wait fails with once the pieces before it are read, and the check in any case. */
  spoil(seen: string): void {
    this.#spoilt ??= seen
    this.#trial.broken ??= seen
    this.#wake()
  }

  get ended(): boolean {
    return this.#ended
  }

  /** The next piece; undefined when the connection ended before one came. Fails when patience runs out. `what` says who waits for what. */
  async next(what: string): Promise<T | undefined> {
    return this.#trial.within(this.#next(), `${what} did not come`)
  }

  /** What has come and was not read yet; it stays. */
  get unread(): readonly T[] {
    return this.#waiting
  }

  /** Reads what `is`, leaving all before it unread. Fails when the connection ends first or patience runs out. */
  async find<S extends T>(is: (piece: T) => piece is S, what: string, patienceMs?: number): Promise<S> {
    let over = false
    const search = async (): Promise<S> => {
      for (;;) {
        // Nobody waits any more: what comes is for who asks next.
        if (over) fail(`${what} came too late`)
        const at = this.#waiting.findIndex(is)
        const [found] = at < 0 ? [] : this.#waiting.splice(at, 1)
        if (found !== undefined && is(found)) return found
        if (this.#spoilt !== undefined) fail(this.#spoilt)
        if (this.#ended) fail(`the connection was closed instead of ${what}`)
        await this.#change()
      }
    }
    try {
      return await this.#trial.within(search(), `${what} did not come`, patienceMs)
    } finally {
      over = true
    }
  }

  /** Ends when the connection has. */
  async untilEnd(what: string, patienceMs?: number): Promise<void> {
    const wait = async (): Promise<void> => {
      while (!this.#ended && this.#spoilt === undefined) await this.#change()
      if (this.#spoilt !== undefined) fail(this.#spoilt)
    }
    await this.#trial.within(wait(), what, patienceMs)
  }

  async #next(): Promise<T | undefined> {
    for (;;) {
      const piece = this.#waiting.shift()
      if (piece !== undefined) return piece
      if (this.#spoilt !== undefined) fail(this.#spoilt)
      if (this.#ended) return undefined
      await this.#change()
    }
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      const before = this.#wake
      this.#wake = () => {
        before()
        resolve()
      }
    })
  }
}
