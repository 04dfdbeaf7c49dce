// `bascule state digest`: the batch and the digest of a node's durable state, or of what a data directory holds.
// Equal digests at equal batches mean equal states (invariant 9).
import { realClock } from '../clock.ts'
import { loadSettings } from '../config/load.ts'
import { Replica } from '../core/replica.ts'
import { realDisk } from '../disk.ts'
import { readJournal } from '../journal/replay.ts'
import { ask, managementUrl } from './management.ts'
import { readFlags, UsageError } from './usage.ts'

const options = { url: { type: 'string' }, data: { type: 'string' } } as const

/** A directory has neither name nor role. */
type Digest = Readonly<{ batch: number; digest: string; node?: string; role?: string }>

export async function state(args: readonly string[]): Promise<number> {
  const { values, positionals } = readFlags(args, options, 1)
  if (positionals[0] !== 'digest') throw new UsageError(`state wants digest, not ${positionals[0] ?? 'nothing'}. See bascule help state.`)
  if (values.url !== undefined && values.data !== undefined) throw new UsageError('state digest takes --url or --data, not both')
  const { node, role, batch, digest } =
    values.data === undefined ? await ask<Digest>(managementUrl(values.url), 'GET', '/api/state/digest') : await digestOf(values.data)
  process.stdout.write(`${batch} ${digest}${node === undefined ? '' : ` ${node} ${role}`}\n`)
  return 0
}

/** Reads the directory and changes nothing; it may run beside a broker, and then tells what was committed when it began to read. */
async function digestOf(directory: string): Promise<Digest> {
  const { destinations } = await loadSettings({ file: '', environment: {}, flags: {}, sets: [] }, [])
  const replica = new Replica(destinations, realClock)
  await readJournal(realDisk, directory, replica)
  return replica.digest()
}
