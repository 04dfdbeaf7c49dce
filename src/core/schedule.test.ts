import { describe, expect, it, vi } from 'vitest'
import type { Clock } from '../api.ts'
import { MovableClock } from '../clock.ts'
import { Schedule } from './schedule.ts'

describe('a schedule', () => {
  it('runs each once, never early and at most 250 ms late', () => {
    const clock = new MovableClock()
    const schedule = new Schedule(clock)
    clock.advance(133)
    const late = new Map<number, number[]>()
    for (const delay of [0, 1, 249, 250, 251, 1000, 60_000, 128_000, 128_250, 1_000_000]) {
      const start = clock.monoMs()
      late.set(delay, [])
      schedule.schedule(delay, () => late.get(delay)?.push(clock.monoMs() - start - delay))
    }
    clock.advance(2_000_000)
    for (const [delay, times] of late) {
      expect(times.length, `delay ${delay}`).toBe(1)
      expect(times[0]).toBeGreaterThanOrEqual(0)
      expect(times[0]).toBeLessThanOrEqual(250)
    }
    expect(schedule.size).toBe(0)
  })

  it('does not run what is cancelled, also by another that runs before it in the same tick', () => {
    const clock = new MovableClock()
    const schedule = new Schedule(clock)
    const ran: string[] = []
    const first = schedule.schedule(1000, () => {
      ran.push('first')
      second()
      first()
    })
    const second = schedule.schedule(1000, () => ran.push('second'))
    const third = schedule.schedule(500, () => ran.push('third'))
    third()
    third()
    expect(schedule.size).toBe(2)
    clock.advance(5000)
    expect(ran).toEqual(['first'])
    expect(schedule.size).toBe(0)
  })

  it('holds one timer of the clock, and none when it is empty', () => {
    const clock = new MovableClock()
    let timers = 0
    const counting: Clock = {
      wallMs: () => clock.wallMs(),
      monoMs: () => clock.monoMs(),
      turn: (run) => clock.turn(run),
      after: (delayMs, run) => {
        timers++
        return clock.after(delayMs, () => {
          timers--
          run()
        })
      },
    }
    const schedule = new Schedule(counting)
    for (let i = 0; i < 1000; i++) schedule.schedule(1000 + i, () => {})
    expect(timers).toBe(1)
    clock.advance(1500)
    expect(timers).toBe(1)
    clock.advance(1500)
    expect(timers).toBe(0)
    schedule.schedule(10, () => {})
    expect(timers).toBe(1)
  })

  it('runs nothing more when one of the callbacks stops it', () => {
    const clock = new MovableClock()
    const schedule = new Schedule(clock)
    const ran: string[] = []
    schedule.schedule(1000, () => {
      ran.push('first')
      schedule.stop()
      schedule.schedule(0, () => ran.push('after'))
    })
    schedule.schedule(1000, () => ran.push('second'))
    clock.advance(60_000)
    expect(ran).toEqual(['first'])
  })

  it('re-arms itself from a callback', () => {
    const clock = new MovableClock()
    const schedule = new Schedule(clock)
    let beats = 0
    const beat = () => {
      beats++
      schedule.schedule(1000, beat)
    }
    schedule.schedule(1000, beat)
    clock.advance(60_000)
    expect(beats).toBeGreaterThanOrEqual(48)
    expect(beats).toBeLessThanOrEqual(60)
  })

  it('runs everything after a stall longer than a round', () => {
    let nowMs = 0
    let fire = () => {}
    const stalled: Clock = { wallMs: () => nowMs, monoMs: () => nowMs, turn: (run) => run(), after: (_delay, run) => ((fire = run), () => {}) }
    const schedule = new Schedule(stalled)
    let ran = 0
    for (let i = 0; i < 600; i++) schedule.schedule(i * 250, () => ran++)
    nowMs = 3_600_000
    fire()
    expect(ran).toBe(600)
  })

  it('spreads a hundred thousand over several turns', async () => {
    const clock = new MovableClock()
    const schedule = new Schedule(clock)
    let ran = 0
    for (let i = 0; i < 100_000; i++) schedule.schedule(1000, () => ran++)
    clock.advance(1000)
    expect(ran).toBeLessThan(100_000)
    await vi.waitFor(() => expect(ran).toBe(100_000))
  })

  it('tells what a callback threw and runs the rest', () => {
    const clock = new MovableClock()
    const errors: unknown[] = []
    const schedule = new Schedule(clock, (error) => errors.push(error))
    let ran = 0
    schedule.schedule(1, () => {
      throw new Error('mine')
    })
    schedule.schedule(1, () => ran++)
    clock.advance(500)
    expect(ran).toBe(1)
    expect(errors).toEqual([new Error('mine')])
  })
})
