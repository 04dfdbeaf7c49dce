import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Pattern } from '../api.ts'
import { PatternTree } from './pattern-tree.ts'
import { TopicTree } from './topic-tree.ts'

const one = { wild: 'one' } as const
const rest = { wild: 'rest' } as const

function pattern(text: string): Pattern {
  return text.split('/').map((segment) => (segment === '+' ? one : segment === '#' ? rest : segment))
}

function treeOf(...topics: string[]): TopicTree<string> {
  const tree = new TopicTree<string>()
  for (const topic of topics) tree.set(topic.split('/'), topic)
  return tree
}

function matches(tree: TopicTree<string>, text: string): string[] {
  return [...tree.match(pattern(text))].map(([path, value]) => {
    expect(path.join('/')).toBe(value)
    return value
  })
}

describe('a topic tree', () => {
  it('keeps one value per exact path', () => {
    const tree = treeOf('a/b')
    expect(tree.set(['a', 'b'], 'new')).toBe('a/b')
    expect(tree.set(['a'], 'a')).toBe(undefined)
    expect(tree.get(['a', 'b'])).toBe('new')
    expect(tree.get(['a', 'b', 'c'])).toBe(undefined)
    expect(tree.size).toBe(2)
    expect(tree.delete(['a'])).toBe('a')
    expect(tree.delete(['a'])).toBe(undefined)
    expect(tree.delete(['x'])).toBe(undefined)
    expect(tree.get(['a', 'b'])).toBe('new')
    expect(tree.size).toBe(1)
  })

  it('matches literal, one and rest, rest also with zero segments', () => {
    const tree = treeOf('a', 'a/b', 'a/c', 'a/b/c', 'x/b', '', 'a/')
    expect(matches(tree, 'a/b')).toEqual(['a/b'])
    expect(matches(tree, 'a/+').sort()).toEqual(['a/', 'a/b', 'a/c'])
    expect(matches(tree, 'a/#').sort()).toEqual(['a', 'a/', 'a/b', 'a/b/c', 'a/c'])
    expect(matches(tree, '+/b').sort()).toEqual(['a/b', 'x/b'])
    expect(matches(tree, '#').length).toBe(7)
    expect(matches(tree, '+').sort()).toEqual(['', 'a'])
  })

  it('keeps wildcards in first place away from segments that begin with a dollar', () => {
    const tree = treeOf('$SYS/a', '$SYS/b', 'a/$x')
    expect(matches(tree, '#')).toEqual(['a/$x'])
    expect(matches(tree, '+/a')).toEqual([])
    expect(matches(tree, '$SYS/+')).toEqual(['$SYS/a', '$SYS/b'])
    expect(matches(tree, 'a/+')).toEqual(['a/$x'])
  })

  it('takes any string as a segment', () => {
    const tree = treeOf('__proto__/constructor', '__proto__')
    expect(tree.get(['constructor'])).toBe(undefined)
    expect(matches(tree, '#').sort()).toEqual(['__proto__', '__proto__/constructor'])
  })

  it('goes on after changes: what stays is told once, what goes is not told', () => {
    const tree = treeOf(...Array.from({ length: 100 }, (_, i) => `a/${i}/x`))
    const told: string[] = []
    for (const [path] of tree.match(pattern('a/#'))) {
      told.push(path.join('/'))
      if (told.length === 10) {
        for (let i = 20; i < 100; i += 2) tree.delete(['a', String(i), 'x'])
        tree.delete(['a', '9', 'x'])
      }
    }
    expect(told.length).toBe(new Set(told).size)
    for (let i = 21; i < 100; i += 2) expect(told).toContain(`a/${i}/x`)
    for (let i = 20; i < 100; i += 2) expect(told).not.toContain(`a/${i}/x`)
  })

  it('ends although topics are deleted and set again all the time', () => {
    const tree = treeOf('a/1', 'a/2', 'b/1')
    let told = 0
    for (const [path] of tree.match(pattern('#'))) {
      if (++told > 10) break
      tree.delete(path)
      tree.set(path, path.join('/'))
      tree.set(['c', String(told)], `c/${told}`)
    }
    expect(told).toBe(3)
  })

  it('takes a breath among many topics that do not match', () => {
    const tree = treeOf(...Array.from({ length: 1000 }, (_, i) => `a/${i}/x`), 'a/7/y')
    const found = [...tree.walk(pattern('a/+/y'), 100)]
    expect(found.filter((each) => each !== undefined).map(([, value]) => value)).toEqual(['a/7/y'])
    expect(found.filter((each) => each === undefined).length).toBeGreaterThan(8)
  })

  it('survives a path of 65,535 segments', () => {
    const tree = new TopicTree<number>()
    const deep = Array.from({ length: 65_535 }, () => '')
    tree.set(deep, 1)
    expect([...tree.match([rest])].length).toBe(1)
    expect(tree.delete(deep)).toBe(1)
    expect([...tree.match([rest])].length).toBe(0)
  })

  it('agrees with the pattern tree on generated topics', () => {
    const segment = fc.constantFrom('a', 'b', '', '$s')
    const topic = fc.array(segment, { maxLength: 4 })
    const asked = fc
      .tuple(fc.array(fc.oneof(segment, fc.constant(one)), { maxLength: 4 }), fc.boolean())
      .map(([head, tail]): Pattern => (tail ? [...head, rest] : head))
    fc.assert(
      fc.property(fc.array(topic), fc.array(topic), asked, (sets, deletes, which) => {
        const topics = new TopicTree<string>()
        const expected = new Map<string, readonly string[]>()
        for (const path of sets) {
          topics.set(path, JSON.stringify(path))
          expected.set(JSON.stringify(path), path)
        }
        for (const path of deletes) {
          topics.delete(path)
          expected.delete(JSON.stringify(path))
        }
        const patterns = new PatternTree<string>()
        patterns.add(which, 'hit')
        const hits = [...expected].filter(([, path]) => {
          let hit = false
          patterns.match(path, () => {
            hit = true
          })
          return hit
        })
        expect([...topics.match(which)].map(([, value]) => value).sort()).toEqual(hits.map(([name]) => name).sort())
        expect(topics.size).toBe(expected.size)
      }),
      { numRuns: 500, seed: 11 },
    )
  })
})
