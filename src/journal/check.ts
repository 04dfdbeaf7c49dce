// `bascule journal check`: reads everything, changes nothing, and names what it finds. `damage` is what a start would refuse or lose something to;
// a `note` is worth knowing and harms nothing (a torn tail, an unfinished claim). It may run beside a broker: what it finds there once is looked at again.
import { basename, join } from 'node:path'
import type { Clock } from '../api.ts'
import { type Disk, codeOf } from '../disk.ts'
import { epochOf, epochsIn, highestEpoch, readClaim } from '../failover/claim-file.ts'
import { readFormat } from './file/directory.ts'
import { JournalDamage } from './file/damage.ts'
import { type Inventory, takeInventory } from './file/inventory.ts'
import { OLD_HEADER_BYTES, OLD_MAGIC, oldCrc } from './file/old.ts'
import { isWithin, readLog } from './file/read-log.ts'
import { type Recovered, recover } from './file/recover.ts'
import { findLaterBatch, readHead, readOwnHead, scanSegment, scanToEnd } from './file/scan.ts'
import { HEAD_BYTES, type SegmentName, segmentFile, segmentPath, segmentsIn } from './file/segment.ts'
import { listSnapshots, loadSnapshot, snapshotsIn } from './file/snapshot.ts'

export { dumpJournal, type Describe } from './dump.ts'

export type FindingKind =
  | 'absent'
  | 'foreign'
  | 'newer'
  | 'read-only'
  | 'empty-file'
  | 'claim'
  | 'half-head'
  | 'missing-segment'
  | 'batch'
  | 'header'
  | 'torn-tail'
  | 'snapshot'
  | 'snapshot-without-log'
  | 'two-nodes'
  | 'clock'
  | 'stranger'

export type Finding = Readonly<{ level: 'damage' | 'note'; kind: FindingKind; file: string; offset: number; sentence: string }>

export type Checked = Readonly<{
  findings: readonly Finding[]
  /** What a start would replay; zeros when it could not. */
  epoch: number
  batches: number
  facts: number
  bytes: number
  segments: number
}>

export async function checkJournal(disk: Disk, directory: string, clock: Pick<Clock, 'wallMs'>): Promise<Checked> {
  const check = new Check(disk, directory)
  await check.run(clock.wallMs())
  return { ...check.counts, findings: check.findings }
}

const damageKinds: Readonly<Record<JournalDamage['kind'], FindingKind>> = {
  batch: 'batch',
  head: 'half-head',
  missing: 'missing-segment',
  newer: 'newer',
  snapshot: 'snapshot',
  header: 'header',
  foreign: 'foreign',
}

class Check {
  readonly findings: Finding[] = []
  readonly counts = { epoch: 0, batches: 0, facts: 0, bytes: 0, segments: 0 }
  readonly #disk: Disk
  readonly #directory: string
  #cluster = ''

  constructor(disk: Disk, directory: string) {
    this.#disk = disk
    this.#directory = directory
  }

  #find(level: Finding['level'], kind: FindingKind, file: string, offset: number, sentence: string): void {
    if (!this.findings.some((one) => one.kind === kind && one.file === file && one.offset === offset))
      this.findings.push({ level, kind, file, offset, sentence })
  }

  async run(nowMs: number): Promise<void> {
    if (!(await this.#root())) return
    await this.#emptyFiles()
    await this.#claims()
    const inventory = await takeInventory(this.#disk, this.#directory)
    for (const file of inventory.strangers) this.#find('note', 'stranger', file, 0, 'a file that is none of ours lies among the segments')
    this.counts.epoch = await highestEpoch(this.#disk, this.#directory)
    const recovered = await this.#twice(() => recover(this.#disk, this.#directory, this.counts.epoch + 1))
    if (recovered !== undefined) {
      if (recovered.lastWallMs > nowMs)
        this.#find(
          'damage',
          'clock',
          '',
          0,
          `the clock of this machine is ${recovered.lastWallMs - nowMs} ms before the last batch: deadlines would be late; set the clock`,
        )
      await this.#replay(recovered)
    }
    await this.#segments(inventory, recovered)
    await this.#snapshots(recovered)
  }

  /** A broker that writes while we read can look like damage once, in one place; not twice in the same. */
  async #twice<T>(read: () => Promise<T>): Promise<T | undefined> {
    let before: JournalDamage | undefined
    for (;;) {
      try {
        return await read()
      } catch (error) {
        if (!(error instanceof JournalDamage)) throw error
        if (before?.file === error.file && before.offset === error.offset) {
          this.#find('damage', damageKinds[error.kind], error.file, error.offset, error.message)
          return undefined
        }
        before = error
      }
    }
  }

  async #root(): Promise<boolean> {
    const { directory, disk } = { directory: this.#directory, disk: this.#disk }
    try {
      const names = await disk.list(directory)
      if (!names.includes('format')) {
        const what =
          names.length === 0
            ? 'the directory is empty: no broker has started on it'
            : 'there is no "format" file: this is not a Bascule data directory, or the file is lost'
        this.#find(names.length === 0 ? 'note' : 'damage', names.length === 0 ? 'absent' : 'foreign', directory, 0, what)
        return false
      }
      this.#cluster = (await readFormat(disk, directory)).cluster
    } catch (error) {
      const code = codeOf(error)
      if (code === 'ENOENT' || code === 'ENOTDIR') this.#find('damage', 'absent', directory, 0, 'there is no such directory')
      else if (error instanceof Error && code === '') {
        this.#find('damage', error.message.includes('newer') ? 'newer' : 'foreign', join(directory, 'format'), 0, error.message)
      } else throw error
      return false
    }
    for (const path of [epochsIn(directory), segmentsIn(directory), snapshotsIn(directory)]) {
      if (!disk.exists(path)) {
        this.#find('damage', 'missing-segment', path, 0, 'the folder is missing: the data directory is not complete')
        return false
      }
      await disk.checkWritable(path).catch((error: unknown) => {
        const why = codeOf(error) === 'EROFS' ? 'the file system is mounted read-only' : 'this user may not write here'
        this.#find('damage', 'read-only', path, 0, `${why}: a broker cannot start on it`)
      })
    }
    return true
  }

  async #emptyFiles(): Promise<void> {
    for (const folder of [epochsIn(this.#directory), segmentsIn(this.#directory), snapshotsIn(this.#directory)]) {
      for (const name of await this.#disk.list(folder)) {
        // Temporary files and spares are empty for a moment when they are made.
        if (name.startsWith('.') || name.startsWith('spare-')) continue
        const stat = await this.#disk.stat(join(folder, name)).catch(() => undefined)
        if (stat?.size === 0) this.#find(name.startsWith('snap-') ? 'damage' : 'note', 'empty-file', name, 0, 'the file is empty')
      }
    }
  }

  async #claims(): Promise<void> {
    const names = await this.#disk.list(epochsIn(this.#directory))
    const epochs = names.map(epochOf).filter((epoch) => epoch !== undefined)
    for (const name of names.filter((one) => one.startsWith('.claim-')))
      this.#find('note', 'claim', name, 0, 'a claim that was not finished: harmless')
    const present = new Set(epochs)
    for (const epoch of epochs.toSorted((a, b) => a - b)) {
      if (epoch > 1 && !present.has(epoch - 1))
        this.#find(
          'damage',
          'claim',
          String(epoch - 1),
          0,
          `the claim of epoch ${epoch - 1} is missing: claims are never deleted, somebody did; restore it before a start`,
        )
      if ((await readClaim(this.#disk, this.#directory, epoch)) === undefined)
        this.#find('note', 'claim', String(epoch), 0, `the claim of epoch ${epoch} cannot be read: who led it is not known`)
    }
  }

  async #replay(recovered: Recovered): Promise<void> {
    const { counts } = this
    let lastWallMs = 0
    await this.#twice(async () => {
      counts.batches = counts.facts = counts.bytes = 0
      lastWallMs = 0
      await readLog({
        disk: this.#disk,
        directory: this.#directory,
        chain: recovered.chain,
        last: undefined,
        batchMax: recovered.lastBatch,
        warn: (sentence) => this.#find('damage', 'snapshot', 'snapshots', 0, sentence),
        visitor: {
          snapshot: () => undefined,
          batch: (batch, _epoch, wallMs) => {
            counts.batches += 1
            if (wallMs < lastWallMs - 1000)
              this.#find('note', 'clock', '', 0, `the clock went back by ${lastWallMs - wallMs} ms before batch ${batch}`)
            lastWallMs = wallMs
          },
          fact: (_type, _buffer, start, end) => {
            counts.facts += 1
            counts.bytes += end - start
          },
        },
      })
    })
  }

  /** Every segment by itself: the replay reads only what follows the snapshot, but bodies lie before it. */
  async #segments(inventory: Inventory, recovered: Recovered | undefined): Promise<void> {
    const claims = new Map<number, string>()
    for (const [epoch, numbers] of inventory.log) {
      const entry = recovered?.chain.find((one) => one.epoch === epoch)
      for (const segment of numbers) {
        const counts = recovered === undefined || (entry !== undefined && segment <= entry.segment)
        if (!counts) await this.#beyond({ family: 'log', epoch, segment })
        else await this.#segment({ family: 'log', epoch, segment }, claims, entry?.segment === segment ? entry.end : undefined)
      }
    }
    for (const name of inventory.old) await this.#segment(name, claims, undefined)
  }

  async #segment(name: SegmentName, claims: Map<number, string>, end: number | undefined): Promise<void> {
    const fileName = segmentFile(name)
    const file = await this.#disk.open(segmentPath(this.#directory, name), 'read').catch((error: unknown) => {
      if (codeOf(error) === 'ENOENT') return undefined
      throw error
    })
    // Freed while we looked: nobody needs it.
    if (file === undefined) return
    try {
      this.counts.segments += 1
      const { size } = await file.stat()
      if (size === 0) return
      const head = await readHead(file)
      if (head === 'newer') return this.#find('damage', 'newer', fileName, 0, 'written by a newer version of Bascule')
      if (head === 'none' || head.epoch !== name.epoch || head.segment !== name.segment) {
        const later = name.family === 'log' && (await findLaterBatch(file, name.epoch, name.segment, HEAD_BYTES)) !== undefined
        const what = later
          ? 'its head is damaged, and whole batches lie behind it'
          : 'its head is half-written: the crash of a broker that had just begun it; nothing is lost'
        return this.#find(later ? 'damage' : 'note', 'half-head', fileName, 0, what)
      }
      if (head.cluster !== this.#cluster) this.#find('damage', 'foreign', fileName, 0, 'the segment belongs to another data directory')
      await this.#node(name, head.node, claims)
      if (name.family === 'old') await this.#records(file, name, size)
      else if (end !== undefined) await this.#tail(file, fileName, name, end)
      else await this.#whole(file, fileName, name, size)
    } finally {
      await file.close()
    }
  }

  /** Of a void epoch, or begun and never finished: it does not count, whatever it holds. */
  async #beyond(name: SegmentName): Promise<void> {
    const file = await this.#disk.open(segmentPath(this.#directory, name), 'read').catch(() => undefined)
    if (file === undefined) return
    try {
      const half = (await readOwnHead(file, name, undefined)) === 'none'
      const what = half ? 'its head is half-written' : 'its first batch is not whole, or its epoch ended before it'
      this.#find('note', half ? 'half-head' : 'torn-tail', segmentFile(name), 0, `${what}: left by a broker that had just begun it; nothing is lost`)
    } finally {
      await file.close()
    }
  }

  async #node(name: SegmentName, node: string, claims: Map<number, string>): Promise<void> {
    let claimed = claims.get(name.epoch)
    if (claimed === undefined) {
      claimed = (await readClaim(this.#disk, this.#directory, name.epoch))?.node ?? ''
      claims.set(name.epoch, claimed)
    }
    if (claimed !== '' && node !== '' && node !== claimed)
      this.#find(
        'damage',
        'two-nodes',
        segmentFile(name),
        0,
        `epoch ${name.epoch} was claimed by node "${claimed}" and written by node "${node}": two directories were mixed`,
      )
  }

  async #whole(file: Parameters<typeof scanSegment>[0], fileName: string, { epoch, segment }: SegmentName, size: number): Promise<void> {
    const { end, later } = await scanToEnd(file, { epoch, segment, from: HEAD_BYTES, to: size }, () => undefined)
    if (later !== undefined) this.#find('damage', 'batch', fileName, end, `a batch is damaged: a whole later one lies behind it at ${later}`)
  }

  async #tail(file: Parameters<typeof scanSegment>[0], fileName: string, { epoch, segment }: SegmentName, end: number): Promise<void> {
    const scanned = await scanSegment(file, { epoch, segment, from: HEAD_BYTES, to: end }, () => undefined)
    if (scanned.end < end)
      this.#find(
        'note',
        'batch',
        fileName,
        scanned.end,
        'the last batch of this epoch is not whole here; readers take it from the copy in the next header',
      )
    const behind = Buffer.alloc(64)
    const count = await file.read(behind, end)
    if (behind.subarray(0, count).some((byte) => byte !== 0))
      this.#find(
        'note',
        'torn-tail',
        fileName,
        end,
        'the torn end of a write, or what a recycled file held: never acknowledged, cut at the next start',
      )
  }

  async #records(file: Parameters<typeof scanSegment>[0], name: SegmentName, size: number): Promise<void> {
    const header = Buffer.alloc(OLD_HEADER_BYTES)
    let broken: number | undefined
    for (let at = HEAD_BYTES; at + OLD_HEADER_BYTES <= size; ) {
      await file.read(header, at)
      const length = header.readUInt32LE(4)
      const bytes = Buffer.alloc(Math.min(length, size - at - OLD_HEADER_BYTES))
      await file.read(bytes, at + OLD_HEADER_BYTES)
      if (header.readUInt32LE(0) === OLD_MAGIC && bytes.length === length && header.readUInt32LE(8) === oldCrc(name.epoch, name.segment, at, bytes)) {
        if (broken !== undefined)
          this.#find('damage', 'batch', segmentFile(name), broken, `a moved record is damaged: a whole later one lies behind it at ${at}`)
        broken = undefined
      } else {
        broken ??= at
        // Where the next one begins cannot be told.
        if (header.readUInt32LE(0) !== OLD_MAGIC || bytes.length < length) break
      }
      at += OLD_HEADER_BYTES + length
    }
    if (broken !== undefined)
      this.#find(
        'note',
        'batch',
        segmentFile(name),
        broken,
        'a moved record is not whole: harmless if it is the last, being written or from a crash; otherwise bodies behind it may be damaged',
      )
  }

  async #snapshots(recovered: Recovered | undefined): Promise<void> {
    for (const name of await listSnapshots(this.#disk, this.#directory)) {
      const loaded = await loadSnapshot(this.#disk, this.#directory, name).catch((error: unknown) => {
        if (codeOf(error) === 'ENOENT') return []
        throw error
      })
      if (typeof loaded === 'string') this.#find('damage', 'snapshot', name.file, 0, `the snapshot is damaged: ${loaded}`)
      if (recovered === undefined) continue
      if (!isWithin(name, recovered.chain, recovered.lastBatch))
        this.#find(
          'damage',
          'snapshot-without-log',
          basename(name.file),
          0,
          `the log that this snapshot of batch ${name.batch} belongs to is not there: segments were deleted or not copied`,
        )
    }
  }
}
