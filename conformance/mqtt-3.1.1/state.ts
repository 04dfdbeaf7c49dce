// MQTT 3.1.1, 4.1 to 4.6: what is stored, sent again, and in which order. The rules of each QoS are in publish.ts.
import type { Chapter } from '../check.ts'
import type { MqttWire } from '../clients/mqtt-wire.ts'
import { further, held, leave, publish, publishPacket, received, subscribe, take, takeUntil, taken, text } from '../mqtt/acts.ts'
import { changes, edits, is } from '../mqtt/mutants.ts'
import { type Clients, payloads, qosInOrder, swaps, topicsInOrder, toEverySession } from '../mqtt/order.ts'
import { mustEqual, skip } from '../outcome.ts'
import type { Trial } from '../trial.ts'
import { alwaysClean } from './connect.ts'
import { connected, durable } from './session.ts'

const clients: Clients = { connect: connected, keep: durable }

/** Whether a PUBLISH of QoS 2 that is sent again before PUBREL is a second message to this broker, on one connection (MQTT-4.3.3-2 says that it is not). */
async function toldTwice(trial: Trial, watch: MqttWire): Promise<boolean> {
  const wire = await connected(trial, 'twice')
  const sent = publishPacket(trial.name('other'), 'again', { qos: 2 })
  wire.send(sent)
  await received(wire, sent.messageId ?? 0)
  wire.send({ ...sent, dup: true })
  await taken(wire, sent)
  await publish(wire, trial.name('other'), 'so far', { qos: 2 })
  return (await takeUntil(watch, 'so far')).length > 1
}

export const state: Chapter = {
  title: '4.1 to 4.6: state, delivery again, order',
  clauses: [
    {
      id: 'MQTT-4.1.0-1',
      level: 'must',
      says: 'The state of a session is stored as long as the session lasts.',
      how: 'Subscriptions, a message not yet taken, and one received but not yet released survive a lost connection, and a second one. What comes of a repeated PUBLISH is looked at where it is no second message on one connection either.',
      async run(trial) {
        const sender = await connected(trial, 'sender')
        const { wire } = await durable(trial, 'keeper')
        await subscribe(wire, trial.name('t'), 2)
        const sent = publishPacket(trial.name('other'), 'half', { qos: 2 })
        const watch = await connected(trial, 'watch')
        await subscribe(watch, trial.name('other'), 2)
        const twice = await toldTwice(trial, watch)
        wire.send(sent)
        await received(wire, sent.messageId ?? 0)
        wire.destroy()
        await publish(sender, trial.name('t'), 'waiting', { qos: 1 })
        const { wire: second } = await durable(trial, 'keeper')
        second.destroy()
        const { wire: third } = await durable(trial, 'keeper')
        mustEqual(text(await take(third)), 'waiting', 'the message that was stored')
        third.send({ ...sent, dup: true })
        await taken(third, sent)
        await publish(watch, trial.name('other'), 'end', { qos: 2 })
        const got = (await takeUntil(watch, 'end')).map(text).join()
        // Told by MQTT-4.3.3-2: nothing is known of what was stored.
        if (twice) skip('the broker takes a PUBLISH that is sent again before PUBREL for a second message')
        mustEqual(got, 'half', 'what is delivered of a message that was sent again before PUBREL')
      },
      mutants: [
        alwaysClean,
        edits('forgets which identifiers it has received', () => {
          const ids = new Map<number, number>()
          return () => ({
            toBroker: (packet) => {
              if (is(packet, 'publish') && packet.dup) ids.set(packet.messageId ?? 0, 7777)
              if (is(packet, 'publish') && packet.dup) return { ...packet, dup: false, messageId: 7777 }
              return is(packet, 'pubrel') && ids.has(packet.messageId ?? 0) ? [packet, { ...packet, messageId: 7777 }] : undefined
            },
            toClient: (packet) => {
              const own = [...ids.keys()][0]
              if (own === undefined || packet.messageId !== 7777) return undefined
              return is(packet, 'pubrec') ? { ...packet, messageId: own } : 'drop'
            },
          })
        }),
      ],
    },
    {
      id: 'MQTT-4.1.0-2',
      level: 'must',
      says: 'A session lasts at least as long as its connection.',
      how: 'A clean session keeps its subscription and a message that it has not acknowledged, whatever others come and go.',
      async run(trial) {
        const wire = await connected(trial)
        await subscribe(wire, trial.name('t'), 1)
        for (let count = 0; count < 3; count++) {
          const other = await connected(trial, 'other')
          await publish(other, trial.name('t'), `${count}`, { qos: 1 })
          await leave(other)
          await wire.ping()
        }
        mustEqual(await payloads(wire, 3), '0,1,2', 'what is delivered')
      },
      mutants: [
        edits('forgets the subscriptions of clean sessions', () => () => {
          let count = 0
          return { toClient: (message) => (is(message, 'publish') && count++ > 0 ? 'drop' : undefined) }
        }),
      ],
    },
    {
      id: 'MQTT-4.4.0-1',
      level: 'must',
      says: 'When a session is resumed, PUBLISH and PUBREL that were not acknowledged are sent again with their identifiers.',
      how: 'One message of QoS 1 and one of QoS 2 are left unacknowledged, one of QoS 2 is taken up to PUBREL; all three come again.',
      async run(trial) {
        const { wire } = await durable(trial, 'keeper')
        await subscribe(wire, trial.name('t'), 2)
        const sender = await connected(trial, 'sender')
        await publish(sender, trial.name('t'), 'released', { qos: 2 })
        const { messageId: released = 0 } = await wire.next('publish')
        wire.send({ cmd: 'pubrec', messageId: released })
        await wire.next('pubrel')
        const due = [`PUBREL ${released}`]
        for (const [payload, qos] of [
          ['one', 1],
          ['two', 2],
        ] as const) {
          await publish(sender, trial.name('t'), payload, { qos })
          const { messageId = 0 } = await further(wire, due.length, 3, () => wire.send({ cmd: 'pubcomp', messageId: released }))
          due.push(`PUBLISH ${messageId} ${payload}`)
        }
        wire.destroy()
        const { wire: again } = await durable(trial, 'keeper')
        const seen = [`PUBREL ${(await again.next('pubrel')).messageId}`]
        for (let count = 0; count < 2; count++) {
          const message = await again.next('publish')
          seen.push(`PUBLISH ${message.messageId} ${text(message)}`)
        }
        mustEqual(seen.sort().join(), due.sort().join(), 'what is sent again')
      },
      mutants: [
        changes('sends again with another identifier', 'publish', (message) =>
          message.dup ? { ...message, messageId: (message.messageId ?? 0) + 1000 } : undefined,
        ),
        changes('does not send again', 'publish', (message) => (message.dup ? 'drop' : undefined)),
        edits('forgets PUBREL', () => {
          let count = 0
          return () => ({ toClient: (packet) => (is(packet, 'pubrel') && count++ > 0 ? 'drop' : undefined) })
        }),
      ],
    },
    toEverySession(clients, [alwaysClean]),
    {
      id: 'MQTT-4.6.0-1',
      level: 'must',
      says: 'Messages are sent again in the order in which they were sent.',
      how: 'Six messages of QoS 1, and six of QoS 2, are left unacknowledged; they come again in their order.',
      async run(trial) {
        const sender = await connected(trial, 'sender')
        for (const qos of [1, 2] as const) {
          const { wire } = await durable(trial, `of${qos}`)
          await subscribe(wire, trial.name(`t${qos}`), 2)
          for (let count = 0; count < 6; count++) await publish(sender, trial.name(`t${qos}`), `${count}`, { qos })
          await held(wire, 6)
          wire.destroy()
          const { wire: again } = await durable(trial, `of${qos}`)
          mustEqual(await payloads(again, 6), '0,1,2,3,4,5', `the order in which messages of QoS ${qos} are sent again`)
        }
      },
      mutants: [swaps('sends again in another order', ({ dup }) => dup)],
    },
    {
      id: 'MQTT-4.6.0-4',
      level: 'must',
      says: 'PUBREL is sent in the order in which PUBREC was received: the rule of clients, which 4.6 gives servers too.',
      how: 'Four messages of QoS 2 are received; PUBREC is sent for them in another order than they came.',
      async run(trial) {
        const wire = await connected(trial)
        await subscribe(wire, trial.name('t'), 2)
        const sender = await connected(trial, 'sender')
        for (let count = 0; count < 4; count++) await publish(sender, trial.name('t'), `${count}`, { qos: 2 })
        const ids = (await held(wire, 4)).map(({ messageId }) => messageId)
        const order = [ids[2], ids[0], ids[3], ids[1]]
        for (const messageId of order) wire.send({ cmd: 'pubrec', messageId: messageId ?? 0 })
        const seen: (number | undefined)[] = []
        while (seen.length < 4) seen.push((await wire.next('pubrel')).messageId)
        mustEqual(seen.join(), order.join(), 'the order of PUBREL')
      },
      mutants: [
        edits('sends PUBREL in the order of its messages', () => () => {
          const kept: number[] = []
          return {
            toClient: (packet) => {
              if (!is(packet, 'pubrel')) return undefined
              kept.push(packet.messageId ?? 0)
              return kept.length < 4 ? 'drop' : kept.sort((a, b) => a - b).map((messageId) => ({ cmd: 'pubrel', messageId }) as const)
            },
          }
        }),
      ],
    },
    topicsInOrder(clients, { id: 'MQTT-4.6.0-5', says: 'Every topic is an ordered one unless the server was told otherwise.' }),
    qosInOrder(clients, 'MQTT-4.6.0-6'),
  ],
}
