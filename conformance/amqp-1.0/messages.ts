// AMQP 1.0, 3.2: the sections of a message, and what a broker may do to them.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Chapter, Check } from '../check.ts'
import {
  array,
  binary,
  boolean,
  described,
  encode,
  list,
  map,
  nothing,
  raw,
  string,
  symbol,
  timestamp,
  ulong,
  type Value,
} from '../clients/amqp-value.ts'
import { fail, mustBe, mustEqual } from '../outcome.ts'
import type { Trial } from '../trial.ts'
import {
  annotations,
  applicationProperties,
  bareOf,
  data,
  entryOf,
  header,
  headerOf,
  message,
  properties,
  SECTIONS,
  section,
  sectionOf,
  sectionsOf,
  textOfBody,
} from './message.ts'
import { answers, changes, edits, never } from './mutants.ts'
import { refusing } from './refusals.ts'
import { begun, conditionOf, type Receiver } from './session.ts'

/** What comes of a message that is sent to the trial's queue. */
export async function through(trial: Trial, payload: Buffer): Promise<Buffer> {
  const { receiver } = await received(trial, payload)
  receiver.credit(1)
  const delivery = await receiver.next()
  receiver.accept(delivery)
  return delivery.payload
}

async function received(trial: Trial, ...payloads: readonly Buffer[]): Promise<Readonly<{ receiver: Receiver }>> {
  const session = await begun(trial)
  await (await session.sender('q')).deliver(...payloads)
  return { receiver: await session.receiver('q') }
}

/** Broker that writes the bare message anew. */
const rewrites = (says: string, edit: (payload: Buffer) => Buffer): ReturnType<typeof edits> =>
  edits(says, () => ({ toClient }) => ({
    toClient: (piece) => {
      if (piece.kind !== 'transfer') return undefined
      toClient({ ...piece }, piece.channel, edit(piece.payload))
      return 'drop'
    },
  }))

const lastByteOff = rewrites('changes a byte of the message', (payload) => {
  const copy = Buffer.from(payload)
  copy[copy.length - 1] = (copy[copy.length - 1] ?? 0) ^ 1
  return copy
})

const without = (name: Parameters<typeof sectionOf>[1]): ReturnType<typeof edits> =>
  rewrites(`drops the section ${name}`, (payload) => Buffer.concat(sectionsOf(payload).flatMap((each) => (each.name === name ? [] : [each.bytes]))))

/** These sections come as the same bytes; `whole`: and no others. */
function keepsBytes(told: Pick<Check, 'id' | 'says' | 'how'>, bare: Buffer, dropped: Parameters<typeof sectionOf>[1], whole = false): Check {
  return {
    ...told,
    level: 'must',
    async run(trial) {
      const sent = new Set(sectionsOf(bare).map(({ name }) => name))
      const came = bareOf(await through(trial, bare), whole ? undefined : sent)
      mustBe(came.equals(bare), `the bare message came as ${came.toString('hex')} where ${bare.toString('hex')} was sent`)
    },
    mutants: [lastByteOff, without(dropped), never('transfer')],
  }
}

/** As no writer would choose it: every length in four bytes, every null told. */
const oddProperties = encode(
  described(
    ulong(0x73, 0x80),
    list(
      [
        string('id', 0xb1),
        nothing,
        string('to', 0xb1),
        string('subject', 0xb1),
        string('reply', 0xb1),
        ulong(7, 0x80),
        symbol('text/plain', 0xb3),
        nothing,
        timestamp(4_000_000_000_000),
        timestamp(1),
        string('group', 0xb1),
        raw('70 00000003'),
        nothing,
      ],
      0xd0,
    ),
  ),
)
const oddApplicationProperties = encode(
  described(
    symbol('amqp:application-properties:map', 0xb3),
    map(
      [
        [string('z', 0xb1), boolean(true, 0x56)],
        [string('a'), ulong(0, 0x80)],
        [string(''), nothing],
      ],
      0xd1,
    ),
  ),
)

const text = section('value', string('x'))

export const messages: Chapter = {
  title: '3.2 Message format',
  clauses: [
    keepsBytes(
      {
        id: 'AMQP-3.2-a',
        says: 'The properties of a message are not changed, their encoding neither.',
        how: 'Properties written in the longest way, with nulls at the end.',
      },
      Buffer.concat([oddProperties, text]),
      'properties',
    ),
    keepsBytes(
      {
        id: 'AMQP-3.2-b',
        says: 'The application properties of a message are not changed: their order, types and encoding stay.',
        how: 'A map in long form, its descriptor a symbol, with an empty key and null.',
      },
      Buffer.concat([oddApplicationProperties, text]),
      'value',
    ),
    keepsBytes(
      { id: 'AMQP-3.2-c', says: 'A section that was left out is not put in.', how: 'A message that is a value and nothing else.' },
      text,
      'value',
      true,
    ),
    keepsBytes(
      { id: 'AMQP-3.2-d', says: 'An empty section stays.', how: 'Properties without fields and application properties without entries.' },
      Buffer.concat([properties({}), applicationProperties([]), text]),
      'properties',
    ),
    keepsBytes(
      { id: 'AMQP-3.2.6-a', says: 'A body of data sections stays as many sections as it was.', how: 'Three data sections, one empty.' },
      Buffer.concat([data('one'), data(''), data(Buffer.alloc(300, 3))]),
      'data',
    ),
    keepsBytes(
      { id: 'AMQP-3.2.7-a', says: 'A body of sequences stays as many sections as it was.', how: 'Two sequences, one empty.' },
      Buffer.concat([section('sequence', list([string('one'), nothing, list([ulong(300)])])), section('sequence', list([], 0xd0))]),
      'sequence',
    ),
    keepsBytes(
      { id: 'AMQP-3.2.8-a', says: 'A body that is a value stays that value.', how: 'A map with lists, arrays and described values in it.' },
      section(
        'value',
        map([
          [string('list'), list([nothing, boolean(false), described(symbol('x:y'), string('z'))])],
          [ulong(1), array([symbol('a'), symbol('b')])],
        ]),
      ),
      'value',
    ),
    {
      id: 'AMQP-3.2.1-a',
      level: 'must',
      says: 'A message without a header has the header’s defaults, and comes so to its receiver.',
      how: 'A message without header: what comes is durable or not as the broker’s default, of priority 4, of no delivery before.',
      async run(trial) {
        const { priority = 4, deliveryCount = 0, ttl } = headerOf(await through(trial, message('x')))
        mustEqual(priority, 4, 'the priority')
        mustEqual(deliveryCount, 0, 'the delivery-count')
        mustEqual(ttl, undefined, 'the time to live')
      },
      mutants: [
        rewrites('makes up a priority', (payload) => Buffer.concat([header({ priority: 9 }), bareOf(payload)])),
        rewrites('makes up a time to live', (payload) => Buffer.concat([header({ ttl: 1000 }), bareOf(payload)])),
      ],
    },
    {
      id: 'AMQP-3.2.1-b',
      level: 'must',
      says: 'A durable message stays durable, and what the sender said of its priority stays.',
      how: 'Header with durable true and priority 7.',
      async run(trial) {
        const { durable, priority } = headerOf(await through(trial, message('x', header({ durable: true, priority: 7 }))))
        mustEqual(durable, true, 'the flag durable')
        mustEqual(priority, 7, 'the priority')
      },
      mutants: [
        without('header'),
        rewrites('forgets durable', (payload) => Buffer.concat([header({ priority: 7 }), bareOf(payload)])),
        rewrites('forgets the priority', (payload) => Buffer.concat([header({ durable: true }), bareOf(payload)])),
      ],
    },
    {
      id: 'AMQP-3.2.1-c',
      level: 'must',
      says: 'Durable messages are not lost when the broker ends unexpectedly and starts again.',
      unchecked: 'A client of the protocol cannot end the broker.',
    },
    {
      id: 'AMQP-3.2.1-d',
      level: 'should',
      says: 'The ttl of a message that is passed on is what is left of it.',
      how: 'A ttl of a minute; delivered after 30 ms: what comes is less, and not by much.',
      async run(trial) {
        const { receiver } = await received(trial, message('x', header({ ttl: 60_000 })))
        await sleep(30)
        receiver.credit(1)
        const { ttl } = headerOf((await receiver.next()).payload)
        mustBe(ttl !== undefined && ttl < 60_000 && ttl > 30_000, `the ttl is ${ttl} where a little less than 60000 was due`)
      },
      mutants: [rewrites('passes the ttl on as it came', (payload) => Buffer.concat([header({ ttl: 60_000 }), bareOf(payload)])), without('header')],
    },
    {
      id: 'AMQP-3.2.1-e',
      level: 'must',
      says: 'A message that has lived longer than its ttl is not delivered.',
      how: 'A ttl of one millisecond and a message without; later the second only comes. Who looks for what has expired now and then is asked again with more time: 50 ms, one second, the patience of the run.',
      async run(trial) {
        const session = await begun(trial)
        for (const waitMs of [50, 1000, Math.max(4000, trial.patienceMs)]) {
          const word = `after-${waitMs}`
          await (await session.sender(word)).deliver(message('short', header({ ttl: 1 })), message('long'))
          await sleep(waitMs)
          // Attached only now, so that no message is at the link before its time.
          const receiver = await session.receiver(word)
          receiver.credit(2)
          if (textOfBody((await receiver.next()).payload) === 'long') return receiver.nothing('the other message had expired')
        }
        fail('a message with a ttl of one millisecond came after seconds')
      },
      mutants: [
        edits('knows no ttl', () => ({ toBroker }) => ({
          toBroker: (piece) => {
            if (piece.kind !== 'transfer') return undefined
            toBroker({ ...piece }, piece.channel, bareOf(piece.payload))
            return 'drop'
          },
        })),
      ],
    },
    {
      id: 'AMQP-3.2.1-f',
      level: 'must',
      says: 'A message that was acquired by another link before is not said to be acquired for the first time.',
      how: 'One message, released, delivered again by another link.',
      async run(trial) {
        const { receiver } = await received(trial, message('x'))
        receiver.credit(1)
        receiver.settle((await receiver.next()).deliveryId, { kind: 'released' })
        await receiver.detach()
        const again = await receiver.session.receiver('q', { name: trial.name('again') })
        again.credit(1)
        mustBe(headerOf((await again.next()).payload).firstAcquirer !== true, 'first-acquirer is true on the second delivery')
      },
      mutants: [rewrites('says that every link is the first', (payload) => Buffer.concat([header({ firstAcquirer: true }), bareOf(payload)]))],
    },
    {
      id: 'AMQP-3.2.2-a',
      level: 'must',
      says: 'Delivery annotations that begin with x-opt- and are not understood are ignored: the message is taken.',
      how: 'A message with one.',
      async run(trial) {
        mustEqual(
          textOfBody(await through(trial, message('x', annotations('deliveryAnnotations', [[symbol('x-opt-conformance'), string('1')]])))),
          'x',
          'the body of the message',
        )
      },
      mutants: [
        answers('rejects a message that has delivery annotations', 'transfer', ({ deliveryId, payload }) =>
          payload.subarray(0, 3).equals(Buffer.of(0, 0x53, SECTIONS.deliveryAnnotations))
            ? {
                kind: 'disposition',
                role: true,
                ...(deliveryId === undefined ? {} : { first: deliveryId }),
                settled: true,
                state: { kind: 'rejected' },
              }
            : undefined,
        ),
      ],
    },
    {
      id: 'AMQP-3.2.3-a',
      level: 'must',
      says: 'Message annotations are passed on.',
      how: 'Two that begin with x-opt-, of different types.',
      async run(trial) {
        const entries = [
          [symbol('x-opt-conformance-a'), string('1')],
          [symbol('x-opt-conformance-b'), list([ulong(5), nothing])],
        ] as const
        const payload = await through(trial, message('x', annotations('messageAnnotations', entries)))
        const [one, other] = entries.map(([key]) => entryOf(payload, 'messageAnnotations', key.type === 'symbol' ? key.value : ''))
        mustBe(one?.type === 'string' && one.value === '1', 'the annotation that is a string did not come')
        mustBe(other?.type === 'list' && encode(other).equals(encode(entries[1][1])), 'the annotation that is a list did not come')
      },
      mutants: [without('messageAnnotations')],
    },
    {
      id: 'AMQP-3.2.4-a',
      level: 'must',
      says: 'A message-id may be an unsigned number, a UUID, bytes or a string, and stays what it is.',
      how: 'A message with each, as message-id and as correlation-id.',
      async run(trial) {
        const ids: readonly Value[] = [ulong(2n ** 63n), { type: 'uuid', value: Buffer.alloc(16, 8) }, binary(Buffer.of(0, 255)), string('id')]
        const { receiver } = await received(trial, ...ids.map((id) => message('x', properties({ messageId: id, correlationId: id }))))
        receiver.credit(ids.length)
        for (const id of ids) {
          const came = sectionOf((await receiver.next()).payload, 'properties')
          mustBe(
            came !== undefined && came.bytes.equals(properties({ messageId: id, correlationId: id })),
            `a message-id that is a ${id.type} did not come as it was sent`,
          )
        }
      },
      mutants: [without('properties'), lastByteOffOf('properties')],
    },
    {
      id: 'AMQP-3.2.4-b',
      level: 'should',
      says: 'A message whose absolute-expiry-time has passed is not delivered.',
      how: 'One that expired in 1970 and one without.',
      async run(trial) {
        const { receiver } = await received(trial, message('old', properties({ absoluteExpiryTime: 1000n })), message('young'))
        receiver.credit(2)
        mustEqual(textOfBody((await receiver.next()).payload), 'young', 'the body of the message that came')
        await receiver.nothing('the other message had expired')
      },
      mutants: [
        edits('knows no expiry', () => ({ toBroker }) => ({
          toBroker: (piece) => {
            if (piece.kind !== 'transfer') return undefined
            toBroker({ ...piece }, piece.channel, sectionOf(piece.payload, 'value')?.bytes)
            return 'drop'
          },
        })),
      ],
    },
    {
      id: 'AMQP-3.2.9-a',
      level: 'should',
      says: 'A footer is passed on.',
      how: 'A message with a footer of one entry that begins with x-opt-.',
      async run(trial) {
        const payload = await through(trial, Buffer.concat([message('x'), annotations('footer', [[symbol('x-opt-hash'), binary('abc')]])]))
        mustBe(entryOf(payload, 'footer', 'x-opt-hash')?.type === 'binary', 'the footer did not come')
      },
      mutants: [without('footer')],
    },
    {
      id: 'AMQP-3.2.10-a',
      level: 'must',
      says: 'An annotation that is not understood and whose key does not begin with x-opt- detaches the link with not-implemented.',
      how: 'A message annotation whose key begins with nothing that is known.',
      async run(trial) {
        const sender = await (await begun(trial)).sender('q')
        await sender.credit()
        sender.transfer(message('x', annotations('messageAnnotations', [[symbol('conformance-not-known'), string('1')]])))
        const { error } = await sender.nextDetach()
        mustEqual(conditionOf(error), 'amqp:not-implemented', 'the condition of detach')
      },
      mutants: refusing('detach', ['amqp:not-implemented']),
    },
    {
      id: 'AMQP-3.2.16-a',
      level: 'must',
      says: 'Messages of this format are sent with message-format 0.',
      how: 'The first transfer of a delivery.',
      async run(trial) {
        const { receiver } = await received(trial, message('x'))
        receiver.credit(1)
        mustEqual((await receiver.next()).transfer.messageFormat ?? 0, 0, 'the message-format')
      },
      mutants: [changes('says another format', 'transfer', (transfer) => ({ ...transfer, messageFormat: 1 }))],
    },
    {
      id: 'AMQP-3.2.1-g',
      level: 'must',
      says: 'Where priorities are told apart at all, 4 and 5 are.',
      how: 'Two messages of priority 0 and 9: if the second comes first, so does one of 5 before one of 4.',
      async run(trial) {
        const of = (priority: number): Buffer => message(`${priority}`, header({ priority }))
        const { receiver } = await received(trial, of(0), of(9), of(4), of(5))
        receiver.credit(4)
        const order: (string | undefined)[] = []
        for (let count = 0; count < 4; count++) order.push(textOfBody((await receiver.next()).payload))
        if (order.indexOf('0') < order.indexOf('9')) {
          mustEqual(order.join(), '0,9,4,5', 'the order of messages on a queue that does not tell priorities apart')
          return
        }
        mustBe(order.indexOf('5') < order.indexOf('4'), `messages of priorities 0, 9, 4 and 5 came in the order ${order.join(', ')}`)
      },
      mutants: [
        edits('tells 0 and 9 apart and not 4 and 5', () => ({ toClient }) => {
          let held: (() => void) | undefined
          return {
            toClient: (piece) => {
              if (piece.kind !== 'transfer') return undefined
              const body = textOfBody(piece.payload)
              if (body === '0') {
                held = () => toClient({ ...piece }, piece.channel, piece.payload)
                return 'drop'
              }
              if (body !== '9') return undefined
              toClient({ ...piece }, piece.channel, piece.payload)
              held?.()
              return 'drop'
            },
          }
        }),
      ],
    },
  ],
}

function lastByteOffOf(name: Parameters<typeof sectionOf>[1]): ReturnType<typeof edits> {
  return rewrites(`changes the section ${name}`, (payload) =>
    Buffer.concat(
      sectionsOf(payload).map((each) => {
        if (each.name !== name) return each.bytes
        const copy = Buffer.from(each.bytes)
        copy[copy.length - 1] = (copy[copy.length - 1] ?? 0) ^ 1
        return copy
      }),
    ),
  )
}
