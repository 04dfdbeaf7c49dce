// STOMP 1.0, 1.1 and 1.2 for the broker: its ports, its settings, its connections. What maps to what is in README.md.
import type { Broker, Connection, FrontEnd, Log, Protocol, Wire } from '../../src/api.ts'
import { type Shared, StompConnection } from './connection.ts'
import { stompDialect } from './format.ts'
import { handlers } from './on/index.ts'
import { schema, type StompSettings } from './settings.ts'
import { Transformations } from './transformation.ts'

const stomp: Protocol = {
  name: 'stomp',
  port: 61613,
  portTls: 61614,
  subprotocols: ['v12.stomp', 'v11.stomp', 'v10.stomp'],
  textMessages: true,
  schema,
  start(broker, settings, log): FrontEnd {
    return new StompFrontEnd(broker, settings as StompSettings, log)
  },
}

export default stomp

class StompFrontEnd implements FrontEnd {
  readonly dialect
  readonly #shared: Shared
  #sessions = 0

  constructor(broker: Broker, settings: StompSettings, log: Log) {
    this.dialect = stompDialect(broker, settings)
    // Names a connection's private queues, so it must not come again while the process lives; after a restart those queues are gone.
    const prefix = `${broker.node.replace(/[^\w-]/g, '_')}-${broker.figures().startedAtMs.toString(36)}`
    const strangers = { ...settings, bodyBytesMax: 0 }
    const transformations = new Transformations(broker, settings.bodyBytesMax)
    this.#shared = { broker, settings, log, handlers, strangers, transformations, sessionId: () => `${prefix}-${++this.#sessions}` }
  }

  accept(wire: Wire): Connection {
    return new StompConnection(this.#shared, wire)
  }

  started(): void {}
}
