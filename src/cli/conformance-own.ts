// A node of our own in this process, for suites that are given no target: free ports, a directory that goes with it, a user whose password checks can get wrong.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { protocols } from '../../protocols/index.ts'
import { loadSettings } from '../config/load.ts'
import { logTo } from '../log.ts'
import { openNode } from '../main.ts'
import type { NodeStatus } from '../management/api.ts'
import { makeHash } from '../users/hash.ts'
import { ITERATIONS_MIN, makeVerifier, MECHANISMS, writeVerifier } from '../users/scram.ts'
import type { Opened } from './conformance.ts'
import { version } from './version.ts'

const LOGIN = { user: 'conformance', password: 'a-word-that-is-right' }

export async function openOwn(): Promise<Opened> {
  const data = mkdtempSync(join(tmpdir(), 'bascule-conformance-'))
  const scram = MECHANISMS.map((mechanism) => writeVerifier(makeVerifier(mechanism, LOGIN.password, ITERATIONS_MIN)))
  const flags = {
    data,
    ports: 'free',
    journal: { segmentBytes: 4 * 1024 * 1024, reserveBytes: 8 * 1024 * 1024 },
    users: [{ name: LOGIN.user, password: makeHash(Buffer.from(LOGIN.password), 4), scram }],
    // Some checks log in, others come without a name; what is right for one must not hinder the other.
    anonymous: true,
    // So few that a check can exceed them.
    mqtt: { receiveMaximum: 200 },
    // To the letter of part 3.2.10, which is not what brokers do unless asked; and silence that a check can wait for.
    amqp: { unknownAnnotations: 'refuse', idleTimeoutMs: 2_500 },
  }
  const settings = await loadSettings({ file: '', environment: {}, flags, sets: [] }, protocols)
  const log = logTo({ level: 'error', pretty: false }, () => settings.node, process.stderr)
  let active: (status: NodeStatus) => void = () => {}
  const status = new Promise<NodeStatus>((resolve) => {
    active = resolve
  })
  const ready = (now: NodeStatus): void => {
    if (now.role === 'active') active(now)
  }
  const { run, close } = await openNode({ settings, version: 'own', log, protocols, force: false, ready })
  const ended = run()
  const { listeners } = await status
  return {
    ...LOGIN,
    version: version(),
    urls: {
      mqtt: `mqtt://${listeners.mqtt}`,
      amqp: `amqp://${listeners.amqp}`,
      stomp: `stomp://${listeners.stomp}`,
      ws: `ws://${listeners.websocket}`,
    },
    async close() {
      await close()
      await ended
      rmSync(data, { recursive: true, force: true })
    },
  }
}
