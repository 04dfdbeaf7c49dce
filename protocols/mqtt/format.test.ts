// Tables 3.3 and 3.4 of the mapping, MQTT 3.1.1's column, row by row, both ways. The expected values are written from the tables, not from the code.
import { describe, expect, it } from 'vitest'
import type { Body, Canonical, Message, Value } from '../../src/api.ts'
import { dialect, newMessage, qosOf } from './format.ts'

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
  body: { kind: 'bytes', bytes: new Uint8Array(0) },
}

/** A message of another origin; its bytes are not looked at. */
const FOREIGN: Message = {
  dialect: 'other',
  head: Buffer.from('h'),
  body: Buffer.from('b'),
  durable: false,
  priority: 4,
  expiresAtMs: 0,
  deliverAtMs: 0,
  group: '',
  groupEnds: false,
}

function out(canonical: Partial<Canonical>, message: Partial<Message> = {}): { message: Message; lost: string[] } {
  const lost: string[] = []
  const made = dialect.fromCanonical({ ...EMPTY, ...canonical }, { ...FOREIGN, ...message }, (field) => void lost.push(field))
  if (made === undefined) throw new Error('everything can be represented')
  return { message: { ...FOREIGN, ...message, ...made, dialect: 'mqtt' }, lost }
}

const text = (value: string): Value => ({ type: 'string', value })

describe('table 3.3: fields into MQTT 3.1.1', () => {
  const carried: [row: string, canonical: Partial<Canonical>, message: Partial<Message>, qos: number, retain: boolean][] = [
    ['durable: QoS > 0', {}, { durable: true }, 1, false],
    ['not durable: QoS 0', {}, { durable: false }, 0, false],
    ['qos of MQTT: as it was', { qos: 2 }, { durable: true }, 2, false],
    ['qos 0 of MQTT', { qos: 0 }, { durable: false }, 0, false],
    ['retain: RETAIN', { retain: true }, { durable: true }, 1, true],
  ]
  it.each(carried)('%s', (_, canonical, message, qos, retain) => {
    const made = out(canonical, message)
    expect(qosOf(made.message)).toBe(qos)
    expect(dialect.toCanonical(made.message).retain).toBe(retain)
    expect(made.lost).toEqual([])
  })

  const lost: [row: string, canonical: Partial<Canonical>, message: Partial<Message>, field: string][] = [
    ['id', { messageId: text('ID:1') }, {}, 'messageId'],
    ['correlationId', { correlationId: text('c') }, {}, 'correlationId'],
    ['replyTo', { replyTo: { namespace: '', kind: 'queue', path: ['r'] } }, {}, 'replyTo'],
    ['type', { type: 't' }, {}, 'type'],
    ['contentType', { contentType: 'text/plain' }, {}, 'contentType'],
    ['contentEncoding', { contentEncoding: 'gzip' }, {}, 'contentEncoding'],
    ['bodyKind', { body: { kind: 'text', text: 'x' } }, {}, 'bodyKind'],
    ['timestamp', { timestampMs: 1 }, {}, 'timestamp'],
    ['expiration', {}, { expiresAtMs: 1 }, 'expiration'],
    ['priority', {}, { priority: 9 }, 'priority'],
    ['groupId', {}, { group: 'g' }, 'groupId'],
    ['groupSeq', { groupSequence: 1 }, {}, 'groupSequence'],
    ['deliverAt', {}, { deliverAtMs: 1 }, 'deliverAt'],
    ['userId', { userId: 'u' }, {}, 'userId'],
    [
      'properties',
      {
        properties: [
          ['a', text('1')],
          ['a', { type: 'int64', value: 2n }],
          ['b', { type: 'null' }],
        ],
      },
      {},
      'properties',
    ],
  ]
  it.each(lost)('%s: —, and counted once', (_, canonical, message, field) => {
    expect(out(canonical, message).lost).toEqual([field])
  })
})

describe('table 3.3: fields out of MQTT 3.1.1', () => {
  it.each([
    [0, false],
    [1, false],
    [2, true],
  ])('QoS %d and RETAIN %s are kept, nothing else is made up', (qos, retain) => {
    const message = newMessage(qos, retain, Buffer.from('x'))
    expect(dialect.toCanonical(message)).toEqual({ ...EMPTY, qos, retain, body: { kind: 'bytes', bytes: Buffer.from('x') } })
    expect([message.durable, message.priority, message.expiresAtMs, message.deliverAtMs, message.group]).toEqual([qos > 0, 4, 0, 0, ''])
  })
})

describe('table 3.4: body kinds', () => {
  const into: [kind: string, body: Body, bytes: string][] = [
    ['text: UTF-8', { kind: 'text', text: 'größe 🙂\u0000' }, Buffer.from('größe 🙂\u0000').toString('hex')],
    ['text null: 0 bytes', { kind: 'text', text: null }, ''],
    ['bytes: bytes', { kind: 'bytes', bytes: Uint8Array.of(0, 255, 10) }, '00ff0a'],
    [
      'map: JSON',
      {
        kind: 'map',
        entries: [
          ['a', { type: 'int64', value: 9007199254740993n }],
          ['b', text('x')],
        ],
      },
      Buffer.from('{"a":9007199254740993,"b":"x"}').toString('hex'),
    ],
    [
      'stream: JSON array',
      { kind: 'list', items: [{ type: 'boolean', value: true }, { type: 'null' }, text('"')] },
      Buffer.from('[true,null,"\\""]').toString('hex'),
    ],
    ['object: bytes', { kind: 'object', bytes: Uint8Array.of(0xac, 0xed), contentType: 'application/x-java-serialized-object' }, 'aced'],
    ['none: 0 bytes', { kind: 'none' }, ''],
  ]
  it.each(into)('into MQTT, %s', (_, body, hex) => {
    expect(Buffer.from(out({ body }).message.body).toString('hex')).toBe(hex)
  })

  it('out of MQTT 3.1.1 everything is bytes, nothing is bytes of length 0', () => {
    expect(dialect.toCanonical(newMessage(1, false, Buffer.from('{"looks":"like text"}'))).body).toEqual({
      kind: 'bytes',
      bytes: Buffer.from('{"looks":"like text"}'),
    })
    expect(dialect.toCanonical(newMessage(0, false, Buffer.alloc(0))).body).toEqual({ kind: 'bytes', bytes: Buffer.alloc(0) })
  })

  it('there and back through the canonical form is the same, to the byte', () => {
    for (const qos of [0, 1, 2]) {
      for (const retain of [false, true]) {
        const message = newMessage(qos, retain, Buffer.from([1, 2, 3]))
        const made = dialect.fromCanonical(dialect.toCanonical(message), message, (field) => expect.unreachable(field))
        expect(made).toEqual({ head: message.head, body: message.body })
      }
    }
  })
})
