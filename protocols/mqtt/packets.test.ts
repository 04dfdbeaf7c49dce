// Each packet against bytes written out, and against `mqtt-packet`: what both take must mean the same.
// Where we are stricter on purpose stands in STRICTER.
import mqttPacket, { type IConnectPacket, type Packet } from 'mqtt-packet'
import { describe, expect, it } from 'vitest'
import { SeededRandom } from '../../src/random.ts'
import { ProtocolError } from './codec.ts'
import { decodeConnect, decodeSubscribe, decodeUnsubscribe } from './packets.ts'

const connect = (hex: string) => {
  const bytes = Buffer.from(hex.replace(/ /g, ''), 'hex')
  return decodeConnect(bytes, 0, bytes.length)
}

describe('CONNECT', () => {
  it('reads every field of the example of the specification', () => {
    const hex = '0004 4d515454 04 ce 000a 0003 616263 0004 77696c6c 0003 627965 0004 75736572 0002 7077'
    expect(connect(hex)).toEqual({
      version: 4,
      clean: true,
      keepAliveSeconds: 10,
      clientId: 'abc',
      will: { topic: Buffer.from('will'), payload: Buffer.from('bye'), qos: 1, retain: false },
      user: 'user',
      password: Buffer.from('pw'),
    })
  })

  it('knows 3.1 by its name and level', () => {
    expect(connect('0006 4d5149736470 03 02 0000 0001 61')).toMatchObject({ version: 3, clean: true, clientId: 'a' })
  })

  it.each([
    ['6', '0004 4d515454 06', 6],
    ['3.1.1 with the level of 3.1', '0004 4d515454 03 02 0000 0001 61', 3],
    ['a bridge of mosquitto', '0004 4d515454 84 02 0000 0001 61', 0x84],
  ])('tells the level of %s, whatever follows', (_, hex, level) => {
    expect(connect(hex)).toEqual({ version: 0, level })
  })

  it.each([
    ['another protocol name', '0004 48545450 04 02 0000 0001 61'],
    ['a protocol name in small letters', '0004 6d717474 04 02 0000 0001 61'],
    ['the reserved flag', '0004 4d515454 04 03 0000 0001 61'],
    ['will QoS without will', '0004 4d515454 04 0a 0000 0001 61'],
    ['will retain without will', '0004 4d515454 04 22 0000 0001 61'],
    ['will QoS 3', '0004 4d515454 04 1e 0000 0001 61 0001 74 0000'],
    ['a password without a user', '0004 4d515454 04 42 0000 0001 61 0001 70'],
    ['no client identifier', '0004 4d515454 04 02 0000'],
    ['a client identifier longer than the packet', '0004 4d515454 04 02 0000 00ff 61'],
    ['no will message', '0004 4d515454 04 06 0000 0001 61 0001 74'],
    ['no password', '0004 4d515454 04 c2 0000 0001 61 0001 75'],
    ['bytes left over', '0004 4d515454 04 02 0000 0001 61 00'],
    ['a client identifier that is not UTF-8', '0004 4d515454 04 02 0000 0002 c328'],
    ['a surrogate in the client identifier', '0004 4d515454 04 02 0000 0003 eda080'],
    ['U+0000 in the client identifier', '0004 4d515454 04 02 0000 0001 00'],
    ['nothing', ''],
    ['a name only', '0004 4d515454'],
  ])('refuses %s', (_, hex) => {
    expect(() => connect(hex)).toThrow(ProtocolError)
  })
})

describe('SUBSCRIBE and UNSUBSCRIBE', () => {
  const subscribe = (hex: string, max = 100) => {
    const bytes = Buffer.from(hex.replace(/ /g, ''), 'hex')
    return decodeSubscribe(bytes, 0, bytes.length, max)
  }
  const unsubscribe = (hex: string, max = 100) => {
    const bytes = Buffer.from(hex.replace(/ /g, ''), 'hex')
    return decodeUnsubscribe(bytes, 0, bytes.length, max)
  }

  it('reads them', () => {
    expect(subscribe('000a 0003 612f62 01 0003 632f64 02')).toEqual({ packetId: 10, filters: ['a/b', 'c/d'], options: [1, 2], identifier: 0 })
    expect(unsubscribe('000a 0003 612f62 0003 632f64')).toEqual({ packetId: 10, filters: ['a/b', 'c/d'] })
  })

  it.each([
    ['packet identifier 0', '0000 0001 61 00'],
    ['no filter', '0001'],
    ['an empty filter', '0001 0000 00'],
    ['QoS 3', '0001 0001 61 03'],
    ['reserved bits of the QoS', '0001 0001 61 81'],
    ['a filter without QoS', '0001 0001 61'],
    ['a filter that is not UTF-8', '0001 0001 ff 00'],
    ['U+0000', '0001 0001 00 00'],
  ])('refuses a SUBSCRIBE with %s', (_, hex) => {
    expect(() => subscribe(hex)).toThrow(ProtocolError)
  })

  it.each([
    ['packet identifier 0', '0000 0001 61'],
    ['no filter', '0001'],
    ['an empty filter', '0001 0000'],
    ['half a length', '0001 00'],
  ])('refuses an UNSUBSCRIBE with %s', (_, hex) => {
    expect(() => unsubscribe(hex)).toThrow(ProtocolError)
  })

  it('refuses more filters than are allowed', () => {
    expect(subscribe('0001 0001 61 00 0001 62 00', 2).filters).toEqual(['a', 'b'])
    expect(() => subscribe('0001 0001 61 00 0001 62 00', 1)).toThrow(/more than 1/)
    expect(() => unsubscribe('0001 0001 61 0001 62', 1)).toThrow(/more than 1/)
  })
})

describe('beside mqtt-packet', () => {
  /** What mqtt-packet says of one packet; undefined: an error, or not all of it read. */
  function oracle(packet: Buffer): Packet | undefined {
    const parser = mqttPacket.parser()
    let seen: Packet | undefined
    let failed = false
    parser.on('packet', (one: Packet) => {
      seen = one
    })
    parser.on('error', () => {
      failed = true
    })
    const left = parser.parse(packet)
    return failed || left > 0 ? undefined : seen
  }

  /** Why we may refuse what mqtt-packet takes. Nothing else is an excuse. */
  const STRICTER =
    /^refused: .*(UTF-8|U\+0000|left over|password without|will QoS is 3|more than|protocol name|packet identifier is 0|empty|ends before|without a filter)/

  it('reads what it generates as it was meant', () => {
    for (let seed = 1; seed <= 2000; seed++) {
      const random = new SeededRandom(seed)
      const will =
        random.below(2) === 0
          ? undefined
          : {
              topic: `t${text(random)}`,
              payload: Buffer.from(random.bytes(random.below(40))),
              qos: random.below(3) as 0 | 1 | 2,
              retain: random.below(2) === 1,
            }
      const user = random.below(2) === 0 ? undefined : `u${text(random)}`
      const password = user !== undefined && random.below(2) === 1 ? Buffer.from(random.bytes(1 + random.below(30))) : undefined
      const old = random.below(4) === 0
      const packet: IConnectPacket = {
        cmd: 'connect',
        protocolId: old ? 'MQIsdp' : 'MQTT',
        protocolVersion: old ? 3 : 4,
        clean: random.below(2) === 1,
        keepalive: random.below(65_536),
        clientId: `c${text(random)}`,
        ...(will === undefined ? {} : { will }),
        ...(user === undefined ? {} : { username: user }),
        ...(password === undefined ? {} : { password }),
      }
      const bytes = mqttPacket.generate(packet)
      const read = decodeConnect(bytes, bytes.length < 130 ? 2 : 3, bytes.length)
      if (read.version === 0) throw new Error('the version is known')
      const shown = {
        ...read,
        will: read.will && { ...read.will, topic: hex(read.will.topic), payload: hex(read.will.payload) },
        password: hex(read.password),
      }
      expect(shown, `seed ${seed}`).toEqual({
        version: packet.protocolVersion,
        clean: packet.clean,
        keepAliveSeconds: packet.keepalive,
        clientId: packet.clientId,
        will: will === undefined ? undefined : { ...will, topic: hex(will.topic), payload: hex(will.payload) },
        user,
        password: hex(password),
      })
    }
  })

  it('says the same of packets that were changed at random, or is stricter for a named reason', () => {
    const differences: string[] = []
    let both = 0
    for (let seed = 1; seed <= 6000; seed++) {
      const bytes = changedPacket(new SeededRandom(seed * 7919))
      const ours = ourMeaning(bytes)
      const theirs = theirMeaning(oracle(bytes))
      if (ours === theirs) both++
      else if (theirs === undefined ? !/^refused|^a level/.test(ours) : ours !== UNKNOWN_LEVEL && !STRICTER.test(ours)) {
        differences.push(`seed ${seed} ${bytes.toString('hex')}: ${ours} / ${theirs}`)
      }
    }
    expect(differences).toEqual([])
    expect(both).toBeGreaterThan(1000)
  })
})

const UNKNOWN_LEVEL = 'a level that is not ours: read no further'

function changedPacket(random: SeededRandom): Buffer {
  const kind = random.below(3)
  const bytes = mqttPacket.generate(
    kind === 0
      ? {
          cmd: 'connect',
          protocolId: 'MQTT',
          protocolVersion: 4,
          clean: true,
          clientId: `c${text(random)}`,
          keepalive: 60,
          username: 'u',
          password: Buffer.from('p'),
        }
      : kind === 1
        ? {
            cmd: 'subscribe',
            messageId: 1 + random.below(65_535),
            subscriptions: [
              { topic: 'a/b', qos: 1 },
              { topic: `t${text(random)}`, qos: 2 },
            ],
          }
        : { cmd: 'unsubscribe', messageId: 1 + random.below(65_535), unsubscriptions: ['a/b', `t${text(random)}`] },
  )
  const start = bytes.length < 130 ? 2 : 3
  for (let change = random.below(3); change > 0; change--) bytes[start + random.below(bytes.length - start)] = random.below(256)
  return bytes
}

function ourMeaning(bytes: Buffer): string {
  const start = bytes.length < 130 ? 2 : 3
  try {
    switch (bytes[0] >> 4) {
      case 1: {
        const read = decodeConnect(bytes, start, bytes.length)
        if (read.version === 0) return UNKNOWN_LEVEL
        return JSON.stringify([read.clientId, read.clean, read.keepAliveSeconds, read.user, hex(read.password), hex(read.will?.topic)])
      }
      case 8: {
        const read = decodeSubscribe(bytes, start, bytes.length, 1000)
        return JSON.stringify([read.packetId, read.filters, read.options])
      }
      default: {
        const read = decodeUnsubscribe(bytes, start, bytes.length, 1000)
        return JSON.stringify([read.packetId, read.filters])
      }
    }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    return `refused: ${error.message}`
  }
}

function theirMeaning(packet: Packet | undefined): string | undefined {
  switch (packet?.cmd) {
    case 'connect':
      return JSON.stringify([packet.clientId, packet.clean, packet.keepalive, packet.username, hex(packet.password), hex(packet.will?.topic)])
    case 'subscribe':
      return JSON.stringify([packet.messageId, packet.subscriptions.map((one) => one.topic), packet.subscriptions.map((one) => one.qos)])
    case 'unsubscribe':
      return JSON.stringify([packet.messageId, packet.unsubscriptions])
    default:
      return undefined
  }
}

function hex(bytes: string | Uint8Array | undefined): string | undefined {
  return bytes === undefined ? undefined : Buffer.from(bytes as string).toString('hex')
}

function text(random: SeededRandom): string {
  const words = ['a', 'größe', 'x/y', '🙂', '', 'long'.repeat(20), '+', '#', '$SYS/a', 'tab\t']
  return words[random.below(words.length)] + words[random.below(words.length)]
}
