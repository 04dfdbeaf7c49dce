// Writes PUBLISH packets. A hot room: one of these for all connections remembers the packet it made last, so that
// a fan-out of the same message encodes once. Small packets are one piece; others are their head, and the payload by reference.
import type { Address, Message, Wire } from '../../src/api.ts'
import type { Topics } from './address.ts'
import { lengthBytes, writeLength } from './codec.ts'

/** Larger payloads are given to the wire as they are, which copies them once with all else of the turn, or not at all. */
const COPIED_BYTES_MAX = 256

export class PublishWriter {
  readonly #topics: Topics
  // The last packet, or its part before the payload. It was given to a wire and is never written to again.
  #message: Message | undefined = undefined
  #to: Address | undefined = undefined
  #first = 0
  #packet: Buffer = Buffer.alloc(0)
  #idAt = 0

  constructor(topics: Topics) {
    this.#topics = topics
  }

  /** `first` is byte 1: DUP, QoS, RETAIN. `message` is of this dialect. false: the address has no name in MQTT, and nothing was written. */
  write(wire: Wire, message: Message, to: Address, first: number, packetId: number): boolean {
    const whole = message.body.length <= COPIED_BYTES_MAX
    let packet = this.#packet
    if (message !== this.#message || to !== this.#to || first !== this.#first) {
      const name = this.#topics.name(to)
      if (name === undefined) return false
      packet = this.#make(message, name, first, packetId, whole)
      this.#message = message
      this.#to = to
      this.#first = first
      this.#packet = packet
    } else if (packetId !== 0) {
      packet = Buffer.allocUnsafe(packet.length)
      packet.set(this.#packet)
      packet[this.#idAt] = packetId >> 8
      packet[this.#idAt + 1] = packetId & 255
    }
    wire.write(packet)
    if (!whole) wire.write(message.body)
    return true
  }

  #make(message: Message, name: Uint8Array, first: number, packetId: number, whole: boolean): Buffer {
    const idBytes = packetId === 0 ? 0 : 2
    const body = message.body
    const remaining = 2 + name.length + idBytes + body.length
    const header = 1 + lengthBytes(remaining)
    const packet = Buffer.allocUnsafe(header + remaining - (whole ? 0 : body.length))
    packet[0] = first
    let at = writeLength(packet, 1, remaining)
    packet[at] = name.length >> 8
    packet[at + 1] = name.length & 255
    packet.set(name, at + 2)
    at += 2 + name.length
    this.#idAt = at
    if (packetId !== 0) {
      packet[at] = packetId >> 8
      packet[at + 1] = packetId & 255
      at += 2
    }
    if (whole) packet.set(body, at)
    return packet
  }
}
