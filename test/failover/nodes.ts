// Two nodes of one directory as processes, and questions to their management listeners. For tests of takeovers and hand-overs.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { addressOf, until } from '../wire/bytes.ts'
import { NodeProcess, type Ready } from '../wire/node-process.ts'
import { StompWire } from '../wire/stomp-wire.ts'

export class Pair {
  readonly data = mkdtempSync(join(tmpdir(), 'bascule-pair-'))
  readonly nodes: NodeProcess[] = []

  start(name: string, ...args: string[]): NodeProcess {
    const node = new NodeProcess({ data: this.data, args: [...(name === '' ? [] : ['--node', name]), ...args] })
    this.nodes.push(node)
    return node
  }

  /** An active node and a warm standby. */
  async both(...args: string[]): Promise<Readonly<{ first: NodeProcess; second: NodeProcess; ready: Ready }>> {
    const first = this.start('a', ...args)
    const ready = await first.leads()
    const second = this.start('b', ...args)
    await second.stands()
    await warm(second)
    return { first, second, ready }
  }

  async end(): Promise<void> {
    for (const node of this.nodes.splice(0)) {
      await node.signal('SIGCONT')
      await node.signal('SIGKILL')
    }
    rmSync(this.data, { recursive: true, force: true })
  }
}

export type Follow = Readonly<{ state: string; reason: string; batch: number; behindMs: number }>

export async function ask<T>(node: NodeProcess, path: string, method = 'GET'): Promise<T> {
  const http = node.ready.at(-1)?.listeners['http'] ?? ''
  const response = await fetch(`http://${http}${path}`, { method })
  return (await response.json()) as T
}

/** Waits for a condition that has to be asked for. */
export async function eventually<T>(what: string, get: () => Promise<T>, so: (value: T) => boolean, timeoutMs = 15_000): Promise<T> {
  let value: T | undefined
  let asking = false
  let found = false
  await until(
    `${what}`,
    () => {
      if (!asking && !found) {
        asking = true
        get().then(
          (got) => {
            value = got
            found = so(got)
            asking = false
          },
          () => {
            asking = false
          },
        )
      }
      return found
    },
    timeoutMs,
  ).catch((error: Error) => {
    throw new Error(`${error.message}; last: ${JSON.stringify(value)}`)
  })
  return value as T
}

export const followOf = async (node: NodeProcess): Promise<Follow | undefined> => (await ask<{ follow?: Follow }>(node, '/health/role')).follow

export async function warm(node: NodeProcess): Promise<void> {
  await eventually(
    'a warm standby',
    () => followOf(node),
    (follow) => follow?.state === 'warm',
  )
}

/** The digests of both at one batch: the leader's heartbeat names its last one to the standby within a quarter of the lease. */
export async function digests(leader: NodeProcess, standby: NodeProcess): Promise<Readonly<{ leader: string; standby: string }>> {
  type Digest = Readonly<{ batch: number; digest: string }>
  const both = await eventually(
    'both at one batch',
    async () => ({ leader: await ask<Digest>(leader, '/api/state/digest'), standby: await ask<Digest>(standby, '/api/state/digest') }),
    (value) => value.leader.batch === value.standby.batch,
  )
  return { leader: `${both.leader.batch} ${both.leader.digest}`, standby: `${both.standby.batch} ${both.standby.digest}` }
}

export const stompTo = (ready: Ready): Promise<StompWire> => StompWire.connect(addressOf(ready.listeners['stomp'] ?? ''))

/** A producer that keeps one send unanswered at most, sends it again until somebody answers, and goes to whichever node takes it. */
export class Faithful {
  readonly acknowledged: string[] = []
  /** Sent more than once: may be there more than once. */
  readonly doubtful = new Set<string>()
  readonly #nodes: () => readonly NodeProcess[]
  #stopped = false

  constructor(nodes: () => readonly NodeProcess[]) {
    this.#nodes = nodes
  }

  async run(): Promise<void> {
    let wire: StompWire | undefined
    for (let i = 0; !this.#stopped; ) {
      const body = `f${i}`
      try {
        wire ??= await this.#connect()
        await answered(wire, body)
        this.acknowledged.push(body)
        i++
      } catch {
        this.doubtful.add(body)
        wire?.destroy()
        wire = undefined
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    }
    wire?.destroy()
  }

  stop(): void {
    this.#stopped = true
  }

  async #connect(): Promise<StompWire> {
    for (const node of this.#nodes()) {
      const ready = node.ready.at(-1)
      if (ready?.role !== 'active' || node.exit !== undefined) continue
      return await stompTo(ready)
    }
    throw new Error('nobody leads')
  }
}

function answered(wire: StompWire, body: string): Promise<void> {
  return new Promise((resolve, reject) => {
    wire.onReceipt = () => resolve()
    wire.onClosed = () => reject(new Error('closed'))
    if (wire.closed) reject(new Error('closed'))
    else wire.send('SEND', { destination: '/queue/faithful', persistent: 'true', receipt: body }, Buffer.from(body))
  })
}
