// What one session sends (part 2.5.6): the transfers that wait for the client's window or for the socket, and the ids that they get. Hot room.
// Not here: frames (outbound.ts), credit of links (link-credit.ts), what the client says of what was sent (unsettled.ts).
import type { EntryRef } from '../../src/api.ts'
import type { Channel } from './channel.ts'
import { type Outbound, writeTransfer } from './outbound.ts'
import type { OutgoingLink } from './outgoing-link.ts'
import type { Flow } from './performatives.ts'
import { UnsettledDeliveries } from './unsettled.ts'

export type Sending = Readonly<{
  ref: EntryRef
  attempts: number
  coreTag: number
  settled: boolean
  state: Buffer | undefined
  parts: readonly Uint8Array[]
}>

export class Outbox {
  readonly unsettled: UnsettledDeliveries
  readonly #channel: Channel
  #nextOutgoingId = 0
  #nextDeliveryId = 0
  #remoteWindow: number
  #queue: Outbound[] = []
  #queueAt = 0

  constructor(channel: Channel, remoteWindow: number) {
    this.#channel = channel
    this.#remoteWindow = remoteWindow
    this.unsettled = new UnsettledDeliveries(channel)
  }

  get nextOutgoingId(): number {
    return this.#nextOutgoingId
  }

  get nextDeliveryId(): number {
    return this.#nextDeliveryId
  }

  /** Nothing may be sent now. */
  get closed(): boolean {
    return this.#remoteWindow === 0 || this.#channel.connection.congestedOut
  }

  /** The client's window: what it has not yet counted is still on its way to it. */
  heard({ nextIncomingId, incomingWindow }: Flow): void {
    const underWay = Math.max(0, (this.#nextOutgoingId - (nextIncomingId ?? 0)) | 0)
    this.#remoteWindow = Math.max(0, incomingWindow - underWay)
  }

  send(link: OutgoingLink, { ref, attempts, coreTag, settled, state, parts }: Sending): void {
    const deliveryId = this.#nextDeliveryId
    this.#nextDeliveryId = (deliveryId + 1) >>> 0
    if (coreTag !== 0) this.unsettled.add(deliveryId, { link, coreTag })
    let total = 0
    for (const part of parts) total += part.length
    this.#queue.push({ link, deliveryId, ref, attempts, settled, state, parts, total, sent: 0 })
    this.pump()
  }

  /** Sends what the windows allow. */
  pump(): void {
    const { connection, number } = this.#channel
    while (this.#queueAt < this.#queue.length && this.#remoteWindow > 0 && !connection.congestedOut) {
      const out = this.#queue[this.#queueAt]
      if (out.sent === 0) out.link.begun()
      const last = writeTransfer(out, number, connection.frameBytesOut, connection)
      this.#remoteWindow--
      this.#nextOutgoingId = (this.#nextOutgoingId + 1) >>> 0
      if (!last) continue
      this.#queueAt++
      out.link.sent()
    }
    if (this.#queueAt === this.#queue.length && this.#queueAt > 0) {
      this.#queue = []
      this.#queueAt = 0
    }
    this.#channel.stall()
  }

  /** What of this link waits is not sent any more. */
  drop(link: OutgoingLink): void {
    this.#queue = this.#queue.slice(this.#queueAt).filter((out) => out.link !== link)
    this.#queueAt = 0
  }

  clear(): void {
    this.#queue = []
    this.#queueAt = 0
    this.unsettled.clear()
  }
}
