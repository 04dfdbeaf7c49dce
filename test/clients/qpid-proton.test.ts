import { describe, expect, it } from 'vitest'
import { brokerForThisFile, python, run, script, whySkipped } from './clients.ts'

const proton = python('python-qpid-proton', '0.40.0')
const ports = brokerForThisFile()

const scenarios: readonly (readonly [scenario: string, what: string])[] = [
  ['login', 'logs in with PLAIN, with ANONYMOUS and without SASL'],
  ['bodies', 'gets bodies, properties and annotations of every kind back as it sent them'],
  ['outcomes', 'releases, fails and rejects a message'],
  ['order', 'gets 500 durable messages in their order'],
  ['large', 'sends and receives 3 MB in small frames'],
  ['settled', 'sends and receives settled messages'],
  ['topics', 'subscribes to topics with wildcards'],
  ['durable', 'keeps a durable subscription while it is away'],
  ['dynamic', 'replies to an address that the broker made'],
  ['relay', 'sends to addresses that stand in the messages'],
  ['selector', 'receives what its selector takes, and is told of one that is none'],
  ['browse', 'looks at a queue without taking from it'],
  ['transaction', 'commits and aborts what it sends and receives'],
  ['heartbeats', 'stays connected by empty frames alone'],
  ['drain', 'drains a queue'],
  ['bad_address', 'is told that an address is none'],
  ['schedule', 'delays and repeats messages'],
  ['sharing', 'shares a queue by priority and group, and exclusively'],
  ['routing', 'sends to lists and virtual topics, receives by wildcards and lists, and begins with what is retained'],
]

describe.skipIf(!proton.found)(`qpid-proton${whySkipped(proton)}`, () => {
  it.each(scenarios)('%s: %s', async (scenario) => {
    const { code, stdout, stderr } = await run(proton.found ? proton.path : '', [script('qpid_proton_client.py'), String(ports.amqp), scenario])
    expect({ code, stdout, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stdout: 'ok\n', stderr: '' })
  })
})
