import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Pattern } from '../api.ts'
import { PatternTree } from './pattern-tree.ts'

const one = { wild: 'one' } as const
const rest = { wild: 'rest' } as const

/** `a/+/#` as MQTT writes it. */
function pattern(text: string): Pattern {
  return text.split('/').map((segment) => (segment === '+' ? one : segment === '#' ? rest : segment))
}

function matches(tree: PatternTree<string>, topic: string): string[] {
  const found: string[] = []
  tree.match(topic.split('/'), (value) => found.push(value))
  return found.sort()
}

function treeOf(...patterns: string[]): PatternTree<string> {
  const tree = new PatternTree<string>()
  for (const text of patterns) tree.add(pattern(text), text)
  return tree
}

describe('a pattern tree', () => {
  it('finds literal, one and rest beside each other', () => {
    const tree = treeOf('a/b', 'a/+', '+/b', '+/+', 'a/#', '#', 'a', 'a/b/c', '+')
    expect(matches(tree, 'a/b')).toEqual(['#', '+/+', '+/b', 'a/#', 'a/+', 'a/b'])
    expect(matches(tree, 'a/b/c')).toEqual(['#', 'a/#', 'a/b/c'])
    expect(matches(tree, 'x')).toEqual(['#', '+'])
  })

  it('lets rest match zero segments', () => {
    const tree = treeOf('a/#', 'a/+/#')
    expect(matches(tree, 'a')).toEqual(['a/#'])
    expect(matches(tree, 'a/b')).toEqual(['a/#', 'a/+/#'])
  })

  it('keeps wildcards in first place away from segments that begin with a dollar', () => {
    const tree = treeOf('#', '+', '+/x', '$SYS/#', '$SYS/+', 'a/+')
    expect(matches(tree, '$SYS/x')).toEqual(['$SYS/#', '$SYS/+'])
    expect(matches(tree, 'a/$x')).toEqual(['#', 'a/+'])
    expect(matches(tree, '$')).toEqual([])
  })

  it('takes any string as a segment', () => {
    const tree = treeOf('__proto__/constructor', '', '/', 'a//b', '/+')
    expect(matches(tree, '__proto__/constructor')).toEqual(['__proto__/constructor'])
    expect(matches(tree, '__proto__')).toEqual([])
    expect(matches(tree, '')).toEqual([''])
    expect(matches(tree, '/')).toEqual(['/', '/+'])
    expect(matches(tree, 'a//b')).toEqual(['a//b'])
    expect(matches(tree, 'toString')).toEqual([])
  })

  it('stores a value once under one pattern and as often as there are patterns', () => {
    const tree = new PatternTree<string>()
    expect(tree.add(pattern('a/+'), 'x')).toBe(true)
    expect(tree.add(pattern('a/+'), 'x')).toBe(false)
    expect(tree.add(pattern('a/b'), 'x')).toBe(true)
    expect(tree.add(pattern('a/b'), 'y')).toBe(true)
    expect(tree.add(pattern('a/b'), 'y')).toBe(false)
    expect(tree.size).toBe(3)
    expect(matches(tree, 'a/b')).toEqual(['x', 'x', 'y'])
  })

  it('forgets what is removed and says whether it was there', () => {
    const tree = treeOf('a/b', 'a/b/c', 'a/#', 'a/+')
    expect(tree.remove(pattern('a/b'), 'a/b')).toBe(true)
    expect(tree.remove(pattern('a/b'), 'a/b')).toBe(false)
    expect(tree.remove(pattern('a/x'), 'a/b')).toBe(false)
    expect(tree.remove(pattern('+/b'), 'a/b')).toBe(false)
    expect(tree.remove(pattern('a/#'), 'other')).toBe(false)
    expect(matches(tree, 'a/b')).toEqual(['a/#', 'a/+'])
    expect(tree.remove(pattern('a/#'), 'a/#')).toBe(true)
    expect(tree.remove(pattern('a/+'), 'a/+')).toBe(true)
    expect(matches(tree, 'a/b/c')).toEqual(['a/b/c'])
    expect(tree.size).toBe(1)
  })

  it('gives memory back when branches empty', () => {
    const tree = new PatternTree<number>()
    const before = heapBytes()
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 20_000; i++) tree.add(['clients', String(i), one, 'x', rest], i)
      for (let i = 0; i < 20_000; i++) expect(tree.remove(['clients', String(i), one, 'x', rest], i)).toBe(true)
    }
    expect(tree.size).toBe(0)
    expect(heapBytes() - before).toBeLessThan(4e6)
  })

  it('adds and removes 100,000 values under one pattern in linear time', () => {
    const tree = new PatternTree<number>()
    const shared = pattern('news/#')
    for (let i = 0; i < 100_000; i++) tree.add(shared, i)
    let count = 0
    tree.match(['news', 'today'], () => count++)
    expect(count).toBe(100_000)
    for (let i = 0; i < 100_000; i++) tree.remove(shared, i)
    expect(tree.size).toBe(0)
  })

  it('survives paths and patterns of 65,535 segments', () => {
    const tree = new PatternTree<string>()
    const deep = Array.from({ length: 65_535 }, () => one)
    tree.add(deep, 'deep')
    const found: string[] = []
    tree.match(
      Array.from({ length: 65_535 }, () => ''),
      (value) => found.push(value),
    )
    expect(found).toEqual(['deep'])
    expect(tree.remove(deep, 'deep')).toBe(true)
  })

  it('may be matched from inside a match, and after one that threw', () => {
    const tree = treeOf('a/b', 'a/+', '+/b')
    const inner: string[][] = []
    tree.match(['a', 'b'], () => inner.push(matches(tree, 'a/b')))
    expect(inner).toEqual(Array.from({ length: 3 }, () => ['+/b', 'a/+', 'a/b']))
    expect(() =>
      tree.match(['a', 'b'], () => {
        throw new Error('stop')
      }),
    ).toThrow('stop')
    expect(matches(tree, 'a/b')).toEqual(['+/b', 'a/+', 'a/b'])
  })

  it('agrees with a plain reading of the rules on generated patterns', () => {
    const segment = fc.constantFrom('a', 'b', '', '$s')
    const patterns = fc.array(
      fc
        .tuple(fc.array(fc.oneof(segment, fc.constant(one)), { maxLength: 4 }), fc.boolean())
        .map(([head, tail]): Pattern => (tail ? [...head, rest] : head)),
      { maxLength: 12 },
    )
    fc.assert(
      fc.property(patterns, fc.array(fc.nat()), fc.array(segment, { maxLength: 5 }), (all, removals, path) => {
        const tree = new PatternTree<string>()
        const left = new Map<string, Pattern>()
        for (const item of all) {
          tree.add(item, JSON.stringify(item))
          left.set(JSON.stringify(item), item)
        }
        for (const index of removals) {
          const item = all[index % Math.max(1, all.length)]
          if (item === undefined) continue
          expect(tree.remove(item, JSON.stringify(item))).toBe(left.delete(JSON.stringify(item)))
        }
        const found: string[] = []
        tree.match(path, (value) => found.push(value))
        expect(found.sort()).toEqual(
          [...left]
            .filter(([, item]) => plainly(item, path))
            .map(([name]) => name)
            .sort(),
        )
        expect(tree.size).toBe(left.size)
      }),
      { numRuns: 500, seed: 7 },
    )
  })
})

function plainly(item: Pattern, path: readonly string[]): boolean {
  if (item.length > 0 && typeof item[0] !== 'string' && path[0]?.startsWith('$') === true) return false
  const last = item.at(-1)
  const tail = last !== undefined && typeof last !== 'string' && last.wild === 'rest'
  const head = tail ? item.slice(0, -1) : item
  if (tail ? path.length < head.length : path.length !== head.length) return false
  return head.every((segment, i) => typeof segment !== 'string' || segment === path[i])
}

function heapBytes(): number {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  return process.memoryUsage().heapUsed
}
