// docs/LIFECYCLE.md, kept true: one message is sent its whole way, and every function that the document names must have been called.
// The engine's own call counts say so; nothing in the broker knows of this test.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { Session } from 'node:inspector/promises'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import { connectAsync } from 'mqtt'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startBroker } from './support/broker.ts'

const STEP = /^ {3}(\S+\.ts) +(#?\w+)/gm
const steps = [...readFileSync(new URL('../docs/LIFECYCLE.md', import.meta.url), 'utf8').matchAll(STEP)].map(([, file, name]) => ({ file, name }))

/** `file name` of every function called while the message was under way. */
const called = new Set<string>()

beforeAll(async () => {
  const inspector = new Session()
  inspector.connect()
  await inspector.post('Profiler.enable')
  await inspector.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false })
  const broker = await startBroker()
  await oneMessage(broker.port('mqtt'), broker.port('stomp'))
  await broker.stop()
  const { result } = await inspector.post('Profiler.takePreciseCoverage')
  inspector.disconnect()
  const root = fileURLToPath(new URL('../', import.meta.url))
  for (const script of result) {
    const path = script.url.startsWith('file:') ? fileURLToPath(script.url) : script.url
    const file = path.slice(path.indexOf(root) + root.length).replace(/\?.*/, '')
    for (const { functionName, ranges } of script.functions) if (ranges.some(({ count }) => count > 0)) called.add(`${file} ${functionName}`)
  }
}, 30_000)

afterAll(() => {
  called.clear()
})

describe('the way of one message', () => {
  it('is drawn with at least thirty steps', () => {
    expect(steps.length).toBeGreaterThanOrEqual(30)
  })

  it.each(steps)('goes through $name of $file', ({ file, name }) => {
    expect(called.has(`${file} ${name}`)).toBe(true)
  })
})

/** MQTT in, stored, to a durable STOMP subscription, acknowledged with a receipt. Read back from disk: the subscriber comes later. */
async function oneMessage(mqttPort: number, stompPort: number): Promise<void> {
  const socket = connect(stompPort, '127.0.0.1')
  let text = ''
  const until = async (mark: RegExp): Promise<RegExpExecArray> => {
    for (;;) {
      const found = mark.exec(text)
      if (found !== null) return found
      const [chunk] = await once(socket, 'data')
      text += String(chunk)
    }
  }
  socket.write('CONNECT\naccept-version:1.2\nhost:x\nclient-id:shop\n\n\0')
  await until(/^CONNECTED/)
  const subscribe = 'SUBSCRIBE\nid:1\ndestination:/topic/orders.>\nactivemq.subscriptionName:all\nack:client-individual\nreceipt:'
  socket.write(`${subscribe}made\n\n\0UNSUBSCRIBE\nid:1\nreceipt:left\n\n\0`)
  await until(/receipt-id:left/)
  const publisher = await connectAsync(`mqtt://127.0.0.1:${mqttPort}`)
  await publisher.publishAsync('orders/eu', 'tea', { qos: 1 })
  await publisher.endAsync()
  socket.write(`${subscribe}back\n\n\0`)
  const [, ack] = await until(/\nack:([^\n]+)[^\0]*\n\ntea\0/)
  socket.write(`ACK\nid:${ack}\nreceipt:done\n\n\0`)
  await until(/receipt-id:done/)
  socket.destroy()
}
