// What the broker was configured to do: plain data, complete (every default filled in), never changed while the process runs.
// `load.ts` makes it from file, environment and flags; `defaults.ts` has the values and `schema.ts` what each one means.
import type { WhenFull } from '../api.ts'

export type Settings = Readonly<{
  /** Names this node in its pair, in logs and in the `ready` line. */
  node: string
  /** Data directory: journal, claims, snapshots. */
  data: string
  /** Written once all listeners are bound, with the content of the `ready` line; '': none. */
  readyFile: string
  /** `free`: every listener gets a free port. */
  ports: 'fixed' | 'free'
  /** Added to every fixed port, so that several nodes share a machine. */
  portOffset: number
  /** Allows listeners beyond loopback without TLS, or to whom everybody may come. */
  insecure: boolean
  /** Who may log in. None: everybody is anonymous. */
  users: readonly User[]
  /** With users: one may come without a name too. */
  anonymous: boolean
  /** Without a certificate nothing listens for TLS. */
  tls: TlsSettings
  /** By listener name: `http`, `websocket`, each protocol's own, and the one over TLS of each (`listener-names.ts`). */
  listeners: Readonly<Record<string, ListenerSettings>>
  log: LogSettings
  limits: Limits
  journal: JournalSettings
  failover: FailoverSettings
  destinations: DestinationSettings
  websocket: WebSocketSettings
  /** The section of each protocol, by its name, as its own schema has checked it. */
  protocols: Readonly<Record<string, unknown>>
}>

/**
 * `password` is a hash that `bascule user hash` made; `scram` what `bascule user entry` adds to it, for log-ins without sending the password.
 * `certificate`: common name, alternative name or fingerprint of the certificate by which the user is known. A user has one of the first and the last.
 */
export type User = Readonly<{ name: string; password?: string; scram?: readonly string[]; certificate?: string }>

/** Certificates and keys are names of files, or what such a file has in it (PEM). */
export type TlsSettings = Readonly<{
  /** With all between it and the authority. '': no TLS. */
  certificate: string
  key: string
  passphrase: string
  /** Of those who vouch for clients. */
  ca: string
  clientCertificates: 'none' | 'optional' | 'required'
  /** Who names no user is the one of the certificate, by every protocol. */
  certificateLogin: boolean
  minVersion: 'TLSv1.2' | 'TLSv1.3'
  /** '': Node's own. */
  ciphers: string
  handshakeTimeoutMs: number
  /** How often the files are looked at. 0: never again. */
  rereadMs: number
}>

export type ListenerSettings = Readonly<{ enabled: boolean; host: string; port: number }>

export type LogSettings = Readonly<{ level: 'debug' | 'info' | 'warn' | 'error' | 'silent'; pretty: boolean }>

/** Every bound of the process. What each is for, its unit and the test that reaches it: `src/limits.ts`. */
export type Limits = Readonly<{
  // Connections
  connections: number
  /** 0: no limit. */
  connectionsPerSecond: number
  /** Hand-shakes of TLS under way, but those of `https`. */
  handshakes: number
  /** Log-ins that wait to be checked. */
  loginsWaiting: number
  /** Log-ins that succeeded and are not checked again. */
  loginsRemembered: number
  loginRememberedMs: number
  /** Publishes that wait for room, per connection. */
  parkedMessages: number
  parkedBytes: number
  /** The same for all connections together. */
  parkedTotalBytes: number
  /** Output not yet taken by the operating system: marks for `congested`, the end of the connection, all connections together. */
  outputHighBytes: number
  outputLowBytes: number
  outputBytesMax: number
  outputTotalBytes: number
  /** Credit that one consumer may hold, in messages and bytes. */
  creditMessages: number
  creditBytes: number
  // Messages and names
  messageBytes: number
  /** Segments of a destination's name, and bytes of all of them. */
  addressSegments: number
  addressBytes: number
  // What the core keeps
  queues: number
  sessions: number
  bindings: number
  bindingsPerSession: number
  bindingBytesPerSession: number
  /** One selector: its text, how deep it is nested, its names and literals. */
  selectorBytes: number
  selectorDepth: number
  selectorTerms: number
  /** Of all selectors of a queue that are not found by a look-up. */
  selectorTermsPerQueue: number
  consumers: number
  consumersPerSession: number
  /** Pairs of a consumer of a pattern and a queue that matches. */
  wildcardQueues: number
  /** Places of wildcards, among an application's queues for several virtual topics. */
  virtualTopicPatterns: number
  browsers: number
  measuredQueues: number
  notesPerSession: number
  /** Open transactions, and what is in them. */
  transactions: number
  transactionsPerSession: number
  transactionMessages: number
  transactionBytes: number
  transactionTotalBytes: number
  /** 0: for ever. */
  transactionAgeMs: number
  /** What consumers add to what is told of messages: of one, and of all. */
  addedBytesPerMessage: number
  addedBytes: number
  temporariesPerSession: number
  /** Messages on queues, one for each queue they are on. */
  entries: number
  retained: number
  /** Destinations in one list, and topics that were ever behind the first one in lists. */
  compositeParts: number
  viaNames: number
  /** Messages that are sent again and again, their bytes, and the shortest period. */
  scheduled: number
  scheduledBytes: number
  schedulePeriodMs: number
  /** Longest time that a session outlives its connection. 0: for ever. */
  sessionKeepMaxMs: number
  /** Requests of the management interface. */
  httpRequestBytes: number
  httpConnections: number
}>

export type JournalSettings = Readonly<{
  segmentBytes: number
  /** Most bytes of the directory. */
  bytesMax: number
  /** Of those, what only settlements, moves and compaction may use. */
  reserveBytes: number
  /** Bodies kept in memory. */
  cacheBytes: number
  /** How long a lazy fact waits for company, and how many bytes of them. */
  lazyMs: number
  lazyBytes: number
  /** Segments filled ahead. */
  spareSegments: number
}>

export type FailoverSettings = Readonly<{
  /** How often a waiting standby tries the lock. */
  lockPollMs: number
  /** After a takeover wills wait this long for their clients to come back. */
  willGraceMs: number
  /** After this long without a heartbeat of the leader a standby claims. The leader writes one every quarter of it. */
  leaseMs: number
  /** How a look for a higher claim is answered: `exact` by the disk or the server, `cached` perhaps by an old listing. `auto`: as the mount's options say. */
  lookup: 'auto' | 'exact' | 'cached'
  /** With `cached`: how old such an answer may be. A claimant waits twice that long, and a tenth more, before it reads. */
  lookupMaxAgeMs: number
  /** How often a standby looks whether the journal has grown. */
  followPollMs: number
  /** Host name that clients are given for this node. '': the listener's own, or this machine's name when it listens everywhere. */
  advertise: string
}>

export type WebSocketSettings = Readonly<{
  /** Web pages of these origins may connect, besides those of the listener's own host. `*`: all. */
  origins: readonly string[]
  /** By protocol: where it is spoken alone, also to who names no subprotocol. */
  paths: Readonly<Record<string, string>>
  /** Nothing is spoken elsewhere. */
  pathsOnly: boolean
  messageBytesMax: number
  fragmentsMax: number
  headerBytesMax: number
  handshakeTimeoutMs: number
  /** 0: never. */
  pingIntervalMs: number
}>

/** What holds for one destination. */
export type DestinationRules = Readonly<{
  /** Made when first used. */
  autoCreate: boolean
  /** Name of the dead-letter queue, in dots; '': none, dead messages are dropped and counted. */
  deadLetter: string
  /** Failures after which a message is dead; 0: never. */
  failuresMax: number
  redeliveryDelayMs: number
  /** Each further delay is the last one times this. */
  redeliveryBackoff: number
  redeliveryDelayMaxMs: number
  /** 0: no limit. */
  limitMessages: number
  limitBytes: number
  whenFull: WhenFull
  /** Expiry of messages that come without one; 0: none. */
  messageTtlMs: number
  /** Expired messages go to the dead-letter queue, else they are dropped and counted. */
  expiredToDeadLetter: boolean
  /** A higher priority goes first. */
  prioritized: boolean
  groupFirst: boolean
  /** Longest expiry, of messages that come with a longer one or none; 0: no limit. */
  messageTtlMaxMs: number
  /** Property by which a queue keeps the newest message of each value; '': it keeps all. */
  lastValueKey: string
  /** Measured by itself in `/metrics`. */
  metrics: boolean
}>

/** `match`: kind and pattern in dots, `*` one segment, `>` the rest: `queue:orders.>`. The last policy that matches and names a field decides it. */
export type DestinationPolicy = Readonly<{ match: string } & Partial<DestinationRules>>

export type DestinationSettings = DestinationRules &
  Readonly<{
    /** How long a temporary destination outlives its owner's connection, and the node that led. */
    temporaryGraceMs: number
    /** A queue of such a name is a subscription to the topic that its name ends with. `queues`: prefix in dots, `*` one segment. `topics`: pattern. */
    virtualTopics: readonly Readonly<{ topics: string; queues: string }>[]
    /** What is sent to `from` (kind and pattern) also goes to each of `to`; not `keep`: only there. */
    forward: readonly Readonly<{ from: string; to: readonly string[]; keep?: boolean }>[]
    /** In which times of cron are meant; '': the machine's. */
    cronTimeZone: string
    policies: readonly DestinationPolicy[]
  }>
