import { describe, expect, it } from 'vitest'
import { brokerForThisFile, python, run, script, whySkipped } from './clients.ts'

const stompPy = python('stomp.py', '9.0.0')
const ports = brokerForThisFile()

const scenarios: readonly (readonly [scenario: string, what: string])[] = [
  ['versions', 'sends with receipts and receives with ack auto, all versions'],
  ['individual', 'settles one by one with client-individual'],
  ['cumulative', 'settles cumulatively with client'],
  ['nack', 'gets a refused message again'],
  ['durable', 'keeps a durable subscription while its client is away'],
  ['binary', 'carries binary bodies unchanged'],
  ['heartbeats', 'stays connected by heart-beats alone'],
  ['transaction', 'commits and aborts what it sends and acknowledges'],
]

const depth: readonly (readonly [scenario: string, what: string])[] = [
  ['selector', 'chooses by a selector what it receives'],
  ['browse', 'looks at a queue without taking from it'],
  ['sharing', 'shares a queue by priority, group, exclusively, and by priority of subscriptions'],
  ['schedule', 'delays and repeats messages, in transactions too'],
  ['temporary', 'asks and answers by a temporary queue'],
  ['routing', 'sends to lists and virtual topics, and receives by wildcards'],
  ['retroactive', 'begins with what a topic retains'],
  ['dead', 'finds what it refused too often among the dead letters'],
]

describe.skipIf(!stompPy.found)(`stomp.py${whySkipped(stompPy)}`, () => {
  it.each(scenarios)('%s: %s', async (scenario) => {
    const { code, stdout, stderr } = await run(stompPy.found ? stompPy.path : '', [script('stomp_py_client.py'), String(ports.stomp), scenario])
    expect({ code, stdout, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stdout: 'ok\n', stderr: '' })
  })

  it.each(depth)('%s: %s', async (scenario) => {
    const { code, stdout, stderr } = await run(stompPy.found ? stompPy.path : '', [script('stomp_py_depth.py'), String(ports.stomp), scenario])
    expect({ code, stdout, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stdout: 'ok\n', stderr: '' })
  })
})
