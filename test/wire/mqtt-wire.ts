// A raw MQTT client (3.1, 3.1.1, and of 5 what sessions need) for tests and benches: it sends exactly what it is told, when it is told, and
// acknowledges nothing by itself.
// Its codec is its own on purpose: an oracle that shared the broker's would share its mistakes. It trusts its broker's framing.
import { type Place, TurnSocket } from './bytes.ts'

export interface MqttPublish {
  readonly topic: string
  readonly payload: Buffer
  readonly qos: 0 | 1 | 2
  readonly dup: boolean
  readonly retain: boolean
  /** 0 for QoS 0. */
  readonly id: number
}

export interface MqttConnect {
  readonly clientId: string
  readonly clean: boolean
  readonly keepAliveSeconds?: number
  readonly will?: Readonly<{ topic: string; payload: Buffer; qos: 0 | 1 | 2; retain: boolean }>
  /** 4 is 3.1.1, 3 is 3.1. */
  readonly level?: 3 | 4 | 5
  /** Of level 5: how long the session outlives its connection; and how much may be unacknowledged towards this client. */
  readonly sessionExpirySeconds?: number
  readonly receiveMaximum?: number
}

export type MqttAck = 'puback' | 'pubrec' | 'pubrel' | 'pubcomp'

export class MqttWire {
  onPublish: (publish: MqttPublish) => void = () => {}
  onAck: (kind: MqttAck, id: number) => void = () => {}
  /** MQTT 5: acknowledged with a reason that is an error. */
  onRefused: (kind: MqttAck, id: number, reason: number) => void = () => {}
  onClosed: (error: Error | undefined) => void = () => {}
  /** MQTT 5: of the broker's DISCONNECT; -1: there was none. */
  disconnectReason = -1
  sessionPresent = false
  closed = false
  /** Set once the first packet was parsed. */
  connackCode = -1
  #socket: TurnSocket | undefined
  #rest: Buffer | undefined
  readonly #answers = new Map<string, (bytes: Buffer) => void>()
  #lastId = 60_000
  #five = false

  /**
   * Ends with CONNACK; refuses with an error if its code is not 0 or the connection closes first. `prepare` sets handlers before
   * anything is sent: what a kept session has waiting may come in the same read as CONNACK.
   */
  static async connect(address: Place, options: MqttConnect, prepare: (wire: MqttWire) => void = () => {}): Promise<MqttWire> {
    const wire = new MqttWire()
    wire.#five = options.level === 5
    prepare(wire)
    const socket = await TurnSocket.open(address, {
      data: (bytes) => wire.#data(bytes),
      closed: (error) => {
        wire.closed = true
        wire.onClosed(error)
      },
    })
    wire.#socket = socket
    await new Promise<void>((resolve, reject) => {
      wire.onClosed = () => reject(new Error(`closed before CONNACK (${options.clientId})`))
      wire.#answers.set('connack', (bytes) => {
        wire.sessionPresent = (bytes[0] ?? 0) === 1
        wire.connackCode = bytes[1] ?? -1
        if (wire.connackCode === 0) resolve()
        else reject(new Error(`CONNACK ${wire.connackCode}`))
      })
      wire.write(connectPacket(options))
    })
    wire.onClosed = () => {}
    return wire
  }

  write(bytes: Buffer): void {
    this.#socket?.write(bytes)
  }

  flush(): void {
    this.#socket?.flush()
  }

  publish(topic: string, payload: Buffer, options: Readonly<{ qos: 0 | 1 | 2; id?: number; retain?: boolean; dup?: boolean }>): void {
    this.write(publishPacket(topic, payload, options, this.#five))
  }

  ack(kind: MqttAck, id: number): void {
    this.write(ackPacket(kind, id))
  }

  /** Ends with SUBACK: the granted codes. */
  subscribe(filters: readonly Readonly<{ filter: string; qos: 0 | 1 | 2 }>[]): Promise<number[]> {
    const parts = filters.flatMap(({ filter, qos }) => [text(filter), Buffer.from([qos])])
    return this.#ask(0x82, parts, 'suback').then((bytes) => [...bytes.subarray(this.#five ? afterProperties(bytes, 2) : 2)])
  }

  async unsubscribe(filters: readonly string[]): Promise<void> {
    await this.#ask(0xa2, filters.map(text), 'unsuback')
  }

  async ping(): Promise<void> {
    const answered = this.#answer('pingresp')
    this.write(Buffer.from([0xc0, 0]))
    await answered
  }

  /** DISCONNECT: the broker forgets the will. */
  disconnect(): void {
    this.write(Buffer.from([0xe0, 0]))
    this.#socket?.end()
  }

  /** As a crash of the client: no DISCONNECT. */
  destroy(): void {
    this.#socket?.destroy()
  }

  pause(): void {
    this.#socket?.socket.pause()
  }

  resume(): void {
    this.#socket?.socket.resume()
  }

  #ask(head: number, parts: readonly Buffer[], answer: string): Promise<Buffer> {
    const id = ++this.#lastId
    if (this.#lastId === 65_000) this.#lastId = 60_000
    const answered = this.#answer(`${answer} ${id}`)
    this.write(packet(head, [Buffer.from([id >> 8, id & 255]), ...noProperties(this.#five), ...parts]))
    return answered
  }

  #answer(name: string): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#answers.set(name, resolve)
      const timer = setTimeout(() => reject(new Error(`no ${name} within 10 s`)), 10_000)
      timer.unref()
    })
  }

  #data(bytes: Buffer): void {
    let chunk = this.#rest === undefined ? bytes : Buffer.concat([this.#rest, bytes])
    this.#rest = undefined
    let at = 0
    while (at < chunk.length) {
      let length = 0
      let shift = 0
      let body = at + 1
      for (;;) {
        const byte = chunk[body]
        if (byte === undefined) break
        body++
        length |= (byte & 127) << shift
        shift += 7
        if (byte < 128) {
          shift = -1
          break
        }
      }
      if (shift !== -1 || chunk.length < body + length) break
      this.#packet(chunk[at] ?? 0, chunk.subarray(body, body + length))
      at = body + length
    }
    if (at < chunk.length) {
      chunk = chunk.subarray(at)
      this.#rest = chunk
    }
  }

  #packet(head: number, body: Buffer): void {
    const kind = head >> 4
    if (kind === 3) {
      const qos = (head >> 1) & 3
      const topicEnd = 2 + body.readUInt16BE(0)
      const headEnd = qos > 0 ? topicEnd + 2 : topicEnd
      this.onPublish({
        topic: body.toString('utf8', 2, topicEnd),
        payload: body.subarray(this.#five ? afterProperties(body, headEnd) : headEnd),
        qos: qos === 0 ? 0 : qos === 1 ? 1 : 2,
        dup: (head & 8) !== 0,
        retain: (head & 1) !== 0,
        id: qos > 0 ? body.readUInt16BE(topicEnd) : 0,
      })
      return
    }
    const ack = ACK_NAMES[kind]
    if (ack !== undefined) {
      // A reason of MQTT 5 that is an error answers nothing that a test may take for an acknowledgement.
      const reason = body[2] ?? 0
      if (reason < 0x80) this.onAck(ack, body.readUInt16BE(0))
      else this.onRefused(ack, body.readUInt16BE(0), reason)
      return
    }
    if (kind === 14) {
      this.disconnectReason = body[0] ?? 0
      return
    }
    const name =
      kind === 2 ? 'connack' : kind === 9 ? `suback ${body.readUInt16BE(0)}` : kind === 11 ? `unsuback ${body.readUInt16BE(0)}` : 'pingresp'
    this.#answers.get(name)?.(Buffer.from(body))
    this.#answers.delete(name)
  }
}

const ACK_NAMES: readonly (MqttAck | undefined)[] = [undefined, undefined, undefined, undefined, 'puback', 'pubrec', 'pubrel', 'pubcomp']
const ACK_HEADS: Readonly<Record<MqttAck, number>> = { puback: 0x40, pubrec: 0x50, pubrel: 0x62, pubcomp: 0x70 }

export function publishPacket(
  topic: string,
  payload: Buffer,
  { qos, id = 0, retain = false, dup = false }: Readonly<{ qos: 0 | 1 | 2; id?: number; retain?: boolean; dup?: boolean }>,
  five = false,
): Buffer {
  const head = 0x30 | (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0)
  return packet(head, [text(topic), ...(qos > 0 ? [Buffer.from([id >> 8, id & 255])] : []), ...noProperties(five), payload])
}

export function ackPacket(kind: MqttAck, id: number): Buffer {
  return Buffer.from([ACK_HEADS[kind], 2, id >> 8, id & 255])
}

function connectPacket(options: MqttConnect): Buffer {
  const { clientId, clean, keepAliveSeconds = 0, will, level = 4, sessionExpirySeconds = 0, receiveMaximum = 65_535 } = options
  const flags = (clean ? 2 : 0) | (will === undefined ? 0 : 4 | (will.qos << 3) | (will.retain ? 32 : 0))
  const five = level === 5
  const parts = [text(level === 3 ? 'MQIsdp' : 'MQTT'), Buffer.from([level, flags, keepAliveSeconds >> 8, keepAliveSeconds & 255])]
  if (five) {
    const properties = Buffer.alloc(9)
    properties[0] = 8
    properties[1] = SESSION_EXPIRY
    properties.writeUInt32BE(sessionExpirySeconds, 2)
    properties[6] = RECEIVE_MAXIMUM
    properties.writeUInt16BE(receiveMaximum, 7)
    parts.push(properties)
  }
  parts.push(text(clientId), ...(will === undefined ? [] : [...noProperties(five), text(will.topic), short(will.payload.length), will.payload]))
  return packet(0x10, parts)
}

const SESSION_EXPIRY = 0x11
const RECEIVE_MAXIMUM = 0x21

/** Of every packet of MQTT 5 that has them. */
function noProperties(five: boolean): Buffer[] {
  return five ? [Buffer.from([0])] : []
}

/** Where the properties that begin at `at` end. */
function afterProperties(body: Buffer, at: number): number {
  let length = 0
  let end = at
  for (let shift = 0; ; shift += 7) {
    const byte = body[end++] ?? 0
    length |= (byte & 127) << shift
    if (byte < 128) return end + length
  }
}

function short(value: number): Buffer {
  return Buffer.from([value >> 8, value & 255])
}

function text(value: string): Buffer {
  const length = Buffer.byteLength(value)
  const bytes = Buffer.allocUnsafe(2 + length)
  bytes.writeUInt16BE(length, 0)
  bytes.write(value, 2)
  return bytes
}

function packet(head: number, parts: readonly Buffer[]): Buffer {
  let length = 0
  for (const part of parts) length += part.length
  const prefix = [head]
  let left = length
  do {
    prefix.push((left & 127) | (left > 127 ? 128 : 0))
    left >>= 7
  } while (left > 0)
  return Buffer.concat([Buffer.from(prefix), ...parts], prefix.length + length)
}
