// Two nodes on one directory: a leader that is stopped in the middle of its work and woken after another took over, and a leader that dies.
// Real processes, real signals, real files.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { SeededRandom } from '../../src/random.ts'
import { addressOf, until } from '../wire/bytes.ts'
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

/** Sends without end to one node, by both protocols, and notes what was answered and when. */
class Sender {
  readonly stompSent: string[] = []
  readonly mqttSent: string[] = []
  readonly acknowledged: Readonly<{ body: string; woken: boolean }>[] = []
  readonly delivered: Readonly<{ body: string; woken: boolean }>[] = []
  woken = false
  /** Sent from here on: after the other node claimed. */
  claimedAt = { stomp: Number.POSITIVE_INFINITY, mqtt: Number.POSITIVE_INFINITY }
  #stomp: StompWire | undefined
  #mqtt: MqttWire | undefined
  #stopped = false

  async connect(ready: Ready): Promise<void> {
    const stomp = await StompWire.connect(addressOf(ready.listeners['stomp'] ?? ''))
    const mqtt = await MqttWire.connect(addressOf(ready.listeners['mqtt'] ?? ''), { clientId: 'sender', clean: true })
    const consumer = await StompWire.connect(addressOf(ready.listeners['stomp'] ?? ''))
    consumer.onMessage = (message) => {
      this.delivered.push({ body: message.body.toString(), woken: this.woken })
    }
    // A look at everything, settling nothing.
    await consumer.ask('SUBSCRIBE', { id: '0', destination: '/queue/pause', ack: 'client-individual', 'activemq.prefetchSize': '100000' })
    stomp.onReceipt = (id) => this.acknowledged.push({ body: `s${id}`, woken: this.woken })
    mqtt.onAck = (_kind, id) => this.acknowledged.push({ body: `m${id}`, woken: this.woken })
    this.#stomp = stomp
    this.#mqtt = mqtt
  }

  get closed(): boolean {
    return this.#stomp?.closed === true && this.#mqtt?.closed === true
  }

  /** A few at a time, as long as both connections last. */
  async run(): Promise<void> {
    while (!this.#stopped && !this.closed) {
      for (let i = 0; i < 5; i++) {
        const stomp = `s${this.stompSent.length}`
        this.stompSent.push(stomp)
        this.#stomp?.send('SEND', { destination: '/queue/pause', persistent: 'true', receipt: stomp.slice(1) }, Buffer.from(stomp))
        const id = this.mqttSent.length + 1
        if (id > 60_000) return
        this.mqttSent.push(`m${id}`)
        this.#mqtt?.publish('pause/topic', Buffer.from(`m${id}`), { qos: 1, id })
      }
      await sleep(1)
    }
  }

  stop(): void {
    this.#stopped = true
  }
}

/** Everything that a node has for a new STOMP consumer of the queue and for the durable session of the topic. */
async function takeAll(ready: Ready, expected: ReadonlySet<string>): Promise<Set<string>> {
  const got = new Set<string>()
  const stomp = await StompWire.connect(addressOf(ready.listeners['stomp'] ?? ''))
  stomp.onMessage = (message) => got.add(message.body.toString())
  await stomp.ask('SUBSCRIBE', { id: '0', destination: '/queue/pause', ack: 'auto' })
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
    await sleep(random.below(10))
    await first.signal('SIGSTOP')

    const second = start(data, 'b', '--claim')
    const now = await second.leads()
    expect(now.epoch).toBeGreaterThan(ready.epoch)
    // What is sent to the stopped one from here on, no epoch of its own can have.
    const after = { stomp: sender.stompSent.length, mqtt: sender.mqttSent.length }
    await until('more sent to the stopped leader', () => sender.stompSent.length > after.stomp + 50)

    sender.woken = true
    await first.signal('SIGCONT')
    await until('the end of the connections to the woken leader', () => sender.closed, 15_000)
    sender.stop()
    await running

    const acknowledged = new Set(sender.acknowledged.map((each) => each.body))
    const has = await takeAll(now, acknowledged)
    expect([...acknowledged].filter((each) => !has.has(each))).toEqual([])
    expect(sender.delivered.filter((each) => each.woken && !has.has(each.body))).toEqual([])
    const late = new Set([...sender.stompSent.slice(after.stomp), ...sender.mqttSent.slice(after.mqtt)])
    expect(sender.acknowledged.filter((each) => late.has(each.body))).toEqual([])
    expect(sender.delivered.filter((each) => late.has(each.body))).toEqual([])

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
