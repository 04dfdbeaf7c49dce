// Clients that send right behind CONNECT and close before they are answered, as command-line tools do: what they sent counts once their password was checked.
// Not here: AMQP, whose senders may send nothing before they were given credit.
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { addressOf, until } from '../wire/bytes.ts'
import { NodeProcess, program } from '../wire/node-process.ts'
import { StompWire } from '../wire/stomp-wire.ts'
import { run } from './clients.ts'

const folder = mkdtempSync(join(tmpdir(), 'bascule-hasty-'))
let node: NodeProcess
let at: Readonly<Record<string, string>> = {}

beforeAll(async () => {
  // A fifth of a second, and each is checked anew.
  const { stdout } = await run(process.execPath, [program, 'user', 'hash', '--cost', '14'], { input: 'slow\n' })
  const config = join(folder, 'users.json')
  writeFileSync(config, JSON.stringify({ users: [{ name: 'slow', password: stdout.trim() }], limits: { loginRememberedMs: 0 } }))
  node = new NodeProcess({ data: join(folder, 'data'), args: ['--config', config] })
  at = (await node.leads()).listeners
})

afterAll(async () => {
  await node?.signal('SIGTERM')
  rmSync(folder, { recursive: true, force: true })
})

describe('what is sent behind CONNECT, by a client that closes before its password is checked', () => {
  const text = (value: string): Buffer => Buffer.concat([Buffer.from([0, Buffer.byteLength(value)]), Buffer.from(value)])
  const packet = (first: number, ...parts: Buffer[]): Buffer => {
    const rest = Buffer.concat(parts)
    return Buffer.concat([Buffer.from([first, rest.length]), rest])
  }
  const mqttConnect = packet(0x10, text('MQTT'), Buffer.from([4, 0xc2, 0, 0]), text(''), text('slow'), text('slow'))
  const mqttPublish = packet(0x30, text('users/hasty'), Buffer.from('mqtt'))
  const mqttDisconnect = packet(0xe0)
  const stompConnect = Buffer.from('CONNECT\naccept-version:1.2\nhost:x\nlogin:slow\npasscode:slow\n\n\0')
  const stompSend = Buffer.from('SEND\ndestination:/topic/users.hasty\n\nstomp\0')
  const stompDisconnect = Buffer.from('DISCONNECT\n\n\0')

  const overTcp = async (listener: string, pieces: readonly Buffer[]): Promise<void> => {
    const socket = connect({ ...addressOf(at[listener] ?? ''), noDelay: true })
    socket.resume()
    // Separate reads.
    for (const piece of pieces) await new Promise((sent) => socket.write(piece, () => setImmediate(sent)))
    socket.end()
    await once(socket, 'close')
  }
  const overWebSocket = async (subprotocol: string, pieces: readonly Buffer[]): Promise<void> => {
    const socket = connect({ ...addressOf(at['websocket'] ?? ''), noDelay: true })
    const ws = new WebSocket(`ws://${at['websocket'] ?? ''}`, subprotocol, { createConnection: () => socket })
    await once(ws, 'open')
    // The close frame in the same read as the last message.
    if (pieces.length === 1) socket.cork()
    for (const piece of pieces) {
      ws.send(piece)
      await new Promise((sent) => setImmediate(sent))
    }
    ws.close()
    socket.uncork()
    await once(ws, 'close')
  }
  const mqttPieces = [mqttConnect, mqttPublish, mqttDisconnect]
  const stompPieces = [stompConnect, stompSend, stompDisconnect]

  it.each([
    ['MQTT over TCP, in one write', 'mqtt', () => overTcp('mqtt', [Buffer.concat(mqttPieces)])],
    ['MQTT over TCP, in several', 'mqtt', () => overTcp('mqtt', mqttPieces)],
    ['STOMP over TCP, in one write', 'stomp', () => overTcp('stomp', [Buffer.concat(stompPieces)])],
    ['STOMP over TCP, in several', 'stomp', () => overTcp('stomp', stompPieces)],
    ['MQTT over WebSocket, in one message', 'mqtt', () => overWebSocket('mqtt', [Buffer.concat(mqttPieces)])],
    ['MQTT over WebSocket, in several', 'mqtt', () => overWebSocket('mqtt', mqttPieces)],
    ['STOMP over WebSocket, in one message', 'stomp', () => overWebSocket('v12.stomp', [Buffer.concat(stompPieces)])],
    ['STOMP over WebSocket, in several', 'stomp', () => overWebSocket('v12.stomp', stompPieces)],
  ])('arrives: %s', async (_, body, send) => {
    const listener = await StompWire.connect(addressOf(at['stomp'] ?? ''), { headers: { login: 'slow', passcode: 'slow' } })
    const got: string[] = []
    listener.onMessage = (message) => got.push(message.body.toString())
    await listener.ask('SUBSCRIBE', { id: '0', destination: '/topic/users.hasty' })
    await send()
    await until('the message', () => got.length > 0, 5_000)
    expect(got).toEqual([body])
    listener.destroy()
  })
})
