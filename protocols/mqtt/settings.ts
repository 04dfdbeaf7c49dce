// The section `mqtt` of the configuration: its type and its JSON Schema, which has the defaults and says what each is for.
// Not here: ports and hosts (section `listeners`), and the bounds of what the core keeps (section `limits`).

export type MqttSettings = Readonly<{
  engine: 'native' | 'aedes'
  packetBytesMax: number
  connectTimeoutMs: number
  keepAliveMaxSeconds: number
  clientIdBytesMax: number
  clientIdCharactersMax31: number
  sessionExpiryMs: number
  inflightMax: number
  outputCreditBytes: number
  topicBytesMax: number
  topicLevelsMax: number
  filtersPerPacketMax: number
  cleanSessionMessagesMax: number
  keptSessionMessagesMax: number
  topicCacheMax: number
  refuse: readonly string[]
  queuePrefix: string
  sysIntervalMs: number
  receiveMaximum: number
  topicAliasesInMax: number
  topicAliasesOutMax: number
  propertyBytesMax: number
  checkPayloadFormat: boolean
  responsePrefix: string
}>

export const schema = {
  type: 'object',
  description: 'MQTT 3.1, 3.1.1 and 5.',
  additionalProperties: false,
  properties: {
    engine: {
      type: 'string',
      enum: ['native', 'aedes'],
      default: 'native',
      description:
        'What reads and answers the packets of MQTT 3.1 and 3.1.1: this broker itself, or the library aedes over the same core. MQTT 5 is always the former.',
    },
    packetBytesMax: {
      type: 'integer',
      minimum: 1024,
      maximum: 268_435_455,
      default: 16_842_752,
      description: 'Largest remaining length of a packet: 16 MiB of payload and 64 KiB of topic. A larger one ends the connection before it is read.',
    },
    connectTimeoutMs: { type: 'integer', minimum: 100, default: 10_000, description: 'Time from the connection to its CONNECT packet.' },
    keepAliveMaxSeconds: {
      type: 'integer',
      minimum: 0,
      maximum: 65_535,
      default: 0,
      description: 'Longest silence of a client that asks for a longer one, or for none. 0: as the client asks.',
    },
    clientIdBytesMax: { type: 'integer', minimum: 23, maximum: 65_535, default: 1024, description: 'Longest client identifier, in bytes of UTF-8.' },
    clientIdCharactersMax31: {
      type: 'integer',
      minimum: 23,
      maximum: 65_535,
      default: 23,
      description: 'Longest client identifier of an MQTT 3.1 client, in characters. The specification says 23; many clients use more.',
    },
    sessionExpiryMs: {
      type: 'integer',
      minimum: 0,
      default: 0,
      description:
        'How long a session with clean=0 outlives its connection, and the longest session expiry of MQTT 5. 0: as long as limits.sessionKeepMaxMs allows.',
    },
    inflightMax: {
      type: 'integer',
      minimum: 1,
      maximum: 60_000,
      default: 500,
      description: 'Messages of QoS 1 and 2 sent to one client and not yet acknowledged by it.',
    },
    outputCreditBytes: {
      type: 'integer',
      minimum: 65_536,
      default: 17_825_792,
      description: 'Bytes of messages taken for one client before what it was sent has left this process.',
    },
    topicBytesMax: {
      type: 'integer',
      minimum: 1,
      maximum: 65_535,
      default: 65_535,
      description: 'Longest topic and topic filter, in bytes of UTF-8.',
    },
    topicLevelsMax: { type: 'integer', minimum: 1, maximum: 32_768, default: 128, description: 'Most levels of a topic and of a topic filter.' },
    filtersPerPacketMax: { type: 'integer', minimum: 1, default: 1000, description: 'Most filters in one SUBSCRIBE or UNSUBSCRIBE.' },
    cleanSessionMessagesMax: {
      type: 'integer',
      minimum: 0,
      default: 100_000,
      description:
        'Messages that wait for a connected client with clean=1; the newest beyond it are dropped and counted. 0: as section destinations says.',
    },
    keptSessionMessagesMax: {
      type: 'integer',
      minimum: 0,
      default: 0,
      description: 'The same for a session with clean=0, connected or not. 0: as section destinations says.',
    },
    topicCacheMax: {
      type: 'integer',
      minimum: 16,
      default: 20_000,
      description: 'Topic names whose address is remembered; twice as many for a while.',
    },
    refuse: {
      type: 'array',
      items: { type: 'string', minLength: 1 },
      default: [],
      description:
        'Topic filters: a subscription to one of them, or to a part of it, is answered 0x80. `secret/#` refuses `secret/a` and `secret/+/b`, not `#`.',
    },
    queuePrefix: {
      type: 'string',
      pattern: '^[^/+#\\u0000]*$',
      default: '',
      description:
        'First level of topics that mean a queue: with `$queue`, publishing to `$queue/a/b` sends to queue a.b and subscribing consumes it. Empty: off.',
    },
    sysIntervalMs: {
      type: 'integer',
      minimum: 0,
      default: 10_000,
      description: 'How often the topics under $SYS/broker are renewed. 0: never published.',
    },
    receiveMaximum: {
      type: 'integer',
      minimum: 1,
      maximum: 65_535,
      default: 65_535,
      description:
        'MQTT 5: publishes of QoS 1 and 2 that a client may have unanswered. One more ends its connection with reason 0x93, also of clients that do not heed it (MQTT.js).',
    },
    topicAliasesInMax: {
      type: 'integer',
      minimum: 0,
      maximum: 65_535,
      default: 100,
      description: 'MQTT 5: topic aliases that a client may use. 0: none.',
    },
    topicAliasesOutMax: {
      type: 'integer',
      minimum: 0,
      maximum: 65_535,
      default: 100,
      description: 'MQTT 5: topic aliases that are used to one client, if it allows as many: its first topics have one. 0: none.',
    },
    propertyBytesMax: {
      type: 'integer',
      minimum: 1024,
      maximum: 16_777_216,
      default: 262_144,
      description: 'MQTT 5: longest properties of one PUBLISH or will. Longer ones end the connection with reason 0x95.',
    },
    checkPayloadFormat: {
      type: 'boolean',
      default: false,
      description: 'MQTT 5: refuse a payload that says it is UTF-8 and is not, with reason 0x99.',
    },
    responsePrefix: {
      type: 'string',
      pattern: '^[^+#\\u0000]*$',
      default: '',
      description:
        'MQTT 5: a client that asks for response information is told this, a `/` and its client identifier, as the beginning of topics for its answers. Empty: nothing is told.',
    },
  },
} as const

/** What the schema fills in when nothing is configured. */
export const defaults: MqttSettings = {
  engine: schema.properties.engine.default,
  packetBytesMax: schema.properties.packetBytesMax.default,
  connectTimeoutMs: schema.properties.connectTimeoutMs.default,
  keepAliveMaxSeconds: schema.properties.keepAliveMaxSeconds.default,
  clientIdBytesMax: schema.properties.clientIdBytesMax.default,
  clientIdCharactersMax31: schema.properties.clientIdCharactersMax31.default,
  sessionExpiryMs: schema.properties.sessionExpiryMs.default,
  inflightMax: schema.properties.inflightMax.default,
  outputCreditBytes: schema.properties.outputCreditBytes.default,
  topicBytesMax: schema.properties.topicBytesMax.default,
  topicLevelsMax: schema.properties.topicLevelsMax.default,
  filtersPerPacketMax: schema.properties.filtersPerPacketMax.default,
  cleanSessionMessagesMax: schema.properties.cleanSessionMessagesMax.default,
  keptSessionMessagesMax: schema.properties.keptSessionMessagesMax.default,
  topicCacheMax: schema.properties.topicCacheMax.default,
  refuse: schema.properties.refuse.default,
  queuePrefix: schema.properties.queuePrefix.default,
  sysIntervalMs: schema.properties.sysIntervalMs.default,
  receiveMaximum: schema.properties.receiveMaximum.default,
  topicAliasesInMax: schema.properties.topicAliasesInMax.default,
  topicAliasesOutMax: schema.properties.topicAliasesOutMax.default,
  propertyBytesMax: schema.properties.propertyBytesMax.default,
  checkPayloadFormat: schema.properties.checkPayloadFormat.default,
  responsePrefix: schema.properties.responsePrefix.default,
}
