// What may be much for one turn (a disposition over everything, a rollback), done in shares: one a turn, one thing after the other.
// While there is any its owner is told to hear nothing else of its client.
export interface SharesOwner {
  readonly over: boolean
  /** There are shares to be done, or no more. */
  holdForShares(on: boolean): void
  /** In a turn of its own. */
  inTurn(run: () => void): void
}

export class Shares {
  readonly #owner: SharesOwner
  readonly #waiting: Readonly<{ share: () => boolean; whenDone: (() => void) | undefined }>[] = []

  constructor(owner: SharesOwner) {
    this.#owner = owner
  }

  /** `share` is called until it answers that there is no more, then `whenDone`; at once if that is the first time. */
  run(share: () => boolean, whenDone?: () => void): void {
    const isFirst = this.#waiting.length === 0
    if (isFirst && !share()) {
      whenDone?.()
      return
    }
    this.#waiting.push({ share, whenDone })
    if (!isFirst) return
    this.#owner.holdForShares(true)
    this.#owner.inTurn(this.#goOn)
  }

  readonly #goOn = (): void => {
    if (this.#owner.over) return
    const [{ share, whenDone }] = this.#waiting
    if (!share()) {
      whenDone?.()
      this.#waiting.shift()
    }
    if (this.#owner.over) return
    if (this.#waiting.length > 0) this.#owner.inTurn(this.#goOn)
    else this.#owner.holdForShares(false)
  }
}
