import { describe, expect, it } from 'vitest'
import { Lease } from './lease.ts'

const beat = (count: number): { count: number; batch: number } => ({ count, batch: 0 })

/** Polls every 10 ms from one time to another. */
function polls(lease: Lease, fromMs: number, toMs: number): void {
  for (let at = fromMs; at <= toMs; at += 10) lease.poll(at)
}

describe('a lease', () => {
  it('runs out when nothing changed for the whole of it', () => {
    const lease = new Lease(1_000, 10, 0)
    polls(lease, 0, 500)
    lease.read(beat(1), 500, 500)
    polls(lease, 510, 1_490)
    lease.read(beat(1), 1_490, 1_490)
    expect(lease.over).toBe(false)
    polls(lease, 1_500, 1_500)
    lease.read(beat(1), 1_500, 1_500)
    expect(lease.over).toBe(true)
  })

  it('begins again with each change, also after it ran out', () => {
    const lease = new Lease(1_000, 10, 0)
    lease.read(beat(1), 0, 0)
    lease.read(beat(1), 1_000, 1_000)
    expect(lease.over).toBe(true)
    lease.read(beat(2), 1_100, 1_100)
    expect(lease.over).toBe(false)
    lease.read({ count: 2, batch: 7 }, 2_000, 2_000)
    lease.read({ count: 2, batch: 7 }, 2_900, 2_900)
    expect(lease.over).toBe(false)
  })

  it('counts from when the claim was first seen where there is no heartbeat at all', () => {
    const lease = new Lease(1_000, 10, 5_000)
    lease.read(undefined, 5_990, 5_990)
    expect(lease.over).toBe(false)
    lease.read(undefined, 6_000, 6_000)
    expect(lease.over).toBe(true)
  })

  it('takes a torn heartbeat for a change, and one that stays torn for silence', () => {
    const lease = new Lease(1_000, 10, 0)
    lease.read(beat(1), 0, 0)
    lease.read(undefined, 900, 900)
    lease.read(undefined, 1_800, 1_800)
    expect(lease.over).toBe(false)
    lease.read(undefined, 1_900, 1_900)
    expect(lease.over).toBe(true)
  })

  it('does not believe a read that took long: it tells of the time when it began', () => {
    const lease = new Lease(1_000, 10, 0)
    lease.read(beat(1), 0, 0)
    polls(lease, 10, 3_000)
    lease.read(beat(1), 100, 3_000)
    expect(lease.over).toBe(false)
  })

  it('begins again when we ourselves were stopped, also in the middle of a read', () => {
    const lease = new Lease(1_000, 10, 0)
    lease.read(beat(1), 0, 0)
    polls(lease, 10, 100)
    // A read began at 100, then nothing of us ran for an hour.
    lease.poll(3_600_000)
    lease.read(beat(1), 100, 3_600_000)
    expect(lease.over).toBe(false)
    lease.read(beat(1), 3_600_000, 3_600_001)
    expect(lease.over).toBe(false)
    polls(lease, 3_600_010, 3_601_000)
    lease.read(beat(1), 3_601_000, 3_601_000)
    expect(lease.over).toBe(true)
  })

  it('bears polls that are a little late', () => {
    const lease = new Lease(1_000, 10, 0)
    lease.read(beat(1), 0, 0)
    for (let at = 0; at <= 1_000; at += 200) lease.poll(at)
    lease.read(beat(1), 1_000, 1_000)
    expect(lease.over).toBe(true)
  })

  it('never runs out when it is switched off', () => {
    const lease = new Lease(0, 10, 0)
    lease.poll(1e9)
    lease.read(undefined, 1e9, 1e9)
    expect(lease.over).toBe(false)
  })
})
