// MQTT 5.0, 3.4 to 3.7: PUBACK, PUBREC, PUBREL and PUBCOMP as packets. When they are due is in the chapters on QoS.
import type { Chapter, Check } from '../check.ts'
import type { MqttWire } from '../clients/mqtt-wire.ts'
import { packet, properties, string, u16 } from '../mqtt/bytes.ts'
import { changes, edits, sees } from '../mqtt/mutants.ts'
import { neverCloses } from '../mutant.ts'
import { mustBe } from '../outcome.ts'
import type { Trial } from '../trial.ts'
import { addsLongReason, addsLongUserProperty } from './mutants.ts'
import { ID } from './properties.ts'
import { closes, closesEach, code, connected, mustReceive, publish, publishBytes, second, subscribe } from './session.ts'

type Name = 'puback' | 'pubrec' | 'pubrel' | 'pubcomp'

const FIRST: Readonly<Record<Name, number>> = { puback: 0x40, pubrec: 0x50, pubrel: 0x62, pubcomp: 0x70 }
const SECTION: Readonly<Record<Name, string>> = { puback: '3.4', pubrec: '3.5', pubrel: '3.6', pubcomp: '3.7' }

/** Brings a broker to send each of the four, with success and without: messages in both directions, to topics that have subscribers and that have none. */
async function provoke(trial: Trial, maximumPacketSize?: number): Promise<readonly Buffer[]> {
  const topic = trial.name('topic')
  const wire = await connected(trial, maximumPacketSize === undefined ? {} : { properties: { maximumPacketSize } })
  const seen: Buffer[] = []
  const see = async (cmd: Name): Promise<number> => {
    const { raw, messageId = 0 } = await wire.next(cmd)
    seen.push(raw)
    return messageId
  }
  await subscribe(wire, { topic, qos: 2 })
  for (const to of [topic, trial.name('nobody'), `$SYS/${trial.name('not-yours')}`]) {
    wire.send(publishBytes(to, [], 'x', 0x32))
    await see('puback')
    wire.send(publishBytes(to, [], 'x', 0x34))
    const messageId = await see('pubrec')
    wire.send({ cmd: 'pubrel', messageId })
    await see('pubcomp')
  }
  wire.send({ cmd: 'pubrel', messageId: 999 })
  await see('pubcomp')
  wire.send({ cmd: 'pubrec', messageId: 998, reasonCode: 0 })
  await see('pubrel')
  // Two messages came; a broker may wait for the answer to the first.
  const one = await wire.next('publish')
  wire.send({ cmd: 'puback', messageId: one.messageId ?? 0, reasonCode: 0 })
  const two = await wire.inbox.find(
    (each): each is Extract<typeof each, { cmd: 'publish' }> => each.cmd === 'publish' && each.qos === 2,
    'PUBLISH of QoS 2',
  )
  wire.send({ cmd: 'pubrec', messageId: two.messageId ?? 0 })
  await see('pubrel')
  return seen
}

function codes(name: Name, wrong: number): Check {
  const NAME = name.toUpperCase()
  return {
    id: `MQTT-${SECTION[name]}.2-1`,
    level: 'must',
    says: `The reason code of ${NAME} is one of its table.`,
    how: 'Messages to a topic with a subscriber, without one, and under $SYS, and packet identifiers that nobody knows; the wire holds reason codes against the tables.',
    run: async (trial) => {
      await provoke(trial)
    },
    mutants: [
      changes(`says 0x${wrong.toString(16)} in ${NAME}`, name, ({ messageId }) => packet(FIRST[name], u16(messageId ?? 0), wrong)),
      changes(`says 0x01 in ${NAME}`, name, ({ messageId }) => packet(FIRST[name], u16(messageId ?? 0), 1)),
    ],
  }
}

function small(name: Name, number: 2 | 3): Check {
  const NAME = name.toUpperCase()
  const what = number === 2 ? 'Reason String' : 'User Property'
  return {
    id: `MQTT-${SECTION[name]}.2-${number}`,
    level: 'must',
    says: `${NAME} has no ${what} that makes it larger than its receiver takes.`,
    how: 'A Maximum Packet Size of 200, and the same messages: no acknowledgement is larger.',
    run: async (trial) => {
      for (const raw of await provoke(trial, 200))
        mustBe(raw.length <= 200, `an acknowledgement of ${raw.length} bytes was sent to a client that takes 200`)
    },
    mutants: [number === 2 ? addsLongReason(name) : addsLongUserProperty(name)],
  }
}

/** Reason code and properties may be left out where they say nothing, and are there where they do. */
function forms(name: Name, run: (trial: Trial, bytes: (messageId: number) => Buffer) => Promise<void>): Check {
  const NAME = name.toUpperCase()
  const bodies: Readonly<Record<string, (id: number) => Buffer>> = {
    'with nothing but its identifier': (id) => packet(FIRST[name], u16(id)),
    'with a reason code': (id) => packet(FIRST[name], u16(id), 0),
    'with no properties': (id) => packet(FIRST[name], u16(id), 0, properties()),
    'with a Reason String and User Properties': (id) =>
      packet(
        FIRST[name],
        u16(id),
        0,
        properties(ID.userProperty, string('a'), string('1'), ID.reasonString, string('why'), ID.userProperty, string('a'), string('2')),
      ),
  }
  return {
    id: `MQTT5 ${SECTION[name]}.2.1-a`,
    level: 'must',
    says: `A ${NAME} may leave out its reason code, if that is 0x00 and it has no properties, and the length of its properties; or have them all.`,
    how: 'Each form of it, in a delivery that goes on.',
    async run(trial) {
      for (const bytes of Object.values(bodies)) await run(trial, bytes)
    },
    mutants: [
      sees(`does not understand a ${NAME} of three bytes`, name, (_, raw) => (raw.length === 5 ? 'drop' : undefined)),
      sees(`does not understand a ${NAME} with properties`, name, (_, raw) => (raw.length > 6 ? 'drop' : undefined)),
    ],
  }
}

function twice(name: Name): Check {
  const NAME = name.toUpperCase()
  return {
    id: `MQTT5 ${SECTION[name]}.2.2.2-a`,
    level: 'must',
    says: `Two Reason Strings in a ${NAME} are a protocol error.`,
    how: `A ${NAME} with two, for a packet identifier that is in use.`,
    async run(trial) {
      const bad = (id: number): Buffer => packet(FIRST[name], u16(id), 0, properties(ID.reasonString, string('a'), ID.reasonString, string('b')))
      const wire = await connected(trial)
      const messageId = await inProgress(trial, wire, name)
      await closes(wire, bad(messageId), `a ${NAME} with two Reason Strings`)
    },
    mutants: [neverCloses],
  }
}

/** A delivery that waits for this packet of the client: its identifier. */
async function inProgress(trial: Trial, wire: MqttWire, name: Name): Promise<number> {
  if (name === 'pubrel') {
    wire.send(publishBytes(trial.name('topic'), [], 'x', 0x34))
    return (await wire.next('pubrec')).messageId ?? 0
  }
  const qos = name === 'puback' ? 1 : 2
  await subscribe(wire, { topic: trial.name('topic'), qos })
  await publish(await second(trial), trial.name('topic'), 'x', { qos })
  const { messageId = 0 } = await wire.next('publish')
  if (name === 'pubcomp') {
    wire.send({ cmd: 'pubrec', messageId })
    await wire.next('pubrel')
  }
  return messageId
}

/** A client whose Receive Maximum is 1: the next message comes when the broker has understood that the last one is finished. */
async function oneByOne(trial: Trial, qos: 1 | 2, acknowledge: (wire: MqttWire, messageId: number) => Promise<void>): Promise<void> {
  const topic = trial.name('topic')
  const publisher = await second(trial)
  const wire = await connected(trial, { properties: { receiveMaximum: 1 } })
  await subscribe(wire, { topic, qos })
  await publish(publisher, topic, 'one', { qos })
  await publish(publisher, topic, 'two', { qos })
  const { messageId = 0 } = await wire.next('publish')
  await acknowledge(wire, messageId)
  await mustReceive(wire, 'two', 'after an acknowledgement')
}

export const acknowledgements: Chapter = {
  title: '3.4 to 3.7 PUBACK, PUBREC, PUBREL and PUBCOMP',
  clauses: [
    codes('puback', 0x92),
    forms('puback', (trial, bytes) =>
      oneByOne(trial, 1, async (wire, messageId) => {
        wire.send(bytes(messageId))
      }),
    ),
    small('puback', 2),
    twice('puback'),
    small('puback', 3),
    codes('pubrec', 0x92),
    forms('pubrec', (trial, bytes) =>
      oneByOne(trial, 2, async (wire, messageId) => {
        wire.send(bytes(messageId))
        await wire.next('pubrel')
        wire.send({ cmd: 'pubcomp', messageId })
      }),
    ),
    small('pubrec', 2),
    twice('pubrec'),
    small('pubrec', 3),
    {
      id: 'MQTT-3.6.1-1',
      level: 'must',
      says: 'The flags of PUBREL are 0010: with any other it is malformed, and the connection ends.',
      how: 'PUBRELs with flags 0, 3 and 10.',
      run: (trial) =>
        closesEach(trial, {
          'a PUBREL with flags 0': packet(0x60, u16(1)),
          'a PUBREL with flags 3': packet(0x63, u16(1)),
          'a PUBREL with flags 10': packet(0x6a, u16(1)),
        }),
      mutants: [neverCloses],
    },
    codes('pubrel', 0x80),
    forms('pubrel', async (trial, bytes) => {
      const wire = await connected(trial)
      const messageId = await inProgress(trial, wire, 'pubrel')
      wire.send(bytes(messageId))
      const { reasonCode = 0 } = await wire.next('pubcomp')
      mustBe(reasonCode === 0, `PUBCOMP has ${code(reasonCode)} for a PUBREL of a known identifier`)
    }),
    small('pubrel', 2),
    twice('pubrel'),
    small('pubrel', 3),
    codes('pubcomp', 0x80),
    forms('pubcomp', (trial, bytes) =>
      oneByOne(trial, 2, async (wire, messageId) => {
        wire.send({ cmd: 'pubrec', messageId })
        await wire.next('pubrel')
        wire.send(bytes(messageId))
      }),
    ),
    small('pubcomp', 2),
    twice('pubcomp'),
    small('pubcomp', 3),
    {
      id: 'MQTT5 3.6.4-a',
      level: 'should',
      says: 'A PUBREL or PUBREC whose identifier nobody knows is answered with 0x92.',
      how: 'PUBREL and PUBREC of identifiers that were never used.',
      async run(trial) {
        const wire = await connected(trial)
        wire.send({ cmd: 'pubrel', messageId: 999 })
        const { reasonCode: completed } = await wire.next('pubcomp')
        mustBe(completed === 0x92, `PUBCOMP has ${code(completed)} for an identifier that nobody knows`)
        wire.send({ cmd: 'pubrec', messageId: 998, reasonCode: 0 })
        const { reasonCode: released } = await wire.next('pubrel')
        mustBe(released === 0x92, `PUBREL has ${code(released)} for an identifier that nobody knows`)
      },
      mutants: [
        edits('says nothing of it', () => () => ({ toClient: (each) => (each.cmd === 'pubcomp' ? { ...each, reasonCode: 0 } : undefined) })),
        changes('says nothing of it in PUBREL', 'pubrel', (pubrel) => ({ ...pubrel, reasonCode: 0 })),
      ],
    },
  ],
}
