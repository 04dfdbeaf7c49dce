// MQTT 3.1.1, 1.5 and 2: strings, flags of the fixed header, packet identifiers.
import type { Chapter } from '../check.ts'
import { hex } from '../clients/mqtt-wire.ts'
import { acknowledge, held, nextId, publish, publishPacket, subscribe, take, taken, text, unsubscribe } from '../mqtt/acts.ts'
import { packet, string, u16 } from '../mqtt/bytes.ts'
import { together } from '../mqtt/closes.ts'
import { changes, mistakes, sees } from '../mqtt/mutants.ts'
import { neverCloses } from '../mutant.ts'
import { mustBe, mustEqual } from '../outcome.ts'
import { closesOn } from './closes.ts'
import { connected, rawConnect } from './session.ts'

/** CESU-8 halves, an overlong slash, a code point past the last, a lone continuation, a sequence cut short. */
const ILL_FORMED = ['eda080', 'edbfbf', 'c0af', 'f4908080', '80', 'e28261'].map((hex) => Buffer.from(hex, 'hex'))
const NULL = Buffer.from('a\0b')

export const data: Chapter = {
  title: '1.5 and 2: data and the fixed header',
  clauses: [
    closesOn(
      {
        id: 'MQTT-1.5.3-1',
        says: 'A packet with a string that is not well-formed UTF-8, or that encodes a surrogate, ends the connection.',
        how: 'PUBLISH and SUBSCRIBE with ill-formed strings of several kinds.',
      },
      () => ILL_FORMED.flatMap((bytes) => [packet(0x30, string(bytes), Buffer.from('x')), packet(0x82, u16(1), string(bytes), 0)]),
      [
        mistakes('takes surrogates for letters', Buffer.from('eda080', 'hex'), Buffer.from('abc')),
        mistakes('forgives an overlong slash', Buffer.from('c0af', 'hex'), Buffer.from('//')),
      ],
    ),
    closesOn(
      {
        id: 'MQTT-1.5.3-2',
        says: 'A packet with U+0000 in a string ends the connection.',
        how: 'PUBLISH, SUBSCRIBE and UNSUBSCRIBE with U+0000 in the topic.',
      },
      () => [packet(0x30, string(NULL), Buffer.from('x')), packet(0x82, u16(1), string(NULL), 0), packet(0xa2, u16(1), string(NULL))],
      [mistakes('reads U+0000 as a letter', NULL, Buffer.from('aab'))],
    ),
    {
      id: 'MQTT-1.5.3-3',
      level: 'must',
      says: 'EF BB BF in a string is U+FEFF wherever it stands, and is not stripped.',
      how: 'PUBLISH to two topics that differ by a leading U+FEFF in a level; each must arrive under its own name.',
      async run(trial) {
        const wire = await connected(trial)
        const name = trial.name('bom')
        await subscribe(wire, `${name}/+`)
        for (const topic of [`${name}/\uFEFFx`, `${name}/x`]) {
          await publish(wire, topic, topic)
          const { topic: seen } = await take(wire)
          mustEqual(JSON.stringify(seen), JSON.stringify(topic), 'the Topic Name')
        }
      },
      mutants: [changes('strips U+FEFF', 'publish', (message) => ({ ...message, topic: message.topic.replace('\uFEFF', '') }))],
    },
    {
      id: 'MQTT-2.2.2-1',
      level: 'must',
      says: 'Reserved flags of the fixed header have the values of the table in every packet that is sent.',
      how: 'All packets of a server are provoked, by messages of QoS 2 in both directions; each is held against the table.',
      async run(trial) {
        const wire = await connected(trial)
        await subscribe(wire, trial.name('t'))
        for (const qos of [0, 1, 2] as const) {
          await publish(wire, trial.name('t'), 'x', { qos })
          await take(wire)
        }
        await unsubscribe(wire, trial.name('t'))
        await wire.ping()
      },
      mutants: (['connack', 'suback', 'puback', 'pubrec', 'pubrel', 'pubcomp', 'unsuback', 'pingresp'] as const).map((cmd) =>
        changes(`sets a reserved flag of ${cmd.toUpperCase()}`, cmd, (_, raw) => Buffer.concat([Buffer.from([(raw[0] ?? 0) ^ 1]), raw.subarray(1)])),
      ),
    },
    closesOn(
      {
        id: 'MQTT-2.2.2-2',
        says: 'A packet whose reserved flags are not those of the table ends the connection.',
        how: 'PINGREQ, DISCONNECT, SUBSCRIBE, UNSUBSCRIBE, PUBREL, PUBACK, PUBREC, PUBCOMP and CONNECT with other flags.',
      },
      (trial) => [
        packet(0xc1),
        packet(0xe2),
        packet(0x80, u16(1), string(trial.name('t')), 0),
        packet(0xa0, u16(1), string(trial.name('t'))),
        packet(0x60, u16(1)),
        packet(0x42, u16(1)),
        packet(0x51, u16(1)),
        packet(0x74, u16(1)),
        rawConnect(trial, { first: 0x12 }),
      ],
    ),
    {
      id: 'MQTT-2.3.1-1',
      level: 'must',
      says: 'SUBSCRIBE, UNSUBSCRIBE and PUBLISH of QoS 1 and 2 have a packet identifier that is not 0: a server sends no other, and closes on one.',
      how: 'A message of QoS 1 is received; then each of the three packets is sent with identifier 0.',
      async run(trial) {
        const wire = await connected(trial)
        await subscribe(wire, trial.name('t'))
        await publish(wire, trial.name('t'), 'x', { qos: 1 })
        await take(wire)
        const zero = [
          packet(0x82, u16(0), string(trial.name('t')), 0),
          packet(0xa2, u16(0), string(trial.name('t'))),
          packet(0x32, string(trial.name('t')), u16(0)),
        ]
        await together(zero, async (bytes, index) => {
          const other = await connected(trial, `c${index}`)
          other.send(bytes)
          await other.closed(`after ${hex(bytes)}, whose Packet Identifier is 0`)
        })
      },
      mutants: [
        neverCloses,
        changes('sends PUBLISH with identifier 0', 'publish', ({ topic }, raw) => {
          const copy = Buffer.from(raw)
          copy.writeUInt16BE(0, 4 + Buffer.byteLength(topic))
          return copy
        }),
      ],
    },
    {
      id: 'MQTT-2.3.1-4',
      level: 'must',
      says: 'A server gives each message of QoS 1 and 2 that it sends an identifier that no other message under way has.',
      how: 'A subscriber acknowledges none of six messages of QoS 1 and 2, then takes all.',
      async run(trial) {
        const wire = await connected(trial)
        await subscribe(wire, trial.name('t'))
        const from = await connected(trial, 'sender')
        for (const qos of [1, 2, 1, 2, 1, 2] as const) await publish(from, trial.name('t'), 'x', { qos })
        const seen = new Set<number | undefined>()
        for (const message of await held(wire, 6)) {
          mustBe(
            !seen.has(message.messageId),
            `Packet Identifier ${message.messageId} is given to a second message before the first was acknowledged`,
          )
          seen.add(message.messageId)
        }
      },
      mutants: [changes('gives every message the identifier 1', 'publish', (message) => ({ ...message, messageId: 1 }))],
    },
    {
      id: 'MQTT-2.3.1-5',
      level: 'must',
      says: 'PUBLISH of QoS 0 has no packet identifier.',
      how: 'A message of QoS 0 is received: all behind the topic is its payload. One is sent whose payload looks like an identifier.',
      async run(trial) {
        const wire = await connected(trial)
        await subscribe(wire, trial.name('t'))
        for (const payload of ['', '\x01\x02', 'some text']) {
          await publish(wire, trial.name('t'), payload)
          mustEqual(JSON.stringify(text(await take(wire))), JSON.stringify(payload), 'the payload')
        }
      },
      mutants: [
        changes('puts an identifier into PUBLISH of QoS 0', 'publish', ({ topic, payload }) =>
          packet(0x30, string(topic), u16(7), Buffer.from(payload)),
        ),
        sees('reads an identifier in PUBLISH of QoS 0', 'publish', ({ topic, payload }) => publishPacket(topic, payload.slice(2))),
      ],
    },
    {
      id: 'MQTT-2.3.1-6',
      level: 'must',
      says: 'PUBACK, PUBREC and PUBREL carry the identifier of their PUBLISH.',
      how: 'Messages of QoS 1 and 2 are sent with several identifiers, and received.',
      async run(trial) {
        const wire = await connected(trial)
        await subscribe(wire, trial.name('t'))
        for (const messageId of [1, 255, 256, 65535])
          for (const qos of [1, 2] as const) {
            const sent = publishPacket(trial.name('t'), 'x', { qos, messageId })
            wire.send(sent)
            await taken(wire, sent)
            await acknowledge(wire, await wire.next('publish'))
          }
      },
      mutants: (['puback', 'pubrec', 'pubrel'] as const).map((cmd) =>
        changes(`answers with another identifier in ${cmd.toUpperCase()}`, cmd, (answer) => ({
          ...answer,
          messageId: ((answer.messageId ?? 0) % 65535) + 1,
        })),
      ),
    },
    {
      id: 'MQTT-2.3.1-7',
      level: 'must',
      says: 'SUBACK and UNSUBACK carry the identifier of their SUBSCRIBE and UNSUBSCRIBE.',
      how: 'SUBSCRIBE and UNSUBSCRIBE with several identifiers.',
      async run(trial) {
        const wire = await connected(trial)
        for (const messageId of [1, 255, 256, 65535, nextId()]) {
          wire.send({ cmd: 'subscribe', messageId, subscriptions: [{ topic: trial.name('t'), qos: 0 }] })
          mustEqual((await wire.next('suback')).messageId, messageId, 'the Packet Identifier of SUBACK')
          wire.send({ cmd: 'unsubscribe', messageId, unsubscriptions: [trial.name('t')] })
          mustEqual((await wire.next('unsuback')).messageId, messageId, 'the Packet Identifier of UNSUBACK')
        }
      },
      mutants: (['suback', 'unsuback'] as const).map((cmd) =>
        changes(`answers with another identifier in ${cmd.toUpperCase()}`, cmd, (_, raw) => {
          const copy = Buffer.from(raw)
          copy.writeUInt16BE((copy.readUInt16BE(2) % 65535) + 1, 2)
          return copy
        }),
      ),
    },
  ],
}
