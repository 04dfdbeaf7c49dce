// Packets of MQTT by hand, for those that no generator writes: the length in the fixed header is right whatever the rest is.

/** A packet of this first byte (type and flags) around these parts. */
export function packet(first: number, ...parts: readonly (Buffer | number)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => (typeof part === 'number' ? Buffer.from([part]) : part)))
  return Buffer.concat([Buffer.from([first]), varint(body.length), body])
}

/** A string as MQTT writes it; bytes, where they shall be no UTF-8. */
export function string(text: string | Buffer): Buffer {
  const bytes = typeof text === 'string' ? Buffer.from(text) : text
  return Buffer.concat([u16(bytes.length), bytes])
}

export const u16 = (value: number): Buffer => Buffer.from([value >> 8, value & 255])

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** A variable byte integer in as few bytes as it takes. */
export function varint(value: number): Buffer {
  const bytes: number[] = []
  for (let rest = value; ; rest >>= 7) {
    if (rest < 128) return Buffer.from([...bytes, rest])
    bytes.push((rest & 127) | 128)
  }
}

/** The properties of a packet of level 5 with their length before them: `properties(0x11, u32(60))`. */
export function properties(...parts: readonly (Buffer | number)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => (typeof part === 'number' ? Buffer.from([part]) : part)))
  return Buffer.concat([varint(body.length), body])
}
