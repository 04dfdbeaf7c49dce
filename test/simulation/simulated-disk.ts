// One directory tree in memory that several simulated processes share, as bad as a disk may be: what is not synced may be lost or torn as soon as its
// writer is gone, names too; syncs fail; the disk is full. Every step of every operation passes a gate, where a simulator can hold, reorder or kill it.
//
// A file's `data` is what readers see, `saved` what survives; `pending` are the writes between the two. A directory likewise.
import type { Disk, DiskFile, FileFacts, OpenMode } from '../../src/disk.ts'
import type { SeededRandom } from '../../src/random.ts'

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

type PendingWrite = { readonly owner: string; readonly position: number; readonly bytes: Buffer }
type Lock = Readonly<{ owner: string; handle: object; kind: 'exclusive' | 'shared' }>

class Inode {
  data: Buffer = Buffer.alloc(0)
  saved: Buffer = Buffer.alloc(0)
  pending: PendingWrite[] = []
  locks: Lock[] = []
  readonly number: number

  constructor(number: number) {
    this.number = number
  }

  /** Applies the writes again to what survived. */
  rebuild(): void {
    this.data = Buffer.from(this.saved)
    for (const { position, bytes } of this.pending) this.data = over(this.data, position, bytes)
  }

  save(): void {
    for (const { position, bytes } of this.pending) this.saved = over(this.saved, position, bytes)
    this.pending = []
  }
}

function over(data: Buffer, position: number, bytes: Buffer): Buffer {
  const grown = position + bytes.length > data.length ? Buffer.concat([data, Buffer.alloc(position + bytes.length - data.length)]) : data
  bytes.copy(grown, position)
  return grown
}

type Change = { readonly owner: string; readonly remove: string; readonly name: string; readonly inode: Inode | undefined }

class Folder {
  names = new Map<string, Inode>()
  saved = new Map<string, Inode>()
  pending: Change[] = []

  change(change: Change): void {
    this.pending.push(change)
    apply(this.names, change)
  }

  rebuild(): void {
    this.names = new Map(this.saved)
    for (const change of this.pending) apply(this.names, change)
  }

  save(): void {
    for (const change of this.pending) apply(this.saved, change)
    this.pending = []
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
  /** Switched off, these make mutants: syncs that do nothing, links that overwrite. */
  readonly lies = { sync: false, directorySync: false, link: false }
  readonly #random: SeededRandom
  readonly #folders = new Map<string, Folder>()
  readonly #dead = new Set<string>()
  #inodes = 0

  constructor(random: SeededRandom) {
    this.#random = random
    this.#folders.set('/', new Folder())
  }

  /** The disk as one process sees it. */
  as(process: string): Disk {
    const enter = async (operation: Operation, path: string): Promise<void> => {
      await this.#pass(process, operation, path)
      const failed = this.fail(process, operation, path)
      if (failed !== undefined && !failed.after) throw failure(failed.code, path)
    }
    return {
      open: async (path, mode) => {
        await enter('open', path)
        return this.#open(process, path, mode)
      },
      list: async (path) => {
        await enter('list', path)
        return [...this.#folder(path).names.keys()]
      },
      stat: async (path) => {
        await enter('stat', path)
        return facts(this.#inode(path))
      },
      exists: (path) => {
        const failed = this.fail(process, 'exists', path)
        if (failed !== undefined) throw failure(failed.code, path)
        const [folder, name] = split(path)
        return this.#folders.has(path) || (this.#folders.get(folder)?.names.has(name) ?? false)
      },
      link: async (from, to) => {
        await enter('link', to)
        const inode = this.#inode(from)
        const [folder, name] = split(to)
        if (this.#folder(folder).names.has(name) && !this.lies.link) throw failure('EEXIST', to)
        this.#folder(folder).change({ owner: process, remove: '', name, inode })
        const failed = this.fail(process, 'link', to)
        if (failed?.after === true) throw failure(failed.code, to)
      },
      rename: async (from, to) => {
        await enter('rename', to)
        const [folder, name] = split(to)
        this.#folder(folder).change({ owner: process, remove: split(from)[1], name, inode: this.#inode(from) })
      },
      unlink: async (path) => {
        await enter('unlink', path)
        this.#inode(path)
        const [folder, name] = split(path)
        this.#folder(folder).change({ owner: process, remove: name, name: '', inode: undefined })
      },
      mkdir: async (path) => {
        await enter('mkdir', path)
        let at = ''
        for (const part of path.split('/').slice(1)) {
          const parent = at === '' ? '/' : at
          at += `/${part}`
          if (this.#folders.has(at)) continue
          this.#folders.set(at, new Folder())
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

  #open(process: string, path: string, mode: OpenMode): DiskFile {
    const [folder, name] = split(path)
    let inode: Inode
    if (mode.startsWith('create')) {
      if (this.#folder(folder).names.has(name)) throw failure('EEXIST', path)
      inode = new Inode(++this.#inodes)
      this.#folder(folder).change({ owner: process, remove: '', name, inode })
    } else inode = this.#inode(path)
    return this.#file(process, path, inode, mode.endsWith('-synced'))
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
    return {
      write: async (buffers, position) => {
        const bytes = Buffer.concat(buffers)
        await enter('write')
        const grows = position + bytes.length - inode.data.length
        if (grows > 0 && this.#usedBytes() + grows > this.bytesMax) throw failure('ENOSPC', path)
        // Half of it may be seen, and may stay, before the whole is there.
        const half = Math.floor(this.#random.below(bytes.length + 1) / SECTOR_BYTES) * SECTOR_BYTES
        const torn: PendingWrite = { owner: process, position, bytes: bytes.subarray(0, half) }
        inode.pending.push(torn)
        inode.data = over(inode.data, position, torn.bytes)
        await this.#pass(process, 'write', path)
        inode.pending = inode.pending.filter((one) => one !== torn)
        inode.pending.push({ owner: process, position, bytes })
        inode.data = over(inode.data, position, bytes)
        leave('write')
        if (!synced) return
        await enter('sync')
        if (!this.lies.sync) inode.save()
        await this.#pass(process, 'sync', path)
        leave('sync')
      },
      read: async (into, position) => {
        await enter('read')
        return inode.data.copy(into, 0, Math.min(position, inode.data.length), position + into.length)
      },
      sync: async () => {
        await enter('sync')
        if (!this.lies.sync) inode.save()
        await this.#pass(process, 'sync', path)
        leave('sync')
      },
      truncate: async (length) => {
        await enter('truncate')
        inode.data = inode.data.subarray(0, length)
        inode.saved = inode.saved.subarray(0, length)
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

  #usedBytes(): number {
    const seen = new Set<Inode>()
    for (const folder of this.#folders.values()) for (const inode of folder.names.values()) seen.add(inode)
    return [...seen].reduce((sum, inode) => sum + inode.data.length, 0)
  }

  /** The process is gone: its locks fall, and nothing it began goes on. */
  kill(process: string): void {
    this.#dead.add(process)
    this.#eachInode((inode) => {
      inode.locks = inode.locks.filter((lock) => lock.owner !== process)
    })
  }

  /** What dead processes left unsynced may go at any time: a suffix of it, the last of what stays torn at any sector. */
  decay(all = false): void {
    const gone = (owner: string): boolean => all || this.#dead.has(owner)
    this.#eachInode((inode) => {
      const lost = inode.pending.filter((one) => gone(one.owner))
      if (lost.length === 0) return
      const keep = this.#random.below(lost.length + 1)
      const next = lost[keep]
      inode.pending = inode.pending.filter((one) => !gone(one.owner) || lost.indexOf(one) < keep)
      if (next !== undefined && this.#random.below(2) === 0) {
        for (let at = 0; at < next.bytes.length; at += SECTOR_BYTES)
          if (this.#random.below(2) === 0)
            inode.pending.push({ owner: next.owner, position: next.position + at, bytes: next.bytes.subarray(at, at + SECTOR_BYTES) })
      }
      inode.rebuild()
    })
    for (const folder of this.#folders.values()) {
      const lost = folder.pending.filter((one) => gone(one.owner))
      if (lost.length === 0) continue
      const keep = this.#random.below(lost.length + 1)
      folder.pending = folder.pending.filter((one) => !gone(one.owner) || lost.indexOf(one) < keep)
      folder.rebuild()
    }
  }

  /** Everything that dead processes left unsynced goes, now. */
  loseUnsynced(): void {
    this.#eachInode((inode) => {
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

  /** The visible bytes of a file, to look at or to damage. */
  bytes(path: string): Buffer {
    return this.#inode(path).data
  }

  /** Everything visible is durable now. */
  settle(): void {
    this.#eachInode((inode) => inode.save())
    for (const folder of this.#folders.values()) folder.save()
  }
}

const facts = (inode: Inode): FileFacts => ({ size: inode.data.length, inode: inode.number, directory: false, modifiedMs: 0 })

function split(path: string): readonly [string, string] {
  const at = path.lastIndexOf('/')
  return [at === 0 ? '/' : path.slice(0, at), path.slice(at + 1)]
}
