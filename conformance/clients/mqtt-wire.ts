// A connection of MQTT that sends exactly what it is told and acknowledges nothing by itself: well-formed packets by mqtt-packet, any other bytes as they are.
import { connect as connectTcp, type Socket } from 'node:net'
import { type Packet, generate, parser } from 'mqtt-packet'
import { fail } from '../outcome.ts'
import type { Trial } from '../trial.ts'
import { Inbox } from './inbox.ts'
import { splitter } from './mqtt-framing.ts'
import { whyMalformed } from './mqtt-strict.ts'

/** A packet as mqtt-packet reads it, with its bytes. */
export type Received<C extends Packet['cmd'] = Packet['cmd']> = Extract<Packet, { cmd: C }> & Readonly<{ raw: Buffer }>

export type Level = 3 | 4 | 5

export class MqttWire {
  readonly inbox: Inbox<Received>
  /** How many PUBLISH of QoS 1 and 2 the broker takes before the first is answered, as CONNACK says [MQTT5-3.2.2.3.3]; MQTT 3 has no such limit. */
  receiveMaximum = 65_535
  readonly #trial: Trial
  readonly #name: string
  readonly #socket: Socket
  /** By which version what comes is read and what goes is written. */
  readonly #level: Level

  private constructor(trial: Trial, level: Level, socket: Socket) {
    this.#trial = trial
    this.#name = trial.wireName()
    this.#level = level
    this.#socket = socket
    this.inbox = new Inbox(trial)
    const split = splitter()
    socket.on('data', (bytes: Buffer) => {
      for (const raw of split(bytes)) this.#received(raw)
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      trial.line(`${this.#name} ✕ closed`)
      this.inbox.end()
    })
    trial.after(() => void socket.destroy())
  }

  /** A TCP connection on which nothing was said yet. */
  static async open(trial: Trial, level: Level): Promise<MqttWire> {
    const socket = connectTcp({ ...trial.address, noDelay: true })
    await trial.within(
      new Promise<void>((resolve, reject) => {
        socket.once('connect', resolve)
        socket.once('error', reject)
      }),
      'the TCP connection did not open',
    )
    return new MqttWire(trial, level, socket)
  }

  send(packet: Packet | Buffer): void {
    const bytes = Buffer.isBuffer(packet) ? packet : generate(packet, { protocolVersion: this.#level })
    this.#trial.line(`${this.#name} → ${Buffer.isBuffer(packet) ? 'bytes' : packet.cmd.toUpperCase()} ${hex(bytes)}`)
    this.#socket.write(bytes)
  }

  /** The next packet of this kind; what came before it stays unread. */
  next<C extends Packet['cmd']>(cmd: C): Promise<Received<C>> {
    return this.inbox.find((packet): packet is Received<C> => packet.cmd === cmd, `${cmd.toUpperCase()} to ${this.#name}`)
  }

  /** Sends PINGREQ and waits for PINGRESP: whatever the broker had to say before it has come by then, and is unread. */
  async ping(): Promise<void> {
    this.send({ cmd: 'pingreq' })
    await this.next('pingresp')
  }

  /** Fails unless the broker closes the connection; answers what came before and was not read. */
  async closed(why: string, patienceMs?: number): Promise<readonly Received[]> {
    await this.inbox.untilEnd(`the connection was left open: ${why}`, patienceMs)
    return this.inbox.unread
  }

  /** Half-closes: FIN without DISCONNECT. */
  end(): void {
    this.#socket.end()
  }

  /** As if the network failed. */
  destroy(): void {
    this.#socket.destroy()
  }

  /** Reads no more from the network until `resume`. */
  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  #received(raw: Buffer): void {
    const seen = read(raw, this.#level)
    if (typeof seen === 'string') {
      this.#trial.line(`${this.#name} ← unreadable (${seen}) ${hex(raw)}`)
      this.inbox.spoil(`a packet came that cannot be read (${seen}): ${hex(raw)}`)
      return
    }
    this.#trial.line(`${this.#name} ← ${seen.cmd.toUpperCase()} ${hex(raw)}`)
    if (seen.cmd === 'connack') this.receiveMaximum = seen.properties?.receiveMaximum ?? 65_535
    this.inbox.put(Object.assign(seen, { raw }) as Received)
  }
}

/** What a broker that only knows MQTT 3 refuses a CONNECT of level 5 with: it is no CONNACK of level 5. */
const OLD_REFUSAL = Buffer.from([0x20, 2, 0, 1])

/** A whole packet, or why it is none. */
function read(raw: Buffer, level: Level): Packet | string {
  const as = level === 5 && raw.equals(OLD_REFUSAL) ? 4 : level
  const malformed = whyMalformed(raw, as)
  if (malformed !== undefined) return malformed
  let found: Packet | string = 'it is shorter than its parts'
  const reader = parser({ protocolVersion: as })
  reader.on('packet', (packet) => {
    found = packet
  })
  reader.on('error', (error: Error) => {
    found = error.message
  })
  reader.parse(raw)
  return found
}

/** Bytes for people: the first 64 in hexadecimal. */
export function hex(bytes: Buffer): string {
  const shown = bytes.subarray(0, 64).toString('hex').replace(/../g, '$& ').trimEnd()
  return bytes.length > 64 ? `${shown} … (${bytes.length} bytes)` : shown
}

/** The only packet that is in `packets`, if it is of this kind; fails otherwise. */
export function only<C extends Packet['cmd']>(packets: readonly Received[], cmd: C): Received<C> {
  const [first, ...more] = packets
  if (first === undefined) return fail(`no ${cmd.toUpperCase()} came`)
  if (first.cmd !== cmd || more.length > 0)
    return fail(`${packets.map((packet) => packet.cmd.toUpperCase()).join(', ')} came where one ${cmd.toUpperCase()} was due`)
  return first as Received<C>
}
