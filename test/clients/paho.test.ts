import { describe, expect, it } from 'vitest'
import { brokerForThisFile, python, run, script, whySkipped } from './clients.ts'

const paho = python('paho-mqtt', '2.2.0')
const ports = brokerForThisFile()

const scenarios: readonly (readonly [scenario: string, what: string])[] = [
  ['qos0', 'publishes and receives with QoS 0'],
  ['qos1', 'publishes and receives with QoS 1'],
  ['qos2', 'publishes and receives with QoS 2'],
  ['retained', 'keeps and clears a retained message'],
  ['will', 'sends a will when the connection breaks, and none after a disconnect'],
  ['session', 'keeps a session while its client is away'],
  ['takeover', 'ends the older of two connections with one client id'],
  ['old', 'speaks 3.1'],
  ['five', 'speaks MQTT 5, with every property'],
  ['five_session', 'keeps a session of MQTT 5, and is told when another takes it over'],
  ['five_will', 'sends a will of MQTT 5'],
  ['shared', 'shares a subscription; in MQTT 5 by message groups, and delays messages'],
  ['keepalive', 'stays connected by its pings alone'],
]

describe.skipIf(!paho.found)(`paho-mqtt for Python${whySkipped(paho)}`, () => {
  it.each(scenarios)('%s: %s', async (scenario) => {
    expect(await run(paho.found ? paho.path : '', [script('paho_client.py'), String(ports.mqtt), scenario])).toEqual({
      code: 0,
      stdout: 'ok\n',
      stderr: '',
    })
  })
})
