import { describe, expect, it } from 'vitest'
import { brokerForThisFile, goProgram, run, whySkipped } from './clients.ts'

const client = goProgram('go-amqp')
const ports = brokerForThisFile()

const scenarios: readonly (readonly [scenario: string, what: string])[] = [
  ['order', 'gets 100 durable messages in their order'],
  ['outcomes', 'releases, fails and rejects a message of 1 MiB'],
  ['second', 'settles after the broker'],
  ['drain', 'drains, and goes on'],
  ['dynamic', 'receives at an address that the broker made'],
  ['refused', 'is told why a link is refused'],
]

describe.skipIf(!client.found)(`go-amqp${whySkipped(client)}`, () => {
  it.each(scenarios)('%s: %s', async (scenario) => {
    const { code, stdout, stderr } = await run(client.found ? client.path : '', [String(ports.amqp), scenario])
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: 'ok\n', stderr: '' })
  })
})
