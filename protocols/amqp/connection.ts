// One AMQP client's connection: its state, its channels, what it owes, and what closes it. What each performative does is in on/.
// Not here: bytes ↔ frames (codec.ts), headers and log-in (greeting.ts), sessions of AMQP (channel.ts), links (incoming-link.ts, outgoing-link.ts).
//
//     greeting ─our header─▶ greeted ─Open─▶ opening ─committed─▶ open ─Close─▶ ended
//         └───── Close with an error, silence, or the wire gone ────┴─────────────▶ ended
import type { BrokerError, Connection, Replies, Session, Ticket, Wire } from '../../src/api.ts'
import { HeartBeat, type HeartBeatOwner, SCHEDULE_LATE_MS } from '../shared/heart-beat.ts'
import { SOLE_CONNECTION } from './capabilities.ts'
import type { Channel } from './channel.ts'
import { AMQP_HEADER, FRAME_AMQP, type Frame, Parser } from './codec.ts'
import { Committed } from './committed.ts'
import { type AmqpError, ConnectionFault, errorOf, fault } from './errors.ts'
import { close, HEARTBEAT } from './frames.ts'
import { Greeting, type GreetingOwner } from './greeting.ts'
import type { IncomingLink } from './incoming-link.ts'
import { Names } from './names.ts'
import { Nodes } from './nodes.ts'
import { type Open, type Performative, readPerformative } from './performatives.ts'
import { TermReader } from './reader.ts'
import type { Shared } from './shared.ts'
import { Shares, type SharesOwner } from './shares.ts'
import { Transactions } from './transactions.ts'
import { Turns, type TurnsOwner } from './turns.ts'

/** However often a peer wants a sign of life: so often the schedule can give one, and no more. */
const BEAT_MS_MIN = 100

type State = 'greeting' | 'greeted' | 'opening' | 'open' | 'ended'

export class AmqpConnection implements Connection, Replies, HeartBeatOwner, GreetingOwner, SharesOwner, TurnsOwner {
  readonly shared: Shared
  readonly reader: TermReader
  readonly channels = new Map<number, Channel>()
  /** Links that are detached and have messages that wait for room. */
  readonly lingering = new Set<IncomingLink>()
  readonly transactions = new Transactions()
  readonly names: Names
  readonly nodes: Nodes
  readonly turns: Turns
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
  readonly #greeting: Greeting
  readonly #shares: Shares
  #state: State = 'greeting'
  #session: Session | undefined
  #idle: HeartBeat | undefined
  #holds = 0
  #pressures = 0
  #partialBytes = 0
  readonly #committed = new Committed()
  #cancelConnectTimeout: () => void

  constructor(shared: Shared, wire: Wire) {
    const { settings } = shared
    this.shared = shared
    this.#wire = wire
    this.id = shared.connectionId()
    this.reader = new TermReader(settings)
    this.#parser = new Parser(settings.frameBytesMax, settings.sessionsMax - 1)
    this.#greeting = new Greeting(this, shared.broker, wire)
    this.#shares = new Shares(this)
    this.names = new Names(this)
    this.nodes = new Nodes(this)
    this.turns = new Turns(this)
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

  get secure(): boolean {
    return this.#wire.secure
  }

  /** Only performatives of an open connection reach a handler. */
  get session(): Session {
    if (this.#session === undefined) throw new Error('a performative was handled without a session')
    return this.#session
  }

  get sessionIfOpen(): Session | undefined {
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
      else channel.outbox.pump()
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
    this.#committed.done(upTo)
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
    this.#committed.after(ticket, run)
  }

  flush(): void {
    this.turns.flush()
  }

  /** Does what may be much for one turn in shares, until there is no more, and then what follows. Meanwhile nothing else is heard of this client. */
  inShares(share: () => boolean, whenDone?: () => void): void {
    this.#shares.run(share, whenDone)
  }

  holdForShares(on: boolean): void {
    this.#hold(HOLD.shares, on)
    if (!on) this.#work()
  }

  /** More (or fewer) bytes of unfinished messages; false: too many. */
  keepPartial(bytes: number): boolean {
    this.#partialBytes += bytes
    return this.#partialBytes <= this.shared.settings.partialBytesMax
  }

  /** The client closes (part 2.7.9): our Close answers it. */
  leave(): void {
    this.write(close(undefined))
    this.#end('clean')
    this.#wire.end()
  }

  hangUp(): void {
    this.#end('lost')
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
    if (this.#state === 'greeting' && this.#greeting.silent) this.write(AMQP_HEADER)
    if (this.#state === 'greeted' || this.#state === 'opening') this.write(this.shared.openFrame(this))
    if (this.#state === 'greeted' || this.#state === 'opening' || this.#state === 'open') this.write(close(error))
    this.hangUp()
  }

  // ---- The greeting

  is(principal: string): void {
    this.principal = principal
  }

  greeted(): void {
    this.#state = 'greeted'
  }

  holdForLogin(on: boolean): void {
    this.#hold(HOLD.login, on)
    if (!on) this.#work()
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
      this.inTurn(() => this.holdForLogin(false))
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
  inTurn(run: () => void): void {
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
    this.turns.forget()
    this.fail(errorOf(error))
  }

  /** Takes one header or frame; false: none is there, or it is not the time. */
  #step(): boolean {
    switch (this.#state) {
      case 'greeting':
        return this.#greeting.step(this.#parser)
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
    this.names.beginAll()
    for (const link of [...this.lingering]) link.release(true)
    this.channels.clear()
    this.turns.clear()
    this.#committed.clear()
    const session = this.#session
    this.#session = undefined
    session?.close(how)
  }
}

const HOLD = { login: 1, journal: 2, output: 4, shares: 8 } as const
/** Frames that we send are no larger, whatever the client would take: others on the connection want their turn. */
const OUT_FRAME_BYTES_MAX = 262_144
