// What `send` and `receive` want of a client of any protocol, and how one is chosen by its URL. The clients are libraries that others use too:
// what these commands show is what any application would get.
import { open } from '../../drill/dial.ts'
import { UsageError } from '../usage.ts'

export type Outgoing = Readonly<{ body: Buffer; durable: boolean; headers: readonly (readonly [string, string])[] }>

/** `fields`: headers and properties in the protocol's words. */
export type Incoming = Readonly<{ destination: string; fields: readonly (readonly [string, string])[]; body: Buffer }>

/** Resolves when the message is where it should be. A failure is its caller's: the client only does not acknowledge. */
export type Take = (message: Incoming) => Promise<void>

export interface Client {
  /** Ends when the broker has acknowledged it. */
  send(destination: string, message: Outgoing): Promise<void>
  /** Ends when subscribed. At most `countMax` messages come; each is acknowledged when what `take` answered has resolved, and not if it rejects. */
  receive(destination: string, countMax: number, take: Take): Promise<void>
  /** What was acknowledged has left. */
  close(): Promise<void>
  /** Rejects when the connection breaks or is ended by the broker. */
  readonly broken: Promise<never>
}

export type Access = Readonly<{ host: string; port: number; tls: boolean; webSocket: boolean; user: string; password: string }>

const PROTOCOLS = {
  mqtt: { port: 1883, portTls: 8883, open: async (access: Access) => (await import('./mqtt.ts')).openMqtt(access, 4) },
  mqtt5: { port: 1883, portTls: 8883, open: async (access: Access) => (await import('./mqtt.ts')).openMqtt(access, 5) },
  amqp: { port: 5672, portTls: 5671, open: async (access: Access) => (await import('./amqp.ts')).openAmqp(access) },
  stomp: { port: 61613, portTls: 61614, open: async (access: Access) => (await import('./stomp.ts')).openStomp(access) },
} as const satisfies Readonly<Record<string, Readonly<{ port: number; portTls: number; open: (access: Access) => Promise<Client> }>>>

const WEBSOCKET_PORT = 61618
const WEBSOCKET_PORT_TLS = 61619
/** For a connection, its log-in included. */
const CONNECT_MS = 10_000

/** `mqtt://host:port`, `amqp+ws://user:password@host`, … Rejects with a sentence that names the address. */
export async function openClient(text: string): Promise<Client> {
  const { name, access } = readUrl(text)
  await reach(access)
  const client = await within(PROTOCOLS[name].open(access), `${access.host}:${access.port} does not answer as a broker of ${name} does`)
  // A client whose connection is over has nobody to say goodbye to, and some wait for the answer for ever.
  const over = client.broken.catch(() => {})
  return { ...client, close: () => Promise.race([client.close(), over]) }
}

function readUrl(text: string): Readonly<{ name: keyof typeof PROTOCOLS; access: Access }> {
  // Over TLS as everybody writes it, and as Amazon MQ does (`mqtt+ssl://`).
  const match = /^(\w+?)(s|\+ssl|\+ws|\+wss)?:\/\/(.*)$/.exec(text)
  const name = Object.keys(PROTOCOLS).find((one) => one === match?.[1]) as keyof typeof PROTOCOLS | undefined
  if (match === null || name === undefined)
    throw new UsageError(
      `${withoutLogin(text)} is not the URL of a broker: mqtt://HOST:PORT, mqtt5://, amqp:// or stomp://, over WebSocket mqtt+ws://, mqtt5+ws://, amqp+ws:// or stomp+ws://, over TLS mqtts:// or mqtt+wss:// and so on`,
    )
  const [, , over = ''] = match
  const webSocket = over.startsWith('+ws')
  const tls = over !== '' && over !== '+ws'
  let url: URL
  let login: readonly [string, string]
  try {
    // As http, whose parts every URL parser reads alike.
    url = new URL(`http://${match[3]}`)
    login = [decodeURIComponent(url.username), decodeURIComponent(url.password)]
  } catch {
    throw new UsageError(`${withoutLogin(text)} is not a URL`)
  }
  if (url.pathname !== '/' || url.search !== '') throw new UsageError('the destination is an argument of its own, not a part of the URL')
  const [loginName = '', ...rest] = (process.env.BASCULE_LOGIN ?? '').split(':')
  const user = url.username === '' ? loginName : login[0]
  const password = url.username === '' ? rest.join(':') : login[1]
  // The parser leaves 80 out.
  const given = url.port === '' && /:80(?:\/|$)/.test(match[3]) ? '80' : url.port
  const port = given === '' ? defaultPort(name, tls, webSocket) : Number(given)
  return { name, access: { host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port, tls, webSocket, user, password } }
}

function defaultPort(name: keyof typeof PROTOCOLS, tls: boolean, webSocket: boolean): number {
  if (webSocket) return tls ? WEBSOCKET_PORT_TLS : WEBSOCKET_PORT
  return tls ? PROTOCOLS[name].portTls : PROTOCOLS[name].port
}

/** For sentences, which end in logs. */
function withoutLogin(text: string): string {
  return text.replace(/\/\/.*@/s, '//…@')
}

/** The libraries say of a refused connection whatever comes to their mind. */
function reach(access: Access): Promise<void> {
  const { host, port, tls } = access
  return new Promise((resolve, reject) => {
    const socket = open(access)
    socket.setTimeout(CONNECT_MS)
    const fail = (why: string): void => {
      socket.destroy()
      reject(new Error(`${host}:${port} cannot be reached: ${why}`))
    }
    socket.once(tls ? 'secureConnect' : 'connect', () => {
      socket.destroy()
      resolve()
    })
    socket.once('timeout', () => fail('no answer'))
    socket.once('error', (error) => fail(error.message))
  })
}

async function within<T>(promise: Promise<T>, sentence: string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  try {
    return await Promise.race([
      promise,
      new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error(sentence)), CONNECT_MS)
      }),
    ])
  } finally {
    clearTimeout(timer)
  }
}
