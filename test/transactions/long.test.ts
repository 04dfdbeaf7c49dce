// One transaction of 200,000 messages beside a client with one message in flight: whole, in order, and the other is not kept waiting. How long it waited is
// printed and not judged, since a busy machine says nothing of us. `LONG_MESSAGES` sets another length.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { addressOf, type Place, until } from '../wire/bytes.ts'
import { NodeProcess } from '../wire/node-process.ts'
import { StompWire } from '../wire/stomp-wire.ts'

const MESSAGES = Number(process.env['LONG_MESSAGES'] ?? 200_000)
/** Sends that are written in one go, so that this process measures the broker and not itself. */
const PORTION = 200
const STALLED_MS = 20_000

let data = ''
let node: NodeProcess
let place: Place

beforeAll(async () => {
  data = mkdtempSync(join(tmpdir(), 'bascule-long-'))
  node = new NodeProcess({ data })
  place = addressOf((await node.leads()).listeners['stomp'] ?? '')
})

afterAll(async () => {
  await node.signal('SIGKILL')
  rmSync(data, { recursive: true, force: true })
})

/** One message in flight, until it is told to stop: how long each took, by what the other client was doing. */
class Neighbour {
  phase = 'before'
  readonly tookMs = new Map<string, number[]>()
  #stopped = false

  async run(): Promise<void> {
    const wire = await StompWire.connect(place)
    const body = Buffer.alloc(100, 'x')
    while (!this.#stopped) {
      const { phase } = this
      const begun = performance.now()
      await wire.ask('SEND', { destination: '/queue/neighbour', persistent: 'true', 'content-length': '100' }, body)
      const took = this.tookMs.get(phase) ?? []
      took.push(performance.now() - begun)
      this.tookMs.set(phase, took)
    }
    wire.destroy()
  }

  stop(): void {
    this.#stopped = true
  }

  table(): string {
    return [...this.tookMs]
      .map(([phase, took]) => {
        const sorted = took.toSorted((a, b) => a - b)
        const at = (share: number): string => (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(2)
        return `${phase}: ${took.length} answered, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, max ${at(1)} ms`
      })
      .join('\n')
  }
}

it(`${MESSAGES} messages in one transaction are there whole, in order, and do not stop the broker`, { timeout: 300_000 }, async () => {
  const neighbour = new Neighbour()
  const running = neighbour.run()
  await until('the neighbour', () => (neighbour.tookMs.get('before')?.length ?? 0) > 200, STALLED_MS)
  const sender = await StompWire.connect(place)
  const body = Buffer.alloc(1024, 'y')
  neighbour.phase = 'while it is sent'
  sender.send('BEGIN', { transaction: 'long' })
  for (let sent = 0; sent < MESSAGES; ) {
    for (const end = Math.min(sent + PORTION, MESSAGES); sent < end; sent++) {
      const headers = { destination: '/queue/long', persistent: 'true', transaction: 'long', 'content-length': '1024', n: String(sent) }
      sender.send('SEND', headers, body)
    }
    // Answered, so that what is measured afterwards is the commit and nothing that waits in front of it.
    await sender.ask('SEND', { destination: '/queue/paced', 'content-length': '1' }, Buffer.from('x'))
  }
  neighbour.phase = 'from the commit on'
  const committing = performance.now()
  await sender.ask('COMMIT', { transaction: 'long' })
  const committed = performance.now() - committing
  await until('the neighbour after the commit', () => (neighbour.tookMs.get('from the commit on')?.length ?? 0) > 200, STALLED_MS)
  neighbour.phase = 'while it is received'
  const receiver = await StompWire.connect(place)
  let taken = 0
  let wrong = ''
  receiver.onMessage = ({ headers }) => {
    if (headers.get('n') !== String(taken)) wrong ||= `${headers.get('n')} came where ${taken} was due`
    taken++
  }
  receiver.send('SUBSCRIBE', { id: '1', destination: '/queue/long', ack: 'auto' })
  for (let before = -1; taken < MESSAGES && wrong === ''; ) {
    before = taken
    await until(`a message after ${before} of ${MESSAGES}`, () => taken > before || wrong !== '', STALLED_MS)
  }
  neighbour.stop()
  await running
  console.log(`COMMIT answered after ${committed.toFixed(1)} ms; one in flight beside it:\n${neighbour.table()}`)
  expect(wrong).toBe('')
  expect(taken).toBe(MESSAGES)
})
