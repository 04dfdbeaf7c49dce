// Clients of the crash test that speak MQTT 3.1.1, or 5.
import { type MqttConnect, type MqttPublish, MqttWire } from '../wire/mqtt-wire.ts'
import type { Ready } from '../wire/node-process.ts'
import { Consumer, Producer, type Stage } from './actor.ts'
import { payloadOf, readPayload } from './payload.ts'
import { placeOf } from './place.ts'

/** What the connection of a client says of MQTT 5; undefined: it speaks 3.1.1. A session without an expiry ends with its connection. */
export type Five = Readonly<{ sessionExpirySeconds?: number; receiveMaximum?: number }>

function levelOf(five: Five | undefined): Pick<MqttConnect, 'level' | 'sessionExpirySeconds' | 'receiveMaximum'> {
  return five === undefined ? {} : { level: 5, ...five }
}

/** No refusal is expected of anything these clients do. */
function refusals(wire: MqttWire, name: string, stage: Stage): void {
  wire.onRefused = (kind, id, reason) => refused(name, kind, id, reason, stage)
}

function refused(name: string, kind: string, id: number, reason: number, stage: Stage): void {
  stage.wrong(`${name}: ${kind} for id ${id} with reason 0x${reason.toString(16)}`)
}

/** QoS 1 from a clean session: what was not acknowledged when the broker died is left at that. */
export class MqttProducer extends Producer {
  readonly #topic: string
  readonly #retain: boolean
  readonly #five: Five | undefined
  #wire: MqttWire | undefined
  #numbers = new Map<number, number>()
  #lastId = 0
  /** For a retained topic: the last number sent and the last acknowledged. */
  lastSent = -1
  lastAcknowledged = -1

  constructor(name: string, topic: string, options: Readonly<{ window: number; retain?: boolean; five?: Five }>, stage: Stage) {
    super(name, options.window, stage)
    this.#topic = topic
    this.#retain = options.retain ?? false
    this.#five = options.five
  }

  async connect(ready: Ready): Promise<void> {
    const wire = await MqttWire.connect(placeOf(ready, 'mqtt', 'mqtt'), { clientId: this.name, clean: true, ...levelOf(this.#five) })
    refusals(wire, this.name, this.stage)
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
  readonly #five: Five | undefined
  #wire: MqttWire | undefined
  /** In order of sending. `payload` is undefined once PUBREC came. */
  readonly #flights = new Map<number, { readonly number: number; payload: Buffer | undefined }>()
  #lastId = 0
  #connects = 0

  constructor(name: string, topic: string, { window, five }: Readonly<{ window: number; five?: Five }>, stage: Stage) {
    super(name, window, stage)
    this.#topic = topic
    this.#five = five
  }

  async connect(ready: Ready): Promise<void> {
    const wire = await MqttWire.connect(placeOf(ready, 'mqtt', 'mqtt'), { clientId: this.name, clean: false, ...levelOf(this.#five) })
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
      } else this.#finished(id)
    }
    const released = new Set([...this.#flights].filter(([, { payload }]) => payload === undefined).map(([id]) => id))
    wire.onRefused = (kind, id, reason) => {
      // The broker died between the end of this exchange and its answer: the identifier is not known there any more, which is no error then [MQTT5 3.7.2.1].
      if (kind === 'pubcomp' && reason === 0x92 && released.delete(id)) this.#finished(id)
      else refused(this.name, kind, id, reason, this.stage)
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

  #finished(id: number): void {
    this.#flights.delete(id)
    this.outstanding--
    this.pump()
  }
}

export type MqttConsumerOptions = Readonly<{ filter: string; qos: 1 | 2; five?: Five }>

/** A kept session. QoS 1 is settled by PUBACK (which nobody answers); of QoS 2 each packet id is passed on once. */
export class MqttConsumer extends Consumer {
  readonly #options: MqttConsumerOptions
  #wire: MqttWire | undefined
  readonly #received = new Set<number>()
  /** What came over this connection and is not acknowledged to its end: bounded by the receive maximum. */
  readonly #inFlight = new Set<number>()

  constructor(name: string, options: MqttConsumerOptions, stage: Stage) {
    super(name, stage)
    this.#options = options
  }

  async connect(ready: Ready): Promise<void> {
    this.forget()
    this.#inFlight.clear()
    const { filter, qos, five } = this.#options
    const first = this.connection === 0
    this.connection++
    // Deliveries of a kept session may come in the same read as CONNACK.
    const early: (() => void)[] = []
    let open = false
    const place = placeOf(ready, 'mqtt', 'mqtt')
    const wire = await MqttWire.connect(place, { clientId: this.name, clean: false, ...levelOf(five) }, (connecting) => {
      connecting.onPublish = (publish) =>
        open ? this.#take(publish) : early.push(() => this.#take({ ...publish, payload: Buffer.from(publish.payload) }))
      connecting.onAck = (kind, id) => (open ? this.#release(kind, id) : early.push(() => this.#release(kind, id)))
      refusals(connecting, this.name, this.stage)
    })
    if (wire.sessionPresent === first) this.stage.wrong(`${this.name}: session present is ${wire.sessionPresent} at connect ${this.connection}`)
    this.#wire = wire
    open = true
    for (const each of early) each()
    if (first) {
      const [granted] = await wire.subscribe([{ filter, qos }])
      if (granted !== qos) this.stage.wrong(`${this.name}: granted ${granted}`)
    }
  }

  get closed(): boolean {
    return this.#wire?.closed ?? true
  }

  protected flush(): void {
    this.#wire?.flush()
  }

  #take({ qos, id, payload }: MqttPublish): void {
    this.#inFlight.add(id)
    const { receiveMaximum = 65_535 } = this.#options.five ?? {}
    if (this.#inFlight.size > receiveMaximum)
      this.stage.wrong(`${this.name}: ${this.#inFlight.size} in flight, and its receive maximum is ${receiveMaximum}`)
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
        this.#inFlight.delete(id)
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
    this.later(() => {
      this.#inFlight.delete(id)
      this.#wire?.ack('pubcomp', id)
    })
  }
}

/** MQTT 5 without a session expiry: its session ends with its connection, so none may be there after a crash, although it asks for one. */
export class MqttPasserBy extends Consumer {
  readonly #filter: string
  #wire: MqttWire | undefined

  constructor(name: string, filter: string, stage: Stage) {
    super(name, stage)
    this.#filter = filter
  }

  async connect(ready: Ready): Promise<void> {
    this.forget()
    const wire = await MqttWire.connect(placeOf(ready, 'mqtt', 'mqtt'), { clientId: this.name, clean: false, level: 5 })
    if (wire.sessionPresent) this.stage.wrong(`${this.name}: a session that ended with its connection is present`)
    this.#wire = wire
    await wire.subscribe([{ filter: this.#filter, qos: 0 }])
  }

  get closed(): boolean {
    return this.#wire?.closed ?? true
  }

  protected flush(): void {}
}
