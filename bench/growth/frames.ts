// A load of STOMP frames for measuring what many subscriptions cost: frames are made once and received ones only counted, by their NUL.
import { connect, type Socket } from 'node:net'
import { until } from '../../test/wire/bytes.ts'

export interface Spread {
  /** Frames of SUBSCRIBE, by connection. */
  readonly subscribe: readonly (readonly string[])[]
  /** The frame of the nth message, with its NUL. */
  readonly send: (number: number) => Buffer
  /** Deliveries that each message causes. */
  readonly each: number
  readonly seconds: number
}

export type Spreading = Readonly<{ deliveriesPerSecond: number; subscribeMs: number; p99Ms: number }>

/** Messages are sent one window after another, so that what is measured is the broker's work and not a queue in front of it. */
export async function spread(port: number, { subscribe, send, each, seconds }: Spread): Promise<Spreading> {
  let came = 0
  const begun = performance.now()
  const sockets: Socket[] = []
  for (const frames of subscribe) {
    const socket = await open(port)
    sockets.push(socket)
    let answered = 0
    const count = (bytes: Buffer) => {
      answered += nuls(bytes)
    }
    socket.on('data', count)
    // One receipt at the end says that all are subscribed.
    socket.write(`${frames.join('')}SUBSCRIBE\nid:last\ndestination:/topic/growth.nobody\nreceipt:last\n\n\0`)
    await until('the subscriptions', () => answered >= 1, 120_000)
    socket.off('data', count)
    socket.on('data', (bytes: Buffer) => {
      came += nuls(bytes)
    })
  }
  const subscribeMs = performance.now() - begun
  const producer = await open(port)
  const window = Math.max(1, Math.floor(200 / each))
  const times: number[] = []
  let sent = 0
  const from = performance.now()
  while (performance.now() - from < seconds * 1000) {
    const at = performance.now()
    const frames = Array.from({ length: window }, () => send(sent++))
    producer.write(Buffer.concat(frames))
    await until('the deliveries', () => came >= sent * each, 60_000, 0)
    times.push(performance.now() - at)
  }
  const rate = came / ((performance.now() - from) / 1000)
  for (const socket of [...sockets, producer]) socket.destroy()
  times.sort((a, b) => a - b)
  return { deliveriesPerSecond: rate, subscribeMs, p99Ms: times[Math.floor(times.length * 0.99)] ?? Number.NaN }
}

async function open(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  socket.write('CONNECT\naccept-version:1.2\nhost:bench\n\n\0')
  await new Promise((resolve, reject) => socket.once('data', resolve).once('error', reject))
  return socket
}

function nuls(bytes: Buffer): number {
  let count = 0
  for (let at = bytes.indexOf(0); at >= 0; at = bytes.indexOf(0, at + 1)) count++
  return count
}
