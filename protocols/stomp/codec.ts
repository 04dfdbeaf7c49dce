// STOMP's frames: an incremental parser (bytes in, frames out) and an encoder. No socket, timer or broker in here.
// Hot room: one pass over the header bytes, one string per header block, bodies as views of what was read. What a frame means is `on/`'s business.
import { isUtf8 } from 'node:buffer'
import type { Fault } from './errors.ts'
import { escape, unescape, type Version } from './escape.ts'

export interface Frame {
  readonly command: string
  /** Names and values in turn, in the order they came, decoded, repeated ones kept: `header` finds the first. */
  readonly headers: readonly string[]
  readonly body: Buffer
  /** The frame had a content-length. */
  readonly measured: boolean
}

/** The first header of that name counts (STOMP 1.2 "Repeated Header Entries"). */
export function header(frame: Frame, name: string): string | undefined {
  const headers = frame.headers
  for (let i = 0; i < headers.length; i += 2) if (headers[i] === name) return headers[i + 1]
  return undefined
}

export type CodecLimits = Readonly<{ headersMax: number; headerBytesMax: number; lineBytesMax: number; bodyBytesMax: number }>

/**
 * `push` bytes, then `read` until it answers undefined: either more bytes are needed or `fault` says why nothing more will come.
 *
 *     between ──(a byte that is no line end)──▶ head ──(empty line)──▶ body ──(NUL)──▶ between
 */
export class Parser {
  /** Set once it is negotiated; before, only CONNECT and STOMP are read, and they are not unescaped, as the specification has it. */
  version: Version | undefined = undefined
  fault: Fault | undefined = undefined
  limits: CodecLimits
  // The bytes not yet read are #bytes[#start … #end). Bytes before #start may be part of frames given out: they are never written again.
  #bytes: Buffer = EMPTY
  #start = 0
  #end = 0
  /** #bytes has room behind #end that is ours to fill. */
  #owned = false
  /** How far the search for the end of the head or body has come, counted from #start. */
  #seen = 0
  #lineStart = 0
  #lines = 0
  // Of the frame whose head is read.
  #inBody = false
  #command = ''
  #headers: readonly string[] = []
  /** -1: up to the next NUL. */
  #bodyBytes = -1

  constructor(limits: CodecLimits) {
    this.limits = limits
  }

  /** Bytes pushed and not yet read. */
  get waitingBytes(): number {
    return this.#end - this.#start
  }

  push(chunk: Uint8Array): void {
    if (this.fault !== undefined) return
    const left = this.#end - this.#start
    if (left === 0) {
      this.#bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)
      this.#start = 0
      this.#end = chunk.length
      this.#owned = false
      return
    }
    if (!this.#owned || this.#end + chunk.length > this.#bytes.length) {
      // At least doubled, so that a body which arrives in many pieces is copied about twice in all.
      const grown = Buffer.allocUnsafeSlow(Math.max(left + chunk.length, left * 2, 512))
      grown.set(this.#bytes.subarray(this.#start, this.#end), 0)
      this.#bytes = grown
      this.#start = 0
      this.#end = left
      this.#owned = true
    }
    this.#bytes.set(chunk, this.#end)
    this.#end += chunk.length
  }

  read(): Frame | undefined {
    if (this.fault !== undefined) return undefined
    const frame = this.#inBody || this.#readHead() ? this.#readBody() : undefined
    // All is read: what was read into is let go, so that an idle connection keeps none of it.
    if (frame === undefined && this.#start === this.#end) this.#bytes = EMPTY
    return frame
  }

  #fail(code: Fault['code'], sentence: string): false {
    this.fault = { code, sentence }
    this.#bytes = EMPTY
    this.#start = 0
    this.#end = 0
    return false
  }

  #readHead(): boolean {
    const bytes = this.#bytes
    const end = this.#end
    if (this.#seen === 0) {
      this.#skipLineEnds()
      this.#lineStart = 0
      this.#lines = 0
      // A return whose line feed has not come yet.
      if (this.#end - this.#start === 1 && bytes[this.#start] === CR) return false
    }
    const start = this.#start
    const lineBytesMax = this.limits.lineBytesMax
    let lineStart = start + this.#lineStart
    for (let i = start + this.#seen; i < end; i++) {
      const byte = bytes[i]
      if (byte === LF) {
        if (i === lineStart || (i === lineStart + 1 && bytes[lineStart] === CR)) {
          if (i - start > this.limits.headerBytesMax) return this.#fail('too-large', this.#headerBytesSentence())
          return this.#parseHead(start, lineStart, i + 1)
        }
        if (i - lineStart > lineBytesMax) return this.#fail('too-large', this.#lineSentence())
        if (this.#lines++ > this.limits.headersMax)
          return this.#fail('limit', `A frame may have at most ${this.limits.headersMax} headers (headersMax).`)
        lineStart = i + 1
      } else if (byte === 0) {
        return this.#fail('invalid', 'A frame ended before the empty line that ends its headers.')
      }
    }
    if (end - lineStart > lineBytesMax) return this.#fail('too-large', this.#lineSentence())
    if (end - start > this.limits.headerBytesMax) return this.#fail('too-large', this.#headerBytesSentence())
    this.#seen = end - start
    this.#lineStart = lineStart - start
    return false
  }

  /** Between frames only line ends may stand: heart-beats, and what people add after the NUL. */
  #skipLineEnds(): void {
    const bytes = this.#bytes
    const end = this.#end
    let at = this.#start
    while (at < end && (bytes[at] === LF || (bytes[at] === CR && at + 1 < end && bytes[at + 1] === LF))) at++
    this.#start = at
  }

  #parseHead(start: number, headEnd: number, bodyStart: number): boolean {
    const text = this.#bytes.toString('utf8', start, headEnd)
    if (text.includes('\ufffd') && !isUtf8(this.#bytes.subarray(start, headEnd)))
      return this.#fail('invalid', 'The headers of a frame are not valid UTF-8.')
    const version = this.version
    // 1.1 knows no carriage return at the end of a line: there it belongs to the value.
    const trimReturn = version !== '1.1' && text.includes('\r')
    const escaped = version !== undefined && version !== '1.0' && text.includes('\\')
    let lineEnd = text.indexOf('\n')
    let command = text.slice(0, lineEnd)
    if (command.endsWith('\r')) command = command.slice(0, -1)
    if (version === undefined && command !== 'CONNECT' && command !== 'STOMP')
      return this.#fail('invalid', 'The first frame must be CONNECT or STOMP.')
    const headers: string[] = []
    let bodyBytes = -1
    for (let at = lineEnd + 1; at < text.length; at = lineEnd + 1) {
      lineEnd = text.indexOf('\n', at)
      const colon = text.indexOf(':', at)
      if (colon < 0 || colon >= lineEnd) return this.#fail('invalid', 'A header line has no colon.')
      if (colon === at) return this.#fail('invalid', 'A header has no name.')
      let name = text.slice(at, colon)
      let value = text.slice(colon + 1, trimReturn && text.charCodeAt(lineEnd - 1) === 0x0d ? lineEnd - 1 : lineEnd)
      if (escaped) {
        const plainName = unescape(name, version)
        const plainValue = unescape(value, version)
        if (plainName === undefined || plainValue === undefined)
          return this.#fail('invalid', `A header holds an escape that STOMP ${version} does not define.`)
        name = plainName
        value = plainValue
      } else if (version === '1.0') {
        // The examples of STOMP 1.0 write spaces around the colon.
        name = name.trim()
        value = value.trim()
      }
      if (bodyBytes < 0 && name.length === 14 && name === 'content-length') {
        bodyBytes = lengthOf(value)
        if (bodyBytes < 0) return this.#fail('invalid', 'The header content-length is not a number of bytes.')
      }
      headers.push(name, value)
    }
    if (bodyBytes > this.limits.bodyBytesMax) return this.#fail('too-large', this.#bodySentence())
    if (bodyBytes > 0 && !this.#mayCarry(command)) return this.#fail('invalid', NO_BODY)
    this.#start = bodyStart
    this.#seen = 0
    this.#inBody = true
    this.#command = command
    this.#headers = headers
    this.#bodyBytes = bodyBytes
    return true
  }

  #readBody(): Frame | undefined {
    const bytes = this.#bytes
    const start = this.#start
    const measured = this.#bodyBytes >= 0
    let end: number
    if (measured) {
      end = start + this.#bodyBytes
      if (end >= this.#end) return undefined
      if (bytes[end] !== 0) {
        this.#fail('invalid', 'The body is not followed by NUL: the header content-length is wrong.')
        return undefined
      }
    } else {
      end = bytes.indexOf(0, start + this.#seen)
      // What lies behind #end is room for later bytes, whatever it holds.
      if (end < 0 || end >= this.#end) {
        this.#seen = this.#end - start
        if (this.#seen > 0 && !this.#mayCarry(this.#command)) this.#fail('invalid', NO_BODY)
        else if (this.#seen > this.limits.bodyBytesMax) this.#fail('too-large', this.#bodySentence())
        return undefined
      }
      if (end > start && !this.#mayCarry(this.#command)) {
        this.#fail('invalid', NO_BODY)
        return undefined
      }
      if (end - start > this.limits.bodyBytesMax) {
        this.#fail('too-large', this.#bodySentence())
        return undefined
      }
    }
    this.#start = end + 1
    this.#seen = 0
    this.#inBody = false
    return { command: this.#command, headers: this.#headers, body: bytes.subarray(start, end), measured }
  }

  /** A body of SUBSCRIBE is ignored in 1.0 ("SUBSCRIBE"), and forbidden since. */
  #mayCarry(command: string): boolean {
    return command === 'SEND' || (command === 'SUBSCRIBE' && this.version === '1.0')
  }

  #lineSentence(): string {
    return `A header line may have at most ${this.limits.lineBytesMax} bytes (lineBytesMax).`
  }

  #headerBytesSentence(): string {
    return `The headers of a frame may have at most ${this.limits.headerBytesMax} bytes (headerBytesMax).`
  }

  #bodySentence(): string {
    return `A body may have at most ${this.limits.bodyBytesMax} bytes (bodyBytesMax).`
  }
}

/** A whole frame. With a body it gets its content-length. `raw`: CONNECTED, which no version escapes. */
export function encodeFrame(command: string, headers: readonly (readonly [string, string])[], body: string, version: Version | 'raw'): Buffer {
  let text = `${command}\n`
  for (const [name, value] of headers) {
    text += version === 'raw' ? `${name}:${value}\n` : `${escape(name, version)}:${escape(value, version)}\n`
  }
  if (body !== '') text += `content-length:${Buffer.byteLength(body)}\n`
  return Buffer.from(`${text}\n${body}\0`)
}

/** Digits only: neither a sign nor a value beyond what a number holds exactly. */
function lengthOf(value: string): number {
  return /^ *\d{1,15} *$/.test(value) ? Number(value) : -1
}

const LF = 0x0a
const CR = 0x0d
const EMPTY = Buffer.alloc(0)
const NO_BODY = 'Only SEND may have a body.'
