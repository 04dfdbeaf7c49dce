// Everybody who takes part in the drill, for the listeners that the target has.
//
//   mqtt-once    QoS 2, kept session     ─▶ <run>/once ──▶ mqtt-session (QoS 1)  mqtt-exact (QoS 2, exactly once)
//   mqtt-again   QoS 1, sends again      ─▶ <run>/again ─▶ mqtt-session
//   mqtt-stay    QoS 1, steadfast        ─▶ <run>/stay ──▶ mqtt-session
//   stomp-again  receipts, sends again   ─▶ queue <run>.again ─▶ stomp-loose   (ACK without receipt)
//   stomp-stay   receipts, steadfast     ─▶ queue <run>.stay ──▶ stomp-strict  (ACK with receipt: never delivered again)
//   amqp-again   unsettled, sends again  ─▶ queue <run>.again.amqp ─▶ amqp-loose   (accepted and settled at once)
//   amqp-stay    unsettled, steadfast    ─▶ queue <run>.stay.amqp ──▶ amqp-strict  (settled second: never delivered again)
//
// and over WebSocket:
//
//   ws-mqtt      QoS 1, sends again      ─▶ <run>-ws/again ─▶ ws-session (QoS 1)
//   ws-amqp      unsettled, sends again  ─▶ queue <run>.ws ─▶ ws-strict  (settled second)
import { Addresses } from './addresses.ts'
import { AmqpConsumer, AmqpProducer } from './amqp-clients.ts'
import { Darkness } from './darkness.ts'
import { Ledger } from './ledger.ts'
import { MqttConsumer, MqttProducer } from './mqtt-clients.ts'
import type { Producer } from './producer.ts'
import { type Access, type Actor, type Listener, LISTENERS, type Stage } from './stage.ts'
import { StompConsumer, StompProducer } from './stomp-clients.ts'
import type { Target } from './target.ts'

export type CastOptions = Readonly<{ run: string; target: Target; ratePerSecond: number; bytes: number }>

const PACE_MS = 5

export class Cast {
  readonly ledger = new Ledger()
  readonly darkness = new Darkness()
  readonly producers: readonly Producer[]
  /** Told at each acknowledgement. */
  onAcknowledged: () => void = () => {}
  readonly access: Readonly<Partial<Record<Listener, Access>>>
  readonly #consumers: readonly Actor[]
  readonly #pacer: NodeJS.Timeout

  constructor({ run, target, ratePerSecond, bytes }: CastOptions) {
    const stage: Stage = { ledger: this.ledger, darkness: this.darkness, bytes, onAcknowledged: () => this.onAcknowledged() }
    this.access = Object.fromEntries(LISTENERS.flatMap((each) => accessOf(target, each)).map((each) => [each.listener, each]))
    const { mqtt, stomp, amqp, websocket } = this.access
    const producers: Producer[] = []
    const consumers: Actor[] = []
    const name = (each: string): string => `${run}-${each}`
    if (mqtt !== undefined) {
      const producer = (each: string, qos: 1 | 2, window: number, steadfast: boolean): Producer =>
        new MqttProducer({ name: name(`mqtt-${each}`), topic: `${run}/${each}`, qos, window, steadfast }, mqtt, stage)
      producers.push(producer('again', 1, 16, false), producer('once', 2, 8, false), producer('stay', 1, 16, true))
      const session = new MqttConsumer({ name: name('mqtt-session'), filter: `${run}/#`, qos: 1 }, mqtt, stage)
      const exact = new MqttConsumer({ name: name('mqtt-exact'), filter: `${run}/once`, qos: 2 }, mqtt, stage)
      this.ledger.recipient(session.name, { producers: producers.map((each) => each.name) })
      this.ledger.recipient(exact.name, { producers: [name('mqtt-once')], exactlyOnce: true })
      consumers.push(session, exact)
    }
    if (stomp !== undefined) {
      for (const [each, consumer, steadfast] of [
        ['again', 'loose', false],
        ['stay', 'strict', true],
      ] as const) {
        producers.push(new StompProducer({ name: name(`stomp-${each}`), queue: `${run}.${each}`, window: 16, steadfast }, stomp, stage))
        const taker = new StompConsumer({ name: name(`stomp-${consumer}`), queue: `${run}.${each}`, answered: steadfast }, stomp, stage)
        this.ledger.recipient(taker.name, { producers: [name(`stomp-${each}`)] })
        consumers.push(taker)
      }
    }
    if (amqp !== undefined) {
      for (const [each, consumer, steadfast] of [
        ['again', 'loose', false],
        ['stay', 'strict', true],
      ] as const) {
        const queue = `${run}.${each}.amqp`
        producers.push(new AmqpProducer({ name: name(`amqp-${each}`), queue, window: 16, steadfast }, amqp, stage))
        const taker = new AmqpConsumer({ name: name(`amqp-${consumer}`), queue, answered: steadfast }, amqp, stage)
        this.ledger.recipient(taker.name, { producers: [name(`amqp-${each}`)] })
        consumers.push(taker)
      }
    }
    if (websocket !== undefined) {
      const common = { window: 16, steadfast: false }
      producers.push(new MqttProducer({ ...common, name: name('ws-mqtt'), topic: `${run}-ws/again`, qos: 1 }, websocket, stage))
      const session = new MqttConsumer({ name: name('ws-session'), filter: `${run}-ws/#`, qos: 1 }, websocket, stage)
      this.ledger.recipient(session.name, { producers: [name('ws-mqtt')] })
      producers.push(new AmqpProducer({ ...common, name: name('ws-amqp'), queue: `${run}.ws` }, websocket, stage))
      const strict = new AmqpConsumer({ name: name('ws-strict'), queue: `${run}.ws`, answered: true }, websocket, stage)
      this.ledger.recipient(strict.name, { producers: [name('ws-amqp')] })
      consumers.push(session, strict)
    }
    this.producers = producers
    this.#consumers = consumers
    let lastMs = performance.now()
    this.#pacer = setInterval(() => {
      const nowMs = performance.now()
      const share = ((nowMs - lastMs) * ratePerSecond) / 1000 / producers.length
      lastMs = nowMs
      for (const each of producers) each.pace(share)
    }, PACE_MS)
  }

  /** Consumers first, so that topics are bound before anything is sent. */
  async connect(): Promise<void> {
    for (const each of this.#consumers) await each.connect()
    await Promise.all(this.producers.map((each) => each.connect()))
  }

  work(): void {
    for (const each of this.producers) each.work()
  }

  rest(): void {
    for (const each of this.producers) each.rest()
  }

  /** Told when the drill stops a node (undefined: wakes it): clients need not wait for its answers. */
  stopped(node: number | undefined): void {
    for (const access of Object.values(this.access)) access.addresses.stopped = node
  }

  get everybodyConnected(): boolean {
    return [...this.producers, ...this.#consumers].every((each) => each.connected)
  }

  /** Nothing is under way and everything owed has come. */
  get quiet(): boolean {
    return this.everybodyConnected && [...this.producers, ...this.#consumers].every((each) => each.idle) && this.ledger.settled
  }

  get restless(): readonly string[] {
    return [...this.producers, ...this.#consumers]
      .filter((each) => !each.idle || !each.connected)
      .map((each) => `${each.name} is ${each.connected ? 'still waiting for an answer' : 'not connected'}`)
  }

  async close(): Promise<void> {
    clearInterval(this.#pacer)
    await Promise.all([...this.producers, ...this.#consumers].map((each) => each.close()))
  }
}

/** None if the target does not listen for it. */
function accessOf(target: Target, listener: Listener): readonly Access[] {
  const all = target.nodes.flatMap(({ addresses }, node) => {
    const address = addresses[listener]
    if (address === undefined) return []
    const colon = address.lastIndexOf(':')
    return [{ node, host: address.slice(0, colon).replace(/^\[(.*)\]$/, '$1'), port: Number(address.slice(colon + 1)) }]
  })
  return all.length === 0 ? [] : [{ listener, addresses: new Addresses(all), ...target.login, queuePrefix: target.queuePrefix }]
}
