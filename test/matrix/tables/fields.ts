// Table 3.3 without its row `properties`: each header field, said by each front end that has a word for it.
import { header, jms, properties, type Row, string, unsayable } from './row.ts'
import type { Typed } from '../notation.ts'

export const WHEN_MS = 1_700_000_000_000
const HOUR_MS = 3_600_000
/** Read once: an expiry must lie ahead. */
export const EXPIRES_MS = Date.now() + HOUR_MS

/** The four types of identifiers of AMQP (part 3.2.4), and their text by the JMS mapping (amqp-bindmap-jms 3.2.1.1). */
export const identifiers: readonly (readonly [type: string, typed: Typed, text: string])[] = [
  ['string', ['string', 'id-7'], 'id-7'],
  ['ulong', ['ulong', 18446744073709551615n], 'ID:AMQP_ULONG:18446744073709551615'],
  ['uuid', ['uuid', '00112233445566778899aabbccddeeff'], 'ID:AMQP_UUID:00112233-4455-6677-8899-aabbccddeeff'],
  ['binary', ['binary', '00ff10'], 'ID:AMQP_BINARY:00FF10'],
  ['string that looks like another type', ['string', 'ID:AMQP_ULONG:7'], 'ID:AMQP_STRING:ID:AMQP_ULONG:7'],
]

const both = (amqp: Readonly<Record<string, Typed>>, ...headers: string[]) => ({
  said: { amqp: properties(amqp), stomp: header(...headers) },
  seen: { amqp: properties(amqp), stomp: header(...headers) },
})

function field(name: string, table: string, lost: readonly string[], { said, seen }: ReturnType<typeof both>): Row {
  return { name, table, said, to: { mqtt: unsayable(...lost), amqp: { seen: seen.amqp }, stomp: { seen: seen.stomp } } }
}

function reply(kind: 'queue' | 'topic', annotation: number): Row {
  const amqp = {
    properties: { 'reply-to': string(`${kind}://r.s`) },
    messageAnnotations: { ...jms(3), 'x-opt-jms-reply-to': ['byte', annotation] },
  } as const
  return {
    name: `reply-to a ${kind}`,
    table: '3.3 replyTo',
    said: { amqp, stomp: header('reply-to', `/${kind}/r.s`) },
    to: { mqtt: unsayable('replyTo'), amqp: { seen: amqp }, stomp: { seen: header('reply-to', `/${kind}/r.s`) } },
  }
}

export const fields: readonly Row[] = [
  { name: 'nothing but a body', table: '3.3', said: { mqtt: {}, amqp: {}, stomp: {} }, to: { mqtt: {}, amqp: {}, stomp: {} } },
  ...identifiers.map(
    ([type, typed, text]): Row => ({
      name: `message id (${type})`,
      table: '3.3 id',
      said: { amqp: properties({ 'message-id': typed }) },
      unsaid: { stomp: 'stomp-brokers-headers' },
      to: { mqtt: unsayable('messageId'), stomp: { seen: header('message-id', text) } },
    }),
  ),
  ...identifiers.map(([type, typed, text]) =>
    field(`correlation id (${type})`, '3.3 correlationId', ['correlationId'], both({ 'correlation-id': typed }, 'correlation-id', text)),
  ),
  reply('queue', 0),
  reply('topic', 1),
  field('type', '3.3 type', ['type'], both({ subject: string('order.new') }, 'type', 'order.new')),
  field('content type', '3.3 contentType', ['contentType'], both({ 'content-type': ['symbol', 'image/png'] }, 'content-type', 'image/png')),
  {
    name: 'content type that is not ASCII',
    table: '3.3 contentType',
    said: { stomp: header('content-type', 'x/grün') },
    unsaid: { amqp: 'amqp-says' },
    to: { mqtt: unsayable('contentType'), amqp: { rules: ['amqp-ascii'], lost: ['contentType'] } },
  },
  field('content encoding', '3.3 contentEncoding', ['contentEncoding'], both({ 'content-encoding': ['symbol', 'gzip'] }, 'content-encoding', 'gzip')),
  field('timestamp', '3.3 timestamp', ['timestamp'], both({ 'creation-time': ['timestamp', WHEN_MS] }, 'timestamp', String(WHEN_MS))),
  {
    name: 'timestamp that is no number',
    table: '3.3 timestamp',
    said: { stomp: header('timestamp', 'yesterday') },
    unsaid: { amqp: 'amqp-says' },
    to: { mqtt: unsayable('properties'), amqp: { seen: { applicationProperties: { timestamp: string('yesterday') } } } },
  },
  {
    name: 'expiration',
    table: '3.3 expiration',
    said: {
      amqp: { ttl: HOUR_MS, properties: { 'absolute-expiry-time': ['timestamp', EXPIRES_MS] } },
      stomp: header('expires', String(EXPIRES_MS)),
    },
    to: {
      mqtt: unsayable('expiration'),
      amqp: { seen: { ttl: HOUR_MS, properties: { 'absolute-expiry-time': ['timestamp', EXPIRES_MS] } } },
      stomp: { seen: header('expires', String(EXPIRES_MS)) },
    },
  },
  {
    name: 'priority',
    table: '3.3 priority',
    said: { amqp: { priority: 7 }, stomp: header('priority', '7') },
    to: { mqtt: unsayable('priority'), amqp: { seen: { priority: 7 } }, stomp: { seen: header('priority', '7') } },
  },
  {
    name: 'durable',
    table: '3.3 durable; qos for messages of other origin',
    said: { mqtt: { qos: 1 }, amqp: { durable: true }, stomp: header('persistent', 'true') },
    to: { mqtt: { seen: { qos: 1 } }, amqp: { seen: { durable: true } }, stomp: { seen: header('persistent', 'true') } },
  },
  {
    name: 'QoS 2',
    table: '3.3 qos (from MQTT)',
    said: {
      mqtt: { qos: 2 },
      amqp: { durable: true, messageAnnotations: { 'x-opt-mqtt-qos': ['ubyte', 2] } },
      stomp: header('persistent', 'true', 'ActiveMQ.MQTT.QoS', '2'),
    },
    to: {
      mqtt: { seen: { qos: 2 } },
      amqp: { seen: { durable: true, messageAnnotations: { ...jms(3), 'x-opt-mqtt-qos': ['ubyte', 2] } } },
      stomp: { seen: header('persistent', 'true', 'ActiveMQ.MQTT.QoS', '2') },
    },
  },
  {
    name: 'retain',
    table: '3.3 retain',
    said: { mqtt: { retain: true }, amqp: { messageAnnotations: { 'x-opt-retain': ['boolean', true] } }, stomp: header('ActiveMQ.Retain', 'true') },
    to: {
      mqtt: {},
      amqp: { seen: { messageAnnotations: { ...jms(3), 'x-opt-retain': ['boolean', true] } } },
      stomp: { seen: header('ActiveMQ.Retain', 'true') },
    },
  },
  field(
    'group and its sequence',
    '3.3 groupId, groupSeq',
    ['groupId', 'groupSequence'],
    both({ 'group-id': string('g1'), 'group-sequence': ['uint', 3] }, 'JMSXGroupID', 'g1', 'JMSXGroupSeq', '3'),
  ),
  field('reply-to group', '3.1 AMQP sections → JMS', ['properties'], both({ 'reply-to-group-id': string('g2') }, 'JMS_AMQP_ReplyToGroupID', 'g2')),
  {
    name: 'dedup id',
    table: '3.3 dedupId',
    said: { amqp: { messageAnnotations: { 'x-opt-dedup-id': string('d1') } }, stomp: header('_AMQ_DUPL_ID', 'd1') },
    to: {
      mqtt: unsayable('properties'),
      // Both of its names in AMQP are good; this is the one that Artemis's clients know.
      amqp: { seen: { applicationProperties: { _AMQ_DUPL_ID: string('d1') } } },
      stomp: { seen: header('_AMQ_DUPL_ID', 'd1') },
    },
  },
  {
    name: 'user id',
    table: '3.3 userId',
    said: { amqp: properties({ 'user-id': ['binary', Buffer.from('anna').toString('hex')] }) },
    unsaid: { stomp: 'stomp-brokers-headers' },
    to: { mqtt: unsayable('userId'), stomp: { seen: header('JMSXUserID', 'anna') } },
  },
  {
    name: 'user id that is no text',
    table: '3.3 userId',
    said: { amqp: properties({ 'user-id': ['binary', 'ff00c3'] }) },
    unsaid: { stomp: 'stomp-brokers-headers' },
    to: { mqtt: unsayable('userId'), stomp: { seen: header('JMSXUserID', 'ID:AMQP_BINARY:FF00C3') } },
  },
  {
    name: 'trace',
    table: '3.3 trace',
    said: { amqp: { applicationProperties: { traceparent: string('00-4bf9-00f0-01') } }, stomp: header('traceparent', '00-4bf9-00f0-01') },
    to: {
      mqtt: unsayable('properties'),
      amqp: { seen: { applicationProperties: { traceparent: string('00-4bf9-00f0-01') } } },
      stomp: { seen: header('traceparent', '00-4bf9-00f0-01') },
    },
  },
  {
    name: 'message annotation',
    table: '3.3 annotations, delivery annotations, footer',
    said: { amqp: { messageAnnotations: { 'x-opt-mine': string('m') } }, stomp: header('JMS_AMQP_MA_x-opt-mine', 'm') },
    to: {
      mqtt: unsayable('properties'),
      amqp: { seen: { messageAnnotations: { ...jms(3), 'x-opt-mine': string('m') } } },
      stomp: { seen: header('JMS_AMQP_MA_x-opt-mine', 'm') },
    },
  },
  {
    name: 'message annotation that is a list',
    table: '3.3 annotations, delivery annotations, footer',
    said: { amqp: { messageAnnotations: { 'x-opt-mine': ['list', [['int', 1], string('x')]] } } },
    unsaid: { stomp: 'stomp-says-text-and-bytes' },
    to: {
      mqtt: unsayable('properties'),
      stomp: { seen: header('JMS_AMQP_MA_x-opt-mine', '[1,"x"]'), rules: ['stomp-text-headers'], lost: ['propertyTypes'] },
    },
  },
  {
    name: 'delivery annotation',
    table: '3.3 annotations, delivery annotations, footer',
    said: { amqp: { deliveryAnnotations: { 'x-opt-once': string('d') } }, stomp: header('JMS_AMQP_DA_x-opt-once', 'd') },
    to: {
      mqtt: unsayable('properties'),
      amqp: { seen: { deliveryAnnotations: { 'x-opt-once': string('d') } } },
      stomp: { seen: header('JMS_AMQP_DA_x-opt-once', 'd') },
    },
  },
  {
    name: 'footer',
    table: '3.3 annotations, delivery annotations, footer',
    said: { amqp: { footer: { 'x-opt-sum': string('f') } }, stomp: header('JMS_AMQP_FT_x-opt-sum', 'f') },
    to: {
      mqtt: unsayable('properties'),
      amqp: { seen: { footer: { 'x-opt-sum': string('f') } } },
      stomp: { seen: header('JMS_AMQP_FT_x-opt-sum', 'f') },
    },
  },
  {
    name: 'annotations that are not the sender’s to write',
    table: '3.3 annotations, delivery annotations, footer',
    said: { stomp: header('JMS_AMQP_MA_x-opt-jms-msg-type', '9', 'JMS_AMQP_FT_grün', 'g') },
    unsaid: { amqp: 'amqp-says' },
    to: { mqtt: unsayable('properties'), amqp: { rules: ['amqp-own-annotations'], lost: ['annotations', 'annotations'] } },
  },
  {
    name: 'delivery time',
    table: '3.3 deliverAt',
    said: { amqp: { messageAnnotations: { 'x-opt-delivery-time': ['long', 1000n] } } },
    unsaid: { stomp: 'stomp-says-delays' },
    to: { mqtt: unsayable('deliverAt'), stomp: { rules: ['stomp-delays'], lost: ['deliverAt'] } },
  },
  {
    name: 'delivery delay',
    table: '3.3 deliverAt',
    said: { amqp: { messageAnnotations: { 'x-opt-delivery-delay': ['long', 1n] } }, stomp: header('AMQ_SCHEDULED_DELAY', '1') },
    to: {
      mqtt: unsayable('deliverAt', 'properties'),
      amqp: { seen: { messageAnnotations: { ...jms(3), 'x-opt-delivery-delay': ['long', 1n] } } },
      stomp: { seen: header('AMQ_SCHEDULED_DELAY', '1') },
    },
  },
  // One without the other is carried and changes nothing: together they would send copies.
  {
    name: 'period',
    table: '3.3 period',
    said: { amqp: { messageAnnotations: { 'x-opt-delivery-period': ['long', 60_000n] } }, stomp: header('AMQ_SCHEDULED_PERIOD', '60000') },
    to: {
      mqtt: unsayable('properties'),
      amqp: { seen: { messageAnnotations: { ...jms(3), 'x-opt-delivery-period': ['long', 60_000n] } } },
      stomp: { seen: header('AMQ_SCHEDULED_PERIOD', '60000') },
    },
  },
  {
    name: 'repeat',
    table: '3.3 repeat',
    said: { amqp: { messageAnnotations: { 'x-opt-delivery-repeat': ['int', 2] } }, stomp: header('AMQ_SCHEDULED_REPEAT', '2') },
    to: {
      mqtt: unsayable('properties'),
      amqp: { seen: { messageAnnotations: { ...jms(3), 'x-opt-delivery-repeat': ['int', 2] } } },
      stomp: { seen: header('AMQ_SCHEDULED_REPEAT', '2') },
    },
  },
  {
    name: 'reply-to that is no address of ours',
    table: '3.3 replyTo',
    said: { amqp: properties({ 'reply-to': string('http://elsewhere/r') }), stomp: header('reply-to', 'http://elsewhere/r') },
    to: {
      mqtt: unsayable('properties'),
      amqp: { seen: properties({ 'reply-to': string('http://elsewhere/r') }) },
      stomp: { seen: header('reply-to', 'http://elsewhere/r') },
    },
  },
]
