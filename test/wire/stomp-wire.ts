// A raw STOMP client for tests and benches: it sends exactly what it is told, when it is told, and acknowledges nothing by itself.
// Its codec is its own on purpose: an oracle that shared the broker's would share its mistakes. It trusts its broker's framing.
import { type Place, TurnSocket } from './bytes.ts'

export interface StompFrame {
  readonly command: string
  readonly headers: ReadonlyMap<string, string>
  readonly body: Buffer
}

export type StompHeaders = Readonly<Record<string, string>>

export interface StompConnect {
  readonly version?: '1.0' | '1.1' | '1.2'
  readonly headers?: StompHeaders
}

export class StompWire {
  onMessage: (message: StompFrame) => void = () => {}
  onReceipt: (id: string) => void = () => {}
  onError: (error: StompFrame) => void = () => {}
  onClosed: (error: Error | undefined) => void = () => {}
  closed = false
  connected: StompFrame | undefined
  /** The last ERROR frame. */
  error: StompFrame | undefined
  #socket: TurnSocket | undefined
  #rest: Buffer | undefined
  #onConnected: (frame: StompFrame) => void = () => {}
  readonly #receipts = new Map<string, () => void>()
  #lastReceipt = 0

  /** Ends with CONNECTED; refuses with an error for ERROR or when the connection closes first. */
  static async connect(address: Place, { version = '1.2', headers = {} }: StompConnect = {}): Promise<StompWire> {
    const wire = new StompWire()
    const socket = await TurnSocket.open(address, {
      data: (bytes) => wire.#data(bytes),
      closed: (error) => {
        wire.closed = true
        wire.onClosed(error)
      },
    })
    wire.#socket = socket
    await new Promise<void>((resolve, reject) => {
      wire.onClosed = () => reject(new Error(`closed before CONNECTED: ${wire.error?.body.toString() ?? 'no ERROR'}`))
      wire.#onConnected = (frame) => {
        wire.connected = frame
        resolve()
      }
      wire.send('CONNECT', { ...(version === '1.0' ? {} : { 'accept-version': version, host: 'bascule' }), ...headers })
    })
    wire.onClosed = () => {}
    return wire
  }

  write(bytes: Buffer): void {
    this.#socket?.write(bytes)
  }

  flush(): void {
    this.#socket?.flush()
  }

  /** Any frame. Header values are sent as they are: what needs escapes is escaped by the caller. */
  send(command: string, headers: StompHeaders, body: Buffer = EMPTY): void {
    this.write(stompFrame(command, headers, body))
  }

  /** Ends with the RECEIPT of this frame. */
  ask(command: string, headers: StompHeaders, body: Buffer = EMPTY): Promise<void> {
    const receipt = `ask-${++this.#lastReceipt}`
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`no receipt for ${command} within 10 s; last ERROR: ${this.error?.body.toString() ?? 'none'}`)),
        10_000,
      )
      timer.unref()
      this.#receipts.set(receipt, () => {
        clearTimeout(timer)
        resolve()
      })
      this.send(command, { ...headers, receipt }, body)
    })
  }

  async disconnect(): Promise<void> {
    await this.ask('DISCONNECT', {})
    this.#socket?.end()
  }

  /** As a crash of the client. */
  destroy(): void {
    this.#socket?.destroy()
  }

  #data(bytes: Buffer): void {
    const chunk = this.#rest === undefined ? bytes : Buffer.concat([this.#rest, bytes])
    this.#rest = undefined
    let at = 0
    for (;;) {
      while (chunk[at] === LF || chunk[at] === CR) at++
      const headEnd = chunk.indexOf('\n\n', at, 'latin1')
      if (headEnd === -1) break
      const lines = chunk.toString('utf8', at, headEnd).split('\n')
      const headers = new Map<string, string>()
      for (let i = 1; i < lines.length; i++) {
        const line = lines[i] ?? ''
        const colon = line.indexOf(':')
        const name = line.slice(0, colon)
        if (!headers.has(name)) headers.set(name, line.slice(colon + 1))
      }
      const start = headEnd + 2
      const length = headers.get('content-length')
      const end = length === undefined ? chunk.indexOf(0, start) : start + Number(length)
      if (end === -1 || end >= chunk.length) break
      this.#frame({ command: lines[0] ?? '', headers, body: chunk.subarray(start, end) })
      at = end + 1
    }
    if (at < chunk.length) this.#rest = chunk.subarray(at)
  }

  #frame(frame: StompFrame): void {
    switch (frame.command) {
      case 'MESSAGE':
        this.onMessage(frame)
        return
      case 'RECEIPT': {
        const id = frame.headers.get('receipt-id') ?? ''
        const asked = this.#receipts.get(id)
        this.#receipts.delete(id)
        if (asked === undefined) this.onReceipt(id)
        else asked()
        return
      }
      case 'CONNECTED':
        this.#onConnected(frame)
        return
      default:
        this.error = frame
        this.onError(frame)
    }
  }
}

export function stompFrame(command: string, headers: StompHeaders, body: Buffer = EMPTY): Buffer {
  let head = `${command}\n`
  for (const name in headers) head += `${name}:${headers[name]}\n`
  return Buffer.concat([Buffer.from(`${head}\n`), body, NUL])
}

const EMPTY = Buffer.alloc(0)
const NUL = Buffer.from([0])
const LF = 10
const CR = 13
