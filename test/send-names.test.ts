// Headers of `bascule send` that are also names of what every object has: names like any other.
import { afterEach, expect, it } from 'vitest'
import { startNode, stopNodes } from '../protocols/amqp/fake-node.ts'
import { type Incoming, openClient } from '../src/cli/clients/client.ts'

afterEach(stopNodes)

const HEADERS = [
  ['constructor', 'x'],
  ['toString', 'y'],
  ['__proto__', 'z'],
] as const

it.for([
  ['mqtt5', 'mqtt', 'names'],
  ['amqp', 'amqp', 'topic://names'],
  ['stomp', 'stomp', '/topic/names'],
] as const)('%s sends them', async ([scheme, name, destination]) => {
  const node = await startNode()
  // The libraries of AMQP and STOMP do not show the last one.
  const receiver = await openClient(`mqtt5://127.0.0.1:${node.ports.mqtt}`)
  const sender = await openClient(`${scheme}://127.0.0.1:${node.ports[name]}`)
  try {
    const came: Incoming[] = []
    await receiver.receive('names', 1, async (message) => void came.push(message))
    await sender.send(destination, { body: Buffer.from('m'), durable: true, headers: HEADERS })
    await expect.poll(() => came.length).toBe(1)
    expect(came[0].fields).toEqual(expect.arrayContaining([...HEADERS]))
  } finally {
    await receiver.close()
    await sender.close()
  }
})
