// STOMP's destinations ↔ addresses: `/queue/orders.eu`, `/topic/orders.*`. How segments are written: protocols/shared/naming.ts.
import type { Address, Broker, Pattern } from '../../src/api.ts'
import { fromDotted, isTemporary, patternFromDotted, toDotted } from '../shared/naming.ts'
import { type Fault, quote } from './errors.ts'
import { OWN, remoteTemporaryName, temporaryPath } from './temporary.ts'

/** What a SUBSCRIBE names. `address`: no wildcards in it. */
export type Target = Readonly<
  | { kind: 'address'; address: Address }
  | { kind: 'pattern'; of: 'queue' | 'topic'; pattern: Pattern }
  /** Several, with commas between them. */
  | { kind: 'list'; targets: readonly Target[] }
>

/** One address. */
export function parseAddress(broker: Broker, destination: string): Address | Fault {
  const address = parseDestination(broker, destination)
  return 'parts' in address && address.parts !== undefined ? { code: 'invalid', sentence: 'This is a list of destinations, and not one.' } : address
}

/** Where a SEND goes: one, or several. `owner`: whose `/temp-queue/` it is; without one, names of others only. */
export function parseDestination(broker: Broker, destination: string, owner?: string): Address | Fault {
  const target = parseTarget(broker, destination, owner)
  if ('code' in target) return target
  const parts: Address[] = []
  for (const each of target.kind === 'list' ? target.targets : [target]) {
    if (each.kind !== 'address') return { code: 'invalid', sentence: 'A message cannot be sent to a destination with wildcards.' }
    parts.push(each.address)
  }
  return parts.length === 1 ? parts[0] : broker.composite(parts)
}

/** `/queue/a,/topic/b`; a part without a prefix has that of the one before it. */
function parseList(broker: Broker, destination: string, owner: string | undefined): Target | Fault {
  const targets: Target[] = []
  let prefix = ''
  const parts = destination.split(',')
  if (parts.length > broker.compositeMax)
    return { code: 'limit', sentence: `A list of ${parts.length} destinations exceeds limits.compositeParts (${broker.compositeMax}).` }
  for (const part of parts) {
    const name = part.trim()
    if (name.startsWith('/')) prefix = PREFIXES.find((each) => name.startsWith(each)) ?? ''
    const target = parseTarget(broker, name.startsWith('/') ? name : prefix + name, owner)
    if ('code' in target) return target
    targets.push(target)
  }
  return { kind: 'list', targets }
}

export function parseTarget(broker: Broker, destination: string, owner?: string): Target | Fault {
  if (destination.includes(',')) return parseList(broker, destination, owner)
  const prefix = PREFIXES.find((each) => destination.startsWith(each))
  if (prefix === undefined) {
    return {
      code: 'invalid',
      sentence: `A destination begins with /queue/, /topic/, /temp-queue/ or /temp-topic/, and ${quote(destination)} does not.`,
    }
  }
  const kind = prefix.endsWith('queue/') ? 'queue' : 'topic'
  const temporary = prefix.includes('temp-')
  // A copy: a piece of a longer string would keep the whole header block in memory as long as the name is kept.
  const name = Buffer.from(destination.slice(prefix.length)).toString()
  if (name === '') return { code: 'invalid', sentence: `A destination needs a name after ${prefix}.` }
  if (OPTIONS.test(name)) return { code: 'unsupported', sentence: 'Options in a destination (after a question mark) are not offered: use headers.' }
  if (name.includes('\0')) return { code: 'invalid', sentence: 'A destination holds a NUL.' }
  const path = temporary ? temporaryPath(fromDotted(name), prefix.startsWith(OWN) ? owner : undefined) : fromDotted(name)
  const wild = path.findIndex((segment) => segment === '*' || segment === '>')
  if (wild < 0) return { kind: 'address', address: broker.address(kind, path) }
  if (temporary) return { code: 'invalid', sentence: 'A temporary destination has no wildcards.' }
  const rest = path.indexOf('>')
  if (rest >= 0 && rest < path.length - 1) return { code: 'invalid', sentence: 'The wildcard > may only be the last part of a destination.' }
  return { kind: 'pattern', of: kind, pattern: patternFromDotted(name) }
}

/** Undefined for addresses that STOMP has no name for: private ones and streams. */
export function formatAddress(address: Address): string | undefined {
  if (address.namespace !== '' || address.kind === 'stream') return undefined
  return isTemporary(address) ? remoteTemporaryName(address) : `/${address.kind}/${toDotted(address.path)}`
}

const PREFIXES = ['/queue/', '/topic/', '/temp-queue/', '/temp-topic/', '/remote-temp-queue/', '/remote-temp-topic/'] as const
const OPTIONS = /\?[\w.-]+=/
