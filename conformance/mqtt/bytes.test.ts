import { expect, it } from 'vitest'
import { packet, properties, string, u16, u32, varint } from './bytes.ts'

const hex = (bytes: Buffer): string => bytes.toString('hex')

it('a packet has the length of its parts', () => {
  expect(hex(packet(0xc0))).toBe('c000')
  expect(hex(packet(0x32, string('a'), u16(258), Buffer.from('x')))).toBe('32060001610102' + '78')
  expect(hex(packet(0x30, Buffer.alloc(200))).slice(0, 6)).toBe('30c801')
})

it('a variable byte integer takes as few bytes as it can', () => {
  expect([0, 127, 128, 16_383, 16_384, 268_435_455].map((value) => hex(varint(value)))).toEqual(['00', '7f', '8001', 'ff7f', '808001', 'ffffff7f'])
})

it('properties have their length before them', () => {
  expect(hex(properties())).toBe('00')
  expect(hex(properties(0x11, u32(60), 0x26, string('a'), string('é')))).toBe('0d110000003c26000161' + '0002c3a9')
})

it('a string may be no UTF-8 if it is given as bytes', () => {
  expect(hex(string(Buffer.from('ff', 'hex')))).toBe('0001ff')
})
