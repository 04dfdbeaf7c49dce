// A target that a file describes: addresses by protocol and a shell command for each thing that can be done to a node. What has no command is left out.
//
//   { "name": "…", "username": "…", "password": "…", "stompQueuePrefix": "/queue/", "readyMs": 5000,
//     "nodes": [ { "name": "a", "mqtt": "host:port", "stomp": "host:port", "amqp": "host:port", "websocket": "host:port",
//                  "commands": { "kill": "…", "pause": "…", "resume": "…", "handover": "…", "term": "…", "start": "…", "ready": "…" } }, … ] }
import { spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { LISTENERS } from './stage.ts'
import type { Fault, Login, Target, TargetNode } from './target.ts'

const COMMANDS = ['kill', 'pause', 'resume', 'handover', 'term', 'start', 'ready'] as const
type Command = (typeof COMMANDS)[number]
type DescribedNode = TargetNode & Readonly<{ commands: Readonly<Partial<Record<Command, string>>> }>

export type TargetDescription = Readonly<{
  name: string
  login: Login
  queuePrefix: string
  /** Where no command says that a node is ready: how long after its start the others count on it. */
  readyMs: number
  nodes: readonly DescribedNode[]
}>

/** Commands without which a fault is left out. */
const WANTED: Readonly<Record<Fault, readonly Command[]>> = {
  kill: ['kill', 'start'],
  pause: ['pause', 'resume'],
  handover: ['handover'],
  term: ['term', 'start'],
}

const COMMAND_MS = 60_000
const LAST_WORDS_MS = 200
const NODES_MAX = 16

/** Throws one sentence that names what is wrong. */
export function readDescription(value: unknown): TargetDescription {
  const { name, username, password, stompQueuePrefix, readyMs, nodes, ...rest } = tree('the target', value)
  refuseRest('the target', rest)
  if (!Array.isArray(nodes) || nodes.length === 0 || nodes.length > NODES_MAX) throw new Error(`the target has 1 to ${NODES_MAX} nodes`)
  if (readyMs !== undefined && (typeof readyMs !== 'number' || !(readyMs >= 0))) throw new Error('readyMs is a number of milliseconds')
  return {
    name: text('name', name, 'a described target'),
    login: { username: text('username', username, ''), password: text('password', password, '') },
    queuePrefix: text('stompQueuePrefix', stompQueuePrefix, '/queue/'),
    readyMs: readyMs ?? 5_000,
    nodes: nodes.map((each, i) => readNode(each, i)),
  }
}

function readNode(value: unknown, index: number): DescribedNode {
  const { name, mqtt, stomp, amqp, websocket, commands = {}, ...rest } = tree(`node ${index}`, value)
  const label = text('name', name, String.fromCharCode(97 + index))
  refuseRest(`node ${label}`, rest)
  const written = { mqtt, stomp, amqp, websocket }
  const addresses = Object.fromEntries(
    LISTENERS.flatMap((each) => (written[each] === undefined ? [] : [[each, address(`node ${label}: ${each}`, written[each])]])),
  )
  if (Object.keys(addresses).length === 0) throw new Error(`node ${label} has no address of ${LISTENERS.join(', ')}`)
  const given = tree(`node ${label}: commands`, commands)
  for (const command of Object.keys(given))
    if (!COMMANDS.some((each) => each === command)) throw new Error(`node ${label}: there is no command ${command}, only ${COMMANDS.join(', ')}`)
  return { name: label, addresses, commands: Object.fromEntries(Object.entries(given).map(([key, each]) => [key, text(key, each, '')])) }
}

function tree(what: string, value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error(`${what} is an object`)
  return value as Readonly<Record<string, unknown>>
}

function refuseRest(what: string, rest: Readonly<Record<string, unknown>>): void {
  const [unknown] = Object.keys(rest)
  if (unknown !== undefined) throw new Error(`${what} has no field ${unknown}`)
}

function text(what: string, value: unknown, otherwise: string): string {
  if (value === undefined) return otherwise
  if (typeof value !== 'string') throw new Error(`${what} is text`)
  return value
}

function address(what: string, value: unknown): string {
  if (typeof value !== 'string' || !/^(\[[^\]]+\]|[^:]+):\d{1,5}$/.test(value)) throw new Error(`${what} is written as host:port`)
  return value
}

export class DescribedTarget implements Target {
  readonly name: string
  readonly nodes: readonly TargetNode[]
  readonly login: Login
  readonly queuePrefix: string
  readonly housekeeping = undefined
  readonly #description: TargetDescription
  readonly #log: (line: string) => void
  #restlessUntilMs = 0

  constructor(description: TargetDescription, log: (line: string) => void) {
    this.name = description.name
    this.nodes = description.nodes
    this.login = description.login
    this.queuePrefix = description.queuePrefix
    this.#description = description
    this.#log = log
  }

  lacks(fault: Fault): string | undefined {
    for (const { name, commands } of this.#description.nodes) {
      const missing = WANTED[fault].find((each) => commands[each] === undefined)
      if (missing !== undefined) return `node ${name} has no command ${missing}`
    }
    return undefined
  }

  takeover(): undefined {
    return undefined
  }

  /** The commands `ready` end well once a node can lead or follow; without them there is nothing but patience. */
  async ready(): Promise<void> {
    for (let node = 0; node < this.nodes.length; node++) if (this.#command(node, 'ready') !== '') await this.#run(node, 'ready')
    await sleep(Math.max(0, this.#restlessUntilMs - performance.now()))
  }

  kill(node: number): Promise<void> {
    return this.#run(node, 'kill')
  }

  pause(node: number): Promise<void> {
    return this.#run(node, 'pause')
  }

  async resume(node: number): Promise<void> {
    await this.#run(node, 'resume')
    this.#came(node)
  }

  async handOver(node: number): Promise<void> {
    await this.#run(node, 'handover')
    this.#came(node)
  }

  term(node: number): Promise<void> {
    return this.#run(node, 'term')
  }

  async start(node: number): Promise<void> {
    await this.#run(node, 'start')
    this.#came(node)
  }

  /** It was there before the drill and stays. */
  async close(): Promise<void> {}

  #came(node: number): void {
    if (this.#command(node, 'ready') === '') this.#restlessUntilMs = performance.now() + this.#description.readyMs
  }

  #command(node: number, command: Command): string {
    return this.#description.nodes[node]?.commands[command] ?? ''
  }

  #run(node: number, command: Command): Promise<void> {
    const line = this.#command(node, command)
    return new Promise((resolve, reject) => {
      const child = spawn('/bin/sh', ['-c', line], { stdio: ['ignore', 'ignore', 'pipe'] })
      let said = ''
      child.stderr.setEncoding('utf8').on('data', (more: string) => {
        said = (said + more).slice(-2_000)
      })
      const timer = setTimeout(() => child.kill('SIGKILL'), COMMAND_MS)
      child.on('error', reject)
      // What it started in the background may hold its output open for ever: its own end is what counts, and its last words a moment later.
      child.on('exit', (code) => {
        clearTimeout(timer)
        this.#log(`${this.nodes[node]?.name}: ${command}`)
        const finish = (): void => {
          clearTimeout(late)
          child.stderr.destroy()
          if (code === 0) resolve()
          else reject(new Error(`${command} of ${this.nodes[node]?.name} ended with ${code}: ${line}\n${said}`))
        }
        const late = setTimeout(finish, code === 0 ? 0 : LAST_WORDS_MS)
        child.stderr.once('end', finish)
      })
    })
  }
}
