// Clients of the crash test that speak MQTT 3.1.1.
import { MqttWire, type MqttPublish } from '../wire/mqtt-wire.ts'
import type { Ready } from '../wire/node-process.ts'
import { Consumer, Producer, type Stage } from './actor.ts'
import { payloadOf, readPayload } from './payload.ts'
import { placeOf } from './place.ts'

/** QoS 1 from a clean session: what was not acknowledged when the broker died is left at that. */
export class MqttProducer extends Producer {
  readonly #topic: string
  readonly #retain: boolean
  #wire: MqttWire | undefined
  #numbers = new Map<number, number>()
  #lastId = 0
  /** For a retained topic: the last number sent and the last acknowledged. */
  lastSent = -1
  lastAcknowledged = -1

  constructor(name: string, topic: string, options: Readonly<{ window: number; retain?: boolean }>, stage: Stage) {
    super(name, options.window, stage)
    this.#topic = topic
    this.#retain = options.retain ?? false
  }

  async connect(ready: Ready): Promise<void> {
    const wire = await MqttWire.connect(placeOf(ready, 'mqtt', 'mqtt'), { clientId: this.name, clean: true })
    this.#numbers = new Map()
    this.outstanding = 0
    wire.onAck = (_kind, id) => {
      const number = this.#numbers.get(id)
      if (number === undefined) {
        this.stage.wrong(`${this.name}: PUBACK for id ${id}, which is not in flight`)
        return
      }
      this.#numbers.delete(id)
      this.outstanding--
      this.lastAcknowledged = number
      this.acknowledged(number)
      this.pump()
    }
    wire.onClosed = () => {
      this.connected = false
    }
    this.#wire = wire
    this.connected = true
    this.pump()
  }

  get closed(): boolean {
    return this.#wire?.closed ?? true
  }

  protected send(number: number): void {
    do this.#lastId = (this.#lastId % 65_535) + 1
    while (this.#numbers.has(this.#lastId))
    this.#numbers.set(this.#lastId, number)
    this.lastSent = number
    this.#wire?.publish(this.#topic, payloadOf(this.name, number, this.stage.random), { qos: 1, id: this.#lastId, retain: this.#retain })
  }
}

/** QoS 2 from a kept session: after a crash it goes on where it was, so that everything arrives, once. */
export class MqttOnceProducer extends Producer {
  readonly #topic: string
  #wire: MqttWire | undefined
  /** In order of sending. `payload` is undefined once PUBREC came. */
  readonly #flights = new Map<number, { readonly number: number; payload: Buffer | undefined }>()
  #lastId = 0
  #connects = 0

  constructor(name: string, topic: string, window: number, stage: Stage) {
    super(name, window, stage)
    this.#topic = topic
  }

  async connect(ready: Ready): Promise<void> {
    const wire = await MqttWire.connect(placeOf(ready, 'mqtt', 'mqtt'), { clientId: this.name, clean: false })
    if (wire.sessionPresent !== this.#connects++ > 0)
      this.stage.wrong(`${this.name}: session present is ${wire.sessionPresent} at connect ${this.#connects}`)
    wire.onAck = (kind, id) => {
      const flight = this.#flights.get(id)
      if (flight === undefined) {
        this.stage.wrong(`${this.name}: ${kind} for id ${id}, which is not in flight`)
        return
      }
      if (kind === 'pubrec') {
        if (flight.payload !== undefined) this.acknowledged(flight.number)
        flight.payload = undefined
        wire.ack('pubrel', id)
      } else {
        this.#flights.delete(id)
        this.outstanding--
        this.pump()
      }
    }
    wire.onClosed = () => {
      this.connected = false
    }
    this.#wire = wire
    this.connected = true
    for (const [id, { payload }] of this.#flights) {
      if (payload === undefined) wire.ack('pubrel', id)
      else wire.publish(this.#topic, payload, { qos: 2, id, dup: true })
    }
    this.pump()
  }

  get closed(): boolean {
    return this.#wire?.closed ?? true
  }

  protected send(number: number): void {
    do this.#lastId = (this.#lastId % 65_535) + 1
    while (this.#flights.has(this.#lastId))
    const payload = payloadOf(this.name, number, this.stage.random)
    this.#flights.set(this.#lastId, { number, payload })
    this.#wire?.publish(this.#topic, payload, { qos: 2, id: this.#lastId })
  }
}

/** A kept session. QoS 1 is settled by PUBACK (which nobody answers); of QoS 2 each packet id is passed on once. */
export class MqttConsumer extends Consumer {
  readonly #filter: string
  readonly #qos: 1 | 2
  #wire: MqttWire | undefined
  readonly #received = new Set<number>()

  constructor(name: string, filter: string, qos: 1 | 2, stage: Stage) {
    super(name, stage)
    this.#filter = filter
    this.#qos = qos
  }

  async connect(ready: Ready): Promise<void> {
    this.forget()
    const first = this.connection === 0
    this.connection++
    // Deliveries of a kept session may come in the same read as CONNACK.
    const early: (() => void)[] = []
    let open = false
    const wire = await MqttWire.connect(placeOf(ready, 'mqtt', 'mqtt'), { clientId: this.name, clean: false }, (connecting) => {
      connecting.onPublish = (publish) =>
        open ? this.#take(publish) : early.push(() => this.#take({ ...publish, payload: Buffer.from(publish.payload) }))
      connecting.onAck = (kind, id) => (open ? this.#release(kind, id) : early.push(() => this.#release(kind, id)))
    })
    if (wire.sessionPresent === first) this.stage.wrong(`${this.name}: session present is ${wire.sessionPresent} at connect ${this.connection}`)
    this.#wire = wire
    open = true
    for (const each of early) each()
    if (first) {
      const [granted] = await wire.subscribe([{ filter: this.#filter, qos: this.#qos }])
      if (granted !== this.#qos) this.stage.wrong(`${this.name}: granted ${granted}`)
    }
  }

  get closed(): boolean {
    return this.#wire?.closed ?? true
  }

  protected flush(): void {
    this.#wire?.flush()
  }

  #take({ qos, id, payload }: MqttPublish): void {
    if (qos === 2 && this.#received.has(id)) {
      this.#wire?.ack('pubrec', id)
      return
    }
    const { producer, number } = readPayload(payload)
    const { ledger } = this.stage
    ledger.delivered(this.name, this.connection, producer, number, performance.now())
    if (qos === 2) {
      this.#received.add(id)
      this.later(() => this.#wire?.ack('pubrec', id))
    } else if (qos === 1) {
      this.later(() => {
        ledger.settling(this.name, producer, number, performance.now())
        this.#wire?.ack('puback', id)
      })
    } else {
      this.stage.wrong(`${this.name}: got ${producer} ${number} with QoS 0`)
    }
  }

  #release(kind: string, id: number): void {
    if (kind !== 'pubrel') {
      this.stage.wrong(`${this.name}: got ${kind} for id ${id}`)
      return
    }
    this.#received.delete(id)
    this.later(() => this.#wire?.ack('pubcomp', id))
  }
}
