// Who is a session, and until when: opening, taking over, losing the connection, wills and expiry. Durable sessions are facts;
// after a restart every one of them counts as disconnected at that moment, and wills wait a grace time, so that a failover
// does not announce every device dead.
import type { Identity, Replies, Session } from '../api.ts'
import { CodedError } from '../errors.ts'
import { FACT } from '../journal/facts.ts'
import { beyond, own } from './addresses.ts'
import { writeSession } from './cold-facts.ts'
import type { Live } from './live.ts'
import { Publisher } from './publish.ts'
import type { Queue } from './queue.ts'
import { returnLent } from './passing.ts'
import { EVENT, REASON } from './recorder.ts'
import { journalFull } from './refusals.ts'
import { LiveSession } from './session.ts'
import { removeLater } from './temporary.ts'
import { bindVirtual } from './virtual-topics.ts'
import { type CoreWill, SessionRecord, sessionKey } from './sessions.ts'

/** The journal keeps names of 65,535 bytes. */
const CLIENT_ID_MAX = 16_384
const SILENT: Replies = { done() {}, admitted() {}, refused() {}, pressure() {}, ended() {} }

export class Membership {
  readonly publisher: Publisher
  /** Bytes of parked publishes of all sessions. */
  parkedBytes = 0
  readonly #live: Live
  /** Sessions that no fact tells of are numbered from here. */
  #nextVolatile = 2 ** 31
  #herald: LiveSession | undefined

  constructor(live: Live) {
    this.#live = live
    this.publisher = new Publisher(live)
  }

  /** The node leads: kept sessions are away, from now on or since longer. */
  lead(): void {
    const live = this.#live
    // A queue that lives by being held, made in the last moment before a crash, and never held.
    for (const queue of live.state.queues) {
      if (queue?.lifetime === 'held' && (queue.holders?.size ?? 0) === 0) live.dropQueue(queue)
      else if (queue?.lifetime === 'temporary') removeLater(live, queue)
      // Made in the last moment before a crash, or before the configuration had virtual topics.
      else if (queue !== undefined) bindVirtual(live, queue)
    }
    const nowMs = live.clock.wallMs()
    for (const record of live.state.sessionByNumber.values()) {
      if (record.awaySinceMs === 0) record.awaySinceMs = nowMs
      if (record.will !== undefined) this.#willLater(record, Math.max(record.will.delayMs, live.settings.failover.willGraceMs))
      else this.#expireLater(record)
    }
  }

  open(identity: Identity, replies: Replies): Session {
    const live = this.#live
    if (live.lost !== undefined) throw live.lost
    const { sessions } = live.settings.limits
    if (identity.clientId.length > CLIENT_ID_MAX)
      throw new CodedError('too-large', `a client id of ${identity.clientId.length} characters is too long`)
    const willTo = identity.will === undefined ? undefined : beyond(own(identity.will.to), live.settings.limits)
    if (willTo !== undefined) throw willTo
    const known = identity.clientId === '' ? undefined : live.state.sessionByKey.get(sessionKey(identity.protocol, identity.clientId))
    if (known === undefined && live.state.sessionByNumber.size >= sessions)
      throw new CodedError('limit', `limits.sessions (${sessions}) sessions exist`)
    if (known?.live !== undefined) {
      if (identity.clash === 'refuse') throw new CodedError('in-use', `client id ${identity.clientId} is connected`)
      const { live: earlier } = known
      earlier.detach()
      // The old connection is closed without its client's wish: its will is due.
      this.#lose(known)
      earlier.ended(new CodedError('taken-over', 'another connection continues this session'))
    }
    const keepMs = bounded(identity.keepMs, live.settings.limits.sessionKeepMaxMs)
    let record = known !== undefined && live.state.sessionByNumber.get(known.number) === known ? known : undefined
    if (record !== undefined && identity.fresh) {
      // Its session ends now, and with it the wait of a will that has a delay of its own.
      if (record.will !== undefined && record.will.delayMs > 0) this.#sendWill(record)
      this.#forget(record)
      record = undefined
    }
    const resumed = record !== undefined
    const will: CoreWill | undefined = identity.will === undefined ? undefined : { ...identity.will, to: own(identity.will.to) }
    if (record === undefined) record = this.#record(identity, keepMs, will)
    else this.#continue(record, keepMs, will)
    const session = new LiveSession(live, this, record, resumed, replies, identity)
    record.live = session
    live.intake.join(session)
    live.recorder.note(EVENT.opened, 0, 0, REASON.none, record.number)
    session.opened = live.batches.ticket(session, record.recorded && live.facts.uncommitted)
    return session
  }

  #record(identity: Identity, keepMs: number, will: CoreWill | undefined): SessionRecord {
    const live = this.#live
    const durable = keepMs > 0 || will !== undefined
    const record = new SessionRecord(durable ? live.state.nextSession : this.#nextVolatile++, identity.protocol, identity.clientId, keepMs, will)
    if (durable) {
      if (!live.facts.admit(FACT.session, writeSession(live.facts.writer.reset(), record), 'publish')) throw journalFull()
      const recorded = live.state.sessionByNumber.get(record.number)
      if (recorded !== undefined) return recorded
    }
    live.state.addSession(record)
    return record
  }

  #continue(record: SessionRecord, keepMs: number, will: CoreWill | undefined): void {
    const live = this.#live
    this.#cancelTimers(record)
    record.keepMs = keepMs
    record.will = will
    record.awaySinceMs = 0
    if (!record.recorded && keepMs === 0 && will === undefined) return
    live.facts.admit(FACT.session, writeSession(live.facts.writer.reset(), record), 'drain')
  }

  /** From now on it is kept this long; not one that was not to be kept. */
  keep(record: SessionRecord, keepMs: number): void {
    const live = this.#live
    if (record.keepMs === 0) return
    record.keepMs = bounded(keepMs, live.settings.limits.sessionKeepMaxMs)
    if (record.recorded) live.facts.admit(FACT.session, writeSession(live.facts.writer.reset(), record), 'drain')
  }

  /** The connection of this session is gone. */
  closed(record: SessionRecord, how: 'clean' | 'lost'): void {
    const live = this.#live
    live.recorder.note(EVENT.closed, 0, 0, how === 'clean' ? REASON.none : REASON['session-ended'], record.number)
    if (how === 'lost') {
      this.#lose(record)
      return
    }
    for (const queue of [...record.holds.keys()]) if (queue.lifetime === 'temporary') this.letGo(record, queue)
    this.#dropWill(record)
    this.#away(record)
  }

  #lose(record: SessionRecord): void {
    const { will } = record
    if (will === undefined) {
      this.#away(record)
      return
    }
    if (will.delayMs === 0 || record.keepMs === 0) {
      this.#sendWill(record)
      this.#away(record)
      return
    }
    this.#markAway(record)
    this.#willLater(record, will.delayMs)
  }

  #willLater(record: SessionRecord, delayMs: number): void {
    record.cancelWill = this.#live.schedule.schedule(delayMs, () => {
      record.cancelWill = undefined
      if (this.#live.lost !== undefined || record.live !== undefined) return
      this.#sendWill(record)
      this.#expireLater(record)
    })
    // Whatever ends first: a session that expires sends its will then.
    if (record.keepMs > 0) this.#expireLater(record)
  }

  #away(record: SessionRecord): void {
    if (record.keepMs === 0) {
      this.#forget(record)
      return
    }
    this.#markAway(record)
    this.#expireLater(record)
  }

  #markAway(record: SessionRecord): void {
    const live = this.#live
    record.awaySinceMs = live.clock.wallMs()
    if (record.recorded) live.facts.admit(FACT.sessionAway, live.facts.writer.reset().u32(record.number).f64(record.awaySinceMs), 'drain')
  }

  #expireLater(record: SessionRecord): void {
    if (record.keepMs === Number.POSITIVE_INFINITY || record.cancelExpiry !== undefined) return
    const left = record.awaySinceMs + record.keepMs - this.#live.clock.wallMs()
    record.cancelExpiry = this.#live.schedule.schedule(Math.max(0, left), () => {
      record.cancelExpiry = undefined
      if (this.#live.lost !== undefined || record.live !== undefined) return
      // A will whose time has not come is sent when its session ends.
      if (record.will !== undefined) this.#sendWill(record)
      this.#forget(record)
    })
  }

  /** Publishes wills and what is scheduled. */
  get herald(): LiveSession {
    this.#herald ??= new LiveSession(this.#live, this, new SessionRecord(this.#nextVolatile++, '', '', 0, undefined), false, SILENT, {
      principal: '',
      remote: '',
    })
    return this.#herald
  }

  #sendWill(record: SessionRecord): void {
    const live = this.#live
    const { will } = record
    if (will === undefined) return
    this.#dropWill(record)
    const { herald } = this
    const { ttlMs = 0 } = will
    const message = ttlMs === 0 ? will.message : { ...will.message, expiresAtMs: live.clock.wallMs() + ttlMs }
    if (herald.publish(will.to, message, { retain: will.retain, note: 0, transaction: undefined }) === 0) {
      live.log.warn({ client: record.clientId, code: herald.refusal?.code }, 'a will could not be sent')
      live.dropped(undefined, REASON['full-refused'])
    }
  }

  #dropWill(record: SessionRecord): void {
    const live = this.#live
    if (record.will === undefined) return
    if (record.recorded) live.facts.admit(FACT.willGone, live.facts.writer.reset().u32(record.number), 'drain')
    record.will = undefined
  }

  /** The session ends for good: what it held is let go. */
  #forget(record: SessionRecord): void {
    const live = this.#live
    this.#cancelTimers(record)
    for (const queue of [...record.holds.keys()]) {
      if (queue.lifetime === 'temporary') this.#leave(record, queue)
      else this.letGo(record, queue)
    }
    if (record.recorded) live.facts.admit(FACT.sessionGone, live.facts.writer.reset().u32(record.number), 'drain')
    else live.state.removeSession(record)
  }

  /** Its owner is gone without a word, and may come back. */
  #leave(record: SessionRecord, queue: Queue): void {
    this.#live.state.letGo(record, queue)
    removeLater(this.#live, queue)
  }

  /** The session holds the queue no more; the last one to let go of a held queue removes it. True: the journal was told. */
  letGo(record: SessionRecord, queue: Queue): boolean {
    const live = this.#live
    if (queue.lifetime !== 'permanent' && (queue.holders?.size ?? 0) <= 1) {
      if (queue.durable) returnLent(live, queue)
      return live.dropQueue(queue)
    }
    if (queue.durable && record.recorded && record.keepMs > 0) {
      return live.facts.admit(FACT.release, live.facts.writer.reset().u32(record.number).u32(queue.number), 'drain')
    }
    live.state.letGo(record, queue)
    return false
  }

  #cancelTimers(record: SessionRecord): void {
    record.cancelWill?.()
    record.cancelExpiry?.()
    record.cancelWill = undefined
    record.cancelExpiry = undefined
  }
}

function bounded(keepMs: number, maxMs: number): number {
  return maxMs === 0 ? keepMs : Math.min(keepMs, maxMs)
}
