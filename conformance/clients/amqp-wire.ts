// A connection of AMQP 1.0 that sends exactly what it is told and answers nothing by itself: performatives by name, any other bytes as they are.
import { connect as connectTcp, type Socket } from 'node:net'
import { fail, mustEqual, notSupported } from '../outcome.ts'
import type { Trial } from '../trial.ts'
import { type Composite, compositeOf, type Performative, type SaslFrame, toValue, type Written } from './amqp-composite.ts'
import { frame, type FrameOptions, header, isHeader, splitter } from './amqp-framing.ts'
import { decode, textOf } from './amqp-value.ts'
import { Inbox } from './inbox.ts'
import { hex } from './mqtt-wire.ts'

type Frame = Readonly<{ channel: number; payload: Buffer; raw: Buffer }>

/** What came: a frame by the name of its performative, `header` (the protocol header), `empty` (a frame without a body), or `unreadable`. */
export type Received<K extends ReceivedKind = ReceivedKind> = Extract<AnyReceived, Readonly<{ kind: K }>>
type AnyReceived =
  | { [K in Performative | SaslFrame]: Composite<K> & Frame }[Performative | SaslFrame]
  | (Readonly<{ kind: 'header'; protocol: number; version: string }> & Frame)
  | (Readonly<{ kind: 'empty' }> & Frame)
  | (Readonly<{ kind: 'unreadable'; why: string }> & Frame)
export type ReceivedKind = Performative | SaslFrame | 'header' | 'empty' | 'unreadable'

export class AmqpWire {
  readonly inbox: Inbox<Received>
  /** Sentences on what came and is not as part 1 or the performatives' definitions have it. */
  readonly faults: string[] = []
  /** What came after the broker's close. */
  readonly afterClose: Received[] = []
  #closed = false
  /** Bytes of the largest frame that came. */
  largestFrame = 0
  readonly #transfers = new Map<number, number>()
  readonly #deliveries = new Map<string, number>()
  readonly trial: Trial
  readonly #name: string
  readonly #socket: Socket

  private constructor(trial: Trial, socket: Socket) {
    this.trial = trial
    this.#name = trial.wireName()
    this.#socket = socket
    this.inbox = new Inbox(trial)
    const split = splitter()
    socket.on('data', (bytes: Buffer) => {
      for (const raw of split(bytes)) this.#received(raw)
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      trial.line(`${this.#name} ✕ closed`)
      this.inbox.end()
    })
    trial.after(() => void socket.destroy())
  }

  /** A TCP connection on which nothing was said yet. */
  static async open(trial: Trial): Promise<AmqpWire> {
    const socket = connectTcp({ ...trial.address, noDelay: true })
    await trial.within(
      new Promise<void>((resolve, reject) => {
        socket.once('connect', resolve)
        socket.once('error', reject)
      }),
      'the TCP connection did not open',
    )
    return new AmqpWire(trial, socket)
  }

  /** Bytes as they are, a performative in a frame of its channel, or (nothing) an empty frame. */
  send(what: Buffer | Written<Performative | SaslFrame> | undefined, options: FrameOptions = {}): void {
    const sasl = what !== undefined && 'kind' in what && what.kind.startsWith('sasl') ? { type: 1 } : {}
    const bytes = Buffer.isBuffer(what) ? what : frame(what === undefined ? undefined : toValue(what), { ...sasl, ...options })
    const name = Buffer.isBuffer(what) ? 'bytes' : what === undefined ? 'empty' : `${what.kind} ${textOf(toValue(what).value)}`
    this.#trialLine('→', name, bytes)
    this.#socket.write(bytes)
  }

  /** The protocol header. */
  sendHeader(protocol: number, version?: readonly number[]): void {
    this.send(header(protocol, version))
  }

  /** The next frame of this kind; what came before it stays unread. */
  next<K extends ReceivedKind>(kind: K, channel?: number): Promise<Received<K>> {
    const is = (piece: Received): piece is Received<K> => piece.kind === kind && (channel === undefined || piece.channel === channel)
    return this.#find(is, `${kind} to ${this.#name}`)
  }

  /** The next frame of this kind that `is` so. `over`: what comes where it cannot come any more, beside close. */
  nextThat<K extends ReceivedKind>(
    kind: K,
    what: string,
    is: (piece: Received<K>) => boolean,
    over?: (piece: Received) => boolean,
  ): Promise<Received<K>> {
    return this.#find((piece): piece is Received<K> => piece.kind === kind && is(piece as Received<K>), `${what} to ${this.#name}`, over)
  }

  /** The next frame that is one of these, whichever comes first. */
  nextOf<K extends ReceivedKind>(...kinds: readonly K[]): Promise<Received<K>> {
    const is = (piece: Received): piece is Received<K> => (kinds as readonly ReceivedKind[]).includes(piece.kind)
    return this.#find(is, `${kinds.join(' or ')} to ${this.#name}`)
  }

  /** The next frame that is one of these, all before it read; undefined when the connection ends without one. */
  async firstOf<K extends ReceivedKind>(...kinds: readonly K[]): Promise<Received<K> | undefined> {
    const is = (piece: Received): piece is Received<K> => (kinds as readonly ReceivedKind[]).includes(piece.kind)
    for (;;) {
      const piece = await this.inbox.next(`${kinds.join(' or ')} to ${this.#name}`)
      if (piece === undefined || is(piece)) return piece
    }
  }

  /** Announces a protocol; the broker must answer with the same header. */
  async headers(protocol: number): Promise<void> {
    this.sendHeader(protocol)
    const answer = await this.next('header')
    mustEqual(answer.protocol, protocol, 'the protocol of the header that came back')
  }

  /** Fails unless the broker closes the connection; answers what came before and was not read. */
  async closed(why: string): Promise<readonly Received[]> {
    await this.inbox.untilEnd(`the connection was left open: ${why}`)
    return this.inbox.unread
  }

  /** Transfers that came on this channel. */
  transfersIn(channel: number): number {
    return this.#transfers.get(channel) ?? 0
  }

  /** Deliveries of which the last transfer came, by the broker's channel and handle. */
  deliveriesIn(channel: number, handle: number): number {
    return this.#deliveries.get(`${channel} ${handle}`) ?? 0
  }

  /** Half-closes: FIN. */
  end(): void {
    this.#socket.end()
  }

  /** As if the network failed. */
  destroy(): void {
    this.#socket.destroy()
  }

  /** Reads no more from the network until `resume`. */
  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  async #find<K extends ReceivedKind>(
    is: (piece: Received) => piece is Received<K>,
    what: string,
    over: (piece: Received) => boolean = () => false,
  ): Promise<Received<K>> {
    const found = await this.inbox.find(
      (piece): piece is Received => is(piece) || piece.kind === 'unreadable' || piece.kind === 'close' || over(piece),
      what,
    )
    if (is(found)) return found
    if (found.kind === 'unreadable') return fail(`what came instead of ${what} cannot be read: ${found.why}`)
    const error = found.kind === 'close' || found.kind === 'end' ? found.error : undefined
    const condition = error?.kind === 'error' ? (error.condition ?? 'no condition') : 'no error'
    const seen = `${found.kind} (${condition}) came instead of ${what}`
    return condition === 'amqp:not-implemented' ? notSupported(seen) : fail(seen)
  }

  #received(raw: Buffer): void {
    if (raw.length > this.largestFrame) this.largestFrame = raw.length
    const { piece, name } = read(raw, this.faults)
    this.#trialLine('←', name, raw)
    if (piece.kind === 'transfer') this.#count(piece)
    if (this.#closed) this.afterClose.push(piece)
    this.#closed ||= piece.kind === 'close'
    this.inbox.put(piece)
  }

  #count({ channel, handle, more, aborted }: Received<'transfer'>): void {
    this.#transfers.set(channel, this.transfersIn(channel) + 1)
    if (more === true && aborted !== true) return
    const link = `${channel} ${handle ?? 0}`
    this.#deliveries.set(link, (this.#deliveries.get(link) ?? 0) + 1)
  }

  #trialLine(arrow: string, name: string, bytes: Buffer): void {
    this.trial.line(`${this.#name} ${arrow} ${name} | ${hex(bytes)}`)
  }
}

/** A header or a frame for what it is. */
export function read(raw: Buffer, faults: string[] = []): Readonly<{ piece: Received; name: string }> {
  const bare = { channel: raw.length < 8 ? 0 : raw.readUInt16BE(6), payload: Buffer.alloc(0), raw }
  if (isHeader(raw)) {
    const version = [...raw.subarray(5)].join('.')
    return { piece: { kind: 'header', protocol: raw[4] ?? 0, version, ...bare }, name: `header ${raw[4]} ${version}` }
  }
  const body = raw.subarray((raw[4] ?? 2) * 4)
  if (body.length === 0) return { piece: { kind: 'empty', ...bare }, name: 'empty' }
  try {
    const { value, end } = decode(body)
    const composite = compositeOf(value, faults)
    if (composite === undefined) throw new Error(`${textOf(value)} is no performative`)
    const payload = body.subarray(end)
    const more = payload.length === 0 ? '' : ` + ${payload.length} bytes`
    const text = `${composite.kind} ${textOf(value.type === 'described' ? value.value : value)}${more}`
    return { piece: { ...composite, ...bare, payload } as Received, name: text.length > 300 ? `${text.slice(0, 300)}…` : text }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    faults.push(why)
    return { piece: { kind: 'unreadable', why, ...bare }, name: `unreadable (${why})` }
  }
}
