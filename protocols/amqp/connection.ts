// One AMQP client's connection: its state, its channels, what it owes, and what closes it. What each performative does is in on/.
// Not here: bytes ↔ frames (codec.ts), sessions of AMQP (channel.ts), links (incoming-link.ts, outgoing-link.ts).
//
//     header ─SASL─▶ sasl ─init─▶ login (─challenge─▶ sasl ─response─▶ login) ─ok─▶ second ─AMQP─▶ greeted ─Open─▶ opening ─committed─▶ open ─Close─▶ ended
//        └───────────────AMQP (bare)──────────────────────────▶ greeted         │                    │
//        └──────────────────── Close with an error, silence, or the wire gone ──┴────────────────────┴──▶ ended
import type { Address, Broker, BrokerError, Connection, Log, LoginStep, Replies, Session, Ticket, Wire } from '../../src/api.ts'
import { HeartBeat, type HeartBeatOwner, SCHEDULE_LATE_MS } from '../shared/heart-beat.ts'
import { TEMPORARY } from '../shared/naming.ts'
import { SOLE_CONNECTION } from './capabilities.ts'
import type { Channel, Link } from './channel.ts'
import { AMQP_HEADER, FRAME_AMQP, FRAME_SASL, type Frame, Parser, SASL_HEADER } from './codec.ts'
import { type AmqpError, ConnectionFault, errorOf, fault } from './errors.ts'
import { beginsWith, type Leaving, outlives } from './expiry.ts'
import { close, HEARTBEAT, saslChallenge, saslMechanisms, saslOutcome } from './frames.ts'
import type { IncomingLink } from './incoming-link.ts'
import type { KeptLink, KeptLinks } from './kept-links.ts'
import type { OutgoingLink } from './outgoing-link.ts'
import { type Open, type Performative, readPerformative } from './performatives.ts'
import { TermReader } from './reader.ts'
import { Sasl } from './sasl.ts'
import type { AmqpSettings } from './settings.ts'
import { Transactions } from './transactions.ts'

/** However often a peer wants a sign of life: so often the schedule can give one, and no more. */
const BEAT_MS_MIN = 100

/** What all connections of the front end share. */
export type Shared = Readonly<{
  broker: Broker
  settings: AmqpSettings
  log: Log
  /** Every link by principal, container, role and name: who attaches one again takes it over. */
  links: Map<string, () => void>
  /** Links whose client is away and may come back. */
  kept: KeptLinks
  /** Links that take from a durable subscription, by its queue. */
  subscribers: Map<string, number>
  connectionId: () => string
  handle: Handler
  openFrame: (connection: AmqpConnection) => Buffer
}>

/** Does what one performative of an open connection asks for. Throws `ConnectionFault` for what ends the connection, nothing else on what a client sent. */
export type Handler = (connection: AmqpConnection, frame: Frame, performative: Performative) => void

type State = 'header' | 'sasl' | 'login' | 'second' | 'greeted' | 'opening' | 'open' | 'ended'

export class AmqpConnection implements Connection, Replies, HeartBeatOwner {
  readonly shared: Shared
  readonly reader: TermReader
  readonly channels = new Map<number, Channel>()
  /** Links that are detached and have messages that wait for room. */
  readonly lingering = new Set<IncomingLink>()
  readonly transactions = new Transactions()
  readonly id: string
  /** Whose messages its links send, for no-local: the client's, if it is alone of its name. */
  origin = ''
  containerId = ''
  principal = ''
  /** Largest frame that the client takes. */
  frameBytesOut = 512
  /** The highest channel that the client takes. */
  channelMaxOut = 0
  congestedOut = false
  readonly #wire: Wire
  readonly #parser: Parser
  readonly #sasl: Sasl
  #state: State = 'header'
  #session: Session | undefined
  #idle: HeartBeat | undefined
  #numbers = 0
  #holds = 0
  #pressures = 0
  #partialBytes = 0
  #doneUpTo: Ticket = 0
  #after: Readonly<{ ticket: Ticket; run: () => void }>[] = []
  readonly #held = new Map<string, number>()
  /** Kept ones that wait for the end of their session or of the connection. */
  readonly #keptHere = new Map<string, Readonly<{ link: Link; channel: Channel }>>()
  readonly #unflushed = new Set<Channel>()
  #flushWaits = false
  readonly #topUps = new Set<OutgoingLink>()
  #topUpWaits = false
  readonly #shares: Readonly<{ share: () => boolean; whenDone: (() => void) | undefined }>[] = []
  #cancelConnectTimeout: () => void

  constructor(shared: Shared, wire: Wire) {
    const { settings } = shared
    this.shared = shared
    this.#wire = wire
    this.id = shared.connectionId()
    this.reader = new TermReader(settings)
    this.#parser = new Parser(settings.frameBytesMax, settings.sessionsMax - 1)
    this.#sasl = new Sasl(shared.broker, wire)
    this.#cancelConnectTimeout = shared.broker.schedule(settings.connectTimeoutMs, () => {
      this.fail(fault('timeout', `No Open came within ${settings.connectTimeoutMs} ms (connectTimeoutMs).`))
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

  /** Only performatives of an open connection reach a handler. */
  get session(): Session {
    if (this.#session === undefined) throw new Error('a performative was handled without a session')
    return this.#session
  }

  get creditWindow(): number {
    return this.shared.settings.creditWindow
  }

  // ---- The wire

  data(bytes: Uint8Array): void {
    this.#idle?.read()
    if (this.over) return
    this.#parser.push(bytes)
    this.#work()
  }

  congested(high: boolean): void {
    if (this.over) return
    this.congestedOut = high
    this.#hold(HOLD.output, high)
    for (const channel of this.channels.values()) {
      if (high) channel.stall()
      else channel.pump()
    }
  }

  closed(): void {
    if (!this.over) this.#end('lost')
  }

  shutdown(error: BrokerError): void {
    this.fail(errorOf(error))
  }

  write(bytes: Uint8Array): void {
    if (this.over) return
    this.#wire.write(bytes)
    this.#idle?.wrote()
  }

  /** See `Wire.reserve`. */
  reserve(bytes: number): number {
    this.#idle?.wrote()
    return this.#wire.reserve(bytes)
  }

  get room(): Buffer {
    return this.#wire.room
  }

  beat(): void {
    this.write(HEARTBEAT)
  }

  silent(): void {
    this.fail(fault('timeout', 'The client was silent for longer than twice the idle-time-out that it was told.'))
  }

  // ---- What the core tells

  done(upTo: Ticket): void {
    this.#doneUpTo = upTo
    let ran = 0
    while (ran < this.#after.length && this.#after[ran].ticket <= upTo) this.#after[ran++].run()
    if (ran > 0) this.#after.splice(0, ran)
    this.flush()
  }

  /** Publishes are on the links' own sessions. */
  admitted(): void {}

  refused(): void {}

  pressure(high: boolean): void {
    this.pressed(high)
  }

  /** Whether what is in flight happened is unknown: no disposition speaks of it. */
  ended(error: BrokerError): void {
    this.shutdown(error)
  }

  // ---- What handlers and links call

  /** One session of the core more or less that wants us to stop reading. */
  pressed(high: boolean): void {
    this.#pressures += high ? 1 : -1
    if (!this.over) this.#hold(HOLD.journal, this.#pressures > 0)
  }

  /** `run` when this ticket of the connection's session is committed; at once if it is. */
  after(ticket: Ticket, run: () => void): void {
    if (ticket <= this.#doneUpTo) run()
    else this.#after.push({ ticket, run })
  }

  flushLater(channel: Channel): void {
    this.#unflushed.add(channel)
    if (this.#flushWaits) return
    this.#flushWaits = true
    this.#inTurn(() => {
      this.#flushWaits = false
      this.flush()
    })
  }

  flush(): void {
    if (this.#unflushed.size === 0) return
    for (const channel of this.#unflushed) if (!this.over) channel.flush()
    this.#unflushed.clear()
  }

  /** Credit goes back to the core, not from inside a call of the core. */
  topUpLater(link: OutgoingLink): void {
    this.#topUps.add(link)
    if (this.#topUpWaits) return
    this.#topUpWaits = true
    this.#inTurn(() => {
      this.#topUpWaits = false
      const links = [...this.#topUps]
      this.#topUps.clear()
      if (!this.over) for (const each of links) each.topUp()
    })
  }

  /** Does what may be much for one turn in shares, until there is no more, and then what follows. Meanwhile nothing else is heard of this client. */
  inShares(share: () => boolean, whenDone?: () => void): void {
    const isFirst = this.#shares.length === 0
    if (isFirst && !share()) {
      whenDone?.()
      return
    }
    this.#shares.push({ share, whenDone })
    if (!isFirst) return
    this.#hold(HOLD.shares, true)
    this.#inTurn(this.#goOn)
  }

  readonly #goOn = (): void => {
    if (this.over) return
    const [{ share, whenDone }] = this.#shares
    if (!share()) {
      whenDone?.()
      this.#shares.shift()
    }
    if (this.over) return
    if (this.#shares.length > 0) {
      this.#inTurn(this.#goOn)
      return
    }
    this.#hold(HOLD.shares, false)
    this.#work()
  }

  /** More (or fewer) bytes of unfinished messages; false: too many. */
  keepPartial(bytes: number): boolean {
    this.#partialBytes += bytes
    return this.#partialBytes <= this.shared.settings.partialBytesMax
  }

  /** A number for something of this connection. */
  number(): number {
    return ++this.#numbers
  }

  temporary(kind: 'queue' | 'topic'): Address {
    return this.shared.broker.address(kind, [TEMPORARY, `amqp-${this.id}`, String(this.number())])
  }

  /** Makes a temporary node of this client's. 0: `session.refusal`. */
  makeTemporary(node: Address): Ticket {
    const { topicBacklogMessages, topicBacklogBytes } = this.shared.settings
    const backlog = { limitMessages: topicBacklogMessages, limitBytes: topicBacklogBytes, whenFull: 'drop-oldest' } as const
    return this.session.declare(node, { durable: true, lifetime: 'temporary', owner: this.#owner, ...backlog })
  }

  /** Takes one that is this client's, and perhaps nobody's since its connection broke. 0: `session.refusal`. */
  takeTemporary(node: Address): Ticket {
    return this.session.hold(node, 0, this.#owner)
  }

  get #owner(): string {
    return `amqp\0${this.principal}\0${this.containerId}`
  }

  /** Keeps a queue that lives by being held; several links may. False: `session.refusal`. */
  hold(queue: Address): boolean {
    const key = queue.path.join('\0')
    const holders = this.#held.get(key) ?? 0
    if (holders === 0 && this.session.hold(queue, 0) === 0) return false
    this.#held.set(key, holders + 1)
    return true
  }

  letGo(queue: Address): void {
    const key = queue.path.join('\0')
    const holders = (this.#held.get(key) ?? 1) - 1
    if (holders > 0) {
      this.#held.set(key, holders)
      return
    }
    this.#held.delete(key)
    this.#session?.release(queue)
  }

  linkKey(name: string, receives: boolean): string {
    return `${this.principal}\0${this.containerId}\0${receives ? 'receiver' : 'sender'}\0${name}`
  }

  /** Keeps what a link has, where its terminus outlives what it leaves by. False: it is to be released. */
  keep(link: Link, leaving: Leaving, channel: Channel): boolean {
    const { kept } = this.shared
    if (!outlives(link.expiry) || this.#keptHere.size >= this.shared.settings.linksMax) return false
    const key = this.linkKey(link.attach.name, link.receives)
    link.suspend()
    kept.keep(key, link, () => this.#keptHere.delete(key))
    if (beginsWith(link.expiry, leaving)) kept.begin(key)
    else this.#keptHere.set(key, { link, channel })
    return true
  }

  /** A link that its client left is attached again, here or elsewhere. */
  takeKept(key: string, signature: string): KeptLink | undefined {
    return this.shared.kept.take(key, signature)
  }

  /** Its session ended: the time of those begins that waited for that. */
  beginKept(ended: Channel): void {
    for (const [key, { link, channel }] of this.#keptHere) {
      if (channel !== ended || !beginsWith(link.expiry, 'end')) continue
      this.#keptHere.delete(key)
      this.shared.kept.begin(key, link)
    }
  }

  /** A link is no more: its name is free, and its temporary queue goes. */
  released(link: Link, gone: boolean): void {
    this.shared.links.delete(this.linkKey(link.attach.name, link.receives))
    const node = link.receives ? link.source.node : link.node
    if (node !== undefined && !gone) this.#session?.release(node)
    if (!link.receives) return
    const { source } = link
    if (source.durable && !source.lookup) this.#subscriber(source.queue, -1)
    // With the connection, or with a session of its own, goes what holds it.
    if (source.temporary && !gone && !link.apart) this.letGo(source.queue)
  }

  /** Counts who takes from a durable subscription, here and on other connections. */
  #subscriber(queue: Address, change: number): number {
    const { subscribers } = this.shared
    const key = queue.path.join('\0')
    const count = (subscribers.get(key) ?? 0) + change
    if (count > 0) subscribers.set(key, count)
    else subscribers.delete(key)
    return count
  }

  subscribed(queue: Address): void {
    this.#subscriber(queue, 1)
  }

  subscribersOf(queue: Address): number {
    return this.#subscriber(queue, 0)
  }

  /** The client closes (part 2.7.9): our Close answers it. */
  leave(): void {
    this.write(close(undefined))
    this.#end('clean')
    this.#wire.end()
  }

  /** A Close with an error, and the end. What is outstanding goes back; what is not decided is not spoken of. */
  fail(error: AmqpError): void {
    if (this.over) return
    if (error.condition === 'amqp:internal-error') {
      this.shared.log.error({ remote: this.remote, sentence: error.description }, 'amqp: a connection was ended by a fault of the broker')
    }
    this.flush()
    // Before our header is sent there is nothing else to say (part 2.2), and during SASL no Close.
    if (this.#state === 'header') this.write(AMQP_HEADER)
    if (this.#state === 'greeted' || this.#state === 'opening') this.write(this.shared.openFrame(this))
    if (this.#state === 'greeted' || this.#state === 'opening' || this.#state === 'open') this.write(close(error))
    this.#end('lost')
    this.#wire.end()
  }

  /** A header without SASL before it: nobody in particular. Nothing is read meanwhile. */
  #loginBare(): void {
    this.#hold(HOLD.login, true)
    this.shared.broker.authenticate({ user: undefined, password: undefined, remote: this.remote, secure: this.#wire.secure }).then(
      (principal) => {
        this.principal = principal
        this.#logged(() => {})
      },
      (error: unknown) => this.#logged(() => this.fail(errorOf(error))),
    )
  }

  #logged(then: () => void): void {
    if (this.over) return
    then()
    if (this.over) return
    this.#hold(HOLD.login, false)
    this.#work()
  }

  /** Open was read and is good: the session of the core, then our Open. */
  open(opened: Open): void {
    const { settings, broker } = this.shared
    this.containerId = opened.containerId
    this.channelMaxOut = opened.channelMax
    this.frameBytesOut = Math.min(opened.frameBytesMax, OUT_FRAME_BYTES_MAX)
    this.#state = 'opening'
    this.#hold(HOLD.login, true)
    // Only who asks to be alone of its name is: container ids are often the name of the program.
    const alone = opened.desired.includes(SOLE_CONNECTION)
    const options = {
      principal: this.principal,
      protocol: 'amqp',
      remote: this.remote,
      clash: 'refuse',
      keepMs: 0,
      fresh: false,
      will: undefined,
    } as const
    try {
      this.origin = alone ? `client ${opened.containerId}` : `connection ${this.id}`
      this.#session = broker.open({ ...options, clientId: alone ? opened.containerId : '', origin: this.origin }, this)
    } catch (error) {
      const refused = errorOf(error)
      const taken = alone && refused.condition === 'amqp:resource-locked'
      this.fail(taken ? { condition: 'amqp:invalid-field', description: refused.description, info: { 'invalid-field': 'container-id' } } : refused)
      return
    }
    this.after(this.#session.opened, () => {
      if (this.#state !== 'opening') return
      this.write(this.shared.openFrame(this))
      this.#state = 'open'
      this.#cancelConnectTimeout()
      // Part 2.4.5: half of what was asked, less what the schedule may run late; a peer that is asked may take twice as long.
      const beatAfterMs = opened.idleTimeoutMs === 0 ? 0 : Math.max(BEAT_MS_MIN, opened.idleTimeoutMs / 2 - SCHEDULE_LATE_MS)
      this.#idle = new HeartBeat(broker, this, { beatAfterMs, silenceMaxMs: settings.idleTimeoutMs * 2 })
      // What came with Open, before what comes next; not from inside a call of the core.
      this.#inTurn(() => {
        this.#hold(HOLD.login, false)
        this.#work()
      })
    })
  }

  // ---- Inside

  #work(): void {
    try {
      while (this.#step());
    } catch (error) {
      this.#failed(error)
    }
    this.flush()
  }

  /** In a turn of its own, in which nobody else would catch what is thrown. */
  #inTurn(run: () => void): void {
    this.shared.broker.clock.turn(() => {
      try {
        run()
      } catch (error) {
        this.#failed(error)
      }
    })
  }

  /** What is no fault of the client's is ours: it ends this connection, and nothing else. */
  #failed(error: unknown): void {
    if (error instanceof ConnectionFault) {
      this.fail({ condition: error.condition, description: error.message })
      return
    }
    this.shared.log.error({ err: error, remote: this.remote }, 'amqp: a connection failed')
    // What failed may fail again.
    this.#unflushed.clear()
    this.fail(errorOf(error))
  }

  /** Takes one header or frame; false: none is there, or it is not the time. */
  #step(): boolean {
    switch (this.#state) {
      case 'header':
      case 'second': {
        const header = this.#parser.header()
        if (header !== undefined) this.#onHeader(header)
        return header !== undefined
      }
      case 'sasl': {
        const frame = this.#parser.frame(FRAME_SASL)
        if (frame !== undefined) this.#onSasl(frame)
        return frame !== undefined
      }
      case 'greeted':
      case 'open': {
        if (this.#holds & (HOLD.login | HOLD.shares)) return false
        const frame = this.#parser.frame(FRAME_AMQP)
        if (frame !== undefined) this.#onFrame(frame)
        return frame !== undefined
      }
      default:
        return false
    }
  }

  #onHeader(header: Buffer): void {
    if (header.equals(SASL_HEADER) && this.#state === 'header') {
      this.write(SASL_HEADER)
      this.write(saslMechanisms(this.#sasl.mechanisms))
      this.#state = 'sasl'
    } else if (header.equals(AMQP_HEADER)) {
      this.write(AMQP_HEADER)
      const bare = this.#state === 'header'
      this.#state = 'greeted'
      if (bare) this.#loginBare()
    } else {
      // Another protocol or version: we say what we speak, and close (part 2.2).
      this.write(header[4] === 3 || header[4] === 2 ? SASL_HEADER : AMQP_HEADER)
      this.#end('lost')
      this.#wire.end()
    }
  }

  #onSasl(frame: Frame): void {
    const said = readPerformative(this.reader.over(frame.bytes, frame.start, frame.end))
    if (said.kind !== 'sasl-init' && said.kind !== 'sasl-response') {
      this.#saslFailed(1)
      return
    }
    this.#state = 'login'
    this.#hold(HOLD.login, true)
    const step = said.kind === 'sasl-init' ? this.#sasl.begin(said.mechanism, said.response) : this.#sasl.goOn(said.response)
    step.then(
      (answer) => {
        if (answer.kind === 'done') this.principal = answer.principal
        this.#logged(() => this.#saslWent(answer))
      },
      (error: unknown) => {
        this.#logged(() => this.#saslFailed(errorOf(error).condition === 'amqp:unauthorized-access' ? 1 : 4))
      },
    )
  }

  #saslWent({ kind, data }: LoginStep): void {
    this.#state = kind === 'done' ? 'second' : 'sasl'
    this.write(kind === 'done' ? saslOutcome(0, data) : saslChallenge(data))
  }

  #saslFailed(code: number): void {
    this.write(saslOutcome(code))
    this.#end('lost')
    this.#wire.end()
  }

  #onFrame(frame: Frame): void {
    if (frame.start === frame.end) return
    const performative: Performative = readPerformative(this.reader.over(frame.bytes, frame.start, frame.end))
    if (this.#state === 'greeted' && performative.kind !== 'open') {
      throw new ConnectionFault('amqp:not-allowed', 'The first performative of a connection is Open.')
    }
    this.shared.handle(this, frame, performative)
  }

  /** Stops reading for a reason, or takes it back. Whoever tells us twice is heard once. */
  #hold(reason: number, on: boolean): void {
    const before = this.#holds
    this.#holds = on ? before | reason : before & ~reason
    if (before === 0 && this.#holds !== 0) this.#wire.pause()
    if (before !== 0 && this.#holds === 0) this.#wire.resume()
  }

  #end(how: 'clean' | 'lost'): void {
    this.#state = 'ended'
    this.#cancelConnectTimeout()
    this.#idle?.stop()
    for (const channel of this.channels.values()) channel.close(true)
    for (const [key, { link }] of this.#keptHere) this.shared.kept.begin(key, link)
    this.#keptHere.clear()
    for (const link of [...this.lingering]) link.release(true)
    this.channels.clear()
    this.#unflushed.clear()
    this.#topUps.clear()
    this.#after = []
    const session = this.#session
    this.#session = undefined
    session?.close(how)
  }
}

const HOLD = { login: 1, journal: 2, output: 4, shares: 8 } as const
/** Frames that we send are no larger, whatever the client would take: others on the connection want their turn. */
const OUT_FRAME_BYTES_MAX = 262_144
