// Messages that are sent again and again: taken, fired, ended. Each is a durable fact with its message in it; the next leader takes it up.
//
// Fired exactly once a time: that it was fired is told by the fact of the very message that is sent, or, where no fact tells of that message
// (it reaches nothing durable), by a fact of its own. What was missed while no node led is sent once, then in step again.
import type { Message, Plan, Transaction } from '../api.ts'
import { CodedError } from '../errors.ts'
import { FACT } from '../journal/facts.ts'
import { beyond, type CoreAddress } from './addresses.ts'
import { writeJob } from './cold-facts.ts'
import { checkCron } from './cron.ts'
import { DEADLINE } from './deadlines.ts'
import { bytesOf, isOver, type Job, nextOf } from './job.ts'
import type { Live } from './live.ts'
import { joined } from './live-transaction.ts'
import { PIECE_BYTES, Publisher } from './publish.ts'
import { REASON } from './recorder.ts'
import { journalFull } from './refusals.ts'
import type { LiveSession } from './session.ts'

/** A firing that found its destination full is tried again after this. */
const RETRY_MS = 1_000
/** Years enough; keeps every time a safe integer. */
const TIME_MAX_MS = 2 ** 45
const PLAIN = { retain: 'no', note: 0, transaction: undefined } as const

/** A job as management tells of it; times as ISO 8601 has them, `nextAt` null: never. */
export type ScheduledFigures = Readonly<{
  number: number
  destination: string
  delayMs: number
  periodMs: number
  repeat: number
  cron: string
  sent: number
  madeAt: string
  nextAt: string | null
  bytes: number
}>

export class Jobs {
  readonly #live: Live
  readonly #publisher: Publisher
  readonly #herald: () => LiveSession
  /** Numbers below were given out, some to what waits for a commit. */
  #next = 0

  /** `herald`: the session that publishes what nobody connected does. */
  constructor(live: Live, herald: () => LiveSession) {
    this.#live = live
    this.#publisher = new Publisher(live)
    this.#herald = herald
  }

  /** The node leads. */
  lead(): void {
    for (const job of this.#live.state.jobs.values()) this.#arm(job)
  }

  get figures(): Readonly<{ jobs: number; bytes: number }> {
    const { state } = this.#live
    return { jobs: state.jobs.size, bytes: state.jobBytes }
  }

  /** Answers why not. */
  add(to: CoreAddress, message: Message, plan: Plan, within: Transaction | undefined): CodedError | undefined {
    const live = this.#live
    const { limits, destinations } = live.settings
    const nowMs = live.clock.wallMs()
    const transaction = within === undefined ? undefined : joined(within)
    const refusal = transaction?.refusal(message.head.length + message.body.length) ?? beyond(to, limits) ?? this.#refusal(to, message, plan, nowMs)
    if (refusal !== undefined) return refusal
    const job: Job = {
      number: Math.max(live.state.nextJob, this.#next),
      to,
      message: { ...message, deliverAtMs: 0, expiresAtMs: 0 },
      madeAtMs: nowMs,
      ttlMs: message.expiresAtMs === 0 ? 0 : Math.max(1, message.expiresAtMs - nowMs),
      ...plan,
      fired: 0,
      lastAtMs: 0,
    }
    if (plan.cron !== '') {
      const wrong = checkCron(plan.cron, destinations.cronTimeZone, nowMs)
      if (wrong !== undefined) return wrong
    }
    const fact = writeJob(live.facts.writer.reset(), job)
    const told =
      transaction === undefined ? live.facts.admit(FACT.job, fact, 'publish') : live.facts.defer(transaction.record.number, FACT.job, fact, 'publish')
    if (!told) return journalFull()
    this.#next = job.number + 1
    if (transaction === undefined) this.#arm(job)
    else transaction.scheduled(job.number, bytesOf(job))
    return undefined
  }

  /** Its transaction is committed. */
  begin(number: number): void {
    const job = this.#live.state.jobs.get(number)
    if (job !== undefined) this.#arm(job)
  }

  /** False: there is none of this number. */
  remove(number: number): boolean {
    if (!this.#live.state.jobs.has(number)) return false
    this.#end(number)
    return true
  }

  /** Those with numbers above `after`, in order. */
  list(after: number, limit: number): ScheduledFigures[] {
    const zone = this.#live.settings.destinations.cronTimeZone
    // Those of transactions came in the order of the commits.
    const rest = [...this.#live.state.jobs.values()].filter(({ number }) => number > after).sort((a, b) => a.number - b.number)
    return rest.slice(0, limit).map((job) => {
      const next = nextOf(job, zone)
      const { number, periodMs, repeat, cron, delayMs, fired, madeAtMs } = job
      const destination = (job.to.parts ?? [job.to]).map(({ kind, path }) => `${kind}:${path.join('.')}`).join(',')
      const nextAt = Number.isFinite(next) ? new Date(next).toISOString() : null
      return {
        number,
        destination,
        delayMs,
        periodMs,
        repeat,
        cron,
        sent: fired,
        madeAt: new Date(madeAtMs).toISOString(),
        nextAt,
        bytes: bytesOf(job),
      }
    })
  }

  /** Its time may have come. */
  due(number: number): void {
    const live = this.#live
    const job = live.state.jobs.get(number)
    if (job === undefined) return
    if (nextOf(job, live.settings.destinations.cronTimeZone) > live.clock.wallMs()) this.#arm(job)
    else this.#fire(job)
  }

  #refusal(to: CoreAddress, message: Message, { delayMs, periodMs, repeat }: Plan, nowMs: number): CodedError | undefined {
    const live = this.#live
    const { limits } = live.settings
    const bytes = message.head.length + message.body.length
    if (bytes > Math.min(limits.messageBytes, PIECE_BYTES)) {
      return new CodedError(
        'too-large',
        `a message that is sent again and again has at most ${Math.min(limits.messageBytes, PIECE_BYTES)} bytes, and this has ${bytes}`,
      )
    }
    for (const part of to.parts ?? [to]) {
      if (part.kind === 'queue' || part.temporary) {
        if (live.findQueue(part) === undefined) return new CodedError('not-found', `there is no ${part.kind} ${part.path.join('.')}`)
      }
    }
    if (repeat !== 0 && periodMs > 0 && periodMs < limits.schedulePeriodMs) {
      return new CodedError('limit', `a period of ${periodMs} ms is below limits.schedulePeriodMs (${limits.schedulePeriodMs})`)
    }
    if (
      ![delayMs, periodMs].every((ms) => Number.isSafeInteger(ms) && ms >= 0 && nowMs + ms < TIME_MAX_MS) ||
      !Number.isSafeInteger(repeat) ||
      repeat < -1
    ) {
      return new CodedError('invalid', 'delay and period are times in milliseconds, repeat a count or -1')
    }
    if (live.state.jobs.size + live.transactions.jobs >= limits.scheduled)
      return new CodedError('limit', `limits.scheduled (${limits.scheduled}) messages are sent again and again already`)
    if (live.state.jobBytes + live.transactions.jobBytes + bytes > limits.scheduledBytes) {
      return new CodedError('limit', `messages that are sent again and again have limits.scheduledBytes (${limits.scheduledBytes}) bytes already`)
    }
    return undefined
  }

  #arm(job: Job): void {
    this.#live.deadlines.set(job.number, DEADLINE.job, nextOf(job, this.#live.settings.destinations.cronTimeZone))
  }

  #fire(job: Job): void {
    const live = this.#live
    const { number } = job
    const nowMs = live.clock.wallMs()
    const message = job.ttlMs === 0 ? job.message : { ...job.message, expiresAtMs: nowMs + job.ttlMs }
    this.#makeQueues(job.to)
    const publisher = this.#publisher
    publisher.firing = job
    const placed = publisher.place(this.#herald(), job.to, message, PLAIN, undefined)
    publisher.firing = undefined
    if (placed === 'blocked' || (placed === 'refused' && mayPass(publisher.refusal))) {
      live.deadlines.set(number, DEADLINE.job, nowMs + RETRY_MS)
      return
    }
    if (placed === 'refused' || placed === 'upload') {
      live.log.warn({ to: job.to.path.join('.'), code: publisher.refusal?.code }, 'a scheduled message cannot be sent: it is forgotten')
      live.dropped(undefined, REASON['full-refused'])
      this.#end(number)
      return
    }
    if (!publisher.recorded) {
      const fact = live.facts.writer
        .reset()
        .u32(number)
        .u32(job.fired + 1)
        .f64(nowMs)
      live.facts.admit(FACT.jobFired, fact, 'drain')
    }
    live.journal.urge()
    if (live.state.jobs.has(number) && !isOver(job)) this.#arm(job)
  }

  /** As for its sender, when it was new: a queue that somebody removed since is made again. */
  #makeQueues(to: CoreAddress): void {
    const live = this.#live
    for (const part of to.parts ?? [to]) {
      if (part.kind !== 'queue' || part.temporary || live.findQueue(part) !== undefined) continue
      live.makeQueue(part, { durable: true, lifetime: 'permanent' }, 'publish')
    }
  }

  #end(number: number): void {
    this.#live.deadlines.clear(number, DEADLINE.job)
    this.#live.facts.admit(FACT.jobGone, this.#live.facts.writer.reset().u32(number), 'drain')
    this.#live.journal.urge()
  }
}

/** What a consumer or an operator may mend. */
function mayPass(refusal: CodedError | undefined): boolean {
  return refusal?.code === 'full' || refusal?.code === 'limit'
}
