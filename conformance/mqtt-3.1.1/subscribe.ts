// MQTT 3.1.1, 3.8 and 3.9: SUBSCRIBE and SUBACK.
import type { Chapter } from '../check.ts'
import { nextId, publish, publishPacket, subscribe, take, takeUntil, text } from '../mqtt/acts.ts'
import { packet, string, u16 } from '../mqtt/bytes.ts'
import { changes, edits, is, never, sees } from '../mqtt/mutants.ts'
import { mustBe, mustEqual, notSupported } from '../outcome.ts'
import { closesOn } from './closes.ts'
import { connected, retain } from './session.ts'

export const subscribing: Chapter = {
  title: '3.8 and 3.9 SUBSCRIBE and SUBACK',
  clauses: [
    closesOn(
      { id: 'MQTT-3.8.1-1', says: 'SUBSCRIBE with other flags than 0010 ends the connection.', how: 'SUBSCRIBE with flags 0000, 0011 and 1010.' },
      (trial) => [0x80, 0x83, 0x8a].map((first) => packet(first, u16(1), string(trial.name('t')), 0)),
    ),
    closesOn(
      {
        id: 'MQTT-3.8.3-1',
        says: 'A topic filter that is no UTF-8 ends the connection.',
        how: 'SUBSCRIBE with ill-formed filters, one of them behind a good one.',
      },
      (trial) => [
        packet(0x82, u16(1), string(Buffer.from('612fff', 'hex')), 0),
        packet(0x82, u16(1), string(trial.name('t')), 0, string(Buffer.from('eda080', 'hex')), 0),
      ],
    ),
    {
      id: 'MQTT-3.8.3-2',
      level: 'must',
      says: 'Filters with wildcards are supported (which a server should), or refused.',
      how: 'Three filters with wildcards; what is granted matches, what is not is refused with 0x80.',
      async run(trial) {
        const wire = await connected(trial)
        const name = trial.name('t')
        const filters = [`${name}/1/#`, `${name}/2/+`, `${name}/+/3`]
        wire.send({ cmd: 'subscribe', messageId: nextId(), subscriptions: filters.map((topic) => ({ topic, qos: 1 })) })
        const { granted } = await wire.next('suback')
        if (granted.every((code) => code === 0x80)) notSupported('filters with wildcards are refused with 0x80')
        const sender = await connected(trial, 'sender')
        for (const [index, topic] of ['1/x/y', '2/x', 'x/3'].entries()) {
          if (granted[index] === 0x80) continue
          await publish(sender, `${name}/${topic}`, topic, { qos: 1 })
          mustEqual(text(await take(wire)), topic, `what ${filters[index]} matches`)
        }
      },
      mutants: [
        sees('grants a filter with # and reads it as a name', 'subscribe', (sent) => ({
          ...sent,
          subscriptions: sent.subscriptions.map((each) => ({ ...each, topic: each.topic.replace('#', 'hash') })),
        })),
        sees('grants a filter with + and reads it as a name', 'subscribe', (sent) => ({
          ...sent,
          subscriptions: sent.subscriptions.map((each) => ({ ...each, topic: each.topic.replace('+', 'plus') })),
        })),
      ],
    },
    closesOn(
      {
        id: 'MQTT-3.8.3-3',
        says: 'SUBSCRIBE has at least one filter with its QoS: without, the connection is closed.',
        how: 'SUBSCRIBE without payload, and with a filter that no QoS follows.',
      },
      (trial) => [packet(0x82, u16(1)), packet(0x82, u16(1), string(trial.name('t')))],
    ),
    closesOn(
      {
        id: 'MQTT-3.8.3-4',
        says: 'Reserved bits beside a QoS, or a QoS of 3, end the connection.',
        how: 'SUBSCRIBE with QoS 3, and with each of the upper six bits.',
      },
      (trial) => [3, 4, 8, 0x10, 0x20, 0x40, 0x80].map((bits) => packet(0x82, u16(1), string(trial.name('t')), bits)),
    ),
    {
      id: 'MQTT-3.8.4-1',
      level: 'must',
      says: 'SUBSCRIBE is answered by SUBACK.',
      how: 'SUBSCRIBE, and the same once more.',
      async run(trial) {
        const wire = await connected(trial)
        for (let count = 0; count < 2; count++) await subscribe(wire, trial.name('t'), 1)
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
        const wire = await connected(trial)
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
      says: 'A filter that is subscribed already replaces that subscription: its QoS is the new one, retained messages come again, and no message is lost or doubled.',
      how: 'A filter is subscribed with QoS 0, then with QoS 1; a retained message is there, messages follow.',
      async run(trial) {
        const sender = await connected(trial, 'sender')
        await retain(trial, sender, trial.name('t'), 'retained')
        const wire = await connected(trial)
        for (const qos of [0, 1] as const) {
          await subscribe(wire, trial.name('t'), qos)
          const message = await take(wire)
          mustEqual(`${text(message)} by ${message.qos}`, `retained by ${qos}`, 'what a subscription begins with')
        }
        await publish(sender, trial.name('t'), 'once', { qos: 1 })
        await publish(sender, trial.name('t'), 'end', { qos: 1 })
        const messages = await takeUntil(wire, 'end')
        mustEqual(messages.map((message) => `${text(message)} by ${message.qos}`).join(), 'once by 1', 'what is delivered')
      },
      mutants: [
        edits('sends what is retained only once', () => () => {
          let count = 0
          return { toClient: (message) => (is(message, 'publish') && message.retain && count++ > 0 ? 'drop' : undefined) }
        }),
        edits('keeps the first QoS', () => () => {
          let first: 0 | 1 | 2 | undefined
          return {
            toBroker: (sent) => {
              if (!is(sent, 'subscribe')) return undefined
              first ??= sent.subscriptions[0]?.qos ?? 0
              return { ...sent, subscriptions: sent.subscriptions.map(({ topic }) => ({ topic, qos: first ?? 0 })) }
            },
          }
        }),
        changes('delivers for each of both', 'publish', (message) =>
          message.retain ? undefined : [message, { ...message, messageId: (message.messageId ?? 0) + 1000 }],
        ),
      ],
    },
    {
      id: 'MQTT-3.8.4-4',
      level: 'must',
      says: 'SUBSCRIBE with several filters is handled as several, with one SUBACK for all.',
      how: 'SUBSCRIBE with three filters; a message to each.',
      async run(trial) {
        const wire = await connected(trial)
        const topics = ['a', 'b', 'c'].map((word) => trial.name(word))
        await subscribe(
          wire,
          topics.map((topic) => ({ topic, qos: 1 })),
        )
        const sender = await connected(trial, 'sender')
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
      id: 'MQTT-3.8.4-5',
      level: 'must',
      says: 'SUBACK has a code for each filter: the QoS that is granted, or failure.',
      how: 'SUBSCRIBE with one, three and twenty filters.',
      async run(trial) {
        const wire = await connected(trial)
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
      id: 'MQTT-3.8.4-6',
      level: 'must',
      says: 'A message is delivered with the lower of the QoS it was published with and the one that was granted.',
      how: 'Messages of each QoS to subscriptions of each QoS.',
      async run(trial) {
        const wire = await connected(trial)
        const sender = await connected(trial, 'sender')
        for (const asked of [0, 1, 2] as const) {
          const { granted } = await subscribe(wire, trial.name(`t${asked}`), asked)
          const limit = Number(granted[0])
          mustBe(limit <= asked, `QoS ${limit} is granted where ${asked} was asked for`)
          for (const qos of [0, 1, 2] as const) {
            await publish(sender, trial.name(`t${asked}`), 'x', { qos })
            mustEqual((await take(wire)).qos, Math.min(limit, qos), `the QoS of a message of QoS ${qos} by a subscription of QoS ${limit}`)
          }
        }
      },
      mutants: [
        changes('delivers with QoS 0', 'publish', (message) => publishPacket(message.topic, message.payload)),
        sees('grants one QoS and delivers with another', 'subscribe', (sent) => ({
          ...sent,
          subscriptions: sent.subscriptions.map(({ topic }) => ({ topic, qos: 1 })),
        })),
        changes('delivers with the QoS granted', 'publish', (message) => (message.qos === 0 ? { ...message, qos: 1, messageId: 7 } : undefined)),
      ],
    },
    {
      id: 'MQTT-3.9.3-1',
      level: 'must',
      says: 'The codes of SUBACK are in the order of the filters.',
      how: 'Filters of QoS 2, 0, 1, 0: no code may be above what its filter asked, and the messages have the QoS that stands there.',
      async run(trial) {
        const wire = await connected(trial)
        const sender = await connected(trial, 'sender')
        const asked = [2, 0, 1, 0] as const
        const { granted } = await subscribe(
          wire,
          asked.map((qos, index) => ({ topic: trial.name(`t${index}`), qos })),
        )
        for (const [index, qos] of asked.entries()) {
          const limit = Number(granted[index])
          mustBe(
            limit <= qos,
            `code ${index} of SUBACK is ${limit} where ${qos} was asked for: ${granted.map(Number).join()} answers ${asked.join()}`,
          )
          await publish(sender, trial.name(`t${index}`), 'x', { qos: 2 })
          mustEqual((await take(wire)).qos, limit, `the QoS of a message by filter ${index}`)
        }
      },
      mutants: [
        changes('answers in the order from the last', 'suback', (answer) => ({ ...answer, granted: answer.granted.map(Number).reverse() })),
        changes('sorts its codes', 'suback', (answer) => ({ ...answer, granted: answer.granted.map(Number).sort() })),
      ],
    },
    {
      id: 'MQTT-3.9.3-2',
      level: 'must',
      says: 'The codes of SUBACK are 0, 1, 2 and 0x80, and no others.',
      how: 'SUBSCRIBE to ordinary filters, and to those that brokers refuse: each code is one of these, if there is an answer at all.',
      async run(trial) {
        for (const [index, topic] of [
          trial.name('t'),
          '#',
          '$SYS/#',
          '+',
          `$share/${trial.name('g')}/t`,
          `${trial.name('t')}/a#`,
          `$queue/${trial.name('q')}`,
        ].entries()) {
          const wire = await connected(trial, `c${index}`)
          wire.send({ cmd: 'subscribe', messageId: nextId(), subscriptions: [{ topic, qos: 2 }] })
          const answer = await wire.inbox.next(`an answer to SUBSCRIBE to ${topic}, or the end of the connection`)
          if (answer?.cmd === 'suback')
            for (const code of answer.granted) mustBe([0, 1, 2, 0x80].includes(Number(code)), `SUBACK has the code ${Number(code)}`)
          wire.destroy()
        }
      },
      mutants: [
        changes('answers with a code of MQTT 5', 'suback', (_, raw) => Buffer.concat([raw.subarray(0, -1), Buffer.from([0x87])])),
        changes('answers with code 3', 'suback', (_, raw) => Buffer.concat([raw.subarray(0, -1), Buffer.from([3])])),
      ],
    },
  ],
}
