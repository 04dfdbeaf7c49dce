// Two nodes on one directory, watched: what happens to them becomes events, and what people type becomes signals. It prints nothing itself.
import { ask, field } from './ask.ts'
import { type Exit, NodeProcess, type Ready } from './node-process.ts'

export type PairNodeOptions = Readonly<{ name: string; args: readonly string[]; http: string }>

export type PairOptions = Readonly<{
  program: string
  nodes: readonly PairNodeOptions[]
  /** A dead node is started again after so long; undefined: never. */
  restartMs: number | undefined
  /** `what` in one or two words, `more` the rest of the sentence. */
  onEvent: (node: string, what: string, more: string) => void
}>

/** What a table shows of one node. */
export type NodeView = Readonly<{
  name: string
  role: string
  epoch: number
  /** Last batch applied (standby) or committed (active). */
  batch: number | undefined
  entries: number | undefined
  follow: string
  addresses: Readonly<Record<string, string>>
}>

/** A node that answers nothing for so long is called silent. */
const SILENT_MS = 1_000
const WATCH_MS = 500
const STOP_MS = 20_000

type Member = {
  readonly http: string
  readonly process: NodeProcess
  view: NodeView
  answeredMs: number
  silent: boolean
  again: NodeJS.Timeout | undefined
}

export class Pair {
  readonly #members: readonly Member[]
  readonly #options: PairOptions
  readonly #watch: NodeJS.Timeout
  #stopping = false
  /** What was done to the active node last, and when. */
  #cause: Readonly<{ sentence: string; atMs: number }> | undefined

  constructor(options: PairOptions) {
    this.#options = options
    this.#members = options.nodes.map(({ name, args, http }) => {
      const process = new NodeProcess({
        name,
        program: options.program,
        nodeArgs: [],
        args: ['start', ...args],
        onReady: (ready) => this.#ready(member, ready),
        onLog: (line) => this.#log(name, line),
        onExit: (exit) => this.#ended(member, exit),
      })
      const member: Member = { http, process, view: unknown(name), answeredMs: 0, silent: false, again: undefined }
      return member
    })
    this.#watch = setInterval(() => void this.#look(), WATCH_MS)
  }

  start(): void {
    for (const { process } of this.#members) process.start()
  }

  get views(): readonly NodeView[] {
    return this.#members.map(({ view, process, silent }) => {
      if (!process.running) return { ...unknown(view.name), role: 'ended' }
      return { ...view, role: process.paused ? 'stopped' : silent ? 'silent' : view.role, addresses: process.ready?.listeners ?? view.addresses }
    })
  }

  /** One typed line; answers what cannot be done. */
  async command(line: string): Promise<string | undefined> {
    const [what = '', name] = line.trim().split(/\s+/)
    const member = name === undefined ? undefined : this.#members.find(({ process }) => process.name === name)
    if (name !== undefined && member === undefined) return `there is no node ${name}`
    const active = this.#members.find(({ process }) => process.ready?.role === 'active' && !process.paused)
    const chosen = member ?? active
    switch (what) {
      case 'kill':
        return this.#strike(chosen, 'was killed', (process) => process.signal('SIGKILL'))
      case 'stop':
        return this.#strike(chosen, 'was stopped', (process) => process.pause())
      case 'term':
        return this.#strike(chosen, 'was told to end', (process) => process.signal('SIGTERM'))
      case 'handover': {
        if (chosen === undefined) return 'no node is active'
        this.#cause = { sentence: `after ${chosen.process.name} was told to hand over`, atMs: performance.now() }
        const answer = await ask(chosen.http, '/api/failover', { method: 'POST', timeoutMs: 20_000 })
        return answer !== undefined && answer.status < 300 ? undefined : text(field(answer?.body, 'message') ?? 'nobody answered')
      }
      case 'cont': {
        const stopped = this.#members.filter(({ process }) => process.paused && (member === undefined || process === member.process))
        for (const { process } of stopped) {
          process.resume()
          this.#options.onEvent(process.name, 'woken', '')
        }
        return stopped.length === 0 ? 'no node is stopped' : undefined
      }
      case 'start': {
        const dead = this.#members.filter(({ process }) => !process.running && (member === undefined || process === member.process))
        for (const each of dead) this.#startAgain(each)
        return dead.length === 0 ? 'every node runs' : undefined
      }
      default:
        return `${what === '' ? 'type' : `${what} is none of`} kill, stop, cont, handover, term, start, status or quit; kill, stop, cont, term and start take the name of a node`
    }
  }

  /** Ends both in order; what does not end is killed. */
  async stop(): Promise<void> {
    this.#stopping = true
    clearInterval(this.#watch)
    for (const { process, again } of this.#members) {
      clearTimeout(again)
      if (process.paused) process.resume()
    }
    // The standby first: else it would take over for an instant.
    const standbyFirst = [...this.#members].sort((a, b) => Number(a.process.ready?.role === 'active') - Number(b.process.ready?.role === 'active'))
    for (const { process } of standbyFirst) {
      process.signal('SIGTERM')
      const late = setTimeout(() => process.signal('SIGKILL'), STOP_MS)
      await process.ended
      clearTimeout(late)
    }
  }

  #strike(member: Member | undefined, sentence: string, act: (process: NodeProcess) => void): string | undefined {
    if (member === undefined) return 'no node is active'
    if (!member.process.running) return `${member.process.name} does not run`
    this.#cause = { sentence: `after ${member.process.name} ${sentence}`, atMs: performance.now() }
    act(member.process)
    if (member.process.paused) this.#options.onEvent(member.process.name, 'stopped', 'type cont to wake it')
    return undefined
  }

  #ready({ process }: Member, { role, epoch, listeners }: Ready): void {
    if (role !== 'active') {
      this.#options.onEvent(process.name, role, `http ${listeners.http ?? '–'}`)
      return
    }
    const cause = this.#cause
    this.#cause = undefined
    const since = cause === undefined ? '' : `, ${Math.round(performance.now() - cause.atMs)} ms ${cause.sentence}`
    const addresses = Object.entries(listeners).map(([name, address]) => `${name} ${address}`)
    this.#options.onEvent(process.name, role, `epoch ${epoch}${since}  (${addresses.join('  ')})`)
  }

  #ended(member: Member, { code, signal }: Exit): void {
    const { process } = member
    const { restartMs, onEvent } = this.#options
    const wanted = this.#stopping || signal !== null || code === 0
    const why = wanted ? '' : `\n${process.lastLines.slice(-5).join('\n')}`
    const again = this.#stopping || restartMs === undefined ? '' : `, starts again in ${restartMs / 1000} s`
    onEvent(process.name, 'ended', `${signal ?? `exit code ${code}`}${again}${why}`)
    member.view = unknown(process.name)
    if (this.#stopping || restartMs === undefined) return
    member.again = setTimeout(() => this.#startAgain(member), restartMs)
  }

  #startAgain(member: Member): void {
    clearTimeout(member.again)
    if (this.#stopping || member.process.running) return
    member.answeredMs = performance.now()
    member.silent = false
    this.#options.onEvent(member.process.name, 'starting', '')
    member.process.start()
  }

  /** Warnings and errors of the nodes are events; their other news is in what follows from it. */
  #log(name: string, line: string): void {
    let entry: unknown
    try {
      entry = JSON.parse(line)
    } catch {
      this.#options.onEvent(name, 'says', line)
      return
    }
    const level = Number(field(entry, 'level'))
    const message = field(entry, 'msg')
    if (level >= 40) this.#options.onEvent(name, level >= 50 ? 'error' : 'warning', typeof message === 'string' ? message : line)
  }

  async #look(): Promise<void> {
    await Promise.all(
      this.#members.map(async (member) => {
        const { process } = member
        const address = process.ready?.listeners.http ?? member.http
        if (!process.running || process.ready === undefined) return
        const answer = await ask(address, '/api/status', { timeoutMs: SILENT_MS })
        if (!process.running) return
        const nowMs = performance.now()
        if (answer === undefined) {
          if (!member.silent && !process.paused && nowMs - member.answeredMs > SILENT_MS) {
            member.silent = true
            this.#options.onEvent(process.name, 'silent', `no answer for ${SILENT_MS} ms`)
          }
          return
        }
        member.answeredMs = nowMs
        member.silent = false
        member.view = viewOf(process.name, answer.body)
      }),
    )
  }
}

function unknown(name: string): NodeView {
  return { name, role: 'starting', epoch: 0, batch: undefined, entries: undefined, follow: '', addresses: {} }
}

function viewOf(name: string, status: unknown): NodeView {
  const follow = field(status, 'follow')
  const state = field(follow, 'state')
  const behindMs = Number(field(follow, 'behindMs') ?? 0)
  const listeners = field(status, 'listeners')
  return {
    name,
    role: text(field(status, 'role')),
    epoch: Number(field(status, 'epoch') ?? 0) || Number(field(follow, 'epoch') ?? 0),
    batch: count(field(follow, 'batch') ?? field(status, 'broker', 'journal', 'committed')),
    entries: count(field(status, 'broker', 'figures', 'entries')),
    follow: typeof state === 'string' ? `${state}${behindMs > 0 ? `, ${Math.round(behindMs)} ms behind` : ''}` : '',
    addresses: typeof listeners === 'object' && listeners !== null ? (listeners as Readonly<Record<string, string>>) : {},
  }
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '?'
}

function count(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined
}
