// What each path of the management interface does. How a request comes and an answer goes is `server.ts`.
//
//   GET  /health/live  /health/ready  /health/role   /metrics
//   GET  /api/status  /api/recent?limit=N  /api/state/digest
//   GET  /api/destinations?match=PATTERN&after=N&limit=N  /api/connections?after=N&limit=N
//   GET  /api/scheduled?after=NUMBER&limit=N   POST /api/unschedule?number=N
//   GET  /api/queues/{name}/messages?after=PLACE&limit=N&held=true&bytes=N   /api/explain?queue=NAME&sequence=N|last=true|index=N&bytes=N
//   PUT  /api/queues/{name}   DELETE /api/queues/{name}?force=true
//   POST /api/queues/{name}/purge  /api/queues/{name}/move?to=NAME&count=N  /api/queues/{name}/redrive?count=N  /api/failover?force=true
import { CodedError } from '../errors.ts'
import type { Managed } from './api.ts'
import type { Metrics } from './metrics.ts'
import { renderEntry, renderView } from './render.ts'

export type Asked = Readonly<{ method: string; path: string; query: URLSearchParams }>
/** `text`: sent as it is, of this type; else `body` as JSON. */
export type Answer = Readonly<{ status: number; body?: unknown; text?: string; type?: string }>

type Run = (managed: Managed, query: URLSearchParams, name: string) => Answer | Promise<Answer>
type Route = Readonly<{ method: string; run: Run }>

const PAGE_MAX = 1_000
const BYTES_MAX = 1024 * 1024

export async function route(managed: Managed, { method, path, query }: Asked): Promise<Answer> {
  const [, name, action] = /^\/api\/queues\/([^/]+)(?:\/([^/]+))?$/.exec(path) ?? []
  const found = name === undefined ? paths.get(path) : actions.get(action ?? (method === REMOVAL ? REMOVAL : ''))
  if (found === undefined) throw new CodedError('not-found', 'There is nothing at this path.')
  if (method !== found.method && !(found.method === 'GET' && method === 'HEAD'))
    throw new CodedError('unsupported', `This path takes ${found.method}.`)
  return found.run(managed, query, name ?? '')
}

const ok = (body: unknown): Answer => ({ status: 200, body })

const paths: ReadonlyMap<string, Route> = new Map<string, Route>([
  ['/health/live', { method: 'GET', run: () => ok({ live: true }) }],
  ['/health/ready', { method: 'GET', run: ({ role }) => ({ status: role === 'active' ? 200 : 503, body: { ready: role === 'active', role } }) }],
  ['/health/role', { method: 'GET', run: health }],
  ['/metrics', { method: 'GET', run: metrics }],
  ['/api/status', { method: 'GET', run: (managed) => ok(managed.status()) }],
  ['/api/state/digest', { method: 'GET', run: async (managed) => ok(await managed.digest()) }],
  ['/api/failover', { method: 'POST', run: async (managed, query) => ok(await managed.handOver(query.get('force') === 'true')) }],
  ['/api/recent', { method: 'GET', run: (managed, query) => ok(managed.recent(whole(query, 'limit', 100, 1, 65_536))) }],
  ['/api/destinations', { method: 'GET', run: destinations }],
  ['/api/connections', { method: 'GET', run: connections }],
  ['/api/explain', { method: 'GET', run: explain }],
  ['/api/scheduled', { method: 'GET', run: scheduled }],
  ['/api/unschedule', { method: 'POST', run: unschedule }],
])

/** Nothing follows the name, as with `declare`: the method tells them apart. */
const REMOVAL = 'DELETE'

/** Of a queue, by what follows its name. */
const actions: ReadonlyMap<string, Route> = new Map<string, Route>([
  ['', { method: 'PUT', run: declare }],
  [REMOVAL, { method: 'DELETE', run: remove }],
  ['messages', { method: 'GET', run: browse }],
  ['purge', { method: 'POST', run: async (managed, _, name) => ok({ removed: await managed.purge(segments(decoded(name))) }) }],
  ['move', { method: 'POST', run: move }],
  ['redrive', { method: 'POST', run: redrive }],
])

/** One registry a process: what it measures of the process is there once. */
let registry: Promise<Metrics> | undefined

async function metrics(managed: Managed): Promise<Answer> {
  // The library is loaded when somebody asks: most nodes of tests and drills are never asked.
  registry ??= import('./metrics.ts').then(({ Metrics }) => new Metrics())
  const found = await registry
  return { status: 200, text: await found.read(managed), type: found.contentType }
}

function health(managed: Managed): Answer {
  const { role, node, epoch, follow } = managed.status()
  return ok({ role, node, epoch, ...(follow === undefined ? {} : { follow }) })
}

async function declare(managed: Managed, _: URLSearchParams, name: string): Promise<Answer> {
  const path = segments(decoded(name))
  return { status: (await managed.declare(path)) ? 201 : 200, body: { queue: path.join('.') } }
}

function destinations({ administration }: Managed, query: URLSearchParams): Answer {
  return ok(administration.destinations(query.get('match') ?? '', whole(query, 'after', 0, 0), whole(query, 'limit', PAGE_MAX, 1, PAGE_MAX)))
}

function connections({ administration }: Managed, query: URLSearchParams): Answer {
  return ok(administration.connections(whole(query, 'after', 0, 0), whole(query, 'limit', PAGE_MAX, 1, PAGE_MAX)))
}

function scheduled({ administration }: Managed, query: URLSearchParams): Answer {
  return ok(administration.scheduled(whole(query, 'after', 0, 0), whole(query, 'limit', PAGE_MAX, 1, PAGE_MAX)))
}

async function unschedule({ administration }: Managed, query: URLSearchParams): Promise<Answer> {
  const number = whole(query, 'number', 0, 0)
  if (!(await administration.unschedule(number))) throw new CodedError('not-found', `No message is scheduled under the number ${number}.`)
  return ok({ number })
}

async function browse({ administration }: Managed, query: URLSearchParams, name: string): Promise<Answer> {
  const options = { after: query.get('after') ?? '0', limit: whole(query, 'limit', 100, 1, PAGE_MAX), held: query.get('held') === 'true' }
  const bytesMax = whole(query, 'bytes', 1_024, 0, BYTES_MAX)
  const { entries, next } = await administration.look(segments(decoded(name)), options)
  const messages = entries.map((looked) =>
    renderEntry(looked, looked.delivery === undefined ? undefined : administration.describe(looked.delivery), bytesMax),
  )
  return ok({ messages, ...(next === undefined ? {} : { next }) })
}

async function explain({ administration }: Managed, query: URLSearchParams): Promise<Answer> {
  const queue = query.get('queue')
  if (queue === null || queue === '') throw new CodedError('invalid', 'Which queue? /api/explain wants queue=NAME.')
  const bytesMax = whole(query, 'bytes', 16_384, 0, BYTES_MAX)
  const sequence = query.has('sequence') ? whole(query, 'sequence', 0, 0) : undefined
  const which = { sequence, last: query.get('last') === 'true', index: whole(query, 'index', 0, 0) }
  const { looked, views } = await administration.explain(segments(queue), which)
  const own = views.find((view) => view.own)
  return ok({ queue, message: renderEntry(looked, own, bytesMax), protocols: views.map((view) => renderView(view, bytesMax)) })
}

async function remove({ administration }: Managed, query: URLSearchParams, name: string): Promise<Answer> {
  return ok({ removed: await administration.remove(segments(decoded(name)), query.get('force') === 'true') })
}

async function move({ administration }: Managed, query: URLSearchParams, name: string): Promise<Answer> {
  const to = query.get('to')
  if (to === null || to === '') throw new CodedError('invalid', 'Where to? A move wants to=NAME; dead letters go back by redrive.')
  return ok(await administration.move(segments(decoded(name)), segments(to), countOf(query)))
}

async function redrive({ administration }: Managed, query: URLSearchParams, name: string): Promise<Answer> {
  return ok(await administration.redrive(segments(decoded(name)), countOf(query)))
}

const countOf = (query: URLSearchParams): number => whole(query, 'count', Number.MAX_SAFE_INTEGER, 1)

/** A whole number of the query, or what it is without one. */
function whole(query: URLSearchParams, name: string, standard: number, min: number, max = Number.MAX_SAFE_INTEGER): number {
  const asked = query.get(name)
  if (asked === null) return standard
  const number = /^\d{1,16}$/.test(asked) ? Number(asked) : Number.NaN
  if (!Number.isSafeInteger(number) || number < min || number > max)
    throw new CodedError('invalid', `${name} is a whole number of at least ${min}${max === Number.MAX_SAFE_INTEGER ? '' : ` and at most ${max}`}.`)
  return number
}

function decoded(encoded: string): string {
  try {
    return decodeURIComponent(encoded)
  } catch {
    throw new CodedError('invalid', 'The name of the queue is not percent-encoded UTF-8.')
  }
}

/** A queue's name in dots. */
function segments(name: string): readonly string[] {
  return name.split('.')
}
