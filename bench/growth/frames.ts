// A load of STOMP frames for measuring what many subscriptions cost: frames are made once and received ones only counted, by their NUL. It must not be the
// limit of what it measures: it reads into one buffer, steps over what every frame has in common, and sleeps until the last delivery is there.
import { connect, type Socket } from 'node:net'
import { cpuMs } from '../cpu.ts'

export interface Spread {
  /** Frames of SUBSCRIBE, by connection. */
  readonly subscribe: readonly (readonly string[])[]
  /** The frame of the nth message, with its NUL. */
  readonly send: (number: number) => Buffer
  /** Bytes that every delivered frame has before its NUL, at least. */
  readonly frameBytesMin: number
  /** Deliveries that each message causes. */
  readonly each: number
  readonly seconds: number
  /** The broker. */
  readonly pid: number
}

export type Spreading = Readonly<{ perSecond: number; p99Ms: number; cpuUs: number; loadCpuUs: number }>

const WARM_MS = 1000

/** Messages are sent one window after another, so that what is measured is the broker's work and not a queue in front of it. */
export async function spread(port: number, { subscribe, send, frameBytesMin, each, seconds, pid }: Spread): Promise<Spreading> {
  let came = 0
  let wanted = Number.POSITIVE_INFINITY
  let arrived = (): void => {}
  const sockets: Socket[] = []
  for (const frames of subscribe) {
    let skip = 0
    let subscribed = (): void => {}
    const receipt = new Promise<void>((resolve) => {
      subscribed = resolve
    })
    // Where in the stream the next NUL can be, from the beginning of the next read. CONNECTED and one receipt, which says that all are subscribed, come first.
    let from = 0
    let answers = 0
    const socket = await open(port, (bytes, length) => {
      let at = from
      while (at < length) {
        if (bytes[at++] !== 0) continue
        if (answers < 2) {
          answers++
          if (answers === 2) {
            skip = frameBytesMin
            subscribed()
          }
        } else came++
        at += skip
      }
      from = at - length
      if (came < wanted) return
      wanted = Number.POSITIVE_INFINITY
      arrived()
    })
    sockets.push(socket)
    socket.write(`${frames.join('')}SUBSCRIBE\nid:last\ndestination:/topic/growth.nobody\nreceipt:last\n\n\0`)
    await receipt
  }
  const producer = await open(port, () => {})
  const window = Math.max(1, Math.floor(200 / each))
  let sent = 0
  const run = async (ms: number): Promise<number[]> => {
    const times: number[] = []
    for (const from = performance.now(); performance.now() - from < ms; ) {
      const at = performance.now()
      const frames = Array.from({ length: window }, () => send(sent++))
      const all = new Promise<void>((resolve) => {
        wanted = sent * each
        arrived = resolve
      })
      producer.write(Buffer.concat(frames))
      await all
      times.push(performance.now() - at)
    }
    return times
  }
  await run(WARM_MS)
  const before = { came, broker: cpuMs(pid), load: process.cpuUsage(), at: performance.now() }
  const times = await run(seconds * 1000)
  const deliveries = came - before.came
  const load = process.cpuUsage(before.load)
  const perSecond = deliveries / ((performance.now() - before.at) / 1000)
  const cpuUs = ((cpuMs(pid) - before.broker) * 1000) / deliveries
  for (const socket of [...sockets, producer]) socket.destroy()
  times.sort((a, b) => a - b)
  return { perSecond, p99Ms: times[Math.floor(times.length * 0.99)] ?? Number.NaN, cpuUs, loadCpuUs: (load.user + load.system) / deliveries }
}

/** All sockets read into it: what comes is looked at at once. */
const READ = Buffer.allocUnsafeSlow(256 * 1024)

async function open(port: number, came: (bytes: Buffer, length: number) => void): Promise<Socket> {
  let connected = (): void => {}
  const onread = {
    buffer: READ,
    callback: (length: number, bytes: Uint8Array): boolean => {
      connected()
      came(Buffer.from(bytes.buffer, bytes.byteOffset, length), length)
      return true
    },
  }
  const socket = connect({ port, host: '127.0.0.1', noDelay: true, onread })
  socket.write('CONNECT\naccept-version:1.2\nhost:bench\n\n\0')
  await new Promise<void>((resolve, reject) => {
    connected = resolve
    socket.once('error', reject)
  })
  return socket
}
