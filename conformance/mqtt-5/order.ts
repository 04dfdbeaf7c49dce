// MQTT 5.0, 4.4 to 4.6: delivery again, receipt, order.
import type { Chapter } from '../check.ts'
import { further, leave, publish, subscribe, takeUntil, text } from '../mqtt/acts.ts'
import { changes, edits, is, sees } from '../mqtt/mutants.ts'
import { type Clients, qosInOrder, topicsInOrder, toEverySession } from '../mqtt/order.ts'
import { mustBe, mustEqual } from '../outcome.ts'
import { client, keeper } from './clients.ts'

const clients: Clients = { connect: client, keep: keeper }

export const order: Chapter = {
  title: '4.4 to 4.6: delivery again, receipt, order',
  clauses: [
    {
      id: 'MQTT-4.4.0-1',
      level: 'must',
      says: 'When a session is resumed, PUBLISH and PUBREL that were not acknowledged are sent again with their identifiers, and at no other time.',
      how: 'One message of QoS 1 and one of QoS 2 are left unacknowledged, one of QoS 2 is taken up to PUBREL; all three come again, once, and nothing before the connection is lost.',
      async run(trial) {
        const { wire } = await keeper(trial, 'keeper')
        await subscribe(wire, trial.name('t'), 2)
        const sender = await client(trial, 'sender')
        await publish(sender, trial.name('t'), 'released', { qos: 2 })
        const { messageId: released = 0 } = await wire.next('publish')
        wire.send({ cmd: 'pubrec', messageId: released, reasonCode: 0 })
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
        await wire.ping()
        mustEqual(wire.inbox.unread.map(({ cmd }) => cmd.toUpperCase()).join(), '', 'what comes again on the same connection')
        wire.destroy()
        const { wire: again } = await keeper(trial, 'keeper')
        const seen = [`PUBREL ${(await again.next('pubrel')).messageId}`]
        for (let count = 0; count < 2; count++) {
          const message = await again.next('publish')
          mustBe(message.dup, `DUP of the message "${text(message)}" that comes again is 0`)
          seen.push(`PUBLISH ${message.messageId} ${text(message)}`)
        }
        await again.ping()
        mustEqual(again.inbox.unread.map(({ cmd }) => cmd.toUpperCase()).join(), '', 'what comes beside it')
        mustEqual(seen.sort().join(), due.sort().join(), 'what is sent again')
      },
      mutants: [
        changes('sends again with another identifier', 'publish', (message) =>
          message.dup ? { ...message, messageId: (message.messageId ?? 0) + 1000 } : undefined,
        ),
        changes('does not send again', 'publish', (message) => (message.dup ? 'drop' : undefined)),
        changes('sends again at once', 'publish', (message, raw) =>
          message.dup ? undefined : [raw, Buffer.concat([Buffer.of((raw[0] ?? 0) | 8), raw.subarray(1)])],
        ),
        edits('forgets PUBREL', () => {
          let count = 0
          return () => ({ toClient: (sent) => (is(sent, 'pubrel') && count++ > 0 ? 'drop' : undefined) })
        }),
      ],
    },
    {
      id: 'MQTT-4.4.0-2',
      level: 'must',
      says: 'A message that was answered by PUBACK or PUBREC of 0x80 or above is acknowledged, and not sent again.',
      how: 'A message of QoS 1 and one of QoS 2 are refused with 0x97, the session left and resumed: neither comes again.',
      async run(trial) {
        const { wire } = await keeper(trial, 'keeper')
        await subscribe(wire, trial.name('t'), 2)
        const sender = await client(trial, 'sender')
        for (const qos of [1, 2] as const) {
          await publish(sender, trial.name('t'), `of ${qos}`, { qos })
          const message = await wire.next('publish')
          wire.send({ cmd: message.qos === 2 ? 'pubrec' : 'puback', messageId: message.messageId ?? 0, reasonCode: 0x97 })
        }
        await wire.ping()
        await leave(wire)
        const { wire: again } = await keeper(trial, 'keeper')
        await publish(sender, trial.name('t'), 'end', { qos: 1 })
        mustEqual((await takeUntil(again, 'end')).map(text).join(), '', 'what comes again')
        mustBe(!again.inbox.unread.some(({ cmd }) => cmd === 'pubrel'), 'PUBREL follows PUBREC with 0x97')
      },
      mutants: [
        sees('does not hear a refusal by PUBACK', 'puback', (sent) => ((sent.reasonCode ?? 0) >= 0x80 ? 'drop' : undefined)),
        sees('does not hear a refusal by PUBREC', 'pubrec', (sent) => ((sent.reasonCode ?? 0) >= 0x80 ? 'drop' : undefined)),
        sees('takes a refusal by PUBREC for none', 'pubrec', (sent) => ({ ...sent, reasonCode: 0 })),
      ],
    },
    toEverySession(clients),
    qosInOrder(clients, 'MQTT-4.6.0-5'),
    topicsInOrder(clients, {
      id: 'MQTT-4.6.0-6',
      says: 'Every topic is an ordered one for subscriptions that are not shared, unless the server was told otherwise.',
    }),
  ],
}
