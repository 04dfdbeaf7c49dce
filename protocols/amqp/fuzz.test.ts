// Streams that are nearly right, changed at random by a seed, over the real core: whatever comes, nothing is thrown, nothing is slow, the connection
// is open or ended with our Close, and the node goes on. A seed that once failed becomes a file in corpus/.
import { readdirSync, readFileSync } from 'node:fs'
import { afterEach, describe, expect, it } from 'vitest'
import type { Connection, Wire } from '../../src/api.ts'
import { SeededRandom } from '../../src/random.ts'
import { CoreNode } from '../../test/support/core.ts'
import { AMQP_HEADER, SASL_HEADER } from './codec.ts'
import { addressTerm, amqpDefaults } from './fake-node.ts'
import { frame } from './frames.ts'
import amqp from './index.ts'
import { boolean, described, list, pairs, NULL, symbol, type Term, text, uint } from './term.ts'

const CORPUS = new URL('./corpus/', import.meta.url)
/** One read is dealt with in far less; a loop over a claimed count takes seconds. */
const SLOW_MS = 250

class FakeWire implements Wire {
  readonly remote = 'fuzz'
  readonly secure = false
  readonly backlogBytes = 0
  written = Buffer.alloc(0)
  ended = false
  pauses = 0

  write(bytes: Uint8Array): void {
    if (this.ended) throw new Error('written after the end')
    this.written = Buffer.concat([this.written, bytes])
  }

  room: Buffer = Buffer.alloc(0)

  reserve(bytes: number): number {
    if (this.ended) throw new Error('written after the end')
    this.written = Buffer.concat([this.written, Buffer.alloc(bytes)])
    this.room = this.written
    return this.written.length - bytes
  }

  trim(bytes: number): void {
    this.written = this.written.subarray(0, this.written.length - bytes)
  }

  pause(): void {
    this.pauses++
  }

  resume(): void {
    if (--this.pauses < 0) throw new Error('resumed more often than paused')
  }

  end(): void {
    this.ended = true
  }

  destroy(): void {
    this.ended = true
  }
}

const cores: CoreNode[] = []
afterEach(async () => {
  for (const core of cores.splice(0)) await core.core.stop()
})

const turn = async (): Promise<void> => await new Promise((resolve) => setImmediate(resolve))

/** A front end, fed by fake wires. `faults`: what it logged as its own. */
function newFront() {
  const core = new CoreNode()
  cores.push(core)
  const faults: unknown[] = []
  const log = { debug() {}, info() {}, warn() {}, error: (fields: unknown) => void faults.push(fields) }
  const front = amqp.start(core.core, { ...amqpDefaults, termsMax: 1000, creditWindow: 10 }, log)
  core.core.setDialects([front.dialect])
  return { front, faults, core }
}

async function feed(front: ReturnType<typeof newFront>['front'], pieces: readonly Buffer[]): Promise<FakeWire> {
  const wire = new FakeWire()
  const connection: Connection = front.accept(wire)
  for (const piece of pieces) {
    const before = performance.now()
    connection.data(piece)
    expect(performance.now() - before).toBeLessThan(SLOW_MS)
    if (wire.pauses > 0 || piece.length > 8) await turn()
  }
  for (let i = 0; i < 5; i++) await turn()
  connection.closed()
  return wire
}

const tag = (value: string): Term => ({ type: 'binary', value: Buffer.from(value) })
const DATA = Buffer.from([0x00, 0x53, 0x75, 0xa0, 0x01, 0x78])

function transferFrame(handle: number, id: number, payload: Buffer, more: boolean, resume = false): Buffer {
  const fields = [uint(handle), uint(id), tag(String(id)), uint(0), boolean(false), boolean(more), undefined, undefined, boolean(resume)]
  const whole = Buffer.concat([frame(0, 0x14, fields), payload])
  whole.writeUInt32BE(whole.length, 0)
  return whole
}

/** A client's stream as it might be. */
function stream(random: SeededRandom): Buffer[] {
  const small = (): number => random.below(4)
  const accepted = described(0x24 + random.below(4), list([]))
  const terminus = (code: 0x28 | 0x29, names: readonly string[]): Term =>
    described(
      code,
      list([
        text(names[random.below(names.length)] ?? ''),
        uint(random.below(3)),
        symbol(['never', 'session-end', 'link-detach', 'connection-close'][random.below(4)] ?? ''),
        uint(random.below(2) * 30),
      ]),
    )
  const source = terminus(0x28, ['a', 'topic://a.*', 'queue://b', 'a,topic://b'])
  // Links of the same names come again on the next stream: what they had unsettled is resumed, or not.
  const unsettled = (): Term =>
    pairs(Array.from({ length: random.below(4) }, () => [tag(String(random.below(10))), random.below(2) === 0 ? NULL : accepted] as const))
  const frames: Buffer[] = random.below(4) === 0 ? [SASL_HEADER, frame(0, 0x41, [symbol('ANONYMOUS')], 1)] : []
  frames.push(
    AMQP_HEADER,
    frame(0, 0x10, [text('fuzz'), undefined, uint(512 + random.below(1000))]),
    frame(0, 0x11, [undefined, uint(0), uint(random.below(100)), uint(100)]),
  )
  for (let count = random.below(20); count > 0; count--) {
    const kinds = [
      () =>
        frame(0, 0x12, [text(`n${small()}`), uint(small()), boolean(false), undefined, undefined, addressTerm(0x28, 'me'), addressTerm(0x29, 'a')]),
      () =>
        frame(0, 0x12, [
          text(`n${small()}`),
          uint(small()),
          boolean(true),
          undefined,
          undefined,
          source,
          addressTerm(0x29, 'me'),
          pairs([[tag('x'), accepted]]),
        ]),
      () =>
        frame(0, 0x13, [
          uint(small()),
          uint(random.below(50)),
          uint(0),
          uint(10),
          uint(small()),
          uint(0),
          uint(random.below(50)),
          undefined,
          boolean(random.below(2) === 0),
          boolean(random.below(2) === 0),
        ]),
      () =>
        frame(0, 0x12, [
          text(`n${small()}`),
          uint(small()),
          boolean(random.below(2) === 0),
          undefined,
          { type: 'uint8', value: random.below(2) },
          source,
          terminus(0x29, ['a', 'queue://b,topic://c']),
          unsettled(),
          boolean(random.below(4) === 0),
        ]),
      () => transferFrame(small(), random.below(10), DATA, random.below(3) === 0),
      () => transferFrame(small(), random.below(10), DATA, false, true),
      () =>
        frame(0, 0x15, [
          boolean(true),
          uint(0),
          uint(small()),
          boolean(true),
          described(0x27, list([boolean(true), boolean(false), pairs([[symbol('x-opt-tries'), uint(small())]])])),
        ]),
      () => transferFrame(small(), random.below(10), Buffer.from(random.bytes(random.below(60))), false),
      () => frame(0, 0x15, [boolean(random.below(2) === 0), uint(small()), uint(small()), boolean(random.below(2) === 0), accepted]),
      () => frame(0, 0x16, [uint(small()), boolean(random.below(2) === 0)]),
      () => frame(random.below(2), 0x17, []),
      () => frame(random.below(2), 0x11, [undefined, uint(0), uint(10), uint(10)]),
    ]
    frames.push(kinds[random.below(kinds.length)]())
  }
  return frames
}

/** Bytes changed, frames repeated, left out, cut. */
function mutate(frames: Buffer[], random: SeededRandom): Buffer {
  for (let change = random.below(3); change > 0; change--) {
    const at = random.below(frames.length)
    if (random.below(2) === 0) frames.splice(at, 1)
    else frames.splice(at, 0, frames[random.below(frames.length)] ?? Buffer.alloc(0))
    if (frames.length === 0) return Buffer.alloc(0)
  }
  const bytes = Buffer.concat(frames)
  for (let change = random.below(4); change > 0 && bytes.length > 0; change--) bytes[random.below(bytes.length)] = random.below(256)
  return bytes
}

function split(bytes: Buffer, random: SeededRandom): Buffer[] {
  const pieces: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const next = at + 1 + random.below(200)
    pieces.push(bytes.subarray(at, next))
    at = next
  }
  return pieces
}

describe('streams', () => {
  const files = readdirSync(CORPUS).filter((name) => name.endsWith('.hex'))
  it.each(files)('of the corpus: %s', async (name) => {
    const bytes = Buffer.from(readFileSync(new URL(name, CORPUS), 'utf8').replace(/\s/g, ''), 'hex')
    const { front, faults } = newFront()
    const whole = await feed(front, [bytes])
    const bytewise = await feed(
      front,
      Array.from(bytes, (_, at) => bytes.subarray(at, at + 1)),
    )
    expect(bytewise.ended).toBe(whole.ended)
    expect(faults).toEqual([])
  })

  it('changed at random throw nothing, leave nothing behind, and the node takes and gives as before', async () => {
    const { front, faults, core } = newFront()
    const sessions = core.core.figures().sessionsOpen
    for (let seed = 1; seed <= 1500; seed++) {
      const random = new SeededRandom(seed)
      const bytes = mutate(stream(random), random)
      try {
        await feed(front, split(bytes, random))
      } catch (error) {
        throw new Error(`seed ${seed}: ${bytes.toString('hex')}`, { cause: error })
      }
    }
    expect(faults).toEqual([])
    expect(core.core.figures().sessionsOpen).toBeGreaterThan(sessions)
    // The time of whatever was kept is over.
    core.clock.advance(amqpDefaults.linkKeepMaxMs + 1_000)
    await core.settled()
    expect(core.core.figures().sessionsOpen).toBe(sessions)
    const good = [AMQP_HEADER, frame(0, 0x10, [text('good')]), frame(0, 0x11, [undefined, uint(0), uint(100), uint(100)])]
    good.push(
      frame(0, 0x12, [text('s'), uint(0), boolean(false), undefined, undefined, addressTerm(0x28, 'me'), addressTerm(0x29, 'fine')]),
      transferFrame(0, 0, DATA, false),
    )
    const wire = await feed(front, good)
    expect(wire.written.includes(Buffer.from([0x00, 0x53, 0x24, 0x45]))).toBe(true)
  }, 60_000)

  it('of noise end or wait', async () => {
    const { front, faults } = newFront()
    for (let seed = 1; seed <= 1000; seed++) {
      const random = new SeededRandom(seed)
      await feed(front, [AMQP_HEADER, frame(0, 0x10, [text('x')]), Buffer.from(random.bytes(1 + random.below(200)))])
    }
    expect(faults).toEqual([])
  }, 60_000)
})
