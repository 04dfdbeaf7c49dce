// The same bytes to aedes and to us, byte for byte the same answers, save where DIFFERENT says why not.
// aedes is the oracle for what a server of MQTT 3.1.1 answers; it is no engine of ours (docs/decisions).
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import { Aedes } from 'aedes'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { realClock } from '../../src/clock.ts'
import { defaults as settings } from '../../src/config/defaults.ts'
import { CodedError } from '../../src/errors.ts'
import { Tcp } from '../../src/listen/tcp.ts'
import { CoreNode } from '../../test/support/core.ts'
import mqtt from './index.ts'
import { defaults } from './settings.ts'

const SILENT = { debug() {}, info() {}, warn() {}, error() {} }
const CONNECT = '100d00044d5154540402003c0001'
/** A clean session called by one letter. */
const clean = (letter: string) => CONNECT + Buffer.from(letter).toString('hex')
const kept = (letter: string) => clean(letter).replace('0402003c', '0400003c')

/** Each step is a connection: what it sends. Its transcript is what it got until BARRIER was answered twice, one after the other, or the connection ended. */
const SCENARIOS: readonly (readonly [name: string, ...steps: string[]])[] = [
  ['connect', clean('a')],
  ['no identifier, clean', '100c00044d5154540402003c0000'],
  ['3.1', '100f00064d51497364700302003c000161'],
  ['another protocol level', '100d00044d5154540602003c000161'],
  ['another protocol name', '100d00044d5154580402003c000161'],
  ['a packet before CONNECT', '3206000174000778'],
  ['a second CONNECT', clean('a') + clean('a')],
  ['QoS 1 in', `${clean('b')}3206000174000778`],
  ['QoS 2 in, with a repetition', `${clean('c')}3406000174000778`, `${clean('c')}3406000174000778620200 07`],
  ['subscribe and receive one of its own', `${clean('d')}820600010001 7400`, `${clean('d')}8206000100017400 3004000174 79`],
  ['granted QoS', `${clean('e')}82100009 0001 6100 0003 612f23 01 0001 2b 02`],
  ['unsubscribe from nothing', `${clean('f')}a2050009000174`],
  [
    'retained, then cleared',
    `${clean('g')}3104000172 78`,
    `${clean('g')}8206000100017200`,
    `${clean('g')}3103000172`,
    `${clean('g')}8206000100017200`,
  ],
  ['session present', kept('h'), kept('h'), clean('h'), kept('h')],
  ['offline messages', `${kept('i')}8206000100017101`, `${clean('j')}3206000171000778`, kept('i')],
  ['a wildcard in a topic', `${clean('k')}30030001 2b`],
  ['an empty topic', `${clean('k')}30020000`],
  ['QoS 3', `${clean('k')}3606000174000778`],
  ['a subscription without filters', `${clean('k')}82020001`],
  ['PUBREL of an unknown identifier', `${clean('l')}62020009`],
  ['PUBREC of an unknown identifier', `${clean('l')}50020009`],
  ['PUBACK of an unknown identifier', `${clean('l')}40020009`],
  ['no identifier, not clean', '100c00044d5154540400003c0000'],
  ['MQTT 5', '100e00044d5154540502003c00000161'],
  ['a filter with # in the middle', `${clean('m')}820a00010005612f232f6200`],
  ['packet identifier 0', `${clean('m')}3206000174000078`],
  ['a password without a user', '101000044d5154540442003c000161000170'],
  ['a shared subscription of QoS 2', `${clean('n')}820f0001000a2473686172652f672f7402300400017478`],
]

/** Where we answer otherwise, and why we are right, or what we decided. */
const DIFFERENT: Readonly<Record<string, string>> = {
  'another protocol level': 'it closes without the CONNACK 1 of [MQTT-3.1.2-2]',
  'QoS 2 in, with a repetition': 'it handles packets of one read side by side, and answers PUBREL before the PUBLISH that came first',
  'session present': 'it finds a session only if there are subscriptions; [MQTT-3.2.2-2] asks for any stored session state',
  'offline messages': 'packet identifiers are ours to choose: of the sequence here, counted there',
  'QoS 3': 'it closes before the CONNACK that was due already',
  'no identifier, not clean': 'it accepts what [MQTT-3.1.3-8] refuses with CONNACK 2',
  'MQTT 5': 'it answers in the form of 3.1.1, if at all; a client of 5 reads its own',
  'a filter with # in the middle': 'it ends the connection, we refuse the filter (0x80); [MQTT-4.7.1-2] leaves both',
  'packet identifier 0': 'it acknowledges what [MQTT-2.3.1-1] forbids',
  'a password without a user': 'it accepts what [MQTT-3.1.2-22] forbids',
  'a shared subscription of QoS 2': 'it grants shared subscriptions and delivers nothing; we do',
}

/** UNSUBSCRIBE from what nobody subscribed to, answered after everything before it. Twice, so that what the first waited for can leave. */
const BARRIER = 'a206ffff00027a7a'
const BARRIER_ANSWER = 'b002ffff'

async function transcript(port: number, steps: readonly string[]): Promise<string[]> {
  const answers: string[] = []
  for (const step of steps) {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    let received = ''
    let again = false
    const over = new Promise<string>((resolve) => {
      socket.on('data', (bytes) => {
        received += bytes.toString('hex')
        const barriers = received.split(BARRIER_ANSWER).length - 1
        if (barriers === 1 && !again) {
          again = true
          socket.write(Buffer.from(BARRIER, 'hex'))
        }
        if (barriers === 2) resolve(received.replaceAll(BARRIER_ANSWER, ''))
      })
      socket.on('close', () => resolve(`${received.replaceAll(BARRIER_ANSWER, '')} closed`))
    })
    socket.write(Buffer.from(`${step}${BARRIER}`.replace(/ /g, ''), 'hex'))
    answers.push(await over)
    socket.end(Buffer.from('e000', 'hex'))
    if (!socket.closed) await once(socket, 'close')
  }
  return answers
}

describe('beside aedes', () => {
  let aedes: Aedes
  let server: Server
  let tcp: Tcp
  let node: CoreNode
  let ports: { aedes: number; ours: number }

  beforeAll(async () => {
    aedes = await Aedes.createBroker()
    server = createServer(aedes.handle)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    node = new CoreNode()
    const frontEnd = mqtt.start(node.core, defaults, SILENT)
    node.core.setDialects([frontEnd.dialect])
    tcp = new Tcp({ clock: realClock, limits: settings.limits, log: SILENT })
    const address = await tcp.listen({ name: 'mqtt', host: '127.0.0.1', port: 0, frontEnd })
    ports = { aedes: (server.address() as AddressInfo).port, ours: Number(address.split(':')[1]) }
  })

  afterAll(async () => {
    await tcp.shutdown(new CodedError('shutting-down', 'the test is over'), 0)
    await node.core.stop()
    server.close()
    await new Promise<void>((resolve) => aedes.close(() => resolve()))
  })

  it.each(SCENARIOS.map(([name, ...steps]) => [name, steps] as const))('%s', async (name, steps) => {
    const [theirs, ours] = [await transcript(ports.aedes, steps), await transcript(ports.ours, steps)]
    expect(
      ours.join('\n') === theirs.join('\n'),
      `${name}: ${DIFFERENT[name] ?? 'no difference is documented'}\nours\n${ours.join('\n')}\naedes\n${theirs.join('\n')}`,
    ).toBe(DIFFERENT[name] === undefined)
  })
})
