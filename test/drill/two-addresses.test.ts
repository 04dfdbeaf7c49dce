// How stock clients are told of two addresses: the examples of docs/failover/active-standby.md, held to through a kill and a hand-over.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import mqtt from 'mqtt'
import stompit, { type Client } from 'stompit'
import { afterEach, describe, expect, it } from 'vitest'
import { ask } from '../../src/pair/ask.ts'
import { freePorts } from '../../src/pair/ports.ts'
import { python, whySkipped } from '../clients/clients.ts'
import { temporaryFolder } from '../program/program.ts'
import { until } from '../wire/bytes.ts'
import { NodeProcess } from '../wire/node-process.ts'

const folder = temporaryFolder()
const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const each of cleanUps.splice(0).reverse()) await each()
  folder.remove()
})

const HOST = '127.0.0.1'
const NAMES = ['a', 'b'] as const

/** Two nodes whose ports are known before they are open; `a` leads. */
async function startPair(name: string) {
  const ports = await freePorts(6)
  const at = (node: number) => ({ mqtt: ports[node * 3], stomp: ports[node * 3 + 1], http: ports[node * 3 + 2] })
  const start = (node: number): NodeProcess => {
    const listen = Object.entries(at(node)).flatMap(([each, port]) => ['--listen', `${each}=${HOST}:${port}`])
    const process = new NodeProcess({ data: folder.path(name), ports: false, args: ['--node', NAMES[node], ...listen] })
    cleanUps.push(() => process.signal('SIGKILL'))
    return process
  }
  const a = start(0)
  await a.leads()
  const b = start(1)
  await b.stands()
  return { a, b, ports: [at(0), at(1)] as const }
}

async function handOver(port: number): Promise<void> {
  let status = 0
  await until(
    'the hand-over is taken',
    () =>
      status === 200 ||
      (void ask(`${HOST}:${port}`, '/api/failover', { method: 'POST', timeoutMs: 10_000 }).then((answer) => (status = answer?.status ?? 0)), false),
    10_000,
  )
}

describe('two addresses', () => {
  it('MQTT.js: servers', { timeout: 40_000 }, async () => {
    const { a, b, ports } = await startPair('mqtt-js')
    const client = await mqtt.connectAsync({
      servers: ports.map((each) => ({ host: HOST, port: each.mqtt, protocol: 'mqtt' as const })),
      clientId: 'shop',
      clean: false,
      protocolVersion: 4,
      reconnectPeriod: 100,
    })
    cleanUps.push(() => client.endAsync(true))
    client.on('error', () => {})
    const got: string[] = []
    client.on('message', (_topic, payload) => got.push(payload.toString()))
    await client.subscribeAsync('orders/#', { qos: 1 })
    await client.publishAsync('orders/eu', 'before', { qos: 1 })
    const killed = a.signal('SIGKILL')
    await client.publishAsync('orders/eu', 'after', { qos: 1 })
    await killed
    expect(b.active).toMatchObject({ epoch: 2 })
    await until('both messages', () => new Set(got).size === 2)
  })

  it.each(['kill', 'hand-over'])('stompit: ConnectFailover, %s', { timeout: 40_000 }, async (how) => {
    const { a, b, ports } = await startPair(`stompit-${how}`)
    const servers = new stompit.ConnectFailover(
      ports.map((each) => ({ host: HOST, port: each.stomp, connectHeaders: { 'heart-beat': '5000,5000' } })),
      { initialReconnectDelay: 100, maxReconnectDelay: 1_000 },
    )
    let current: Client | undefined
    let connects = 0
    const got: string[] = []
    let over = false
    cleanUps.push(() => {
      over = true
      current?.destroy()
    })
    servers.connect((error, client, reconnect) => {
      if (error !== null) return
      current = client
      connects++
      // Without this a broken connection ends the process.
      client.on('error', () => {
        if (!over) reconnect()
      })
      client.subscribe({ destination: '/queue/orders', ack: 'client-individual' }, (failed, message) => {
        if (failed !== null) return
        message.readString('utf8', (_, body = '') => {
          got.push(body)
          client.ack(message)
        })
      })
    })
    const send = (body: string): Promise<void> =>
      new Promise((resolve) => void current?.send({ destination: '/queue/orders', persistent: 'true' }, { onReceipt: resolve }).end(body))
    await until('a connection', () => connects === 1)
    await send('before')
    await until('the first message', () => got.length === 1)
    if (how === 'kill') await a.signal('SIGKILL')
    else await handOver(ports[0].http)
    await until('another connection', () => connects === 2, 15_000)
    expect(b.active).toMatchObject({ epoch: 2 })
    await send('after')
    await until('the second message', () => got.includes('after'))
  })
})

const stompPy = python('stomp.py', '9.0.0')
const paho = python('paho-mqtt', '2.2.0')

async function runPython(path: string, script: string, ...args: readonly string[]) {
  const child = spawn(path, [join(import.meta.dirname, script), ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  cleanUps.push(() => child.kill('SIGKILL'))
  let out = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text
  })
  return { says: (word: string) => until(`${word} of\n${out}`, () => out.includes(word), 20_000) }
}

describe('two addresses, Python', () => {
  it.skipIf(!stompPy.found)(`stomp.py: host_and_ports${whySkipped(stompPy)}`, { timeout: 40_000 }, async () => {
    const { a, ports } = await startPair('stomp-py')
    const client = await runPython(stompPy.found ? stompPy.path : '', 'two_addresses_stomp.py', ...ports.map((each) => String(each.stomp)))
    await client.says('got before')
    await a.signal('SIGKILL')
    await client.says('got after')
  })

  it.skipIf(!paho.found)(`paho: an address at a time${whySkipped(paho)}`, { timeout: 40_000 }, async () => {
    const { a, ports } = await startPair('paho')
    const client = await runPython(paho.found ? paho.path : '', 'two_addresses_paho.py', ...ports.map((each) => String(each.mqtt)))
    await client.says('got before')
    await a.signal('SIGKILL')
    await client.says('got after')
  })
})
