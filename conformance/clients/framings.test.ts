// The framings of STOMP and of WebSocket, by which proxies cut what they edit: whatever the pieces are in which bytes come, the frames are the same.
import { describe, expect, it } from 'vitest'
import type { Splitter } from '../mutant.ts'
import { escape, header, readFrame, unescape, whyUnreadable, writeFrame } from './stomp-frame.ts'
import { stompFraming } from './stomp-framing.ts'
import { OPCODE, readHead, readWsFrame, statusOf, writeHead, writeWsFrame } from './ws-frame.ts'
import { wsFraming } from './ws-framing.ts'

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')

/** Cut at every place, and byte by byte. */
function everyCut(open: () => Splitter, stream: Buffer, frames: readonly Buffer[]): void {
  const wanted = frames.map((frame) => frame.toString('hex'))
  for (let at = 0; at <= stream.length; at++) {
    const split = open()
    const pieces = [...split(stream.subarray(0, at)), ...split(stream.subarray(at))]
    expect(pieces.map((piece) => piece.toString('hex'))).toEqual(wanted)
  }
  const split = open()
  expect([...stream].flatMap((byte) => split(Buffer.from([byte]))).map((piece) => piece.toString('hex'))).toEqual(wanted)
}

describe('STOMP is cut', () => {
  it('into frames, and line ends between them', () => {
    const frames = ['CONNECTED\r\nversion:1.2\r\n\r\n\0', '\r\n', '\n', 'MESSAGE\ncontent-length:4\n\na\0b\n\0', 'RECEIPT\nreceipt-id:1\n\n\0'].map(
      bytes,
    )
    everyCut(() => stompFraming().toClient, Buffer.concat(frames), frames)
  })

  it('at a NUL among the headers, which ends what is no frame', () => {
    const frames = ['MESSAGE\nkey\0', 'RECEIPT\nreceipt-id:1\n\n\0'].map(bytes)
    everyCut(() => stompFraming().toClient, Buffer.concat(frames), frames)
  })

  it('and reads what it writes', () => {
    const frame = {
      command: 'MESSAGE',
      headers: [
        ['a', 'b:c'],
        ['a', 'second'],
      ] as const,
      body: bytes('x'),
    }
    const read = readFrame(writeFrame(frame))
    expect(read).toEqual(frame)
    expect(read === undefined ? undefined : header(read, 'a')).toBe('b:c')
  })

  it.each([
    ['1.2', 'a\\b\n\r:', 'a\\\\b\\n\\r\\c'],
    ['1.1', 'a\\b\n:', 'a\\\\b\\n\\c'],
  ] as const)('escapes of %s', (version, plain, escaped) => {
    expect(escape(plain, version)).toBe(escaped)
    expect(unescape(escaped, version)).toBe(plain)
  })

  it.each([
    ['HELLO\n\n\0', 'there is no command'],
    ['MESSAGE\nkey\n\n\0', 'has no name and colon'],
    ['MESSAGE\n:value\n\n\0', 'has no name and colon'],
    ['MESSAGE\nkey:\xff\n\n\0', 'not UTF-8'],
  ])('%j cannot be read', (text, why) => {
    expect(whyUnreadable(bytes(text))).toContain(why)
  })
})

describe('WebSocket is cut', () => {
  const response = bytes('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n')

  it('into the head of the response and frames of every length', () => {
    const frames = [
      response,
      writeWsFrame({ opcode: OPCODE.ping }),
      writeWsFrame({ opcode: OPCODE.text, fin: false, payload: 'x'.repeat(125) }),
      writeWsFrame({ opcode: OPCODE.continuation, payload: 'y'.repeat(126) }),
      writeWsFrame({ opcode: OPCODE.binary, payload: 'z', lengthBytes: 8, mask: bytes('mask') }),
    ]
    everyCut(() => wsFraming().toClient, Buffer.concat(frames), frames)
  })

  it('and left as it comes behind a refusal', () => {
    const split = wsFraming().toClient
    expect(split(bytes('HTTP/1.1 400 Bad Request\r\n\r\nsorry')).map(String)).toEqual(['HTTP/1.1 400 Bad Request\r\n\r\n', 'sorry'])
  })

  it('frames and heads are read as they are written', () => {
    const frame = { fin: false, rsv: 5, opcode: 3, mask: bytes('abcd'), lengthBytes: 2 as const, payload: bytes('hello') }
    expect(readWsFrame(writeWsFrame(frame))).toEqual(frame)
    const head = readHead(response)
    expect(statusOf(head)).toBe(101)
    expect(statusOf(readHead(writeHead(head)))).toBe(101)
    expect(head.headers.get('upgrade')).toBe('websocket')
  })
})
