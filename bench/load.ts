// The load generator, a process of its own so that it can be pinned to another core: `load.ts '{"task": …}'` prints one line of JSON.
import { closeSync, constants, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type FlowSpec, mqttConnect, openFlow } from './flows.ts'

export type Task =
  | Readonly<{ task: 'flow'; spec: FlowSpec; pid: number; seconds: number }>
  /** Fills the queue with so many messages and leaves them. */
  | Readonly<{ task: 'fill'; spec: FlowSpec; pid: number; messages: number }>
  | Readonly<{ task: 'idle'; port: number; pid: number; connections: number }>
  /** Bare synced 4 KiB writes to a pre-allocated file, and a byte there and back over loopback. */
  | Readonly<{ task: 'floor'; directory: string; seconds: number }>

const HERTZ = 100

function usage(pid: number): { cpuMs: number; rssBytes: number } {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const rss = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
    return { cpuMs: ((Number(fields[11]) + Number(fields[12])) * 1000) / HERTZ, rssBytes: Number(rss?.[1] ?? 0) * 1024 }
  } catch {
    return { cpuMs: Number.NaN, rssBytes: Number.NaN }
  }
}

function percentile(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN
}

async function run(task: Task): Promise<Readonly<Record<string, number | string>>> {
  switch (task.task) {
    case 'flow': {
      const flow = await openFlow(task.spec)
      flow.start()
      await sleep(700)
      const before = usage(task.pid)
      const mine = process.cpuUsage()
      const begun = performance.now()
      const from = task.spec.subscribers > 0 ? flow.received : flow.answered
      flow.measuring = true
      await sleep(task.seconds * 1000)
      const seconds = (performance.now() - begun) / 1000
      const count = (task.spec.subscribers > 0 ? flow.received : flow.answered) - from
      const after = usage(task.pid)
      const own = process.cpuUsage(mine)
      flow.stop()
      flow.close()
      const times = flow.answerMs.toSorted((a, b) => a - b)
      return {
        perSecond: Math.round((count * Math.max(1, task.spec.subscribers)) / seconds),
        brokerCpuUs: (1000 * (after.cpuMs - before.cpuMs)) / (count * Math.max(1, task.spec.subscribers)),
        answerP50Ms: percentile(times, 0.5),
        answerP99Ms: percentile(times, 0.99),
        loadCpu: (own.user + own.system) / 1e6 / seconds,
        ...(flow.error === '' ? {} : { error: flow.error }),
      }
    }
    case 'fill': {
      const before = usage(task.pid)
      const flow = await openFlow(task.spec)
      const begun = performance.now()
      flow.start()
      while (flow.answered < task.messages && flow.error === '') await sleep(5)
      const seconds = (performance.now() - begun) / 1000
      flow.stop()
      await sleep(500)
      const after = usage(task.pid)
      flow.close()
      return {
        perSecond: Math.round(flow.answered / seconds),
        messages: flow.answered,
        rssMiB: after.rssBytes / 2 ** 20,
        rssBeforeMiB: before.rssBytes / 2 ** 20,
      }
    }
    case 'idle': {
      const before = usage(task.pid)
      const begun = performance.now()
      const sockets = []
      for (let i = 0; i < task.connections; i += 100) {
        const some = await Promise.all(
          Array.from({ length: Math.min(100, task.connections - i) }, (_, n) => {
            const socket = connect(task.port, '127.0.0.1')
            socket.write(mqttConnect(`idle-${i + n}`, true))
            return new Promise<typeof socket>((resolve, reject) => {
              socket.once('data', () => resolve(socket))
              socket.once('error', reject)
            })
          }),
        )
        sockets.push(...some)
      }
      const seconds = (performance.now() - begun) / 1000
      await sleep(3000)
      const after = usage(task.pid)
      for (const socket of sockets) socket.destroy()
      return { perSecond: Math.round(task.connections / seconds), kibEach: (after.rssBytes - before.rssBytes) / 1024 / task.connections }
    }
    case 'floor': {
      const path = join(task.directory, 'floor')
      const write = constants.O_WRONLY | constants.O_CREAT
      const plain = openSync(path, write)
      for (let i = 0; i < 16; i++) writeSync(plain, Buffer.alloc(2 ** 20, 1))
      closeSync(plain)
      const file = openSync(path, write | constants.O_DSYNC)
      const block = Buffer.alloc(4096, 2)
      const writes: number[] = []
      const end = performance.now() + task.seconds * 500
      for (let at = 0; performance.now() < end; at = (at + 4096) % 2 ** 24) {
        const begun = performance.now()
        writeSync(file, block, 0, 4096, at)
        writes.push(performance.now() - begun)
      }
      closeSync(file)
      rmSync(path)
      const trips = await echo(task.seconds * 500)
      writes.sort((a, b) => a - b)
      trips.sort((a, b) => a - b)
      return { syncP50Ms: percentile(writes, 0.5), syncP99Ms: percentile(writes, 0.99), tripP50Ms: percentile(trips, 0.5) }
    }
  }
}

/** Round trips of 1 KiB over loopback, within this process. */
async function echo(ms: number): Promise<number[]> {
  const server = createServer({ noDelay: true }, (socket) => socket.pipe(socket))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const socket = connect({ port: typeof address === 'object' && address !== null ? address.port : 0, host: '127.0.0.1', noDelay: true })
  const times: number[] = []
  const bytes = Buffer.alloc(1024)
  const end = performance.now() + ms
  await new Promise<void>((resolve) => {
    let sent = performance.now()
    let got = 0
    socket.on('data', (chunk) => {
      got += chunk.length
      if (got < bytes.length) return
      got = 0
      times.push(performance.now() - sent)
      if (performance.now() > end) {
        resolve()
        return
      }
      sent = performance.now()
      socket.write(bytes)
    })
    socket.write(bytes)
  })
  socket.destroy()
  server.close()
  return times
}

const given: Task = JSON.parse(process.argv[2] ?? '')
console.log(JSON.stringify(await run(given)))
process.exit(0)
