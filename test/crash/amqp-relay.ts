// Takes messages from one queue and sends them to another, so many in one AMQP transaction: three links of one session (coordinator, receiver, sender).
// What it proves: see stomp-relay.ts. Some of what it takes it settles with the transactional state, the rest when it knows of the commit.
import { TurnSocket, until } from '../wire/bytes.ts'
import type { Ready } from '../wire/node-process.ts'
import type { Actor, Stage } from './actor.ts'
import { accepted, attachOf, binary, bodyOf, bool, composite, CODE, frame, FrameReader, HEADER, NULL, text, uint, type Value } from './amqp-wire.ts'
import { placeOf } from './place.ts'

export interface AmqpRelayOptions {
  readonly from: string
  readonly to: string
  /** Messages of one transaction, at most. */
  readonly most: number
}

const [COORDINATOR, RECEIVER, SENDER] = [0, 1, 2] as const
const WINDOW = 0x7f_ff_ff_ff
/** More than is ever under way, with what is granted anew in between. */
const CREDIT = 100
/** Of a message, in one frame: less than the broker takes. */
const FRAME_BYTES = 60_000

type Message = Readonly<{ id: number; body: Buffer }>

export class AmqpRelay implements Actor {
  readonly name: string
  readonly #stage: Stage
  readonly #options: AmqpRelayOptions
  #socket: TurnSocket | undefined
  #closed = true
  #alive = false
  #attached = 0
  #deliveries = 0
  #received = 0
  #pieces: Buffer[] = []
  #deliveryId = 0
  /** Delivered and not in a transaction that is committed, oldest first. */
  #waiting: Message[] = []
  #underWay: readonly Message[] = []
  /** What the delivery of the last command is answered by. */
  #command = -1
  #then: (state: Value) => void = () => {}

  constructor(name: string, options: AmqpRelayOptions, stage: Stage) {
    this.name = name
    this.#options = options
    this.#stage = stage
  }

  async connect(ready: Ready): Promise<void> {
    this.#waiting = []
    this.#underWay = []
    this.#pieces = []
    this.#attached = 0
    this.#deliveries = 0
    this.#received = 0
    this.#command = -1
    const frames = new FrameReader((code, fields, payload) => this.#frame(code, fields, payload))
    const socket = await TurnSocket.open(placeOf(ready, 'amqp', 'amqp'), {
      data: (bytes) => frames.push(bytes),
      closed: () => {
        if (this.#socket === socket) this.#closed = true
      },
    })
    this.#socket = socket
    this.#closed = false
    this.#alive = true
    const { from, to } = this.#options
    socket.write(HEADER)
    socket.write(frame(CODE.open, [text(this.name), NULL, uint(65_536)]))
    socket.write(frame(CODE.begin, [NULL, uint(0), uint(WINDOW), uint(WINDOW)]))
    socket.write(attachOf(COORDINATOR, 'coordinator', false, composite(0x28, [text('me')]), composite(0x30, [])))
    socket.write(attachOf(RECEIVER, 'receiver', true, composite(0x28, [text(from)]), composite(0x29, [text('me')])))
    socket.write(attachOf(SENDER, 'sender', false, composite(0x28, [text('me')]), composite(0x29, [text(to)])))
    await until('the three links', () => this.#attached === 3)
    this.#grant()
  }

  work(): void {}
  rest(): void {}
  burst(): void {}

  get idle(): boolean {
    return this.#waiting.length === 0 && this.#underWay.length === 0
  }

  get closed(): boolean {
    return this.#closed
  }

  died(): void {
    this.#alive = false
  }

  #grant(): void {
    const fields = [uint(0), uint(WINDOW), uint(0), uint(WINDOW), uint(RECEIVER), uint(this.#received), uint(CREDIT)]
    this.#write(frame(CODE.flow, fields))
  }

  #write(bytes: Buffer): void {
    if (this.#alive) this.#socket?.write(bytes)
  }

  #frame(code: number, fields: readonly Value[], payload: Buffer): void {
    const at = (index: number): number => (typeof fields[index] === 'number' ? fields[index] : 0)
    if (code === CODE.attach) this.#attached++
    else if (code === CODE.transfer) this.#take(at(1), fields[5] === true, payload)
    else if (code === CODE.disposition) {
      if (at(1) <= this.#command && this.#command <= at(2)) this.#then(fields[4])
    } else if (code > CODE.disposition && this.#alive) this.#stage.wrong(`${this.name}: the broker says ${code.toString(16)}`)
  }

  #take(id: number, more: boolean, payload: Buffer): void {
    // Only the first frame need say which delivery it is.
    if (this.#pieces.length === 0) this.#deliveryId = id
    this.#pieces.push(payload)
    if (more) return
    this.#waiting.push({ id: this.#deliveryId, body: bodyOf(Buffer.concat(this.#pieces)) })
    this.#pieces = []
    this.#received++
    if (this.#received % (CREDIT / 2) === 0) this.#grant()
    this.#next()
  }

  #next(): void {
    if (!this.#alive || this.#underWay.length > 0 || this.#waiting.length === 0) return
    const { random } = this.#stage
    this.#underWay = this.#waiting.splice(0, 1 + random.below(this.#options.most))
    // One in four is thought better of, and done again.
    this.#transact(random.below(4) === 0)
  }

  #transact(failsFirst: boolean): void {
    this.#ask(composite(0x31, []), (declared) => {
      const id = binary(bytesOf(declared))
      const settled = !failsFirst && this.#stage.random.below(2) === 0
      for (const { id: delivery, body } of this.#underWay) {
        this.#send(SENDER, Buffer.concat([composite(0x70, [bool(true)]), Buffer.from([0, 0x53, 0x75]), binary(body)]), composite(0x34, [id]))
        this.#settle(delivery, settled, composite(0x34, [id, accepted]))
      }
      const connection = this.#socket
      setTimeout(() => {
        if (connection === this.#socket) this.#discharge(id, failsFirst, settled)
      }, this.#stage.random.below(60))
    })
  }

  #discharge(id: Buffer, fails: boolean, settled: boolean): void {
    this.#ask(composite(0x32, [id, bool(fails)]), (state) => {
      if (!isAccepted(state)) this.#stage.wrong(`${this.name}: a discharge is not accepted`)
      if (fails) {
        this.#transact(false)
        return
      }
      if (!settled) for (const { id: delivery } of this.#underWay) this.#settle(delivery, true, accepted)
      this.#underWay = []
      this.#next()
    })
  }

  #settle(delivery: number, settled: boolean, state: Buffer): void {
    this.#write(frame(CODE.disposition, [bool(true), uint(delivery), uint(delivery), bool(settled), state]))
  }

  /** A command to the coordinator; `then` is told the state of its answer. */
  #ask(command: Buffer, then: (state: Value) => void): void {
    this.#then = then
    this.#command = this.#deliveries
    this.#send(COORDINATOR, Buffer.concat([Buffer.from([0, 0x53, 0x77]), command]), NULL)
  }

  #send(link: number, message: Buffer, state: Buffer): void {
    const id = this.#deliveries++
    for (let at = 0; at < message.length; at += FRAME_BYTES) {
      const more = at + FRAME_BYTES < message.length
      const fields = [uint(link), uint(id), binary(Buffer.from(String(id))), uint(0), bool(false), bool(more), NULL, state]
      this.#write(frame(CODE.transfer, fields, message.subarray(at, at + FRAME_BYTES)))
    }
  }
}

function isAccepted(state: Value): boolean {
  return typeof state === 'object' && 'code' in state && state.code === 0x24
}

/** The transaction's id, in a declared state. */
function bytesOf(state: Value): Buffer {
  const fields = typeof state === 'object' && 'code' in state && state.code === 0x33 ? state.of : undefined
  if (!Buffer.isBuffer(fields)) throw new Error('a declare is not answered by an id')
  return fields.subarray(fields[0] === 0xa0 ? 2 : 5)
}
