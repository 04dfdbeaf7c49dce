// MQTT 5.0, 3.8 and 3.9: SUBSCRIBE and SUBACK. What filters match is in the chapters on topics.
import type { Chapter } from '../check.ts'
import type { MqttWire } from '../clients/mqtt-wire.ts'
import { packet, properties, string, u16, u32, varint } from '../mqtt/bytes.ts'
import { changes, edits, never, sees } from '../mqtt/mutants.ts'
import { neverCloses } from '../mutant.ts'
import { mustBe, mustEqual } from '../outcome.ts'
import { addsLongReason, addsLongUserProperty, changesProperties } from './mutants.ts'
import { ID, propertiesOf } from './properties.ts'
import { closesEach, code, connected, mustReceive, opened, publish, publishPacket, receive, retain, second, subscribe, watching } from './session.ts'

/** SUBSCRIBE byte by byte: filters with their options. */
const subscribeBytes = (
  filters: readonly (readonly [filter: string | Buffer, options: number])[],
  given: readonly (Buffer | number)[] = [],
  messageId = 10,
): Buffer => packet(0x82, u16(messageId), properties(...given), ...filters.flatMap(([filter, options]) => [string(filter), options]))

/** The reason codes of the SUBACK that answers. */
async function granted(wire: MqttWire, filters: Parameters<typeof subscribeBytes>[0]): Promise<readonly number[]> {
  wire.send(subscribeBytes(filters))
  return (await wire.next('suback')).granted.map(Number)
}

export const subscribing: Chapter = {
  title: '3.8 SUBSCRIBE and 3.9 SUBACK',
  clauses: [
    {
      id: 'MQTT-3.8.1-1',
      level: 'must',
      says: 'The flags of SUBSCRIBE are 0010: with any other it is malformed, and the connection ends.',
      how: 'SUBSCRIBEs with flags 0, 1, 3 and 10.',
      run: (trial) =>
        closesEach(
          trial,
          Object.fromEntries(
            [0, 1, 3, 10].map((flags) => [
              `a SUBSCRIBE with flags ${flags}`,
              packet(0x80 | flags, u16(1), properties(), string(trial.name('topic')), 1),
            ]),
          ),
        ),
      mutants: [neverCloses],
    },
    {
      id: 'MQTT5 3.8.2.1.2-a',
      level: 'must',
      says: 'A Subscription Identifier is 1 to 268,435,455 and is there once: 0, and two of them, are a protocol error.',
      how: 'SUBSCRIBE with 0, and with two.',
      async run(trial) {
        const filter = [[trial.name('topic'), 1]] as const
        await closesEach(trial, {
          'a Subscription Identifier of 0': subscribeBytes(filter, [ID.subscriptionIdentifier, 0]),
          'two Subscription Identifiers': subscribeBytes(filter, [ID.subscriptionIdentifier, 1, ID.subscriptionIdentifier, 2]),
        })
      },
      mutants: [neverCloses],
    },
    {
      id: 'MQTT5 3.8.2.1.3-a',
      level: 'must',
      says: 'SUBSCRIBE may have any number of User Properties, the same name more than once too.',
      how: 'SUBSCRIBE with three, of which two have the same name.',
      async run(trial) {
        const wire = await connected(trial)
        const about = ['a1', 'b2', 'a3'].flatMap((text) => [ID.userProperty, string(text.slice(0, 1)), string(text.slice(1))])
        wire.send(subscribeBytes([[trial.name('topic'), 1]], about))
        mustBe(Number((await wire.next('suback')).granted[0]) < 0x80, 'a SUBSCRIBE with User Properties was refused')
      },
      mutants: [sees('refuses them', 'subscribe', (_, raw) => (propertiesOf(raw).length > 0 ? 'close' : undefined))],
    },
    {
      id: 'MQTT-3.8.3-1',
      level: 'must',
      says: 'Topic filters are UTF-8 strings: a SUBSCRIBE with another is malformed.',
      how: 'Filters with a surrogate and with U+0000.',
      run: (trial) =>
        closesEach(trial, {
          'a topic filter with a surrogate': subscribeBytes([[Buffer.from([0x61, 0xed, 0xa0, 0x80]), 1]]),
          'a topic filter with U+0000': subscribeBytes([[Buffer.from('a\0b'), 1]]),
        }),
      mutants: [neverCloses],
    },
    {
      id: 'MQTT-3.8.3-2',
      level: 'must',
      says: 'A SUBSCRIBE has at least one filter with its options: one without is a protocol error.',
      how: 'A SUBSCRIBE without filters, and one whose last filter has no options.',
      run: (trial) =>
        closesEach(trial, {
          'a SUBSCRIBE without filters': subscribeBytes([]),
          'a SUBSCRIBE whose last filter has no options': packet(0x82, u16(1), properties(), string(trial.name('a')), 1, string(trial.name('b'))),
        }),
      mutants: [neverCloses],
    },
    {
      id: 'MQTT-3.8.3-3',
      level: 'must',
      says: 'With No Local, a client is not sent what it has published itself.',
      how: 'A client with No Local publishes, then another does: the first message it gets is that of the other. Without the option it gets its own.',
      async run(trial) {
        const topic = trial.name('topic')
        const other = await second(trial)
        const wire = await connected(trial)
        await subscribe(wire, { topic, nl: true })
        for (const qos of [0, 1, 2] as const) await publish(wire, topic, 'its own', { qos })
        await publish(other, topic, 'of the other')
        await mustReceive(wire, 'of the other', 'a message that it published itself, with No Local')
        await subscribe(wire, { topic: trial.name('heard'), nl: false })
        await publish(wire, trial.name('heard'), 'its own')
        await mustReceive(wire, 'its own', 'without No Local')
      },
      mutants: [
        sees('does not know No Local', 'subscribe', (each) => ({ ...each, subscriptions: each.subscriptions.map((one) => ({ ...one, nl: false })) })),
        sees('takes every subscription for one with No Local', 'subscribe', (each) => ({
          ...each,
          subscriptions: each.subscriptions.map((one) => ({ ...one, nl: true })),
        })),
      ],
    },
    {
      id: 'MQTT-3.8.3-4',
      level: 'must',
      says: 'No Local on a shared subscription is a protocol error.',
      how: 'SUBSCRIBE with No Local to a filter of $share.',
      async run(trial) {
        const { connack } = await opened(trial, { clientId: trial.name('probe') })
        const filter = `$share/${trial.name('group')}/${trial.name('topic')}`
        if (connack.properties?.sharedSubscriptionAvailable === false) return
        await closesEach(trial, { 'No Local on a shared subscription': subscribeBytes([[filter, 0x05]]) })
      },
      mutants: [neverCloses],
    },
    {
      id: 'MQTT-3.8.3-5',
      level: 'must',
      says: 'Reserved bits of the subscription options are 0: others make SUBSCRIBE malformed.',
      how: 'Options with bit 6, and with bit 7.',
      run: (trial) =>
        closesEach(trial, {
          'options with bit 6 set': subscribeBytes([[trial.name('topic'), 0x41]]),
          'options with bit 7 set': subscribeBytes([[trial.name('topic'), 0x81]]),
        }),
      mutants: [neverCloses],
    },
    {
      id: 'MQTT5 3.8.3.1-a',
      level: 'must',
      says: 'A maximum QoS of 3, and a Retain Handling of 3, are protocol errors.',
      how: 'Options with QoS 3, and with Retain Handling 3.',
      run: (trial) =>
        closesEach(trial, {
          'options with QoS 3': subscribeBytes([[trial.name('topic'), 0x03]]),
          'options with Retain Handling 3': subscribeBytes([[trial.name('topic'), 0x31]]),
        }),
      mutants: [neverCloses],
    },
    {
      id: 'MQTT5 3.8.3.1-b',
      level: 'must',
      says: 'Retained messages that are sent when a subscription is made have RETAIN 1, whatever its Retain As Published.',
      how: 'A retained message, and subscriptions with the option and without.',
      async run(trial) {
        const topic = trial.name('topic')
        await retain(trial, await second(trial), topic, 'retained')
        for (const rap of [false, true]) {
          const wire = await connected(trial)
          await subscribe(wire, { topic, rap })
          mustEqual(
            (await mustReceive(wire, 'retained', 'the retained message')).retain,
            true,
            `RETAIN of a retained message, Retain As Published ${rap}`,
          )
        }
      },
      mutants: [changes('clears RETAIN', 'publish', (message) => ({ ...message, retain: false }))],
    },
    {
      id: 'MQTT-3.8.4-1',
      level: 'must',
      says: 'SUBSCRIBE is answered with SUBACK.',
      how: 'SUBSCRIBE.',
      async run(trial) {
        await granted(await connected(trial), [[trial.name('topic'), 1]])
      },
      mutants: [never('suback')],
    },
    {
      id: 'MQTT-3.8.4-2',
      level: 'must',
      says: 'SUBACK has the packet identifier of its SUBSCRIBE.',
      how: 'SUBSCRIBEs 7 and 65535.',
      async run(trial) {
        const wire = await connected(trial)
        for (const messageId of [7, 65_535]) {
          wire.send(subscribeBytes([[trial.name(`topic-${messageId}`), 1]], [], messageId))
          mustEqual((await wire.next('suback')).messageId, messageId, 'the identifier of SUBACK')
        }
      },
      mutants: [changes('has another identifier', 'suback', (_, raw) => packet(0x90, u16(9), raw.subarray(4)))],
    },
    {
      id: 'MQTT-3.8.4-3',
      level: 'must',
      says: 'A SUBSCRIBE to the same filter replaces the subscription.',
      how: 'The same filter twice, first with No Local, with another QoS and another identifier: a message of its own comes once, with those of the second.',
      async run(trial) {
        const topic = trial.name('topic')
        const wire = await connected(trial)
        await subscribe(wire, { topic, qos: 2, nl: true }, 1)
        await subscribe(wire, { topic, qos: 1 }, 2)
        await publish(wire, topic, 'once', { qos: 2 })
        await publish(wire, topic, 'the next', { qos: 2 })
        const { qos, raw } = await mustReceive(wire, 'once', 'out of order')
        mustEqual(qos, 1, 'the QoS')
        mustEqual(
          propertiesOf(raw)
            .filter(({ id }) => id === ID.subscriptionIdentifier)
            .map(({ value }) => value.toString('hex'))
            .join(),
          '02',
          'the Subscription Identifiers',
        )
        await mustReceive(wire, 'the next', 'a message came more than once for the same filter')
      },
      mutants: [
        edits('keeps both', () => () => ({ toClient: (each, raw) => (each.cmd === 'publish' ? [raw, raw] : undefined) })),
        edits('keeps the first', () => () => {
          let subscribed = false
          return {
            toBroker: (each) => {
              if (each.cmd !== 'subscribe') return undefined
              const before = subscribed
              subscribed = true
              return before ? { ...each, properties: { subscriptionIdentifier: 1 } } : undefined
            },
          }
        }),
      ],
    },
    {
      id: 'MQTT-3.8.4-4',
      level: 'must',
      says: 'When a subscription is replaced with Retain Handling 0, retained messages are sent again, and no message is lost.',
      how: 'A retained message comes twice, for two SUBSCRIBEs; messages are published while the filter is subscribed to ten times: all come.',
      async run(trial) {
        const topic = trial.name('topic')
        const publisher = await second(trial)
        await retain(trial, publisher, `${topic}/retained`, 'retained')
        const wire = await connected(trial)
        for (const round of ['first', 'second']) {
          await subscribe(wire, { topic: `${topic}/retained` })
          await mustReceive(wire, 'retained', `for the ${round} SUBSCRIBE`)
        }
        await subscribe(wire, { topic: `${topic}/live`, rh: 2 })
        const published = (async (): Promise<void> => {
          for (let index = 0; index < 30; index++) await publish(publisher, `${topic}/live`, `${index}`)
        })()
        for (let round = 0; round < 10; round++) await subscribe(wire, { topic: `${topic}/live`, rh: 2 })
        await published
        for (let index = 0; index < 30; index++) await mustReceive(wire, `${index}`, 'while its subscription was replaced')
      },
      mutants: [
        sees('takes Retain Handling 0 for 1', 'subscribe', (each) => ({
          ...each,
          subscriptions: each.subscriptions.map((one) => (one.rh === 0 ? { ...one, rh: 1 as const } : one)),
        })),
        changes('loses one in ten', 'publish', ({ payload }) => (payload.toString() === '17' ? 'drop' : undefined)),
      ],
    },
    {
      id: 'MQTT-3.8.4-5',
      level: 'must',
      says: 'A SUBSCRIBE with several filters is as several SUBSCRIBEs with one answer.',
      how: 'Three filters of QoS 0, 1 and 2 in one SUBSCRIBE: one SUBACK, and messages of each at its QoS.',
      async run(trial) {
        const topic = trial.name('topic')
        const wire = await connected(trial)
        await granted(
          wire,
          [0, 1, 2].map((qos) => [`${topic}/${qos}`, qos] as const),
        )
        for (const qos of [0, 1, 2]) {
          await publish(wire, `${topic}/${qos}`, `${qos}`, { qos: 2 })
          mustEqual((await mustReceive(wire, `${qos}`, 'out of order')).qos, qos, 'the QoS')
        }
        mustBe(!wire.inbox.unread.some(({ cmd }) => cmd === 'suback'), 'a second SUBACK came')
      },
      mutants: [
        sees('subscribes to the first only', 'subscribe', (each) => ({ ...each, subscriptions: each.subscriptions.slice(0, 1) })),
        edits('answers twice', () => () => ({ toClient: (each, raw) => (each.cmd === 'suback' ? [raw, raw] : undefined) })),
      ],
    },
    {
      id: 'MQTT-3.8.4-6',
      level: 'must',
      says: 'SUBACK has a reason code for each filter.',
      how: 'SUBSCRIBEs with one filter, with three and with twenty.',
      async run(trial) {
        const wire = await connected(trial)
        for (const count of [1, 3, 20]) {
          const codes = await granted(
            wire,
            Array.from({ length: count }, (_, index) => [trial.name(`topic-${index}`), 1] as const),
          )
          mustEqual(codes.length, count, 'the number of reason codes')
        }
      },
      mutants: [
        changes('leaves the last out', 'suback', ({ granted: codes, messageId }) =>
          packet(0x90, u16(messageId ?? 0), properties(), ...codes.slice(0, Math.max(1, codes.length - 1)).map(Number)),
        ),
        changes('has one for all', 'suback', ({ messageId }) => packet(0x90, u16(messageId ?? 0), properties(), 1)),
      ],
    },
    {
      id: 'MQTT-3.8.4-7',
      level: 'must',
      says: 'The reason code of a filter is the greatest QoS that was granted, or says that it was refused.',
      how: 'Filters of each QoS, and invalid ones if the connection stands them: no greater QoS than was asked for, and messages come at the one that was granted.',
      async run(trial) {
        const topic = trial.name('topic')
        const wire = await connected(trial)
        for (const qos of [0, 1, 2]) {
          const [answer = 0xff] = await granted(wire, [[`${topic}/${qos}`, qos]])
          mustBe(answer <= qos, `SUBACK has ${code(answer)} for a subscription of QoS ${qos}`)
          await publish(wire, `${topic}/${qos}`, 'x', { qos: 2 })
          mustEqual((await receive(wire)).qos, answer, 'the QoS of a message, by the one that was granted,')
        }
      },
      mutants: [
        changes('grants 2 always', 'suback', (suback) => ({ ...suback, granted: [2] })),
        changes('says 0 always', 'suback', (suback) => ({ ...suback, granted: [0] })),
      ],
    },
    {
      id: 'MQTT-3.8.4-8',
      level: 'must',
      says: 'A message comes at the smaller of the QoS it was published at and the QoS that was granted.',
      how: 'Messages of each QoS, to subscriptions of each QoS.',
      async run(trial) {
        const topic = trial.name('topic')
        const wire = await connected(trial)
        for (const granting of [0, 1, 2]) {
          const [most = 0] = await granted(wire, [[`${topic}/${granting}`, granting]])
          for (const qos of [0, 1, 2] as const) {
            await publish(wire, `${topic}/${granting}`, 'x', { qos })
            mustEqual((await receive(wire)).qos, Math.min(qos, most), `the QoS of a message of QoS ${qos} for a subscription of QoS ${most}`)
          }
        }
      },
      mutants: [
        changes('sends all at QoS 0', 'publish', ({ topic, payload }) => publishPacket(topic, payload)),
        edits('grants what is asked for, and sends at QoS 2', () => () => {
          const asked: number[] = []
          return {
            toBroker: (each) => {
              if (each.cmd !== 'subscribe') return undefined
              asked.push(each.subscriptions[0]?.qos ?? 0)
              return { ...each, subscriptions: each.subscriptions.map((one) => ({ ...one, qos: 2 as const })) }
            },
            toClient: (each) => (each.cmd === 'suback' ? { ...each, granted: [asked.shift() ?? 0] } : undefined),
          }
        }),
      ],
    },
    ...(
      [
        ['1', 'Reason String', addsLongReason],
        ['2', 'User Property', addsLongUserProperty],
      ] as const
    ).map(([number, what, long]): Chapter['clauses'][number] => ({
      id: `MQTT-3.9.2-${number}`,
      level: 'must',
      says: `SUBACK has no ${what} that makes it larger than its client takes.`,
      how: 'A Maximum Packet Size of 200, and SUBSCRIBEs that are granted and that may be refused.',
      async run(trial) {
        const wire = await connected(trial, { properties: { maximumPacketSize: 200 } })
        for (const filter of [trial.name('topic'), `$SYS/${trial.name('nothing')}`, `$share/${trial.name('group')}/a`]) {
          wire.send(subscribeBytes([[filter, 1]]))
          const { raw } = await wire.next('suback')
          mustBe(raw.length <= 200, `a SUBACK of ${raw.length} bytes was sent to a client that takes 200`)
        }
      },
      mutants: [long('suback')],
    })),
    {
      id: 'MQTT-3.9.3-1',
      level: 'must',
      says: 'The reason codes of SUBACK are in the order of the filters.',
      how: 'Filters of QoS 2, 0, 1 and 0 in one SUBSCRIBE; codes that differ from what each alone is granted are out of order.',
      async run(trial) {
        const topic = trial.name('topic')
        const wire = await connected(trial)
        const alone: number[] = []
        const filters = [2, 0, 1, 0].map((qos, index) => [`${topic}/${index}`, qos] as const)
        for (const filter of filters) alone.push(...(await granted(wire, [filter])))
        mustEqual((await granted(wire, filters)).join(), alone.join(), 'the reason codes of one SUBACK')
      },
      mutants: [
        changes('turns them round', 'suback', (suback) => ({ ...suback, granted: suback.granted.map(Number).toReversed() })),
        changes('sorts them', 'suback', (suback) => ({ ...suback, granted: suback.granted.map(Number).toSorted() })),
      ],
    },
    {
      id: 'MQTT-3.9.3-2',
      level: 'must',
      says: 'Each reason code of SUBACK is one of its table.',
      how: 'SUBSCRIBEs of each QoS, under $SYS, and shared; the wire holds reason codes against the table.',
      async run(trial) {
        const wire = await connected(trial)
        for (const options of [0, 1, 2]) await granted(wire, [[trial.name('topic'), options]])
        await granted(wire, [
          [`$SYS/${trial.name('nothing')}`, 1],
          [`$share/${trial.name('group')}/a`, 1],
        ])
      },
      mutants: [
        changes('says 0x03', 'suback', ({ messageId, granted: codes }) => packet(0x90, u16(messageId ?? 0), properties(), ...codes.map(() => 3))),
        changes('says 0x11', 'suback', ({ messageId, granted: codes }) => packet(0x90, u16(messageId ?? 0), properties(), ...codes.map(() => 0x11))),
      ],
    },
    {
      id: 'MQTT5 3.8.4-a',
      level: 'must',
      says: 'A Subscription Identifier belongs to its subscription until that is replaced or ends, over reconnects of its session too.',
      how: 'A kept session subscribes with an identifier, goes and comes back: messages still have it; a SUBSCRIBE without one takes it away.',
      async run(trial) {
        const topic = trial.name('topic')
        const kept = { properties: { sessionExpiryInterval: 30 } }
        const before = await connected(trial, kept)
        await subscribe(before, { topic }, 16_384)
        before.destroy()
        const wire = await connected(trial, { ...kept, clean: false })
        const publisher = await second(trial)
        const identifiers = async (): Promise<string> => {
          await publish(publisher, topic, 'x')
          return propertiesOf((await receive(wire)).raw)
            .flatMap(({ id, value }) => (id === ID.subscriptionIdentifier ? [value.toString('hex')] : []))
            .join()
        }
        mustEqual(await identifiers(), varint(16_384).toString('hex'), 'the Subscription Identifier of a session that came back')
        await subscribe(wire, { topic })
        mustEqual(await identifiers(), '', 'the Subscription Identifier of a subscription that was replaced by one without')
      },
      mutants: [
        changesProperties('forgets identifiers', 'publish', (before) => before.filter(({ id }) => id !== ID.subscriptionIdentifier)),
        changesProperties('keeps the identifier of a subscription that was replaced', 'publish', (before) => [
          ...before.filter(({ id }) => id !== ID.subscriptionIdentifier),
          { id: ID.subscriptionIdentifier, value: varint(16_384) },
        ]),
      ],
    },
    {
      id: 'MQTT5 3.8.2.1-a',
      level: 'must',
      says: 'A property of another packet in SUBSCRIBE makes it malformed.',
      how: 'SUBSCRIBE with a Session Expiry Interval.',
      async run(trial) {
        await watching(trial, trial.name('topic'))
        await closesEach(trial, {
          'a SUBSCRIBE with a Session Expiry Interval': subscribeBytes([[trial.name('topic'), 1]], [ID.sessionExpiry, u32(1)]),
        })
      },
      mutants: [neverCloses],
    },
  ],
}
