// Every reason why a cell of the matrix is not exact, once, with the row of the mapping tables that it comes from (the tables' section and row).
// A cell that is lossy or refused names one of these; one that names none is exact, and nothing may be counted as lost in it.

export type Rule = Readonly<{ row: string; kind: 'lossy' | 'refused' | 'unsaid'; says: string }>

export const rules = {
  'mqtt-payload-only': {
    row: '3.3, column MQTT 3.1.1: “—”',
    kind: 'lossy',
    says: 'A PUBLISH of MQTT 3.1.1 has a topic, a payload, QoS and RETAIN. Other fields and all properties stay behind; expiry, priority and delay are still obeyed.',
  },
  'mqtt-bytes': {
    row: '3.3 bodyKind; 3.4, column MQTT',
    kind: 'lossy',
    says: 'A payload is bytes: text is sent as UTF-8, maps and lists as JSON, null and none as nothing, and no word says which it was.',
  },
  'stomp-text-headers': {
    row: '3.3 properties, column STOMP: header strings',
    kind: 'lossy',
    says: 'A header is text: numbers in decimal, bytes in hexadecimal, null as nothing. With `stomp.propertyTypes` the header `x-amq-types` says what each was, and nothing is lost.',
  },
  'stomp-bodies': {
    row: '3.4, column STOMP',
    kind: 'lossy',
    says: 'STOMP has text, bytes and (by `transformation`) maps. A list is sent as a JSON array, an object as its bytes, null and none as an empty text.',
  },
  'stomp-own-headers': {
    row: '3.3, column STOMP: all other headers are properties',
    kind: 'lossy',
    says: 'A property whose name is a header with a meaning of its own (`receipt`, `priority`, …) would be taken for that header, and is left out.',
  },
  'json-types': {
    row: '3.4 map → STOMP: jms-map-json',
    kind: 'lossy',
    says: 'JSON has strings, numbers, booleans, null, arrays and objects. A map with other types keeps their values, and reads back with whole numbers as int64, others as double, the rest as text.',
  },
  'first-of-equal': {
    row: 'The canonical form: duplicates kept, readers that know only one take the first',
    kind: 'lossy',
    says: 'A map of AMQP, and an object of JSON, has each name once: the first of equal ones is taken.',
  },
  'amqp-ascii': {
    row: '3.3 contentType and contentEncoding, column AMQP: symbols',
    kind: 'lossy',
    says: 'Symbols of AMQP are ASCII: a content type or encoding that is not is left out.',
  },
  'amqp-own-annotations': {
    row: '3.3 annotations, column AMQP: kept as is',
    kind: 'lossy',
    says: 'An annotation that says how the message is to be read (`x-opt-jms-msg-type`, …) is written by the broker, and names are ASCII: what is sent as `JMS_AMQP_MA_…`, `_DA_…` or `_FT_…` of such a name is left out.',
  },
  'stomp-delays': {
    row: '3.3 deliverAt, column STOMP: AMQ_SCHEDULED_*',
    kind: 'lossy',
    says: 'STOMP says a delay, not a time: the time of a delivery that was waited for is not told.',
  },
  'mqtt-unnameable': {
    row: '3.2 separator and wildcards, column MQTT',
    kind: 'refused',
    says: 'A name whose segments hold `*` or `>` for other protocols would be a wildcard in MQTT. The message is rejected with that reason, and becomes a dead letter if it is durable and so is the queue where it waited.',
  },
  'stomp-java-objects': {
    row: '3.4 STOMP in, object: refuse',
    kind: 'refused',
    says: '`transformation:jms-object-*` asks for a Java object, which cannot be made without its class: SEND is answered by ERROR.',
  },
  'mqtt-says-payloads': {
    row: '3.3 and 3.4, MQTT 3.1.1: “—”',
    kind: 'unsaid',
    says: 'A publisher of MQTT 3.1.1 has no word for it.',
  },
  'stomp-says-text-and-bytes': {
    row: '3.4 STOMP in',
    kind: 'unsaid',
    says: 'A sender of STOMP has text, bytes and (by `transformation`) maps, no other kinds of body.',
  },
  'stomp-brokers-headers': {
    row: '3.1 STOMP standard headers: removed when a client sends them',
    kind: 'unsaid',
    says: 'Only the broker may say `message-id`, `JMSXUserID`, `redelivered`, `original-destination`: what a sender says is left out.',
  },
  'stomp-says-delays': {
    row: '3.3 deliverAt, column STOMP: AMQ_SCHEDULED_*',
    kind: 'unsaid',
    says: 'A sender of STOMP says how long to wait, not until when.',
  },
  'amqp-says': {
    row: '3.3 and 3.4, column AMQP',
    kind: 'unsaid',
    says: 'AMQP says it otherwise, or cannot: its maps have each name once, its symbols are ASCII, its fields have types, and it knows no `transformation`.',
  },
  'mqtt5-bodies': {
    row: '3.4, column MQTT',
    kind: 'lossy',
    says: 'MQTT 5 has text and bytes. Maps and lists are sent as JSON with the content type `application/json`, an object as its bytes, null and none as nothing.',
  },
  'mqtt5-text-properties': {
    row: '3.3 properties, column MQTT 5: strings',
    kind: 'lossy',
    says: 'A user property is text: numbers in decimal, bytes in hexadecimal, null as nothing.',
  },
  'mqtt5-no-user': { row: '3.3 userId, column MQTT 5: “—”', kind: 'lossy', says: 'MQTT 5 has no word for who sent a message.' },
  'mqtt5-delays': {
    row: '3.3 deliverAt, column MQTT 5: AMQ_SCHEDULED_DELAY accepted',
    kind: 'lossy',
    says: 'MQTT 5 says a delay, not a time: the time of a delivery that was waited for is not told.',
  },
  'mqtt5-says': {
    row: '3.3 and 3.4, column MQTT 5',
    kind: 'unsaid',
    says: 'A publisher of MQTT 5 says text and bytes, properties that are strings, an expiry in seconds from now; a name of its own for answers, nothing temporary. Who it is, the broker knows.',
  },
  'mqtt-queues': {
    row: '3.2 queue, column MQTT: not nameable',
    kind: 'refused',
    says: 'MQTT has topics only. With `mqtt.queuePrefix` (`$queue`) the name `$queue/a/b` is the queue `a.b`, to publish and to subscribe; without it, it is a topic like any other.',
  },
} as const satisfies Readonly<Record<string, Rule>>

export type RuleId = keyof typeof rules
