// MQTT 5.0, 3.10 and 3.11: UNSUBSCRIBE and UNSUBACK.
import type { Chapter } from '../check.ts'
import { nextId, publish, subscribe, take, takeUntil, text, unsubscribe } from '../mqtt/acts.ts'
import { packet, properties, string, u16 } from '../mqtt/bytes.ts'
import { closesBy } from '../mqtt/closes.ts'
import { answers, changes, edits, is, never, sees } from '../mqtt/mutants.ts'
import { mustBe, mustEqual } from '../outcome.ts'
import { client } from './clients.ts'
import { addsLongReason, addsLongUserProperty } from './mutants.ts'

const closesOn = closesBy(client)
const none = properties()

export const unsubscribing: Chapter = {
  title: '3.10 and 3.11 UNSUBSCRIBE and UNSUBACK',
  clauses: [
    closesOn(
      {
        id: 'MQTT-3.10.1-1',
        says: 'UNSUBSCRIBE with other flags than 0010 ends the connection.',
        how: 'UNSUBSCRIBE with flags 0000, 0011 and 1010.',
      },
      (trial) => [0xa0, 0xa3, 0xaa].map((first) => packet(first, u16(1), none, string(trial.name('t')))),
    ),
    closesOn(
      {
        id: 'MQTT-3.10.3-1',
        says: 'The filters of UNSUBSCRIBE are UTF-8: others end the connection.',
        how: 'UNSUBSCRIBE with an ill-formed filter, and with one that is cut short.',
      },
      (trial) => [
        packet(0xa2, u16(1), none, string(Buffer.from('ff', 'hex'))),
        packet(0xa2, u16(1), none, string(trial.name('t')), u16(5), Buffer.from('ab')),
      ],
    ),
    closesOn(
      { id: 'MQTT-3.10.3-2', says: 'UNSUBSCRIBE has at least one filter: without, it is a protocol error.', how: 'UNSUBSCRIBE without payload.' },
      () => [packet(0xa2, u16(1), none)],
    ),
    {
      id: 'MQTT-3.10.4-1',
      level: 'must',
      says: 'UNSUBSCRIBE ends the subscription whose filter is the same character by character, and no other.',
      how: 'Filters that match the same topic, or differ by case or a slash: only the one that is named ends.',
      async run(trial) {
        const wire = await client(trial)
        const name = trial.name('t')
        await subscribe(
          wire,
          [`${name}/a`, `${name}/+/x`].map((topic) => ({ topic, qos: 1 })),
        )
        await unsubscribe(wire, `${name}/+`, `${name}/#`, `${name}/A`, `${name}/a/`, `${name}/b/x`, '#')
        const sender = await client(trial, 'sender')
        for (const topic of [`${name}/a`, `${name}/b/x`]) {
          await publish(sender, topic, topic, { qos: 1 })
          mustEqual(text(await take(wire)), topic, 'the message of a filter that was not unsubscribed')
        }
        await unsubscribe(wire, `${name}/+/x`)
        await publish(sender, `${name}/b/x`, 'gone', { qos: 1 })
        await publish(sender, `${name}/a`, 'end', { qos: 1 })
        mustEqual((await takeUntil(wire, 'end')).length, 0, 'the number of messages by a filter that was unsubscribed')
      },
      mutants: [
        sees('reads the filters of UNSUBSCRIBE without regard to case', 'unsubscribe', (sent) => ({
          ...sent,
          unsubscriptions: sent.unsubscriptions.map((each) => each.replace('/A', '/a')),
        })),
        sees('does not find filters with wildcards', 'unsubscribe', (sent) => ({
          ...sent,
          unsubscriptions: sent.unsubscriptions.map((each) => each.replace('+', 'plus')),
        })),
      ],
    },
    {
      id: 'MQTT-3.10.4-2',
      level: 'must',
      says: 'After UNSUBACK no new message is delivered by the subscription.',
      how: 'A client unsubscribes one of two topics; messages to both, in this order.',
      async run(trial) {
        const wire = await client(trial)
        await subscribe(
          wire,
          ['gone', 'end'].map((word) => ({ topic: trial.name(word), qos: 1 })),
        )
        await unsubscribe(wire, trial.name('gone'))
        const sender = await client(trial, 'sender')
        for (const qos of [0, 1, 2] as const) await publish(sender, trial.name('gone'), 'gone', { qos })
        await publish(sender, trial.name('end'), 'end', { qos: 1 })
        mustEqual((await takeUntil(wire, 'end')).length, 0, 'the number of messages after UNSUBACK')
      },
      mutants: [answers('says UNSUBACK and does nothing', 'unsubscribe', ({ messageId = 0 }) => packet(0xb0, u16(messageId), none, 0))],
    },
    {
      id: 'MQTT-3.10.4-3',
      level: 'must',
      says: 'Messages of QoS 1 and 2 whose delivery has begun are delivered to the end in spite of UNSUBSCRIBE.',
      how: 'A client has PUBLISH of QoS 2, unsubscribes, and then sends PUBREC: PUBREL with success comes.',
      async run(trial) {
        const wire = await client(trial)
        await subscribe(wire, trial.name('t'), 2)
        await publish(await client(trial, 'sender'), trial.name('t'), 'x', { qos: 2 })
        const { messageId = 0, qos } = await wire.next('publish')
        mustEqual(qos, 2, 'the QoS')
        await unsubscribe(wire, trial.name('t'))
        wire.send({ cmd: 'pubrec', messageId, reasonCode: 0 })
        const pubrel = await wire.next('pubrel')
        mustEqual(pubrel.messageId, messageId, 'the Packet Identifier of PUBREL')
        mustEqual(pubrel.reasonCode, 0, 'the reason code of PUBREL')
        wire.send({ cmd: 'pubcomp', messageId, reasonCode: 0 })
        await wire.ping()
      },
      mutants: [
        changes('forgets what is under way', 'pubrel', (answer) => ({ ...answer, reasonCode: 0x92 })),
        edits('says nothing more of what is under way', () => () => {
          let over = false
          return {
            toClient: (answer) => {
              if (is(answer, 'unsuback')) over = true
              return over && is(answer, 'pubrel') ? 'drop' : undefined
            },
          }
        }),
      ],
    },
    {
      id: 'MQTT-3.10.4-4',
      level: 'must',
      says: 'UNSUBSCRIBE is answered by UNSUBACK.',
      how: 'UNSUBSCRIBE of a filter that is subscribed, and with user properties.',
      async run(trial) {
        const wire = await client(trial)
        for (const properties of [{}, { userProperties: { a: ['1', '2'] } }]) {
          await subscribe(wire, trial.name('t'), 1)
          wire.send({ cmd: 'unsubscribe', messageId: nextId(), unsubscriptions: [trial.name('t')], properties })
          await wire.next('unsuback')
        }
      },
      mutants: [
        never('unsuback'),
        sees('does not understand user properties in UNSUBSCRIBE', 'unsubscribe', (sent) =>
          sent.properties?.userProperties === undefined ? undefined : 'drop',
        ),
      ],
    },
    {
      id: 'MQTT-3.10.4-5',
      level: 'must',
      says: 'UNSUBACK has the identifier of its UNSUBSCRIBE, and comes also where there was no such subscription.',
      how: 'Two UNSUBSCRIBEs at once, of filters that nobody has.',
      async run(trial) {
        const wire = await client(trial)
        const ids = [nextId(), 0xfffe]
        for (const messageId of ids) wire.send({ cmd: 'unsubscribe', messageId, unsubscriptions: [trial.name(`t${messageId}`)] })
        const seen = [(await wire.next('unsuback')).messageId, (await wire.next('unsuback')).messageId]
        mustEqual(seen.sort().join(), ids.sort().join(), 'the Packet Identifiers of UNSUBACK')
      },
      mutants: [never('unsuback'), changes('answers with another identifier', 'unsuback', () => packet(0xb0, u16(0xfffd), none, 0x11))],
    },
    {
      id: 'MQTT-3.10.4-6',
      level: 'must',
      says: 'UNSUBSCRIBE with several filters is handled as several, with one UNSUBACK for all.',
      how: 'UNSUBSCRIBE of two of three topics.',
      async run(trial) {
        const wire = await client(trial)
        const [a = '', b = '', end = ''] = ['a', 'b', 'end'].map((word) => trial.name(word))
        await subscribe(
          wire,
          [a, b, end].map((topic) => ({ topic, qos: 1 })),
        )
        await unsubscribe(wire, a, b)
        const sender = await client(trial, 'sender')
        for (const topic of [a, b]) await publish(sender, topic, 'gone', { qos: 1 })
        await publish(sender, end, 'end', { qos: 1 })
        mustEqual((await takeUntil(wire, 'end')).length, 0, 'the number of messages after UNSUBACK')
        await wire.ping()
        mustBe(!wire.inbox.unread.some(({ cmd }) => cmd === 'unsuback'), 'a second UNSUBACK came')
      },
      mutants: [
        sees('ends the first of several', 'unsubscribe', (sent) => ({ ...sent, unsubscriptions: sent.unsubscriptions.slice(0, 1) })),
        changes('answers each filter', 'unsuback', (_, raw) => [raw, raw]),
      ],
    },
    ...(
      [
        ['1', 'Reason String', addsLongReason('unsuback')],
        ['2', 'User Property', addsLongUserProperty('unsuback')],
      ] as const
    ).map(([number, what, mutant]) => ({
      id: `MQTT-3.11.2-${number}`,
      level: 'must' as const,
      says: `UNSUBACK has no ${what} that makes it larger than its client takes.`,
      how: 'A Maximum Packet Size of 60: UNSUBSCRIBE of filters that are subscribed, are not, and are none.',
      async run(trial: Parameters<typeof client>[0]) {
        for (const [index, topic] of [trial.name('t'), '$SYS/#', `$share/${trial.name('g')}/t`, `${trial.name('t')}/a#`].entries()) {
          const wire = await client(trial, `c${index}`, { properties: { maximumPacketSize: 60 } })
          await subscribe(wire, trial.name('t'), 1)
          wire.send({ cmd: 'unsubscribe', messageId: nextId(), unsubscriptions: [topic] })
          const answer = await wire.inbox.next('an answer to UNSUBSCRIBE, or the end of the connection,')
          mustBe((answer?.raw.length ?? 0) <= 60, `${answer?.cmd.toUpperCase()} of ${answer?.raw.length} bytes comes to a client that takes 60`)
        }
      },
      mutants: [mutant],
    })),
    {
      id: 'MQTT-3.11.3-1',
      level: 'must',
      says: 'The reason codes of UNSUBACK are one for each filter, in their order.',
      how: 'UNSUBSCRIBE of four filters, of which the second and the third are subscribed: where there are codes 0x00 and 0x11, they stand so.',
      async run(trial) {
        const wire = await client(trial)
        const names = ['a', 'b', 'c', 'd'].map((word) => trial.name(word))
        await subscribe(
          wire,
          names.slice(1, 3).map((topic) => ({ topic, qos: 1 })),
        )
        const { granted } = await unsubscribe(wire, ...names)
        mustEqual(granted.map((code) => `0x${code.toString(16).padStart(2, '0')}`).join(), '0x11,0x00,0x00,0x11', 'the reason codes')
      },
      mutants: [
        changes('sorts its codes', 'unsuback', (answer) => ({ ...answer, granted: [...answer.granted].sort() })),
        changes('leaves one out', 'unsuback', (answer) => ({ ...answer, granted: answer.granted.slice(1) })),
      ],
    },
    {
      id: 'MQTT-3.11.3-2',
      level: 'must',
      says: 'The reason codes of UNSUBACK are those of its table.',
      how: 'UNSUBSCRIBE of filters that are subscribed, are not, and are none; the wire holds the codes against the table.',
      async run(trial) {
        for (const [index, topic] of [trial.name('t'), trial.name('u'), '$SYS/#', `${trial.name('t')}/a#`].entries()) {
          const wire = await client(trial, `c${index}`)
          await subscribe(wire, trial.name('t'), 1)
          wire.send({ cmd: 'unsubscribe', messageId: nextId(), unsubscriptions: [topic] })
          await wire.inbox.next('an answer to UNSUBSCRIBE, or the end of the connection,')
        }
      },
      mutants: ([1, 0x10, 0x97] as const).map((code) =>
        changes(`answers 0x${code.toString(16)}`, 'unsuback', (_, raw) => Buffer.concat([raw.subarray(0, -1), Buffer.of(code)])),
      ),
    },
  ],
}
