// Messages of MQTT that nobody took in time, by their sender and by policy; over real sockets with the real core.
import { afterEach, expect, it } from 'vitest'
import { Inbox, Node } from './fake-node.ts'

let node: Node
afterEach(async () => node.stop())

const KEPT = { clientId: 'kept', clean: false, properties: { sessionExpiryInterval: 1000 } }

it.for([
  ['its Message Expiry Interval', 5, {}],
  ['the policy for its topic', 4, { policies: [{ match: 'topic:short', messageTtlMs: 1000 }] }],
] as const)('a message that waits longer than %s is not delivered', async ([, protocolVersion, destinations]) => {
  node = await new Node({}, { destinations: { expiredToDeadLetter: false, ...destinations } }).start()
  const kept = { ...KEPT, protocolVersion }
  const first = await node.client(kept)
  await first.subscribeAsync('#', { qos: 1 })
  await first.endAsync()
  const publisher = await node.client({ protocolVersion })
  const properties = protocolVersion === 5 ? { properties: { messageExpiryInterval: 1 } } : {}
  await publisher.publishAsync('short', 'expires', { qos: 1, ...properties })
  await publisher.publishAsync('long', 'stays', { qos: 1 })
  node.core.clock.advance(1001)
  const inbox = new Inbox(await node.client(kept))
  await inbox.first(1)
  await node.core.until(() => node.core.core.figures().entries === 0)
  expect(inbox.texts).toEqual(['stays'])
})
