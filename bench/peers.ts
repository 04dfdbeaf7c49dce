// The brokers that the bench measures: ours as it is built, aedes as a library's own ceiling, and mosquitto if it is installed.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { program, type Ready } from '../test/wire/node-process.ts'
import { brokerTls } from '../test/support/certificates.ts'

export interface Running {
  readonly pid: number
  readonly mqtt: number
  /** 0: it does not speak it. */
  readonly stomp: number
  /** The same. */
  readonly amqp: number
  /** The same. */
  readonly websocket: number
  /** Over TLS, by protocol; absent: none. */
  readonly overTls?: Readonly<Record<string, number>>
  /** From the start of the process to the first accepted connection. */
  readonly startMs: number
  stop(signal?: NodeJS.Signals): Promise<void>
}

export interface Peer {
  readonly name: string
  readonly syncs: string
  /** Undefined: not on this machine. */
  readonly version: string | undefined
  start(data: string): Promise<Running>
}

const here = fileURLToPath(new URL('.', import.meta.url))
const pinned = spawnSync('taskset', ['-c', '1', 'true']).status === 0

let bothPinned = false

/** Also keeps brokers to the first core. They have threads for their disks, so that this says more of one core than of the broker. */
export function pinBrokers(): void {
  bothPinned = true
}

/** The load runs on the second core only, where there are two and `taskset`; brokers where they like, unless they are pinned to the first. */
export function pin(core: 0 | 1, command: string, args: readonly string[]): Readonly<{ command: string; args: readonly string[] }> {
  return pinned && (core === 1 || bothPinned) ? { command: 'taskset', args: ['-c', String(core), command, ...args] } : { command, args }
}

export const peers: readonly Peer[] = [
  {
    name: 'bascule',
    syncs: 'before each acknowledgement',
    version: 'this checkout',
    async start(data) {
      const begun = performance.now()
      const { command, args } = pin(0, process.execPath, [
        program,
        'start',
        '--data',
        data,
        '--ports',
        'free',
        '--set',
        'limits.parkedMessages=10000',
        '--set',
        'log.level=error',
        '--set',
        `tls.certificate=${brokerTls.certificate}`,
        '--set',
        `tls.key=${brokerTls.key}`,
      ])
      const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] })
      let text = ''
      child.stdout.setEncoding('utf8')
      for await (const chunk of child.stdout) {
        text += String(chunk)
        if (/^ready .*"role":"active".*\n/m.test(text)) break
      }
      const line = /^ready (.*"role":"active".*)$/m.exec(text)?.[1]
      if (line === undefined) throw new Error(`the broker did not start: ${text}`)
      const ready: Ready = JSON.parse(line)
      const port = (name: string) => Number((ready.listeners[name] ?? '').split(':').at(-1))
      return {
        ...(await running(child, port('mqtt'), port('stomp'), begun)),
        amqp: port('amqp'),
        websocket: port('websocket'),
        overTls: { mqtt: port('mqtts'), stomp: port('stomps'), amqp: port('amqps') },
      }
    },
  },
  {
    name: 'aedes',
    syncs: 'never: memory only',
    version: '1.2.0',
    async start() {
      const port = await freePort()
      const begun = performance.now()
      const { command, args } = pin(0, process.execPath, [join(here, 'aedes.mjs'), String(port)])
      return running(spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] }), port, 0, begun)
    },
  },
  {
    name: 'mosquitto',
    syncs: 'never: memory, saved now and then',
    version: /version (\S+)/.exec(spawnSync('mosquitto', ['-h'], { encoding: 'utf8' }).stdout ?? '')?.[1],
    async start(data) {
      const port = await freePort()
      mkdirSync(data, { recursive: true })
      const lines = [
        `listener ${port} 127.0.0.1`,
        'allow_anonymous true',
        'persistence true',
        `persistence_location ${data}/`,
        'max_queued_messages 2000000',
        'log_type none',
      ]
      if (process.getuid?.() === 0) lines.push('user root')
      writeFileSync(join(data, 'mosquitto.conf'), `${lines.join('\n')}\n`)
      const begun = performance.now()
      const { command, args } = pin(0, 'mosquitto', ['-c', join(data, 'mosquitto.conf')])
      return running(spawn(command, args, { stdio: 'ignore' }), port, 0, begun)
    },
  },
]

/** Nothing is left running, whatever the bench died of. */
const alive = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of alive) child.kill('SIGKILL')
})

async function running(child: ChildProcess, mqtt: number, stomp: number, begun: number): Promise<Running> {
  await accepts(mqtt)
  const startMs = performance.now() - begun
  alive.add(child)
  return {
    pid: child.pid ?? 0,
    mqtt,
    stomp,
    amqp: 0,
    websocket: 0,
    startMs,
    async stop(signal = 'SIGTERM') {
      child.kill(signal)
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
      alive.delete(child)
    },
  }
}

/** How long a Node that only listens takes, by the same measure. */
export async function bareNodeMs(): Promise<number> {
  const port = await freePort()
  const begun = performance.now()
  const { command, args } = pin(0, process.execPath, ['-e', `require('net').createServer().listen(${port}, '127.0.0.1')`])
  const child = spawn(command, args, { stdio: 'ignore' })
  await accepts(port)
  const ms = performance.now() - begun
  child.kill('SIGKILL')
  return ms
}

async function accepts(port: number): Promise<void> {
  for (let i = 0; i < 20_000; i++) {
    const socket = connect(port, '127.0.0.1')
    const open = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true))
      socket.once('error', () => resolve(false))
    })
    socket.destroy()
    if (open) return
    await sleep(1)
  }
  throw new Error(`nobody listens on ${port}`)
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}

export function remove(path: string): void {
  rmSync(path, { recursive: true, force: true })
}
