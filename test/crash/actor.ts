// One client of the crash test: it outlives the broker's crashes and connects again after each.
import type { Random } from '../../src/random.ts'
import type { Ready } from '../wire/node-process.ts'

/** Who is told what every actor does. */
export interface Judge {
  producer(name: string): void
  sent(producer: string, number: number, atMs: number): void
  acknowledged(producer: string, number: number, atMs: number): void
  /** It is nobody's before that time. */
  notBefore(producer: string, number: number, atMs: number): void
  delivered(recipient: string, connection: number, producer: string, number: number, atMs: number, copy?: string): void
  settling(recipient: string, producer: string, number: number, atMs: number, copy?: string): void
  answered(recipient: string, producer: string, number: number, copy?: string): void
}

export interface Stage {
  readonly ledger: Judge
  readonly random: Random
  /** What went wrong beyond the ledger's rules. */
  readonly wrong: (sentence: string) => void
}

export interface Actor {
  readonly name: string
  /** Ends when it is connected, and subscribed if it is a consumer. */
  connect(ready: Ready): Promise<void>
  /** Consumers do nothing here; a producer sends until it is told to rest. */
  work(): void
  rest(): void
  /** Sends so many at once, whatever its window: for kills in the middle of a burst. */
  burst(count: number): void
  /** Nothing is under way: no unacknowledged publish, no settlement that waits to be sent. */
  readonly idle: boolean
  /** It has no connection, and read what came over the last one to its end. */
  readonly closed: boolean
  /** The broker was killed: what is read from now on was sent before, and nothing that is sent now arrives. */
  died(): void
}

/** What producers have in common: numbers, a window, the ledger. */
export abstract class Producer implements Actor {
  readonly name: string
  readonly stage: Stage
  readonly window: number
  protected outstanding = 0
  protected connected = false
  #next = 0
  #working = false
  /** Told at each acknowledgement: kills are aimed with it. */
  onAcknowledged: () => void = () => {}

  constructor(name: string, window: number, stage: Stage) {
    this.name = name
    this.window = window
    this.stage = stage
    stage.ledger.producer(name)
  }

  abstract connect(ready: Ready): Promise<void>
  abstract readonly closed: boolean
  protected abstract send(number: number): void

  get idle(): boolean {
    return this.outstanding === 0
  }

  work(): void {
    this.#working = true
    this.pump()
  }

  rest(): void {
    this.#working = false
  }

  died(): void {
    this.connected = false
  }

  protected get alive(): boolean {
    return this.connected
  }

  burst(count: number): void {
    for (let i = 0; i < count && this.connected; i++) this.#one()
  }

  protected pump(): void {
    while (this.#working && this.connected && this.outstanding < this.window) this.#one()
  }

  protected acknowledged(number: number): void {
    this.stage.ledger.acknowledged(this.name, number, performance.now())
    this.onAcknowledged()
  }

  #one(): void {
    const number = this.#next++
    this.stage.ledger.sent(this.name, number, performance.now())
    this.outstanding++
    this.send(number)
  }
}

/** What consumers have in common: settlements that are sent a little later, in batches. */
export abstract class Consumer implements Actor {
  readonly name: string
  readonly stage: Stage
  protected connection = 0
  readonly #waiting: (() => void)[] = []
  #timer: NodeJS.Timeout | undefined
  #dead = false

  constructor(name: string, stage: Stage) {
    this.name = name
    this.stage = stage
  }

  abstract connect(ready: Ready): Promise<void>
  abstract readonly closed: boolean
  /** Everything written leaves now. */
  protected abstract flush(): void

  get idle(): boolean {
    return this.#waiting.length === 0
  }

  work(): void {}
  rest(): void {}
  burst(): void {}

  /** `settle` runs in a few milliseconds if the connection lasts. */
  protected later(settle: () => void): void {
    if (this.#dead) return
    this.#waiting.push(settle)
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      for (const each of this.#waiting.splice(0)) each()
      this.flush()
    }, this.stage.random.below(4))
  }

  protected get alive(): boolean {
    return !this.#dead
  }

  died(): void {
    this.forget()
    this.#dead = true
  }

  /** What the lost connection gave is nothing to settle any more. */
  protected forget(): void {
    this.#dead = false
    this.#waiting.length = 0
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}
