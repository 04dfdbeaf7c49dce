// The state as a journal tells it: read in turns, and told that records lie elsewhere.
import { describe, expect, it } from 'vitest'
import { CoreNode, message, NO_RETAIN, PERMANENT } from '../../test/support/core.ts'
import { defaults } from '../config/defaults.ts'
import { LENGTH, OFFSET, SEGMENT } from './messages.ts'
import { Replica } from './replica.ts'
import { encodeState } from './snapshot.ts'

async function filled(count: number, body: string): Promise<Readonly<{ node: CoreNode; replica: Replica }>> {
  const node = new CoreNode()
  const client = node.client()
  const queue = node.queue('q')
  client.session.declare(queue, PERMANENT)
  for (let i = 0; i < count; i++) client.session.publish(queue, message(`${body} ${i}`), NO_RETAIN)
  await node.settled()
  const replica = new Replica(defaults.destinations)
  node.store.replay(replica, node.journal.committed)
  return { node, replica }
}

/** Segment and offset of every message, in order of offset. */
function places(replica: Replica): string[] {
  const { messages, entries } = replica.state
  const found: [number, number][] = []
  for (let row = 1; row < messages.end; row++)
    if (messages.get(row, LENGTH) !== 0) found.push([messages.get(row, SEGMENT), messages.get(row, OFFSET)])
  expect(found).toHaveLength(entries.count)
  return found.sort(([, a], [, b]) => a - b).map(([segment, offset]) => `${segment}:${offset}`)
}

describe('a replica', () => {
  it('has the digest of the leader whose journal it was told', async () => {
    const { node, replica } = await filled(20, 'm')
    expect(replica.digest()).toEqual(node.core.digest())
    expect(await node.core.settledDigest()).toEqual(replica.digest())
  })

  it('that is told that a range lies elsewhere moves what is in it and nothing else', async () => {
    const { replica } = await filled(6, 'm')
    const before = places(replica).map((place) => place.split(':').map(Number))
    const [segment, third] = before[2]
    const [, fifth] = before[4]
    const digest = replica.digest()
    replica.moved(segment, third, fifth - third, 99, 1_000)
    const { liveBytes } = replica.state.messages
    const moved = before.filter(([, offset]) => offset >= third && offset < fifth)
    expect(moved).toHaveLength(2)
    expect(places(replica).filter((place) => place.startsWith('99:'))).toEqual(moved.map(([, offset]) => `99:${offset - third + 1_000}`))
    expect((liveBytes.get(99) ?? 0) > 0 && (liveBytes.get(segment) ?? 0) > 0).toBe(true)
    expect(replica.digest()).toEqual(digest)
    replica.moved(segment, 0, 2 ** 32, 98, 0)
    expect(liveBytes.get(segment)).toBe(0)
    replica.moved(segment, 0, 2 ** 32, 97, 0)
    expect(liveBytes.get(97)).toBe(undefined)
  })

  it('reads a large snapshot in turns, and is the same in the end', async () => {
    const { replica } = await filled(3_000, 'm')
    const bytes = [...encodeState(replica.state)]
    const pieces = bytes.flatMap((chunk) => split(chunk, 20_000))
    let turns = 0
    const inTurns = new Replica(defaults.destinations, {
      turn(run) {
        turns++
        setImmediate(run)
      },
    })
    await inTurns.snapshot(pieces)
    expect(turns).toBeGreaterThan(1)
    expect(inTurns.digest().digest).toBe(replica.digest().digest)
  })
})

/** Cut between facts: each is a length (of type and content), the type, the content. */
function split(chunk: Uint8Array, about: number): Uint8Array[] {
  const buffer = Buffer.from(chunk)
  const pieces: Uint8Array[] = []
  for (let at = 0, from = 0; at < buffer.length; ) {
    at += 4 + buffer.readUInt32LE(at)
    if (at - from > about || at === buffer.length) {
      pieces.push(buffer.subarray(from, at))
      from = at
    }
  }
  return pieces
}
