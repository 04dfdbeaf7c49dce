// Streams that are nearly right, changed at random by a seed: whatever comes, nothing is thrown, memory stays small, the connection
// is open or ended, and how the bytes were split makes no difference. A seed that once failed becomes a file in corpus/.
// And beside mqtt-packet: what both take must mean the same.
import { readdirSync, readFileSync } from 'node:fs'
import mqttPacket, { type IPublishPacket, type Packet } from 'mqtt-packet'
import { describe, expect, it } from 'vitest'
import { SeededRandom } from '../../src/random.ts'
import { type Frames, Framer } from './codec.ts'
import { Client } from './fake-core.ts'
import { dialectFive, newMessageFive, readHead } from './format-five.ts'
import { newFront } from './index.ts'
import { readPublishProperties } from './publish-properties.ts'
import { defaults } from './settings.ts'

const CORPUS = new URL('./corpus/', import.meta.url)

/** What a stream did: what the core was asked, what the client was told, how it ended. */
async function effect(pieces: readonly Buffer[]): Promise<string> {
  const client = new Client({ packetBytesMax: 100_000 })
  let steps = 0
  client.broker.logins.set('M', {
    step: async () =>
      ++steps % 3 === 0 ? { kind: 'done', principal: 'anna', data: Buffer.from('proof') } : { kind: 'challenge', data: Buffer.from('more') },
  })
  for (const piece of pieces) {
    client.connection.data(piece)
    // The session opens as soon as it can, so that a split does not change what the connection was when a byte came.
    if (client.connection.state !== 'connecting') continue
    await client.turn()
    client.broker.sessions[0]?.commit()
    await client.turn()
  }
  await client.turn()
  const session = client.broker.sessions[0] as (typeof client.broker.sessions)[number] | undefined
  session?.commit()
  // Whether settlements were gathered in one call depends on the split, and may.
  const told = session?.consumer === undefined ? '' : session.consumer.queues.map((queue) => queue.path.join('|')).join()
  return JSON.stringify([client.connection.state, client.wire.state, client.wire.taken(), session?.calls, told])
}

function splits(stream: Buffer, random: SeededRandom): Buffer[][] {
  const some: Buffer[] = []
  for (let at = 0; at < stream.length; ) {
    const next = at + 1 + random.below(9)
    some.push(stream.subarray(at, next))
    at = next
  }
  return [Array.from(stream, (_, at) => stream.subarray(at, at + 1)), some]
}

function stream(random: SeededRandom, version: 4 | 5): Buffer {
  const method = version === 5 && random.below(3) === 0 ? { properties: { authenticationMethod: 'M' } } : {}
  const packets: Packet[] = [{ cmd: 'connect', protocolId: 'MQTT', protocolVersion: version, clean: true, clientId: 'c', keepalive: 60, ...method }]
  const auth = (reasonCode: number): Packet => ({
    cmd: 'auth',
    reasonCode,
    properties: { authenticationMethod: 'M', authenticationData: Buffer.from('x') },
  })
  if ('properties' in method) for (let count = random.below(4); count > 0; count--) packets.push(auth(0x18))
  const properties = (): object => (version === 5 ? { properties: randomProperties(random) } : {})
  const id = () => 1 + random.below(5)
  for (let count = random.below(8); count > 0; count--) {
    const qos = random.below(3) as 0 | 1 | 2
    const kinds: Packet[] = [
      {
        cmd: 'publish',
        topic: 't/x',
        payload: Buffer.from(random.bytes(random.below(20))),
        qos,
        dup: false,
        retain: random.below(2) === 1,
        messageId: id(),
        ...properties(),
      },
      {
        cmd: 'subscribe',
        messageId: id(),
        subscriptions: [{ topic: 't/+', qos, nl: random.below(2) === 1, rap: random.below(2) === 1, rh: random.below(3) }],
      },
      { cmd: 'unsubscribe', messageId: id(), unsubscriptions: ['t/+'] },
      { cmd: 'puback', messageId: id() },
      { cmd: 'pubrec', messageId: id(), ...(version === 5 ? { reasonCode: random.below(2) * 0x87 } : {}) },
      { cmd: 'pubrel', messageId: id() },
      { cmd: 'pubcomp', messageId: id() },
      { cmd: 'pingreq' },
      { cmd: 'disconnect' },
      ...(version === 5 ? [auth(0x18 + random.below(2))] : []),
    ]
    packets.push(kinds[random.below(kinds.length)])
  }
  return Buffer.concat(packets.map((packet) => mqttPacket.generate(packet, { protocolVersion: version })))
}

/** Those of PUBLISH. */
function randomProperties(random: SeededRandom): NonNullable<IPublishPacket['properties']> {
  const some = <T>(value: T): T | undefined => (random.below(3) === 0 ? value : undefined)
  const chosen = {
    payloadFormatIndicator: some(random.below(2) === 1),
    messageExpiryInterval: some(random.below(2 ** 32 - 1)),
    topicAlias: some(1 + random.below(3)),
    contentType: some('größe/x'),
    responseTopic: some('answers/here'),
    correlationData: some(Buffer.from(random.bytes(random.below(40)))),
    userProperties: some({ a: ['1', '2'], priority: String(random.below(12)), JMSXGroupID: 'g' }),
  }
  return Object.fromEntries(Object.entries(chosen).filter(([, value]) => value !== undefined))
}

describe('streams', () => {
  const files = readdirSync(CORPUS).filter((name) => name.endsWith('.hex'))
  it.each(files)('of the corpus: %s', async (name) => {
    const bytes = Buffer.from(readFileSync(new URL(name, CORPUS), 'utf8').replace(/\s/g, ''), 'hex')
    const whole = await effect([bytes])
    for (let at = 1; at < bytes.length; at++) expect(await effect([bytes.subarray(0, at), bytes.subarray(at)]), `split at ${at}`).toBe(whole)
  })

  it.each([4, 5] as const)(
    'of level %i, changed at random, do the same however they are split',
    async (version) => {
      for (let seed = 1; seed <= 400; seed++) {
        const random = new SeededRandom(seed)
        const bytes = stream(random, version)
        for (let change = random.below(4); change > 0; change--) bytes[random.below(bytes.length)] = random.below(256)
        const whole = await effect([bytes])
        for (const pieces of splits(bytes, random)) expect(await effect(pieces), `seed ${seed}: ${bytes.toString('hex')}`).toBe(whole)
      }
    },
    30_000,
  )

  it('of noise end or wait, and keep little', () => {
    for (let seed = 1; seed <= 3000; seed++) {
      const random = new SeededRandom(seed)
      const client = new Client()
      client.connection.data(random.bytes(1 + random.below(200)))
      expect(['fresh', 'closed', 'connecting']).toContain(client.connection.state)
    }
  })
})

describe('frames beside mqtt-packet', () => {
  it('PUBLISH and the acknowledgements are cut where it cuts them, and say what it says', () => {
    for (let seed = 1; seed <= 1000; seed++) {
      const random = new SeededRandom(seed * 31)
      const payload = Buffer.from(random.bytes(random.below(4) === 0 ? 10_000 + random.below(10_000) : random.below(200)))
      const qos = random.below(3) as 0 | 1 | 2
      const topic = ['t', 'größe/x', 'a'.repeat(300)][random.below(3)]
      const messageId = 1 + random.below(65_535)
      const packets: Packet[] = [
        {
          cmd: 'publish',
          topic,
          payload,
          qos,
          dup: qos > 0 && random.below(2) === 1,
          retain: random.below(2) === 1,
          ...(qos > 0 ? { messageId } : {}),
        },
        { cmd: (['puback', 'pubrec', 'pubrel', 'pubcomp'] as const)[random.below(4)], messageId },
      ]
      const bytes = Buffer.concat(packets.map((packet) => mqttPacket.generate(packet)))
      const theirs: Packet[] = []
      const parser = mqttPacket.parser()
      parser.on('packet', (packet: Packet) => void theirs.push(packet))
      parser.parse(bytes)
      const ours: Packet[] = []
      const frames: Frames = {
        expect() {},
        frame(first, buffer, start, end) {
          ours.push(meaning(first, buffer, start, end))
          return true
        },
      }
      const framer = new Framer(frames)
      const cut = random.below(bytes.length)
      framer.push(bytes.subarray(0, cut))
      framer.push(bytes.subarray(cut))
      expect(ours.map(shown), `seed ${seed}`).toEqual(theirs.map(shown))
    }
  })
})

/** As `on/publish.ts` and the others read it. */
function meaning(first: number, buffer: Buffer, start: number, end: number): Packet {
  const names = { 4: 'puback', 5: 'pubrec', 6: 'pubrel', 7: 'pubcomp' } as const
  const type = (first >> 4) as 3 | 4 | 5 | 6 | 7
  if (type !== 3) return { cmd: names[type], messageId: buffer.readUInt16BE(start) }
  const qos = ((first >> 1) & 3) as 0 | 1 | 2
  const topicEnd = start + 2 + buffer.readUInt16BE(start)
  return {
    cmd: 'publish',
    qos,
    dup: (first & 8) !== 0,
    retain: (first & 1) !== 0,
    topic: buffer.toString('utf8', start + 2, topicEnd),
    payload: buffer.subarray(qos > 0 ? topicEnd + 2 : topicEnd, end),
    ...(qos > 0 ? { messageId: buffer.readUInt16BE(topicEnd) } : {}),
  }
}

function shown(packet: Packet): unknown {
  return packet.cmd === 'publish'
    ? [packet.topic, packet.qos, packet.dup, packet.retain, packet.messageId, Buffer.from(packet.payload).toString('hex')]
    : [packet.cmd, packet.messageId]
}

describe('MQTT 5 beside mqtt-packet', () => {
  it('a PUBLISH says what it says there, and leaves as it came', async () => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = new SeededRandom(seed * 17)
      const client = new Client()
      await client.connect(FIVE)
      client.send('8207 0001 00 0001 23 02')
      client.session.commit()
      client.wire.taken()
      const properties = { ...randomProperties(random) }
      delete properties.topicAlias
      const payload = Buffer.from(random.bytes(random.below(2) === 0 ? random.below(20) : 300))
      const packet = { cmd: 'publish', topic: 'a/b', payload, qos: 0, dup: false, retain: false, properties } as const
      client.connection.data(mqttPacket.generate(packet, { protocolVersion: 5 }))
      const [{ to, message }] = client.session.published.splice(0)
      client.consumer.give({ to, message })
      const theirs: Packet[] = []
      const parser = mqttPacket.parser({ protocolVersion: 5 })
      parser.on('packet', (each: Packet) => void theirs.push(each))
      parser.parse(Buffer.from(client.wire.taken(), 'hex'))
      const [came] = theirs
      if (came?.cmd !== 'publish') throw new Error(`seed ${seed}: no PUBLISH came`)
      expect([came.topic, Buffer.from(came.payload).toString('hex'), sorted(came.properties)], `seed ${seed}`).toEqual([
        'a/b',
        payload.toString('hex'),
        sorted(properties),
      ])
    }
  })

  it('a message crosses the canonical form and comes back the same', () => {
    const broker = new Client().broker
    const front = newFront(broker, defaults, SILENT)
    const dialect = dialectFive(front.topics)
    for (let seed = 1; seed <= 300; seed++) {
      const random = new SeededRandom(seed * 13)
      const properties = randomProperties(random)
      delete properties.topicAlias
      const bytes = mqttPacket.generate(
        { cmd: 'publish', topic: 't', payload: 'text', qos: 1, messageId: 1, dup: false, retain: false, properties },
        { protocolVersion: 5 },
      )
      const found = readPublishProperties(bytes, 7, bytes.length, 1_000_000, false)
      const message = newMessageFive(1, false, bytes.subarray(found.end), bytes, found, 0)
      const lost: string[] = []
      const back = dialect.fromCanonical(dialect.toCanonical({ ...message, dialect: 'mqtt5' }), message, (field) => lost.push(field))
      expect(lost, `seed ${seed}`).toEqual([])
      const [mine, theirs] = [readHead(message.head), readHead(back?.head ?? new Uint8Array(0))]
      // The canonical form has one order for fields and properties, and no word for what is normal.
      const pairs = (head: typeof mine): string[] =>
        head.user
          .map(([name, value]) => `${name}=${value}`)
          .filter((pair) => pair !== 'priority=4')
          .sort()
      expect({ ...theirs, user: pairs(theirs) }, `seed ${seed}`).toEqual({ ...mine, user: pairs(mine) })
    }
  })
})

const FIVE = '100e 0004 4d515454 05 02 003c 00 0001 61'
const SILENT = { debug() {}, info() {}, warn() {}, error() {} }

function sorted(properties: object = {}): unknown {
  return Object.entries({ ...properties })
    .map(([name, value]) => [name, Buffer.isBuffer(value) ? value.toString('hex') : JSON.stringify(value)])
    .sort()
}
