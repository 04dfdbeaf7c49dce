// A message of QoS 2 out of a queue that others take from too (`$share`, `$queue`) belongs to the client that it was sent to: from then on it goes to nobody else,
// whatever becomes of the connection [MQTT5-4.8.2-4] [MQTT5-4.8.2-5].
//
//     session         of a group ($share)                             of a queue ($queue)
//     kept            passed to the session's own queue, whose numbers are packet identifiers and stay, and committed there before it is sent; when the
//                     session ends, a message that no PUBREC answered goes with it [MQTT5-4.8.2-5]   … goes back to its queue
//     not kept        settled as it is sent: the connection's end is  stays where it is until PUBREC settles it: the connection's end gives it back;
//                     the session's; what was not sent goes back      a dead letter also of a kept session, since it must not forget of what it died
import type { Address, Consumer, Delivery, Session } from '../../src/api.ts'
import { NAMESPACE } from './address.ts'
import { SEND_TAKEN } from './answers.ts'
import type { Link } from './outgoing.ts'

export class Taking {
  readonly #link: Link
  readonly #session: Session
  /** Not committed yet, oldest first. */
  readonly #waiting = new Set<Delivery>()

  constructor(link: Link, session: Session) {
    this.#link = link
    this.#session = session
  }

  /** The delivery as it is sent, once `waits` is false; undefined: it is gone. */
  take(consumer: Consumer, delivery: Delivery): Delivery | undefined {
    const { kept, queue } = this.#link.own
    if (!kept || queue === undefined || delivery.dead !== undefined) return delivery
    return this.#pass(consumer, delivery, queue, !isOfGroup(delivery))
  }

  waits(delivery: Delivery): boolean {
    return this.#waiting.has(delivery)
  }

  /** The oldest is committed. */
  done(): void {
    for (const delivery of this.#waiting) {
      this.#waiting.delete(delivery)
      return
    }
  }

  #pass(consumer: Consumer, delivery: Delivery, queue: Address, back: boolean): Delivery | undefined {
    const passed = consumer.pass(delivery.tag, queue, back)
    if (passed === undefined) {
      const { refusal } = this.#session
      if (refusal?.code !== 'not-found') throw new Error(`a message of QoS 2 could not be passed: ${refusal?.message}`)
      return undefined
    }
    // What another may have seen is no re-delivery to this client [MQTT-3.3.1-1].
    const own = { ...delivery, ref: passed.ref, queue, mark: 0, maybeSeen: false, dead: { reason: '', origin: delivery.queue } }
    return this.#wait(own, passed.ticket)
  }

  #wait(delivery: Delivery, ticket: number): Delivery {
    this.#waiting.add(delivery)
    this.#link.owe(ticket, SEND_TAKEN, 0)
    return delivery
  }
}

/** Sent to one member, it is for no other. */
export function isOfGroup({ queue }: Pick<Delivery, 'queue'>): boolean {
  return queue.namespace === NAMESPACE
}

/** Where it was before it became this client's own; undefined: it always was. */
export function takenFrom({ queue, dead }: Pick<Delivery, 'queue' | 'dead'>): Address | undefined {
  return dead !== undefined && isOfGroup({ queue }) ? dead.origin : undefined
}
