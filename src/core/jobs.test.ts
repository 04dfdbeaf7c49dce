import { beforeEach, describe, expect, it } from 'vitest'
import { type Client, CoreNode, message, PERMANENT } from '../../test/support/core.ts'
import type { Plan, Transaction } from '../api.ts'
import { after, checkCron, upTo } from './cron.ts'
import { type Job, nextOf } from './job.ts'

const ONCE: Plan = { delayMs: 0, periodMs: 0, repeat: 0, cron: '' }

describe('a message that is sent again and again', () => {
  let node: CoreNode
  let client: Client
  beforeEach(() => {
    node = new CoreNode({
      limits: { scheduled: 3, scheduledBytes: 1_000, schedulePeriodMs: 100 },
      destinations: { cronTimeZone: 'UTC' },
    })
    client = node.client()
    client.session.declare(node.queue('q'), PERMANENT)
  })

  const every = (periodMs: number, repeat: number, delayMs = 0): Plan => ({ ...ONCE, delayMs, periodMs, repeat })
  const jobs = (): number => (node.core.status() as { scheduled: { jobs: number } }).scheduled.jobs
  const arrived = async (): Promise<string[]> => {
    await node.settled()
    await node.settled()
    const taker = client.consume(node.queue('q'))
    await node.settled()
    const { texts } = taker
    if (taker.deliveries.length > 0) taker.accept(1, taker.deliveries.length)
    taker.consumer.close()
    await node.settled()
    return texts
  }

  it('counts a time at which its queue was full and dropped it', async () => {
    client.session.declare(node.queue('full'), { ...PERMANENT, limitMessages: 1, whenFull: 'drop-newest' })
    client.session.repeat(node.queue('full'), message('tick'), every(1_000, 3, 1_000))
    await node.settled()
    for (let second = 0; second < 5; second++) {
      node.clock.advance(1_000)
      await node.settled()
    }
    expect(jobs()).toBe(0)
    expect(node.core.figures()).toMatchObject({ entries: 1, dropped: 3 })
  })

  it('comes after its delay, then every period, as often as it should, and is forgotten', async () => {
    expect(client.session.repeat(node.queue('q'), message('tick'), every(1_000, 2, 5_000))).toBeGreaterThan(0)
    node.clock.advance(4_900)
    expect(await arrived()).toEqual([])
    for (const ms of [200, 1_000, 1_000]) {
      node.clock.advance(ms)
      expect(await arrived()).toEqual(['tick'])
    }
    node.clock.advance(10_000)
    expect(await arrived()).toEqual([])
    expect(jobs()).toBe(0)
  })

  it('is each time a message of its own, and comes once a time, whenever the node is killed', async () => {
    client.session.repeat(node.queue('q'), message('tick'), every(1_000, 9, 1_000))
    await node.settled()
    let came = 0
    for (let i = 0; i < 10; i++) {
      node.clock.advance(1_000)
      // Killed before the commit: nothing was sent. After it: it was, once.
      if (i % 3 === 1) node.restart()
      else await node.settled()
      if (i % 3 === 2) node.restart()
      if (i % 3 !== 0) node.clock.advance(1)
      await node.settled()
      client = node.client()
      came += (await arrived()).length
    }
    expect(came).toBe(10)
    expect(jobs()).toBe(0)
  })

  it('is the same to a successor: digest, times and count', async () => {
    client.session.repeat(node.queue('q'), message('a', { durable: false }), every(1_000, -1, 0))
    client.session.repeat(node.queue('q'), message('b'), { ...ONCE, cron: '*/5 * * * *' })
    await node.settled()
    node.clock.advance(1_000)
    await node.settled()
    for (const snapshot of [false, true]) {
      if (snapshot) await node.core.snapshot()
      const { digest } = node.core.digest()
      node.restart()
      expect(node.core.digest().digest).toBe(digest)
      expect(jobs()).toBe(2)
    }
    client = node.client()
    await arrived()
    node.clock.advance(1_000)
    expect(await arrived()).toEqual(['a'])
  })

  it('that was missed is made up for by one, then keeps its step', async () => {
    client.session.repeat(node.queue('q'), message('tick'), every(1_000, -1, 1_000))
    await node.settled()
    await node.core.stop()
    node.clock.advance(10_500)
    node.restart()
    client = node.client()
    node.clock.advance(1)
    expect(await arrived()).toEqual(['tick'])
    node.clock.advance(400)
    expect(await arrived()).toEqual([])
    node.clock.advance(150)
    expect(await arrived()).toEqual(['tick'])
  })

  describe('sent in a transaction', () => {
    const begin = (): Transaction => {
      const transaction = client.session.begin()
      if (transaction === undefined) throw client.session.refusal ?? new Error('refused')
      return transaction
    }

    it('begins with the commit, in step with when it was sent, and never without one', async () => {
      const undone = begin()
      const done = begin()
      client.session.repeat(node.queue('q'), message('undone'), every(1_000, 2, 1_000), undone)
      expect(client.session.repeat(node.queue('q'), message('tick'), every(1_000, 3, 1_000), done)).toBeGreaterThan(0)
      undone.rollback()
      node.clock.advance(3_500)
      expect(await arrived()).toEqual([])
      expect(jobs()).toBe(0)
      done.commit()
      await node.settled()
      node.clock.advance(1)
      // Two that were missed meanwhile are made up for by this one.
      expect(await arrived()).toEqual(['tick'])
      for (const [ms, texts] of [
        [498, []],
        [1, ['tick']],
        [1_000, ['tick']],
        [1_000, ['tick']],
        [10_000, []],
      ] as const) {
        node.clock.advance(ms)
        expect(await arrived()).toEqual(texts)
      }
      expect(jobs()).toBe(0)
    })

    it.each(['the journal', 'a snapshot'])('is there after a takeover, from %s, if that was committed', async (source) => {
      const open = begin()
      const done = begin()
      client.session.repeat(node.queue('q'), message('open'), every(1_000, 2, 1_000), open)
      client.session.repeat(node.queue('q'), message('done'), every(1_000, 0, 1_000), done)
      await node.settled()
      if (source === 'a snapshot') await node.core.snapshot()
      done.commit()
      await node.settled()
      node.restart()
      client = node.client()
      node.clock.advance(1_000)
      expect(await arrived()).toEqual(['done'])
      node.clock.advance(5_000)
      expect(await arrived()).toEqual([])
      expect(jobs()).toBe(0)
    })

    it('has a number of its own, and its place in the list whenever it is committed', async () => {
      const transaction = begin()
      client.session.repeat(node.queue('q'), message('first'), every(1_000, 2, 60_000), transaction)
      client.session.repeat(node.queue('q'), message('second'), every(1_000, 2, 60_000))
      transaction.commit()
      await node.settled()
      const listed = (after: number, limit: number): number[] =>
        node.core.administration.scheduled(after, limit).scheduled.map(({ number }) => number)
      const numbers = listed(0, 10)
      expect(numbers).toHaveLength(2)
      expect(numbers).toEqual(numbers.toSorted((a, b) => a - b))
      expect(listed(numbers[0], 10)).toEqual(numbers.slice(1))
      expect(listed(0, 1)).toEqual(numbers.slice(0, 1))
    })

    it('counts towards the limits while it is open, and dooms it beyond them', async () => {
      const transaction = begin()
      for (let i = 0; i < 2; i++) client.session.repeat(node.queue('q'), message('x'), every(1_000, 2), transaction)
      client.session.repeat(node.queue('q'), message('x'), every(1_000, 2, 60_000))
      expect(client.session.repeat(node.queue('q'), message('x'), every(1_000, 2))).toBe(0)
      expect(client.session.refusal?.message).toContain('limits.scheduled')
      expect(client.session.repeat(node.queue('q'), message('x'), every(1_000, 2), transaction)).toBe(0)
      expect(transaction.commit()).toBe(0)
      await node.settled()
      expect(jobs()).toBe(1)
      // Their place is free again.
      expect(client.session.repeat(node.queue('q'), message('x'), every(1_000, 2, 60_000))).toBeGreaterThan(0)
    })
  })

  it('reaches whoever is subscribed to its topic at that time, and counts when nobody is', async () => {
    client.session.repeat(node.topic('news'), message('tick'), every(1_000, 2, 1_000))
    await node.settled()
    node.clock.advance(1_000)
    await node.settled()
    client.session.bind({ pattern: ['news'], queue: node.queue('q'), tag: 0, settle: 'unsettled', absent: 'keep', retained: 'never' })
    node.clock.advance(1_000)
    expect(await arrived()).toEqual(['tick'])
    node.restart()
    client = node.client()
    node.clock.advance(1_000)
    expect(await arrived()).toEqual(['tick'])
    expect(jobs()).toBe(0)
  })

  it('waits for room on a full queue, and loses no time by it', async () => {
    client.session.declare(node.queue('small'), { ...PERMANENT, limitMessages: 1, whenFull: 'refuse' })
    client.session.repeat(node.queue('small'), message('tick'), every(10_000, 1))
    node.clock.advance(10)
    await node.settled()
    node.clock.advance(10_000)
    await node.settled()
    expect(jobs()).toBe(1)
    const taker = client.consume(node.queue('small'))
    await node.settled()
    taker.accept(1)
    await node.settled()
    node.clock.advance(1_000)
    await node.settled()
    expect(taker.texts).toEqual(['tick', 'tick'])
    expect(jobs()).toBe(0)
  })

  it('expires as long after each time as it would have after it was sent', async () => {
    client.session.repeat(node.queue('q'), message('tick', { expiresAtMs: node.clock.wallMs() + 500 }), every(10_000, 1, 10_000))
    node.clock.advance(10_000)
    await node.settled()
    node.clock.advance(400)
    expect(await arrived()).toEqual(['tick'])
    node.clock.advance(9_600)
    await node.settled()
    node.clock.advance(600)
    expect(await arrived()).toEqual([])
  })

  it('makes its queue anew when that was removed, and ends with a temporary one', async () => {
    const temporary = node.queue('$temp.a.b')
    client.session.declare(temporary, { durable: true, lifetime: 'temporary', owner: 'x' })
    client.session.repeat(node.queue('q'), message('tick'), every(1_000, -1, 1_000))
    client.session.repeat(temporary, message('tick'), every(1_000, -1, 1_000))
    client.session.remove(node.queue('q'))
    client.session.release(temporary)
    node.clock.advance(1_000)
    expect(await arrived()).toEqual(['tick'])
    expect(jobs()).toBe(1)
  })

  it('is refused where limits or sense are exceeded', () => {
    const refusal = (plan: Partial<Plan>, text = 'x', to = 'q'): string | undefined => {
      expect(client.session.repeat(node.queue(to), message(text), { ...ONCE, ...plan })).toBe(0)
      return client.session.refusal?.code
    }
    expect(refusal({ periodMs: 50, repeat: 1 })).toBe('limit')
    expect(refusal({ periodMs: 1_000, repeat: -2 })).toBe('invalid')
    expect(refusal({ delayMs: Number.NaN })).toBe('invalid')
    expect(refusal({ delayMs: 1e300 })).toBe('invalid')
    expect(refusal({ cron: '* * * *' })).toBe('invalid')
    expect(refusal({ cron: '0 0 31 2 *' })).toBe('invalid')
    expect(refusal({ periodMs: 1_000, repeat: 1 }, 'x', 'nowhere')).toBe('not-found')
    expect(refusal({ periodMs: 1_000, repeat: 1 }, 'x'.repeat(1_001))).toBe('limit')
    expect(refusal({ periodMs: 1_000, repeat: 1 }, 'x'.repeat(300_000))).toBe('too-large')
    for (let i = 0; i < 3; i++) expect(client.session.repeat(node.queue('q'), message('x'), every(1_000, 1))).toBeGreaterThan(0)
    expect(refusal({ periodMs: 1_000, repeat: 1 })).toBe('limit')
  })

  it('can be listed and ended', async () => {
    client.session.repeat(node.queue('q'), message('tick'), every(1_000, -1, 1_000))
    await node.settled()
    const { administration } = node.core
    const { scheduled } = administration.scheduled(0, 10)
    expect(scheduled).toMatchObject([{ destination: 'queue:q', periodMs: 1_000, repeat: -1, sent: 0 }])
    expect(await administration.unschedule(scheduled[0].number)).toBe(true)
    expect(await administration.unschedule(scheduled[0].number)).toBe(false)
    node.restart()
    expect(jobs()).toBe(0)
  })
})

describe('a cron pattern', () => {
  const at = (text: string): number => Date.parse(`${text}Z`)

  it.each([
    ['0 * * * *', '2026-01-01T10:00', '2026-01-01T11:00'],
    ['*/15 9-17 * * 1-5', '2026-01-02T17:45', '2026-01-05T09:00'],
    ['0 0 29 2 *', '2026-01-01T00:00', '2028-02-29T00:00'],
    ['0 12 13 * 5', '2026-02-01T00:00', '2026-02-06T12:00'],
    ['30 4 1,15 * *', '2026-01-01T04:30', '2026-01-15T04:30'],
  ])('%s is next after %s at %s', (cron, from, next) => {
    expect(after(cron, 'UTC', at(from))).toBe(at(next))
    expect(upTo(cron, 'UTC', at(next))).toBe(at(next))
    expect(upTo(cron, 'UTC', at(next) - 1)).toBeLessThan(at(next))
  })

  it('is meant in its time zone', () => {
    expect(after('0 2 * * *', 'Europe/Berlin', at('2026-07-01T00:00'))).toBe(at('2026-07-02T00:00'))
  })

  it.each(['', '* * * *', '* * * * * *', '61 * * * *', '@daily', '0 0 L * *', '0 0 * * 1#2', '? * * * *', 'x'.repeat(300)])(
    '%s is refused',
    (cron) => {
      expect(checkCron(cron, 'UTC', 0)?.code).toBe('invalid')
    },
  )

  it('with delay, period and repeat begins a run at each of its times', () => {
    const job = {
      cron: '0 * * * *',
      delayMs: 1_000,
      periodMs: 1_000,
      repeat: 2,
      madeAtMs: at('2026-01-01T09:59:30'),
      fired: 0,
      lastAtMs: 0,
    } as unknown as Job
    const times: string[] = []
    for (let i = 0; i < 5; i++) {
      const next = nextOf(job, 'UTC')
      times.push(new Date(next).toISOString().slice(11, 19))
      job.fired++
      job.lastAtMs = next + 3
    }
    expect(times).toEqual(['10:00:01', '10:00:02', '10:00:03', '11:00:01', '11:00:02'])
  })
})

it.each(['0 0 31 2 *', '0 0 30,31 FEB *', '* * 31 4,6,sep,11 *', '0 0 31-31 2-2 *'])(
  'the day that never comes is found so without looking for it: %s',
  (cron) => {
    expect(checkCron(cron, 'UTC', 0)?.message).toContain('no time that comes')
  },
)
