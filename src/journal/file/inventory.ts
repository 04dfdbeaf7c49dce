// What lies in `segments/`, by name only.
import type { Disk } from '../../disk.ts'
import { type SegmentName, isSpareFile, parseSegmentFile, segmentsIn } from './segment.ts'

export type Inventory = Readonly<{
  /** Log segments by epoch, numbers rising. */
  log: ReadonlyMap<number, readonly number[]>
  old: readonly SegmentName[]
  spares: readonly string[]
  strangers: readonly string[]
}>

export async function takeInventory(disk: Disk, directory: string): Promise<Inventory> {
  const log = new Map<number, number[]>()
  const old: SegmentName[] = []
  const spares: string[] = []
  const strangers: string[] = []
  for (const file of await disk.list(segmentsIn(directory))) {
    const name = parseSegmentFile(file)
    if (name === undefined) (isSpareFile(file) ? spares : strangers).push(file)
    else if (name.family === 'old') old.push(name)
    else {
      const numbers = log.get(name.epoch)
      if (numbers === undefined) log.set(name.epoch, [name.segment])
      else numbers.push(name.segment)
    }
  }
  for (const numbers of log.values()) numbers.sort((a, b) => a - b)
  old.sort((a, b) => a.segment - b.segment)
  return { log, old, spares, strangers }
}
