// A STOMP client for tests that say in words what they expect: frames in the order in which they came, waited for.
import { type StompFrame, type StompHeaders, StompWire } from '../wire/stomp-wire.ts'

export type Got = Readonly<{ headers: ReadonlyMap<string, string>; destination: string; text: string }>

export class StompClient {
  readonly wire: StompWire
  readonly #messages: StompFrame[] = []
  #wake: () => void = () => {}

  constructor(wire: StompWire) {
    this.wire = wire
    wire.onMessage = (frame) => {
      this.#messages.push({ ...frame, body: Buffer.from(frame.body) })
      this.#wake()
    }
    wire.onError = () => this.#wake()
    wire.onClosed = () => this.#wake()
  }

  static async connect(port: number, headers: StompHeaders = {}): Promise<StompClient> {
    return new StompClient(await StompWire.connect({ host: '127.0.0.1', port }, { headers }))
  }

  ask(command: string, headers: StompHeaders, body = ''): Promise<void> {
    return this.wire.ask(command, headers, Buffer.from(body))
  }

  ack(message: Got): void {
    this.wire.send('ACK', { id: message.headers.get('ack') ?? '' })
  }

  async message(): Promise<Got> {
    await this.#until(() => this.#messages.length > 0)
    return shown(this.#messages.shift())
  }

  async error(): Promise<Got> {
    await this.#until(() => false)
    return shown(this.wire.error)
  }

  /** How many have come that nobody asked for. */
  get waiting(): number {
    return this.#messages.length
  }

  async #until(so: () => boolean): Promise<void> {
    while (!so()) {
      if (this.wire.error !== undefined || this.wire.closed) break
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }
}

function shown(frame: StompFrame | undefined): Got {
  if (frame === undefined) throw new Error('the connection ended, or an ERROR came, or none did')
  return { headers: frame.headers, destination: frame.headers.get('destination') ?? '', text: frame.body.toString() }
}
