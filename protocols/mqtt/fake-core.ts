// For tests: a core that does what it is told, so that what a connection asks of it, and when it answers, can be looked at call by call.
// Nothing is committed before the test says so. How the real core behaves is not shown here, but in end-to-end.test.ts.
import type {
  Address,
  Binding,
  Broker,
  BrokerError,
  Consumer,
  Delivery,
  Held,
  Identity,
  Log,
  LoginSteps,
  Message,
  Outcome,
  Bound,
  Replies,
  Session,
  Sink,
  Wire,
} from '../../src/api.ts'
import { MovableClock } from '../../src/clock.ts'
import { CodedError } from '../../src/errors.ts'
import { MqttConnection } from './connection.ts'
import { newMessage } from './format.ts'
import { newFront } from './index.ts'
import { defaults, type MqttSettings } from './settings.ts'

export class FakeWire implements Wire {
  readonly remote = '127.0.0.1:1'
  readonly secure = false
  readonly backlogBytes = 0
  readonly pieces: Uint8Array[] = []
  state: 'open' | 'ended' | 'destroyed' = 'open'
  pauses = 0

  write(bytes: Uint8Array): void {
    if (this.state === 'open') this.pieces.push(bytes)
  }

  room: Buffer = Buffer.alloc(0)

  reserve(bytes: number): number {
    this.room = Buffer.alloc(bytes)
    this.write(this.room)
    return 0
  }

  trim(bytes: number): void {
    const last = this.pieces.pop()
    if (last !== undefined) this.pieces.push(last.subarray(0, last.length - bytes))
  }

  pause(): void {
    this.pauses++
  }

  resume(): void {
    this.pauses--
  }

  end(): void {
    if (this.state === 'open') this.state = 'ended'
  }

  destroy(): void {
    this.state = 'destroyed'
  }

  /** What was written since it was asked last, in hexadecimal. */
  taken(): string {
    return Buffer.concat(this.pieces.splice(0)).toString('hex')
  }
}

export class FakeConsumer implements Consumer {
  readonly calls: string[] = []
  readonly queues: Address[]
  readonly sink: Sink
  readonly #session: FakeSession

  constructor(session: FakeSession, queues: readonly Address[], sink: Sink) {
    this.#session = session
    this.queues = [...queues]
    this.sink = sink
  }

  grant(messages: number, bytes: number): void {
    this.calls.push(`grant ${messages} ${bytes}`)
  }

  settleIn(): number {
    throw new Error('MQTT has no transactions')
  }

  stall(stalled: boolean): void {
    this.calls.push(`stall ${stalled}`)
  }

  add(queue: Address): boolean {
    this.queues.push(queue)
    return true
  }

  drop(queue: Address): void {
    this.calls.push(`drop ${queue.path.join('|')}`)
  }

  settle(first: number, last: number, outcome: Outcome, answered: boolean): number {
    this.calls.push(`settle ${first}-${last} ${outcome.kind}${answered ? ' answered' : ''}`)
    return this.#session.ticket()
  }

  mark(tag: number, mark: number): number {
    this.calls.push(`mark ${tag} ${mark}`)
    return this.#session.ticket()
  }

  pass(tag: number, to: Address, back: boolean) {
    this.calls.push(`pass ${tag} ${to.path.join('|')}${back ? ' back' : ''}`)
    return { ticket: this.#session.ticket(), ref: { queue: 1, sequence: 100 + tag } }
  }

  whenIdle(): void {}

  close(): void {
    this.calls.push('close')
  }

  /** What it was told since it was asked last. */
  taken(): string[] {
    return this.calls.splice(0)
  }

  /** One run of deliveries. */
  give(...deliveries: Partial<Delivery>[]): void {
    for (const delivery of deliveries) this.sink.deliver({ ...ORDINARY, queue: this.queues[0], ...delivery })
    this.sink.flush()
  }
}

const ORDINARY: Omit<Delivery, 'queue'> = {
  tag: 0,
  message: newMessage(0, false, Buffer.from('m')),
  to: { namespace: '', kind: 'topic', path: ['a'] },
  ref: { queue: 1, sequence: 1 },
  mode: 'settled',
  tags: [2],
  attempts: 1,
  failures: 0,
  maybeSeen: false,
  groupFirst: false,
  mark: 0,
  acceptedAtMs: 0,
  retained: false,
  dead: undefined,
  added: undefined,
}

export class FakeSession implements Session {
  readonly identity: Identity
  readonly replies: Replies
  readonly calls: string[] = []
  readonly published: { to: Address; message: Message }[] = []
  readonly bindings: Binding[] = []
  readonly notes = new Set<number>()
  readonly opened: number
  resumed = false
  keepMs = 0
  unheard = false
  refusal: BrokerError | undefined = undefined
  held: Held[] = []
  consumer: FakeConsumer | undefined = undefined
  /** What the next publishes are: taken, parked or refused. */
  room: 'taken' | 'parked' | CodedError = 'taken'
  /** What `close` said of it. */
  keptMs: number | undefined = undefined
  bindRefusal: CodedError | undefined = undefined
  #tickets = 0

  constructor(identity: Identity, replies: Replies) {
    this.identity = identity
    this.replies = replies
    this.opened = this.ticket()
  }

  ticket(): number {
    return ++this.#tickets
  }

  /** Everything so far is durable. */
  commit(): void {
    this.replies.done(this.#tickets)
  }

  taken(): string[] {
    return this.calls.splice(0)
  }

  publish(to: Address, message: Message, options: Readonly<{ retain: string; note: number }>): number {
    if (this.room instanceof CodedError) {
      this.refusal = this.room
      return 0
    }
    this.calls.push(`publish ${to.kind} ${to.path.join('|')} ${Buffer.from(message.body).toString()} ${options.retain} ${options.note}`)
    this.published.push({ to, message })
    if (this.room === 'parked') return -1
    if (options.note !== 0) this.notes.add(options.note)
    return this.ticket()
  }

  repeat(): number {
    throw new Error('MQTT 3.1.1 schedules nothing')
  }

  declare(queue: Address, options: Readonly<{ durable: boolean; lifetime: string }>): number {
    this.calls.push(`declare ${queue.namespace} ${queue.path.join('|')} ${options.durable ? 'durable' : 'volatile'} ${options.lifetime}`)
    return this.ticket()
  }

  remove(): number {
    return this.ticket()
  }

  hold(queue: Address, tag: number): number {
    this.calls.push(`hold ${queue.path.join('|')} ${tag}`)
    return this.ticket()
  }

  release(queue: Address): number {
    this.calls.push(`release ${queue.path.join('|')}`)
    return this.ticket()
  }

  bind(binding: Binding): number {
    if (this.bindRefusal !== undefined) {
      this.refusal = this.bindRefusal
      return 0
    }
    this.calls.push(`bind ${JSON.stringify(binding.pattern)} ${binding.tag} ${binding.settle} ${binding.absent} ${binding.retained}`)
    this.bindings.push(binding)
    return this.ticket()
  }

  boundTo(): readonly Bound[] {
    return []
  }

  unbind(_queue: Address, pattern: Binding['pattern']): number {
    this.calls.push(`unbind ${JSON.stringify(pattern)}`)
    return this.ticket()
  }

  consume(queues: readonly Address[], _options: unknown, sink: Sink): Consumer {
    this.calls.push(`consume ${queues.map((queue) => queue.path.join('|')).join(' ')}`)
    this.consumer = new FakeConsumer(this, queues, sink)
    return this.consumer
  }

  browse(): undefined {
    return undefined
  }

  pull(): undefined {
    return undefined
  }

  settleRef(): number {
    return this.ticket()
  }

  begin(): undefined {
    throw new Error('MQTT has no transactions')
  }

  note(key: number, set: boolean): number {
    this.calls.push(`note ${key} ${set}`)
    if (set) this.notes.add(key)
    else this.notes.delete(key)
    return this.ticket()
  }

  close(how: 'clean' | 'lost', keepMs?: number): void {
    this.calls.push(`close ${how}`)
    this.keptMs = keepMs
  }
}

export class FakeBroker implements Broker {
  readonly clock = new MovableClock()
  readonly startedAtMs = this.clock.wallMs() - 5000
  readonly node = 'n'
  readonly version = '0'
  readonly sessions: FakeSession[] = []
  readonly logged: string[] = []
  loginRefusal: CodedError | undefined = undefined
  openRefusal: CodedError | undefined = undefined
  /** Applied to a session before it is given out. */
  prepare: (session: FakeSession) => void = () => {}
  translations = new Map<Message, Message>()

  compositeMax = 100
  virtualQueue(): undefined {}
  composite(parts: readonly Address[]): Address {
    return { ...parts[0], parts }
  }

  address(kind: Address['kind'], path: readonly string[], namespace = ''): Address {
    return { namespace, kind, path }
  }

  readonly mechanisms = []
  /** By mechanism. */
  readonly logins = new Map<string, LoginSteps>()
  authenticateBy(mechanism: string): LoginSteps | undefined {
    return this.logins.get(mechanism)
  }

  authenticate(): Promise<string> {
    return this.loginRefusal === undefined ? Promise.resolve('somebody') : Promise.reject(this.loginRefusal)
  }

  open(identity: Identity, replies: Replies): Session {
    if (this.openRefusal !== undefined) throw this.openRefusal
    const session = new FakeSession(identity, replies)
    this.prepare(session)
    this.sessions.push(session)
    return session
  }

  translate(message: Message): Message | undefined {
    return this.translations.get(message)
  }

  canonical(): undefined {
    return undefined
  }

  schedule(delayMs: number, run: () => void): () => void {
    return this.clock.after(delayMs, run)
  }

  pairAddresses(): readonly string[] {
    return []
  }

  selectorFault(): undefined {
    return undefined
  }

  figures() {
    return {
      startedAtMs: this.startedAtMs,
      connections: 1,
      connectionsTotal: 2,
      sessionsOpen: 2,
      sessions: 3,
      bindings: 4,
      queues: 5,
      retained: 6,
      entries: 7,
      messagesIn: 8,
      messagesOut: 9,
      bytesIn: 10,
      bytesOut: 11,
      dropped: 12,
    }
  }
}

/** One connection at a broker of its own. */
export class Client {
  readonly broker = new FakeBroker()
  readonly wire = new FakeWire()
  readonly connection: MqttConnection

  constructor(settings: Partial<MqttSettings> = {}) {
    const note = (_fields: unknown, message: string) => void this.broker.logged.push(message)
    const log: Log = { debug: note, info: note, warn: note, error: note }
    this.connection = new MqttConnection(newFront(this.broker, { ...defaults, ...settings }, log), this.wire)
  }

  get session(): FakeSession {
    return this.broker.sessions[this.broker.sessions.length - 1]
  }

  get consumer(): FakeConsumer {
    if (this.session.consumer === undefined) throw new Error('nothing was subscribed to')
    return this.session.consumer
  }

  /** Bytes in hexadecimal; blanks do not count. */
  send(hex: string): void {
    this.connection.data(Buffer.from(hex.replace(/ /g, ''), 'hex'))
  }

  /** Lets promises and turns come to their end. */
  async turn(): Promise<void> {
    for (let i = 0; i < 3; i++) await new Promise(setImmediate)
  }

  /** CONNECT, session, commit, CONNACK. */
  async connect(hex: string = CONNECT): Promise<void> {
    this.send(hex)
    await this.turn()
    this.session.commit()
    await this.turn()
    this.wire.taken()
    this.session.taken()
  }
}

/** MQTT 3.1.1, clean, keep-alive 60, client `a`. */
export const CONNECT = '100d 0004 4d515454 04 02 003c 0001 61'
/** The same, not clean. */
export const CONNECT_KEPT = '100d 0004 4d515454 04 00 003c 0001 61'
