import { describe, expect, it } from 'vitest'
import { fromDotted, fromSlashed, patternFromDotted, patternFromSlashed, toDotted, toSlashed } from './naming.ts'

describe('naming', () => {
  const rows: [slashed: string, path: string[], dotted: string][] = [
    ['a', ['a'], 'a'],
    ['a/b', ['a', 'b'], 'a.b'],
    ['a//b', ['a', '', 'b'], 'a..b'],
    ['/a/', ['', 'a', ''], '.a.'],
    ['sensors/v1.2/x', ['sensors', 'v1/2', 'x'], 'sensors.v1/2.x'],
    ['a/*/>', ['a', '+', '#'], 'a.+.#'],
    ['$SYS/broker', ['$SYS', 'broker'], '$SYS.broker'],
    ['größe/温度/🙂', ['größe', '温度', '🙂'], 'größe.温度.🙂'],
  ]
  it.each(rows)('%s is the same address in both spellings, and comes back as it was', (slashed, path, dotted) => {
    expect(fromSlashed(slashed)).toEqual(path)
    expect(fromDotted(dotted)).toEqual(path)
    expect(toSlashed(path)).toBe(slashed)
    expect(toDotted(path)).toBe(dotted)
  })

  it('reads the wildcards of both as the same pattern, and nothing else as a wildcard', () => {
    expect(patternFromSlashed('a/+/#')).toEqual(['a', { wild: 'one' }, { wild: 'rest' }])
    expect(patternFromDotted('a.*.>')).toEqual(['a', { wild: 'one' }, { wild: 'rest' }])
    expect(patternFromSlashed('a/*/v1.2')).toEqual(['a', '+', 'v1/2'])
    expect(patternFromDotted('a.+.v1/2')).toEqual(['a', '+', 'v1/2'])
  })

  it('shows a literal wildcard of a dotted name as one, so that the caller can refuse it', () => {
    expect(toSlashed(['a*b', '>'])).toBe('a+b/#')
  })
})
