// What a subscriber of a topic loses that is too slow, by `topicBacklogWhenFull`; over real sockets with the real core.
import { afterEach, expect, it } from 'vitest'
import { startNode, stopNodes } from './fake-node.ts'

afterEach(stopNodes)

const SUBSCRIBE = { id: 's', destination: '/topic/t', ack: 'client-individual', 'activemq.prefetchSize': '1' }

it.for([
  ['drop-oldest', ['0', '3', '4']],
  ['drop-newest', ['0', '1', '2']],
] as const)('a subscriber that is too slow loses messages by %s', async ([topicBacklogWhenFull, kept]) => {
  const node = await startNode({ topicBacklogMessages: 3, topicBacklogWhenFull })
  const [slow, sender] = [await node.client(), await node.client()]
  await slow.ask('SUBSCRIBE', SUBSCRIBE)
  for (let i = 0; i < 5; i++) await sender.ask('SEND', { destination: '/topic/t' }, String(i))
  expect(node.core.core.figures().dropped).toBe(2)
  for (const text of kept) {
    const message = await slow.message()
    expect(message.body.toString()).toBe(text)
    await slow.ask('ACK', { id: message.headers['ack'] })
  }
  await node.core.until(() => node.core.core.figures().entries === 0)
})

it('a subscriber that is too slow is ended by an ERROR where the configuration says so', async () => {
  const node = await startNode({ topicBacklogMessages: 3, topicBacklogWhenFull: 'end-consumers' })
  const [slow, sender] = [await node.client(), await node.client()]
  await slow.ask('SUBSCRIBE', SUBSCRIBE)
  for (let i = 0; i < 4; i++) await sender.ask('SEND', { destination: '/topic/t' }, String(i))
  expect((await slow.error()).headers['message']).toMatch(/slow consumer/)
  await slow.closed
  expect(node.core.core.figures().entries).toBe(0)
})
