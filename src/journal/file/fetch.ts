// Reads ranges back from disk, ahead by 256 KiB, into the cache: whole batches and records whose CRC holds, nothing else (`checked-window.ts`).
// At most two reads are with the disk at a time: commits share the pool with them.
import type { Clock, Log } from '../../api.ts'
import type { Disk, DiskFile } from '../../disk.ts'
import type { Cache } from './cache.ts'
import { type Boundary, READ_AHEAD_BYTES, readChecked } from './checked-window.ts'
import { HEAD_BYTES, segmentFile } from './segment.ts'
import type { Segment, Segments } from './segments.ts'
import { Unreadable } from './unreadable.ts'

const READS_MAX = 2
const FILES_MAX = 16
/** Places where batches begin, of the windows read last: who drains a backlog goes on there. */
const BOUNDARIES_MAX = 64

type Request = Readonly<{ segment: number; offset: number; length: number; done: (bytes: Uint8Array | undefined) => void }>
type OpenFile = { readonly file: DiskFile; users: number; closing: boolean }

export class Fetcher {
  readonly #disk: Disk
  readonly #clock: Clock
  readonly #segments: Segments
  readonly #cache: Cache
  readonly #unreadable: Unreadable
  #queue: Request[] = []
  #next = 0
  #reading = 0
  #boundaries: (Boundary & Readonly<{ segment: number }>)[] = []
  /** Least lately used first. */
  readonly #files = new Map<number, OpenFile>()

  constructor(disk: Disk, clock: Clock, segments: Segments, cache: Cache, log: Log) {
    this.#disk = disk
    this.#clock = clock
    this.#segments = segments
    this.#cache = cache
    this.#unreadable = new Unreadable(clock, log)
  }

  /** `done` comes in a later turn. */
  fetch(segment: number, offset: number, length: number, done: (bytes: Uint8Array | undefined) => void): void {
    this.#queue.push({ segment, offset, length, done })
    if (this.#queue.length - this.#next === 1) this.#clock.turn(() => this.#pump())
  }

  #pump(): void {
    while (this.#next < this.#queue.length && this.#reading < READS_MAX) {
      const request = this.#queue[this.#next++]
      // What waited behind a read of its neighbour is often there by now.
      const bytes = this.#cache.read(request.segment, request.offset, request.length)
      if (bytes !== undefined) request.done(bytes)
      else {
        this.#reading += 1
        void this.#read(request)
      }
    }
    if (this.#next === this.#queue.length) {
      this.#queue = []
      this.#next = 0
    }
  }

  async #read(request: Request): Promise<void> {
    const bytes = await this.#fromDisk(request)
    this.#reading -= 1
    request.done(bytes)
    this.#pump()
  }

  async #fromDisk(request: Request): Promise<Uint8Array | undefined> {
    const { segment, offset, length } = request
    const known = this.#segments.get(segment)
    if (known === undefined || offset < HEAD_BYTES || length < 0 || offset + length > known.durableBytes) return undefined
    if (this.#unreadable.has(segment, offset)) return undefined
    try {
      return await this.#checked(known, request)
    } catch (error) {
      if (this.#segments.get(segment) === known) this.#unreadable.tell(segmentFile(known), offset, `a stored record cannot be read: ${String(error)}`)
      // What the descriptor cannot do, another one may.
      await this.forget(segment).catch(() => undefined)
      return undefined
    }
  }

  async #checked(known: Segment, { segment, offset, length }: Request): Promise<Uint8Array | undefined> {
    const open = await this.#opened(known)
    try {
      const found = await readChecked(open.file, known, { offset, length }, this.#near(segment, offset))
      // Freed meanwhile: the file may already live another life.
      if (this.#segments.get(segment) !== known) return undefined
      if ('sentence' in found) {
        this.#unreadable.add(segment, found.from, found.end)
        this.#unreadable.tell(segmentFile(known), found.from, found.sentence)
        return undefined
      }
      const { base, bytes, unitBytes } = found
      this.#begins(known, base, unitBytes)
      this.#begins(known, base + bytes.length, unitBytes)
      this.#cache.add({ segment, base, end: base + bytes.length, buffer: bytes, pinned: false, lent: true })
      return bytes.subarray(offset - base, offset - base + length)
    } finally {
      open.users -= 1
      if (open.closing && open.users === 0) await open.file.close()
    }
  }

  /** The last place at or before the record, and not far from it, where a batch is known to begin: there needs to be no search. */
  #near(segment: number, offset: number): Boundary | undefined {
    let near = offset - HEAD_BYTES <= READ_AHEAD_BYTES ? { at: HEAD_BYTES, unitBytes: 0 } : undefined
    for (const one of this.#boundaries)
      if (one.segment === segment && one.at <= offset && offset - one.at <= READ_AHEAD_BYTES && one.at > (near?.at ?? 0)) near = one
    return near
  }

  #begins({ segment, family }: Segment, at: number, unitBytes: number): void {
    if (family !== 'log' || this.#boundaries.some((one) => one.segment === segment && one.at === at)) return
    if (this.#boundaries.length === BOUNDARIES_MAX) this.#boundaries.shift()
    this.#boundaries.push({ segment, at, unitBytes })
  }

  async #opened(known: Segment): Promise<OpenFile> {
    let open = this.#files.get(known.segment)
    if (open === undefined) {
      const file = await this.#disk.open(known.path, 'read')
      const meanwhile = this.#files.get(known.segment)
      if (meanwhile === undefined) open = { file, users: 0, closing: false }
      else {
        await file.close()
        open = meanwhile
      }
    }
    open.users += 1
    this.#files.delete(known.segment)
    this.#files.set(known.segment, open)
    if (this.#files.size > FILES_MAX) {
      const [oldest] = this.#files.keys()
      await this.forget(oldest)
    }
    return open
  }

  async forget(segment: number): Promise<void> {
    const open = this.#files.get(segment)
    if (open === undefined) return
    this.#files.delete(segment)
    open.closing = true
    if (open.users === 0) await open.file.close()
  }

  async close(): Promise<void> {
    for (const segment of Array.from(this.#files.keys())) await this.forget(segment)
  }
}
