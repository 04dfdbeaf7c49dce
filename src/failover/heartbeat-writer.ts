// Writes the heartbeats of one epoch (rule 4): the first at once, then every quarter of the lease, one write in flight at most. Each ends when it is durable, so that
// a disk that hangs shows as silence. A write that fails is told once and tried again at its next time: what ends leadership is the lease, or the journal's own commits.
import { join } from 'node:path'
import type { Clock, Log } from '../api.ts'
import { type Disk, type DiskFile, codeOf } from '../disk.ts'
import { encodeHeartbeat, heartbeatEpochOf, heartbeatPath, nodesIn } from './heartbeat.ts'

export type HeartbeatWriterOptions = Readonly<{
  directory: string
  epoch: number
  everyMs: number
  disk: Disk
  clock: Clock
  log: Log | undefined
  /** Number of the last committed batch. */
  batch: () => number
  /** The look before each write; false: nothing more is written, ever (rule 16). Never rejects. */
  leads: () => Promise<boolean>
  /** The look alone: opening the file may have taken long. */
  look: () => boolean
}>

export class HeartbeatWriter {
  readonly #options: HeartbeatWriterOptions
  #file: DiskFile | undefined
  #count = 0
  #failed = false
  #stopped = false
  #cancel: () => void = () => {}

  constructor(options: HeartbeatWriterOptions) {
    this.#options = options
  }

  start(): void {
    void this.#beat()
  }

  /** What is in flight may still reach the disk: a write that hangs holds nobody up. */
  stop(): void {
    this.#stopped = true
    this.#cancel()
    if (!this.#beating) this.#close()
  }

  #beating = false

  async #beat(): Promise<void> {
    const { clock, everyMs, leads } = this.#options
    const startedMs = clock.monoMs()
    this.#beating = true
    const goOn = await leads()
    if (goOn && !this.#stopped) await this.#write()
    this.#beating = false
    if (!goOn || this.#stopped) this.#close()
    else this.#cancel = clock.after(Math.max(0, startedMs + everyMs - clock.monoMs()), () => void this.#beat())
  }

  async #write(): Promise<void> {
    const { epoch, log, batch, look } = this.#options
    try {
      this.#file ??= await this.#open()
      if (!look()) return
      await this.#file.write([encodeHeartbeat(epoch, { count: ++this.#count, batch: batch() })], 0)
      if (this.#failed) log?.info({ epoch }, 'heartbeats are written again')
      this.#failed = false
      if (this.#count === 1) void this.#removeLower()
    } catch (error) {
      if (!this.#failed)
        log?.warn({ epoch, error }, 'a heartbeat could not be written: if this goes on, a standby takes this node for hung and claims')
      this.#failed = true
      this.#close()
    }
  }

  async #open(): Promise<DiskFile> {
    const { disk, directory, epoch } = this.#options
    const path = heartbeatPath(directory, epoch)
    // Directories of earlier versions lack the folder.
    await disk.mkdir(nodesIn(directory))
    try {
      return await disk.open(path, 'create-synced')
    } catch (error) {
      // Of an earlier try of ours: the number is.
      if (codeOf(error) !== 'EEXIST') throw error
      return disk.open(path, 'write-synced')
    }
  }

  #close(): void {
    // Nothing depends on it: what was written is durable or tried again.
    this.#file?.close().catch(() => undefined)
    this.#file = undefined
  }

  /** Of epochs that are over: nobody watches them. */
  async #removeLower(): Promise<void> {
    const { disk, directory, epoch } = this.#options
    try {
      for (const name of await disk.list(nodesIn(directory))) {
        const of = heartbeatEpochOf(name)
        if (of !== undefined && of < epoch && !this.#stopped) await disk.unlink(join(nodesIn(directory), name))
      }
    } catch {
      // The next leader tries again.
    }
  }
}
