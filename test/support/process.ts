// The built program as a process of its own, killed and started again on the same directory. What it runs on is `test/wire/node-process.ts`.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { NodeProcess, type Ready } from '../wire/node-process.ts'

export type ProcessOptions = Readonly<{
  /** Kept by the caller; else temporary and removed by `stop`. */
  data?: string
  /** Further flags of `bascule start`. */
  args?: readonly string[]
}>

export class BrokerProcess {
  readonly data: string
  ready: Ready
  #process: NodeProcess
  readonly #options: ProcessOptions

  constructor(data: string, process: NodeProcess, ready: Ready, options: ProcessOptions) {
    this.data = data
    this.#process = process
    this.ready = ready
    this.#options = options
  }

  get pid(): number | undefined {
    return this.#process.child.pid
  }

  /** Its log so far (the end of it). */
  get output(): string {
    return this.#process.output
  }

  address(listener: string): string {
    return this.ready.listeners[listener]
  }

  port(listener: string): number {
    return Number(this.address(listener).split(':').at(-1))
  }

  /** Ends when the process is gone. */
  async kill(signal: NodeJS.Signals): Promise<Readonly<{ code: number | null; signal: NodeJS.Signals | null }> | undefined> {
    await this.#process.signal(signal)
    return this.#process.exit
  }

  /** On the same directory, once the earlier process is gone. */
  async restart(): Promise<void> {
    if (this.#process.exit === undefined) await this.kill('SIGKILL')
    this.#process = new NodeProcess({ data: this.data, args: this.#options.args ?? [] })
    this.ready = await this.#process.leads()
  }

  async stop(): Promise<void> {
    if (this.#process.exit === undefined) await this.kill('SIGKILL')
    if (this.#options.data === undefined) rmSync(this.data, { recursive: true, force: true })
  }
}

/** Ends when it leads. */
export async function spawnBroker(options: ProcessOptions = {}): Promise<BrokerProcess> {
  const data = options.data ?? mkdtempSync(join(tmpdir(), 'bascule-'))
  const process = new NodeProcess({ data, args: options.args ?? [] })
  return new BrokerProcess(data, process, await process.leads(), options)
}
