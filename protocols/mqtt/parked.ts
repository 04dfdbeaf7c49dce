// Publishes that wait for room in the core, and what came after them and has its answer already: a refusal, or an identifier that came again.
// Answers leave in the order of the publishes [MQTT-4.6.0-2], so those wait here too, behind the ones that wait for the core.
import { Answers } from './answers.ts'

/** In the place of a ticket: it has its answer, or the core will give it. */
const FOLLOWS = 0
const WAITS = 1

export class Parked {
  readonly #answers = new Answers()

  get size(): number {
    return this.#answers.size
  }

  /** The core will say what becomes of it; then it is answered `what`. */
  wait(what: number, packetId: number): void {
    this.#answers.push(WAITS, what, packetId)
  }

  follow(what: number, packetId: number): void {
    this.#answers.push(FOLLOWS, what, packetId)
  }

  followPacket(packet: Uint8Array): void {
    this.#answers.pushPacket(FOLLOWS, packet)
  }

  /** The oldest, of which the core has just spoken: `what * 65536 + packetId`. */
  take(): number {
    return this.#answers.shift()
  }

  /** Those that follow it and wait for nothing go over to `answers`. Answers how many of them were whole packets. */
  release(answers: Answers, ticket: number): number {
    let packets = 0
    for (let left = this.#answers.ready(FOLLOWS); left > 0; left--) if (this.#answers.moveTo(answers, ticket)) packets++
    return packets
  }
}
