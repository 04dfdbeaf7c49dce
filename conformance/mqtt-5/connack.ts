// MQTT 5.0, 3.2: CONNACK.
import type { IConnectPacket } from 'mqtt-packet'
import type { Chapter } from '../check.ts'
import { MqttWire, type Received } from '../clients/mqtt-wire.ts'
import { packet, properties, string, u16, u32 } from '../mqtt/bytes.ts'
import { answers, changes, edits, is, sees } from '../mqtt/mutants.ts'
import { mutant, neverCloses } from '../mutant.ts'
import { mustBe, mustEqual, skip } from '../outcome.ts'
import type { Trial } from '../trial.ts'
import { adds, addsLongReason, addsLongUserProperty } from './mutants.ts'
import { ID, propertiesOf } from './properties.ts'
import {
  A_WHILE,
  closes,
  code,
  connectBytes,
  connected,
  connectPacket,
  forget,
  opened,
  publish,
  publishBytes,
  publishPacket,
  second,
  subscribe,
  watching,
} from './session.ts'

const KEPT = { properties: { sessionExpiryInterval: A_WHILE } }

/** CONNECTs that a broker should not accept, and that none needs to leave unanswered. */
function bad(trial: Trial, flags = 2, more: readonly (Buffer | number)[] = []): readonly Buffer[] {
  const of = (...given: readonly (Buffer | number)[]): Buffer => connectBytes(trial, { flags, properties: [...more, ...given] })
  return [
    of(ID.authenticationMethod, string(trial.name('method'))),
    of(ID.receiveMaximum, u16(0)),
    of(ID.sessionExpiry, u32(1), ID.sessionExpiry, u32(1)),
    connectBytes(trial, {
      flags: flags | 0x1c,
      properties: more,
      payload: [string(trial.name('client')), properties(), string(trial.name('will')), string('w')],
    }),
  ]
}

/** The CONNACKs by which this broker refuses: of one that accepts such a CONNECT, other clauses tell. */
async function refusals(trial: Trial, flags?: number, more?: readonly (Buffer | number)[]): Promise<readonly Received<'connack'>[]> {
  const answers = await Promise.all(
    bad(trial, flags, more).map(async (bytes) => {
      const wire = await MqttWire.open(trial, 5)
      wire.send(bytes)
      const answer = await wire.inbox.next('an answer to CONNECT')
      if (answer?.cmd !== 'connack' || (answer.reasonCode ?? answer.returnCode) === 0) return []
      await wire.closed('after a CONNACK that refuses')
      return [answer]
    }),
  )
  const found = answers.flat()
  if (found.length === 0) skip('no CONNECT was found that the broker refuses with CONNACK')
  return found
}

export const connack: Chapter = {
  title: '3.2 CONNACK',
  clauses: [
    {
      id: 'MQTT-3.2.0-1',
      level: 'must',
      says: 'Before CONNACK 0x00, nothing is sent but AUTH.',
      how: 'CONNECT, SUBSCRIBE, PUBLISH and PINGREQ in one write, to a session for which a message waits: the first packet is CONNACK.',
      async run(trial) {
        const topic = trial.name('topic')
        const publisher = await second(trial)
        const before = await connected(trial, KEPT)
        await subscribe(before, { topic })
        before.destroy()
        await publish(publisher, topic, 'waits')
        const wire = await MqttWire.open(trial, 5)
        wire.send(
          Buffer.concat([
            connectBytes(trial, { flags: 0, properties: [ID.sessionExpiry, u32(A_WHILE)] }),
            packet(0x82, u16(1), properties(), string(`${topic}/more`), 1),
            publishBytes(topic, [], 'x', 0x32),
            packet(0xc0),
          ]),
        )
        mustEqual((await wire.inbox.next('CONNACK'))?.cmd, 'connack', 'the first packet of the broker')
        await wire.next('pingresp')
      },
      mutants: [
        mutant('sends PINGRESP before CONNACK', ({ toClient }) => ({
          toBroker: (raw) => {
            if ((raw[0] ?? 0) >> 4 === 1 && ((raw[9] ?? 0) & 2) === 0) toClient(packet(0xd0))
            return undefined
          },
        })),
        edits('holds CONNACK back until the next packet is out', () => () => {
          let held: Buffer | undefined
          return {
            toClient: (each, raw) => {
              if (each.cmd === 'connack' && each.sessionPresent) {
                held = raw
                return 'drop'
              }
              const both = held === undefined ? undefined : [raw, held]
              held = undefined
              return both
            },
          }
        }),
      ],
    },
    {
      id: 'MQTT-3.2.0-2',
      level: 'must',
      says: 'There is one CONNACK in a connection, never two.',
      how: 'CONNECT, SUBSCRIBE, PUBLISH, PINGREQ, then a second CONNECT and PINGREQ: all that comes up to PINGRESP or the end is looked through.',
      async run(trial) {
        const wire = await connected(trial)
        await subscribe(wire, { topic: trial.name('topic') })
        await publish(wire, trial.name('topic'), 'x')
        await wire.ping()
        wire.send(connectPacket(trial, { clientId: trial.name('other') }))
        wire.send({ cmd: 'pingreq' })
        // That the connection ends is a clause of its own (MQTT-3.1.0-2).
        for (;;) {
          const came = await wire.inbox.next('PINGRESP, or the end of the connection,')
          mustBe(came?.cmd !== 'connack', 'a second CONNACK came')
          if (came === undefined || came.cmd === 'pingresp') return
        }
      },
      mutants: [
        edits('sends CONNACK twice', () => () => ({ toClient: (each, raw) => (each.cmd === 'connack' ? [raw, raw] : undefined) })),
        edits('answers the second CONNECT', () => ({ toClient }) => {
          let connects = 0
          return {
            toBroker: (each) => {
              if (each.cmd === 'connect' && ++connects > 1) toClient(packet(0x20, 0, 0x82, properties()))
              return undefined
            },
          }
        }),
      ],
    },
    {
      id: 'MQTT-3.2.2-1',
      level: 'must',
      says: 'Bits 7 to 1 of the flags of CONNACK are 0.',
      how: 'CONNACKs of new sessions, of resumed ones and of refusals.',
      async run(trial) {
        const flagsOf = (raw: Buffer): number => raw[raw.length < 130 ? 2 : 3] ?? 0
        for (const clean of [true, false]) {
          const { connack: answer } = await opened(trial, { ...KEPT, clean })
          mustEqual(flagsOf(answer.raw) & 0xfe, 0, 'bits 7 to 1 of the flags')
        }
        for (const { raw } of await refusals(trial)) mustEqual(flagsOf(raw) & 0xfe, 0, 'bits 7 to 1 of the flags of a refusal')
      },
      mutants: [
        flags('sets bit 1', (before) => before | 2),
        flags('sets bit 7 of a session that is present', (before) => before | ((before & 1) << 7)),
      ],
    },
    {
      id: 'MQTT-3.2.2-2',
      level: 'must',
      says: 'After Clean Start, CONNACK has 0x00 and no session is present.',
      how: 'A session is kept and started clean.',
      async run(trial) {
        await subscribe(await connected(trial, KEPT), { topic: trial.name('topic') })
        const { connack: answer } = await opened(trial, { clean: true })
        mustEqual(answer.sessionPresent, false, 'Session Present after Clean Start')
      },
      mutants: [flags('says that a session is present', () => 1)],
    },
    {
      id: 'MQTT-3.2.2-3',
      level: 'must',
      says: 'Without Clean Start, Session Present says whether there was a session.',
      how: 'CONNECT without Clean Start, first with a new identifier, then again.',
      async run(trial) {
        const first = await opened(trial, { ...KEPT, clean: false })
        mustEqual(first.connack.sessionPresent, false, 'Session Present where there was no session')
        first.wire.destroy()
        const again = await opened(trial, { ...KEPT, clean: false })
        mustEqual(again.connack.sessionPresent, true, 'Session Present where there was a session')
      },
      mutants: [flags('says that a session is present', () => 1), flags('says that no session is present', () => 0)],
    },
    {
      id: 'MQTT-3.2.2-6',
      level: 'must',
      says: 'With a reason code that is not 0, Session Present is 0.',
      how: 'A session is kept, and its client identifier refused without Clean Start for what else is in CONNECT.',
      async run(trial) {
        ;(await connected(trial, KEPT)).destroy()
        for (const { sessionPresent } of await refusals(trial, 0)) mustEqual(sessionPresent, false, 'Session Present of a refusal')
      },
      mutants: [flags('says that a session is present', () => 1)],
    },
    {
      id: 'MQTT-3.2.2-7',
      level: 'must',
      says: 'After a CONNACK with a reason code from 0x80, the connection is closed.',
      how: 'CONNECTs that are refused.',
      async run(trial) {
        await refusals(trial)
      },
      mutants: [neverCloses],
    },
    {
      id: 'MQTT-3.2.2-8',
      level: 'must',
      says: 'The reason code of CONNACK is one of its table.',
      how: 'CONNECTs that are accepted and refused; the wire holds reason codes against the table.',
      async run(trial) {
        await connected(trial)
        for (const { reasonCode = 0x80 } of await refusals(trial)) mustBe(reasonCode >= 0x80, `a CONNECT was refused with ${code(reasonCode)}`)
      },
      mutants: [
        changes('refuses with 0x8E', 'connack', (answer) => (answer.reasonCode === 0 ? undefined : { ...answer, reasonCode: 0x8e })),
        changes('accepts with 0x02', 'connack', (answer) => packet(0x20, 0, answer.reasonCode === 0 ? 2 : (answer.reasonCode ?? 0), properties())),
      ],
    },
    ...abilities(),
    {
      id: 'MQTT-3.2.2-19',
      level: 'must',
      says: "CONNACK has no Reason String that makes it larger than the client's Maximum Packet Size.",
      how: 'CONNECTs with a Maximum Packet Size of 8 that are refused: what comes is no larger.',
      run: (trial) => smallRefusals(trial),
      mutants: [addsLongReason('connack')],
    },
    {
      id: 'MQTT-3.2.2-20',
      level: 'must',
      says: "CONNACK has no User Property that makes it larger than the client's Maximum Packet Size.",
      how: 'The same, with a Maximum Packet Size of 12.',
      run: (trial) => smallRefusals(trial, 12),
      mutants: [addsLongUserProperty('connack')],
    },
    {
      id: 'MQTT5 3.2.2.3-a',
      level: 'must',
      says: 'CONNACK has each property once at most, and each with a value of its range.',
      how: 'A CONNACK that accepts; the wire holds it against the table: flags are 0 or 1, Receive Maximum and Maximum Packet Size are not 0.',
      async run(trial) {
        const { connack: answer } = await opened(trial)
        propertiesOf(answer.raw)
      },
      mutants: [
        adds('two Receive Maximums', 'connack', ID.receiveMaximum, Buffer.concat([u16(9), Buffer.of(ID.receiveMaximum), u16(9)])),
        adds('a Maximum QoS of 2', 'connack', ID.maximumQos, Buffer.of(2)),
        adds('a Retain Available of 2', 'connack', ID.retainAvailable, Buffer.of(2)),
        adds('a Wildcard Subscription Available of 3', 'connack', ID.wildcardAvailable, Buffer.of(3)),
      ],
    },
    {
      id: 'MQTT5 3.2.2.3.2-a',
      level: 'must',
      says: 'Without a Session Expiry Interval in CONNACK, the one of CONNECT counts; with one, that.',
      how: 'A session of 30 s, and one for ever: the connection breaks, and the session is present afterwards.',
      async run(trial) {
        for (const [name, sessionExpiryInterval] of [['seconds', A_WHILE] as const, ['ever', 0xffffffff] as const]) {
          const clientId = trial.name(name)
          const { wire, connack: answer } = await opened(trial, { clientId, properties: { sessionExpiryInterval } })
          wire.destroy()
          const used = answer.properties?.sessionExpiryInterval ?? sessionExpiryInterval
          if (used === 0) skip('the broker keeps no sessions')
          const back = await opened(trial, { clientId, clean: false })
          mustEqual(back.connack.sessionPresent, true, `Session Present of a session that is kept for ${used} s`)
        }
      },
      mutants: [sees('takes every Session Expiry Interval for 0', 'connect', ({ properties: _, ...connect }) => connect)],
    },
    {
      id: 'MQTT5 3.2.2.3.6-a',
      level: 'must',
      says: "A packet larger than the server's Maximum Packet Size is a protocol error: the connection ends.",
      how: 'A PUBLISH whose Remaining Length is one more than CONNACK allows, and as much of it as the broker takes.',
      async run(trial) {
        const { wire, connack: answer } = await opened(trial)
        const maximum = answer.properties?.maximumPacketSize
        if (maximum === undefined || maximum > 64 << 20) skip('CONNACK has no Maximum Packet Size, or one that would take long to exceed')
        const body = Buffer.alloc(maximum - 4)
        string(trial.name('topic')).copy(body)
        const whole = packet(0x30, body)
        const large = whole.length > maximum ? whole : packet(0x30, body, Buffer.alloc(maximum + 1 - whole.length))
        const told = await closes(wire, large, 'a packet larger than its Maximum Packet Size')
        if (told !== undefined) mustBe((told.reasonCode ?? 0) >= 0x80, `DISCONNECT has ${code(told.reasonCode)}`)
      },
      mutants: [neverCloses],
    },
  ],
}

/** 3.2.2.3.4, 3.2.2.3.5, 3.2.2.3.11 to 13: what CONNACK says that the server can do, it can; what it says it cannot, it refuses. */
function abilities(): Chapter['clauses'] {
  return [
    {
      id: 'MQTT-3.2.2-9',
      level: 'must',
      says: 'A server that does not take messages of QoS 1 or 2 says so by Maximum QoS.',
      how: 'Messages of each QoS up to the Maximum QoS of CONNACK, which is 2 if it is not there.',
      async run(trial) {
        const { wire, connack: answer } = await opened(trial)
        const maximum = answer.properties?.maximumQoS ?? 2
        for (const qos of [0, 1, 2] as const) if (qos <= maximum) await publish(wire, trial.name('topic'), `${qos}`, { qos })
        await wire.ping()
      },
      mutants: [
        sees('closes on a message of QoS 2', 'publish', ({ qos }) => (qos === 2 ? 'close' : undefined)),
        changes('refuses messages of QoS 2', 'pubrec', (pubrec) => ({ ...pubrec, reasonCode: 0x9b })),
        sees('closes on a message of QoS 1', 'publish', ({ qos }) => (qos === 1 ? 'close' : undefined)),
      ],
    },
    {
      id: 'MQTT-3.2.2-10',
      level: 'must',
      says: 'Whatever its Maximum QoS, a server accepts subscriptions of QoS 0, 1 and 2.',
      how: 'SUBSCRIBE with each QoS.',
      async run(trial) {
        const wire = await connected(trial)
        for (const qos of [0, 1, 2] as const) await subscribe(wire, { topic: trial.name(`topic-${qos}`), qos })
      },
      mutants: [
        changes('refuses subscriptions of QoS 2', 'suback', (suback) => (suback.granted.includes(2) ? { ...suback, granted: [0x80] } : undefined)),
        sees('closes on a subscription of QoS 2', 'subscribe', ({ subscriptions }) => (subscriptions[0]?.qos === 2 ? 'close' : undefined)),
      ],
    },
    {
      id: 'MQTT-3.2.2-12',
      level: 'must',
      says: 'A CONNECT whose will QoS is greater than the Maximum QoS is refused.',
      how: 'CONNECT with a will of QoS 2: where it is accepted, CONNACK has no smaller Maximum QoS.',
      async run(trial) {
        const wire = await MqttWire.open(trial, 5)
        wire.send(connectPacket(trial, { will: { topic: trial.name('will'), payload: Buffer.from('w'), qos: 2, retain: false } }))
        const answer = await wire.inbox.next('an answer to CONNECT')
        const accepted = answer?.cmd === 'connack' && answer.reasonCode === 0
        if (!accepted) await wire.closed('after refusing a will of QoS 2')
        else
          mustBe(
            (answer.properties?.maximumQoS ?? 2) >= 2,
            `a will of QoS 2 was accepted, and CONNACK says that the Maximum QoS is ${answer.properties?.maximumQoS}`,
          )
        wire.send({ cmd: 'disconnect', reasonCode: 0 })
        if (accepted) skip('the server takes QoS 2')
      },
      mends: refusesWill('refuses a will of QoS 2', ({ qos }) => qos === 2, 0x9b),
      mutants: [
        adds('a Maximum QoS of 1', 'connack', ID.maximumQos, Buffer.of(1)),
        answers('leaves the connection open', 'connect', ({ will }) =>
          will?.qos === 2 ? { cmd: 'connack', reasonCode: 0x9b, sessionPresent: false } : undefined,
        ),
      ],
    },
    {
      id: 'MQTT-3.2.2-13',
      level: 'must',
      says: 'A CONNECT with will retain is refused by a server that retains nothing.',
      how: 'CONNECT with will retain: where it is accepted, CONNACK does not say that nothing is retained.',
      async run(trial) {
        trial.after(() => forget(trial, trial.name('will')))
        const wire = await MqttWire.open(trial, 5)
        wire.send(connectPacket(trial, { will: { topic: trial.name('will'), payload: Buffer.from('w'), qos: 0, retain: true } }))
        const answer = await wire.inbox.next('an answer to CONNECT')
        const accepted = answer?.cmd === 'connack' && answer.reasonCode === 0
        if (!accepted) await wire.closed('after refusing will retain')
        else mustBe(answer.properties?.retainAvailable !== false, 'will retain was accepted, and CONNACK has Retain Available 0')
        wire.send({ cmd: 'disconnect', reasonCode: 0 })
        if (accepted) skip('the server retains messages')
      },
      mends: refusesWill('refuses will retain', ({ retain }) => retain === true, 0x9a),
      mutants: [
        adds('Retain Available 0', 'connack', ID.retainAvailable, Buffer.of(0)),
        answers('leaves the connection open', 'connect', ({ will }) =>
          will?.retain === true ? { cmd: 'connack', reasonCode: 0x9a, sessionPresent: false } : undefined,
        ),
      ],
    },
    {
      id: 'MQTT5 3.2.2.3.5-a',
      level: 'must',
      says: 'A server takes retained messages, or says by Retain Available 0 that it does not, and then refuses them.',
      how: 'A PUBLISH with RETAIN: taken and sent to a later subscriber, or the connection ends.',
      async run(trial) {
        const topic = trial.name('topic')
        trial.after(() => forget(trial, topic))
        const { wire, connack: answer } = await opened(trial)
        const packetOf = publishPacket(topic, 'kept', { qos: 1, retain: true })
        if (answer.properties?.retainAvailable === false) {
          await closes(wire, packetOf, 'a retained message, where CONNACK has Retain Available 0')
          return
        }
        wire.send(packetOf)
        mustBe(((await wire.next('puback')).reasonCode ?? 0) < 0x80, 'a retained message was refused, and CONNACK has no Retain Available 0')
        const late = await watching(trial, topic)
        mustEqual((await late.next('publish')).payload.toString(), 'kept', 'the retained message')
      },
      mutants: [
        adds('Retain Available 0', 'connack', ID.retainAvailable, Buffer.of(0)),
        sees('retains nothing', 'publish', (message) => ({ ...message, retain: false })),
      ],
    },
    ability('3.2.2.3.11', 'Wildcard Subscription Available', ID.wildcardAvailable, 'wildcardSubscriptionAvailable', (topic) =>
      packet(0x82, u16(1), properties(), string(`${topic}/#`), 1),
    ),
    ability('3.2.2.3.12', 'Subscription Identifiers Available', ID.subscriptionIdentifiersAvailable, 'subscriptionIdentifiersAvailable', (topic) =>
      packet(0x82, u16(1), properties(ID.subscriptionIdentifier, 1), string(topic), 1),
    ),
    ability('3.2.2.3.13', 'Shared Subscription Available', ID.sharedAvailable, 'sharedSubscriptionAvailable', (topic) =>
      packet(0x82, u16(1), properties(), string(`$share/${topic}/${topic}`), 1),
    ),
  ]
}

/** `name` 0 in CONNACK: such a SUBSCRIBE is a protocol error; not 0: it is granted. */
function ability(
  section: string,
  name: string,
  id: number,
  key: 'wildcardSubscriptionAvailable' | 'subscriptionIdentifiersAvailable' | 'sharedSubscriptionAvailable',
  bytes: (topic: string) => Buffer,
): Chapter['clauses'][number] {
  return {
    id: `MQTT5 ${section}-a`,
    level: 'must',
    says: `A SUBSCRIBE that needs what ${name} speaks of is granted, unless CONNACK has it as 0: then it is refused.`,
    how: 'Such a SUBSCRIBE.',
    async run(trial) {
      const { wire, connack: answer } = await opened(trial)
      wire.send(bytes(trial.name('topic')))
      const next = await wire.inbox.next('an answer to SUBSCRIBE')
      const granted = next?.cmd === 'suback' && Number(next.granted[0]) < 0x80
      const available = answer.properties?.[key] !== false
      mustBe(granted === available, `CONNACK ${available ? 'does not have' : 'has'} ${name} 0, and SUBSCRIBE is ${granted ? 'granted' : 'refused'}`)
    },
    mutants: [adds(`${name} 0`, 'connack', id, Buffer.of(0)), changes('refuses it', 'suback', (suback) => ({ ...suback, granted: [0x80] }))],
  }
}

/** A broker that writes other flags into CONNACK. */
function flags(says: string, change: (flags: number) => number): ReturnType<typeof changes> {
  return changes(says, 'connack', (_, raw) => {
    const changed = Buffer.from(raw)
    const at = raw.length < 130 ? 2 : 3
    changed[at] = change(raw[at] ?? 0)
    return changed
  })
}

async function smallRefusals(trial: Trial, maximum = 8): Promise<void> {
  for (const { raw } of await refusals(trial, 2, [ID.maximumPacketSize, u32(maximum)]))
    mustBe(raw.length <= maximum, `a CONNACK of ${raw.length} bytes was sent to a client that takes ${maximum}`)
}

/** A broker that refuses such wills, and closes. */
function refusesWill(says: string, such: (will: NonNullable<IConnectPacket['will']>) => boolean, reasonCode: number): ReturnType<typeof edits> {
  return edits(says, () => ({ toClient }) => ({
    toBroker: (each) => {
      if (!is(each, 'connect') || each.will === undefined || !such(each.will)) return undefined
      toClient({ cmd: 'connack', reasonCode, sessionPresent: false })
      return 'close'
    },
  }))
}
