// The built program with `mqtt.engine: aedes` beside the conformance suite of MQTT 3.1.1: no must is broken, and no should but those that the profile knows.
// What the suite does not ask, and aedes does otherwise, is in docs/decisions/0017-aedes-as-a-second-engine.md.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterEach, expect, it } from 'vitest'
import { type BrokerProcess, spawnBroker } from '../support/process.ts'

let broker: BrokerProcess | undefined
afterEach(async () => {
  await broker?.stop()
  broker = undefined
})

it('a broker whose engine is aedes keeps MQTT 3.1.1', async () => {
  broker = await spawnBroker({ args: ['--set', 'mqtt.engine=aedes'] })
  const target = `mqtt=mqtt://127.0.0.1:${broker.port('mqtt')}`
  const flags = ['--target', target, '--suite', 'mqtt-3.1.1', '--profile', 'bascule', '--level', 'should', '--patience', '5000', '--again']
  const { stdout } = await promisify(execFile)(process.execPath, ['dist/src/cli/bascule.cjs', 'conformance', 'run', ...flags])
  expect(stdout).toMatch(/\d{3} passed, 0 failed/)
}, 120_000)
