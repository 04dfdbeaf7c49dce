// MQTT 3.1.1, 3.10 to 3.14: UNSUBSCRIBE, UNSUBACK, PINGREQ and DISCONNECT.
import type { Chapter } from '../check.ts'
import { leave, nextId, publish, subscribe, take, takeUntil, taken, publishPacket, text, unsubscribe } from '../mqtt/acts.ts'
import { packet, string, u16 } from '../mqtt/bytes.ts'
import { answers, changes, edits, is, never, sees } from '../mqtt/mutants.ts'
import { mutant, neverCloses } from '../mutant.ts'
import { mustBe, mustEqual } from '../outcome.ts'
import { closesOn } from './closes.ts'
import { connected } from './session.ts'

export const unsubscribing: Chapter = {
  title: '3.10 to 3.14 UNSUBSCRIBE, UNSUBACK, PINGREQ and DISCONNECT',
  clauses: [
    closesOn(
      {
        id: 'MQTT-3.10.1-1',
        says: 'UNSUBSCRIBE with other flags than 0010 ends the connection.',
        how: 'UNSUBSCRIBE with flags 0000, 0011 and 1010.',
      },
      (trial) => [0xa0, 0xa3, 0xaa].map((first) => packet(first, u16(1), string(trial.name('t')))),
    ),
    closesOn(
      {
        id: 'MQTT-3.10.3-1',
        says: 'The filters of UNSUBSCRIBE are UTF-8, one behind the other: others end the connection.',
        how: 'UNSUBSCRIBE with an ill-formed filter, and with one that is cut short.',
      },
      (trial) => [packet(0xa2, u16(1), string(Buffer.from('ff', 'hex'))), packet(0xa2, u16(1), string(trial.name('t')), u16(5), Buffer.from('ab'))],
    ),
    closesOn(
      { id: 'MQTT-3.10.3-2', says: 'UNSUBSCRIBE has at least one filter: without, the connection is closed.', how: 'UNSUBSCRIBE without payload.' },
      () => [packet(0xa2, u16(1))],
    ),
    {
      id: 'MQTT-3.10.4-1',
      level: 'must',
      says: 'UNSUBSCRIBE ends the subscription whose filter is the same byte for byte, and no other.',
      how: 'Filters that match the same topic, or differ by case or a slash: only the one that is named ends.',
      async run(trial) {
        const wire = await connected(trial)
        const name = trial.name('t')
        await subscribe(
          wire,
          [`${name}/a`, `${name}/+/x`].map((topic) => ({ topic, qos: 1 })),
        )
        await unsubscribe(wire, `${name}/+`, `${name}/#`, `${name}/A`, `${name}/a/`, `${name}/b/x`, '#')
        const sender = await connected(trial, 'sender')
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
        sees('ends whatever the filter matches', 'unsubscribe', (sent) =>
          sent.unsubscriptions.includes('#')
            ? { ...sent, unsubscriptions: [...sent.unsubscriptions, ...sent.unsubscriptions.map((each) => each.replace('/+', '/a'))] }
            : undefined,
        ),
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
        const wire = await connected(trial)
        await subscribe(
          wire,
          ['gone', 'end'].map((word) => ({ topic: trial.name(word), qos: 1 })),
        )
        await unsubscribe(wire, trial.name('gone'))
        const sender = await connected(trial, 'sender')
        for (const qos of [0, 1] as const) await publish(sender, trial.name('gone'), 'gone', { qos })
        await publish(sender, trial.name('end'), 'end', { qos: 1 })
        mustEqual((await takeUntil(wire, 'end')).length, 0, 'the number of messages after UNSUBACK')
      },
      mutants: [answers('says UNSUBACK and does nothing', 'unsubscribe', ({ messageId = 0 }) => packet(0xb0, u16(messageId)))],
    },
    {
      id: 'MQTT-3.10.4-3',
      level: 'must',
      says: 'Messages of QoS 1 and 2 whose delivery has begun are delivered to the end in spite of UNSUBSCRIBE.',
      how: 'A client has PUBLISH of QoS 2, unsubscribes, and then sends PUBREC: PUBREL comes.',
      async run(trial) {
        const wire = await connected(trial)
        await subscribe(wire, trial.name('t'), 2)
        await publish(await connected(trial, 'sender'), trial.name('t'), 'x', { qos: 2 })
        const { messageId = 0, qos } = await wire.next('publish')
        mustEqual(qos, 2, 'the QoS')
        await unsubscribe(wire, trial.name('t'))
        wire.send({ cmd: 'pubrec', messageId })
        mustEqual((await wire.next('pubrel')).messageId, messageId, 'the Packet Identifier of PUBREL')
        wire.send({ cmd: 'pubcomp', messageId })
        await wire.ping()
      },
      mutants: [
        edits('forgets what is under way', () => () => {
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
      says: 'UNSUBSCRIBE is answered by UNSUBACK with its identifier.',
      how: 'Two UNSUBSCRIBEs at once.',
      async run(trial) {
        const wire = await connected(trial)
        const ids = [nextId(), 0xfffe]
        for (const id of ids) await subscribe(wire, trial.name(`t${id}`), 1)
        for (const messageId of ids) wire.send({ cmd: 'unsubscribe', messageId, unsubscriptions: [trial.name(`t${messageId}`)] })
        const seen = [(await wire.next('unsuback')).messageId, (await wire.next('unsuback')).messageId]
        mustEqual(seen.sort().join(), ids.sort().join(), 'the Packet Identifiers of UNSUBACK')
      },
      mutants: [never('unsuback'), changes('answers with another identifier', 'unsuback', () => packet(0xb0, u16(0xfffd)))],
    },
    {
      id: 'MQTT-3.10.4-5',
      level: 'must',
      says: 'UNSUBSCRIBE is answered by UNSUBACK also where there was no such subscription.',
      how: 'UNSUBSCRIBE of filters that nobody has.',
      async run(trial) {
        const wire = await connected(trial)
        await unsubscribe(wire, trial.name('never'), `${trial.name('never')}/#`)
      },
      mutants: [never('unsuback')],
    },
    {
      id: 'MQTT-3.10.4-6',
      level: 'must',
      says: 'UNSUBSCRIBE with several filters is handled as several, with one UNSUBACK for all.',
      how: 'UNSUBSCRIBE of two of three topics, one of them twice.',
      async run(trial) {
        const wire = await connected(trial)
        const [a = '', b = '', end = ''] = ['a', 'b', 'end'].map((word) => trial.name(word))
        await subscribe(
          wire,
          [a, b, end].map((topic) => ({ topic, qos: 1 })),
        )
        await unsubscribe(wire, a, a, b)
        const sender = await connected(trial, 'sender')
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
    {
      id: 'MQTT-3.12.4-1',
      level: 'must',
      says: 'PINGREQ is answered by PINGRESP.',
      how: 'PINGREQ, three at once, and one with messages about.',
      async run(trial) {
        const wire = await connected(trial)
        await wire.ping()
        for (let count = 0; count < 3; count++) wire.send({ cmd: 'pingreq' })
        for (let count = 0; count < 3; count++) await wire.next('pingresp')
        const sent = publishPacket(trial.name('t'), 'x', { qos: 1 })
        wire.send(sent)
        await wire.ping()
        await taken(wire, sent)
      },
      mutants: [
        never('pingresp'),
        edits('answers several at once by one', () => () => {
          let count = 0
          return { toClient: (answer) => (is(answer, 'pingresp') && count++ === 2 ? 'drop' : undefined) }
        }),
      ],
    },
    closesOn(
      { id: 'MQTT-3.14.1-1', says: 'DISCONNECT with reserved bits ends the connection.', how: 'DISCONNECT with each of the four flags.' },
      () => [0xe1, 0xe2, 0xe4, 0xe8].map((first) => packet(first)),
    ),
    {
      id: 'MQTT-3.14.4-3',
      level: 'must',
      says: 'On DISCONNECT the will is discarded without being published.',
      how: 'A client with a will sends DISCONNECT and ends the connection; nobody gets the will.',
      async run(trial) {
        const wire = await connected(trial)
        await subscribe(wire, trial.name('t'), 1)
        const will = { topic: trial.name('t'), payload: Buffer.from('will'), qos: 1, retain: false } as const
        await leave(await connected(trial, 'polite', { will }))
        // It has ended; so has what its end set going, when the same client is there again.
        await connected(trial, 'polite')
        await publish(await connected(trial, 'sender'), trial.name('t'), 'end', { qos: 1 })
        mustEqual((await takeUntil(wire, 'end')).length, 0, 'the number of wills after DISCONNECT')
      },
      mutants: [
        sees('takes DISCONNECT for a lost connection', 'disconnect', () => 'drop'),
        mutant('publishes the will all the same', () => ({ toBroker: (raw) => ((raw[0] ?? 0) >> 4 === 14 ? [] : undefined) })),
      ],
    },
    {
      id: 'MQTT311 3.14.4-a',
      level: 'should',
      says: 'On DISCONNECT the server closes the connection if its client has not.',
      how: 'A client sends DISCONNECT and keeps its side open.',
      async run(trial) {
        const wire = await connected(trial)
        wire.send({ cmd: 'disconnect' })
        const came = await wire.closed('after DISCONNECT')
        mustEqual(came.length, 0, 'the number of packets after DISCONNECT')
      },
      mutants: [neverCloses],
    },
  ],
}
