// Enhanced authentication [MQTT5-4.12]: byte by byte at log-ins that do what they are told, then SCRAM with the real core, by our own bytes and by MQTT.js.
import mqttClient from 'mqtt'
import type { IAuthPacket, IConnackPacket } from 'mqtt-packet'
import { afterEach, describe, expect, it } from 'vitest'
import { ScramClient } from '../../test/support/scram-client.ts'
import type { LoginStep } from '../../src/api.ts'
import { realClock } from '../../src/clock.ts'
import { defaultLimits } from '../../src/config/defaults.ts'
import { CodedError } from '../../src/errors.ts'
import { Authenticator } from '../../src/users/authenticator.ts'
import { makeHash } from '../../src/users/hash.ts'
import { makeVerifier, writeVerifier } from '../../src/users/scram.ts'
import { Client } from './fake-core.ts'
import { connect, farewell, read } from './fake-five.ts'
import { Node } from './fake-node.ts'

const hexOf = (text: string): string => Buffer.from(text).toString('hex')
const sized = (bytes: string): string => (bytes.length / 2).toString(16).padStart(4, '0') + bytes
const METHOD = `15${sized(hexOf('M'))}`
const data = (text: string): string => `16${sized(hexOf(text))}`
/** `properties`: without their length. */
function auth(reason: string, properties: string): string {
  const bytes = properties.replace(/ /g, '')
  const body = `${reason}${(bytes.length / 2).toString(16).padStart(2, '0')}${bytes}`
  return `f0${(body.length / 2).toString(16).padStart(2, '0')}${body}`
}

/** A log-in that asks so often, and says then who it was. */
class Steps {
  readonly said: (string | undefined)[] = []
  questions = 1
  principal = 'anna'
  refusal: CodedError | undefined = undefined
  /** While it is set, nobody is answered. */
  gate: Promise<void> | undefined = undefined

  async step(response: Uint8Array | undefined): Promise<LoginStep> {
    this.said.push(response === undefined ? undefined : Buffer.from(response).toString())
    if (this.gate !== undefined) await this.gate
    if (this.refusal !== undefined) throw this.refusal
    if (this.said.length > this.questions) return { kind: 'done', principal: this.principal, data: Buffer.from('proof') }
    return { kind: 'challenge', data: Buffer.from(`question ${this.said.length}`) }
  }
}

function start(): { client: Client; steps: Steps } {
  const client = new Client()
  const steps = new Steps()
  client.broker.logins.set('M', steps)
  return { client, steps }
}

/** Connected, with one question asked and answered. */
async function connected(properties = ''): Promise<{ client: Client; steps: Steps }> {
  const { client, steps } = start()
  client.send(connect(`${METHOD} ${data('first')} ${properties}`))
  await client.turn()
  client.send(auth('18', METHOD + data('second')))
  await client.turn()
  client.session.commit()
  await client.turn()
  return { client, steps }
}

describe('a log-in in several steps', () => {
  it('goes on by AUTH until CONNACK, each with its method', async () => {
    const { client, steps } = start()
    steps.questions = 2
    client.send(connect(`${METHOD} ${data('first')}`))
    expect(client.wire.pauses).toBe(1)
    await client.turn()
    expect(client.wire.taken()).toBe(auth('18', METHOD + data('question 1')))
    expect(client.wire.pauses).toBe(0)
    expect(client.broker.sessions).toEqual([])
    client.send(auth('18', METHOD + data('second')))
    await client.turn()
    expect(client.wire.taken()).toBe(auth('18', METHOD + data('question 2')))
    // Without data, which is not the same as empty data.
    client.send(auth('18', METHOD))
    await client.turn()
    expect(steps.said).toEqual(['first', 'second', undefined])
    expect(client.session.identity.principal).toBe('anna')
    client.session.commit()
    await client.turn()
    expect(read(client.wire.taken())).toMatchObject([
      { cmd: 'connack', reasonCode: 0, properties: { authenticationMethod: 'M', authenticationData: Buffer.from('proof') } },
    ])
    expect(client.wire.pauses).toBe(0)
    client.send('c000')
    expect(client.wire.taken()).toBe('d000')
  })

  it('may be over with CONNECT, and begin with nothing', async () => {
    const { client, steps } = start()
    steps.questions = 0
    client.send(`${connect(METHOD)} c000`)
    await client.turn()
    expect(steps.said).toEqual([undefined])
    client.session.commit()
    await client.turn()
    const [connack, pingresp] = read(client.wire.taken())
    expect([connack?.cmd, pingresp?.cmd]).toEqual(['connack', 'pingresp'])
  })

  it('takes AUTH that came with CONNECT when it is its turn', async () => {
    const { client, steps } = start()
    client.send(`${connect(METHOD + data('first'))} ${auth('18', METHOD + data('second'))}`)
    await client.turn()
    expect(steps.said).toEqual(['first', 'second'])
    expect(client.session.identity.principal).toBe('anna')
  })

  it('that is refused ends in CONNACK', async () => {
    for (const [code, reason] of [
      ['unauthenticated', 0x87],
      ['throttled', 0x89],
    ] as const) {
      const { client, steps } = start()
      client.send(connect(METHOD))
      await client.turn()
      client.wire.taken()
      steps.refusal = new CodedError(code, 'no')
      client.send(auth('18', METHOD + data('second')))
      await client.turn()
      expect(read(client.wire.taken())).toMatchObject([{ cmd: 'connack', reasonCode: reason, sessionPresent: false }])
      expect(client.wire.state).toBe('ended')
      expect(client.broker.sessions).toEqual([])
    }
  })

  it.each([
    ['another method', auth('18', `15${sized(hexOf('N'))}`), 0x82],
    ['no method', auth('18', data('second')), 0x82],
    ['a re-authentication', auth('19', METHOD), 0x82],
    ['success, which only the broker says', auth('00', METHOD), 0x82],
    ['nothing', 'f000', 0x82],
    ['a reason that does not belong', auth('17', METHOD), 0x81],
    ['a property that does not belong', auth('18', `${METHOD} 11 00000001`), 0x81],
    ['two methods', auth('18', METHOD + METHOD), 0x82],
    ['wrong flags', auth('18', METHOD).replace(/^f0/, 'f1'), 0x81],
    ['bytes left over', 'f003 18 00 00', 0x81],
    ['PINGREQ', 'c000', 0x82],
    ['PUBLISH', '3004 0001 74 00', 0x82],
    ['a second CONNECT', connect(METHOD), 0x82],
  ])('where %s comes instead is refused in CONNACK [MQTT5-3.1.2-30]', async (_, hex, reason) => {
    const { client, steps } = start()
    client.send(connect(METHOD))
    await client.turn()
    client.wire.taken()
    client.send(hex)
    await client.turn()
    expect(read(client.wire.taken())).toMatchObject([{ cmd: 'connack', reasonCode: reason }])
    expect(client.wire.state).toBe('ended')
    expect(steps.said.length).toBe(1)
    expect(client.broker.sessions).toEqual([])
  })

  it('is given up by DISCONNECT, by the end of the connection, and by its time', async () => {
    for (const end of [
      (client: Client) => client.send('e000'),
      (client: Client) => client.connection.closed(),
      (client: Client) => client.broker.clock.advance(20_000),
    ]) {
      const { client } = start()
      client.send(connect(METHOD))
      await client.turn()
      client.wire.taken()
      end(client)
      client.send(auth('18', METHOD))
      await client.turn()
      expect(client.wire.taken()).toBe('')
      expect(client.broker.sessions).toEqual([])
    }
  })

  it('that ends while its answer is looked at is told nothing', async () => {
    for (const refusal of [undefined, new CodedError('unauthenticated', 'no')]) {
      const { client, steps } = start()
      let open = (): void => {}
      steps.gate = new Promise((resolve) => {
        open = resolve
      })
      steps.refusal = refusal
      client.send(connect(METHOD))
      client.connection.closed()
      open()
      await client.turn()
      expect(client.wire.taken()).toBe('')
      expect(client.connection.state).toBe('closed')
    }
  })

  it('whose next question is longer than the client takes is refused', async () => {
    const { client } = start()
    client.send(connect(`${METHOD} 27 00000014`))
    await client.turn()
    expect(client.wire.taken()).toBe('2003009500')
    expect(client.wire.state).toBe('ended')
  })
})

describe('re-authentication', () => {
  const AGAIN = auth('19', METHOD + data('again'))

  it('asks and answers beside everything else, and ends in AUTH 0x00', async () => {
    const { client } = await connected()
    client.wire.taken()
    const steps = new Steps()
    client.broker.logins.set('M', steps)
    client.send(AGAIN)
    client.send('c000')
    await client.turn()
    expect(client.wire.taken()).toBe(`d000${auth('18', METHOD + data('question 1'))}`)
    client.send('3206 0001 74 0001 00')
    client.send(auth('18', METHOD + data('more')))
    await client.turn()
    client.session.commit()
    expect(client.wire.taken()).toBe(`${auth('00', METHOD + data('proof'))}40020001`)
    expect(steps.said).toEqual(['again', 'more'])
    // And once more.
    client.broker.logins.set('M', new Steps())
    client.send(AGAIN)
    await client.turn()
    expect(client.wire.taken()).toBe(auth('18', METHOD + data('question 1')))
  })

  it.each([
    ['fails', new CodedError('unauthenticated', 'no'), 'anna', 0x87],
    ['comes too often', new CodedError('throttled', 'no'), 'anna', 0x89],
    ['is of somebody else', undefined, 'bert', 0x87],
  ])('that %s ends the connection [MQTT5-4.12.1-2]', async (_, refusal, principal, reason) => {
    const { client } = await connected()
    client.wire.taken()
    const steps = new Steps()
    steps.questions = 0
    steps.principal = principal
    steps.refusal = refusal
    client.broker.logins.set('M', steps)
    client.send(AGAIN)
    await client.turn()
    expect(farewell(client)).toBe(reason)
    expect(client.session.taken()).toContain('close lost')
  })

  it.each([
    ['of another method', auth('19', `15${sized(hexOf('N'))}`)],
    ['of no method', auth('19', '')],
    ['that goes on where nothing began', auth('18', METHOD)],
    ['of success', auth('00', METHOD)],
    ['that begins while it is asked', `${AGAIN} ${AGAIN}`],
    ['that answers what was not asked yet', `${AGAIN} ${auth('18', METHOD)}`],
  ])('%s is a protocol error', async (_, hex) => {
    const { client } = await connected()
    client.wire.taken()
    const steps = new Steps()
    client.broker.logins.set('M', steps)
    client.send(hex)
    expect(farewell(client)).toBe(0x82)
    await client.turn()
    expect(client.wire.taken()).toBe('')
  })
})

describe('SCRAM', () => {
  let node: Node
  afterEach(async () => node.stop())
  const verifiers = (['SCRAM-SHA-256', 'SCRAM-SHA-512'] as const).map((mechanism) => writeVerifier(makeVerifier(mechanism, 'a', 4096)))
  const logins = new Authenticator({
    users: [{ name: 'anna', password: makeHash(Buffer.from('a'), 1), scram: verifiers }],
    anonymous: false,
    limits: defaultLimits,
    clock: realClock,
    check: async () => false,
  })

  it.each(['SCRAM-SHA-256', 'SCRAM-SHA-512'])(
    'by %s lets in who has the password, twice, and shows that it knows it, in bytes',
    async (mechanism) => {
      node = await new Node({}, { logins }).start()
      const raw = await node.raw()
      const method = `15${sized(hexOf(mechanism))}`
      const packet = async (): Promise<string> => {
        const head = await raw.take(2)
        // A length of one or two bytes.
        const long = Number.parseInt(head.slice(2), 16) > 127
        const more = long ? await raw.take(1) : ''
        const length = (Number.parseInt(head.slice(2), 16) & 127) + (long ? Number.parseInt(more, 16) * 128 : 0)
        return head + more + (await raw.take(length))
      }
      const send = (type: string, before: string, properties: string, after = '') => {
        const length = properties.length / 2
        const head = length > 127 ? Buffer.from([(length & 127) | 128, length >> 7]) : Buffer.from([length])
        const body = before + head.toString('hex') + properties + after
        const bytes = body.length / 2
        const remaining = bytes > 127 ? Buffer.from([(bytes & 127) | 128, bytes >> 7]) : Buffer.from([bytes])
        raw.send(type + remaining.toString('hex') + body)
      }
      const dataOf = (hex: string): string => {
        const at = hex.indexOf(`${method}16`) + method.length + 2
        return Buffer.from(hex.slice(at + 4, at + 4 + 2 * Number.parseInt(hex.slice(at, at + 4), 16)), 'hex').toString()
      }
      for (const begin of ['connect', 'again']) {
        const client = new ScramClient(mechanism, 'anna', 'a')
        const first = method + data(client.first)
        if (begin === 'connect') send('10', '00044d51545405' + '02' + '003c', first, '000161')
        else send('f0', '19', first)
        const asked = await packet()
        expect(asked.slice(0, 2)).toBe('f0')
        send('f0', '18', method + data(client.final(dataOf(asked))))
        const last = await packet()
        expect(last.slice(0, 2)).toBe(begin === 'connect' ? '20' : 'f0')
        expect(client.knows(dataOf(last))).toBe(true)
      }
      expect(await raw.silent()).toBe(true)
    },
  )

  it.each([
    ['the right password', 'a', 0],
    ['another password', 'b', 0x87],
  ])('by MQTT.js with %s', async (_, password, reason) => {
    node = await new Node({}, { logins }).start()
    const scram = new ScramClient('SCRAM-SHA-256', 'anna', password)
    const method = 'SCRAM-SHA-256'
    const client = mqttClient.connect({
      host: '127.0.0.1',
      port: node.port,
      reconnectPeriod: 0,
      protocolVersion: 5,
      properties: { authenticationMethod: method, authenticationData: Buffer.from(scram.first) },
    })
    client.on('error', () => {})
    client.handleAuth = (packet: IAuthPacket, callback) => {
      const final = scram.final(String(packet.properties?.authenticationData))
      callback(undefined, { cmd: 'auth', reasonCode: 0x18, properties: { authenticationMethod: method, authenticationData: Buffer.from(final) } })
    }
    const connack = await new Promise<IConnackPacket>((resolve) => {
      client.on('packetreceive', (packet) => {
        if (packet.cmd === 'connack') resolve(packet)
      })
    })
    client.end(true)
    expect(connack.reasonCode).toBe(reason)
    expect(scram.knows(String(connack.properties?.authenticationData))).toBe(reason === 0)
  })
})
