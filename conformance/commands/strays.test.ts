import { afterEach, beforeEach, expect, it } from 'vitest'
import { fail } from '../outcome.ts'
import { catchStrays, type Strays } from './strays.ts'

const emitter: NodeJS.EventEmitter = process
let lines: string[]
let strays: Strays
beforeEach(() => {
  lines = []
  strays = catchStrays((line) => void lines.push(line))
})
afterEach(() => strays.stop())

function of(stack: string, message = 'out of nowhere'): Error {
  return Object.assign(new Error(message), { stack: `Error: ${message}\n    at ${stack}` })
}

it('an error that nobody caught is a line, and none of it stays behind', () => {
  const before = process.listenerCount('uncaughtException')
  emitter.emit('uncaughtException', of('read (/a/node_modules/rhea/lib/link.js:1:2)', 'out of nowhere\nat a place'))
  strays.stop()
  expect(strays.seen).toEqual(['out of nowhere'])
  expect(lines).toEqual(['an error that no check caught: out of nowhere'])
  expect(process.listenerCount('uncaughtException')).toBe(before - 1)
})

it('those of a client library are none of ours, nor what a check found out too late', () => {
  for (const library of ['rhea', 'stompit', 'mqtt'])
    emitter.emit('unhandledRejection', of(`f (node:events:1:2)\n    at g (/a/node_modules/${library}/x.js:1:2)`))
  try {
    fail('it says hi')
  } catch (error) {
    emitter.emit('unhandledRejection', error)
  }
  expect(strays.seen.length).toBe(4)
  expect(strays.faults).toEqual([])
})

it('all others are faults, and have their stack', () => {
  const own = of('take (/a/src/core/queue.ts:1:2)\n    at g (/a/node_modules/rhea/x.js:1:2)', 'no entry')
  emitter.emit('uncaughtException', own)
  emitter.emit('uncaughtException', of('TCP.onread (node:net:1:2)', 'read ECONNRESET'))
  emitter.emit('unhandledRejection', 'a word')
  expect(strays.faults).toEqual(['no entry', 'read ECONNRESET', 'a word'])
  expect(lines[0]).toBe(`an error that no check caught: ${own.stack}`)
})
