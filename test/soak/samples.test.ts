import { expect, it } from 'vitest'
import { type Sample, trends } from './samples.ts'

function run(rssMiB: (second: number) => number): Sample[] {
  return Array.from({ length: 300 }, (_, second) => ({
    second,
    rssMiB: rssMiB(second),
    diskMiB: 500,
    acknowledged: 1000,
    p50Ms: second < 100 ? 1 : 100,
    p99Ms: Number.NaN,
    gapMs: 0,
    killed: false,
  }))
}

const failed = (samples: readonly Sample[]): string[] => trends(samples).flatMap(({ what, flat, judged }) => (judged && !flat ? [what] : []))

it('takes a sawtooth and a warm-up for flat', () => {
  expect(failed(run((second) => (second < 20 ? 100 : 200 + (second % 30))))).toEqual([])
})

it('finds memory that grows, by its median and by its peaks', () => {
  expect(failed(run((second) => 200 + second))).toEqual(['RSS, median, MiB', 'RSS, most, MiB'])
  expect(failed(run((second) => (second === 290 ? 900 : 200)))).toEqual(['RSS, most, MiB'])
})

it('judges nothing in a run that is all warm-up', () => {
  expect(failed(run((second) => 200 + second).slice(0, 100))).toEqual([])
})
