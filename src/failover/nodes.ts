// Who is here: each node of a directory holds the lock on `nodes/node-<id>` for the life of its process, and says there what it is and where clients reach it.
// News, not promises: nothing here decides who leads (that is the claim), and nothing of it is synced.
//
// A file is removed only by the process that holds its lock, at its clean end. Who opened it just before finds, once it has the lock, that the name
// stands for another file or none, and starts again.
import type { Clock } from '../api.ts'
import { type Disk, type DiskFile, codeOf } from '../disk.ts'
import { nodesIn } from './heartbeat.ts'
import { NODE_FILE_BYTES, type NodeNotice, decodeNodeFile, encodeNodeFile, isNodeFile, nodeFileName, nodeFilePath } from './node-file.ts'
import { pause } from './pause.ts'

export type { NodeNotice } from './node-file.ts'

export interface Presence {
  readonly node: string
  /** Tells the others. Coalesced, never throws or rejects, at most one write in flight. */
  tell(change: Partial<Omit<NodeNotice, 'node'>>): void
  /** The other nodes whose lock is held: alive, or hung. Never rejects: what cannot be read is not there. */
  others(): Promise<readonly NodeNotice[]>
  release(): Promise<void>
}

export type EnterOptions = Readonly<{
  directory: string
  /** '': the first of a, b, c … whose lock is free. */
  node: string
  disk: Disk
  clock: Clock
  pid: number
  host: string
  version: string
}>

const LETTERS = 'abcdefghijklmnopqrstuvwxyz'
/** A lock that is taken may be another's short look (`others`), or that of a process about to end: it is tried again this often before it is believed. */
const TRIES_GIVEN = 10
const TRIES_LETTER = 3
const TRY_MS = 20
/** How often a notice that is torn is read before it is passed over. */
const READS = 3
/** Files looked at by `others`: far more nodes than can make sense, so that a folder full of leftovers costs a bounded time. */
const FILES_MAX = 1_000

/** Makes nothing but the folder `nodes/` and this node's file in it. Throws one sentence when the id is another living process's. */
export async function enter(options: EnterOptions): Promise<Presence> {
  const { directory, node, disk } = options
  await disk.mkdir(nodesIn(directory))
  if (node !== '') {
    const file = await take(options, node, TRIES_GIVEN)
    if (file === undefined) throw new Error(await inUse(options, node))
    return present(options, node, file)
  }
  for (const letter of LETTERS) {
    const file = await take(options, letter, TRIES_LETTER)
    if (file !== undefined) return present(options, letter, file)
  }
  throw new Error(`${LETTERS.length} nodes are on ${directory} already: name this one with --node.`)
}

function present(options: EnterOptions, node: string, file: DiskFile): Presence {
  const { pid, host, version, clock } = options
  const presence = new HeldPresence(options, file, {
    node,
    pid,
    host,
    version,
    startedMs: clock.wallMs(),
    role: 'starting',
    epoch: 0,
    addresses: {},
    follow: undefined,
  })
  presence.tell({})
  return presence
}

/** The node's file with its lock; undefined: another has it. */
async function take({ directory, disk, clock }: EnterOptions, node: string, tries: number): Promise<DiskFile | undefined> {
  const path = nodeFilePath(directory, nodeFileName(node))
  for (let i = 0; i < tries; i++) {
    if (i > 0) await pause(clock, TRY_MS, new AbortController().signal)
    const file = await openOrMake(disk, path)
    let ours = false
    try {
      ours = file?.tryLock('exclusive') === true && (await isNamed(disk, path, file))
    } finally {
      if (!ours) await file?.close()
    }
    if (ours) return file
  }
  return undefined
}

/** Undefined: it came or went in between. */
async function openOrMake(disk: Disk, path: string): Promise<DiskFile | undefined> {
  try {
    return await disk.open(path, 'write')
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
  }
  try {
    return await disk.open(path, 'create')
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
    return undefined
  }
}

async function isNamed(disk: Disk, path: string, file: DiskFile): Promise<boolean> {
  const { inode } = await file.stat()
  try {
    return (await disk.stat(path)).inode === inode
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false
    throw error
  }
}

async function inUse({ directory, disk }: EnterOptions, node: string): Promise<string> {
  const notice = await readHeld(disk, nodeFilePath(directory, nodeFileName(node)))
  const who = notice === undefined ? 'another process' : `process ${notice.pid} on ${notice.host}`
  return `The node name "${node}" is in use in ${directory} by ${who}: stop that one, or choose another name with --node.`
}

/** The notice in a file whose lock is held. Undefined: not held, torn, foreign, gone. */
async function readHeld(disk: Disk, path: string): Promise<NodeNotice | undefined> {
  try {
    const file = await disk.open(path, 'read')
    try {
      if (file.tryLock('shared')) return undefined
      const bytes = Buffer.alloc(NODE_FILE_BYTES)
      // It may be overwritten just now.
      for (let i = 0; i < READS; i++) {
        const notice = decodeNodeFile(bytes.subarray(0, await file.read(bytes, 0)))
        if (notice !== undefined) return notice
      }
      return undefined
    } finally {
      await file.close()
    }
  } catch {
    return undefined
  }
}

class HeldPresence implements Presence {
  readonly node: string
  readonly #options: EnterOptions
  #file: DiskFile | undefined
  #notice: NodeNotice
  #told = true
  #writing: Promise<void> | undefined

  constructor(options: EnterOptions, file: DiskFile, notice: NodeNotice) {
    this.node = notice.node
    this.#options = options
    this.#file = file
    this.#notice = notice
  }

  tell(change: Partial<Omit<NodeNotice, 'node'>>): void {
    this.#notice = { ...this.#notice, ...change }
    this.#told = false
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined
    })
  }

  async #write(): Promise<void> {
    // Not inside `tell`: what is told in one turn is written once.
    await Promise.resolve()
    while (!this.#told && this.#file !== undefined) {
      this.#told = true
      try {
        await this.#file.write([encodeNodeFile(this.#notice)], 0)
      } catch {
        // The next news tries again; until then the others know what was.
      }
    }
  }

  async others(): Promise<readonly NodeNotice[]> {
    const { disk, directory } = this.#options
    const names = await disk.list(nodesIn(directory)).catch(() => [])
    const own = nodeFileName(this.node)
    const found: NodeNotice[] = []
    for (const name of names
      .filter((one) => isNodeFile(one) && one !== own)
      .toSorted()
      .slice(0, FILES_MAX)) {
      const notice = await readHeld(disk, nodeFilePath(directory, name))
      // A copy of another's file under this name is foreign.
      if (notice !== undefined && nodeFileName(notice.node) === name) found.push(notice)
    }
    return found
  }

  async release(): Promise<void> {
    const { disk, directory } = this.#options
    const file = this.#file
    this.#file = undefined
    await this.#writing
    if (file === undefined) return
    const path = nodeFilePath(directory, nodeFileName(this.node))
    try {
      if (await isNamed(disk, path, file)) await disk.unlink(path)
    } catch {
      // A leftover is taken over by the next of this name.
    }
    await file.close()
  }
}
