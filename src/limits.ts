// The registry of limits: every bound of the process in one place, with its unit, its reason and the test that reaches it.
// Values are configured in section `limits`; their defaults stand in `config/defaults.ts`. A limit without a test is named as such.
import type { Limits } from './config/settings.ts'

export type Limit = Readonly<{
  unit:
    | 'bytes'
    | 'ms'
    | 'messages'
    | 'connections'
    | 'connections/s'
    | 'log-ins'
    | 'queues'
    | 'sessions'
    | 'bindings'
    | 'consumers'
    | 'browsers'
    | 'entries'
    | 'segments'
    | 'numbers'
    | 'patterns'
    | 'transactions'
    | 'levels'
    | 'terms'
  /** What it bounds and what happens there, in a sentence for the reference. */
  reason: string
  /** More cannot be configured. */
  most?: number
  /** Test file that reaches it; undefined: not reached by a test yet. */
  reachedBy: string | undefined
}>

export const limits: Readonly<Record<keyof Limits, Limit>> = {
  connections: {
    unit: 'connections',
    reason: 'Connections of all listeners together; further ones are closed at once.',
    reachedBy: 'src/listen/tcp.test.ts',
  },
  connectionsPerSecond: {
    unit: 'connections/s',
    reason:
      'Connections admitted a second, so that all clients coming back at once do not starve each other; further ones wait their turn. 0: no limit.',
    reachedBy: 'src/listen/tcp.test.ts',
  },
  handshakes: {
    unit: 'connections',
    reason:
      'Hand-shakes of TLS under way, of all listeners but `https` together. A connection is one from its first byte on; further ones wait their turn with at most 16 KiB read, as long as a hand-shake may take.',
    reachedBy: 'src/listen/tls.test.ts',
  },
  loginsWaiting: {
    unit: 'log-ins',
    reason:
      'Log-ins that wait to be checked, a quarter of them from one address at most; further ones are refused as throttled. A check takes a fifth of a second.',
    reachedBy: 'src/users/authenticator.test.ts',
  },
  loginsRemembered: {
    unit: 'log-ins',
    reason: 'Log-ins that succeeded and are not checked again for a while; the least recently used is forgotten first.',
    reachedBy: 'src/users/authenticator.test.ts',
  },
  loginRememberedMs: {
    unit: 'ms',
    reason: 'How long a log-in that succeeded is not checked again. 0: every one is checked.',
    reachedBy: 'src/users/authenticator.test.ts',
  },
  parkedMessages: {
    unit: 'messages',
    reason: 'Publishes of one connection that wait for room in a full destination; the next one is refused in its protocol’s words.',
    reachedBy: 'src/core/core.test.ts',
  },
  parkedBytes: { unit: 'bytes', reason: 'Bytes of those, per connection.', reachedBy: 'src/core/limits.test.ts' },
  parkedTotalBytes: { unit: 'bytes', reason: 'Bytes of those, all connections together.', reachedBy: 'src/core/limits.test.ts' },
  outputHighBytes: {
    unit: 'bytes',
    reason: 'Output waiting for a slow reader above which nothing more is prepared for it.',
    reachedBy: 'src/listen/tcp.test.ts',
  },
  outputLowBytes: { unit: 'bytes', reason: 'Output waiting below which a slow reader is served again.', reachedBy: 'src/listen/tcp.test.ts' },
  outputBytesMax: { unit: 'bytes', reason: 'Output waiting for one connection at which it is ended.', reachedBy: 'src/listen/tcp.test.ts' },
  outputTotalBytes: {
    unit: 'bytes',
    reason: 'Output waiting for all connections together; beyond it those with the longest backlog are ended.',
    reachedBy: 'src/listen/tcp.test.ts',
  },
  creditMessages: { unit: 'messages', reason: 'Credit that one consumer may hold; more is cut to this.', reachedBy: 'src/core/limits.test.ts' },
  creditBytes: { unit: 'bytes', reason: 'Credit in bytes that one consumer may hold; more is cut to this.', reachedBy: 'src/core/limits.test.ts' },
  messageBytes: {
    unit: 'bytes',
    reason: 'One message, headers and body; a larger one is refused as too-large.',
    reachedBy: 'src/core/limits.test.ts',
  },
  addressSegments: { unit: 'segments', reason: 'Segments of a destination’s name.', reachedBy: 'src/core/limits.test.ts' },
  addressBytes: { unit: 'bytes', reason: 'Bytes of a destination’s name.', reachedBy: 'src/core/limits.test.ts' },
  queues: { unit: 'queues', reason: 'Queues, those of subscriptions included.', reachedBy: 'src/core/limits.test.ts' },
  sessions: { unit: 'sessions', reason: 'Sessions, connected and kept.', reachedBy: 'src/core/limits.test.ts' },
  bindings: { unit: 'bindings', reason: 'Bindings (subscriptions) of all queues.', reachedBy: 'src/core/limits.test.ts' },
  bindingBytesPerSession: {
    unit: 'bytes',
    reason: 'Bytes of the patterns of those bindings: a few very long ones cost as much as many short ones.',
    reachedBy: 'src/core/limits.test.ts',
  },
  bindingsPerSession: { unit: 'bindings', reason: 'Bindings that one session may make.', reachedBy: 'src/core/limits.test.ts' },
  selectorBytes: {
    unit: 'bytes',
    reason: 'Text of one selector; a longer one is refused. Never more than 65,535.',
    reachedBy: 'src/core/limits.test.ts',
  },
  selectorDepth: {
    unit: 'levels',
    reason: 'Parentheses, NOT and signs within each other in one selector.',
    reachedBy: 'src/core/limits.test.ts',
  },
  selectorTerms: {
    unit: 'terms',
    reason: 'Names and literals in one selector: what it may cost a message.',
    reachedBy: 'src/core/limits.test.ts',
  },
  selectorTermsPerQueue: {
    unit: 'terms',
    reason:
      'Names and literals of all different selectors of one queue’s consumers, but for those that are one equality: what they may cost a message together.',
    reachedBy: 'src/core/limits.test.ts',
  },
  consumers: { unit: 'consumers', reason: 'Consumers of all sessions.', reachedBy: 'src/core/limits.test.ts' },
  consumersPerSession: { unit: 'consumers', reason: 'Consumers of one session.', reachedBy: 'src/core/limits.test.ts' },
  wildcardQueues: {
    unit: 'queues',
    reason: 'Queues that consumers of a pattern take from, each counted for every such consumer; one that would take from more is ended.',
    reachedBy: 'src/core/wildcards.test.ts',
  },
  virtualTopicPatterns: {
    unit: 'patterns',
    reason:
      'Different places of wildcards (`a.>` and `b.>` have the same) among an application’s queues for several virtual topics: what each queue on the route of a topic may be compared with.',
    reachedBy: 'src/core/virtual-patterns.test.ts',
  },
  browsers: {
    unit: 'browsers',
    reason: 'Looks at queues (browsing) under way at once; further ones are refused.',
    reachedBy: 'src/core/browse.test.ts',
  },
  measuredQueues: {
    unit: 'queues',
    reason: 'Queues of which `/metrics` has figures of their own (`destinations.metrics`); of further ones it only says how many they are.',
    reachedBy: 'test/management.test.ts',
  },
  notesPerSession: {
    unit: 'numbers',
    reason: 'Packet ids of incoming QoS 2 messages that a session keeps until their release.',
    reachedBy: 'src/core/limits.test.ts',
  },
  transactions: {
    unit: 'transactions',
    reason: 'Open transactions of all sessions; further ones are refused.',
    reachedBy: 'src/core/transactions.test.ts',
  },
  transactionsPerSession: { unit: 'transactions', reason: 'Open transactions of one session.', reachedBy: 'src/core/transactions.test.ts' },
  transactionMessages: {
    unit: 'messages',
    reason: 'Messages sent and settled in one transaction; one more dooms it: it can only be rolled back.',
    // A queue's numbers jump by 2^20 at a takeover, and half of that may have been given out untold (core/places.ts).
    most: 500_000,
    reachedBy: 'src/core/transactions.test.ts',
  },
  transactionBytes: {
    unit: 'bytes',
    reason: 'Bytes of the messages sent in one transaction, and of the reasons of what it rejects; one more dooms it.',
    reachedBy: 'src/core/transactions.test.ts',
  },
  transactionTotalBytes: {
    unit: 'bytes',
    reason: 'The same of all open transactions together.',
    reachedBy: 'src/core/transactions.test.ts',
  },
  transactionAgeMs: {
    unit: 'ms',
    reason: 'How long a transaction may stay open; then it is rolled back. 0: for ever.',
    reachedBy: 'src/core/transactions.test.ts',
  },
  addedBytesPerMessage: {
    unit: 'bytes',
    reason: 'What consumers add to what is told of one message (annotations of AMQP’s modified), and 256 bytes for each time; more is not kept.',
    reachedBy: 'src/core/added.test.ts',
  },
  addedBytes: {
    unit: 'bytes',
    reason: 'The same of all messages, and of what open transactions would add; it is kept in memory.',
    reachedBy: 'src/core/added.test.ts',
  },
  temporariesPerSession: {
    unit: 'queues',
    reason: 'Temporary queues and topics of one connection; further ones are refused.',
    reachedBy: 'src/core/temporary.test.ts',
  },
  entries: {
    unit: 'entries',
    reason: 'Messages waiting on queues, counted once for each queue; publishes beyond are refused as full.',
    reachedBy: 'src/core/limits.test.ts',
  },
  retained: { unit: 'messages', reason: 'Retained messages; further topics are refused theirs.', reachedBy: 'src/core/limits.test.ts' },
  compositeParts: {
    unit: 'queues',
    reason: 'Destinations in one list (with commas); a longer one is refused.',
    reachedBy: 'src/core/spread.test.ts',
  },
  viaNames: {
    unit: 'numbers',
    reason: 'Topics that were ever named behind the first topic of a list: each is remembered, further ones are refused.',
    reachedBy: 'src/core/spread.test.ts',
  },
  scheduled: {
    unit: 'messages',
    reason: 'Messages that are sent again and again (repeat, cron); further ones are refused.',
    reachedBy: 'src/core/jobs.test.ts',
  },
  scheduledBytes: { unit: 'bytes', reason: 'Bytes of those, which are kept in memory.', reachedBy: 'src/core/jobs.test.ts' },
  schedulePeriodMs: { unit: 'ms', reason: 'Shortest period of those; a shorter one is refused.', reachedBy: 'src/core/jobs.test.ts' },
  sessionKeepMaxMs: {
    unit: 'ms',
    reason: 'Longest time that a session outlives its connection; longer wishes are cut to this. 0: no limit.',
    reachedBy: 'src/core/limits.test.ts',
  },
  httpRequestBytes: {
    unit: 'bytes',
    reason: 'Body of one management request; a larger one is answered 413.',
    reachedBy: 'src/management/server.test.ts',
  },
  httpConnections: {
    unit: 'connections',
    reason: 'Connections to the management listener; further ones are closed at once.',
    reachedBy: 'src/management/server.test.ts',
  },
}
