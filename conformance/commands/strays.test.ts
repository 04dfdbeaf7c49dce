import { expect, it } from 'vitest'
import { catchStrays } from './strays.ts'

it('an error that nobody caught is a line, and none of it stays behind', () => {
  const before = process.listenerCount('uncaughtException')
  const lines: string[] = []
  const { seen, stop } = catchStrays((line) => void lines.push(line))
  const emitter: NodeJS.EventEmitter = process
  emitter.emit('uncaughtException', new Error('out of nowhere\nat a place'))
  stop()
  expect(seen).toEqual(['out of nowhere'])
  expect(lines).toEqual(['an error that no check caught: out of nowhere'])
  expect(process.listenerCount('uncaughtException')).toBe(before)
})
