// CRC-32 (the one of zlib), of several pieces in a row.
import * as zlib from 'node:zlib'

export type Crc = (bytes: Uint8Array, before?: number) => number

let table: Int32Array | undefined

function makeTable(): Int32Array {
  const made = new Int32Array(256)
  for (let n = 0; n < 256; n++) {
    let c = n
    for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1
    made[n] = c
  }
  return made
}

/** In plain JavaScript: for a Node whose zlib lacks it. */
export const slowCrc: Crc = (bytes, before = 0) => {
  table ??= makeTable()
  let c = ~before
  for (let i = 0; i < bytes.length; i++) c = table[(c ^ bytes[i]) & 0xff] ^ (c >>> 8)
  return ~c >>> 0
}

/** 20.19 has `zlib.crc32`; asked for and not taken for granted, since a missing one would only show at the first commit. */
export const crc32: Crc = typeof zlib.crc32 === 'function' ? (bytes, before = 0) => zlib.crc32(bytes, before) : slowCrc
