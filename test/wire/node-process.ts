// One node as an operating-system process: the built program, real files, real signals. For suites that kill, stop and wake nodes,
// also before they are ready; suites that only need a running broker take `test/support/process.ts`.
import { spawn, type ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { until } from './bytes.ts'

export interface Ready {
  readonly role: 'active' | 'standby'
  readonly node: string
  readonly epoch: number
  readonly listeners: Readonly<Record<string, string>>
}

const root = fileURLToPath(new URL('../..', import.meta.url))

/** What `package.json` says the program is, as npm would run it; another checkout's or release's by `TESTED_PROGRAM`. */
export const program = process.env['TESTED_PROGRAM'] ?? join(root, binOf(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))))

function binOf(manifest: Readonly<{ bin: Readonly<{ bascule: string }> }>): string {
  return manifest.bin.bascule
}

/** A start takes half a second; beside a dozen busy programs it took ten. */
const START_MS = 30_000

export class NodeProcess {
  readonly child: ChildProcess
  /** The `ready` lines so far. */
  readonly ready: Ready[] = []
  /** The last few thousand characters of stderr and logs. */
  output = ''
  /** Given every line of stdout that is not `ready`, and stderr as it comes. */
  onOutput: (text: string) => void = () => {}
  exit: Readonly<{ code: number | null; signal: NodeJS.Signals | null }> | undefined
  #line = ''

  constructor(options: Readonly<{ data: string; args?: readonly string[]; nodeArgs?: readonly string[]; ports?: false }>) {
    const { data, args = [], nodeArgs = [], ports } = options
    const free = ports === false ? [] : ['--ports', 'free']
    this.child = spawn(process.execPath, [...nodeArgs, program, 'start', '--data', data, ...free, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#read(text))
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => this.#keep(text))
    // Not `exit`, which may come before the last words have been read.
    this.child.on('close', (code, signal) => {
      this.exit = { code, signal }
    })
    alive.add(this)
  }

  get active(): Ready | undefined {
    return this.ready.findLast((each) => each.role === 'active')
  }

  /** Ends when the node leads. */
  async leads(timeoutMs = START_MS): Promise<Ready> {
    await this.#until('the node leads', () => this.active !== undefined, timeoutMs)
    const ready = this.active
    if (ready === undefined) throw new Error('not active')
    return ready
  }

  async stands(timeoutMs = START_MS): Promise<Ready> {
    await this.#until('the node stands by', () => this.ready.length > 0, timeoutMs)
    const ready = this.ready[0]
    if (ready === undefined) throw new Error('not ready')
    return ready
  }

  /** Ends when it has ended by itself. */
  async ends(timeoutMs = START_MS): Promise<void> {
    await until(`the end of the node\n${this.output}`, () => this.exit !== undefined, timeoutMs)
    alive.delete(this)
  }

  /** Sends the signal; ends when the process is gone, unless the signal only stops or wakes it. */
  async signal(signal: NodeJS.Signals): Promise<void> {
    if (this.exit === undefined) this.child.kill(signal)
    if (signal === 'SIGSTOP' || signal === 'SIGCONT') return
    await until(`the end of the node after ${signal}`, () => this.exit !== undefined, 20_000)
    alive.delete(this)
  }

  async #until(what: string, condition: () => boolean, timeoutMs: number): Promise<void> {
    await until(`${what}\n${this.output}`, () => condition() || this.exit !== undefined, timeoutMs)
    if (!condition()) throw new Error(`the node ended (${JSON.stringify(this.exit)}) before ${what}\n${this.output}`)
  }

  #read(text: string): void {
    const lines = (this.#line + text).split('\n')
    this.#line = lines.pop() ?? ''
    for (const line of lines) {
      if (line.startsWith('ready ')) this.ready.push(JSON.parse(line.slice(6)))
      else this.#keep(`${line}\n`)
    }
  }

  #keep(text: string): void {
    this.onOutput(text)
    this.output = (this.output + text).slice(-8000)
  }
}

/** Nothing is left running, whatever a suite died of. */
const alive = new Set<NodeProcess>()
process.on('exit', () => {
  for (const node of alive) if (node.exit === undefined) node.child.kill('SIGKILL')
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
