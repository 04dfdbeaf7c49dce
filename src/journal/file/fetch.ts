// Reads ranges back from disk, ahead by 256 KiB, into the cache. At most two reads are with the disk at a time: commits share the pool with them.
import type { Clock } from '../../api.ts'
import type { Disk, DiskFile } from '../../disk.ts'
import type { Cache } from './cache.ts'
import type { Segment, Segments } from './segments.ts'

export const READ_AHEAD_BYTES = 256 * 1024
const READS_MAX = 2
const FILES_MAX = 16

type Request = Readonly<{ segment: number; offset: number; length: number; done: (bytes: Uint8Array | undefined) => void }>
type OpenFile = { readonly file: DiskFile; users: number; closing: boolean }

export class Fetcher {
  readonly #disk: Disk
  readonly #clock: Clock
  readonly #segments: Segments
  readonly #cache: Cache
  #queue: Request[] = []
  #next = 0
  #reading = 0
  /** Least lately used first. */
  readonly #files = new Map<number, OpenFile>()

  constructor(disk: Disk, clock: Clock, segments: Segments, cache: Cache) {
    this.#disk = disk
    this.#clock = clock
    this.#segments = segments
    this.#cache = cache
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
    const bytes = await this.#fromDisk(request).catch(() => undefined)
    this.#reading -= 1
    request.done(bytes)
    this.#pump()
  }

  async #fromDisk({ segment, offset, length }: Request): Promise<Uint8Array | undefined> {
    const known = this.#segments.get(segment)
    if (known === undefined || offset < 0 || length < 0) return undefined
    // Never ahead into what is still being written: zeros read there would be taken for content later.
    const end = Math.min(offset + Math.max(length, READ_AHEAD_BYTES), known.durableBytes)
    if (offset + length > end) return undefined
    const open = await this.#opened(known)
    try {
      const buffer = Buffer.allocUnsafeSlow(end - offset)
      const count = await open.file.read(buffer, offset)
      // Freed meanwhile: the file may already live another life.
      if (this.#segments.get(segment) !== known || count < length) return undefined
      this.#cache.add({ segment, base: offset, end: offset + count, buffer, pinned: false })
      return buffer.subarray(0, length)
    } finally {
      open.users -= 1
      if (open.closing && open.users === 0) await open.file.close()
    }
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
