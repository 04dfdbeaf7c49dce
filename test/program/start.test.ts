// The program while it runs: the ready line and file, signals, a second start on the same directory.
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { spawnBroker } from '../support/process.ts'
import { NodeProcess, program } from '../wire/node-process.ts'
import { temporaryFolder } from './program.ts'

const folder = temporaryFolder()
const stops: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop()
})
afterAll(() => folder.remove())

function keep<T extends { kill(signal: NodeJS.Signals): unknown } | NodeProcess>(process: T): T {
  stops.push(async () => (process instanceof NodeProcess ? process.signal('SIGKILL') : process.kill('SIGKILL')))
  return process
}

const ask = async (address: string, path: string): Promise<unknown> => (await fetch(`http://${address}${path}`)).json()

describe('a node that starts alone', () => {
  it('prints one ready line, writes the same to the ready file, and its listeners answer', async () => {
    const readyFile = folder.path('ready')
    const broker = keep(await spawnBroker({ data: folder.path('one'), args: ['--ready-file', readyFile, '--node', 'n1'] }))
    expect(broker.ready).toMatchObject({ role: 'active', node: 'n1', epoch: 1 })
    expect(Object.keys(broker.ready.listeners)).toEqual(['mqtt', 'stomp', 'amqp', 'websocket', 'http'])
    expect(JSON.parse(readFileSync(readyFile, 'utf8').slice('ready '.length))).toEqual(broker.ready)
    for (const listener of ['mqtt', 'stomp', 'amqp', 'websocket']) {
      const socket = connect(broker.port(listener), '127.0.0.1')
      await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
      socket.destroy()
    }
    expect(await ask(broker.address('http'), '/health/role')).toEqual({ role: 'active', node: 'n1', epoch: 1 })
    expect(await ask(broker.address('http'), '/api/status')).toMatchObject({
      role: 'active',
      listeners: broker.ready.listeners,
      broker: { figures: { connectionsTotal: 4 } },
    })
    expect(await broker.kill('SIGTERM')).toEqual({ code: 0, signal: null })
    expect(existsSync(readyFile)).toBe(false)
  })

  it('has at least eight threads for its files', async () => {
    const broker = keep(await spawnBroker({ data: folder.path('threads') }))
    const environment = readFileSync(`/proc/${broker.pid}/environ`, 'utf8')
    // The variable is set by the program itself, before the pool is made; the pool fills when it is used.
    expect(environment).not.toContain('UV_THREADPOOL_SIZE')
    const tasks = readFileSync(`/proc/${broker.pid}/status`, 'utf8')
    // Node itself has seven: with a pool of four there would be eleven.
    expect(Number(/Threads:\s+(\d+)/.exec(tasks)?.[1])).toBeGreaterThanOrEqual(7 + 8)
  })

  it('stops in order although a client neither reads nor leaves', async () => {
    const broker = keep(await spawnBroker({ data: folder.path('stuck') }))
    const socket = connect(broker.port('stomp'), '127.0.0.1')
    await new Promise((resolve) => socket.once('connect', resolve))
    socket.pause()
    expect(await broker.kill('SIGTERM')).toEqual({ code: 0, signal: null })
    socket.destroy()
  })

  it('counts its epochs up from start to start', async () => {
    const broker = keep(await spawnBroker({ data: folder.path('epochs') }))
    await broker.restart()
    expect(broker.ready.epoch).toBe(2)
    await broker.kill('SIGTERM')
    await broker.restart()
    expect(broker.ready.epoch).toBe(3)
  })

  it('goes on when nobody reads its output any more', async () => {
    const child = spawn(process.execPath, [program, 'start', '--data', folder.path('pipe'), '--ports', 'free', '--log-level', 'debug'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    stops.push(async () => child.kill('SIGKILL'))
    const line = await new Promise<string>((resolve) => child.stdout.setEncoding('utf8').once('data', resolve))
    child.stdout.destroy()
    child.stderr.destroy()
    const { listeners } = JSON.parse(line.slice('ready '.length)) as { listeners: Record<string, string> }
    const exited = new Promise<number | null>((resolve) => child.once('exit', resolve))
    for (let i = 0; i < 20; i++) {
      const socket = connect(Number(listeners.stomp.split(':')[1]), '127.0.0.1')
      await new Promise((resolve) => socket.once('connect', resolve))
      socket.end('NONSENSE\n\n\0').resume()
      await new Promise((resolve) => socket.once('close', resolve))
    }
    expect(await ask(listeners.http, '/health/live')).toEqual({ live: true })
    child.kill('SIGTERM')
    expect(await exited).toBe(0)
  })
})

describe('a second node on the same directory', () => {
  it('says ready as standby with only http, and takes over when the first is killed', async () => {
    const data = folder.path('pair')
    const first = keep(await spawnBroker({ data, args: ['--node', 'a'] }))
    const second = keep(new NodeProcess({ data, args: ['--node', 'b'] }))
    const standby = await second.stands()
    expect(standby).toMatchObject({ role: 'standby', node: 'b' })
    expect(Object.keys(standby.listeners)).toEqual(['http'])
    expect(await ask(standby.listeners.http, '/health/ready')).toEqual({ ready: false, role: 'standby' })
    expect((await fetch(`http://${standby.listeners.http}/api/destinations`)).status).toBe(503)
    const metrics = await (await fetch(`http://${standby.listeners.http}/metrics`)).text()
    expect(metrics).toContain('bascule_role{role="standby"} 1\n')
    expect(metrics).toMatch(/^bascule_follow_batch\{epoch="\d+"\} \d+$/m)
    await first.kill('SIGKILL')
    const active = await second.leads()
    expect(active).toMatchObject({ role: 'active', node: 'b', epoch: 2 })
    expect(active.listeners.http).toBe(standby.listeners.http)
  })

  it('takes over the very ports of a first that is stopped', async () => {
    const data = folder.path('ports')
    const first = keep(await spawnBroker({ data, args: ['--node', 'a'] }))
    const ports = ['mqtt', 'stomp', 'amqp', 'websocket'].flatMap((name) => ['--listen', `${name}=${first.port(name)}`])
    const second = keep(new NodeProcess({ data, args: ['--node', 'b', '--ports', 'fixed', '--listen', 'http=0', ...ports] }))
    await second.stands()
    await first.kill('SIGTERM')
    const active = await second.leads()
    expect(active.listeners.mqtt).toBe(first.address('mqtt'))
  })

  it('stops while it waits', async () => {
    const data = folder.path('waits')
    keep(await spawnBroker({ data }))
    const second = keep(new NodeProcess({ data, args: ['--node', 'b'] }))
    await second.stands()
    await second.signal('SIGTERM')
    expect(second.exit).toEqual({ code: 0, signal: null })
  })

  it('with --claim takes over although the first lives, and the first becomes its standby', async () => {
    const data = folder.path('claim')
    const first = keep(new NodeProcess({ data, args: ['--node', 'a'] }))
    await first.leads()
    const second = keep(new NodeProcess({ data, args: ['--node', 'b', '--claim'] }))
    expect(await second.leads()).toMatchObject({ node: 'b', epoch: 2 })
    // The first notices at its next commit: a durable message makes one.
    const { port } = new URL(`http://${first.active?.listeners.stomp}`)
    const socket = connect(Number(port), '127.0.0.1')
    let answer = ''
    socket.on('data', (bytes) => {
      answer += bytes.toString()
    })
    socket.write('CONNECT\naccept-version:1.2\nhost:x\n\n\0SEND\ndestination:/queue/q\npersistent:true\nreceipt:r\n\nbody\0')
    await new Promise((resolve) => socket.once('close', resolve))
    expect(answer).not.toContain('RECEIPT')
    while (first.ready.length < 2) await new Promise((resolve) => first.child.stdout?.once('data', resolve))
    expect(first.ready[1]).toMatchObject({ role: 'standby' })
    await second.signal('SIGKILL')
    while (first.ready.length < 3) await new Promise((resolve) => first.child.stdout?.once('data', resolve))
    expect(first.ready[2]).toMatchObject({ role: 'active', node: 'a', epoch: 3 })
  })
})
