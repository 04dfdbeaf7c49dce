// The heartbeat of an epoch: `nodes/heartbeat-<epoch>`, one sector that its leader overwrites in place. Its content and how it is read; who writes it and when is
// `heartbeat-writer.ts`, what its silence means is `lease.ts`.
//
//   0 magic, 4 CRC of 8 … 40, 8 epoch, 16 count, 24 batch, 32 reserved (zeros up to the end of the sector)
import { join } from 'node:path'
import { type Disk, codeOf } from '../disk.ts'
import { crc32 } from '../journal/crc.ts'

/** `count` rises with each one written. `batch`: the last that its leader has committed (after rule 14); 0: none yet. */
export type Heartbeat = Readonly<{ count: number; batch: number }>

export const HEARTBEAT_BYTES = 512

const MAGIC = 0x42_48_42_31 // "BHB1"
const CHECKED_BYTES = 40

export const nodesIn = (directory: string): string => join(directory, 'nodes')

export const heartbeatPath = (directory: string, epoch: number): string => join(nodesIn(directory), `heartbeat-${String(epoch).padStart(10, '0')}`)

/** The epoch that a name in `nodes/` is the heartbeat of. */
export function heartbeatEpochOf(name: string): number | undefined {
  const match = /^heartbeat-([0-9]{10,15})$/.exec(name)
  return match === null ? undefined : Number(match[1])
}

/** Undefined: there is none, or it is torn (half old and half new), or not this epoch's. Other errors of the disk are thrown: they say nothing of the leader. */
export async function readHeartbeat(disk: Disk, directory: string, epoch: number): Promise<Heartbeat | undefined> {
  let file
  try {
    // Opened afresh each time: a file server is asked at the open, not at each read.
    file = await disk.open(heartbeatPath(directory, epoch), 'read')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
  try {
    const bytes = Buffer.alloc(HEARTBEAT_BYTES)
    return (await file.read(bytes, 0)) < HEARTBEAT_BYTES ? undefined : decodeHeartbeat(bytes, epoch)
  } finally {
    await file.close()
  }
}

export function encodeHeartbeat(epoch: number, heartbeat: Heartbeat): Buffer {
  const bytes = Buffer.alloc(HEARTBEAT_BYTES)
  bytes.writeUInt32LE(MAGIC, 0)
  bytes.writeBigUInt64LE(BigInt(epoch), 8)
  bytes.writeBigUInt64LE(BigInt(heartbeat.count), 16)
  bytes.writeBigUInt64LE(BigInt(heartbeat.batch), 24)
  bytes.writeUInt32LE(crc32(bytes.subarray(8, CHECKED_BYTES)), 4)
  return bytes
}

export function decodeHeartbeat(bytes: Buffer, epoch: number): Heartbeat | undefined {
  if (bytes.length < HEARTBEAT_BYTES || bytes.readUInt32LE(0) !== MAGIC) return undefined
  if (bytes.readUInt32LE(4) !== crc32(bytes.subarray(8, CHECKED_BYTES)) || bytes.readBigUInt64LE(8) !== BigInt(epoch)) return undefined
  return { count: Number(bytes.readBigUInt64LE(16)), batch: Number(bytes.readBigUInt64LE(24)) }
}
