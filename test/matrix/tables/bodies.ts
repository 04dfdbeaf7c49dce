// Table 3.4: every kind of body, said in every way it can be, and what becomes of it.
import type { Section, Seen, Typed } from '../notation.ts'
import { type Cell, header, jms, type Row, string, value } from './row.ts'

const ODD = 'grün 😀\0end'
const ODD_BYTES = String(Buffer.byteLength(ODD))

const amqp = (kind: number, body: readonly Section[]): Cell => ({ seen: { messageAnnotations: jms(kind), body } })
const payload = (text: string): Seen => ({ payload: text })
/** Bytes without a word of their kind. */
const mqtt = (text: string, ...also: string[]): Cell => ({
  seen: payload(text),
  rules: also.length > 0 ? ['mqtt-bytes', 'mqtt-payload-only'] : ['mqtt-bytes'],
  lost: [...also, 'bodyKind'],
})
const stomp = (text: string, ...headers: string[]): Cell => ({ seen: { ...header(...headers), payload: text } })
const kindLost = (cell: Cell): Cell => ({ ...cell, rules: ['stomp-bodies'], lost: ['bodyKind'] })
const noKind = { stomp: 'stomp-says-text-and-bytes' } as const

const entry = (key: string, typed: Typed): readonly [Typed, Typed] => [string(key), typed]
/** What JSON says without loss. */
const JSON_MAP: Typed = [
  'map',
  [entry('name', string('grün 😀')), entry('count', ['long', 3n]), entry('rate', ['double', 0.5]), entry('ok', ['boolean', true])],
]
const JSON_TEXT = '{"name":"grün 😀","count":3,"rate":0.5,"ok":true}'
const TYPED_MAP: Typed = [
  'map',
  [entry('b', ['byte', -1]), entry('f', ['float', Math.fround(0.1)]), entry('d', ['binary', '00ff']), entry('c', ['char', 97])],
]
const TYPED_TEXT = '{"b":-1,"f":0.1,"d":"AP8=","c":"a"}'
const JAVA = 'application/x-java-serialized-object'

/** For the column of MQTT 5. */
export const BODY_TEXTS = { odd: ODD, map: JSON_TEXT, typedMap: TYPED_TEXT } as const

export const bodies: readonly Row[] = [
  {
    name: 'text',
    table: '3.4 text',
    said: { amqp: { body: value(string('order 1')) }, stomp: { headers: [], body: 'order 1' } },
    to: { mqtt: mqtt('order 1'), amqp: amqp(5, value(string('order 1'))), stomp: stomp('order 1') },
  },
  {
    name: 'text with 4-byte UTF-8 and NUL',
    table: '3.4 text',
    said: { amqp: { body: value(string(ODD)) }, stomp: { ...header('amq-msg-type', 'text', 'content-length', ODD_BYTES), body: ODD } },
    to: { mqtt: mqtt(ODD), amqp: amqp(5, value(string(ODD))), stomp: stomp(ODD, 'amq-msg-type', 'text', 'content-length', ODD_BYTES) },
  },
  {
    name: 'empty text',
    table: '3.4 text',
    said: { amqp: { body: value(string('')) }, stomp: { headers: [], body: '' } },
    to: { mqtt: mqtt(''), amqp: amqp(5, value(string(''))), stomp: stomp('') },
  },
  {
    name: 'text null',
    table: '3.4 AMQP in: AmqpValue null',
    said: { amqp: { body: value(['null', null]) } },
    unsaid: noKind,
    to: { mqtt: mqtt(''), stomp: kindLost(stomp('')) },
  },
  {
    name: 'text as data of a textual type',
    table: '3.4 AMQP in: Data with textual content-type',
    said: {
      amqp: { properties: { 'content-type': ['symbol', 'application/json; charset=utf-8'] }, body: [{ data: Buffer.from('"ü"').toString('hex') }] },
    },
    unsaid: noKind,
    to: { mqtt: mqtt('"ü"', 'contentType'), stomp: stomp('"ü"', 'content-type', 'application/json; charset=utf-8') },
  },
  {
    name: 'bytes',
    table: '3.4 bytes',
    said: {
      mqtt: { payload: '0x00ff80fe' },
      amqp: { body: [{ data: '00ff80fe' }] },
      stomp: { ...header('content-length', '4'), body: '0x00ff80fe' },
    },
    to: { mqtt: { seen: payload('0x00ff80fe') }, amqp: amqp(3, [{ data: '00ff80fe' }]), stomp: stomp('0x00ff80fe', 'content-length', '4') },
  },
  {
    name: 'no bytes',
    table: '3.4 MQTT in: bytes of length 0',
    said: { mqtt: { payload: '' }, amqp: { body: [{ data: '' }] }, stomp: { ...header('content-length', '0'), body: '' } },
    to: { mqtt: { seen: payload('') }, amqp: amqp(3, [{ data: '' }]), stomp: stomp('', 'content-length', '0') },
  },
  {
    name: 'bytes by amq-msg-type',
    table: '3.4 STOMP in: amq-msg-type:bytes',
    said: { stomp: { ...header('amq-msg-type', 'bytes'), body: 'ab' } },
    unsaid: { amqp: 'amqp-says' },
    to: { mqtt: { seen: payload('ab') }, amqp: amqp(3, [{ data: '6162' }]) },
  },
  {
    name: 'bytes in pieces',
    table: '3.4 AMQP in: Data',
    said: { amqp: { body: [{ data: '0001' }, { data: '' }, { data: '02' }] } },
    unsaid: noKind,
    to: { mqtt: { seen: payload('0x000102') }, stomp: stomp('0x000102', 'content-length', '3') },
  },
  {
    name: 'bytes as a value',
    table: '3.4 AMQP in: AmqpValue binary',
    said: { amqp: { body: value(['binary', '0001']) } },
    unsaid: noKind,
    to: { mqtt: { seen: payload('0x0001') }, stomp: stomp('0x0001', 'content-length', '2') },
  },
  {
    name: 'map',
    table: '3.4 map',
    said: { amqp: { body: value(JSON_MAP) }, stomp: { ...header('transformation', 'jms-map-json'), body: JSON_TEXT } },
    to: { mqtt: mqtt(JSON_TEXT), amqp: amqp(2, value(JSON_MAP)), stomp: stomp(JSON_TEXT, 'transformation', 'jms-map-json') },
  },
  {
    name: 'map with types that JSON has not',
    table: '3.4 map',
    said: { amqp: { body: value(TYPED_MAP) } },
    unsaid: { stomp: 'stomp-says-text-and-bytes' },
    to: {
      mqtt: mqtt(TYPED_TEXT),
      stomp: { ...stomp(TYPED_TEXT, 'transformation', 'jms-map-json'), rules: ['json-types'], lost: ['bodyTypes'] },
    },
  },
  {
    name: 'map with a name twice',
    table: 'The canonical form: duplicates kept',
    said: {
      stomp: {
        ...header('transformation', 'jms-map-xml'),
        body: '<map><entry><string>a</string><long>1</long></entry><entry><string>a</string><long>2</long></entry></map>',
      },
    },
    unsaid: { amqp: 'amqp-says' },
    to: {
      mqtt: { ...mqtt('{"a":1}'), rules: ['mqtt-bytes', 'first-of-equal'], lost: ['bodyKind', 'bodyEntries'] },
      amqp: { ...amqp(2, value(['map', [entry('a', ['long', 1n])]])), rules: ['first-of-equal'], lost: ['bodyEntries'] },
    },
  },
  {
    name: 'map as ActiveMQ writes it in JSON',
    table: '3.4 STOMP in: transformation:jms-map-json',
    said: { stomp: { ...header('transformation', 'jms-map-json'), body: '{"map":{"entry":[{"string":["a","x"]},{"string":"n","int":30}]}}' } },
    unsaid: { amqp: 'amqp-says' },
    to: { mqtt: mqtt('{"a":"x","n":30}'), amqp: amqp(2, value(['map', [entry('a', string('x')), entry('n', ['int', 30])]])) },
  },
  {
    name: 'map as ActiveMQ writes it in XML',
    table: '3.4 STOMP in: transformation:jms-map-xml',
    said: { stomp: { ...header('transformation', 'jms-map-xml'), body: '<map><entry><string>n</string><short>3</short></entry></map>' } },
    unsaid: { amqp: 'amqp-says' },
    to: { mqtt: mqtt('{"n":3}'), amqp: amqp(2, value(['map', [entry('n', ['short', 3])]])) },
  },
  {
    name: 'list',
    table: '3.4 stream (list)',
    said: { amqp: { body: [{ sequence: [string('x'), ['int', 1], ['null', null]] }] } },
    unsaid: noKind,
    to: { mqtt: mqtt('["x",1,null]'), stomp: kindLost(stomp('["x",1,null]')) },
  },
  {
    name: 'list as a value',
    table: '3.4 AMQP in: AmqpValue list',
    said: {
      amqp: {
        body: value([
          'list',
          [
            ['list', [string('x')]],
            ['boolean', false],
          ],
        ]),
      },
    },
    unsaid: noKind,
    to: { mqtt: mqtt('[["x"],false]'), stomp: kindLost(stomp('[["x"],false]')) },
  },
  {
    name: 'single value of another type',
    table: '3.4 AMQP in: a list of one',
    said: { amqp: { body: value(['uint', 70_000]) } },
    unsaid: noKind,
    to: { mqtt: mqtt('[70000]'), stomp: kindLost(stomp('[70000]')) },
  },
  {
    name: 'object',
    table: '3.4 object (Java)',
    said: { amqp: { properties: { 'content-type': ['symbol', JAVA] }, body: [{ data: 'aced0005' }] } },
    unsaid: noKind,
    to: { mqtt: mqtt('0xaced0005', 'contentType'), stomp: kindLost(stomp('0xaced0005', 'content-type', JAVA, 'content-length', '4')) },
  },
  {
    name: 'object to be made of XML',
    table: '3.4 STOMP in: jms-object-*',
    said: { stomp: { ...header('transformation', 'jms-object-xml'), body: '<x/>' } },
    unsaid: { amqp: 'amqp-says' },
    refused: { rule: 'stomp-java-objects', answer: 'Java objects cannot be made here' },
    to: {},
  },
  {
    name: 'none',
    table: '3.4 AMQP in: no body',
    said: { amqp: { body: [] } },
    unsaid: noKind,
    to: { mqtt: mqtt(''), stomp: kindLost(stomp('')) },
  },
  {
    name: 'none, as JMS writes it',
    table: '3.4 none: null, msg-type 0',
    said: { amqp: { messageAnnotations: jms(0), body: value(['null', null]) } },
    unsaid: noKind,
    to: { mqtt: mqtt(''), stomp: kindLost(stomp('')) },
  },
]
