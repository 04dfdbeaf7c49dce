// What became of the deliveries that a client sent on a link that it may resume (part 2.6.13), by tag: who lost our answer with its connection asks
// for it again, and nothing is there twice.
//
// What a client may not have heard of is bounded: credit is given only after what made room for it was answered, on the same wire. So as many of the
// decided ones as the link's window of credit are enough.
import { NULL, type Term } from './term.ts'
import { TermWriter } from './writer.ts'

/**
 * One delivery. `id`: under which its client knows it now, or `NOBODY`. `named`: by its client, as unsettled, when it came back. `decided`: the state that it has,
 * once it has one.
 */
export type Fate = { id: number; readonly tag: string; named: boolean; readonly state: Buffer; readonly open: undefined; decided: Term | undefined }

/** Stands for a delivery of which nobody is told. */
export const NOBODY = -1

export class Remembered {
  readonly #max: number
  /** Oldest first. */
  readonly #fates = new Map<string, Fate>()
  #decided = 0

  constructor(max: number) {
    this.#max = max
  }

  get size(): number {
    return this.#fates.size
  }

  get(tag: string): Fate | undefined {
    return this.#fates.get(tag)
  }

  begin(id: number, tag: string, state: Buffer): Fate {
    this.forget(tag)
    const fate: Fate = { id, tag, named: false, state, open: undefined, decided: undefined }
    this.#fates.set(tag, fate)
    return fate
  }

  decide(fate: Fate, state: Term): void {
    fate.decided = state
    if (this.#fates.get(fate.tag) !== fate) return
    this.#decided++
    if (this.#decided <= this.#max) return
    for (const each of this.#fates.values()) {
      if (each.decided === undefined) continue
      this.forget(each.tag)
      break
    }
  }

  forget(tag: string): void {
    const fate = this.#fates.get(tag)
    if (fate === undefined) return
    if (fate.decided !== undefined) this.#decided--
    this.#fates.delete(tag)
  }

  /** Their client is back with these tags, and with no others unless `incomplete`. Answers what we say of them. */
  compare(theirs: ReadonlySet<string>, incomplete: boolean): readonly (readonly [Term, Term])[] {
    const ours: (readonly [Term, Term])[] = []
    for (const fate of [...this.#fates.values()]) {
      fate.id = NOBODY
      fate.named = theirs.has(fate.tag)
      if (!fate.named && !incomplete) this.forget(fate.tag)
      else ours.push([{ type: 'binary', value: Buffer.from(fate.tag, 'latin1') }, fate.decided ?? NULL])
    }
    return ours
  }
}

/** The tags of a map of unsettled deliveries. */
export function tagsOf(unsettled: readonly (readonly [Term, Term])[] | undefined): ReadonlySet<string> {
  return new Set((unsettled ?? []).flatMap(([tag]) => (tag.type === 'binary' ? Buffer.from(tag.value).toString('latin1') : [])))
}

/** So many of these pairs as have room in `bytes`. */
export function fitting(all: readonly (readonly [Term, Term])[], bytes: number): readonly (readonly [Term, Term])[] {
  let left = bytes
  const end = all.findIndex(([tag, state]) => {
    left -= new TermWriter(64).term(tag).term(state).length
    return left < 0
  })
  return end < 0 ? all : all.slice(0, end)
}
