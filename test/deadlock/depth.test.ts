// Full queues again, where not everybody takes everything: selectors, message groups, and transactions that send to the queue whose room depends on
// the same connection's settlements. 20,000 messages each go through a queue that holds 100.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { addressOf, until } from '../wire/bytes.ts'
import { NodeProcess, type Ready } from '../wire/node-process.ts'
import { type StompFrame, type StompHeaders, StompWire } from '../wire/stomp-wire.ts'

const MESSAGES = Number(process.env['DEADLOCK_MESSAGES'] ?? 100_000) / 5
const LIMIT = 100
const WINDOW = 400
const STALLED_MS = 10_000
const COLOURS = ['red', 'blue', 'green'] as const

let data = ''
let node: NodeProcess
let ready: Ready

beforeAll(async () => {
  data = mkdtempSync(join(tmpdir(), 'bascule-deadlock-'))
  node = new NodeProcess({ data, args: ['--set', `destinations.limitMessages=${LIMIT}`] })
  ready = await node.leads()
})

afterAll(async () => {
  await node.signal('SIGKILL')
  rmSync(data, { recursive: true, force: true })
})

const connect = (): Promise<StompWire> => StompWire.connect(addressOf(ready.listeners['stomp'] ?? ''))

/** Sends into a queue that it consumes from: what it has sent, what was answered, what it took. */
class Loop {
  wire: StompWire
  sent = 0
  answered = 0
  taken = 0
  wrong = ''
  readonly total: number
  readonly #destination: string
  readonly #headersOf: (number: number) => StompHeaders
  /** By stream, the last number: within one they come in order. */
  readonly #last = new Map<string, number>()
  readonly #streamOf: (message: StompFrame) => string

  constructor(
    wire: StompWire,
    destination: string,
    total: number,
    headersOf: (number: number) => StompHeaders,
    streamOf: (message: StompFrame) => string,
  ) {
    this.wire = wire
    this.total = total
    this.#destination = destination
    this.#headersOf = headersOf
    this.#streamOf = streamOf
    wire.onError = (error) => {
      this.wrong ||= error.body.toString()
    }
    wire.onReceipt = () => {
      this.answered++
      this.send()
    }
    wire.onMessage = (message) => this.take(message)
  }

  take(message: StompFrame): void {
    const stream = this.#streamOf(message)
    const number = Number(message.body.toString())
    if (number <= (this.#last.get(stream) ?? -1)) this.wrong ||= `${stream} ${number} after ${this.#last.get(stream)}`
    this.#last.set(stream, number)
    this.taken++
    this.wire.send('ACK', { id: message.headers.get('ack') ?? '' })
  }

  send(): void {
    while (this.sent < this.total && this.sent - this.answered < WINDOW) {
      const number = this.sent++
      const headers = { destination: this.#destination, persistent: 'true', receipt: String(number), ...this.#headersOf(number) }
      this.wire.send('SEND', headers, Buffer.from(String(number)))
    }
  }

  subscribe(id: string, headers: StompHeaders = {}): Promise<void> {
    return this.wire.ask('SUBSCRIBE', { id, destination: this.#destination, ack: 'client-individual', 'activemq.prefetchSize': '1', ...headers })
  }

  get progress(): number {
    return this.wrong === '' && !this.wire.closed ? this.taken + this.answered : Number.POSITIVE_INFINITY
  }

  async goesThrough(): Promise<void> {
    for (let before = -1; this.progress < 2 * this.total; ) {
      before = this.progress
      await until(`progress after ${before} of ${2 * this.total}`, () => this.progress > before, STALLED_MS)
    }
    expect({ wrong: this.wrong, taken: this.taken, answered: this.answered, closed: this.wire.closed }).toEqual({
      wrong: '',
      taken: this.total,
      answered: this.total,
      closed: false,
    })
    this.wire.destroy()
  }
}

const colourOf = (number: number): string => COLOURS[number % COLOURS.length] ?? ''
const select = (colour: string): StompHeaders => ({ selector: `colour = '${colour}'` })

describe('one connection that produces into the full queue it consumes from', () => {
  it('goes on with a subscription for each kind of message, a prefetch of one', { timeout: 120_000 }, async () => {
    const colour = (message: StompFrame): string => message.headers.get('colour') ?? ''
    const loop = new Loop(await connect(), '/queue/full.selected', MESSAGES, (number) => ({ colour: colourOf(number) }), colour)
    for (const each of COLOURS) await loop.subscribe(each, select(each))
    loop.send()
    await loop.goesThrough()
  })

  it('goes on when it subscribes to what fills the queue and nobody took', { timeout: 60_000 }, async () => {
    const total = 2_000
    const colour = (message: StompFrame): string => message.headers.get('colour') ?? ''
    const loop = new Loop(await connect(), '/queue/full.stuck', total, (number) => ({ colour: colourOf(number) }), colour)
    await loop.subscribe('red', select('red'))
    loop.send()
    // Full of what is not red: sends wait, and what was sent behind them too.
    await until('a full queue', () => loop.answered >= LIMIT)
    await until(
      'a third of what was sent taken, and no more',
      () => loop.taken === Math.ceil(loop.answered / 3) && loop.answered - loop.taken >= LIMIT,
    )
    expect(loop.answered).toBeLessThan(WINDOW)
    for (const each of ['blue', 'green']) await loop.subscribe(each, select(each))
    await loop.goesThrough()
  })

  it('goes on with message groups and three consumers, a prefetch of one', { timeout: 120_000 }, async () => {
    const group = (message: StompFrame): string => message.headers.get('JMSXGroupID') ?? ''
    const loop = new Loop(await connect(), '/queue/full.grouped', MESSAGES, (number) => ({ JMSXGroupID: `g${number % 7}` }), group)
    for (const each of COLOURS) await loop.subscribe(each)
    loop.send()
    await loop.goesThrough()
  })

  it('goes on with transactions whose sends wait for room that its own settlements make', { timeout: 120_000 }, async () => {
    const size = 40
    const total = MESSAGES - (MESSAGES % size)
    const wire = await connect()
    const loop = new Loop(
      wire,
      '/queue/full.transactions',
      total,
      () => ({}),
      () => 'all',
    )
    let committed = 0
    // Two at a time, which is less than the queue holds: what is full of transactions only refuses the next one. A commit is answered when all its sends had room.
    const send = (): void => {
      while (loop.sent < total && loop.sent - committed < 2 * size) {
        const transaction = `t${loop.sent}`
        wire.send('BEGIN', { transaction })
        for (let i = 0; i < size; i++) {
          wire.send('SEND', { destination: '/queue/full.transactions', persistent: 'true', transaction }, Buffer.from(String(loop.sent++)))
        }
        wire.send('COMMIT', { transaction, receipt: transaction })
      }
    }
    wire.onReceipt = () => {
      committed += size
      loop.answered += size
      send()
    }
    await loop.subscribe('0')
    send()
    await loop.goesThrough()
  })
})

describe('a transaction that took a message', () => {
  it('is refused a send for which there is no room, instead of waiting for itself', { timeout: 30_000 }, async () => {
    const filler = await connect()
    for (let i = 0; i < LIMIT; i++) await filler.ask('SEND', { destination: '/queue/full.itself', persistent: 'true' }, Buffer.from(String(i)))
    const wire = await connect()
    const got: StompFrame[] = []
    wire.onMessage = (message) => got.push(message)
    await wire.ask('SUBSCRIBE', { id: '0', destination: '/queue/full.itself', ack: 'client-individual', 'activemq.prefetchSize': '1' })
    await until('a message', () => got.length === 1)
    await wire.ask('BEGIN', { transaction: 't' })
    await wire.ask('ACK', { id: got[0]?.headers.get('ack') ?? '', transaction: 't' })
    wire.send('SEND', { destination: '/queue/full.itself', persistent: 'true', transaction: 't', receipt: 'never' }, Buffer.from('more'))
    wire.send('COMMIT', { transaction: 't', receipt: 'never' })
    wire.flush()
    await until('its refusal', () => wire.error !== undefined && wire.closed)
    // Nothing of it happened.
    const next = await connect()
    const all: string[] = []
    next.onMessage = (message) => all.push(message.body.toString())
    await next.ask('SUBSCRIBE', { id: '0', destination: '/queue/full.itself', ack: 'client-individual', 'activemq.prefetchSize': '1000' })
    await until('all of it', () => all.length === LIMIT)
    expect(all).toEqual(Array.from({ length: LIMIT }, (_, i) => String(i)))
  })
})
