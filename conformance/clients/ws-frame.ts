// WebSocket's frames (RFC 6455, 5.2) and the HTTP heads before them (4): bytes → pieces → frames, and back. It checks nothing, so that a frame may be as wrong as a check wants it.

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

export type WsFrame = Readonly<{
  fin: boolean
  /** The three reserved bits: 4, 2 and 1. */
  rsv: number
  opcode: number
  /** The key by which the payload was masked; undefined: it was not. */
  mask: Buffer | undefined
  /** Bytes by which its length is told: 0 (in the second byte), 2 or 8. */
  lengthBytes: 0 | 2 | 8
  /** Unmasked. */
  payload: Buffer
}>

/** What a frame is made of; what is left out is as it should be: one whole message, told by the shortest length. */
export type FrameParts = Readonly<Partial<Omit<WsFrame, 'opcode' | 'payload'>> & { opcode: number; payload?: Buffer | string }>

/** Where the frame that begins at `at` ends; -1 while it is not all there. */
export function frameEnd(bytes: Buffer, at: number): number {
  const head = headOf(bytes, at)
  return head === undefined || head.end > bytes.length ? -1 : head.end
}

function headOf(bytes: Buffer, at: number): Readonly<{ payload: number; end: number; lengthBytes: 0 | 2 | 8; masked: boolean }> | undefined {
  const second = bytes[at + 1]
  if (second === undefined) return undefined
  const short = second & 0x7f
  const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0
  const masked = (second & 0x80) !== 0
  const payload = at + 2 + lengthBytes + (masked ? 4 : 0)
  if (payload > bytes.length) return undefined
  const length = lengthBytes === 0 ? short : lengthBytes === 2 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2))
  return { payload, end: payload + length, lengthBytes, masked }
}

export function readWsFrame(raw: Buffer): WsFrame | undefined {
  const head = headOf(raw, 0)
  const [first = 0] = raw
  if (head === undefined) return undefined
  const mask = head.masked ? raw.subarray(head.payload - 4, head.payload) : undefined
  const payload = raw.subarray(head.payload)
  return {
    fin: (first & 0x80) !== 0,
    rsv: (first >> 4) & 7,
    opcode: first & 15,
    mask,
    lengthBytes: head.lengthBytes,
    payload: mask === undefined ? payload : masked(payload, mask),
  }
}

export function writeWsFrame({ fin = true, rsv = 0, opcode, mask, lengthBytes, payload = '' }: FrameParts): Buffer {
  const body = Buffer.from(payload)
  const told = lengthBytes ?? (body.length < 126 ? 0 : body.length < 65_536 ? 2 : 8)
  const head = Buffer.alloc(2 + told)
  head[0] = (fin ? 0x80 : 0) | (rsv << 4) | opcode
  head[1] = (mask === undefined ? 0 : 0x80) | (told === 0 ? body.length : told === 2 ? 126 : 127)
  if (told === 2) head.writeUInt16BE(body.length, 2)
  if (told === 8) head.writeBigUInt64BE(BigInt(body.length), 2)
  return mask === undefined ? Buffer.concat([head, body]) : Buffer.concat([head, mask, masked(body, mask)])
}

function masked(payload: Buffer, mask: Buffer): Buffer {
  return Buffer.from(payload.map((byte, i) => byte ^ (mask[i & 3] ?? 0)))
}

/** The head of a request or of a response. Names are in small letters; those that come twice have their values with a comma between. */
export type HttpHead = Readonly<{ start: string; headers: ReadonlyMap<string, string> }>

/** Where the head at the beginning ends, its empty line included; -1 while it is not all there. */
export function headEnd(bytes: Buffer): number {
  const at = bytes.indexOf('\r\n\r\n')
  return at < 0 ? -1 : at + 4
}

export function readHead(bytes: Buffer): HttpHead {
  const [start = '', ...lines] = bytes.toString('latin1').split('\r\n')
  const headers = new Map<string, string>()
  for (const line of lines) {
    const colon = line.indexOf(':')
    if (colon < 1) continue
    const name = line.slice(0, colon).toLowerCase()
    const value = line.slice(colon + 1).trim()
    const before = headers.get(name)
    headers.set(name, before === undefined ? value : `${before}, ${value}`)
  }
  return { start, headers }
}

export function writeHead({ start, headers }: HttpHead): Buffer {
  return Buffer.from(`${start}\r\n${[...headers].map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`, 'latin1')
}

/** Of a response; 0: it is none. */
export function statusOf({ start }: HttpHead): number {
  return Number(/^HTTP\/\d\.\d (\d{3})/.exec(start)?.[1] ?? 0)
}
