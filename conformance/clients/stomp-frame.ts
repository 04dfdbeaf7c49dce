// STOMP's frames as text: bytes → pieces → frames, and back. It checks nothing, so that a frame may be as wrong as a check wants it.
import { isUtf8 } from 'node:buffer'

export type Version = '1.0' | '1.1' | '1.2'
export type Header = readonly [name: string, value: string]

/** Names and values as they stand on the wire, or decoded: who makes it knows. */
export type Frame = Readonly<{ command: string; headers: readonly Header[]; body: Buffer }>

/** The first of that name: repeated ones are history (1.2, "Repeated Header Entries"). */
export function header(frame: Frame, name: string): string | undefined {
  return frame.headers.find(([each]) => each === name)?.[1]
}

const LF = 10
const CR = 13

/** Where the piece that begins at `at` ends: one line end between frames, or a whole frame with its NUL; -1 while it is not all there. */
export function pieceEnd(bytes: Buffer, at: number): number {
  if (bytes[at] === LF) return at + 1
  if (bytes[at] === CR && bytes[at + 1] === LF) return at + 2
  const body = bodyStart(bytes, at)
  const nul = bytes.indexOf(0, at)
  // A NUL among the headers ends what is no frame.
  if (body < 0 || (nul >= 0 && nul < body)) return nul < 0 ? -1 : nul + 1
  const length = /^content-length:\s*(\d{1,15})\s*$/m.exec(bytes.toString('latin1', at, body))?.[1]
  if (length === undefined) return nul < 0 ? -1 : nul + 1
  const end = body + Number(length) + 1
  return end > bytes.length ? -1 : end
}

/** Behind the empty line; -1 while that has not come. */
function bodyStart(bytes: Buffer, at: number): number {
  for (let lineStart = at; ; ) {
    const end = bytes.indexOf(LF, lineStart)
    if (end < 0) return -1
    if (end === lineStart || (end === lineStart + 1 && bytes[lineStart] === CR)) return end + 1
    lineStart = end + 1
  }
}

/** A piece as a frame, nothing decoded; undefined: it is only a line end. */
export function readFrame(raw: Buffer): Frame | undefined {
  if (raw[0] === LF || (raw[0] === CR && raw[1] === LF)) return undefined
  const found = bodyStart(raw, 0)
  const body = found < 0 ? raw.length - 1 : found
  const [command = '', ...lines] = raw
    .toString('utf8', 0, body)
    .split('\n')
    .map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line))
  return {
    command,
    headers: lines.filter((line) => line !== '').map(splitLine),
    body: raw.subarray(body, raw.length - 1),
  }
}

function splitLine(line: string): Header {
  const colon = line.indexOf(':')
  return colon < 0 ? [line, ''] : [line.slice(0, colon), line.slice(colon + 1)]
}

/** As it stands: nothing is escaped, and no content-length added. */
export function writeFrame({ command, headers, body }: Frame): Buffer {
  const lines = headers.map(([name, value]) => `${name}:${value}\n`).join('')
  return Buffer.concat([Buffer.from(`${command}\n${lines}\n`), body, Buffer.from([0])])
}

/** CONNECT and CONNECTED are never escaped, and nothing is in 1.0. */
export function escapes(command: string, version: Version): boolean {
  return version !== '1.0' && command !== 'CONNECT' && command !== 'STOMP' && command !== 'CONNECTED'
}

export function escape(text: string, version: Version): string {
  return text.replace(/[\\\n\r:]/g, (character) => {
    if (character === '\\') return '\\\\'
    if (character === '\n') return '\\n'
    if (character === ':') return '\\c'
    return version === '1.2' ? '\\r' : character
  })
}

/** What is no escape of the version stays as it stands. */
export function unescape(text: string, version: Version): string {
  return text.replace(/\\([nrc\\])/g, (pair, letter: string) => {
    if (letter === 'n') return '\n'
    if (letter === 'c') return ':'
    if (letter === '\\') return '\\'
    return version === '1.2' ? '\r' : pair
  })
}

const SERVER_COMMANDS: readonly string[] = ['CONNECTED', 'MESSAGE', 'RECEIPT', 'ERROR']

/** Why a piece from a server cannot be read by any client; undefined: it can. */
export function whyUnreadable(raw: Buffer): string | undefined {
  const frame = readFrame(raw)
  if (frame === undefined) return undefined
  if (!SERVER_COMMANDS.includes(frame.command)) return `there is no command ${JSON.stringify(frame.command)} of a server`
  const head = raw.subarray(0, raw.length - 1 - frame.body.length)
  if (!isUtf8(head)) return 'its headers are not UTF-8'
  if (raw.at(-1) !== 0) return 'its body is not followed by NUL'
  const [, ...lines] = head.toString().split('\n')
  const wrong = lines.map((line) => line.replace(/\r$/, '')).find((line) => line !== '' && line.indexOf(':') < 1)
  return wrong === undefined ? undefined : `its header line ${JSON.stringify(wrong)} has no name and colon`
}
