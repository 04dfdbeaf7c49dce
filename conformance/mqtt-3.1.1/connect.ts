// MQTT 3.1.1, 3.1.0 to 3.1.2.4: CONNECT, its protocol, and what CleanSession asks.
import type { Chapter } from '../check.ts'
import { MqttWire, type Received } from '../clients/mqtt-wire.ts'
import { leave, publish, subscribe, take, takeUntil, text } from '../mqtt/acts.ts'
import { packet, string, u16 } from '../mqtt/bytes.ts'
import { together } from '../mqtt/closes.ts'
import { answers, changes, edits, is, sees } from '../mqtt/mutants.ts'
import { type Mutant, mutant, neverCloses } from '../mutant.ts'
import { fail, mustBe, mustEqual } from '../outcome.ts'
import { acceptsAnyConnect, refuses } from './closes.ts'
import { connected, connectPacket, durable, rawConnect, retain } from './session.ts'

/** Of every CONNECT it gets. */
export const alwaysClean: Mutant = sees('takes every session for a clean one', 'connect', (connect) => ({ ...connect, clean: true }))
export const neverClean: Mutant = sees('takes no session for a clean one', 'connect', (connect) => ({ ...connect, clean: false }))

export const connect: Chapter = {
  title: '3.1 CONNECT: protocol and session',
  clauses: [
    {
      id: 'MQTT-3.1.0-1',
      level: 'must',
      says: 'The first packet of a client is CONNECT: any other ends the connection, unanswered.',
      how: 'PINGREQ, SUBSCRIBE, PUBLISH and DISCONNECT as first packet of a connection.',
      async run(trial) {
        const firsts = [packet(0xc0), packet(0x82, u16(1), string(trial.name('t')), 0), packet(0x32, string(trial.name('t')), u16(1)), packet(0xe0)]
        const one = async (bytes: Buffer): Promise<void> => {
          const wire = await MqttWire.open(trial, 4)
          wire.send(bytes)
          const came = await wire.closed(`after ${bytes.toString('hex')} as first packet`)
          mustEqual(came.length, 0, `the number of packets that answer ${bytes.toString('hex')} before any CONNECT`)
        }
        await together(firsts, one)
      },
      mutants: [neverCloses, answers('answers PINGREQ before CONNECT', 'pingreq', () => ({ cmd: 'pingresp' }))],
    },
    {
      id: 'MQTT-3.1.0-2',
      level: 'must',
      says: 'A second CONNECT on one connection is a protocol violation: the client is disconnected.',
      how: 'CONNECT, and after CONNACK CONNECT once more.',
      async run(trial) {
        const wire = await connected(trial)
        wire.send(connectPacket(trial))
        await wire.closed('after a second CONNECT')
      },
      mutants: [neverCloses],
    },
    {
      id: 'MQTT-3.1.2-1',
      level: 'must',
      says: 'A CONNECT with another protocol name is not treated as one of MQTT 3.1.1.',
      how: 'CONNECT with the names MQTX, mqtt and MQTT with a letter more: it must not be accepted.',
      async run(trial) {
        const one = async (name: string): Promise<void> => {
          const wire = await MqttWire.open(trial, 4)
          wire.send(rawConnect(trial, { name }))
          // To close, to answer by another specification and to say nothing are all right: by the time that a good CONNECT is answered, an acceptance would have come.
          const good = await connected(trial, `good${name}`)
          await good.ping()
          for (const packet of wire.inbox.unread) mustBe(packet.cmd !== 'connack' || packet.returnCode !== 0, `a CONNECT of ${name} was accepted`)
        }
        await Promise.all(['MQTX', 'mqtt', 'MQTTT'].map(one))
      },
      mutants: [acceptsAnyConnect],
    },
    {
      id: 'MQTT-3.1.2-2',
      level: 'must',
      says: 'An unknown protocol level is answered with return code 1, then the connection is closed.',
      how: 'CONNECT with protocol level 6. (A server that speaks MQTT 5 too may answer as that has it, with 0x84.)',
      async run(trial) {
        const wire = await MqttWire.open(trial, 5)
        wire.send(rawConnect(trial, { level: 6 }))
        const { returnCode, reasonCode } = await wire.next('connack')
        mustBe(returnCode === 1 || reasonCode === 0x84, `the code of CONNACK is ${returnCode ?? reasonCode} where 1 was due`)
        await wire.closed('after a CONNECT of an unknown level')
      },
      mutants: [
        neverCloses,
        acceptsAnyConnect,
        mutant('answers with code 5', () => ({ toClient: () => Buffer.from([0x20, 2, 0, 5]) })),
        mutant('closes without an answer', () => ({ toClient: () => 'close' })),
      ],
    },
    refuses(
      {
        id: 'MQTT-3.1.2-3',
        says: 'The lowest bit of the connect flags is reserved: a client that sets it is disconnected.',
        how: 'CONNECT with that bit.',
      },
      (trial) => [rawConnect(trial, { flags: 1 })],
    ),
    {
      id: 'MQTT-3.1.2-4',
      level: 'must',
      says: 'With CleanSession 0 the session of this client is resumed, or begun and kept beyond the connection.',
      how: 'A client subscribes, leaves and comes back: it gets a message without subscribing again.',
      async run(trial) {
        const { wire } = await durable(trial, 'keeper')
        await subscribe(wire, trial.name('t'), 1)
        await leave(wire)
        const { wire: again } = await durable(trial, 'keeper')
        await publish(await connected(trial, 'sender'), trial.name('t'), 'kept', { qos: 1 })
        mustEqual(text(await take(again)), 'kept', 'the message')
      },
      mutants: [alwaysClean],
    },
    {
      id: 'MQTT-3.1.2-5',
      level: 'must',
      says: 'Messages of QoS 1 and 2 that match a subscription of a session without connection are stored for it.',
      how: 'A client subscribes and leaves; messages of QoS 1 and 2 are published; it comes back and gets both.',
      async run(trial) {
        const { wire } = await durable(trial, 'keeper')
        await subscribe(wire, trial.name('t'), 2)
        await leave(wire)
        const from = await connected(trial, 'sender')
        await publish(from, trial.name('t'), 'one', { qos: 1 })
        await publish(from, trial.name('t'), 'two', { qos: 2 })
        const { wire: again } = await durable(trial, 'keeper')
        const got = [text(await take(again)), text(await take(again))].sort()
        mustEqual(got.join(), 'one,two', 'what was stored')
      },
      mutants: ([1, 2] as const).map((qos) => changes(`stores no QoS ${qos}`, 'publish', (message) => (message.qos === qos ? 'drop' : undefined))),
    },
    {
      id: 'MQTT-3.1.2-6',
      level: 'must',
      says: 'With CleanSession 1 any earlier session is discarded, and the new one ends with the connection.',
      how: 'A session with a subscription is ended by a clean one: neither that nor a later one gets what the subscription matches.',
      async run(trial) {
        const { wire } = await durable(trial, 'keeper')
        await subscribe(wire, trial.name('old'), 1)
        await leave(wire)
        const from = await connected(trial, 'sender')
        await publish(from, trial.name('old'), 'stale', { qos: 1 })
        for (const clean of [true, false]) {
          const again = await connected(trial, 'keeper', { clean })
          await subscribe(again, trial.name(`new${clean}`), 1)
          await publish(from, trial.name('old'), 'stale', { qos: 1 })
          await publish(from, trial.name(`new${clean}`), 'end', { qos: 1 })
          const before = await takeUntil(again, 'end')
          mustEqual(before.length, 0, `the number of messages to a session that was discarded (${before.map(text).join()})`)
          await leave(again)
        }
      },
      mutants: [neverClean],
    },
    {
      id: 'MQTT-3.1.2-7',
      level: 'must',
      says: 'Retained messages belong to no session: they stay when it ends.',
      how: 'A clean session publishes a retained message and ends; another client subscribes.',
      async run(trial) {
        const from = await connected(trial, 'sender')
        await retain(trial, from, trial.name('t'), 'stays')
        await leave(from)
        const wire = await connected(trial)
        await subscribe(wire, trial.name('t'), 1)
        mustEqual(text(await take(wire)), 'stays', 'the retained message')
      },
      mutants: [
        edits('forgets what a session retained when it ends', () => ({ toBroker }) => {
          const topics: string[] = []
          return {
            toBroker: (sent) => {
              if (is(sent, 'publish') && sent.retain) topics.push(sent.topic)
              if (is(sent, 'disconnect'))
                for (const topic of topics) toBroker({ cmd: 'publish', topic, payload: '', qos: 0, dup: false, retain: true })
              return undefined
            },
          }
        }),
      ],
    },
  ],
}

/** The only answer to a CONNECT of a session: CONNACK. */
export async function connackOf(wire: MqttWire): Promise<Received<'connack'>> {
  const first = await wire.inbox.next('an answer to CONNECT')
  if (first?.cmd !== 'connack') return fail(`the first packet is ${first === undefined ? 'none' : first.cmd.toUpperCase()} where CONNACK was due`)
  return first as Received<'connack'>
}
