import { describe, expect, it } from 'vitest'
import { DIRECTORY, Stage, settle } from '../../test/simulation/stage.ts'
import { type Finding, checkJournal, dumpJournal } from './check.ts'
import { OLD_HEADER_BYTES } from './file/old.ts'
import { encodeHead } from './file/segment.ts'
import { put } from './journal.contract.ts'
import type { Journal, Range } from './journal.ts'
import { writeSnapshot } from './replay.ts'

const SEGMENT = `${DIRECTORY}/segments/seg-0000000001-0000000001`

async function written(facts = 3): Promise<Stage> {
  const stage = await Stage.make()
  const { journal, leadership } = await stage.lead('a')
  await fill(journal, facts, 40)
  await leadership.release()
  return stage
}

async function fill(journal: Journal, facts: number, size: number): Promise<void> {
  for (let i = 0; i < facts; i++) {
    put(journal, `fact ${i} `.padEnd(size, '.'))
    await journal.drained()
  }
}

const check = async (stage: Stage, nowMs = stage.clock.wallMs()): Promise<readonly Finding[]> =>
  (await checkJournal(stage.as('reader'), DIRECTORY, { wallMs: () => nowMs })).findings
const brief = (findings: readonly Finding[]): string[] => findings.map((one) => `${one.level} ${one.kind}`)

describe('check', () => {
  it('finds nothing in a sound journal, and changes nothing', async () => {
    const stage = await written()
    stage.trace.length = 0
    const checked = await checkJournal(stage.as('reader'), DIRECTORY, stage.clock)
    expect(checked).toMatchObject({ findings: [], epoch: 1, facts: 3, segments: 1 })
    expect(stage.trace.filter((line) => /^reader (write|sync|link|rename|unlink|mkdir|truncate)/.test(line))).toEqual([])
  })

  it('works beside a broker that writes', async () => {
    const stage = await Stage.make()
    const { journal } = await stage.lead('a')
    let going = true
    const writer = (async () => {
      for (let i = 0; going; i++) {
        put(journal, `fact ${i}`.padEnd(30_000, '.'))
        await journal.drained()
      }
    })()
    for (let i = 0; i < 20; i++) expect(brief(await check(stage)).filter((one) => one.startsWith('damage'))).toEqual([])
    going = false
    await writer
  })

  const cases: readonly (readonly [string, string, (stage: Stage) => void | Promise<void>])[] = [
    ['a directory that is not ours', 'damage foreign', (stage) => stage.as('x').unlink(`${DIRECTORY}/format`)],
    ['a newer format', 'damage newer', (stage) => void stage.disk.bytes(`${DIRECTORY}/format`).write('bascule-journal 7')],
    ['a newer segment', 'damage newer', (stage) => void (stage.disk.bytes(SEGMENT)[1024 + 7] = 9)],
    ['a damaged batch', 'damage batch', (stage) => void (stage.disk.bytes(SEGMENT)[1024 + 70] ^= 1)],
    ['a torn tail', 'note torn-tail', (stage) => void (stage.disk.bytes(SEGMENT)[1024 + 1024 + 70] ^= 1)],
    ['a destroyed epoch header', 'damage header', (stage) => void (stage.disk.bytes(SEGMENT)[520] ^= 1)],
    [
      'a half-written segment head',
      'note half-head',
      async (stage) => {
        const file = await stage.as('x').open(`${DIRECTORY}/segments/seg-0000000002-0000000002`, 'create')
        await file.write([stage.disk.bytes(SEGMENT).subarray(0, 200)], 0)
        await (await stage.as('x').open(`${DIRECTORY}/epochs/0000000002`, 'create')).write([Buffer.from('x')], 0)
      },
    ],
    ['an empty claim', 'note empty-file', async (stage) => void (await stage.as('x').open(`${DIRECTORY}/epochs/0000000002`, 'create'))],
    ['a missing claim', 'damage claim', async (stage) => void (await stage.as('x').open(`${DIRECTORY}/epochs/0000000003`, 'create'))],
    ['a stranger among the segments', 'note stranger', async (stage) => void (await stage.as('x').open(`${DIRECTORY}/segments/notes.txt`, 'create'))],
    [
      'a read-only mount',
      'damage read-only',
      (stage) => {
        const real = stage.as.bind(stage)
        stage.as = (name) => ({ ...real(name), checkWritable: () => Promise.reject(Object.assign(new Error('EROFS'), { code: 'EROFS' })) })
      },
    ],
    [
      'a snapshot without its log',
      'damage snapshot-without-log',
      async (stage) => {
        await writeSnapshot(stage.as('x'), { directory: DIRECTORY, batch: 900, chain: [{ epoch: 1, segment: 9, end: 512 }] }, [Buffer.from('s')])
      },
    ],
    [
      'an empty snapshot',
      'damage empty-file',
      async (stage) => void (await stage.as('x').open(`${DIRECTORY}/snapshots/snap-0000000001-0000000000000002-0000000001-0000001536`, 'create')),
    ],
    [
      'two node ids',
      'damage two-nodes',
      (stage) => {
        const bytes = stage.disk.bytes(SEGMENT)
        encodeHead(
          { family: 'log', segment: 1, epoch: 1, firstBatch: 1, before: 0, madeMs: 0, cluster: bytes.toString('hex', 44, 60), node: 'b' },
          bytes,
        )
      },
    ],
    [
      'a segment of another directory',
      'damage foreign',
      (stage) => {
        const bytes = stage.disk.bytes(SEGMENT)
        encodeHead({ family: 'log', segment: 1, epoch: 1, firstBatch: 1, before: 0, madeMs: 0, cluster: '0'.repeat(32), node: 'a' }, bytes)
      },
    ],
  ]
  it.each(cases)('names %s: %s', async (_name, expected, harm) => {
    const stage = await written()
    await harm(stage)
    expect(brief(await check(stage))).toContain(expected)
  })

  it('names a missing segment', async () => {
    const stage = await written(0)
    const { journal } = await stage.lead('b')
    await fill(journal, 16, 250_000)
    const file = (await stage.names('segments')).toSorted().at(-2)
    await stage.as('x').unlink(`${DIRECTORY}/segments/${file}`)
    expect(await check(stage)).toContainEqual(expect.objectContaining({ level: 'damage', kind: 'missing-segment', file }))
  })

  it('names a clock before the last batch', async () => {
    const stage = await written()
    expect(brief(await check(stage, stage.clock.wallMs() - 1))).toEqual(['damage clock'])
  })

  it('names a damaged body that lies before the snapshot', async () => {
    const stage = await Stage.make()
    const { journal } = await stage.lead('a')
    await fill(journal, 12, 250_000)
    await writeSnapshot(stage.as('a'), journal.cut(), [Buffer.from('s')])
    journal.snapshotTaken(journal.committed)
    await settle()
    stage.disk.bytes(SEGMENT)[5_000] ^= 1
    const findings = await check(stage)
    expect(findings).toContainEqual(expect.objectContaining({ level: 'damage', kind: 'batch', file: 'seg-0000000001-0000000001', offset: 1024 }))
  })

  it('names a damaged record among moved ones, and notes one at the end', async () => {
    const stage = await Stage.make()
    const { journal, leadership } = await stage.lead('a')
    const places = ['one', 'two', 'three'].map((text) => put(journal, text)).filter((place) => place !== undefined)
    await journal.drained()
    const moved = await new Promise<readonly Range[] | undefined>((resolve) => journal.preserve(places, resolve))
    put(journal, 'says where they went')
    await journal.drained()
    await leadership.release()
    expect(await check(stage)).toEqual([])
    const [first, , last] = (moved ?? []).map((one) => one.offset)
    const bytes = stage.disk.bytes(`${DIRECTORY}/segments/old-0000000001-0000000002`)
    bytes[first] ^= 1
    expect(await check(stage)).toEqual([
      expect.objectContaining({ level: 'damage', kind: 'batch', file: 'old-0000000001-0000000002', offset: first - OLD_HEADER_BYTES }),
    ])
    bytes[first] ^= 1
    bytes[last] ^= 1
    expect(await check(stage)).toEqual([expect.objectContaining({ level: 'note', kind: 'batch', offset: last - OLD_HEADER_BYTES })])
  })

  it('says of a directory that is not there that it is not', async () => {
    const stage = await Stage.make()
    expect(brief((await checkJournal(stage.as('x'), '/nowhere', stage.clock)).findings)).toEqual(['damage absent'])
  })
})

describe('dump', () => {
  it('prints batches and facts by name, number, place and length', async () => {
    const stage = await written(2)
    const lines: string[] = []
    await dumpJournal(
      stage.as('reader'),
      DIRECTORY,
      (type) => `name${type}`,
      (line) => lines.push(line),
    )
    expect(lines[0]).toMatch(/^journal format 1 cluster [0-9a-f]{32} epoch 1 batch 3$/)
    expect(lines.slice(1)).toEqual([
      'epoch 1 ends in segment 1 at 2048',
      'batch 1 epoch 1 at 2023-11-14T22:13:20.000Z',
      'batch 2 epoch 1 at 2023-11-14T22:13:20.000Z',
      '  1:1092 1 name1 bytes 40',
      'batch 3 epoch 1 at 2023-11-14T22:13:20.000Z',
      '  1:1604 1 name1 bytes 40',
    ])
  })
})
