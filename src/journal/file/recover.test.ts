// Byte by byte: what a crash or a disk may leave of a small log, and what is read of it.
import { describe, expect, it } from 'vitest'
import { DIRECTORY, Stage, settle } from '../../../test/simulation/stage.ts'
import { put } from '../journal.contract.ts'
import type { Journal } from '../journal.ts'
import { peekBatch } from './batch.ts'
import { JournalDamage } from './damage.ts'
import { recover } from './recover.ts'
import { writeSnapshot } from '../replay.ts'

const LOG = `${DIRECTORY}/segments/seg-0000000001-0000000001`

/** Three batches behind the header; where each begins and ends. */
async function smallLog(): Promise<Readonly<{ stage: Stage; bytes: Buffer; ends: number[]; lengths: number[] }>> {
  const stage = await Stage.make()
  const { journal } = await stage.lead('a')
  const commit = async (text: string): Promise<void> => {
    put(journal, text)
    await journal.drained()
  }
  await commit('one')
  await commit('two'.padEnd(700, '.'))
  await commit('three')
  const bytes = Buffer.from(stage.disk.bytes(LOG))
  const ends: number[] = []
  const lengths: number[] = []
  for (let at = 1024; ; ) {
    const header = peekBatch(bytes, at, 1, 1, at)
    if (typeof header === 'string') break
    lengths.push(at + header.length)
    at += Math.ceil(header.length / 512) * 512
    ends.push(at)
  }
  return { stage, bytes, ends, lengths }
}

const texts = async (stage: Stage): Promise<string[]> => (await stage.lead('b')).replayed.texts.map((text) => text.replace(/\.+$/, ''))

describe('a small log', () => {
  it('torn at every byte is read to the last whole batch before, and no further', async () => {
    const { stage, bytes, ends, lengths } = await smallLog()
    expect(ends).toHaveLength(3)
    const file = stage.disk.bytes(LOG)
    const header = await recover(stage.as('reader'), DIRECTORY, 2)
    for (let cut = 1024; cut <= ends[2]; cut += cut % 512 < 80 || cut % 512 > 500 ? 1 : 37) {
      // Behind the cut nothing was written: zeros, as the file was allocated.
      file.fill(0, 1024)
      bytes.copy(file, 0, 0, cut)
      const whole = lengths.filter((end) => end <= cut).length
      const found = await recover(stage.as('reader'), DIRECTORY, 2)
      expect(header.lastBatch - found.lastBatch, `cut at ${cut}`).toBe(3 - whole)
      expect(found.last?.bytes.equals(bytes.subarray(ends[whole - 2] ?? 1024, lengths[whole - 1])), `cut at ${cut}`).toBe(
        whole === 0 ? undefined : true,
      )
    }
    file.fill(0, lengths[2] - 1)
    expect(await texts(stage)).toEqual(['one', 'two'])
  })

  it('with a byte flipped before its end is damage, told with file and offset', async () => {
    const { bytes } = await smallLog()
    for (let at = 1024; at < 2560; at += 101) {
      // Padding is nobody's.
      if ((at > 1024 + 71 && at < 1536) || at > 1536 + 64 + 704) continue
      const other = await Stage.make()
      await other.lead('a')
      bytes.copy(other.disk.bytes(LOG))
      other.disk.bytes(LOG)[at] ^= 4
      const batchAt = at < 1536 ? 1024 : 1536
      const failure = await other.lead('b').catch((error: unknown) => error)
      expect(failure, `flip at ${at}`).toBeInstanceOf(JournalDamage)
      expect(failure).toMatchObject({ file: 'seg-0000000001-0000000001', offset: batchAt })
      // Refused before anything but the claim was written.
      expect((await other.names('segments')).toSorted()).toEqual(['seg-0000000001-0000000001'])
    }
  })

  it('with a byte flipped in its last batch is a torn tail', async () => {
    const { stage, ends } = await smallLog()
    stage.disk.bytes(LOG)[ends[1] + 66] ^= 1
    expect(await texts(stage)).toEqual(['one', 'two'])
  })

  it('whose header is destroyed is not taken for an empty one', async () => {
    const { stage } = await smallLog()
    stage.disk.bytes(LOG)[600] ^= 1
    await expect(stage.lead('b')).rejects.toThrow('header of epoch 1 is destroyed')
  })

  it('of a newer format is refused as such', async () => {
    const { stage } = await smallLog()
    stage.disk.bytes(LOG)[512 + 7] = 2
    await expect(stage.lead('b')).rejects.toThrow('newer version')
  })
})

describe('a log of several segments', () => {
  const large = async (journal: Journal, from: number, to: number): Promise<void> => {
    for (let i = from; i < to; i++) {
      put(journal, `${i};`.padEnd(250_000, '.'))
      await journal.drained()
    }
  }

  it('is refused when one of them is missing, by name', async () => {
    const stage = await Stage.make()
    await large((await stage.lead('a')).journal, 0, 16)
    const segments = (await stage.names('segments')).toSorted()
    expect(segments.length).toBeGreaterThan(3)
    await stage.as('stranger').unlink(`${DIRECTORY}/segments/${segments[1]}`)
    await expect(stage.lead('b')).rejects.toThrow(segments[1])
  })

  it('whose last batch of an earlier segment is damaged is refused, naming that segment and offset', async () => {
    const stage = await Stage.make()
    const { journal } = await stage.lead('a')
    await large(journal, 0, 12)
    const [, second] = (await stage.names('segments')).toSorted()
    const bytes = stage.disk.bytes(`${DIRECTORY}/segments/${second}`)
    let last = 0
    for (let at = 512; at < bytes.length; at += 512) if (typeof peekBatch(bytes, at, 1, 2, at) !== 'string') last = at
    bytes[last + 100] ^= 1
    await expect(stage.lead('b')).rejects.toMatchObject({ kind: 'batch', file: second, offset: last })
  })

  it('is read on from the snapshot when what the snapshot covers is gone', async () => {
    const stage = await Stage.make()
    const { journal } = await stage.lead('a')
    await large(journal, 0, 6)
    await writeSnapshot(stage.as('a'), journal.cut(), [Buffer.from('0 to 5')])
    journal.snapshotTaken(journal.committed)
    await large(journal, 6, 12)
    journal.free(journal.segments.filter((one) => one.sealed && one.lastBatch <= journal.committed - 6).map((one) => one.segment))
    await settle()
    for (let round = 0; round < 3; round++) {
      const { replayed } = await stage.lead(`b${round}`)
      expect(replayed.snapshotText).toBe('0 to 5')
      expect(replayed.texts.map((text) => text.split(';')[0])).toEqual(['6', '7', '8', '9', '10', '11'])
    }
  })

  it('is refused when its snapshot is damaged and the log before it is gone', async () => {
    const stage = await Stage.make()
    const { journal } = await stage.lead('a')
    await large(journal, 0, 8)
    await writeSnapshot(stage.as('a'), journal.cut(), [Buffer.from('state')])
    journal.snapshotTaken(journal.committed)
    journal.free(journal.segments.filter((one) => one.sealed).map((one) => one.segment))
    await settle()
    await large(journal, 8, 12)
    const { leadership } = await stage.lead('b')
    await leadership.release()
    const [snapshot] = await stage.names('snapshots')
    const first = (await stage.names('segments')).toSorted()[0]
    // The first segment of epoch 1 goes too, as the leader of epoch 2 may free it.
    await stage.as('stranger').unlink(`${DIRECTORY}/segments/${first}`)
    stage.disk.bytes(`${DIRECTORY}/snapshots/${snapshot}`)[30] ^= 1
    await expect(stage.lead('c')).rejects.toThrow(snapshot)
  })
})
