// Random clients against the core, with crashes, snapshots, dropped caches and compaction in between, under a seed.
// A ledger decides: what was acknowledged is delivered or was settled (invariant 1); what was settled with an answer never comes back (3);
// each producer's messages reach one consumer in order (5); the same facts give the same state (9).
// `SEED=n npx vitest run src/core/core.random.test.ts` runs one seed, `SEEDS=n` more of them.
import { strict as assert } from 'node:assert'
import { describe, expect, it } from 'vitest'
import { type Client, CoreNode, PERMANENT, type Taker, textOf } from '../../test/support/core.ts'
import { headers } from '../../test/support/test-dialect.ts'
import { SeededRandom } from '../random.ts'

const QUEUES = ['q0', 'q1', 'sub0', 'sub1', 'sub2'] as const
/** Where consumers stand: at a queue, or at what a selector takes of it. */
const STANDS = [...QUEUES, 'q0?odd', 'q0?n > 100', 'sub0?odd = FALSE'] as const
const SEGMENT_BYTES = 256 * 1024

const seeds = process.env.SEED === undefined ? Array.from({ length: Number(process.env.SEEDS ?? 25) }, (_, i) => i + 1) : [Number(process.env.SEED)]

/** One producer's message on one queue. */
interface Sent {
  readonly text: string
  readonly queues: readonly string[]
  ticket: number
  acknowledged: boolean
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

  constructor(seed: number) {
    this.random = new SeededRandom(seed)
    this.node = new CoreNode(
      { destinations: { failuresMax: 0 }, journal: { segmentBytes: SEGMENT_BYTES } },
      { segmentBytes: SEGMENT_BYTES, lazyMs: 20 },
    )
    this.producer = this.node.client()
    this.consumer = this.node.client()
    for (const name of QUEUES) this.producer.session.declare(this.node.queue(name), PERMANENT)
    for (const name of ['sub0', 'sub1', 'sub2']) {
      const pattern = name === 'sub1' ? ['t', { wild: 'one' as const }] : [{ wild: 'rest' as const }]
      const selector = name === 'sub2' ? 'odd' : undefined
      const queue = this.node.queue(name)
      this.producer.session.bind({ pattern, queue, tag: 1, settle: 'unsettled', absent: 'keep', retained: 'never', selector })
    }
  }

  publish(): void {
    const n = this.count++
    const odd = n % 2 === 1
    const text = `m${n} ${'x'.repeat(this.random.below(40) === 0 ? 300_000 : this.random.below(2_000))}`
    const toTopic = this.random.below(2) === 0
    const topic = this.random.below(2) === 0 ? 't.a' : 'u'
    const queue = QUEUES[this.random.below(2)]
    const subscribed = QUEUES.slice(2).filter((name) => (name !== 'sub1' || topic !== 'u') && (name !== 'sub2' || odd))
    const queues = toTopic ? subscribed : [queue]
    const ticket = this.producer.send(toTopic ? this.node.topic(topic) : this.node.queue(queue), text, { head: headers({ n, odd }) })
    assert.notEqual(ticket, 0, this.producer.session.refusal?.message)
    this.sent.push({ text, queues, ticket, acknowledged: false })
  }

  attach(name: string): void {
    if (this.takers.has(name)) return
    const [queue, selector] = name.split('?')
    this.takers.set(name, { taker: this.consumer.consume(this.node.queue(queue), 1 + this.random.below(50), { selector }), open: new Map() })
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
    for (const sent of this.sent) if (sent.ticket > 0 && sent.ticket <= this.producer.doneUpTo) sent.acknowledged = true
    for (const answer of this.answered.values()) if (answer.ticket <= this.consumer.doneUpTo) answer.told = true
    for (const [name, { taker, open }] of this.takers) {
      for (const delivery of taker.deliveries.splice(0)) {
        const key = `${name.split('?')[0]} ${textOf(delivery)}`
        assert.ok(this.answered.get(key)?.told !== true, `${key.slice(0, 20)} came back after its settlement was answered`)
        const number = Number(textOf(delivery).split(' ')[0].slice(1))
        if (!delivery.maybeSeen) {
          assert.ok(number > (this.lastSeen.get(name) ?? -1), `first delivery out of order on ${name}`)
          this.lastSeen.set(name, number)
        }
        if (name.includes('?')) assert.ok(name.endsWith('100') ? number > 100 : (number % 2 === 1) === name.endsWith('odd'), `${name} took ${number}`)
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
    const what = this.random.below(4)
    if (what === 0) taker.consumer.settle(range[0], range[range.length - 1], { kind: 'released', afterMs: this.random.below(2) * 50 }, true)
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
    for (const [key, { told }] of this.answered) if (!told) this.answered.delete(key)
    for (const sent of this.sent) if (!sent.acknowledged && sent.ticket !== 0) sent.ticket = 0
    this.producer = this.node.client()
    this.consumer = this.node.client()
  }

  async step(): Promise<void> {
    const what = this.random.below(100)
    const name = STANDS[this.random.below(STANDS.length)]
    if (what < 45) this.publish()
    else if (what < 55) this.attach(name)
    else if (what < 58) this.detach(name)
    else if (what < 85) this.settle(name)
    else if (what < 90) this.node.clock.advance(this.random.below(100))
    else if (what < 92) this.node.journal.forget()
    else if (what < 94) await this.node.core.snapshot()
    else if (what < 96) {
      await this.quiet()
      const { digest } = this.node.core.digest()
      this.crash()
      assert.equal(this.node.core.digest().digest, digest, 'the state after a restart is not the one before')
    } else if (what < 97) this.crash()
    if (this.random.below(3) === 0) await new Promise((resolve) => setImmediate(resolve))
    this.look()
    if (this.node.lost !== undefined) throw this.node.lost
  }

  /** Until nothing is parked, deferred or uncommitted. */
  async quiet(): Promise<void> {
    do {
      await this.node.settled()
      this.look()
    } while (this.sent.some((sent) => sent.ticket === -1))
    for (let i = 0; i < 3; i++) await this.node.settled()
    this.look()
  }

  /** After a last crash everything that was acknowledged and not settled comes. */
  async finish(): Promise<void> {
    await this.node.settled()
    this.look()
    this.crash()
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
