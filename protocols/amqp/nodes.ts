// Nodes that one connection makes or keeps: temporary ones, which are its client's alone, and queues that live by being held.
// They are held by the connection's session of the core, and go with it.
import type { Address, Ticket } from '../../src/api.ts'
import { TEMPORARY } from '../shared/naming.ts'
import type { AmqpConnection } from './connection.ts'

export class Nodes {
  readonly #connection: AmqpConnection
  /** How many links hold a queue, by its name. */
  readonly #held = new Map<string, number>()
  #numbers = 0

  constructor(connection: AmqpConnection) {
    this.#connection = connection
  }

  /** A number for something of this connection. */
  number(): number {
    return ++this.#numbers
  }

  temporary(kind: 'queue' | 'topic'): Address {
    const { shared, id } = this.#connection
    return shared.broker.address(kind, [TEMPORARY, `amqp-${id}`, String(this.number())])
  }

  /** Makes a temporary node of this client's. 0: `session.refusal`. */
  makeTemporary(node: Address): Ticket {
    const { topicBacklogMessages, topicBacklogBytes } = this.#connection.shared.settings
    const backlog = { limitMessages: topicBacklogMessages, limitBytes: topicBacklogBytes, whenFull: 'drop-oldest' } as const
    return this.#connection.session.declare(node, { durable: true, lifetime: 'temporary', owner: this.#owner, ...backlog })
  }

  /** Takes one that is this client's, and perhaps nobody's since its connection broke. 0: `session.refusal`. */
  takeTemporary(node: Address): Ticket {
    return this.#connection.session.hold(node, 0, this.#owner)
  }

  get #owner(): string {
    const { principal, containerId } = this.#connection
    return `amqp\0${principal}\0${containerId}`
  }

  /** Keeps a queue that lives by being held; several links may. False: `session.refusal`. */
  hold(queue: Address): boolean {
    const key = queue.path.join('\0')
    const holders = this.#held.get(key) ?? 0
    if (holders === 0 && this.#connection.session.hold(queue, 0) === 0) return false
    this.#held.set(key, holders + 1)
    return true
  }

  letGo(queue: Address): void {
    const key = queue.path.join('\0')
    const holders = (this.#held.get(key) ?? 1) - 1
    if (holders > 0) {
      this.#held.set(key, holders)
      return
    }
    this.#held.delete(key)
    this.release(queue)
  }

  /** What is held goes, unless all of it is gone. */
  release(node: Address): void {
    this.#connection.sessionIfOpen?.release(node)
  }
}
