// Packets in any order, cut anywhere, some bytes of them wrong, from clients that go at any moment: nothing but their connections ends, and nothing of them stays.
import { once } from 'node:events'
import { connect } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import { SeededRandom } from '../../../src/random.ts'
import { Inbox, Node } from '../fake-node.ts'

let node: Node
afterEach(async () => node.stop())

const CONNECTS = ['1010 0004 4d515454 04 00 003c 0004 6b657074', '1013 0004 4d515454 04 06 003c 0001 61 0001 77 0001 77'].map(bytes)
const PACKETS = [
  ...['8206 0001 0001 74 02', '8206 0002 0001 23 01', 'a205 0007 0001 74', '820f 0001 000a 2473686172652f672f74 01'],
  ...['3005 0003 612f62', '3106 0001 74 7878 7a', '3206 0001 74 0007 78', '3406 0001 74 0008 79', '6202 0008'],
  ...['4002 0001', '5002 0001', '6202 0001', '7002 0001', 'c000', 'e000'],
].map(bytes)

it('whatever comes, the connections that it came by end, and leave nothing open', async () => {
  node = await new Node({ engine: 'aedes' }).start()
  const { core } = node.core
  const before = core.figures().sessionsOpen
  for (let seed = 0; seed < 400; seed++) await misbehave(new SeededRandom(seed))
  await node.core.until(() => core.figures().sessionsOpen === before)
  const good = await node.client()
  const inbox = new Inbox(good)
  await good.subscribeAsync('good', { qos: 1 })
  await good.publishAsync('good', 'x', { qos: 1 })
  await inbox.first(1)
  expect(inbox.texts).toEqual(['x'])
})

async function misbehave(random: SeededRandom): Promise<void> {
  const packets = Array.from({ length: 1 + random.below(30) }, () => PACKETS[random.below(PACKETS.length)])
  const stream = Buffer.concat([CONNECTS[random.below(2)], ...packets])
  for (let wrong = random.below(3); wrong > 0; wrong--) stream[random.below(stream.length)] = random.below(256)
  const socket = connect(node.port, '127.0.0.1')
  socket.on('error', () => {})
  socket.resume()
  await once(socket, 'connect')
  const closed = new Promise<void>((resolve) => {
    socket.once('close', () => resolve())
  })
  for (let at = 0; at < stream.length; ) {
    const until = at + 1 + random.below(60)
    socket.write(stream.subarray(at, until))
    at = until
    if (random.below(2) === 0) await turns(1)
  }
  await turns(random.below(20))
  if (random.below(2) === 0) socket.destroy()
  else socket.end()
  await closed
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve))
}

function bytes(hex: string): Buffer {
  return Buffer.from(hex.replace(/ /g, ''), 'hex')
}
