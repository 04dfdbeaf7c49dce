// One session of AMQP (part 2.5; called a channel here, since a session is the core's): its links, its windows, and where what is said in it goes.
// Not here: handles (handles.ts), what we say of what came (answers.ts), what waits to be sent (outbox.ts).
import { Answers } from './answers.ts'
import type { AmqpConnection } from './connection.ts'
import { type AmqpError, fault } from './errors.ts'
import type { Leaving } from './expiry.ts'
import { detach, end, flow } from './frames.ts'
import { Handles } from './handles.ts'
import type { IncomingLink } from './incoming-link.ts'
import { Outbox } from './outbox.ts'
import type { OutgoingLink } from './outgoing-link.ts'
import type { Attach, Begin, Disposition, Flow } from './performatives.ts'
import { UNKNOWN_ID } from './transactions.ts'

export type Link = IncomingLink | OutgoingLink

export class Channel {
  readonly connection: AmqpConnection
  /** Ours, on which we send. */
  readonly number: number
  /** The client's. */
  readonly incoming: number
  readonly links = new Map<number, Link>()
  readonly handles: Handles
  readonly answers: Answers
  readonly outbox: Outbox
  /** Ended by us: what the client still says there is dropped until it has read that. */
  ending = false
  #nextIncomingId: number
  #incomingWindow: number
  #flowDue = false
  readonly #linkFlows = new Set<Link>()
  #stalled = false

  constructor(connection: AmqpConnection, { number, incoming }: Readonly<{ number: number; incoming: number }>, begin: Begin) {
    this.connection = connection
    this.number = number
    this.incoming = incoming
    this.#nextIncomingId = begin.nextOutgoingId
    this.#incomingWindow = connection.shared.settings.incomingWindow
    this.handles = new Handles(begin.handleMax)
    this.answers = new Answers(this)
    this.outbox = new Outbox(this, begin.incomingWindow)
  }

  // ---- Links

  add(link: Link): void {
    this.links.set(link.incoming, link)
    if (link.receives && this.#stalled) link.credit.stall(true)
  }

  /** A handle of the client's. */
  taken(handle: number): boolean {
    return this.links.has(handle) || this.handles.isDetached(handle)
  }

  /** We detach; the client answers. */
  detach(link: Link, closed: boolean, error: AmqpError | undefined): void {
    if (this.links.get(link.incoming) !== link) return
    this.forget(link)
    this.handles.detached(link)
    this.tellDetach(link.handle, closed, error)
    this.connection.names.released(link, false)
  }

  /** Another link of its name takes over what it has (part 2.6.1): kept for a moment, where it can be. */
  stolen(link: Link, error: AmqpError): void {
    if (this.links.get(link.incoming) !== link) return
    this.forget(link, 'detach')
    // No error of its own: what is on its way to it is dropped.
    this.handles.refused(link.incoming, false)
    this.tellDetach(link.handle, true, error)
    this.connection.names.released(link, false)
  }

  /** An attach was refused: attached and detached in one breath (part 2.6.3). */
  refused({ handle, own, receives }: Attach, error: AmqpError): void {
    // Receivers send credit along with their attach, which is on its way; a sender has none, and nothing to say.
    this.handles.refused(handle, !receives)
    this.tellDetach(own, true, error)
  }

  tellDetach(own: number, closed: boolean, error?: AmqpError): void {
    this.handles.free(own)
    this.connection.write(detach(this.number, own, closed, error))
  }

  /** The link is no more; what it had is given up, unless it outlives what it leaves by. */
  forget(link: Link, leaving?: Leaving): void {
    this.links.delete(link.incoming)
    this.#linkFlows.delete(link)
    const kept = leaving !== undefined && this.connection.names.keep(link, leaving, this)
    if (link.receives) {
      if (!kept) link.release()
      this.outbox.drop(link)
      // Those of a link that was only detached still count while the session lives (part 2.6.5).
      if (!kept) this.outbox.unsettled.forget(link)
      return
    }
    this.answers.forget(link)
    if (!kept) link.release(false)
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
    const { names } = this.connection
    for (const link of this.links.values()) {
      if (names.keep(link, gone ? 'close' : 'end', this)) link.answered = false
      else if (link.receives) link.release()
      else link.release(gone)
      names.released(link, gone)
    }
    this.links.clear()
    if (!gone) names.beginKept(this)
    this.outbox.clear()
    this.answers.clear()
    this.#linkFlows.clear()
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
    this.outbox.heard(told)
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
    if (link?.receives === true) link.credit.flow(told)
    // Answered once, and an answer asks for none: two that echo each other would never end.
    if (told.echo) {
      if (link === undefined) this.flowSoon()
      else this.flowLater(link)
    }
    this.outbox.pump()
  }

  /**
   * A flow or transfer of no link. Of one that we detached because of an error, whose client does not know yet or does not care, it ends the session (part
   * 2.6.5); of a receiver that we refused at once it is dropped, since clients send credit along with their attach.
   */
  notAttached(handle: number): void {
    const errant = this.handles.errantOf(handle)
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
    this.connection.turns.flushLater(this)
  }

  flowSoon(): void {
    this.#flowDue = true
    this.connection.turns.flushLater(this)
  }

  onDisposition(told: Disposition): void {
    if (told.outcome?.kind === 'transactional' && this.connection.transactions.find(told.outcome.id) === undefined) {
      this.end(UNKNOWN_ID)
      return
    }
    if (told.received) this.outbox.unsettled.settle(told)
    else if (told.settled) this.answers.settledByClient(told)
  }

  /** While nothing may be sent, nothing is taken from queues. */
  stall(): void {
    const stalled = this.outbox.closed
    if (stalled === this.#stalled) return
    this.#stalled = stalled
    for (const link of this.links.values()) if (link.receives) link.credit.stall(stalled)
  }

  // ---- The end of a turn

  flush(): void {
    if (this.ending) return
    this.answers.flush()
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
        nextOutgoingId: this.outbox.nextOutgoingId,
        outgoingWindow: 0x7f_ff_ff_ff,
        link: link?.flowState,
      }),
    )
  }
}
