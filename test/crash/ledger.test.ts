import { describe, expect, it } from 'vitest'
import { Ledger } from './ledger.ts'

function ledgerOf(sent: number): Ledger {
  const ledger = new Ledger({ lazyMs: 100 })
  ledger.producer('p')
  ledger.recipient('r', { producers: ['p'] })
  ledger.recipient('once', { producers: ['p'], exactlyOnce: true })
  for (let i = 0; i < sent; i++) ledger.sent('p', i, 0)
  return ledger
}

describe('the ledger of the crash test', () => {
  it('has nothing to say when every promise is kept', () => {
    const ledger = ledgerOf(3)
    for (let i = 0; i < 3; i++) {
      ledger.acknowledged('p', i, 1)
      ledger.delivered('once', 1, 'p', i, 10)
      ledger.delivered('r', 1, 'p', i, 10)
      ledger.settling('r', 'p', i, 11)
      ledger.answered('r', 'p', i)
    }
    ledger.crashed(20)
    expect(ledger.violations).toEqual([])
    expect(ledger.missing()).toEqual([])
  })

  it('misses what was acknowledged and did not come', () => {
    const ledger = ledgerOf(3)
    ledger.acknowledged('p', 1, 1)
    expect(ledger.missing()).toEqual(['r never got p 1 (acknowledged)', 'once never got p 1 (acknowledged)'])
  })

  it('misses what one got and another did not', () => {
    const ledger = ledgerOf(3)
    ledger.delivered('once', 1, 'p', 2, 10)
    expect(ledger.missing()).toEqual(['r never got p 2 (seen by another, so committed)'])
  })

  it('does not miss what was never acknowledged', () => {
    expect(ledgerOf(3).missing()).toEqual([])
  })

  it('does not stop missing where something came out of order', () => {
    const ledger = ledgerOf(3)
    for (const i of [0, 2]) ledger.delivered('r', 1, 'p', i, 10)
    for (const i of [0, 1, 2]) ledger.delivered('once', 1, 'p', i, 10)
    expect(ledger.missing()).toEqual(['r never got p 1 (seen by another, so committed)'])
    expect(ledger.missing()).toEqual(['r never got p 1 (seen by another, so committed)'])
  })

  it('does not let a settlement come back that left before one that was answered', () => {
    const ledger = ledgerOf(3)
    for (const i of [0, 1, 2]) ledger.delivered('r', 1, 'p', i, 10)
    for (const i of [0, 1, 2]) ledger.settling('r', 'p', i, 11)
    ledger.answered('r', 'p', 1)
    ledger.crashed(12)
    for (const i of [0, 2]) ledger.delivered('r', 2, 'p', i, 20)
    expect(ledger.violations).toEqual(['r got p 0 again, 9.0 ms after a settlement that was answered'])
  })

  it('takes no answer of one connection for those of another', () => {
    const ledger = ledgerOf(2)
    ledger.delivered('r', 1, 'p', 0, 10)
    ledger.settling('r', 'p', 0, 11)
    ledger.crashed(12)
    ledger.delivered('r', 2, 'p', 1, 15)
    ledger.settling('r', 'p', 1, 16)
    ledger.answered('r', 'p', 1)
    ledger.delivered('r', 2, 'p', 0, 20)
    expect(ledger.violations).toEqual(['r got p 0 after 1 on one connection'])
  })

  it('does not let an answered settlement come back', () => {
    const ledger = ledgerOf(1)
    ledger.delivered('r', 1, 'p', 0, 10)
    ledger.settling('r', 'p', 0, 11)
    ledger.answered('r', 'p', 0)
    ledger.crashed(12)
    ledger.delivered('r', 2, 'p', 0, 20)
    expect(ledger.violations).toEqual(['r got p 0 again, 9.0 ms after a settlement that was answered'])
  })

  it('lets an unanswered settlement come back only when it was sent just before the crash', () => {
    const ledger = ledgerOf(2)
    for (let i = 0; i < 2; i++) ledger.acknowledged('p', i, 10)
    for (let i = 0; i < 2; i++) ledger.delivered('r', 1, 'p', i, 10)
    ledger.settling('r', 'p', 0, 1_900)
    ledger.settling('r', 'p', 1, 1_960)
    ledger.crashed(2_050)
    ledger.delivered('r', 2, 'p', 0, 3_000)
    ledger.delivered('r', 2, 'p', 1, 3_000)
    expect(ledger.violations).toEqual(['r got p 0 again although it was settled 150.0 ms before the crash, and publishes took 0.0 ms then'])
    expect(ledger.lostSettlementMs).toBe(150)
  })

  it('allows for as much as publishes took shortly before, or took already without an answer', () => {
    const ledger = ledgerOf(1)
    ledger.delivered('r', 1, 'p', 0, 10)
    ledger.acknowledged('p', 0, 10)
    ledger.sent('p', 1, 1_800)
    ledger.sent('p', 2, 1_850)
    ledger.acknowledged('p', 1, 1_900)
    ledger.settling('r', 'p', 0, 1_800)
    ledger.crashed(2_000)
    ledger.delivered('r', 2, 'p', 0, 3_000)
    expect(ledger.violations).toEqual([])
    expect(ledger.lostBeyondMs).toBe(50)
  })

  it('does not let a settlement come back without a crash', () => {
    const ledger = ledgerOf(1)
    ledger.delivered('r', 1, 'p', 0, 10)
    ledger.settling('r', 'p', 0, 100)
    ledger.delivered('r', 2, 'p', 0, 2000)
    expect(ledger.violations).toEqual(['r got p 0 again after it was settled, without a crash'])
  })

  it('lets what was not settled come back, in order and before what is new', () => {
    const ledger = ledgerOf(4)
    for (const i of [0, 1]) ledger.delivered('r', 1, 'p', i, 10)
    for (const i of [0, 1, 2]) ledger.delivered('r', 2, 'p', i, 20)
    expect(ledger.violations).toEqual([])
    for (const i of [3, 2]) ledger.delivered('r', 3, 'p', i, 30)
    expect(ledger.violations).toEqual(['r got p 2 after 3 on one connection'])
  })

  it('sees a first delivery out of order also across connections', () => {
    const ledger = ledgerOf(4)
    ledger.delivered('r', 1, 'p', 2, 10)
    ledger.delivered('r', 2, 'p', 1, 20)
    expect(ledger.violations).toEqual(['r got p 1 for the first time after 2'])
  })

  it('counts to one where that was promised', () => {
    const ledger = ledgerOf(1)
    ledger.delivered('once', 1, 'p', 0, 10)
    ledger.crashed(15)
    ledger.delivered('once', 2, 'p', 0, 20)
    expect(ledger.violations).toEqual(['once got p 0 2 times'])
  })

  it('lets nothing come before its time', () => {
    const ledger = ledgerOf(2)
    ledger.notBefore('p', 0, 100)
    ledger.notBefore('p', 1, 100)
    ledger.delivered('r', 1, 'p', 0, 90)
    ledger.delivered('r', 1, 'p', 1, 100)
    expect(ledger.violations).toEqual(['r got p 0 10.0 ms before its time'])
  })

  it('lets come in any order what has its own time', () => {
    const ledger = ledgerOf(2)
    ledger.recipient('late', { producers: ['p'], unordered: true })
    for (const i of [1, 0]) ledger.delivered('late', 1, 'p', i, 10)
    expect(ledger.violations).toEqual([])
  })

  describe('of what is sent again and again', () => {
    function again(): Ledger {
      const ledger = new Ledger({ lazyMs: 100 })
      ledger.producer('p')
      ledger.recipient('r', { producers: ['p'], unordered: true, copies: 2 })
      ledger.sent('p', 0, 0)
      ledger.acknowledged('p', 0, 1)
      return ledger
    }

    it('misses each copy', () => {
      const ledger = again()
      ledger.delivered('r', 1, 'p', 0, 10, 'one')
      ledger.delivered('r', 2, 'p', 0, 20, 'one')
      expect(ledger.missing()).toEqual(['r never got p 0 (acknowledged), 1 of its 2 copies'])
      ledger.delivered('r', 2, 'p', 0, 20, 'two')
      expect(ledger.missing()).toEqual([])
      expect(ledger.violations).toEqual([])
    })

    it('sees one too many', () => {
      const ledger = again()
      for (const copy of ['one', 'two', 'three']) ledger.delivered('r', 1, 'p', 0, 10, copy)
      expect(ledger.violations).toEqual(['r got p 0 as 3 messages, and it is owed 2'])
    })

    it('does not let an answered settlement of one come back', () => {
      const ledger = again()
      for (const copy of ['one', 'two']) ledger.delivered('r', 1, 'p', 0, 10, copy)
      ledger.settling('r', 'p', 0, 11, 'two')
      ledger.answered('r', 'p', 0, 'two')
      ledger.crashed(12)
      for (const copy of ['one', 'two']) ledger.delivered('r', 2, 'p', 0, 20, copy)
      expect(ledger.violations).toEqual(['r got p 0 again, 9.0 ms after a settlement that was answered'])
    })
  })

  it('does not know what was never sent', () => {
    const ledger = ledgerOf(1)
    ledger.delivered('r', 1, 'p', 7, 10)
    ledger.acknowledged('p', 8, 1)
    expect(ledger.violations).toEqual(['r got p 7, which was never sent to it', 'p 8 was acknowledged and never sent'])
  })
})
