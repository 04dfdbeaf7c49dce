// Filters of properties: which condition a map is, what a message has for it, and what is refused or not said to be in force.
import rhea, { type Message as RheaMessage } from 'rhea'
import { describe, expect, it } from 'vitest'
import type { Address, Broker, Message, Value } from '../../src/api.ts'
import { given, Selector } from '../../src/core/selector/selector.ts'
import { MessageView } from '../../src/core/selector/view.ts'
import { stompDialect } from '../stomp/format.ts'
import { writeHead } from '../stomp/head.ts'
import { amqpDefaults } from './fake-node.ts'
import { readFilters } from './filters.ts'
import { amqpDialect } from './format.ts'
import { readMessage } from './incoming-message.ts'
import { TermReader } from './reader.ts'
import { pairs, symbol, type Term, text } from './term.ts'
import { readTerminus } from './terminus.ts'

const broker = {
  address: (kind: Address['kind'], path: readonly string[], namespace = '') => ({ kind, path, namespace }),
} as unknown as Broker
const dialects = [amqpDialect(broker, amqpDefaults), stompDialect(broker, { propertyTypes: false, mapValuesMax: 1000 })]
const [amqp] = dialects
const BOUNDS = { bytes: 65_535, depth: 64, terms: 1_024 }
const { types } = rhea

type Map = Readonly<Record<string, Value | Term>>

const described = (name: string | number, value: Term): Term => ({
  type: 'described',
  descriptor: typeof name === 'string' ? symbol(name) : { type: 'uint64', value: BigInt(name) },
  value,
})
const map = (fields: Map, key = symbol): Term => pairs(Object.entries(fields).map(([name, value]) => [key(name), value] as const))
const ofProperties = (fields: Map): Term => described(0x173, map(fields))
const ofApplication = (fields: Map): Term => described(0x174, map(fields, text))
const jms = (selector: string): Term => described('apache.org:selector-filter:string', text(selector))

function read(...filters: readonly Term[]): ReturnType<typeof readFilters> {
  const source = readTerminus({ type: 'described', descriptor: { type: 'uint64', value: 0x28n }, value: { type: 'terms', value: [] } })
  if (source === undefined) throw new Error('no source')
  return readFilters({ ...source, filter: filters.map((filter, i) => [symbol(`f${i}`), filter] as const) }, (selector) => {
    try {
      if (given(selector) !== undefined) new Selector(selector, BOUNDS)
      return undefined
    } catch (error) {
      return error
    }
  })
}

function selectorOf(...filters: readonly Term[]): string | undefined {
  const found = read(...filters)
  if ('condition' in found) throw new Error(found.description)
  return found.selector
}

function passes(message: Message, ...filters: readonly Term[]): boolean {
  const selector = selectorOf(...filters)
  if (selector === undefined) return true
  const dialect = dialects.find(({ name }) => name === message.dialect)
  if (dialect === undefined) throw new Error('no dialect')
  const view = new MessageView(
    (one) => dialect.headOf(one),
    (_, one, head) => amqp.fieldsOf?.(one, head) ?? (() => undefined),
  )
  return new Selector(selector, BOUNDS).takes(view.of(message))
}

const sent = (message: object): Message =>
  readMessage(new TermReader(amqpDefaults).over(rhea.message.encode({ body: 'x', ...message } as RheaMessage) as Buffer), 1000, 0).message

const string = (value: string): Value => ({ type: 'string', value })
const int = (value: number): Value => ({ type: 'int32', value })
const NULL: Value = { type: 'null' }

function named(cases: readonly (readonly [Map, boolean])[]): (readonly [string, boolean, Map])[] {
  const plain = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? String(value) : value)
  return cases.map(([fields, expected]) => [JSON.stringify(fields, plain), expected, fields])
}

describe('a map is one selector', () => {
  it.each<[string, Term[], string | undefined]>([
    ['of texts', [ofProperties({ subject: string("it's"), to: symbol('a') })], `amqp."properties.subject" = 'it''s' AND amqp."properties.to" = 'a'`],
    [
      'of prefixes and suffixes',
      [ofApplication({ a: string('&p:50%_'), b: string('&s:x'), c: string('&&p:') })],
      String.raw`amqp."application-properties.a" LIKE '50\%\_%' ESCAPE '\' AND amqp."application-properties.b" LIKE '%x' AND amqp."application-properties.c" = '&p:'`,
    ],
    ['whose symbols are never modified', [ofApplication({ a: symbol('&p:x') })], `amqp."application-properties.a" = '&p:x'`],
    [
      'of numbers',
      [
        ofApplication({
          a: int(-7),
          b: { type: 'uint64', value: 2n ** 64n - 1n },
          c: { type: 'double', value: 1e21 },
          d: { type: 'timestamp', value: 5n },
        }),
      ],
      'amqp."application-properties.a" = -7 AND amqp."application-properties.b" = 18446744073709551615u AND amqp."application-properties.c" = 1e+21d AND amqp."application-properties.d" = 5',
    ],
    [
      'of bytes',
      [ofProperties({ 'message-id': { type: 'binary', value: Buffer.from([1, 255]) }, 'correlation-id': { type: 'uuid', value: Buffer.alloc(16) } })],
      `amqp."properties.correlation-id" = UUID'00000000-0000-0000-0000-000000000000' AND amqp."properties.message-id" = X'01ff'`,
    ],
    ['of nothing that is asked', [ofProperties({ subject: NULL }), ofApplication({})], undefined],
    ['of a name with quotes', [ofApplication({ 'a"b': { type: 'boolean', value: true } })], `amqp."application-properties.a""b" = TRUE`],
    ['by its name', [described('amqp:properties-filter', map({ subject: string('x') }))], `amqp."properties.subject" = 'x'`],
    ['by its other name', [described('amqp:application-properties-filter', map({ a: NULL }))], `amqp."has-application-property.a" = TRUE`],
    [
      'with a selector of JMS',
      [jms(`a > 1 OR b`), ofApplication({ c: int(1) }), ofProperties({ subject: string('x') })],
      `amqp."application-properties.c" = 1 AND amqp."properties.subject" = 'x' AND (a > 1 OR b)`,
    ],
    [
      'with a selector that reads texts as numbers',
      [ofApplication({ c: int(1) }), jms('convert_string_expressions: hyphenated_props:a-b > 1')],
      'convert_string_expressions: hyphenated_props:amqp."application-properties.c" = 1 AND (a-b > 1)',
    ],
    ['with an empty selector', [jms(' '), ofApplication({ c: int(1) })], 'amqp."application-properties.c" = 1'],
  ])('%s', (_, filters, selector) => {
    expect(selectorOf(...filters)).toBe(selector)
  })

  it('whatever its order, so that a durable subscription is the same', () => {
    const one = ofApplication({ a: int(1), b: int(2) })
    const other = ofApplication({ b: int(2), a: int(1) })
    expect(selectorOf(other, ofProperties({ subject: string('x') }))).toBe(selectorOf(ofProperties({ subject: string('x') }), one))
  })
})

describe('a message of AMQP', () => {
  const properties = {
    message_id: types.wrap_ulong(7),
    user_id: Buffer.from('me'),
    to: 'queue://a',
    subject: 'new order',
    reply_to: 'anything at all',
    correlation_id: types.wrap_uuid(Buffer.alloc(16, 0xab)),
    content_type: 'text/plain',
    content_encoding: 'gzip',
    absolute_expiry_time: 1_700_000_000_000,
    creation_time: 1_600_000_000_000,
    group_id: 'g',
    group_sequence: 3,
    reply_to_group_id: 'rg',
  }
  const message = sent({
    ...properties,
    message_annotations: { 'x-opt-note': 'annotated' },
    application_properties: {
      color: 'red',
      size: types.wrap_int(10),
      weight: types.wrap_double(2.5),
      float: types.wrap_float(0.5),
      large: types.wrap_ulong(10),
      urgent: true,
      none: null,
      bytes: Buffer.from([1, 2]),
      at: types.wrap_timestamp(5),
      'reply-to': 'own',
    },
  })

  it.each(
    named([
      [{ 'message-id': { type: 'uint64', value: 7n } }, true],
      [{ 'message-id': int(7) }, true],
      [{ 'message-id': string('7') }, false],
      [{ 'message-id': string('ID:AMQP_ULONG:7') }, false],
      [{ 'message-id': string('&p:') }, false],
      [{ 'user-id': { type: 'binary', value: Buffer.from('me') } }, true],
      [{ 'user-id': { type: 'binary', value: Buffer.from('m') } }, false],
      [{ to: string('queue://a') }, true],
      [{ to: string('&s:a') }, true],
      [{ subject: string('new order') }, true],
      [{ subject: string('New order') }, false],
      [{ subject: string('&p:new') }, true],
      [{ subject: string('&s:new') }, false],
      [{ 'reply-to': string('anything at all') }, true],
      [{ 'correlation-id': { type: 'uuid', value: Buffer.alloc(16, 0xab) } }, true],
      [{ 'correlation-id': { type: 'binary', value: Buffer.alloc(16, 0xab) } }, false],
      [{ 'content-type': symbol('text/plain') }, true],
      [{ 'content-type': string('&p:text/') }, true],
      [{ 'content-encoding': symbol('gzip') }, true],
      [{ 'absolute-expiry-time': { type: 'timestamp', value: 1_700_000_000_000n } }, true],
      [{ 'creation-time': { type: 'timestamp', value: 1_600_000_000_000n } }, true],
      [{ 'creation-time': { type: 'timestamp', value: 1_600_000_000_001n } }, false],
      [{ 'group-id': string('g') }, true],
      [{ 'group-sequence': { type: 'uint32', value: 3 } }, true],
      [{ 'reply-to-group-id': string('rg') }, true],
      [{ subject: NULL, to: string('queue://a') }, true],
      [{ subject: string('new order'), to: string('queue://b') }, false],
    ]),
  )('with the properties %s: %s', (_, expected, fields) => {
    expect(passes(message, ofProperties(fields))).toBe(expected)
  })

  it.each(
    named([
      [{ color: string('red') }, true],
      [{ color: symbol('red') }, true],
      [{ color: string('&p:r'), size: int(10) }, true],
      [{ color: string('&p:r'), size: int(11) }, false],
      [{ size: { type: 'uint8', value: 10 } }, true],
      [{ size: { type: 'double', value: 10 } }, true],
      [{ size: string('10') }, false],
      [{ weight: { type: 'float', value: 2.5 } }, true],
      [{ float: { type: 'double', value: 0.5 } }, true],
      [{ large: int(10) }, true],
      [{ urgent: { type: 'boolean', value: true } }, true],
      [{ urgent: { type: 'boolean', value: false } }, false],
      [{ bytes: { type: 'binary', value: Buffer.from([1, 2]) } }, true],
      [{ bytes: string('0102') }, false],
      [{ at: { type: 'timestamp', value: 5n } }, true],
      [{ none: NULL, color: NULL }, true],
      [{ missing: NULL }, false],
      [{ missing: string('&p:') }, false],
      [{ none: string('') }, false],
      // Its own, and neither a field nor an annotation that other protocols know by such a name.
      [{ 'reply-to': string('own') }, true],
      [{ 'JMS_AMQP_MA_x-opt-note': string('annotated') }, false],
      [{ JMSPriority: int(4) }, false],
    ]),
  )('with the application properties %s: %s', (_, expected, fields) => {
    expect(passes(message, ofApplication(fields))).toBe(expected)
  })

  it('without any properties passes no filter that wants one', () => {
    expect(passes(sent({}), ofProperties({ subject: string('&s:') }))).toBe(false)
    expect(passes(sent({}), ofApplication({ color: string('&s:') }))).toBe(false)
    expect(passes(sent({}), ofProperties({ subject: NULL }))).toBe(true)
  })

  it('has an application property that is a decimal, with which nothing is compared', () => {
    const decimal = Buffer.from([0x00, 0x53, 0x74, 0xc1, 9, 2, 0xa1, 1, 0x64, 0x74, 0, 0, 0, 0])
    const { message: priced } = readMessage(new TermReader(amqpDefaults).over(decimal), 1000, 0)
    expect(passes(priced, ofApplication({ d: NULL }))).toBe(true)
    expect(passes(priced, ofApplication({ d: int(0) }))).toBe(false)
    expect(passes(priced, ofApplication({ e: NULL }))).toBe(false)
  })

  it('passes all filters, or none of them lets it', () => {
    expect(passes(message, jms('size > 9'), ofProperties({ subject: string('&p:new') }))).toBe(true)
    expect(passes(message, jms('size > 10'), ofProperties({ subject: string('&p:new') }))).toBe(false)
    expect(passes(message, jms('size > 9'), ofProperties({ subject: string('&p:old') }))).toBe(false)
    expect(passes(message, ofApplication({ color: string('red') }), ofApplication({ size: int(11) }))).toBe(false)
  })
})

describe('a message of STOMP is read as AMQP would have it', () => {
  const headers = {
    'correlation-id': 'ID:AMQP_ULONG:7',
    type: 'new',
    'reply-to': '/queue/answers',
    'content-type': 'text/plain',
    timestamp: '5',
    AMQ_SCHEDULED_DELAY: '10',
    color: 'red',
    'JMS_AMQP_MA_x-opt-note': 'annotated',
    JMS_AMQP_ReplyToGroupID: 'rg',
    size: '10',
  }
  const message: Message = {
    ...sent({}),
    dialect: 'stomp',
    head: writeHead(Object.entries(headers)),
    body: Buffer.from('x'),
    group: 'g',
    expiresAtMs: 9,
  }

  it.each<[string, Term, boolean]>([
    ['correlation-id', ofProperties({ 'correlation-id': int(7) }), true],
    ['correlation-id as text', ofProperties({ 'correlation-id': string('&p:ID') }), false],
    ['subject', ofProperties({ subject: string('new') }), true],
    ['reply-to', ofProperties({ 'reply-to': string('queue://answers') }), true],
    ['content-type', ofProperties({ 'content-type': symbol('text/plain') }), true],
    ['creation-time', ofProperties({ 'creation-time': { type: 'timestamp', value: 5n } }), true],
    ['absolute-expiry-time', ofProperties({ 'absolute-expiry-time': { type: 'timestamp', value: 9n } }), true],
    ['group-id', ofProperties({ 'group-id': string('g') }), true],
    ['reply-to-group-id', ofProperties({ 'reply-to-group-id': string('rg') }), true],
    ['to', ofProperties({ to: string('&p:') }), false],
    ['a property', ofApplication({ color: string('red') }), true],
    ['a property that is text', ofApplication({ size: int(10) }), false],
    ['what becomes an annotation', ofApplication({ 'JMS_AMQP_MA_x-opt-note': NULL }), false],
    ['what becomes a scheduling annotation', ofApplication({ AMQ_SCHEDULED_DELAY: NULL }), false],
    ['what becomes a property of AMQP', ofApplication({ JMS_AMQP_ReplyToGroupID: NULL }), false],
  ])('%s', (_, filter, expected) => {
    expect(passes(message, filter)).toBe(expected)
  })
})

describe('a filter of properties is refused', () => {
  it.each<[string, Term, string]>([
    ['that is no map', described(0x173, text('subject')), 'is a map'],
    ['with a key that is no text', described(0x174, pairs([[int(1), int(1)]])), 'whose name is no text'],
    ['of a property that there is none of', ofProperties({ priority: int(4) }), '"priority", which is no property'],
    ['of a property of another type', ofProperties({ subject: int(4) }), 'a value for subject'],
    ['of a user that is no binary', ofProperties({ 'user-id': string('me') }), 'a value for user-id'],
    ['with a list', ofApplication({ a: { type: 'terms', value: [int(1)] } }), 'for "application-properties.a" that is not simple'],
    ['with an array', ofApplication({ a: { type: 'array', value: [int(1)] } }), 'for "application-properties.a" that is not simple'],
    ['with a map', ofApplication({ a: map({}) }), 'for "application-properties.a" that is not simple'],
    ['with a described value', ofApplication({ a: described(1, int(1)) }), 'for "application-properties.a" that is not simple'],
    ['with a modifier that there is not', ofApplication({ a: string('&i:x') }), 'begins with &'],
    ['with half a modifier', ofProperties({ subject: string('&') }), 'begins with &'],
  ])('%s', (_, filter, sentence) => {
    const found = read(filter)
    expect(found).toMatchObject({ condition: 'amqp:invalid-field' })
    expect('description' in found && found.description).toContain(sentence)
  })

  it('that has more fields than a selector may have names and literals', () => {
    const fields = (count: number): Map => Object.fromEntries(Array.from({ length: count }, (_, i) => [`p${i}`, int(i)]))
    expect(read(ofApplication(fields(513)))).toMatchObject({ condition: 'amqp:resource-limit-exceeded' })
    expect(read(ofApplication(fields(511)), jms('a > 1 OR b > 1'))).toMatchObject({ condition: 'amqp:resource-limit-exceeded' })
    expect(read(ofApplication(fields(511)), jms('a > 1'))).toMatchObject({ selectorFilter: [{}, {}] })
  })
})

describe('a filter is not in force', () => {
  const red = ofApplication({ color: string('red') })

  it.each<[string, Term]>([
    ['that has a decimal', ofApplication({ a: { type: 'decimal', value: Buffer.alloc(8) }, b: int(1) })],
    ['that has NaN', ofApplication({ a: { type: 'double', value: Number.NaN } })],
    ['that has infinity', ofProperties({ 'group-sequence': { type: 'double', value: Number.POSITIVE_INFINITY } })],
    ['of the header', described('amqp:header-filter', map({ priority: int(4) }))],
    ['of message annotations', described('amqp:message-annotations-filter', map({ a: int(4) }))],
    ['in SQL', described('amqp:sql-filter', text(`properties.subject = 'x'`))],
  ])('%s', (_, filter) => {
    expect(read(filter)).toMatchObject({ selector: undefined, selectorFilter: [] })
    expect(read(filter, red)).toMatchObject({ selectorFilter: [[symbol('f1'), red]] })
  })
})
