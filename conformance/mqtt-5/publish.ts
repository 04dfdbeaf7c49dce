// MQTT 5.0, 3.3.1: the flags of PUBLISH. What a retained message is, is here too; properties are in publish-properties.ts.
import type { Chapter } from '../check.ts'
import { held } from '../mqtt/acts.ts'
import { packet, properties, string, u16 } from '../mqtt/bytes.ts'
import { changes, edits, sees } from '../mqtt/mutants.ts'
import { neverCloses } from '../mutant.ts'
import { mustBe, mustEqual } from '../outcome.ts'
import {
  A_WHILE,
  closesEach,
  connected,
  forget,
  leave,
  mustReceive,
  publish,
  publishPacket,
  receive,
  retain,
  second,
  subscribe,
  watching,
} from './session.ts'

const KEPT = { properties: { sessionExpiryInterval: A_WHILE } }

export const publishFlags: Chapter = {
  title: '3.3.1 PUBLISH fixed header',
  clauses: [
    {
      id: 'MQTT-3.3.1-1',
      level: 'must',
      says: 'A PUBLISH that is sent again has DUP 1.',
      how: 'Messages of QoS 1 and 2 come and are not acknowledged, the connection breaks, the session comes back: they come again with DUP.',
      async run(trial) {
        const topic = trial.name('topic')
        const publisher = await second(trial)
        const before = await connected(trial, KEPT)
        await subscribe(before, { topic, qos: 2 })
        await publish(publisher, topic, 'one', { qos: 1 })
        await publish(publisher, topic, 'two', { qos: 2 })
        for (const [index, { dup, payload }] of (await held(before, 2)).entries()) {
          mustEqual(payload.toString(), index === 0 ? 'one' : 'two', 'the payload')
          mustEqual(dup, false, 'DUP of a first delivery')
        }
        before.destroy()
        const wire = await connected(trial, { ...KEPT, clean: false })
        for (const payload of ['one', 'two']) {
          const message = await mustReceive(wire, payload, 'what was not acknowledged did not come again')
          mustEqual(message.dup, true, `DUP of the second delivery of "${payload}"`)
        }
      },
      mutants: [
        changes('clears DUP', 'publish', (message) => ({ ...message, dup: false })),
        edits('forgets what was not acknowledged', () => () => ({
          toClient: (each) => (each.cmd === 'publish' && each.dup ? 'drop' : undefined),
        })),
      ],
    },
    {
      id: 'MQTT-3.3.1-2',
      level: 'must',
      says: 'A PUBLISH of QoS 0 has DUP 0.',
      how: 'Messages of QoS 0, 1 and 2, to a subscription of QoS 0.',
      async run(trial) {
        const wire = await connected(trial)
        await subscribe(wire, { topic: trial.name('topic'), qos: 0 })
        for (const qos of [0, 1, 2] as const) {
          await publish(wire, trial.name('topic'), `${qos}`, { qos })
          const message = await receive(wire)
          mustEqual(message.qos, 0, 'the QoS')
          mustEqual(message.dup, false, `DUP of a message published at QoS ${qos}`)
        }
      },
      mutants: [changes('sets DUP', 'publish', (_, raw) => Buffer.concat([Buffer.of((raw[0] ?? 0) | 8), raw.subarray(1)]))],
    },
    {
      id: 'MQTT-3.3.1-3',
      level: 'must',
      says: 'DUP of a PUBLISH that comes in says nothing about DUP of one that goes out.',
      how: 'Messages of QoS 1 and 2 are published with DUP 1: they come with DUP 0.',
      async run(trial) {
        const wire = await connected(trial)
        await subscribe(wire, { topic: trial.name('topic'), qos: 2 })
        for (const qos of [1, 2] as const) {
          await publish(wire, trial.name('topic'), `${qos}`, { qos, dup: true })
          mustEqual((await receive(wire)).dup, false, `DUP of a first delivery of QoS ${qos}`)
        }
      },
      mutants: [changes('hands DUP on', 'publish', (message) => ({ ...message, dup: true }))],
    },
    {
      id: 'MQTT-3.3.1-4',
      level: 'must',
      says: 'A PUBLISH with both bits of QoS set is malformed: the connection ends.',
      how: 'A PUBLISH of QoS 3.',
      run: (trial) =>
        closesEach(trial, { 'a PUBLISH of QoS 3': packet(0x36, string(trial.name('topic')), u16(1), properties(), Buffer.from('three')) }),
      mutants: [neverCloses],
    },
    {
      id: 'MQTT-3.3.1-5',
      level: 'must',
      says: 'A message with RETAIN replaces the one that was retained for its topic, and is kept for later subscribers.',
      how: 'Two retained messages of one topic, one of another; who subscribes to both afterwards gets the later one and the other.',
      async run(trial) {
        const topic = trial.name('topic')
        const publisher = await second(trial)
        await retain(trial, publisher, `${topic}/a`, 'first')
        await retain(trial, publisher, `${topic}/a`, 'second')
        await retain(trial, publisher, `${topic}/b`, 'of the other')
        const wire = await watching(trial, `${topic}/+`)
        const got = [(await receive(wire)).payload.toString(), (await receive(wire)).payload.toString()].toSorted()
        mustEqual(got.join(', '), 'of the other, second', 'what was retained')
      },
      mutants: [
        sees('keeps the first', 'publish', (message) => (message.payload.toString() === 'second' ? { ...message, retain: false } : undefined)),
        sees('retains nothing', 'publish', (message) => ({ ...message, retain: false })),
      ],
    },
    {
      id: 'MQTT-3.3.1-6',
      level: 'must',
      says: 'A message with RETAIN and no payload takes the retained one of its topic away, and goes to those who are subscribed.',
      how: 'A retained message, then an empty one, which a subscriber sees; who subscribes later gets a later message first.',
      async run(trial) {
        const topic = trial.name('topic')
        const publisher = await second(trial)
        await retain(trial, publisher, topic, 'to be forgotten')
        const watcher = await watching(trial, topic)
        await mustReceive(watcher, 'to be forgotten', 'the retained message')
        await publish(publisher, topic, '', { retain: true })
        await mustReceive(watcher, '', 'the empty message')
        const late = await connected(trial)
        await subscribe(late, { topic })
        await publish(publisher, topic, 'a later message')
        await mustReceive(late, 'a later message', 'a retained message that was taken away')
      },
      mutants: [
        sees('forgets nothing', 'publish', (message) => (message.payload.length === 0 ? { ...message, retain: false } : undefined)),
        changes('keeps the empty message to itself', 'publish', (message) => (message.payload.length === 0 ? 'drop' : undefined)),
      ],
    },
    {
      id: 'MQTT-3.3.1-7',
      level: 'must',
      says: 'An empty message with RETAIN is not kept itself.',
      how: 'An empty retained message on a topic that has none; who subscribes later gets a later message first.',
      async run(trial) {
        const topic = trial.name('topic')
        const publisher = await second(trial)
        await publish(publisher, topic, '', { retain: true })
        const late = await connected(trial)
        await subscribe(late, { topic })
        await publish(publisher, topic, 'a later message')
        await mustReceive(late, 'a later message', 'an empty message was retained')
      },
      mutants: [
        edits('retains empty messages', () => {
          let kept: string | undefined
          return ({ toClient }) => ({
            toBroker: (each) => {
              if (each.cmd === 'publish' && each.retain && each.payload.length === 0) kept = each.topic
              return undefined
            },
            toClient: (each, raw) => {
              if (each.cmd === 'suback' && kept !== undefined) {
                toClient(publishPacket(kept, '', { retain: true }))
                kept = undefined
              }
              return raw
            },
          })
        }),
      ],
    },
    {
      id: 'MQTT-3.3.1-8',
      level: 'must',
      says: 'A message without RETAIN is not kept, and neither replaces nor takes away a retained one.',
      how: 'A retained message, then one without RETAIN and an empty one without: who subscribes later gets the retained one. On another topic, nothing is kept.',
      async run(trial) {
        const topic = trial.name('topic')
        const publisher = await second(trial)
        await retain(trial, publisher, topic, 'retained')
        await publish(publisher, topic, 'not retained')
        await publish(publisher, topic, '')
        await mustReceive(await watching(trial, topic), 'retained', 'the retained message')
        trial.after(() => forget(trial, `${topic}/other`))
        await publish(publisher, `${topic}/other`, 'not retained')
        const late = await connected(trial)
        await subscribe(late, { topic: `${topic}/other` })
        await publish(publisher, `${topic}/other`, 'a later message')
        await mustReceive(late, 'a later message', 'a message without RETAIN was retained')
      },
      mutants: [
        sees('retains everything', 'publish', (message) => ({ ...message, retain: true })),
        sees('forgets the retained message on an empty one', 'publish', (message) =>
          message.payload.length === 0 ? { ...message, retain: true } : undefined,
        ),
        sees('retains what has no predecessor', 'publish', (message) => (message.topic.endsWith('other') ? { ...message, retain: true } : undefined)),
      ],
    },
    {
      id: 'MQTT-3.3.1-9',
      level: 'must',
      says: 'With Retain Handling 0, the retained messages that match are sent on every SUBSCRIBE.',
      how: 'Two retained messages match; SUBSCRIBE with Retain Handling 0 twice: both come twice.',
      async run(trial) {
        const topic = trial.name('topic')
        const publisher = await second(trial)
        await retain(trial, publisher, `${topic}/a`, 'a')
        await retain(trial, publisher, `${topic}/b`, 'b')
        const wire = await connected(trial)
        for (const round of ['first', 'second']) {
          await subscribe(wire, { topic: `${topic}/#`, rh: 0 })
          const got = [(await receive(wire)).payload.toString(), (await receive(wire)).payload.toString()].toSorted()
          mustEqual(got.join(', '), 'a, b', `what came for the ${round} SUBSCRIBE`)
        }
      },
      mutants: [
        sees('takes Retain Handling 0 for 1', 'subscribe', ({ ...each }) => ({
          ...each,
          subscriptions: each.subscriptions.map((one) => ({ ...one, rh: 1 as const })),
        })),
        changes('sends one of them', 'publish', ({ payload }) => (payload.toString() === 'b' ? 'drop' : undefined)),
      ],
    },
    {
      id: 'MQTT-3.3.1-10',
      level: 'must',
      says: 'With Retain Handling 1, the retained messages are sent if the subscription is new, and not if it was there.',
      how: 'A retained message matches; SUBSCRIBE with Retain Handling 1 twice, then a message: the retained one comes once.',
      async run(trial) {
        const topic = trial.name('topic')
        const publisher = await second(trial)
        await retain(trial, publisher, topic, 'retained')
        const wire = await connected(trial)
        await subscribe(wire, { topic, rh: 1 })
        await mustReceive(wire, 'retained', 'for a new subscription')
        await subscribe(wire, { topic, rh: 1 })
        await publish(publisher, topic, 'a later message')
        await mustReceive(wire, 'a later message', 'the retained message came again for a subscription that was there')
      },
      mutants: ([0, 2] as const).map((rh) =>
        sees(`takes Retain Handling 1 for ${rh}`, 'subscribe', ({ ...each }) => ({
          ...each,
          subscriptions: each.subscriptions.map((one) => ({ ...one, rh })),
        })),
      ),
    },
    {
      id: 'MQTT-3.3.1-11',
      level: 'must',
      says: 'With Retain Handling 2, no retained messages are sent.',
      how: 'A retained message matches; SUBSCRIBE with Retain Handling 2, then a message, which is the first to come.',
      async run(trial) {
        const topic = trial.name('topic')
        const publisher = await second(trial)
        await retain(trial, publisher, topic, 'retained')
        const wire = await connected(trial)
        await subscribe(wire, { topic, rh: 2 })
        await publish(publisher, topic, 'a later message')
        await mustReceive(wire, 'a later message', 'the retained message came')
      },
      mutants: [
        sees('takes Retain Handling 2 for 0', 'subscribe', ({ ...each }) => ({
          ...each,
          subscriptions: each.subscriptions.map((one) => ({ ...one, rh: 0 as const })),
        })),
      ],
    },
    {
      id: 'MQTT-3.3.1-12',
      level: 'must',
      says: 'Without Retain As Published, a message that is handed on has RETAIN 0, however it was published.',
      how: 'Messages with RETAIN and without, to a subscription without the option.',
      async run(trial) {
        const topic = trial.name('topic')
        const publisher = await second(trial)
        const wire = await connected(trial)
        await subscribe(wire, { topic, rap: false })
        await retain(trial, publisher, topic, 'with')
        await publish(publisher, topic, 'without')
        for (const payload of ['with', 'without'])
          mustEqual((await mustReceive(wire, payload, 'out of order')).retain, false, `RETAIN of a message published ${payload} it`)
      },
      mutants: [
        sees('takes every subscription for one with Retain As Published', 'subscribe', ({ ...each }) => ({
          ...each,
          subscriptions: each.subscriptions.map((one) => ({ ...one, rap: true })),
        })),
      ],
    },
    {
      id: 'MQTT-3.3.1-13',
      level: 'must',
      says: 'With Retain As Published, a message that is handed on has the RETAIN that it was published with.',
      how: 'Messages with RETAIN and without, to a subscription with the option.',
      async run(trial) {
        const topic = trial.name('topic')
        const publisher = await second(trial)
        const wire = await connected(trial)
        await subscribe(wire, { topic, rap: true })
        await retain(trial, publisher, topic, 'with')
        await publish(publisher, topic, 'without')
        mustEqual((await mustReceive(wire, 'with', 'out of order')).retain, true, 'RETAIN of a message published with it')
        mustEqual((await mustReceive(wire, 'without', 'out of order')).retain, false, 'RETAIN of a message published without it')
      },
      mutants: [
        sees('does not know Retain As Published', 'subscribe', ({ ...each }) => ({
          ...each,
          subscriptions: each.subscriptions.map((one) => ({ ...one, rap: false })),
        })),
        changes('always sets RETAIN', 'publish', (message) => ({ ...message, retain: true })),
      ],
    },
    {
      id: 'MQTT5 3.3.1.3-a',
      level: 'must',
      says: 'Only its publisher, and the topic it was published to, decide about a retained message: it outlives the session that sent it.',
      how: 'A retained message of a client whose session ends; who subscribes later gets it.',
      async run(trial) {
        const topic = trial.name('topic')
        const publisher = await second(trial)
        await retain(trial, publisher, topic, 'outlives')
        await leave(trial, publisher)
        const message = await mustReceive(await watching(trial, topic), 'outlives', 'the retained message')
        mustBe(message.retain, 'a retained message sent because of a new subscription has RETAIN 0')
      },
      mutants: [
        sees('retains nothing', 'publish', (message) => ({ ...message, retain: false })),
        changes('clears RETAIN', 'publish', (message) => ({ ...message, retain: false })),
      ],
    },
  ],
}
