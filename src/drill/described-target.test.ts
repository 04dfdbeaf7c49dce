import { expect, it } from 'vitest'
import { DescribedTarget, readDescription } from './described-target.ts'

const whole = {
  name: 'two of them',
  nodes: [
    { name: 'x', mqtt: '127.0.0.1:1883', commands: { kill: 'true', start: 'true', handover: 'echo no >&2; exit 3' } },
    { name: 'y', stomp: '[::1]:61613', commands: { kill: 'true', start: 'true', handover: 'true' } },
  ],
}

it('a description has defaults for what it leaves out', () => {
  expect(readDescription(whole)).toMatchObject({ name: 'two of them', login: { username: '', password: '' }, queuePrefix: '/queue/', readyMs: 5_000 })
})

it.each([
  [{ nodes: [] }, 'the target has 1 to 16 nodes'],
  [{ ...whole, colour: 'red' }, 'the target has no field colour'],
  [{ nodes: [{ name: 'x' }] }, 'node x has no address of mqtt, stomp, amqp, websocket'],
  [{ nodes: [{ name: 'x', mqtt: 'nowhere' }] }, 'node x: mqtt is written as host:port'],
  [
    { nodes: [{ name: 'x', mqtt: 'h:1', commands: { explode: 'x' } }] },
    'node x: there is no command explode, only kill, pause, resume, handover, term, start, ready',
  ],
  [{ nodes: [{ name: 'x', mqtt: 'h:1', commands: { kill: 7 } }] }, 'kill is text'],
  ['text', 'the target is an object'],
])('%j is refused in one sentence', (value, sentence) => {
  expect(() => readDescription(value)).toThrow(sentence)
})

it('what a node has no command for cannot be had', () => {
  const target = new DescribedTarget(readDescription(whole), () => {})
  expect(target.lacks('kill')).toBe(undefined)
  expect(target.lacks('pause')).toBe('node x has no command pause')
  expect(target.lacks('term')).toBe('node x has no command term')
})

it('a command that fails says what it said', async () => {
  const target = new DescribedTarget(readDescription(whole), () => {})
  await target.handOver(1)
  await expect(target.handOver(0)).rejects.toThrow(/^handover of x ended with 3: .*\nno\n$/)
})
