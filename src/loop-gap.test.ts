import { setImmediate } from 'node:timers/promises'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Log } from './api.ts'
import { MovableClock, realClock } from './clock.ts'
import { mark, watchLoop } from './loop-gap.ts'

const told: Readonly<Record<string, unknown>>[] = []
const log: Log = { debug: () => {}, info: () => {}, warn: (fields) => told.push(fields), error: () => {} }
let stop = () => {}

afterEach(() => {
  stop()
  told.length = 0
})

describe('the loop-gap monitor', () => {
  it('names what took the longest in a turn over the threshold', async () => {
    const clock = new MovableClock()
    stop = watchLoop({ clock, log, thresholdMs: 10 })
    mark('parse', 3)
    clock.advance(4)
    mark('route', 5000)
    clock.advance(30)
    mark('write', 7)
    clock.advance(1)
    await setImmediate()
    expect(told).toEqual([{ ms: 35, what: 'route', count: 5000, whatMs: 30, unlogged: 0 }])
  })

  it('counts time between turns for nobody', async () => {
    const clock = new MovableClock()
    stop = watchLoop({ clock, log, thresholdMs: 10 })
    for (let i = 0; i < 5; i++) {
      mark('parse', 1)
      clock.advance(9)
      await setImmediate()
      clock.advance(90)
    }
    expect(told).toEqual([])
  })

  it('logs at most once a second and says how many it kept to itself', async () => {
    const clock = new MovableClock()
    stop = watchLoop({ clock, log, thresholdMs: 10 })
    for (let i = 0; i < 61; i++) {
      mark('snapshot', i)
      clock.advance(20)
      await setImmediate()
    }
    expect(told.map((each) => each['unlogged'])).toEqual([0, 49])
  })

  it('sees a long turn that nobody marked', async () => {
    stop = watchLoop({ clock: realClock, log, thresholdMs: 10 })
    const blocked = new Int32Array(new SharedArrayBuffer(4))
    await vi.waitFor(
      () => {
        // Blocks this turn of the loop for real.
        Atomics.wait(blocked, 0, 0, 60)
        expect(told.some((each) => each['what'] === 'unmarked' && Number(each['ms']) > 20)).toBe(true)
      },
      { timeout: 5000, interval: 50 },
    )
  })

  it('does nothing when it is not on, nor after it was stopped', async () => {
    const clock = new MovableClock()
    watchLoop({ clock, log, thresholdMs: 10 })()
    mark('parse', 1)
    clock.advance(100)
    await setImmediate()
    expect(told).toEqual([])
  })
})
