// The addresses of a protocol, tried in turn every 20 ms until one answers. A connection that is taken is given time to be answered: a node that has just
// taken over may be slow. Not so a node that the drill itself has stopped: its system takes connections and nobody will answer them, so its turn is short and
// comes seldom. What is measured is the brokers, not the patience of a client.

export type Address = Readonly<{ node: number; host: string; port: number }>

export const RETRY_MS = 20
/** How long a connection may take to be answered. */
const ANSWER_MS = 2_000
/** The same at a node that was stopped, and how long it is left out then. */
const STOPPED_ANSWER_MS = 250
const LEFT_OUT_MS = 2_000

export class Addresses {
  readonly #all: readonly Address[]
  readonly #leftOutUntilMs = new Map<number, number>()
  #turn = 0
  /** The node that the drill has stopped. */
  stopped: number | undefined

  constructor(all: readonly Address[]) {
    this.#all = all
  }

  next(): Address {
    const now = performance.now()
    let chosen = this.#all[this.#turn % this.#all.length]
    for (let i = 0; i < this.#all.length; i++) {
      const each = this.#all[this.#turn++ % this.#all.length]
      if (each.node === this.stopped && (this.#leftOutUntilMs.get(each.node) ?? 0) > now) continue
      chosen = each
      break
    }
    return chosen
  }

  answerMs({ node }: Address): number {
    return node === this.stopped ? STOPPED_ANSWER_MS : ANSWER_MS
  }

  /** The connection was taken and nothing came. */
  silent({ node }: Address): void {
    this.#leftOutUntilMs.set(node, performance.now() + LEFT_OUT_MS)
  }
}

/** The connection was taken and then nothing came. */
export class Silent extends Error {
  override readonly name = 'Silent'
}

/** Tries until `attempt` succeeds; undefined when stopped before. */
export async function seek<T>(addresses: Addresses, stopped: () => boolean, attempt: (address: Address) => Promise<T>): Promise<T | undefined> {
  while (!stopped()) {
    const address = addresses.next()
    const begun = performance.now()
    try {
      return await attempt(address)
    } catch (error) {
      if (error instanceof Silent) addresses.silent(address)
    }
    const left = RETRY_MS - (performance.now() - begun)
    await new Promise((resolve) => setTimeout(resolve, Math.max(1, left)))
  }
  return undefined
}
