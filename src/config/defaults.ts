// The defaults of every section but the protocols' own (those stand in their schemas). Nothing is imported but data:
// a broker that was given no configuration starts from here without loading a YAML reader or a schema checker.
import type {
  DestinationSettings,
  FailoverSettings,
  JournalSettings,
  Limits,
  LogSettings,
  Settings,
  TlsSettings,
  WebSocketSettings,
} from './settings.ts'

const KiB = 1024
const MiB = 1024 * KiB
const GiB = 1024 * MiB

export const defaultLimits: Limits = {
  connections: 20_000,
  connectionsPerSecond: 0,
  handshakes: 1_000,
  loginsWaiting: 256,
  loginsRemembered: 10_000,
  loginRememberedMs: 600_000,
  parkedMessages: 1_000,
  parkedBytes: 64 * MiB,
  parkedTotalBytes: 512 * MiB,
  outputHighBytes: MiB,
  outputLowBytes: 256 * KiB,
  outputBytesMax: 64 * MiB,
  outputTotalBytes: 512 * MiB,
  creditMessages: 1_000_000,
  creditBytes: GiB,
  messageBytes: 16 * MiB,
  addressSegments: 128,
  addressBytes: 65_535,
  queues: 200_000,
  sessions: 200_000,
  bindings: 1_000_000,
  bindingsPerSession: 100_000,
  bindingBytesPerSession: 16 * MiB,
  selectorBytes: 16 * KiB,
  selectorDepth: 64,
  selectorTerms: 1_024,
  selectorTermsPerQueue: 50_000,
  consumers: 200_000,
  consumersPerSession: 10_000,
  wildcardQueues: 1_000_000,
  virtualTopicPatterns: 64,
  browsers: 1_000,
  measuredQueues: 1_000,
  notesPerSession: 65_535,
  transactions: 10_000,
  transactionsPerSession: 1_000,
  transactionMessages: 500_000,
  transactionBytes: GiB,
  transactionTotalBytes: 4 * GiB,
  transactionAgeMs: 300_000,
  addedBytesPerMessage: 16 * KiB,
  addedBytes: 64 * MiB,
  temporariesPerSession: 1_000,
  entries: 20_000_000,
  retained: 1_000_000,
  compositeParts: 100,
  viaNames: 10_000,
  scheduled: 10_000,
  scheduledBytes: 64 * MiB,
  schedulePeriodMs: 100,
  sessionKeepMaxMs: 0,
  httpRequestBytes: MiB,
  httpConnections: 256,
}

const journal: JournalSettings = {
  segmentBytes: 64 * MiB,
  bytesMax: 64 * GiB,
  reserveBytes: 128 * MiB,
  cacheBytes: 64 * MiB,
  lazyMs: 20,
  lazyBytes: 64 * KiB,
  spareSegments: 1,
}

const failover: FailoverSettings = {
  lockPollMs: 10,
  willGraceMs: 30_000,
  leaseMs: 3_000,
  lookup: 'auto',
  lookupMaxAgeMs: 60_000,
  followPollMs: 20,
  advertise: '',
}

const destinations: DestinationSettings = {
  autoCreate: true,
  deadLetter: 'ActiveMQ.DLQ',
  failuresMax: 6,
  redeliveryDelayMs: 0,
  redeliveryBackoff: 1,
  redeliveryDelayMaxMs: 60_000,
  limitMessages: 0,
  limitBytes: 0,
  whenFull: 'refuse',
  messageTtlMs: 0,
  expiredToDeadLetter: true,
  temporaryGraceMs: 30_000,
  virtualTopics: [{ topics: 'VirtualTopic.>', queues: 'Consumer.*.' }],
  forward: [],
  cronTimeZone: '',
  prioritized: true,
  groupFirst: false,
  messageTtlMaxMs: 0,
  lastValueKey: '',
  metrics: false,
  policies: [],
}

const websocket: WebSocketSettings = {
  origins: [],
  paths: {},
  pathsOnly: false,
  messageBytesMax: 17 * MiB,
  fragmentsMax: 4_096,
  headerBytesMax: 16 * KiB,
  handshakeTimeoutMs: 10_000,
  pingIntervalMs: 30_000,
}

const tls: TlsSettings = {
  certificate: '',
  key: '',
  passphrase: '',
  ca: '',
  clientCertificates: 'none',
  certificateLogin: false,
  minVersion: 'TLSv1.2',
  ciphers: '',
  handshakeTimeoutMs: 10_000,
  rereadMs: 10_000,
}

const log: LogSettings = { level: 'info', pretty: false }

/** Without the listeners and sections of protocols: `load.ts` adds those. */
export const defaults: Settings = {
  node: '',
  data: 'data',
  readyFile: '',
  ports: 'fixed',
  portOffset: 0,
  insecure: false,
  users: [],
  anonymous: false,
  tls,
  listeners: { http: { enabled: true, host: '127.0.0.1', port: 8161 }, websocket: { enabled: true, host: '127.0.0.1', port: 61618 } },
  log,
  limits: defaultLimits,
  journal,
  failover,
  destinations,
  websocket,
  protocols: {},
}
