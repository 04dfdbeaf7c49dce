// A session of the core for one link: what it has goes on while its connection is gone, and whoever has the link then is told.
import type { Broker, BrokerError, Delivery, Replies, Session, Sink, Ticket } from '../../src/api.ts'
import type { AmqpConnection } from './connection.ts'

export class OwnSession implements Replies {
  to: Replies
  readonly session: Session

  /** Throws as `Broker.open` does. */
  constructor(broker: Broker, { principal, remote, origin }: Pick<AmqpConnection, 'principal' | 'remote' | 'origin'>, to: Replies) {
    this.to = to
    const options = { protocol: 'amqp', clientId: '', clash: 'refuse', keepMs: 0, fresh: false, will: undefined } as const
    this.session = broker.open({ ...options, principal, remote, origin }, this)
  }

  done(upTo: Ticket): void {
    this.to.done(upTo)
  }

  admitted(ticket: Ticket): void {
    this.to.admitted(ticket)
  }

  refused(error: BrokerError): void {
    this.to.refused(error)
  }

  pressure(high: boolean): void {
    this.to.pressure(high)
  }

  ended(error: BrokerError): void {
    this.to.ended(error)
  }
}

/** Where the core gives what it has for such a link: to whoever has that then. */
export class OwnSink implements Sink {
  to: Sink

  constructor(to: Sink) {
    this.to = to
  }

  deliver(delivery: Delivery): void {
    this.to.deliver(delivery)
  }

  flush(): void {
    this.to.flush()
  }

  ended(error: BrokerError): void {
    this.to.ended(error)
  }
}
