// Everybody who takes part in the crash test, and the judge: producers, consumers, relays, a retained topic, one broker that dies.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../../src/random.ts'
import { addressOf, until } from '../wire/bytes.ts'
import { MqttWire } from '../wire/mqtt-wire.ts'
import { NodeProcess, type Ready } from '../wire/node-process.ts'
import type { Actor, Producer, Stage } from './actor.ts'
import { AmqpConsumer, AmqpProducer } from './amqp-actors.ts'
import { AmqpRelay } from './amqp-relay.ts'
import { Ledger } from './ledger.ts'

import { Mover } from './mover.ts'
import { type Five, MqttConsumer, MqttOnceProducer, MqttPasserBy, MqttProducer } from './mqtt-actors.ts'
import { StompConsumer, StompProducer, type Timing } from './stomp-actors.ts'
import { StompRelay } from './stomp-relay.ts'

/** An unanswered settlement may be lost if it was sent in the last 20 ms before the crash. Its way to a broker that shares two cores with all these
 *  clients, and the commit under way, are as long as those of the publishes of that moment, which the ledger measures. Of 8,600 that were lost in 60
 *  rounds beside a dozen busy programs none went beyond that (the oldest: 252 ms); 30 ms are for ways that differ. */
const LAZY_MS = 20 + 30

/** Sessions of MQTT 5 that outlive every crash. */
const KEPT: Five = { sessionExpirySeconds: 3_600 }

/** Beyond the first. */
const REPEATS = 2

function delayed(random: Random): Timing {
  const delayMs = 1 + random.below(400)
  return { delayMs, headers: { AMQ_SCHEDULED_DELAY: String(delayMs) } }
}

function repeated(random: Random): Timing {
  const delayMs = 1 + random.below(100)
  const again = { AMQ_SCHEDULED_PERIOD: '100', AMQ_SCHEDULED_REPEAT: String(REPEATS) }
  return { delayMs, headers: { AMQ_SCHEDULED_DELAY: String(delayMs), ...again } }
}

export interface WorldOptions {
  readonly data: string
  readonly random: Random
  readonly args: readonly string[]
}

export class World {
  readonly ledger = new Ledger({ lazyMs: LAZY_MS })
  /** Beyond the ledger's rules. */
  readonly wrongs: string[] = []
  readonly producers: readonly Producer[]
  readonly #consumers: readonly Actor[]
  readonly #keeper: MqttProducer
  readonly #options: WorldOptions
  node: NodeProcess | undefined
  restartMs: number[] = []

  constructor(options: WorldOptions) {
    this.#options = options
    const stage: Stage = { ledger: this.ledger, random: options.random, wrong: (sentence) => this.wrongs.push(sentence) }
    this.#keeper = new MqttProducer('keeper', 'keep/value', { window: 1, retain: true }, stage)
    this.producers = [
      new StompProducer('stomp-1', { destination: '/queue/crash.one', window: 20 }, stage),
      new StompProducer('stomp-2', { destination: '/queue/crash.two', window: 50 }, stage),
      new StompProducer('stomp-3', { destination: '/queue/wild.crash', window: 20 }, stage),
      new StompProducer('stomp-x', { destination: '/queue/crash.relayed', window: 50 }, stage),
      new StompProducer('stomp-4', { destination: '/queue/crash.two', window: 20 }, stage),
      new StompProducer('stomp-t', { destination: '/topic/crash.stomp', window: 10 }, stage),
      // To both or none.
      new StompProducer('stomp-c', { destination: '/queue/crash.both.a,crash.both.b', window: 5 }, stage),
      new StompProducer('stomp-v', { destination: '/topic/VirtualTopic.crash', window: 5 }, stage),
      new StompProducer('stomp-m', { destination: '/queue/crash.moved.from', window: 10, ungrouped: true }, stage),
      new StompProducer('stomp-d', { destination: '/queue/crash.delayed', window: 5, timing: delayed, paceMs: 2 }, stage),
      new StompProducer('stomp-r', { destination: '/queue/crash.repeated', window: 2, timing: repeated, whole: true, paceMs: 20 }, stage),
      new StompProducer('stomp-y', { destination: '/queue/crash.again', window: 2, whole: true, paceMs: 20 }, stage),
      new MqttProducer('mqtt-1', 'crash/one', { window: 20 }, stage),
      new MqttOnceProducer('mqtt-2', 'crash/two', { window: 10 }, stage),
      new MqttProducer('mqtt-3', 'crash/five/one', { window: 20, five: {} }, stage),
      new MqttOnceProducer('mqtt-4', 'crash/five/two', { window: 10, five: KEPT }, stage),
      new AmqpProducer('amqp-1', 'queue://crash.three', { window: 20, receiverSettles: 'first' }, stage),
      new AmqpProducer('amqp-2', 'queue://crash.four', { window: 50, receiverSettles: 'second' }, stage),
      new AmqpProducer('amqp-x', 'queue://crash.amqp.relayed', { window: 50, receiverSettles: 'first' }, stage),
      new AmqpProducer('amqp-t', 'topic://crash.amqp', { window: 10, receiverSettles: 'first' }, stage),
      this.#keeper,
    ]
    const topics = ['stomp-t', 'mqtt-1', 'mqtt-2', 'mqtt-3', 'mqtt-4', 'amqp-t']
    this.ledger.recipient('queue-one', { producers: ['stomp-1'] })
    this.ledger.recipient('queue-two', { producers: ['stomp-2'] })
    this.ledger.recipient('selector', { producers: ['stomp-4'] })
    this.ledger.recipient('selected', { producers: ['stomp-t'] })
    this.ledger.recipient('wildcard', { producers: ['stomp-3'] })
    this.ledger.recipient('relayed', { producers: ['stomp-x'] })
    this.ledger.recipient('amqp-relayed', { producers: ['amqp-x'] })
    this.ledger.recipient('both-a', { producers: ['stomp-c'] })
    this.ledger.recipient('both-b', { producers: ['stomp-c'] })
    this.ledger.recipient('virtual-a', { producers: ['stomp-v'] })
    this.ledger.recipient('virtual-b', { producers: ['stomp-v'] })
    this.ledger.recipient('virtual-all', { producers: ['stomp-v'] })
    this.ledger.recipient('moved', { producers: ['stomp-m'] })
    this.ledger.recipient('delayed', { producers: ['stomp-d'], unordered: true })
    this.ledger.recipient('repeated', { producers: ['stomp-r'], unordered: true, copies: REPEATS + 1 })
    this.ledger.recipient('relayed-again', { producers: ['stomp-y'], unordered: true, copies: 2 })
    this.ledger.recipient('queue-three', { producers: ['amqp-1'] })
    this.ledger.recipient('queue-four', { producers: ['amqp-2'] })
    this.ledger.recipient('durable', { producers: topics })
    this.ledger.recipient('shared', { producers: topics })
    this.ledger.recipient('session-1', { producers: topics })
    this.ledger.recipient('session-2', { producers: ['mqtt-2'], exactlyOnce: true })
    this.ledger.recipient('session-3', { producers: ['mqtt-3', 'mqtt-4'] })
    this.ledger.recipient('session-4', { producers: ['mqtt-4'], exactlyOnce: true })
    // aedes refuses shared subscriptions to clients of 3.1.1 (decision 0017).
    const shares = !options.args.includes('mqtt.engine=aedes')
    // Of groups of one: what comes again comes beside what the group's queue still has.
    if (shares) this.ledger.recipient('group-1', { producers: ['mqtt-2'], exactlyOnce: true, unordered: true })
    this.ledger.recipient('group-2', { producers: ['mqtt-4'], exactlyOnce: true, unordered: true })
    this.#consumers = [
      new StompConsumer('queue-one', { destination: '/queue/crash.one', ack: 'client-individual', receipts: 'all' }, stage),
      new StompConsumer('queue-two', { destination: '/queue/crash.two', ack: 'client', receipts: 'none', selector: "producer <> 'stomp-4'" }, stage),
      new StompConsumer(
        'selector',
        { destination: '/queue/crash.two', ack: 'client-individual', receipts: 'even', selector: "producer = 'stomp-4'" },
        stage,
      ),
      new StompConsumer(
        'selected',
        { destination: '/topic/crash.>', ack: 'client-individual', receipts: 'all', clientId: 'selected', selector: "producer LIKE 'stomp-_'" },
        stage,
      ),
      new StompConsumer('wildcard', { destination: '/queue/wild.>', ack: 'client-individual', receipts: 'even' }, stage),
      new StompConsumer('both-a', { destination: '/queue/crash.both.a', ack: 'client-individual', receipts: 'even' }, stage),
      new AmqpConsumer('both-b', { address: 'queue://crash.both.b', receiverSettles: 'second', dispositions: 'ranges' }, stage),
      new StompConsumer('virtual-a', { destination: '/queue/Consumer.A.VirtualTopic.crash', ack: 'client-individual', receipts: 'even' }, stage),
      new AmqpConsumer('virtual-b', { address: 'queue://Consumer.B.VirtualTopic.crash', receiverSettles: 'second', dispositions: 'ranges' }, stage),
      new StompConsumer('virtual-all', { destination: '/queue/Consumer.C.VirtualTopic.>', ack: 'client-individual', receipts: 'all' }, stage),
      new Mover('mover', 'crash.moved.from', 'crash.moved.to', stage),
      new StompConsumer('moved', { destination: '/queue/crash.moved.to', ack: 'client-individual', receipts: 'all' }, stage),
      new StompConsumer('delayed', { destination: '/queue/crash.delayed', ack: 'client-individual', receipts: 'all' }, stage),
      new StompConsumer('repeated', { destination: '/queue/crash.repeated', ack: 'client-individual', receipts: 'all', copies: true }, stage),
      new AmqpRelay('amqp-relay', { from: 'queue://crash.amqp.relayed', to: 'queue://crash.amqp.relay.out', most: 20 }, stage),
      new AmqpConsumer('amqp-relayed', { address: 'queue://crash.amqp.relay.out', receiverSettles: 'second', dispositions: 'ranges' }, stage),
      new StompRelay('relay', { from: '/queue/crash.relayed', to: '/queue/crash.relay.out', most: 20 }, stage),
      new StompConsumer('relayed', { destination: '/queue/crash.relay.out', ack: 'client-individual', receipts: 'all' }, stage),
      // What it sends in its transactions is sent twice.
      new StompRelay(
        'relay-again',
        { from: '/queue/crash.again', to: '/queue/crash.again.out', most: 5, headers: { AMQ_SCHEDULED_PERIOD: '100', AMQ_SCHEDULED_REPEAT: '1' } },
        stage,
      ),
      new StompConsumer('relayed-again', { destination: '/queue/crash.again.out', ack: 'client-individual', receipts: 'all', copies: true }, stage),
      new StompConsumer('durable', { destination: '/topic/crash.>', ack: 'client-individual', receipts: 'even', clientId: 'durable' }, stage),
      new AmqpConsumer('queue-three', { address: 'queue://crash.three', receiverSettles: 'first', dispositions: 'ranges' }, stage),
      new AmqpConsumer('queue-four', { address: 'queue://crash.four', receiverSettles: 'second', dispositions: 'ranges' }, stage),
      new AmqpConsumer('shared', { address: 'topic://crash.>', receiverSettles: 'second', dispositions: 'single', durable: true }, stage),
      new MqttConsumer('session-1', { filter: 'crash/#', qos: 1 }, stage),
      new MqttConsumer('session-2', { filter: 'crash/two', qos: 2 }, stage),
      new MqttConsumer('session-3', { filter: 'crash/five/#', qos: 1, five: { ...KEPT, receiveMaximum: 10 } }, stage),
      new MqttConsumer('session-4', { filter: 'crash/five/two', qos: 2, five: { ...KEPT, receiveMaximum: 3 } }, stage),
      ...(shares ? [new MqttConsumer('group-1', { filter: '$share/one/crash/two', qos: 2 }, stage)] : []),
      new MqttConsumer('group-2', { filter: '$share/two/crash/five/two', qos: 2, five: { ...KEPT, receiveMaximum: 3 } }, stage),
      new MqttPasserBy('passer-by', 'crash/five/#', stage),
    ]
  }

  get data(): string {
    return this.#options.data
  }

  /** Starts the broker without waiting for it. */
  spawn(): NodeProcess {
    this.node = new NodeProcess({ data: this.#options.data, args: this.#options.args })
    return this.node
  }

  /** Starts the broker if it does not run, waits until it leads, and connects everybody: consumers first, so that topics are bound before anything is sent. */
  async up(): Promise<void> {
    const begun = performance.now()
    const node = this.node ?? this.spawn()
    const ready = await node.leads()
    this.restartMs.push(performance.now() - begun)
    await this.#checkKept(ready)
    for (const each of this.#consumers) await each.connect(ready)
    await Promise.all(this.producers.map((each) => each.connect(ready)))
  }

  work(): void {
    for (const each of this.producers) each.work()
  }

  /** SIGTERM asks it to stop in order, which it must do, with exit code 0. */
  async kill(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    const node = this.node
    if (node === undefined) return
    this.node = undefined
    const at = performance.now()
    const gone = node.signal(signal)
    this.ledger.crashed(at)
    const everybody = [...this.#consumers, ...this.producers]
    for (const each of everybody) each.died()
    await gone
    if (signal === 'SIGTERM' && node.exit?.code !== 0)
      this.wrongs.push(`after SIGTERM the broker ended with ${JSON.stringify(node.exit)}\n${node.output}`)
    // What the broker wrote before it died is read to the end: an acknowledgement in a socket was given.
    await until('the end of all connections', () => everybody.every((each) => each.closed), 5000)
  }

  /** Producers rest; ends when everything owed has come and is settled, or has not for a long while. */
  async settle(timeoutMs: number): Promise<void> {
    for (const each of this.producers) each.rest()
    const end = performance.now() + timeoutMs
    const quiet = () => this.producers.every((each) => each.idle) && this.#consumers.every((each) => each.idle) && this.ledger.missing(1).length === 0
    while (!quiet() && performance.now() < end) await sleep(10)
    for (const each of this.producers) if (!each.idle) this.wrongs.push(`${each.name}: a publish was not answered within ${timeoutMs} ms`)
    for (const each of this.#consumers) if (!each.idle) this.wrongs.push(`${each.name}: a settlement was not answered within ${timeoutMs} ms`)
    this.wrongs.push(...this.ledger.missing())
  }

  get violations(): string[] {
    return [...this.ledger.violations, ...this.wrongs]
  }

  /** A newcomer gets the retained message that was acknowledged last, or one sent after it. */
  async #checkKept(ready: Ready): Promise<void> {
    const { lastSent, lastAcknowledged } = this.#keeper
    const wire = await MqttWire.connect(addressOf(ready.listeners['mqtt'] ?? ''), { clientId: 'newcomer', clean: true })
    let value: number | undefined
    wire.onPublish = (publish) => {
      if (publish.retain) value = Number(publish.payload.toString('latin1', 0, publish.payload.indexOf(10)).split(' ')[1])
    }
    await wire.subscribe([{ filter: 'keep/value', qos: 0 }])
    await wire.ping()
    if (lastAcknowledged >= 0) await until('the retained message', () => value !== undefined, 2000).catch(() => {})
    wire.destroy()
    if (lastAcknowledged >= 0 && !(value !== undefined && value >= lastAcknowledged && value <= lastSent)) {
      this.wrongs.push(`the retained message is ${value ?? 'gone'}, acknowledged was ${lastAcknowledged}, sent was ${lastSent}`)
    }
  }
}
