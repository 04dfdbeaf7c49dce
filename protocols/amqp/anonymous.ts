// Where the messages of a sender without a target go: each says it by its property `to`. What was found is remembered, with the queues made for it.
import type { Address, Session } from '../../src/api.ts'
import { isTemporary } from '../shared/naming.ts'
import { kindOfAnnotation, parseTarget } from './address.ts'
import { type AmqpError, errorOf, fault } from './errors.ts'
import type { Incoming } from './incoming-message.ts'
import type { Shared } from './shared.ts'

export class Addressees {
  readonly #shared: Shared
  readonly #known = new Map<string, Address>()

  constructor(shared: Shared) {
    this.#shared = shared
  }

  of({ to, toKind }: Incoming, session: Session): Address | AmqpError {
    if (to === undefined || to === '') return fault('invalid', 'A message of an anonymous sender has no property to.')
    const key = `${toKind ?? ''} ${to}`
    const known = this.#known.get(key)
    if (known !== undefined) return known
    const { broker, settings } = this.#shared
    const address = parseTarget(broker, to, kindOfAnnotation(toKind))
    if ('condition' in address) return address
    for (const queue of queuesOf(address)) if (session.declare(queue, PERMANENT) === 0) return errorOf(session.refusal)
    if (this.#known.size >= settings.addressesKept) this.#known.clear()
    this.#known.set(key, address)
    return address
  }
}

/** Queues that are made by sending to this address. */
export function queuesOf(address: Address): readonly Address[] {
  return (address.parts ?? [address]).filter((part) => part.kind === 'queue' && !isTemporary(part))
}

/** How they are made. */
export const PERMANENT = { durable: true, lifetime: 'permanent' } as const
