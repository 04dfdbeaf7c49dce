// A link on which the client sends (part 2.6): gathers transfers into messages, publishes them, answers with dispositions, gives credit.
//
// Each has a session of the core of its own, so that a sender whose destination is full holds up nobody but himself: his publishes park,
// and no credit comes until they have found room. Credit and undecided messages together never exceed `creditWindow`.
//
// A link whose target outlives it (expiry.ts) remembers by tag what became of its messages. When its client goes, it stays, without a channel, and the
// link of the same name that comes after it inherits all of that.
import type { Address, BrokerError, PublishOptions, Replies, Session, Ticket } from '../../src/api.ts'
import { isTemporary } from '../shared/naming.ts'
import { kindOfAnnotation, parseTarget } from './address.ts'
import type { Channel } from './channel.ts'
import type { Frame } from './codec.ts'
import type { Coordinator, Decision, Undone } from './coordinator.ts'
import { type AmqpError, brokerError, DecodeFault, errorOf, fault, quote } from './errors.ts'
import { type Expiry, outlives } from './expiry.ts'
import { type Incoming, readMessage } from './incoming-message.ts'
import type { KeptLink } from './kept-links.ts'
import { ACCEPTED, outcomeTerm } from './outcome.ts'
import type { OwnSession } from './own-session.ts'
import { type Fate, NOBODY, Remembered, tagsOf } from './remembered.ts'
import { TermWriter } from './writer.ts'
import type { Term } from './term.ts'
import { namesOf } from './terminus.ts'
import { Owed } from '../shared/owed.ts'
import type { Attach, Transfer } from './performatives.ts'
import type { TermReader } from './reader.ts'
import { strangeAnnotation } from './sections.ts'
import { SHARE } from './settling.ts'
import { type OpenTransaction, rolledBack, UNKNOWN_ID } from './transactions.ts'

/** `target` undefined: an anonymous sender's, each message says where it goes. `coordinator`: messages are commands to it. `signature`: see `KeptLink`. */
export type IncomingOptions = Readonly<{
  attach: Attach
  target: Address | undefined
  coordinator: Coordinator | undefined
  expiry: Expiry
  signature: string
}>

type Partial = {
  readonly id: number
  settled: boolean
  /** Of a link that remembers. */
  readonly tag: string
  readonly resume: boolean
  /** The client settles after us. */
  readonly second: boolean
  readonly pieces: Buffer[]
  bytes: number
  readonly format: number
  /** The transaction that it is a part of, by its id. */
  within: string | undefined
  /** The same, while more is to come. */
  open: OpenTransaction | undefined
}

/** Whom to answer, once it is done: a delivery, as accepted; one that belongs to a transaction (or ends it), in a state that says more; or one that is remembered. */
type Due = number | Stated | Fate
/** `settled`: by us, whatever the link has. `channel`: in which it has its id. */
type Stated = Readonly<{ id: number; state: Buffer; open: OpenTransaction | undefined; settled: boolean; channel: Channel }>

export class IncomingLink implements Replies, KeptLink {
  readonly expiry: Expiry
  readonly signature: string
  readonly attach: Attach
  /** The client's handle, and ours. */
  readonly incoming: number
  readonly handle: number
  readonly receives = false
  /** The temporary node that goes with it. */
  node: Address | undefined
  /** Its attach was answered. */
  answered = false
  /** A detach that came before that. */
  leaving: Readonly<{ closed: boolean }> | undefined
  readonly #channel: Channel
  readonly #target: Address | undefined
  readonly #coordinator: Coordinator | undefined
  #own: OwnSession | undefined
  /** Among those that may be kept. */
  #hasPlace = false
  #over = false
  /** It is over, and waits for its client. */
  #kept = false
  /** What became of what came, where that outlives the link. */
  #remembered: Remembered | undefined
  /** What we said is unsettled is not all: nothing new may come. */
  #resumesOnly = false
  /** Remembered ones that their client has yet to settle, by id. */
  readonly #half = new Map<number, Fate>()
  /** It is over, and transactions of it are still being rolled back. */
  #undoing = false
  #deliveryCount: number
  #credit = 0
  /** Messages whose fate is open, the one that is coming in included. */
  #undecided = 0
  #partial: Partial | undefined
  #owed = new Owed<Due>()
  #parked = new Owed<Due>()
  #doneUpTo: Ticket = 0
  #pressed = false
  #afterTicket: Readonly<{ ticket: Ticket; run: () => void }> | undefined
  /** Addresses of an anonymous sender's messages, and queues made. */
  readonly #addresses = new Map<string, Address>()

  constructor(channel: Channel, { attach, target, coordinator, expiry, signature }: IncomingOptions) {
    this.expiry = expiry
    this.signature = signature
    if (outlives(expiry)) this.#remembered = new Remembered(channel.connection.creditWindow)
    this.#channel = channel
    this.attach = attach
    this.incoming = attach.handle
    this.handle = attach.own
    this.#target = target
    this.#coordinator = coordinator
    this.#deliveryCount = attach.initialDeliveryCount ?? 0
  }

  get session(): Session {
    if (this.#own === undefined) throw new Error('a link is used before it is open')
    return this.#own.session
  }

  open(own: OwnSession): void {
    this.#own = own
    this.#hasPlace = outlives(this.expiry)
  }

  /** Something may be inherited of it. */
  get alive(): boolean {
    return this.#own !== undefined
  }

  /** Goes on where the last link of this name was left. Answers what is said of the deliveries that its client names. */
  inherit(link: IncomingLink): readonly (readonly [Term, Term])[] {
    this.#own = link.#own
    this.#hasPlace = link.#hasPlace
    link.#hasPlace = false
    this.#owed = link.#owed
    this.#parked = link.#parked
    this.#doneUpTo = link.#doneUpTo
    this.#remembered = link.#remembered
    this.#undecided = this.#owed.count + this.#parked.count
    if (this.#own !== undefined) this.#own.to = this
    const { unsettled, incomplete } = this.attach
    return this.#remembered?.compare(tagsOf(unsettled), incomplete) ?? []
  }

  /** Not all that is unsettled had room in our attach (part 2.7.3, incomplete-unsettled). */
  resumeOnly(): void {
    this.#resumesOnly = true
  }

  /** `run` when this is committed. */
  after(ticket: Ticket, run: () => void): void {
    if (ticket <= this.#doneUpTo) run()
    else this.#afterTicket = { ticket, run }
  }

  get flowState(): Readonly<{ handle: number; deliveryCount: number; credit: number; drain: boolean }> {
    return { handle: this.handle, deliveryCount: this.#deliveryCount, credit: this.#credit, drain: false }
  }

  // ---- What the client sends

  transfer(transfer: Transfer, frame: Frame): void {
    const { settings } = this.#channel.connection.shared
    const continued = this.#partial !== undefined
    const partial = this.#partial ?? this.#begin(transfer, frame)
    if (partial === undefined) return
    if (continued && transfer.deliveryId !== undefined && transfer.deliveryId !== partial.id) {
      this.#fail(fault('invalid', 'A message began before the last frame of the one before it.'))
      return
    }
    if (transfer.aborted) {
      // Implicitly settled (part 2.7.5).
      if (partial.resume) this.#remembered?.forget(partial.tag)
      this.#drop()
      this.#decided()
      return
    }
    const payloadBytes = frame.end - transfer.payload
    partial.settled ||= transfer.settled === true
    if (transfer.outcome?.kind === 'transactional') partial.within = transfer.outcome.id
    partial.bytes += payloadBytes
    if (partial.bytes > settings.messageBytesMax) {
      this.#fail(fault('too-large', `A message exceeds max-message-size (messageBytesMax ${settings.messageBytesMax}).`))
      return
    }
    if (transfer.more) {
      if (partial.within !== undefined && partial.open === undefined) {
        partial.open = this.#channel.connection.transactions.find(partial.within)
        if (partial.open !== undefined) partial.open.partials++
      }
      if (payloadBytes > 0) partial.pieces.push(frame.bytes.subarray(transfer.payload, frame.end))
      this.#partial = partial
      if (!this.#channel.connection.keepPartial(payloadBytes)) {
        this.#fail(fault('limit', `Unfinished messages of this connection exceed partialBytesMax (${settings.partialBytesMax}).`))
      }
      return
    }
    this.#drop()
    if (partial.pieces.length === 0) {
      this.#complete(partial, frame.bytes, transfer.payload, frame.end)
      return
    }
    const whole = Buffer.concat([...partial.pieces, frame.bytes.subarray(transfer.payload, frame.end)])
    this.#complete(partial, whole, 0, whole.length)
  }

  #begin(transfer: Transfer, { bytes }: Frame): Partial | undefined {
    if (transfer.deliveryId === undefined || transfer.tagBytes === undefined) {
      this.#fail(fault('invalid', 'The first frame of a message has no delivery-id or no delivery-tag.'))
      return undefined
    }
    if (transfer.tagBytes > 32) {
      this.#fail(fault('invalid', 'A delivery-tag is longer than 32 bytes.'))
      return undefined
    }
    if (this.#credit === 0) {
      this.#fail({ condition: 'amqp:link:transfer-limit-exceeded', description: 'A message came without credit.' })
      return undefined
    }
    if (this.#resumesOnly && !transfer.resume) {
      this.#fail({
        condition: 'amqp:not-allowed',
        description: 'What was said to be unsettled was incomplete: only resumed deliveries may come (part 2.7.3).',
      })
      return undefined
    }
    const linkSecond = this.attach.receiverSettles === 1
    if (transfer.receiverSettles === 1 && !linkSecond) {
      this.#fail(fault('invalid', 'A transfer asks for rcv-settle-mode second on a link of first (part 2.7.5).'))
      return undefined
    }
    this.#credit--
    this.#deliveryCount = (this.#deliveryCount + 1) >>> 0
    this.#undecided++
    const { tagBytes, tagEnd, resume } = transfer
    const tag = this.#remembered === undefined ? '' : bytes.toString('latin1', tagEnd - tagBytes, tagEnd)
    const second = linkSecond && transfer.receiverSettles !== 0
    return {
      id: transfer.deliveryId,
      settled: false,
      tag,
      resume,
      second,
      pieces: [],
      bytes: 0,
      format: transfer.format ?? 0,
      within: undefined,
      open: undefined,
    }
  }

  /** The unfinished message is no more. */
  #drop(): void {
    if (this.#partial === undefined) return
    if (this.#partial.open !== undefined) this.#partial.open.partials--
    this.#channel.connection.keepPartial(-this.#partial.pieces.reduce((sum, piece) => sum + piece.length, 0))
    this.#partial = undefined
  }

  #complete(partial: Partial, bytes: Buffer, start: number, end: number): void {
    const { connection } = this.#channel
    const { broker, settings } = connection.shared
    const id = partial.settled ? NOBODY : partial.id
    if (this.#resumed(id, partial)) return
    const open = partial.within === undefined ? undefined : connection.transactions.find(partial.within)
    if (partial.within !== undefined && open === undefined) {
      this.#refuse(id, UNKNOWN_ID)
      return
    }
    const due: Due = open === undefined ? this.#dueOf(id, partial) : { id, state: open.accepted, open, settled: false, channel: this.#channel }
    if (partial.format !== 0) {
      this.#refuse(due, fault('unsupported', `Message format ${partial.format} is not offered, only 0.`))
      return
    }
    const reader = connection.reader.over(bytes, start, end)
    if (this.#coordinator !== undefined) {
      this.#command(this.#coordinator, id, reader)
      return
    }
    let incoming: Incoming
    try {
      const strange = settings.unknownAnnotations === 'keep' ? undefined : strangeAnnotation(reader, settings.sectionsMax)
      if (strange !== undefined) {
        open?.transaction.doom(brokerError('unsupported', 'an annotation of a message of it is not understood'))
        this.#fail(fault('unsupported', `The annotation ${quote(strange)} is not understood, and does not begin with x-opt (part 3.2.10).`))
        return
      }
      reader.over(bytes, start, end)
      incoming = readMessage(reader, settings.sectionsMax, broker.clock.wallMs())
    } catch (error) {
      if (!(error instanceof DecodeFault)) throw error
      this.#refuse(due, { condition: error.condition, description: error.message })
      return
    }
    const to = this.#target ?? this.#addressOf(incoming)
    if ('condition' in to) this.#refuse(due, to)
    else this.#publish(due, to, incoming, true)
  }

  #dueOf(id: number, { tag, second }: Partial): Due {
    if (id === NOBODY || this.#coordinator !== undefined) return id
    if (this.#remembered !== undefined) return this.#remembered.begin(id, tag, ACCEPTED_BYTES)
    return second === (this.attach.receiverSettles === 1) ? id : { id, state: ACCEPTED_BYTES, open: undefined, settled: true, channel: this.#channel }
  }

  /**
   * What came on an earlier link of this name is not published again: it is answered, if it is remembered, and else not heard (part 2.7.5, resume).
   * So is what its client said it has unsettled, was told of, and sends again without saying so. False: it is a new one, though its tag may be an old one's.
   */
  #resumed(id: number, { tag, resume, second }: Partial): boolean {
    const fate = this.#remembered?.get(tag)
    if (!resume && (fate === undefined || fate.id !== NOBODY || !fate.named)) return false
    if (fate === undefined || id === NOBODY) {
      this.#remembered?.forget(tag)
      this.#decided()
    } else if (fate.decided === undefined) {
      // It is counted already.
      this.#undecided--
      fate.id = id
    } else {
      fate.id = id
      this.#tellFate(fate, fate.decided, second)
    }
    return true
  }

  #tellFate(fate: Fate, state: Term, second: boolean): void {
    this.#channel.tell(fate.id, new TermWriter(64).term(state).bytes(), !second, this)
    if (second) this.#half.set(fate.id, fate)
    else this.#decided()
  }

  #command(coordinator: Coordinator, id: number, reader: TermReader): void {
    if (id === NOBODY) {
      this.#fail(fault('invalid', 'A message to the coordinator is settled: its answer could not be told.'))
      return
    }
    const decision = coordinator.command(reader, this.session)
    if ('terminates' in decision) this.#fail(decision.terminates)
    else if ('finish' in decision) {
      const { open, finish } = decision
      this.#channel.connection.inShares(
        () => open.transaction.giveBack(SHARE),
        () => this.#decide(id, finish()),
      )
    } else this.#decide(id, decision)
  }

  #decide(id: number, decision: Decision | AmqpError | Undone): void {
    if ('undone' in decision) {
      const { undone, told } = decision
      this.#channel.connection.inShares(
        () => undone.abort(SHARE),
        () => this.#decide(id, told),
      )
      return
    }
    if ('condition' in decision) {
      this.#refuse(id, decision)
      return
    }
    const due: Due = { id, state: decision.state, open: decision.open, settled: false, channel: this.#channel }
    if (decision.ticket < 0) this.#parked.push(0, due)
    else this.#owe(decision.ticket, due)
  }

  #publish(due: Due, to: Address, incoming: Incoming, again: boolean): void {
    const options = (typeof due === 'number' ? undefined : due.open?.options) ?? OUTSIDE
    const ticket =
      incoming.plan === undefined
        ? this.session.publish(to, incoming.message, options[to.kind === 'queue' ? 'no' : incoming.retain])
        : this.session.repeat(to, incoming.message, incoming.plan, options.no.transaction)
    if (ticket > 0) this.#owe(ticket, due)
    else if (ticket < 0) this.#parked.push(0, due)
    else if (again && this.session.refusal?.code === 'not-found' && this.#declare(to)) {
      // It was made by us and removed by somebody since.
      this.#publish(due, to, incoming, false)
    } else this.#refuse(due, errorOf(this.session.refusal))
  }

  #declare(to: Address): boolean {
    const queues = queuesOf(to)
    return queues.length > 0 && queues.every((queue) => this.session.declare(queue, PERMANENT) !== 0)
  }

  #addressOf({ to, toKind }: Incoming): Address | AmqpError {
    if (to === undefined || to === '') return fault('invalid', 'A message of an anonymous sender has no property to.')
    const key = `${toKind ?? ''} ${to}`
    const known = this.#addresses.get(key)
    if (known !== undefined) return known
    const { broker, settings } = this.#channel.connection.shared
    const address = parseTarget(broker, to, kindOfAnnotation(toKind))
    if ('condition' in address) return address
    for (const queue of queuesOf(address)) if (this.session.declare(queue, PERMANENT) === 0) return errorOf(this.session.refusal)
    if (this.#addresses.size >= settings.addressesKept) this.#addresses.clear()
    this.#addresses.set(key, address)
    return address
  }

  // ---- What the core answers

  done(upTo: Ticket): void {
    this.#doneUpTo = upTo
    if (this.#afterTicket !== undefined && this.#afterTicket.ticket <= upTo) {
      const { run } = this.#afterTicket
      this.#afterTicket = undefined
      run()
    }
    for (let due = this.#owed.take(upTo); due !== undefined; due = this.#owed.take(upTo)) this.#accept(due)
    this.#channel.connection.flush()
  }

  admitted(ticket: Ticket): void {
    const due = this.#parked.take(0)
    if (due !== undefined) this.#owe(ticket, due)
    this.#closeIfDone()
  }

  refused(error: BrokerError): void {
    const due = this.#parked.take(0)
    if (due !== undefined && this.#coordinator !== undefined) this.#notCommitted(due, error)
    else if (due !== undefined) this.#refuse(due, errorOf(error))
    this.#closeIfDone()
    this.#channel.connection.flush()
  }

  pressure(high: boolean): void {
    if (this.#pressed === high || this.#over) return
    this.#pressed = high
    this.#channel.connection.pressed(high)
  }

  ended(error: BrokerError): void {
    if (this.#over) this.drop()
    else this.#channel.connection.ended(error)
  }

  #owe(ticket: Ticket, due: Due): void {
    if (ticket <= this.#doneUpTo) this.#accept(due)
    else this.#owed.push(ticket, due)
  }

  #accept(due: Due): void {
    if (typeof due !== 'number' && 'tag' in due) {
      this.#decideFate(due, outcomeTerm(ACCEPTED))
      return
    }
    if (this.#over) return
    const second = this.attach.receiverSettles === 1 && !(typeof due !== 'number' && due.settled)
    const id = this.#idOf(due)
    if (id === NOBODY) this.#decided()
    else if (typeof due !== 'number') {
      this.#channel.tell(id, due.state, !second, this)
      if (!second) this.#decided()
    } else if (second) this.#channel.acceptFirst(id, this)
    else {
      this.#channel.accept(id)
      this.#decided()
    }
  }

  /** Under which its client knows it here. What came in another session has its id there: here that is another delivery, or none. */
  #idOf(due: number | Stated): number {
    if (typeof due === 'number') return due
    return due.channel === this.#channel ? due.id : NOBODY
  }

  #decideFate(fate: Fate, state: Term): void {
    this.#remembered?.decide(fate, state)
    if (this.#over) return
    if (fate.id === NOBODY) this.#decided()
    else this.#tellFate(fate, state, this.attach.receiverSettles === 1)
  }

  /**
   * Only a link that nobody hears can refuse what is settled: it says so by its end (part 2.6.12). In a transaction it says so by the answer to the
   * discharge, since nothing of it can happen any more.
   */
  #refuse(due: Due, error: AmqpError): void {
    if (typeof due !== 'number' && 'tag' in due) {
      this.#decideFate(due, outcomeTerm({ kind: 'rejected', reason: '' }, error))
      return
    }
    const open = typeof due === 'number' ? undefined : due.open
    open?.transaction.doom(brokerError('invalid', error.description))
    if (this.#over) return
    const id = this.#idOf(due)
    if (id !== NOBODY) {
      if (open === undefined && this.#coordinator !== undefined && !knowsRejected(this.attach.source?.outcomes)) {
        this.#fail(error)
        return
      }
      if (open === undefined) this.#channel.reject(id, error)
      else this.#channel.tell(id, open.state({ kind: 'rejected', reason: '' }, error), true, this)
      this.#decided()
    } else if (open === undefined) this.#fail(error)
    else this.#decided()
  }

  /** A commit that waited for sends of its transaction. */
  #notCommitted(due: Due, error: BrokerError): void {
    if (typeof due === 'number') return
    const { open, id } = due
    this.#channel.connection.inShares(
      () => open?.abort(SHARE) === true,
      () => {
        if (this.#over) return
        this.#refuse(id, rolledBack(error))
        this.#channel.connection.flush()
      },
    )
  }

  /** The client has settled too (rcv-settle-mode second). */
  settledByBoth(id: number): void {
    const fate = this.#half.get(id)
    if (fate !== undefined) {
      this.#half.delete(id)
      this.#remembered?.forget(fate.tag)
    }
    this.#decided()
  }

  #decided(): void {
    this.#undecided--
    this.topUp()
  }

  /** Gives credit, unless what there is waits for room. */
  topUp(): void {
    if (this.#over || !this.answered || this.#parked.count > 0) return
    const window = this.#channel.connection.creditWindow
    const credit = window - this.#undecided
    if (credit - this.#credit < Math.max(1, window / 2)) return
    this.#credit = credit
    this.#channel.flowLater(this)
  }

  #fail(error: AmqpError): void {
    this.#channel.detach(this, true, error)
  }

  // ---- Its end

  /** Its client is away, and may come back: what is under way goes on. */
  suspend(): void {
    const { connection } = this.#channel
    this.#kept = true
    this.#over = true
    this.#drop()
    if (this.#pressed) connection.pressed(false)
    this.#pressed = false
    this.#half.clear()
  }

  /** It did not come back. */
  drop(): void {
    this.#remembered = undefined
    this.#close()
  }

  /** Detached. What is parked still finds its place, unless the connection is gone. */
  release(gone: boolean): void {
    const { connection } = this.#channel
    this.#over = true
    this.#undoing = false
    this.#drop()
    if (this.#pressed) connection.pressed(false)
    this.#pressed = false
    if (gone) this.#close()
    else {
      connection.lingering.add(this)
      this.#undo()
      this.#closeIfDone()
    }
  }

  /** The transactions that its client declared here, and did not discharge, are rolled back. */
  #undo(): void {
    const coordinator = this.#coordinator
    if (coordinator === undefined) return
    this.#undoing = true
    this.#channel.connection.inShares(
      () => coordinator.giveBack(SHARE),
      () => {
        const released = coordinator.release()
        this.#channel.connection.inShares(
          () => released.some((open) => open.abort(SHARE)),
          () => {
            this.#undoing = false
            this.#closeIfDone()
          },
        )
      },
    )
  }

  #closeIfDone(): void {
    if (this.#kept) return
    if (this.#over && this.#parked.count === 0 && !this.#undoing) this.#close()
    else if (this.#parked.count === 0) this.topUp()
  }

  #close(): void {
    const own = this.#own
    this.#own = undefined
    if (this.#hasPlace) this.#channel.connection.shared.kept.leave()
    this.#hasPlace = false
    for (const open of this.#coordinator?.release() ?? []) open.abort(Number.POSITIVE_INFINITY)
    this.#channel.connection.lingering.delete(this)
    own?.session.close('clean')
  }
}

/** Whether a link can be told so what its coordinator could not do; else it is told by its end (part 4.2, 4.3). A source that names no outcomes takes all. */
function knowsRejected(outcomes: Term | undefined): boolean {
  return outcomes === undefined || namesOf(outcomes).includes('amqp:rejected:list')
}

/** Queues that are made by sending to this address. */
export function queuesOf(address: Address): readonly Address[] {
  return (address.parts ?? [address]).filter((part) => part.kind === 'queue' && !isTemporary(part))
}

const ACCEPTED_BYTES = new TermWriter(8).term(outcomeTerm(ACCEPTED)).bytes()
const PERMANENT = { durable: true, lifetime: 'permanent' } as const
const OUTSIDE: Readonly<Record<Incoming['retain'], PublishOptions>> = {
  no: { retain: 'no', note: 0, transaction: undefined },
  set: { retain: 'set', note: 0, transaction: undefined },
  clear: { retain: 'clear', note: 0, transaction: undefined },
}
