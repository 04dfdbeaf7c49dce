// The durable state as the journal tells it: what a leader begins with, a standby keeps warm, and the snapshot thread writes down.
// It only follows; what a leader adds to it (consumers, deadlines, what is not durable) is `live.ts`.
import type { Clock } from '../api.ts'
import type { Settings } from '../config/settings.ts'
import type { Visitor } from '../journal/journal.ts'
import { Apply } from './apply.ts'
import { policyFrom } from './policy.ts'
import { decodeState, digestState } from './snapshot.ts'
import { State } from './state.ts'

/** Chunks of a snapshot (about 1 MiB each) applied in one turn. */
const CHUNKS_A_TURN = 4

export class Replica implements Visitor {
  readonly state = new State()
  readonly apply: Apply
  readonly #clock: Pick<Clock, 'turn'> | undefined

  /** With a clock a large snapshot is read in turns, so that the process can answer and heartbeat meanwhile. */
  constructor(destinations: Settings['destinations'], clock?: Pick<Clock, 'turn'>) {
    this.#clock = clock
    this.apply = new Apply(this.state, (address, declared) => policyFrom(destinations, address, declared))
  }

  snapshot(bytes: readonly Uint8Array[]): void | Promise<void> {
    const clock = this.#clock
    const rest = decodeState(this.apply, bytes)
    if (clock !== undefined && bytes.length > CHUNKS_A_TURN) return inTurns(rest, clock)
    while (rest.next().done !== true);
  }

  batch(batch: number, epoch: number, _wallMs: number): void {
    this.state.batch = batch
    this.state.epoch = epoch
  }

  fact(type: number, buffer: Buffer, start: number, end: number, segment: number, offset: number): void {
    this.apply.fact(type, buffer, start, end, segment, offset)
  }

  moved(segment: number, offset: number, length: number, toSegment: number, toOffset: number): void {
    this.apply.relocation.range(segment, offset, length, toSegment, toOffset)
  }

  /** The batch last told, and the digest of the state it made (invariant 9). */
  digest(): Readonly<{ batch: number; digest: string }> {
    return { batch: this.state.batch, digest: digestState(this.state) }
  }
}

async function inTurns(rest: Generator<void, void, void>, clock: Pick<Clock, 'turn'>): Promise<void> {
  for (let chunks = 1; rest.next().done !== true; chunks++) {
    if (chunks % CHUNKS_A_TURN === 0) await new Promise<void>((resolve) => clock.turn(resolve))
  }
}
