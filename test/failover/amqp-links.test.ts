// What an AMQP client sees of a takeover in the middle of what is unsettled, both ways: docs/protocols/amqp.md, "Links that outlive their connection".
// With rhea, whose links ask to outlive their connection: a takeover forgets that, and what was under way is sent again.
import rhea, { type Connection, type ConnectionOptions, type EventContext, type Receiver, type Sender } from 'rhea'
import { afterEach, expect, it } from 'vitest'
import { addressOf, until } from '../wire/bytes.ts'
import type { Ready } from '../wire/node-process.ts'
import { Pair } from './nodes.ts'

const pairs: Pair[] = []
const connections: Connection[] = []
afterEach(async () => {
  for (const connection of connections.splice(0)) connection.close()
  for (const pair of pairs.splice(0)) await pair.end()
})

/** Asked of each terminus: to be kept as long as there is. */
const KEPT = { durable: 1, expiry_policy: 'never', timeout: 60 } as const

async function connect(ready: Ready): Promise<Connection> {
  const { host, port } = addressOf(ready.listeners['amqp'] ?? '')
  const connection = rhea.create_container({ id: 'one' }).connect({ host, port, reconnect: false } as ConnectionOptions)
  connections.push(connection)
  connection.on('disconnected', () => {})
  await new Promise<void>((resolve) => connection.once('connection_open', () => resolve()))
  return connection
}

async function senderTo(connection: Connection, address: string): Promise<Sender> {
  const sender = connection.open_sender({ name: `to ${address}`, target: { address, ...KEPT } as never })
  await new Promise<void>((resolve) => sender.once('sendable', () => resolve()))
  return sender
}

type Got = Readonly<{ id: number; first: boolean; failures: number; context: EventContext }>

function receive(connection: Connection, address: string, credit: number, more: object = {}): Readonly<{ receiver: Receiver; got: Got[] }> {
  const options = { name: 'r', source: { address, ...KEPT } as never, autoaccept: false, credit_window: 0, ...more }
  const receiver = connection.open_receiver(options)
  const got: Got[] = []
  receiver.on('message', (context: EventContext) => {
    const { message_id: id, first_acquirer: first, delivery_count: failures } = context.message ?? {}
    got.push({ id: Number(id), first: first === true, failures: failures ?? 0, context })
  })
  receiver.add_credit(credit)
  return { receiver, got }
}

/** What rhea has and its types do not: a delivery that its receiver speaks of and does not settle. */
type Open = Readonly<{ update: (settled: boolean, state: unknown) => void }>
const accepted = (rhea.message as unknown as { accepted: () => { described: () => unknown } }).accepted()

const range = (count: number, from = 0): number[] => Array.from({ length: count }, (_, i) => from + i)

/** Sends these as there is credit, and answers the set of those that are accepted, which grows. */
function sendAll(sender: Sender, ids: readonly number[]): Set<number> {
  const accepted = new Set<number>()
  const byTag = new Map<unknown, number>()
  const left = [...ids]
  const go = (): void => {
    while (sender.sendable() && left.length > 0) {
      const id = left.shift() ?? 0
      byTag.set(sender.send({ message_id: id, durable: true, body: 'x'.repeat(1000) }).id, id)
    }
  }
  sender.on('sendable', go)
  sender.on('accepted', ({ delivery }: EventContext) => void accepted.add(byTag.get(delivery?.id) ?? -1))
  go()
  return accepted
}

/** Marks the end of a drain. */
async function drained(receiver: Receiver): Promise<void> {
  let over = false
  receiver.once('receiver_drained', () => (over = true))
  receiver.drain_credit()
  await until('all that is there', () => over, 30_000)
}

it('a takeover in the middle of what AMQP links have unsettled loses nothing, and tells what may be a second time', { timeout: 60_000 }, async () => {
  const pair = new Pair()
  pairs.push(pair)
  const { first, second, ready } = await pair.both('--set', 'failover.leaseMs=1000')
  const before = await connect(ready)
  const filled = sendAll(await senderTo(before, 'out'), range(30))
  await until('what is to be received', () => filled.size === 30)
  const { got, receiver } = receive(before, 'out', 30)
  await until('all of it', () => got.length === 30)
  expect(got.every(({ first: once }) => once)).toBe(true)
  // Ten are answered: their outcome is on disk.
  let answered = 0
  receiver.on('settled', () => answered++)
  for (const { context } of got.slice(0, 10)) (context.delivery as unknown as Open).update(false, accepted.described())
  await until('their answers', () => answered === 10)
  const ids = range(3_000)
  const taken = sendAll(await senderTo(before, 'in'), ids)
  await until('some that are accepted', () => taken.size >= 300)
  // Five are settled by the client alone, who does not know.
  for (const { context } of got.slice(10, 15)) context.delivery?.accept()
  await first.signal('SIGKILL')
  const now = await second.leads()
  await until('the end of the connection', () => !before.is_open())
  expect(taken.size).toBeLessThan(ids.length)

  // Given out again: in its order, marked as delivered before and not as failed.
  const after = await connect(now)
  const again = receive(after, 'out', 1_000)
  await until('those that were not settled', () => again.got.at(-1)?.id === 29)
  const outIds = again.got.map(({ id }) => id)
  expect(outIds.slice(-15)).toEqual(range(15, 15))
  expect(outIds.slice(0, -15).every((id) => id >= 10 && id < 15)).toBe(true)
  expect(again.got.map(({ first: once, failures }) => [once, failures])).toEqual(outIds.map(() => [false, 0]))

  // Its library has room for 2,048 and frees it in order.
  for (const { context } of again.got) context.delivery?.accept()

  // Sent again: what was accepted is there once, what was not is there once or twice.
  const unanswered = ids.filter((id) => !taken.has(id))
  const repeated = sendAll(await senderTo(after, 'in'), unanswered)
  await until('all of the others', () => repeated.size === unanswered.length, 30_000)
  const all = receive(after, 'in', 100_000, { name: 'all', source: 'in', autoaccept: true })
  await drained(all.receiver)
  const counts = new Map<number, number>()
  for (const { id } of all.got) counts.set(id, (counts.get(id) ?? 0) + 1)
  expect([...counts.keys()].toSorted((a, b) => a - b)).toEqual(ids)
  expect([...taken].filter((id) => counts.get(id) !== 1)).toEqual([])
  const twice = [...counts].filter(([, count]) => count > 1)
  expect(twice.every(([, count]) => count === 2)).toBe(true)
  // At most what was under way by the window of credit.
  expect(twice.length).toBeLessThanOrEqual(500)
})
