import { describe, expect, it } from 'vitest'
import { Topics, within } from './address.ts'
import { FakeBroker } from './fake-core.ts'
import { defaults } from './settings.ts'

function topics(settings: Partial<typeof defaults> = {}): Topics {
  return new Topics(new FakeBroker(), { ...defaults, ...settings })
}

function parse(name: string | Buffer, settings = {}) {
  const bytes = Buffer.from(name as string)
  return topics(settings).address(bytes, 0, bytes.length)
}

describe('topics', () => {
  it.each([
    ['a', ['a']],
    ['/', ['', '']],
    ['a//b/', ['a', '', 'b', '']],
    ['v1.2/*', ['v1/2', '+']],
    ['größe/温度', ['größe', '温度']],
    // [MQTT-1.5.3-3] A byte order mark is a character.
    ['\ufeffa', ['\ufeffa']],
    ['$SYS/x', ['$SYS', 'x']],
  ])('%s is an address, and comes back as it was', (name, path) => {
    const address = parse(name)
    expect(address).toMatchObject({ kind: 'topic', namespace: '', path })
    expect(Buffer.from(topics().name(address) ?? []).toString()).toBe(name)
  })

  it('are remembered by their bytes, in bounded number', () => {
    const known = topics({ topicCacheMax: 16 })
    const name = (i: number) => Buffer.from(`t/${i}`)
    const first = known.address(name(0), 0, 3)
    expect(known.address(Buffer.from('xxt/0yy'), 2, 5)).toBe(first)
    for (let i = 1; i < 16; i++) known.address(name(i), 0, name(i).length)
    // In the older generation, and taken over into the younger.
    known.address(name(16), 0, 4)
    expect(known.address(name(0), 0, 3)).toBe(first)
    // What is used stays when the generations change again.
    for (let i = 200; i < 220; i++) {
      known.address(name(i), 0, 5)
      expect(known.address(name(0), 0, 3)).toBe(first)
    }
    for (let i = 100; i < 140; i++) known.address(name(i), 0, 5)
    expect(known.address(name(0), 0, 3)).not.toBe(first)
  })

  it('of bytes that look the same in Latin-1 only are told apart', () => {
    const known = topics()
    const utf8 = Buffer.from('é')
    expect(known.address(utf8, 0, 2).path).toEqual(['é'])
    expect(() => known.address(Buffer.from('é', 'latin1'), 0, 1)).toThrow(/UTF-8/)
  })

  it.each([
    ['', /empty/],
    ['a+', /wildcard/],
    ['#', /wildcard/],
    ['a\0', /U\+0000/],
    [Buffer.from([0xed, 0xa0, 0x80]), /UTF-8/],
  ])('%s is none', (name, reason) => {
    expect(() => parse(name)).toThrow(reason)
  })

  it('longer or deeper than is configured are refused', () => {
    expect(() => parse('abcd', { topicBytesMax: 3 })).toThrow(/3 bytes/)
    expect(() => parse('a/b/c', { topicLevelsMax: 2 })).toThrow(/2 levels/)
    expect(topics({ topicBytesMax: 3 }).filter('abcd')).toBeUndefined()
    expect(topics({ topicLevelsMax: 2 }).filter('a/b/#')).toBeUndefined()
  })

  it('mean queues only under the prefix that is configured', () => {
    expect(parse('$queue/a/b')).toMatchObject({ kind: 'topic' })
    expect(parse('$queue/a/b', { queuePrefix: '$queue' })).toMatchObject({ kind: 'queue', path: ['a', 'b'] })
    expect(() => parse('$queue/', { queuePrefix: '$queue' })).toThrow(/no queue/)
    expect(topics({ queuePrefix: 'q' }).filter('q/a')).toMatchObject({ kind: 'queue', queue: { path: ['a'] } })
    expect(topics({ queuePrefix: 'q' }).filter('q/+')).toBeUndefined()
    expect(topics({ queuePrefix: 'q' }).filter('q')).toMatchObject({ kind: 'own' })
    expect(Buffer.from(topics({ queuePrefix: 'q' }).name({ namespace: '', kind: 'queue', path: ['a', 'b'] }) ?? []).toString()).toBe('q/a/b')
  })

  it('have no name when they cannot be said in MQTT', () => {
    for (const path of [['a*'], ['>'], [''], ['a\0'], ['x'.repeat(70_000)]])
      expect(topics().name({ namespace: '', kind: 'topic', path })).toBeUndefined()
    expect(topics().name({ namespace: 'mqtt', kind: 'queue', path: ['session', 'a'] })).toBeUndefined()
    expect(topics().name({ namespace: '', kind: 'stream', path: ['a'] })).toBeUndefined()
  })
})

describe('refused filters', () => {
  it.each([
    ['a', 'a', true],
    ['a/b', 'a', false],
    ['a', 'a/#', true],
    ['a/b/c', 'a/#', true],
    ['a/#', 'a/#', true],
    ['#', 'a/#', false],
    ['+/b', 'a/#', false],
    ['a/b', 'a/+', true],
    ['a/+', 'a/+', true],
    ['a/#', 'a/+', false],
    ['a', 'a/+', false],
    ['x', '#', true],
  ])('%s within %s: %s', (filter, refused, answer) => {
    expect(within(filter, refused)).toBe(answer)
  })
})
