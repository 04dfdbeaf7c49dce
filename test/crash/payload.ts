// What the crash test sends: producer and number in clear, padding of many sizes, and a checksum over both.
import { crc32 } from 'node:zlib'
import type { Random } from '../../src/random.ts'

/** Small ones mostly; some beyond the 2 KiB that are copied, and few beyond the 256 KiB that travel in pieces, unless `whole`. */
export function payloadOf(producer: string, number: number, random: Random, whole = false): Buffer {
  const size = random.below(1000)
  const padding =
    size < 850 ? random.below(500) : size < 970 ? 2000 + random.below(6000) : size < 998 || whole ? 20_000 + random.below(40_000) : 300_000
  const body = Buffer.alloc(padding, 97 + (number % 26))
  return Buffer.concat([Buffer.from(`${producer} ${number} ${crc32(body)}\n`), body])
}

/** Throws when it is not what somebody sent. */
export function readPayload(payload: Buffer): Readonly<{ producer: string; number: number }> {
  const end = payload.indexOf(10)
  const [producer, number, crc] = payload.toString('latin1', 0, end).split(' ')
  if (producer === undefined || number === undefined || crc === undefined || crc32(payload.subarray(end + 1)) !== Number(crc)) {
    throw new Error(`a payload of ${payload.length} bytes is damaged: ${payload.toString('latin1', 0, 60)}`)
  }
  return { producer, number: Number(number) }
}
