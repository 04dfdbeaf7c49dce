// A whole node in the test's own process: real sockets on free ports, the file journal in a temporary directory, silent log.
// `restart` stops it in order and starts it on the same directory. For kill -9 take `process.ts`.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { protocols } from '../../protocols/index.ts'
import { loadSettings, type Overlay } from '../../src/config/load.ts'
import { logTo } from '../../src/log.ts'
import { openNode } from '../../src/main.ts'
import type { NodeStatus } from '../../src/management/api.ts'

export type BrokerOptions = Readonly<{
  /** Parts of the configuration, as a file has them. */
  settings?: Overlay
  /** Kept by the caller; else temporary and removed by `stop`. */
  data?: string
}>

export interface RunningBroker {
  readonly data: string
  /** `host:port` of a listener. */
  address(listener: string): string
  port(listener: string): number
  status(): NodeStatus
  /** What was logged at `warn` and above, one JSON object each. */
  readonly logged: readonly Readonly<Record<string, unknown>>[]
  restart(): Promise<void>
  stop(): Promise<void>
}

export async function startBroker(options: BrokerOptions = {}): Promise<RunningBroker> {
  const data = options.data ?? mkdtempSync(join(tmpdir(), 'bascule-'))
  const logged: Record<string, unknown>[] = []
  let node = await open(data, options.settings ?? {}, logged)
  const address = (listener: string): string => {
    const found = node.status().listeners[listener]
    if (found === undefined) throw new Error(`no listener ${listener}`)
    return found
  }
  return {
    data,
    address,
    port: (listener) => Number(address(listener).split(':').at(-1)),
    status: () => node.status(),
    logged,
    async restart() {
      await node.stop()
      node = await open(data, options.settings ?? {}, logged)
    },
    async stop() {
      await node.stop()
      if (options.data === undefined) rmSync(data, { recursive: true, force: true })
    },
  }
}

async function open(data: string, overlay: Overlay, logged: Record<string, unknown>[]) {
  const settings = await loadSettings({ file: '', environment: {}, flags: { journal: small, ...overlay, data, ports: 'free' }, sets: [] }, protocols)
  const log = logTo({ level: 'warn', pretty: false }, () => settings.node, { write: (line) => void logged.push(JSON.parse(line)) })
  let whenActive: () => void = () => {}
  const active = new Promise<void>((resolve) => {
    whenActive = resolve
  })
  const ready = (status: NodeStatus): void => {
    if (status.role === 'active') whenActive()
  }
  const { node, run, close } = await openNode({ settings, version: '0.0.0-test', log, protocols, force: false, ready })
  const ended = run()
  await Promise.race([active, ended])
  return {
    status: () => node.status(),
    stop: async () => {
      await close()
      await ended
    },
  }
}

/** Small segments: a test starts many nodes, and filling 64 MiB for each takes longer than what it tests. */
const small = { segmentBytes: 4 * 1024 * 1024, reserveBytes: 8 * 1024 * 1024 }
