import { beforeEach, describe, expect, it } from 'vitest'
import { FORBIDDEN, Ledger } from './ledger.ts'

let ledger: Ledger

beforeEach(() => {
  ledger = new Ledger()
  ledger.producer('p')
  ledger.recipient('r', { producers: ['p'] })
})

function send(...numbers: number[]): void {
  for (const number of numbers) {
    ledger.sent('p', number)
    ledger.acknowledged('p', number)
  }
}

function get(...numbers: number[]): void {
  for (const number of numbers) ledger.delivered('r', 'p', number)
}

/** Counts of what is forbidden and happened. */
function wrong() {
  const { counts } = ledger.endRound()
  return Object.fromEntries(FORBIDDEN.filter((kind) => counts[kind] > 0).map((kind) => [kind, counts[kind]]))
}

describe('the ledger', () => {
  it('finds nothing where every acknowledged message comes once, in order', () => {
    send(0, 1, 2)
    get(0, 1, 2)
    expect(ledger.settled).toBe(true)
    expect(ledger.endRound()).toMatchObject({ counts: { acknowledged: 3, delivered: 3, duplicated: 0, lost: 0 }, sentences: [] })
  })

  it('calls lost what was acknowledged and never came', () => {
    send(0, 1, 2)
    get(0, 2)
    expect(ledger.settled).toBe(false)
    expect(wrong()).toEqual({ lost: 1 })
  })

  it('is owed nothing that was not acknowledged, whether it comes or not', () => {
    ledger.sent('p', 0)
    ledger.sent('p', 1)
    get(1)
    expect(wrong()).toEqual({})
  })

  it('counts a message that comes again, and forbids it only after its settlement was answered', () => {
    send(0, 1)
    get(0, 0, 1)
    ledger.answered('r', 'p', 1)
    get(1)
    expect(ledger.endRound().counts).toMatchObject({ duplicated: 2, redelivered: 1 })
  })

  it('allows as many answered deliveries as the message was sent', () => {
    send(0)
    ledger.sentAgain('p', 0)
    get(0)
    ledger.answered('r', 'p', 0)
    get(0)
    ledger.answered('r', 'p', 0)
    expect(wrong()).toEqual({})
  })

  it('remembers across rounds what was settled with an answer', () => {
    send(0)
    get(0)
    ledger.answered('r', 'p', 0)
    expect(wrong()).toEqual({})
    get(0)
    expect(wrong()).toEqual({ redelivered: 1 })
  })

  it('allows no second delivery where exactly once was promised, in this round or a later one', () => {
    ledger.recipient('once', { producers: ['p'], exactlyOnce: true })
    send(0)
    get(0)
    ledger.delivered('once', 'p', 0)
    expect(wrong()).toEqual({})
    ledger.delivered('once', 'p', 0)
    expect(wrong()).toEqual({ repeated: 1 })
  })

  it('wants first deliveries in order, also of a message whose outcome was unknown for rounds', () => {
    send(0, 1, 2)
    get(0, 2, 1)
    expect(wrong()).toEqual({ reordered: 1 })
    ledger.sent('p', 3)
    send(4)
    get(4)
    expect(wrong()).toEqual({})
    get(3)
    expect(wrong()).toEqual({ reordered: 1 })
  })

  it('takes no message that was never sent', () => {
    get(0)
    ledger.delivered('stranger', 'p', 0)
    ledger.acknowledged('p', 7)
    expect(wrong()).toEqual({ invented: 3 })
  })

  it('keeps a bounded number of sentences about each, and counts on', () => {
    send(...Array.from({ length: 500 }, (_, i) => i))
    const { counts, sentences } = ledger.endRound()
    expect(counts.lost).toBe(500)
    expect(sentences).toHaveLength(6)
    send(500)
    expect(ledger.endRound().sentences).toHaveLength(1)
  })
})
