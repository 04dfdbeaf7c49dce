// What one client publishes: given to the core as it comes, and aedes goes on to acknowledge it when that is committed, one after the other. The hook
// `authorizePublish` is the only place where aedes can be held back before PUBACK: it acknowledges QoS 1 before it stores.
import type { PublishPacket } from 'aedes'
import type { Address, BrokerError, Session } from '../../../src/api.ts'
import { isTemporary } from '../../shared/naming.ts'
import { REFUSED_PUBLISH } from '../errors.ts'
import { newMessage } from '../format.ts'
import type { Front } from '../front.ts'
import { isReserved } from '../on/publish.ts'
import type { SessionState } from '../session-state.ts'
import { Gate } from './gate.ts'

/** What it needs of its connection. */
export interface Publisher {
  readonly front: Front
  readonly session: Session | undefined
  readonly own: SessionState
  lastTicket: number
  lose(reason: string): void
}

type GoOn = (error?: Error | null) => void

/** Plain queues remembered as made, per connection. */
const DECLARED_MAX = 1000

export class Publishes {
  readonly #publisher: Publisher
  readonly #gate = new Gate()

  constructor(publisher: Publisher) {
    this.#publisher = publisher
  }

  get waits(): boolean {
    return this.#gate.size > 0
  }

  get parks(): boolean {
    return this.#gate.parks
  }

  publish(packet: PublishPacket, goOn: GoOn): void {
    const publisher = this.#publisher
    const { session, own, front } = publisher
    // The connection is over: nothing is acknowledged.
    if (session === undefined) return
    const { qos, retain } = packet
    const packetId = packet.messageId ?? 0
    // [MQTT-4.3.3-2] Until its PUBREL the identifier stands for one message, however often it comes.
    if (qos === 2 && (own.parkedNotes.has(packetId) || session.notes.has(packetId))) return this.#after(goOn)
    const topic = Buffer.from(packet.topic, 'utf8')
    const to = front.topics.address(topic, 0, topic.length)
    if (isReserved(to)) {
      front.reservedDropped++
      return this.#after(goOn)
    }
    const body = Buffer.from(packet.payload)
    if (to.kind === 'queue') this.#makeSure(session, to)
    const ticket = session.publish(to, newMessage(qos, retain, body), {
      retain: !retain || to.kind === 'queue' ? 'no' : body.length === 0 ? 'clear' : 'set',
      note: qos === 2 ? packetId : 0,
      transaction: undefined,
    })
    if (ticket > 0) {
      publisher.lastTicket = ticket
      this.#gate.after(qos === 0 ? 0 : ticket, goOn)
    } else if (ticket < 0) this.#park(qos === 2 ? packetId : 0, goOn)
    else if (session.refusal === undefined) throw new Error('a publish was refused and nothing says why')
    else if (isTemporary(to) && session.refusal.code === 'not-found') {
      // It is gone and never comes back: a client whose connection ended would send it again for ever.
      front.reservedDropped++
      this.#after(goOn)
    } else this.#refuse(session.refusal, goOn)
  }

  /** PUBREL: its identifier is free for another message. */
  forget(packetId: number): void {
    const publisher = this.#publisher
    const ticket = publisher.session?.notes.has(packetId) === true ? publisher.session.note(packetId, false) : 0
    if (ticket > 0) publisher.lastTicket = ticket
  }

  done(upTo: number): void {
    this.#gate.done(upTo)
  }

  admitted(ticket: number): void {
    this.#publisher.lastTicket = ticket
    this.#gate.admitted(ticket)
  }

  refused(error: BrokerError): void {
    this.#gate.refused(error)
  }

  stop(): void {
    this.#gate.clear()
  }

  #park(note: number, goOn: GoOn): void {
    const { parkedNotes } = this.#publisher.own
    if (note !== 0) parkedNotes.add(note)
    this.#gate.park(
      () => {
        parkedNotes.delete(note)
        goOn()
      },
      (error) => {
        parkedNotes.delete(note)
        this.#refuse(error, goOn)
      },
    )
  }

  /** As nothing is done for it: after everything asked so far. */
  #after(goOn: GoOn): void {
    this.#gate.after(this.#publisher.lastTicket, goOn)
  }

  #refuse(error: BrokerError, goOn: GoOn): void {
    if (REFUSED_PUBLISH[error.code] === 'close') this.#publisher.lose(`a publish was refused: ${error.message}`)
    else this.#after(goOn)
  }

  /** A queue is made when it is first sent to. */
  #makeSure(session: Session, queue: Address): void {
    const { declared } = this.#publisher.own
    if (declared.has(queue)) return
    if (declared.size >= DECLARED_MAX) declared.clear()
    declared.add(queue)
    const ticket = session.declare(queue, { durable: true, lifetime: 'permanent' })
    if (ticket > 0) this.#publisher.lastTicket = ticket
  }
}
