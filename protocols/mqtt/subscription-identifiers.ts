// Which subscription identifiers a delivery carries: those of all subscriptions of this client that match its topic [MQTT5-3.3.4-3 to -5]. The core gives one
// copy for all of them and tells their tags only, so they are matched here, for clients that use identifiers, and remembered by address.
import type { Address, Pattern } from '../../src/api.ts'

const NONE: readonly number[] = []

type Subscription = Readonly<{ pattern: Pattern; identifier: number; noLocal: boolean }>

export class SubscriptionIdentifiers {
  readonly #byPattern = new Map<string, Subscription>()
  /** With those that do not take what this client sends itself, and without. */
  #others = new WeakMap<Address, readonly number[]>()
  #own = new WeakMap<Address, readonly number[]>()

  /** `identifier` 0: the subscription has none. */
  set(pattern: Pattern, identifier: number, noLocal: boolean): void {
    const key = JSON.stringify(pattern)
    if (identifier === 0 && !this.#byPattern.has(key)) return
    if (identifier === 0) this.#byPattern.delete(key)
    else this.#byPattern.set(key, { pattern, identifier, noLocal })
    this.#others = new WeakMap()
    this.#own = new WeakMap()
  }

  /** `own`: this client sent it, as far as its subscriptions tell. */
  of(to: Address, own: boolean): readonly number[] {
    if (this.#byPattern.size === 0) return NONE
    const known = own ? this.#own : this.#others
    const found = known.get(to)
    if (found !== undefined) return found
    const matching = new Set<number>()
    for (const { pattern, identifier, noLocal } of this.#byPattern.values()) {
      if ((!own || !noLocal) && matches(pattern, to.path)) matching.add(identifier)
    }
    const identifiers = [...matching]
    known.set(to, identifiers)
    return identifiers
  }
}

function matches(pattern: Pattern, path: readonly string[]): boolean {
  // [MQTT5-4.7.2-1]
  if (typeof pattern[0] !== 'string' && path[0].startsWith('$')) return false
  for (let i = 0; i < pattern.length; i++) {
    const segment = pattern[i]
    if (typeof segment !== 'string' && segment.wild === 'rest') return true
    if (i >= path.length || (typeof segment === 'string' && segment !== path[i])) return false
  }
  return pattern.length === path.length
}
