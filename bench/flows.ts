// The load: one producer and its consumers, closed by a window of unanswered or unreceived messages. Built for one core: packets are
// made once, acknowledgements of one read leave in one write, nothing is parsed that is not needed.
import type { Duplex } from 'node:stream'
import { openAmqp } from './amqp-flow.ts'
import { EMPTY, type Flow, type FlowSpec, open, sender, Window } from './window.ts'

export type { Flow, FlowSpec } from './window.ts'

export async function openFlow(spec: FlowSpec): Promise<Flow> {
  return spec.protocol === 'mqtt' ? openMqtt(spec) : spec.protocol === 'stomp' ? openStomp(spec) : openAmqp(spec)
}

async function openMqtt(spec: FlowSpec): Promise<Flow> {
  const { bytes, window: size, qos, subscribers, session } = spec
  const flow = new Window(size)
  const received = new Float64Array(Math.max(1, subscribers))
  for (let i = 0; i < subscribers; i++) {
    const socket = await open(spec)
    flow.sockets.push(socket)
    let ready = () => {}
    const subscribed = new Promise<void>((resolve) => {
      ready = resolve
    })
    const acks = new Gather(socket)
    scanMqtt(
      socket,
      (head, chunk, body) => {
        const kind = head >> 4
        if (kind === 3) {
          received[i] = (received[i] ?? 0) + 1
          if (qos > 0) {
            const at = body + 2 + chunk.readUInt16BE(body)
            if ((head & 6) !== 0) acks.add((head & 6) === 2 ? 0x40 : 0x50, chunk[at] ?? 0, chunk[at + 1] ?? 0)
          }
        } else if (kind === 6) acks.add(0x70, chunk[body] ?? 0, chunk[body + 1] ?? 0)
        else if (kind === 2) socket.write(Buffer.from([0x82, 12, 0, 1, 0, 7, ...Buffer.from('bench/x'), qos]))
        else if (kind === 9) ready()
      },
      () => {
        acks.flush()
        flow.received = Math.min(...received)
        if (qos === 0) {
          while (flow.answered < flow.received) flow.answer(flow.answered % size)
          flow.pump()
        }
      },
    )
    socket.write(mqttConnect(`bench-sub-${i}`, !session))
    await subscribed
  }
  const socket = await open(spec)
  flow.sockets.push(socket)
  const acks = new Gather(socket)
  const connected = new Promise<void>((resolve) => {
    scanMqtt(
      socket,
      (head, chunk, body) => {
        const kind = head >> 4
        if (kind === 2) resolve()
        else if (kind === 5) acks.add(0x62, chunk[body] ?? 0, chunk[body + 1] ?? 0)
        else flow.answer(chunk.readUInt16BE(body) - 1)
      },
      () => {
        acks.flush()
        flow.pump()
      },
    )
  })
  socket.on('close', () => {
    flow.error ||= 'the producer was disconnected'
  })
  socket.write(mqttConnect('bench-pub', true))
  await connected
  const packets = Array.from({ length: size }, (_, slot) => mqttPublish(qos, slot + 1, bytes))
  flow.send = sender(spec, socket, packets)
  return flow
}

async function openStomp(spec: FlowSpec): Promise<Flow> {
  const { bytes, window: size, subscribers, ack } = spec
  const flow = new Window(size)
  const received = new Float64Array(Math.max(1, subscribers))
  for (let i = 0; i < subscribers; i++) {
    const socket = await open(spec)
    flow.sockets.push(socket)
    let replies = ''
    let last = ''
    let ready = () => {}
    const subscribed = new Promise<void>((resolve) => {
      ready = resolve
    })
    scanStomp(
      socket,
      (head) => {
        if (head.startsWith('MESSAGE')) {
          received[i] = (received[i] ?? 0) + 1
          const at = head.indexOf('\nack:') + 5
          const end = head.indexOf('\n', at)
          last = head.slice(at, end === -1 ? head.length : end)
          if (ack === 'client-individual') replies += `ACK\nid:${last}\n\n\0`
        } else if (head.startsWith('CONNECTED')) socket.write(`SUBSCRIBE\nid:0\ndestination:/queue/bench\nack:${ack}\nreceipt:s\n\n\0`)
        else if (head.startsWith('RECEIPT')) ready()
        else flow.error ||= head
      },
      () => {
        if (ack === 'client' && last !== '') replies = `ACK\nid:${last}\n\n\0`
        last = ''
        if (replies !== '') socket.write(replies, 'latin1')
        replies = ''
        flow.received = Math.min(...received)
      },
    )
    socket.write('CONNECT\naccept-version:1.2\nhost:bench\n\n\0')
    await subscribed
  }
  const socket = await open(spec)
  flow.sockets.push(socket)
  const connected = new Promise<void>((resolve) => {
    scanStomp(
      socket,
      (head) => {
        if (head.startsWith('RECEIPT')) {
          const at = head.indexOf('receipt-id:') + 11
          const end = head.indexOf('\n', at)
          flow.answer(Number(head.slice(at, end === -1 ? head.length : end)))
        } else if (head.startsWith('CONNECTED')) resolve()
        else flow.error ||= head
      },
      () => flow.pump(),
    )
  })
  socket.on('close', () => {
    flow.error ||= 'the producer was disconnected'
  })
  socket.write('CONNECT\naccept-version:1.2\nhost:bench\n\n\0')
  await connected
  const body = Buffer.alloc(bytes, 97)
  const packets = Array.from({ length: size }, (_, slot) =>
    Buffer.concat([Buffer.from(`SEND\ndestination:/queue/bench\npersistent:true\nreceipt:${slot}\ncontent-length:${bytes}\n\n`), body, NUL]),
  )
  flow.send = sender(spec, socket, packets)
  return flow
}

const NUL = Buffer.from([0])

/** Acknowledgements of one read, in one write. */
class Gather {
  readonly #socket: Duplex
  #bytes: Buffer = Buffer.allocUnsafe(4096)
  #length = 0

  constructor(socket: Duplex) {
    this.#socket = socket
  }

  add(head: number, high: number, low: number): void {
    if (this.#length + 4 > this.#bytes.length) this.#bytes = Buffer.concat([this.#bytes, Buffer.allocUnsafe(this.#bytes.length)])
    this.#bytes[this.#length++] = head
    this.#bytes[this.#length++] = 2
    this.#bytes[this.#length++] = high
    this.#bytes[this.#length++] = low
  }

  flush(): void {
    if (this.#length > 0) this.#socket.write(Buffer.from(this.#bytes.subarray(0, this.#length)))
    this.#length = 0
  }
}

function scanMqtt(socket: Duplex, each: (head: number, chunk: Buffer, body: number) => void, after: () => void): void {
  let rest: Buffer = EMPTY
  socket.on('data', (bytes: Buffer) => {
    const chunk = rest.length === 0 ? bytes : Buffer.concat([rest, bytes])
    let at = 0
    for (;;) {
      let length = 0
      let shift = 0
      let body = at + 1
      let byte = 128
      while (byte > 127 && body < chunk.length) {
        byte = chunk[body++] ?? 0
        length |= (byte & 127) << shift
        shift += 7
      }
      if (byte > 127 || body + length > chunk.length) break
      each(chunk[at] ?? 0, chunk, body)
      at = body + length
    }
    rest = chunk.subarray(at)
    after()
  })
}

function scanStomp(socket: Duplex, each: (head: string) => void, after: () => void): void {
  let rest: Buffer = EMPTY
  socket.on('data', (bytes: Buffer) => {
    const chunk = rest.length === 0 ? bytes : Buffer.concat([rest, bytes])
    let at = 0
    for (;;) {
      while (chunk[at] === 10) at++
      const end = chunk.indexOf('\n\n', at, 'latin1')
      if (end === -1) break
      const head = chunk.toString('latin1', at, end)
      const length = head.indexOf('\ncontent-length:')
      const stop = length === -1 ? chunk.indexOf(0, end + 2) : end + 2 + Number.parseInt(head.slice(length + 16), 10)
      if (stop === -1 || stop >= chunk.length) break
      each(head)
      at = stop + 1
    }
    rest = chunk.subarray(at)
    after()
  })
}

export function mqttConnect(clientId: string, clean: boolean): Buffer {
  const id = Buffer.from(clientId)
  return Buffer.concat([Buffer.from([0x10, 12 + id.length, 0, 4, 77, 81, 84, 84, 4, clean ? 2 : 0, 0, 0, 0, id.length]), id])
}

function mqttPublish(qos: number, id: number, bytes: number): Buffer {
  const length = 9 + (qos > 0 ? 2 : 0) + bytes
  const size = length < 128 ? [length] : [(length & 127) | 128, length >> 7]
  const packetId = qos > 0 ? [id >> 8, id & 255] : []
  return Buffer.concat([Buffer.from([0x30 | (qos << 1), ...size, 0, 7, ...Buffer.from('bench/x'), ...packetId]), Buffer.alloc(bytes, 97)])
}
