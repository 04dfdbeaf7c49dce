// The section `stomp` of the configuration: its shape and its schema, where every property has its default and its reason.
export type StompSettings = Readonly<{
  /** Queues are made when first sent to or subscribed to. */
  nack: 'redeliver' | 'reject'
  staleAck: 'error' | 'ignore'
  clientIdClash: 'refuse' | 'take-over'
  prefetch: number
  prefetchMax: number
  prefetchBytes: number
  heartBeatSendMs: number
  heartBeatReceiveMs: number
  heartBeatGrace: number
  connectTimeoutMs: number
  headersMax: number
  headerBytesMax: number
  lineBytesMax: number
  bodyBytesMax: number
  mapValuesMax: number
  subscriptionsMax: number
  destinationsKept: number
  topicBacklogMessages: number
  topicBacklogBytes: number
  topicBacklogWhenFull: 'drop-oldest' | 'drop-newest' | 'end-consumers'
  propertyTypes: boolean
}>

const whole = (value: number, minimum: number, description: string): object => ({ type: 'integer', minimum, default: value, description })

export const schema: Readonly<Record<string, unknown>> = {
  type: 'object',
  additionalProperties: false,
  description: 'STOMP 1.0, 1.1 and 1.2.',
  properties: {
    nack: {
      enum: ['redeliver', 'reject'],
      default: 'redeliver',
      description:
        'What NACK does: count a failure and deliver again (to the dead-letter queue after failuresMax), or to the dead-letter queue at once. That keeps durable messages only.',
    },
    staleAck: {
      enum: ['error', 'ignore'],
      default: 'error',
      description: 'ACK or NACK of a message that is not outstanding: an ERROR frame and the end of the connection, or nothing.',
    },
    clientIdClash: {
      enum: ['refuse', 'take-over'],
      default: 'refuse',
      description: 'CONNECT with a client-id that is connected: refuse it, or end the older connection.',
    },
    prefetch: whole(1000, 1, 'Messages a subscription may have unacknowledged (ack:auto: under way) unless it says activemq.prefetchSize.'),
    prefetchMax: whole(65_535, 1, 'Most that activemq.prefetchSize can ask for; more is cut to this.'),
    prefetchBytes: whole(1_048_576, 1024, 'Bytes that one subscription may have on their way to the socket.'),
    heartBeatSendMs: whole(1000, 0, 'Smallest distance of heart-beats that the broker promises to send. 0: sends none.'),
    heartBeatReceiveMs: whole(1000, 0, 'Smallest distance of heart-beats that the broker asks for. 0: asks for none.'),
    heartBeatGrace: {
      type: 'number',
      minimum: 1,
      default: 2,
      description: 'A client is silent for too long after its heart-beat interval times this.',
    },
    connectTimeoutMs: whole(10_000, 250, 'A connection that has not sent CONNECT after this is closed.'),
    headersMax: whole(1000, 10, 'Headers of one frame.'),
    headerBytesMax: whole(65_536, 1024, 'Bytes of all headers of one frame.'),
    lineBytesMax: whole(16_384, 256, 'Bytes of one header line.'),
    bodyBytesMax: whole(16_777_216, 0, 'Bytes of one body.'),
    mapValuesMax: whole(
      100_000,
      1,
      'Values of a map body (`transformation`), in XML tags, when it is read for another protocol or in another form; one of more is text.',
    ),
    subscriptionsMax: whole(1000, 1, 'Subscriptions of one connection.'),
    destinationsKept: whole(1000, 1, 'Destinations that a connection remembers, so that it need not look at their names again.'),
    topicBacklogMessages: whole(
      100_000,
      1,
      'Messages that wait for a slow subscriber of a topic; what happens beyond it says topicBacklogWhenFull. Durable subscriptions: see destinations.',
    ),
    topicBacklogBytes: whole(67_108_864, 1024, 'The same in bytes.'),
    topicBacklogWhenFull: {
      enum: ['drop-oldest', 'drop-newest', 'end-consumers'],
      default: 'drop-oldest',
      description:
        'Beyond those limits the subscriber loses its oldest messages, or the newest, each counted; or it is ended with an error (`limit`).',
    },
    propertyTypes: {
      type: 'boolean',
      default: false,
      description: 'Says in the header x-amq-types of a message from another protocol which properties are no strings (count=int32,ratio=double).',
    },
  },
}
