// One WebSocket client's bytes → the stream that its messages carry (RFC 6455, 5.2 to 5.6). Frames of data are opened where they lie: unmasked in place
// and moved together, so that a read costs one pass and no copy, and nothing is kept of a message that is not complete. It knows no socket.
// Not here: what control frames mean. They are handed on as they came, for the library (`ws`) to answer.
//
// A hot room: per frame of data it allocates nothing but, for longer ones, a view of whole words.
import { isUtf8 } from 'node:buffer'

export type ReaderLimits = Readonly<{ messageBytesMax: number; fragmentsMax: number }>

/** Why the connection must end; what came before it counts. */
export type Breach = Readonly<{ code: number; reason: string | undefined }>

/** Close codes (RFC 6455 7.4.1). */
const PROTOCOL_ERROR = 1002
const UNSUPPORTED_DATA = 1003
const INVALID_DATA = 1007
const POLICY = 1008
const TOO_BIG = 1009

const CONTINUATION = 0
const TEXT = 1
const BINARY = 2
const CLOSE = 8
const PONG = 10
/** The longest head (2, 8 of length, 4 of mask), and the most that a control frame carries. */
const HEAD_BYTES = 14
const CONTROL_BYTES_MAX = 125
/** Shorter payloads are unmasked byte by byte: a view costs more. */
const WORDS_FROM_BYTES = 64

export class WebSocketReader {
  /** After `read`: whole control frames that it met, as they came. */
  readonly control: Buffer[] = []
  /** After `read`: undefined while the client keeps the rules. */
  breach: Breach | undefined
  /** Whether its first message was text; undefined: none has begun. */
  text: boolean | undefined
  readonly #limits: ReaderLimits
  /** The subprotocol allows text messages. */
  readonly #mayBeText: boolean
  /** A head that a read cut, or a control frame that did. */
  #held: Buffer | undefined
  #heldBytes = 0
  /** The message that has begun: TEXT, BINARY, or 0: none. */
  #message = 0
  #messageBytes = 0
  #fragments = 0
  /** The frame of data whose payload comes. */
  #left = 0
  #fin = true
  #mask = 0
  /** Which of the mask's four bytes comes next. */
  #phase = 0
  /** The beginning of a character whose end comes with the next bytes. */
  #character: Uint8Array = NOTHING
  #over = false

  constructor(limits: ReaderLimits, mayBeText: boolean) {
    this.#limits = limits
    this.#mayBeText = mayBeText
  }

  /** What of the stream these bytes bring, as a view of them: they are written to. After a breach or a close frame nothing is read. */
  read(bytes: Buffer): Buffer {
    let start = 0
    let end = 0
    let at = 0
    while (at < bytes.length && !this.#over) {
      if (this.#left === 0) {
        at = this.#head(bytes, at)
        continue
      }
      const count = Math.min(this.#left, bytes.length - at)
      if (end === start) start = end = at
      else if (at !== end) bytes.copyWithin(end, at, at + count)
      this.#unmask(bytes, end, end + count)
      this.#left -= count
      if (this.#message === TEXT && !this.#isText(bytes.subarray(end, end + count))) break
      at += count
      end += count
      if (this.#left === 0) this.#frameEnds()
    }
    return bytes.subarray(start, end)
  }

  // ---- Heads

  /** Reads one head, with the payload of a control frame, from here on; answers where it ends, or where the bytes do. */
  #head(bytes: Buffer, at: number): number {
    if (this.#held === undefined) {
      const size = headSize(bytes, at, bytes.length)
      if (at + size <= bytes.length) {
        this.#open(bytes, at, size)
        return at + size
      }
    }
    this.#held ??= Buffer.allocUnsafe(HEAD_BYTES + CONTROL_BYTES_MAX)
    const held = this.#held
    // What it needs is known better with every byte.
    for (let from = at; from < bytes.length; ) {
      held[this.#heldBytes++] = bytes[from++]
      if (this.#heldBytes === 2 && !this.#mayBegin(held, 0)) return from
      const size = headSize(held, 0, this.#heldBytes)
      if (this.#heldBytes < size) continue
      this.#held = undefined
      this.#heldBytes = 0
      this.#open(held, 0, size)
      return from
    }
    return bytes.length
  }

  /** Its first two bytes are as they may be here. */
  #mayBegin(bytes: Buffer, at: number): boolean {
    const opcode = bytes[at] & 0x0f
    const fin = (bytes[at] & 0x80) !== 0
    const length = bytes[at + 1] & 0x7f
    if ((bytes[at] & 0x70) !== 0 || (bytes[at + 1] & 0x80) === 0) return this.#broken(PROTOCOL_ERROR)
    if (opcode >= CLOSE) return (opcode <= PONG && fin && length <= CONTROL_BYTES_MAX) || this.#broken(PROTOCOL_ERROR)
    if (opcode > BINARY || (opcode === CONTINUATION) !== (this.#message !== 0)) return this.#broken(PROTOCOL_ERROR)
    if (opcode === TEXT && !this.#mayBeText) return this.#broken(UNSUPPORTED_DATA, 'this subprotocol is sent in binary messages')
    return true
  }

  #open(bytes: Buffer, at: number, size: number): void {
    if (!this.#mayBegin(bytes, at)) return
    const opcode = bytes[at] & 0x0f
    if (opcode >= CLOSE) {
      // A copy: the bytes around it are moved, and it may lie in what is used again.
      this.control.push(Buffer.from(bytes.subarray(at, at + size)))
      this.#over = opcode === CLOSE
      return
    }
    const short = bytes[at + 1] & 0x7f
    // 5.2: the most significant bit of a long length is 0.
    if (short === 127 && bytes[at + 2] >= 0x80) {
      this.#broken(PROTOCOL_ERROR)
      return
    }
    const length =
      short < 126 ? short : short === 126 ? bytes.readUInt16BE(at + 2) : bytes.readUInt32BE(at + 2) * 2 ** 32 + bytes.readUInt32BE(at + 6)
    if (opcode !== CONTINUATION) {
      this.#message = opcode
      this.#messageBytes = 0
      this.#fragments = 0
      this.text ??= opcode === TEXT
    }
    this.#messageBytes += length
    if (this.#messageBytes > this.#limits.messageBytesMax) {
      this.#broken(TOO_BIG)
      return
    }
    this.#fin = (bytes[at] & 0x80) !== 0
    if (++this.#fragments > this.#limits.fragmentsMax) {
      this.#broken(POLICY)
      return
    }
    this.#mask = bytes.readUInt32BE(at + size - 4)
    this.#phase = 0
    this.#left = length
    if (length === 0) this.#frameEnds()
  }

  #frameEnds(): void {
    if (!this.#fin) return
    this.#message = 0
    if (this.#character.length > 0) this.#broken(INVALID_DATA)
  }

  #broken(code: number, reason?: string): false {
    this.breach = { code, reason }
    this.#over = true
    return false
  }

  // ---- Payloads

  /** Whole words where they lie on their borders, the rest by bytes. */
  #unmask(bytes: Buffer, from: number, to: number): void {
    const mask = this.#mask
    const phase = this.#phase
    this.#phase = (phase + to - from) & 3
    if (mask === 0) return
    let at = from
    if (to - from >= WORDS_FROM_BYTES) {
      const border = from + (-(bytes.byteOffset + from) & 3)
      for (; at < border; at++) bytes[at] ^= mask >>> (24 - 8 * ((phase + at - from) & 3))
      const words = new Uint32Array(bytes.buffer, bytes.byteOffset + at, (to - at) >>> 2)
      const word = wordOf(mask, (phase + at - from) & 3)
      for (let i = 0; i < words.length; i++) words[i] ^= word
      at += words.length * 4
    }
    for (; at < to; at++) bytes[at] ^= mask >>> (24 - 8 * ((phase + at - from) & 3))
  }

  /** Text is UTF-8 (8.1), which is looked at as it comes; a character may be cut by a frame or a read. */
  #isText(bytes: Buffer): boolean {
    const all = this.#character.length === 0 ? bytes : Buffer.concat([this.#character, bytes])
    const whole = all.length - cutCharacter(all)
    if (!isUtf8(all.subarray(0, whole))) return this.#broken(INVALID_DATA)
    this.#character = whole === all.length ? NOTHING : Uint8Array.prototype.slice.call(all, whole)
    return true
  }
}

/** How long a head is, as far as these bytes tell; a control frame's payload belongs to it. */
function headSize(bytes: Buffer, at: number, end: number): number {
  if (end - at < 2) return 2
  const length = bytes[at + 1] & 0x7f
  if ((bytes[at] & 0x0f) >= CLOSE) return 6 + Math.min(length, CONTROL_BYTES_MAX)
  return length < 126 ? 6 : length === 126 ? 8 : HEAD_BYTES
}

/** Four bytes of the mask from this one on, as this machine holds them in a word. */
function wordOf(mask: number, phase: number): number {
  for (let i = 0; i < 4; i++) word8[i] = mask >>> (24 - 8 * ((phase + i) & 3))
  return word32[0]
}

const word32 = new Uint32Array(1)
const word8 = new Uint8Array(word32.buffer)
const NOTHING = new Uint8Array(0)

/** Bytes at the end that begin a character and lack the rest of it. */
function cutCharacter(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back]
    // No character begins with c0, c1, or f5 and more.
    if (byte >= 0xc2 && byte <= 0xf4) return back < (byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2) ? back : 0
    if (byte < 0x80 || byte >= 0xc0) return 0
  }
  return 0
}
