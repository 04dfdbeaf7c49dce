// Edits of a WebSocket connection, for mutants: of the heads of the hand-shake, and of frames.
import { type FrameParts, type HttpHead, readHead, readWsFrame, statusOf, type WsFrame, writeHead, writeWsFrame } from '../clients/ws-frame.ts'
import { type Edited, type Mutant, mutant } from '../mutant.ts'

type HeadChange = (headers: Map<string, string>, head: HttpHead) => HttpHead | Buffer | undefined
type FrameChange = (frame: WsFrame, raw: Buffer) => FrameParts | readonly FrameParts[] | Buffer | 'drop' | 'close' | undefined

function editHead(raw: Buffer, change: HeadChange): Edited {
  const head = readHead(raw)
  const headers = new Map(head.headers)
  const stands = change(headers, head)
  return Buffer.isBuffer(stands) ? stands : writeHead(stands ?? { start: head.start, headers })
}

function editFrame(raw: Buffer, change: FrameChange): Edited {
  const frame = readWsFrame(raw)
  if (frame === undefined) return undefined
  const stands = change(frame, raw)
  if (stands === undefined || stands === 'close' || Buffer.isBuffer(stands)) return stands
  if (stands === 'drop') return []
  return (Array.isArray(stands) ? stands : [stands]).map((each: FrameParts) => writeWsFrame(each))
}

/** Head first, frames then. */
function pieces(head: ((raw: Buffer) => Edited) | undefined, frame: ((raw: Buffer) => Edited) | undefined): (raw: Buffer) => Edited {
  let first = true
  return (raw) => {
    const edit = first ? head : frame
    first = false
    return edit?.(raw)
  }
}

/** A server whose response is another. */
export const responds = (says: string, change: HeadChange): Mutant =>
  mutant(says, () => ({ toClient: pieces((raw) => editHead(raw, change), undefined) }))

/** A server that takes a request for another. */
export const reads = (says: string, change: HeadChange): Mutant =>
  mutant(says, () => ({ toBroker: pieces((raw) => editHead(raw, change), undefined) }))

/** A server that sends other frames. */
export const sends = (says: string, change: FrameChange): Mutant =>
  mutant(says, () => ({ toClient: pieces(undefined, (raw) => editFrame(raw, change)) }))

/** A server that takes a client's frames for others. */
export const takes = (says: string, change: FrameChange): Mutant =>
  mutant(says, () => ({ toBroker: pieces(undefined, (raw) => editFrame(raw, change)) }))

/** A server that refuses a hand-shake. */
export const refuses = (says: string, when: (head: HttpHead) => boolean = () => true): Mutant =>
  mutant(says, (ends) => ({
    toBroker: pieces((raw) => {
      if (!when(readHead(raw))) return undefined
      ends.toClient(Buffer.from('HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n'))
      return []
    }, undefined),
  }))

/** A server that accepts what it should refuse: whatever it says becomes 101. */
export const accepts: Mutant = responds('accepts it', (headers, { start }) => ({
  start: statusOf({ start, headers }) === 101 ? start : 'HTTP/1.1 101 Switching Protocols',
  headers,
}))

export const lacksHeader = (name: string): Mutant =>
  responds(`answers without ${name}`, (headers) => {
    headers.delete(name.toLowerCase())
    return undefined
  })

export const saysHeader = (name: string, value: string): Mutant =>
  responds(`answers with ${name}: ${value}`, (headers) => {
    headers.set(name.toLowerCase(), value)
    return undefined
  })
