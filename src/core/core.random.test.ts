// Random clients against the core, with crashes, snapshots, dropped caches and compaction in between, under a seed.
// A ledger decides: what was acknowledged is delivered or was settled (invariant 1); what was settled with an answer never comes back (3);
// a transaction is seen whole or not at all (4), and so is a message to a list of destinations; what is scheduled comes once a time; each producer's messages reach one consumer in order (5); the same facts give the same state (9).
// `SEED=n npx vitest run src/core/core.random.test.ts` runs one seed, `SEEDS=n` more of them.
import { strict as assert } from 'node:assert'
import { describe, expect, it } from 'vitest'
import { type Client, CoreNode, message, NO_RETAIN, PERMANENT, type Taker, textOf } from '../../test/support/core.ts'
import { headers } from '../../test/support/test-dialect.ts'
import type { Transaction } from '../api.ts'
import { SeededRandom } from '../random.ts'
import { Replica } from './replica.ts'

const QUEUES = ['q0', 'q1', 'sub0', 'sub1', 'sub2'] as const
/** Where consumers stand: at a queue, or at what a selector takes of it. */
const STANDS = [...QUEUES, 'q0?odd', 'q0?n > 100', 'sub0?odd = FALSE', 'q1!wait', 'q1!5', 'sub1!wait'] as const
/** Mostly normal, and in no group. */
const PRIORITIES = [4, 4, 4, 4, 0, 9] as const
const GROUPS = ['', '', '', 'g', 'h', 'i'] as const
const SEGMENT_BYTES = 256 * 1024

const seeds = process.env.SEED === undefined ? Array.from({ length: Number(process.env.SEEDS ?? 25) }, (_, i) => i + 1) : [Number(process.env.SEED)]

/** One producer's message on one queue. */
interface Sent {
  readonly text: string
  readonly queues: readonly string[]
  ticket: number
  acknowledged: boolean
  readonly work: Work | undefined
}

/** One transaction: what it sent and what it settled, by queue and text. `unknown`: the node died before its commit was answered. */
interface Work {
  readonly number: number
  readonly transaction: Transaction
  readonly settled: { readonly open: Map<number, string>; readonly tag: number; readonly key: string }[]
  fate: 'open' | 'committing' | 'committed' | 'rolled back' | 'unknown'
  ticket: number
  /** With its node, its end untold. */
  died: boolean
  /** Of what it settled, that was delivered again after its node died. */
  readonly cameBack: Set<string>
}

class World {
  readonly random: SeededRandom
  readonly node: CoreNode
  producer: Client
  consumer: Client
  readonly takers = new Map<string, { taker: Taker; open: Map<number, string> }>()
  readonly sent: Sent[] = []
  /** By queue and text: settled, with the ticket of the answer. */
  readonly answered = new Map<string, { ticket: number; told: boolean }>()
  /** Settled without an answer: may come back after a crash. */
  readonly unanswered = new Set<string>()
  readonly delivered = new Set<string>()
  readonly lastSeen = new Map<string, number>()
  count = 0
  readonly works: Work[] = []
  /** A move between q0 and a queue that nobody consumes; up to this number messages of q0 may come in another order since. */
  moving: Promise<unknown> | undefined
  reordered = -1
  /** What is settled by whom, as long as that may still be undone. */
  readonly settledIn = new Map<string, Work>()

  /** What is to come at the queue `ticks`, where nobody takes it before the end. */
  readonly jobs: { readonly text: string; readonly times: number; ticket: number; acknowledged: boolean }[] = []

  constructor(seed: number) {
    this.random = new SeededRandom(seed)
    this.node = new CoreNode(
      { destinations: { failuresMax: 0 }, journal: { segmentBytes: SEGMENT_BYTES } },
      { segmentBytes: SEGMENT_BYTES, lazyMs: 20 },
    )
    this.producer = this.node.client()
    this.consumer = this.node.client()
    for (const name of [...QUEUES, 'aside', 'ticks']) this.producer.session.declare(this.node.queue(name), PERMANENT)
    for (const name of ['sub0', 'sub1', 'sub2']) {
      const pattern = name === 'sub1' ? ['t', { wild: 'one' as const }] : [{ wild: 'rest' as const }]
      const selector = name === 'sub2' ? 'odd' : undefined
      const queue = this.node.queue(name)
      this.producer.session.bind({ pattern, queue, tag: 1, settle: 'unsettled', absent: 'keep', retained: 'never', selector })
    }
  }

  get openWork(): Work | undefined {
    return this.works.find(({ fate }) => fate === 'open')
  }

  begin(): void {
    const transaction = this.consumer.session.begin()
    assert.ok(transaction)
    this.works.push({ number: this.works.length + 1, transaction, settled: [], fate: 'open', ticket: 0, died: false, cameBack: new Set() })
  }

  /** Ends the oldest open transaction. */
  end(commit: boolean): void {
    const work = this.openWork
    if (work === undefined) return
    if (commit) {
      work.ticket = work.transaction.commit()
      assert.notEqual(work.ticket, 0, this.consumer.session.refusal?.message)
      work.fate = 'committing'
      return
    }
    work.transaction.rollback()
    work.fate = 'rolled back'
    for (const { open, tag, key } of work.settled) {
      this.settledIn.delete(key)
      // With the same consumer; of no use if that is gone.
      open.set(tag, key)
    }
  }

  /** Some messages of q0 are put aside, or all that were are put back. */
  move(back: boolean): void {
    if (this.moving !== undefined) return
    const { administration } = this.node.core
    this.reordered = this.count
    const moving = back ? administration.move(['aside'], ['q0'], 1e9) : administration.move(['q0'], ['aside'], 1 + this.random.below(30))
    const ended = (): void => {
      if (this.moving === told) this.moving = undefined
    }
    const told: Promise<unknown> = moving.then(ended, ended)
    this.moving = told
  }

  publish(work?: Work): void {
    const n = this.count++
    const odd = n % 2 === 1
    const text = `m${n} ${work?.number ?? 0} ${'x'.repeat(this.random.below(40) === 0 ? 300_000 : this.random.below(2_000))}`
    const toTopic = this.random.below(2) === 0
    const topic = this.random.below(2) === 0 ? 't.a' : 'u'
    const queue = QUEUES[this.random.below(2)]
    const subscribed = QUEUES.slice(2).filter((name) => (name !== 'sub1' || topic !== 'u') && (name !== 'sub2' || odd))
    const toBoth = this.random.below(6) === 0
    const queues = toBoth ? [queue, ...subscribed] : toTopic ? subscribed : [queue]
    const [first, second] = [this.node.queue(queue), this.node.topic(topic)]
    const ticket = this.producer.send(
      toBoth ? this.node.core.composite([first, second]) : toTopic ? second : first,
      text,
      { head: headers({ n, odd }), priority: PRIORITIES[this.random.below(6)], group: GROUPS[this.random.below(6)], groupEnds: n % 50 === 0 },
      {
        ...NO_RETAIN,
        transaction: work?.transaction,
      },
    )
    assert.notEqual(ticket, 0, this.producer.session.refusal?.message)
    this.sent.push({ text, queues, ticket, acknowledged: false, work })
  }

  schedule(): void {
    const repeat = this.random.below(4)
    const text = `job${this.jobs.length}`
    const plan = { delayMs: this.random.below(200), periodMs: 100 + this.random.below(100), repeat, cron: '' }
    const ticket = this.producer.session.repeat(this.node.queue('ticks'), message(text), plan)
    assert.notEqual(ticket, 0, this.producer.session.refusal?.message)
    this.jobs.push({ text, times: repeat + 1, ticket, acknowledged: false })
  }

  attach(name: string): void {
    if (this.takers.has(name)) return
    const [queue] = name.split(/[?!]/)
    const selector = name.split('?')[1]
    const asked = name.split('!')[1]
    const options = { selector, exclusive: asked === 'wait' ? 'wait' : 'no', priority: asked === '5' ? 5 : 0 } as const
    this.takers.set(name, { taker: this.consumer.consume(this.node.queue(queue), 1 + this.random.below(50), options), open: new Map() })
  }

  detach(name: string): void {
    this.takers.get(name)?.taker.consumer.close()
    this.takers.delete(name)
  }

  /** What arrived since the last look. */
  look(): void {
    let parked = this.sent.filter((sent) => sent.ticket === -1)
    for (const ticket of this.producer.admissions.splice(0)) {
      const first = parked.shift()
      if (first !== undefined) first.ticket = ticket
    }
    parked = []
    const waiting = this.works.filter(({ fate, ticket }) => fate === 'committing' && ticket === -1)
    for (const ticket of this.consumer.admissions.splice(0)) {
      const first = waiting.shift()
      if (first !== undefined) first.ticket = ticket
    }
    assert.equal(this.consumer.refusals.length, 0)
    for (const work of this.works) {
      if (work.fate !== 'committing' || work.ticket <= 0 || work.ticket > this.consumer.doneUpTo) continue
      work.fate = 'committed'
      for (const { key } of work.settled) {
        this.settledIn.delete(key)
        this.answered.set(key, { ticket: work.ticket, told: true })
      }
    }
    for (const sent of this.sent) {
      if (sent.work === undefined ? sent.ticket > 0 && sent.ticket <= this.producer.doneUpTo : sent.work.fate === 'committed')
        sent.acknowledged = true
    }
    for (const job of this.jobs) if (job.ticket > 0 && job.ticket <= this.producer.doneUpTo) job.acknowledged = true
    for (const answer of this.answered.values()) if (answer.ticket <= this.consumer.doneUpTo) answer.told = true
    for (const [name, { taker, open }] of this.takers) {
      for (const delivery of taker.deliveries.splice(0)) {
        const key = `${name.split(/[?!]/)[0]} ${textOf(delivery)}`
        assert.ok(this.answered.get(key)?.told !== true, `${key.slice(0, 20)} came back after its settlement was answered`)
        const [count, workNumber] = textOf(delivery).split(' ')
        const number = Number(count.slice(1))
        const { priority, group } = delivery.message
        const stream = `${name} ${workNumber} ${priority} ${group}`
        const work = this.works[Number(workNumber) - 1]
        assert.ok(
          work === undefined || work.fate === 'committed' || work.fate === 'committing' || work.fate === 'unknown',
          `${stream} is not committed`,
        )
        if (!delivery.maybeSeen && !(name.startsWith('q0') && number <= this.reordered)) {
          assert.ok(number > (this.lastSeen.get(stream) ?? -1), `first delivery out of order on ${stream}`)
          this.lastSeen.set(stream, number)
        }
        if (name.includes('?')) assert.ok(name.endsWith('100') ? number > 100 : (number % 2 === 1) === name.endsWith('odd'), `${name} took ${number}`)
        const settledBy = this.settledIn.get(key)
        assert.ok(
          settledBy === undefined || settledBy.fate === 'unknown' || settledBy.fate === 'rolled back',
          `${key.slice(0, 20)} is settled, and came`,
        )
        settledBy?.cameBack.add(key)
        this.delivered.add(key)
        open.set(delivery.tag, key)
      }
    }
  }

  settle(name: string): void {
    const { taker, open } = this.takers.get(name) ?? {}
    if (taker === undefined || open === undefined || open.size === 0) return
    const tags = [...open.keys()].sort((a, b) => a - b)
    const first = tags[this.random.below(tags.length)]
    const last = this.random.below(3) === 0 ? first : tags[this.random.below(tags.length)]
    const range = tags.filter((tag) => tag >= Math.min(first, last) && tag <= Math.max(first, last))
    const what = this.random.below(5)
    const work = this.openWork
    if (what === 4 && work !== undefined) {
      const ticket = taker.consumer.settleIn(work.transaction, range[0], range[range.length - 1], { kind: 'accepted' })
      assert.notEqual(ticket, 0, this.consumer.session.refusal?.message)
      for (const tag of range) {
        const key = open.get(tag) ?? ''
        work.settled.push({ open, tag, key })
        this.settledIn.set(key, work)
      }
    } else if (what === 0) taker.consumer.settle(range[0], range[range.length - 1], { kind: 'released', afterMs: this.random.below(2) * 50 }, true)
    else {
      const ticket = taker.accept(range[0], range[range.length - 1], what > 1)
      for (const tag of range) {
        const key = open.get(tag) ?? ''
        if (what > 1) this.answered.set(key, { ticket, told: false })
        else this.unanswered.add(key)
      }
    }
    for (const tag of range) open.delete(tag)
    taker.consumer.grant(range.length, 0)
  }

  crash(): void {
    this.look()
    this.node.restart()
    this.takers.clear()
    this.moving = undefined
    for (const work of this.works) {
      if (work.fate !== 'committing' && work.fate !== 'open') continue
      work.fate = work.fate === 'open' ? 'rolled back' : 'unknown'
      work.died = true
    }
    for (const [key, { told }] of this.answered) if (!told) this.answered.delete(key)
    for (const sent of [...this.sent, ...this.jobs]) if (!sent.acknowledged && sent.ticket !== 0) sent.ticket = 0
    this.producer = this.node.client()
    this.consumer = this.node.client()
  }

  async step(): Promise<void> {
    const what = this.random.below(100)
    const name = STANDS[this.random.below(STANDS.length)]
    if (what < 3) this.begin()
    else if (what < 6) this.end(this.random.below(3) > 0)
    else if (what < 20) this.publish(this.openWork)
    else if (what < 45) this.publish()
    else if (what < 55) this.attach(name)
    else if (what < 58) this.detach(name)
    else if (what < 85) this.settle(name)
    else if (what < 90) this.node.clock.advance(this.random.below(100))
    else if (what < 92) this.node.journal.forget()
    else if (what < 94) await this.node.core.snapshot()
    else if (what < 96) {
      // What is open ends with the node, so that its state is not the same after.
      while (this.openWork !== undefined) this.end(this.random.below(2) === 0)
      await this.quiet()
      this.sameAsReplayed()
      const { digest } = this.node.core.digest()
      this.crash()
      assert.equal(this.node.core.digest().digest, digest, 'the state after a restart is not the one before')
    } else if (what < 97) this.crash()
    else if (what < 99) this.move(this.random.below(3) === 0)
    else this.schedule()
    if (this.random.below(50) === 0) {
      await this.quiet()
      this.sameAsReplayed()
    }
    if (this.random.below(3) === 0) await new Promise((resolve) => setImmediate(resolve))
    this.look()
    if (this.node.lost !== undefined) throw this.node.lost
  }

  /** The leader's state is what the journal tells, open transactions included. */
  sameAsReplayed(): void {
    const replica = new Replica(this.node.settings.destinations)
    this.node.store.replay(replica, this.node.journal.committed)
    assert.equal(this.node.core.digest().digest, replica.digest().digest, 'the state is not what the journal tells')
  }

  /** Until nothing is parked, deferred or uncommitted. */
  async quiet(): Promise<void> {
    do {
      await this.moving
      await this.node.settled()
      this.look()
    } while (this.sent.some((sent) => sent.ticket === -1) || this.works.some(({ fate }) => fate === 'committing'))
    for (let i = 0; i < 3; i++) await this.node.settled()
    this.look()
  }

  /** After a last crash everything that was acknowledged and not settled comes. */
  async finish(): Promise<void> {
    await this.node.settled()
    this.look()
    this.crash()
    this.move(true)
    await this.moving
    for (const name of QUEUES) this.takers.set(name, { taker: this.consumer.consume(this.node.queue(name), 1e6), open: new Map() })
    for (let i = 0; i < 200; i++) {
      this.node.clock.advance(1)
      await this.node.settled()
      this.look()
    }
    for (const { text, queues, acknowledged } of this.sent) {
      if (!acknowledged) continue
      for (const queue of queues) {
        const key = `${queue} ${text}`
        const came = this.delivered.has(key) || this.answered.has(key)
        assert.ok(came, `acknowledged and never delivered: ${key.slice(0, 20)}`)
      }
    }
    await this.comeOnceATime()
    for (const { text, queues, work } of this.sent) {
      if (work !== undefined || queues.length < 2) continue
      const came = queues.filter((queue) => this.delivered.has(`${queue} ${text}`)).length
      assert.ok(came === 0 || came === queues.length, `${came} of ${queues.length} got ${text.slice(0, 20)}`)
    }
    for (const work of this.works) if (work.fate === 'unknown' || work.fate === 'rolled back') this.allOrNone(work)
  }

  /** What was scheduled and acknowledged came as often as it should, all else as often or never. */
  async comeOnceATime(): Promise<void> {
    for (let i = 0; i < 20; i++) {
      this.node.clock.advance(50)
      await this.node.settled()
      if (i === 5) this.crash()
    }
    const taker = this.consumer.consume(this.node.queue('ticks'), 1e6)
    await this.node.settled()
    const { texts } = taker
    for (const { text, times, acknowledged } of this.jobs) {
      const came = texts.filter((each) => each === text).length
      assert.ok(came === times || (came === 0 && !acknowledged), `${text} came ${came} times of ${times}`)
    }
  }

  /** Its node died before its commit was answered, or it was rolled back: then all of it happened, or nothing. */
  allOrNone(work: Work): void {
    const keys = this.sent
      .filter((sent) => sent.work === work && sent.ticket >= 0)
      .flatMap(({ queues, text }) => queues.map((queue) => `${queue} ${text}`))
    const came = keys.filter((key) => this.delivered.has(key)).length
    assert.ok(
      came === 0 || (work.fate === 'unknown' && came === keys.length),
      `${came} of ${keys.length} of transaction ${work.number} (${work.fate})`,
    )
    if (!work.died || keys.length === 0) return
    const lost = work.settled.filter(({ key }) => !work.cameBack.has(key)).length
    assert.ok(came > 0 ? work.cameBack.size === 0 : lost === 0, `of ${work.settled.length} settled, ${lost} did not come back; ${came} sends came`)
  }
}

describe('under random use and crashes', () => {
  it.each(seeds)('keeps its promises (seed %i)', async (seed) => {
    const world = new World(seed)
    await world.quiet()
    for (let i = 0; i < 600; i++) await world.step()
    await world.finish()
    expect(world.delivered.size).toBeGreaterThan(0)
  })
})
