// Many subscriptions of one topic: more than one turn serves, and what they have in common.
import { expect, test } from 'vitest'
import type { Address, Delivery, Sink } from '../api.ts'
import { CoreNode, message, NO_RETAIN } from '../../test/support/core.ts'

const SUBSCRIPTIONS = 10_000

test('messages to more subscriptions than one turn serves reach each of them once and in order', async () => {
  const node = new CoreNode({ limits: { consumersPerSession: SUBSCRIPTIONS } })
  const topic = node.topic('all')
  const { session } = node.client()
  const came: string[][] = []
  let count = 0
  for (let i = 0; i < SUBSCRIPTIONS; i++) {
    const mine: string[] = []
    came.push(mine)
    const sink: Sink = {
      deliver(delivery: Delivery) {
        mine.push(Buffer.from(delivery.message.body).toString())
        count++
      },
      flush() {},
      ended() {},
    }
    const queue: Address = node.core.address('queue', [String(i)], 'test')
    session.declare(queue, { durable: false, lifetime: 'held' })
    session.hold(queue, 0)
    session.consume([queue], { settle: 'settled', exclusive: 'no', priority: 0 }, sink)?.grant(100, 100_000)
    session.bind({ pattern: topic.path, queue, tag: 0, settle: 'settled', absent: 'keep', retained: 'never' })
  }
  const other = node.client().session
  other.publish(topic, message('first', { durable: false }), NO_RETAIN)
  await node.until(() => count > 0)
  expect(count).toBeLessThan(SUBSCRIPTIONS)
  other.publish(topic, message('second', { durable: false }), NO_RETAIN)
  other.publish(topic, message('third', { durable: false }), NO_RETAIN)
  await node.until(() => count === 3 * SUBSCRIPTIONS)
  expect(came.filter((mine) => mine.join() !== 'first,second,third')).toEqual([])
})
