import { describe, expect, it } from 'vitest'
import { Answers, SEND_PUBACK, SEND_PUBREL } from './answers.ts'

describe('Answers', () => {
  it('come out in the order in which they went in, however many wait', () => {
    const answers = new Answers()
    let pushed = 0
    let shifted = 0
    for (let round = 0; round < 50; round++) {
      for (let i = 0; i < 1000; i++) answers.push(++pushed, SEND_PUBACK, pushed % 65_536)
      for (let i = 0; i < 800; i++) expect(answers.shift()).toBe(SEND_PUBACK * 65_536 + (++shifted % 65_536))
      expect(answers.size).toBe(pushed - shifted)
      expect(answers.ready(shifted + 5)).toBe(5)
    }
    while (answers.size > 0) expect(answers.shift() % 65_536).toBe(++shifted % 65_536)
    expect(shifted).toBe(pushed)
  })

  it('are ready up to a ticket, those of the same ticket together', () => {
    const answers = new Answers()
    answers.push(1, SEND_PUBACK, 1)
    answers.push(3, SEND_PUBREL, 65_535)
    answers.push(3, SEND_PUBACK, 2)
    answers.push(4, SEND_PUBACK, 3)
    expect([0, 1, 2, 3, 4].map((upTo) => answers.ready(upTo))).toEqual([0, 1, 1, 3, 4])
    answers.shift()
    expect(answers.shift()).toBe(0x62 * 65_536 + 65_535)
  })

  it('keep whole packets in their place', () => {
    const answers = new Answers()
    const [one, two] = [Uint8Array.of(1), Uint8Array.of(2)]
    answers.pushPacket(1, one)
    answers.push(1, SEND_PUBACK, 7)
    answers.pushPacket(2, two)
    answers.shift()
    expect(answers.shiftPacket()).toBe(one)
    answers.shift()
    answers.shift()
    expect(answers.shiftPacket()).toBe(two)
    expect(() => answers.shiftPacket()).toThrow(/not put aside/)
  })
})
