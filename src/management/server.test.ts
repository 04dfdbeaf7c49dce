import { once } from 'node:events'
import { request } from 'node:http'
import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Log } from '../api.ts'
import { MovableClock } from '../clock.ts'
import { defaultLimits, defaults } from '../config/defaults.ts'
import { CodedError } from '../errors.ts'
import { Credentials } from '../listen/credentials.ts'
import { brokerTls, clientTls } from '../../test/support/certificates.ts'
import type { Administered, Managed, Role } from './api.ts'
import { type Management, type ManagementOptions, openManagement } from './server.ts'

const log: Log = { debug() {}, info() {}, warn() {}, error() {} }
const opened: Management[] = []
afterEach(async () => {
  for (const management of opened.splice(0)) await management.close()
})

/** Not asked for in these tests. */
const nothing = (): never => {
  throw new Error('not played')
}
const administered: Administered = {
  measure: nothing,
  destinations: nothing,
  look: nothing,
  describe: nothing,
  explain: nothing,
  connections: nothing,
  move: nothing,
  redrive: nothing,
  scheduled: nothing,
  unschedule: nothing,
  remove: nothing,
}

async function start(
  role: Role,
  over: Partial<Managed> = {},
  limits = defaultLimits,
  login?: ManagementOptions['login'],
  tls?: ManagementOptions['tls'],
) {
  const purged: (readonly string[])[] = []
  const managed: Managed = {
    role,
    status: () => ({ role, node: 'a', version: '1', epoch: 3, startedAtMs: 1, listeners: {}, broker: { queues: 2n } }),
    administration: { ...administered, destinations: () => ({ queues: [], retained: 7 }) },
    standing: () => ({ role, node: 'a', version: '1', epoch: 3, startedAtMs: 1, listeners: {} }),
    digest: async () => ({ node: 'a', role, batch: 7, digest: 'd' }),
    handOver: async (force: boolean) => ({ epoch: 3, successor: force ? undefined : 'b' }),
    recent: (limit: number) => ({ limit }),
    declare: async (queue: readonly string[]) => queue[0] === 'new',
    purge: async (queue) => {
      purged.push(queue)
      return 7
    },
    ...over,
  }
  const management = await openManagement({ host: '127.0.0.1', port: 0, limits, log, managed, login, tls })
  opened.push(management)
  return { purged, address: management.address }
}

type Options = Readonly<{ method?: string; headers?: Record<string, string>; body?: Buffer }>

function ask(address: string, path: string, { method = 'GET', headers = {}, body }: Options = {}): Promise<{ status: number; body: unknown }> {
  return new Promise((resolve, reject) => {
    const sent = request(`http://${address}${path}`, { method, headers }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text === '' ? undefined : JSON.parse(text) }))
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

describe('the management interface', () => {
  it('is live in every role and ready only when active', async () => {
    for (const role of ['starting', 'standby', 'taking-over', 'stopping'] as const) {
      const { address } = await start(role)
      expect(await ask(address, '/health/live')).toEqual({ status: 200, body: { live: true } })
      expect(await ask(address, '/health/ready')).toEqual({ status: 503, body: { ready: false, role } })
    }
    const { address } = await start('active')
    expect((await ask(address, '/health/ready')).status).toBe(200)
    expect(await ask(address, '/health/role')).toEqual({ status: 200, body: { role: 'active', node: 'a', epoch: 3 } })
  })

  it('asks for a user on everything but health, where there are users', async () => {
    const asked: unknown[] = []
    const { address } = await start('active', {}, defaultLimits, async ({ user, password }) => {
      asked.push([user, Buffer.from(password ?? []).toString()])
      if (user === 'crowd') throw new CodedError('throttled', 'Later.')
      if (user !== 'anna') throw new CodedError('unauthenticated', 'Wrong.')
      return user
    })
    const basic = (login: string) => ({ headers: { authorization: `Basic ${Buffer.from(login).toString('base64')}` } })
    for (const path of ['/health/live', '/health/ready', '/health/role']) expect((await ask(address, path)).status).toBe(200)
    for (const path of [
      '/api/status',
      '/api/destinations',
      '/api/recent',
      '/metrics',
      '/api/state/digest',
      '/',
      '/health',
      '//health/live',
      '/api/../health/../api/status',
    ])
      expect([path, (await ask(address, path)).status]).toEqual([path, 401])
    expect((await ask(address, '/api/queues/q/purge', { method: 'POST' })).status).toBe(401)
    expect((await ask(address, '/api/failover', { method: 'POST', ...basic('bob:x') })).status).toBe(401)
    expect((await ask(address, '/api/status', { headers: { authorization: 'Bearer x' } })).status).toBe(401)
    expect((await ask(address, '/api/status', { headers: { authorization: 'Basic ===' } })).status).toBe(401)
    expect((await ask(address, '/api/status', basic('crowd:x'))).status).toBe(429)
    expect((await ask(address, '/api/status', basic('anna:pass:wörd'))).status).toBe(200)
    expect(asked).toEqual([
      ['bob', 'x'],
      ['crowd', 'x'],
      ['anna', 'pass:wörd'],
    ])
    const response = await fetch(`http://${address}/api/status`)
    expect(response.headers.get('www-authenticate')).toMatch(/^Basic realm=/)
  })

  it('shows status and destinations and purges a queue named in dots', async () => {
    const { address, purged } = await start('active')
    expect(await ask(address, '/api/status')).toMatchObject({ status: 200, body: { role: 'active', broker: { queues: '2' } } })
    expect(await ask(address, '/api/destinations')).toEqual({ status: 200, body: { queues: [], retained: 7 } })
    expect(await ask(address, '/api/recent?limit=7')).toEqual({ status: 200, body: { limit: 7 } })
    expect(await ask(address, '/api/queues/new.one', { method: 'PUT' })).toEqual({ status: 201, body: { queue: 'new.one' } })
    expect((await ask(address, '/api/queues/old', { method: 'PUT' })).status).toBe(200)
    expect(await ask(address, '/api/recent')).toEqual({ status: 200, body: { limit: 100 } })
    expect((await ask(address, '/api/recent?limit=x')).status).toBe(400)
    expect(await ask(address, '/api/queues/orders.eu%2Fwest/purge', { method: 'POST' })).toEqual({ status: 200, body: { removed: 7 } })
    expect(purged).toEqual([['orders', 'eu/west']])
  })

  it('shows how far a standby follows, digests, and hands over', async () => {
    const follow = { state: 'warm', reason: '', batch: 5, epoch: 1, behindMs: 0 } as const
    const { address } = await start('standby', {
      status: () => ({ role: 'standby', node: 'b', version: '1', epoch: 0, startedAtMs: 1, listeners: {}, follow }),
    })
    expect((await ask(address, '/health/role')).body).toEqual({ role: 'standby', node: 'b', epoch: 0, follow })
    expect((await ask(address, '/api/state/digest')).body).toEqual({ node: 'a', role: 'standby', batch: 7, digest: 'd' })
    expect((await ask(address, '/api/failover')).status).toBe(405)
    expect((await ask(address, '/api/failover', { method: 'POST' })).body).toEqual({ epoch: 3, successor: 'b' })
    expect((await ask(address, '/api/failover?force=true', { method: 'POST' })).body).toEqual({ epoch: 3 })
  })

  it('has metrics on a standby too: of the process, and how far it follows', async () => {
    const follow = { state: 'warm', reason: '', batch: 5, epoch: 1, behindMs: 250 } as const
    const standing = () => ({ role: 'standby', node: 'b', version: '1', epoch: 0, startedAtMs: 1, listeners: {}, follow }) as const
    const { address } = await start('standby', { standing })
    const text = await (await fetch(`http://${address}/metrics`)).text()
    for (const line of [
      'bascule_role{role="standby"} 1',
      'bascule_follow_state{state="warm"} 1',
      'bascule_follow_behind_seconds 0.25',
      'bascule_follow_batch{epoch="1"} 5',
    ])
      expect(text.split('\n')).toContain(line)
    expect(text).not.toContain('bascule_messages_in_total ')
    expect((await ask(address, '/metrics', { method: 'POST' })).status).toBe(405)
  })

  it('maps the errors of the core and names unknown paths and methods', async () => {
    const { address } = await start('standby', {
      administration: {
        ...administered,
        destinations: () => {
          throw new CodedError('not-leading', 'no')
        },
      },
      purge: async () => {
        throw new Error('a mistake')
      },
    })
    expect(await ask(address, '/api/destinations')).toEqual({ status: 503, body: { error: 'not-leading', message: 'no' } })
    expect((await ask(address, '/api/queues/q/purge', { method: 'POST' })).status).toBe(500)
    expect((await ask(address, '/api/queues/%ff/purge', { method: 'POST' })).status).toBe(400)
    expect((await ask(address, '/api/queues/q/purge')).status).toBe(405)
    expect((await ask(address, '/nothing')).status).toBe(404)
  })

  it.each(['//', '//['])('answers the target %s, which is no path, as a mistake of the request', async (target) => {
    const { address } = await start('active', {}, defaultLimits, async () => 'anna')
    expect((await ask(address, target)).status).toBe(400)
  })

  it('refuses bodies above httpRequestBytes', async () => {
    const { address, purged } = await start('active', {}, { ...defaultLimits, httpRequestBytes: 1000 })
    expect((await ask(address, '/api/queues/q/purge', { method: 'POST', body: Buffer.alloc(1000) })).status).toBe(200)
    expect((await ask(address, '/api/queues/q/purge', { method: 'POST', body: Buffer.alloc(1001) })).status).toBe(413)
    expect(purged).toHaveLength(1)
  })

  it('closes connections beyond httpConnections', async () => {
    const { address } = await start('active', {}, { ...defaultLimits, httpConnections: 1 })
    const port = Number(address.split(':')[1])
    const first = connect(port, '127.0.0.1')
    await new Promise((resolve) => first.once('connect', resolve))
    const second = connect(port, '127.0.0.1')
    second.on('error', () => {})
    await new Promise((resolve) => second.once('close', resolve).resume())
    expect(first.destroyed).toBe(false)
    first.destroy()
  })

  it('refuses what a page of another site would send', async () => {
    const { address, purged } = await start('active')
    const post = (headers: Record<string, string>) => ask(address, '/api/queues/q/purge', { method: 'POST', headers })
    expect((await post({ origin: 'http://evil.example' })).status).toBe(403)
    expect((await post({ host: 'evil.example:8161' })).status).toBe(403)
    expect(purged).toEqual([])
    expect((await post({ origin: `http://${address}` })).status).toBe(200)
    expect((await post({ host: 'localhost:8161' })).status).toBe(200)
  })

  it('over TLS cuts off whoever takes longer for a hand-shake than is configured', async () => {
    const credentials = await Credentials.open({ settings: { ...defaults.tls, ...brokerTls }, clock: new MovableClock(), log })
    const { address } = await start('active', {}, defaultLimits, undefined, { credentials, handshakeTimeoutMs: 200 })
    const port = Number(address.split(':')[1])
    const silent = connect(port, '127.0.0.1')
    silent.on('error', () => {}).resume()
    await vi.waitFor(() => expect(silent.closed).toBe(true), 5_000)
    const client = connectTls({ port, host: '127.0.0.1', ...clientTls() })
    client.write('GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
    const [answer] = (await once(client, 'data')) as [Buffer]
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 200 /)
    client.destroy()
    credentials.close()
  })

  it('survives what is not HTTP', async () => {
    const { address } = await start('active')
    const socket = connect(Number(address.split(':')[1]), '127.0.0.1')
    socket.on('error', () => {})
    socket.write('CONNECT\naccept-version:1.2\n\n\0')
    await new Promise((resolve) => socket.once('close', resolve).resume())
    expect((await ask(address, '/health/live')).status).toBe(200)
  })
})
