// One directory tree in memory that several simulated processes share, as bad as a disk may be: what is not synced may be lost, torn or kept out of order
// as soon as its writer is gone, names too; a page whose sync failed counts as clean and goes later; bits flip; the disk is full; names are seen late.
// Every step of every operation passes a gate, where a simulator can hold, reorder or kill it.
//
// A file's `data` is what readers see, `saved` what survives; `pending` are the writes between the two. A directory likewise.
import type { Disk, DiskFile, FileFacts } from '../../src/disk.ts'
import type { Random } from '../../src/random.ts'
import { Bytes, withoutZeros } from './simulated-bytes.ts'
import { type PastNames, type Staleness, StaleNames } from './stale-names.ts'

export type Operation =
  | 'open'
  | 'write'
  | 'sync'
  | 'read'
  | 'list'
  | 'stat'
  | 'link'
  | 'rename'
  | 'unlink'
  | 'mkdir'
  | 'sync-directory'
  | 'truncate'
  | 'exists'

/** Called before each step of an operation; the step happens when the promise ends. One that never ends: the process was killed there. */
export type Gate = (process: string, operation: Operation, path: string) => Promise<void> | undefined
/** A code (EIO …) makes the operation fail. `after`: it has had its effect all the same. */
export type Fail = (process: string, operation: Operation, path: string) => Readonly<{ code: string; after: boolean }> | undefined

const SECTOR_BYTES = 512

const failure = (code: string, path: string): Error => Object.assign(new Error(`${code}: simulated, '${path}'`), { code })

/** `clean`: its sync failed; the kernel takes the page for clean, so no later sync writes it, and it goes when the page does. */
type PendingWrite = { readonly owner: string; readonly position: number; readonly bytes: Buffer; readonly length: number; clean: boolean }
type Lock = Readonly<{ owner: string; handle: object; kind: 'exclusive' | 'shared' }>

class Inode {
  data = new Bytes()
  saved = new Bytes()
  pending: PendingWrite[] = []
  locks: Lock[] = []
  readonly number: number

  constructor(number: number) {
    this.number = number
  }

  /** Applies the writes again to what survived. */
  rebuild(): void {
    this.data = this.saved.copy()
    for (const { position, bytes, length } of this.pending) this.data.write(position, bytes, length)
  }

  save(): void {
    if (this.pending.length === 0) return
    for (const { position, bytes, length, clean } of this.pending) if (!clean) this.saved.write(position, bytes, length)
    this.pending = this.pending.filter((one) => one.clean)
  }
}

type Change = { readonly owner: string; readonly remove: string; readonly name: string; readonly inode: Inode | undefined }

class Folder {
  names = new Map<string, Inode>()
  saved = new Map<string, Inode>()
  pending: Change[] = []
  past: PastNames<Inode>[] = []
  readonly #disk: SimulatedDisk

  constructor(disk: SimulatedDisk) {
    this.#disk = disk
  }

  change(change: Change): void {
    this.#remember()
    this.pending.push(change)
    apply(this.names, change)
  }

  rebuild(): void {
    this.#remember()
    this.names = new Map(this.saved)
    for (const change of this.pending) apply(this.names, change)
  }

  save(): void {
    for (const change of this.pending) apply(this.saved, change)
    this.pending = []
  }

  #remember(): void {
    const { staleness } = this.#disk
    if (staleness === undefined) return
    const nowMs = staleness.nowMs()
    this.past = this.past.filter((one) => one.untilMs >= nowMs - 2 * staleness.maxMs)
    this.past.push({ untilMs: nowMs, names: new Map(this.names) })
  }
}

function apply(names: Map<string, Inode>, { remove, name, inode }: Change): void {
  if (remove !== '') names.delete(remove)
  if (name !== '' && inode !== undefined) names.set(name, inode)
}

export class SimulatedDisk {
  bytesMax = Number.POSITIVE_INFINITY
  gate: Gate = () => undefined
  fail: Fail = () => undefined
  /** Set before the processes begin: they see names as a network mount with cached look-ups does. */
  staleness: Staleness | undefined
  /** Told when a name was linked, and when a write is there for all to see. */
  linked: (process: string, path: string) => void = () => undefined
  written: (process: string, path: string) => void = () => undefined
  /** Switched off, these make mutants: syncs that do nothing, links that overwrite. */
  readonly lies = { sync: false, directorySync: false, link: false }
  readonly #random: Random
  readonly #folders = new Map<string, Folder>()
  readonly #dead = new Set<string>()
  #inodes = 0

  constructor(random: Random) {
    this.#random = random
    this.#folders.set('/', new Folder(this))
  }

  /** The disk as one process sees it. */
  as(process: string): Disk {
    const views = new Map<Folder, StaleNames<Inode>>()
    const viewOf = (folder: Folder): StaleNames<Inode> | undefined => {
      if (this.staleness === undefined) return undefined
      let view = views.get(folder)
      if (view === undefined) views.set(folder, (view = new StaleNames(this.staleness)))
      return view
    }
    const seen = (folder: Folder): ReadonlyMap<string, Inode> => viewOf(folder)?.see(folder.names, folder.past) ?? folder.names
    const change = (folder: Folder, remove: string, name: string, inode: Inode | undefined): void => {
      folder.change({ owner: process, remove, name, inode })
      viewOf(folder)?.changed(remove, name, inode)
    }
    /** A name that is seen and is no more is asked for at the server, and not found. */
    const find = (path: string): Inode => {
      const [folder, name] = split(path)
      const names = this.#folder(folder)
      const inode = seen(names).get(name)
      if (inode === undefined || names.names.get(name) !== inode) throw failure('ENOENT', path)
      return inode
    }
    const enter = async (operation: Operation, path: string): Promise<void> => {
      await this.#pass(process, operation, path)
      const failed = this.fail(process, operation, path)
      if (failed !== undefined && !failed.after) throw failure(failed.code, path)
    }
    return {
      open: async (path, mode) => {
        await enter('open', path)
        if (!mode.startsWith('create')) return this.#file(process, path, find(path), mode.endsWith('-synced'))
        const [folder, name] = split(path)
        const names = this.#folder(folder)
        if (names.names.has(name)) throw failure('EEXIST', path)
        const inode = new Inode(++this.#inodes)
        change(names, '', name, inode)
        return this.#file(process, path, inode, mode.endsWith('-synced'))
      },
      list: async (path) => {
        await enter('list', path)
        return [...seen(this.#folder(path)).keys()]
      },
      stat: async (path) => {
        await enter('stat', path)
        return facts(find(path))
      },
      exists: (path) => {
        const failed = this.fail(process, 'exists', path)
        if (failed !== undefined) throw failure(failed.code, path)
        const [folder, name] = split(path)
        if (this.#folders.has(path)) return true
        const names = this.#folders.get(folder)
        return names !== undefined && seen(names).has(name)
      },
      link: async (from, to) => {
        await enter('link', to)
        const inode = this.#inode(from)
        const [folder, name] = split(to)
        if (this.#folder(folder).names.has(name) && !this.lies.link) throw failure('EEXIST', to)
        change(this.#folder(folder), '', name, inode)
        this.linked(process, to)
        const failed = this.fail(process, 'link', to)
        if (failed?.after === true) throw failure(failed.code, to)
      },
      rename: async (from, to) => {
        await enter('rename', to)
        const [folder, name] = split(to)
        change(this.#folder(folder), split(from)[1], name, this.#inode(from))
      },
      unlink: async (path) => {
        await enter('unlink', path)
        this.#inode(path)
        const [folder, name] = split(path)
        change(this.#folder(folder), name, '', undefined)
      },
      mkdir: async (path) => {
        await enter('mkdir', path)
        let at = ''
        for (const part of path.split('/').slice(1)) {
          const parent = at === '' ? '/' : at
          at += `/${part}`
          if (this.#folders.has(at)) continue
          this.#folders.set(at, new Folder(this))
          this.#folder(parent).change({ owner: process, remove: '', name: part, inode: new Inode(++this.#inodes) })
        }
      },
      syncDirectory: async (path) => {
        await enter('sync-directory', path)
        if (!this.lies.directorySync) this.#folder(path).save()
        await this.#pass(process, 'sync-directory', path)
      },
      checkWritable: async (path) => {
        const failed = this.fail(process, 'exists', path)
        if (failed !== undefined) throw failure(failed.code, path)
        this.#folder(path)
      },
    }
  }

  async #pass(process: string, operation: Operation, path: string): Promise<void> {
    const held = this.gate(process, operation, path)
    if (held !== undefined) await held
    if (this.#dead.has(process)) await new Promise<never>(() => undefined)
  }

  #folder(path: string): Folder {
    const folder = this.#folders.get(path)
    if (folder === undefined) throw failure('ENOENT', path)
    return folder
  }

  #inode(path: string): Inode {
    const [folder, name] = split(path)
    const inode = this.#folder(folder).names.get(name)
    if (inode === undefined) throw failure('ENOENT', path)
    return inode
  }

  #file(process: string, path: string, inode: Inode, synced: boolean): DiskFile {
    const handle = {}
    const enter = async (operation: Operation): Promise<void> => {
      await this.#pass(process, operation, path)
      const failed = this.fail(process, operation, path)
      if (failed !== undefined && !failed.after) throw failure(failed.code, path)
    }
    const leave = (operation: Operation): void => {
      const failed = this.fail(process, operation, path)
      if (failed?.after === true) throw failure(failed.code, path)
    }
    const sync = async (): Promise<void> => {
      try {
        await enter('sync')
      } catch (error) {
        // As Linux does: said once, and the pages are clean from then on.
        for (const one of inode.pending) one.clean = true
        throw error
      }
      if (!this.lies.sync) inode.save()
      await this.#pass(process, 'sync', path)
      leave('sync')
    }
    return {
      write: async (buffers, position) => {
        const { bytes, length } = withoutZeros(buffers)
        await enter('write')
        const grows = position + length - inode.data.size
        if (grows > 0 && this.bytesMax !== Number.POSITIVE_INFINITY && this.usedBytes + grows > this.bytesMax) throw failure('ENOSPC', path)
        // Half of it may be seen, and may stay, before the whole is there.
        const half = Math.min(bytes.length, Math.floor(this.#random.below(length + 1) / SECTOR_BYTES) * SECTOR_BYTES)
        const torn: PendingWrite = { owner: process, position, bytes: bytes.subarray(0, half), length: half, clean: false }
        inode.pending.push(torn)
        inode.data.write(position, torn.bytes, half)
        await this.#pass(process, 'write', path)
        inode.pending = inode.pending.filter((one) => one !== torn)
        inode.pending.push({ owner: process, position, bytes, length, clean: false })
        inode.data.write(position, bytes, length)
        this.written(process, path)
        leave('write')
        if (synced) await sync()
      },
      read: async (into, position) => {
        await enter('read')
        return inode.data.read(into, position)
      },
      sync,
      truncate: async (length) => {
        await enter('truncate')
        inode.data.truncate(length)
        inode.saved.truncate(length)
        inode.pending = inode.pending.filter((one) => one.position + one.length <= length)
      },
      stat: async () => {
        await enter('stat')
        return facts(inode)
      },
      tryLock: (kind) => {
        const others = inode.locks.filter((lock) => lock.handle !== handle)
        if (others.some((lock) => kind === 'exclusive' || lock.kind === 'exclusive')) return false
        inode.locks = [...others, { owner: process, handle, kind }]
        return true
      },
      close: async () => {
        inode.locks = inode.locks.filter((lock) => lock.handle !== handle)
      },
    }
  }

  get usedBytes(): number {
    const seen = new Set<Inode>()
    for (const folder of this.#folders.values()) for (const inode of folder.names.values()) seen.add(inode)
    return [...seen].reduce((sum, inode) => sum + inode.data.size, 0)
  }

  /** The process is gone: its locks fall, and nothing it began goes on. */
  kill(process: string): void {
    this.#dead.add(process)
    this.#eachInode((inode) => {
      inode.locks = inode.locks.filter((lock) => lock.owner !== process)
    })
  }

  /**
   * What dead processes left unsynced may go at any time, and pages that a failed sync left clean: any of it, a later write kept and an earlier one lost,
   * and torn at any sector. `all`: the power fails, for everybody.
   */
  decay(all = false): void {
    const gone = (owner: string): boolean => all || this.#dead.has(owner)
    this.#eachInode((inode) => {
      if (inode.pending.length === 0) return
      let lost = false
      const kept: PendingWrite[] = []
      for (const one of inode.pending) {
        if (!gone(one.owner) && !(one.clean && this.#random.below(2) === 0)) kept.push(one)
        else {
          lost = true
          this.#survive(one, kept)
        }
      }
      if (!lost) return
      inode.pending = kept
      inode.rebuild()
    })
    for (const folder of this.#folders.values()) {
      const lost = folder.pending.filter((one) => gone(one.owner))
      if (lost.length === 0) continue
      // In order, as a journalling file system keeps names, or not.
      const keep = this.#random.below(lost.length + 1)
      const inOrder = this.#random.below(2) === 0
      folder.pending = folder.pending.filter((one) => !gone(one.owner) || (inOrder ? lost.indexOf(one) < keep : this.#random.below(2) === 0))
      folder.rebuild()
    }
  }

  #survive(write: PendingWrite, kept: PendingWrite[]): void {
    const { owner, position, bytes, length } = write
    switch (this.#random.below(3)) {
      case 0:
        return
      case 1:
        // Whole, and as durable as it is visible: written back by itself.
        kept.push({ ...write, clean: false })
        return
      default:
        for (let at = 0; at < length; at += SECTOR_BYTES)
          if (this.#random.below(2) === 0)
            kept.push({
              owner,
              position: position + at,
              bytes: bytes.subarray(at, at + SECTOR_BYTES),
              length: Math.min(SECTOR_BYTES, length - at),
              clean: false,
            })
    }
  }

  /** Everything that dead processes left unsynced goes, now. */
  loseUnsynced(): void {
    this.#eachInode((inode) => {
      if (!inode.pending.some((one) => this.#dead.has(one.owner))) return
      inode.pending = inode.pending.filter((one) => !this.#dead.has(one.owner))
      inode.rebuild()
    })
    for (const folder of this.#folders.values()) {
      folder.pending = folder.pending.filter((one) => !this.#dead.has(one.owner))
      folder.rebuild()
    }
  }

  #eachInode(each: (inode: Inode) => void): void {
    const seen = new Set<Inode>()
    for (const folder of this.#folders.values()) for (const names of [folder.names, folder.saved]) for (const inode of names.values()) seen.add(inode)
    for (const folder of this.#folders.values()) for (const change of folder.pending) if (change.inode !== undefined) seen.add(change.inode)
    for (const inode of seen) each(inode)
  }

  /** One durable bit of a file in this folder changes, unasked. Answers which; undefined: there is none. */
  flip(path: string, may: (file: string) => boolean): Readonly<{ file: string; offset: number }> | undefined {
    const files = [...this.#folder(path).names].filter(([file, inode]) => may(file) && inode.saved.usedBytes > 0 && inode.data.usedBytes > 0)
    if (files.length === 0) return undefined
    const [file, inode] = files[this.#random.below(files.length)]
    const offset = this.#random.below(Math.min(inode.saved.usedBytes, inode.data.usedBytes))
    const bit = this.#random.below(8)
    inode.saved.flip(offset, bit)
    inode.data.flip(offset, bit)
    return { file, offset }
  }

  names(path: string): string[] {
    return [...this.#folder(path).names.keys()]
  }

  /** Those that are there whoever dies, with something in them. */
  durableNames(path: string): string[] {
    return [...this.#folder(path).saved].filter(([, inode]) => inode.saved.usedBytes > 0).map(([name]) => name)
  }

  /** Whether the name is there, in truth and at once. */
  has(path: string): boolean {
    const [folder, name] = split(path)
    return this.#folders.get(folder)?.names.has(name) ?? false
  }

  /** The visible bytes of a file, to look at or to damage. */
  bytes(path: string): Buffer {
    return this.#inode(path).data.whole()
  }

  /** Everything visible is durable now. */
  settle(): void {
    this.#eachInode((inode) => {
      for (const one of inode.pending) one.clean = false
      inode.save()
    })
    for (const folder of this.#folders.values()) folder.save()
  }
}

const facts = (inode: Inode): FileFacts => ({ size: inode.data.size, inode: inode.number, directory: false, modifiedMs: 0 })

function split(path: string): readonly [string, string] {
  const at = path.lastIndexOf('/')
  return [at === 0 ? '/' : path.slice(0, at), path.slice(at + 1)]
}
