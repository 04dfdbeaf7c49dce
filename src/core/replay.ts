// The journal read back into a state: what a leader does before it leads, and the snapshot thread all the time.
import type { Visitor } from '../journal/journal.ts'
import type { Apply } from './apply.ts'
import { decodeState } from './snapshot.ts'
import type { State } from './state.ts'

export class Replay implements Visitor {
  readonly #state: State
  readonly #apply: Apply

  constructor(state: State, apply: Apply) {
    this.#state = state
    this.#apply = apply
  }

  snapshot(bytes: readonly Uint8Array[]): void {
    decodeState(this.#apply, bytes)
  }

  batch(batch: number, epoch: number, _wallMs: number): void {
    this.#state.batch = batch
    this.#state.epoch = epoch
  }

  fact(type: number, buffer: Buffer, start: number, end: number, segment: number, offset: number): void {
    this.#apply.fact(type, buffer, start, end, segment, offset)
  }
}
