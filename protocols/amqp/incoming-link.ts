// A link on which the client sends (part 2.6): gathers transfers into messages, publishes them, answers with dispositions, gives credit.
//
// Each has a session of the core of its own, so that a sender whose destination is full holds up nobody but himself: his publishes park,
// and no credit comes until they have found room. Credit and undecided messages together never exceed `creditWindow`.
import type { Address, BrokerError, PublishOptions, Replies, Session, Ticket } from '../../src/api.ts'
import { isTemporary } from '../shared/naming.ts'
import { kindOfAnnotation, parseTarget } from './address.ts'
import type { Channel } from './channel.ts'
import type { Frame } from './codec.ts'
import type { Coordinator, Decision } from './coordinator.ts'
import { type AmqpError, brokerError, DecodeFault, errorOf, fault } from './errors.ts'
import { type Incoming, readMessage } from './incoming-message.ts'
import { Owed } from '../shared/owed.ts'
import type { Attach, Transfer } from './performatives.ts'
import type { TermReader } from './reader.ts'
import { SHARE } from './settling.ts'
import { type OpenTransaction, rolledBack, UNKNOWN_ID } from './transactions.ts'

/** `target` undefined: an anonymous sender's, each message says where it goes. `coordinator`: messages are commands to it. */
export type IncomingOptions = Readonly<{ attach: Attach; target: Address | undefined; coordinator: Coordinator | undefined }>

type Partial = {
  readonly id: number
  settled: boolean
  readonly pieces: Buffer[]
  bytes: number
  readonly format: number
  /** The transaction that it is a part of, by its id. */
  within: string | undefined
}

/** Stands for a delivery that its sender has settled: nobody is told. */
const NOBODY = -1

/** Whom to answer, once it is done: a delivery, as accepted; or one that belongs to a transaction (or ends it), in a state that says more. */
type Due = number | Readonly<{ id: number; state: Buffer; open: OpenTransaction | undefined }>

export class IncomingLink implements Replies {
  readonly attach: Attach
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
  #session: Session | undefined
  #over = false
  /** It is over, and transactions of it are still being rolled back. */
  #undoing = false
  #deliveryCount: number
  #credit = 0
  /** Messages whose fate is open, the one that is coming in included. */
  #undecided = 0
  #partial: Partial | undefined
  readonly #owed = new Owed<Due>()
  readonly #parked = new Owed<Due>()
  #doneUpTo: Ticket = 0
  #pressed = false
  #afterTicket: Readonly<{ ticket: Ticket; run: () => void }> | undefined
  /** Addresses of an anonymous sender's messages, and queues made. */
  readonly #addresses = new Map<string, Address>()

  constructor(channel: Channel, { attach, target, coordinator }: IncomingOptions) {
    this.#channel = channel
    this.attach = attach
    this.handle = attach.handle
    this.#target = target
    this.#coordinator = coordinator
    this.#deliveryCount = attach.initialDeliveryCount ?? 0
  }

  get session(): Session {
    if (this.#session === undefined) throw new Error('a link is used before it is open')
    return this.#session
  }

  open(session: Session): void {
    this.#session = session
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
    const partial = this.#partial ?? this.#begin(transfer)
    if (partial === undefined) return
    if (continued && transfer.deliveryId !== undefined && transfer.deliveryId !== partial.id) {
      this.#fail(fault('invalid', 'A message began before the last frame of the one before it.'))
      return
    }
    if (transfer.aborted) {
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

  #begin(transfer: Transfer): Partial | undefined {
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
    this.#credit--
    this.#deliveryCount = (this.#deliveryCount + 1) >>> 0
    this.#undecided++
    return { id: transfer.deliveryId, settled: false, pieces: [], bytes: 0, format: transfer.format ?? 0, within: undefined }
  }

  /** The unfinished message is no more. */
  #drop(): void {
    if (this.#partial === undefined) return
    this.#channel.connection.keepPartial(-this.#partial.pieces.reduce((sum, piece) => sum + piece.length, 0))
    this.#partial = undefined
  }

  #complete(partial: Partial, bytes: Buffer, start: number, end: number): void {
    const { connection } = this.#channel
    const { broker, settings } = connection.shared
    const id = partial.settled ? NOBODY : partial.id
    const open = partial.within === undefined ? undefined : connection.transactions.find(partial.within)
    if (partial.within !== undefined && open === undefined) {
      this.#refuse(id, UNKNOWN_ID)
      return
    }
    const due: Due = open === undefined ? id : { id, state: open.accepted, open }
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

  #command(coordinator: Coordinator, id: number, reader: TermReader): void {
    if (id === NOBODY) {
      this.#fail(fault('invalid', 'A message to the coordinator is settled: its answer could not be told.'))
      return
    }
    const decision = coordinator.command(reader, this.session)
    if ('finish' in decision) {
      const { open, finish } = decision
      this.#channel.connection.inShares(
        () => open.transaction.giveBack(SHARE),
        () => this.#decide(id, finish()),
      )
    } else this.#decide(id, decision)
  }

  #decide(id: number, decision: Decision | AmqpError): void {
    if ('condition' in decision) {
      this.#refuse(id, decision)
      return
    }
    const due: Due = { id, state: decision.state, open: decision.open }
    if (decision.ticket < 0) this.#parked.push(0, due)
    else this.#owe(decision.ticket, due)
  }

  #publish(due: Due, to: Address, incoming: Incoming, again: boolean): void {
    const options = (typeof due === 'number' ? undefined : due.open?.options) ?? OUTSIDE
    if (incoming.plan !== undefined && options !== OUTSIDE) {
      this.#refuse(due, fault('unsupported', 'A message that is sent again and again cannot be part of a transaction.'))
      return
    }
    const ticket =
      incoming.plan === undefined
        ? this.session.publish(to, incoming.message, options[to.kind === 'queue' ? 'no' : incoming.retain])
        : this.session.repeat(to, incoming.message, incoming.plan)
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
    this.#channel.connection.ended(error)
  }

  #owe(ticket: Ticket, due: Due): void {
    if (ticket <= this.#doneUpTo) this.#accept(due)
    else this.#owed.push(ticket, due)
  }

  #accept(due: Due): void {
    if (this.#over) return
    const second = this.attach.receiverSettles === 1
    if (typeof due !== 'number' && due.id !== NOBODY) {
      this.#channel.tell(due.id, due.state, !second, this)
      if (!second) this.#decided()
    } else if (typeof due !== 'number' || due === NOBODY) this.#decided()
    else if (second) this.#channel.acceptFirst(due, this)
    else {
      this.#channel.accept(due)
      this.#decided()
    }
  }

  /**
   * Only a link that nobody hears can refuse what is settled: it says so by its end (part 2.6.12). In a transaction it says so by the answer to the
   * discharge, since nothing of it can happen any more.
   */
  #refuse(due: Due, error: AmqpError): void {
    const open = typeof due === 'number' ? undefined : due.open
    open?.transaction.doom(brokerError('invalid', error.description))
    if (this.#over) return
    const id = typeof due === 'number' ? due : due.id
    if (id !== NOBODY) {
      if (open === undefined) this.#channel.reject(id, error)
      else this.#channel.tell(id, open.state({ kind: 'rejected', reason: '' }, error), true, this)
      this.#decided()
    } else if (open === undefined) this.#fail(error)
    else this.#decided()
  }

  /** A commit that waited for sends of its transaction. */
  #notCommitted(due: Due, error: BrokerError): void {
    if (typeof due === 'number') return
    due.open?.aborted()
    if (this.#over) return
    this.#channel.reject(due.id, rolledBack(error))
    this.#decided()
  }

  /** The client has settled too (rcv-settle-mode second). */
  settledByBoth(): void {
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
        this.#undoing = false
        coordinator.release()
        this.#closeIfDone()
      },
    )
  }

  #closeIfDone(): void {
    if (this.#over && this.#parked.count === 0 && !this.#undoing) this.#close()
    else if (this.#parked.count === 0) this.topUp()
  }

  #close(): void {
    const session = this.#session
    this.#session = undefined
    this.#coordinator?.release()
    this.#channel.connection.lingering.delete(this)
    session?.close('clean')
  }
}

/** Queues that are made by sending to this address. */
export function queuesOf(address: Address): readonly Address[] {
  return (address.parts ?? [address]).filter((part) => part.kind === 'queue' && !isTemporary(part))
}

const PERMANENT = { durable: true, lifetime: 'permanent' } as const
const OUTSIDE: Readonly<Record<Incoming['retain'], PublishOptions>> = {
  no: { retain: 'no', note: 0, transaction: undefined },
  set: { retain: 'set', note: 0, transaction: undefined },
  clear: { retain: 'clear', note: 0, transaction: undefined },
}
