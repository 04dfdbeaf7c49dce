// Queues of several virtual topics beside each other: who leaves a topic to whom, what that costs a route, and how many an application may have.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CoreNode, PERMANENT } from '../../test/support/core.ts'
import { covers, toPattern } from './virtual-topics.ts'

const MANY = 10_000

/** A node with queues of these names. */
function nodeWith(names: readonly string[]): CoreNode {
  const node = new CoreNode()
  const client = node.client()
  for (const name of names) if (client.session.declare(node.queue(name), PERMANENT) === 0) throw client.session.refusal ?? new Error('refused')
  return node
}

/** Names of queues that have messages. */
function filled(node: CoreNode): string[] {
  const { queues } = node.core.administration.destinations('', 0, 10_000)
  return queues.filter(({ messages }) => messages > 0).map(({ name }) => name)
}

/** Milliseconds of a publish whose route is not known yet, the shortest of several. */
async function costOf(names: readonly string[], topic: string): Promise<number> {
  const node = nodeWith(names)
  const client = node.client()
  let shortest = Number.POSITIVE_INFINITY
  for (let i = 0; i < 4; i++) {
    await node.settled()
    client.session.declare(node.queue(`another ${i}`), PERMANENT)
    const began = performance.now()
    client.send(node.topic(topic), 'x')
    shortest = Math.min(shortest, performance.now() - began)
  }
  await node.core.stop()
  return shortest
}

describe('queues of several virtual topics', () => {
  it('cost a route what as many queues of one cost, whether many applications have one or some have many', { timeout: 60_000 }, async () => {
    const plain = await costOf(
      Array.from({ length: MANY }, (_, i) => `Consumer.a${i}.VirtualTopic.a.b.c.d.e.f`),
      'VirtualTopic.a.b.c.d.e.f',
    )
    const one = await costOf(
      Array.from({ length: MANY }, (_, i) => `Consumer.a${i}.VirtualTopic.>`),
      'VirtualTopic.a.b.c.d.e.f',
    )
    expect(one / plain).toBeLessThan(15)
    const places = Array.from({ length: 63 }, (_, i) =>
      'abcdef'
        .split('')
        .map((segment, at) => ((((i + 1) >> at) & 1) === 1 ? '*' : segment))
        .join('.'),
    )
    const many = await costOf(
      Array.from({ length: MANY }, (_, i) => `Consumer.a${Math.floor(i / 63)}.VirtualTopic.${places[i % 63]}`),
      'VirtualTopic.a.b.c.d.e.f',
    )
    expect(many / plain).toBeLessThan(15)
  })

  it('leave a topic to those whose topics are among theirs, as a plain reading of the rule says', async () => {
    const topics = fc.array(fc.constantFrom('a', 'b', '*'), { maxLength: 3 })
    const names = fc.uniqueArray(
      fc
        .tuple(fc.constantFrom('x', 'y'), topics, fc.boolean())
        .filter(([, segments, rest]) => rest || segments.length > 0)
        .map(([app, segments, rest]) => ['Consumer', app, 'VirtualTopic', ...segments, ...(rest ? ['>'] : [])].join('.')),
      { maxLength: 12 },
    )
    await fc.assert(
      fc.asyncProperty(
        names,
        fc.nat(11),
        fc.array(fc.constantFrom('a', 'b'), { minLength: 1, maxLength: 3 }),
        fc.boolean(),
        async (all, gone, topic, again) => {
          const node = nodeWith(all)
          const left = all.filter((_, i) => i !== gone)
          if (left.length < all.length) node.client().session.remove(node.queue(all[gone]))
          await node.settled()
          if (again) node.restart()
          node.client().send(node.topic(['VirtualTopic', ...topic].join('.')), 'x')
          await node.settled()
          const reached = left.filter((name) => covers(name.split('.').slice(2).map(toPattern), ['VirtualTopic', ...topic]))
          const chosen = reached.filter(
            (name) => !reached.some((other) => other !== name && covers(name.split('.').map(toPattern), other.split('.'))),
          )
          expect(filled(node).toSorted()).toEqual(chosen.toSorted())
          void node.core.stop()
        },
      ),
      { numRuns: 150, seed: 1 },
    )
  })

  it('may have wildcards in as many places as limits.virtualTopicPatterns says for each application, and have as many names', async () => {
    const node = new CoreNode({ limits: { virtualTopicPatterns: 2 } })
    const declare = (name: string): string | undefined => {
      const { session } = node.client()
      return session.declare(node.queue(name), PERMANENT) === 0 ? session.refusal?.message : undefined
    }
    expect(['a.>', 'b.>', 'c.*.x', 'd.*.y'].map((name) => declare(`Consumer.app.VirtualTopic.${name}`))).toEqual(Array(4).fill(undefined))
    const refused = 'Consumer.app has queues for virtual topics with wildcards in limits.virtualTopicPatterns (2) different places'
    expect(declare('Consumer.app.VirtualTopic.>')).toBe(refused)
    await expect(node.core.declare(node.queue('Consumer.app.VirtualTopic.>'))).rejects.toThrow(refused)
    for (const name of ['Consumer.app.VirtualTopic.a.>', 'Consumer.app.VirtualTopic.x', 'Consumer.other.VirtualTopic.>', 'other.>'])
      expect(declare(name)).toBeUndefined()
    await node.settled()
    node.restart()
    expect(declare('Consumer.app.VirtualTopic.>')).toBe(refused)
    expect(declare('Consumer.app.VirtualTopic.e.>')).toBeUndefined()
    const { session } = node.client()
    for (const name of ['a', 'b', 'e']) session.remove(node.queue(`Consumer.app.VirtualTopic.${name}.>`))
    expect(declare('Consumer.app.VirtualTopic.>')).toBeUndefined()
    expect(declare('Consumer.app.VirtualTopic.a.>')).toBe(refused)
  })

  it('are none where something follows that which stands for all that follows', async () => {
    const node = nodeWith(['Consumer.app.VirtualTopic.>.x', 'Consumer.app.VirtualTopic.>'])
    node.client().send(node.topic('VirtualTopic.a.x'), 'x')
    await node.settled()
    expect(filled(node)).toEqual(['Consumer.app.VirtualTopic.>'])
  })
})
