// A broker that loses one thing on the way out: it writes other bytes where that thing is, or loses the whole message where nothing else is to be seen.
import { mutant, type Mutant } from '../mutant.ts'
import type { Trial } from '../trial.ts'
import type { Aspect } from './aspects.ts'
import type { Party } from './message.ts'

export function loses(aspect: Aspect, to: Party): Mutant {
  return mutant(`loses ${aspect.what}`, () => {
    // Names of a trial are not known here: all of them end alike.
    const nameless = { name: (word: string) => word } as Trial
    const carried = aspect.carriedIn(aspect.message(nameless)).map((each) => Buffer.from(each))
    return {
      toClient: (frame) => {
        if (!isMessage(frame, to)) return undefined
        if (carried.length === 0) return []
        return changed(frame, carried)
      },
    }
  })
}

function isMessage(frame: Buffer, to: Party): boolean {
  if (to === 'stomp') return frame.toString('latin1', 0, 9).trimStart().startsWith('MESSAGE')
  if (to === 'amqp') return frame.includes(Buffer.from('005314', 'hex'))
  return (frame[0] ?? 0) >> 4 === 3
}

/** The last byte of each: another, of the same length. A short one that is the beginning of a section is one that nobody knows. */
function changed(frame: Buffer, carried: readonly Buffer[]): Buffer {
  const bytes = Buffer.from(frame)
  for (const each of carried)
    for (let at = bytes.indexOf(each); at >= 0; at = bytes.indexOf(each, at + 1)) {
      const last = at + each.length - 1
      bytes[last] = (bytes[last] ?? 0) ^ 1
    }
  return bytes
}
