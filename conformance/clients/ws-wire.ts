// A connection of WebSocket that sends exactly what it is told and answers nothing by itself: a request, frames, or any other bytes.
import { createHash, randomBytes } from 'node:crypto'
import { connect as connectTcp, type Socket } from 'node:net'
import { fail } from '../outcome.ts'
import type { Trial } from '../trial.ts'
import { Inbox } from './inbox.ts'
import { hex } from './mqtt-wire.ts'
import { type FrameParts, frameEnd, type HttpHead, headEnd, OPCODE, readHead, readWsFrame, statusOf, type WsFrame, writeWsFrame } from './ws-frame.ts'

export type Received = WsFrame & Readonly<{ raw: Buffer }>

/** Headers to send, in their order; undefined: this one is left out. */
export type Request = Readonly<{ start?: string; headers?: Readonly<Record<string, string | undefined>> }>

export class WsWire {
  readonly trial: Trial
  /** Control frames, and what carries data, apart: they come between each other. */
  readonly control: Inbox<Received>
  readonly data: Inbox<Received>
  /** All that came, in order, read or not. */
  readonly all: Received[] = []
  /** Of the last request. */
  key = ''
  readonly #name: string
  readonly #socket: Socket
  readonly #heads: Inbox<HttpHead>
  #rest: Buffer = Buffer.alloc(0)
  #upgraded: boolean | undefined

  private constructor(trial: Trial, socket: Socket) {
    this.trial = trial
    this.#name = trial.wireName()
    this.#socket = socket
    this.control = new Inbox(trial)
    this.data = new Inbox(trial)
    this.#heads = new Inbox(trial)
    socket.on('data', (bytes: Buffer) => this.#received(bytes))
    socket.on('error', () => {})
    socket.on('close', () => {
      trial.line(`${this.#name} ✕ closed`)
      for (const inbox of [this.control, this.data, this.#heads]) inbox.end()
    })
    trial.after(() => void socket.destroy())
  }

  /** A TCP connection on which nothing was said yet. */
  static async open(trial: Trial): Promise<WsWire> {
    const { host, port } = trial.addressOf('ws')
    const socket = connectTcp({ host, port, noDelay: true })
    await trial.within(
      new Promise<void>((resolve, reject) => {
        socket.once('connect', resolve)
        socket.once('error', reject)
      }),
      'the TCP connection did not open',
    )
    return new WsWire(trial, socket)
  }

  /** The request of a hand-shake that is right but for what is said here. */
  request({ start, headers = {} }: Request = {}): string {
    const { host, port, path } = this.trial.addressOf('ws')
    this.key = headers['Sec-WebSocket-Key'] ?? randomBytes(16).toString('base64')
    const all: Record<string, string | undefined> = {
      Host: `${host}:${port}`,
      Upgrade: 'websocket',
      Connection: 'Upgrade',
      'Sec-WebSocket-Key': this.key,
      'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Protocol': 'mqtt, v12.stomp, v11.stomp, v10.stomp, amqp',
      ...headers,
    }
    const lines = Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}\r\n`]))
    return `${start ?? `GET ${path === '' ? '/' : path} HTTP/1.1`}\r\n${lines.join('')}\r\n`
  }

  /** Sends a request; answers the head of the response. */
  async shake(request: Request = {}): Promise<HttpHead> {
    this.text(this.request(request))
    return this.response()
  }

  async response(): Promise<HttpHead> {
    return (await this.responseOrEnd()) ?? fail('the connection was closed without a response to the hand-shake')
  }

  /** Undefined: the connection was closed instead. */
  responseOrEnd(): Promise<HttpHead | undefined> {
    return this.#heads.next('the response to the hand-shake')
  }

  /** What Sec-WebSocket-Accept must be (4.2.2, 5.4). */
  get accept(): string {
    return createHash('sha1').update(`${this.key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
  }

  /** A frame as a client sends it: masked, if it is not said otherwise. */
  frame(parts: FrameParts): void {
    const bytes = writeWsFrame({ mask: randomBytes(4), ...parts })
    this.trial.line(`${this.#name} → ${told(parts)} ${hex(bytes)}`)
    this.#socket.write(bytes)
  }

  /** As it comes. */
  text(text: string): void {
    this.trial.line(`${this.#name} → ${JSON.stringify(text.length > 400 ? `${text.slice(0, 400)}…` : text)}`)
    this.#socket.write(text, 'latin1')
  }

  bytes(bytes: Buffer): void {
    this.trial.line(`${this.#name} → ${hex(bytes)}`)
    this.#socket.write(bytes)
  }

  /** Reads data until what came in all satisfies this; answers it. */
  async until(enough: (stream: Buffer) => boolean, what: string): Promise<Buffer> {
    let stream: Buffer = Buffer.alloc(0)
    while (!enough(stream)) {
      const frame = (await this.data.next(what)) ?? fail(`the connection was closed instead of ${what}`)
      stream = Buffer.concat([stream, frame.payload])
    }
    return stream
  }

  /** The next control frame of this opcode; others before it stay. */
  next(opcode: number, what: string): Promise<Received> {
    return this.control.find((frame): frame is Received => frame.opcode === opcode, what)
  }

  /** Fails unless the server fails the connection: a close frame, perhaps, which is answered, and then the end of TCP. Answers the code; undefined: it said none. */
  async failed(why: string): Promise<number | undefined> {
    const close = await this.trial.within(this.#closeOrEnd(), `the connection was left open: ${why}`)
    if (close === undefined) return undefined
    this.frame({ opcode: OPCODE.close, payload: close.payload })
    await this.control.untilEnd(`TCP was left open after the close frame: ${why}`)
    return codeOf(close)
  }

  async #closeOrEnd(): Promise<Received | undefined> {
    for (;;) {
      const frame = await this.control.next('a close frame or the end of the connection')
      if (frame === undefined || frame.opcode === OPCODE.close) return frame
    }
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #received(bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes])
    if (this.#upgraded === undefined) {
      const end = headEnd(this.#rest)
      if (end < 0) return
      const head = readHead(this.#rest.subarray(0, end))
      this.trial.line(`${this.#name} ← ${JSON.stringify(this.#rest.toString('latin1', 0, Math.min(end, 600)))}`)
      this.#rest = this.#rest.subarray(end)
      this.#upgraded = statusOf(head) === 101
      this.#heads.put(head)
    }
    if (!this.#upgraded) return
    for (let end = frameEnd(this.#rest, 0); end > 0; end = frameEnd(this.#rest, 0)) {
      const raw = this.#rest.subarray(0, end)
      this.#rest = this.#rest.subarray(end)
      const frame = readWsFrame(raw)
      if (frame === undefined) continue
      this.trial.line(`${this.#name} ← ${told(frame)} ${hex(raw)}`)
      this.all.push({ ...frame, raw })
      if (frame.opcode >= OPCODE.close) this.control.put({ ...frame, raw })
      else this.data.put({ ...frame, raw })
    }
  }
}

/** What a close frame says; undefined: nothing. */
export function codeOf({ payload }: WsFrame): number | undefined {
  return payload.length < 2 ? undefined : payload.readUInt16BE(0)
}

function told({ opcode, fin = true }: FrameParts): string {
  const name = Object.entries(OPCODE).find(([, value]) => value === opcode)?.[0] ?? `opcode ${opcode}`
  return fin ? name : `${name} (more follow)`
}
