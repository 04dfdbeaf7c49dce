// The credit of one link on which the client receives (part 2.6.7), and what of it the core may use. Hot room.
//
// What the core may hand over is the least of: the client's credit, `prefetch`, and what is left of `unsettledMax`; bytes come back as the
// socket drains. So a receiver with endless credit and a closed window, or one that never settles, costs a bounded amount.
import type { Browse } from '../../src/api.ts'
import type { OutgoingLink } from './outgoing-link.ts'
import type { Flow } from './performatives.ts'
import type { AmqpSettings } from './settings.ts'

export class LinkCredit {
  /** Begun on the wire, and handed over but not yet begun. */
  deliveryCount = 0
  waiting = 0
  /** What the client allows beyond those. */
  left = 0
  drain = false
  /** Deliveries of which the client has yet to speak. */
  unsettled = 0
  /** Bytes that the core may use again with the next grant. */
  bytesBack = 0
  /** What the core may still hand over. */
  #granted = 0
  #grantedBytes = false
  #stalled = false
  #held = false
  readonly #link: OutgoingLink
  readonly #settings: AmqpSettings

  constructor(link: OutgoingLink, settings: AmqpSettings) {
    this.#link = link
    this.#settings = settings
  }

  /** Of the link whose place this one's takes, with its bytes: its taker was granted them. */
  inherit({ bytesBack }: LinkCredit): void {
    this.#grantedBytes = true
    this.bytesBack = bytesBack
  }

  flow(flow: Flow): void {
    const credit = flow.linkCredit ?? 0
    // Part 2.6.7: link-credit := delivery-count(receiver) + link-credit(receiver) − delivery-count(sender).
    const known = flow.deliveryCount ?? 0
    const left = (known + credit - this.deliveryCount - this.waiting) | 0
    this.left = credit > 0x7f_ff_ff_ff ? credit : Math.max(0, left)
    this.drain = flow.drain
    this.topUp()
    if (this.drain) this.#drainLater()
  }

  /** The core handed one over. */
  given(): void {
    this.#granted--
  }

  /** One of what was handed over is to be sent. */
  queued(): void {
    this.left--
    this.waiting++
  }

  /** Its first frame goes out. */
  begun(): void {
    this.waiting--
    this.deliveryCount = (this.deliveryCount + 1) >>> 0
  }

  /** Its last frame went. */
  sent(): void {
    if (this.drain && this.waiting === 0) this.#drainLater()
  }

  /** Tells the core what it may hand over now. False: that is what it knows. */
  topUp(): boolean {
    const taker = this.#link.taker
    if (taker === undefined || !this.#link.takes) return false
    const { prefetch, prefetchBytes, unsettledMax } = this.#settings
    const none = !this.#link.takesNew()
    const wanted = none ? 0 : Math.max(0, Math.min(this.left, prefetch - this.waiting, this.#link.settled ? prefetch : unsettledMax - this.unsettled))
    const messages = wanted - this.#granted
    let bytes = 0
    if (!this.#grantedBytes) {
      this.#grantedBytes = true
      bytes = prefetchBytes
    } else if (this.bytesBack * 2 >= prefetchBytes || this.waiting === 0) {
      bytes = this.bytesBack
      this.bytesBack = 0
    }
    if (messages === 0 && bytes === 0) return false
    this.#granted = wanted
    taker.grant(messages, bytes)
    return true
  }

  /** The window or the socket is closed: others may have what is there. */
  stall(stalled: boolean): void {
    this.#stalled = stalled
    this.#link.taker?.stall(stalled || this.#held)
    if (!stalled && !this.#held) {
      this.topUp()
      if (this.drain) this.#drainLater()
    }
  }

  /** What was taken comes back in shares: until then it is given nothing. */
  hold(held: boolean): void {
    this.#held = held
    this.stall(this.#stalled)
  }

  /** Its client is away: what the core may still hand over, it may not. */
  suspend(taker: Browse | undefined): void {
    taker?.grant(-this.#granted, 0)
    taker?.stall(true)
  }

  #drainLater(): void {
    const { taker } = this.#link
    if (taker === undefined) this.#drained()
    else taker.whenIdle(() => this.#drained())
  }

  /** Part 2.6.7: nothing is left to send, so the credit is used up. Not yet where only what the core was granted of it is: the next grant may bring more. */
  #drained(): void {
    if (this.#link.over || !this.drain || this.waiting > 0) return
    if (this.topUp()) {
      this.#drainLater()
      return
    }
    this.deliveryCount = (this.deliveryCount + this.left) >>> 0
    this.left = 0
    this.topUp()
    this.#link.tellDrained()
    this.drain = false
  }
}
