// MQTT 5.0, 1.5: how data is represented. What a broker reads is in the bytes of the checks, what it writes is held by the wire itself.
import type { Chapter } from '../check.ts'
import { packet, properties, string, u16, varint } from '../mqtt/bytes.ts'
import { changes, mistakes } from '../mqtt/mutants.ts'
import { neverCloses } from '../mutant.ts'
import { mustBe } from '../outcome.ts'
import type { Trial } from '../trial.ts'
import { ID, longVarint, readVarint, withProperties } from './properties.ts'
import { closesEach, connectBytes, connected, publish, publishBytes, receive, refusesEach, subscribe } from './session.ts'

/** With this string in every place of CONNECT that has one. */
function connects(trial: Trial, bad: Buffer): Record<string, Buffer> {
  const id = string(trial.name('client'))
  const empty = properties()
  return {
    'a Client Identifier': connectBytes(trial, { payload: [string(bad)] }),
    'a Will Topic': connectBytes(trial, { flags: 0x06, payload: [id, empty, string(bad), string('w')] }),
    'a Content Type of a will': connectBytes(trial, {
      flags: 0x06,
      payload: [id, properties(ID.contentType, string(bad)), string(trial.name('will')), string('w')],
    }),
    'a User Property of CONNECT': connectBytes(trial, { properties: [ID.userProperty, string('k'), string(bad)] }),
  }
}

/** The same of the packets that follow. */
function packets(trial: Trial, bad: Buffer): Record<string, Buffer> {
  const topic = trial.name('topic')
  return {
    'a Topic Name': publishBytes(bad, []),
    'a Content Type': publishBytes(topic, [ID.contentType, string(bad)]),
    'a Response Topic': publishBytes(topic, [ID.responseTopic, string(bad)]),
    'a Topic Filter': packet(0x82, u16(1), properties(), string(bad), 1),
    'a Topic Filter of UNSUBSCRIBE': packet(0xa2, u16(1), properties(), string(bad)),
    'a Reason String': packet(0xe0, 0x04, properties(ID.reasonString, string(bad))),
  }
}

const named = (cases: Readonly<Record<string, Buffer>>, how: string): Record<string, Buffer> =>
  Object.fromEntries(Object.entries(cases).map(([where, bytes]) => [`${where} with ${how}`, bytes]))

const SURROGATE = Buffer.from([0x61, 0xed, 0xa0, 0x80])
const OVERLONG = Buffer.from([0x61, 0xc1, 0x81])
const CUT_SHORT = Buffer.from([0x61, 0xe2, 0x82])
const NULL = Buffer.from([0x61, 0x00, 0x62])
const MARK = Buffer.from([0xef, 0xbb, 0xbf])

export const data: Chapter = {
  title: '1.5 Data representation',
  clauses: [
    {
      id: 'MQTT-1.5.4-1',
      level: 'must',
      says: 'A string that is no well-formed UTF-8 makes its packet malformed: the connection ends.',
      how: 'A surrogate, an overlong encoding and a sequence cut short, in strings of CONNECT, PUBLISH, SUBSCRIBE, UNSUBSCRIBE and DISCONNECT.',
      async run(trial) {
        await Promise.all([
          refusesEach(trial, named(connects(trial, SURROGATE), 'a surrogate')),
          refusesEach(trial, named(connects(trial, OVERLONG), 'an overlong encoding')),
          closesEach(trial, {
            ...named(packets(trial, SURROGATE), 'a surrogate'),
            ...named(packets(trial, OVERLONG), 'an overlong encoding'),
            ...named(packets(trial, CUT_SHORT), 'a sequence cut short'),
          }),
        ])
      },
      mutants: [
        neverCloses,
        mistakes('takes surrogates', SURROGATE, Buffer.from('abcd')),
        mistakes('takes overlong encodings', OVERLONG, Buffer.from('abc')),
        mistakes('takes sequences that are cut short', CUT_SHORT, Buffer.from('abc')),
      ],
    },
    {
      id: 'MQTT-1.5.4-2',
      level: 'must',
      says: 'A string with U+0000 in it makes its packet malformed: the connection ends.',
      how: 'U+0000 in strings of CONNECT, PUBLISH, SUBSCRIBE, UNSUBSCRIBE and DISCONNECT.',
      async run(trial) {
        await Promise.all([refusesEach(trial, named(connects(trial, NULL), 'U+0000')), closesEach(trial, named(packets(trial, NULL), 'U+0000'))])
      },
      mutants: [neverCloses, mistakes('takes U+0000 for a letter', NULL, Buffer.from('aeb'))],
    },
    {
      id: 'MQTT-1.5.4-3',
      level: 'must',
      says: 'The bytes EF BB BF are U+FEFF wherever they stand in a string, and are not left out.',
      how: 'A topic, a content type and a user property that begin with them, published and received.',
      async run(trial) {
        const wire = await connected(trial)
        const topic = trial.name('topic')
        await subscribe(wire, { topic: `${topic}/+` })
        wire.send(
          publishBytes(
            `${topic}/\u{feff}a`,
            [ID.contentType, string('\u{feff}b'), ID.userProperty, string('\u{feff}c'), string('\u{feff}d')],
            'with the mark',
          ),
        )
        const { raw } = await receive(wire)
        for (const letter of 'abcd')
          mustBe(raw.includes(Buffer.concat([MARK, Buffer.from(letter)])), `the mark before "${letter}" is gone from the PUBLISH that came`)
      },
      mutants: ['a', 'b', 'c', 'd'].map((letter) =>
        changes(`strips the mark before "${letter}"`, 'publish', (_, raw) => {
          const at = raw.indexOf(Buffer.concat([MARK, Buffer.from(letter)]))
          if (at < 0) return undefined
          const marked = Buffer.from(raw)
          marked.fill('x', at, at + 3)
          return marked
        }),
      ),
    },
    {
      id: 'MQTT-1.5.5-1',
      level: 'must',
      says: 'A variable byte integer takes as few bytes as it can.',
      how: 'Packets of the broker around the lengths 127 and 128, and 16,383 and 16,384, and with subscription identifiers of that size; the wire refuses longer ones.',
      async run(trial) {
        const wire = await connected(trial)
        const topic = trial.name('topic')
        for (const size of [100, 127, 128, 300, 16_383, 16_384]) {
          await subscribe(wire, { topic: `${topic}/${size}` }, size)
          await publish(wire, `${topic}/${size}`, 'x'.repeat(size))
          const { raw } = await receive(wire)
          const [remaining, bytes] = readVarint(raw, 1)
          mustBe(bytes === varint(remaining).length, `a Remaining Length of ${remaining} takes ${bytes} bytes`)
        }
      },
      mutants: [
        changes('writes a Remaining Length of one byte more', 'publish', (_, raw) => {
          const [remaining, size] = readVarint(raw, 1)
          return Buffer.concat([raw.subarray(0, 1), longVarint(remaining), raw.subarray(1 + size)])
        }),
        changes('writes a Subscription Identifier of one byte more', 'publish', (_, raw) =>
          withProperties(raw, (before) =>
            before.map((each) => (each.id === ID.subscriptionIdentifier ? { ...each, value: longVarint(readVarint(each.value, 0)[0]) } : each)),
          ),
        ),
      ],
    },
    {
      id: 'MQTT5 1.5.5-a',
      level: 'must',
      says: 'A variable byte integer has four bytes at most: a longer one makes its packet malformed.',
      how: 'A PUBLISH whose Remaining Length has five bytes, and one with a property length of five.',
      run: (trial) =>
        closesEach(trial, {
          'a Remaining Length of five bytes': Buffer.concat([Buffer.of(0x30, 0x80, 0x80, 0x80, 0x80, 0x01), Buffer.alloc(64)]),
          'a property length of five bytes': packet(0x30, string(trial.name('topic')), Buffer.of(0x80, 0x80, 0x80, 0x80, 0x01), Buffer.alloc(64)),
        }),
      mutants: [neverCloses],
    },
    {
      id: 'MQTT-1.5.7-1',
      level: 'must',
      says: 'Both strings of a string pair are held to the rules of strings.',
      how: 'User properties whose name, or whose value, is ill-formed UTF-8 or has U+0000.',
      async run(trial) {
        const topic = trial.name('topic')
        const cases: Record<string, Buffer> = {}
        for (const [what, bad] of [['a surrogate', SURROGATE] as const, ['U+0000', NULL] as const]) {
          cases[`a name with ${what}`] = publishBytes(topic, [ID.userProperty, string(bad), string('value')])
          cases[`a value with ${what}`] = publishBytes(topic, [ID.userProperty, string('name'), string(bad)])
        }
        await closesEach(trial, cases)
      },
      mutants: [
        neverCloses,
        mistakes('reads names only', Buffer.concat([string('name'), string(SURROGATE)]), Buffer.concat([string('name'), string('abcd')])),
        mistakes('reads values only', Buffer.concat([string(SURROGATE), string('value')]), Buffer.concat([string('abcd'), string('value')])),
      ],
    },
    {
      id: 'MQTT5 1.5.4-a',
      level: 'may',
      says: 'Control characters and non-characters in a string may be refused as malformed.',
      unchecked: 'Either answer is right.',
    },
  ],
}
