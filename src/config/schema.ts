// JSON Schema (draft 2020-12) of the configuration, put together from the sections below and one of each protocol.
// `config/bascule.schema.json`, the example and the reference are generated from it; defaults come from `defaults.ts`.
import type { Protocol } from '../api.ts'
import { limits } from '../limits.ts'
import { defaultLimits, defaults } from './defaults.ts'
import { overTls } from './listener-names.ts'
import type { DestinationRules, TlsSettings } from './settings.ts'

export type Schema = Readonly<{
  type?: string
  description?: string
  default?: unknown
  enum?: readonly unknown[]
  minimum?: number
  maximum?: number
  pattern?: string
  maxItems?: number
  properties?: Readonly<Record<string, Schema>>
  items?: Schema
  required?: readonly string[]
  additionalProperties?: boolean
}>

const HTTPS_PORT = 8162
const WSS_PORT = 61619
/** More people than these are no matter for a file. */
const USERS_MAX = 10_000

/** What a protocol contributes: its name, its port and its section. */
export type ProtocolSection = Pick<Protocol, 'name' | 'port' | 'portTls' | 'schema'>

export function settingsSchema(protocols: readonly ProtocolSection[]): Schema & Readonly<{ properties: Readonly<Record<string, Schema>> }> {
  return {
    type: 'object',
    description: 'Configuration of Bascule.',
    additionalProperties: false,
    properties: {
      node: {
        type: 'string',
        pattern: '^[A-Za-z0-9._-]{0,64}$',
        default: defaults.node,
        description:
          'Name of this node in its pair, in logs and in the ready line. Empty: the first letter that no other node of the directory uses.',
      },
      data: {
        type: 'string',
        pattern: '.',
        default: defaults.data,
        description: 'Data directory: journal, claims, snapshots. Both nodes of a pair name the same one.',
      },
      readyFile: {
        type: 'string',
        default: defaults.readyFile,
        description: 'File that gets the content of the ready line once every listener is bound. Empty: none.',
      },
      ports: {
        type: 'string',
        enum: ['fixed', 'free'],
        default: defaults.ports,
        description: '`free` gives every listener a free port; the ready line says which.',
      },
      portOffset: integer(defaults.portOffset, 'Added to every fixed port, so that several nodes share a machine.', 0, 60_000),
      insecure: {
        type: 'boolean',
        default: defaults.insecure,
        description:
          'Allows listeners beyond loopback without TLS, where passwords and messages can be read on the way, and with TLS where everybody may come: without users, or with `anonymous`, and without certificates of all clients.',
      },
      users: {
        type: 'array',
        maxItems: USERS_MAX,
        default: defaults.users,
        description:
          'Who may log in, by every protocol: a list of entries that `bascule user entry NAME` makes, of `name`, `password` (a hash), `scram` and `certificate`. Empty: everybody is anonymous.',
        items: {
          type: 'object',
          additionalProperties: false,
          required: ['name'],
          properties: {
            name: { type: 'string', pattern: '.', description: 'Name of the user.' },
            password: { type: 'string', description: 'What `bascule user hash` printed.' },
            scram: {
              type: 'array',
              maxItems: 2,
              items: { type: 'string' },
              description:
                'Verifiers for log-ins by SCRAM-SHA-256 and SCRAM-SHA-512, as RFC 5803 has them. A mechanism that every user with a password has is offered.',
            },
            certificate: {
              type: 'string',
              pattern: '.',
              description:
                'Common name, an alternative name (DNS, e-mail, URI) or the SHA-256 fingerprint of the certificate by which this user is known. With it a user needs no password.',
            },
          },
        },
      },
      anonymous: {
        type: 'boolean',
        default: defaults.anonymous,
        description: 'Although there are users, clients may also come without a name. Management asks for one all the same.',
      },
      listeners: section('Where to listen, by listener.', {
        http: listener('health, status and management', defaults.listeners.http.port),
        ...Object.fromEntries(protocols.map((protocol) => [protocol.name, listener(protocol.name, protocol.port)])),
        websocket: listener('every protocol over WebSocket', defaults.listeners.websocket.port),
        [overTls('http')]: tlsListener('health, status and management', HTTPS_PORT, 'users'),
        ...Object.fromEntries(protocols.map((protocol) => [overTls(protocol.name), tlsListener(protocol.name, protocol.portTls)])),
        [overTls('websocket')]: tlsListener('every protocol over WebSocket', WSS_PORT),
      }),
      tls: section('Certificates, of the listeners over TLS. Files are read again when they change.', tlsProperties()),
      log: section('What is logged, to standard error, one JSON object a line.', {
        level: {
          type: 'string',
          enum: ['debug', 'info', 'warn', 'error', 'silent'],
          default: defaults.log.level,
          description: 'Least level that is logged.',
        },
        pretty: { type: 'boolean', default: defaults.log.pretty, description: 'Lines for people instead of JSON.' },
      }),
      limits: section('Bounds of everything that clients can make grow.', limitProperties()),
      journal: section('The file journal.', journalProperties()),
      failover: section('Two nodes on one data directory.', {
        lockPollMs: integer(defaults.failover.lockPollMs, 'How often a waiting standby tries the lock.', 1, 60_000),
        willGraceMs: integer(defaults.failover.willGraceMs, 'After a takeover wills wait this long for their clients to come back.', 0),
        leaseMs: integer(
          defaults.failover.leaseMs,
          'After this long without a heartbeat of the leader a standby claims. The leader writes one every quarter of it.',
          100,
        ),
        lookup: {
          type: 'string',
          enum: ['auto', 'exact', 'cached'],
          default: defaults.failover.lookup,
          description:
            'How a look for a higher claim is answered: `exact` by the disk or the file server, `cached` perhaps by an old listing. `auto`: as the options of the mount say; one that is not recognised is refused.',
        },
        lookupMaxAgeMs: integer(
          defaults.failover.lookupMaxAgeMs,
          'With `cached`: how old an answer may be. A claimant waits twice that long, and a tenth more, before it reads.',
          0,
        ),
        followPollMs: integer(defaults.failover.followPollMs, 'How often a standby looks whether the journal has grown.', 1, 60_000),
        advertise: {
          type: 'string',
          default: defaults.failover.advertise,
          description:
            'Host name that clients are given for this node. Empty: the address that it listens on, or the name of this machine when it listens everywhere.',
        },
      }),
      destinations: section('What holds for every queue and topic, and exceptions by name.', {
        ...ruleProperties(true),
        temporaryGraceMs: integer(
          defaults.destinations.temporaryGraceMs,
          'How long a temporary queue or topic outlives a connection that broke, and a takeover, so that its owner finds it again.',
          0,
        ),
        virtualTopics: {
          type: 'array',
          default: defaults.destinations.virtualTopics,
          description:
            'Queues that are subscriptions by their name: `Consumer.app.VirtualTopic.orders` gets what is sent to the topic `VirtualTopic.orders`, from its first use on. An empty list: none.',
          items: {
            type: 'object',
            additionalProperties: false,
            required: ['topics', 'queues'],
            properties: {
              topics: { type: 'string', pattern: '.', description: 'Which topics, in dots; `>` is the rest.' },
              queues: {
                type: 'string',
                pattern: '.',
                description: 'What stands before the topic in the name of a queue, in dots; `*` is one segment.',
              },
            },
          },
        },
        forward: {
          type: 'array',
          default: defaults.destinations.forward,
          description: 'What is sent to one destination also goes to others, all or none. Not further: a forwarded message is not forwarded again.',
          items: {
            type: 'object',
            additionalProperties: false,
            required: 'from to'.split(' '),
            properties: {
              from: { type: 'string', pattern: '^(queue|topic):.+$', description: 'Kind and pattern, as in policies.' },
              to: {
                type: 'array',
                items: { type: 'string', pattern: '^(queue|topic):.+$' },
                description: 'Kinds and names; `{name}` stands for the name it was sent to. Queues are made.',
              },
              keep: { type: 'boolean', default: true, description: 'It also goes where it was sent; else only to the others.' },
            },
          },
        },
        cronTimeZone: {
          type: 'string',
          pattern: '^[A-Za-z0-9_+/-]{0,64}$',
          default: defaults.destinations.cronTimeZone,
          description: 'Time zone in which cron patterns of scheduled messages are read, as `Europe/Berlin` or `UTC`. Empty: the machine’s.',
        },
        policies: {
          type: 'array',
          default: [],
          description:
            'Exceptions. `match` is kind and pattern in dots (`queue:orders.>`: `*` is one segment, `>` the rest); of those that match, the last that names a field decides it.',
          items: {
            type: 'object',
            additionalProperties: false,
            required: ['match'],
            properties: { match: { type: 'string', pattern: '^(queue|topic):.+$', description: 'Kind and pattern.' }, ...ruleProperties(false) },
          },
        },
      }),
      websocket: section('Every protocol over WebSocket: what the listener `websocket` accepts.', websocketProperties(protocols)),
      ...Object.fromEntries(
        protocols.map((protocol) => [protocol.name, { ...protocol.schema, type: 'object', additionalProperties: false, default: {} }]),
      ),
    },
  }
}

/** The default of a schema: its own, or that of its properties. */
export function defaultsOf(schema: Schema): unknown {
  if (schema.properties === undefined) return schema.default
  const value: Record<string, unknown> = {}
  for (const [name, property] of Object.entries(schema.properties)) {
    const given = defaultsOf(property)
    if (given !== undefined) value[name] = given
  }
  return value
}

function section(description: string, properties: Readonly<Record<string, Schema>>): Schema {
  return { type: 'object', description, additionalProperties: false, default: {}, properties }
}

function listener(what: string, port: number): Schema {
  return section(`Listener of ${what}.`, {
    enabled: { type: 'boolean', default: true, description: 'Whether it listens.' },
    host: {
      type: 'string',
      pattern: '.',
      default: '127.0.0.1',
      description: 'Address or name to listen on. Anything but loopback needs `insecure`.',
    },
    port: integer(port, 'TCP port; 0: any free one.', 0, 65_535),
  })
}

/** Open only where there is a certificate. */
function tlsListener(what: string, port: number, wants = 'users and no `anonymous`, or `tls.clientCertificates: required`'): Schema {
  return section(`Listener of ${what}, over TLS.`, {
    enabled: { type: 'boolean', default: true, description: 'Whether it listens, if there is `tls.certificate`.' },
    host: {
      type: 'string',
      pattern: '.',
      default: '127.0.0.1',
      description: `Address or name to listen on. Anything but loopback needs ${wants}, or \`insecure\`.`,
    },
    port: integer(port, 'TCP port; 0: any free one.', 0, 65_535),
  })
}

function tlsProperties(): Readonly<Record<keyof TlsSettings, Schema>> {
  const { tls } = defaults
  return {
    certificate: {
      type: 'string',
      default: tls.certificate,
      description:
        'File (PEM) with the certificate of this node and those between it and its authority; or what such a file has in it. Empty: no TLS.',
    },
    key: { type: 'string', default: tls.key, description: 'File (PEM) with the private key of it; or what is in it.' },
    passphrase: { type: 'string', default: tls.passphrase, description: 'Of the key, if it is encrypted. Best given by the environment.' },
    ca: { type: 'string', default: tls.ca, description: 'File (PEM) with the certificates of those who vouch for clients; or what is in it.' },
    clientCertificates: {
      type: 'string',
      enum: ['none', 'optional', 'required'],
      default: tls.clientCertificates,
      description:
        'Whether clients are asked for a certificate, which `ca` must vouch for: `optional` lets those without one in, too. Management never asks.',
    },
    certificateLogin: {
      type: 'boolean',
      default: tls.certificateLogin,
      description:
        'A client with the certificate of a user (`users`) that names nobody when it connects is that user, without a password. AMQP needs it not: there is SASL EXTERNAL.',
    },
    minVersion: { type: 'string', enum: ['TLSv1.2', 'TLSv1.3'], default: tls.minVersion, description: 'Oldest version of TLS that is spoken.' },
    ciphers: { type: 'string', default: tls.ciphers, description: 'Cipher suites, as OpenSSL writes them. Empty: those of Node.js.' },
    handshakeTimeoutMs: integer(tls.handshakeTimeoutMs, 'Time from the connection to the end of its hand-shake.', 100),
    rereadMs: integer(tls.rereadMs, 'How often the files are looked at; new ones count from the next connection on. 0: never again.', 0),
  }
}

function integer(value: number, description: string, minimum: number, maximum?: number): Schema {
  return { type: 'integer', default: value, minimum, ...(maximum === undefined ? {} : { maximum }), description }
}

function limitProperties(): Readonly<Record<string, Schema>> {
  const zeroIsNone: readonly string[] = ['connectionsPerSecond', 'sessionKeepMaxMs', 'loginRememberedMs', 'transactionAgeMs']
  return Object.fromEntries(
    Object.entries(limits).map(([name, limit]) => [
      name,
      integer(defaultLimits[name as keyof typeof limits], limit.reason, zeroIsNone.includes(name) ? 0 : 1, limit.most),
    ]),
  )
}

function journalProperties(): Readonly<Record<string, Schema>> {
  const { journal } = defaults
  return {
    segmentBytes: integer(journal.segmentBytes, 'Size of one segment file.', 2 * 1024 * 1024, 1024 * 1024 * 1024),
    bytesMax: integer(
      journal.bytesMax,
      'Most bytes that the journal takes on disk; producers are refused before that, consumers drain.',
      8 * 1024 * 1024,
    ),
    reserveBytes: integer(journal.reserveBytes, 'Of those, what only settlements, moves and compaction may use.', 4 * 1024 * 1024),
    cacheBytes: integer(journal.cacheBytes, 'Message bodies kept in memory; others are read back from disk.', 1024 * 1024),
    lazyMs: integer(journal.lazyMs, 'How long a settlement that nobody waits for may stay unwritten.', 0, 1_000),
    lazyBytes: integer(journal.lazyBytes, 'How many bytes of such settlements may stay unwritten.', 0, 1024 * 1024),
    spareSegments: integer(journal.spareSegments, 'Segments that are filled ahead.', 0, 16),
  }
}

function websocketProperties(protocols: readonly ProtocolSection[]): Readonly<Record<string, Schema>> {
  const { websocket } = defaults
  return {
    origins: {
      type: 'array',
      items: { type: 'string' },
      default: websocket.origins,
      description:
        'Origins of web pages that may connect (`https://app.example.com`), besides pages of the host that the listener itself is addressed by. `*`: all. Clients that are no browsers name none, and may.',
    },
    paths: section(
      'Path of each protocol: there it alone is spoken, also to clients that name no subprotocol. Elsewhere the subprotocol decides.',
      Object.fromEntries(
        protocols.map(({ name }) => [
          name,
          { type: 'string', pattern: '^/[^?#]*$', default: `/${name}`, description: `Path at which ${name} alone is spoken.` },
        ]),
      ),
    ),
    pathsOnly: {
      type: 'boolean',
      default: websocket.pathsOnly,
      description: 'Other paths than those are refused (404).',
    },
    messageBytesMax: integer(websocket.messageBytesMax, 'Bytes of one message, all its fragments together; a longer one ends the connection.', 1024),
    fragmentsMax: integer(websocket.fragmentsMax, 'Fragments of one message.', 1),
    headerBytesMax: integer(websocket.headerBytesMax, 'Bytes of the headers of one hand-shake.', 1024, 1024 * 1024),
    handshakeTimeoutMs: integer(websocket.handshakeTimeoutMs, 'Time from the connection to the end of its hand-shake.', 100),
    pingIntervalMs: integer(
      websocket.pingIntervalMs,
      'A client that was silent for so long is pinged; one that answers nothing for as long again is gone. 0: nobody is pinged.',
      0,
    ),
  }
}

/** Policies have the same fields without defaults: what they do not name is decided elsewhere. */
function ruleProperties(withDefaults: boolean): Readonly<Record<string, Schema>> {
  const { destinations } = defaults
  const properties: Readonly<Record<keyof DestinationRules, Schema>> = {
    autoCreate: {
      type: 'boolean',
      default: destinations.autoCreate,
      description: 'Queues are made when first used; else only by `PUT /api/queues/{name}`.',
    },
    deadLetter: {
      type: 'string',
      default: destinations.deadLetter,
      description:
        'Queue that gets durable messages that failed too often or were rejected (others are dropped and counted), its name in dots; `{name}` in it stands for the name of the queue it came from. Empty: such messages are dropped and counted.',
    },
    failuresMax: integer(destinations.failuresMax, 'Failures after which a message is dead. 0: never.', 0, 65_535),
    redeliveryDelayMs: integer(destinations.redeliveryDelayMs, 'Wait before a failed message is given out again.', 0),
    redeliveryBackoff: {
      type: 'number',
      default: destinations.redeliveryBackoff,
      minimum: 1,
      maximum: 100,
      description: 'Each further wait is the last one times this.',
    },
    redeliveryDelayMaxMs: integer(destinations.redeliveryDelayMaxMs, 'Longest such wait.', 0),
    limitMessages: integer(destinations.limitMessages, 'Most messages on one queue. 0: no limit.', 0),
    limitBytes: integer(destinations.limitBytes, 'Most bytes on one queue. 0: no limit.', 0),
    whenFull: {
      type: 'string',
      enum: ['refuse', 'drop-newest', 'drop-oldest'],
      default: destinations.whenFull,
      description: 'What happens at a limit: producers wait and are then refused, or a message is dropped and counted.',
    },
    messageTtlMs: integer(destinations.messageTtlMs, 'Time to live of messages that come without one. 0: none.', 0),
    expiredToDeadLetter: {
      type: 'boolean',
      default: destinations.expiredToDeadLetter,
      description: 'Expired messages go to the dead-letter queue; else they are dropped and counted.',
    },
    messageTtlMaxMs: integer(
      destinations.messageTtlMaxMs,
      'Longest time to live: of messages that come with a longer one, or with none. 0: no limit.',
      0,
    ),
    lastValueKey: {
      type: 'string',
      default: destinations.lastValueKey,
      description:
        'Property by which a queue keeps only the newest message of each value, of those that nobody has in hand: `_AMQ_LVQ_NAME`, or one of the application’s. Empty: it keeps all.',
    },
    groupFirst: {
      type: 'boolean',
      default: destinations.groupFirst,
      description:
        'The first message of a message group that goes to a consumer says so: `JMSXGroupFirstForConsumer`, a header, a user property, or an application property that is added to the message.',
    },
    metrics: {
      type: 'boolean',
      default: destinations.metrics,
      description: '`/metrics` has figures of each such queue by itself. Best switched on by a policy for those that matter.',
    },
    prioritized: {
      type: 'boolean',
      default: destinations.prioritized,
      description: 'Messages of a higher priority are given out first; else all go in the order in which they came.',
    },
  }
  if (withDefaults) return properties
  return Object.fromEntries(Object.entries(properties).map(([name, { default: _, ...rest }]) => [name, rest]))
}
