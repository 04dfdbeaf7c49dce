// A core over a journal in memory, with clients that are objects: for tests of the core that want no sockets and no files.
import { defaults } from '../../src/config/defaults.ts'
import type { Settings } from '../../src/config/settings.ts'
import { MovableClock } from '../../src/clock.ts'
import type {
  Address,
  BrokerError,
  Consumer,
  ConsumerOptions,
  Delivery,
  Identity,
  LogIns,
  Message,
  PublishOptions,
  QueueOptions,
  Replies,
  Session,
  Sink,
  Ticket,
} from '../../src/api.ts'
import { Core } from '../../src/core/core.ts'
import { Replica } from '../../src/core/replica.ts'
import { encodeState } from '../../src/core/snapshot.ts'
import type { Cut } from '../../src/journal/journal.ts'
import { type MemoryJournal, MemoryStore, openMemoryJournal } from '../../src/journal/memory.ts'
import { SeededRandom } from '../../src/random.ts'
import { TestDialect } from './test-dialect.ts'

const SILENT = { debug() {}, info() {}, warn() {}, error() {} }
export const NO_RETAIN: PublishOptions = { retain: 'no', note: 0, transaction: undefined }
export const PERMANENT: QueueOptions = { durable: true, lifetime: 'permanent' }

type Changes = { [Section in 'limits' | 'destinations' | 'failover' | 'journal']?: Partial<Settings[Section]> } & { logins?: LogIns }
type JournalChanges = Omit<Partial<Parameters<typeof openMemoryJournal>[0]>, 'store' | 'clock' | 'listener' | 'visitor'>

/** One node on a store that outlives it: `restart` is kill and takeover. */
export class CoreNode {
  readonly clock: MovableClock
  readonly store: MemoryStore
  readonly changes: Changes
  readonly settings: Settings
  readonly journalChanges: JournalChanges
  core: Core
  journal: MemoryJournal
  /** Messages are of this one, unless they say otherwise. */
  readonly dialect = new TestDialect()
  /** Why leadership was lost, if it was. */
  lost: Error | undefined

  constructor(changes: Changes = {}, journalChanges: JournalChanges = {}, store = new MemoryStore(), clock = new MovableClock()) {
    this.clock = clock
    this.store = store
    this.changes = changes
    this.settings = {
      ...defaults,
      limits: { ...defaults.limits, ...changes.limits },
      destinations: { ...defaults.destinations, redeliveryDelayMs: 0, ...changes.destinations },
      failover: { ...defaults.failover, ...changes.failover },
      journal: { ...defaults.journal, ...changes.journal },
    }
    this.journalChanges = journalChanges
    const started = this.#start()
    this.core = started.core
    this.journal = started.journal
  }

  #start(): { core: Core; journal: MemoryJournal } {
    const { settings } = this
    const makeSnapshot = async (cut: Cut): Promise<void> => {
      const replica = new Replica(settings.destinations)
      this.store.replay(replica, cut.batch)
      this.store.writeSnapshot(cut.batch, encodeState(replica.state))
    }
    const logins = this.changes.logins === undefined ? {} : { logins: this.changes.logins }
    const core = new Core({ clock: this.clock, random: new SeededRandom(1), node: 'a', version: '0', settings, log: SILENT, makeSnapshot, ...logins })
    core.setDialects([this.dialect])
    const journal = openMemoryJournal({
      ...this.journalChanges,
      store: this.store,
      clock: this.clock,
      listener: core.listener,
      visitor: core.visitor,
    })
    core.onLost = (error) => {
      this.lost ??= error
    }
    core.lead(journal)
    return { core, journal }
  }

  /** The process is killed and another takes over: what was not committed is gone. */
  restart(): void {
    void this.core.stop()
    this.lost = undefined
    this.journal.lose(new Error('killed'))
    const started = this.#start()
    this.core = started.core
    this.journal = started.journal
  }

  queue(name: string): Address {
    return this.core.address('queue', name.split('.'))
  }

  topic(name: string): Address {
    return this.core.address('topic', name.split('.'))
  }

  client(identity: Partial<Identity> = {}): Client {
    return new Client(this.core, identity)
  }

  /** Turn by turn until it is so. */
  async until(so: () => boolean): Promise<void> {
    // By time, not by turns: sockets of the kernel may have their part in it.
    for (const patienceUntil = performance.now() + 20_000; !so(); ) {
      if (performance.now() > patienceUntil) throw new Error('it never came to be')
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  /** Until everything that was asked for is committed and told. */
  async settled(): Promise<void> {
    await this.journal.drained()
    for (let i = 0; i < 4; i++) await new Promise((resolve) => setImmediate(resolve))
  }
}

export function message(text: string, changes: Partial<Message> = {}): Message {
  return {
    dialect: 'test',
    head: new Uint8Array(0),
    body: Buffer.from(text),
    durable: true,
    priority: 4,
    expiresAtMs: 0,
    deliverAtMs: 0,
    group: '',
    groupEnds: false,
    ...changes,
  }
}

export function textOf(delivery: Delivery): string {
  return Buffer.from(delivery.message.body).toString()
}

/** A session that remembers what it was told. */
export class Client implements Replies {
  readonly session: Session
  doneUpTo: Ticket = 0
  readonly admissions: Ticket[] = []
  readonly refusals: BrokerError[] = []
  readonly pressures: boolean[] = []
  end: BrokerError | undefined

  constructor(core: Core, identity: Partial<Identity>) {
    this.session = core.open(
      {
        principal: 'anonymous',
        protocol: 'test',
        remote: 'test',
        clientId: '',
        clash: 'take-over',
        keepMs: 0,
        fresh: false,
        will: undefined,
        ...identity,
      },
      this,
    )
  }

  done(upTo: Ticket): void {
    if (upTo < this.doneUpTo) throw new Error(`told ${upTo} after ${this.doneUpTo}`)
    this.doneUpTo = upTo
  }

  admitted(ticket: Ticket): void {
    this.admissions.push(ticket)
  }

  refused(error: BrokerError): void {
    this.refusals.push(error)
  }

  pressure(high: boolean): void {
    this.pressures.push(high)
  }

  ended(error: BrokerError): void {
    this.end = error
  }

  send(to: Address, text: string, changes: Partial<Message> = {}, options = NO_RETAIN): Ticket {
    return this.session.publish(to, message(text, changes), options)
  }

  consume(queue: Address, credit = 1_000, options: Partial<ConsumerOptions> = {}): Taker {
    return new Taker(this.session, [queue], credit, { settle: 'by-binding', exclusive: 'no', priority: 0, ...options })
  }
}

/** A consumer that keeps what it is given. */
export class Taker implements Sink {
  readonly consumer: Consumer
  readonly deliveries: Delivery[] = []
  flushes = 0
  error: BrokerError | undefined

  constructor(session: Session, queues: Parameters<Session['consume']>[0], credit: number, options: ConsumerOptions) {
    const consumer = session.consume(queues, options, this)
    if (consumer === undefined) throw session.refusal ?? new Error('refused without a reason')
    this.consumer = consumer
    if (credit > 0) consumer.grant(credit, 1e9)
  }

  get texts(): string[] {
    return this.deliveries.map(textOf)
  }

  deliver(delivery: Delivery): void {
    this.deliveries.push(delivery)
  }

  flush(): void {
    this.flushes++
  }

  ended(error: BrokerError): void {
    this.error = error
  }

  accept(first: number, last = first, answered = true): Ticket {
    return this.consumer.settle(first, last, { kind: 'accepted' }, answered)
  }
}
