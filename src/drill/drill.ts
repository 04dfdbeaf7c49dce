// The drill: rounds of work, one fault, succession, and judgement.
//
//   ready ─▶ everybody works ─▶ [instant] fault ─▶ everybody is answered again ─▶ the victim comes back ─▶ rest ─▶ all that is owed has come ─▶ verdict
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../random.ts'
import { Cast } from './cast.ts'
import type { Dark } from './darkness.ts'
import { drain, fill } from './queued.ts'
import type { Report, Round } from './report.ts'
import type { Fault, Target } from './target.ts'

export const INSTANTS = ['random', 'ack', 'burst', 'housekeeping'] as const
export type Instant = (typeof INSTANTS)[number]

export type DrillOptions = Readonly<{
  target: Target
  /** The order in which they happen is drawn; each as often as the others. */
  faults: readonly Fault[]
  rounds: number
  at: Instant
  seed: number
  random: Random
  queued: number
  ratePerSecond: number
  bytes: number
  /** Longest time until everybody is answered again, and as long again until everything owed has come. Either ends as soon as it has. */
  patienceMs: number
  onRound: (round: Round) => void
  /** Ends the drill after the round that runs. */
  stopped: () => boolean
  log: (line: string) => void
}>

/** So long nothing comes any more, before a round counts as drained. */
const QUIET_MS = 60
const CONNECT_MS = 30_000
/** Rounds that failed one after the other and leave no hope for the next. */
const HOPELESS = 3

export async function runDrill(options: DrillOptions): Promise<Report> {
  const { target, seed, random, queued: count, ratePerSecond, bytes, log } = options
  const begun = performance.now()
  const run = `drill-${random.below(2 ** 40).toString(36)}-${process.pid.toString(36)}`
  const cast = new Cast({ run, target, ratePerSecond, bytes })
  const rounds: Round[] = []
  let queuedSentences: readonly string[] = []
  const ballast = { run, count: cast.access.stomp === undefined ? 0 : count, bytes: 1024 }
  try {
    if (cast.access.stomp !== undefined && count > 0) {
      log(`queueing ${count} messages`)
      await fill(cast.access.stomp, ballast)
    }
    await within(CONNECT_MS, cast.connect(), 'not every client could connect')
    const plan = planOf(options)
    for (let i = 0; i < plan.length && !options.stopped(); i++) {
      const round = await playRound(options, cast, i + 1, plan[i])
      rounds.push(round)
      options.onRound(round)
      if (rounds.length >= HOPELESS && rounds.slice(-HOPELESS).every((each) => each.successor === undefined)) {
        log(`${HOPELESS} rounds without a successor: the drill ends here`)
        break
      }
    }
    if (cast.access.stomp !== undefined && ballast.count > 0) queuedSentences = await drain(cast.access.stomp, ballast)
  } finally {
    await Promise.race([cast.close(), sleep(5_000)])
  }
  return { target: target.name, seed, queued: ballast.count, rounds, queuedSentences, seconds: (performance.now() - begun) / 1000 }
}

/** As many of each fault as the rounds allow, shuffled. */
function planOf({ faults, rounds, random }: DrillOptions): readonly Fault[] {
  const plan = Array.from({ length: rounds }, (_, i) => faults[i % faults.length])
  for (let i = plan.length - 1; i > 0; i--) {
    const j = random.below(i + 1)
    ;[plan[i], plan[j]] = [plan[j], plan[i]]
  }
  return plan
}

async function playRound(options: DrillOptions, cast: Cast, number: number, fault: Fault): Promise<Round> {
  const { target, random } = options
  const { ledger, darkness } = cast
  const begun = performance.now()
  let victim = -1
  let successor: number | undefined
  let dark: Dark | undefined
  try {
    await target.ready()
    await until('every client is connected', CONNECT_MS, () => cast.everybodyConnected)
    darkness.begin()
    cast.work()
    await until('somebody is answered', CONNECT_MS, () => darkness.answering)
    await instant(options, cast)
    victim = darkness.node ?? 0
    const changingOver = cast.producers.filter((each) => !each.steadfast).map((each) => each.name)
    if (fault === 'pause') cast.stopped(victim)
    const struck = strike(target, fault, victim)
    darkness.fault(performance.now(), changingOver)
    await struck
    await until(
      `everybody is answered again`,
      options.patienceMs,
      () => darkness.over,
      () => darkness.waiting,
    )
    successor = darkness.successor
    dark = darkness.take()
    if (fault === 'pause') {
      await sleep(random.below(300))
      await target.resume(victim)
      cast.stopped(undefined)
    } else if (fault !== 'handover') await target.start(victim)
    await sleep(30 + random.below(100))
  } catch (error) {
    ledger.note(error instanceof Error ? error.message : String(error))
    // What is answered after this was not a succession.
    dark ??= darkness.take()
    await mend(target, fault, victim)
    cast.stopped(undefined)
  }
  cast.rest()
  await drained(cast, options.patienceMs)
  const { counts, sentences } = ledger.endRound()
  const nameOf = (node: number | undefined): string | undefined => (node === undefined ? undefined : target.nodes[node]?.name)
  return {
    round: number,
    fault,
    at: options.at,
    victim: nameOf(victim) ?? '?',
    successor: nameOf(successor),
    dark,
    counts,
    sentences,
    takeover: target.takeover(),
    seconds: (performance.now() - begun) / 1000,
  }
}

/** Ends at the chosen instant; only what is drawn is the same with the same seed, the brokers' timing is the machine's. */
async function instant(options: DrillOptions, cast: Cast): Promise<void> {
  const { at, random, target } = options
  await sleep(100 + random.below(400))
  if (at === 'ack') {
    let left = 1 + random.below(200)
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, 5_000)
      cast.onAcknowledged = () => {
        if (--left > 0) return
        clearTimeout(timer)
        cast.onAcknowledged = () => {}
        resolve()
      }
    })
  } else if (at === 'burst') {
    for (const each of cast.producers) each.burst(20 + random.below(60))
    await sleep(random.below(30))
  } else if (at === 'housekeeping' && target.housekeeping !== undefined) {
    const { housekeeping } = target
    for (const each of cast.producers) each.burst(200)
    let left = random.below(3)
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, 3_000)
      const unwatch = housekeeping(() => {
        if (left-- > 0) return
        clearTimeout(timer)
        unwatch()
        resolve()
      })
      timer.unref()
      setTimeout(unwatch, 3_000).unref()
    })
    await sleep(random.below(15))
  }
}

function strike(target: Target, fault: Fault, victim: number): Promise<void> {
  switch (fault) {
    case 'kill':
      return target.kill(victim)
    case 'pause':
      return target.pause(victim)
    case 'term':
      return target.term(victim)
    case 'handover':
      return target.handOver(victim)
    default:
      throw new Error(`there is no fault ${String(fault satisfies never)}`)
  }
}

/** After a round that went wrong: the next one wants both nodes. */
async function mend(target: Target, fault: Fault, victim: number): Promise<void> {
  if (victim < 0) return
  try {
    if (fault === 'pause') await target.resume(victim)
    else if (fault !== 'handover') await target.start(victim)
  } catch {
    // It runs, or it cannot be had: the next round says so.
  }
}

/** What has not come when this ends is lost: either all of it came and then nothing more, or the time was long. */
async function drained(cast: Cast, patienceMs: number): Promise<void> {
  const end = performance.now() + patienceMs
  let seen = -1
  let quietSinceMs = performance.now()
  for (;;) {
    const nowMs = performance.now()
    if (!cast.quiet || cast.ledger.deliveries !== seen) {
      seen = cast.ledger.deliveries
      quietSinceMs = nowMs
    }
    if (nowMs - quietSinceMs >= QUIET_MS) return
    if (nowMs > end) break
    await sleep(5)
  }
  for (const sentence of cast.restless) cast.ledger.note(`after ${patienceMs / 1000} s ${sentence}`)
}

async function until(what: string, timeoutMs: number, condition: () => boolean, waiting: () => readonly string[] = () => []): Promise<void> {
  const end = performance.now() + timeoutMs
  while (!condition()) {
    if (performance.now() > end)
      throw new Error(`not within ${timeoutMs / 1000} s: ${what}${waiting().length > 0 ? ` (still waiting: ${waiting().join(', ')})` : ''}`)
    await sleep(2)
  }
}

async function within<T>(timeoutMs: number, work: Promise<T>, sentence: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(sentence)), timeoutMs)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
