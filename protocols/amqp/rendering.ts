// A delivery as one link's client reads it: the stored message behind a header that is written anew, with what is told of it besides. Hot room.
import type { Address, Delivery, Message } from '../../src/api.ts'
import { formatAddress } from './address.ts'
import { annotatedHead, changedHead, isAnnotated } from './annotated.ts'
import { groupFirstHead } from './group-first.ts'
import { headerSection } from './outbound.ts'
import type { TermReader } from './reader.ts'
import { DELIVERY_ANNOTATIONS, section } from './sections.ts'
import { pairs, symbol, text } from './term.ts'
import { TermWriter } from './writer.ts'

export class Rendering {
  readonly #reader: TermReader
  /** The link takes from more than one topic or queue. */
  readonly #wildcard: boolean
  #lastTo: Address | undefined
  #lastToSection: Uint8Array = EMPTY

  constructor(reader: TermReader, wildcard: boolean) {
    this.#reader = reader
    this.#wildcard = wildcard
  }

  /** `message`: the delivery's, in our dialect. */
  partsOf(delivery: Delivery, message: Message, wallMs: number): readonly Uint8Array[] {
    const header = headerSection(message, delivery, wallMs)
    let { head } = message
    if (isAnnotated(delivery)) head = changedHead(annotatedHead, this.#reader, head, delivery)
    if (delivery.groupFirst) head = changedHead(groupFirstHead, this.#reader, head, delivery)
    // The property `to` is its sender's, and other protocols have none: where it was sent stands in a delivery annotation.
    const says = this.#wildcard || message !== delivery.message
    return says && !hasDeliveryAnnotations(head) ? [header, this.#addressSection(delivery.to), head, message.body] : [header, head, message.body]
  }

  #addressSection(to: Address): Uint8Array {
    if (to === this.#lastTo) return this.#lastToSection
    const name = formatAddress(to)
    this.#lastTo = to
    this.#lastToSection =
      name === undefined
        ? EMPTY
        : section(new TermWriter(), DELIVERY_ANNOTATIONS)
            .term(pairs([[symbol('x-opt-to'), text(name)]]))
            .bytes()
    return this.#lastToSection
  }
}

function hasDeliveryAnnotations(head: Uint8Array): boolean {
  return head.length > 2 && head[1] === 0x53 && head[2] === DELIVERY_ANNOTATIONS
}

const EMPTY = new Uint8Array(0)
