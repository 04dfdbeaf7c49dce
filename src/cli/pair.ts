// `bascule pair`: two nodes on one directory, one line an event, commands by line. On a terminal a small table stays at the bottom.
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { Pair } from '../pair/pair.ts'
import { freePorts } from '../pair/ports.ts'
import { tableOf } from '../pair/table.ts'
import { readFlags, UsageError } from './usage.ts'

const options = {
  config: { type: 'string' },
  data: { type: 'string' },
  ports: { type: 'string' },
  'port-offset': { type: 'string' },
  set: { type: 'string', multiple: true },
  'no-restart': { type: 'boolean' },
} as const

type Flags = ReturnType<typeof readFlags<typeof options>>['values']

const RESTART_MS = 2_000
/** Between the ports of one node and those of the next. */
const PORT_STEP = 100
const DRAW_MS = 500
const HELP = 'Type kill, stop, cont, handover, term, start, status or quit.'

export async function pair(args: readonly string[]): Promise<number> {
  const { values: flags } = readFlags(args, options, 0)
  const screen = new Screen()
  const both = new Pair({
    program: resolve(process.argv[1]),
    nodes: await nodesOf(flags),
    restartMs: flags['no-restart'] === true ? undefined : RESTART_MS,
    onEvent: (node, what, more) =>
      screen.line(
        `${new Date().toTimeString().slice(0, 8)}.${String(Date.now() % 1000).padStart(3, '0')} ${node}  ${what.padEnd(8)} ${more}`.trimEnd(),
      ),
  })
  screen.line(HELP)
  both.start()
  const drawing = setInterval(() => screen.table(tableOf(both.views)), DRAW_MS)
  await wish(async (line) => {
    if (line.trim() === 'status') for (const each of tableOf(both.views)) screen.line(each)
    else if (line.trim() !== '') screen.line((await both.command(line)) ?? '')
  })
  clearInterval(drawing)
  screen.table([])
  await both.stop()
  return 0
}

/** Ends when the user wants it to: quit, a signal, the end of whoever started this. Without a terminal the end of the input is no wish. */
function wish(onLine: (line: string) => Promise<void>): Promise<void> {
  return new Promise((done) => {
    const lines = createInterface({ input: process.stdin, terminal: false })
    const end = (): void => {
      lines.close()
      process.stdin.destroy()
      done()
    }
    lines.on('line', (line) => {
      if (/^\s*(quit|exit|q)\s*$/.test(line)) end()
      else void onLine(line)
    })
    if (process.stdin.isTTY) lines.on('close', end)
    process.stdin.on('error', () => {})
    let signals = 0
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        if (++signals > 1) process.exit(130)
        end()
      })
    }
    process.on('disconnect', end)
    // Listening to the channel must not keep this process when all else has ended.
    process.channel?.unref()
  })
}

async function nodesOf(flags: Flags) {
  if (flags.ports !== undefined && flags.ports !== 'free' && flags.ports !== 'fixed')
    throw new UsageError(`--ports ${flags.ports}: only free or fixed`)
  const offset = Number(flags['port-offset'] ?? '0')
  if (!Number.isInteger(offset) || offset < 0 || offset > 65_535)
    throw new UsageError(`--port-offset ${flags['port-offset']}: a number from 0 to 65535`)
  const { protocols } = await import('../../protocols/index.ts')
  const { loadSettings } = await import('../config/load.ts')
  const settings = await loadSettings({ file: flags.config ?? '', environment: process.env, flags: {}, sets: flags.set ?? [] }, protocols)
  const names = Object.keys(settings.listeners).filter((name) => settings.listeners[name].enabled)
  const common = [
    ...(flags.config === undefined ? [] : ['--config', flags.config]),
    ...(flags.data === undefined ? [] : ['--data', flags.data]),
    ...(flags.set ?? []).flatMap((each) => ['--set', each]),
  ]
  const free = flags.ports === 'free' ? await freePorts(names.length * 2) : undefined
  return ['a', 'b'].map((name, node) => {
    if (free === undefined) {
      const { host, port } = settings.listeners.http
      const moved = offset + node * PORT_STEP
      return { name, http: `${host}:${port + moved}`, args: [...common, '--node', name, '--port-offset', String(moved)] }
    }
    const listen = names.map((each, i) => `${each}=127.0.0.1:${free[node * names.length + i]}`)
    const http = listen.find((each) => each.startsWith('http='))?.slice('http='.length) ?? ''
    return { name, http, args: [...common, '--node', name, ...listen.flatMap((each) => ['--listen', each])] }
  })
}

/** Events scroll; the table is drawn below them and taken away before the next line. */
class Screen {
  readonly #live = process.stdout.isTTY
  #drawn = 0
  #table: readonly string[] = []

  line(text: string): void {
    if (text === '') return
    this.#erase()
    process.stdout.write(`${text}\n`)
    this.#draw()
  }

  /** Drawn when it has changed only: what the user is typing stands below it and would go. */
  table(lines: readonly string[]): void {
    if (!this.#live || lines.join('\n') === this.#table.join('\n')) return
    this.#erase()
    this.#table = lines
    this.#draw()
  }

  #draw(): void {
    if (!this.#live || this.#table.length === 0) return
    const width = process.stdout.columns
    process.stdout.write(`${this.#table.map((line) => `\u001b[2m${line.slice(0, width)}\u001b[0m\n`).join('')}`)
    this.#drawn = this.#table.length
  }

  #erase(): void {
    if (this.#drawn > 0) process.stdout.write(`\u001b[${this.#drawn}A\u001b[0J`)
    this.#drawn = 0
  }
}
