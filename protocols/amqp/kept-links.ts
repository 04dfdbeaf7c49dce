// Links whose client is away and may come back to what they have unsettled (part 2.6.5), by the key of their name. Each goes when its time is over.
// Not here: what is kept of one (incoming-link.ts, outgoing-link.ts), and how long (expiry.ts).
import type { Broker } from '../../src/api.ts'
import { type Expiry, outlives, WITH_LINK } from './expiry.ts'

export interface KeptLink {
  readonly expiry: Expiry
  /** What it was attached to: another terminus of the same name is another one. */
  readonly signature: string
  /** Nobody came back. */
  drop(): void
}

type Held = Readonly<{ link: KeptLink; cancel: () => void; gone: () => void }>

export class KeptLinks {
  readonly #broker: Pick<Broker, 'schedule'>
  readonly #max: number
  readonly #held = new Map<string, Held>()
  /** Links that may outlive their connection, kept or not. */
  #places = 0

  constructor(broker: Pick<Broker, 'schedule'>, max: number) {
    this.#broker = broker
    this.#max = max
  }

  /** What is granted to one more link: nothing that outlives it where too many may already, which is told. `leave` when such a link is no more. */
  admit(expiry: Expiry): Expiry {
    if (!outlives(expiry)) return expiry
    if (this.#places >= this.#max) return { ...WITH_LINK, durable: expiry.durable }
    this.#places++
    return expiry
  }

  leave(): void {
    this.#places--
  }

  /** Its time begins with `begin`. One of the same name that is kept already goes. `gone`: it is kept no more, for whatever reason. */
  keep(key: string, link: KeptLink, gone: () => void): void {
    this.remove(key)
    this.#held.set(key, { link, cancel: () => {}, gone })
  }

  /** Unless another one of its name is kept by now. */
  begin(key: string, link: KeptLink | undefined = this.#held.get(key)?.link): void {
    const held = this.#held.get(key)
    if (held === undefined || held.link !== link) return
    held.cancel()
    const cancel = this.#broker.schedule(held.link.expiry.timeoutS * 1000, () => this.remove(key))
    this.#held.set(key, { ...held, cancel })
  }

  /** Its client is back. One that was attached to something else goes. */
  take(key: string, signature: string): KeptLink | undefined {
    const held = this.#held.get(key)
    if (held === undefined) return undefined
    if (held.link.signature !== signature) {
      this.remove(key)
      return undefined
    }
    this.#letGo(key, held)
    return held.link
  }

  remove(key: string): void {
    const held = this.#held.get(key)
    if (held === undefined) return
    this.#letGo(key, held)
    held.link.drop()
  }

  #letGo(key: string, { cancel, gone }: Held): void {
    cancel()
    this.#held.delete(key)
    gone()
  }
}
