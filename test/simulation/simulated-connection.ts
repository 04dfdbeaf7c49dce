// One connection of a simulated client: what a node does with what it sends, and what the client makes of what it is told.
import type { Address, BrokerError, Consumer, Delivery, Message, Replies, Session, Sink, Ticket, Transaction } from '../../src/api.ts'
import type { Random } from '../../src/random.ts'
import { headers } from '../support/test-dialect.ts'
import type { Process } from './scheduler.ts'
import type { ClientOptions, SimulatedClient } from './simulated-client.ts'
import type { Place, Sent } from './sent.ts'
import type { SimulatedTerm } from './simulated-node.ts'
import type { Work } from './work.ts'

export const QUEUES = ['first', 'second', 'third'] as const
/** `topic` reaches these; what is sent to a queue reaches that one. */
const TOPIC_QUEUES = ['second', 'third']
/** This one of them, in a world with selectors, only with what is of this colour. */
const [, SELECTED] = TOPIC_QUEUES
const COLOURS = ['red', 'blue'] as const
export const SELECTORS = { red: "colour = 'red'", blue: "colour LIKE 'b%'" } as const
const GROUPS = ['', '', '', 'g', 'h', 'i'] as const
const PRIORITIES = [4, 4, 4, 4, 0, 9] as const

type Unsettled = { readonly tag: number; readonly place: Place; readonly sent: Sent; readonly queue: string }
type Claimed = Unsettled & { readonly consumer: Consumer }
type Open = { readonly work: Work; readonly transaction: Transaction; readonly claimed: Claimed[] }

export class Connection implements Replies {
  over = false
  readonly term: SimulatedTerm
  readonly #client: SimulatedClient
  readonly #options: ClientOptions
  #session: Session | undefined
  #queue: Address | undefined
  #consumer: Consumer | undefined
  #colour: (typeof COLOURS)[number] | undefined
  readonly #waiting: { readonly ticket: Ticket; readonly sent?: Sent; readonly places?: readonly Place[]; readonly work?: Work }[] = []
  readonly #parked: (Sent | Open)[] = []
  #open: Open | undefined
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
    if (this.#session === undefined) return this.#connect()
    if (this.#pressed) return
    const session = this.#session
    if (random.below(60) === 0) return this.#close(session)
    if (random.below(30) === 0) this.#changeQueue(session)
    if (this.#options.depth?.below(this.#open === undefined ? 20 : 6) === 0) this.#transact(session)
    if (this.#options.history.sent.size < 400) for (let i = random.below(4); i > 0; i--) this.#publish(session)
    for (let i = random.below(4); i > 0; i--) this.#settle()
  }

  #connect(): void {
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
      const selector = this.#options.depth !== undefined && name === SELECTED ? SELECTORS.red : undefined
      if (session.boundTo(queue).length === 0)
        session.bind({ pattern: ['topic'], queue, tag: 0, settle: 'unsettled', absent: 'keep', retained: 'never', selector })
    }
    this.#changeQueue(session)
  }

  #close(session: Session): void {
    this.over = true
    session.close(this.#options.random.below(2) === 0 ? 'clean' : 'lost')
    this.lost()
    if (this.#consumer !== undefined) this.term.groups.gone(this.#consumer)
  }

  end(): void {
    if (!this.over && this.#session !== undefined) this.#close(this.#session)
  }

  /** What is open is undone, and so is a commit that waited for room with its sends; what else was to be committed and has no answer may be either. */
  lost(): void {
    const { history } = this.#options
    if (this.#open !== undefined) history.undone(this.#open.work)
    this.#open = undefined
    for (const each of this.#parked) if ('transaction' in each) history.undone(each.work)
    this.#parked.length = 0
  }

  // ---- Transactions

  #transact(session: Session): void {
    const { depth, history, name } = this.#options
    const open = this.#open
    if (open === undefined) {
      const transaction = session.begin()
      const work = history.begin(`transaction ${history.works.length + 1} of ${name}`, this.term.epoch)
      if (transaction === undefined) history.undone(work)
      else this.#open = { work, transaction, claimed: [] }
      return
    }
    this.#open = undefined
    if (depth?.below(4) === 0) {
      open.transaction.rollback()
      this.#undone(open)
      return
    }
    history.commits(open.work)
    for (const { queue, sent, consumer } of open.claimed) this.term.groups.back(queue, sent.group, consumer)
    const ticket = open.transaction.commit()
    if (ticket === 0) this.#refusedCommit(open)
    else if (ticket < 0) this.#parked.push(open)
    else this.#commits(open.work, ticket)
  }

  /** What it settled is unsettled, with the same consumer if that is there. */
  #undone({ work, claimed }: Open): void {
    const { history } = this.#options
    history.undone(work)
    for (const { consumer, ...unsettled } of claimed) {
      // Now it can be settled in another way.
      if (consumer === this.#consumer) this.#unsettled.push(unsettled)
    }
  }

  #refusedCommit(open: Open): void {
    for (const { queue, sent, consumer } of open.claimed) if (consumer === this.#consumer) this.term.groups.given(queue, sent.group, consumer)
    this.#undone(open)
  }

  #commits(work: Work, ticket: Ticket): void {
    this.#waiting.push({ ticket, work })
    const { journal, process } = this.term
    process.clock.turn(() => {
      if (work.fate === 'asked') work.batch = journal.gathering
    })
  }

  #changeQueue(session: Session): void {
    const { random } = this.#options
    this.#options.history.trace(`${this.#options.name} consumes another queue`)
    this.#consumer?.close()
    if (this.#consumer !== undefined) this.term.groups.gone(this.#consumer)
    this.#unsettled = []
    const { depth } = this.#options
    this.#colour = depth?.below(3) === 0 ? COLOURS[depth.below(2)] : undefined
    const selector = this.#colour === undefined ? undefined : SELECTORS[this.#colour]
    const name = QUEUES[random.below(QUEUES.length)]
    this.#queue = this.term.core.address('queue', [name])
    const sink = new ClientSink((delivery) => this.#delivered(name, delivery))
    this.#consumer = session.consume([this.#queue], { settle: 'unsettled', exclusive: 'no', priority: 0, selector }, sink)
    this.#consumer?.grant(1 + random.below(10), 1e9)
  }

  #publish(session: Session): void {
    const { random, history, name, large } = this.#options
    const { core } = this.term
    const toTopic = random.below(3) === 0
    const queue = QUEUES[random.below(QUEUES.length)]
    const sizeBytes = random.below(100) < large ? 40_000 + random.below(random.below(4) === 0 ? 300_000 : 100_000) : 20 + random.below(600)
    const durable = random.below(10) > 0
    const number = this.#client.nextNumber()
    if (this.#options.depth !== undefined) return this.#publishDeep(session, this.#options.depth, { number, toTopic, queue, sizeBytes, durable })
    const sent = history.send({ client: name, number, sizeBytes, durable, queues: toTopic ? TOPIC_QUEUES : [queue] })
    this.#published(sent, session.publish(toTopic ? core.address('topic', ['topic']) : core.address('queue', [queue]), message(sent), PLAIN))
  }

  #published(sent: Sent, ticket: Ticket): void {
    if (ticket > 0) this.#waiting.push({ ticket, sent })
    else if (ticket < 0) this.#parked.push(sent)
    else this.#options.history.refused(sent)
  }

  #publishDeep(session: Session, depth: Random, plain: Publish): void {
    const { history, name } = this.#options
    const { core, process } = this.term
    const queueAddress = (each: string): Address => core.address('queue', [each])
    const number = plain.number
    const colour = COLOURS[depth.below(2)]
    const composite = !plain.toTopic && depth.below(6) === 0
    const plan =
      depth.below(30) === 0 ? { delayMs: 5 + depth.below(150), periodMs: 30 + depth.below(100), repeat: depth.below(4), cron: '' } : undefined
    const deliverAtMs = plan === undefined && depth.below(8) === 0 ? process.clock.wallMs() + 5 + depth.below(200) : 0
    const priority = PRIORITIES[depth.below(PRIORITIES.length)]
    const group = GROUPS[depth.below(GROUPS.length)]
    const queues = plain.toTopic
      ? TOPIC_QUEUES.filter((each) => each !== SELECTED || colour === 'red')
      : composite
        ? ['first', 'second']
        : [plain.queue]
    const to = plain.toTopic ? core.address('topic', ['topic']) : composite ? core.composite(queues.map(queueAddress)) : queueAddress(plain.queue)
    const common = { client: name, number, queues, priority, group, colour }
    if (plan !== undefined) {
      const sizeBytes = Math.min(plain.sizeBytes, 1_000)
      const sent = history.send({ ...common, sizeBytes, durable: true, times: plan.repeat + 1 })
      this.#published(sent, session.repeat(to, message(sent), plan))
      return
    }
    const { sizeBytes, durable } = plain
    const sent = history.send({ ...common, sizeBytes, durable, deliverAtMs })
    const open = depth.below(3) > 0 ? this.#open : undefined
    if (open === undefined) return this.#published(sent, session.publish(to, message(sent), PLAIN))
    const ticket = session.publish(to, message(sent), { ...PLAIN, transaction: open.transaction })
    if (ticket === 0) return history.refused(sent)
    open.work.send(sent)
    if (ticket < 0) this.#parked.push(sent)
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
    this.#options.history.trace(`${this.#options.name} has it as ${delivery.tag}`)
    this.#judge(got.sent, queue, process)
    this.#unsettled.push({ tag: delivery.tag, place: got.place, sent: got.sent, queue })
  }

  /** What it is given is for it, and now. */
  #judge({ id, deliverAtMs, colour, group }: Sent, queue: string, process: Process): void {
    const { history } = this.#options
    if (deliverAtMs > 0) {
      history.counts.delayed += 1
      const earlyMs = deliverAtMs - process.clock.wallMs()
      if (earlyMs > 0 && !process.jumped) history.violate('not-early', `${process.name} delivers ${id} from ${queue} ${earlyMs} ms early`)
    }
    if (this.#colour !== undefined) {
      history.counts.selected += 1
      if (this.#colour !== colour) history.violate('as-selected', `${process.name} delivers ${id}, which is ${colour}, to who wants ${this.#colour}`)
    }
    if (group === '' || this.#consumer === undefined) return
    history.counts.grouped += 1
    if (!this.term.groups.given(queue, group, this.#consumer))
      history.violate('one-consumer-a-group', `${process.name} delivers ${id} of group ${group} from ${queue}, and another consumer has others of it`)
  }

  #settle(): void {
    const { random, history, depth } = this.#options
    const consumer = this.#consumer
    if (consumer === undefined || this.#unsettled.length === 0) return
    const at = random.below(3) === 0 ? random.below(this.#unsettled.length) : 0
    const [unsettled] = this.#unsettled.splice(at, 1)
    const { tag, place, sent, queue } = unsettled
    const open = this.#open
    if (open !== undefined && depth?.below(2) === 0) {
      // It was given to us, and nobody took it away.
      if (consumer.settleIn(open.transaction, tag, tag, { kind: 'accepted' }) === 0) {
        this.#refusedSettlement(unsettled, consumer)
        return
      }
      // Of a leader that was succeeded nobody hears whether it was committed: what it wrote before its successor read counts, and no more.
      if (this.#options.deposed(this.term.epoch)) this.#asked(place)
      else open.work.claim(place, sent.durable)
      open.claimed.push({ ...unsettled, consumer })
      history.trace(`${this.#options.name} settles ${tag} in ${open.work.name}`)
      consumer.grant(1, 0)
      return
    }
    this.term.groups.back(queue, sent.group, consumer)
    if (random.below(6) === 0) {
      consumer.settle(tag, tag, { kind: 'released', afterMs: 0 }, false)
      history.trace(`${this.#options.name} releases ${tag}`)
      consumer.grant(1, 0)
      return
    }
    const answered = random.below(2) === 0
    const ticket = consumer.settle(tag, tag, { kind: 'accepted' }, answered)
    consumer.grant(1, 0)
    if (ticket === 0) return this.#refusedSettlement(unsettled, consumer)
    this.#asked(place)
    if (answered) this.#waiting.push({ ticket, places: [place] })
    const { journal, process } = this.term
    process.clock.turn(() => {
      // The core has told the journal by now: with the batch that gathers, or an earlier one.
      if (place.settled === 'asked' && place.epoch === this.term.epoch) place.batch = journal.gathering
    })
    history.trace(`${this.#options.name} settles ${tag}${answered ? ' answered' : ''}`)
  }

  #asked(place: Place): void {
    place.settled = 'asked'
    place.epoch = this.term.epoch
    // Not known yet by which one, if any.
    place.batch = Number.POSITIVE_INFINITY
  }

  /** What it has in hand is its own, unless the transaction it is to join cannot take it. */
  #refusedSettlement({ tag, sent, queue }: Unsettled, consumer: Consumer): void {
    const refusal = this.#session?.refusal
    this.term.groups.back(queue, sent.group, consumer)
    if (refusal?.code === 'not-found' && this.term.isOpen)
      this.#options.history.violate(
        'settled-stays-settled',
        `${this.#options.name} has ${sent.id} of ${queue} in hand (${tag}), and may not settle it`,
      )
  }

  // ---- What it is told

  done(upTo: Ticket): void {
    const { history } = this.#options
    while (this.#waiting.length > 0 && this.#waiting[0].ticket <= upTo) {
      const first = this.#waiting.shift()
      if (first?.sent !== undefined) history.acknowledged(first.sent)
      for (const place of first?.places ?? []) history.answered(place)
      if (first?.work !== undefined) history.committedWork(first.work)
    }
  }

  admitted(ticket: Ticket): void {
    const first = this.#parked.shift()
    if (first === undefined) return
    if ('transaction' in first) this.#commits(first.work, ticket)
    else if (first.work === undefined) this.#waiting.push({ ticket, sent: first })
  }

  refused(_error: BrokerError): void {
    const first = this.#parked.shift()
    if (first === undefined) return
    if ('transaction' in first) this.#refusedCommit(first)
    else this.#options.history.refused(first)
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

type Publish = Readonly<{ number: number; toTopic: boolean; queue: string; sizeBytes: number; durable: boolean }>

const PLAIN = { retain: 'no', note: 0, transaction: undefined } as const

function message({ body, durable, priority, deliverAtMs, group, colour }: Sent): Message {
  const head = colour === '' ? new Uint8Array(0) : headers({ colour })
  return { dialect: 'test', head, body, durable, priority, expiresAtMs: 0, deliverAtMs, group, groupEnds: false }
}
