// Health, status and management over HTTP. Open from the first moment to the last, also on a standby: it says which role the node has.
// Requests are small and few; everything is bounded, and nothing here touches the hot path.
// What each path does is `routes.ts`.
import type { Credentials } from '../listen/credentials.ts'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Broker, ErrorCode, Log } from '../api.ts'
import type { Limits } from '../config/settings.ts'
import { CodedError } from '../errors.ts'
import { isLoopback } from '../listen/loopback.ts'
import type { Managed } from './api.ts'
import { type Answer, route } from './routes.ts'

const HEADER_BYTES_MAX = 16 * 1024
const REQUEST_MS_MAX = 30_000

export type ManagementOptions = Readonly<{
  host: string
  port: number
  limits: Limits
  log: Log
  managed: Managed
  /** Asked for everything but health; undefined: nobody is asked. */
  login: Broker['authenticate'] | undefined
  /** Over TLS, which asks for no certificate here: whoever watches a process has none. */
  tls?: Readonly<{ credentials: Credentials; handshakeTimeoutMs: number }> | undefined
}>

export interface Management {
  /** `host:port` */
  readonly address: string
  close(): Promise<void>
}

export async function openManagement(options: ManagementOptions): Promise<Management> {
  const { tls } = options
  const { server, forget } = tls === undefined ? plain(options) : await secured(options, tls)
  server.maxConnections = options.limits.httpConnections
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: options.host, port: options.port }, () => {
      server.off('error', reject)
      resolve()
    })
  })
  server.on('error', (error) => options.log.warn({ error }, 'the management listener failed'))
  return {
    address: addressOf(server),
    close: () =>
      new Promise((resolve) => {
        forget()
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

const bounds = { maxHeaderSize: HEADER_BYTES_MAX, headersTimeout: 10_000, requestTimeout: REQUEST_MS_MAX, keepAliveTimeout: 5_000 }

type Opened = Readonly<{ server: Server; forget: () => void }>

function plain(options: ManagementOptions): Opened {
  return { server: createServer(bounds, (request, response) => void handle(options, request, response)), forget() {} }
}

async function secured(
  options: ManagementOptions,
  { credentials, handshakeTimeoutMs: handshakeTimeout }: NonNullable<ManagementOptions['tls']>,
): Promise<Opened> {
  const { createServer: createSecured } = await import('node:https')
  const server = createSecured(
    { ...bounds, ...credentials.context, handshakeTimeout },
    (request, response) => void handle(options, request, response),
  )
  server.on('tlsClientError', (_, socket) => socket.destroy())
  return { server, forget: credentials.renew(server) }
}

async function handle(options: ManagementOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    refuseStrangers(options, request)
    const { pathname, searchParams } = targetOf(request)
    await askWho(options, request, pathname)
    await discardBody(request, options.limits.httpRequestBytes)
    send(response, await route(options.managed, { method: request.method ?? '', path: pathname, query: searchParams }))
  } catch (error) {
    if (error instanceof CodedError) {
      if (error.code === 'unauthenticated') response.setHeader('www-authenticate', 'Basic realm="bascule", charset="UTF-8"')
      send(response, { status: statuses[error.code], body: { error: error.code, message: error.message } })
      return
    }
    options.log.error({ error, url: request.url }, 'a management request failed')
    send(response, { status: 500, body: { error: 'internal', message: 'The request failed; the log says more.' } })
  }
}

function targetOf(request: IncomingMessage): URL {
  try {
    return new URL(request.url ?? '/', 'http://management')
  } catch {
    throw new CodedError('invalid', 'The target of the request is not a path.')
  }
}

/**
 * A page of another site, open in a browser on this machine, can send requests to loopback: by its own address or by a name that it has pointed here.
 * The browser tells on it in Origin and Host.
 */
function refuseStrangers(options: ManagementOptions, request: IncomingMessage): void {
  const host = request.headers.host ?? ''
  const { origin } = request.headers
  if (origin !== undefined && origin !== `http://${host}` && origin !== `https://${host}`)
    throw new CodedError('denied', 'Requests from pages of other sites are refused.')
  const name = host.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1')
  if (isLoopback(options.host) && host !== '' && !isLoopback(name))
    throw new CodedError('denied', 'This listener is for this machine; the Host header names another.')
}

/** RFC 7617. Health is for whoever watches the process: it names no client, queue or message. */
async function askWho({ login }: ManagementOptions, request: IncomingMessage, path: string): Promise<void> {
  if (login === undefined || path.startsWith('/health/')) return
  const [, given] = /^Basic +([A-Za-z0-9+/]+={0,2})$/i.exec(request.headers.authorization ?? '') ?? []
  const pair = Buffer.from(given ?? '', 'base64')
  const colon = pair.indexOf(':')
  if (colon < 1) throw new CodedError('unauthenticated', 'Management asks for a user and a password.')
  const { remoteAddress = '?', remotePort = 0 } = request.socket
  await login({
    user: pair.toString('utf8', 0, colon),
    password: pair.subarray(colon + 1),
    remote: `${remoteAddress}:${remotePort}`,
    secure: 'encrypted' in request.socket,
  })
}

/** No request has a body with a meaning yet; one that is too large ends here. */
async function discardBody(request: IncomingMessage, bytesMax: number): Promise<void> {
  let bytes = 0
  for await (const chunk of request) {
    bytes += (chunk as Buffer).length
    if (bytes > bytesMax) throw new CodedError('too-large', `The request's body exceeds limits.httpRequestBytes (${bytesMax}).`)
  }
}

function send(response: ServerResponse, { status, body, text: plain, type = 'application/json' }: Answer): void {
  if (response.headersSent || response.destroyed) return
  // A string, so that what cannot be encoded (a number beyond JSON) fails before anything is sent.
  const text = plain ?? `${JSON.stringify(body, (_, value: unknown) => (typeof value === 'bigint' ? value.toString() : value))}\n`
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    ...(status === 413 ? { connection: 'close' } : {}),
  })
  response.end(text)
}

const statuses: Readonly<Record<ErrorCode, number>> = {
  'not-found': 404,
  exists: 409,
  'in-use': 409,
  denied: 403,
  unauthenticated: 401,
  invalid: 400,
  unsupported: 405,
  'too-large': 413,
  full: 507,
  limit: 429,
  throttled: 429,
  timeout: 504,
  'cannot-convert': 422,
  'taken-over': 409,
  removed: 410,
  'shutting-down': 503,
  'not-leading': 503,
  internal: 500,
}

function addressOf(server: Server): string {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('an HTTP server has an address')
  return address.family === 'IPv6' ? `[${address.address}]:${address.port}` : `${address.address}:${address.port}`
}
