// A link on which the client sends (part 2.6): gathers transfers into messages, publishes them, answers with dispositions, gives credit.
//
// Each has a session of the core of its own, so that a sender whose destination is full holds up nobody but himself: his publishes park,
// and no credit comes until they have found room. Credit and undecided messages together never exceed `creditWindow`.
import type { Address, BrokerError, PublishOptions, Replies, Session, Ticket } from '../../src/api.ts'
import { isTemporary } from '../shared/naming.ts'
import { kindOfAnnotation, parseTarget } from './address.ts'
import type { Channel } from './channel.ts'
import type { Frame } from './codec.ts'
import { type AmqpError, DecodeFault, errorOf, fault } from './errors.ts'
import { type Incoming, readMessage } from './incoming-message.ts'
import { Owed } from '../shared/owed.ts'
import type { Attach, Transfer } from './performatives.ts'

/** `target` undefined: an anonymous sender's, each message says where it goes. */
export type IncomingOptions = Readonly<{ attach: Attach; target: Address | undefined }>

type Partial = { readonly id: number; settled: boolean; readonly pieces: Buffer[]; bytes: number; readonly format: number }

/** Stands for a delivery that its sender has settled: nobody is told. */
const NOBODY = -1

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
  #session: Session | undefined
  #over = false
  #deliveryCount: number
  #credit = 0
  /** Messages whose fate is open, the one that is coming in included. */
  #undecided = 0
  #partial: Partial | undefined
  readonly #owed = new Owed<number>()
  readonly #parked = new Owed<number>()
  #doneUpTo: Ticket = 0
  #pressed = false
  #afterTicket: Readonly<{ ticket: Ticket; run: () => void }> | undefined
  /** Addresses of an anonymous sender's messages, and queues made. */
  readonly #addresses = new Map<string, Address>()

  constructor(channel: Channel, { attach, target }: IncomingOptions) {
    this.#channel = channel
    this.attach = attach
    this.handle = attach.handle
    this.#target = target
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
    return { id: transfer.deliveryId, settled: false, pieces: [], bytes: 0, format: transfer.format ?? 0 }
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
    if (partial.format !== 0) {
      this.#refuse(id, fault('unsupported', `Message format ${partial.format} is not offered, only 0.`))
      return
    }
    let incoming: Incoming
    try {
      incoming = readMessage(connection.reader.over(bytes, start, end), settings.sectionsMax, broker.clock.wallMs())
    } catch (error) {
      if (!(error instanceof DecodeFault)) throw error
      this.#refuse(id, { condition: error.condition, description: error.message })
      return
    }
    const to = this.#target ?? this.#addressOf(incoming)
    if ('condition' in to) this.#refuse(id, to)
    else this.#publish(id, to, incoming, true)
  }

  #publish(id: number, to: Address, incoming: Incoming, again: boolean): void {
    const ticket =
      incoming.plan === undefined
        ? this.session.publish(to, incoming.message, to.kind === 'queue' ? PLAIN : OPTIONS[incoming.retain])
        : this.session.repeat(to, incoming.message, incoming.plan)
    if (ticket > 0) this.#owe(ticket, id)
    else if (ticket < 0) this.#parked.push(0, id)
    else if (again && this.session.refusal?.code === 'not-found' && this.#declare(to)) {
      // It was made by us and removed by somebody since.
      this.#publish(id, to, incoming, false)
    } else this.#refuse(id, errorOf(this.session.refusal))
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
    for (let id = this.#owed.take(upTo); id !== undefined; id = this.#owed.take(upTo)) this.#accept(id)
    this.#channel.connection.flush()
  }

  admitted(ticket: Ticket): void {
    const id = this.#parked.take(0)
    if (id !== undefined) this.#owe(ticket, id)
    this.#closeIfDone()
  }

  refused(error: BrokerError): void {
    const id = this.#parked.take(0)
    if (id !== undefined) this.#refuse(id, errorOf(error))
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

  #owe(ticket: Ticket, id: number): void {
    if (ticket <= this.#doneUpTo) this.#accept(id)
    else this.#owed.push(ticket, id)
  }

  #accept(id: number): void {
    if (this.#over) return
    if (id === NOBODY) this.#decided()
    else if (this.attach.receiverSettles === 1) this.#channel.acceptFirst(id, this)
    else {
      this.#channel.accept(id)
      this.#decided()
    }
  }

  /** Only a link that nobody hears can refuse what is settled: it says so by its end (part 2.6.12). */
  #refuse(id: number, error: AmqpError): void {
    if (this.#over) return
    if (id === NOBODY) {
      this.#fail(error)
      return
    }
    this.#channel.reject(id, error)
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
    this.#over = true
    this.#drop()
    if (this.#pressed) this.#channel.connection.pressed(false)
    this.#pressed = false
    if (!gone && this.#parked.count > 0) this.#channel.connection.lingering.add(this)
    if (gone || this.#parked.count === 0) this.#close()
  }

  #closeIfDone(): void {
    if (this.#over && this.#parked.count === 0) this.#close()
    else if (this.#parked.count === 0) this.topUp()
  }

  #close(): void {
    const session = this.#session
    this.#session = undefined
    this.#channel.connection.lingering.delete(this)
    session?.close('clean')
  }
}

/** Queues that are made by sending to this address. */
export function queuesOf(address: Address): readonly Address[] {
  return (address.parts ?? [address]).filter((part) => part.kind === 'queue' && !isTemporary(part))
}

const PERMANENT = { durable: true, lifetime: 'permanent' } as const
const PLAIN: PublishOptions = { retain: 'no', note: 0, transaction: undefined }
const OPTIONS: Readonly<Record<Incoming['retain'], PublishOptions>> = {
  no: PLAIN,
  set: { retain: 'set', note: 0, transaction: undefined },
  clear: { retain: 'clear', note: 0, transaction: undefined },
}
