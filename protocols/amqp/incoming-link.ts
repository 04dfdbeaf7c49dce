// A link on which the client sends (part 2.6): gathers transfers into messages, publishes them, gives credit.
// Hot room. Not here: unfinished messages (partial.ts), what becomes of messages and how that is told (verdicts.ts), the coordinator's links (control.ts).
//
// Each has a session of the core of its own, so that a sender whose destination is full holds up nobody but himself: his publishes park,
// and no credit comes until they have found room. Credit and undecided messages together never exceed `creditWindow`.
//
// A link whose target outlives it (expiry.ts) stays when its client goes, without a channel, and the link of the same name that comes after it inherits
// what it has.
import type { Address, BrokerError, PublishOptions, Replies, Session, Ticket } from '../../src/api.ts'
import { Addressees, PERMANENT, queuesOf } from './anonymous.ts'
import type { Channel } from './channel.ts'
import type { Frame } from './codec.ts'
import { Committed } from './committed.ts'
import { Control, knowsRejected } from './control.ts'
import type { Coordinator } from './coordinator.ts'
import { type AmqpError, brokerError, DecodeFault, errorOf, fault, quote } from './errors.ts'
import { type Expiry, outlives } from './expiry.ts'
import { type Incoming, readMessage } from './incoming-message.ts'
import type { KeptLink } from './kept-links.ts'
import type { OwnSession } from './own-session.ts'
import { faultOfFirst, Gathering, type Partial, partialOf } from './partial.ts'
import type { Attach, Transfer } from './performatives.ts'
import { NOBODY, Remembered } from './remembered.ts'
import { strangeAnnotation } from './sections.ts'
import type { Term } from './term.ts'
import { UNKNOWN_ID } from './transactions.ts'
import { type Due, Verdicts } from './verdicts.ts'

/** `target` undefined: an anonymous sender's, each message says where it goes. `coordinator`: messages are commands to it. `signature`: see `KeptLink`. */
export type IncomingOptions = Readonly<{
  attach: Attach
  target: Address | undefined
  coordinator: Coordinator | undefined
  expiry: Expiry
  signature: string
}>

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
  over = false
  readonly #channel: Channel
  readonly #target: Address | undefined
  readonly #verdicts: Verdicts
  readonly #control: Control | undefined
  readonly #gathering: Gathering
  readonly #addressees: Addressees
  #committed = new Committed()
  #own: OwnSession | undefined
  /** Among those that may be kept. */
  #hasPlace = false
  /** It is over, and waits for its client. */
  #kept = false
  /** What we said is unsettled is not all: nothing new may come. */
  #resumesOnly = false
  #deliveryCount: number
  #credit = 0
  #pressed = false

  constructor(channel: Channel, { attach, target, coordinator, expiry, signature }: IncomingOptions) {
    const { connection } = channel
    this.expiry = expiry
    this.signature = signature
    this.#channel = channel
    this.attach = attach
    this.incoming = attach.handle
    this.handle = attach.own
    this.#target = target
    this.#verdicts = new Verdicts(this, channel, {
      byEnd: coordinator !== undefined && !knowsRejected(attach.source?.outcomes),
      remembered: outlives(expiry) ? new Remembered(connection.creditWindow) : undefined,
    })
    this.#control = coordinator === undefined ? undefined : new Control(this, channel, coordinator, this.#verdicts)
    this.#gathering = new Gathering(connection)
    this.#addressees = new Addressees(connection.shared)
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
    this.#committed = link.#committed
    if (this.#own !== undefined) this.#own.to = this
    return this.#verdicts.inherit(link.#verdicts, this.attach)
  }

  /** Not all that is unsettled had room in our attach (part 2.7.3, incomplete-unsettled). */
  resumeOnly(): void {
    this.#resumesOnly = true
  }

  /** `run` when this is committed. */
  after(ticket: Ticket, run: () => void): void {
    this.#committed.after(ticket, run)
  }

  get flowState(): Readonly<{ handle: number; deliveryCount: number; credit: number; drain: boolean }> {
    return { handle: this.handle, deliveryCount: this.#deliveryCount, credit: this.#credit, drain: false }
  }

  // ---- What the client sends

  transfer(transfer: Transfer, frame: Frame): void {
    const { messageBytesMax } = this.#channel.connection.shared.settings
    const begun = this.#gathering.partial
    const partial = begun ?? this.#begin(transfer, frame)
    if (partial === undefined) return
    if (begun !== undefined && transfer.deliveryId !== undefined && transfer.deliveryId !== partial.id) {
      this.fail(fault('invalid', 'A message began before the last frame of the one before it.'))
      return
    }
    if (transfer.aborted) {
      // Implicitly settled (part 2.7.5).
      this.#gathering.drop()
      this.#verdicts.aborted(partial)
      return
    }
    partial.settled ||= transfer.settled === true
    if (transfer.outcome?.kind === 'transactional') partial.within = transfer.outcome.id
    partial.bytes += frame.end - transfer.payload
    if (partial.bytes > messageBytesMax) {
      this.fail(fault('too-large', `A message exceeds max-message-size (messageBytesMax ${messageBytesMax}).`))
      return
    }
    if (transfer.more) {
      const tooMuch = this.#gathering.keep(partial, transfer, frame)
      if (tooMuch !== undefined) this.fail(tooMuch)
      return
    }
    this.#gathering.drop()
    if (partial.pieces.length === 0) {
      this.#complete(partial, frame.bytes, transfer.payload, frame.end)
      return
    }
    const whole = Buffer.concat([...partial.pieces, frame.bytes.subarray(transfer.payload, frame.end)])
    this.#complete(partial, whole, 0, whole.length)
  }

  #begin(transfer: Transfer, { bytes }: Frame): Partial | undefined {
    const wrong = faultOfFirst(transfer, this.attach) ?? this.#faultOfNew(transfer)
    if (wrong !== undefined) {
      this.fail(wrong)
      return undefined
    }
    this.#credit--
    this.#deliveryCount = (this.#deliveryCount + 1) >>> 0
    this.#verdicts.undecided++
    return partialOf(transfer, bytes, this.attach, this.#verdicts.remembers)
  }

  #faultOfNew({ resume }: Transfer): AmqpError | undefined {
    if (this.#credit === 0) return { condition: 'amqp:link:transfer-limit-exceeded', description: 'A message came without credit.' }
    if (!this.#resumesOnly || resume) return undefined
    return {
      condition: 'amqp:not-allowed',
      description: 'What was said to be unsettled was incomplete: only resumed deliveries may come (part 2.7.3).',
    }
  }

  #complete(partial: Partial, bytes: Buffer, start: number, end: number): void {
    const { connection } = this.#channel
    const { broker, settings } = connection.shared
    const id = partial.settled ? NOBODY : partial.id
    if (this.#verdicts.resumed(id, partial)) return
    const open = partial.within === undefined ? undefined : connection.transactions.find(partial.within)
    if (partial.within !== undefined && open === undefined) {
      this.#verdicts.refuse(id, UNKNOWN_ID)
      return
    }
    const due: Due = open === undefined ? this.#dueOf(id, partial) : { id, state: open.accepted, open, settled: false, channel: this.#channel }
    if (partial.format !== 0) {
      this.#verdicts.refuse(due, fault('unsupported', `Message format ${partial.format} is not offered, only 0.`))
      return
    }
    const reader = connection.reader.over(bytes, start, end)
    if (this.#control !== undefined) {
      this.#control.command(id, reader, this.session)
      return
    }
    let incoming: Incoming
    try {
      const strange = settings.unknownAnnotations === 'keep' ? undefined : strangeAnnotation(reader, settings.sectionsMax)
      if (strange !== undefined) {
        open?.transaction.doom(brokerError('unsupported', 'an annotation of a message of it is not understood'))
        this.fail(fault('unsupported', `The annotation ${quote(strange)} is not understood, and does not begin with x-opt (part 3.2.10).`))
        return
      }
      reader.over(bytes, start, end)
      incoming = readMessage(reader, settings.sectionsMax, broker.clock.wallMs())
    } catch (error) {
      if (!(error instanceof DecodeFault)) throw error
      this.#verdicts.refuse(due, { condition: error.condition, description: error.message })
      return
    }
    const to = this.#target ?? this.#addressees.of(incoming, this.session)
    if ('condition' in to) this.#verdicts.refuse(due, to)
    else this.#publish(due, to, incoming, true)
  }

  /** A command is answered by what it did. */
  #dueOf(id: number, partial: Partial): Due {
    return this.#control === undefined ? this.#verdicts.dueOf(id, partial) : id
  }

  #publish(due: Due, to: Address, incoming: Incoming, again: boolean): void {
    const options = (typeof due === 'number' ? undefined : due.open?.options) ?? OUTSIDE
    const ticket =
      incoming.plan === undefined
        ? this.session.publish(to, incoming.message, options[to.kind === 'queue' ? 'no' : incoming.retain])
        : this.session.repeat(to, incoming.message, incoming.plan, options.no.transaction)
    if (ticket > 0) this.#verdicts.owe(ticket, due)
    else if (ticket < 0) this.#verdicts.park(due)
    else if (again && this.session.refusal?.code === 'not-found' && this.#declare(to)) {
      // It was made by us and removed by somebody since.
      this.#publish(due, to, incoming, false)
    } else this.#verdicts.refuse(due, errorOf(this.session.refusal))
  }

  #declare(to: Address): boolean {
    const queues = queuesOf(to)
    return queues.length > 0 && queues.every((queue) => this.session.declare(queue, PERMANENT) !== 0)
  }

  // ---- What the core answers

  done(upTo: Ticket): void {
    this.#committed.done(upTo)
    this.#verdicts.done(upTo)
    this.#channel.connection.flush()
  }

  admitted(ticket: Ticket): void {
    const due = this.#verdicts.unpark()
    if (due !== undefined) this.#verdicts.owe(ticket, due)
    this.#closeIfDone()
  }

  refused(error: BrokerError): void {
    const due = this.#verdicts.unpark()
    if (due !== undefined && this.#control !== undefined) this.#control.notCommitted(due, error)
    else if (due !== undefined) this.#verdicts.refuse(due, errorOf(error))
    this.#closeIfDone()
    this.#channel.connection.flush()
  }

  pressure(high: boolean): void {
    if (this.#pressed === high || this.over) return
    this.#pressed = high
    this.#channel.connection.pressed(high)
  }

  ended(error: BrokerError): void {
    if (this.over) this.drop()
    else this.#channel.connection.ended(error)
  }

  /** The client has settled too (rcv-settle-mode second). */
  settledByBoth(id: number): void {
    this.#verdicts.settledByBoth(id)
  }

  /** Gives credit, unless what there is waits for room. */
  topUp(): void {
    if (this.over || !this.answered || this.#verdicts.waits) return
    const window = this.#channel.connection.creditWindow
    const credit = window - this.#verdicts.undecided
    if (credit - this.#credit < Math.max(1, window / 2)) return
    this.#credit = credit
    this.#channel.flowLater(this)
  }

  fail(error: AmqpError): void {
    this.#channel.detach(this, true, error)
  }

  // ---- Its end

  /** Its client is away, and may come back: what is under way goes on. */
  suspend(): void {
    this.#kept = true
    this.#leave()
    this.#verdicts.suspend()
  }

  /** It did not come back. */
  drop(): void {
    this.#verdicts.forget()
    this.#close()
  }

  /** Detached. What is parked still finds its place, unless the connection is gone. */
  release(gone: boolean): void {
    this.#leave()
    if (gone) this.#close()
    else {
      this.#channel.connection.lingering.add(this)
      this.#control?.undo(() => this.#closeIfDone())
      this.#closeIfDone()
    }
  }

  #leave(): void {
    this.over = true
    this.#gathering.drop()
    if (this.#pressed) this.#channel.connection.pressed(false)
    this.#pressed = false
  }

  #closeIfDone(): void {
    if (this.#kept || this.#verdicts.waits) return
    if (!this.over) this.topUp()
    else if (this.#control?.undoing !== true) this.#close()
  }

  #close(): void {
    const own = this.#own
    this.#own = undefined
    if (this.#hasPlace) this.#channel.connection.shared.kept.leave()
    this.#hasPlace = false
    this.#control?.close()
    this.#channel.connection.lingering.delete(this)
    own?.session.close('clean')
  }
}

const OUTSIDE: Readonly<Record<Incoming['retain'], PublishOptions>> = {
  no: { retain: 'no', note: 0, transaction: undefined },
  set: { retain: 'set', note: 0, transaction: undefined },
  clear: { retain: 'clear', note: 0, transaction: undefined },
}
