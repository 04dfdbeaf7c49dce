// The content of batch 1 of an epoch: the chain of earlier epochs, and a copy of the last batch of that chain (rule 7). Pure.
//
//   0 count of chain entries u32 │ 4 zeros │ 8 entries, 24 bytes each: epoch f64, last segment u32 (0: void), end u32, numbers to u32, zeros
//   then the copy: epoch f64, batch f64, wall ms f64, segment u32, offset u32, length u32 (0: there is none), zeros u32 │ its bytes as they were, 64-byte header included
import { BATCH_HEADER_BYTES } from './batch.ts'

/** Where one earlier epoch ends. `segment` 0: void, it wrote nothing that counts, whatever may appear. */
export type ChainEntry = Readonly<{
  epoch: number
  /** Its last log segment, and the offset where its last batch (padding included) ends. */
  segment: number
  end: number
  /** Highest segment number that it gave, in any family: later ones of that epoch do not exist. */
  numbersTo: number
}>

export type CopiedBatch = Readonly<{
  epoch: number
  batch: number
  wallMs: number
  /** Where the original lies. */
  segment: number
  offset: number
  /** Header and content of the original. */
  bytes: Buffer
}>

export type EpochHeader = Readonly<{
  chain: readonly ChainEntry[]
  copy: CopiedBatch | undefined
  /** Offset of the copied bytes within this content. */
  copyAt: number
}>

const ENTRY_BYTES = 24
const COPY_BYTES = 40

export const headerContentBytes = (chain: readonly ChainEntry[], copy: CopiedBatch | undefined): number =>
  copyOffset(chain) + (copy?.bytes.length ?? 0)

/** Offset of the copied bytes within the content. */
export const copyOffset = (chain: readonly ChainEntry[]): number => 8 + chain.length * ENTRY_BYTES + COPY_BYTES

export function encodeEpochHeader(chain: readonly ChainEntry[], copy: CopiedBatch | undefined, into: Buffer, start: number): void {
  into.writeUInt32LE(chain.length, start)
  into.writeUInt32LE(0, start + 4)
  let at = start + 8
  for (const entry of chain) {
    into.writeDoubleLE(entry.epoch, at)
    into.writeUInt32LE(entry.segment, at + 8)
    into.writeUInt32LE(entry.end, at + 12)
    into.writeUInt32LE(entry.numbersTo, at + 16)
    into.writeUInt32LE(0, at + 20)
    at += ENTRY_BYTES
  }
  into.fill(0, at, at + COPY_BYTES)
  if (copy === undefined) return
  into.writeDoubleLE(copy.epoch, at)
  into.writeDoubleLE(copy.batch, at + 8)
  into.writeDoubleLE(copy.wallMs, at + 16)
  into.writeUInt32LE(copy.segment, at + 24)
  into.writeUInt32LE(copy.offset, at + 28)
  into.writeUInt32LE(copy.bytes.length, at + 32)
  copy.bytes.copy(into, at + COPY_BYTES)
}

/** Undefined: not the content of a header. */
export function decodeEpochHeader(content: Buffer): EpochHeader | undefined {
  if (content.length < 8) return undefined
  const count = content.readUInt32LE(0)
  if (content.length < 8 + count * ENTRY_BYTES + COPY_BYTES) return undefined
  const chain: ChainEntry[] = []
  let at = 8
  for (let i = 0; i < count; i++, at += ENTRY_BYTES) {
    chain.push({
      epoch: content.readDoubleLE(at),
      segment: content.readUInt32LE(at + 8),
      end: content.readUInt32LE(at + 12),
      numbersTo: content.readUInt32LE(at + 16),
    })
  }
  const length = content.readUInt32LE(at + 32)
  const copyAt = at + COPY_BYTES
  if (length === 0) return { chain, copy: undefined, copyAt }
  if (length < BATCH_HEADER_BYTES || copyAt + length > content.length) return undefined
  const copy: CopiedBatch = {
    epoch: content.readDoubleLE(at),
    batch: content.readDoubleLE(at + 8),
    wallMs: content.readDoubleLE(at + 16),
    segment: content.readUInt32LE(at + 24),
    offset: content.readUInt32LE(at + 28),
    bytes: content.subarray(copyAt, copyAt + length),
  }
  return { chain, copy, copyAt }
}
