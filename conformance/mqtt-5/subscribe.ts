// MQTT 5.0, 3.8 and 3.9: SUBSCRIBE and SUBACK. Shared subscriptions are in shared.ts.
import type { Chapter } from '../check.ts'
import { leave, nextId, publish, publishPacket, subscribe, take, takeUntil, text } from '../mqtt/acts.ts'
import { packet, properties, string, u16, varint } from '../mqtt/bytes.ts'
import { closesBy } from '../mqtt/closes.ts'
import { changes, edits, is, never, sees } from '../mqtt/mutants.ts'
import { mustBe, mustEqual, notSupported } from '../outcome.ts'
import { client, keeper } from './clients.ts'
import { addsLongReason, addsLongUserProperty } from './mutants.ts'
import { ID, propertiesOf } from './properties.ts'
import { retain } from './session.ts'

const closesOn = closesBy(client)
const none = properties()

export const subscribing: Chapter = {
  title: '3.8 and 3.9 SUBSCRIBE and SUBACK',
  clauses: [
    closesOn(
      { id: 'MQTT-3.8.1-1', says: 'SUBSCRIBE with other flags than 0010 ends the connection.', how: 'SUBSCRIBE with flags 0000, 0011 and 1010.' },
      (trial) => [0x80, 0x83, 0x8a].map((first) => packet(first, u16(1), none, string(trial.name('t')), 0)),
    ),
    closesOn(
      {
        id: 'MQTT5 3.8.2.1.2-a',
        says: 'A Subscription Identifier is 1 to 268,435,455, and there is one at most: others are a protocol error.',
        how: 'SUBSCRIBE with the identifier 0, and with two.',
      },
      (trial) => [
        packet(0x82, u16(1), properties(ID.subscriptionIdentifier, 0), string(trial.name('t')), 0),
        packet(0x82, u16(1), properties(ID.subscriptionIdentifier, 1, ID.subscriptionIdentifier, 2), string(trial.name('t')), 0),
      ],
    ),
    {
      id: 'MQTT5 3.8.2.1.2-b',
      level: 'must',
      says: 'The Subscription Identifier is stored with its subscription, comes with its messages, and is replaced with it.',
      how: 'Two filters with the largest and the smallest identifier; then one is subscribed with another, then without.',
      async run(trial) {
        const { wire, connack } = await keeper(trial, 'client')
        if (connack.properties?.subscriptionIdentifiersAvailable === false) notSupported('CONNACK says that there are no Subscription Identifiers')
        const sender = await client(trial, 'sender')
        const see = async (word: string, due: number | undefined): Promise<void> => {
          await publish(sender, trial.name(word), 'x', { qos: 1 })
          const ids = propertiesOf((await take(wire)).raw).filter(({ id }) => id === ID.subscriptionIdentifier)
          const wanted = due === undefined ? '' : varint(due).toString('hex')
          mustEqual(ids.map(({ value }) => value.toString('hex')).join(), wanted, `the Subscription Identifier (encoded) of ${word}`)
        }
        await subscribe(wire, trial.name('one'), 1, { subscriptionIdentifier: 1 })
        await subscribe(wire, trial.name('most'), 1, { subscriptionIdentifier: 268_435_455 })
        await see('one', 1)
        await see('most', 268_435_455)
        await subscribe(wire, trial.name('one'), 1, { subscriptionIdentifier: 200 })
        await see('one', 200)
        await subscribe(wire, trial.name('one'), 1)
        await see('one', undefined)
      },
      mutants: [
        changes('leaves it out', 'publish', ({ properties: _properties, ...message }) => message),
        sees('takes none of more than two bytes', 'subscribe', (sent) =>
          (sent.properties?.subscriptionIdentifier ?? 0) > 16_383 ? { ...sent, properties: {} } : undefined,
        ),
        edits('keeps the first', () => () => {
          let first: number | undefined
          return {
            toBroker: (sent) => {
              if (!is(sent, 'subscribe') || sent.properties?.subscriptionIdentifier === 268_435_455) return undefined
              first ??= sent.properties?.subscriptionIdentifier ?? 1
              return { ...sent, properties: { subscriptionIdentifier: first } }
            },
          }
        }),
      ],
    },
    closesOn(
      {
        id: 'MQTT-3.8.3-1',
        says: 'A topic filter that is no UTF-8 ends the connection.',
        how: 'SUBSCRIBE with ill-formed filters, one of them behind a good one.',
      },
      (trial) => [
        packet(0x82, u16(1), none, string(Buffer.from('612fff', 'hex')), 0),
        packet(0x82, u16(1), none, string(trial.name('t')), 0, string(Buffer.from('eda080', 'hex')), 0),
      ],
    ),
    closesOn(
      {
        id: 'MQTT-3.8.3-2',
        says: 'SUBSCRIBE has at least one filter with its options: without, it is a protocol error.',
        how: 'SUBSCRIBE without payload, and with a filter that no options follow.',
      },
      (trial) => [packet(0x82, u16(1), none), packet(0x82, u16(1), none, string(trial.name('t')))],
    ),
    {
      id: 'MQTT-3.8.3-3',
      level: 'must',
      says: 'With No Local a client does not get what it published itself, by whatever connection of its session.',
      how: 'A client with No Local publishes, and another does: it gets the other message alone; who subscribes without gets both.',
      async run(trial) {
        const { wire } = await keeper(trial, 'own')
        await subscribe(wire, [{ topic: trial.name('t'), qos: 1, nl: true }])
        await subscribe(wire, [{ topic: trial.name('u'), qos: 1, nl: false }])
        const other = await client(trial, 'other')
        await publish(wire, trial.name('t'), 'own', { qos: 1 })
        await publish(other, trial.name('t'), 'other', { qos: 1 })
        mustEqual((await takeUntil(wire, 'other')).length, 0, 'the number of its own messages to a client with No Local')
        await publish(wire, trial.name('u'), 'heard', { qos: 1 })
        mustEqual(text(await take(wire)), 'heard', 'its own message to a client without No Local')
        await leave(wire)
        const { wire: again } = await keeper(trial, 'own')
        await publish(again, trial.name('t'), 'own', { qos: 1 })
        await publish(other, trial.name('t'), 'end', { qos: 1 })
        mustEqual((await takeUntil(again, 'end')).length, 0, 'the number of its own messages to a resumed session with No Local')
      },
      mutants: [
        sees('has no No Local', 'subscribe', (sent) => ({ ...sent, subscriptions: sent.subscriptions.map((each) => ({ ...each, nl: false })) })),
        sees('always does as with No Local', 'subscribe', (sent) => ({
          ...sent,
          subscriptions: sent.subscriptions.map((each) => ({ ...each, nl: true })),
        })),
      ],
    },
    closesOn(
      {
        id: 'MQTT-3.8.3-4',
        says: 'No Local on a shared subscription is a protocol error.',
        how: 'SUBSCRIBE to a shared subscription with No Local.',
      },
      (trial) => [packet(0x82, u16(1), none, string(`$share/${trial.name('g')}/${trial.name('t')}`), 5)],
    ),
    closesOn(
      {
        id: 'MQTT-3.8.3-5',
        says: 'A SUBSCRIBE whose options have reserved bits set is malformed.',
        how: 'SUBSCRIBE with each of the upper two bits.',
      },
      (trial) => [0x40, 0x80, 0xc1].map((bits) => packet(0x82, u16(1), none, string(trial.name('t')), bits)),
    ),
    closesOn(
      {
        id: 'MQTT5 3.8.3.1-a',
        says: 'A Maximum QoS of 3 and a Retain Handling of 3 are protocol errors.',
        how: 'SUBSCRIBE with one and with the other.',
      },
      (trial) => [0x03, 0x30, 0x31].map((bits) => packet(0x82, u16(1), none, string(trial.name('t')), bits)),
    ),
    {
      id: 'MQTT-3.8.4-1',
      level: 'must',
      says: 'SUBSCRIBE is answered by SUBACK.',
      how: 'SUBSCRIBE, the same once more, and one with user properties.',
      async run(trial) {
        const wire = await client(trial)
        for (const given of [{}, {}, { userProperties: { a: ['1', '2'] } }]) await subscribe(wire, trial.name('t'), 1, given)
      },
      mutants: [
        never('suback'),
        edits('answers no SUBSCRIBE for what is subscribed', () => () => {
          let count = 0
          return { toClient: (answer) => (is(answer, 'suback') && count++ > 0 ? 'drop' : undefined) }
        }),
      ],
    },
    {
      id: 'MQTT-3.8.4-2',
      level: 'must',
      says: 'SUBACK has the identifier of its SUBSCRIBE.',
      how: 'Two SUBSCRIBEs at once.',
      async run(trial) {
        const wire = await client(trial)
        const ids = [nextId(), 0xfffe]
        for (const messageId of ids) wire.send({ cmd: 'subscribe', messageId, subscriptions: [{ topic: trial.name(`t${messageId}`), qos: 1 }] })
        const seen = [(await wire.next('suback')).messageId, (await wire.next('suback')).messageId]
        mustEqual(seen.sort().join(), ids.sort().join(), 'the Packet Identifiers of SUBACK')
      },
      mutants: [changes('answers with another identifier', 'suback', (answer) => ({ ...answer, messageId: 0xfffd }))],
    },
    {
      id: 'MQTT-3.8.4-3',
      level: 'must',
      says: 'A filter that is subscribed already replaces that subscription, with all its options.',
      how: 'A filter is subscribed with QoS 0 and Retain As Published, then with QoS 1 and without: one copy comes, with QoS 1 and RETAIN 0.',
      async run(trial) {
        const wire = await client(trial)
        const sender = await client(trial, 'sender')
        await subscribe(wire, [{ topic: trial.name('t'), qos: 0, rap: true }])
        await subscribe(wire, [{ topic: trial.name('t'), qos: 1, rap: false }])
        await retain(trial, sender, trial.name('t'), 'once')
        await publish(sender, trial.name('t'), 'end', { qos: 1 })
        const messages = await takeUntil(wire, 'end')
        mustEqual(
          messages.map((message) => `${text(message)} by ${message.qos}, RETAIN ${Number(message.retain)}`).join(),
          'once by 1, RETAIN 0',
          'what is delivered',
        )
      },
      mutants: [
        edits('keeps the first options', () => () => {
          let kept: { qos: 0 | 1 | 2; rap?: boolean } | undefined
          return {
            toBroker: (sent) => {
              if (!is(sent, 'subscribe')) return undefined
              const [{ topic, ...options } = { topic: '', qos: 0 as const }] = sent.subscriptions
              kept ??= options
              return { ...sent, subscriptions: [{ topic, ...kept }] }
            },
          }
        }),
        changes('delivers for each of both', 'publish', (message) => [message, { ...message, messageId: (message.messageId ?? 0) + 1000 }]),
      ],
    },
    {
      id: 'MQTT-3.8.4-4',
      level: 'must',
      says: 'A subscription that is replaced with Retain Handling 0 is sent the retained messages again, and no message is lost meanwhile.',
      how: 'A filter with a retained message is subscribed twice with Retain Handling 0, while messages are published to it.',
      async run(trial) {
        const sender = await client(trial, 'sender')
        const wire = await client(trial)
        await subscribe(wire, trial.name('t'), 1)
        await retain(trial, sender, trial.name('t'), 'retained')
        mustEqual(text(await take(wire)), 'retained', 'the message')
        for (let count = 0; count < 10; count++) {
          sender.send(publishPacket(trial.name('t'), `${count}`, { qos: 1 }))
          if (count === 4) wire.send({ cmd: 'subscribe', messageId: nextId(), subscriptions: [{ topic: trial.name('t'), qos: 1, rh: 0 }] })
        }
        const seen: string[] = []
        while (seen.length < 11) seen.push(text(await take(wire)))
        await wire.next('suback')
        mustEqual(seen.filter((payload) => payload !== 'retained').join(), '0,1,2,3,4,5,6,7,8,9', 'the messages while the subscription was replaced')
      },
      mutants: [
        changes('loses a message', 'publish', (message) => (text(message) === '5' ? 'drop' : undefined)),
        edits('sends nothing again', () => () => ({ toClient: (message) => (is(message, 'publish') && message.retain ? 'drop' : undefined) })),
      ],
    },
    {
      id: 'MQTT-3.8.4-5',
      level: 'must',
      says: 'SUBSCRIBE with several filters is handled as several, with one SUBACK for all.',
      how: 'SUBSCRIBE with three filters; a message to each.',
      async run(trial) {
        const wire = await client(trial)
        const topics = ['a', 'b', 'c'].map((word) => trial.name(word))
        await subscribe(
          wire,
          topics.map((topic) => ({ topic, qos: 1 })),
        )
        const sender = await client(trial, 'sender')
        for (const topic of topics) {
          await publish(sender, topic, topic, { qos: 1 })
          mustEqual(text(await take(wire)), topic, 'the message')
        }
        await wire.ping()
        mustBe(!wire.inbox.unread.some(({ cmd }) => cmd === 'suback'), 'a second SUBACK came')
      },
      mutants: [
        sees('subscribes to the first of several filters', 'subscribe', (sent) => ({
          ...sent,
          subscriptions: sent.subscriptions.map(() => sent.subscriptions[0] ?? { topic: 'x', qos: 0 }),
        })),
        changes('answers each filter', 'suback', (answer) => answer.granted.map((code) => ({ ...answer, granted: [Number(code)] }))),
      ],
    },
    {
      id: 'MQTT-3.8.4-6',
      level: 'must',
      says: 'SUBACK has a reason code for each filter.',
      how: 'SUBSCRIBE with one, three and twenty filters.',
      async run(trial) {
        const wire = await client(trial)
        for (const count of [1, 3, 20]) {
          const { granted } = await subscribe(
            wire,
            Array.from({ length: count }, (_, index) => ({ topic: trial.name(`t${index}`), qos: 1 })),
          )
          mustEqual(granted.length, count, `the number of codes in SUBACK of ${count} filters`)
        }
      },
      mutants: [
        changes('gives one code for all', 'suback', (answer) => ({ ...answer, granted: answer.granted.slice(0, 1) })),
        changes('gives a code too many', 'suback', (answer) => ({ ...answer, granted: [...answer.granted.map(Number), 0] })),
      ],
    },
    {
      id: 'MQTT-3.8.4-7',
      level: 'must',
      says: 'The reason code is the QoS that was granted, or says that the subscription failed.',
      how: 'Filters of each QoS: no more is granted than was asked for, and messages come with what was granted; one that is refused gets none.',
      async run(trial) {
        const wire = await client(trial)
        const sender = await client(trial, 'sender')
        const asked = [2, 0, 1] as const
        wire.send({ cmd: 'subscribe', messageId: nextId(), subscriptions: asked.map((qos, index) => ({ topic: trial.name(`t${index}`), qos })) })
        const { granted } = await wire.next('suback')
        for (const [index, qos] of asked.entries()) {
          const code = Number(granted[index])
          mustBe(code <= qos || code >= 0x80, `the code ${code} answers a filter of QoS ${qos}`)
          if (code >= 0x80) continue
          await publish(sender, trial.name(`t${index}`), 'x', { qos: 2 })
          mustEqual((await take(wire)).qos, code, `the QoS of a message of QoS 2 by a filter of which QoS ${code} was granted`)
        }
      },
      mutants: [
        changes('grants 0 and delivers more', 'suback', (answer) => ({ ...answer, granted: answer.granted.map(() => 0) })),
        changes('grants more than was asked for', 'suback', (answer) => ({ ...answer, granted: answer.granted.map(() => 2) })),
        changes('refuses and delivers', 'suback', (answer) => ({ ...answer, granted: [1, ...answer.granted.slice(1).map(Number)] })),
      ],
    },
    {
      id: 'MQTT-3.8.4-8',
      level: 'must',
      says: 'A message is delivered with the lower of the QoS it was published with and the one that was granted.',
      how: 'Messages of each QoS to subscriptions of each QoS.',
      async run(trial) {
        const wire = await client(trial)
        const sender = await client(trial, 'sender')
        for (const asked of [0, 1, 2] as const) {
          const { granted } = await subscribe(wire, trial.name(`t${asked}`), asked)
          const limit = Number(granted[0])
          for (const qos of [0, 1, 2] as const) {
            await publish(sender, trial.name(`t${asked}`), 'x', { qos })
            mustEqual((await take(wire)).qos, Math.min(limit, qos), `the QoS of a message of QoS ${qos} by a subscription of QoS ${limit}`)
          }
        }
      },
      mutants: [
        changes('delivers with QoS 0', 'publish', (message) => publishPacket(message.topic, message.payload)),
        changes('delivers with the QoS granted', 'publish', (message) => (message.qos === 0 ? { ...message, qos: 1, messageId: 7 } : undefined)),
      ],
    },
    ...(
      [
        ['1', 'Reason String', addsLongReason('suback')],
        ['2', 'User Property', addsLongUserProperty('suback')],
      ] as const
    ).map(([number, what, mutant]) => ({
      id: `MQTT-3.9.2-${number}`,
      level: 'must' as const,
      says: `SUBACK has no ${what} that makes it larger than its client takes.`,
      how: 'A Maximum Packet Size of 60: SUBSCRIBE to an ordinary filter, and to some that brokers refuse or comment on.',
      async run(trial: Parameters<typeof client>[0]) {
        for (const [index, topic] of [trial.name('t'), '$SYS/#', `$share/${trial.name('g')}/t`, `${trial.name('t')}/a#`].entries()) {
          const wire = await client(trial, `c${index}`, { properties: { maximumPacketSize: 60 } })
          wire.send({ cmd: 'subscribe', messageId: nextId(), subscriptions: [{ topic, qos: 1 }] })
          const answer = await wire.inbox.next('an answer to SUBSCRIBE, or the end of the connection,')
          mustBe((answer?.raw.length ?? 0) <= 60, `${answer?.cmd.toUpperCase()} of ${answer?.raw.length} bytes comes to a client that takes 60`)
        }
      },
      mutants: [mutant],
    })),
    {
      id: 'MQTT-3.9.3-1',
      level: 'must',
      says: 'The reason codes of SUBACK are in the order of the filters.',
      how: 'Filters of QoS 2, 0, 1, 0: no code may be above what its filter asked.',
      async run(trial) {
        const wire = await client(trial)
        const asked = [2, 0, 1, 0] as const
        const granted = (
          await subscribe(
            wire,
            asked.map((qos, index) => ({ topic: trial.name(`t${index}`), qos })),
          )
        ).granted.map(Number)
        for (const [index, qos] of asked.entries())
          mustBe(
            (granted[index] ?? 0) <= qos,
            `code ${index} of SUBACK is ${granted[index]} where ${qos} was asked for: ${granted.join()} answers ${asked.join()}`,
          )
      },
      mutants: [
        changes('answers in the order from the last', 'suback', (answer) => ({ ...answer, granted: answer.granted.map(Number).reverse() })),
        changes('sorts its codes', 'suback', (answer) => ({ ...answer, granted: answer.granted.map(Number).sort() })),
      ],
    },
    {
      id: 'MQTT-3.9.3-2',
      level: 'must',
      says: 'The reason codes of SUBACK are those of its table.',
      how: 'SUBSCRIBE to ordinary filters, and to those that brokers refuse; the wire holds the codes against the table.',
      async run(trial) {
        const filters = [
          trial.name('t'),
          '$SYS/#',
          `$share/${trial.name('g')}/${trial.name('t')}`,
          `${trial.name('t')}/a#`,
          '$share/x',
          `$queue/${trial.name('q')}`,
        ]
        for (const [index, topic] of filters.entries()) {
          const wire = await client(trial, `c${index}`)
          wire.send({ cmd: 'subscribe', messageId: nextId(), subscriptions: [{ topic, qos: 2 }] })
          await wire.inbox.next(`an answer to SUBSCRIBE to ${topic}, or the end of the connection`)
          wire.destroy()
        }
      },
      mutants: ([3, 0x11, 0x90] as const).map((code) =>
        changes(`answers 0x${code.toString(16)}`, 'suback', (_, raw) => Buffer.concat([raw.subarray(0, -1), Buffer.of(code)])),
      ),
    },
  ],
}
