// `bascule send` and `receive` over TLS, which trust whom Node.js trusts.
import { execFile } from 'node:child_process'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type RunningBroker, startBroker } from '../support/broker.ts'
import { brokerTls, certificatePath } from '../support/certificates.ts'
import { program } from '../wire/node-process.ts'

let broker: RunningBroker
beforeAll(async () => {
  broker = await startBroker({ settings: { tls: brokerTls } })
})
afterAll(() => broker.stop())

function bascule(args: readonly string[], trusting = true): Promise<string> {
  const env = { ...process.env, ...(trusting ? { NODE_EXTRA_CA_CERTS: certificatePath('authority.pem') } : {}) }
  return new Promise((resolve) => void execFile(process.execPath, [program, ...args], { env }, (_, out, errors) => resolve(`${out}${errors}`)))
}

const at = (listener: string): string => `localhost:${broker.port(listener)}`

it.each([
  ['mqtts', 'mqtts', 'queue://tls'],
  ['mqtt+wss', 'wss', 'queue://tls'],
  ['amqp+ssl', 'amqps', 'tls'],
  ['stomps', 'stomps', '/queue/tls'],
])('%s sends', async (scheme, listener, destination) => {
  expect(await bascule(['send', `${scheme}://${at(listener)}`, destination, 'hello'])).toBe('sent 1\n')
})

it('what was sent is received', async () => {
  await bascule(['send', `stomp+wss://${at('wss')}`, '/queue/tls.received', 'hello'])
  expect(await bascule(['receive', `amqps://${at('amqps')}`, 'tls.received', '--count', '1'])).toContain('hello')
})

it('a broker that nobody vouches for is not spoken to', async () => {
  expect(await bascule(['send', `mqtts://${at('mqtts')}`, 'a', 'b'], false)).toMatch(/cannot be reached: .*certificate/)
})
