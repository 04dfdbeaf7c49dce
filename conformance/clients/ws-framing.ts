// Cuts the bytes of a WebSocket connection: the head of the request or of the response is the first piece; after that, frames, or what follows a refusal as it comes.
import type { Framing, Splitter } from '../mutant.ts'
import { frameEnd, headEnd, readHead, statusOf } from './ws-frame.ts'

export const wsFraming: Framing = () => ({ toClient: splitter(), toBroker: splitter() })

function splitter(): Splitter {
  let rest: Buffer = Buffer.alloc(0)
  let state: 'head' | 'frames' | 'other' = 'head'
  return (bytes) => {
    rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes])
    const pieces: Buffer[] = []
    for (;;) {
      const end = state === 'other' ? rest.length : state === 'head' ? headEnd(rest) : frameEnd(rest, 0)
      if (end <= 0) return pieces
      const piece = rest.subarray(0, end)
      pieces.push(piece)
      rest = rest.subarray(end)
      if (state !== 'head') continue
      const head = readHead(piece)
      state = head.start.startsWith('HTTP/') && statusOf(head) !== 101 ? 'other' : 'frames'
    }
  }
}
