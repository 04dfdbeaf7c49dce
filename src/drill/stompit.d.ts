// What the drill and the tests use of stompit, which brings no types.
declare module 'stompit' {
  import type { Socket } from 'node:net'
  import type { Duplex, Readable, Writable } from 'node:stream'

  export interface Message extends Readable {
    readonly headers: Readonly<Record<string, string>>
    readString(encoding: string, done: (error: Error | null, body?: string) => void): void
    ack(): void
  }

  export interface Client extends NodeJS.EventEmitter {
    readonly headers: Readonly<Record<string, string>>
    send(
      headers: Readonly<Record<string, string | number>>,
      options?: Readonly<{ onReceipt?: () => void; onError?: (error: Error) => void }>,
    ): Writable
    subscribe(headers: Readonly<Record<string, string | number>>, listener: (error: Error | null, message: Message) => void): { unsubscribe(): void }
    ack(message: Message, headers?: Readonly<Record<string, string>>, options?: Readonly<{ onReceipt?: () => void }>): void
    nack(message: Message): void
    disconnect(done?: (error?: Error | null) => void): void
    destroy(error?: Error): void
    getTransportSocket(): Socket
    setCommandHandler(command: string, handler: (frame: Readable & Readonly<{ headers: Readonly<Record<string, string>> }>) => void): void
  }

  export interface ConnectOptions {
    readonly host: string
    readonly port: number
    /** For the connection; 0: as the system. */
    readonly timeout?: number
    readonly connectHeaders?: Readonly<Record<string, string>>
    /** Instead of a TCP connection: the stream, and a call when it is there. */
    readonly connect?: (options: unknown, connected: () => void) => Duplex
  }

  export interface Failover {
    connect(done: (error: Error | null, client: Client, reconnect: () => void) => void): void
  }

  export interface FailoverOptions {
    readonly initialReconnectDelay?: number
    readonly maxReconnectDelay?: number
    readonly useExponentialBackOff?: boolean
    readonly maxReconnects?: number
    readonly randomize?: boolean
  }

  const stompit: {
    ConnectFailover: new (servers: readonly ConnectOptions[], options?: FailoverOptions) => Failover
    connect(options: ConnectOptions, done: (error: Error | null, client: Client) => void): Client
  }
  export default stompit
}
