// What producers of the drill have in common: numbers, a window, a pace, the ledger.
// One that changes over goes to whichever node answers and sends again what was not answered, as applications do. One that is steadfast stays with its
// connection until that breaks and never sends anything twice: what a leader says that was stopped and woken is heard by it alone.
import { payloadOf } from './payload.ts'
import type { Access, Actor, Stage } from './stage.ts'

/** Lets a producer that was held up catch up, within limits. */
const ALLOWANCE_MAX = 64

export type ProducerOptions = Readonly<{ name: string; window: number; steadfast: boolean }>

export abstract class Producer implements Actor {
  readonly name: string
  readonly steadfast: boolean
  protected readonly access: Access
  protected readonly stage: Stage
  /** Sent and not answered, in order of sending. */
  protected readonly open = new Map<number, Buffer>()
  protected isConnected = false
  protected node = -1
  protected connectedMs = 0
  readonly #window: number
  #next = 0
  #allowance = 0
  #working = false

  constructor({ name, window, steadfast }: ProducerOptions, access: Access, stage: Stage) {
    this.name = name
    this.steadfast = steadfast
    this.access = access
    this.stage = stage
    this.#window = window
    stage.ledger.producer(name)
  }

  abstract connect(): Promise<void>
  abstract close(): Promise<void>
  /** Writes one message; its answer calls `acknowledged`. */
  protected abstract send(number: number, payload: Buffer): void

  get idle(): boolean {
    return this.open.size === 0
  }

  get connected(): boolean {
    return this.isConnected
  }

  work(): void {
    this.#working = true
  }

  rest(): void {
    this.#working = false
  }

  /** So many more may be sent. */
  pace(messages: number): void {
    this.#allowance = Math.min(ALLOWANCE_MAX, this.#allowance + messages)
    this.pump()
  }

  /** Sends so many at once, whatever its window and pace. */
  burst(count: number): void {
    for (let i = 0; i < count && this.isConnected; i++) this.#one()
  }

  protected pump(): void {
    while (this.#working && this.isConnected && this.#allowance >= 1 && this.open.size < this.#window) {
      this.#allowance--
      this.#one()
    }
  }

  protected opened(node: number): void {
    this.node = node
    this.connectedMs = performance.now()
    this.isConnected = true
  }

  /** On a new connection: what was not answered, then what is new. */
  protected sendAgain(): void {
    for (const [number, payload] of this.open) {
      this.stage.ledger.sentAgain(this.name, number)
      this.send(number, payload)
    }
    this.pump()
  }

  /** What was not answered on a steadfast one's connection has an outcome that nobody will learn. */
  protected lost(): void {
    this.isConnected = false
    if (this.steadfast) this.open.clear()
  }

  protected acknowledged(number: number): void {
    if (!this.open.delete(number)) return
    const { ledger, darkness, onAcknowledged } = this.stage
    ledger.acknowledged(this.name, number)
    darkness.acknowledged(this.name, this.access.listener, this.node, this.connectedMs, performance.now())
    onAcknowledged()
    this.pump()
  }

  #one(): void {
    const number = this.#next++
    const payload = payloadOf({ producer: this.name, number }, this.stage.bytes)
    this.stage.ledger.sent(this.name, number)
    this.open.set(number, payload)
    this.send(number, payload)
  }
}
