// A client of a simulation: it publishes with tickets, consumes, settles with and without an answer, in transactions and without, comes back after each failover,
// and what it is told goes into the history. What it does reaches a node as an event of that node's process, so a node that is paused reads it later and one that is dead never does.
import type { Random } from '../../src/random.ts'
import type { History } from './history.ts'
import type { Scheduler } from './scheduler.ts'
import { Connection } from './simulated-connection.ts'
import type { SimulatedTerm } from './simulated-node.ts'

export type ClientOptions = Readonly<{
  name: string
  scheduler: Scheduler
  random: Random
  /** Of what a plain client does not: transactions, schedules, groups, priorities, selectors. Undefined: this is one. */
  depth: Random | undefined
  history: History
  /** Mean time between two things that it does. */
  thinkMs: number
  /** Chance of 100 that a message is large. */
  large: number
  terms: () => readonly SimulatedTerm[]
  deposed: (epoch: number) => boolean
  /** Set by whoever ends the simulation. */
  stopped: () => boolean
}>

export class SimulatedClient {
  readonly options: ClientOptions
  #connection: Connection | undefined
  #numbers = 0

  constructor(options: ClientOptions) {
    this.options = options
  }

  start(): void {
    const { scheduler, random, thinkMs } = this.options
    scheduler.at(scheduler.nowMs + random.below(2 * thinkMs * 16) / 16, undefined, () => {
      if (this.options.stopped()) return
      this.#act()
      this.start()
    })
  }

  /** Nothing more is done, and what is open is given back; answers still come. */
  end(): void {
    const connection = this.#connection
    if (connection === undefined) return
    this.options.scheduler.at(this.options.scheduler.nowMs, connection.term.process, () => connection.end())
  }

  nextNumber(): number {
    return ++this.#numbers
  }

  #act(): void {
    const { scheduler, random, terms } = this.options
    if (this.#connection?.over === true || this.#connection?.term.process.dead === true) {
      this.#connection.lost()
      this.#connection = undefined
    }
    if (this.#connection === undefined) {
      const open = terms()
      if (open.length === 0) return
      this.#connection = new Connection(this, open[random.below(open.length)])
    }
    const connection = this.#connection
    scheduler.at(scheduler.nowMs, connection.term.process, () => connection.read())
  }
}
