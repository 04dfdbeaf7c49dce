import { expect, it } from 'vitest'
import type { Log } from './api.ts'
import { realClock } from './clock.ts'
import { defaults } from './config/defaults.ts'
import { overTls } from './config/listener-names.ts'
import type { Settings } from './config/settings.ts'
import { realDisk } from './disk.ts'
import { MemoryStore, openMemoryJournal } from './journal/memory.ts'
import { Credentials, type Reloading } from './listen/credentials.ts'
import { SeededRandom } from './random.ts'
import { takeOver } from './term.ts'
import { brokerTls } from '../test/support/certificates.ts'

const log: Log = { debug() {}, info() {}, warn() {}, error() {} }

/** A term without protocols: WebSocket listens all the same. Which servers keep up with the certificates while it leads, and after it. */
async function keepUp(overTlsToo: boolean): Promise<readonly [number, number]> {
  const place = { enabled: true, host: '127.0.0.1', port: 0 }
  const listeners: Settings['listeners'] = {
    ...defaults.listeners,
    websocket: place,
    [overTls('websocket')]: { ...place, enabled: overTlsToo },
    [overTls('http')]: place,
  }
  const settings: Settings = { ...defaults, listeners, tls: { ...defaults.tls, ...brokerTls } }
  const credentials = await Credentials.open({ settings: settings.tls, clock: realClock, log })
  const servers = new Set<Reloading>()
  const renew = credentials.renew.bind(credentials)
  credentials.renew = (server) => {
    const leave = renew(server)
    servers.add(server)
    return () => {
      servers.delete(server)
      leave()
    }
  }
  const term = await takeOver(
    {
      settings,
      version: '0',
      clock: realClock,
      random: new SeededRandom(1),
      disk: realDisk,
      log,
      protocols: [],
      openJournal: async ({ clock, listener, visitor }) => openMemoryJournal({ store: new MemoryStore(), clock, listener, visitor }),
      cluster: 'c',
      pairAddresses: () => [],
      makeSnapshot: async () => {},
      credentials,
    },
    { epoch: 1, look: () => true, committed() {}, release: async () => {} },
    undefined,
    () => {},
  )
  const during = servers.size
  await term.stop(async () => {})
  credentials.close()
  return [during, servers.size]
}

it('only a term that listens over TLS keeps up with its certificates, and only until it ends', async () => {
  expect([await keepUp(true), await keepUp(false)]).toEqual([
    [1, 0],
    [0, 0],
  ])
})
