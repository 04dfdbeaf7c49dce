// What a session that is too slow, or away, loses, and by which setting; over real sockets with the real core.
import { afterEach, describe, expect, it } from 'vitest'
import { Inbox, Node } from './fake-node.ts'

let node: Node
afterEach(async () => node.stop())

/** Five messages, each acknowledged to who sent it. */
async function publishFive(): Promise<void> {
  const publisher = await node.client()
  for (const text of ['0', '1', '2', '3', '4']) await publisher.publishAsync('t', text, { qos: 1 })
}

describe.for([4, 5] as const)('a subscriber by protocol level %d', (protocolVersion) => {
  it('in a clean session that is too slow loses the newest beyond cleanSessionMessagesMax, whatever destinations say', async () => {
    const destinations = { limitMessages: 1, whenFull: 'drop-oldest' as const }
    node = await new Node({ cleanSessionMessagesMax: 3, inflightMax: 1 }, { destinations }).start()
    const slow = await node.client({ protocolVersion })
    const inbox = new Inbox(slow)
    const held: (() => void)[] = []
    slow.handleMessage = (_packet, acknowledge) => void held.push(acknowledge)
    await slow.subscribeAsync('t', { qos: 1 })
    await publishFive()
    expect(node.core.core.figures().dropped).toBe(2)
    for (let count = 1; count <= 3; count++) {
      await inbox.first(count)
      held.shift()?.()
    }
    await node.core.until(() => node.core.core.figures().entries === 0)
    expect(inbox.texts).toEqual(['0', '1', '2'])
  })

  it('in a kept session is bound by limitMessages and whenFull of destinations, not by their policies by name', async () => {
    const destinations = { limitMessages: 3, whenFull: 'drop-oldest' as const, policies: [{ match: '>', limitMessages: 1 }] }
    node = await new Node({}, { destinations }).start()
    const kept = { protocolVersion, clientId: 'kept', clean: false, properties: { sessionExpiryInterval: 1000 } }
    const first = await node.client(kept)
    await first.subscribeAsync('t', { qos: 1 })
    await first.endAsync()
    await publishFive()
    expect(node.core.core.figures().dropped).toBe(2)
    await node.restart()
    const inbox = new Inbox(await node.client(kept))
    await inbox.first(3)
    expect(inbox.texts).toEqual(['2', '3', '4'])
  })

  it('in a kept session is bound by keptSessionMessagesMax where that is set', async () => {
    node = await new Node({ keptSessionMessagesMax: 2 }, { destinations: { limitMessages: 1, whenFull: 'drop-oldest' } }).start()
    const kept = { protocolVersion, clientId: 'kept', clean: false, properties: { sessionExpiryInterval: 1000 } }
    const first = await node.client(kept)
    await first.subscribeAsync('t', { qos: 1 })
    await first.endAsync()
    await publishFive()
    const inbox = new Inbox(await node.client(kept))
    await inbox.first(2)
    await node.core.until(() => node.core.core.figures().entries === 0)
    expect(inbox.texts).toEqual(['0', '1'])
  })
})
