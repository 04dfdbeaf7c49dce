// Two nodes on one directory: a leader that is stopped in the middle of its work and woken after another took over, and a leader that dies.
// Real processes, real signals, real files; clients of every protocol, two of them over WebSocket.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { SeededRandom } from '../../src/random.ts'
import { AmqpWire } from '../crash/amqp-wire.ts'
import { addressOf, type Place, until } from '../wire/bytes.ts'
import { MqttWire } from '../wire/mqtt-wire.ts'
import { NodeProcess, type Ready } from '../wire/node-process.ts'
import { StompWire } from '../wire/stomp-wire.ts'

const nodes: NodeProcess[] = []
const directories: string[] = []

afterEach(async () => {
  for (const node of nodes.splice(0)) {
    await node.signal('SIGCONT')
    await node.signal('SIGKILL')
  }
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true })
})

function directory(): string {
  const made = mkdtempSync(join(tmpdir(), 'bascule-pause-'))
  directories.push(made)
  return made
}

function start(data: string, name: string, ...args: string[]): NodeProcess {
  const node = new NodeProcess({ data, args: ['--node', name, ...args] })
  nodes.push(node)
  return node
}

function placeOf(ready: Ready, listener: string, subprotocol?: string): Place {
  const address = addressOf(ready.listeners[listener] ?? '')
  return subprotocol === undefined ? address : { ...address, subprotocol }
}

/** One connection that sends: the number of each message is its place among what this one sent. */
interface Line {
  send(number: number): void
  readonly closed: boolean
}

type Told = Readonly<{ body: string; woken: boolean }>

/** Sends without end to one node, by every protocol, and notes what was answered and when. */
class Sender {
  readonly acknowledged: Told[] = []
  readonly delivered: Told[] = []
  woken = false
  /** How many each line sent, by the letter with which the bodies begin. */
  readonly sent = new Map<string, number>()
  readonly #lines = new Map<string, Line>()
  #stopped = false

  async connect(ready: Ready): Promise<void> {
    await this.#stomp('s', placeOf(ready, 'stomp'))
    await this.#mqtt('m', placeOf(ready, 'mqtt'))
    await this.#amqp('a', placeOf(ready, 'amqp'))
    await this.#mqtt('w', placeOf(ready, 'websocket', 'mqtt'))
    await this.#amqp('v', placeOf(ready, 'websocket', 'amqp'))
    // A look at everything, settling nothing.
    const deliver = (body: Buffer): void => void this.delivered.push({ body: body.toString(), woken: this.woken })
    const consumer = await StompWire.connect(placeOf(ready, 'stomp'))
    consumer.onMessage = (message) => deliver(message.body)
    await consumer.ask('SUBSCRIBE', { id: '0', destination: '/queue/pause', ack: 'client-individual', 'activemq.prefetchSize': '100000' })
    const link = { containerId: 'looks', name: 'looks', receives: true, address: 'pause.amqp', receiverSettles: 'first' } as const
    await AmqpWire.connect(placeOf(ready, 'websocket', 'amqp'), link, (wire) => {
      wire.onMessage = (_id, body) => {
        deliver(body)
        wire.topUp()
      }
    })
  }

  get closed(): boolean {
    return [...this.#lines.values()].every((each) => each.closed)
  }

  /** A few at a time, as long as any connection lasts. */
  async run(): Promise<void> {
    while (!this.#stopped && !this.closed) {
      for (const [letter, line] of this.#lines) {
        for (let i = 0; i < 3; i++) {
          const number = this.sent.get(letter) ?? 0
          if (number >= 60_000) return
          this.sent.set(letter, number + 1)
          line.send(number)
        }
      }
      await sleep(1)
    }
  }

  stop(): void {
    this.#stopped = true
  }

  /** Whether it was sent later than so many of each line. */
  static later(body: string, than: ReadonlyMap<string, number>): boolean {
    return Number(body.slice(1)) >= (than.get(body[0] ?? '') ?? 0)
  }

  #answered(letter: string, number: number): void {
    this.acknowledged.push({ body: `${letter}${number}`, woken: this.woken })
  }

  async #stomp(letter: string, place: Place): Promise<void> {
    const wire = await StompWire.connect(place)
    wire.onReceipt = (id) => this.#answered(letter, Number(id))
    this.#lines.set(letter, {
      send: (number) =>
        wire.send('SEND', { destination: '/queue/pause', persistent: 'true', receipt: String(number) }, Buffer.from(`${letter}${number}`)),
      get closed() {
        return wire.closed
      },
    })
  }

  async #mqtt(letter: string, place: Place): Promise<void> {
    const wire = await MqttWire.connect(place, { clientId: `sender-${letter}`, clean: true })
    wire.onAck = (_kind, id) => this.#answered(letter, id - 1)
    this.#lines.set(letter, {
      send: (number) => wire.publish('pause/topic', Buffer.from(`${letter}${number}`), { qos: 1, id: number + 1 }),
      get closed() {
        return wire.closed
      },
    })
  }

  async #amqp(letter: string, place: Place): Promise<void> {
    const name = `sender-${letter}`
    const link = { containerId: name, name, receives: false, address: 'pause.amqp', receiverSettles: 'first' } as const
    const wire = await AmqpWire.connect(place, link, (connected) => {
      connected.onDisposition = ({ first, last, accepted }) => {
        for (let id = first; accepted && id <= last; id++) this.#answered(letter, id)
      }
    })
    this.#lines.set(letter, {
      send: (number) => void wire.send(Buffer.from(`${letter}${number}`)),
      get closed() {
        return wire.closed
      },
    })
  }
}

/** Everything that a node has for a new STOMP consumer of the queue and for the durable session of the topic. */
async function takeAll(ready: Ready, expected: ReadonlySet<string>): Promise<Set<string>> {
  const got = new Set<string>()
  const stomp = await StompWire.connect(addressOf(ready.listeners['stomp'] ?? ''))
  stomp.onMessage = (message) => got.add(message.body.toString())
  await stomp.ask('SUBSCRIBE', { id: '0', destination: '/queue/pause', ack: 'auto' })
  await stomp.ask('SUBSCRIBE', { id: '1', destination: '/queue/pause.amqp', ack: 'auto' })
  const mqtt = await MqttWire.connect(addressOf(ready.listeners['mqtt'] ?? ''), { clientId: 'keeper', clean: false }, (wire) => {
    wire.onPublish = (publish) => {
      got.add(publish.payload.toString())
      wire.ack('puback', publish.id)
    }
  })
  await until('everything acknowledged', () => [...expected].every((each) => got.has(each)), 10_000).catch(() => {})
  // Nothing more comes for a while: what is not here now, the node does not have.
  for (let before = -1; before !== got.size; await sleep(300)) before = got.size
  stomp.destroy()
  mqtt.destroy()
  return got
}

async function keepSession(ready: Ready): Promise<void> {
  const keeper = await MqttWire.connect(addressOf(ready.listeners['mqtt'] ?? ''), { clientId: 'keeper', clean: false })
  await keeper.subscribe([{ filter: 'pause/#', qos: 1 }])
  keeper.disconnect()
}

describe('a leader that is stopped and woken', () => {
  it.each([1, 2, 3, 4, 5, 6])('acknowledges and delivers nothing that its successor does not have (seed %i)', { timeout: 60_000 }, async (seed) => {
    const random = new SeededRandom(seed)
    const data = directory()
    const first = start(data, 'a')
    const ready = await first.leads()
    await keepSession(ready)
    const sender = new Sender()
    await sender.connect(ready)
    const running = sender.run()
    await until('acknowledgements', () => sender.acknowledged.length > 50 + random.below(400))
    await until('an acknowledgement of each line', () => new Set(sender.acknowledged.map((each) => each.body[0])).size === 5)
    await sleep(random.below(10))
    await first.signal('SIGSTOP')

    const second = start(data, 'b', '--claim')
    const now = await second.leads()
    expect(now.epoch).toBeGreaterThan(ready.epoch)
    // What is sent to the stopped one from here on, no epoch of its own can have.
    const after = new Map(sender.sent)
    await until('more sent to the stopped leader', () => (sender.sent.get('s') ?? 0) > (after.get('s') ?? 0) + 50)

    sender.woken = true
    await first.signal('SIGCONT')
    await until('the end of the connections to the woken leader', () => sender.closed, 15_000)
    sender.stop()
    await running

    const acknowledged = new Set(sender.acknowledged.map((each) => each.body))
    const has = await takeAll(now, acknowledged)
    expect([...acknowledged].filter((each) => !has.has(each))).toEqual([])
    expect(sender.delivered.filter((each) => each.woken && !has.has(each.body))).toEqual([])
    expect(sender.acknowledged.filter((each) => Sender.later(each.body, after))).toEqual([])
    expect(sender.delivered.filter((each) => Sender.later(each.body, after))).toEqual([])
    // Everybody had something to be judged by.
    expect(new Set(sender.delivered.map((each) => each.body[0]))).toEqual(new Set(['s', 'a', 'v']))

    // The woken one waits in its turn: when the other dies it leads again, and has what was sent meanwhile.
    const stomp = await StompWire.connect(addressOf(now.listeners['stomp'] ?? ''))
    await stomp.ask('SEND', { destination: '/queue/pause', persistent: 'true' }, Buffer.from('to the second'))
    await second.signal('SIGKILL')
    await until('the first leads again', () => first.ready.filter((each) => each.role === 'active').length === 2 || first.exit !== undefined, 15_000)
    expect(first.exit).toBe(undefined)
    const again = first.active
    expect(again?.epoch).toBeGreaterThan(now.epoch)
    expect(await takeAll(again ?? now, new Set(['to the second']))).toContain('to the second')
  })
})

describe('a second start on the same directory', () => {
  it('waits as a standby with no port but http, and takes over when the leader is killed', { timeout: 60_000 }, async () => {
    const data = directory()
    const first = start(data, 'a')
    const ready = await first.leads()
    const second = start(data, 'b')
    const standing = await second.stands()
    expect(standing.role).toBe('standby')
    expect(Object.keys(standing.listeners)).toEqual(['http'])
    await keepSession(ready)
    const sender = new Sender()
    await sender.connect(ready)
    const running = sender.run()
    await until('acknowledgements', () => sender.acknowledged.length > 300)
    expect(second.active).toBe(undefined)
    await first.signal('SIGKILL')
    const killedAt = performance.now()
    const now = await second.leads()
    console.log(`took over ${(performance.now() - killedAt).toFixed(0)} ms after the leader was gone`)
    await until('the end of the connections', () => sender.closed)
    await running
    const acknowledged = new Set(sender.acknowledged.map((each) => each.body))
    const has = await takeAll(now, acknowledged)
    expect([...acknowledged].filter((each) => !has.has(each))).toEqual([])
  })

  it('takes over at once from a leader that stops in order', { timeout: 60_000 }, async () => {
    const data = directory()
    const first = start(data, 'a')
    const ready = await first.leads()
    const second = start(data, 'b')
    await second.stands()
    const stomp = await StompWire.connect(addressOf(ready.listeners['stomp'] ?? ''))
    await stomp.ask('SEND', { destination: '/queue/pause', persistent: 'true' }, Buffer.from('before'))
    await first.signal('SIGTERM')
    expect(first.exit).toEqual({ code: 0, signal: null })
    const now = await second.leads()
    expect(await takeAll(now, new Set(['before']))).toContain('before')
  })
})
