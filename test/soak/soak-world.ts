// Everybody who takes part in the soak: fast producers and consumers of every protocol, a backlog that nobody drains until the end, topics
// whose retained message changes, messages that come later, sessions that come and go, a probe of latency, and one broker that dies now and then.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../../src/random.ts'
import type { Actor, Producer, Stage } from '../crash/actor.ts'
import { AmqpConsumer, AmqpProducer } from '../crash/amqp-actors.ts'
import { MqttConsumer, MqttOnceProducer, MqttProducer } from '../crash/mqtt-actors.ts'
import { StompConsumer, StompProducer } from '../crash/stomp-actors.ts'
import { addressOf, until } from '../wire/bytes.ts'
import { MqttWire } from '../wire/mqtt-wire.ts'
import { NodeProcess, type Ready } from '../wire/node-process.ts'
import { StompWire } from '../wire/stomp-wire.ts'
import { RunningAccount } from './running-account.ts'

const BACKLOG_QUEUE = '/queue/soak.backlog'
const BACKLOG_BODY_BYTES = 16 * 1024
const RETAINED_TOPICS = 1_000
const SESSIONS = 200
const TURN_MS = 20
/** Scheduled messages come within this. */
const LATER_MS = 30_000

export interface SoakOptions {
  readonly data: string
  readonly random: Random
  readonly args: readonly string[]
  readonly backlogBytes: number
  /** Every line the broker logs. */
  readonly onOutput: (text: string) => void
}

export class SoakWorld {
  readonly account = new RunningAccount()
  readonly wrongs: string[] = []
  /** Of the probe since it was last asked: from SEND to RECEIPT of a persistent message, in ms. */
  probeMs: number[] = []
  node: NodeProcess | undefined
  /** From the start of the process to its ready line, of each start. */
  readonly startMs: number[] = []
  sessionsBegun = 0
  retainedSet = 0
  laterSent = 0
  laterCame = 0
  readonly #options: SoakOptions
  readonly #producers: readonly Producer[]
  readonly #consumers: readonly Actor[]
  /** Ends when everybody without an actor of its own has stopped. */
  #side: Promise<unknown> = Promise.resolve()
  #sideRuns = false
  /** When each scheduled message is due that has not come, by its number. */
  readonly #later = new Map<string, number>()

  constructor(options: SoakOptions) {
    this.#options = options
    const stage: Stage = { ledger: this.account, random: options.random, wrong: (sentence) => this.wrongs.push(sentence) }
    this.#producers = [
      new StompProducer('stomp-q', { destination: '/queue/soak.one', window: 50 }, stage),
      new StompProducer('stomp-t', { destination: '/topic/soak.stomp', window: 10 }, stage),
      new MqttProducer('mqtt-t', 'soak/one', { window: 30 }, stage),
      new MqttOnceProducer('mqtt-2', 'soak/two', { window: 10 }, stage),
      new AmqpProducer('amqp-q', 'queue://soak.three', { window: 30, receiverSettles: 'first' }, stage),
      new AmqpProducer('amqp-t', 'topic://soak.amqp', { window: 10, receiverSettles: 'first' }, stage),
    ]
    const topics = ['stomp-t', 'mqtt-t', 'mqtt-2', 'amqp-t']
    this.account.recipient('queue-one', ['stomp-q'])
    this.account.recipient('queue-three', ['amqp-q'])
    this.account.recipient('durable', topics)
    this.account.recipient('shared', topics)
    this.account.recipient('session', topics)
    this.#consumers = [
      new StompConsumer('queue-one', { destination: '/queue/soak.one', ack: 'client-individual', receipts: 'none' }, stage),
      new AmqpConsumer('queue-three', { address: 'queue://soak.three', receiverSettles: 'first', dispositions: 'ranges' }, stage),
      new StompConsumer('durable', { destination: '/topic/soak.>', ack: 'client', receipts: 'none', clientId: 'durable' }, stage),
      new AmqpConsumer('shared', { address: 'topic://soak.>', receiverSettles: 'first', dispositions: 'ranges', durable: true }, stage),
      new MqttConsumer('session', { filter: 'soak/#', qos: 1 }, stage),
    ]
  }

  get backlogMessages(): number {
    return Math.ceil(this.#options.backlogBytes / BACKLOG_BODY_BYTES)
  }

  /** Starts the broker, waits until it leads, and connects everybody. */
  async up(): Promise<void> {
    const begun = performance.now()
    const node = new NodeProcess({ data: this.#options.data, args: this.#options.args })
    node.onOutput = this.#options.onOutput
    this.node = node
    const ready = await node.leads(120_000)
    this.startMs.push(performance.now() - begun)
    for (const each of this.#consumers) await each.connect(ready)
    await Promise.all(this.#producers.map((each) => each.connect(ready)))
    this.#sideRuns = true
    const term = this.startMs.length
    const failed = (error: unknown) => {
      // What its broker's death broke is no fault, however late it is told.
      if (this.#sideRuns && this.startMs.length === term) this.wrongs.push(error instanceof Error ? error.message : String(error))
    }
    this.#side = Promise.all(
      [this.#probe(ready), this.#retain(ready), this.#comeAndGo(ready), this.#sendLater(ready)].map((each) => each.catch(failed)),
    )
  }

  work(): void {
    for (const each of this.#producers) each.work()
  }

  async kill(): Promise<void> {
    const { node } = this
    if (node === undefined) return
    this.node = undefined
    this.#sideRuns = false
    const gone = node.signal('SIGKILL')
    const everybody = [...this.#consumers, ...this.#producers]
    for (const each of everybody) each.died()
    await gone
    await Promise.race([this.#side, sleep(5_000)])
    await until('the end of all connections', () => everybody.every((each) => each.closed), 10_000)
  }

  /** Producers rest; what is owed has come, or is told of in `wrongs`. */
  async settle(timeoutMs: number): Promise<void> {
    for (const each of this.#producers) each.rest()
    this.#sideRuns = false
    await Promise.race([this.#side, sleep(5_000)])
    const end = performance.now() + timeoutMs
    const quiet = () => this.#producers.every((each) => each.idle) && this.account.missing().length === 0
    while (!quiet() && performance.now() < end) await sleep(50)
    this.wrongs.push(...this.account.missing())
  }

  /** Fills the queue that nobody drains. */
  async fillBacklog(): Promise<void> {
    const wire = await this.#stomp()
    const body = Buffer.alloc(BACKLOG_BODY_BYTES, 120)
    let answered = 0
    wire.onReceipt = () => answered++
    for (let number = 0; number < this.backlogMessages; number++) {
      wire.send('SEND', { destination: BACKLOG_QUEUE, persistent: 'true', number: String(number), receipt: String(number) }, body)
      if (number - answered >= 200) await until('receipts of the backlog', () => number - answered < 100, 60_000)
    }
    await until('the last receipts of the backlog', () => answered === this.backlogMessages, 60_000)
    wire.destroy()
  }

  /** Every one of the backlog is still there. */
  async drainBacklog(): Promise<void> {
    const wire = await this.#stomp()
    const came = new Set<string>()
    wire.onMessage = ({ headers }) => {
      came.add(headers.get('number') ?? '')
      wire.send('ACK', { id: headers.get('ack') ?? '' })
    }
    await wire.ask('SUBSCRIBE', { id: '0', destination: BACKLOG_QUEUE, ack: 'client-individual' })
    await until('the backlog', () => came.size === this.backlogMessages, 300_000).catch(() => {})
    if (came.size !== this.backlogMessages) this.wrongs.push(`of ${this.backlogMessages} messages of the backlog ${came.size} came`)
    wire.destroy()
  }

  async #stomp(): Promise<StompWire> {
    const ready = this.node?.active
    if (ready === undefined) throw new Error('the broker does not lead')
    return StompWire.connect(addressOf(ready.listeners['stomp'] ?? ''))
  }

  /** One message in flight, all the time, on a queue of its own; drained by cumulative settlement. */
  async #probe(ready: Ready): Promise<void> {
    const wire = await StompWire.connect(addressOf(ready.listeners['stomp'] ?? ''))
    wire.onMessage = ({ headers }) => wire.send('ACK', { id: headers.get('ack') ?? '' })
    await wire.ask('SUBSCRIBE', { id: '0', destination: '/queue/soak.probe', ack: 'client-individual' })
    const body = Buffer.alloc(100, 112)
    while (this.#sideRuns) {
      const begun = performance.now()
      await wire.ask('SEND', { destination: '/queue/soak.probe', persistent: 'true' }, body)
      this.probeMs.push(performance.now() - begun)
      await sleep(TURN_MS)
    }
    wire.destroy()
  }

  /** Fifty changes a second, over and over the same topics. */
  async #retain(ready: Ready): Promise<void> {
    const wire = await MqttWire.connect(addressOf(ready.listeners['mqtt'] ?? ''), { clientId: 'keeper', clean: true })
    for (let number = 0; this.#sideRuns; number++) {
      const topic = `keep/${number % RETAINED_TOPICS}`
      wire.publish(topic, Buffer.alloc(200, 107), { qos: 1, id: 1 + (number % 65_535), retain: true })
      this.retainedSet++
      await sleep(TURN_MS)
    }
    wire.destroy()
  }

  /** Kept sessions that subscribe, get something while they are away, come back, and at times end for good. */
  async #comeAndGo(ready: Ready): Promise<void> {
    const { random } = this.#options
    const address = addressOf(ready.listeners['mqtt'] ?? '')
    while (this.#sideRuns) {
      const clientId = `visitor-${random.below(SESSIONS)}`
      const wire = await MqttWire.connect(address, { clientId, clean: random.below(4) === 0 })
      wire.onPublish = ({ qos, id }) => qos === 1 && wire.ack('puback', id)
      await wire.subscribe([{ filter: `keep/${random.below(RETAINED_TOPICS)}`, qos: 1 }])
      await wire.ping()
      wire.disconnect()
      this.sessionsBegun++
      await sleep(TURN_MS)
    }
  }

  /** Messages that are to come later, and somebody who waits for them. */
  async #sendLater(ready: Ready): Promise<void> {
    const { random } = this.#options
    const wire = await StompWire.connect(addressOf(ready.listeners['stomp'] ?? ''))
    await this.#receiveLater(wire)
    while (this.#sideRuns) {
      const number = String(this.laterSent++)
      const delayMs = 1_000 + random.below(LATER_MS - 1_000)
      this.#later.set(number, Date.now() + delayMs)
      const sent = wire.ask('SEND', { destination: '/queue/soak.later', persistent: 'true', number, AMQ_SCHEDULED_DELAY: String(delayMs) })
      // Without its receipt nothing is owed.
      await sent.catch((error: unknown) => {
        this.#later.delete(number)
        throw error
      })
      await sleep(TURN_MS)
    }
    wire.destroy()
  }

  async #receiveLater(wire: StompWire): Promise<void> {
    wire.onMessage = ({ headers }) => {
      this.laterCame++
      const number = headers.get('number') ?? ''
      const earlyMs = (this.#later.get(number) ?? 0) - Date.now()
      if (earlyMs > 1) this.wrongs.push(`a scheduled message came ${earlyMs} ms early`)
      this.#later.delete(number)
      wire.send('ACK', { id: headers.get('ack') ?? '' })
    }
    await wire.ask('SUBSCRIBE', { id: '0', destination: '/queue/soak.later', ack: 'client-individual' })
  }

  /** No scheduled message that was acknowledged is missing some time after the last was due. */
  async settleLater(): Promise<void> {
    const wire = await this.#stomp()
    await this.#receiveLater(wire)
    await until('scheduled messages', () => this.#later.size === 0, LATER_MS + 30_000).catch(() => {})
    if (this.#later.size > 0) this.wrongs.push(`${this.#later.size} scheduled messages never came`)
    wire.destroy()
  }
}
