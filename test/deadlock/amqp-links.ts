// One AMQP connection and one session with as many links as a test wants, over frames of its own (`crash/amqp-wire.ts`): transfers leave as credit
// and window allow, receivers have the credit they are given and nothing is settled by itself.
import { type Place, TurnSocket } from '../wire/bytes.ts'
import {
  accepted,
  attachOf,
  binary,
  bodyOf,
  bool,
  CODE,
  composite,
  frame,
  FrameReader,
  HEADER,
  list,
  NULL,
  string8,
  text,
  uint,
  type Value,
} from '../crash/amqp-wire.ts'

const WINDOW = 0x7f_ff_ff_ff

export interface AmqpReceiver {
  readonly handle: number
  onMessage: (body: string, delivery: number) => void
}

export interface AmqpSender {
  readonly handle: number
  /** What the broker allows still. */
  credit: number
  onCredit: () => void
}

/** What is not in the body of a message that is sent. */
export type Sections = Readonly<{ properties?: Readonly<Record<string, string>>; group?: string; transaction?: Buffer }>

export class AmqpLinks {
  closed = false
  /** Detach, End or Close: none is expected. */
  ended = ''
  #socket: TurnSocket | undefined
  readonly #receivers = new Map<number, AmqpReceiver & { count: number; credit: number }>()
  readonly #senders = new Map<number, AmqpSender & { count: number }>()
  readonly #outcomes = new Map<number, (state: Value) => void>()
  #attached: (() => void) | undefined
  #handles = 0
  #deliveries = 0
  #transfers = 0
  #remoteWindow = 0
  #transfersIn = 0

  static async connect(place: Place): Promise<AmqpLinks> {
    const links = new AmqpLinks()
    const frames = new FrameReader((code, fields, payload) => links.frame(code, fields, payload))
    const socket = await TurnSocket.open(place, {
      data: (bytes) => frames.push(bytes),
      closed: () => {
        links.closed = true
      },
    })
    links.#socket = socket
    socket.write(HEADER)
    socket.write(frame(CODE.open, [text('deadlock'), NULL, uint(65_536)]))
    socket.write(frame(CODE.begin, [NULL, uint(0), uint(WINDOW), uint(WINDOW)]))
    return links
  }

  async sender(address: string): Promise<AmqpSender> {
    return this.#sending(composite(0x29, [text(address)]))
  }

  /** To which `declare` and `discharge` go. */
  async coordinator(): Promise<AmqpSender> {
    return this.#sending(composite(0x30, []))
  }

  async #sending(target: Buffer): Promise<AmqpSender> {
    const handle = this.#handles++
    const sender = { handle, credit: 0, count: 0, onCredit() {} }
    this.#senders.set(handle, sender)
    await this.#attach(attachOf(handle, `link ${handle}`, false, composite(0x28, [text('me')]), target))
    return sender
  }

  /** With a selector, or for everything. */
  async receiver(address: string, credit: number, selector?: string): Promise<AmqpReceiver> {
    const handle = this.#handles++
    const receiver = { handle, count: 0, credit: 0, onMessage() {} }
    this.#receivers.set(handle, receiver)
    const filter = selector === undefined ? [] : [NULL, NULL, NULL, NULL, NULL, NULL, filterOf(selector)]
    await this.#attach(attachOf(handle, `link ${handle}`, true, composite(0x28, [text(address), ...filter]), composite(0x29, [text('me')])))
    this.grant(receiver, credit)
    return receiver
  }

  #attach(bytes: Buffer): Promise<void> {
    this.#socket?.write(bytes)
    return new Promise((resolve) => {
      this.#attached = resolve
    })
  }

  grant({ handle }: AmqpReceiver, credit: number): void {
    const receiver = this.#receivers.get(handle)
    if (receiver === undefined) return
    receiver.credit += credit
    const fields = [uint(this.#transfersIn), uint(WINDOW), uint(0), uint(WINDOW), uint(handle), uint(receiver.count), uint(receiver.credit)]
    this.#socket?.write(frame(CODE.flow, fields))
  }

  /** Accepted and settled; in a transaction, if one is named. */
  accept(delivery: number): void {
    this.#socket?.write(frame(CODE.disposition, [bool(true), uint(delivery), uint(delivery), bool(true), accepted]))
  }

  /** False: there is no credit or no window for it. */
  send(sender: AmqpSender, body: string, { properties, group, transaction }: Sections, outcome: (state: Value) => void): boolean {
    const message = [composite(0x70, [bool(true)])]
    // group-id is the eleventh field of the properties.
    if (group !== undefined) message.push(composite(0x73, [...Array.from({ length: 10 }, () => NULL), text(group)]))
    if (properties !== undefined) message.push(Buffer.from([0, 0x53, 0x74]), list(0xd1, Object.entries(properties).flat().map(text)))
    message.push(Buffer.from([0, 0x53, 0x75]), binary(Buffer.from(body)))
    return this.#transfer(sender, Buffer.concat(message), transaction === undefined ? NULL : composite(0x34, [binary(transaction)]), outcome)
  }

  /** Ends with the transaction's id. */
  declare(coordinator: AmqpSender): Promise<Buffer> {
    return this.#command(coordinator, composite(0x31, [])).then((state) => idOf(state))
  }

  async commit(coordinator: AmqpSender, id: Buffer): Promise<void> {
    const state = await this.#command(coordinator, composite(0x32, [binary(id), bool(false)]))
    if (!isAccepted(state)) throw new Error('a discharge was not accepted')
  }

  #command(coordinator: AmqpSender, command: Buffer): Promise<Value> {
    return new Promise((resolve, reject) => {
      const sent = this.#transfer(coordinator, Buffer.concat([Buffer.from([0, 0x53, 0x77]), command]), NULL, resolve)
      if (!sent) reject(new Error('the coordinator gives no credit'))
    })
  }

  #transfer(sender: AmqpSender, message: Buffer, state: Buffer, outcome: (state: Value) => void): boolean {
    const of = this.#senders.get(sender.handle)
    if (of === undefined || of.credit === 0 || this.#remoteWindow === 0) return false
    of.credit--
    of.count++
    this.#remoteWindow--
    this.#transfers++
    const id = this.#deliveries++
    this.#outcomes.set(id, outcome)
    const fields = [uint(of.handle), uint(id), binary(Buffer.from(String(id))), uint(0), bool(false), bool(false), NULL, state]
    this.#socket?.write(frame(CODE.transfer, fields, message))
    return true
  }

  destroy(): void {
    this.#socket?.destroy()
  }

  frame(code: number, fields: readonly Value[], payload: Buffer): void {
    const at = (index: number): number => (typeof fields[index] === 'number' ? fields[index] : 0)
    switch (code) {
      case CODE.open:
        return
      case CODE.begin:
        this.#remoteWindow = at(2)
        return
      case CODE.attach:
        this.#attached?.()
        return
      case CODE.flow: {
        this.#remoteWindow = at(0) + at(1) - this.#transfers
        const sender = fields[4] === undefined ? undefined : this.#senders.get(at(4))
        if (sender !== undefined) sender.credit = at(5) + at(6) - sender.count
        for (const each of this.#senders.values()) each.onCredit()
        return
      }
      case CODE.transfer: {
        this.#transfersIn++
        const receiver = this.#receivers.get(at(0))
        if (receiver === undefined) return
        receiver.count++
        receiver.credit--
        receiver.onMessage(bodyOf(payload).toString(), at(1))
        return
      }
      case CODE.disposition:
        for (let id = at(1); id <= (fields[2] === undefined ? at(1) : at(2)); id++) {
          this.#outcomes.get(id)?.(fields[4])
          this.#outcomes.delete(id)
        }
        return
      default:
        this.ended ||= `the broker says ${code.toString(16)}: ${fields.map(String).join(' ')}`
    }
  }
}

export function isAccepted(state: Value): boolean {
  return typeof state === 'object' && 'code' in state && state.code === 0x24
}

/** The transaction's id, in a declared state. */
function idOf(state: Value): Buffer {
  const fields = typeof state === 'object' && 'code' in state && state.code === 0x33 ? state.of : undefined
  if (!Buffer.isBuffer(fields)) throw new Error('a declare is not answered by an id')
  return fields.subarray(fields[0] === 0xa0 ? 2 : 5)
}

/** A map of one filter: a selector, by its symbolic descriptor. */
function filterOf(selector: string): Buffer {
  const name = string8(0xa3, 'apache.org:selector-filter:string')
  return list(0xd1, [name, Buffer.concat([Buffer.from([0]), name, text(selector)])])
}
