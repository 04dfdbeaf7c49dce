// STOMP's destinations ↔ addresses: `/queue/orders.eu`, `/topic/orders.*`. How segments are written: protocols/shared/naming.ts.
import type { Address, Broker, Kind, Pattern } from '../../src/api.ts'
import { fromDotted, patternFromDotted, toDotted } from '../shared/naming.ts'
import { type Fault, quote } from './errors.ts'

/** What a SUBSCRIBE names. `address`: no wildcards in it. */
export type Target = Readonly<{ kind: 'address'; address: Address } | { kind: 'pattern'; pattern: Pattern }>

/** Where a SEND goes. */
export function parseAddress(broker: Broker, destination: string): Address | Fault {
  const target = parseTarget(broker, destination)
  if ('code' in target) return target
  return target.kind === 'address' ? target.address : { code: 'invalid', sentence: 'A message cannot be sent to a destination with wildcards.' }
}

export function parseTarget(broker: Broker, destination: string): Target | Fault {
  const kind: Kind | undefined = destination.startsWith('/queue/') ? 'queue' : destination.startsWith('/topic/') ? 'topic' : undefined
  if (kind === undefined) {
    return destination.startsWith('/temp-') || destination.startsWith('/remote-temp-')
      ? { code: 'unsupported', sentence: 'Temporary destinations are not offered yet.' }
      : { code: 'invalid', sentence: `A destination begins with /queue/ or /topic/, and ${quote(destination)} does not.` }
  }
  // A copy: a piece of a longer string would keep the whole header block in memory as long as the name is kept.
  const name = Buffer.from(destination.slice(7)).toString()
  if (name === '') return { code: 'invalid', sentence: 'A destination needs a name after /queue/ or /topic/.' }
  if (name.includes(',')) return { code: 'unsupported', sentence: 'Composite destinations (with a comma) are not offered yet.' }
  if (OPTIONS.test(name)) return { code: 'unsupported', sentence: 'Options in a destination (after a question mark) are not offered: use headers.' }
  if (name.includes('\0')) return { code: 'invalid', sentence: 'A destination holds a NUL.' }
  const path = fromDotted(name)
  const wild = path.findIndex((segment) => segment === '*' || segment === '>')
  if (wild < 0) return { kind: 'address', address: broker.address(kind, path) }
  if (kind === 'queue') return { code: 'unsupported', sentence: 'Wildcards in queue names are not offered yet.' }
  const rest = path.indexOf('>')
  if (rest >= 0 && rest < path.length - 1) return { code: 'invalid', sentence: 'The wildcard > may only be the last part of a destination.' }
  return { kind: 'pattern', pattern: patternFromDotted(name) }
}

/** Undefined for addresses that STOMP has no name for: private ones and streams. */
export function formatAddress(address: Address): string | undefined {
  if (address.namespace !== '' || address.kind === 'stream') return undefined
  return `/${address.kind}/${toDotted(address.path)}`
}

const OPTIONS = /\?[\w.-]+=/
