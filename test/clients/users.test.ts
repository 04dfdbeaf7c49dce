// Names and passwords with real clients, over every listener of the built program (where passwords are checked in a thread of their own).
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from '@stomp/stompjs'
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { bascule } from '../program/program.ts'
import { addressOf } from '../wire/bytes.ts'
import { NodeProcess, program } from '../wire/node-process.ts'
import { StompWire } from '../wire/stomp-wire.ts'
import { maven, run, whySkipped } from './clients.ts'

const qpidJms = maven('qpid-jms')
const folder = mkdtempSync(join(tmpdir(), 'bascule-users-'))
const closing: (() => Promise<unknown>)[] = []
let node: NodeProcess
let at: Readonly<Record<string, string>> = {}

/** As `bascule user entry` prints it: lines of a file of YAML. */
const entryOf = async (name: string, password: string, cost: string): Promise<string> => {
  const ran = await run(process.execPath, [program, 'user', 'entry', name, '--cost', cost], { input: `${password}\n` })
  expect(ran).toMatchObject({ code: 0, stderr: '' })
  return ran.stdout
}

beforeAll(async () => {
  const entries = (await entryOf('anna', 'grüße:1', '10')) + (await entryOf('jms', 'pass=1,2', '10')) + (await entryOf('slow', 'slow', '16'))
  const config = join(folder, 'users.yaml')
  writeFileSync(config, `users:\n${entries}limits:\n  loginsWaiting: 4\n`)
  node = new NodeProcess({ data: join(folder, 'data'), args: ['--config', config] })
  at = (await node.leads()).listeners
})

afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

afterAll(async () => {
  await node?.signal('SIGTERM')
  rmSync(folder, { recursive: true, force: true })
})

/** Connected, or the code of CONNACK. */
async function mqttClient(url: string, options: IClientOptions): Promise<MqttClient | number | undefined> {
  const client = mqtt.connect(url, { reconnectPeriod: 0, protocolVersion: 4, ...options })
  closing.push(() => client.endAsync(true))
  return new Promise((resolve) => {
    client.once('connect', () => resolve(client))
    client.once('error', (error: Error & { code?: unknown }) => resolve(typeof error.code === 'number' ? error.code : undefined))
  })
}

/** 'connected', or the body of ERROR. */
function stompOverWebSocket(headers: Readonly<Record<string, string>>): Promise<string> {
  const client = new Client({ reconnectDelay: 0, connectHeaders: { ...headers } })
  client.webSocketFactory = () =>
    new WebSocket(`ws://${at['websocket'] ?? ''}`, 'v12.stomp') as unknown as ReturnType<NonNullable<Client['webSocketFactory']>>
  closing.push(() => client.deactivate({ force: true }))
  return new Promise((resolve) => {
    client.onConnect = () => resolve('connected')
    client.onStompError = (frame) => resolve(frame.body)
    client.activate()
  })
}

async function stompOverTcp(headers: Readonly<Record<string, string>>): Promise<string> {
  try {
    const wire = await StompWire.connect(addressOf(at['stomp'] ?? ''), { headers })
    wire.destroy()
    return 'connected'
  } catch (error) {
    return error instanceof Error ? error.message : ''
  }
}

const wrong: readonly (readonly [what: string, login: Readonly<{ username?: string; password?: string }>])[] = [
  ['a wrong password', { username: 'anna', password: 'grüße:2' }],
  ['an unknown name', { username: 'eve', password: 'grüße:1' }],
  ['no password', { username: 'anna' }],
  ['nothing', {}],
]

describe('MQTT.js', () => {
  it.each(['mqtt', 'websocket'])('is let in over %s with its password and served', async (listener) => {
    const client = await mqttClient(`${listener === 'mqtt' ? 'mqtt' : 'ws'}://${at[listener] ?? ''}`, { username: 'anna', password: 'grüße:1' })
    if (!(client instanceof mqtt.MqttClient)) throw new Error('refused')
    await client.publishAsync('users/x', 'x', { qos: 1 })
  })

  it.each(wrong)('is refused for %s with CONNACK 4, or 5 if it named nobody', async (_, login) => {
    const code = login.username === undefined ? 5 : 4
    expect(await mqttClient(`mqtt://${at['mqtt'] ?? ''}`, login)).toBe(code)
    expect(await mqttClient(`ws://${at['websocket'] ?? ''}`, login)).toBe(code)
  })

  it('is served while another’s password is checked', async () => {
    const url = `mqtt://${at['mqtt'] ?? ''}`
    const client = await mqttClient(url, { username: 'anna', password: 'grüße:1' })
    if (!(client instanceof mqtt.MqttClient)) throw new Error('refused')
    const events: string[] = []
    const other = mqttClient(url, { username: 'slow', password: 'wrong' }).then((code) => events.push(code === 4 ? 'refused' : 'not refused'))
    await new Promise((resolve) => setImmediate(resolve))
    for (let i = 0; i < 3; i++) {
      await client.publishAsync('users/y', 'y', { qos: 1 })
      events.push('served')
    }
    await other
    expect(events).toEqual(['served', 'served', 'served', 'refused'])
  })
})

describe('too many log-ins at once', () => {
  it('are told to come later: CONNACK 3, ERROR, 429; one that is remembered is let in', async () => {
    const url = `mqtt://${at['mqtt'] ?? ''}`
    const anna = { username: 'anna', password: 'grüße:1' }
    expect(await mqttClient(url, anna)).toBeInstanceOf(mqtt.MqttClient)
    // A quarter of four, from one address, is one.
    const first = connect(addressOf(at['stomp'] ?? ''))
    await new Promise((sent) => first.write('CONNECT\naccept-version:1.2\nhost:x\nlogin:slow\npasscode:wrong as well\n\n\0', sent))
    const others = (async () => [
      await mqttClient(url, { username: 'slow', password: 'other' }),
      await stompOverTcp({ login: 'slow', passcode: 'other' }),
      (await fetch(`http://${at['http'] ?? ''}/api/status`, { headers: { authorization: `Basic ${btoa('slow:other')}` } })).status,
      await mqttClient(url, anna),
    ])()
    expect(await others).toEqual([3, expect.stringContaining('limits.loginsWaiting'), 429, expect.any(mqtt.MqttClient)])
    const [answer] = await once(first, 'data')
    expect(String(answer)).toMatch(/^ERROR\n[\s\S]*is wrong/)
    first.destroy()
  })
})

describe('STOMP clients', () => {
  it('are let in with their password', async () => {
    expect(await stompOverWebSocket({ login: 'anna', passcode: 'grüße:1' })).toBe('connected')
    expect(await stompOverTcp({ login: 'anna', passcode: 'grüße:1' })).toBe('connected')
  })

  it.each(wrong)('are refused with an ERROR that says why for %s', async (_, { username, password }) => {
    const headers = { ...(username === undefined ? {} : { login: username }), ...(password === undefined ? {} : { passcode: password }) }
    expect(await stompOverWebSocket(headers)).toMatch(/password/)
    expect(await stompOverTcp(headers)).toMatch(/password/)
  })
})

describe.skipIf(!qpidJms.found)(`Qpid JMS${whySkipped(qpidJms)}`, () => {
  const login = async (mechanism: string, user: string, password: string): Promise<string> => {
    const { port } = addressOf(at['amqp'] ?? '')
    const classPath = qpidJms.found ? qpidJms.path : ''
    return (await run('java', ['-cp', classPath, 'QpidJms', String(port), 'login', mechanism, user, password])).stdout
  }

  // Its SCRAM takes names and passwords of ASCII only.
  it.each(['SCRAM-SHA-256', 'SCRAM-SHA-512', 'PLAIN'])('logs in by %s, and is refused with a wrong password or name', async (mechanism) => {
    expect(await login(mechanism, 'jms', 'pass=1,2')).toBe('ok\n')
    expect(await login(mechanism, 'jms', 'pass=1,3')).toBe('refused\nok\n')
    expect(await login(mechanism, 'eve', 'pass=1,2')).toBe('refused\nok\n')
  })
})

describe('management', () => {
  it('asks for a user on everything but health', async () => {
    const url = `http://${at['http'] ?? ''}`
    expect((await fetch(`${url}/health/ready`)).status).toBe(200)
    expect((await fetch(`${url}/api/status`)).status).toBe(401)
    const authorization = `Basic ${Buffer.from('anna:grüße:1').toString('base64')}`
    expect((await fetch(`${url}/api/status`, { headers: { authorization } })).status).toBe(200)
  })

  it('is reached by commands with BASCULE_LOGIN', async () => {
    const args = ['state', 'digest', '--url', at['http'] ?? '']
    expect(await bascule(args)).toMatchObject({ code: 1, err: expect.stringContaining('BASCULE_LOGIN') })
    expect(await bascule(args, { BASCULE_LOGIN: 'anna:grüße:1' })).toMatchObject({ code: 0, out: expect.stringMatching(/^\d+ \w+ \w+ active\n$/) })
  })
})

describe('bascule user', () => {
  it.each([
    [['hash'], 'a password on standard input'],
    [['hash', '--cost', '99'], 'a number from 1 to 17'],
    [['entry'], 'wants a name'],
    [['entry', 'anna'], 'a password on standard input'],
    [['entry', 'anna', '--iterations', '1000'], 'a number from 4096 to'],
    [['hash', 'anna'], 'wants no name'],
  ])('with nothing to read and %j says what it wants', async (args, sentence) => {
    const ran = await run(process.execPath, [program, 'user', ...args])
    expect(ran.code).toBe(2)
    expect(ran.stderr).toContain(sentence)
  })
})
