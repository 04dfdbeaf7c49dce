// MQTT 5.0, 3.10 and 3.11: UNSUBSCRIBE and UNSUBACK.
import type { Chapter } from '../check.ts'
import type { MqttWire, Received } from '../clients/mqtt-wire.ts'
import { held } from '../mqtt/acts.ts'
import { packet, properties, string, u16 } from '../mqtt/bytes.ts'
import { changes, edits, ignores, never, sees } from '../mqtt/mutants.ts'
import { neverCloses } from '../mutant.ts'
import { mustBe, mustEqual } from '../outcome.ts'
import { addsLongReason, addsLongUserProperty } from './mutants.ts'
import { ID, payloadOf } from './properties.ts'
import { closesEach, code, connected, mustReceive, publish, receive, second, subscribe } from './session.ts'

async function unsubscribe(wire: MqttWire, filters: readonly string[], messageId = 20): Promise<Received<'unsuback'>> {
  wire.send({ cmd: 'unsubscribe', messageId, unsubscriptions: [...filters] })
  return wire.next('unsuback')
}

const codesOf = ({ raw }: Received<'unsuback'>): readonly number[] => [...payloadOf(raw)]

const withCodes = (messageId: number | undefined, codes: readonly number[]): Buffer => packet(0xb0, u16(messageId ?? 0), properties(), ...codes)

export const unsubscribing: Chapter = {
  title: '3.10 UNSUBSCRIBE and 3.11 UNSUBACK',
  clauses: [
    {
      id: 'MQTT-3.10.1-1',
      level: 'must',
      says: 'The flags of UNSUBSCRIBE are 0010: with any other it is malformed, and the connection ends.',
      how: 'UNSUBSCRIBEs with flags 0, 3 and 10.',
      run: (trial) =>
        closesEach(
          trial,
          Object.fromEntries(
            [0, 3, 10].map((flags) => [
              `an UNSUBSCRIBE with flags ${flags}`,
              packet(0xa0 | flags, u16(1), properties(), string(trial.name('topic'))),
            ]),
          ),
        ),
      mutants: [neverCloses],
    },
    {
      id: 'MQTT-3.10.3-1',
      level: 'must',
      says: 'The filters of UNSUBSCRIBE are UTF-8 strings: one with another is malformed.',
      how: 'Filters with a surrogate and with U+0000.',
      run: (trial) =>
        closesEach(trial, {
          'a filter with a surrogate': packet(0xa2, u16(1), properties(), string(Buffer.from([0x61, 0xed, 0xa0, 0x80]))),
          'a filter with U+0000': packet(0xa2, u16(1), properties(), string('a\0b')),
        }),
      mutants: [neverCloses],
    },
    {
      id: 'MQTT-3.10.3-2',
      level: 'must',
      says: 'An UNSUBSCRIBE has at least one filter: one without is a protocol error.',
      how: 'An UNSUBSCRIBE without filters.',
      run: (trial) => closesEach(trial, { 'an UNSUBSCRIBE without filters': packet(0xa2, u16(1), properties()) }),
      mutants: [neverCloses],
    },
    {
      id: 'MQTT-3.10.4-1',
      level: 'must',
      says: 'A filter of UNSUBSCRIBE ends the subscription to exactly that filter, character by character, and no other.',
      how: 'Subscriptions to a/b, a/B and a/+; UNSUBSCRIBE a/b, then a/#: messages to a/b still come for a/+, which the identifiers tell.',
      async run(trial) {
        const topic = trial.name('topic')
        const wire = await connected(trial)
        await subscribe(wire, { topic: `${topic}/b` }, 1)
        await subscribe(wire, { topic: `${topic}/B` }, 2)
        await subscribe(wire, { topic: `${topic}/+` }, 3)
        await unsubscribe(wire, [`${topic}/b`])
        await unsubscribe(wire, [`${topic}/#`])
        const because = async (name: string): Promise<string> => {
          const found = new Set<number>()
          await publish(wire, `${topic}/${name}`, 'x')
          await publish(wire, `${topic}/end`, 'end')
          for (;;) {
            const message = await receive(wire)
            if (message.topic.endsWith('/end')) return [...found].toSorted().join()
            for (const number of [message.properties?.subscriptionIdentifier ?? []].flat()) found.add(number)
          }
        }
        mustEqual(await because('b'), '3', 'the subscriptions because of which a message to a/b comes')
        mustEqual(await because('B'), '2,3', 'the subscriptions because of which a message to a/B comes')
      },
      mutants: [
        ignores('unsubscribe'),
        sees('ends what the filter matches', 'unsubscribe', (each) => ({
          ...each,
          unsubscriptions: each.unsubscriptions.flatMap((one) =>
            one.endsWith('/#') ? [one, one.replace(/#$/, '+'), one.replace(/#$/, 'B')] : [one],
          ),
        })),
        sees('does not mind capital letters', 'unsubscribe', (each) => ({
          ...each,
          unsubscriptions: each.unsubscriptions.flatMap((one) => (one.endsWith('/b') ? [one, one.replace(/b$/, 'B')] : [one])),
        })),
      ],
    },
    {
      id: 'MQTT-3.10.4-2',
      level: 'must',
      says: 'After UNSUBSCRIBE no new messages are added for the client.',
      how: 'UNSUBSCRIBE, a message, SUBSCRIBE again, another message: the first that comes is the later one.',
      async run(trial) {
        const topic = trial.name('topic')
        const publisher = await second(trial)
        const wire = await connected(trial)
        await subscribe(wire, { topic })
        await unsubscribe(wire, [topic])
        await publish(publisher, topic, 'after UNSUBSCRIBE')
        await subscribe(wire, { topic })
        await publish(publisher, topic, 'after SUBSCRIBE')
        await mustReceive(wire, 'after SUBSCRIBE', 'a message that was published after UNSUBSCRIBE')
      },
      mutants: [
        edits('answers, and does nothing', () => ({ toClient }) => ({
          toBroker: (each) => {
            if (each.cmd !== 'unsubscribe') return undefined
            toClient(withCodes(each.messageId, [0]))
            return 'drop'
          },
        })),
      ],
    },
    {
      id: 'MQTT-3.10.4-3',
      level: 'must',
      says: 'Deliveries of QoS 1 and 2 that have begun are completed after UNSUBSCRIBE.',
      how: 'Messages of QoS 1 and 2 came and are not acknowledged; UNSUBSCRIBE; then PUBREC is answered with PUBREL 0x00, and a message of another topic comes as if nothing were left, with a Receive Maximum of 2.',
      async run(trial) {
        const topic = trial.name('topic')
        const publisher = await second(trial)
        const wire = await connected(trial, { properties: { receiveMaximum: 2 } })
        await subscribe(wire, [
          { topic, qos: 2 },
          { topic: trial.name('other'), qos: 1 },
        ])
        await publish(publisher, topic, 'one', { qos: 1 })
        await publish(publisher, topic, 'two', { qos: 2 })
        const [one, two] = await held(wire, 2)
        await unsubscribe(wire, [topic])
        wire.send({ cmd: 'pubrec', messageId: two?.messageId ?? 0, reasonCode: 0 })
        const { reasonCode = 0, messageId } = await wire.next('pubrel')
        mustEqual(messageId, two?.messageId, 'the identifier of PUBREL')
        mustBe(reasonCode === 0, `PUBREL has ${code(reasonCode)} for a delivery that had begun before UNSUBSCRIBE`)
        wire.send({ cmd: 'pubcomp', messageId: two?.messageId ?? 0, reasonCode: 0 })
        wire.send({ cmd: 'puback', messageId: one?.messageId ?? 0, reasonCode: 0 })
        for (const payload of ['a', 'b', 'c']) {
          await publish(publisher, trial.name('other'), payload)
          await mustReceive(wire, payload, 'after deliveries that were completed')
        }
      },
      mutants: [
        changes('has forgotten the delivery', 'pubrel', (pubrel) => ({ ...pubrel, reasonCode: 0x92 })),
        never('pubrel'),
        edits('counts what was completed after UNSUBSCRIBE for ever', () => () => {
          let over = false
          return {
            toBroker: (each) => {
              if (each.cmd === 'unsubscribe') over = true
              return over && each.cmd === 'puback' ? 'drop' : undefined
            },
          }
        }),
      ],
    },
    {
      id: 'MQTT-3.10.4-4',
      level: 'must',
      says: 'UNSUBSCRIBE is answered with UNSUBACK.',
      how: 'UNSUBSCRIBE from a subscription.',
      async run(trial) {
        const wire = await connected(trial)
        await subscribe(wire, { topic: trial.name('topic') })
        mustEqual(codesOf(await unsubscribe(wire, [trial.name('topic')])).join(), '0', 'the reason codes of UNSUBACK')
      },
      mutants: [never('unsuback'), changes('says that there was none', 'unsuback', ({ messageId }) => withCodes(messageId, [0x11]))],
    },
    {
      id: 'MQTT-3.10.4-5',
      level: 'must',
      says: 'UNSUBACK has the packet identifier of its UNSUBSCRIBE, and comes also if no subscription was there.',
      how: 'UNSUBSCRIBEs 7 and 65535 from filters that nobody subscribed to.',
      async run(trial) {
        const wire = await connected(trial)
        for (const messageId of [7, 65_535])
          mustEqual((await unsubscribe(wire, [trial.name('nothing')], messageId)).messageId, messageId, 'the identifier of UNSUBACK')
      },
      mutants: [never('unsuback'), changes('has another identifier', 'unsuback', (_, raw) => packet(0xb0, u16(9), raw.subarray(4)))],
    },
    {
      id: 'MQTT-3.10.4-6',
      level: 'must',
      says: 'An UNSUBSCRIBE with several filters is as several with one answer.',
      how: 'Three subscriptions, two of them ended by one UNSUBSCRIBE: one UNSUBACK, and messages come for the third only.',
      async run(trial) {
        const topic = trial.name('topic')
        const wire = await connected(trial)
        for (const name of ['a', 'b', 'c']) await subscribe(wire, { topic: `${topic}/${name}` })
        mustEqual(codesOf(await unsubscribe(wire, [`${topic}/a`, `${topic}/c`])).join(), '0,0', 'the reason codes of UNSUBACK')
        for (const name of ['a', 'c']) await publish(wire, `${topic}/${name}`, name)
        // Ended means ended: who subscribes again gets the next message first.
        for (const name of ['a', 'c']) {
          await subscribe(wire, { topic: `${topic}/${name}` })
          await publish(wire, `${topic}/${name}`, `later ${name}`)
          await mustReceive(wire, `later ${name}`, 'a message for a subscription that was ended')
        }
        await publish(wire, `${topic}/b`, 'b')
        await mustReceive(wire, 'b', 'the subscription that was not ended')
        mustBe(!wire.inbox.unread.some(({ cmd }) => cmd === 'unsuback'), 'a second UNSUBACK came')
      },
      mutants: [
        sees('ends the first only', 'unsubscribe', (each) => ({ ...each, unsubscriptions: each.unsubscriptions.slice(0, 1) })),
        edits('answers twice', () => () => ({ toClient: (each, raw) => (each.cmd === 'unsuback' ? [raw, raw] : undefined) })),
      ],
    },
    ...(
      [
        ['1', 'Reason String', addsLongReason],
        ['2', 'User Property', addsLongUserProperty],
      ] as const
    ).map(([number, what, long]): Chapter['clauses'][number] => ({
      id: `MQTT-3.11.2-${number}`,
      level: 'must',
      says: `UNSUBACK has no ${what} that makes it larger than its client takes.`,
      how: 'A Maximum Packet Size of 200, and UNSUBSCRIBEs from what is there and what is not.',
      async run(trial) {
        const wire = await connected(trial, { properties: { maximumPacketSize: 200 } })
        await subscribe(wire, { topic: trial.name('topic') })
        for (const filter of [trial.name('topic'), trial.name('nothing'), `$SYS/${trial.name('nothing')}`]) {
          const { raw } = await unsubscribe(wire, [filter])
          mustBe(raw.length <= 200, `an UNSUBACK of ${raw.length} bytes was sent to a client that takes 200`)
        }
      },
      mutants: [long('unsuback')],
    })),
    {
      id: 'MQTT-3.11.3-1',
      level: 'must',
      says: 'The reason codes of UNSUBACK are as many as the filters, and in their order.',
      how: 'UNSUBSCRIBE from one that is there, two that are not, and one that is.',
      async run(trial) {
        const wire = await connected(trial)
        for (const name of ['a', 'd']) await subscribe(wire, { topic: trial.name(name) })
        const codes = codesOf(
          await unsubscribe(
            wire,
            ['a', 'b', 'c', 'd'].map((name) => trial.name(name)),
          ),
        )
        mustEqual(codes.map((each) => code(each)).join(), '0x00,0x11,0x11,0x00', 'the reason codes of UNSUBACK')
      },
      mutants: [
        changes('sorts them', 'unsuback', ({ messageId }, raw) => withCodes(messageId, [...payloadOf(raw)].toSorted())),
        changes('leaves the last out', 'unsuback', ({ messageId }, raw) => withCodes(messageId, [...payloadOf(raw)].slice(0, -1))),
        changes('says 0x00 always', 'unsuback', ({ messageId }, raw) =>
          withCodes(
            messageId,
            [...payloadOf(raw)].map(() => 0),
          ),
        ),
      ],
    },
    {
      id: 'MQTT-3.11.3-2',
      level: 'must',
      says: 'Each reason code of UNSUBACK is one of its table.',
      how: 'UNSUBSCRIBEs from what is there and what is not, and under $SYS; the wire holds reason codes against the table.',
      async run(trial) {
        const wire = await connected(trial)
        await subscribe(wire, { topic: trial.name('topic') })
        await unsubscribe(wire, [trial.name('topic'), trial.name('nothing'), `$SYS/${trial.name('nothing')}`])
      },
      mutants: [
        changes('says 0x01', 'unsuback', ({ messageId }, raw) =>
          withCodes(
            messageId,
            [...payloadOf(raw)].map(() => 1),
          ),
        ),
        changes('says 0x97', 'unsuback', ({ messageId }, raw) =>
          withCodes(
            messageId,
            [...payloadOf(raw)].map(() => 0x97),
          ),
        ),
      ],
    },
    {
      id: 'MQTT5 3.10.2.1-a',
      level: 'must',
      says: 'UNSUBSCRIBE may have any number of User Properties; another property makes it malformed.',
      how: 'UNSUBSCRIBE with two of the same name, and one with a Subscription Identifier.',
      async run(trial) {
        const wire = await connected(trial)
        const about = [ID.userProperty, string('a'), string('1'), ID.userProperty, string('a'), string('2')]
        wire.send(packet(0xa2, u16(1), properties(...about), string(trial.name('topic'))))
        await wire.next('unsuback')
        await closesEach(trial, {
          'an UNSUBSCRIBE with a Subscription Identifier': packet(
            0xa2,
            u16(1),
            properties(ID.subscriptionIdentifier, 1),
            string(trial.name('topic')),
          ),
        })
      },
      mutants: [neverCloses, never('unsuback')],
    },
  ],
}
