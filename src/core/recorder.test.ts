import { setImmediate } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { MovableClock } from '../clock.ts'
import { EVENT, REASON, Recorder } from './recorder.ts'

describe('the flight recorder', () => {
  it('tells what was noted, the newest first, with its names', () => {
    const recorder = new Recorder(new MovableClock(5000))
    recorder.note(EVENT.accepted, 0, 1, REASON.none, 1024)
    recorder.note(EVENT['dead-lettered'], 3, 2 ** 45, REASON['failures-max'], -1.5)
    expect([...recorder.recent()]).toEqual([
      { atMs: 5000, event: 'dead-lettered', queue: 3, sequence: 2 ** 45, reason: 'failures-max', extra: -1.5 },
      { atMs: 5000, event: 'accepted', queue: 0, sequence: 1, reason: 'none', extra: 1024 },
    ])
  })

  it('filters by queue, sequence, event, time and number', async () => {
    const clock = new MovableClock(1000)
    const recorder = new Recorder(clock)
    for (let i = 0; i < 10; i++) recorder.note(i % 2 === 0 ? EVENT.routed : EVENT.handed, i % 3, i, REASON.none, 0)
    const sequences = (filter: Parameters<Recorder['recent']>[0]) => [...recorder.recent(filter)].map((each) => each.sequence)
    expect(sequences({ queue: 1 })).toEqual([7, 4, 1])
    expect(sequences({ queue: 1, event: EVENT.handed })).toEqual([7, 1])
    expect(sequences({ sequence: 4 })).toEqual([4])
    expect(sequences({ limit: 2 })).toEqual([9, 8])
    await setImmediate()
    clock.advance(50)
    recorder.note(EVENT.settled, 1, 99, REASON.accepted, 0)
    expect(sequences({ sinceMs: 1050 })).toEqual([99])
    expect(sequences({ sinceMs: 1000 }).length).toBe(11)
  })

  it('keeps the last 65,536', () => {
    const recorder = new Recorder(new MovableClock())
    for (let i = 0; i < 200_000; i++) recorder.note(EVENT.routed, 1, i, REASON.none, 0)
    const all = [...recorder.recent()]
    expect(all.length).toBe(65_536)
    expect(all[0]?.sequence).toBe(199_999)
    expect(all.at(-1)?.sequence).toBe(200_000 - 65_536)
    expect(recorder.count).toBe(200_000)
  })

  it('leaves out what is overwritten while its reader pauses', () => {
    const recorder = new Recorder(new MovableClock())
    for (let i = 0; i < 65_536; i++) recorder.note(EVENT.routed, 1, i, REASON.none, 0)
    const reader = recorder.recent()
    reader.next()
    for (let i = 0; i < 65_000; i++) recorder.note(EVENT.routed, 2, i, REASON.none, 0)
    const rest = [...reader]
    expect(rest.every((each) => each.queue === 1)).toBe(true)
    expect(rest.length).toBe(535)
  })

  it('gives no number two meanings', () => {
    for (const codes of [EVENT, REASON]) expect(new Set(Object.values(codes)).size).toBe(Object.keys(codes).length)
    expect(Math.max(...Object.values(EVENT), ...Object.values(REASON))).toBeLessThan(256)
  })
})
