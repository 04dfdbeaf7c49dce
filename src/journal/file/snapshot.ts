// Snapshot files: `snapshots/snap-<epoch>-<batch>-<segment>-<offset>`, named by the batch they hold and where it ends. Chunks with a CRC each, and an end
// that says how many there are; a snapshot without its end is none. What the chunks mean is the core's.
//
//   magic 'BSCLSNP1' │ format u32 │ CRC of those u32 ║ length u32 │ CRC u32 │ chunk … ║ 0xffffffff │ CRC u32 of (count, all chunk CRCs) │ count u32
import { join } from 'node:path'
import { type Disk, type DiskFile, codeOf } from '../../disk.ts'
import { crc32 } from '../crc.ts'
import { FORMAT } from './segment.ts'

export type SnapshotName = Readonly<{ file: string; epoch: number; batch: number; segment: number; offset: number }>

const MAGIC = Buffer.from('BSCLSNP1')
const HEAD_BYTES = 16
const END = 0xffffffff
const WRITE_BYTES = 256 * 1024
export const CHUNK_BYTES_MAX = 64 * 1024 * 1024

export const snapshotsIn = (directory: string): string => join(directory, 'snapshots')

const padded = (n: number, digits: number): string => String(n).padStart(digits, '0')

export function snapshotFile(epoch: number, batch: number, segment: number, offset: number): string {
  return `snap-${padded(epoch, 10)}-${padded(batch, 16)}-${padded(segment, 10)}-${padded(offset, 10)}`
}

export function parseSnapshotFile(file: string): SnapshotName | undefined {
  const match = /^snap-([0-9]{10,15})-([0-9]{16})-([0-9]{10})-([0-9]{10})$/.exec(file)
  if (match === null) return undefined
  return { file, epoch: Number(match[1]), batch: Number(match[2]), segment: Number(match[3]), offset: Number(match[4]) }
}

export type SnapshotFolder = Readonly<{
  /** Newest first. */
  names: readonly SnapshotName[]
  /** Begun and not finished. */
  temporary: readonly string[]
}>

export async function listSnapshotFolder(disk: Disk, directory: string): Promise<SnapshotFolder> {
  const names: SnapshotName[] = []
  const temporary: string[] = []
  for (const file of await disk.list(snapshotsIn(directory))) {
    const name = parseSnapshotFile(file)
    if (name !== undefined) names.push(name)
    else if (file.startsWith('.snap-')) temporary.push(file)
  }
  return { names: names.sort((a, b) => b.batch - a.batch || b.epoch - a.epoch), temporary }
}

/** Newest first. */
export const listSnapshots = async (disk: Disk, directory: string): Promise<readonly SnapshotName[]> =>
  (await listSnapshotFolder(disk, directory)).names

/** Rule 18: a temporary name, synced, renamed, the directory synced. */
export async function storeSnapshot(disk: Disk, directory: string, name: string, chunks: Iterable<Uint8Array>): Promise<void> {
  const temporary = join(snapshotsIn(directory), `.${name}`)
  await disk.unlink(temporary).catch((error: unknown) => {
    if (codeOf(error) !== 'ENOENT') throw error
  })
  const file = await disk.open(temporary, 'create')
  try {
    await writeChunks(file, chunks)
    await file.sync()
  } catch (error) {
    await file.close()
    await disk.unlink(temporary).catch(() => undefined)
    throw error
  }
  await file.close()
  await disk.rename(temporary, join(snapshotsIn(directory), name))
  await disk.syncDirectory(snapshotsIn(directory))
}

async function writeChunks(file: DiskFile, chunks: Iterable<Uint8Array>): Promise<void> {
  let at = 0
  let waiting: Uint8Array[] = [head()]
  let waitingBytes = HEAD_BYTES
  let count = 0
  let crc = 0
  const flush = async (): Promise<void> => {
    if (waiting.length === 0) return
    await file.write(waiting, at)
    at += waitingBytes
    waiting = []
    waitingBytes = 0
  }
  for (const chunk of chunks) {
    if (chunk.byteLength > CHUNK_BYTES_MAX) throw new RangeError(`a snapshot chunk of ${chunk.byteLength} bytes; at most ${CHUNK_BYTES_MAX}`)
    const before = Buffer.alloc(8)
    before.writeUInt32LE(chunk.byteLength, 0)
    before.writeUInt32LE(crc32(chunk), 4)
    crc = crc32(before, crc)
    count += 1
    waiting.push(before, chunk)
    waitingBytes += 8 + chunk.byteLength
    // The giver may use a chunk's memory again once the next is asked for: only what is copied may wait.
    if (waitingBytes >= WRITE_BYTES) await flush()
    else waiting[waiting.length - 1] = Uint8Array.from(chunk)
  }
  const end = Buffer.alloc(12)
  end.writeUInt32LE(END, 0)
  end.writeUInt32LE(count, 8)
  end.writeUInt32LE(crc32(end.subarray(8), crc), 4)
  waiting.push(end)
  waitingBytes += end.length
  await flush()
}

function head(): Buffer {
  const made = Buffer.alloc(HEAD_BYTES)
  MAGIC.copy(made)
  made.writeUInt32LE(FORMAT, 8)
  made.writeUInt32LE(crc32(made.subarray(0, 12)), 12)
  return made
}

/** The chunks as they were given; a sentence instead, if it is not whole. */
export async function loadSnapshot(disk: Disk, directory: string, name: SnapshotName): Promise<readonly Uint8Array[] | string> {
  const file = await disk.open(join(snapshotsIn(directory), name.file), 'read')
  try {
    const { size } = await file.stat()
    const image = Buffer.allocUnsafeSlow(size)
    return readChunks(image.subarray(0, await file.read(image, 0)))
  } finally {
    await file.close()
  }
}

function readChunks(image: Buffer): readonly Uint8Array[] | string {
  if (image.length === 0) return 'the file is empty'
  if (image.length < HEAD_BYTES || !image.subarray(0, 8).equals(MAGIC) || image.readUInt32LE(12) !== crc32(image.subarray(0, 12)))
    return 'its head is damaged'
  if (image.readUInt32LE(8) > FORMAT) return 'it was written by a newer version of Bascule'
  const chunks: Uint8Array[] = []
  let crc = 0
  for (let at = HEAD_BYTES; at + 8 <= image.length; ) {
    const length = image.readUInt32LE(at)
    if (length === END) {
      if (at + 12 > image.length || image.readUInt32LE(at + 8) !== chunks.length) return 'its end is damaged'
      return image.readUInt32LE(at + 4) === crc32(image.subarray(at + 8, at + 12), crc) ? chunks : 'its end is damaged'
    }
    crc = crc32(image.subarray(at, at + 8), crc)
    const start = at + 8
    if (start + length > image.length) return 'it is cut short'
    const chunk = image.subarray(start, start + length)
    if (crc32(chunk) !== image.readUInt32LE(at + 4)) return `chunk ${chunks.length} at ${start} is damaged`
    chunks.push(chunk)
    at = start + length
  }
  return 'it is cut short'
}
