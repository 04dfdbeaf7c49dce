// MQTT 5.0, 4.8.2: shared subscriptions. That No Local is none of theirs is MQTT-3.8.3-4.
import type { Chapter } from '../check.ts'
import type { MqttWire } from '../clients/mqtt-wire.ts'
import { acknowledge, leave, nextId, publish, take, takeUntil, text, subscribe, unsubscribe } from '../mqtt/acts.ts'
import { packet, properties, string, u16 } from '../mqtt/bytes.ts'
import { changes, edits, is, sees } from '../mqtt/mutants.ts'
import { mustBe, mustEqual, notSupported, skip } from '../outcome.ts'
import type { Trial } from '../trial.ts'
import { client, keeper } from './clients.ts'
import { retain } from './session.ts'

/** Joins a shared subscription; answers the QoS that was granted. */
async function share(trial: Trial, wire: MqttWire, word = 't', qos: 0 | 1 | 2 = 1): Promise<number> {
  wire.send({ cmd: 'subscribe', messageId: nextId(), subscriptions: [{ topic: `$share/${trial.name('g')}/${trial.name(word)}`, qos }] })
  const answer = await wire.inbox.next('an answer to SUBSCRIBE to a shared subscription')
  const [code] = answer?.cmd === 'suback' ? answer.granted.map(Number) : [answer?.cmd === 'disconnect' ? (answer.reasonCode ?? 0) : 0x80]
  if (code === 0x9e) notSupported('0x9E: shared subscriptions are not supported')
  mustBe(code !== undefined && code < 0x80, `the shared subscription was refused with 0x${(code ?? 0x80).toString(16)}`)
  return code
}

/** A shared subscription that is none must be refused: by its code, or by the end of the connection. */
async function refuses(trial: Trial, filter: string, word: string): Promise<void> {
  const wire = await client(trial, word)
  wire.send(packet(0x82, u16(nextId()), properties(), string(filter), 1))
  const answer = await wire.inbox.next(`an answer to SUBSCRIBE to ${filter}, or the end of the connection`)
  if (answer === undefined || answer.cmd === 'disconnect') return
  mustBe(
    answer.cmd === 'suback' && Number(answer.granted[0]) >= 0x80,
    `SUBSCRIBE to ${filter} is answered by ${answer.cmd.toUpperCase()} ${answer.raw.toString('hex')}`,
  )
}

const grantsAll = changes('accepts every filter', 'suback', (answer) => ({ ...answer, granted: answer.granted.map(() => 0) }))

export const shared: Chapter = {
  title: '4.8.2: shared subscriptions',
  clauses: [
    {
      id: 'MQTT-4.8.2-1',
      level: 'must',
      says: 'A shared subscription begins with $share/ and a name of at least one character.',
      how: 'SUBSCRIBE to $share//topic and to $share/ is refused; one with a name of one character is granted, or not supported.',
      async run(trial) {
        const wire = await client(trial)
        await share(trial, wire)
        for (const [index, filter] of [`$share//${trial.name('t')}`, '$share/'].entries()) await refuses(trial, filter, `c${index}`)
      },
      mutants: [
        grantsAll,
        sees('gives a name to what has none', 'subscribe', (sent) => ({
          ...sent,
          subscriptions: sent.subscriptions.map((each) => ({ ...each, topic: each.topic.replace(/^\$share\/(\/.*)?$/, '$share/x/y') })),
        })),
      ],
    },
    {
      id: 'MQTT-4.8.2-2',
      level: 'must',
      says: 'The name of a shared subscription has no /, + or #, and is followed by / and a filter.',
      how: 'SUBSCRIBE to $share/na+me/topic, $share/#/topic, $share/name and $share/name/ is refused.',
      async run(trial) {
        const [name, topic] = [trial.name('g'), trial.name('t')]
        await share(trial, await client(trial))
        for (const [index, filter] of [
          `$share/${name}+/${topic}`,
          `$share/#/${topic}`,
          `$share/+/${topic}`,
          `$share/${name}`,
          `$share/${name}/`,
        ].entries())
          await refuses(trial, filter, `c${index}`)
      },
      mutants: [
        grantsAll,
        sees('forgives wildcards in a name', 'subscribe', (sent) => ({
          ...sent,
          subscriptions: sent.subscriptions.map((each) => ({ ...each, topic: each.topic.replace(/^(\$share\/[^/]*)[+#]/, '$1x') })),
        })),
        sees('forgives that there is no filter', 'subscribe', (sent) => ({
          ...sent,
          subscriptions: sent.subscriptions.map((each) => ({ ...each, topic: each.topic.replace(/^(\$share\/[^/+#]+)\/?$/, '$1/x') })),
        })),
      ],
    },
    {
      id: 'MQTT5 4.8.2-a',
      level: 'must',
      says: 'A message goes to one of the members of a shared subscription, and to each other subscription that matches.',
      how: 'Two members and a client that subscribes by itself: ten messages come to the members once, and all to the third.',
      async run(trial) {
        const [one, two, alone] = [await client(trial, 'one'), await client(trial, 'two'), await client(trial, 'alone')]
        for (const wire of [one, two]) await share(trial, wire)
        await subscribe(alone, trial.name('t'), 1)
        const sender = await client(trial, 'sender')
        for (let count = 0; count < 10; count++) await publish(sender, trial.name('t'), `${count}`, { qos: 1 })
        for (let count = 0; count < 10; count++) mustEqual(text(await take(alone)), `${count}`, 'the message to a subscription of its own')
        const arrived: string[] = []
        const round = async (): Promise<number> => {
          const before = arrived.length
          for (const wire of [one, two]) {
            await wire.ping()
            const came = wire.inbox.unread.filter(({ cmd }) => cmd === 'publish').length
            // Acknowledged as they come: a broker may have no more than one under way to a client.
            for (let count = 0; count < came; count++) arrived.push(text(await take(wire)))
          }
          return arrived.length - before
        }
        const all = async (): Promise<void> => {
          while (arrived.length < 10) await round()
          while ((await round()) > 0);
        }
        await trial.within(all(), 'ten messages did not come to the members together')
        mustEqual([...arrived].sort().join(), '0,1,2,3,4,5,6,7,8,9', 'what the members got together')
      },
      mutants: [
        edits('delivers to every member', () => {
          const members = new Set<(bytes: Buffer) => void>()
          return ({ toClient }) => ({
            toBroker: (sent) => {
              if (is(sent, 'subscribe') && sent.subscriptions.some(({ topic }) => topic.startsWith('$share/'))) members.add(toClient)
              return undefined
            },
            toClient: (message, raw) => {
              if (is(message, 'publish') && members.has(toClient)) for (const other of members) if (other !== toClient) other(raw)
              return undefined
            },
          })
        }),
        edits('takes a subscription of its own for a member', () => {
          let count = 0
          return () => ({ toClient: (message) => (is(message, 'publish') && count++ % 2 === 1 ? 'drop' : undefined) })
        }),
      ],
    },
    {
      id: 'MQTT5 4.8.2-b',
      level: 'should',
      says: 'Retained messages are not sent to a session when it joins a shared subscription.',
      how: 'A message is retained, a client joins: the next message is the first that it gets.',
      async run(trial) {
        const sender = await client(trial, 'sender')
        await retain(trial, sender, trial.name('t'), 'retained')
        const wire = await client(trial)
        await share(trial, wire)
        await publish(sender, trial.name('t'), 'end', { qos: 1 })
        mustEqual((await takeUntil(wire, 'end')).map(text).join(), '', 'what comes to a new member')
      },
      mutants: [
        sees('takes a shared subscription for one that is not', 'subscribe', (sent) => ({
          ...sent,
          subscriptions: sent.subscriptions.map((each) => ({ ...each, topic: each.topic.replace(/^\$share\/[^/]*\//, '') })),
        })),
      ],
    },
    {
      id: 'MQTT5 4.8.2-c',
      level: 'must',
      says: 'A member that unsubscribes by the whole filter gets no more; the others get all.',
      how: 'Two members, one unsubscribes: what follows comes to the other.',
      async run(trial) {
        const [one, two] = [await client(trial, 'one'), await client(trial, 'two')]
        await share(trial, one)
        await share(trial, two)
        await subscribe(one, trial.name('end'), 1)
        await unsubscribe(one, `$share/${trial.name('g')}/${trial.name('t')}`)
        const sender = await client(trial, 'sender')
        for (let count = 0; count < 6; count++) {
          await publish(sender, trial.name('t'), `${count}`, { qos: 1 })
          mustEqual(text(await take(two)), `${count}`, 'the message to the member that stayed')
        }
        await publish(sender, trial.name('end'), 'end', { qos: 1 })
        mustEqual((await takeUntil(one, 'end')).length, 0, 'the number of messages to the member that left')
      },
      mutants: [
        sees('does not find shared subscriptions at UNSUBSCRIBE', 'unsubscribe', (sent) => ({
          ...sent,
          unsubscriptions: sent.unsubscriptions.map((each) => each.replace('$share', '$shared')),
        })),
      ],
    },
    {
      id: 'MQTT-4.8.2-3',
      level: 'must',
      says: 'A member gets messages with no more than the QoS that was granted to it.',
      how: 'Members of QoS 0 and 1, one after the other; messages of QoS 1 and 2.',
      async run(trial) {
        const sender = await client(trial, 'sender')
        for (const qos of [0, 1] as const) {
          const wire = await client(trial, `of${qos}`)
          const granted = await share(trial, wire, `t${qos}`, qos)
          mustBe(granted <= qos, `QoS ${granted} is granted where ${qos} was asked for`)
          for (const published of [1, 2] as const) {
            await publish(sender, trial.name(`t${qos}`), 'x', { qos: published })
            mustEqual((await take(wire)).qos, Math.min(granted, published), `the QoS of a message of QoS ${published} to a member of QoS ${granted}`)
          }
        }
      },
      mutants: [
        sees('grants every member QoS 1', 'subscribe', (sent) => ({
          ...sent,
          subscriptions: sent.subscriptions.map((each) => ({ ...each, qos: 1 })),
        })),
        changes('delivers with QoS 1', 'publish', (message) => ({ ...message, qos: 1, messageId: message.messageId ?? 99 })),
      ],
    },
    {
      id: 'MQTT-4.8.2-4',
      level: 'must',
      says: 'A message of QoS 2 under way to a member whose connection breaks is delivered to the end when it comes back.',
      how: 'A member has PUBLISH of QoS 2, drops its connection and comes back: the message comes again. Skipped where no member is granted QoS 2.',
      async run(trial) {
        const { wire } = await keeper(trial, 'one')
        if ((await share(trial, wire, 't', 2)) < 2) skip('this broker grants members of shared subscriptions QoS 1 at most')
        await publish(await client(trial, 'sender'), trial.name('t'), 'x', { qos: 2 })
        const first = await wire.next('publish')
        wire.destroy()
        const { wire: again } = await keeper(trial, 'one')
        const second = await again.next('publish')
        mustEqual(`${second.messageId} ${text(second)}`, `${first.messageId} x`, 'what comes again')
        await acknowledge(again, second)
      },
      mutants: [
        changes('forgets what was under way', 'publish', (message) => (message.dup ? 'drop' : undefined)),
        changes('sends it with another identifier', 'publish', (message) => (message.dup ? { ...message, messageId: 4242 } : undefined)),
      ],
    },
    {
      id: 'MQTT-4.8.2-5',
      level: 'must',
      says: 'A message of QoS 2 under way to a member whose session ends goes to no other member.',
      how: 'A member has PUBLISH of QoS 2 and its session ends; the other member gets the next message, and not this one. Skipped where no member is granted QoS 2.',
      async run(trial) {
        const { wire } = await keeper(trial, 'one')
        if ((await share(trial, wire, 't', 2)) < 2) skip('this broker grants members of shared subscriptions QoS 1 at most')
        const sender = await client(trial, 'sender')
        await publish(sender, trial.name('t'), 'x', { qos: 2 })
        await wire.next('publish')
        const two = await client(trial, 'two')
        await share(trial, two, 't', 2)
        wire.destroy()
        await client(trial, 'one')
        await leave(await client(trial, 'one'))
        await publish(sender, trial.name('t'), 'end', { qos: 2 })
        mustEqual((await takeUntil(two, 'end')).map(text).join(), '', 'what goes to another member')
      },
      mutants: [
        changes('sends it to another member', 'publish', (message) =>
          text(message) === 'end' ? [{ ...message, payload: 'x', messageId: 4242 }, message] : undefined,
        ),
      ],
    },
    {
      id: 'MQTT-4.8.2-6',
      level: 'must',
      says: 'A message that a member refuses by PUBACK or PUBREC of 0x80 or above is discarded: it goes to no other member.',
      how: 'One of two members refuses what it gets: the other gets the messages that are its own, and none of those.',
      async run(trial) {
        const [one, two] = [await client(trial, 'one'), await client(trial, 'two')]
        await share(trial, one)
        const sender = await client(trial, 'sender')
        await publish(sender, trial.name('t'), 'refused', { qos: 1 })
        const { messageId = 0, qos } = await one.next('publish')
        await share(trial, two)
        one.send({ cmd: qos === 2 ? 'pubrec' : 'puback', messageId, reasonCode: 0x83 })
        await one.ping()
        await leave(one)
        await publish(sender, trial.name('t'), 'end', { qos: 1 })
        mustEqual((await takeUntil(two, 'end')).map(text).join(), '', 'what goes to another member')
      },
      mutants: [
        sees('does not hear the refusal', 'puback', (sent) => ((sent.reasonCode ?? 0) >= 0x80 ? 'drop' : undefined)),
        changes('sends it to another member', 'publish', (message) =>
          text(message) === 'end' ? [{ ...message, payload: 'refused', messageId: 4242 }, message] : undefined,
        ),
      ],
    },
  ],
}
