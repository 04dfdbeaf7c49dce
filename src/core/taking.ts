// What a session takes from queues: its consumers, its browses and its pulls that wait. They end with it. Each begins here, within the limits and where
// the session may; what each does then is `consumer.ts`, `browse.ts` and `pull.ts`.
import type { Address, BrowseOptions, BrowseSink, ConsumerOptions, EntryRef, Outcome, PullOptions, QueuePattern, Sink } from '../api.ts'
import { CodedError } from '../errors.ts'
import { type CoreAddress, own, patternBeyond } from './addresses.ts'
import { CoreBrowse } from './browse.ts'
import { CoreConsumer } from './consumer.ts'
import { DEADLINE } from './deadlines.ts'
import { ATTEMPTS, STATE, STATE_OF } from './entries.ts'
import type { Live } from './live.ts'
import { WaitingPull } from './pull.ts'
import { noQueue } from './refusals.ts'
import { selectorBeyond } from './selecting.ts'
import type { LiveSession } from './session.ts'
import { settleEntry } from './settlement.ts'
import { mayConsume, notYours } from './temporary.ts'

export class Taking {
  readonly #live: Live
  readonly #session: LiveSession
  readonly #consumers = new Set<CoreConsumer>()
  #pulls: Set<WaitingPull> | undefined
  #browses: Set<CoreBrowse> | undefined

  constructor(live: Live, session: LiveSession) {
    this.#live = live
    this.#session = session
  }

  consume(from: readonly Address[] | QueuePattern, options: ConsumerOptions, sink: Sink): CoreConsumer | CodedError {
    const live = this.#live
    const { limits } = live.settings
    if (live.dispatch.consumers >= limits.consumers || this.#consumers.size >= limits.consumersPerSession) {
      return new CodedError('limit', 'limits.consumers or limits.consumersPerSession is reached')
    }
    const pattern = 'pattern' in from ? from.pattern : undefined
    const tooLong = pattern === undefined ? undefined : patternBeyond(pattern, limits)
    if (tooLong !== undefined) return tooLong
    const selector = live.selecting.compile(options.selector, options.selectorConverts)
    if (selector instanceof CodedError) return selector
    const consumer = new CoreConsumer(live, this.#session, live.dispatch.number(), options, selector, sink)
    for (const address of 'pattern' in from ? [] : from) {
      const refusal = this.attach(consumer, own(address))
      if (refusal === undefined) continue
      for (const seat of [...consumer.seats]) live.dispatch.detach(seat)
      return refusal
    }
    live.dispatch.add(consumer)
    this.#consumers.add(consumer)
    if (pattern !== undefined) live.wildcards.add(consumer, pattern)
    return consumer
  }

  /** `consumer` also takes from this queue; else why not. */
  attach(consumer: CoreConsumer, address: CoreAddress): CodedError | undefined {
    const queue = this.#live.findQueue(address)
    if (queue === undefined) return noQueue(address.path)
    if (!mayConsume(this.#session.record, queue)) return notYours(address)
    if (consumer.seatAt(queue) !== undefined) return undefined
    const others = queue.seats
    if (others !== undefined && others.length > 0 && (consumer.exclusive === 'refuse' || others[0].consumer.exclusive === 'refuse')) {
      return new CodedError(
        'in-use',
        `queue ${address.path.join('.')} has an exclusive consumer, or consumers beside which this one wants to be exclusive`,
      )
    }
    const tooMuch = selectorBeyond(consumer, queue, this.#live.settings.limits)
    if (tooMuch !== undefined) return tooMuch
    this.#live.dispatch.attach(consumer, queue)
    return undefined
  }

  browse(address: Address, options: BrowseOptions, sink: BrowseSink): CoreBrowse | CodedError {
    const live = this.#live
    const queue = live.findQueue(own(address))
    if (queue === undefined) return noQueue(address.path)
    if (!mayConsume(this.#session.record, queue)) return notYours(address)
    const { browsers } = live.settings.limits
    if (live.browsing.count >= browsers) {
      return new CodedError('limit', `limits.browsers (${browsers}) browsers look at queues`)
    }
    const selector = live.selecting.compile(options.selector, options.selectorConverts)
    if (selector instanceof CodedError) return selector
    const browse = new CoreBrowse(live, this.#session, queue, { ...options, selector }, sink)
    this.#browses ??= new Set()
    this.#browses.add(browse)
    live.browsing.add(browse)
    return browse
  }

  pull(address: Address, options: PullOptions, sink: Sink): WaitingPull | CodedError {
    const queue = this.#live.findQueue(own(address))
    if (queue === undefined) return noQueue(address.path)
    if (!mayConsume(this.#session.record, queue)) return notYours(address)
    this.#pulls ??= new Set()
    for (const pull of this.#pulls) if (pull.over) this.#pulls.delete(pull)
    const pull = new WaitingPull(this.#live, queue, options, sink)
    this.#pulls.add(pull)
    pull.start()
    return pull
  }

  /** What `pull` gave. Answers whether the journal was told. */
  settle(ref: EntryRef, attempt: number, outcome: Outcome): boolean | CodedError {
    const live = this.#live
    const { entries } = live.state
    const queue = live.state.queueByNumber.get(ref.queue)
    const row = queue === undefined ? 0 : entries.find(queue.slot, ref.sequence)
    if (row === 0 || entries.get(row, STATE) !== STATE_OF.leased || entries.get(row, ATTEMPTS) !== attempt) {
      return new CodedError('not-found', 'this delivery is settled, or was given to another since')
    }
    live.deadlines.clear(row, DEADLINE.wake)
    const written = settleEntry(live, row, outcome)
    if (written) live.facts.flushGone()
    return written
  }

  consumerClosed(consumer: CoreConsumer): void {
    this.#consumers.delete(consumer)
  }

  browseClosed(browse: CoreBrowse): void {
    this.#browses?.delete(browse)
  }

  /** For management. */
  figures(): Readonly<{ consumers: number; credit: number; unsettled: number }> {
    let credit = 0
    let unsettled = 0
    for (const consumer of this.#consumers) {
      credit += consumer.credit
      unsettled += consumer.unsettled
    }
    return { consumers: this.#consumers.size, credit, unsettled }
  }

  end(): void {
    for (const consumer of [...this.#consumers]) consumer.close()
    if (this.#pulls !== undefined) for (const pull of this.#pulls) pull.cancel()
    if (this.#browses !== undefined) for (const browse of [...this.#browses]) browse.close()
  }
}
