// From a chain to the visitor: which snapshot, which segments, which copies, and then every fact in order. Strict: inside the chain nothing may be
// missing or damaged. `recover.ts` says what the chain is; this reads what it says.
//
// Each epoch's header names the batch at which the reading of the epochs below it stops, and holds that batch itself (rule 7):
//
//   epoch 2 ──batches──▶ (stop: last batch of 2)   header of 4: copy of that batch   epoch 4 ──batches──▶ …      (3 is void, or a header only)
import { basename } from 'node:path'
import { type Disk, type DiskFile, codeOf } from '../../disk.ts'
import type { Position, Visitor } from '../journal.ts'
import { BATCH_HEADER_BYTES, type BatchHeader, eachFact } from './batch.ts'
import { JournalDamage } from './damage.ts'
import type { ChainEntry, CopiedBatch } from './epoch-header.ts'
import { type Inventory, takeInventory } from './inventory.ts'
import { type ReadHeader, damagedBefore, readEpochHeader } from './recover.ts'
import { readOwnHead, scanSegment, scanToEnd } from './scan.ts'
import { HEAD_BYTES, type SegmentHead, sectorAfter, segmentPath, segmentsIn } from './segment.ts'
import { listSnapshots, loadSnapshot, snapshotsIn } from './snapshot.ts'

export type ReadLogOptions = Readonly<{
  disk: Disk
  directory: string
  /** Rising; void entries are passed over. */
  chain: readonly Pick<ChainEntry, 'epoch' | 'segment' | 'end'>[]
  /** The last batch of the chain when it will be read from a header yet to be written, with the place of its copied bytes. Without: the chain is read to its end. */
  last: Readonly<{ copy: CopiedBatch; segment: number; offset: number }> | undefined
  /** No snapshot of a later batch is used. */
  batchMax: number
  visitor: Visitor
  /** The visitor has everything up to here: only what comes after is told, and no snapshot. Throws `ReadAnew` when that cannot be. */
  from?: Position
  /** Segments of another cluster are refused. */
  cluster?: string
  /** Called behind each batch, and behind the snapshot: the visitor has everything up to there. What it throws ends the reading. */
  told?: (position: Position) => void
  /** A snapshot that had to be passed over, with the reason. */
  warn: (sentence: string) => void
}>

/** The journal cannot be read on from a position: begin again with a fresh visitor and without it. Nothing was written. */
export class ReadAnew extends Error {
  constructor(sentence: string) {
    super(sentence)
    this.name = 'ReadAnew'
  }
}

/** Answers how many bytes of batches followed the snapshot. A leader that hangs, or runs beside us, may free segments while we list: then list again (rule 18). Once the visitor is called, all files are held open. */
export async function readLog(options: ReadLogOptions): Promise<number> {
  const { disk, directory } = options
  const state = { begun: false }
  for (let attempt = 0; ; attempt++) {
    const before = options.from === undefined ? await listNames(disk, directory) : ''
    try {
      return await readOnce(options, state)
    } catch (error) {
      if (state.begun) throw error
      const gone =
        codeOf(error) === 'ENOENT' || (error instanceof JournalDamage && error.kind === 'missing' && (await listNames(disk, directory)) !== before)
      if (!gone || attempt === 100) throw error
    }
  }
}

const listNames = async (disk: Disk, directory: string): Promise<string> =>
  [...(await disk.list(snapshotsIn(directory))), ...(await disk.list(segmentsIn(directory)))].toSorted().join()

async function readOnce(options: ReadLogOptions, state: { begun: boolean }): Promise<number> {
  const { disk, directory, chain, visitor, warn, from } = options
  const counted = chain.filter((entry) => entry.segment !== 0)
  if (from !== undefined) return readOn(options, counted, from, state)
  let failure: unknown
  for (const name of [...(await listSnapshots(disk, directory)), undefined]) {
    if (name !== undefined && !isWithin(name, chain, options.batchMax)) continue
    const chunks = name === undefined ? undefined : await loadSnapshot(disk, directory, name)
    if (typeof chunks === 'string') {
      warn(`snapshot ${name?.file} is passed over: ${chunks}`)
      failure ??= new JournalDamage('snapshot', name?.file ?? '', 0, `the snapshot cannot be used, ${chunks}, and the log before it is gone`)
      continue
    }
    const plan = new Plan(options, counted, name)
    try {
      await plan.make()
      state.begun = true
      if (name !== undefined && chunks !== undefined) {
        await visitor.snapshot(chunks)
        options.told?.(name)
      }
      await plan.run()
      return plan.bytes
    } catch (error) {
      if (state.begun || !(error instanceof JournalDamage) || error.kind !== 'missing') throw error
      failure ??= error
    } finally {
      await plan.close()
    }
  }
  throw failure
}

/** What cannot be read on may still be readable from a later snapshot: the cold reading judges. */
async function readOn(options: ReadLogOptions, counted: ReadLogOptions['chain'], from: Position, state: { begun: boolean }): Promise<number> {
  if (!isWithin(from, options.chain, options.batchMax))
    throw new ReadAnew(`batch ${from.batch} of epoch ${from.epoch} is not within the journal any more`)
  const plan = new Plan(options, counted, from)
  try {
    await plan.make()
    state.begun = true
    await plan.run()
    return plan.bytes
  } catch (error) {
    if (error instanceof JournalDamage && error.kind !== 'newer' && error.kind !== 'foreign') throw new ReadAnew(error.message)
    throw error
  } finally {
    await plan.close()
  }
}

/** Rule 18: used only if its position is within the chain. */
export function isWithin(name: Position, chain: readonly Pick<ChainEntry, 'epoch' | 'segment' | 'end'>[], batchMax: number): boolean {
  if (name.batch > batchMax) return false
  const entry = chain.find((one) => one.epoch === name.epoch)
  // Not listed, not even as void: all its segments were freed since.
  if (entry === undefined) return name.epoch < (chain.at(-1)?.epoch ?? 0)
  return name.segment < entry.segment || (name.segment === entry.segment && name.offset <= entry.end)
}

type Place = Readonly<{ epoch: number; segment: number; offset: number }>

type Step =
  | Readonly<{ kind: 'copy'; copy: CopiedBatch; segment: number; offset: number; before: Place }>
  | Readonly<{ kind: 'header'; header: ReadHeader }>
  | Readonly<{
      kind: 'segment'
      file: DiskFile
      path: string
      head: SegmentHead
      segment: number
      from: number
      to: number | undefined
      /** As the head of the next one says. */
      lastBatch: number | undefined
    }>

class Plan {
  bytes = 0
  readonly #options: ReadLogOptions
  readonly #chain: readonly Pick<ChainEntry, 'epoch' | 'segment' | 'end'>[]
  /** Up to where the visitor has everything: a snapshot's position, or where its follower stopped. */
  readonly #from: Position | undefined
  /** Number of the last batch that the visitor has; undefined before the first, where only a header may begin. */
  #reached: number | undefined
  #steps: Step[] = []
  readonly #open: DiskFile[] = []

  constructor(options: ReadLogOptions, chain: readonly Pick<ChainEntry, 'epoch' | 'segment' | 'end'>[], from: Position | undefined) {
    this.#options = options
    this.#chain = chain
    this.#from = from
    this.#reached = from?.batch
  }

  /** Walks from the end backwards, header by header, to the snapshot or to the first epoch. Opens every file that `run` reads. */
  async make(): Promise<void> {
    const { last, disk, directory, cluster } = this.#options
    const inventory = await takeInventory(disk, directory)
    const backwards: Step[][] = []
    const covered = (batch: number): boolean => this.#from !== undefined && batch <= this.#from.batch
    let stop: Place | undefined
    if (last !== undefined) {
      backwards.push([{ kind: 'copy', ...last, before: await this.#before(last.copy, inventory) }])
      stop = covered(last.copy.batch) ? undefined : last.copy
    } else {
      const top = this.#chain.at(-1)
      stop = top === undefined ? undefined : { epoch: top.epoch, segment: top.segment, offset: top.end }
    }
    while (stop !== undefined) {
      const numbers: readonly number[] = inventory.log.get(stop.epoch) ?? []
      if (this.#from?.epoch === stop.epoch) {
        backwards.push(await this.#segments(numbers, this.#from, stop))
        break
      }
      const header: ReadHeader | undefined = numbers.length === 0 ? undefined : await readEpochHeader(disk, directory, stop.epoch, numbers, cluster)
      if (header === undefined) {
        const file = segmentPath(directory, { family: 'log', epoch: stop.epoch, segment: numbers[0] ?? stop.segment })
        throw new JournalDamage(
          'missing',
          basename(file),
          0,
          `the log of epoch ${stop.epoch} is not complete, and no usable snapshot stands for what is missing`,
        )
      }
      const begin: Place = { epoch: stop.epoch, segment: header.segment, offset: HEAD_BYTES + sectorsOf(header) }
      backwards.push([{ kind: 'header', header }, ...(await this.#segments(numbers, begin, stop))])
      const copy = header.content.copy
      if (copy === undefined) break
      backwards.push([{ kind: 'copy', copy, ...copyPlace(header), before: await this.#before(copy, inventory) }])
      if (covered(copy.batch)) break
      stop = copy
    }
    this.#steps = backwards.reverse().flat()
  }

  /** Where the visitor was told that a copied batch lies; its facts, too, name places in it as their author knew them. */
  async #before(copy: CopiedBatch, inventory: Inventory): Promise<Place> {
    const from = this.#from
    if (from === undefined || from.batch < copy.batch || from.epoch <= copy.epoch) return copy
    // Told of it in the header of an epoch that ended with its header, which carried the same copy on.
    const { disk, directory, cluster } = this.#options
    const numbers = inventory.log.get(from.epoch)
    const header = numbers === undefined ? undefined : await readEpochHeader(disk, directory, from.epoch, numbers, cluster)
    if (header?.content.copy?.batch !== copy.batch) throw this.#missing(from.epoch, from.segment)
    return copyPlace(header)
  }

  async #segments(numbers: readonly number[], from: Readonly<{ segment: number; offset: number }>, stop: Place): Promise<Step[]> {
    const steps: Step[] = []
    let before = from.segment
    for (const segment of numbers) {
      // A stop at the very begin of a segment: its only batch was copied, and it may itself have vanished with it.
      if (segment < from.segment || segment > stop.segment || (segment === stop.segment && stop.offset === HEAD_BYTES)) continue
      const path = segmentPath(this.#options.directory, { family: 'log', epoch: stop.epoch, segment })
      const file = await this.#options.disk.open(path, 'read')
      this.#open.push(file)
      const head = await readOwnHead(file, { family: 'log', epoch: stop.epoch, segment }, this.#options.cluster)
      if (head === 'newer') throw new JournalDamage('newer', basename(path), 0, 'this journal was written by a newer version of Bascule')
      if (head === 'none')
        throw new JournalDamage('head', basename(path), 0, 'the head of the segment is damaged or half-written, and the journal goes on behind it')
      if (segment !== from.segment && head.before !== before) throw this.#missing(stop.epoch, head.before)
      before = segment
      const previous = steps.at(-1)
      if (previous?.kind === 'segment') steps[steps.length - 1] = { ...previous, lastBatch: head.firstBatch - 1 }
      steps.push({
        kind: 'segment',
        file,
        path,
        head,
        segment,
        from: segment === from.segment ? from.offset : HEAD_BYTES,
        to: segment === stop.segment ? stop.offset : undefined,
        lastBatch: undefined,
      })
    }
    if (before !== stop.segment && stop.offset !== HEAD_BYTES) throw this.#missing(stop.epoch, stop.segment)
    return steps
  }

  #missing(epoch: number, segment: number): JournalDamage {
    const file = basename(segmentPath(this.#options.directory, { family: 'log', epoch, segment }))
    return new JournalDamage('missing', file, 0, 'a segment is missing: put the file back, or start from a copy of the directory')
  }

  async run(): Promise<void> {
    for (const step of this.#steps) {
      switch (step.kind) {
        case 'copy':
          this.#copy(step)
          break
        case 'header':
          this.#expect(undefined, step.header.header.previous, step.header.segment, step.header.header.epoch)
          this.#options.visitor.batch(step.header.header.batch, step.header.header.epoch, step.header.header.wallMs)
          this.#told(step.header.header, step.header.segment, HEAD_BYTES)
          break
        case 'segment':
          await this.#segment(step)
          break
        default:
          step satisfies never
      }
    }
  }

  /** `previous` is what the writer knew to be before; a header's own may be a header that vanished, so only its copy is held against what was read. */
  #expect(batch: number | undefined, previous: number, segment: number, epoch: number): void {
    if (this.#reached === undefined || batch === undefined) {
      if (this.#reached !== undefined && previous < this.#reached) throw this.#missing(epoch, segment)
      return
    }
    if (batch !== this.#reached + 1) {
      const file = basename(segmentPath(this.#options.directory, { family: 'log', epoch, segment }))
      throw new JournalDamage('missing', file, 0, `batch ${this.#reached + 1} is missing: batch ${batch} follows ${this.#reached}`)
    }
  }

  #copy({ copy, segment, offset, before }: Extract<Step, { kind: 'copy' }>): void {
    if (this.#reached === undefined || copy.batch > this.#reached) {
      this.#expect(copy.batch, copy.batch - 1, copy.segment, copy.epoch)
      this.#batch(copy.bytes, 0, { ...copy, length: copy.bytes.length }, segment, offset)
      // Not yet told to `told`: the header that follows at once says where this copy lies, the place of the first one does not.
      this.#reached = copy.batch
    }
    this.#options.visitor.moved?.(before.segment, before.offset, copy.bytes.length, segment, offset)
  }

  /** `segment` and `offset`: where the batch lies within its epoch. */
  #told({ epoch, batch, length }: Readonly<{ epoch: number; batch: number; length: number }>, segment: number, offset: number): void {
    this.#reached = batch
    this.#options.told?.({ epoch, batch, segment, offset: offset + sectorAfter(length) })
  }

  async #segment(step: Extract<Step, { kind: 'segment' }>): Promise<void> {
    const { epoch } = step.head
    const { size } = await step.file.stat()
    const to = step.to ?? Math.max(size, step.from)
    const range = { epoch, segment: step.segment, from: step.from, to }
    const visit = (header: BatchHeader, image: Buffer, start: number): void => {
      this.#expect(header.batch, header.previous, step.segment, epoch)
      this.#batch(image, start, header, step.segment, header.offset)
      this.#told(header, step.segment, header.offset)
    }
    const scanned =
      step.to === undefined ? await scanToEnd(step.file, range, visit) : { ...(await scanSegment(step.file, range, visit)), later: undefined }
    if (scanned.newer)
      throw new JournalDamage(
        'newer',
        basename(step.path),
        scanned.end,
        'this journal was written by a newer version of Bascule: start that version, or a later one',
      )
    if (step.to !== undefined && scanned.end !== step.to)
      throw new JournalDamage(
        'batch',
        basename(step.path),
        scanned.end,
        `the batch is damaged: the journal is known to go on to ${step.to} in this segment`,
      )
    if (scanned.later !== undefined) throw damagedBefore(step.path, scanned.end, scanned.later)
    if (step.lastBatch !== undefined && (this.#reached ?? 0) < step.lastBatch)
      throw new JournalDamage(
        'batch',
        basename(step.path),
        scanned.end,
        `the batch is damaged: the next segment goes on behind batch ${step.lastBatch}`,
      )
  }

  /** `segment`/`offset`: where the batch's first byte lies for later readers. */
  #batch(
    image: Buffer,
    start: number,
    header: Readonly<{ batch: number; epoch: number; wallMs: number; length: number }>,
    segment: number,
    offset: number,
  ): void {
    const { visitor } = this.#options
    visitor.batch(header.batch, header.epoch, header.wallMs)
    this.bytes += header.length
    const shift = offset - start
    const whole = eachFact(image, start + BATCH_HEADER_BYTES, start + header.length, (type, from, to) => {
      visitor.fact(type, image, from, to, segment, from + shift)
    })
    if (!whole) throw new JournalDamage('batch', String(segment), offset, `batch ${header.batch} is whole, but its facts do not add up`)
  }

  async close(): Promise<void> {
    for (const file of this.#open) await file.close()
  }
}

const sectorsOf = (header: ReadHeader): number => sectorAfter(header.header.length)

const copyPlace = ({ header: { epoch }, segment, content }: ReadHeader): Place => ({
  epoch,
  segment,
  offset: HEAD_BYTES + BATCH_HEADER_BYTES + content.copyAt,
})
