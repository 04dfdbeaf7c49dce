// MQTT 5.0, 3.1.3.1, 3.1.3.5 and 3.1.4: client identifiers, and what the server does with a CONNECT.
import type { Chapter } from '../check.ts'
import { MqttWire } from '../clients/mqtt-wire.ts'
import { packet, properties, string, u16 } from '../mqtt/bytes.ts'
import { changes, edits, never, sees } from '../mqtt/mutants.ts'
import { mutant, neverCloses } from '../mutant.ts'
import { mustBe, mustEqual, notSupported, skip } from '../outcome.ts'
import type { Trial } from '../trial.ts'
import { acceptsAll, adds, leavesOut } from './mutants.ts'
import { ID } from './properties.ts'
import {
  A_WHILE,
  code,
  connectBytes,
  connected,
  connectPacket,
  mustReceive,
  opened,
  publish,
  publishBytes,
  refused,
  refusesEach,
  second,
  subscribe,
  watching,
} from './session.ts'

const KEPT = { properties: { sessionExpiryInterval: A_WHILE } }
const LETTERS = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'

/** A connection without a client identifier, and the one that it was given. */
async function nameless(
  trial: Trial,
  options: Readonly<{ kept?: boolean }> = {},
): Promise<Readonly<{ wire: MqttWire; assigned: string | undefined }>> {
  const wire = await MqttWire.open(trial, 5)
  const expiry = options.kept === true ? [ID.sessionExpiry, Buffer.from([0, 0, 0, A_WHILE])] : []
  wire.send(connectBytes(trial, { properties: expiry, payload: [string('')] }))
  const { reasonCode, properties: given } = await wire.next('connack')
  if (reasonCode === 0x85) notSupported('client identifiers of no length are refused with 0x85')
  mustEqual(reasonCode, 0, 'the reason code of CONNACK')
  return { wire, assigned: given?.assignedClientIdentifier }
}

export const connectActions: Chapter = {
  title: '3.1.3 and 3.1.4 Client identifiers and CONNECT actions',
  clauses: [
    {
      id: 'MQTT-3.1.3-2',
      level: 'must',
      says: 'The client identifier is what a session is known by.',
      how: 'Two kept sessions of different identifiers, each with a subscription of its own: each finds its own again, a third identifier finds none.',
      async run(trial) {
        const publisher = await second(trial)
        for (const name of ['one', 'two']) {
          const wire = await connected(trial, { ...KEPT, clientId: trial.name(name) })
          await subscribe(wire, { topic: trial.name(`topic-${name}`) })
          wire.destroy()
        }
        for (const name of ['one', 'two']) await publish(publisher, trial.name(`topic-${name}`), name)
        for (const name of ['two', 'one']) {
          const { wire, connack } = await opened(trial, { ...KEPT, clean: false, clientId: trial.name(name) })
          mustBe(connack.sessionPresent, `the session of client identifier ${name} is not present`)
          await mustReceive(wire, name, 'the session is that of another client identifier')
        }
        const { connack } = await opened(trial, { clean: false, clientId: trial.name('three') })
        mustBe(!connack.sessionPresent, 'a client identifier that nobody had has a session')
      },
      mutants: [
        sees('takes all client identifiers for one', 'connect', (connect) => ({
          ...connect,
          clientId: connect.clientId.replace(/-(one|two|three)$/, '-same'),
        })),
        sees('gives every connection a client identifier of its own', 'connect', (connect) => ({
          ...connect,
          clientId: `${connect.clientId}-${counter++}`,
        })),
      ],
    },
    {
      id: 'MQTT-3.1.3-4',
      level: 'must',
      says: 'A client identifier is a UTF-8 string: another makes CONNECT malformed.',
      how: 'Client identifiers with a surrogate, with a byte that UTF-8 never has, and with U+0000.',
      run: (trial) => {
        const named = (bytes: number[]): Buffer => connectBytes(trial, { payload: [string(Buffer.from(bytes))] })
        return refusesEach(trial, {
          'a client identifier with a surrogate': named([0x61, 0xed, 0xa0, 0x80]),
          'a client identifier with 0xff': named([0x61, 0xff]),
          'a client identifier with U+0000': named([0x61, 0, 0x62]),
        })
      },
      mutants: [neverCloses, acceptsAll],
    },
    {
      id: 'MQTT-3.1.3-5',
      level: 'must',
      says: 'Client identifiers of 1 to 23 bytes of digits and letters are allowed.',
      how: 'Identifiers of 23 bytes that have all digits and letters among them, and a short one.',
      async run(trial) {
        const unique = trial
          .name('')
          .replace(/[^0-9a-zA-Z]/g, '')
          .slice(-12)
        const names = [unique]
        for (let at = 0; at < LETTERS.length; at += 11) names.push((unique + LETTERS.slice(at, at + 11)).padEnd(23, 'x'))
        for (const clientId of names) await connected(trial, { clientId })
      },
      mutants: [
        sees('refuses what is longer than 22 bytes', 'connect', ({ clientId }) => (clientId.length > 22 ? 'close' : undefined)),
        sees('refuses capital letters', 'connect', ({ clientId }) => (/[A-Z]/.test(clientId) ? 'close' : undefined)),
      ],
    },
    {
      id: 'MQTT-3.1.3-6',
      level: 'must',
      says: 'Who connects with a client identifier of no length is given one that nobody else has.',
      how: 'Two connections without one: both live, under different names.',
      async run(trial) {
        const one = await nameless(trial)
        const two = await nameless(trial)
        mustBe(one.assigned !== two.assigned, `both were given the client identifier ${one.assigned}`)
        await one.wire.ping()
        await two.wire.ping()
      },
      mutants: [
        changes('gives everybody the same one', 'connack', (connack) => ({
          ...connack,
          properties: { ...connack.properties, assignedClientIdentifier: 'you' },
        })),
      ],
    },
    {
      id: 'MQTT-3.1.3-7',
      level: 'must',
      says: 'A client that was given an identifier is told it in CONNACK, and treated as if it had come with it.',
      how: 'A kept session without an identifier subscribes and goes; with the identifier it was given it is found again.',
      async run(trial) {
        const { wire, assigned } = await nameless(trial, { kept: true })
        mustBe(assigned !== undefined && assigned !== '', 'CONNACK has no Assigned Client Identifier')
        await subscribe(wire, { topic: trial.name('topic') })
        wire.destroy()
        const { wire: back, connack } = await opened(trial, { ...KEPT, clean: false, clientId: assigned })
        mustBe(connack.sessionPresent, 'there is no session under the Assigned Client Identifier')
        await publish(back, trial.name('topic'), 'again')
        await mustReceive(back, 'again', 'the session is another')
      },
      mutants: [
        leavesOut('the Assigned Client Identifier', 'connack', ID.assignedClientId),
        changes('tells another identifier than it gave', 'connack', (connack) =>
          connack.properties?.assignedClientIdentifier === undefined
            ? undefined
            : { ...connack, properties: { ...connack.properties, assignedClientIdentifier: `other-${connack.properties.assignedClientIdentifier}` } },
        ),
      ],
    },
    {
      id: 'MQTT-3.2.2-16',
      level: 'must',
      says: 'An Assigned Client Identifier is there if the client came without one, and is that of no other session.',
      how: 'Five connections without an identifier, one of them with a session that is kept: five different ones.',
      async run(trial) {
        const given = new Set<string>()
        for (let index = 0; index < 5; index++) {
          const { assigned, wire } = await nameless(trial, { kept: index === 0 })
          mustBe(assigned !== undefined && assigned !== '', 'CONNACK has no Assigned Client Identifier')
          mustBe(!given.has(assigned), `the client identifier ${assigned} was given twice`)
          given.add(assigned)
          if (index === 0) wire.destroy()
        }
      },
      mutants: [
        leavesOut('the Assigned Client Identifier', 'connack', ID.assignedClientId),
        edits('gives the second client the identifier of the first', () => {
          const given: string[] = []
          return () => ({
            toClient: (packet) => {
              if (packet.cmd !== 'connack') return undefined
              given.push(packet.properties?.assignedClientIdentifier ?? '')
              return { ...packet, properties: { ...packet.properties, assignedClientIdentifier: given[0] ?? '' } }
            },
          })
        }),
      ],
    },
    {
      id: 'MQTT5 3.2.2.3.7-a',
      level: 'must',
      says: 'A client that came with an identifier is assigned none.',
      how: 'CONNECT with a client identifier.',
      async run(trial) {
        const { connack } = await opened(trial)
        mustEqual(connack.properties?.assignedClientIdentifier, undefined, 'the Assigned Client Identifier of a client that has one')
      },
      mutants: [adds('an Assigned Client Identifier', 'connack', ID.assignedClientId, string('you'))],
    },
    {
      id: 'MQTT-3.1.3-8',
      level: 'must',
      says: 'When a client identifier is not accepted, the connection ends, after CONNACK 0x85 or without.',
      how: 'A client identifier of 65,535 bytes: if CONNACK refuses it, then with an error code of a CONNECT, and the connection ends.',
      async run(trial) {
        const wire = await MqttWire.open(trial, 5)
        wire.send(connectBytes(trial, { payload: [string(trial.name('long').padEnd(65_535, 'x'))] }))
        const answer = await wire.inbox.next('an answer to a long client identifier')
        if (answer?.cmd === 'connack' && answer.reasonCode === 0) skip('the broker accepts client identifiers of 65,535 bytes')
        if (answer?.cmd === 'connack')
          mustBe(
            [0x85, 0x80, 0x83, 0x87, 0x95].includes(answer.reasonCode ?? 0),
            `a long client identifier is refused with ${code(answer.reasonCode)}`,
          )
        await wire.closed('after refusing a client identifier')
      },
      mutants: [neverCloses, changes('calls it a moved server', 'connack', (connack) => ({ ...connack, reasonCode: 0x9d }))],
    },
    {
      id: 'MQTT-3.1.3-12',
      level: 'must',
      says: 'A user name is a UTF-8 string: another makes CONNECT malformed.',
      how: 'User names with a surrogate and with U+0000.',
      run: (trial) => {
        const named = (bytes: number[]): Buffer =>
          packet(0x10, string('MQTT'), 5, 0x82, u16(60), properties(), string(trial.name('client')), string(Buffer.from(bytes)))
        return refusesEach(trial, {
          'a user name with a surrogate': named([0x61, 0xed, 0xa0, 0x80]),
          'a user name with U+0000': named([0x61, 0, 0x62]),
        })
      },
      mutants: [neverCloses, acceptsAll],
    },
    {
      id: 'MQTT-3.1.4-2',
      level: 'must',
      says: 'When a check of CONNECT fails, such as that of user name and password, the connection ends.',
      how: 'A CONNECT with the password of nobody.',
      async run(trial) {
        const wire = await MqttWire.open(trial, 5)
        wire.send({ ...connectPacket(trial), username: trial.user ?? trial.name('nobody'), password: Buffer.from('this is not the password') })
        const answer = await wire.inbox.next('an answer to a wrong password')
        if (answer?.cmd === 'connack' && answer.reasonCode === 0) skip('the broker accepts any password')
        if (answer?.cmd === 'connack') mustBe((answer.reasonCode ?? 0) >= 0x80, `a wrong password is answered with ${code(answer.reasonCode)}`)
        await wire.closed('after a wrong password')
      },
      mutants: [neverCloses, changes('answers a wrong password with 0x01', 'connack', () => packet(0x20, 0, 1, properties()))],
    },
    {
      id: 'MQTT-3.1.4-3',
      level: 'must',
      says: 'When a client identifier connects that is connected already, the earlier connection ends; what it is told is 0x8E.',
      how: 'Two connections with the same identifier: the second is accepted, the first is closed.',
      async run(trial) {
        const first = await connected(trial)
        const next = await connected(trial)
        const told = await first.closed('its client identifier has connected again')
        for (const disconnect of told) if (disconnect.cmd === 'disconnect') mustEqual(disconnect.reasonCode, 0x8e, 'the reason code of DISCONNECT')
        await next.ping()
      },
      mutants: [neverCloses, changes('gives another reason', 'disconnect', (disconnect) => ({ ...disconnect, reasonCode: 0x8b })), closesTheSecond()],
    },
    {
      id: 'MQTT5 3.1.4-a',
      level: 'should',
      says: 'The earlier connection of a client identifier is told by DISCONNECT 0x8E that its session was taken over.',
      how: 'Two connections with the same identifier: the first gets DISCONNECT.',
      async run(trial) {
        const first = await connected(trial)
        await connected(trial)
        mustEqual((await first.next('disconnect')).reasonCode, 0x8e, 'the reason code of DISCONNECT')
      },
      mutants: [never('disconnect')],
    },
    {
      id: 'MQTT-3.1.4-4',
      level: 'must',
      says: 'Clean Start is obeyed also where the session is in use by another connection.',
      how: 'A connected session with a subscription is taken over without Clean Start, which finds it, then with it, which does not.',
      async run(trial) {
        const topic = trial.name('topic')
        await subscribe(await connected(trial, KEPT), { topic })
        const { wire, connack } = await opened(trial, { ...KEPT, clean: false })
        mustBe(connack.sessionPresent, 'a session taken over without Clean Start is not present')
        await publish(wire, topic, 'to the same session')
        await mustReceive(wire, 'to the same session', 'the session taken over lost its subscription')
        const { wire: last, connack: clean } = await opened(trial, { ...KEPT, clean: true })
        mustBe(!clean.sessionPresent, 'a session taken over with Clean Start is present')
        await publish(last, topic, 'to the old session')
        await subscribe(last, { topic })
        await publish(last, topic, 'to the new session')
        await mustReceive(last, 'to the new session', 'something of the old session was left')
      },
      mutants: [
        sees('always starts clean', 'connect', (connect) => ({ ...connect, clean: true })),
        sees('never starts clean', 'connect', (connect) => ({ ...connect, clean: false })),
      ],
    },
    {
      id: 'MQTT-3.1.4-5',
      level: 'must',
      says: 'A CONNECT that is accepted is acknowledged with CONNACK 0x00.',
      how: 'CONNECT.',
      async run(trial) {
        const { connack } = await opened(trial)
        mustEqual(connack.reasonCode, 0, 'the reason code of CONNACK')
      },
      mutants: [never('connack'), changes('accepts with 0x80', 'connack', (connack) => ({ ...connack, reasonCode: 0x80 }))],
    },
    {
      id: 'MQTT5 3.1.4-b',
      level: 'must',
      says: 'A client need not wait for CONNACK: what comes with CONNECT is processed once that is accepted.',
      how: 'CONNECT, SUBSCRIBE, PUBLISH and PINGREQ in one write: CONNACK, SUBACK, PUBACK, the message and PINGRESP come.',
      async run(trial) {
        const topic = trial.name('topic')
        const wire = await MqttWire.open(trial, 5)
        const together = [packet(0x82, u16(1), properties(), string(topic), 0), publishBytes(topic, [], 'at once', 0x32), packet(0xc0)]
        wire.send(Buffer.concat([connectBytes(trial), ...together]))
        mustEqual((await wire.next('connack')).reasonCode, 0, 'the reason code of CONNACK')
        await wire.next('suback')
        await wire.next('puback')
        await wire.next('pingresp')
        await mustReceive(wire, 'at once', 'what came with CONNECT')
      },
      mutants: [
        edits('drops what comes before CONNACK is out', () => () => {
          let accepted = false
          return {
            toBroker: (each) => (accepted || each.cmd === 'connect' ? undefined : 'drop'),
            toClient: (each) => {
              if (each.cmd === 'connack') accepted = true
              return undefined
            },
          }
        }),
      ],
    },
    {
      id: 'MQTT5 3.1.4-c',
      level: 'should',
      says: 'Who sends no CONNECT within a reasonable time is disconnected.',
      unchecked: 'The specification gives no time, and what brokers take for reasonable is more than a check can wait.',
    },
    {
      id: 'MQTT-3.1.4-6',
      level: 'must',
      says: 'What comes behind a CONNECT that was refused is not processed.',
      how: 'A malformed CONNECT, one with an unknown authentication method, and a PUBLISH behind each in the same write: a later message comes, and nothing before it.',
      async run(trial) {
        const topic = trial.name('topic')
        const watcher = await watching(trial, topic)
        const behind = publishBytes(topic, [], 'behind a refused CONNECT')
        await refused(trial, Buffer.concat([connectBytes(trial, { flags: 3 }), behind]), 'a CONNECT with its reserved flag set')
        const unknown = connectBytes(trial, { properties: [ID.authenticationMethod, string(trial.name('method'))] })
        await refused(trial, Buffer.concat([unknown, behind]), 'an unknown authentication method')
        await publish(watcher, topic, 'a later message')
        await mustReceive(watcher, 'a later message', 'a PUBLISH behind a refused CONNECT was processed')
      },
      mutants: [processesBehind()],
    },
  ],
}

let counter = 0

/** Of two connections with the same client identifier, it is the later one that ends. */
function closesTheSecond(): ReturnType<typeof edits> {
  return edits('closes the later connection', () => {
    let connections = 0
    return () => ({ toBroker: (packet) => (packet.cmd === 'connect' && ++connections > 1 ? 'close' : undefined) })
  })
}

/** Mends the CONNECT, so that it is accepted, tells the client that it is not, and so processes what comes behind it. */
function processesBehind(): ReturnType<typeof mutant> {
  return mutant('processes what comes behind a refused CONNECT', ({ toClient, close }) => {
    let bad = false
    return {
      toBroker: (raw) => {
        const flags = 2 + 6 + 1
        if ((raw[0] ?? 0) >> 4 !== 1 || ((raw[flags] ?? 0) & 1) === 0) return undefined
        bad = true
        const mended = Buffer.from(raw)
        mended[flags] = (raw[flags] ?? 0) & 0xfe
        return mended
      },
      toClient: (raw) => {
        if (!bad || (raw[0] ?? 0) >> 4 !== 2) return undefined
        toClient(packet(0x20, 0, 0x81, properties()))
        setTimeout(close, 100)
        return []
      },
    }
  })
}
