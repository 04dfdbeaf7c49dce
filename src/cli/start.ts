// `bascule start`: flags to settings, the node, signals, the ready line.
import { renameSync, rmSync, writeFileSync } from 'node:fs'
import type { Protocol } from '../api.ts'
import { loadSettings, type Overlay } from '../config/load.ts'
import { suggestion } from '../config/nearest.ts'
import { listenerNames } from '../config/listener-names.ts'
import type { Settings } from '../config/settings.ts'
import type { NodeStatus } from '../management/api.ts'
import { readFlags, UsageError } from './usage.ts'

const options = {
  config: { type: 'string' },
  data: { type: 'string' },
  node: { type: 'string' },
  ports: { type: 'string' },
  'port-offset': { type: 'string' },
  listen: { type: 'string', multiple: true },
  'ready-file': { type: 'string' },
  insecure: { type: 'boolean' },
  'log-level': { type: 'string' },
  set: { type: 'string', multiple: true },
  claim: { type: 'boolean' },
} as const

export async function start(args: readonly string[]): Promise<number> {
  const { values: flags } = readFlags(args, options, 0)
  const [{ protocols }, { openNode }, { openLog }, { version }] = await Promise.all([
    import('../../protocols/index.ts'),
    import('../main.ts'),
    import('../log.ts'),
    import('./version.ts'),
  ])
  const overlay = overlayOf(flags, protocols)
  const settings = await loadSettings({ file: flags.config ?? '', environment: process.env, flags: overlay, sets: flags.set ?? [] }, protocols)
  let { node } = settings
  const log = openLog(settings.log, () => node)
  crashOnMistakes(log)
  removeReadyFile(settings)
  const ready = (status: NodeStatus): void => announce(settings, status)
  try {
    const named = (name: string): void => {
      node = name
    }
    const { run, close } = await openNode({ settings, version: version(), log, protocols, force: flags.claim ?? false, ready, named })
    stopOnSignals(() => void close())
    await run()
    return 0
  } finally {
    removeReadyFile(settings)
    log.flush()
  }
}

type Flags = ReturnType<typeof readFlags<typeof options>>['values']

/** The named flags as part of a configuration; checked here, because without a file, environment or --set no schema is. */
function overlayOf(flags: Flags, protocols: readonly Protocol[]): Overlay {
  const overlay: Overlay = {}
  if (flags.data !== undefined) overlay.data = nonEmpty('--data', flags.data)
  if (flags.node !== undefined) {
    if (!/^[A-Za-z0-9._-]{1,64}$/.test(flags.node))
      throw new UsageError(`--node ${flags.node}: use up to 64 letters, digits, dots, dashes and underscores`)
    overlay.node = flags.node
  }
  if (flags['ready-file'] !== undefined) overlay.readyFile = nonEmpty('--ready-file', flags['ready-file'])
  if (flags.insecure === true) overlay.insecure = true
  if (flags.ports !== undefined) {
    if (flags.ports !== 'free' && flags.ports !== 'fixed') throw new UsageError(`--ports ${flags.ports}: only free or fixed`)
    overlay.ports = flags.ports
  }
  if (flags['port-offset'] !== undefined) overlay.portOffset = port('--port-offset', flags['port-offset'])
  const level = flags['log-level']
  if (level !== undefined) {
    const levels = ['debug', 'info', 'warn', 'error', 'silent']
    if (!levels.includes(level)) throw new UsageError(`--log-level ${level}: one of ${levels.join(', ')}`)
    overlay.log = { level }
  }
  if (flags.listen !== undefined) overlay.listeners = listeners(flags.listen, listenerNames(protocols))
  return overlay
}

function listeners(flags: readonly string[], names: readonly string[]): Overlay {
  const overlay: Overlay = {}
  for (const flag of flags) {
    const match = /^([^=]+)=(?:(off)|(?:(?:\[([^\]]+)\]|([^:[\]]+)):)?(\d+))$/.exec(flag)
    if (match === null) throw new UsageError(`--listen ${flag}: write it as NAME=HOST:PORT, such as mqtt=127.0.0.1:1883, or NAME=off`)
    const [, name, off, bracketed, plain, number] = match
    if (!names.includes(name))
      throw new UsageError(`--listen ${flag}: unknown listener ${name}${suggestion(name, names, '') || `: known are ${names.join(', ')}`}`)
    const host = bracketed ?? plain
    overlay[name] =
      off === 'off' ? { enabled: false } : { enabled: true, port: port(`--listen ${name}`, number), ...(host === undefined ? {} : { host }) }
  }
  return overlay
}

function nonEmpty(flag: string, value: string): string {
  if (value === '') throw new UsageError(`${flag} wants a value`)
  return value
}

function port(flag: string, value: string): number {
  if (!/^\d{1,5}$/.test(value) || Number(value) > 65_535) throw new UsageError(`${flag} ${value}: a port is a number from 0 to 65535`)
  return Number(value)
}

/** The same in the ready file, whole or not there for a reader that polls it, and then the ready line: who has read that finds the file. */
function announce(settings: Settings, { role, node, epoch, listeners }: NodeStatus): void {
  const line = `ready ${JSON.stringify({ role, node, epoch, listeners })}\n`
  if (settings.readyFile !== '') {
    const temporary = `${settings.readyFile}.${process.pid}.tmp`
    writeFileSync(temporary, line)
    renameSync(temporary, settings.readyFile)
  }
  process.stdout.write(line)
}

function removeReadyFile(settings: Settings): void {
  if (settings.readyFile !== '') rmSync(settings.readyFile, { force: true })
}

/** The first signal stops in order, the second at once. Also when the parent that gave us a channel has gone (`npm start`). */
function stopOnSignals(stop: () => void): void {
  let stopping = false
  const onSignal = (): void => {
    if (stopping) process.exit(130)
    stopping = true
    stop()
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal)
  process.on('disconnect', () => {
    if (!stopping) onSignal()
  })
}

/** What nobody foresaw: the state may be wrong, so nothing more is stored. The journal has everything that was acknowledged. */
function crashOnMistakes(log: Readonly<{ error: (fields: Readonly<Record<string, unknown>>, message: string) => void; flush: () => void }>): void {
  const crash = (error: unknown): never => {
    log.error({ error }, 'a mistake in the broker: it ends here rather than store a doubt')
    log.flush()
    process.exit(70)
  }
  process.on('uncaughtException', crash)
  process.on('unhandledRejection', crash)
}
