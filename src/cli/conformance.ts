// `bascule conformance`: the suites of `conformance/` against a broker, or against one of our own in this process.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { conformance as suites, type Own } from '../../conformance/cli.ts'
import { protocols } from '../../protocols/index.ts'
import { loadSettings } from '../config/load.ts'
import { logTo } from '../log.ts'
import { openNode } from '../main.ts'
import type { NodeStatus } from '../management/api.ts'

export const conformance = (args: readonly string[]): Promise<number> => suites(args, openOwn)

/** A node in this process on free ports, in a directory that goes with it. */
async function openOwn(): Promise<Own> {
  const data = mkdtempSync(join(tmpdir(), 'bascule-conformance-'))
  const flags = { data, ports: 'free', journal: { segmentBytes: 4 * 1024 * 1024, reserveBytes: 8 * 1024 * 1024 } }
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
