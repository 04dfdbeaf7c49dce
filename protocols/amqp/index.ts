// AMQP 1.0 for the broker: its ports, its settings, its connections. What maps to what: docs/protocols/amqp.md.
import type { Broker, Connection, FrontEnd, Log, Protocol, Wire } from '../../src/api.ts'
import { AmqpConnection } from './connection.ts'
import { amqpDialect } from './format.ts'
import { KeptLinks } from './kept-links.ts'
import { handle } from './on/index.ts'
import { openFrame } from './on/open.ts'
import { type AmqpSettings, schema } from './settings.ts'
import type { Shared } from './shared.ts'

const amqp: Protocol = {
  name: 'amqp',
  port: 5672,
  portTls: 5671,
  subprotocols: ['amqp'],
  textMessages: false,
  schema,
  start(broker, settings, log): FrontEnd {
    return new AmqpFrontEnd(broker, settings as AmqpSettings, log)
  },
}

export default amqp

class AmqpFrontEnd implements FrontEnd {
  readonly dialect
  readonly #shared: Shared
  #connections = 0

  constructor(broker: Broker, settings: AmqpSettings, log: Log) {
    this.dialect = amqpDialect(broker, settings)
    // Names a connection's private queues, so it must not come again while the process lives; after a restart those queues are gone.
    const prefix = `${broker.node.replace(/[^\w-]/g, '_')}-${broker.figures().startedAtMs.toString(36)}`
    this.#shared = {
      broker,
      settings,
      log,
      links: new Map(),
      kept: new KeptLinks(broker, settings.linksKept),
      subscribers: new Map(),
      connectionId: () => `${prefix}-${++this.#connections}`,
      handle,
      openFrame,
    }
  }

  accept(wire: Wire): Connection {
    return new AmqpConnection(this.#shared, wire)
  }

  started(): void {}
}
