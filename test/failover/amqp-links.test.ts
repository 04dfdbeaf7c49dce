// What an AMQP client sees of a takeover in the middle of what is unsettled, both ways: docs/protocols/amqp.md, "Links that outlive their connection".
// With rhea, whose links ask to outlive their connection: a takeover forgets that, and what was under way is sent again.
import rhea, { type Connection, type ConnectionOptions, type EventContext, type Receiver, type Sender } from 'rhea'
import { afterEach, describe, expect, it } from 'vitest'
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
  const sender = connection.open_sender({ name: 's', target: { address, ...KEPT } as never })
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

describe('a takeover in the middle of', () => {
  it('what an AMQP client sends loses nothing: what was accepted is there once, what was not is there once or, sent again, twice', {
    timeout: 60_000,
  }, async () => {
    const pair = new Pair()
    pairs.push(pair)
    const { first, second, ready } = await pair.both('--set', 'failover.leaseMs=1000')
    const before = await connect(ready)
    const ids = range(5_000)
    const accepted = sendAll(await senderTo(before, 'in'), ids)
    await until('some of them', () => accepted.size >= 500)
    await first.signal('SIGKILL')
    const now = await second.leads()
    await until('the end of the connection', () => !before.is_open())
    expect(accepted.size).toBeLessThan(ids.length)
    const unanswered = ids.filter((id) => !accepted.has(id))
    const after = await connect(now)
    const again = sendAll(await senderTo(after, 'in'), unanswered)
    await until('all of the others', () => again.size === unanswered.length, 30_000)
    const { got, receiver } = receive(after, 'in', 100_000, { source: 'in', autoaccept: true })
    let drained = false
    receiver.once('receiver_drained', () => (drained = true))
    receiver.drain_credit()
    await until('all that is there', () => drained, 30_000)
    const counts = new Map<number, number>()
    for (const { id } of got) counts.set(id, (counts.get(id) ?? 0) + 1)
    expect([...counts.keys()].toSorted((a, b) => a - b)).toEqual(ids)
    expect([...accepted].filter((id) => counts.get(id) !== 1)).toEqual([])
    // At most what was under way by the window of credit.
    const twice = [...counts].filter(([, count]) => count > 1)
    expect(twice.every(([, count]) => count === 2)).toBe(true)
    expect(twice.length).toBeLessThanOrEqual(500)
  })

  it('what an AMQP client has unsettled gives it out again, in its order, marked as delivered before and not as failed', {
    timeout: 60_000,
  }, async () => {
    const pair = new Pair()
    pairs.push(pair)
    const { first, second, ready } = await pair.both('--set', 'failover.leaseMs=1000')
    const before = await connect(ready)
    const sent = sendAll(await senderTo(before, 'out'), range(30))
    await until('all of them', () => sent.size === 30)
    const { got, receiver } = receive(before, 'out', 30)
    await until('all of them', () => got.length === 30)
    expect(got.every(({ first: once }) => once)).toBe(true)
    // Ten are answered: their outcome is on disk. Five more are settled by the client alone, who does not know.
    let answered = 0
    receiver.on('settled', () => answered++)
    for (const { context } of got.slice(0, 10)) (context.delivery as unknown as Open).update(false, accepted.described())
    await until('their answers', () => answered === 10)
    for (const { context } of got.slice(10, 15)) context.delivery?.accept()
    await first.signal('SIGKILL')
    const now = await second.leads()
    await until('the end of the connection', () => !before.is_open())
    const after = await connect(now)
    const again = receive(after, 'out', 1_000)
    await until('those that were not settled', () => again.got.at(-1)?.id === 29)
    const ids = again.got.map(({ id }) => id)
    expect(ids.slice(-15)).toEqual(range(15, 15))
    expect(ids.slice(0, -15).every((id) => id >= 10 && id < 15)).toBe(true)
    expect(again.got.map(({ first: once, failures }) => [once, failures])).toEqual(ids.map(() => [false, 0]))
  })
})
