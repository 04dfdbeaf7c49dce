import { expect, it } from 'vitest'
import type { Wire } from '../../src/api.ts'
import { Output } from './output.ts'

const NUMBERS = [0, 1, 9, 10, 99, 100, 1_000_000_007, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 40 + 7, Number.MAX_SAFE_INTEGER]

it.each(NUMBERS)('writes %d in its digits', (number) => {
  const room = Buffer.alloc(64, '-')
  let trimmed = 0
  const wire = {
    room,
    reserve: () => 1,
    trim(bytes: number) {
      trimmed = bytes
    },
  } as unknown as Wire
  const output = new Output(wire)
  output.begin(40)
  output.number(number)
  output.byte(0x2e)
  output.end()
  expect(room.toString('latin1', 0, 1 + 40 - trimmed)).toBe(`-${number}.`)
})
