// One STOMP client's connection: its state, what it owes its client, and what closes it. What each frame does is in `on/`.
// Not here: bytes ↔ frames (codec.ts), MESSAGE frames and credit (subscription.ts).
//
//     new ──CONNECT──▶ opening ──(logged in, session durable)──▶ open ──DISCONNECT──▶ leaving ──(all answered)──▶ ended
//      └──────────────────┴────────────── ERROR, silence, or the wire gone ─────────┴─────────┴───────────────────▶ ended
import type { Address, Broker, BrokerError, Connection, Log, Replies, Session, Ticket, Wire } from '../../src/api.ts'
import { HeartBeat, type HeartBeatOwner } from '../shared/heart-beat.ts'
import { isTemporary } from '../shared/naming.ts'
import { formatAddress } from './address.ts'
import { type CodecLimits, encodeFrame, type Frame, header, Parser } from './codec.ts'
import { advice, type Fault, faultOf, quote } from './errors.ts'
import type { Version } from './escape.ts'
import { HeadWriter } from './head.ts'
import { type Intervals, timesOf } from './heart-beat.ts'
import { Output } from './output.ts'
import { Receipts } from './receipts.ts'
import type { StompSettings } from './settings.ts'
import type { Subscription, SubscriptionOwner } from './subscription.ts'
import { ownerOf, temporaryName } from './temporary.ts'
import { Transactions } from './transactions.ts'
import type { Transformations } from './transformation.ts'

/** Handles one frame of a client: calls the core and answers, or fails the connection. Never throws on what a client sent. */
export type Handler = (connection: StompConnection, frame: Frame) => void

/** What all connections of the front end share. */
export type Shared = Readonly<{
  broker: Broker
  settings: StompSettings
  log: Log
  handlers: ReadonlyMap<string, Handler>
  /** Limits before somebody is logged in: nobody makes us keep a body. */
  strangers: CodecLimits
  transformations: Transformations
  /** A new name for a session. */
  sessionId: () => string
}>

/** What CONNECT asked for, kept until the session is open. */
export type Opening = Readonly<{ version: Version; clientId: string; heartBeat: Intervals }>

type State = 'new' | 'opening' | 'open' | 'leaving' | 'ended'

export class StompConnection implements Connection, Replies, HeartBeatOwner, SubscriptionOwner {
  readonly shared: Shared
  readonly broker: Broker
  readonly output: Output
  readonly head = new HeadWriter()
  /** By `id`; in STOMP 1.0 without one, by destination. */
  readonly subscriptions = new Map<string, Subscription>()
  /** The same by the number in `ack` headers. */
  readonly #byNumber = new Map<number, Subscription>()
  /** Destinations sent to before: their names are read and their queues made once. */
  readonly destinations = new Map<string, Address>()
  readonly transactions = new Transactions()
  version: Version = '1.0'
  clientId = ''
  sessionId = ''
  principal = ''
  /** Names what is temporary and this connection's. */
  temporaryOwner = ''
  subscriptionsMade = 0
  #state: State = 'new'
  #session: Session | undefined
  #opening: Opening | undefined
  readonly #wire: Wire
  readonly #parser: Parser
  readonly #receipts = new Receipts(this)
  #heartBeat: HeartBeat | undefined
  #cancelConnectTimeout: () => void
  #leaveReceipt: string | undefined
  /** Why reading is stopped: the sum of the reasons. */
  #holds = 0
  #topUpWaits = false

  constructor(shared: Shared, wire: Wire) {
    this.shared = shared
    this.broker = shared.broker
    this.#wire = wire
    this.output = new Output(wire)
    this.#parser = new Parser(shared.strangers)
    this.#cancelConnectTimeout = this.broker.schedule(shared.settings.connectTimeoutMs, () => {
      this.fail({ code: 'timeout', sentence: `No connection was made within ${shared.settings.connectTimeoutMs} ms (connectTimeoutMs).` })
    })
  }

  get over(): boolean {
    return this.#state === 'ended'
  }

  get paused(): boolean {
    return this.#holds !== 0
  }

  get remote(): string {
    return this.#wire.remote
  }

  get secure(): boolean {
    return this.#wire.secure
  }

  /** Only frames of an open connection reach a handler. */
  get session(): Session {
    if (this.#session === undefined) throw new Error('a frame was handled without a session')
    return this.#session
  }

  // ---- The wire ----

  data(bytes: Uint8Array): void {
    this.#heartBeat?.read()
    if (this.#state === 'ended' || this.#state === 'leaving') return
    this.#parser.push(bytes)
    this.#work()
  }

  congested(high: boolean): void {
    if (this.#state === 'ended') return
    this.#hold(HOLD.output, high)
    for (const subscription of this.subscriptions.values()) subscription.stall(high)
  }

  closed(): void {
    if (this.#state === 'ended') return
    const session = this.#session
    const how = this.#state === 'leaving' ? 'clean' : 'lost'
    this.#end()
    session?.close(how)
  }

  shutdown(error: BrokerError): void {
    if (this.#state === 'ended') return
    this.#writeError(faultOf(error), undefined)
    this.#end()
    this.#wire.end()
  }

  // ---- What the core tells ----

  done(upTo: Ticket): void {
    this.#receipts.done(upTo)
    if (this.#state === 'ended') return
    if (this.#state === 'opening' && this.#session !== undefined && upTo >= this.#session.opened) this.#connected(this.#session)
    this.#receipts.flush()
    this.#leaveIfDone()
    this.#wrote()
  }

  admitted(ticket: Ticket): void {
    this.answer(this.#receipts.unpark(), ticket)
    this.#leaveIfDone()
    this.#wrote()
  }

  refused(error: BrokerError): void {
    this.fail(faultOf(error), this.#receipts.unpark())
  }

  pressure(high: boolean): void {
    if (this.#state !== 'ended') this.#hold(HOLD.journal, high)
  }

  /** Whether anything in flight happened is unknown: the ERROR names no receipt. */
  ended(error: BrokerError): void {
    this.shutdown(error)
  }

  // ---- What subscriptions tell ----

  nameOf(address: Address): string | undefined {
    return isTemporary(address) ? temporaryName(this.temporaryOwner, address) : formatAddress(address)
  }

  flushed(): void {
    this.#heartBeat?.wrote()
  }

  topUpLater(): void {
    if (this.#topUpWaits) return
    this.#topUpWaits = true
    this.broker.clock.turn(() => {
      this.#topUpWaits = false
      if (!this.over) this.#topUp()
    })
  }

  /** Its queue was removed. A client cannot be told so but by the end of its connection. */
  subscriptionEnded(subscription: Subscription, error: BrokerError): void {
    this.unsubscribe(subscription)
    this.fail({ code: error.code, sentence: `The subscription ${subscription.options.id} ended: ${error.message}` })
  }

  // ---- Heart-beats ----

  beat(): void {
    if (this.#state !== 'open' && this.#state !== 'leaving') return
    this.#wire.write(BEAT)
  }

  silent(): void {
    this.fail({ code: 'timeout', sentence: 'The client sent neither a frame nor a heart-beat for too long.' })
  }

  // ---- What handlers call ----

  /** CONNECT was read: log in, then open the session. Nothing is read meanwhile. */
  open(opening: Opening, user: string | undefined, password: string | undefined): void {
    this.#state = 'opening'
    this.#opening = opening
    this.#hold(HOLD.opening, true)
    const { remote, secure, certificate } = this.#wire
    const login = { user, password: password === undefined ? undefined : Buffer.from(password), remote, secure, certificate }
    this.broker.authenticate(login).then(
      (principal) => this.#openSession(principal, opening.clientId),
      (error: unknown) => this.fail(faultOf(error)),
    )
  }

  /** Answers a frame whose call got this ticket; without `receipt` the ticket is only noted. */
  answer(receipt: string | undefined, ticket: Ticket): void {
    this.#receipts.answer(receipt, ticket)
  }

  /** Answers a frame that needed no call, behind all calls before it. */
  answerNow(receipt: string | undefined): void {
    this.#receipts.answerNow(receipt)
  }

  /** The send waits for room: its receipt waits with it. */
  park(receipt: string | undefined): void {
    this.#receipts.park(receipt)
  }

  /** DISCONNECT: nothing is read or delivered any more; the receipt comes when everything before it is done. */
  leave(receipt: string | undefined): void {
    this.#state = 'leaving'
    this.#leaveReceipt = receipt
    this.transactions.abortAll()
    for (const subscription of this.subscriptions.values()) subscription.close()
    this.subscriptions.clear()
    this.#byNumber.clear()
    this.#leaveIfDone()
  }

  /** An ERROR frame and the end of the connection, as STOMP 1.1 and 1.2 "ERROR" demand. What is outstanding goes back. */
  fail(fault: Fault, receipt?: string): void {
    if (this.over) return
    if (fault.code === 'internal')
      this.shared.log.error({ remote: this.remote, sentence: fault.sentence }, 'stomp: a connection was ended by a fault of the broker')
    this.#writeError(fault, receipt)
    const session = this.#session
    this.#end()
    this.#wire.end()
    session?.close('lost')
  }

  subscribe(subscription: Subscription): void {
    this.subscriptions.set(subscription.options.key, subscription)
    this.#byNumber.set(subscription.options.number, subscription)
  }

  unsubscribe(subscription: Subscription): void {
    this.subscriptions.delete(subscription.options.key)
    this.#byNumber.delete(subscription.options.number)
  }

  subscriptionNumbered(number: number): Subscription | undefined {
    return this.#byNumber.get(number)
  }

  /** The refusal of the core's last call, as the answer to this frame. */
  refuse(receipt: string | undefined): void {
    this.fail(faultOf(this.session.refusal), receipt)
  }

  // ---- Inside ----

  /** Does what may be much for one turn in shares, until there is no more, and then what follows. Meanwhile nothing else is heard of this client. */
  inShares(share: () => boolean, whenDone: () => void): void {
    if (!share()) {
      whenDone()
      return
    }
    this.#hold(HOLD.shares, true)
    const goOn = (): void => {
      if (this.over) return
      if (share()) {
        this.broker.clock.turn(goOn)
        return
      }
      whenDone()
      this.#hold(HOLD.shares, false)
      this.#work()
    }
    this.broker.clock.turn(goOn)
  }

  #work(): void {
    while ((this.#state === 'new' || this.#state === 'open') && (this.#holds & HOLD.shares) === 0) {
      const frame = this.#parser.read()
      if (frame === undefined) {
        if (this.#parser.fault !== undefined) this.fail(this.#parser.fault)
        break
      }
      this.#handle(frame)
    }
    if (this.over) return
    this.#topUp()
    this.#wrote()
  }

  #handle(frame: Frame): void {
    const handler = this.shared.handlers.get(frame.command)
    if (handler === undefined) {
      this.fail({ code: 'unsupported', sentence: `There is no command ${quote(frame.command)}.` }, header(frame, 'receipt'))
    } else {
      handler(this, frame)
    }
  }

  get connected(): boolean {
    return this.#state === 'open'
  }

  #openSession(principal: string, clientId: string): void {
    if (this.over) return
    this.principal = principal
    try {
      this.#session = this.broker.open(
        {
          principal,
          protocol: 'stomp',
          remote: this.remote,
          clientId,
          clash: this.shared.settings.clientIdClash,
          keepMs: 0,
          fresh: false,
          will: undefined,
        },
        this,
      )
    } catch (error) {
      this.fail(faultOf(error))
      return
    }
    this.#receipts.answer(undefined, this.#session.opened)
    if (this.#receipts.isDone(this.#session.opened)) this.#connected(this.#session)
  }

  #connected(session: Session): void {
    const opening = this.#opening
    if (this.#state !== 'opening' || opening === undefined || session !== this.#session) return
    this.#state = 'open'
    this.#opening = undefined
    this.#cancelConnectTimeout()
    this.version = opening.version
    this.clientId = opening.clientId
    this.sessionId = this.shared.sessionId()
    this.temporaryOwner = ownerOf(this.clientId, this.sessionId)
    this.head.owner = this.temporaryOwner
    this.#parser.version = opening.version
    this.#parser.limits = this.shared.settings
    const { heartBeatSendMs, heartBeatReceiveMs, heartBeatGrace } = this.shared.settings
    const headers: (readonly [string, string])[] = [
      ['version', opening.version],
      ['session', this.sessionId],
      ['server', `bascule/${this.broker.version}`],
      ['heart-beat', `${heartBeatSendMs},${heartBeatReceiveMs}`],
    ]
    this.#wire.write(encodeFrame('CONNECTED', headers, '', 'raw'))
    if (opening.heartBeat.sendMs > 0 || opening.heartBeat.receiveMs > 0) {
      this.#heartBeat = new HeartBeat(this.broker, this, timesOf(opening.heartBeat, heartBeatGrace))
    }
    // Frames that came with CONNECT, before what comes next, which may be the end; not from inside a call of the core.
    this.broker.clock.turn(() => {
      this.#work()
      this.#hold(HOLD.opening, false)
    })
  }

  /** Stops reading for a reason, or takes it back. Whoever tells us twice is heard once. */
  #hold(reason: number, on: boolean): void {
    const before = this.#holds
    this.#holds = on ? before | reason : before & ~reason
    if (before === 0 && this.#holds !== 0) this.#wire.pause()
    if (before !== 0 && this.#holds === 0) this.#wire.resume()
  }

  #topUp(): void {
    for (const subscription of this.subscriptions.values()) subscription.topUp()
  }

  #wrote(): void {
    this.#heartBeat?.wrote()
  }

  #leaveIfDone(): void {
    if (this.#state !== 'leaving' || !this.#receipts.settled) return
    if (this.#leaveReceipt !== undefined) this.#receipts.write(this.#leaveReceipt)
    const session = this.#session
    this.#end()
    this.#wire.end()
    session?.close('clean')
  }

  #writeError(fault: Fault, receipt: string | undefined): void {
    const headers: (readonly [string, string])[] = [
      ['message', fault.sentence],
      // With its charset: stompit's own handler of plain `text/plain` ends the process that uses it.
      ['content-type', 'text/plain;charset=utf-8'],
    ]
    if (this.#state === 'new' && fault.code === 'unsupported') headers.push(['version', '1.0,1.1,1.2'])
    if (receipt !== undefined) headers.push(['receipt-id', receipt])
    if (fault.code === 'not-leading' || fault.code === 'shutting-down') {
      const servers = this.broker.pairAddresses('stomp', this.secure)
      if (servers.length > 0) headers.push(['server-list', servers.join(',')])
    }
    this.#wire.write(encodeFrame('ERROR', headers, `${fault.sentence}\n${advice[fault.code]}\n`, this.version))
  }

  #end(): void {
    this.#state = 'ended'
    this.#session = undefined
    this.#cancelConnectTimeout()
    this.#heartBeat?.stop()
    this.subscriptions.clear()
    this.#byNumber.clear()
    this.destinations.clear()
  }
}

const HOLD = { opening: 1, journal: 2, output: 4, shares: 8 } as const
const BEAT = Buffer.from('\n')
