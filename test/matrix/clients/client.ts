// What the matrix wants of a client, whichever library it is: send one message and know that the broker has it, and see what arrives.
import type { Endpoint, Said, Seen } from '../notation.ts'

export type Outcome = 'accepted' | 'released' | 'failed' | 'rejected'

export type Arrived = Readonly<{
  /** Where its sender sent it, as this client is told. */
  destination: string
  seen: Seen
  /** The whole message as this protocol writes it, but for what is the broker's in it: equal to what was sent when nothing was changed. */
  exact: string
  /** DUP, `redelivered`, not the first acquirer. */
  redelivered: boolean
  /** Only AMQP tells. */
  deliveryCount?: number | undefined
  settle(outcome: Outcome): void
}>

export interface Inbox {
  /** The next that has not been taken; undefined: none came in this time. */
  next(waitMs?: number): Promise<Arrived | undefined>
  /** Without more to come. */
  close(): Promise<void>
}

export type SubscribeOptions = Readonly<{
  /** The test settles; else each is accepted at once. */
  manual?: boolean
  /** The broker is asked for a destination of the client's own, and names it. */
  temporary?: 'queue' | 'topic'
}>

export interface Client {
  readonly endpoint: Endpoint
  /** Its own part of `said`. Ends with `accepted` when the broker has it, else with its refusal. */
  send(destination: string, said: Said): Promise<string>
  /** `address`: what the client says as reply-to. */
  subscribe(destination: string, options?: SubscribeOptions): Promise<Inbox & { readonly address: string }>
  close(): Promise<void>
}

/** Keeps what comes until somebody asks. */
export class Box {
  readonly #arrived: Arrived[] = []
  readonly #waiting: ((arrived: Arrived) => void)[] = []

  push(arrived: Arrived): void {
    const wake = this.#waiting.shift()
    if (wake === undefined) this.#arrived.push(arrived)
    else wake(arrived)
  }

  next(waitMs = 5000): Promise<Arrived | undefined> {
    const arrived = this.#arrived.shift()
    if (arrived !== undefined) return Promise.resolve(arrived)
    return new Promise((resolve) => {
      const wake = (late: Arrived | undefined): void => {
        clearTimeout(timer)
        resolve(late)
      }
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(wake), 1)
        resolve(undefined)
      }, waitMs)
      this.#waiting.push(wake)
    })
  }
}
