// MQTT 5.0, 3.3.4: what follows a PUBLISH: the right answer, overlapping subscriptions, subscription identifiers, Receive Maximum.
import type { Chapter } from '../check.ts'
import type { MqttWire, Received } from '../clients/mqtt-wire.ts'
import { packet, u16 } from '../mqtt/bytes.ts'
import { changes, edits, never, sees } from '../mqtt/mutants.ts'
import { type Mutant, neverCloses } from '../mutant.ts'
import { mustBe, mustEqual, skip } from '../outcome.ts'
import type { Trial } from '../trial.ts'
import { changesProperties, leavesOut } from './mutants.ts'
import { ID, propertiesOf, readVarint, withProperties } from './properties.ts'
import { closes, closesEach, connected, opened, publish, publishBytes, publishPacket, receive, second, subscribe } from './session.ts'

const identifiersOf = (raw: Buffer): readonly number[] =>
  propertiesOf(raw).flatMap(({ id, value }) => (id === ID.subscriptionIdentifier ? [readVarint(value, 0)[0]] : []))

/** A message that two subscriptions of one client match, one of QoS 0 and one of QoS 2: as many copies as the broker sends. */
async function overlapping(trial: Trial): Promise<readonly Received<'publish'>[]> {
  const topic = trial.name('topic')
  const publisher = await second(trial)
  const wire = await connected(trial)
  await subscribe(wire, { topic: `${topic}/+`, qos: 0 }, 7)
  await subscribe(wire, { topic: `${topic}/#`, qos: 2 }, 300)
  await publish(publisher, `${topic}/a`, 'both', { qos: 2 })
  // Of each QoS one that comes later: within a topic and a QoS messages keep their order.
  await publish(publisher, `${topic}/a`, 'end 2', { qos: 2 })
  await publish(publisher, `${topic}/a`, 'end 0', { qos: 0 })
  const copies: Received<'publish'>[] = []
  const ends = new Set<string>()
  while (ends.size < 2) {
    const message = await receive(wire)
    const payload = message.payload.toString()
    if (payload === 'both') copies.push(message)
    else ends.add(payload)
  }
  return copies
}

export const publishActions: Chapter = {
  title: '3.3.4 PUBLISH actions',
  clauses: [
    {
      id: 'MQTT-3.3.4-1',
      level: 'must',
      says: 'A PUBLISH of QoS 1 is answered with PUBACK, one of QoS 2 with PUBREC, one of QoS 0 with nothing.',
      how: 'One of each, with a PINGREQ behind it; what comes before PINGRESP is looked through.',
      async run(trial) {
        const wire = await connected(trial)
        wire.send(Buffer.concat([publishBytes(trial.name('topic'), [], 'x'), packet(0xc0)]))
        mustEqual((await wire.inbox.next('PINGRESP'))?.cmd, 'pingresp', 'what follows a PUBLISH of QoS 0 and a PINGREQ')
        for (const [first, answer] of [
          [0x32, 'puback'],
          [0x34, 'pubrec'],
        ] as const) {
          wire.send(publishBytes(trial.name('topic'), [], 'x', first))
          mustEqual((await wire.inbox.next(answer.toUpperCase()))?.cmd, answer, `the answer to a PUBLISH with first byte 0x${first.toString(16)}`)
        }
      },
      mutants: [
        never('puback'),
        never('pubrec'),
        changes('answers QoS 1 with PUBREC', 'puback', (_, raw) => Buffer.concat([Buffer.of(0x50), raw.subarray(1)])),
        edits('answers QoS 0 with PUBACK', () => ({ toClient }) => ({
          toBroker: (each) => {
            if (each.cmd === 'publish' && each.qos === 0) toClient(packet(0x40, u16(1)))
            return undefined
          },
        })),
      ],
    },
    {
      id: 'MQTT-3.3.4-2',
      level: 'must',
      says: 'Where subscriptions of a client overlap, a message comes at the greatest QoS of those that match.',
      how: 'A message of QoS 2, and subscriptions of QoS 0 and 2 that match it: one copy of those that come has QoS 2.',
      async run(trial) {
        const copies = await overlapping(trial)
        mustBe(copies.length === 1 || copies.length === 2, `${copies.length} copies of the message came`)
        mustEqual(Math.max(...copies.map(({ qos }) => qos)), 2, 'the greatest QoS of the copies that came')
      },
      mutants: [
        changes('delivers at the smallest QoS', 'publish', ({ topic, payload }) => publishPacket(topic, payload, { qos: 0 })),
        changes('delivers at QoS 1', 'publish', (message) => (message.qos === 2 ? { ...message, qos: 1 } : undefined)),
      ],
    },
    {
      id: 'MQTT-3.3.4-3',
      level: 'must',
      says: 'The identifiers of overlapping subscriptions are in what is sent because of them.',
      how: 'Subscriptions 7 and 300 match a message: both numbers are in the copies that come.',
      async run(trial) {
        const found = new Set((await overlapping(trial)).flatMap(({ raw }) => identifiersOf(raw)))
        mustEqual([...found].toSorted((a, b) => a - b).join(), '7,300', 'the Subscription Identifiers of the copies that came')
      },
      mutants: [
        leavesOut('the Subscription Identifiers', 'publish', ID.subscriptionIdentifier),
        changesProperties('sends one of the identifiers', 'publish', (before) =>
          before.filter(({ id, value }) => id !== ID.subscriptionIdentifier || value.length === 1),
        ),
        changesProperties('sends other identifiers', 'publish', (before) =>
          before.map((each) => (each.id === ID.subscriptionIdentifier && each.value.length === 1 ? { ...each, value: Buffer.of(9) } : each)),
        ),
      ],
    },
    {
      id: 'MQTT-3.3.4-4',
      level: 'must',
      says: 'A single copy has the identifiers of all subscriptions that match.',
      how: 'The same: if one copy comes, it has both numbers.',
      async run(trial) {
        const [only, ...more] = await overlapping(trial)
        if (only !== undefined && more.length === 0)
          mustEqual(
            identifiersOf(only.raw)
              .toSorted((a, b) => a - b)
              .join(),
            '7,300',
            'the Subscription Identifiers of the only copy',
          )
      },
      mutants: [
        changesProperties('sends one of the identifiers', 'publish', (before) =>
          before.filter(({ id, value }) => id !== ID.subscriptionIdentifier || value.length === 1),
        ),
      ],
    },
    {
      id: 'MQTT-3.3.4-5',
      level: 'must',
      says: 'Of several copies, each has the identifier of the subscription because of which it is sent.',
      how: 'The same: if more than one copy comes, each has a number, and no two have the same.',
      async run(trial) {
        const copies = await overlapping(trial)
        if (copies.length < 2) return
        // A broker may put all that match into each copy: no two may be there because of the same one.
        const because = copies.map(({ raw }) => identifiersOf(raw))
        mustBe(
          because.every((numbers) => numbers.length > 0),
          'a copy has no Subscription Identifier',
        )
        mustBe(
          new Set(because.flat()).size >= copies.length,
          `${copies.length} copies came, and all have the Subscription Identifier ${because.flat()[0]}`,
        )
      },
      mutants: [
        secondCopy('sends a second copy without an identifier', (raw) =>
          withProperties(raw, (before) => before.filter(({ id }) => id !== ID.subscriptionIdentifier)),
        ),
        secondCopy('sends copies with the same identifier', (raw) =>
          withProperties(raw, (before) => before.filter(({ id, value }) => id !== ID.subscriptionIdentifier || value.length === 1)),
        ),
      ],
    },
    {
      id: 'MQTT5 3.3.4-a',
      level: 'must',
      says: 'A message that matches one subscription has the identifier of that, and of no other; one that matches a subscription without has none.',
      how: 'Subscriptions with identifier 1, with the greatest one there is, and without; a message for each.',
      async run(trial) {
        const topic = trial.name('topic')
        const wire = await connected(trial)
        await subscribe(wire, { topic: `${topic}/small` }, 1)
        await subscribe(wire, { topic: `${topic}/great` }, 268_435_455)
        await subscribe(wire, { topic: `${topic}/none` })
        for (const [name, numbers] of [
          ['small', '1'],
          ['great', '268435455'],
          ['none', ''],
        ] as const) {
          await publish(wire, `${topic}/${name}`, name)
          mustEqual(identifiersOf((await receive(wire)).raw).join(), numbers, `the Subscription Identifiers of the message "${name}"`)
        }
      },
      mutants: [
        leavesOut('the Subscription Identifiers', 'publish', ID.subscriptionIdentifier),
        changesProperties('sends an identifier that no subscription has', 'publish', (before) => [
          ...before,
          { id: ID.subscriptionIdentifier, value: Buffer.of(1) },
        ]),
      ],
    },
    {
      id: 'MQTT-3.3.4-6',
      level: 'must',
      says: 'A PUBLISH of a client has no Subscription Identifier: one that has is a protocol error.',
      how: 'A PUBLISH with Subscription Identifier 1.',
      run: (trial) =>
        closesEach(trial, { 'a PUBLISH with a Subscription Identifier': publishBytes(trial.name('topic'), [ID.subscriptionIdentifier, 1]) }),
      mutants: [neverCloses],
    },
    {
      id: 'MQTT5 3.3.4-b',
      level: 'should',
      says: "A client that has sent more unfinished messages of QoS 1 and 2 than the server's Receive Maximum is disconnected.",
      how: 'One more PUBLISH of QoS 2 than CONNACK allows, none of them followed by PUBREL.',
      async run(trial) {
        const { wire, connack } = await opened(trial)
        const maximum = connack.properties?.receiveMaximum ?? 65_535
        if (maximum > 5000) skip(`the Receive Maximum of the broker is ${maximum}: there are hardly more packet identifiers than that`)
        for (let messageId = 1; messageId <= maximum; messageId++) wire.send(publishPacket(trial.name('topic'), 'x', { qos: 2, messageId }))
        for (let count = 0; count < maximum; count++) await wire.next('pubrec')
        await wire.ping()
        const last = publishPacket(trial.name('topic'), 'x', { qos: 2, messageId: maximum + 1 })
        await closes(wire, last, `${maximum + 1} messages of QoS 2, where the Receive Maximum is ${maximum}`)
      },
      mutants: [
        neverCloses,
        changes('says that it takes fewer than it does', 'connack', (connack) => ({
          ...connack,
          properties: { ...connack.properties, receiveMaximum: 5 },
        })),
      ],
    },
    {
      id: 'MQTT-3.3.4-9',
      level: 'must',
      says: "No more messages of QoS 1 and 2 are unfinished than the client's Receive Maximum; PUBACK, PUBCOMP and a failing PUBREC make room for the next.",
      how: 'Receive Maximum 2 and eight messages: after each acknowledgement, a PINGRESP later, there are never more than two without one.',
      async run(trial) {
        const wire = await quota(trial, 2)
        const held: Received<'publish'>[] = []
        const settle = async (most: number): Promise<void> => {
          await wire.ping()
          for (let next = wire.inbox.unread.find(isPublish); next !== undefined; next = wire.inbox.unread.find(isPublish))
            held.push(await wire.next('publish'))
          mustBe(held.length <= most, `${held.length + 2 - most} messages are unfinished, where the Receive Maximum is 2`)
        }
        for (let left = 8; left > 0; left--) {
          await settle(2)
          if (held.length === 0) held.push(await wire.next('publish'))
          const [message, ...rest] = held.splice(0)
          held.push(...rest)
          await finish(wire, message, left, () => settle(1))
        }
      },
      mutants: [
        sees('takes no notice of the Receive Maximum', 'connect', ({ properties: _, ...connect }) => connect),
        sees('takes the Receive Maximum for one more', 'connect', (connect) =>
          connect.properties?.receiveMaximum === undefined
            ? undefined
            : { ...connect, properties: { receiveMaximum: connect.properties.receiveMaximum + 1 } },
        ),
        sees('never finds room again', 'puback', () => 'drop'),
      ],
    },
    {
      id: 'MQTT-3.3.4-10',
      level: 'must',
      says: 'Packets other than PUBLISH are sent also while the Receive Maximum is used up.',
      how: 'Receive Maximum 1, a message that is not acknowledged and more behind it: PUBACK, PUBREC, PUBCOMP, SUBACK, UNSUBACK and PINGRESP come.',
      async run(trial) {
        const wire = await quota(trial, 1)
        await wire.next('publish')
        await publish(wire, trial.name('other'), 'one', { qos: 1, messageId: 100 })
        await publish(wire, trial.name('other'), 'two', { qos: 2, messageId: 101 })
        await subscribe(wire, { topic: trial.name('more') })
        wire.send({ cmd: 'unsubscribe', messageId: 3, unsubscriptions: [trial.name('more')] })
        await wire.next('unsuback')
        await wire.ping()
      },
      mutants: (['puback', 'pubrec', 'pubcomp', 'unsuback', 'pingresp'] as const).map((cmd) =>
        edits(`holds ${cmd.toUpperCase()} back while the Receive Maximum is used up`, () => () => {
          let open = 0
          return {
            toClient: (each) => {
              if (each.cmd === 'publish' && each.qos > 0) open++
              return each.cmd === cmd && open > 0 ? 'drop' : undefined
            },
          }
        }),
      ),
    },
  ],
}

const isPublish = ({ cmd }: Received): boolean => cmd === 'publish'

/** A subscriber with this Receive Maximum, for which eight messages of QoS 1 and 2 were published. */
async function quota(trial: Trial, receiveMaximum: number): Promise<MqttWire> {
  const topic = trial.name('topic')
  const publisher = await second(trial)
  const wire = await connected(trial, { properties: { receiveMaximum } })
  await subscribe(wire, { topic, qos: 2 })
  for (let index = 0; index < 8; index++) await publish(publisher, topic, `${index}`, { qos: index % 2 === 0 ? 1 : 2 })
  return wire
}

/** Acknowledges a message: each third of QoS 2 by a PUBREC that fails. Between PUBREC and PUBCOMP it still counts. */
async function finish(wire: MqttWire, message: Received<'publish'> | undefined, left: number, between: () => Promise<void>): Promise<void> {
  const messageId = message?.messageId ?? 0
  if (message?.qos === 1) return wire.send({ cmd: 'puback', messageId, reasonCode: 0 })
  if (left % 3 === 0) return wire.send({ cmd: 'pubrec', messageId, reasonCode: 0x80 })
  wire.send({ cmd: 'pubrec', messageId, reasonCode: 0 })
  await wire.next('pubrel')
  await between()
  wire.send({ cmd: 'pubcomp', messageId, reasonCode: 0 })
}

/** Two copies of the message, changed in the same way, of which the second has QoS 0. */
function secondCopy(says: string, change: (raw: Buffer) => Buffer): Mutant {
  return edits(says, () => () => ({
    toClient: (each, raw) => {
      if (each.cmd !== 'publish' || each.payload.toString() !== 'both') return undefined
      const copy = publishBytes(
        each.topic,
        propertiesOf(raw).flatMap(({ id, value }) => [id, value]),
        Buffer.from(each.payload),
      )
      return [change(raw), change(copy)]
    },
  }))
}
