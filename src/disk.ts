// The file operations that the journal and the claim use, and nothing more: so that a simulated disk can stand in for the real one.
// It knows no format and no path of ours. Every failure is an error with Node's `code` (ENOENT, EEXIST, ENOSPC …).
import fs from 'node:fs'
import { createRequire } from 'node:module'

/**
 * `read`: an existing file, to read. `create`: must not exist. `create-synced`: the same, and a write ends when its data is durable (O_DSYNC).
 * `write`, `write-synced`: an existing file.
 */
export type OpenMode = 'read' | 'create' | 'create-synced' | 'write' | 'write-synced'

export type FileFacts = Readonly<{ size: number; inode: number; directory: boolean; modifiedMs: number }>

export interface DiskFile {
  /** Writes all of it, in one call to the system where that takes it all. */
  write(buffers: readonly Uint8Array[], position: number): Promise<void>
  /** Fills `into` as far as the file goes; answers how many bytes. */
  read(into: Uint8Array, position: number): Promise<number>
  sync(): Promise<void>
  truncate(length: number): Promise<void>
  stat(): Promise<FileFacts>
  /** An OFD lock on the whole file, bound to this descriptor: it falls when the descriptor closes or the process ends, not before. False: another has it. */
  tryLock(kind: 'exclusive' | 'shared'): boolean
  close(): Promise<void>
}

export interface Disk {
  open(path: string, mode: OpenMode): Promise<DiskFile>
  /** Names in a directory, in any order. */
  list(directory: string): Promise<string[]>
  stat(path: string): Promise<FileFacts>
  /** False only for ENOENT; other errors are thrown. Synchronous: the look after each commit. */
  exists(path: string): boolean
  /** EEXIST if `to` is there. */
  link(from: string, to: string): Promise<void>
  rename(from: string, to: string): Promise<void>
  unlink(path: string): Promise<void>
  /** With its parents; no error if it is there. */
  mkdir(path: string): Promise<void>
  syncDirectory(path: string): Promise<void>
  /** May this process write here? Throws EACCES, EROFS. Changes nothing. */
  checkWritable(path: string): Promise<void>
}

export const codeOf = (error: unknown): string => (error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '')

/** A small file, whole. */
export async function readWhole(disk: Disk, path: string, bytesMax = 1024 * 1024): Promise<Buffer> {
  const file = await disk.open(path, 'read')
  try {
    const { size } = await file.stat()
    const into = Buffer.alloc(Math.min(size, bytesMax))
    return into.subarray(0, await file.read(into, 0))
  } finally {
    await file.close()
  }
}

const { constants } = fs
const dsync: number | undefined = constants.O_DSYNC

const flags: Readonly<Record<OpenMode, number>> = {
  read: constants.O_RDONLY,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL,
  'create-synced': constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | (dsync ?? 0),
  write: constants.O_RDWR,
  'write-synced': constants.O_RDWR | (dsync ?? 0),
}

type Locks = Readonly<{ tryLock(fd: number, offset: number, length: number, options: Readonly<{ shared: boolean }>): boolean }>
let locks: Locks | undefined

/** Loaded when first needed: only the claim locks, and only claims need the native module. */
function loadLocks(): Locks {
  if (locks === undefined) {
    try {
      locks = createRequire(import.meta.url)('fs-native-extensions') as Locks
    } catch (error) {
      throw new Error(
        `File locks are not available on ${process.platform}-${process.arch}: the module fs-native-extensions could not be loaded (${String(error)}). Run npm ci again on this machine.`,
      )
    }
  }
  return locks
}

const facts = (stats: fs.Stats): FileFacts => ({
  size: stats.size,
  inode: stats.ino,
  directory: stats.isDirectory(),
  modifiedMs: stats.mtimeMs,
})

class RealFile implements DiskFile {
  readonly #fd: number
  readonly #syncEach: boolean

  constructor(fd: number, syncEach: boolean) {
    this.#fd = fd
    this.#syncEach = syncEach
  }

  write(buffers: readonly Uint8Array[], position: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const wrote = (error: NodeJS.ErrnoException | null, count: number): void => {
        if (error !== null) return reject(error)
        let left = count
        const rest: Uint8Array[] = []
        for (const buffer of buffers) {
          if (left >= buffer.byteLength) left -= buffer.byteLength
          else {
            rest.push(left === 0 ? buffer : buffer.subarray(left))
            left = 0
          }
        }
        if (rest.length > 0) return resolve(this.write(rest, position + count))
        if (this.#syncEach) return fs.fdatasync(this.#fd, (failed) => (failed === null ? resolve() : reject(failed)))
        resolve()
      }
      fs.writev(this.#fd, buffers, position, wrote)
    })
  }

  read(into: Uint8Array, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      let done = 0
      const next = (error: NodeJS.ErrnoException | null, count: number): void => {
        if (error !== null) return reject(error)
        done += count
        if (count === 0 || done === into.byteLength) return resolve(done)
        fs.read(this.#fd, into, done, into.byteLength - done, position + done, next)
      }
      fs.read(this.#fd, into, 0, into.byteLength, position, next)
    })
  }

  sync(): Promise<void> {
    return new Promise((resolve, reject) => fs.fsync(this.#fd, (error) => (error === null ? resolve() : reject(error))))
  }

  truncate(length: number): Promise<void> {
    return new Promise((resolve, reject) => fs.ftruncate(this.#fd, length, (error) => (error === null ? resolve() : reject(error))))
  }

  stat(): Promise<FileFacts> {
    return new Promise((resolve, reject) => fs.fstat(this.#fd, (error, stats) => (error === null ? resolve(facts(stats)) : reject(error))))
  }

  tryLock(kind: 'exclusive' | 'shared'): boolean {
    return loadLocks().tryLock(this.#fd, 0, 0, { shared: kind === 'shared' })
  }

  close(): Promise<void> {
    return new Promise((resolve, reject) => fs.close(this.#fd, (error) => (error === null || error === undefined ? resolve() : reject(error))))
  }
}

export const realDisk: Disk = {
  open(path, mode) {
    return new Promise((resolve, reject) => {
      const syncEach = dsync === undefined && mode.endsWith('-synced')
      fs.open(path, flags[mode], 0o640, (error, fd) => (error === null ? resolve(new RealFile(fd, syncEach)) : reject(error)))
    })
  },
  list: (directory) => fs.promises.readdir(directory),
  stat: async (path) => facts(await fs.promises.stat(path)),
  exists: (path) => fs.statSync(path, { throwIfNoEntry: false }) !== undefined,
  link: (from, to) => fs.promises.link(from, to),
  rename: (from, to) => fs.promises.rename(from, to),
  unlink: (path) => fs.promises.unlink(path),
  mkdir: async (path) => {
    await fs.promises.mkdir(path, { recursive: true })
  },
  async syncDirectory(path) {
    // Windows has no sync of directories; its file systems journal names themselves.
    if (process.platform === 'win32') return
    const handle = await fs.promises.open(path, 'r')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  },
  checkWritable: (path) => fs.promises.access(path, constants.W_OK | constants.X_OK | constants.R_OK),
}
