// What consumers add to what is told of a message, as it counts towards `limits.addedBytes` and `addedBytesPerMessage`. Where it lives: state.ts.
import type { Addition } from '../api.ts'

/** An addition is a few objects besides its bytes, and each delivery reads all of them: without this a thousand tiny ones would fit where a few are meant. */
const OVERHEAD_BYTES = 256

export function addedBytesOf({ bytes }: Addition): number {
  return OVERHEAD_BYTES + bytes.length
}
