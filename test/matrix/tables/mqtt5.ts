// The column MQTT 5 of tables 3.3 and 3.4, row by row: how its publishers say a thing, and what its subscribers see of it. It stands by itself because nearly
// every cell is another than MQTT 3.1.1's; cells.ts puts it beside the others.
import type { FiveMessage, FrontEnd } from '../notation.ts'
import { BODY_TEXTS } from './bodies.ts'
import { identifiers, WHEN_MS } from './fields.ts'
import { propertyTypes, ODD } from './properties.ts'
import { type Cell, header, jms, properties, string, value } from './row.ts'
import type { RuleId } from './rules.ts'

export type Five = Readonly<{
  /** Absent: a publisher has no word for it (`mqtt5-says`). */
  said?: FiveMessage
  to: Cell
  /** What others see of it whose cell the row does not have, because only they say it there. */
  also?: Partial<Readonly<Record<FrontEnd, Cell>>>
}>

const user = (...pairs: string[]): FiveMessage => ({ five: { user: header(...pairs).headers } })
const both = (message: FiveMessage, also?: Five['also']): Five => ({ said: message, to: { seen: message }, ...(also === undefined ? {} : { also }) })
const seen = (message: FiveMessage): Five => ({ to: { seen: message } })
const kindLost = (message: FiveMessage): Five => ({ to: { seen: message, rules: ['mqtt5-bodies'], lost: ['bodyKind'] } })
const json = (payload: string): FiveMessage => ({ payload, five: { contentType: 'application/json' } })
const text = (payload: string): FiveMessage => ({ payload, five: { format: true } })
const lossy = (rule: RuleId, lost: string, message: FiveMessage = {}): Five => ({ to: { seen: message, rules: [rule], lost: [lost] } })
const JSON_TYPE = 'application/json; charset=utf-8'

export const five: Readonly<Record<string, Five>> = {
  'nothing but a body': both({}),
  ...Object.fromEntries(
    identifiers.flatMap(([type, typed, name]): [string, Five][] => [
      [`message id (${type})`, both(user('message-id', name), { amqp: { seen: properties({ 'message-id': typed }) } })],
      [`correlation id (${type})`, both({ five: { correlation: type === 'binary' ? '0x00ff10' : name } })],
    ]),
  ),
  'reply-to a queue': both({ five: { responseTopic: '$queue/r/s' } }),
  'reply-to a topic': both({ five: { responseTopic: 'r/s' } }),
  type: both(user('type', 'order.new')),
  'content type': both({ five: { contentType: 'image/png' } }),
  'content type that is not ASCII': both({ five: { contentType: 'x/grün' } }, { stomp: { seen: header('content-type', 'x/grün') } }),
  'content encoding': both(user('content-encoding', 'gzip')),
  timestamp: both(user('timestamp', String(WHEN_MS))),
  'timestamp that is no number': both(user('timestamp', 'yesterday'), { stomp: { rules: ['stomp-own-headers'], lost: ['properties'] } }),
  expiration: seen({ five: { expiry: 3600 } }),
  priority: both(user('priority', '7')),
  durable: both({ qos: 1 }),
  'QoS 2': both({ qos: 2 }),
  retain: { said: { retain: true }, to: {} },
  'group and its sequence': both(user('JMSXGroupID', 'g1', 'JMSXGroupSeq', '3')),
  'reply-to group': both(user('JMS_AMQP_ReplyToGroupID', 'g2')),
  'dedup id': both(user('_AMQ_DUPL_ID', 'd1')),
  'user id': lossy('mqtt5-no-user', 'userId'),
  'user id that is no text': lossy('mqtt5-no-user', 'userId'),
  trace: both(user('traceparent', '00-4bf9-00f0-01')),
  'message annotation': both(user('JMS_AMQP_MA_x-opt-mine', 'm')),
  'message annotation that is a list': lossy('mqtt5-text-properties', 'propertyTypes', user('JMS_AMQP_MA_x-opt-mine', '[1,"x"]')),
  'delivery annotation': both(user('JMS_AMQP_DA_x-opt-once', 'd')),
  footer: both(user('JMS_AMQP_FT_x-opt-sum', 'f')),
  'annotations that are not the sender’s to write': both(user('JMS_AMQP_MA_x-opt-jms-msg-type', '9', 'JMS_AMQP_FT_grün', 'g'), {
    stomp: { seen: header('JMS_AMQP_MA_x-opt-jms-msg-type', '9', 'JMS_AMQP_FT_grün', 'g') },
  }),
  'delivery time': lossy('mqtt5-delays', 'deliverAt'),
  'delivery delay': both(user('AMQ_SCHEDULED_DELAY', '1')),
  period: both(user('AMQ_SCHEDULED_PERIOD', '60000')),
  repeat: both(user('AMQ_SCHEDULED_REPEAT', '2')),
  'reply-to that is no address of ours': both(user('reply-to', 'http://elsewhere/r')),

  'string property': both(user('p', 'x y')),
  'string property of odd letters': both(user('p', ODD)),
  ...Object.fromEntries(
    propertyTypes.map(([type, , name]): [string, Five] => [`${type} property`, lossy('mqtt5-text-properties', 'propertyTypes', user('p', name))]),
  ),
  'property that its type does not fit': seen(user('p', '300', 'q', 'x')),
  'the same property twice': both(user('p', '1', 'p', '2'), { stomp: { seen: header('p', '1') } }),
  'property that is called like a header': both(user('receipt', 'r', 'priority', 'high'), {
    amqp: { seen: { applicationProperties: { receipt: string('r'), priority: string('high') } } },
  }),

  text: both(text('order 1')),
  'text with 4-byte UTF-8 and NUL': both(text(BODY_TEXTS.odd)),
  'empty text': both(text('')),
  'text null': kindLost(text('')),
  'text as data of a textual type': both(
    { payload: '"ü"', five: { format: true, contentType: JSON_TYPE } },
    { amqp: { seen: { messageAnnotations: jms(5), properties: { 'content-type': ['symbol', JSON_TYPE] }, body: value(string('"ü"')) } } },
  ),
  bytes: both({ payload: '0x00ff80fe' }),
  'no bytes': both({ payload: '' }),
  'bytes by amq-msg-type': seen({ payload: 'ab' }),
  'bytes in pieces': seen({ payload: '0x000102' }),
  'bytes as a value': seen({ payload: '0x0001' }),
  map: kindLost(json(BODY_TEXTS.map)),
  'map with types that JSON has not': kindLost(json(BODY_TEXTS.typedMap)),
  'map with a name twice': { to: { seen: json('{"a":1}'), rules: ['mqtt5-bodies', 'first-of-equal'], lost: ['bodyKind', 'bodyEntries'] } },
  'map as ActiveMQ writes it in JSON': kindLost(json('{"a":"x","n":30}')),
  'map as ActiveMQ writes it in XML': kindLost(json('{"n":3}')),
  list: kindLost(json('["x",1,null]')),
  'list as a value': kindLost(json('[["x"],false]')),
  'single value of another type': kindLost(json('[70000]')),
  object: kindLost({ payload: '0xaced0005', five: { contentType: 'application/x-java-serialized-object' } }),
  'object to be made of XML': { to: {} },
  none: kindLost({ payload: '' }),
  'none, as JMS writes it': kindLost({ payload: '' }),
}
