// The load in AMQP 1.0: frames made once, whose numbers are written anew; of what comes back only dispositions, flows and transfers are looked at.
import type { Duplex } from 'node:stream'
import { EMPTY, type Flow, type FlowSpec, open, Window } from './window.ts'

const CREDIT = 500
const PERFORMATIVE = {
  open: 0x10,
  attach: 0x12,
  flow: 0x13,
  transfer: 0x14,
  disposition: 0x15,
  detach: 0x16,
  end: 0x17,
  close: 0x18,
  mechanisms: 0x40,
  outcome: 0x44,
}

export async function openAmqp(spec: FlowSpec): Promise<Flow> {
  const { bytes, window: size, subscribers } = spec
  const flow = new Window(size)
  const received = new Float64Array(Math.max(1, subscribers))
  for (let i = 0; i < subscribers; i++) {
    let left = 0
    let replies: Buffer[] = []
    const socket = await open(spec)
    flow.sockets.push(socket)
    await attach(socket, `bench-receiver-${i}`, true, flow, {
      each(code, chunk, at) {
        if (code !== PERFORMATIVE.transfer) return
        received[i] = (received[i] ?? 0) + 1
        left--
        replies.push(accepted(numberAt(chunk, fieldAt(chunk, at, 1))))
      },
      after() {
        flow.received = Math.min(...received)
        if (left <= CREDIT / 2) {
          left = CREDIT
          replies.push(credit(received[i] ?? 0))
        }
        if (replies.length > 0) socket.write(Buffer.concat(replies))
        replies = []
      },
    })
    left = CREDIT
    socket.write(credit(0))
  }
  // What the broker allows: by deliveries of the link, and by frames of the session.
  let next = 0
  let deliveries = 0
  let frames = 2048
  /** Slots by delivery, and those that wait for credit. */
  const slots = new Map<number, number>()
  let waiting: number[] = []
  const socket = await open(spec)
  flow.sockets.push(socket)
  await attach(socket, 'bench-sender', false, flow, {
    each(code, chunk, at) {
      if (code === PERFORMATIVE.flow) {
        frames = numberAt(chunk, fieldAt(chunk, at, 0)) + numberAt(chunk, fieldAt(chunk, at, 1))
        if (count(chunk, at) > 6) deliveries = numberAt(chunk, fieldAt(chunk, at, 5)) + numberAt(chunk, fieldAt(chunk, at, 6))
      } else if (code === PERFORMATIVE.disposition) {
        const first = numberAt(chunk, fieldAt(chunk, at, 1))
        const last = fieldAt(chunk, at, 2)
        const to = chunk[last] === 0x40 ? first : numberAt(chunk, last)
        for (let id = first; id <= to; id++) {
          flow.answer(slots.get(id) ?? 0)
          slots.delete(id)
        }
      }
    },
    after() {
      const held = waiting
      waiting = []
      if (held.length > 0) flow.send(held)
      flow.pump()
    },
  })
  socket.on('close', () => {
    flow.error ||= 'the producer was disconnected'
  })
  const body = Buffer.alloc(bytes, 97)
  const head = Buffer.from([0, 0x53, 0x70, 0xc0, 2, 1, 0x41, 0, 0x53, 0x75, 0xb0, 0, 0, 0, 0])
  head.writeUInt32BE(bytes, head.length - 4)
  const transfer = Buffer.concat([frame(PERFORMATIVE.transfer, [[0x43], uint(0), [0xa0, 4, 0, 0, 0, 0], [0x43], [0x42]]), head, body])
  transfer.writeUInt32BE(transfer.length, 0)
  flow.send = (wanted) => {
    const out: Buffer[] = []
    for (const slot of wanted) {
      if (next >= deliveries || next >= frames) {
        waiting.push(slot)
        continue
      }
      const packet = Buffer.from(transfer)
      packet.writeUInt32BE(next, ID_AT)
      packet.writeUInt32BE(next, ID_AT + 6)
      slots.set(next++, slot)
      out.push(packet)
    }
    if (spec.subprotocol === undefined) socket.write(out.length === 1 ? (out[0] ?? EMPTY) : Buffer.concat(out))
    else for (const packet of out) socket.write(packet)
  }
  return flow
}

/** Behind the frame's head, the descriptor, the list's head and the handle: the id, then the tag. */
const ID_AT = 8 + 3 + 3 + 1 + 1

type Heard = Readonly<{ each: (code: number, chunk: Buffer, at: number) => void; after: () => void }>

/** Logs in as nobody, with one session and one link. */
async function attach(socket: Duplex, name: string, receives: boolean, flow: Window, heard: Heard): Promise<void> {
  await new Promise<void>((resolve) => {
    let headers = 2
    let ready = false
    let rest: Buffer = EMPTY
    const on = (code: number, chunk: Buffer, at: number): void => {
      if (code === PERFORMATIVE.mechanisms) socket.write(frame(0x41, [symbol('ANONYMOUS')], 1))
      else if (code === PERFORMATIVE.outcome) socket.write(header(0))
      else if (code === PERFORMATIVE.attach) ready = true
      else if (code === PERFORMATIVE.detach || code === PERFORMATIVE.end || code === PERFORMATIVE.close) flow.error ||= chunk.toString('latin1')
      else heard.each(code, chunk, at)
    }
    socket.on('data', (bytes: Buffer) => {
      const chunk = rest.length === 0 ? bytes : Buffer.concat([rest, bytes])
      let at = 0
      for (;;) {
        if (chunk.length - at < 8) break
        if (headers > 0 && chunk[at] === 0x41) {
          at += 8
          if (--headers === 0) socket.write(Buffer.concat(openings(name, receives)))
          continue
        }
        const size = chunk.readUInt32BE(at)
        if (chunk.length - at < size) break
        // An empty frame is a sign of life.
        if (size > 8) on(chunk[at + 10] ?? 0, chunk, at + 11)
        at += size
      }
      rest = chunk.subarray(at)
      if (!ready) return
      heard.after()
      resolve()
    })
    socket.write(header(3))
  })
}

function openings(name: string, receives: boolean): Buffer[] {
  const queue = described(receives ? 0x28 : 0x29, [text('bench'), ...Array.from({ length: receives ? 9 : 5 }, () => [0x40]), symbol('queue')])
  const nothing = described(receives ? 0x29 : 0x28, [])
  return [
    frame(PERFORMATIVE.open, [text(name), text('127.0.0.1'), uint(65_536)]),
    frame(0x11, [[0x40], uint(0), uint(0x7f_ff_ff_ff), uint(0x7f_ff_ff_ff)]),
    frame(PERFORMATIVE.attach, [
      text(name),
      uint(0),
      [receives ? 0x41 : 0x42],
      [0x50, 0],
      [0x50, 0],
      receives ? queue : nothing,
      receives ? nothing : queue,
      ...(receives ? [] : [[0x40], [0x40], uint(0)]),
    ]),
  ]
}

function credit(received: number): Buffer {
  return frame(PERFORMATIVE.flow, [uint(received), uint(0x7f_ff_ff_ff), uint(0), uint(0x7f_ff_ff_ff), uint(0), uint(received), uint(CREDIT)])
}

function accepted(id: number): Buffer {
  return frame(PERFORMATIVE.disposition, [[0x41], uint(id), [0x40], [0x41], [0, 0x53, 0x24, 0x45]])
}

const header = (protocol: number): Buffer => Buffer.from([0x41, 0x4d, 0x51, 0x50, protocol, 1, 0, 0])

type Bytes = readonly number[] | Buffer

function frame(code: number, fields: readonly Bytes[], type = 0): Buffer {
  const body = described(code, fields)
  const bytes = Buffer.concat([Buffer.from([0, 0, 0, 0, 2, type, 0, 0]), body])
  bytes.writeUInt32BE(bytes.length, 0)
  return bytes
}

function described(code: number, fields: readonly Bytes[]): Buffer {
  const content = Buffer.concat(fields.map((field) => Buffer.from(field)))
  return Buffer.concat([Buffer.from([0, 0x53, code, 0xc0, content.length + 1, fields.length]), content])
}

function uint(value: number): Buffer {
  const bytes = Buffer.from([0x70, 0, 0, 0, 0])
  bytes.writeUInt32BE(value, 1)
  return bytes
}

const text = (value: string): Buffer => Buffer.concat([Buffer.from([0xa1, value.length]), Buffer.from(value)])
const symbol = (value: string): Buffer => Buffer.concat([Buffer.from([0xa3, value.length]), Buffer.from(value)])

/** Where the field of this index begins, of the list at `at`. */
function fieldAt(chunk: Buffer, at: number, index: number): number {
  let field = at + (chunk[at] === 0xc0 ? 3 : 9)
  for (let i = 0; i < index; i++) field += width(chunk, field)
  return field
}

function count(chunk: Buffer, at: number): number {
  return chunk[at] === 0xc0 ? (chunk[at + 2] ?? 0) : chunk.readUInt32BE(at + 5)
}

function width(chunk: Buffer, at: number): number {
  const code = chunk[at] ?? 0
  if (code === 0) {
    const descriptor = 1 + width(chunk, at + 1)
    return descriptor + width(chunk, at + descriptor)
  }
  const half = code >> 4
  if (half >= 0xa) return half % 2 === 0 ? 2 + (chunk[at + 1] ?? 0) : 5 + chunk.readUInt32BE(at + 1)
  return 1 + (half === 4 ? 0 : 2 ** (half - 5))
}

function numberAt(chunk: Buffer, at: number): number {
  const code = chunk[at]
  return code === 0x70 ? chunk.readUInt32BE(at + 1) : code === 0x52 ? (chunk[at + 1] ?? 0) : 0
}
