// CPU that a process has used, of all its threads, in nanoseconds' resolution: the ticks of /proc/PID/stat are too coarse for a short run.
import { readdirSync, readFileSync } from 'node:fs'

/** NaN: it is not there, or this is not Linux. A thread that ended takes its time along. */
export function cpuMs(pid: number): number {
  try {
    let ns = 0
    for (const thread of readdirSync(`/proc/${pid}/task`)) ns += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0])
    return ns / 1e6
  } catch {
    return Number.NaN
  }
}
