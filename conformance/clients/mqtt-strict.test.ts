import { describe, expect, it } from 'vitest'
import { whyMalformed } from './mqtt-strict.ts'

const at = (level: 4 | 5, hex: string): string | undefined => whyMalformed(Buffer.from(hex.replaceAll(' ', ''), 'hex'), level)

describe('packets of a broker, strictly', () => {
  it('lets pass what is well-formed', () => {
    for (const hex of [
      '20 02 01 00',
      '30 03 00 01 61',
      '32 05 00 01 61 00 01',
      '40 02 00 01',
      '62 02 00 01',
      '90 04 00 01 00 80',
      'b0 02 00 01',
      'd0 00',
    ])
      expect(at(4, hex)).toBe(undefined)
    for (const hex of [
      '20 03 00 00 00',
      '30 04 00 01 61 00',
      '30 07 00 00 03 23 00 01 61',
      '40 02 00 01',
      '40 03 00 01 10',
      '40 04 00 01 00 00',
      '90 04 00 01 00 9e',
      'b0 04 00 01 00 11',
      'e0 00',
      'e0 01 8e',
      '20 0e 00 00 0b 26 00 01 61 00 00 26 00 00 00 00',
    ])
      expect(at(5, hex)).toBe(undefined)
  })

  it.each([
    [4, '20 02 02 00', 'flags of CONNACK'],
    [4, '20 02 00 06', 'no code of CONNACK'],
    [4, '20 03 00 00 00', 'bytes too many'],
    [4, '36 05 00 01 61 00 01', 'both bits'],
    [4, '32 05 00 01 61 00 00', 'is 0'],
    [4, '30 03 00 01 23', 'wildcard'],
    [4, '30 02 00 00', 'empty'],
    [4, '30 04 00 02 c3 28', 'no UTF-8'],
    [4, '30 05 00 03 ed a0 80', 'no UTF-8'],
    [4, '30 03 00 01 00', 'U+0000'],
    [4, '30 03 00 05 61', 'ends before'],
    [4, '60 02 00 01', 'flags of PUBREL'],
    [4, '90 03 00 01 03', 'no code of SUBACK'],
    [4, '90 02 00 01', 'ends before'],
    [4, 'd0 01 00', 'bytes too many'],
    [4, 'e0 00', 'no packet of type 14'],
    [4, 'c0 00', 'no packet of type 12'],
    [5, '20 82 00 00 00', 'more bytes than it needs'],
    [5, '20 08 00 00 05 24 01 24 01 00', 'more than once'],
    [5, '20 05 00 00 02 24 02', '0 or 1'],
    [5, '20 06 00 00 03 21 00 00', 'may not be'],
    [5, '20 05 00 00 02 01 01', "none of CONNACK's"],
    [5, '20 05 00 00 02 7e 01', 'property 126'],
    [5, '30 04 00 00 00 61', 'empty'],
    [5, '40 03 00 01 92', 'no code of PUBACK'],
    [5, '20 05 00 00 03 24 01', 'ends before'],
  ] as const)('tells of level %i %s that it is malformed', (level, hex, why) => {
    expect(at(level, hex)).toContain(why)
  })
})
