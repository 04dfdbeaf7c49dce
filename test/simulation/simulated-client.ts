// A client of a simulation: it publishes with tickets, consumes, settles with and without an answer, comes back after each failover, and what it is told goes into the
// history. What it does reaches a node as an event of that node's process, so a node that is paused reads it later and one that is dead never does.
import type { Address, BrokerError, Consumer, Delivery, Message, Replies, Session, Sink, Ticket } from '../../src/api.ts'
import type { Random } from '../../src/random.ts'
import type { History, Place, Sent } from './history.ts'
import type { Scheduler } from './scheduler.ts'
import type { SimulatedTerm } from './simulated-node.ts'

export const QUEUES = ['first', 'second', 'third'] as const
/** `topic` reaches these; what is sent to a queue reaches that one. */
const TOPIC_QUEUES = ['second', 'third']

export type ClientOptions = Readonly<{
  name: string
  scheduler: Scheduler
  random: Random
  history: History
  /** Mean time between two things that it does. */
  thinkMs: number
  /** Chance of 100 that a message is large. */
  large: number
  terms: () => readonly SimulatedTerm[]
  deposed: (epoch: number) => boolean
  /** Set by whoever ends the simulation. */
  stopped: () => boolean
}>

export class SimulatedClient {
  readonly options: ClientOptions
  #connection: Connection | undefined
  #numbers = 0

  constructor(options: ClientOptions) {
    this.options = options
  }

  start(): void {
    const { scheduler, random, thinkMs } = this.options
    scheduler.at(scheduler.nowMs + random.below(2 * thinkMs * 16) / 16, undefined, () => {
      if (this.options.stopped()) return
      this.#act()
      this.start()
    })
  }

  nextNumber(): number {
    return ++this.#numbers
  }

  #act(): void {
    const { scheduler, random, terms } = this.options
    if (this.#connection?.over === true || this.#connection?.term.process.dead === true) this.#connection = undefined
    if (this.#connection === undefined) {
      const open = terms()
      if (open.length === 0) return
      this.#connection = new Connection(this, open[random.below(open.length)])
    }
    const connection = this.#connection
    scheduler.at(scheduler.nowMs, connection.term.process, () => connection.read())
  }
}

type Unsettled = { readonly tag: number; readonly place: Place }

class Connection implements Replies {
  over = false
  readonly term: SimulatedTerm
  readonly #client: SimulatedClient
  readonly #options: ClientOptions
  #session: Session | undefined
  #queue: Address | undefined
  #consumer: Consumer | undefined
  readonly #waiting: { readonly ticket: Ticket; readonly sent: Sent | undefined; readonly places: readonly Place[] }[] = []
  readonly #parked: Sent[] = []
  #unsettled: Unsettled[] = []
  #pressed = false

  constructor(client: SimulatedClient, term: SimulatedTerm) {
    this.#client = client
    this.#options = client.options
    this.term = term
  }

  /** What the node does with the client's next bytes. */
  read(): void {
    const { random } = this.#options
    if (this.over || !this.term.isOpen) return
    if (this.#session === undefined) return this.#open()
    if (this.#pressed) return
    const session = this.#session
    if (random.below(60) === 0) return this.#close(session)
    if (random.below(30) === 0) this.#changeQueue(session)
    if (this.#options.history.sent.size < 400) for (let i = random.below(4); i > 0; i--) this.#publish(session)
    for (let i = random.below(4); i > 0; i--) this.#settle()
  }

  #open(): void {
    const { core } = this.term
    const session = core.open(
      {
        principal: 'anonymous',
        protocol: 'test',
        remote: this.#options.name,
        clientId: this.#options.name,
        clash: 'take-over',
        keepMs: 0,
        fresh: true,
        will: undefined,
      },
      this,
    )
    this.#session = session
    for (const name of QUEUES) session.declare(core.address('queue', [name]), { durable: true, lifetime: 'permanent' })
    for (const name of TOPIC_QUEUES) {
      const queue = core.address('queue', [name])
      if (session.boundTo(queue).length === 0)
        session.bind({ pattern: ['topic'], queue, tag: 0, settle: 'unsettled', absent: 'keep', retained: 'never' })
    }
    this.#changeQueue(session)
  }

  #close(session: Session): void {
    this.over = true
    session.close(this.#options.random.below(2) === 0 ? 'clean' : 'lost')
  }

  #changeQueue(session: Session): void {
    const { random } = this.#options
    this.#consumer?.close()
    this.#unsettled = []
    const name = QUEUES[random.below(QUEUES.length)]
    this.#queue = this.term.core.address('queue', [name])
    const sink = new ClientSink((delivery) => this.#delivered(name, delivery))
    this.#consumer = session.consume([this.#queue], { settle: 'unsettled', exclusive: 'no', priority: 0 }, sink)
    this.#consumer?.grant(1 + random.below(10), 1e9)
  }

  #publish(session: Session): void {
    const { random, history, name, large } = this.#options
    const { core } = this.term
    const toTopic = random.below(3) === 0
    const queue = QUEUES[random.below(QUEUES.length)]
    const sizeBytes = random.below(100) < large ? 40_000 + random.below(random.below(4) === 0 ? 300_000 : 100_000) : 20 + random.below(600)
    const durable = random.below(10) > 0
    const sent = history.send({ client: name, number: this.#client.nextNumber(), sizeBytes, durable, queues: toTopic ? TOPIC_QUEUES : [queue] })
    const ticket = session.publish(toTopic ? core.address('topic', ['topic']) : core.address('queue', [queue]), message(sent), {
      retain: 'no',
      note: 0,
      transaction: undefined,
    })
    if (ticket > 0) this.#waiting.push({ ticket, sent, places: [] })
    else if (ticket < 0) this.#parked.push(sent)
    else history.refused(sent)
  }

  #delivered(queue: string, delivery: Delivery): void {
    const { history, deposed } = this.#options
    const { term } = this
    const { process, epoch } = term
    const higher = deposed(epoch)
    const got = history.delivered(delivery.message.body, queue, `${delivery.ref.queue}:${delivery.ref.sequence}`, epoch, higher, process.name)
    if (got === undefined) return
    if (process.wokeMs > 0 && deposedBefore(term, process.wokeMs))
      history.violate(
        'look-after-stall',
        `${process.name}, stopped until ${process.wokeMs}, delivers ${got.sent.id} of epoch ${epoch} though a higher claim was there when it went on`,
      )
    this.#unsettled.push({ tag: delivery.tag, place: got.place })
  }

  #settle(): void {
    const { random, history } = this.#options
    const consumer = this.#consumer
    if (consumer === undefined || this.#unsettled.length === 0) return
    const at = random.below(3) === 0 ? random.below(this.#unsettled.length) : 0
    const [{ tag, place }] = this.#unsettled.splice(at, 1)
    if (random.below(6) === 0) {
      consumer.settle(tag, tag, { kind: 'released', afterMs: 0 }, false)
      consumer.grant(1, 0)
      return
    }
    const answered = random.below(2) === 0
    const ticket = consumer.settle(tag, tag, { kind: 'accepted' }, answered)
    consumer.grant(1, 0)
    if (ticket === 0) return
    place.settled = 'asked'
    place.epoch = this.term.epoch
    place.batch = Number.POSITIVE_INFINITY
    if (answered) this.#waiting.push({ ticket, sent: undefined, places: [place] })
    const { journal, process } = this.term
    process.clock.turn(() => {
      // The core has told the journal by now: with the batch that gathers, or an earlier one.
      if (place.settled === 'asked' && place.epoch === this.term.epoch) place.batch = journal.gathering
    })
    history.trace(`${this.#options.name} settles ${tag}${answered ? ' answered' : ''}`)
  }

  // ---- What it is told

  done(upTo: Ticket): void {
    const { history } = this.#options
    while (this.#waiting.length > 0 && this.#waiting[0].ticket <= upTo) {
      const first = this.#waiting.shift()
      if (first?.sent !== undefined) history.acknowledged(first.sent)
      for (const place of first?.places ?? []) history.answered(place)
    }
  }

  admitted(ticket: Ticket): void {
    const sent = this.#parked.shift()
    if (sent !== undefined) this.#waiting.push({ ticket, sent, places: [] })
  }

  refused(_error: BrokerError): void {
    const sent = this.#parked.shift()
    if (sent !== undefined) this.#options.history.refused(sent)
  }

  pressure(high: boolean): void {
    this.#pressed = high
  }

  ended(_error: BrokerError): void {
    this.over = true
  }
}

export class ClientSink implements Sink {
  readonly #delivered: (delivery: Delivery) => void

  constructor(delivered: (delivery: Delivery) => void) {
    this.#delivered = delivered
  }

  deliver(delivery: Delivery): void {
    this.#delivered(delivery)
  }

  flush(): void {}

  ended(): void {}
}

const deposedBefore = (term: SimulatedTerm, ms: number): boolean => term.node.options.deposedSince(term.epoch) < ms

function message(sent: Sent): Message {
  return {
    dialect: 'test',
    head: new Uint8Array(0),
    body: sent.body,
    durable: sent.durable,
    priority: 4,
    expiresAtMs: 0,
    deliverAtMs: 0,
    group: '',
    groupEnds: false,
  }
}
