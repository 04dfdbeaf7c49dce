// The tables themselves: what they must say to be worth testing by.
import { describe, expect, it } from 'vitest'
import { losses as amqpLosses } from '../../protocols/amqp/losses.ts'
import { losses as mqttLosses } from '../../protocols/mqtt/losses.ts'
import { lossesFive } from '../../protocols/mqtt/losses-five.ts'
import { ruleIn } from '../../protocols/shared/losses.ts'
import { losses as stompLosses } from '../../protocols/stomp/losses.ts'
import { outcome, rows } from './cells.ts'
import { frontEnds } from './notation.ts'
import { spellings } from './tables/addresses.ts'
import { type Rule, type RuleId, rules } from './tables/rules.ts'

const cells = rows.flatMap((row) =>
  frontEnds.flatMap((from) => frontEnds.map((to) => ({ to, name: `${from} → ${to}: ${row.name}`, found: outcome(row, from, to) }))),
)
const rulesOf = ({ found }: (typeof cells)[number]): readonly RuleId[] =>
  found.kind === 'crosses' ? (found.cell.rules ?? []) : 'rule' in found ? [found.rule] : []

/** Held by tests of their own. */
const OF_TESTS: readonly RuleId[] = ['mqtt-queues']

describe('the tables', () => {
  it('have every row said by somebody, and each once', () => {
    expect(rows.filter(({ said }) => Object.keys(said).length === 0)).toEqual([])
    expect(new Set(rows.map(({ name }) => name)).size).toBe(rows.length)
  })

  it('name for each cell that loses something a rule, and what is counted', () => {
    const bad = cells.filter(({ found }) => found.kind === 'crosses' && (found.cell.rules === undefined) !== (found.cell.lost === undefined))
    expect(bad.map(({ name }) => name)).toEqual([])
  })

  it('say of each loss what the protocol that loses it says (bascule explain)', () => {
    const says = { mqtt: ruleIn(mqttLosses), mqtt5: ruleIn(lossesFive), amqp: ruleIn(amqpLosses), stomp: ruleIn(stompLosses) }
    const bad = cells.filter((cell) => {
      const { found } = cell
      const lost = found.kind === 'crosses' ? (found.cell.lost ?? []) : []
      return !lost.every((field) => rulesOf(cell).some((rule) => rule === says[cell.to](field).rule))
    })
    expect(bad.map(({ name }) => name)).toEqual([])
  })

  it('use rules of the right kind, and every rule', () => {
    const kindOf = (id: RuleId): Rule['kind'] => rules[id].kind
    const wanted = { crosses: 'lossy', unsaid: 'unsaid', refused: 'refused', unchanged: '' } as const
    expect(cells.flatMap((cell) => rulesOf(cell).filter((rule) => kindOf(rule) !== wanted[cell.found.kind]))).toEqual([])
    const used = new Set([...cells.flatMap(rulesOf), ...spellings.map(({ rule }) => rule), ...OF_TESTS])
    expect(Object.keys(rules).filter((id) => !used.has(id as RuleId))).toEqual([])
  })
})
