// MQTT 3.1.1, 3.3 to 3.7: PUBLISH and its acknowledgements. What RETAIN asks is in retain.ts.
import type { Chapter } from '../check.ts'
import { held, leave, publish, publishPacket, subscribe, take, takeUntil, taken, text } from '../mqtt/acts.ts'
import { packet, string, u16 } from '../mqtt/bytes.ts'
import { answers, changes, edits, is, never } from '../mqtt/mutants.ts'
import { dropsAgain, forgetsPubrel, newAfterPuback, oneIdentifier, setsDup, takesNewForOld, takesNoNoticeOf } from '../mqtt/qos.ts'
import { mustBe, mustEqual } from '../outcome.ts'
import { closesOn } from './closes.ts'
import { connected, durable } from './session.ts'

export const publishing: Chapter = {
  title: '3.3 to 3.7 PUBLISH and its acknowledgements',
  clauses: [
    {
      id: 'MQTT-3.3.1-1',
      level: 'must',
      says: 'DUP is set when a message is delivered again.',
      how: 'A session gets messages of QoS 1 and 2, acknowledges none, is dropped and resumed: both come again with DUP.',
      async run(trial) {
        const { wire } = await durable(trial, 'keeper')
        await subscribe(wire, trial.name('t'), 2)
        const from = await connected(trial, 'sender')
        for (const qos of [1, 2] as const) await publish(from, trial.name('t'), `of ${qos}`, { qos })
        await held(wire, 2)
        wire.destroy()
        const { wire: again } = await durable(trial, 'keeper')
        for (let count = 0; count < 2; count++) {
          const message = await take(again)
          mustEqual(message.dup, true, `DUP of the message "${text(message)}" that is sent again`)
        }
      },
      mutants: [changes('never sets DUP', 'publish', (message) => ({ ...message, dup: false }))],
    },
    {
      id: 'MQTT-3.3.1-2',
      level: 'must',
      says: 'DUP is not set in messages of QoS 0.',
      how: 'Messages published with QoS 0 and, with DUP, with QoS 1, are received by a subscription of QoS 0.',
      async run(trial) {
        const wire = await connected(trial)
        await subscribe(wire, trial.name('t'), 0)
        await publish(wire, trial.name('t'), 'one')
        await publish(wire, trial.name('t'), 'two', { qos: 1, dup: true })
        await publish(wire, trial.name('t'), 'end')
        // Who drops the second has no DUP to set.
        for (let last = ''; last !== 'end'; ) {
          const message = await take(wire)
          mustEqual(message.qos, 0, 'the QoS')
          mustEqual(message.dup, false, 'DUP of a message of QoS 0')
          last = text(message)
        }
      },
      mutants: [changes('sets DUP with QoS 0', 'publish', (_, raw) => Buffer.concat([Buffer.from([(raw[0] ?? 0) | 8]), raw.subarray(1)]))],
    },
    {
      id: 'MQTT-3.3.1-3',
      level: 'must',
      says: 'DUP of an incoming message is not passed on: a first delivery has none.',
      how: 'A message of QoS 1 and one of QoS 2 are published with DUP; the subscriber sees them without.',
      async run(trial) {
        const wire = await connected(trial)
        await subscribe(wire, trial.name('t'), 2)
        for (const qos of [1, 2] as const) {
          await publish(wire, trial.name('t'), 'x', { qos, dup: true })
          mustEqual((await take(wire)).dup, false, 'DUP of a first delivery')
        }
      },
      mutants: [
        edits('passes DUP on', () => () => {
          let dup = false
          return {
            toBroker: (sent) => {
              if (is(sent, 'publish')) dup = sent.dup
              return undefined
            },
            toClient: (message) => (is(message, 'publish') ? { ...message, dup } : undefined),
          }
        }),
      ],
    },
    closesOn(
      {
        id: 'MQTT-3.3.1-4',
        says: 'A PUBLISH with both bits of QoS set ends the connection.',
        how: 'PUBLISH with QoS 3, with and without identifier.',
      },
      (trial) => [packet(0x36, string(trial.name('t')), u16(1), Buffer.from('x')), packet(0x37, string(trial.name('t')))],
    ),
    closesOn(
      {
        id: 'MQTT-3.3.2-1',
        says: 'The topic name is the first field of PUBLISH, and UTF-8: without it the connection is closed.',
        how: 'PUBLISH of no bytes, of half a length, with a name cut short and with one that is no UTF-8.',
      },
      () => [
        packet(0x30),
        packet(0x30, 0),
        packet(0x30, u16(5), Buffer.from('abc')),
        packet(0x30, string(Buffer.from('ff', 'hex')), Buffer.from('x')),
      ],
    ),
    closesOn(
      {
        id: 'MQTT-3.3.2-2',
        says: 'A topic name has no wildcards: a PUBLISH to one ends the connection.',
        how: 'PUBLISH to names that end in # or are one.',
      },
      (trial) => [
        packet(0x30, string(`${trial.name('t')}/#`), Buffer.from('x')),
        packet(0x32, string(`${trial.name('t')}/+`), u16(1), Buffer.from('x')),
      ],
    ),
    {
      id: 'MQTT-3.3.2-3',
      level: 'must',
      says: 'The topic name of a message that is delivered matches a filter of its receiver.',
      how: 'A client with several filters receives what others publish to many topics.',
      async run(trial) {
        const wire = await connected(trial)
        const name = trial.name('t')
        await subscribe(
          wire,
          [`${name}/a`, `${name}/+/x`, `${name}/deep/#`].map((topic) => ({ topic, qos: 1 })),
        )
        const matching = [`${name}/a`, `${name}/b/x`, `${name}/deep`, `${name}/deep/er/still`]
        const from = await connected(trial, 'sender')
        for (const topic of [...matching, `${name}/b`, `${name}/b/c/x`, `${name}/deeper`, name]) await publish(from, topic, topic, { qos: 1 })
        await publish(from, `${name}/a`, 'end', { qos: 1 })
        for (const message of await takeUntil(wire, 'end')) {
          mustBe(matching.includes(message.topic), `a message to ${message.topic} is delivered, which none of the filters matches`)
          mustEqual(message.topic, text(message), 'the Topic Name of a message')
        }
      },
      mutants: [changes('delivers under another name', 'publish', (message) => ({ ...message, topic: 'other' }))],
    },
    {
      id: 'MQTT-3.3.4-1',
      level: 'must',
      says: 'A PUBLISH is answered by its QoS: not at all, with PUBACK, or with PUBREC.',
      how: 'A message of each QoS, and PINGREQ behind each: what came before PINGRESP is the answer.',
      async run(trial) {
        const wire = await connected(trial)
        for (const [qos, answer] of [
          [0, ''],
          [1, 'puback'],
          [2, 'pubrec'],
        ] as const) {
          wire.send(publishPacket(trial.name('t'), 'x', { qos }))
          if (answer !== '') await wire.next(answer)
          await wire.ping()
          const more = wire.inbox.unread.map(({ cmd }) => cmd.toUpperCase())
          mustEqual(more.join(), '', `what answers PUBLISH of QoS ${qos} beside ${answer === '' ? 'nothing' : answer.toUpperCase()}`)
        }
      },
      mutants: [
        never('puback'),
        never('pubrec'),
        answers('answers QoS 0 with PUBACK', 'publish', ({ qos }) => (qos === 0 ? { cmd: 'puback', messageId: 1 } : undefined)),
        answers('answers QoS 2 with PUBACK', 'publish', ({ qos, messageId = 1 }) => (qos === 2 ? { cmd: 'puback', messageId } : undefined)),
      ],
    },
    {
      id: 'MQTT-3.3.5-1',
      level: 'must',
      says: 'A message that matches several filters of a client is delivered with the highest of their QoS.',
      how: 'Overlapping filters of QoS 0, 1 and 2; a message of QoS 2 comes with QoS 2, whatever copies come beside it.',
      async run(trial) {
        const wire = await connected(trial)
        const name = trial.name('t')
        const { granted } = await subscribe(wire, [
          { topic: `${name}/#`, qos: 0 },
          { topic: `${name}/a`, qos: 2 },
          { topic: `${name}/+`, qos: 1 },
        ])
        const from = await connected(trial, 'sender')
        await publish(from, `${name}/a`, 'x', { qos: 2 })
        await publish(from, `${name}/a`, 'end', { qos: 2 })
        const copies = await takeUntil(wire, 'end')
        const highest = Math.max(-1, ...copies.filter((copy) => text(copy) === 'x').map(({ qos }) => qos))
        mustEqual(highest, Math.max(...granted.map(Number)), 'the highest QoS of the copies')
      },
      mutants: [changes('delivers by the first of the filters', 'publish', (message) => publishPacket(message.topic, message.payload, { qos: 0 }))],
    },
    {
      id: 'MQTT-3.3.5-2',
      level: 'must',
      says: 'A PUBLISH that its client may not do is acknowledged all the same, or the connection is closed.',
      how: 'PUBLISH of QoS 1 and 2 below $SYS, which most brokers keep for themselves: there is an answer, or the end.',
      async run(trial) {
        for (const qos of [1, 2] as const) {
          const wire = await connected(trial, `of${qos}`)
          wire.send(publishPacket(`$SYS/${trial.name('t')}`, 'x', { qos }))
          const first = await wire.inbox.next(`an answer to PUBLISH of QoS ${qos} below $SYS, or the end of the connection,`)
          if (first !== undefined)
            mustBe(first.cmd === 'puback' || first.cmd === 'pubrec', `${first.cmd.toUpperCase()} answers PUBLISH of QoS ${qos} below $SYS`)
        }
      },
      mutants: [never('puback'), never('pubrec')],
    },
    closesOn(
      {
        id: 'MQTT-3.6.1-1',
        says: 'PUBREL with other flags than 0010 ends the connection.',
        how: 'PUBREL with flags 0000, 0011 and 1010 for a message under way.',
      },
      (trial) => [0x60, 0x63, 0x6a].map((first) => Buffer.concat([packet(0x34, string(trial.name('t')), u16(7)), packet(first, u16(7))])),
    ),
    {
      id: 'MQTT-4.3.1-1',
      level: 'must',
      says: 'QoS 0: the sender sends PUBLISH with QoS 0 and DUP 0.',
      how: 'A message of QoS 0 is received by subscriptions of each QoS.',
      async run(trial) {
        for (const qos of [0, 1, 2] as const) {
          const wire = await connected(trial, `of${qos}`)
          await subscribe(wire, trial.name(`t${qos}`), qos)
          await publish(wire, trial.name(`t${qos}`), 'x')
          const message = await take(wire)
          mustEqual(message.qos, 0, 'the QoS')
          mustEqual(message.dup, false, 'DUP')
        }
      },
      mutants: [changes('sends it with QoS 1', 'publish', (message) => publishPacket(message.topic, message.payload, { qos: 1 })), setsDup],
    },
    {
      id: 'MQTT-4.3.2-1',
      level: 'must',
      says: 'QoS 1: the sender gives each new message an identifier that is free, sends it with DUP 0, and holds it unacknowledged until PUBACK.',
      how: 'Two messages; one is acknowledged, the session dropped and resumed: only the other comes again.',
      async run(trial) {
        const { wire } = await durable(trial, 'keeper')
        await subscribe(wire, trial.name('t'), 1)
        const from = await connected(trial, 'sender')
        for (const payload of ['acknowledged', 'not']) await publish(from, trial.name('t'), payload, { qos: 1 })
        const messages = await held(wire, 2)
        for (const message of messages) mustEqual(message.dup, false, 'DUP of a first delivery')
        const [first, second] = messages.map(({ messageId }) => messageId)
        mustBe(first !== second, `two messages under way have the Packet Identifier ${first}`)
        wire.send({ cmd: 'puback', messageId: first ?? 0 })
        await wire.ping()
        await leave(wire)
        const { wire: again } = await durable(trial, 'keeper')
        await publish(from, trial.name('t'), 'end', { qos: 1 })
        mustEqual((await takeUntil(again, 'end')).map(text).join(), 'not', 'what comes again')
      },
      mutants: [setsDup, takesNoNoticeOf('puback'), dropsAgain, oneIdentifier],
    },
    newAfterPuback(
      connected,
      {
        id: 'MQTT-4.3.2-2',
        says: 'QoS 1: the receiver answers PUBACK with the identifier, after which the same identifier is a new message whatever its DUP.',
      },
      [never('puback'), changes('answers with another identifier', 'puback', () => ({ cmd: 'puback', messageId: 65535 }))],
    ),
    {
      id: 'MQTT-4.3.3-1',
      level: 'must',
      says: 'QoS 2: the sender answers PUBREC by PUBREL, holds that until PUBCOMP, and sends PUBLISH no more once it has sent PUBREL.',
      how: 'A message is taken up to PUBREL, the session dropped and resumed: PUBREL comes again and PUBLISH does not; after PUBCOMP neither.',
      async run(trial) {
        const { wire } = await durable(trial, 'keeper')
        await subscribe(wire, trial.name('t'), 2)
        const from = await connected(trial, 'sender')
        await publish(from, trial.name('t'), 'x', { qos: 2 })
        const message = await wire.next('publish')
        mustEqual(message.dup, false, 'DUP of a first delivery')
        const messageId = message.messageId ?? 0
        wire.send({ cmd: 'pubrec', messageId })
        mustEqual((await wire.next('pubrel')).messageId, messageId, 'the Packet Identifier of PUBREL')
        wire.destroy()
        const { wire: again } = await durable(trial, 'keeper')
        mustEqual((await again.next('pubrel')).messageId, messageId, 'the Packet Identifier of PUBREL that is sent again')
        again.send({ cmd: 'pubcomp', messageId })
        await again.ping()
        mustBe(!again.inbox.unread.some((one) => one.cmd === 'publish'), 'PUBLISH was sent again after PUBREL')
        await leave(again)
        const { wire: last } = await durable(trial, 'keeper')
        await publish(from, trial.name('t'), 'end', { qos: 2 })
        mustEqual((await takeUntil(last, 'end')).length, 0, 'the number of messages that were sent again after PUBCOMP')
        mustBe(!last.inbox.unread.some((one) => one.cmd === 'pubrel'), 'PUBREL was sent again after PUBCOMP')
      },
      mutants: [
        never('pubrel'),
        setsDup,
        edits('sends PUBLISH again in place of PUBREL', () => {
          let kept: Buffer | undefined
          let released = false
          return () => {
            let resumed = released
            return {
              toClient: (packet, raw) => {
                if (is(packet, 'publish')) kept = Buffer.from(raw)
                if (!is(packet, 'pubrel')) return undefined
                released = true
                const stands = resumed ? kept : undefined
                resumed = false
                return stands === undefined ? undefined : [stands, raw]
              },
            }
          }
        }),
        forgetsPubrel,
        takesNoNoticeOf('pubcomp'),
      ],
    },
    {
      id: 'MQTT-4.3.3-2',
      level: 'must',
      says: 'QoS 2: the receiver answers PUBREC, also when the identifier comes again before PUBREL, which is no second message; PUBREL is answered by PUBCOMP; after it the identifier is new.',
      how: 'PUBLISH, the same with DUP, PUBREL, then another message with that identifier: two are delivered.',
      async run(trial) {
        const wire = await connected(trial)
        await subscribe(wire, trial.name('t'), 0)
        const first = publishPacket(trial.name('t'), 'first', { qos: 2 })
        wire.send(first)
        mustEqual((await wire.next('pubrec')).messageId, first.messageId, 'the Packet Identifier of PUBREC')
        wire.send({ ...first, dup: true })
        await taken(wire, first)
        const second = publishPacket(trial.name('t'), 'second', { qos: 2, messageId: first.messageId ?? 0 })
        wire.send(second)
        await taken(wire, second)
        await publish(wire, trial.name('t'), 'end', { qos: 2 })
        mustEqual((await takeUntil(wire, 'end')).map(text).join(), 'first,second', 'what is delivered')
      },
      mutants: [
        never('pubrec'),
        never('pubcomp'),
        changes('answers PUBREL with another identifier', 'pubcomp', () => ({ cmd: 'pubcomp', messageId: 65535 })),
        edits('takes what comes again for a second message', () => () => ({
          toBroker: (sent) => (is(sent, 'publish') && sent.dup ? [publishPacket(sent.topic, sent.payload), sent] : undefined),
        })),
        edits('does not answer what comes again', () => () => ({ toBroker: (sent) => (is(sent, 'publish') && sent.dup ? 'drop' : undefined) })),
        takesNewForOld,
      ],
    },
  ],
}
