// What every journal engine must pass. Called with a factory by the tests of each.
import { afterEach, describe, expect, it } from 'vitest'
import type { MovableClock } from '../clock.ts'
import { FACT_BYTES_MAX, type Journal, type JournalListener, type Range, type Visitor } from './journal.ts'

export type Opened = Readonly<{ journal: Journal; heard: Heard; replayed: Replayed }>

/** One store, opened again and again. */
export interface JournalUnderTest {
  readonly clock: MovableClock
  /** A new leader over what is stored; the one before is dead or closed. */
  open(settings?: Readonly<{ bytesMax?: number; reserveBytes?: number; cacheBytes?: number }>): Promise<Opened>
  /** The process of the last leader dies. */
  crash(): Promise<void>
  /** Stores a snapshot of what is committed and tells the journal. */
  snapshot(journal: Journal, chunks: readonly Uint8Array[]): Promise<void>
  /** Drops from memory what is committed, so that reads go to the store. */
  forget(journal: Journal): Promise<void>
  dispose(): Promise<void>
}

export class Heard implements JournalListener {
  readonly committedBatches: number[] = []
  readonly pressures: boolean[] = []
  readonly fulls: boolean[] = []
  readonly losses: Error[] = []
  /** Set while a test is inside a call of the journal: nothing may be heard then. */
  inside = false
  onCommitted: (batch: number) => void = () => undefined

  committed(batch: number): void {
    this.#outside()
    this.committedBatches.push(batch)
    this.onCommitted(batch)
  }

  lost(error: Error): void {
    this.#outside()
    this.losses.push(error)
  }

  pressure(high: boolean): void {
    this.#outside()
    this.pressures.push(high)
  }

  full(full: boolean): void {
    this.#outside()
    this.fulls.push(full)
  }

  #outside(): void {
    if (this.inside) throw new Error('the listener was called from inside a call of the journal')
  }
}

export type ReplayedFact = Readonly<{ type: number; text: string; segment: number; offset: number; length: number; batch: number }>

export class Replayed implements Visitor {
  snapshotText: string | undefined
  readonly batches: number[] = []
  readonly epochs: number[] = []
  facts: ReplayedFact[] = []
  snapshot(bytes: readonly Uint8Array[]): void {
    this.snapshotText = bytes.map((chunk) => Buffer.from(chunk).toString()).join('|')
  }
  batch(batch: number, epoch: number, wallMs: number): void {
    const [lastBatch, lastEpoch] = [this.batches.at(-1) ?? 0, this.epochs.at(-1) ?? 0]
    if (wallMs <= 0 || batch <= lastBatch || epoch < lastEpoch)
      throw new Error(`batch ${batch} of epoch ${epoch} at ${wallMs} came after batch ${lastBatch} of epoch ${lastEpoch}`)
    this.batches.push(batch)
    this.epochs.push(epoch)
  }
  fact(type: number, buffer: Buffer, start: number, end: number, segment: number, offset: number): void {
    this.facts.push({
      type,
      text: buffer.toString('latin1', start, end),
      segment,
      offset,
      length: end - start,
      batch: this.batches[this.batches.length - 1],
    })
  }
  moved(segment: number, offset: number, length: number, toSegment: number, toOffset: number): void {
    this.facts = this.facts.map((fact) =>
      fact.segment === segment && fact.offset >= offset && fact.offset < offset + length
        ? { ...fact, segment: toSegment, offset: fact.offset - offset + toOffset }
        : fact,
    )
  }
  get texts(): string[] {
    return this.facts.map((fact) => fact.text)
  }
}

/** Admits and writes one fact; answers where its content lies. */
export function put(journal: Journal, text: string, type = 1, claim: 'publish' | 'drain' = 'publish'): Range | undefined {
  const at = journal.admit(type, text.length, claim)
  if (at === -1) return undefined
  journal.buffer.write(text, at, 'latin1')
  return { segment: journal.segment, offset: journal.offset, length: text.length }
}

export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) {
    // The runner's time limit ends a wait that is in vain.
    await new Promise((resolve) => setImmediate(resolve))
  }
}

const fetched = (journal: Journal, at: Range): Promise<string | undefined> =>
  new Promise((resolve) =>
    journal.fetch(at.segment, at.offset, at.length, (bytes) => resolve(bytes === undefined ? undefined : Buffer.from(bytes).toString('latin1'))),
  )

export function journalContract(name: string, make: () => Promise<JournalUnderTest>): void {
  describe(`the ${name} journal`, () => {
    let subject: JournalUnderTest | undefined
    const start = async (): Promise<JournalUnderTest> => {
      subject = await make()
      return subject
    }
    afterEach(async () => {
      await subject?.dispose()
      subject = undefined
    })

    it('replays what was committed, in order, after a crash', async () => {
      const store = await start()
      const first = await store.open()
      for (let i = 0; i < 10; i++) put(first.journal, `fact ${i}`, 1 + i)
      await first.journal.drained()
      put(first.journal, 'never committed')
      await store.crash()
      const second = await store.open()
      expect(second.replayed.texts).toEqual(Array.from({ length: 10 }, (_, i) => `fact ${i}`))
      expect(second.replayed.facts.map((fact) => fact.type)).toEqual(Array.from({ length: 10 }, (_, i) => 1 + i))
      expect(second.journal.epoch).toBeGreaterThan(first.journal.epoch)
    })

    it('commits at the end of the turn when urged, and says so outside of any call', async () => {
      const store = await start()
      const { journal, heard } = await store.open()
      heard.inside = true
      put(journal, 'a')
      const batch = journal.gathering
      journal.urge()
      heard.inside = false
      expect(journal.committed).toBeLessThan(batch)
      await until(() => heard.committedBatches.length === 1)
      expect(heard.committedBatches).toEqual([batch])
      expect(journal.committed).toBe(batch)
      expect(journal.gathering).toBe(batch + 1)
    })

    it('commits in order of admission, every batch once', async () => {
      const store = await start()
      const { journal, heard } = await store.open()
      const first = journal.gathering
      let last = 0
      for (let i = 0; i < 20; i++) {
        put(journal, `turn ${i}`)
        last = journal.gathering
        journal.urge()
        await new Promise((resolve) => setImmediate(resolve))
      }
      await journal.drained()
      expect(heard.committedBatches).toEqual(Array.from({ length: last - first + 1 }, (_, i) => first + i))
    })

    it('lets a fact that nobody urges wait for company, but not for ever', async () => {
      const store = await start()
      const { journal, heard } = await store.open()
      put(journal, 'lazy')
      for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
      expect(heard.committedBatches).toEqual([])
      store.clock.advance(21)
      await until(() => heard.committedBatches.length === 1)
    })

    it('does not wait once 64 KiB have gathered', async () => {
      const store = await start()
      const { journal, heard } = await store.open()
      const batch = journal.gathering
      for (let i = 0; i < 70; i++) put(journal, 'x'.repeat(1024))
      await until(() => heard.committedBatches.length > 0)
      expect(heard.committedBatches[0]).toBe(batch)
    })

    it('goes on committing what an answer to a commit admitted', async () => {
      const store = await start()
      const { journal, heard } = await store.open()
      let rounds = 0
      heard.onCommitted = () => {
        if (++rounds >= 50) return
        put(journal, `round ${rounds}`)
        journal.urge()
      }
      put(journal, 'round 0')
      journal.urge()
      await until(() => rounds >= 50)
      await store.crash()
      expect((await store.open()).replayed.texts).toEqual(Array.from({ length: 50 }, (_, i) => `round ${i}`))
    })

    it('closes a full batch by itself and keeps everything', async () => {
      const store = await start()
      const { journal } = await store.open()
      const texts: string[] = []
      for (let i = 0; i < 40; i++) {
        const text = `${i}:`.padEnd(100_000, String(i % 10))
        texts.push(text)
        expect(put(journal, text)).toBeDefined()
      }
      expect(journal.gathering).toBeGreaterThan(journal.committed + 2)
      await journal.drained()
      await store.crash()
      expect((await store.open()).replayed.texts).toEqual(texts)
    })

    it('takes the largest fact and no larger one', async () => {
      const store = await start()
      const { journal } = await store.open()
      for (let i = 0; i < 9; i++) put(journal, 'b'.repeat(FACT_BYTES_MAX))
      expect(() => journal.admit(1, FACT_BYTES_MAX + 1, 'publish')).toThrow(RangeError)
      await journal.drained()
      await store.crash()
      const { replayed } = await store.open()
      expect(replayed.facts.map((fact) => fact.length)).toEqual(Array.from({ length: 9 }, () => FACT_BYTES_MAX))
    })

    it('reads what was admitted at once, and the view stays as it was', async () => {
      const store = await start()
      const { journal } = await store.open()
      const at = put(journal, 'hello')
      if (at === undefined) throw new Error('refused')
      const view = journal.read(at.segment, at.offset, at.length)
      expect(Buffer.from(view ?? []).toString()).toBe('hello')
      for (let i = 0; i < 100; i++) put(journal, 'z'.repeat(50_000))
      await journal.drained()
      expect(Buffer.from(view ?? []).toString()).toBe('hello')
    })

    it('fetches what memory does not hold', async () => {
      const store = await start()
      const { journal } = await store.open({ cacheBytes: 1 })
      const places: Range[] = []
      for (let i = 0; i < 200; i++) {
        const at = put(journal, `${i}`.padEnd(50_000, '.'))
        if (at !== undefined) places.push(at)
        if (i % 10 === 0) await journal.drained()
      }
      await journal.drained()
      await store.forget(journal)
      const [place] = places
      expect(journal.read(place.segment, place.offset, place.length)).toBeUndefined()
      let inside = true
      const answer = new Promise((resolve) =>
        journal.fetch(place.segment, place.offset, place.length, (bytes) => {
          expect(inside).toBe(false)
          resolve(bytes?.byteLength)
        }),
      )
      inside = false
      expect(await answer).toBe(50_000)
      const texts = await Promise.all(places.map((at) => fetched(journal, at)))
      expect(texts.map((text) => Number.parseInt(text ?? '', 10))).toEqual(places.map((_, i) => i))
    })

    it('answers undefined for what is gone', async () => {
      const store = await start()
      const { journal } = await store.open()
      expect(await fetched(journal, { segment: 999, offset: 512, length: 10 })).toBeUndefined()
    })

    it('replays positions from which the next leader reads', async () => {
      const store = await start()
      const first = await store.open()
      for (let i = 0; i < 5; i++) {
        put(first.journal, `body ${i}`)
        await first.journal.drained()
      }
      await store.crash()
      for (let round = 0; round < 3; round++) {
        const { journal, replayed } = await store.open()
        expect(replayed.texts).toEqual(['body 0', 'body 1', 'body 2', 'body 3', 'body 4'])
        for (const fact of replayed.facts) expect(await fetched(journal, fact)).toBe(fact.text)
        await store.crash()
      }
    })

    it('refuses publishes when only the reserve is left, and drains from it', async () => {
      const store = await start()
      const { journal, heard } = await store.open({ bytesMax: 24 * 1024 * 1024, reserveBytes: 4 * 1024 * 1024 })
      let admitted = 0
      heard.inside = true
      while (put(journal, 'p'.repeat(100_000)) !== undefined) admitted += 1
      heard.inside = false
      expect(admitted).toBeGreaterThan(100)
      expect(journal.admit(1, 10, 'publish')).toBe(-1)
      expect(put(journal, 'gone', 2, 'drain')).toBeDefined()
      await until(() => heard.fulls.length === 1)
      expect(heard.fulls).toEqual([true])
      await journal.drained()
      // A snapshot stands for all of it, and nothing lives in the sealed segments.
      await store.snapshot(journal, [Buffer.from('state')])
      journal.free(journal.segments.filter((one) => one.sealed && one.lastBatch <= journal.committed).map((one) => one.segment))
      await until(() => heard.fulls.length === 2)
      expect(heard.fulls).toEqual([true, false])
      expect(put(journal, 'again')).toBeDefined()
      await journal.drained()
      await store.crash()
      const { replayed } = await store.open()
      expect(replayed.snapshotText).toBe('state')
      expect(replayed.texts).toEqual(['again'])
    })

    it('gives the newest snapshot and what followed it', async () => {
      const store = await start()
      const { journal } = await store.open()
      put(journal, 'before')
      await journal.drained()
      await store.snapshot(journal, [Buffer.from('one'), Buffer.from('two')])
      expect(journal.sinceSnapshotBytes).toBe(0)
      put(journal, 'after')
      await journal.drained()
      expect(journal.sinceSnapshotBytes).toBeGreaterThan(0)
      await store.crash()
      for (let round = 0; round < 2; round++) {
        const { replayed } = await store.open()
        expect(replayed.snapshotText).toBe('one|two')
        expect(replayed.texts).toEqual(['after'])
        await store.crash()
      }
    })

    it('preserves records before their segments are freed', async () => {
      const store = await start()
      const first = await store.open()
      const places: Range[] = []
      for (let i = 0; i < 30; i++) {
        const at = put(first.journal, `keep ${i} `.padEnd(200_000, 'k'))
        if (at !== undefined) places.push(at)
      }
      await first.journal.drained()
      const moved = await new Promise<readonly Range[] | undefined>((resolve) => first.journal.preserve(places.slice(3, 6), resolve))
      expect(moved?.map((one) => one.length)).toEqual([200_000, 200_000, 200_000])
      const texts = await Promise.all((moved ?? []).map((at) => fetched(first.journal, at)))
      expect(texts.map((text) => text?.slice(0, 6))).toEqual(['keep 3', 'keep 4', 'keep 5'])
      const old = first.journal.segments.filter((one) => one.family === 'old')
      expect(old).toHaveLength(1)
      put(first.journal, 'moved')
      await first.journal.drained()
      await store.snapshot(first.journal, [Buffer.from('s')])
      first.journal.free(first.journal.segments.filter((one) => one.family === 'log' && one.sealed).map((one) => one.segment))
      await store.crash()
      const second = await store.open()
      const again = await Promise.all((moved ?? []).map((at) => fetched(second.journal, at)))
      expect(again).toEqual(texts)
      expect(second.journal.segments.map((one) => one.segment)).toContain(old[0].segment)
    })

    it('never gives a segment number twice, across families and leaders', async () => {
      const store = await start()
      const seen = new Map<number, string>()
      for (let round = 0; round < 4; round++) {
        const { journal } = await store.open()
        for (let i = 0; i < 15; i++) put(journal, `r${round}-${i}`.padEnd(250_000, 'n'))
        await journal.drained()
        const at = put(journal, 'x')
        await journal.drained()
        await new Promise((resolve) => journal.preserve(at === undefined ? [] : [at], resolve))
        put(journal, 'says where it went')
        await journal.drained()
        // Every number met before is still the same segment; every new one is higher than all that were ever met.
        const before = Math.max(0, ...seen.keys())
        const wrong = journal.segments.filter((one) => (seen.has(one.segment) ? seen.get(one.segment) !== one.family : one.segment <= before))
        expect(wrong).toEqual([])
        for (const one of journal.segments) seen.set(one.segment, one.family)
        await store.crash()
      }
    })

    it('commits what was admitted when it closes', async () => {
      const store = await start()
      const { journal, heard } = await store.open()
      put(journal, 'last words')
      await journal.close()
      expect(heard.losses).toEqual([])
      await store.crash()
      expect((await store.open()).replayed.texts).toEqual(['last words'])
    })

    it('cuts at the last committed batch', async () => {
      const store = await start()
      const { journal } = await store.open()
      put(journal, 'in')
      await journal.drained()
      const cut = journal.cut()
      expect(cut.batch).toBe(journal.committed)
      expect(structuredClone(cut)).toEqual(cut)
    })
  })
}
