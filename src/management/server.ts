// Health, status and management over HTTP. Open from the first moment to the last, also on a standby: it says which role the node has.
// Requests are small and few; everything is bounded, and nothing here touches the hot path.
//
//   GET  /health/live  /health/ready  /health/role      GET /api/status  /api/destinations  /api/recent?limit=N  /api/state/digest
//   PUT  /api/queues/{name}      POST /api/queues/{name}/purge  /api/failover?force=true
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Broker, ErrorCode, Log } from '../api.ts'
import type { Limits } from '../config/settings.ts'
import { CodedError } from '../errors.ts'
import { isLoopback } from '../listen/loopback.ts'
import type { Managed } from './api.ts'

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
}>

export interface Management {
  /** `host:port` */
  readonly address: string
  close(): Promise<void>
}

export async function openManagement(options: ManagementOptions): Promise<Management> {
  const server = createServer(
    { maxHeaderSize: HEADER_BYTES_MAX, headersTimeout: 10_000, requestTimeout: REQUEST_MS_MAX, keepAliveTimeout: 5_000 },
    (request, response) => void handle(options, request, response),
  )
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
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

type Answer = Readonly<{ status: number; body: unknown }>

async function handle(options: ManagementOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    refuseStrangers(options, request)
    await askWho(options, request)
    await discardBody(request, options.limits.httpRequestBytes)
    send(response, await route(options.managed, request))
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

async function route(managed: Managed, request: IncomingMessage): Promise<Answer> {
  const path = new URL(request.url ?? '/', 'http://management').pathname
  const purge = /^\/api\/queues\/([^/]+)\/purge$/.exec(path)
  if (purge !== null) {
    want(request, 'POST')
    return { status: 200, body: { removed: await managed.purge(segments(purge[1])) } }
  }
  const queue = /^\/api\/queues\/([^/]+)$/.exec(path)
  if (queue !== null) {
    want(request, 'PUT')
    return { status: (await managed.declare(segments(queue[1]))) ? 201 : 200, body: { queue: segments(queue[1]).join('.') } }
  }
  switch (path) {
    case '/health/live':
      want(request, 'GET')
      return { status: 200, body: { live: true } }
    case '/health/ready':
      want(request, 'GET')
      return { status: managed.role === 'active' ? 200 : 503, body: { ready: managed.role === 'active', role: managed.role } }
    case '/health/role': {
      want(request, 'GET')
      const { role, node, epoch, follow } = managed.status()
      return { status: 200, body: { role, node, epoch, ...(follow === undefined ? {} : { follow }) } }
    }
    case '/api/status':
      want(request, 'GET')
      return { status: 200, body: managed.status() }
    case '/api/state/digest':
      want(request, 'GET')
      return { status: 200, body: await managed.digest() }
    case '/api/failover': {
      want(request, 'POST')
      return { status: 200, body: await managed.handOver(query(request).get('force') === 'true') }
    }
    case '/api/recent':
      want(request, 'GET')
      return { status: 200, body: managed.recent(limitOf(request)) }
    case '/api/destinations':
      want(request, 'GET')
      return { status: 200, body: managed.destinations() }
    default:
      throw new CodedError('not-found', 'There is nothing at this path.')
  }
}

const query = (request: IncomingMessage): URLSearchParams => new URL(request.url ?? '/', 'http://management').searchParams

/** How many events: 100, unless asked for 1 to 65,536. */
function limitOf(request: IncomingMessage): number {
  const asked = query(request).get('limit') ?? '100'
  const limit = Number(asked)
  if (!Number.isInteger(limit) || limit < 1 || limit > 65_536) throw new CodedError('invalid', 'The limit is a number from 1 to 65536.')
  return limit
}

/** A queue's name in dots, percent-encoded. */
function segments(encoded: string): readonly string[] {
  try {
    return decodeURIComponent(encoded).split('.')
  } catch {
    throw new CodedError('invalid', 'The name of the queue is not percent-encoded UTF-8.')
  }
}

function want(request: IncomingMessage, method: string): void {
  if (request.method !== method && !(method === 'GET' && request.method === 'HEAD')) throw new CodedError('unsupported', `This path takes ${method}.`)
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
async function askWho({ login }: ManagementOptions, request: IncomingMessage): Promise<void> {
  if (login === undefined || new URL(request.url ?? '/', 'http://management').pathname.startsWith('/health/')) return
  const [, given] = /^Basic +([A-Za-z0-9+/]+={0,2})$/i.exec(request.headers.authorization ?? '') ?? []
  const pair = Buffer.from(given ?? '', 'base64')
  const colon = pair.indexOf(':')
  if (colon < 1) throw new CodedError('unauthenticated', 'Management asks for a user and a password.')
  const { remoteAddress = '?', remotePort = 0 } = request.socket
  await login({
    user: pair.toString('utf8', 0, colon),
    password: pair.subarray(colon + 1),
    remote: `${remoteAddress}:${remotePort}`,
    secure: false,
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

function send(response: ServerResponse, { status, body }: Answer): void {
  if (response.headersSent || response.destroyed) return
  // A string, so that what cannot be encoded (a number beyond JSON) fails before anything is sent.
  const text = `${JSON.stringify(body, (_, value: unknown) => (typeof value === 'bigint' ? value.toString() : value))}\n`
  response.writeHead(status, {
    'content-type': 'application/json',
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
