// Every limit of the core, reached: the call past it is refused with a sentence that names it, and the one before it is not.
import { describe, expect, it } from 'vitest'
import type { Limits } from '../config/settings.ts'
import { type Client, CoreNode, PERMANENT } from '../../test/support/core.ts'
import type { Binding, Pattern } from '../api.ts'

function bind(client: Client, node: CoreNode, pattern: Pattern, queue = 'q'): number {
  const spec: Binding = { pattern, queue: node.queue(queue), tag: 0, settle: 'unsettled', absent: 'keep', retained: 'never' }
  return client.session.bind(spec)
}

function select(client: Client, node: CoreNode, selector: string): number {
  const queue = node.queue('q')
  return client.session.bind({ pattern: ['t'], queue, tag: 0, settle: 'unsettled', absent: 'keep', retained: 'never', selector })
}

/** What may be done once under the limit of 1 (or as set) and not once more. */
const cases: readonly { limit: keyof Limits; value?: number; attempt: (client: Client, node: CoreNode, time: number) => unknown }[] = [
  { limit: 'queues', value: 2, attempt: (client, node, time) => client.session.declare(node.queue(`more${time}`), PERMANENT) },
  { limit: 'bindings', attempt: (client, node, time) => bind(client, node, [`t${time}`]) },
  { limit: 'bindingsPerSession', attempt: (client, node, time) => bind(client, node, [`t${time}`]) },
  { limit: 'bindingBytesPerSession', value: 1_000, attempt: (client, node, time) => bind(client, node, [`${time}${'x'.repeat(700)}`]) },
  { limit: 'addressSegments', value: 3, attempt: (client, node, time) => bind(client, node, time === 0 ? ['a', 'b', 'c'] : ['a', 'b', 'c', 'd']) },
  { limit: 'addressBytes', value: 20, attempt: (client, node, time) => client.send(node.topic('x'.repeat(time === 0 ? 10 : 30)), 'm') },
  { limit: 'messageBytes', value: 10, attempt: (client, node, time) => client.send(node.queue('q'), 'x'.repeat(10 + time)) },
  { limit: 'entries', attempt: (client, node) => client.send(node.queue('q'), 'm') },
  {
    limit: 'retained',
    attempt: (client, node, time) => client.send(node.topic(`t${time}`), 'm', {}, { retain: 'set', note: 0, transaction: undefined }),
  },
  { limit: 'notesPerSession', attempt: (client, _, time) => client.session.note(time + 1, true) },
  { limit: 'selectorBytes', value: 10, attempt: (client, node, time) => select(client, node, time === 0 ? 'a = 1' : "a = 'long'  ") },
  { limit: 'selectorDepth', attempt: (client, node, time) => select(client, node, time === 0 ? '(a)' : '((a))') },
  { limit: 'selectorTerms', value: 2, attempt: (client, node, time) => select(client, node, time === 0 ? 'a = 1' : 'a = 1 OR b') },
  { limit: 'selectorTermsPerQueue', value: 4, attempt: (client, node, time) => take(client, node, time === 0 ? 'a > 1 OR b' : 'b < 2') },
  { limit: 'consumers', attempt: (client, node) => take(client, node) },
  { limit: 'consumersPerSession', attempt: (client, node) => take(client, node) },
]

function take(client: Client, node: CoreNode, selector?: string): number {
  const sink = { deliver() {}, flush() {}, ended() {} }
  return client.session.consume([node.queue('q')], { settle: 'unsettled', exclusive: 'no', priority: 0, selector }, sink) === undefined ? 0 : 1
}

describe('a limit', () => {
  it.each(cases)('$limit refuses the call past it, and that call alone', ({ limit, value = 1, attempt }) => {
    const node = new CoreNode({ limits: { [limit]: value } })
    const client = node.client()
    client.session.declare(node.queue('q'), PERMANENT)
    expect(attempt(client, node, 0)).toBeGreaterThan(0)
    expect(attempt(client, node, 1)).toBe(0)
    expect(client.session.refusal?.message).toContain(limit)
    expect(client.end).toBeUndefined()
  })

  it('sessions refuses one more client, and not one that comes back', () => {
    const node = new CoreNode({ limits: { sessions: 1 } })
    node.client({ clientId: 'a' })
    expect(() => node.client({ clientId: 'b' })).toThrow(/sessions/)
    expect(() => node.client({ clientId: 'a' })).not.toThrow()
  })

  it('sessionKeepMaxMs ends a session that asked for longer', async () => {
    const node = new CoreNode({ limits: { sessionKeepMaxMs: 1_000 } })
    node.client({ clientId: 'a', keepMs: Number.POSITIVE_INFINITY }).session.close('clean')
    for (let i = 0; i < 8; i++) node.clock.advance(250)
    expect(node.core.figures().sessions).toBe(0)
  })

  it('creditMessages and creditBytes bound what one consumer holds', async () => {
    const node = new CoreNode({ limits: { creditMessages: 2, creditBytes: 1_000 } })
    const client = node.client()
    const queue = node.queue('q')
    client.session.declare(queue, PERMANENT)
    const taker = client.consume(queue, 100)
    for (let i = 0; i < 5; i++) client.send(queue, 'x'.repeat(100))
    await node.settled()
    expect(taker.deliveries.length).toBe(2)
    for (let i = 0; i < 2; i++) client.send(node.queue('q'), 'x'.repeat(900))
    const bytes = client.consume(queue, 100)
    await node.settled()
    expect(bytes.deliveries.length).toBe(2)
  })

  it('parkedBytes and parkedTotalBytes refuse what waits beyond them', () => {
    for (const limit of ['parkedBytes', 'parkedTotalBytes'] as const) {
      const node = new CoreNode({ destinations: { limitMessages: 1 }, limits: { [limit]: 1_000 } })
      const client = node.client()
      client.session.declare(node.queue('q'), PERMANENT)
      const tickets = [10, 900, 200].map((bytes) => Math.sign(client.send(node.queue('q'), 'x'.repeat(bytes))))
      expect(tickets).toEqual([1, -1, 0])
      client.session.close('lost')
      expect(node.core.status()).toMatchObject({ bytes: { totals: {} } })
    }
  })
})
