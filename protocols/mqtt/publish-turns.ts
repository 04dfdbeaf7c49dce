// What becomes of a client's publishes that were not simply taken: they wait for room, were refused, or are nothing new. All are answered in their turn
// [MQTT-4.6.0-2]. Not here: those that are taken at once (connection.ts, `owe`), and the reading of them (on/publish.ts).
import type { BrokerError } from '../../src/api.ts'
import { acknowledgement } from './answers-five.ts'
import { type Answers, NOTHING, SEND_PUBREC } from './answers.ts'
import { REFUSED_PUBLISH } from './errors.ts'
import type { Five } from './five.ts'
import type { Front } from './front.ts'
import { Parked } from './parked.ts'
import { DISCONNECT_REASON, PUBLISH_REASON, QUOTA_EXCEEDED } from './reasons.ts'
import type { SessionState } from './session-state.ts'

/** Of packets. */
const IDENTIFIERS = 65_535

/** What it needs of its connection. */
export interface Publisher {
  readonly front: Front
  readonly answers: Answers
  readonly own: SessionState
  readonly state: string
  lastTicket: number
  answer(): void
  lose(reason: string, code?: number): void
}

export class PublishTurns {
  readonly #publisher: Publisher
  readonly #parked = new Parked()

  constructor(publisher: Publisher) {
    this.#publisher = publisher
  }

  /** It waits for room, and is answered `what` when it has found it and is done. */
  park(what: number, packetId: number): void {
    this.#parked.wait(what, packetId)
    if (what === SEND_PUBREC) this.#publisher.own.parkedNotes.add(packetId)
  }

  /** The oldest that waits has taken its place. */
  admitted(ticket: number): void {
    const code = this.#take()
    if (code === undefined) return
    const publisher = this.#publisher
    publisher.lastTicket = ticket
    const what = Math.floor(code / 65_536)
    if (what !== NOTHING) publisher.answers.push(ticket, what, code % 65_536)
    this.#release()
  }

  /** The oldest that waits is refused. */
  refused(error: BrokerError): void {
    const code = this.#take()
    if (code === undefined) return
    this.#refuse(error, Math.floor(code / 65_536), code % 65_536, undefined)
    this.#release()
  }

  /** The one just made is refused. */
  refuse(error: BrokerError, what: number, packetId: number): void {
    this.#refuse(error, what, packetId, this.#behind())
  }

  /** The one just made is answered without doing anything. */
  acknowledge(what: number, packetId: number): void {
    this.#acknowledge(what, packetId, this.#behind())
  }

  #take(): number | undefined {
    if (this.#parked.size === 0) return undefined
    const code = this.#parked.take()
    if (Math.floor(code / 65_536) === SEND_PUBREC) this.#publisher.own.parkedNotes.delete(code % 65_536)
    return code
  }

  /** What followed one that has its answer now. */
  #release(): void {
    const publisher = this.#publisher
    if (publisher.state === 'closed') return
    const refusals = this.#parked.release(publisher.answers, publisher.lastTicket)
    publisher.own.five?.answered(refusals)
    publisher.answer()
  }

  /** Where an answer must wait because publishes before it do; undefined: nowhere. */
  #behind(): Parked | undefined {
    if (this.#parked.size === 0) return undefined
    if (this.#parked.size < IDENTIFIERS) return this.#parked
    this.#publisher.lose('more publishes than there are packet identifiers wait for an answer', QUOTA_EXCEEDED)
    return undefined
  }

  #refuse(error: BrokerError, what: number, packetId: number, behind: Parked | undefined): void {
    const { own, front } = this.#publisher
    if (own.five !== undefined) return this.#refuseFive(own.five, error, what, packetId, behind)
    if (REFUSED_PUBLISH[error.code] === 'close') return this.#publisher.lose(`a publish was refused: ${error.message}`)
    front.log.debug({ client: own.clientId, code: error.code }, 'MQTT publish refused, and acknowledged')
    if (what !== NOTHING) this.#acknowledge(what, packetId, behind)
  }

  #acknowledge(what: number, packetId: number, behind: Parked | undefined): void {
    if (behind !== undefined) return behind.follow(what, packetId)
    const publisher = this.#publisher
    if (publisher.state === 'closed') return
    publisher.answers.push(publisher.lastTicket, what, packetId)
    publisher.answer()
  }

  #refuseFive(five: Five, error: BrokerError, what: number, packetId: number, behind: Parked | undefined): void {
    const publisher = this.#publisher
    const reason = PUBLISH_REASON[error.code]
    publisher.front.log.debug({ client: publisher.own.clientId, code: error.code, reason }, 'MQTT publish refused')
    if (what === NOTHING && error.code === 'denied') return
    if (what === NOTHING || reason === undefined)
      return publisher.lose(`a publish was refused: ${error.message}`, reason ?? DISCONNECT_REASON[error.code])
    const packet = acknowledgement(five, what, packetId, reason, error.message)
    if (behind !== undefined) return behind.followPacket(packet)
    if (publisher.state === 'closed') return
    five.answered()
    publisher.answers.pushPacket(publisher.lastTicket, packet)
    publisher.answer()
  }
}
