// An operator who moves whatever lies on one queue to another, again and again, by management: what is moved is on one of the two, and once.
import type { Ready } from '../wire/node-process.ts'
import type { Actor, Stage } from './actor.ts'

export class Mover implements Actor {
  readonly name: string
  readonly #stage: Stage
  readonly #from: string
  readonly #to: string
  #alive = false
  /** Ends with the last answer. */
  #running = false

  constructor(name: string, from: string, to: string, stage: Stage) {
    this.name = name
    this.#from = from
    this.#to = to
    this.#stage = stage
  }

  async connect(ready: Ready): Promise<void> {
    this.#alive = true
    this.#running = true
    void this.#move(`http://${ready.listeners['http'] ?? ''}/api/queues/${this.#from}/move?to=${this.#to}`)
  }

  work(): void {}
  rest(): void {}
  burst(): void {}

  readonly idle = true

  get closed(): boolean {
    return !this.#running
  }

  died(): void {
    this.#alive = false
  }

  async #move(url: string): Promise<void> {
    while (this.#alive) {
      try {
        const answer = await fetch(url, { method: 'POST' })
        const text = await answer.text()
        // Before anything was sent there is no such queue.
        if (answer.status !== 200 && answer.status !== 404 && this.#alive) this.#stage.wrong(`${this.name}: ${answer.status} ${text}`)
      } catch (error) {
        if (this.#alive) this.#stage.wrong(`${this.name}: ${String(error)}`)
      }
      await new Promise((resolve) => setTimeout(resolve, this.#stage.random.below(20)))
    }
    this.#running = false
  }
}
