// MQTT 5.0, 4.4 to 4.6: delivery again, receipt, order.
import type { Chapter } from '../check.ts'
import type { MqttWire } from '../clients/mqtt-wire.ts'
import { leave, nextId, publish, publishPacket, received, release, subscribe, take, takeUntil, text } from '../mqtt/acts.ts'
import { changes, edits, is, sees } from '../mqtt/mutants.ts'
import { mustBe, mustEqual } from '../outcome.ts'
import { client, keeper } from './clients.ts'

async function payloads(wire: MqttWire, count: number): Promise<string> {
  const seen: string[] = []
  while (seen.length < count) seen.push(text(await take(wire)))
  return seen.join()
}

const TWENTY = Array.from({ length: 20 }, (_, index) => `${index}`)

/** Every second message changes places with the one behind it. */
const swaps = edits('delivers in another order', () => () => {
  let kept: Buffer | undefined
  return {
    toClient: (message, raw) => {
      if (!is(message, 'publish')) return undefined
      const first = kept
      kept = first === undefined ? Buffer.from(raw) : undefined
      return first === undefined ? 'drop' : [raw, first]
    },
  }
})

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
        const due: string[] = []
        for (const [payload, qos] of [
          ['released', 2],
          ['one', 1],
          ['two', 2],
        ] as const) {
          await publish(sender, trial.name('t'), payload, { qos })
          const { messageId = 0 } = await wire.next('publish')
          if (payload !== 'released') due.push(`PUBLISH ${messageId} ${payload}`)
          else {
            wire.send({ cmd: 'pubrec', messageId, reasonCode: 0 })
            await wire.next('pubrel')
            due.push(`PUBREL ${messageId}`)
          }
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
    {
      id: 'MQTT-4.5.0-1',
      level: 'must',
      says: 'A message that a server takes goes to every session whose subscriptions match it, connected or not.',
      how: 'Three clients subscribe, by name and by wildcards; one is away. A message of QoS 1 reaches all.',
      async run(trial) {
        const name = trial.name('t')
        const { wire: away } = await keeper(trial, 'away')
        await subscribe(away, `${name}/#`, 1)
        await leave(away)
        const [one, two] = [await client(trial, 'one'), await client(trial, 'two')]
        await subscribe(one, `${name}/a`, 1)
        await subscribe(two, `${name}/+`, 1)
        await publish(await client(trial, 'sender'), `${name}/a`, 'x', { qos: 1 })
        const { wire: back } = await keeper(trial, 'away')
        for (const wire of [one, two, back]) mustEqual(text(await take(wire)), 'x', 'the message')
      },
      mutants: [
        edits('delivers to the first session only', () => {
          let count = 0
          return () => ({ toClient: (message) => (is(message, 'publish') && count++ > 0 ? 'drop' : undefined) })
        }),
      ],
    },
    {
      id: 'MQTT-4.6.0-5',
      level: 'must',
      says: 'Messages of one client to one topic with one QoS are delivered in the order in which they came.',
      how: 'Twenty messages of each QoS without a pause; also to a session that was away.',
      async run(trial) {
        const wire = await client(trial)
        await subscribe(wire, trial.name('t'), 2)
        const { wire: away } = await keeper(trial, 'away')
        await subscribe(away, trial.name('t'), 2)
        await leave(away)
        for (const qos of [0, 1, 2] as const) {
          const sender = await client(trial, `sender${qos}`)
          const ids = TWENTY.map(() => nextId())
          // QoS 2 one by one: a server may take them at PUBLISH or at PUBREL, and has a Receive Maximum.
          for (const [index, payload] of TWENTY.entries()) {
            const messageId = ids[index] ?? 1
            sender.send(publishPacket(trial.name('t'), payload, { qos, ...(qos === 0 ? {} : { messageId }) }))
            if (qos !== 2) continue
            await received(sender, messageId)
            await release(sender, messageId)
          }
          mustEqual(await payloads(wire, 20), TWENTY.join(), `the order of messages of QoS ${qos}`)
        }
        const { wire: back } = await keeper(trial, 'away')
        const stored: string[][] = [[], [], []]
        while (stored[1]?.length !== 20 || stored[2]?.length !== 20) {
          const message = await take(back)
          stored[message.qos]?.push(text(message))
        }
        for (const qos of [1, 2]) mustEqual(stored[qos]?.join() ?? '', TWENTY.join(), `the order of stored messages of QoS ${qos}`)
      },
      mutants: [swaps],
    },
    {
      id: 'MQTT-4.6.0-6',
      level: 'must',
      says: 'Every topic is an ordered one for subscriptions that are not shared, unless the server was told otherwise.',
      how: 'Messages of one client to two topics in turn, by a wildcard subscription: each topic comes in its order.',
      async run(trial) {
        const wire = await client(trial)
        await subscribe(wire, `${trial.name('t')}/+`, 1)
        const sender = await client(trial, 'sender')
        for (let count = 0; count < 12; count++) sender.send(publishPacket(`${trial.name('t')}/${count % 2}`, `${count}`, { qos: 1 }))
        const seen: [string[], string[]] = [[], []]
        for (let count = 0; count < 12; count++) {
          const message = await take(wire)
          seen[message.topic.endsWith('1') ? 1 : 0].push(text(message))
        }
        mustEqual(seen.map((one) => one.join()).join(' '), '0,2,4,6,8,10 1,3,5,7,9,11', 'the order of two topics')
      },
      mutants: [
        edits('delivers one topic in another order', () => () => {
          let kept: Buffer | undefined
          return {
            toClient: (message, raw) => {
              if (!is(message, 'publish') || !message.topic.endsWith('1')) return undefined
              const first = kept
              kept = first === undefined ? Buffer.from(raw) : undefined
              return first === undefined ? 'drop' : [raw, first]
            },
          }
        }),
      ],
    },
  ],
}
