import { describe, expect, it } from 'vitest'
import { brokerForThisFile, maven, run, whySkipped } from './clients.ts'

const qpidJms = maven('qpid-jms')
const ports = brokerForThisFile()

const scenarios: readonly (readonly [scenario: string, what: string])[] = [
  ['bodies', 'gets messages of all five kinds back as it sent them'],
  ['temporary', 'asks and answers by a temporary queue, and uses a temporary topic'],
  ['durable', 'keeps a durable subscription while it is away, and deletes it'],
  ['shared', 'shares subscriptions, durable and not'],
  ['recover', 'gets a message again after recover, and counts it'],
  ['prefetch', 'receives without prefetch and without waiting'],
  ['selectors', 'chooses by selectors what it receives, browses and subscribes to, and leaves out its own messages'],
  ['transacted', 'commits and rolls back what it sends and receives'],
  ['browse', 'looks at a queue without taking from it'],
  ['sharing', 'shares a queue by priority, group, exclusively, and by priority of consumers'],
  ['wildcard', 'receives from every queue that matches'],
  ['client-id', 'is alone of its client id'],
  ['time', 'delays messages and lets them expire'],
  ['listener', 'listens to 1,000 messages'],
]

describe.skipIf(!qpidJms.found)(`Qpid JMS${whySkipped(qpidJms)}`, () => {
  it.each(scenarios)('%s: %s', async (scenario) => {
    const classPath = qpidJms.found ? qpidJms.path : ''
    const { code, stdout, stderr } = await run('java', ['-cp', classPath, 'QpidJms', String(ports.amqp), scenario])
    expect({ code, stdout, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stdout: 'ok\n', stderr: '' })
  })
})
