// MQTT 5.0, 4.9: flow control. The Receive Maximum of a server, and what follows from it, is in the chapter on CONNACK.
import type { Chapter } from '../check.ts'
import { nextId, publish, subscribe, take, text } from '../mqtt/acts.ts'
import { changes, edits, is, sees } from '../mqtt/mutants.ts'
import { mustBe, mustEqual } from '../outcome.ts'
import { client } from './clients.ts'

const noQuota = sees('knows no Receive Maximum', 'connect', (sent) => ({ ...sent, properties: {} }))

export const quota: Chapter = {
  title: '4.9: flow control',
  clauses: [
    {
      id: 'MQTT-4.9.0-1',
      level: 'must',
      says: "A server sends a first message, and no more at once than the client's Receive Maximum.",
      how: 'Clients with a Receive Maximum of 1 and of 3 acknowledge nothing: of six messages they get some, and no more than that.',
      async run(trial) {
        for (const receiveMaximum of [1, 3]) {
          const wire = await client(trial, `of${receiveMaximum}`, { properties: { receiveMaximum } })
          await subscribe(wire, trial.name(`t${receiveMaximum}`), 1)
          const sender = await client(trial, 'sender')
          for (let count = 0; count < 6; count++) await publish(sender, trial.name(`t${receiveMaximum}`), `${count}`, { qos: 1 })
          await wire.next('publish')
          await wire.ping()
          const more = wire.inbox.unread.filter(({ cmd }) => cmd === 'publish').length + 1
          mustBe(more <= receiveMaximum, `${more} messages come to a client with a Receive Maximum of ${receiveMaximum}`)
        }
      },
      mutants: [noQuota, changes('sends nothing', 'publish', () => 'drop')],
    },
    {
      id: 'MQTT-4.9.0-2',
      level: 'must',
      says: 'At a quota of zero no message of QoS 1 or 2 is sent; PUBACK, PUBCOMP and PUBREC of 0x80 or above give one back.',
      how: 'A client with a Receive Maximum of 1 takes messages of QoS 1 and 2 one by one, refuses one, and lets one of QoS 0 pass.',
      async run(trial) {
        const wire = await client(trial, 'client', { properties: { receiveMaximum: 1 } })
        await subscribe(wire, trial.name('t'), 2)
        const sender = await client(trial, 'sender')
        const kinds = [1, 2, 2, 1] as const
        for (const [index, qos] of kinds.entries()) await publish(sender, trial.name('t'), `${index}`, { qos })
        for (const [index, qos] of kinds.entries()) {
          const message = await wire.next('publish')
          mustEqual(text(message), `${index}`, 'the message')
          const messageId = message.messageId ?? 0
          const alone = async (when: string): Promise<void> => {
            await wire.ping()
            mustBe(!wire.inbox.unread.some(({ cmd }) => cmd === 'publish'), `a second message comes ${when} to a client with a Receive Maximum of 1`)
          }
          await alone('before the first is answered')
          if (qos === 1) wire.send({ cmd: 'puback', messageId, reasonCode: 0 })
          else if (index === 2) wire.send({ cmd: 'pubrec', messageId, reasonCode: 0x83 })
          else {
            wire.send({ cmd: 'pubrec', messageId, reasonCode: 0 })
            await wire.next('pubrel')
            await alone('before PUBCOMP')
            wire.send({ cmd: 'pubcomp', messageId, reasonCode: 0 })
          }
        }
      },
      mutants: [
        noQuota,
        sees('gives nothing back for PUBACK', 'puback', () => 'drop'),
        sees('gives nothing back for a refusal', 'pubrec', (sent) => ((sent.reasonCode ?? 0) >= 0x80 ? 'drop' : undefined)),
        edits('gives one back for PUBREC', () => ({ toBroker }) => ({
          toBroker: (sent) => {
            if (!is(sent, 'pubrec') || sent.reasonCode !== 0) return undefined
            toBroker(sent)
            return { cmd: 'pubcomp', messageId: sent.messageId ?? 0, reasonCode: 0 }
          },
        })),
      ],
    },
    {
      id: 'MQTT-4.9.0-3',
      level: 'must',
      says: 'At a quota of zero all other packets are processed and answered.',
      how: 'A client with a Receive Maximum of 1 and a message unacknowledged subscribes, publishes with each QoS, unsubscribes and pings.',
      async run(trial) {
        const wire = await client(trial, 'client', { properties: { receiveMaximum: 1 } })
        await subscribe(wire, trial.name('t'), 1)
        const sender = await client(trial, 'sender')
        for (let count = 0; count < 2; count++) await publish(sender, trial.name('t'), `${count}`, { qos: 1 })
        const { messageId = 0 } = await wire.next('publish')
        await subscribe(wire, trial.name('u'), 0)
        for (const qos of [0, 1, 2] as const) await publish(wire, trial.name('nobody'), 'x', { qos })
        wire.send({ cmd: 'unsubscribe', messageId: nextId(), unsubscriptions: [trial.name('v')] })
        await wire.next('unsuback')
        await wire.ping()
        wire.send({ cmd: 'puback', messageId, reasonCode: 0 })
        mustEqual(text(await take(wire)), '1', 'the message after PUBACK')
      },
      mutants: (['suback', 'puback', 'pubrec', 'pubcomp', 'unsuback', 'pingresp'] as const).map((cmd) =>
        edits(`does not send ${cmd.toUpperCase()} while a message is unacknowledged`, () => () => {
          let waiting = 0
          return {
            toClient: (sent) => {
              if (is(sent, 'publish')) waiting++
              return is(sent, cmd) && waiting > 0 ? 'drop' : undefined
            },
            toBroker: (sent) => {
              if (is(sent, 'puback')) waiting--
              return undefined
            },
          }
        }),
      ),
    },
  ],
}
