// What a receiver has unsettled when it comes back (part 2.6.13): which of our deliveries go on, which are over, and what of a message is missing.
// Not here: sending and settling (outgoing-link.ts).
import type { Delivery, Message, Outcome as CoreOutcome } from '../../src/api.ts'
import { DecodeFault } from './errors.ts'
import { codeOf, readOutcome } from './outcome.ts'
import { bytesOfTag, TAG_BYTES } from './outbound.ts'
import type { Attach } from './performatives.ts'
import { TermReader } from './reader.ts'
import { type Section, splitSections } from './sections.ts'
import type { AmqpSettings } from './settings.ts'
import { described, list, type Term, uint } from './term.ts'

/** `state`: as its receiver has it; undefined: none. */
export type Resumption = Readonly<{ delivery: Delivery; state: Term | undefined }>

/** What was given to one link and is unsettled, by the core's tag, oldest first. */
export class InHand {
  readonly #deliveries = new Map<number, Delivery>()

  get size(): number {
    return this.#deliveries.size
  }

  given(delivery: Delivery): void {
    this.#deliveries.set(delivery.tag, delivery)
  }

  /** Those are no more. Answers their bytes. */
  settled(first: number, last: number): number {
    let bytes = 0
    for (let tag = first; tag <= last; tag++) {
      const delivery = this.#deliveries.get(tag)
      if (delivery === undefined) continue
      bytes += bytesOf(delivery.message)
      this.#deliveries.delete(tag)
    }
    return bytes
  }

  /**
   * `forgotten`: their receiver does not know them. `ours`: what we say of all others, which can be sent again from their first byte; where that is more than a
   * frame of `frameBytes` has room for, not all of it.
   */
  compare({ unsettled, incomplete }: Pick<Attach, 'unsettled' | 'incomplete'>, frameBytes: number) {
    const states = new Map<string, Term>()
    for (const [tag, state] of unsettled ?? []) if (tag.type === 'binary') states.set(Buffer.from(tag.value).toString('hex'), state)
    const forgotten: Delivery[] = []
    const toResume: Resumption[] = []
    const ours: (readonly [Term, Term])[] = []
    const oursMax = Math.ceil(frameBytes / PAIR_BYTES_MIN)
    for (const delivery of this.#deliveries.values()) {
      // There may be many: a tag is made only while something asks for it.
      const sought = toResume.length < states.size
      if (!sought && !incomplete) {
        forgotten.push(delivery)
        continue
      }
      if (!sought && ours.length === oursMax) break
      const tag = bytesOfTag(delivery)
      const state = states.get(tag.toString('hex'))
      if (state === undefined && !incomplete) {
        forgotten.push(delivery)
        continue
      }
      if (ours.length < oursMax) ours.push([{ type: 'binary', value: tag }, FIRST_BYTE])
      if (state !== undefined) toResume.push({ delivery, state: state.type === 'null' ? undefined : state })
    }
    return { forgotten, toResume, ours }
  }
}

/**
 * What a client says it did with deliveries that it brings back and that are not in its link's hand (after a takeover, say), by the part of their tags that stays with
 * an entry. Only what ends an entry for good: that is done once, however often it is said. What gives it back is done by giving it.
 */
export function saidOf({ unsettled }: Pick<Attach, 'unsettled'>): Map<string, CoreOutcome> | undefined {
  const said = new Map<string, CoreOutcome>()
  for (const [tag, state] of unsettled ?? []) {
    if (tag.type !== 'binary' || state.type === 'null') continue
    const outcome = readOutcome(state)
    if (outcome.kind === 'accepted' || outcome.kind === 'rejected' || (outcome.kind === 'modified' && outcome.elsewhere))
      said.set(Buffer.from(tag.value).toString('hex', 0, Math.max(0, tag.value.length - 1)), outcome)
  }
  return said.size === 0 ? undefined : said
}

export function bytesOf({ head, body }: Message): number {
  return head.length + body.length
}

/**
 * What of a message its receiver has not, by its own word (part 3.4.1, received), and where that begins. One that cannot be divided begins with its first byte: with
 * the sections that are ours it may have more than one that is taken, and what is stored may have been taken under other limits.
 */
export function missing(
  parts: readonly Uint8Array[],
  state: Term | undefined,
  settings: AmqpSettings,
): Readonly<{ parts: readonly Uint8Array[]; from: Term }> {
  const place = placeOf(state)
  // Within the header nobody is the wiser for having a part of it: it is written anew for each delivery.
  if (parts.length === 0 || place.section === 0) return { parts, from: FIRST_BYTE }
  const whole = Buffer.concat(parts)
  let sections: readonly Section[]
  try {
    sections = splitSections(new TermReader(settings).over(whole), settings.sectionsMax)
  } catch (error) {
    if (!(error instanceof DecodeFault)) throw error
    return { parts, from: FIRST_BYTE }
  }
  const section = sections[place.section]
  if (section === undefined) return { parts: [], from: received(place.section, 0) }
  const offset = Math.min(place.offset, section.end - section.start)
  return { parts: [whole.subarray(section.start + offset)], from: received(place.section, offset) }
}

function placeOf(state: Term | undefined): Readonly<{ section: number; offset: number }> {
  const fields = state?.type === 'described' && codeOf(state.descriptor) === 0x23 && state.value.type === 'terms' ? state.value.value : []
  const [section, offset] = fields
  return { section: section?.type === 'uint32' ? section.value : 0, offset: offset?.type === 'uint64' ? Number(offset.value) : 0 }
}

function received(section: number, offset: number): Term {
  return described(0x23, list([uint(section), { type: 'uint64', value: BigInt(offset) }]))
}

const FIRST_BYTE = received(0, 0)
/** Of what we say of a delivery: its tag, and `FIRST_BYTE`. */
const PAIR_BYTES_MIN = 10 + TAG_BYTES
