// What every flow of the load generator is made of: a socket or WebSocket, and a window of unanswered or unreceived messages.
import { connect } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import { createWebSocketStream, WebSocket } from 'ws'

export interface FlowSpec {
  readonly port: number
  readonly protocol: 'mqtt' | 'stomp' | 'amqp'
  /** Over WebSocket, by this name. */
  readonly subprotocol?: string
  /** Over TLS: what the broker shows is taken. */
  readonly tls?: boolean
  readonly bytes: number
  readonly window: number
  readonly qos: 0 | 1 | 2
  readonly subscribers: number
  /** MQTT: a persistent session. STOMP and AMQP: persistent messages always. */
  readonly session: boolean
  /** STOMP: how the consumer settles. */
  readonly ack: 'client' | 'client-individual'
}

export interface Flow {
  /** Messages that all subscribers received, or that were answered when there is no subscriber. */
  received: number
  answered: number
  /** Answer times in ms while `measuring`. */
  readonly answerMs: number[]
  measuring: boolean
  error: string
  start(): void
  /** Sends no more. */
  stop(): void
  close(): void
}

export async function open({ port, subprotocol, tls = false }: FlowSpec): Promise<Duplex> {
  if (subprotocol !== undefined) {
    const ws = new WebSocket(`ws://127.0.0.1:${port}`, subprotocol)
    await new Promise((resolve, reject) => ws.once('open', resolve).once('error', reject))
    return createWebSocketStream(ws).on('error', () => {})
  }
  const socket = tls ? connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }) : connect({ port, host: '127.0.0.1', noDelay: true })
  await new Promise((resolve, reject) => {
    socket.once(tls ? 'secureConnect' : 'connect', resolve)
    socket.once('error', reject)
  })
  socket.on('error', () => {})
  return socket
}

/** What is common: slots of a window, each with its packet and the time it was sent. */
export class Window implements Flow {
  received = 0
  answered = 0
  readonly answerMs: number[] = []
  measuring = false
  error = ''
  readonly sockets: Duplex[] = []
  readonly sentMs: Float64Array
  readonly free: number[]
  send: (slots: readonly number[]) => void = () => {}
  #stopped = true

  constructor(size: number) {
    this.sentMs = new Float64Array(size)
    this.free = Array.from({ length: size }, (_, i) => size - 1 - i)
  }

  start(): void {
    this.#stopped = false
    this.pump()
  }

  stop(): void {
    this.#stopped = true
  }

  close(): void {
    for (const socket of this.sockets) socket.destroy()
  }

  answer(slot: number): void {
    this.answered++
    if (this.measuring) this.answerMs.push(performance.now() - (this.sentMs[slot] ?? 0))
    this.free.push(slot)
  }

  pump(): void {
    if (this.#stopped || this.free.length === 0) return
    const slots = this.free.splice(0)
    const now = performance.now()
    for (const slot of slots) this.sentMs[slot] = now
    this.send(slots)
  }
}

/** In one write; over WebSocket as clients do there, a message for each packet. */
export function sender({ subprotocol }: FlowSpec, socket: Duplex, packets: readonly Buffer[]): (slots: readonly number[]) => void {
  if (subprotocol === undefined) return (slots) => void socket.write(Buffer.concat(slots.map((slot) => packets[slot] ?? EMPTY)))
  return (slots) => {
    for (const slot of slots) socket.write(packets[slot] ?? EMPTY)
  }
}

export const EMPTY = Buffer.alloc(0)
