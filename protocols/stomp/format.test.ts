// Tables 3.3 and 3.4 of the mapping contract, the column STOMP, row by row and both ways. Expected values are written from the tables.
import { describe, expect, it } from 'vitest'
import type { Address, Body, Broker, Canonical, Message, Value } from '../../src/api.ts'
import { Parser } from './codec.ts'
import { stompDialect } from './format.ts'
import { HeadWriter } from './head.ts'

const broker = {
  address: (kind: Address['kind'], path: readonly string[], namespace = '') => ({ kind, path, namespace }),
} as unknown as Broker
const dialect = stompDialect(broker, { propertyTypes: false, mapValuesMax: 1000 })

describe('a message that came by STOMP', () => {
  it.each<[string, string, Partial<Canonical>]>([
    ['correlationId', 'correlation-id:c1', { correlationId: { type: 'string', value: 'c1' } }],
    ['replyTo (queue)', 'reply-to:/queue/a.b', { replyTo: { namespace: '', kind: 'queue', path: ['a', 'b'] } }],
    ['replyTo (topic)', 'reply-to:/topic/a', { replyTo: { namespace: '', kind: 'topic', path: ['a'] } }],
    ['type', 'type:order', { type: 'order' }],
    ['contentType', 'content-type:text/xml', { contentType: 'text/xml' }],
    ['contentEncoding', 'content-encoding:gzip', { contentEncoding: 'gzip' }],
    ['timestamp', 'timestamp:1700000000000', { timestampMs: 1_700_000_000_000 }],
    ['qos', 'ActiveMQ.MQTT.QoS:1', { qos: 1 }],
    ['retain', 'ActiveMQ.Retain:true', { retain: true }],
    ['groupSeq', 'JMSXGroupSeq:3', { groupSequence: 3 }],
    ['dedupId', '_AMQ_DUPL_ID:d1', { properties: [['_AMQ_DUPL_ID', string('d1')]] }],
    ['deliverAt', 'AMQ_SCHEDULED_DELAY:5', { properties: [['AMQ_SCHEDULED_DELAY', string('5')]] }],
    ['trace', 'traceparent:00-ab', { properties: [['traceparent', string('00-ab')]] }],
    [
      'properties: strings, in order, doubles kept',
      'b:1\na:2\nb:3',
      {
        properties: [
          ['b', string('1')],
          ['a', string('2')],
          ['b', string('3')],
        ],
      },
    ],
    ['an address that is none of ours stays a property', 'reply-to:/exchange/x', { properties: [['reply-to', string('/exchange/x')]] }],
  ])('%s', (_, headers, expected) => {
    expect(dialect.toCanonical(sent(headers, 'x'))).toMatchObject(expected)
    const { body: _body, ...head } = dialect.toCanonical(sent(headers, 'x'))
    expect({ ...dialect.headOf(sent(headers, 'x')), correlationId: head.correlationId }).toEqual(head)
  })

  it('gives identifiers to selectors as the text that they are', () => {
    const text = 'ID:AMQP_ULONG:7'
    expect(dialect.headOf(sent(`correlation-id:${text.replaceAll(':', '\\c')}`, 'x')).correlationId).toEqual(string(text))
  })

  it('has no field that nothing was said about', () => {
    expect(dialect.toCanonical(sent('', 'x'))).toEqual({
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
      body: { kind: 'text', text: 'x' },
    })
  })

  it.each<[string, string, Partial<Message>]>([
    ['durable', 'persistent:true', { durable: true }],
    ['not durable', 'persistent:false', { durable: false }],
    ['not durable when nothing is said', '', { durable: false, priority: 4, expiresAtMs: 0, deliverAtMs: 0, group: '' }],
    ['priority', 'priority:7', { priority: 7 }],
    ['expiration', 'expires:1700000000000', { expiresAtMs: 1_700_000_000_000 }],
    ['groupId', 'JMSXGroupID:g', { group: 'g' }],
  ])('routes by %s', (_, headers, expected) => {
    expect(sent(headers, 'x')).toMatchObject(expected)
  })

  it.each<[string, string, Buffer | string, Body]>([
    ['text without content-length', '', 'grün 😀', { kind: 'text', text: 'grün 😀' }],
    ['text by amq-msg-type', 'amq-msg-type:text\ncontent-length:3', 'a\0b', { kind: 'text', text: 'a\0b' }],
    ['bytes by content-length', 'content-length:3', 'a\0b', { kind: 'bytes', bytes: Buffer.from('a\0b') }],
    ['bytes by amq-msg-type', 'amq-msg-type:bytes', 'ab', { kind: 'bytes', bytes: Buffer.from('ab') }],
    ['nothing', '', '', { kind: 'text', text: '' }],
    ['text that is none', '', Buffer.from([0xff]), { kind: 'bytes', bytes: Buffer.from([0xff]) }],
    ['map as plain JSON', 'transformation:jms-map-json', '{"a":"b","n":5,"x":1.5,"t":true,"z":null}', plainMap()],
    ['map as plain JSON, measured', 'content-length:9\ntransformation:jms-map-json', '{"a":"b"}', { kind: 'map', entries: [['a', string('b')]] }],
    ['map as ActiveMQ writes JSON', 'transformation:jms-map-json', '{"map":{"entry":[{"string":["a","b"]},{"string":"n","int":5}]}}', amqMap()],
    ['map of one entry as ActiveMQ writes JSON', 'transformation:jms-map-json', '{"map":{"entry":{"string":["a","b"]}}}', oneMap()],
    [
      'map as XML',
      'transformation:jms-map-xml',
      '<map>\n <entry><string>a</string><string>b</string></entry><entry>\n<string>n</string><int>5</int></entry></map>',
      amqMap(),
    ],
    ['a map that cannot be read stays text', 'transformation:jms-map-json', '{broken', { kind: 'text', text: '{broken' }],
    ['XML that is no map stays text', 'transformation:jms-map-xml', '<map><entry></map>', { kind: 'text', text: '<map><entry></map>' }],
  ])('body: %s', (_, headers, body, expected) => {
    expect(dialect.toCanonical(sent(headers, body)).body).toEqual(expected)
  })

  it('with a Java object is refused', () => {
    expect(new HeadWriter().read(frame('transformation:jms-object-json', '{}'))).toMatchObject({ code: 'unsupported' })
  })
})

const ID_OF_UUID = 'message-id:ID\\cAMQP_UUID\\c11111111-1111-1111-1111-111111111111\n'

describe('a message for STOMP', () => {
  it.each<[string, Partial<Canonical>, Partial<Message>, string, string[]]>([
    ['id', { messageId: string('m1') }, {}, 'message-id:m1\n', []],
    ['id of another type', { messageId: { type: 'uuid', value: Buffer.alloc(16, 0x11) } }, {}, ID_OF_UUID, []],
    ['correlationId, string', { correlationId: string('c1') }, {}, 'correlation-id:c1\n', []],
    [
      'correlationId, number',
      { correlationId: { type: 'uint64', value: 2n ** 60n } },
      {},
      'correlation-id:ID\\cAMQP_ULONG\\c1152921504606846976\n',
      [],
    ],
    [
      'correlationId, bytes',
      { correlationId: { type: 'binary', value: Buffer.from([0xab, 1]) } },
      {},
      'correlation-id:ID\\cAMQP_BINARY\\cAB01\n',
      [],
    ],
    ['replyTo', { replyTo: { namespace: '', kind: 'queue', path: ['a', 'b'] } }, {}, 'reply-to:/queue/a.b\n', []],
    ['replyTo without a name here', { replyTo: { namespace: 'x', kind: 'queue', path: ['a'] } }, {}, '', ['replyTo']],
    ['type', { type: 'order' }, {}, 'type:order\n', []],
    ['contentType', { contentType: 'text/xml' }, {}, 'content-type:text/xml\n', []],
    ['contentEncoding', { contentEncoding: 'gzip' }, {}, 'content-encoding:gzip\n', []],
    ['timestamp', { timestampMs: 1_700_000_000_000 }, {}, 'timestamp:1700000000000\n', []],
    ['expiration', {}, { expiresAtMs: 1_700_000_000_000 }, 'expires:1700000000000\n', []],
    ['durable', {}, { durable: true }, 'persistent:true\n', []],
    ['qos', { qos: 2 }, {}, 'ActiveMQ.MQTT.QoS:2\n', []],
    ['retain', { retain: true }, {}, 'ActiveMQ.Retain:true\n', []],
    ['groupId', {}, { group: 'g' }, 'JMSXGroupID:g\n', []],
    ['groupSeq', { groupSequence: 3 }, {}, 'JMSXGroupSeq:3\n', []],
    ['userId', { userId: 'me' }, {}, 'JMSXUserID:me\n', []],
    [
      'properties, in order, doubles kept',
      {
        properties: [
          ['b', string('1')],
          ['a:c', string('2\n')],
          ['b', string('3')],
        ],
      },
      {},
      'b:1\na\\cc:2\\n\nb:3\n',
      [],
    ],
    [
      'properties of other types',
      {
        properties: [
          ['i', { type: 'int32', value: -5 }],
          ['l', { type: 'int64', value: 9_007_199_254_740_993n }],
          ['t', { type: 'boolean', value: true }],
          ['d', { type: 'double', value: 0.5 }],
          ['n', { type: 'null' }],
          ['x', { type: 'binary', value: Buffer.from([1, 0xff]) }],
          ['u', { type: 'uuid', value: Buffer.alloc(16, 0x11) }],
        ],
      },
      {},
      'i:-5\nl:9007199254740993\nt:true\nd:0.5\nn:\nx:01ff\nu:11111111-1111-1111-1111-111111111111\n',
      ['propertyTypes'],
    ],
    [
      'properties that would pass for headers of the frame',
      {
        properties: [
          ['destination', string('/queue/x')],
          ['content-length', string('1')],
          ['message-id', string('1')],
          ['priority', string('9')],
        ],
      },
      {},
      '',
      ['properties', 'properties', 'properties', 'properties'],
    ],
  ])('%s', (_, canonical, message, expected, losses) => {
    const { head, lost } = write({ ...EMPTY, ...canonical }, message)
    expect(head.replace('priority:4\n', '')).toBe(expected)
    expect(lost).toEqual(losses)
  })

  it('always says its priority', () => {
    expect(write(EMPTY, { priority: 7 }).head).toBe('priority:7\n')
  })

  it.each<[string, Body, string, string, string[]]>([
    ['text', { kind: 'text', text: 'grün' }, '', 'grün', []],
    ['text with a NUL', { kind: 'text', text: 'a\0b' }, 'amq-msg-type:text\ncontent-length:3\n', 'a\0b', []],
    ['text null', { kind: 'text', text: null }, '', '', ['bodyKind']],
    ['bytes', { kind: 'bytes', bytes: Buffer.from('ab') }, 'content-length:2\n', 'ab', []],
    ['map', { kind: 'map', entries: [['a', string('b')]] }, 'transformation:jms-map-json\n', '{"a":"b"}', []],
    ['stream', { kind: 'list', items: [string('a'), { type: 'int32', value: 1 }] }, '', '["a",1]', ['bodyKind']],
    [
      'object',
      { kind: 'object', bytes: Buffer.from('ab'), contentType: 'application/x-java-serialized-object' },
      'content-type:application/x-java-serialized-object\ncontent-length:2\n',
      'ab',
      ['bodyKind'],
    ],
    ['none', { kind: 'none' }, '', '', ['bodyKind']],
  ])('body: %s', (_, body, head, bytes, losses) => {
    const written = write({ ...EMPTY, body }, {})
    expect(written.head.replace('priority:4\n', '')).toBe(head)
    expect(written.body).toBe(bytes)
    expect(written.lost).toEqual(losses)
  })

  it('comes back as it went for every kind that STOMP carries', () => {
    const bodies: Body[] = [{ kind: 'text', text: 'a\0b' }, { kind: 'text', text: 'ü' }, { kind: 'bytes', bytes: Buffer.from('a\0') }, oneMap()]
    for (const body of bodies) {
      const { bytes } = write({ ...EMPTY, body, correlationId: string('c'), type: 't', properties: [['p', string('v')]] }, {})
      const back = dialect.toCanonical({ ...MESSAGE, ...bytes })
      expect(back).toMatchObject({ body, correlationId: string('c'), type: 't', properties: [['p', string('v')]] })
    }
  })
})

describe('the head of a SEND', () => {
  it('keeps what its sender set, in order, and leaves out what belongs to the frame or to the broker', () => {
    const message = sent(
      'destination:/queue/a\nb:1\nreceipt:r\npersistent:true\nmessage-id:x\nsubscription:s\nack:1\nredelivered:true\nJMSXUserID:root\ncontent-length:2\na:2\nb:3',
      'xy',
    )
    expect(Buffer.from(message.head).toString()).toBe('b:1\npersistent:true\na:2\nb:3\ncontent-length:2\n')
  })

  it('is written with the escapes of 1.2', () => {
    expect(Buffer.from(sent('x:a\\cb\\nc\\r\\\\', '').head).toString()).toBe('x:a\\cb\\nc\\r\\\\\n')
    expect(Buffer.from(sent('x:http://host', '').head).toString()).toBe('x:http\\c//host\n')
  })

  it.each(['priority:high', 'priority:-1', 'expires:tomorrow'])('refuses %s', (line) => {
    expect(new HeadWriter().read(frame(line, ''))).toMatchObject({ code: 'invalid' })
  })

  it('cuts a priority at 9', () => {
    expect(sent('priority:12', '').priority).toBe(9)
  })
})

const MESSAGE: Message = {
  dialect: 'stomp',
  head: new Uint8Array(0),
  body: new Uint8Array(0),
  durable: false,
  priority: 4,
  expiresAtMs: 0,
  deliverAtMs: 0,
  group: '',
  groupEnds: false,
}

const EMPTY: Canonical = {
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
  body: { kind: 'text', text: '' },
}

function string(value: string): Value {
  return { type: 'string', value }
}

function oneMap(): Body {
  return { kind: 'map', entries: [['a', string('b')]] }
}

function amqMap(): Body {
  return {
    kind: 'map',
    entries: [
      ['a', string('b')],
      ['n', { type: 'int32', value: 5 }],
    ],
  }
}

function plainMap(): Body {
  return {
    kind: 'map',
    entries: [
      ['a', string('b')],
      ['n', { type: 'int64', value: 5n }],
      ['x', { type: 'double', value: 1.5 }],
      ['t', { type: 'boolean', value: true }],
      ['z', { type: 'null' }],
    ],
  }
}

function frame(headers: string, body: Buffer | string) {
  const parser = new Parser({ headersMax: 100, headerBytesMax: 65_536, lineBytesMax: 1024, bodyBytesMax: 65_536 })
  parser.version = '1.2'
  parser.push(Buffer.concat([Buffer.from(`SEND\n${headers}${headers === '' ? '' : '\n'}\n`), Buffer.from(body), Buffer.from('\0')]))
  const read = parser.read()
  if (read === undefined) throw new Error(parser.fault?.sentence ?? 'no frame')
  return read
}

function sent(headers: string, body: Buffer | string): Message {
  const sending = new HeadWriter().read(frame(headers, body))
  if ('code' in sending) throw new Error(sending.sentence)
  return sending.message
}

function write(canonical: Canonical, message: Partial<Message>) {
  const lost: string[] = []
  const bytes = dialect.fromCanonical(canonical, { ...MESSAGE, ...message }, (field) => lost.push(field))
  if (bytes === undefined) throw new Error('refused')
  return { head: Buffer.from(bytes.head).toString(), body: Buffer.from(bytes.body).toString(), bytes, lost }
}

describe('types of properties in x-amq-types', () => {
  const telling = stompDialect(broker, { propertyTypes: true, mapValuesMax: 1000 })
  const properties: Canonical['properties'] = [
    ['count', { type: 'int32', value: -5 }],
    ['odd,name=%', { type: 'float', value: Math.fround(0.1) }],
    ['plain', string('x')],
    ['nothing', { type: 'null' }],
  ]
  const text = 'count:-5\nodd,name=%:0.1\nplain:x\nnothing:\nx-amq-types:count=int32,odd%2Cname%3D%25=float,nothing=null\n'

  it('are told when the setting says so, and nothing is lost', () => {
    const lost: string[] = []
    const made = telling.fromCanonical({ ...EMPTY, properties }, sent('', ''), (field) => lost.push(field))
    expect(Buffer.from(made?.head ?? []).toString()).toBe(`priority:4\n${text}`)
    expect(lost).toEqual([])
  })

  it('are read from any sender', () => {
    expect(dialect.toCanonical(sent(text.trimEnd(), '')).properties).toEqual(properties)
  })

  it('leave a list its text, which is counted', () => {
    const lost: string[] = []
    telling.fromCanonical({ ...EMPTY, properties: [['l', { type: 'list', value: [] }]] }, sent('', ''), (field) => lost.push(field))
    expect(lost).toEqual(['propertyTypes'])
  })
})

describe('a map body of many values', () => {
  const limited = stompDialect(broker, { propertyTypes: false, mapValuesMax: 10 })
  const plain = (count: number, value: string): string => `{${Array.from({ length: count }, (_, i) => `"${i}":${value}`).join()}}`
  const xml = (count: number): string => `<map>${'<entry><string>k</string><int>1</int></entry>'.repeat(count)}</map>`
  const kindOf = (transformation: string, body: string): string => limited.toCanonical(sent(`transformation:${transformation}`, body)).body.kind

  it('is a map up to mapValuesMax of them, and text beyond, whatever stands in its strings', () => {
    expect(kindOf('jms-map-json', plain(10, '1'))).toBe('map')
    expect(kindOf('jms-map-json', plain(10, '",[{\\",,"'))).toBe('map')
    expect(kindOf('jms-map-json', plain(11, '1'))).toBe('text')
    expect(kindOf('jms-map-json', `{"a":[${'[],'.repeat(10)}[]]}`)).toBe('text')
    expect(kindOf('jms-map-xml', xml(1))).toBe('map')
    expect(kindOf('jms-map-xml', xml(2))).toBe('text')
  })
})
