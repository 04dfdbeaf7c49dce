// What the drill sends: producer and number in clear, padding, and a checksum over it.
import { crc32 } from 'node:zlib'

export type Payload = Readonly<{ producer: string; number: number }>

const HEAD = /^([A-Za-z0-9-]{1,64}) (\d{1,15}) (\d{1,10})$/

export function payloadOf({ producer, number }: Payload, bytes: number): Buffer {
  const padding = Buffer.alloc(Math.max(0, bytes - 40), 97 + (number % 26))
  return Buffer.concat([Buffer.from(`${producer} ${number} ${crc32(padding)}\n`), padding])
}

/** Undefined: not one of ours, or damaged on its way. */
export function readPayload(payload: Buffer): Payload | undefined {
  const end = payload.indexOf(10)
  const match = HEAD.exec(payload.toString('latin1', 0, Math.max(0, end)))
  if (match === null) return undefined
  const [, producer, number, crc] = match
  return crc32(payload.subarray(end + 1)) === Number(crc) ? { producer, number: Number(number) } : undefined
}
