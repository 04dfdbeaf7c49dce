// The core and the client that the tests of one connection play: what the core answers and when, and what was written. With the real core: fake-node.ts.
import { expect } from 'vitest'
import type {
  Address,
  Binding,
  Bound,
  Broker,
  BrokerError,
  Consumer,
  ConsumerOptions,
  Delivery,
  Log,
  Message,
  Outcome,
  PublishOptions,
  QueueOptions,
  Replies,
  Session,
  Sink,
  Transaction,
  Wire,
} from '../../src/api.ts'
import { MovableClock } from '../../src/clock.ts'
import { CodedError } from '../../src/errors.ts'
import stomp from './index.ts'
import { schema } from './settings.ts'

function defaults(): Record<string, unknown> {
  const { properties } = schema as { properties: Record<string, { default: unknown }> }
  return Object.fromEntries(Object.entries(properties).map(([name, property]) => [name, property.default]))
}

export function address(kind: Address['kind'], path: readonly string[], namespace = ''): Address {
  return { kind, path, namespace }
}

function nameOf({ kind, path, namespace }: Address): string {
  return `${namespace === '' ? '' : `${namespace}:`}/${kind}/${path.join('.')}`
}

export function send(destination: string, body: string, headers = ''): string {
  return `SEND\ndestination:${destination}\n${headers === '' ? '' : `${headers}\n`}\n${body}\0`
}

export function start(settings: Record<string, unknown> = {}) {
  const clock = new MovableClock()
  const core = new PlayedCore(clock)
  const nothing = () => {}
  const log: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing }
  const front = stomp.start(core, { ...defaults(), ...settings }, log)
  const client = new PlayedClient()
  client.connection = front.accept(client)
  return { clock, core, client }
}

export async function connected(settings: Record<string, unknown> = {}, headers = '', version = '1.2') {
  const played = start(settings)
  const accept = version === '1.0' ? '' : `accept-version:${version}\n`
  played.client.send(`CONNECT\n${accept}${headers === '' ? '' : `${headers}\n`}\n\0`)
  await played.client.turn()
  played.core.done()
  await played.client.turn()
  expect(played.client.text()).toContain(`CONNECTED\nversion:${version}\n`)
  return played
}

export async function subscribed(mode: string, settings: Record<string, unknown> = {}, version = '1.2') {
  const played = await connected(settings, '', version)
  played.client.send(`SUBSCRIBE\nid:s\ndestination:/queue/a\nack:${mode}\n\n\0`)
  return played
}

export class PlayedClient implements Wire {
  readonly remote = 'test:1'
  readonly secure = false
  backlogBytes = 0
  paused = 0
  ended = false
  connection: ReturnType<ReturnType<typeof stomp.start>['accept']> = undefined as never
  #written: Buffer[] = []

  send(text: string): void {
    this.connection.data(Buffer.from(text))
  }

  /** What was written since the last look. */
  text(): string {
    const text = Buffer.concat(this.#written).toString()
    this.#written = []
    return text
  }

  turn(): Promise<void> {
    return new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
  }

  write(bytes: Uint8Array): void {
    if (this.ended) throw new Error('written after the end')
    this.#written.push(Buffer.from(bytes))
  }
  room: Buffer = Buffer.alloc(0)
  reserve(bytes: number): number {
    if (this.ended) throw new Error('written after the end')
    this.room = Buffer.alloc(bytes)
    this.#written.push(this.room)
    return 0
  }
  trim(bytes: number): void {
    const last = this.#written.pop()
    if (last !== undefined) this.#written.push(last.subarray(0, last.length - bytes))
  }
  pause(): void {
    this.paused++
  }
  resume(): void {
    this.paused--
  }
  end(): void {
    this.ended = true
  }
  destroy(): void {
    this.ended = true
  }
}

export class PlayedConsumer implements Consumer {
  credit = 0
  creditBytes = 0
  stalled = false
  closed = false
  readonly core: PlayedCore
  readonly queues: string[]
  readonly options: ConsumerOptions
  readonly sink: Sink
  readonly unsettled = new Set<number>()

  constructor(core: PlayedCore, queues: string[], options: ConsumerOptions, sink: Sink) {
    this.core = core
    this.queues = queues
    this.options = options
    this.sink = sink
  }

  grant(messages: number, bytes: number): void {
    this.credit += messages
    this.creditBytes += bytes
  }
  stall(stalled: boolean): void {
    this.stalled = stalled
  }
  add(): boolean {
    return true
  }
  drop(): void {}
  settle(first: number, last: number, outcome: Outcome, answered: boolean): number {
    let any = false
    for (let tag = first; tag <= last; tag++) any = this.unsettled.delete(tag) || any
    if (!any) return 0
    this.core.settled.push([first, last, outcome.kind, answered])
    this.core.outcomes.push(outcome)
    this.core.settledBy.push(this.core.consumers.indexOf(this))
    return this.core.ticket()
  }
  settleIn(transaction: Transaction, first: number, last: number, outcome: Outcome): number {
    for (let tag = first; tag <= last; tag++) if (!this.unsettled.has(tag)) return 0
    ;(transaction as PlayedTransaction).did.push(`${outcome.kind} ${first}-${last}`)
    return this.core.ticket()
  }
  pass(): undefined {
    throw new Error('not for STOMP')
  }

  mark(): number {
    return this.core.ticket()
  }
  whenIdle(): void {}

  close(): void {
    this.closed = true
  }
}

type Played = {
  tag: number
  sequence?: number
  queueNumber?: number
  message?: { head?: string; body?: string; dialect?: string }
  maybeSeen?: boolean
  retained?: boolean
  dead?: Delivery['dead']
  queue?: Address
}

export class PlayedTransaction implements Transaction {
  readonly did: string[] = []
  readonly core: PlayedCore
  /** Settlements that it has. */
  claimed = 0
  doomed: BrokerError | undefined

  constructor(core: PlayedCore) {
    this.core = core
  }
  doom(error: BrokerError): void {
    this.doomed = error
  }
  commit(): number {
    this.did.push('commit')
    if (this.doomed !== undefined) this.core.refusal = this.doomed
    return this.doomed === undefined ? this.core.ticket() : 0
  }
  rollback(): number {
    this.did.push('rollback')
    return this.core.ticket()
  }
  giveBack(count: number): boolean {
    if (this.claimed > 0) this.did.push(`give back ${count}`)
    this.claimed = Math.max(0, this.claimed - count)
    return this.claimed > 0
  }
}

export class PlayedCore implements Broker, Session {
  selectorFault(text: string): BrokerError | undefined {
    return text === 'wrong' ? new CodedError('invalid', 'the selector is wrong') : undefined
  }

  readonly transactions: PlayedTransaction[] = []
  readonly publishedIn: Transaction[] = []
  transactionsMax = 100

  begin(): Transaction | undefined {
    if (this.transactions.length >= this.transactionsMax) {
      this.refusal = new CodedError('limit', 'too many transactions')
      return undefined
    }
    const transaction = new PlayedTransaction(this)
    this.transactions.push(transaction)
    return transaction
  }

  readonly node = 'a'
  readonly version = '0'
  readonly mechanisms = []
  authenticateBy(): undefined {
    return undefined
  }
  readonly resumed = false
  readonly keepMs = 0
  readonly unheard = false
  readonly notes = new Set<number>()
  readonly held = []
  opened = 0
  refusal: BrokerError | undefined
  readonly clock: MovableClock
  login: unknown
  clientId = ''
  loginError: Error | undefined
  replies: Replies | undefined
  full = false
  inUse = false
  refuseNext: BrokerError | undefined
  closed: string | undefined
  readonly missing = new Set<string>()
  readonly published: (Omit<Message, 'body'> & { to: string; retain: string })[] = []
  readonly declared: [string, QueueOptions][] = []
  readonly bound: object[] = []
  readonly released: string[] = []
  readonly removed: string[] = []
  readonly settled: [number, number, string, boolean][] = []
  readonly settledBy: number[] = []
  readonly outcomes: Outcome[] = []
  readonly consumers: PlayedConsumer[] = []
  #tickets = 0

  constructor(clock: MovableClock) {
    this.clock = clock
  }

  // As the test plays it.
  ticket(): number {
    return ++this.#tickets
  }
  done(): void {
    this.replies?.done(this.#tickets)
  }
  admit(): void {
    this.replies?.admitted(this.ticket())
  }
  deliver(index: number, played: Played): void {
    const consumer = this.consumers[index]
    const { head = '', body = 'body', dialect = 'stomp' } = played.message ?? {}
    const queue = played.queue ?? address('queue', ['a'])
    if (played.tag !== 0) consumer.unsettled.add(played.tag)
    consumer.credit--
    consumer.creditBytes -= head.length + body.length
    consumer.sink.deliver({
      tag: played.tag,
      message: {
        dialect,
        head: Buffer.from(head),
        body: Buffer.from(body),
        durable: false,
        priority: 4,
        expiresAtMs: 0,
        deliverAtMs: 0,
        group: '',
        groupEnds: false,
      },
      to: address('queue', ['a']),
      ref: { queue: played.queueNumber ?? 5, sequence: played.sequence ?? 1 },
      queue,
      mode: played.tag === 0 ? 'settled' : 'unsettled',
      tags: [],
      attempts: 1,
      failures: 0,
      maybeSeen: played.maybeSeen ?? false,
      groupFirst: false,
      mark: 0,
      acceptedAtMs: 0,
      retained: played.retained ?? false,
      dead: played.dead,
      added: undefined,
    })
    consumer.sink.flush()
  }

  // Broker
  address = address
  compositeMax = 100
  virtualQueue(): undefined {}
  composite(parts: readonly Address[]): Address {
    return { ...parts[0], parts }
  }
  async authenticate(login: Parameters<Broker['authenticate']>[0]): Promise<string> {
    this.login = { user: login.user, password: login.password === undefined ? undefined : Buffer.from(login.password).toString() }
    if (this.loginError !== undefined) throw this.loginError
    return 'me'
  }
  open(identity: Parameters<Broker['open']>[0], replies: Replies): Session {
    this.clientId = identity.clientId
    this.replies = replies
    this.opened = this.ticket()
    return this
  }
  translate(message: Message): Message | undefined {
    return message.dialect === 'impossible' ? undefined : { ...message, dialect: 'stomp', body: Buffer.from('translated') }
  }
  canonical(): undefined {
    return undefined
  }
  schedule(delayMs: number, run: () => void): () => void {
    return this.clock.after(delayMs, run)
  }
  pair: readonly string[] = []

  pairAddresses(): readonly string[] {
    return this.pair
  }

  figures(): ReturnType<Broker['figures']> {
    return { startedAtMs: 1 } as ReturnType<Broker['figures']>
  }

  // Session
  publish(to: Address, message: Message, options: PublishOptions): number {
    const error = this.refuseNext ?? (this.missing.has(nameOf(to)) ? new CodedError('not-found', 'there is no queue') : undefined)
    this.refuseNext = undefined
    if (error !== undefined) {
      this.refusal = error
      return 0
    }
    const { body: _, ...rest } = message
    this.published.push({ ...rest, to: nameOf(to), retain: options.retain })
    if (options.transaction !== undefined) this.publishedIn.push(options.transaction)
    return this.full ? -1 : this.ticket()
  }
  repeat(): number {
    return this.ticket()
  }
  declare(queue: Address, options: QueueOptions): number {
    this.missing.delete(nameOf(queue))
    this.declared.push([nameOf(queue), options])
    return this.ticket()
  }
  remove(queue: Address): number {
    this.removed.push(nameOf(queue))
    return this.ticket()
  }
  hold(): number {
    return this.ticket()
  }
  release(queue: Address): number {
    this.released.push(nameOf(queue))
    return this.ticket()
  }
  bind(binding: Binding): number {
    this.bound.push({ queue: nameOf(binding.queue), pattern: binding.pattern, settle: binding.settle, retained: binding.retained })
    return this.ticket()
  }
  boundTo(): readonly Bound[] {
    return []
  }

  unbind(): number {
    return this.ticket()
  }
  consume(queues: readonly Address[], options: ConsumerOptions, sink: Sink): Consumer | undefined {
    if (this.inUse) {
      this.refusal = new CodedError('in-use', 'in use')
      return undefined
    }
    const consumer = new PlayedConsumer(this, queues.map(nameOf), options, sink)
    this.consumers.push(consumer)
    return consumer
  }
  browse(): undefined {
    this.refusal = { name: 'E', message: 'browse is played elsewhere', code: 'internal' }
    return undefined
  }
  pull(): undefined {
    return undefined
  }
  settleRef(): number {
    return 0
  }
  note(): number {
    return this.ticket()
  }
  close(how: 'clean' | 'lost'): void {
    this.closed = how
  }
}
