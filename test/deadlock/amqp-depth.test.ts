// As `depth.test.ts`, by AMQP: one connection, a link that sends into the full queue, links with a credit of one that take from it. The broker says
// that a queue is full by giving no credit; what waits for room must not hold up dispositions, discharges and other links of the connection.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { addressOf, until } from '../wire/bytes.ts'
import { NodeProcess, type Ready } from '../wire/node-process.ts'
import { AmqpLinks, type AmqpSender, isAccepted, type Sections } from './amqp-links.ts'

const MESSAGES = Number(process.env['DEADLOCK_MESSAGES'] ?? 100_000) / 20
const LIMIT = 100
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

/** Sends `STREAM NUMBER` into a queue that it takes from; numbers of one stream come in order. */
class Loop {
  sent = 0
  answered = 0
  taken = 0
  wrong = ''
  readonly links: AmqpLinks
  readonly sender: AmqpSender
  readonly total: number
  readonly #address: string
  readonly #last = new Map<string, number>()

  private constructor(links: AmqpLinks, sender: AmqpSender, address: string, total: number) {
    this.links = links
    this.sender = sender
    this.#address = address
    this.total = total
  }

  static async of(address: string, total: number): Promise<Loop> {
    const links = await AmqpLinks.connect(addressOf(ready.listeners['amqp'] ?? ''))
    return new Loop(links, await links.sender(address), address, total)
  }

  async takes(selector?: string): Promise<void> {
    const receiver = await this.links.receiver(this.#address, 1, selector)
    receiver.onMessage = (body, delivery) => {
      const [stream, number] = body.split(' ')
      const last = this.#last.get(stream) ?? -1
      if (Number(number) <= last) this.wrong ||= `${body} after ${last}`
      this.#last.set(stream, Number(number))
      this.taken++
      this.links.accept(delivery)
      this.links.grant(receiver, 1)
    }
  }

  /** As long as there is credit; answers whether all was sent. */
  send(upTo: number, streamOf: (number: number) => string, sectionsOf: (number: number) => Sections): boolean {
    while (this.sent < upTo) {
      const stream = streamOf(this.sent)
      if (!this.links.send(this.sender, `${stream} ${this.sent}`, sectionsOf(this.sent), (state) => this.#outcome(isAccepted(state)))) return false
      this.sent++
    }
    return true
  }

  /** Outside of transactions each send has its own. */
  #outcome(isTaken: boolean): void {
    if (isTaken) this.answered++
  }

  /** All of it, whenever there is credit. */
  flood(streamOf: (number: number) => string, sectionsOf: (number: number) => Sections): void {
    const go = (): void => void this.send(this.total, streamOf, sectionsOf)
    this.sender.onCredit = go
    go()
  }

  get progress(): number {
    const broken = this.wrong !== '' || this.links.closed || this.links.ended !== ''
    return broken ? Number.POSITIVE_INFINITY : this.taken + this.answered
  }

  async goesThrough(): Promise<void> {
    for (let before = -1; this.progress < 2 * this.total; ) {
      before = this.progress
      await until(`progress after ${before} of ${2 * this.total}`, () => this.progress > before, STALLED_MS)
    }
    const { wrong, taken, answered, links } = this
    expect({ wrong, taken, answered, ended: links.ended, closed: links.closed }).toEqual({
      wrong: '',
      taken: this.total,
      answered: this.total,
      ended: '',
      closed: false,
    })
    links.destroy()
  }
}

const colourOf = (number: number): string => COLOURS[number % COLOURS.length]
const coloured = (number: number): Sections => ({ properties: { colour: colourOf(number) } })

describe('one connection of AMQP that produces into the full queue it consumes from', () => {
  it('goes on with a link for each kind of message, a credit of one', { timeout: 120_000 }, async () => {
    const loop = await Loop.of('full.amqp.selected', MESSAGES)
    for (const each of COLOURS) await loop.takes(`colour = '${each}'`)
    loop.flood(colourOf, coloured)
    await loop.goesThrough()
  })

  it('goes on when it attaches to what fills the queue and nobody took', { timeout: 60_000 }, async () => {
    const loop = await Loop.of('full.amqp.stuck', MESSAGES)
    await loop.takes("colour = 'red'")
    loop.flood(colourOf, coloured)
    // Full of what is not red.
    await until('a full queue', () => loop.answered - loop.taken >= LIMIT)
    await until('a third of what was sent taken', () => loop.taken === Math.ceil(loop.answered / 3))
    // There is no credit any more; what had been sent before that waits.
    await until('no credit', () => loop.sender.credit === 0)
    expect(loop.sent).toBeLessThan(LIMIT * 6)
    for (const each of ['blue', 'green']) await loop.takes(`colour = '${each}'`)
    await loop.goesThrough()
  })

  it('goes on with message groups and three links, a credit of one', { timeout: 120_000 }, async () => {
    const loop = await Loop.of('full.amqp.grouped', MESSAGES)
    for (const _ of COLOURS) await loop.takes()
    const group = (number: number): string => `g${number % 7}`
    loop.flood(group, (number) => ({ group: group(number) }))
    await loop.goesThrough()
  })

  it('goes on with transactions whose sends wait for room that its own settlements make', { timeout: 120_000 }, async () => {
    const size = 40
    const loop = await Loop.of('full.amqp.transactions', MESSAGES - (MESSAGES % size))
    const coordinator = await loop.links.coordinator()
    await until('credit for commands', () => coordinator.credit > 0)
    await loop.takes()
    const run = async (): Promise<void> => {
      while (loop.sent < loop.total) {
        const transaction = await loop.links.declare(coordinator)
        const upTo = loop.sent + size
        let answered = 0
        const go = (): boolean => {
          while (loop.sent < upTo && loop.links.send(loop.sender, `all ${loop.sent}`, { transaction }, () => answered++)) loop.sent++
          return loop.sent === upTo
        }
        await until('room for all of a transaction', go, STALLED_MS, 1)
        await until('an answer for each', () => answered === size, STALLED_MS, 1)
        await loop.links.commit(coordinator, transaction)
        loop.answered += size
      }
    }
    const running = run()
    await Promise.all([running, loop.goesThrough()])
  })
})
