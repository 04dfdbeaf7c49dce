// What a connection owes its client, in the order in which it was asked, each waiting for its ticket. Columns, no object per answer.
// Not here: when a ticket is done (the core says), and what waits unadmitted (parked.ts).

/** Byte 1 of the acknowledgements, flags included [MQTT-2.2.2-1]. */
export const NOTHING = 0
export const SEND_PUBACK = 0x40
export const SEND_PUBREC = 0x50
export const SEND_PUBREL = 0x62
export const SEND_PUBCOMP = 0x70
/** With MQTT 5: `what` with a reason code in its next eight bits. */
export function withReason(what: number, reason: number): number {
  return what | (reason << 8)
}
/** A packet identifier may be used again. */
export const FREE_ID = 1
/** The next of the whole packets that were put aside. */
export const SEND_PACKET = 2
/** The oldest delivery that was to become this client's own has: it may be sent. */
export const SEND_TAKEN = 4

export class Answers {
  #tickets: number[] = []
  #codes: number[] = []
  #head = 0
  readonly #packets: Uint8Array[] = []

  get size(): number {
    return this.#tickets.length - this.#head
  }

  /** `what` of the constants above; tickets must not fall. */
  push(ticket: number, what: number, packetId: number): void {
    this.#tickets.push(ticket)
    this.#codes.push(what * 65_536 + packetId)
  }

  pushPacket(ticket: number, packet: Uint8Array): void {
    this.push(ticket, SEND_PACKET, 0)
    this.#packets.push(packet)
  }

  /** How many of the first answers have their ticket done. */
  ready(upTo: number): number {
    let at = this.#head
    while (at < this.#tickets.length && this.#tickets[at] <= upTo) at++
    return at - this.#head
  }

  /** The oldest: `what * 65536 + packetId`. Only while `size` is not 0. */
  shift(): number {
    const code = this.#codes[this.#head++]
    if (this.#head === this.#tickets.length) {
      this.#tickets.length = 0
      this.#codes.length = 0
      this.#head = 0
    } else if (this.#head >= 4096 && this.#head * 2 >= this.#tickets.length) {
      this.#tickets = this.#tickets.slice(this.#head)
      this.#codes = this.#codes.slice(this.#head)
      this.#head = 0
    }
    return code
  }

  /** The oldest goes to the end of `others`; true: it is a whole packet. */
  moveTo(others: Answers, ticket: number): boolean {
    const code = this.shift()
    const what = Math.floor(code / 65_536)
    if (what === SEND_PACKET) others.pushPacket(ticket, this.shiftPacket())
    else others.push(ticket, what, code % 65_536)
    return what === SEND_PACKET
  }

  shiftPacket(): Uint8Array {
    const packet = this.#packets.shift()
    if (packet === undefined) throw new Error('an answer names a packet that was not put aside')
    return packet
  }
}
