// One session of AMQP (part 2.5; called a channel here, since a session is the core's): windows, handles, delivery ids, what waits to be sent.
import type { EntryRef, Ticket } from '../../src/api.ts'
import type { AmqpConnection } from './connection.ts'
import { type AmqpError, fault } from './errors.ts'
import type { Leaving } from './expiry.ts'
import { detach, disposition, end, flow } from './frames.ts'
import type { IncomingLink } from './incoming-link.ts'
import { ACCEPTED, isTerminal, type Outcome, outcomeTerm } from './outcome.ts'
import { type Outbound, writeTransfer } from './outbound.ts'
import type { OutgoingLink } from './outgoing-link.ts'
import type { Attach, Begin, Disposition, Flow } from './performatives.ts'
import { inShares, type Run, Settling, SHARE, type Unsettled } from './settling.ts'
import { UNKNOWN_ID } from './transactions.ts'
import { TermWriter } from './writer.ts'

export type Link = IncomingLink | OutgoingLink

export type Sending = Readonly<{
  ref: EntryRef
  attempts: number
  ofSeveral: boolean
  coreTag: number
  settled: boolean
  state: Buffer | undefined
  parts: readonly Uint8Array[]
}>

export class Channel {
  readonly connection: AmqpConnection
  /** Ours, on which we send. */
  readonly number: number
  /** The client's. */
  readonly incoming: number
  readonly links = new Map<number, Link>()
  /** Ended by us: what the client still says there is dropped until it has read that. */
  ending = false
  /** The client's handles that we detached and it has not yet; whether its client has no reason to go on with it. */
  readonly #detached = new Map<number, boolean>()
  /** Of those, the links that had been served: nobody attaches one again before it has been told that it is no more (part 2.6.5). */
  readonly #errant = new Map<number, Link>()
  /** Ours in use. */
  readonly #handles = new Set<number>()
  readonly #handleMax: number
  // What the client sends.
  #nextIncomingId: number
  #incomingWindow: number
  #flowDue = false
  readonly #linkFlows = new Set<Link>()
  // A run of accepted deliveries that one disposition tells.
  #acceptedFirst = 0
  #acceptedLast = 0
  #acceptedCount = 0
  #acceptedSettled = true
  /** Accepted by us, to be settled by the client first (rcv-settle-mode second). */
  readonly #halfSettled = new Map<number, IncomingLink>()
  // What we send.
  #nextOutgoingId = 0
  #nextDeliveryId = 0
  #remoteWindow: number
  #queue: Outbound[] = []
  #queueAt = 0
  readonly #unsettled = new Map<number, Unsettled>()
  #stalled = false

  constructor(connection: AmqpConnection, { number, incoming }: Readonly<{ number: number; incoming: number }>, begin: Begin) {
    this.connection = connection
    this.number = number
    this.incoming = incoming
    this.#nextIncomingId = begin.nextOutgoingId
    this.#incomingWindow = connection.shared.settings.incomingWindow
    this.#remoteWindow = begin.incomingWindow
    this.#handleMax = begin.handleMax
  }

  // ---- Links

  /** The lowest that is free; undefined: none is that the client takes (part 2.7.2, handle-max). */
  takeHandle(): number | undefined {
    let free = 0
    while (this.#handles.has(free)) free++
    if (free > this.#handleMax) return undefined
    this.#handles.add(free)
    return free
  }

  add(link: Link): void {
    this.links.set(link.incoming, link)
    if (link.receives && this.#stalled) link.stall(true)
  }

  taken(handle: number): boolean {
    return this.links.has(handle) || this.#detached.has(handle)
  }

  /** True: the client speaks to a link that we detached; it does not know yet. */
  isDetached(handle: number): boolean {
    return this.#detached.has(handle)
  }

  /** An attach of a link that we ended, by a client that does not know it: one that did would say what it has unsettled. */
  isErrant({ name, receives, unsettled }: Attach): boolean {
    if (this.#errant.size === 0 || unsettled !== undefined) return false
    return [...this.#errant.values()].some((link) => link.receives === receives && link.attach.name === name)
  }

  /** We detach; the client answers. */
  detach(link: Link, closed: boolean, error: AmqpError | undefined): void {
    if (this.links.get(link.incoming) !== link) return
    this.forget(link)
    this.#detached.set(link.incoming, link.answered)
    if (link.answered) this.#errant.set(link.incoming, link)
    this.tellDetach(link.handle, closed, error)
    this.connection.released(link, false)
  }

  /** Another link of its name takes over what it has (part 2.6.1): kept for a moment, where it can be. */
  stolen(link: Link, error: AmqpError): void {
    if (this.links.get(link.incoming) !== link) return
    this.forget(link, 'detach')
    // No error of its own: what is on its way to it is dropped.
    this.#detached.set(link.incoming, false)
    this.tellDetach(link.handle, true, error)
    this.connection.released(link, false)
  }

  /** An attach was refused: attached and detached in one breath (part 2.6.3). */
  refused({ handle, own, receives }: Attach, error: AmqpError): void {
    // Receivers send credit along with their attach, which is on its way; a sender has none, and nothing to say.
    this.#detached.set(handle, !receives)
    this.tellDetach(own, true, error)
  }

  tellDetach(own: number, closed: boolean, error?: AmqpError): void {
    this.#handles.delete(own)
    this.connection.write(detach(this.number, own, closed, error))
  }

  /** The client's answer to our detach. */
  detachedByBoth(handle: number): void {
    this.#detached.delete(handle)
    this.#errant.delete(handle)
  }

  /** The link is no more; what it had is given up, unless it outlives what it leaves by. */
  forget(link: Link, leaving?: Leaving): void {
    this.links.delete(link.incoming)
    this.#linkFlows.delete(link)
    const kept = leaving !== undefined && this.connection.keep(link, leaving, this)
    if (link.receives) {
      if (!kept) link.release()
      this.#queue = this.#queue.slice(this.#queueAt).filter((out) => out.link !== link)
      this.#queueAt = 0
      if (!kept) this.forgetUnsettled(link)
      return
    }
    for (const [id, half] of this.#halfSettled) if (half === link) this.#halfSettled.delete(id)
    if (!kept) link.release(false)
  }

  /** A disposition of these is for nobody any more. Those of a link that was only detached still count while the session lives (part 2.6.5). */
  forgetUnsettled(link: Link): void {
    if (link.receives && link.unsettled > 0) for (const [id, unsettled] of this.#unsettled) if (unsettled.link === link) this.#unsettled.delete(id)
  }

  /** Ends it with an error (part 2.5.6). */
  end(error: AmqpError): void {
    if (this.ending) return
    this.close(false)
    this.ending = true
    this.connection.write(end(this.number, error))
  }

  /** All links go. */
  close(gone: boolean): void {
    for (const link of this.links.values()) {
      if (this.connection.keep(link, gone ? 'close' : 'end', this)) link.answered = false
      else if (link.receives) link.release()
      else link.release(gone)
      this.connection.released(link, gone)
    }
    this.links.clear()
    if (!gone) this.connection.beginKept(this)
    this.#queue = []
    this.#queueAt = 0
    this.#unsettled.clear()
    this.#halfSettled.clear()
    this.#linkFlows.clear()
    this.#acceptedCount = 0
    this.#flowDue = false
  }

  // ---- Flow

  /** One transfer frame came. False: it was one too many, and the session is ended. */
  received(): boolean {
    if (this.#incomingWindow === 0) {
      this.end({ condition: 'amqp:session:window-violation', description: 'A transfer came that the incoming-window did not allow.' })
      return false
    }
    this.#nextIncomingId = (this.#nextIncomingId + 1) >>> 0
    this.#incomingWindow--
    if (this.#incomingWindow * 2 < this.connection.shared.settings.incomingWindow) this.flowSoon()
    return true
  }

  onFlow(told: Flow): void {
    // Part 2.5.6: what the client has not yet counted is still on its way to it.
    const underWay = Math.max(0, (this.#nextOutgoingId - (told.nextIncomingId ?? 0)) | 0)
    this.#remoteWindow = Math.max(0, told.incomingWindow - underWay)
    const link = told.handle === undefined ? undefined : this.links.get(told.handle)
    if (told.handle !== undefined && link === undefined) {
      this.notAttached(told.handle)
      return
    }
    if (told.acquires && link !== undefined) {
      this.detach(
        link,
        true,
        fault('unsupported', 'Transactional acquisition (txn-id in a flow) is not offered: acquire as ever, and retire in the transaction.'),
      )
      return
    }
    if (link?.receives === true) link.flow(told)
    // Answered once, and an answer asks for none: two that echo each other would never end.
    if (told.echo) {
      if (link === undefined) this.flowSoon()
      else this.flowLater(link)
    }
    this.pump()
  }

  /**
   * A flow or transfer of no link. Of one that we detached because of an error, whose client does not know yet or does not care, it ends the session (part
   * 2.6.5); of a receiver that we refused at once it is dropped, since clients send credit along with their attach.
   */
  notAttached(handle: number): void {
    const errant = this.#detached.get(handle)
    if (errant === undefined) {
      this.end({ condition: 'amqp:session:unattached-handle', description: `There is no link with the handle ${handle}.` })
    } else if (errant) {
      this.end({ condition: 'amqp:session:errant-link', description: `The link with the handle ${handle} was detached because of an error.` })
    }
  }

  /** The link of this handle; undefined: none, and the client has been told or is about to learn. */
  linkOf(handle: number): Link | undefined {
    const link = this.links.get(handle)
    if (link === undefined) this.notAttached(handle)
    return link
  }

  flowLater(link: Link): void {
    this.#linkFlows.add(link)
    this.connection.flushLater(this)
  }

  flowSoon(): void {
    this.#flowDue = true
    this.connection.flushLater(this)
  }

  // ---- Dispositions of what the client sent

  accept(id: number): void {
    this.#accepted(id, true)
  }

  /** We have it; the client settles first. */
  acceptFirst(id: number, link: IncomingLink): void {
    this.#halfSettled.set(id, link)
    this.#accepted(id, false)
  }

  #accepted(id: number, settled: boolean): void {
    if (this.#acceptedCount > 0 && this.#acceptedSettled === settled && (this.#acceptedLast + 1) >>> 0 === id) {
      this.#acceptedLast = id
      this.#acceptedCount++
      return
    }
    this.#tellAccepted()
    this.#acceptedFirst = id
    this.#acceptedLast = id
    this.#acceptedCount = 1
    this.#acceptedSettled = settled
    this.connection.flushLater(this)
  }

  #tellAccepted(): void {
    if (this.#acceptedCount === 0) return
    this.#acceptedCount = 0
    this.connection.write(disposition(this.number, true, this.#acceptedFirst, this.#acceptedLast, this.#acceptedSettled, ACCEPTED_BYTES))
  }

  /** A delivery of the client's has this state, which is written already. */
  tell(id: number, state: Buffer, settled: boolean, link: IncomingLink): void {
    this.#tellAccepted()
    if (!settled) this.#halfSettled.set(id, link)
    this.connection.write(disposition(this.number, true, id, id, settled, state))
  }

  reject(id: number, error: AmqpError): void {
    this.#tellAccepted()
    const state = outcomeBytes({ kind: 'rejected', reason: '' }, error)
    this.connection.write(disposition(this.number, true, id, id, true, state))
  }

  onDisposition(told: Disposition): void {
    if (told.outcome?.kind === 'transactional' && this.connection.transactions.find(told.outcome.id) === undefined) {
      this.end(UNKNOWN_ID)
      return
    }
    if (told.received) this.#settle(told)
    else if (told.settled) this.#settledByClient(told)
  }

  #settledByClient({ first, last }: Disposition): void {
    const length = (last - first) >>> 0
    const all = this.#halfSettled.entries()
    this.connection.inShares(() => {
      for (let left = SHARE; left > 0; left--) {
        const { done, value } = all.next()
        if (done === true) return false
        if ((value[0] - first) >>> 0 > length) continue
        this.#halfSettled.delete(value[0])
        value[1].settledByBoth(value[0])
      }
      return true
    })
  }

  // ---- What we send

  send(link: OutgoingLink, { ref, attempts, ofSeveral, coreTag, settled, state, parts }: Sending): void {
    const deliveryId = this.#nextDeliveryId
    this.#nextDeliveryId = (deliveryId + 1) >>> 0
    if (coreTag !== 0) this.#unsettled.set(deliveryId, { link, coreTag })
    let total = 0
    for (const part of parts) total += part.length
    this.#queue.push({ link, deliveryId, ref, attempts, ofSeveral, settled, state, parts, total, sent: 0 })
    this.pump()
  }

  /** Sends what the windows allow. */
  pump(): void {
    const { connection } = this
    while (this.#queueAt < this.#queue.length && this.#remoteWindow > 0 && !connection.congestedOut) {
      const out = this.#queue[this.#queueAt]
      if (out.sent === 0) out.link.begun()
      const last = writeTransfer(out, this.number, connection.frameBytesOut, connection)
      this.#remoteWindow--
      this.#nextOutgoingId = (this.#nextOutgoingId + 1) >>> 0
      if (!last) continue
      this.#queueAt++
      out.link.sent()
    }
    if (this.#queueAt === this.#queue.length && this.#queueAt > 0) {
      this.#queue = []
      this.#queueAt = 0
    }
    this.stall()
  }

  /** While nothing may be sent, nothing is taken from queues. */
  stall(): void {
    const stalled = this.#remoteWindow === 0 || this.connection.congestedOut
    if (stalled === this.#stalled) return
    this.#stalled = stalled
    for (const link of this.links.values()) if (link.receives) link.stall(stalled)
  }

  /** The client's word on what we sent. */
  #settle(told: Disposition): void {
    const { first, last } = told
    // What was never sent cannot be settled; what was settled before may be said again. A range is as long as what is unsettled, never longer.
    if (((this.#nextDeliveryId - 1 - last) | 0) < 0 || ((last - first) | 0) < 0) {
      this.end(
        fault('invalid', `A disposition speaks of deliveries ${first} to ${last}, and the last one sent is ${(this.#nextDeliveryId - 1) >>> 0}.`),
      )
      return
    }
    const within = told.outcome?.kind === 'transactional' ? told.outcome : undefined
    if (!told.settled && within?.outcome === undefined && (told.outcome === undefined || !isTerminal(told.outcome))) return
    const settling = new Settling(this.#unsettled, told, this.#settleRun)
    if (inShares(told.outcome)) this.connection.inShares(() => this.#share(settling, told))
    else settling.share(Number.POSITIVE_INFINITY)
  }

  /** True: there is more. */
  #share(settling: Settling, told: Disposition): boolean {
    return !this.ending && !this.#isLost(told) && settling.share(SHARE)
  }

  /** Of a transaction that is lost, what is not settled is as it was: nobody makes us look through a range again and again. */
  #isLost({ settled, outcome }: Disposition): boolean {
    if (settled || outcome?.kind !== 'transactional') return false
    const open = this.connection.transactions.find(outcome.id)
    return open === undefined || open.transaction.doomed !== undefined
  }

  readonly #settleRun = (run: Run, { settled, outcome }: Disposition): void => {
    if (outcome?.kind === 'transactional') {
      const open = this.connection.transactions.find(outcome.id)
      if (open !== undefined) run.link.settleWithin(open, run.firstTag, run.lastTag, outcome.outcome, settled)
      return
    }
    const ticket = run.link.settle(run.firstTag, run.lastTag, outcome, !settled)
    // Settled first by the client: nobody waits for it. Else we settle once it is durable (part 2.6.12).
    if (settled || outcome === undefined || !isTerminal(outcome)) return
    this.#answerSettled(run, ticket, outcome)
  }

  #answerSettled({ link, firstId, lastId }: Run, ticket: Ticket, outcome: Outcome): void {
    if (!isTerminal(outcome)) return
    const bytes = disposition(this.number, false, firstId, lastId, true, outcomeBytes(outcome))
    link.after(ticket, () => {
      if (!this.ending) this.connection.write(bytes)
    })
  }

  // ---- The end of a turn

  flush(): void {
    if (this.ending) return
    this.#tellAccepted()
    for (const link of this.#linkFlows) this.#writeFlow(link)
    if (this.#linkFlows.size === 0 && this.#flowDue) this.#writeFlow(undefined)
    this.#linkFlows.clear()
    this.#flowDue = false
  }

  #writeFlow(link: Link | undefined): void {
    this.#incomingWindow = this.connection.shared.settings.incomingWindow
    this.connection.write(
      flow(this.number, {
        nextIncomingId: this.#nextIncomingId,
        incomingWindow: this.#incomingWindow,
        nextOutgoingId: this.#nextOutgoingId,
        outgoingWindow: 0x7f_ff_ff_ff,
        link: link?.flowState,
      }),
    )
  }
}

function outcomeBytes(outcome: Parameters<typeof outcomeTerm>[0], error?: AmqpError): Buffer {
  if (outcome.kind === 'accepted') return ACCEPTED_BYTES
  return new TermWriter(64).term(outcomeTerm(outcome, error)).bytes()
}

const ACCEPTED_BYTES = new TermWriter(8).term(outcomeTerm(ACCEPTED)).bytes()
