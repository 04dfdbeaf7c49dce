// A connection of STOMP that sends exactly what it is told, acknowledges nothing by itself and sends no heart-beats: frames, or any other bytes.
import { connect as connectTcp, type Socket } from 'node:net'
import { fail } from '../outcome.ts'
import type { Trial } from '../trial.ts'
import { Inbox } from './inbox.ts'
import { escape, escapes, type Frame, type Header, header, readFrame, unescape, type Version, whyUnreadable, writeFrame } from './stomp-frame.ts'
import { splitter } from './stomp-framing.ts'

/** A frame from the broker: its headers decoded as the version has it, and its bytes. */
export type Received = Frame & Readonly<{ raw: Buffer }>

/** Headers to send, in their order. */
export type Headers = Readonly<Record<string, string>>

export class StompWire {
  readonly inbox: Inbox<Received>
  readonly version: Version
  /** When bytes came, in milliseconds of this process. */
  readonly heardAtMs: number[] = []
  /** Line ends that came between frames, but for those that came together with the frame before them, or the first behind it: they may be its own. */
  readonly beats: Inbox<Buffer>
  readonly trial: Trial
  readonly #name: string
  readonly #socket: Socket
  #behindFrame = false
  #receipts = 0

  private constructor(trial: Trial, version: Version, socket: Socket) {
    this.trial = trial
    this.version = version
    this.#name = trial.wireName()
    this.#socket = socket
    this.inbox = new Inbox(trial)
    this.beats = new Inbox(trial)
    const split = splitter()
    socket.on('data', (bytes: Buffer) => {
      this.heardAtMs.push(performance.now())
      let behindFrame = false
      for (const raw of split(bytes)) behindFrame = this.#received(raw, behindFrame) || behindFrame
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      trial.line(`${this.#name} ✕ closed`)
      this.inbox.end()
      this.beats.end()
    })
    trial.after(() => void socket.destroy())
  }

  /** A TCP connection on which nothing was said yet. */
  static async open(trial: Trial, version: Version): Promise<StompWire> {
    const socket = connectTcp({ ...trial.address, noDelay: true })
    await trial.within(
      new Promise<void>((resolve, reject) => {
        socket.once('connect', resolve)
        socket.once('error', reject)
      }),
      'the TCP connection did not open',
    )
    return new StompWire(trial, version, socket)
  }

  /** Headers are escaped as the version has it; a body gets no content-length that is not given. */
  send(command: string, headers: Headers | readonly Header[] = {}, body: string | Buffer = ''): void {
    const pairs: readonly Header[] = Array.isArray(headers) ? headers : Object.entries(headers)
    const escaped = escapes(command, this.version)
      ? pairs.map(([name, value]): Header => [escape(name, this.version), escape(value, this.version)])
      : pairs
    this.bytes(writeFrame({ command, headers: escaped, body: Buffer.from(body) }))
  }

  /** Anything. */
  bytes(bytes: string | Buffer): void {
    const all = Buffer.from(bytes)
    this.trial.line(`${this.#name} → ${shown(all)}`)
    this.#socket.write(all)
  }

  /** The next frame of this command; what came before it stays unread. An ERROR instead ends the search. */
  async next(command: string): Promise<Received> {
    const frame = await this.inbox.find(
      (each): each is Received => each.command === command || each.command === 'ERROR',
      `${command} to ${this.#name}`,
    )
    if (frame.command !== command) fail(`${told(frame)} came where ${command} was due`)
    return frame
  }

  /** Sends a frame that asks for a receipt, and waits for that. */
  async call(command: string, headers: Headers = {}, body: string | Buffer = ''): Promise<Received> {
    const receipt = `r-${++this.#receipts}`
    this.send(command, { ...headers, receipt }, body)
    return this.receipt(receipt)
  }

  /** The RECEIPT of this name. */
  async receipt(name: string): Promise<Received> {
    const frame = await this.inbox.find(
      (each): each is Received => each.command === 'ERROR' || (each.command === 'RECEIPT' && header(each, 'receipt-id') === name),
      `RECEIPT ${name} to ${this.#name}`,
    )
    if (frame.command === 'ERROR') fail(`${told(frame)} came where RECEIPT ${name} was due`)
    return frame
  }

  /** Fails unless an ERROR comes and the broker closes the connection after it; answers the ERROR. */
  async refused(why: string): Promise<Received> {
    const error = await this.error(why)
    await this.inbox.untilEnd(`the connection was left open after ERROR: ${why}`)
    return error
  }

  /** The next ERROR, whatever the broker does with the connection then. */
  error(why: string): Promise<Received> {
    return this.inbox.find((each): each is Received => each.command === 'ERROR', `ERROR to ${this.#name} (${why})`)
  }

  /** Fails unless the broker answers ERROR or closes the connection; answers what came before. */
  async refusedOrClosed(why: string): Promise<readonly Received[]> {
    const before: Received[] = []
    for (;;) {
      const frame = await this.inbox.next(`ERROR to ${this.#name}, or the end of the connection (${why})`)
      if (frame === undefined || frame.command === 'ERROR') return before
      before.push(frame)
    }
  }

  /** Fails unless the broker closes the connection; answers what came before and was not read. */
  async closed(why: string): Promise<readonly Received[]> {
    await this.inbox.untilEnd(`the connection was left open: ${why}`)
    return this.inbox.unread
  }

  /** As if the network failed, or the client did. */
  destroy(): void {
    this.#socket.destroy()
  }

  /** Answers whether it is a frame. `behindFrame`: one came before it in the same bytes. */
  #received(raw: Buffer, behindFrame: boolean): boolean {
    const frame = readFrame(raw)
    this.trial.line(`${this.#name} ← ${shown(raw)}`)
    if (frame === undefined) {
      if (!behindFrame && !this.#behindFrame) this.beats.put(raw)
      this.#behindFrame = false
      return false
    }
    this.#behindFrame = true
    const unreadable = whyUnreadable(raw)
    if (unreadable !== undefined) {
      this.inbox.spoil(`a frame came that cannot be read (${unreadable}): ${shown(raw)}`)
      return true
    }
    const headers = escapes(frame.command, this.version)
      ? frame.headers.map(([name, value]): Header => [unescape(name, this.version), unescape(value, this.version)])
      : frame.headers
    this.inbox.put({ ...frame, headers, raw })
    return true
  }
}

/** A frame in a sentence. */
export function told(frame: Frame): string {
  const message = header(frame, 'message')
  return message === undefined ? frame.command : `${frame.command} (${message})`
}

/** Bytes for people: text, with what cannot be seen as escapes. */
export function shown(bytes: Buffer): string {
  const text = JSON.stringify(bytes.subarray(0, 300).toString('utf8')).slice(1, -1).replaceAll('\\u0000', '^@').replaceAll('\\"', '"')
  return bytes.length > 300 ? `${text} … (${bytes.length} bytes)` : text
}
