// `bascule journal dump`: what a start would replay, one line a batch and a fact. Reads only; may run beside a broker.
import type { Disk } from '../disk.ts'
import { highestEpoch } from '../failover/claim-file.ts'
import { readFormat } from './file/directory.ts'
import { readLog } from './file/read-log.ts'
import { recover } from './file/recover.ts'

/** The name of a fact, and what is worth saying of its content: `facts.ts` exports one. */
export type Describe = (type: number, bytes: Uint8Array) => string

export async function dumpJournal(disk: Disk, directory: string, describe: Describe, print: (line: string) => void): Promise<void> {
  const { format, cluster } = await readFormat(disk, directory)
  const top = await highestEpoch(disk, directory)
  const recovered = await recover(disk, directory, top + 1)
  print(`journal format ${format} cluster ${cluster} epoch ${top} batch ${recovered.lastBatch}`)
  for (const { epoch, segment, end } of recovered.chain)
    print(segment === 0 ? `epoch ${epoch} void` : `epoch ${epoch} ends in segment ${segment} at ${end}`)
  await readLog({
    disk,
    directory,
    chain: recovered.chain,
    last: undefined,
    batchMax: recovered.lastBatch,
    warn: (sentence) => print(`! ${sentence}`),
    visitor: {
      snapshot: (bytes) => print(`snapshot chunks ${bytes.length} bytes ${bytes.reduce((sum, chunk) => sum + chunk.byteLength, 0)}`),
      batch: (batch, epoch, wallMs) => print(`batch ${batch} epoch ${epoch} at ${new Date(wallMs).toISOString()}`),
      fact(type, buffer, start, end, segment, offset) {
        print(`  ${segment}:${offset} ${type} ${describe(type, buffer.subarray(start, end))} bytes ${end - start}`)
      },
    },
  })
}
