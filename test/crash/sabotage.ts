// Proof that the crash test can fail: what a broken journal would do, done to the files while the broker is dead.
// `tail`: the last bytes written are gone, as without a sync when the power fails. `past`: yesterday's files are back, as if later batches
// were acknowledged and never written. Production code has no hook for this.
import { closeSync, cpSync, existsSync, openSync, readdirSync, readSync, rmSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'

export type Sabotage = 'none' | 'tail' | 'past'

const TAIL_BYTES = 24 * 1024

/** Call after each kill, before the next start. */
export function sabotage(how: Sabotage, data: string): void {
  const copy = `${data}.past`
  if (how === 'tail') cutTail(newestLog(data))
  if (how === 'past') {
    if (existsSync(copy)) {
      rmSync(data, { recursive: true })
      cpSync(copy, data, { recursive: true })
      rmSync(copy, { recursive: true })
    } else {
      cpSync(data, copy, { recursive: true })
    }
  }
}

/** The segment that was written last; not a spare that was just being filled. */
function newestLog(data: string): string {
  const files = readdirSync(join(data, 'segments'))
    .filter((name) => name.startsWith('seg-'))
    .map((name) => join(data, 'segments', name))
  const newest = files.sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs)[0]
  if (newest === undefined) throw new Error(`no log in ${data}`)
  return newest
}

/** Segments are filled with zeros in advance: the tail is what is before the last of them. */
function cutTail(path: string): void {
  const file = openSync(path, 'r+')
  try {
    let end = statSync(path).size
    const block = Buffer.alloc(64 * 1024)
    for (;;) {
      const start = Math.max(0, end - block.length)
      const read = readSync(file, block, 0, end - start, start)
      let last = read - 1
      while (last >= 0 && block[last] === 0) last--
      if (last >= 0) {
        end = start + last + 1
        break
      }
      if (start === 0) return
      end = start
    }
    const from = Math.max(4096, end - TAIL_BYTES)
    if (from < end) writeSync(file, Buffer.alloc(end - from), 0, end - from, from)
  } finally {
    closeSync(file)
  }
}
