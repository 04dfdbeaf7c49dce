// One node of a pair as a child process: started, killed, stopped, woken, started again. It reads the ready lines of the node and hands its log on;
// it judges nothing. A child ends with this process, however that ends: by the channel between them, also when it was stopped.
import { type ChildProcess, spawn } from 'node:child_process'

/** What a node says of itself each time its role changes. */
export type Ready = Readonly<{ role: string; node: string; epoch: number; listeners: Readonly<Record<string, string>> }>

export type Exit = Readonly<{ code: number | null; signal: NodeJS.Signals | null }>

export type NodeProcessOptions = Readonly<{
  name: string
  program: string
  /** For Node itself, before the program. */
  nodeArgs: readonly string[]
  /** After the program: command and flags. */
  args: readonly string[]
  onReady: (ready: Ready) => void
  /** One line of its log. */
  onLog: (line: string) => void
  onExit: (exit: Exit) => void
}>

/** A longer line is cut: a node that floods its output must not fill our memory. */
const LINE_MAX = 64 * 1024
const LAST_LINES = 40

export class NodeProcess {
  readonly name: string
  /** The end of its log, for whoever wants to know why it ended. */
  readonly lastLines: string[] = []
  /** The last ready line of the process that runs. */
  ready: Ready | undefined
  paused = false
  readonly #options: NodeProcessOptions
  #child: ChildProcess | undefined
  #waker: ChildProcess | undefined
  #ended: Promise<void> = Promise.resolve()

  constructor(options: NodeProcessOptions) {
    this.name = options.name
    this.#options = options
  }

  get running(): boolean {
    return this.#child !== undefined
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** Ends when the process that runs now has ended. */
  get ended(): Promise<void> {
    return this.#ended
  }

  start(): void {
    if (this.#child !== undefined) throw new Error(`${this.name} runs already`)
    const { nodeArgs, program, args, onExit } = this.#options
    const child = spawn(process.execPath, [...nodeArgs, program, ...args], {
      // The channel tells the node when this process is gone.
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      // A group of its own: Ctrl-C is for the pair, which ends its nodes in order.
      detached: true,
    })
    this.#child = child
    this.ready = undefined
    readLines(child.stdout, (line) => this.#line(line))
    readLines(child.stderr, (line) => this.#line(line))
    this.#ended = new Promise((resolve) => {
      const end = (exit: Exit): void => {
        if (this.#child !== child) return
        this.#child = undefined
        this.ready = undefined
        this.paused = false
        this.#letWakerGo()
        onExit(exit)
        resolve()
      }
      child.on('error', (error) => {
        this.#note(`could not be started: ${error.message}`)
        if (child.pid === undefined) end({ code: null, signal: null })
      })
      child.on('exit', (code, signal) => end({ code, signal }))
    })
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }

  /** Stops the process where it is. Should this process end meanwhile, a small shell wakes it, so that it can see that and end too. */
  pause(): void {
    const pid = this.#child?.pid
    if (pid === undefined || this.paused) return
    this.paused = true
    this.#waker = spawn('/bin/sh', ['-c', `read -r word; [ "$word" = done ] || kill -CONT ${pid}`], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    })
    this.#waker.on('error', () => {})
    this.#waker.stdin?.on('error', () => {})
    this.signal('SIGSTOP')
  }

  resume(): void {
    this.signal('SIGCONT')
    this.paused = false
    this.#letWakerGo()
  }

  #letWakerGo(): void {
    this.#waker?.stdin?.end('done\n')
    this.#waker = undefined
  }

  #line(line: string): void {
    if (!line.startsWith('ready ')) {
      this.#note(line)
      this.#options.onLog(line)
      return
    }
    const ready = readyOf(line.slice('ready '.length))
    if (ready === undefined) return
    this.ready = ready
    this.#options.onReady(ready)
  }

  #note(line: string): void {
    this.lastLines.push(line)
    if (this.lastLines.length > LAST_LINES) this.lastLines.shift()
  }
}

function readyOf(text: string): Ready | undefined {
  try {
    return JSON.parse(text) as Ready
  } catch {
    return undefined
  }
}

function readLines(stream: NodeJS.ReadableStream | null, each: (line: string) => void): void {
  let rest = ''
  stream?.setEncoding('utf8')
  stream?.on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = (lines.pop() ?? '').slice(0, LINE_MAX)
    for (const line of lines) if (line !== '') each(line.slice(0, LINE_MAX))
  })
}
