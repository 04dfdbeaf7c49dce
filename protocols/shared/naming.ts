// Names as protocols write them ↔ paths as the core keeps them, by ActiveMQ Classic's bijective swap. Written by MQTT, shared with STOMP.
// Not here: prefixes (`/queue/`, `$share/`) and what a protocol forbids in a name; that is its own `address.ts`.
//
// The core has no separator. A segment is kept as *dotted* protocols (STOMP, AMQP, OpenWire) write it: it never holds a `.`, and may hold a `/`.
// *Slashed* protocols (MQTT) separate by `/`, so inside a segment they write `.` for `/`, and the characters that are wildcards on
// one side only are swapped too. One name is one address, whoever writes it, and every name comes back as it was:
//
//     MQTT  sensors/v1.2/*      path ['sensors', 'v1/2', '+']      STOMP  sensors.v1/2.+
import type { Address, Pattern } from '../../src/api.ts'

/** First segment of every temporary destination's name (`QueueOptions.lifetime`). */
export const TEMPORARY = '$temp'

/** There only while its owner is: no use of its name makes it. */
export function isTemporary(address: Address): boolean {
  return address.namespace === '' && address.path[0] === TEMPORARY
}

const ONE = { wild: 'one' } as const
const REST = { wild: 'rest' } as const

export function fromDotted(name: string): string[] {
  return name.split('.')
}

export function toDotted(path: readonly string[]): string {
  return path.join('.')
}

/** `*` is one segment, `>` all that follow. */
export function patternFromDotted(name: string): Pattern {
  return name.split('.').map((segment) => (segment === '*' ? ONE : segment === '>' ? REST : segment))
}

export function fromSlashed(name: string): string[] {
  const path = name.split('/')
  if (!SWAPPED_IN_SLASHED.test(name)) return path
  return path.map((segment) => segment.replace(SWAPPED_IN_SLASHED_ALL, swapToDotted))
}

/** The answer holds `+` or `#` where a segment held `*` or `>`, which no dotted name that was published to should: the caller checks. */
export function toSlashed(path: readonly string[]): string {
  let name = ''
  for (let i = 0; i < path.length; i++) {
    const segment = path[i]
    const swapped = SWAPPED_IN_DOTTED.test(segment) ? segment.replace(SWAPPED_IN_DOTTED_ALL, swapToSlashed) : segment
    name = i === 0 ? swapped : `${name}/${swapped}`
  }
  return name
}

/** `+` is one segment, `#` all that follow. Where they may stand is the protocol's business. */
export function patternFromSlashed(name: string): Pattern {
  return name.split('/').map((segment) => (segment === '+' ? ONE : segment === '#' ? REST : segment.replace(SWAPPED_IN_SLASHED_ALL, swapToDotted)))
}

const SWAPPED_IN_SLASHED = /[.*>]/
const SWAPPED_IN_SLASHED_ALL = /[.*>]/g
const SWAPPED_IN_DOTTED = /[/+#*>]/
const SWAPPED_IN_DOTTED_ALL = /[/+#*>]/g

function swapToDotted(character: string): string {
  return character === '.' ? '/' : character === '*' ? '+' : '#'
}

function swapToSlashed(character: string): string {
  switch (character) {
    case '/':
      return '.'
    case '+':
      return '*'
    case '#':
      return '>'
    case '*':
      return '+'
    default:
      return '#'
  }
}
