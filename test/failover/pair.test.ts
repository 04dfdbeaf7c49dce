// An active node and its standby as real processes: what a takeover, a hand-over and a rolling restart leave of what clients were promised.
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import mqtt, { type IDisconnectPacket } from 'mqtt'
import rhea, { type ConnectionOptions } from 'rhea'
import { afterEach, describe, expect, it } from 'vitest'
import { realClock } from '../../src/clock.ts'
import { defaults } from '../../src/config/defaults.ts'
import { realDisk } from '../../src/disk.ts'
import { claim } from '../../src/failover/claim.ts'
import { prepareDirectory } from '../../src/journal/file/directory.ts'
import { openFileJournal } from '../../src/journal/file/open.ts'
import { realRandom } from '../../src/random.ts'
import { addressOf, until } from '../wire/bytes.ts'
import { MqttWire } from '../wire/mqtt-wire.ts'
import { type NodeProcess, program, type Ready } from '../wire/node-process.ts'
import { ask, digests, eventually, Faithful, followOf, Pair, stompTo, warm } from './nodes.ts'

const pairs: Pair[] = []
afterEach(async () => {
  for (const pair of pairs.splice(0)) await pair.end()
})

function newPair(): Pair {
  const pair = new Pair()
  pairs.push(pair)
  return pair
}

/** A connection of AMQP: what its Open says of the pair, and with what condition the broker closed it. */
async function amqpTo(ready: Ready): Promise<Readonly<{ servers: unknown; condition: () => string | undefined }>> {
  const { host, port } = addressOf(ready.listeners['amqp'] ?? '')
  const connection = rhea.create_container().connect({ host, port, reconnect: false } as ConnectionOptions)
  let condition: string | undefined
  connection.on('connection_error', () => {
    condition = (connection.error as Readonly<{ condition?: string }> | undefined)?.condition
  })
  connection.on('disconnected', () => {})
  await new Promise<void>((resolve) => connection.once('connection_open', () => resolve()))
  return { servers: (connection.properties as Readonly<Record<string, unknown>>)['failover-server-list'], condition: () => condition }
}

/** A client of MQTT 5; answers, when it is connected, a promise of what it is told at the end. */
async function fiveTo(ready: Ready): Promise<{ readonly farewell: Promise<IDisconnectPacket> }> {
  const { host, port } = addressOf(ready.listeners['mqtt'] ?? '')
  const client = await mqtt.connectAsync({ host, port, protocolVersion: 5, reconnectPeriod: 0 })
  return { farewell: new Promise((resolve) => client.once('disconnect', resolve)) }
}

function bascule(...args: string[]): Promise<Readonly<{ code: number; out: string; err: string }>> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...args], (error, out, err) => resolve({ code: error === null ? 0 : Number(error.code), out, err }))
  })
}

/** One that nobody had a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** A bit of everything durable: queues, a topic with durable subscribers of both protocols, retained messages, settlements, a session that is gone. */
async function work(ready: Ready, round: number): Promise<void> {
  const stomp = await stompTo(ready)
  const mqtt = await MqttWire.connect(addressOf(ready.listeners['mqtt'] ?? ''), { clientId: 'keeper', clean: false })
  await mqtt.subscribe([{ filter: 'work/#', qos: 1 }])
  const consumer = await stompTo(ready)
  const taken: string[] = []
  consumer.onMessage = (message) => taken.push(message.headers.get('ack') ?? '')
  await consumer.ask('SUBSCRIBE', { id: '0', destination: '/queue/work', ack: 'client-individual', 'activemq.prefetchSize': '50' })
  for (let i = 0; i < 200; i++) stomp.send('SEND', { destination: '/queue/work', persistent: 'true' }, Buffer.alloc(20 + (i % 7) * 500, 'x'))
  await stomp.ask('SEND', { destination: '/topic/work.last', persistent: 'true' }, Buffer.from(`last ${round}`))
  let acknowledged = 0
  mqtt.onAck = () => void acknowledged++
  for (let i = 1; i <= 50; i++) mqtt.publish(`work/${i % 5}`, Buffer.from(`m${round} ${i}`), { qos: 1, id: i, retain: i % 10 === 0 })
  await until('everything acknowledged and 50 taken', () => acknowledged === 50 && taken.length >= 50)
  for (const id of taken.slice(0, 30)) consumer.send('ACK', { id })
  await consumer.ask('ACK', { id: taken[30] ?? '' })
  for (const wire of [stomp, consumer]) await wire.disconnect()
  mqtt.disconnect()
  // The broker closes what it has dealt with to the end: that its client left is of the state too.
  await until('the end of the connections', () => [stomp, consumer, mqtt].every((wire) => wire.closed))
}

describe('a standby', () => {
  it('keeps the state warm and has the digest of its leader at every batch that both are at', { timeout: 60_000 }, async () => {
    const pair = newPair()
    const { first, second, ready } = await pair.both('--set', 'failover.leaseMs=1000')
    for (let round = 0; round < 5; round++) {
      await work(ready, round)
      const { leader, standby } = await digests(first, second)
      expect(standby).toBe(leader)
    }
    expect(await followOf(second)).toMatchObject({ state: 'warm', reason: '' })
    await eventually(
      'the leader tells of it',
      () => ask<{ peers: { node: string; role: string; follow?: { state: string } }[] }>(first, '/api/status'),
      ({ peers: [peer] }) => peer?.node === 'b' && peer.role === 'standby' && peer.follow?.state === 'warm',
    )
  })

  it('takes over from what it followed when the leader is killed, and the state is the one that the leader had', { timeout: 60_000 }, async () => {
    const pair = newPair()
    const { first, second, ready } = await pair.both()
    await work(ready, 1)
    const { digest } = await ask<{ digest: string }>(first, '/api/state/digest')
    await first.signal('SIGKILL')
    const killedAt = performance.now()
    await second.leads()
    console.log(`leads ${(performance.now() - killedAt).toFixed(0)} ms after the kill`)
    // It says so in its log, which is another pipe than that of its `ready` line.
    await until('the successor says that it was warm', () => second.output.includes('"warm":true'))
    expect((await ask<{ digest: string }>(second, '/api/state/digest')).digest).toBe(digest)
  })

  it('that starts first leads, and without a name gets the first letter that is free', { timeout: 60_000 }, async () => {
    const pair = newPair()
    const first = pair.start('')
    expect((await first.leads()).node).toBe('a')
    const second = pair.start('')
    expect((await second.stands()).node).toBe('b')
    await warm(second)
    await first.signal('SIGKILL')
    await second.leads()
    const again = pair.start('')
    expect((await again.stands()).node).toBe('a')
  })
})

describe('the commands', () => {
  it('compare the nodes with each other and with their directory, and hand over', { timeout: 60_000 }, async () => {
    const pair = newPair()
    const { first, second, ready } = await pair.both()
    await work(ready, 1)
    await digests(first, second)
    const of = async (...args: string[]): Promise<string> => (await bascule('state', 'digest', ...args)).out.trim()
    const [url, other] = [first, second].map((node) => node.ready.at(-1)?.listeners['http'] ?? '')
    const leader = await of('--url', url)
    expect(leader).toMatch(/^\d+ [0-9a-f]{64} a active$/)
    const state = leader.split(' ').slice(0, 2).join(' ')
    expect(await of('--url', other)).toBe(`${state} b standby`)
    expect(await of('--data', pair.data)).toBe(state)
    expect(await bascule('failover', '--url', other)).toMatchObject({ code: 1, err: expect.stringContaining('does not lead') })
    expect(await bascule('failover', '--url', url)).toMatchObject({ code: 0, out: 'handed over epoch 1; b is warm and takes over\n' })
    await second.leads()
    expect(await bascule('state', 'digest', '--url', '127.0.0.1:1')).toMatchObject({ code: 1, err: expect.stringContaining('does not answer') })
  })
})

describe('a leader that hangs', () => {
  it('is succeeded when its lease has run out, and woken acknowledges nothing', { timeout: 60_000 }, async () => {
    const pair = newPair()
    const { first, second, ready } = await pair.both('--set', 'failover.leaseMs=1000')
    const stomp = await stompTo(ready)
    await stomp.ask('SEND', { destination: '/queue/hang', persistent: 'true' }, Buffer.from('before'))
    const stoppedAt = performance.now()
    await first.signal('SIGSTOP')
    const now = await second.leads()
    console.log(`leads ${(performance.now() - stoppedAt).toFixed(0)} ms after the stop, lease 1000 ms`)
    expect(now.epoch).toBe(2)
    const receipts: string[] = []
    stomp.onReceipt = (id) => receipts.push(id)
    stomp.send('SEND', { destination: '/queue/hang', persistent: 'true', receipt: 'late' }, Buffer.from('late'))
    stomp.flush()
    await first.signal('SIGCONT')
    await until('the end of the connection', () => stomp.closed)
    expect(receipts).toEqual([])
    // In the same process it is a standby now, and warm again.
    await eventually(
      'the first stands by',
      () => ask<{ role: string; follow?: { state: string } }>(first, '/health/role'),
      (status) => status.role === 'standby' && status.follow?.state === 'warm',
    )
    expect(first.exit).toBe(undefined)
    const got: string[] = []
    const reader = await stompTo(now)
    reader.onMessage = (message) => got.push(message.body.toString())
    await reader.ask('SUBSCRIBE', { id: '0', destination: '/queue/hang', ack: 'auto' })
    await until('what was acknowledged', () => got.length > 0)
    expect(got).toEqual(['before'])
  })

  it('without a client in sight finds out by its heartbeat, closes and stands by', { timeout: 60_000 }, async () => {
    const pair = newPair()
    const { first, second } = await pair.both('--set', 'failover.leaseMs=800')
    await first.signal('SIGSTOP')
    await second.leads()
    await first.signal('SIGCONT')
    await eventually(
      'the first stands by',
      () => ask<{ role: string }>(first, '/health/role'),
      (status) => status.role === 'standby',
    )
  })
})

describe('a hand-over', () => {
  /** A producer floods the leader while `hand` makes it hand over. Everything answered must be with the successor. */
  async function handedOver(hand: (first: NodeProcess) => Promise<void>): Promise<Readonly<{ first: NodeProcess; second: NodeProcess }>> {
    const pair = newPair()
    const first = pair.start('a')
    const ready = await first.leads()
    // Fixed ports are known before the standby leads, free ones are not.
    const port = await freePort()
    const amqpPort = await freePort()
    const mqttPort = await freePort()
    const second = pair.start(
      'b',
      '--ports',
      'fixed',
      ...[`stomp=127.0.0.1:${port}`, `amqp=127.0.0.1:${amqpPort}`, `mqtt=127.0.0.1:${mqttPort}`, 'websocket=off', 'http=127.0.0.1:0'].flatMap(
        (each) => ['--listen', each],
      ),
    )
    await second.stands()
    await eventually(
      'the leader knows that the other is warm',
      () => ask<{ peers: { follow?: { state: string } }[] }>(first, '/api/status'),
      (status) => status.peers[0]?.follow?.state === 'warm',
    )
    const amqp = await amqpTo(ready)
    expect(amqp.servers).toMatchObject([{ 'network-host': '127.0.0.1', port: amqpPort }, { 'network-host': '127.0.0.1' }])
    const five = await fiveTo(ready)
    const stomp = await stompTo(ready)
    const receipts = new Set<string>()
    stomp.onReceipt = (id) => receipts.add(id)
    let sent = 0
    const flood = setInterval(() => {
      for (let i = 0; i < 20 && !stomp.closed; i++)
        stomp.send('SEND', { destination: '/queue/over', persistent: 'true', receipt: String(sent) }, Buffer.from(String(sent++)))
    }, 1)
    await until('some receipts', () => receipts.size > 200)
    await hand(first)
    await until('the goodbye', () => stomp.closed)
    clearInterval(flood)
    await until("AMQP's goodbye", () => amqp.condition() !== undefined)
    expect(amqp.condition()).toBe('amqp:connection:forced')
    // Use another server, and which.
    expect(await five.farewell).toMatchObject({ reasonCode: 0x9c, properties: { serverReference: `127.0.0.1:${mqttPort}` } })
    expect(stomp.error?.headers.get('server-list')).toMatch(new RegExp(`^127.0.0.1\\\\c${port},127.0.0.1\\\\c`))
    expect(stomp.error?.headers.has('receipt-id')).toBe(false)
    const got = new Set<string>()
    const reader = await stompTo(await second.leads())
    reader.onMessage = (message) => got.add(message.body.toString())
    await reader.ask('SUBSCRIBE', { id: '0', destination: '/queue/over', ack: 'auto', 'activemq.prefetchSize': '100000' })
    await until('everything that was answered', () => [...receipts].every((id) => got.has(id)))
    return { first, second }
  }

  it('by SIGTERM answers what it took, tells STOMP clients where to go, and ends', { timeout: 60_000 }, async () => {
    const { first } = await handedOver((leader) => leader.signal('SIGTERM'))
    expect(first.exit).toEqual({ code: 0, signal: null })
  })

  it('by request does the same, and the node follows and can take over again', { timeout: 60_000 }, async () => {
    const { first, second } = await handedOver(async (leader) => {
      expect(await ask(leader, '/api/failover', 'POST')).toMatchObject({ epoch: 1, successor: 'b' })
    })
    await warm(first)
    await eventually(
      'the way back',
      () => ask<{ epoch?: number }>(second, '/api/failover', 'POST'),
      (answer) => answer.epoch === 2,
    )
    await until('the first leads again', () => first.ready.at(-1)?.role === 'active')
  })

  it('is refused while nobody could take over, unless forced, and then this node leads again', { timeout: 60_000 }, async () => {
    const pair = newPair()
    const only = pair.start('a')
    await only.leads()
    expect(await ask(only, '/api/failover', 'POST')).toMatchObject({ error: 'denied' })
    expect(await ask(only, '/api/failover?force=true', 'POST')).toEqual({ epoch: 1 })
    await until('it leads again', () => only.ready.length === 3, 15_000)
    expect(only.ready.map(({ role, epoch }) => `${role} ${epoch}`)).toEqual(['active 1', 'standby 0', 'active 2'])
  })

  it('of each node in turn under load loses nothing: a rolling restart', { timeout: 120_000 }, async () => {
    const pair = newPair()
    let { first, second } = await pair.both()
    const producer = new Faithful(() => pair.nodes)
    const running = producer.run()
    for (let round = 0; round < 4; round++) {
      const count = producer.acknowledged.length
      await until('progress', () => producer.acknowledged.length > count + 100)
      await first.signal('SIGTERM')
      expect(first.exit).toEqual({ code: 0, signal: null })
      await second.leads()
      const next: NodeProcess = pair.start(round % 2 === 0 ? 'a' : 'b')
      await next.stands()
      await warm(next)
      ;[first, second] = [second, next]
    }
    const count = producer.acknowledged.length
    await until('progress', () => producer.acknowledged.length > count + 100)
    producer.stop()
    await running
    const got: string[] = []
    const reader = await stompTo(first.ready.at(-1) as Ready)
    reader.onMessage = (message) => got.push(message.body.toString())
    await reader.ask('SUBSCRIBE', { id: '0', destination: '/queue/faithful', ack: 'auto', 'activemq.prefetchSize': '1000000' })
    await until('everything that was acknowledged', () => new Set(got).size >= producer.acknowledged.length)
    const there = new Set(got)
    expect(producer.acknowledged.filter((each) => !there.has(each))).toEqual([])
    // Twice only what was sent twice; and in order.
    const first_ = got.filter((each, i) => got.indexOf(each) === i)
    expect(got.filter((each, i) => got.indexOf(each) !== i && !producer.doubtful.has(each))).toEqual([])
    expect(first_).toEqual(first_.toSorted((a, b) => Number(a.slice(1)) - Number(b.slice(1))))
  })
})

describe('what must not happen', () => {
  it('two nodes of one name: the second start is refused with a sentence', { timeout: 60_000 }, async () => {
    const pair = newPair()
    await pair.start('a').leads()
    const second = pair.start('a')
    await second.ends()
    expect(second.exit?.code).toBe(1)
    expect(second.output).toMatch(/bascule: .*\ba\b.*--node/)
    expect(second.ready).toEqual([])
  })

  it('a leader whose directory vanished acknowledges for a moment at most, closes, and goes on when it is back', { timeout: 60_000 }, async () => {
    const pair = newPair()
    const { first, second, ready } = await pair.both('--set', 'failover.leaseMs=800')
    const stomp = await stompTo(ready)
    await stomp.ask('SEND', { destination: '/queue/gone', persistent: 'true' }, Buffer.from('kept'))
    const aside = mkdtempSync(join(tmpdir(), 'bascule-aside-'))
    renameSync(pair.data, join(aside, 'data'))
    await until('the end of the connection', () => stomp.closed, 5_000)
    // Several tries find nothing: neither gives up.
    await until('a second try', () => (first.output.match(/cannot be used: this node tries again/g) ?? []).length >= 2, 20_000)
    expect([first.exit, second.exit]).toEqual([undefined, undefined])
    renameSync(join(aside, 'data'), pair.data)
    rmSync(aside, { recursive: true })
    await until(
      'one leads again',
      () => [first, second].some((node) => node.ready.at(-1)?.role === 'active' && (node.ready.at(-1)?.epoch ?? 0) > 1),
      45_000,
    )
    const leader = [first, second].find((node) => node.ready.at(-1)?.role === 'active') as NodeProcess
    const got: string[] = []
    const reader = await stompTo(leader.ready.at(-1) as Ready)
    reader.onMessage = (message) => got.push(message.body.toString())
    await reader.ask('SUBSCRIBE', { id: '0', destination: '/queue/gone', ack: 'auto' })
    await until('what was acknowledged', () => got.includes('kept'))
  })

  it('a standby of an older version: it says that it is cold, and never claims', { timeout: 60_000 }, async () => {
    const pair = newPair()
    // The leader is of a version that knows one fact more.
    await prepareDirectory(realDisk, pair.data)
    const newer = {
      directory: pair.data,
      disk: realDisk,
      clock: realClock,
      random: realRandom,
      log: { debug() {}, info() {}, warn() {}, error() {} },
    }
    const abort = new AbortController()
    const leadership = await claim({ ...newer, node: 'newer', address: '', force: false, pollMs: 10, signal: abort.signal, onWaiting() {} })
    const journal = await openFileJournal({
      ...newer,
      leadership,
      settings: { ...defaults.journal, segmentBytes: 4 * 1024 * 1024 },
      visitor: { snapshot() {}, batch() {}, fact() {} },
      listener: { committed() {}, lost() {}, pressure() {}, full() {} },
    })
    const standby = pair.start('b')
    await standby.stands()
    await warm(standby)
    journal.buffer.fill(1, journal.admit(99, 4, 'publish'))
    await journal.drained()
    journal.buffer.fill(2, journal.admit(99, 4, 'publish'))
    await journal.drained()
    const follow = await eventually(
      'a cold standby',
      () => followOf(standby),
      (now) => now?.state === 'cold',
    )
    expect(follow?.reason).toContain('99')
    await journal.close()
    await leadership.release()
    // Fifty looks at a free lock: a warm one claims at the first.
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect(standby.active).toBe(undefined)
    expect((await ask<{ role: string }>(standby, '/health/role')).role).toBe('standby')
    await standby.signal('SIGTERM')
    const alone = pair.start('c')
    // It would have to guess.
    await alone.ends()
    expect(alone.exit?.code).toBe(1)
    expect(alone.output).toMatch(/bascule: .*fact of number 99/)
  })

  it("a standby whose directory became another cluster's does not lead there", { timeout: 60_000 }, async () => {
    const pair = newPair()
    const other = newPair()
    const { first, second } = await pair.both()
    const foreign = other.start('z')
    await foreign.leads()
    await foreign.signal('SIGTERM')
    const aside = mkdtempSync(join(tmpdir(), 'bascule-aside-'))
    renameSync(pair.data, join(aside, 'data'))
    renameSync(other.data, pair.data)
    await first.signal('SIGKILL')
    await until('the standby says so', () => second.output.includes('cluster') || second.exit !== undefined, 20_000)
    expect(second.active).toBe(undefined)
    expect(second.output).toMatch(/cluster/)
    expect(readdirSync(join(pair.data, 'segments')).length).toBeGreaterThan(0)
    rmSync(aside, { recursive: true })
  })
})
