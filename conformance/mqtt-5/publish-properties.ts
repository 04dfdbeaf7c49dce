// MQTT 5.0, 3.3.2: topic name, packet identifier and properties of PUBLISH.
import type { Chapter } from '../check.ts'
import { packet, properties, string, u16, u32 } from '../mqtt/bytes.ts'
import { changes, edits, sees } from '../mqtt/mutants.ts'
import { neverCloses } from '../mutant.ts'
import { mustBe, mustEqual, notSupported } from '../outcome.ts'
import type { Trial } from '../trial.ts'
import { adds, changesProperties, leavesOut } from './mutants.ts'
import { ID, propertiesOf } from './properties.ts'
import {
  A_WHILE,
  closes,
  closesEach,
  connected,
  mustReceive,
  opened,
  pause,
  publish,
  publishBytes,
  receive,
  retain,
  second,
  subscribe,
  watching,
} from './session.ts'

const KEPT = { properties: { sessionExpiryInterval: A_WHILE } }

/** One that is there once. */
function once(section: string, name: string, id: number, value: Buffer | number): Chapter['clauses'][number] {
  return {
    id: `MQTT5 ${section}-a`,
    level: 'must',
    says: `Two ${name} properties in a PUBLISH are a protocol error: the connection ends.`,
    how: 'PUBLISH with the property twice.',
    run: (trial) => closesEach(trial, { [`a PUBLISH with two ${name} properties`]: publishBytes(trial.name('topic'), [id, value, id, value]) }),
    mutants: [neverCloses],
  }
}

/** One that is handed on as it is. */
function unaltered(
  id: string,
  name: string,
  property: number,
  values: readonly (readonly [what: string, value: Buffer])[],
): Chapter['clauses'][number] {
  return {
    id,
    level: 'must',
    says: `The ${name} of a message goes to all its subscribers as it is.`,
    how: `Messages with it (${values.map(([what]) => what).join('; ')}) and one without, to two subscribers, one of whom gets them from a kept session, and retained to one that comes later.`,
    async run(trial) {
      const topic = trial.name('topic')
      const publisher = await second(trial)
      const watchers = [await watching(trial, `${topic}/+`)]
      const away = await connected(trial, KEPT)
      await subscribe(away, { topic: `${topic}/+` })
      away.destroy()
      for (const [index, [, value]] of values.entries()) {
        publisher.send(publishBytes(`${topic}/${index}`, [property, value], 'with it', 0x32))
        mustBe(((await publisher.next('puback')).reasonCode ?? 0) < 0x80, `a PUBLISH with this ${name} was refused`)
      }
      await publish(publisher, `${topic}/none`, 'without it')
      watchers.push(await connected(trial, { ...KEPT, clean: false }))
      const of = (raw: Buffer): readonly Buffer[] => propertiesOf(raw).flatMap(({ id: is, value }) => (is === property ? [value] : []))
      for (const watcher of watchers) {
        for (let count = 0; count <= values.length; count++) {
          const message = await receive(watcher)
          const index = message.topic.slice(topic.length + 1)
          const wanted = index === 'none' ? [] : [values[Number(index)]?.[1] ?? Buffer.alloc(0)]
          mustEqual(of(message.raw).map(hexOf).join(), wanted.map(hexOf).join(), `the ${name}, as it is encoded,`)
        }
      }
      const [, value] = values[0] ?? ['', Buffer.alloc(0)]
      await retain(trial, publisher, `${topic}/retained/a`, 'x')
      publisher.send(publishBytes(`${topic}/retained/a`, [property, value], 'retained', 0x33))
      await publisher.next('puback')
      const late = await watching(trial, `${topic}/retained/a`, { clientId: trial.name('late') })
      mustEqual(
        of((await mustReceive(late, 'retained', 'the retained message')).raw)
          .map(hexOf)
          .join(),
        hexOf(value),
        `the ${name} of a retained message`,
      )
    },
    mutants: [
      leavesOut(`the ${name}`, 'publish', property),
      changesProperties(`changes the ${name}`, 'publish', (before) =>
        before.map((each) => (each.id === property ? { ...each, value: bent(each.value) } : each)),
      ),
      ...(values[0] === undefined ? [] : [adds(`a ${name} that nobody gave`, 'publish', property, values[0][1])]),
    ],
  }
}

const hexOf = (bytes: Buffer): string => bytes.toString('hex')

/** Another value of the same length, that is still well-formed. */
function bent(value: Buffer): Buffer {
  const changed = Buffer.from(value)
  const last = changed.length - 1
  changed[last] = (changed[last] ?? 0) ^ 1
  return changed
}

export const publishProperties: Chapter = {
  title: '3.3.2 PUBLISH variable header',
  clauses: [
    {
      id: 'MQTT-3.3.2-1',
      level: 'must',
      says: 'The topic name is the first field of PUBLISH and a UTF-8 string: a PUBLISH where it is not is malformed.',
      how: 'PUBLISH that ends within its topic name, one with no body, and one with ill-formed UTF-8; a topic name of umlauts comes as it is.',
      async run(trial) {
        await closesEach(trial, {
          'a PUBLISH without a body': packet(0x30),
          'a PUBLISH that ends within its topic name': packet(0x30, u16(20), Buffer.from('short')),
          'a PUBLISH whose topic name is no UTF-8': packet(0x30, string(Buffer.from([0x61, 0xff])), properties()),
        })
        const wire = await watching(trial, `${trial.name('topic')}/#`)
        await publish(wire, `${trial.name('topic')}/über/größe/水`, 'x')
        mustEqual((await receive(wire)).topic, `${trial.name('topic')}/über/größe/水`, 'the topic name')
      },
      mutants: [
        neverCloses,
        changes('takes UTF-8 for Latin 1', 'publish', (message) => ({ ...message, topic: Buffer.from(message.topic).toString('latin1') })),
      ],
    },
    {
      id: 'MQTT-3.3.2-2',
      level: 'must',
      says: 'A topic name has no wildcards: a PUBLISH with one is not accepted.',
      how: 'PUBLISH of QoS 0 to topics with + and #: the connection ends.',
      run: (trial) =>
        closesEach(trial, {
          'a PUBLISH to a topic name with #': publishBytes(`${trial.name('topic')}/#`, []),
          'a PUBLISH to a topic name with +': publishBytes(`${trial.name('topic')}/+/x`, []),
          'a PUBLISH to a topic name with + inside a level': publishBytes(`${trial.name('topic')}/a+b`, []),
        }),
      mutants: [neverCloses],
    },
    {
      id: 'MQTT-3.3.2-3',
      level: 'must',
      says: 'The topic name of what is sent matches the filter of the subscription.',
      how: 'Messages on topics that match and that do not; all that come match, and have the topic they were published to.',
      async run(trial) {
        const topic = trial.name('topic')
        const wire = await watching(trial, `${topic}/+/x`)
        const publisher = await second(trial)
        for (const [index, rest] of ['a/x', 'a/y', 'a/b/x', 'b/x', 'x', 'a/x/', '/x'].entries())
          await publish(publisher, `${topic}/${rest}`, `${index} ${topic}/${rest}`)
        await publish(publisher, `${topic}/last/x`, `last ${topic}/last/x`)
        for (let name = ''; name !== `${topic}/last/x`; ) {
          const message = await receive(wire)
          name = message.topic
          const [one, two, ...more] = name.slice(topic.length + 1).split('/')
          mustBe(
            name.startsWith(`${topic}/`) && one !== undefined && two === 'x' && more.length === 0,
            `a message on ${name} was sent, which does not match`,
          )
          mustEqual(message.payload.toString().split(' ')[1], name, 'the topic it was published to')
        }
      },
      mutants: [
        sees('takes + for #', 'subscribe', (each) => ({
          ...each,
          subscriptions: each.subscriptions.map((one) => ({ ...one, topic: one.topic.replace(/\+\/x$/, '#') })),
        })),
        changes('sends the filter for the topic', 'publish', (message) => ({ ...message, topic: message.topic.replace('/a/', '/z/') })),
      ],
    },
    {
      id: 'MQTT5 3.3.2.1-a',
      level: 'must',
      says: 'A PUBLISH with no topic name and no Topic Alias is a protocol error: the connection ends.',
      how: 'A PUBLISH whose topic name has no length.',
      run: (trial) => closesEach(trial, { 'a PUBLISH without topic name and alias': publishBytes('', [], 'x') }),
      mutants: [neverCloses],
    },
    once('3.3.2.3.2', 'Payload Format Indicator', ID.payloadFormat, 0),
    unaltered('MQTT-3.3.2-4', 'Payload Format Indicator', ID.payloadFormat, [['1', Buffer.of(1)]]),
    once('3.3.2.3.3', 'Message Expiry Interval', ID.messageExpiry, u32(60)),
    {
      id: 'MQTT-3.3.2-5',
      level: 'must',
      says: 'A message whose Message Expiry Interval has passed before its delivery began is deleted for that subscriber.',
      how: 'A message of 1 s and one without waits for a kept session; after 2.2 s it comes back: the first it gets is the one without. The same for a retained message.',
      async run(trial) {
        const topic = trial.name('topic')
        const publisher = await second(trial)
        const away = await connected(trial, KEPT)
        await subscribe(away, { topic })
        away.destroy()
        await publish(publisher, topic, 'expires', { properties: { messageExpiryInterval: 1 } })
        await publish(publisher, topic, 'stays')
        await retain(trial, publisher, `${topic}/retained`, 'expires', { properties: { messageExpiryInterval: 1 } })
        await pause(2200)
        const wire = await connected(trial, { ...KEPT, clean: false })
        await mustReceive(wire, 'stays', 'a message whose expiry of 1 s had passed')
        await subscribe(wire, { topic: `${topic}/retained` })
        await publish(publisher, `${topic}/retained`, 'a later message')
        await mustReceive(wire, 'a later message', 'a retained message whose expiry of 1 s had passed')
      },
      mutants: [
        sees('takes no notice of the expiry', 'publish', ({ properties: _, ...message }) => message),
        sees('takes no notice of the expiry of what is retained', 'publish', ({ properties: _, ...message }) =>
          message.retain ? message : undefined,
        ),
      ],
    },
    {
      id: 'MQTT-3.3.2-6',
      level: 'must',
      says: 'What is sent has the Message Expiry Interval that is left: the one that came less the time that the message has waited.',
      how: 'A message of 100 s waits 2.2 s for a kept session, one comes at once, and one without has none.',
      async run(trial) {
        const topic = trial.name('topic')
        const publisher = await second(trial)
        const before = await connected(trial, KEPT)
        await subscribe(before, { topic })
        await publish(publisher, topic, 'at once', { properties: { messageExpiryInterval: 100 } })
        const prompt = await mustReceive(before, 'at once', 'out of order')
        const fresh = prompt.properties?.messageExpiryInterval ?? -1
        mustBe(fresh >= 98 && fresh <= 100, `the Message Expiry Interval is ${fresh} where 100 was given and nothing waited`)
        await before.ping()
        before.destroy()
        await publish(publisher, topic, 'waits', { properties: { messageExpiryInterval: 100 } })
        await publish(publisher, topic, 'no expiry')
        await pause(2200)
        const wire = await connected(trial, { ...KEPT, clean: false })
        const late = (await mustReceive(wire, 'waits', 'out of order')).properties?.messageExpiryInterval ?? -1
        mustBe(late >= 90 && late <= 98, `the Message Expiry Interval is ${late} where 100 was given, and the message has waited 2.2 s`)
        const none = await mustReceive(wire, 'no expiry', 'out of order')
        mustEqual(none.properties?.messageExpiryInterval, undefined, 'the Message Expiry Interval of a message that has none')
      },
      mutants: [
        leavesOut('the Message Expiry Interval', 'publish', ID.messageExpiry),
        changesProperties('sends the Message Expiry Interval as it came', 'publish', (before) =>
          before.map((each) => (each.id === ID.messageExpiry ? { ...each, value: u32(100) } : each)),
        ),
        adds('a Message Expiry Interval', 'publish', ID.messageExpiry, u32(95)),
      ],
    },
    ...aliases(),
    once('3.3.2.3.5', 'Response Topic', ID.responseTopic, string('responses')),
    {
      id: 'MQTT-3.3.2-13',
      level: 'must',
      says: 'A Response Topic is a UTF-8 string: a PUBLISH with another is malformed.',
      how: 'Response Topics with a surrogate and with U+0000.',
      run: (trial) =>
        closesEach(trial, {
          'a Response Topic with a surrogate': publishBytes(trial.name('topic'), [ID.responseTopic, string(Buffer.from([0x61, 0xed, 0xa0, 0x80]))]),
          'a Response Topic with U+0000': publishBytes(trial.name('topic'), [ID.responseTopic, string('a\0b')]),
        }),
      mutants: [neverCloses],
    },
    {
      id: 'MQTT-3.3.2-14',
      level: 'must',
      says: 'A Response Topic has no wildcards: a PUBLISH with such a one is not handed on.',
      how: 'PUBLISH of QoS 0 with Response Topics with + and #: a later message comes, and they do not.',
      async run(trial) {
        const topic = trial.name('topic')
        const watcher = await watching(trial, topic)
        for (const [index, wild] of ['a/#', '+/b', '#'].entries()) {
          const wire = await connected(trial, { clientId: trial.name(`client-${index}`) })
          wire.send(Buffer.concat([publishBytes(topic, [ID.responseTopic, string(wild)], `reply to ${wild}`), packet(0xc0)]))
          // The broker may end the connection, or take no notice of the message: either is seen before the next step.
          await wire.inbox.next('an answer to PINGREQ, or the end of the connection')
        }
        await publish(watcher, topic, 'a later message')
        await mustReceive(watcher, 'a later message', 'a message was handed on whose Response Topic has wildcards')
      },
      mutants: [
        sees('takes wildcards in a Response Topic', 'publish', (message) =>
          message.properties?.responseTopic === undefined ? undefined : { ...message, properties: { responseTopic: 'a/b' } },
        ),
      ],
    },
    unaltered('MQTT-3.3.2-15', 'Response Topic', ID.responseTopic, [
      ['of letters', string('responses/of/somebody')],
      ['with spaces and dots', string('a.b/c d/*/>')],
    ]),
    once('3.3.2.3.6', 'Correlation Data', ID.correlationData, string('data')),
    unaltered('MQTT-3.3.2-16', 'Correlation Data', ID.correlationData, [
      ['bytes that are no text', string(Buffer.from([0, 0xff, 0xfe, 1]))],
      ['text', string('request 7')],
    ]),
    unaltered('MQTT-3.3.2-17', 'User Property', ID.userProperty, [
      ['a name and a value', Buffer.concat([string('name'), string('a value with ümlauts')])],
      ['a name that other protocols use', Buffer.concat([string('content-type'), string('a')])],
    ]),
    {
      id: 'MQTT-3.3.2-18',
      level: 'must',
      says: 'User Properties are handed on in their order, names that come twice too.',
      how: 'A message with six, of three names, and with an empty one.',
      async run(trial) {
        const topic = trial.name('topic')
        const wire = await watching(trial, topic)
        const pairs = [['b', '1'] as const, ['a', '2'] as const, ['b', '3'] as const, ['c', ''] as const, ['a', '5'] as const, ['b', '1'] as const]
        const given = pairs.map(([name, value]) => Buffer.concat([string(name), string(value)]))
        wire.send(
          publishBytes(
            topic,
            given.flatMap((pair) => [ID.userProperty, pair]),
            'x',
            0x32,
          ),
        )
        const { raw } = await receive(wire)
        const got = propertiesOf(raw).flatMap(({ id, value }) => (id === ID.userProperty ? [hexOf(value)] : []))
        mustEqual(got.join(' '), given.map(hexOf).join(' '), 'the User Properties, as they are encoded,')
      },
      mutants: [
        changesProperties('sorts the User Properties', 'publish', (before) => before.toSorted((a, b) => a.value.compare(b.value))),
        changesProperties('sends the same pair once', 'publish', (before) =>
          before.filter(({ value }, index) => before.findIndex((each) => each.value.equals(value)) === index),
        ),
      ],
    },
    {
      id: 'MQTT5 3.3.2.3.8-a',
      level: 'must',
      says: 'A PUBLISH of a client has no Subscription Identifier, and none has one of 0.',
      how: 'A PUBLISH of a client with Subscription Identifier 0.',
      run: (trial) => closesEach(trial, { 'a Subscription Identifier of 0': publishBytes(trial.name('topic'), [ID.subscriptionIdentifier, 0]) }),
      mutants: [neverCloses],
    },
    once('3.3.2.3.9', 'Content Type', ID.contentType, string('text/plain')),
    {
      id: 'MQTT-3.3.2-19',
      level: 'must',
      says: 'A Content Type is a UTF-8 string: a PUBLISH with another is malformed.',
      how: 'Content Types with a surrogate and with U+0000.',
      run: (trial) =>
        closesEach(trial, {
          'a Content Type with a surrogate': publishBytes(trial.name('topic'), [ID.contentType, string(Buffer.from([0x61, 0xed, 0xa0, 0x80]))]),
          'a Content Type with U+0000': publishBytes(trial.name('topic'), [ID.contentType, string('a\0b')]),
        }),
      mutants: [neverCloses],
    },
    unaltered('MQTT-3.3.2-20', 'Content Type', ID.contentType, [
      ['a MIME type', string('text/plain; charset=utf-8')],
      ['any other text', string('größe, nothing else')],
    ]),
  ],
}

/** The Topic Alias Maximum of the broker. */
async function aliasMaximum(trial: Trial, clientId: string): Promise<Readonly<{ wire: Awaited<ReturnType<typeof connected>>; maximum: number }>> {
  const { wire, connack } = await opened(trial, { clientId, ...KEPT })
  return { wire, maximum: connack.properties?.topicAliasMaximum ?? 0 }
}

/** 3.3.2.3.4 */
function aliases(): Chapter['clauses'] {
  return [
    {
      id: 'MQTT-3.3.2-7',
      level: 'must',
      says: 'What a Topic Alias stands for ends with its connection.',
      how: 'A connection names a topic by alias 1, the next one of the same session uses alias 1 without having named it: it ends, and nothing is published.',
      async run(trial) {
        const topic = trial.name('topic')
        const watcher = await watching(trial, topic)
        const { wire, maximum } = await aliasMaximum(trial, trial.name('client'))
        if (maximum === 0) notSupported('CONNACK has no Topic Alias Maximum')
        wire.send(publishBytes(topic, [ID.topicAlias, u16(1)], 'named'))
        await mustReceive(watcher, 'named', 'out of order')
        wire.destroy()
        const next = await connected(trial, { ...KEPT, clean: false })
        await closes(next, publishBytes('', [ID.topicAlias, u16(1)], 'of the last connection'), 'an alias that this connection has not named')
        await publish(watcher, topic, 'a later message')
        await mustReceive(watcher, 'a later message', 'an alias of another connection was understood')
      },
      mutants: [
        neverCloses,
        edits('keeps aliases', () => {
          let named = ''
          return () => ({
            toBroker: (each) => {
              if (each.cmd !== 'publish' || each.properties?.topicAlias === undefined) return undefined
              if (each.topic === '') return { ...each, topic: named, properties: {} }
              named = each.topic
              return undefined
            },
          })
        }),
      ],
    },
    {
      id: 'MQTT-3.3.2-8',
      level: 'must',
      says: 'A Topic Alias is not 0: a PUBLISH with that is a protocol error.',
      how: 'A PUBLISH with Topic Alias 0.',
      run: (trial) => closesEach(trial, { 'a Topic Alias of 0': publishBytes(trial.name('topic'), [ID.topicAlias, u16(0)]) }),
      mutants: [neverCloses],
    },
    {
      id: 'MQTT5 3.3.2.3.4-b',
      level: 'must',
      says: "A Topic Alias greater than the server's Topic Alias Maximum is a protocol error.",
      how: 'A PUBLISH with an alias one greater than CONNACK allows.',
      async run(trial) {
        const { wire, maximum } = await aliasMaximum(trial, trial.name('client'))
        if (maximum === 65_535) return
        await closes(wire, publishBytes(trial.name('topic'), [ID.topicAlias, u16(maximum + 1)]), `a Topic Alias of ${maximum + 1}`)
      },
      mutants: [neverCloses],
    },
    once('3.3.2.3.4', 'Topic Alias', ID.topicAlias, u16(1)),
    {
      id: 'MQTT5 3.3.2.3.4-c',
      level: 'must',
      says: 'A Topic Alias that stands for nothing is a protocol error.',
      how: 'A PUBLISH without a topic name, with an alias that was not named before.',
      async run(trial) {
        const { wire } = await aliasMaximum(trial, trial.name('client'))
        await closes(wire, publishBytes('', [ID.topicAlias, u16(1)]), 'a Topic Alias that stands for nothing')
      },
      mutants: [neverCloses],
    },
    {
      id: 'MQTT-3.3.2-11',
      level: 'must',
      says: "A PUBLISH of the server has no Topic Alias greater than the client's Topic Alias Maximum.",
      how: 'Topic Alias Maximum 1; messages of three topics come.',
      async run(trial) {
        const topic = trial.name('topic')
        const publisher = await second(trial)
        const wire = await connected(trial, { properties: { topicAliasMaximum: 1 } })
        await subscribe(wire, { topic: `${topic}/+` })
        for (const letter of 'abcabc') await publish(publisher, `${topic}/${letter}`, letter)
        for (let count = 0; count < 6; count++) {
          const alias = (await receive(wire)).properties?.topicAlias ?? 1
          mustBe(alias === 1, `a PUBLISH has the Topic Alias ${alias}`)
        }
      },
      mutants: [
        changesProperties('sends a Topic Alias of 2', 'publish', (before) => [
          ...before.filter(({ id }) => id !== ID.topicAlias),
          { id: ID.topicAlias, value: u16(2) },
        ]),
      ],
    },
    {
      id: 'MQTT-3.3.2-12',
      level: 'must',
      says: "All aliases from 1 to the server's Topic Alias Maximum are accepted.",
      how: 'The first, the second, the middle one and the last are each given a topic, then used without it, then given another.',
      async run(trial) {
        const topic = trial.name('topic')
        const watcher = await watching(trial, `${topic}/#`)
        const { wire, maximum } = await aliasMaximum(trial, trial.name('client'))
        if (maximum === 0) notSupported('CONNACK has no Topic Alias Maximum')
        const used = [...new Set([1, 2, Math.ceil(maximum / 2), maximum])].filter((alias) => alias <= maximum)
        for (const round of ['one', 'two']) {
          for (const alias of used) wire.send(publishBytes(`${topic}/${round}/${alias}`, [ID.topicAlias, u16(alias)], 'named'))
          for (const alias of used) wire.send(publishBytes('', [ID.topicAlias, u16(alias)], 'by alias'))
          const got: string[] = []
          for (let count = 0; count < 2 * used.length; count++) {
            const message = await receive(watcher)
            got.push(`${message.topic} ${message.payload.toString()}`)
          }
          const wanted = used.flatMap((alias) => [`${topic}/${round}/${alias} named`, `${topic}/${round}/${alias} by alias`])
          mustEqual(got.toSorted().join(', '), wanted.toSorted().join(', '), 'what was published')
        }
      },
      mutants: [
        sees('does not know the last alias', 'publish', (message) => ((message.properties?.topicAlias ?? 0) > 2 ? 'close' : undefined)),
        edits('does not give an alias another topic', () => () => {
          const named = new Map<number, string>()
          return {
            toBroker: (each) => {
              const alias = each.cmd === 'publish' ? each.properties?.topicAlias : undefined
              if (each.cmd !== 'publish' || alias === undefined) return undefined
              if (each.topic !== '' && !named.has(alias)) named.set(alias, each.topic)
              return each.topic === '' ? { ...each, topic: named.get(alias) ?? '', properties: {} } : undefined
            },
          }
        }),
      ],
    },
  ]
}
