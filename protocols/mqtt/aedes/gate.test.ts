import { describe, expect, it } from 'vitest'
import { CodedError } from '../../../src/errors.ts'
import { Gate } from './gate.ts'

function gateWith(): { gate: Gate; went: string[] } {
  return { gate: new Gate(), went: [] }
}

describe('a gate', () => {
  it('lets nobody go before what he waits for is done', () => {
    const { gate, went } = gateWith()
    gate.after(1, () => went.push('a'))
    gate.after(2, () => went.push('b'))
    gate.after(0, () => went.push('c'))
    expect(went).toEqual([])
    gate.done(1)
    expect(went).toEqual(['a'])
    gate.done(2)
    expect(went).toEqual(['a', 'b', 'c'])
    expect(gate.size).toBe(0)
  })

  it('keeps those behind one that waits for room, whether it finds it or is refused', () => {
    const { gate, went } = gateWith()
    const refused = (error: Error): number => went.push(error.message)
    gate.park(() => went.push('a'), refused)
    gate.park(() => went.push('b'), refused)
    gate.after(1, () => went.push('c'))
    gate.done(5)
    expect(went).toEqual([])
    gate.refused(new CodedError('limit', 'no room'))
    expect(went).toEqual(['no room'])
    gate.admitted(6)
    expect(went).toEqual(['no room'])
    gate.done(6)
    expect(went).toEqual(['no room', 'b', 'c'])
  })

  it('lets those who come meanwhile go in their turn', () => {
    const { gate, went } = gateWith()
    gate.after(1, () => {
      went.push('a')
      gate.after(1, () => went.push('c'))
    })
    gate.after(1, () => went.push('b'))
    gate.done(1)
    expect(went).toEqual(['a', 'b', 'c'])
  })
})
