// MQTT 3.1.1, 3.3.1.3: RETAIN.
import type { Chapter } from '../check.ts'
import type { MqttWire, Received } from '../clients/mqtt-wire.ts'
import { publish, subscribe, take, takeUntil, text } from '../mqtt/acts.ts'
import { changes, sees } from '../mqtt/mutants.ts'
import { mustEqual } from '../outcome.ts'
import type { Trial } from '../trial.ts'
import { connected, retain, willRetain } from './session.ts'

/** What a client that subscribes now is sent of this topic before the next message to it. */
async function found(trial: Trial, topic: string, word: string): Promise<readonly Received<'publish'>[]> {
  const wire: MqttWire = await connected(trial, word)
  await subscribe(wire, topic, 1)
  await publish(wire, topic, `end of ${word}`, { qos: 1 })
  return await takeUntil(wire, `end of ${word}`)
}

export const retaining: Chapter = {
  title: '3.3.1.3 RETAIN',
  clauses: [
    {
      id: 'MQTT-3.3.1-5',
      level: 'must',
      says: 'A message with RETAIN is stored with its QoS for those who subscribe later.',
      how: 'Messages of QoS 1 and 2 are retained; who subscribes with QoS 2 gets them with the QoS they had.',
      async run(trial) {
        const from = await connected(trial, 'sender')
        const wire = await connected(trial)
        for (const qos of [1, 2] as const) {
          await retain(trial, from, trial.name(`t${qos}`), `of ${qos}`, qos)
          await subscribe(wire, trial.name(`t${qos}`), 2)
          const message = await take(wire)
          mustEqual(`${text(message)} by ${message.qos}`, `of ${qos} by ${qos}`, 'the retained message')
        }
      },
      mutants: [
        sees('stores nothing', 'publish', (message) => ({ ...message, retain: false })),
        changes('delivers what is retained with QoS 1', 'publish', (message) => (message.qos === 2 ? { ...message, qos: 1 } : undefined)),
      ],
    },
    {
      id: 'MQTT-3.3.1-6',
      level: 'must',
      says: 'A new subscription is sent the last retained message of each topic that it matches.',
      how: 'Three topics with retained messages, one of them with two; a wildcard filter gets the last of each.',
      async run(trial) {
        const from = await connected(trial, 'sender')
        const name = trial.name('t')
        for (const [topic, payload] of [
          ['a', 'old'],
          ['a', 'new'],
          ['b/c', 'b'],
          ['d', 'd'],
        ] as const)
          await retain(trial, from, `${name}/${topic}`, payload)
        const wire = await connected(trial)
        await subscribe(wire, `${name}/#`, 1)
        const got = [text(await take(wire)), text(await take(wire)), text(await take(wire))]
        mustEqual(got.sort().join(), 'b,d,new', 'what is retained')
        await publish(from, `${name}/a`, 'end', { qos: 1 })
        mustEqual((await takeUntil(wire, 'end')).map(text).join(), '', 'what came beside it')
      },
      mutants: [
        changes('sends no retained message below the second level', 'publish', (message) => (message.topic.endsWith('/c') ? 'drop' : undefined)),
        changes('sends the first one', 'publish', (message) =>
          text(message) === 'new' && message.retain ? { ...message, payload: 'old' } : undefined,
        ),
        changes('sends each twice', 'publish', (message) =>
          message.retain ? [message, { ...message, messageId: (message.messageId ?? 0) + 1000 }] : undefined,
        ),
      ],
    },
    {
      id: 'MQTT-3.3.1-7',
      level: 'must',
      says: 'A message of QoS 0 with RETAIN replaces the one retained before it; it may be discarded itself at any time.',
      how: 'A message of QoS 1, then one of QoS 0 is retained: who subscribes does not get the first.',
      async run(trial) {
        const from = await connected(trial, 'sender')
        await retain(trial, from, trial.name('t'), 'old')
        await retain(trial, from, trial.name('t'), 'new', 0)
        const messages = await found(trial, trial.name('t'), 'late')
        for (const message of messages) mustEqual(text(message), 'new', 'the retained message')
      },
      mutants: [sees('retains nothing of QoS 0', 'publish', (message) => (message.qos === 0 ? { ...message, retain: false } : undefined))],
    },
    {
      id: 'MQTT311 3.3.1.3-a',
      level: 'should',
      says: 'A message of QoS 0 with RETAIN is stored as the retained message of its topic.',
      how: 'A message of QoS 0 is retained; who subscribes gets it.',
      async run(trial) {
        await retain(trial, await connected(trial, 'sender'), trial.name('t'), 'of 0', 0)
        mustEqual((await found(trial, trial.name('t'), 'late')).map(text).join(), 'of 0', 'the retained message')
      },
      mutants: [sees('retains nothing of QoS 0', 'publish', (message) => (message.qos === 0 ? { ...message, retain: false } : undefined))],
    },
    {
      id: 'MQTT-3.3.1-8',
      level: 'must',
      says: 'What is sent because of a new subscription has RETAIN set.',
      how: 'A message is retained, and received by who subscribes after it.',
      async run(trial) {
        await retain(trial, await connected(trial, 'sender'), trial.name('t'), 'x')
        const wire = await connected(trial)
        await subscribe(wire, trial.name('t'), 1)
        mustEqual((await take(wire)).retain, true, 'RETAIN of a retained message')
      },
      mutants: [changes('never sets RETAIN', 'publish', (message) => ({ ...message, retain: false }))],
    },
    {
      id: 'MQTT-3.3.1-9',
      level: 'must',
      says: 'What is sent because of an established subscription has RETAIN not set, however it was published.',
      how: 'A client that has subscribed receives messages with and without RETAIN.',
      async run(trial) {
        const wire = await connected(trial)
        await subscribe(wire, trial.name('t'), 1)
        const from = await connected(trial, 'sender')
        await retain(trial, from, trial.name('t'), 'retained')
        await publish(from, trial.name('t'), 'not', { qos: 1 })
        for (const payload of ['retained', 'not']) {
          const message = await take(wire)
          mustEqual(text(message), payload, 'the message')
          mustEqual(message.retain, false, `RETAIN of the message "${payload}" to an established subscription`)
        }
      },
      mutants: [changes('always sets RETAIN', 'publish', (message) => ({ ...message, retain: true }))],
    },
    {
      id: 'MQTT-3.3.1-10',
      level: 'must',
      says: 'A message of no bytes with RETAIN is delivered like any other, and takes away what was retained.',
      how: 'A message is retained, then one of no bytes: the subscriber gets it, who comes later gets nothing.',
      async run(trial) {
        const wire = await connected(trial)
        await subscribe(wire, trial.name('t'), 1)
        const from = await connected(trial, 'sender')
        await retain(trial, from, trial.name('t'), 'x')
        await take(wire)
        await publish(from, trial.name('t'), '', { qos: 1, retain: true })
        mustEqual((await take(wire)).payload.length, 0, 'the length of the message of no bytes')
        mustEqual((await found(trial, trial.name('t'), 'late')).length, 0, 'the number of messages that are retained still')
      },
      mutants: [
        changes('delivers no message of no bytes', 'publish', (message) => (message.payload.length === 0 ? 'drop' : undefined)),
        sees('takes nothing away', 'publish', (message) => (message.payload.length === 0 ? { ...message, retain: false } : undefined)),
      ],
    },
    {
      id: 'MQTT-3.3.1-11',
      level: 'must',
      says: 'A message of no bytes is not retained itself.',
      how: 'A message of no bytes with RETAIN to a topic without one: who subscribes gets nothing.',
      async run(trial) {
        const from = await connected(trial, 'sender')
        for (const qos of [0, 1] as const) await publish(from, trial.name('t'), '', { qos, retain: true })
        mustEqual((await found(trial, trial.name('t'), 'late')).length, 0, 'the number of retained messages')
      },
      mutants: [sees('retains it', 'publish', (message) => (message.payload.length === 0 ? { ...message, payload: ' ' } : undefined))],
    },
    {
      id: 'MQTT-3.3.1-12',
      level: 'must',
      says: 'A message without RETAIN is not stored, and leaves what is retained as it is.',
      how: 'A message without RETAIN to a topic with a retained one, and to one without.',
      async run(trial) {
        const from = await connected(trial, 'sender')
        await retain(trial, from, trial.name('t'), 'stays')
        willRetain(trial, trial.name('u'))
        for (const qos of [0, 1] as const) {
          await publish(from, trial.name('t'), 'passes', { qos })
          await publish(from, trial.name('u'), 'passes', { qos })
        }
        await publish(from, trial.name('t'), '', { qos: 1 })
        mustEqual((await found(trial, trial.name('t'), 'late')).map(text).join(), 'stays', 'what is retained')
        mustEqual((await found(trial, trial.name('u'), 'later')).length, 0, 'the number of retained messages where none was')
      },
      mutants: [sees('retains everything', 'publish', (message) => ({ ...message, retain: true }))],
    },
  ],
}
