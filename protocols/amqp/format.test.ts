// Tables 3.3 and 3.4 of the mapping contract, the column AMQP, row by row and both ways, and then whole messages to and from MQTT and STOMP.
// Expected values are written from the tables. rhea writes what comes in and reads what goes out: an encoder and decoder that are not ours.
import rhea, { type Message as RheaMessage } from 'rhea'
import { describe, expect, it } from 'vitest'
import type { Address, Body, Broker, Canonical, Dialect, Message, Value } from '../../src/api.ts'
import { dialect as mqttDialect, newMessage } from '../mqtt/format.ts'
import { Parser as StompParser } from '../stomp/codec.ts'
import { stompDialect } from '../stomp/format.ts'
import { HeadWriter, readHead } from '../stomp/head.ts'
import { amqpDefaults } from './fake-node.ts'
import { amqpDialect } from './format.ts'
import { readMessage } from './incoming-message.ts'
import { TermReader } from './reader.ts'
import { pairs, symbol, type Term, text } from './term.ts'
import { TermWriter } from './writer.ts'

const broker = {
  address: (kind: Address['kind'], path: readonly string[], namespace = '') => ({ kind, path, namespace }),
} as unknown as Broker
const amqp = amqpDialect(broker, amqpDefaults)
const { types } = rhea
const NOW_MS = 1_700_000_000_000

const string = (value: string): Value => ({ type: 'string', value })
const queue = (...path: string[]): Address => ({ namespace: '', kind: 'queue', path })
const topic = (...path: string[]): Address => ({ namespace: '', kind: 'topic', path })
const incoming = (bytes: Buffer): Message => readMessage(new TermReader(amqpDefaults).over(bytes), 1000, NOW_MS).message
const sent = (message: object): Message => incoming(rhea.message.encode({ body: 'x', ...message } as RheaMessage) as Buffer)

/** Body sections written by hand. */
function withBody(code: number, ...terms: Term[]): Message {
  const writer = new TermWriter()
  for (const term of terms) writer.u8(0).u8(0x53).u8(code).term(term)
  return incoming(writer.bytes())
}

describe('a message that came by AMQP', () => {
  it.each<[string, object, Partial<Canonical>]>([
    ['messageId (string)', { message_id: 'm1' }, { messageId: string('m1') }],
    ['messageId (ulong)', { message_id: 7 }, { messageId: { type: 'uint64', value: 7n } }],
    ['messageId (uuid)', { message_id: types.wrap_uuid(Buffer.alloc(16, 3)) }, { messageId: { type: 'uuid', value: Buffer.alloc(16, 3) } }],
    ['messageId (binary)', { message_id: types.wrap_binary(Buffer.from('b')) }, { messageId: { type: 'binary', value: Buffer.from('b') } }],
    ['correlationId', { correlation_id: 'c1' }, { correlationId: string('c1') }],
    ['replyTo (queue://)', { reply_to: 'queue://a.b' }, { replyTo: queue('a', 'b') }],
    ['replyTo (topic://)', { reply_to: 'topic://a' }, { replyTo: topic('a') }],
    ['replyTo (bare is a queue)', { reply_to: 'a' }, { replyTo: queue('a') }],
    ['replyTo (x-opt-jms-reply-to 1)', { reply_to: 'a', message_annotations: { 'x-opt-jms-reply-to': types.wrap_byte(1) } }, { replyTo: topic('a') }],
    ['replyTo (temporary)', { reply_to: 'a', message_annotations: { 'x-opt-jms-reply-to': types.wrap_byte(2) } }, { replyTo: queue('a') }],
    ['replyTo that is no address of ours', { reply_to: 'a,b' }, { replyTo: undefined, properties: [['reply-to', string('a,b')]] }],
    ['type', { subject: 'order' }, { type: 'order' }],
    ['contentType', { content_type: 'text/xml' }, { contentType: 'text/xml' }],
    ['contentEncoding', { content_encoding: 'gzip' }, { contentEncoding: 'gzip' }],
    ['timestamp', { creation_time: new Date(NOW_MS) }, { timestampMs: NOW_MS }],
    ['userId', { user_id: Buffer.from('me') }, { userId: 'me' }],
    ['groupSeq', { group_id: 'g', group_sequence: 3 }, { groupSequence: 3 }],
    ['qos', { message_annotations: { 'x-opt-mqtt-qos': types.wrap_ubyte(2) } }, { qos: 2, properties: [] }],
    ['retain', { message_annotations: { 'x-opt-retain': true } }, { retain: true, properties: [] }],
    ['dedupId', { message_annotations: { 'x-opt-dedup-id': 'd' } }, { properties: [['_AMQ_DUPL_ID', string('d')]] }],
    ['cron', { message_annotations: { 'x-opt-delivery-cron': '* * * * *' } }, { properties: [['AMQ_SCHEDULED_CRON', string('* * * * *')]] }],
    ['other annotations', { message_annotations: { 'x-opt-mine': 'm' } }, { properties: [['JMS_AMQP_MA_x-opt-mine', string('m')]] }],
    ['delivery annotations', { delivery_annotations: { d: 'x' } }, { properties: [['JMS_AMQP_DA_d', string('x')]] }],
    ['footer', { footer: { f: 'x' } }, { properties: [['JMS_AMQP_FT_f', string('x')]] }],
    ['reply-to-group-id', { reply_to_group_id: 'r' }, { properties: [['JMS_AMQP_ReplyToGroupID', string('r')]] }],
    [
      'properties with their types, in order',
      {
        application_properties: {
          s: 'x',
          n: null,
          b: true,
          i8: types.wrap_byte(-1),
          u8: types.wrap_ubyte(1),
          i16: types.wrap_short(-2),
          u16: types.wrap_ushort(2),
          i32: types.wrap_int(-3),
          u32: types.wrap_uint(3),
          i64: types.wrap_long(-4),
          u64: types.wrap_ulong(4),
          f: types.wrap_float(0.5),
          d: types.wrap_double(0.25),
          bin: types.wrap_binary(Buffer.from('y')),
        },
      },
      {
        properties: [
          ['s', string('x')],
          ['n', { type: 'null' }],
          ['b', { type: 'boolean', value: true }],
          ['i8', { type: 'int8', value: -1 }],
          ['u8', { type: 'uint8', value: 1 }],
          ['i16', { type: 'int16', value: -2 }],
          ['u16', { type: 'uint16', value: 2 }],
          ['i32', { type: 'int32', value: -3 }],
          ['u32', { type: 'uint32', value: 3 }],
          ['i64', { type: 'int64', value: -4n }],
          ['u64', { type: 'uint64', value: 4n }],
          ['f', { type: 'float', value: 0.5 }],
          ['d', { type: 'double', value: 0.25 }],
          ['bin', { type: 'binary', value: Buffer.from('y') }],
        ],
      },
    ],
  ])('%s', (_, message, expected) => {
    expect(amqp.toCanonical(sent(message))).toMatchObject(expected)
    const { body: _body, ...head } = amqp.toCanonical(sent(message))
    const { messageId, correlationId } = head
    expect({ ...amqp.headOf(sent(message)), messageId, correlationId }).toEqual(head)
  })

  it.each<[string, object, Partial<Message>]>([
    ['durable', { durable: true }, { durable: true }],
    ['not durable when nothing is said', {}, { durable: false, priority: 4, expiresAtMs: 0, deliverAtMs: 0, group: '' }],
    ['priority', { priority: 7 }, { priority: 7 }],
    ['a priority above 9', { priority: 200 }, { priority: 9 }],
    ['ttl', { ttl: 5000 }, { expiresAtMs: NOW_MS + 5000 }],
    ['absolute-expiry-time', { absolute_expiry_time: new Date(NOW_MS + 7000) }, { expiresAtMs: NOW_MS + 7000 }],
    ['the earlier of both', { ttl: 5000, absolute_expiry_time: new Date(NOW_MS + 7000) }, { expiresAtMs: NOW_MS + 5000 }],
    ['groupId', { group_id: 'g' }, { group: 'g' }],
    ['x-opt-delivery-time', { message_annotations: { 'x-opt-delivery-time': types.wrap_long(NOW_MS + 9) } }, { deliverAtMs: NOW_MS + 9 }],
    ['x-opt-delivery-delay', { message_annotations: { 'x-opt-delivery-delay': types.wrap_long(11) } }, { deliverAtMs: NOW_MS + 11 }],
  ])('routes by %s', (_, message, expected) => {
    expect(sent(message)).toMatchObject(expected)
  })

  const data = (value: string): Term => ({ type: 'binary', value: Buffer.from(value) })
  const int = (value: number): Term => ({ type: 'int32', value })
  it.each<[string, Message, Body]>([
    ['a string', withBody(0x77, text('grün 😀\0')), { kind: 'text', text: 'grün 😀\0' }],
    ['null', withBody(0x77, { type: 'null' }), { kind: 'text', text: null }],
    [
      'null that JMS calls a plain message',
      sent({ body: null, message_annotations: { 'x-opt-jms-msg-type': types.wrap_byte(0) } }),
      { kind: 'none' },
    ],
    ['binary as a value', withBody(0x77, data('ab')), { kind: 'bytes', bytes: Buffer.from('ab') }],
    ['data', withBody(0x75, data('ab')), { kind: 'bytes', bytes: Buffer.from('ab') }],
    ['data in pieces', withBody(0x75, data('ab'), data('cd')), { kind: 'bytes', bytes: Buffer.from('abcd') }],
    ['data that is text', sent({ body: rhea.message.data_section(Buffer.from('ü')), content_type: 'text/plain' }), { kind: 'text', text: 'ü' }],
    [
      'data that is JSON',
      sent({ body: rhea.message.data_section(Buffer.from('{}')), content_type: 'application/json; charset=utf-8' }),
      { kind: 'text', text: '{}' },
    ],
    [
      'data that says it is text and is none',
      sent({ body: rhea.message.data_section(Buffer.from([0xff])), content_type: 'text/plain' }),
      { kind: 'bytes', bytes: Buffer.from([0xff]) },
    ],
    [
      'a Java object',
      sent({ body: rhea.message.data_section(Buffer.from('o')), content_type: 'application/x-java-serialized-object' }),
      { kind: 'object', bytes: Buffer.from('o'), contentType: 'application/x-java-serialized-object' },
    ],
    ['a map', withBody(0x77, pairs([[text('a'), int(1)]])), { kind: 'map', entries: [['a', { type: 'int32', value: 1 }]] }],
    ['a map with other keys', withBody(0x77, pairs([[int(5), text('x')]])), { kind: 'map', entries: [['5', string('x')]] }],
    ['a list', withBody(0x77, { type: 'terms', value: [text('x'), int(1)] }), { kind: 'list', items: [string('x'), { type: 'int32', value: 1 }] }],
    [
      'sequences',
      withBody(0x76, { type: 'terms', value: [text('x')] }, { type: 'terms', value: [int(2)] }),
      { kind: 'list', items: [string('x'), { type: 'int32', value: 2 }] },
    ],
    ['a number', withBody(0x77, int(3)), { kind: 'list', items: [{ type: 'int32', value: 3 }] }],
    ['a described value', withBody(0x77, { type: 'described', descriptor: symbol('d'), value: text('x') }), { kind: 'text', text: 'x' }],
    ['no body', incoming(Buffer.alloc(0)), { kind: 'none' }],
    [
      'no body, of type text',
      incoming(new TermWriter().composite(0x73, [undefined, undefined, undefined, undefined, undefined, undefined, symbol('text/plain')]).bytes()),
      { kind: 'text', text: '' },
    ],
  ])('whose body is %s', (_, message, expected) => {
    expect(amqp.toCanonical(message).body).toEqual(expected)
  })
})

const NOTHING: Canonical = {
  messageId: undefined,
  correlationId: undefined,
  replyTo: undefined,
  type: undefined,
  contentType: undefined,
  contentEncoding: undefined,
  timestampMs: undefined,
  userId: undefined,
  groupSequence: undefined,
  qos: undefined,
  retain: false,
  properties: [],
  body: { kind: 'none' },
}
const PLAIN: Message = {
  dialect: 'x',
  head: Buffer.alloc(0),
  body: Buffer.alloc(0),
  durable: false,
  priority: 4,
  expiresAtMs: 0,
  deliverAtMs: 0,
  group: '',
  groupEnds: false,
}

/** As rhea reads it, and what was lost. */
function written(canonical: Partial<Canonical>, message: Partial<Message> = {}): Readonly<{ message: RheaMessage; lost: string[] }> {
  const lost: string[] = []
  const made = amqp.fromCanonical({ ...NOTHING, ...canonical }, { ...PLAIN, ...message }, (field) => lost.push(field))
  if (made === undefined) throw new Error('no AMQP form')
  return { message: rhea.message.decode(Buffer.concat([made.head, made.body])) as unknown as RheaMessage, lost }
}

it('gives identifiers to selectors as JMS writes them', () => {
  const { messageId, correlationId } = amqp.headOf(sent({ message_id: rhea.types.wrap_ulong(7), correlation_id: 'ID:x' }))
  expect([messageId, correlationId]).toEqual([
    { type: 'string', value: 'ID:AMQP_ULONG:7' },
    { type: 'string', value: 'ID:x' },
  ])
})

describe('a message for AMQP', () => {
  it.each<[string, Partial<Canonical>, Partial<Message>, object, string[]]>([
    ['messageId', { messageId: string('m') }, {}, { message_id: 'm' }, []],
    ['messageId of another type', { messageId: { type: 'int32', value: 5 } }, {}, { message_id: '5' }, ['idTypes']],
    ['correlationId', { correlationId: { type: 'uint64', value: 9n } }, {}, { correlation_id: 9 }, []],
    ['replyTo', { replyTo: topic('a', 'b') }, {}, { reply_to: 'topic://a.b', message_annotations: { 'x-opt-jms-reply-to': 1 } }, []],
    ['replyTo without a name here', { replyTo: { namespace: 'x', kind: 'queue', path: ['a'] } }, {}, {}, ['replyTo']],
    ['type', { type: 't' }, {}, { subject: 't' }, []],
    ['contentType', { contentType: 'a/b' }, {}, { content_type: 'a/b' }, []],
    ['contentType that is not ASCII', { contentType: 'ä' }, {}, {}, ['contentType']],
    ['contentEncoding', { contentEncoding: 'gzip' }, {}, { content_encoding: 'gzip' }, []],
    ['timestamp', { timestampMs: NOW_MS }, {}, { creation_time: new Date(NOW_MS) }, []],
    ['expiration', {}, { expiresAtMs: NOW_MS }, { absolute_expiry_time: new Date(NOW_MS) }, []],
    ['group', { groupSequence: 2 }, { group: 'g' }, { group_id: 'g', group_sequence: 2 }, []],
    ['userId', { userId: 'me' }, {}, { user_id: Buffer.from('me') }, []],
    ['qos', { qos: 1 }, {}, { message_annotations: { 'x-opt-mqtt-qos': 1 } }, []],
    ['retain', { retain: true }, {}, { message_annotations: { 'x-opt-retain': true } }, []],
    ['deliverAt', {}, { deliverAtMs: NOW_MS }, { message_annotations: { 'x-opt-delivery-time': NOW_MS } }, []],
    ['dedupId', { properties: [['_AMQ_DUPL_ID', string('d')]] }, {}, { application_properties: { _AMQ_DUPL_ID: 'd' } }, []],
    ['annotations', { properties: [['JMS_AMQP_MA_x', string('1')]] }, {}, { message_annotations: { x: '1' } }, []],
    ['delivery annotations', { properties: [['JMS_AMQP_DA_x', string('1')]] }, {}, { delivery_annotations: { x: '1' } }, []],
    ['footer', { properties: [['JMS_AMQP_FT_x', string('1')]] }, {}, { footer: { x: '1' } }, []],
    [
      'properties',
      {
        properties: [
          ['a', string('1')],
          ['b', { type: 'int8', value: 2 }],
        ],
      },
      {},
      { application_properties: { a: '1', b: 2 } },
      [],
    ],
    [
      'a property twice',
      {
        properties: [
          ['a', string('1')],
          ['a', string('2')],
        ],
      },
      {},
      { application_properties: { a: '1' } },
      ['properties'],
    ],
    [
      'a property that is a list',
      { properties: [['a', { type: 'list', value: [string('x')] }]] },
      {},
      { application_properties: { a: '["x"]' } },
      ['propertyTypes'],
    ],
  ])('%s', (_, canonical, message, expected, lost) => {
    const made = written(canonical, message)
    expect(made.message).toMatchObject(expected)
    expect(made.lost).toEqual(lost)
  })

  const content = (value: string) => ({ typecode: 0x75, content: Buffer.from(value) })
  it.each<[string, Body, unknown, number]>([
    ['text', { kind: 'text', text: 'ü😀\0' }, 'ü😀\0', 5],
    ['text null', { kind: 'text', text: null }, null, 5],
    ['bytes', { kind: 'bytes', bytes: Buffer.from('ab') }, content('ab'), 3],
    [
      'map',
      {
        kind: 'map',
        entries: [
          ['a', { type: 'int32', value: 1 }],
          ['a', string('no')],
        ],
      },
      { a: 1 },
      2,
    ],
    ['list', { kind: 'list', items: [string('x'), { type: 'uint8', value: 1 }] }, { typecode: 0x76, content: ['x', 1] }, 4],
    ['object', { kind: 'object', bytes: Buffer.from('o'), contentType: 'application/x-java-serialized-object' }, content('o'), 1],
    ['none', { kind: 'none' }, null, 0],
  ])('whose body is %s', (_, body, expected, jmsType) => {
    const { message } = written({ body })
    // What rhea adds to a section it reads is its own.
    expect({ body: message.body }).toMatchObject({ body: expected })
    expect(message.message_annotations).toMatchObject({ 'x-opt-jms-msg-type': jmsType })
    expect(message.content_type).toBe(body.kind === 'object' ? body.contentType : undefined)
  })

  it('reads as it was written: there and back every kind and field is the same', () => {
    const canonical: Canonical = {
      messageId: { type: 'uuid', value: Buffer.alloc(16, 1) },
      correlationId: string('c'),
      replyTo: queue('a', 'b'),
      type: 't',
      contentType: 'x/y',
      contentEncoding: 'gzip',
      timestampMs: NOW_MS,
      userId: 'me',
      groupSequence: 4,
      qos: 2,
      retain: true,
      properties: [
        ['p', { type: 'uint64', value: 2n ** 63n }],
        ['JMS_AMQP_MA_x-mine', { type: 'uuid', value: Buffer.alloc(16, 2) }],
        ['JMS_AMQP_FT_f', string('f')],
      ],
      body: { kind: 'map', entries: [['nested', { type: 'map', value: [[string('k'), { type: 'list', value: [{ type: 'char', value: '😀' }] }]] }]] },
    }
    const made = amqp.fromCanonical(canonical, PLAIN, (field) => expect(field).toBe('nothing'))
    expect(amqp.toCanonical({ ...PLAIN, dialect: 'amqp', head: made?.head ?? PLAIN.head, body: made?.body ?? PLAIN.body })).toEqual(canonical)
  })
})

/** As a consumer of the other protocol sees it. */
type Translator = Pick<Dialect, 'name' | 'toCanonical' | 'fromCanonical'>

function crossed(from: Translator, to: Translator, message: Message): Readonly<{ message: Message; lost: string[] }> {
  const lost: string[] = []
  const made = to.fromCanonical(from.toCanonical(message), message, (field) => lost.push(field))
  if (made === undefined) throw new Error('cannot be represented')
  return { message: { ...message, dialect: to.name, ...made }, lost }
}

describe('AMQP and STOMP', () => {
  const stomp = stompDialect(broker, { propertyTypes: false, mapValuesMax: 1000 })
  const headers = (message: Message): Record<string, string> => Object.fromEntries(readHead(message.head))
  const bodies: readonly (readonly [string, Message, string, object, string[]])[] = [
    ['text', withBody(0x77, text('grün 😀')), 'grün 😀', {}, []],
    ['text with NUL', withBody(0x77, text('a\0b')), 'a\0b', { 'amq-msg-type': 'text', 'content-length': '3' }, []],
    ['text null', withBody(0x77, { type: 'null' }), '', {}, ['bodyKind']],
    ['bytes', withBody(0x75, { type: 'binary', value: Buffer.from('ab') }), 'ab', { 'content-length': '2' }, []],
    ['map', withBody(0x77, pairs([[text('a'), { type: 'int64', value: 1n }]])), '{"a":1}', { transformation: 'jms-map-json' }, []],
    [
      'map with types that JSON has not',
      withBody(0x77, pairs([[text('a'), { type: 'int32', value: 1 }]])),
      '{"a":1}',
      { transformation: 'jms-map-json' },
      ['bodyTypes'],
    ],
    ['list', withBody(0x76, { type: 'terms', value: [text('x')] }), '["x"]', {}, ['bodyKind']],
    ['none', incoming(Buffer.alloc(0)), '', {}, ['bodyKind']],
  ]
  it.each(bodies)('body: %s', (_, message, expected, more, lost) => {
    const crossing = crossed(amqp, stomp, message)
    expect(Buffer.from(crossing.message.body).toString()).toBe(expected)
    expect(headers(crossing.message)).toMatchObject(more)
    expect(crossing.lost).toEqual(lost)
  })

  it('fields, AMQP → STOMP', () => {
    const message = sent({
      durable: true,
      priority: 6,
      message_id: 'm',
      correlation_id: 'c',
      reply_to: 'topic://r.s',
      subject: 't',
      content_type: 'text/plain',
      group_id: 'g',
      creation_time: new Date(NOW_MS),
      absolute_expiry_time: new Date(NOW_MS + 1),
      application_properties: { a: 'x', n: types.wrap_int(5) },
      message_annotations: { mine: 'y' },
    })
    const { message: crossing, lost } = crossed(amqp, stomp, message)
    expect(headers(crossing)).toMatchObject({
      persistent: 'true',
      priority: '6',
      expires: String(NOW_MS + 1),
      'message-id': 'm',
      'correlation-id': 'c',
      'reply-to': '/topic/r.s',
      type: 't',
      'content-type': 'text/plain',
      JMSXGroupID: 'g',
      timestamp: String(NOW_MS),
      a: 'x',
      n: '5',
      JMS_AMQP_MA_mine: 'y',
    })
    expect(lost).toEqual(['propertyTypes'])
  })

  it('fields and body, STOMP → AMQP', () => {
    const parser = new StompParser({ headersMax: 100, headerBytesMax: 10_000, lineBytesMax: 1000, bodyBytesMax: 1000 })
    parser.version = '1.2'
    parser.push(
      Buffer.from('SEND\ndestination:/queue/a\npersistent:true\ncorrelation-id:c\nreply-to:/queue/r\ntype:t\nJMS_AMQP_MA_mine:y\nx:1\nx:2\n\ngrün\0'),
    )
    const frame = parser.read()
    if (frame === undefined) throw new Error('no frame')
    const read = new HeadWriter().read(frame)
    if ('code' in read) throw new Error(read.sentence)
    const { message, lost } = crossed(stomp, amqp, read.message)
    expect(rhea.message.decode(Buffer.concat([message.head, message.body]))).toMatchObject({
      body: 'grün',
      correlation_id: 'c',
      reply_to: 'queue://r',
      subject: 't',
      message_annotations: { mine: 'y', 'x-opt-jms-msg-type': 5, 'x-opt-jms-reply-to': 0 },
      application_properties: { x: '1' },
    })
    expect(message.durable).toBe(true)
    expect(lost).toEqual(['properties'])
  })
})

describe('AMQP and MQTT', () => {
  const bodies: readonly (readonly [string, Message, string])[] = [
    ['text', withBody(0x77, text('grün 😀')), 'grün 😀'],
    ['text null', withBody(0x77, { type: 'null' }), ''],
    ['bytes', withBody(0x75, { type: 'binary', value: Buffer.from('ab') }), 'ab'],
    ['map', withBody(0x77, pairs([[text('a'), { type: 'int64', value: 2n ** 60n }]])), '{"a":1152921504606846976}'],
    ['list', withBody(0x76, { type: 'terms', value: [text('x'), { type: 'null' }] }), '["x",null]'],
    ['none', incoming(Buffer.alloc(0)), ''],
  ]
  it.each(bodies)('body: %s', (_, message, expected) => {
    expect(Buffer.from(crossed(amqp, mqttDialect, message).message.body).toString()).toBe(expected)
  })

  it.each([
    [0, false],
    [1, true],
    [2, true],
  ])('quality of service %i and retain come back as they were', (qos, durable) => {
    const { message } = crossed(mqttDialect, amqp, newMessage(qos, true, Buffer.from('p')))
    expect(message.durable).toBe(durable)
    expect(rhea.message.decode(Buffer.concat([message.head, message.body]))).toMatchObject({
      body: { content: Buffer.from('p') },
      message_annotations: { 'x-opt-mqtt-qos': qos, 'x-opt-retain': true, 'x-opt-jms-msg-type': 3 },
    })
    const back = crossed(amqp, mqttDialect, message).message
    expect(back.head).toEqual(newMessage(qos, true, Buffer.from('p')).head)
  })

  it('what has no place in MQTT is counted', () => {
    const { lost } = crossed(amqp, mqttDialect, sent({ message_id: 'm', correlation_id: 'c', subject: 's', application_properties: { a: 1 } }))
    expect(lost).toEqual(expect.arrayContaining(['messageId', 'correlationId', 'type', 'properties']))
  })
})
