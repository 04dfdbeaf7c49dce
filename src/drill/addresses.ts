// The addresses of a protocol, tried in turn every 20 ms until one answers. One that takes connections and then says nothing (a stopped process does)
// costs a whole waiting time at each try, so it is left out for a while: what is measured is the brokers, not the patience of a client.

export type Address = Readonly<{ node: number; host: string; port: number }>

export const RETRY_MS = 20
/** How long a connection may take to be answered. */
export const ANSWER_MS = 250
const LEFT_OUT_MS = 2_000

export class Addresses {
  readonly #all: readonly Address[]
  readonly #leftOutUntilMs: number[]
  #turn = 0

  constructor(all: readonly Address[]) {
    this.#all = all
    this.#leftOutUntilMs = all.map(() => 0)
  }

  next(): Address {
    const now = performance.now()
    let chosen = this.#all[this.#turn % this.#all.length]
    for (let i = 0; i < this.#all.length; i++) {
      const index = this.#turn++ % this.#all.length
      if (this.#leftOutUntilMs[index] > now) continue
      chosen = this.#all[index]
      break
    }
    return chosen
  }

  silent({ node }: Address): void {
    const index = this.#all.findIndex((each) => each.node === node)
    if (index >= 0) this.#leftOutUntilMs[index] = performance.now() + LEFT_OUT_MS
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
