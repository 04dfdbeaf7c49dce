import { describe, expect, it } from 'vitest'
import { MovableClock } from '../clock.ts'
import { Heard, Replayed, journalContract, put } from './journal.contract.ts'
import { type MemoryJournal, MemoryStore, openMemoryJournal } from './memory.ts'

journalContract('memory', async () => {
  const clock = new MovableClock()
  const store = new MemoryStore()
  let last: MemoryJournal | undefined
  return {
    clock,
    async open(settings = {}) {
      const heard = new Heard()
      const replayed = new Replayed()
      const { bytesMax, reserveBytes } = settings
      last = openMemoryJournal({
        store,
        clock,
        listener: heard,
        visitor: replayed,
        ...(bytesMax === undefined ? {} : { bytesMax }),
        ...(reserveBytes === undefined ? {} : { reserveBytes }),
      })
      return { journal: last, heard, replayed }
    },
    async crash() {
      last?.lose(new Error('crashed'))
    },
    async snapshot(journal, chunks) {
      store.writeSnapshot(journal.cut().batch, chunks)
      journal.snapshotTaken(journal.committed)
    },
    async forget() {
      last?.forget()
    },
    async dispose() {},
  }
})

describe('the memory journal, moved by hand', () => {
  it('commits only when told', async () => {
    const heard = new Heard()
    const journal = openMemoryJournal({ store: new MemoryStore(), clock: new MovableClock(), listener: heard, visitor: new Replayed(), manual: true })
    put(journal, 'a')
    journal.urge()
    await new Promise((resolve) => setImmediate(resolve))
    expect(heard.committedBatches).toEqual([])
    journal.commit()
    expect(heard.committedBatches).toEqual([journal.committed])
  })
})
