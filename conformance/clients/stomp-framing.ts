// Cuts STOMP's bytes into frames; a line end between frames (a heart-beat, or what follows a NUL) is a piece of its own.
import type { Framing, Splitter } from '../mutant.ts'
import { pieceEnd } from './stomp-frame.ts'

export const stompFraming: Framing = () => ({ toClient: splitter(), toBroker: splitter() })

export function splitter(): Splitter {
  let rest: Buffer = Buffer.alloc(0)
  return (bytes) => {
    rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes])
    const pieces: Buffer[] = []
    for (;;) {
      const end = rest.length === 0 ? -1 : pieceEnd(rest, 0)
      if (end < 0) return pieces
      pieces.push(rest.subarray(0, end))
      rest = rest.subarray(end)
    }
  }
}
