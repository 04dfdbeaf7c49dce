// What all connections of the front end share, and how a connection hands over what was read.
import type { Broker, Log } from '../../src/api.ts'
import type { Frame } from './codec.ts'
import type { AmqpConnection } from './connection.ts'
import type { KeptLinks } from './kept-links.ts'
import type { Performative } from './performatives.ts'
import type { AmqpSettings } from './settings.ts'

export type Shared = Readonly<{
  broker: Broker
  settings: AmqpSettings
  log: Log
  /** Every link by principal, container, role and name: who attaches one again takes it over. */
  links: Map<string, () => void>
  /** Links whose client is away and may come back. */
  kept: KeptLinks
  /** Links that take from a durable subscription, by its queue. */
  subscribers: Map<string, number>
  connectionId: () => string
  handle: Handler
  openFrame: (connection: AmqpConnection) => Buffer
}>

/** Does what one performative of an open connection asks for. Throws `ConnectionFault` for what ends the connection, nothing else on what a client sent. */
export type Handler = (connection: AmqpConnection, frame: Frame, performative: Performative) => void
