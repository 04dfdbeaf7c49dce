// What the soak measures each second, and whether it stays flat: the last third of the run beside the first. Not a benchmark: it knows no aim.
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

export interface Sample {
  readonly second: number
  readonly rssMiB: number
  readonly diskMiB: number
  /** Acknowledged messages in this second. */
  readonly acknowledged: number
  /** Of the probe; NaN: nothing in this second. */
  readonly p50Ms: number
  readonly p99Ms: number
  /** The longest turn of the event loop that the broker told of; 0: none. */
  readonly gapMs: number
  /** The broker was killed in this second. */
  readonly killed: boolean
}

export function rssMiB(pid: number | undefined): number {
  try {
    return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
  } catch {
    return Number.NaN
  }
}

export function diskMiB(folder: string): number {
  let bytes = 0
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue
    try {
      bytes += statSync(join(entry.parentPath, entry.name)).blocks * 512
    } catch {
      // Freed meanwhile.
    }
  }
  return bytes / 2 ** 20
}

export function percentile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN
}

/** `judged`: not being flat is a failure. Times are the machine's too, so they are told and judged by who reads them. */
export type Trend = Readonly<{ what: string; first: number; last: number; flat: boolean; judged: boolean }>

const STEADY_AFTER_SECONDS = 180

/**
 * Each figure's early and late value, and whether the late one is within what a steady state may do. The first tenth is warm-up;
 * a run of less than three minutes is nothing else, and only loss is judged in it.
 */
export function trends(samples: readonly Sample[]): Trend[] {
  const steady = samples.slice(Math.floor(samples.length / 10))
  const third = Math.floor(steady.length / 3)
  const of = (from: readonly Sample[], pick: (sample: Sample) => number, part: number) =>
    percentile(
      from.map(pick).filter((value) => !Number.isNaN(value)),
      part,
    )
  const early = steady.slice(0, third)
  const late = steady.slice(-third)
  const trend = (what: string, pick: (sample: Sample) => number, part: number, times: number, more: number, judged: boolean): Trend => {
    const first = of(early, pick, part)
    const last = of(late, pick, part)
    return { what, first, last, flat: last <= first * times + more, judged: judged && samples.length >= STEADY_AFTER_SECONDS }
  }
  return [
    trend('RSS, median, MiB', ({ rssMiB }) => rssMiB, 0.5, 1.2, 32, true),
    trend('RSS, most, MiB', ({ rssMiB }) => rssMiB, 1, 1.3, 64, true),
    trend('disk, most, MiB', ({ diskMiB }) => diskMiB, 1, 1.2, 256, true),
    trend('probe p50, median, ms', ({ p50Ms }) => p50Ms, 0.5, 3, 10, false),
    trend('probe p99, median, ms', ({ p99Ms }) => p99Ms, 0.5, 3, 50, false),
    trend('longest turn, 95 in 100 seconds, ms', ({ gapMs }) => gapMs, 0.95, 3, 100, false),
  ]
}
