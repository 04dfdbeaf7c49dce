import { describe, expect, it } from 'vitest'
import { engineFor } from './choice.ts'

const hex = (text: string): Buffer => Buffer.from(text.replace(/ /g, ''), 'hex')

describe('which engine a client gets', () => {
  it.each([
    ['3.1.1', '100d 0004 4d515454 04 02 003c 0001 61', 'aedes'],
    ['3.1', '100f 0006 4d5149736470 03 02 003c 0001 61', 'aedes'],
    ['3.1.1 with a length of three bytes', '10 808001 0004 4d515454 04', 'aedes'],
    ['5', '100d 0004 4d515454 05 02 003c 0000', 'native'],
    ['a level that there is not', '100d 0004 4d515454 06', 'native'],
    ['another name', '100d 0004 4d515455', 'native'],
    ['the level of 3.1 with the name of 3.1.1', '100d 0004 4d515454 03', 'native'],
    ['a length of four bytes', '10ffffff7f', 'native'],
    ['a CONNECT without a body', '1000', 'native'],
    ['an HTTP request', '474554202f', 'native'],
    ['CONNECT with wrong flags', '110d 0004 4d515454 04', 'native'],
  ])('is seen by its first bytes: %s', (_, bytes, engine) => {
    expect(engineFor(hex(bytes))).toBe(engine)
  })

  it('is not seen before they are there', () => {
    const connect = hex('100d 0004 4d515454 04')
    for (let bytes = 0; bytes < connect.length; bytes++) expect(engineFor(connect.subarray(0, bytes))).toBe(undefined)
  })
})
