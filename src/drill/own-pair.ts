// A pair of our own for the drill: two nodes as child processes on one directory, with ports that are known before they are open.
import { setTimeout as sleep } from 'node:timers/promises'
import { ask, field } from '../pair/ask.ts'
import { NodeProcess } from '../pair/node-process.ts'
import { freePorts } from '../pair/ports.ts'
import { LISTENERS } from './stage.ts'
import type { Target, TargetNode } from './target.ts'

export type OwnPairOptions = Readonly<{
  program: string
  nodeArgs: readonly string[]
  data: string
  leaseMs: number
  /** Further flags of `bascule start`. */
  args: readonly string[]
  /** Tells of files that come and go in the folders of the directory. */
  watch: (each: () => void) => () => void
  log: (line: string) => void
}>

const READY_MS = 30_000
const HAND_OVER_MS = 5_000
const NAMES = ['a', 'b'] as const
/** Of each node: what clients speak to, and HTTP. */
const PORTS = [...LISTENERS, 'http'] as const

export async function openOwnPair(options: OwnPairOptions): Promise<Target> {
  const ports = await freePorts(NAMES.length * PORTS.length)
  const pair = new OwnPair(options, ports)
  try {
    for (let node = 0; node < NAMES.length; node++) await pair.start(node)
    await pair.ready()
  } catch (error) {
    await pair.close()
    throw error
  }
  return pair
}

class OwnPair implements Target {
  readonly name = 'a pair of our own'
  readonly login = { username: '', password: '' }
  readonly queuePrefix = '/queue/'
  readonly nodes: readonly TargetNode[]
  readonly housekeeping: Target['housekeeping']
  readonly #processes: readonly NodeProcess[]
  readonly #http: readonly string[]
  #takeover: Readonly<Record<string, number>> | undefined

  constructor(options: OwnPairOptions, ports: readonly number[]) {
    const { program, nodeArgs, data, leaseMs, args, log } = options
    const at = (node: number, which: (typeof PORTS)[number]): string => `127.0.0.1:${ports[node * PORTS.length + PORTS.indexOf(which)]}`
    this.nodes = NAMES.map((name, node) => ({ name, addresses: Object.fromEntries(LISTENERS.map((each) => [each, at(node, each)])) }))
    this.#http = NAMES.map((_, node) => at(node, 'http'))
    this.housekeeping = options.watch
    this.#processes = NAMES.map((name, node) => {
      const listen = PORTS.flatMap((each) => ['--listen', `${each}=${at(node, each)}`])
      return new NodeProcess({
        name,
        program,
        nodeArgs,
        args: ['start', '--data', data, '--node', name, ...listen, '--set', `failover.leaseMs=${leaseMs}`, ...args],
        onReady: ({ role, epoch }) => log(`${name}: ${role}${epoch === 0 ? '' : `, epoch ${epoch}`}`),
        onLog: (line) => this.#read(name, line, log),
        onExit: ({ code, signal }) => log(`${name}: ended (${signal ?? code})`),
      })
    })
  }

  lacks(): string | undefined {
    return undefined
  }

  takeover(): Readonly<Record<string, number>> | undefined {
    const parts = this.#takeover
    this.#takeover = undefined
    return parts
  }

  async ready(): Promise<void> {
    const end = performance.now() + READY_MS
    let said = ''
    for (;;) {
      const roles = await Promise.all(this.#http.map((address) => ask(address, '/api/status')))
      const active = roles.filter((each) => field(each?.body, 'role') === 'active').length
      const following = roles.filter((each) => field(each?.body, 'role') === 'standby' && isWarm(field(each?.body, 'follow'))).length
      if (active === 1 && following === roles.length - 1) return
      for (const each of this.#processes) if (!each.running) throw new Error(`node ${each.name} ended by itself\n${each.lastLines.join('\n')}`)
      said = roles
        .map((each, i) => `${NAMES[i]} ${JSON.stringify(field(each?.body, 'role'))} ${JSON.stringify(field(each?.body, 'follow'))}`)
        .join(', ')
      if (performance.now() > end) throw new Error(`after ${READY_MS / 1000} s the pair is not one active and one standby: ${said}`)
      await sleep(20)
    }
  }

  async kill(node: number): Promise<void> {
    this.#processes[node].signal('SIGKILL')
  }

  async pause(node: number): Promise<void> {
    this.#processes[node].pause()
  }

  async resume(node: number): Promise<void> {
    this.#processes[node].resume()
  }

  /** A leader learns within a second or two that its standby is warm; until then it refuses. */
  async handOver(node: number): Promise<void> {
    const end = performance.now() + HAND_OVER_MS
    for (;;) {
      const answer = await ask(this.#http[node], '/api/failover', { method: 'POST', timeoutMs: 20_000 })
      if (answer !== undefined && answer.status < 300) return
      if (answer?.status !== 403 || performance.now() > end)
        throw new Error(`the hand-over of ${NAMES[node]} was refused: ${answer?.status ?? 'no answer'} ${JSON.stringify(answer?.body)}`)
      await sleep(50)
    }
  }

  async term(node: number): Promise<void> {
    this.#processes[node].signal('SIGTERM')
  }

  async start(node: number): Promise<void> {
    await this.#processes[node].ended
    this.#processes[node].start()
  }

  async close(): Promise<void> {
    for (const each of this.#processes) {
      if (each.paused) each.resume()
      each.signal('SIGTERM')
    }
    const late = setTimeout(() => {
      for (const each of this.#processes) each.signal('SIGKILL')
    }, 5_000)
    await Promise.all(this.#processes.map((each) => each.ended))
    clearTimeout(late)
  }

  /** The log of a takeover names its parts, in milliseconds; warnings and errors are for the user. */
  #read(name: string, line: string, log: (line: string) => void): void {
    let entry: unknown
    try {
      entry = JSON.parse(line)
    } catch {
      log(`${name}: ${line}`)
      return
    }
    const ms = field(entry, 'ms')
    const leads = field(entry, 'msg') === 'leads' && typeof ms === 'object' && ms !== null
    if (leads) this.#takeover = { warm: field(entry, 'warm') === true ? 1 : 0, ...ms }
    if (leads || Number(field(entry, 'level')) >= 40) log(`${name}: ${line}`)
  }
}

/** A node of a version that does not say so yet counts as warm. */
function isWarm(follow: unknown): boolean {
  return follow === undefined || field(follow, 'state') === 'warm'
}
