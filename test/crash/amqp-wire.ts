// A raw AMQP 1.0 client with one session and one link: it sends exactly what it is told, when it is told, and settles nothing by itself.
// Its codec is its own on purpose: an oracle that shared the broker's would share its mistakes. It trusts its broker's framing.
// Not here: SASL (a bare header is an anonymous client), signs of life (no connection of the test lasts as long as an idle time-out).
import { type Place, TurnSocket } from '../wire/bytes.ts'

export interface AmqpLink {
  readonly containerId: string
  readonly name: string
  /** We receive; else we send. */
  readonly receives: boolean
  readonly address: string
  readonly receiverSettles: 'first' | 'second'
  /** A durable subscription that links may share, of the container id and the link name. */
  readonly durable?: boolean
}

/** What the broker says became of deliveries. */
export type AmqpDisposition = Readonly<{ first: number; last: number; settled: boolean; accepted: boolean }>

/** What a receiving link allows, and after how many deliveries it says so again. */
const CREDIT = 200
const CREDIT_AGAIN = 50
/** Frames that we take: small, so that larger messages come in several. */
const FRAME_BYTES = 16_384
const WINDOW = 0x7f_ff_ff_ff

export class AmqpWire {
  onMessage: (deliveryId: number, body: Buffer) => void = () => {}
  onDisposition: (disposition: AmqpDisposition) => void = () => {}
  /** Detach, End or Close, with its condition. */
  onEnded: (sentence: string) => void = () => {}
  onClosed: () => void = () => {}
  closed = false
  readonly #link: AmqpLink
  #socket: TurnSocket | undefined
  #mute = false
  #attached: () => void = () => {}
  // What we send.
  #frameBytesOut = 512
  #transfers = 0
  #remoteWindow = 0
  #deliveries = 0
  #credit = 0
  #nextId = 0
  #waiting: Buffer[] = []
  // What we receive.
  #pieces: Buffer[] = []
  #transfersIn = 0
  #deliveriesIn = 0
  #credited = 0
  #deliveryId = 0

  private constructor(link: AmqpLink) {
    this.#link = link
  }

  /** Ends with the broker's attach; refuses with an error if that is refused or the connection closes first. */
  static async connect(place: Place, link: AmqpLink, prepare: (wire: AmqpWire) => void): Promise<AmqpWire> {
    const wire = new AmqpWire(link)
    const frames = new FrameReader((code, fields, payload) => wire.#frame(code, fields, payload))
    const socket = await TurnSocket.open(place, {
      data: (bytes) => frames.push(bytes),
      closed: () => {
        wire.closed = true
        wire.onClosed()
      },
    })
    wire.#socket = socket
    await new Promise<void>((resolve, reject) => {
      wire.onClosed = () => reject(new Error(`closed before the attach of ${link.name}`))
      wire.onEnded = (sentence) => reject(new Error(`${link.name}: ${sentence}`))
      wire.#attached = () => {
        // Deliveries may come in the same read.
        wire.onClosed = () => {}
        wire.onEnded = () => {}
        prepare(wire)
        resolve()
      }
      socket.write(HEADER)
      socket.write(frame(OPEN, [text(link.containerId), NULL, uint(FRAME_BYTES)]))
      socket.write(frame(BEGIN, [NULL, uint(0), uint(WINDOW), uint(WINDOW)]))
      socket.write(attachFrame(link))
    })
    wire.topUp()
    return wire
  }

  flush(): void {
    this.#socket?.flush()
  }

  /** Answers the delivery id. It leaves when the broker has given credit for it. */
  send(body: Buffer): number {
    this.#waiting.push(body)
    this.#pump()
    return this.#nextId++
  }

  /** We received these, and accept them. */
  accept(first: number, last: number, settled: boolean): void {
    this.#write(frame(DISPOSITION, [bool(true), uint(first), uint(last), bool(settled), accepted]))
  }

  /** We sent these, and know what became of them. */
  settleSent(first: number, last: number): void {
    this.#write(frame(DISPOSITION, [bool(false), uint(first), uint(last), bool(true)]))
  }

  /** Gives the sender credit again, if it used much of it. */
  topUp(): void {
    if (!this.#link.receives || this.#credited - this.#deliveriesIn > CREDIT - CREDIT_AGAIN) return
    this.#credited = this.#deliveriesIn + CREDIT
    const session = [uint(this.#transfersIn), uint(WINDOW), uint(0), uint(WINDOW)]
    this.#write(frame(FLOW, [...session, uint(0), uint(this.#deliveriesIn), uint(CREDIT)]))
  }

  /** The broker is dead: what is written now arrives nowhere, and its error would hide what is still to be read. */
  mute(): void {
    this.#mute = true
  }

  #write(bytes: Buffer): void {
    if (!this.#mute) this.#socket?.write(bytes)
  }

  /** Messages leave as credit and the session's window allow, in frames of the size that the broker takes. */
  #pump(): void {
    for (let body = this.#waiting[0]; body !== undefined; body = this.#waiting[0]) {
      const message = Buffer.concat([DURABLE, Buffer.from([0, 0x53, 0x75]), binary(body)])
      const room = this.#frameBytesOut - TRANSFER_BYTES
      const frames = Math.ceil(message.length / room)
      if (this.#credit === 0 || this.#remoteWindow < frames) return
      this.#waiting.shift()
      this.#credit--
      this.#remoteWindow -= frames
      this.#transfers += frames
      const id = this.#deliveries++
      for (let i = 0; i < frames; i++) {
        const fields = [uint(0), uint(id), binary(Buffer.from(String(id))), uint(0), bool(false), bool(i + 1 < frames)]
        this.#write(frame(TRANSFER, fields, message.subarray(i * room, (i + 1) * room)))
      }
    }
  }

  #frame(code: number, fields: readonly Value[], payload: Buffer): void {
    const at = (index: number): number => (typeof fields[index] === 'number' ? fields[index] : 0)
    if (code === OPEN) this.#frameBytesOut = Math.min(at(2) || 65_536, 65_536)
    else if (code === BEGIN) this.#remoteWindow = at(2)
    else if (code === FLOW) {
      this.#remoteWindow = at(0) + at(1) - this.#transfers
      // Of our link, or of the session only.
      if (fields[4] !== undefined) this.#credit = at(5) + at(6) - this.#deliveries
      this.#pump()
    } else if (code === ATTACH) {
      // One that is refused has no terminus of the broker's; what became of it comes with the detach that follows.
      if (fields[this.#link.receives ? 5 : 6] !== undefined) this.#attached()
    } else if (code === TRANSFER) this.#transfer(at(1), fields[5] === true, payload)
    else if (code === DISPOSITION) {
      const state = fields[4]
      const accepted = typeof state === 'object' && 'code' in state && state.code === 0x24
      this.onDisposition({ first: at(1), last: fields[2] === undefined ? at(1) : at(2), settled: fields[3] === true, accepted })
    } else this.onEnded(`the broker says ${code.toString(16)}: ${fields.map(String).join(' ')}`)
  }

  #transfer(deliveryId: number, more: boolean, payload: Buffer): void {
    this.#transfersIn++
    if (this.#pieces.length === 0) this.#deliveryId = deliveryId
    this.#pieces.push(payload)
    if (more) return
    const message = Buffer.concat(this.#pieces)
    this.#pieces = []
    this.#deliveriesIn++
    this.onMessage(this.#deliveryId, bodyOf(message))
  }
}

// ---- Bytes

/** Tells each frame of the broker's: its performative's code and fields, and what follows it. */
export class FrameReader {
  readonly #told: (code: number, fields: readonly Value[], payload: Buffer) => void
  #rest: Buffer | undefined
  #greeted = false

  constructor(told: (code: number, fields: readonly Value[], payload: Buffer) => void) {
    this.#told = told
  }

  push(bytes: Buffer): void {
    const chunk = this.#rest === undefined ? bytes : Buffer.concat([this.#rest, bytes])
    this.#rest = undefined
    let at = 0
    if (!this.#greeted && chunk.length >= HEADER.length) {
      if (!chunk.subarray(0, HEADER.length).equals(HEADER)) throw new Error(`the broker greets with ${chunk.toString('hex', 0, HEADER.length)}`)
      this.#greeted = true
      at = HEADER.length
    }
    while (this.#greeted && chunk.length >= at + 4 && chunk.length >= at + chunk.readUInt32BE(at)) {
      const end = at + chunk.readUInt32BE(at)
      const begin = at + (chunk[at + 4] ?? 0) * 4
      if (begin < end) this.#frame(chunk.subarray(begin, end))
      at = end
    }
    if (at < chunk.length) this.#rest = chunk.subarray(at)
  }

  #frame(bytes: Buffer): void {
    const { value, next } = read(bytes, 0)
    const { code, fields } = performativeOf(value)
    this.#told(code, fields, bytes.subarray(next))
  }
}

export const HEADER = Buffer.from([0x41, 0x4d, 0x51, 0x50, 0, 1, 0, 0])
export const CODE = { open: 0x10, begin: 0x11, attach: 0x12, flow: 0x13, transfer: 0x14, disposition: 0x15 } as const
const { open: OPEN, begin: BEGIN, attach: ATTACH, flow: FLOW, transfer: TRANSFER, disposition: DISPOSITION } = CODE
/** A transfer's frame without its payload is never longer. */
const TRANSFER_BYTES = 64
export const NULL = Buffer.from([0x40])
export const accepted = composite(0x24, [])
/** The header section of a durable message. */
const DURABLE = composite(0x70, [bool(true)])

export function bool(value: boolean): Buffer {
  return Buffer.from([value ? 0x41 : 0x42])
}

function ubyte(value: number): Buffer {
  return Buffer.from([0x50, value])
}

export function uint(value: number): Buffer {
  return sized(0x70, value, [])
}

export function text(value: string): Buffer {
  return sized(0xb1, Buffer.byteLength(value), [Buffer.from(value)])
}

function symbol(value: string): Buffer {
  return sized(0xb3, value.length, [Buffer.from(value)])
}

export function binary(value: Buffer): Buffer {
  return sized(0xb0, value.length, [value])
}

function sized(code: number, size: number, parts: readonly Buffer[]): Buffer {
  const head = Buffer.alloc(5, code)
  head.writeUInt32BE(size, 1)
  return Buffer.concat([head, ...parts])
}

export function composite(code: number, fields: readonly Buffer[]): Buffer {
  return Buffer.concat([Buffer.from([0, 0x53, code]), list(0xd0, fields)])
}

/** A list (0xd0) or a map (0xd1) of these elements. */
export function list(code: number, elements: readonly Buffer[]): Buffer {
  const body = Buffer.concat(elements)
  const count = Buffer.alloc(4)
  count.writeUInt32BE(elements.length)
  return sized(code, body.length + 4, [count, body])
}

/** A string (0xa1) or a symbol (0xa3) of up to 255 bytes. */
export function string8(code: number, value: string): Buffer {
  return Buffer.concat([Buffer.from([code, value.length]), Buffer.from(value)])
}

export function frame(code: number, fields: readonly Buffer[], payload: Buffer = Buffer.alloc(0)): Buffer {
  const body = composite(code, fields)
  const head = Buffer.from([0, 0, 0, 0, 2, 0, 0, 0])
  head.writeUInt32BE(head.length + body.length + payload.length)
  return Buffer.concat([head, body, payload])
}

function attachFrame({ name, receives, address, receiverSettles, durable = false }: AmqpLink): Buffer {
  const lasting = durable ? [uint(2), symbol('never')] : [uint(0), symbol('session-end')]
  const none = [uint(0), bool(false), NULL, NULL, NULL]
  const shared = durable ? [...none.slice(2), NULL, symbol('shared')] : []
  const source = composite(0x28, [text(receives ? address : name), ...lasting, ...none.slice(0, 2), ...shared])
  const target = composite(0x29, [text(receives ? name : address)])
  const settles = [ubyte(receives ? 2 : 0), ubyte(receiverSettles === 'second' ? 1 : 0)]
  return frame(ATTACH, [text(name), uint(0), bool(receives), ...settles, source, target, NULL, NULL, ...(receives ? [] : [uint(0)])])
}

/** Of the simplest kind. */
export function attachOf(handle: number, name: string, receives: boolean, source: Buffer, target: Buffer): Buffer {
  const settles = [ubyte(receives ? 2 : 0), ubyte(0)]
  return frame(ATTACH, [text(name), uint(handle), bool(receives), ...settles, source, target, NULL, NULL, ...(receives ? [] : [uint(0)])])
}

/** Lists, maps and arrays stay as they are: their elements, with the count before them cut off. */
export type Value = number | boolean | Buffer | undefined | Readonly<{ code: number; of: Value }>

/** The width of a value is the upper half of its code (part 1.2). */
function read(bytes: Buffer, at: number): Readonly<{ value: Value; next: number }> {
  const code = bytes[at] ?? 0x40
  const from = at + 1
  if (code === 0) {
    const descriptor = read(bytes, from)
    const described = read(bytes, descriptor.next)
    return { value: { code: Number(descriptor.value), of: described.value }, next: described.next }
  }
  switch (code >> 4) {
    case 4:
      return { value: code === 0x40 ? undefined : code === 0x45 ? bytes.subarray(from, from) : code < 0x43 ? code === 0x41 : 0, next: from }
    case 5:
      return { value: code === 0x56 ? bytes[from] === 1 : bytes.readUInt8(from), next: from + 1 }
    case 6:
      return { value: bytes.readUInt16BE(from), next: from + 2 }
    case 7:
      return { value: bytes.readUInt32BE(from), next: from + 4 }
    case 8:
      return { value: Number(bytes.readBigUInt64BE(from)), next: from + 8 }
    case 9:
      return { value: bytes.subarray(from, from + 16), next: from + 16 }
  }
  const wide = code >> 4 === 0xb || code >> 4 === 0xd || code >> 4 === 0xf
  const size = wide ? bytes.readUInt32BE(from) : bytes.readUInt8(from)
  const begin = from + (wide ? 4 : 1)
  const counted = code >= 0xc0 ? (wide ? 4 : 1) : 0
  return { value: bytes.subarray(begin + counted, begin + size), next: begin + size }
}

function performativeOf(value: Value): Readonly<{ code: number; fields: readonly Value[] }> {
  if (typeof value !== 'object' || !('code' in value) || !Buffer.isBuffer(value.of)) throw new Error('a frame without a performative')
  const fields: Value[] = []
  for (let at = 0; at < value.of.length; ) {
    const field = read(value.of, at)
    fields.push(field.value)
    at = field.next
  }
  return { code: value.code, fields }
}

/** Of data sections, or of the text of a value. */
export function bodyOf(message: Buffer): Buffer {
  const parts: Buffer[] = []
  for (let at = 0; at < message.length; ) {
    const { value, next } = read(message, at)
    if (typeof value === 'object' && 'code' in value && (value.code === 0x75 || value.code === 0x77) && Buffer.isBuffer(value.of))
      parts.push(value.of)
    at = next
  }
  return Buffer.concat(parts)
}
