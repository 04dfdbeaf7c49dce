// The section `amqp` of the configuration: its shape and its schema, where every property has its default and its reason.
export type AmqpSettings = Readonly<{
  frameBytesMax: number
  messageBytesMax: number
  partialBytesMax: number
  sessionsMax: number
  linksMax: number
  incomingWindow: number
  creditWindow: number
  prefetch: number
  prefetchBytes: number
  unsettledMax: number
  linkKeepMaxMs: number
  linksKept: number
  idleTimeoutMs: number
  idleTimeoutMinMs: number
  connectTimeoutMs: number
  depthMax: number
  termsMax: number
  sectionsMax: number
  addressesKept: number
  unknownAnnotations: 'keep' | 'refuse'
  topicBacklogMessages: number
  topicBacklogBytes: number
  topicBacklogWhenFull: 'drop-oldest' | 'drop-newest' | 'end-consumers'
}>

const whole = (value: number, minimum: number, description: string, maximum?: number): object => ({
  type: 'integer',
  minimum,
  ...(maximum === undefined ? {} : { maximum }),
  default: value,
  description,
})

export const schema: Readonly<Record<string, unknown>> = {
  type: 'object',
  additionalProperties: false,
  description: 'AMQP 1.0.',
  properties: {
    frameBytesMax: whole(65_536, 512, 'Largest frame taken; told in Open. A larger one ends the connection before it is read.', 16_777_216),
    messageBytesMax: whole(16_777_216, 1024, 'Largest message taken; told in Attach. A larger one ends its link.'),
    partialBytesMax: whole(
      67_108_864,
      1024,
      'Bytes of messages of one connection whose last frame has not come; beyond it the link that sends ends.',
    ),
    sessionsMax: whole(256, 1, 'Sessions of one connection (channel-max and one).', 65_536),
    linksMax: whole(1024, 1, 'Links of one session (handle-max and one).', 65_536),
    incomingWindow: whole(2048, 16, 'Transfer frames that a session may send before it is told that more may come.', 1_000_000),
    creditWindow: whole(
      500,
      1,
      'Messages that a sender may have under way to one link before they are accepted. At most limits.parkedMessages.',
      100_000,
    ),
    prefetch: whole(1000, 1, 'Messages taken from a queue for one link before they have left, whatever credit its receiver gives.'),
    prefetchBytes: whole(1_048_576, 1024, 'The same in bytes.'),
    unsettledMax: whole(50_000, 1, 'Deliveries of one link that its receiver may leave unsettled; it gets no more until it settles some.', 1_000_000),
    linkKeepMaxMs: whole(
      60_000,
      0,
      'Longest time that what a link has unsettled is kept for a client that is away, where it asks for that by expiry-policy and timeout. 0: never.',
      86_400_000,
    ),
    linksKept: whole(
      1_000,
      0,
      'Links that may be kept so, of all clients together: each may have prefetchBytes of messages in memory. One more is granted nothing, and told so.',
    ),
    idleTimeoutMs: whole(60_000, 0, 'Longest silence asked of clients (idle-time-out in Open); after twice this the connection ends. 0: none.'),
    idleTimeoutMinMs: whole(500, 1, 'Shortest idle-time-out that a client may ask of us; one that asks for less is refused.'),
    connectTimeoutMs: whole(10_000, 250, 'A connection that has not sent Open after this is closed.'),
    depthMax: whole(32, 4, 'Lists, maps, arrays and descriptors inside each other.', 256),
    termsMax: whole(100_000, 1000, 'Values in one frame or, when it is translated, in one message.'),
    sectionsMax: whole(1000, 10, 'Sections of one message: a message may be made of millions of empty ones.'),
    addressesKept: whole(1000, 1, 'Addresses that an anonymous sender’s link remembers, so that it need not look at their names again.'),
    unknownAnnotations: {
      enum: ['keep', 'refuse'],
      default: 'keep',
      description:
        'Annotations of messages whose keys do not begin with `x-opt`: kept and passed on, or, as the specification has it (3.2.10), their link ends with amqp:not-implemented. Clients write such keys.',
    },
    topicBacklogMessages: whole(
      100_000,
      1,
      'Messages that wait for a slow receiver of a topic; what happens beyond it says topicBacklogWhenFull. Durable subscriptions: see destinations.',
    ),
    topicBacklogBytes: whole(67_108_864, 1024, 'The same in bytes.'),
    topicBacklogWhenFull: {
      enum: ['drop-oldest', 'drop-newest', 'end-consumers'],
      default: 'drop-oldest',
      description: 'Beyond those limits the receiver loses its oldest messages, or the newest, each counted; or it is ended with an error (`limit`).',
    },
  },
}
