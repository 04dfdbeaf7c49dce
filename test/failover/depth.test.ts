// What a takeover leaves of what is more than one message: transactions, schedules, temporary destinations, message groups and selectors.
import { afterEach, describe, expect, it } from 'vitest'
import { addressOf, until } from '../wire/bytes.ts'
import type { Ready } from '../wire/node-process.ts'
import { type StompFrame, type StompHeaders, StompWire } from '../wire/stomp-wire.ts'
import { ask, digests, eventually, Pair, stompTo } from './nodes.ts'

const pairs: Pair[] = []
afterEach(async () => {
  for (const pair of pairs.splice(0)) await pair.end()
})

function newPair(): Pair {
  const pair = new Pair()
  pairs.push(pair)
  return pair
}

/** Subscribes and gathers what comes. */
async function gather(wire: StompWire, destination: string, headers: StompHeaders = {}): Promise<StompFrame[]> {
  const got: StompFrame[] = []
  wire.onMessage = (message) => got.push(message)
  await wire.ask('SUBSCRIBE', { id: destination, destination, ack: 'client-individual', 'activemq.prefetchSize': '1000', ...headers })
  return got
}

const texts = (frames: readonly StompFrame[]): string[] => frames.map(({ body }) => body.toString())
const range = (from: number, to: number, prefix = ''): string[] => Array.from({ length: to - from }, (_, i) => `${prefix}${from + i}`)

describe('a takeover', () => {
  it('has of each transaction all or nothing, sends and settlements', { timeout: 60_000 }, async () => {
    const pair = newPair()
    const { first, second, ready } = await pair.both()
    const sender = await stompTo(ready)
    for (const text of range(0, 30)) await sender.ask('SEND', { destination: '/queue/in', persistent: 'true' }, Buffer.from(text))
    const relay = await stompTo(ready)
    const taken = await gather(relay, '/queue/in')
    await until('what is to be relayed', () => taken.length === 30)
    const step = async (transaction: string, from: number, to: number): Promise<void> => {
      await relay.ask('BEGIN', { transaction })
      for (const { headers, body } of taken.slice(from, to)) {
        relay.send('ACK', { id: headers.get('ack') ?? '', transaction })
        await relay.ask('SEND', { destination: '/queue/out', persistent: 'true', transaction }, Buffer.from(`${transaction} ${body.toString()}`))
      }
    }
    await step('done', 0, 10)
    await relay.ask('COMMIT', { transaction: 'done' })
    await step('undone', 10, 15)
    await relay.ask('ABORT', { transaction: 'undone' })
    await step('open', 15, 25)
    // The standby knows what is open as the leader does.
    const both = await digests(first, second)
    expect(both.standby).toBe(both.leader)
    await first.signal('SIGKILL')
    const now = await second.leads()
    const out = await gather(await stompTo(now), '/queue/out')
    const left = await gather(await stompTo(now), '/queue/in')
    const last = await stompTo(now)
    for (const destination of ['/queue/out', '/queue/in']) await last.ask('SEND', { destination, persistent: 'true' }, Buffer.from('last'))
    await until('the last of both', () => texts(out).at(-1) === 'last' && texts(left).at(-1) === 'last')
    expect(texts(out)).toEqual([...range(0, 10, 'done '), 'last'])
    expect(texts(left)).toEqual([...range(10, 30), 'last'])
  })

  it('undoes what an exclusive consumer had open, and keeps wildcards over virtual topics and last values', { timeout: 60_000 }, async () => {
    const pair = newPair()
    const settings = ['--set', 'destinations.policies=[{"match":"queue:last","lastValueKey":"key"}]']
    const { first, second, ready } = await pair.both(...settings)
    const sender = await stompTo(ready)
    const send = (wire: StompWire, destination: string, text: string, headers: StompHeaders = {}): Promise<void> =>
      wire.ask('SEND', { destination, persistent: 'true', ...headers }, Buffer.from(text))
    const all = '/queue/Consumer.app.VirtualTopic.>'
    const exclusive = { 'activemq.exclusive': 'true' }
    await gather(await stompTo(ready), all)
    for (const text of range(0, 6)) await send(sender, '/queue/work', text, { JMSXGroupID: 'g', priority: text === '5' ? '9' : '4' })
    for (const text of range(0, 4)) await send(sender, '/queue/last', text, { key: String(Number(text) % 2) })
    const worker = await stompTo(ready)
    const taken = await gather(worker, '/queue/work', exclusive)
    await until('its work', () => taken.length === 6)
    const again = { AMQ_SCHEDULED_PERIOD: '100', AMQ_SCHEDULED_REPEAT: '1' }
    for (const [transaction, end] of [
      ['done', 'COMMIT'],
      ['open', ''],
    ]) {
      await worker.ask('BEGIN', { transaction })
      const frame = taken[transaction === 'done' ? 0 : 1]
      worker.send('ACK', { id: frame.headers.get('ack') ?? '', transaction })
      await send(worker, '/topic/VirtualTopic.a.b', transaction, { transaction })
      await send(worker, '/queue/again', transaction, { transaction, ...again })
      await send(worker, '/queue/last', transaction, { transaction, key: '0' })
      if (end !== '') await worker.ask(end, { transaction })
    }
    const both = await digests(first, second)
    expect(both.standby).toBe(both.leader)
    await first.signal('SIGKILL')
    const now = await second.leads()
    const fresh = await stompTo(now)
    await send(fresh, '/topic/VirtualTopic.c', 'later')
    const work = await gather(await stompTo(now), '/queue/work', exclusive)
    const news = await gather(await stompTo(now), all)
    const last = await gather(await stompTo(now), '/queue/last')
    const twice = await gather(await stompTo(now), '/queue/again')
    for (const destination of ['/queue/work', '/queue/last', '/topic/VirtualTopic.c']) await send(fresh, destination, 'end', { priority: '0' })
    await until('all of it', () => [work, news, last].every((frames) => texts(frames).at(-1) === 'end') && twice.length === 2, 15_000)
    // The highest priority first.
    expect(texts(taken)).toEqual(['5', '0', '1', '2', '3', '4'])
    expect(texts(work)).toEqual(['0', '1', '2', '3', '4', 'end'])
    expect(texts(news)).toEqual(['done', 'later', 'end'])
    expect(texts(last)).toEqual(['3', 'done', 'end'])
    expect(texts(twice)).toEqual(['done', 'done'])
  })

  it('goes on with what is scheduled: each time once', { timeout: 60_000 }, async () => {
    const pair = newPair()
    const { first, second, ready } = await pair.both()
    const sender = await stompTo(ready)
    const again = { AMQ_SCHEDULED_DELAY: '50', AMQ_SCHEDULED_PERIOD: '150', AMQ_SCHEDULED_REPEAT: '11' }
    await sender.ask('SEND', { destination: '/queue/ticks', persistent: 'true', ...again }, Buffer.from('tick'))
    const atMs = Date.now() + 3_000
    await sender.ask('SEND', { destination: '/queue/late', persistent: 'true', AMQ_SCHEDULED_DELAY: '3000' }, Buffer.from('late'))
    type Scheduled = Readonly<{ jobs: number; scheduled: readonly Readonly<{ sent: number }>[] }>
    const scheduled = (node: typeof first): Promise<Scheduled> => ask<Scheduled>(node, '/api/scheduled')
    await eventually(
      'some of them',
      () => scheduled(first),
      (value) => (value.scheduled[0]?.sent ?? 0) >= 3,
    )
    await first.signal('SIGKILL')
    const now = await second.leads()
    const late = await gather(await stompTo(now), '/queue/late')
    let cameMs = 0
    await until('the late one', () => late.length > 0 && (cameMs ||= Date.now()) > 0, 15_000)
    expect(cameMs).toBeGreaterThanOrEqual(atMs - 5)
    await eventually(
      'all of them',
      () => scheduled(second),
      (value) => value.jobs === 0,
    )
    const wire = await stompTo(now)
    await wire.ask('SEND', { destination: '/queue/ticks', persistent: 'true' }, Buffer.from('last'))
    const ticks = await gather(wire, '/queue/ticks')
    await until('the last', () => texts(ticks).at(-1) === 'last')
    expect(texts(ticks)).toEqual([...Array.from({ length: 12 }, () => 'tick'), 'last'])
    expect(texts(late)).toEqual(['late'])
  })

  it('keeps a temporary queue for the client that comes back, and for nobody else', { timeout: 60_000 }, async () => {
    const pair = newPair()
    const { first, second, ready } = await pair.both()
    const named = (at: Ready): Promise<StompWire> =>
      StompWire.connect(addressOf(at.listeners['stomp'] ?? ''), { headers: { 'client-id': 'till 1.2' } })
    const asker = await named(ready)
    await gather(asker, '/temp-queue/replies')
    await asker.ask('SEND', { destination: '/queue/work', 'reply-to': '/temp-queue/replies', persistent: 'true' }, Buffer.from('ask'))
    await first.signal('SIGKILL')
    const now = await second.leads()
    const answerer = await stompTo(now)
    const work = await gather(answerer, '/queue/work')
    await until('the question', () => work.length === 1)
    const replyTo = work[0]?.headers.get('reply-to') ?? ''
    await answerer.ask('SEND', { destination: replyTo }, Buffer.from('answer'))
    const thief = await stompTo(now)
    thief.send('SUBSCRIBE', { id: '1', destination: replyTo })
    thief.flush()
    await until('its refusal', () => thief.error !== undefined)
    const replies = await gather(await named(now), '/temp-queue/replies')
    await until('the answer', () => replies.length === 1)
    expect(texts(replies)).toEqual(['answer'])
  })

  it('gives each selector what it takes, and each group in order to one consumer', { timeout: 60_000 }, async () => {
    const pair = newPair()
    const { first, second, ready } = await pair.both()
    const sender = await stompTo(ready)
    const count = 600
    for (let i = 0; i < count; i++) {
      const headers = { colour: i % 3 === 0 ? 'red' : 'blue', JMSXGroupID: i % 3 === 0 ? '' : `g${i % 7}` }
      sender.send('SEND', { destination: '/queue/mixed', persistent: 'true', ...headers }, Buffer.from(`${headers.JMSXGroupID} ${i}`))
    }
    await sender.ask('SEND', { destination: '/queue/elsewhere', persistent: 'true' })
    // In hand at the leader: all of it comes again.
    await gather(await stompTo(ready), '/queue/mixed', { selector: "colour = 'red'" })
    await gather(await stompTo(ready), '/queue/mixed')
    await first.signal('SIGKILL')
    const now = await second.leads()
    const red = await gather(await stompTo(now), '/queue/mixed', { selector: "colour = 'red'" })
    const blue = await Promise.all([0, 1].map(async () => gather(await stompTo(now), '/queue/mixed', { selector: "colour <> 'red'" })))
    await until('all of it', () => red.length + blue[0].length + blue[1].length === count, 15_000)
    expect(red.every(({ headers }) => headers.get('colour') === 'red')).toBe(true)
    const groups = blue.map((frames) => new Set(frames.map(({ headers }) => headers.get('JMSXGroupID'))))
    expect([...groups[0]].filter((group) => groups[1].has(group))).toEqual([])
    for (const frames of [red, ...blue]) {
      const last = new Map<string, number>()
      for (const text of texts(frames)) {
        const [group, number] = text.split(' ')
        expect(Number(number)).toBeGreaterThan(last.get(group) ?? -1)
        last.set(group, Number(number))
      }
    }
  })
})
