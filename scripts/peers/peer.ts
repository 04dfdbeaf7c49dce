// A broker that is not ours: how it comes onto this machine by the ordinary package clients, how it is started, where it listens.
import { spawn, spawnSync } from 'node:child_process'
import { openSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Target } from '../../conformance/target.ts'

export type Urls = Target['urls']

/** A broker that runs. `bridge`: where the suite of that name is to go instead. `furtherWs`: where it listens for protocols over WebSocket that it does not speak at `urls.ws`. */
export type Running = Readonly<{
  urls: Urls
  bridge?: Urls
  furtherWs?: string
  user?: string
  password?: string
  version: string
  stop: () => Promise<void>
}>

export type Peer = Readonly<{
  /** Of its profile, too. */
  name: string
  title: string
  /** Where its maintainers are. */
  home: string
  /** How it was set up, where that is not as it comes. One sentence, or nothing. */
  settings: string
  /** Undefined when it is there; else why it cannot be had here. `folder`: what is installed and kept. */
  install: (folder: string) => string | undefined
  /** In an empty directory of its own. */
  start: (folder: string, data: string) => Promise<Running>
}>

/** Of a terminal, which some programs write to files too. */
// oxlint-disable-next-line no-control-regex
const COLOURS = /\u001b\[[\d;]*m/g

/** Runs a command to its end; what went wrong, or nothing. */
export function command(name: string, args: readonly string[]): string | undefined {
  const done = spawnSync(name, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  if (done.error !== undefined) return `${name} is not on this machine`
  if (done.status === 0) return undefined
  const said = `${done.stderr}\n${done.stdout}`
    .replaceAll(COLOURS, '')
    .split('\n')
    .find((line) => /\b(error|failed|E:)/i.test(line))
  return `${name} ended with ${done.status}: ${said ?? 'it does not say why'}`
}

/** A Debian package, by a user who may install some. */
export function debian(name: string, program: string): string | undefined {
  if (spawnSync('which', [program]).status === 0) return undefined
  return command('apt-get', ['install', '-y', '-qq', '--no-install-recommends', name])
}

/** So many ports on which nobody listens now. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer()
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      return server
    }),
  )
  const ports = servers.map((server) => {
    const address = server.address()
    return address === null || typeof address === 'string' ? 0 : address.port
  })
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

/** Starts a program in a process group of its own; `stop` ends the whole group. What it prints goes to `log`. */
export function start(name: string, args: readonly string[], log: string, env: Readonly<Record<string, string>> = {}) {
  const out = openSync(log, 'a')
  const child = spawn(name, args, { detached: true, stdio: ['ignore', out, out], env: { ...process.env, ...env } })
  let ended: string | undefined
  const over = new Promise<void>((resolve) => {
    child.once('error', (error) => resolve(void (ended = error.message)))
    child.once('exit', (code, signal) => resolve(void (ended = `ended with ${code ?? signal}`)))
  })
  const signal = (which: NodeJS.Signals): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, which)
    } catch {
      // All of it has ended.
    }
  }
  // Nothing of it outlives this script, however it ends.
  const last = (): void => signal('SIGKILL')
  process.once('exit', last)
  void over.then(() => process.off('exit', last))
  return {
    listening: async (ports: readonly number[], withinMs = 120_000): Promise<void> => {
      const deadline = Date.now() + withinMs
      for (const port of ports) {
        while (!(await accepts(port))) {
          if (ended !== undefined) throw new Error(`${name} ${ended}, see ${log}`)
          if (Date.now() > deadline) {
            signal('SIGKILL')
            throw new Error(`${name} does not listen on ${port}, see ${log}`)
          }
          await sleep(100)
        }
      }
    },
    stop: async (): Promise<void> => {
      signal('SIGTERM')
      await Promise.race([over, sleep(20_000, undefined, { ref: false })])
      signal('SIGKILL')
    },
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

/** What the broker says of itself in the `server` header of STOMP's CONNECTED: name/version. */
export async function stompVersion(port: number, login: Readonly<{ user?: string; password?: string }>): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port })
  try {
    const { user, password } = login
    const headers = user === undefined ? '' : `login:${user}\npasscode:${password}\n`
    socket.write(`CONNECT\naccept-version:1.2\nhost:/\n${headers}\n\0`)
    let text = ''
    for await (const piece of socket.setEncoding('utf8')) {
      text += String(piece)
      if (text.includes('\0')) break
    }
    return /^server:[^/\n]*\/([^\s]+)/m.exec(text)?.[1] ?? ''
  } finally {
    socket.destroy()
  }
}
