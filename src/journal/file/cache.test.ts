import { describe, expect, it } from 'vitest'
import { Cache, type Image } from './cache.ts'

const image = (segment: number, base: number, bytes = 1000, pinned = false): Image => ({
  segment,
  base,
  end: base + bytes,
  buffer: Buffer.alloc(bytes, base % 251),
  pinned,
  lent: false,
})

describe('the cache of images', () => {
  it('answers from the image that covers a range, also when images overlap', () => {
    const cache = new Cache(10_000)
    for (const base of [5000, 0, 600]) cache.add(image(1, base))
    expect(cache.read(1, 700, 100)?.[0]).toBe(600 % 251)
    expect(cache.read(1, 100, 600)?.[0]).toBe(0)
    expect(cache.read(1, 1550, 51)).toBeUndefined()
    expect(cache.read(1, 4999, 1)).toBeUndefined()
    expect(cache.read(1, 5999, 1)).toBeDefined()
    expect(cache.read(2, 0, 1)).toBeUndefined()
  })

  it('drops the oldest beyond its budget', () => {
    const cache = new Cache(2500)
    for (let i = 0; i < 5; i++) cache.add(image(1, i * 1000))
    expect(cache.bytes).toBe(2000)
    expect([0, 1, 2, 3, 4].map((i) => cache.read(1, i * 1000, 1) !== undefined)).toEqual([false, false, false, true, true])
  })

  it('keeps the newest whatever the budget, so that what was just fetched is there', () => {
    const cache = new Cache(1)
    cache.add(image(9, 0, 1000, true))
    cache.add(image(1, 0))
    expect(cache.read(1, 0, 1000)).toBeDefined()
    cache.add(image(1, 3000))
    expect(cache.read(1, 0, 1)).toBeUndefined()
    expect(cache.read(1, 3000, 1000)).toBeDefined()
  })

  it('never drops what waits for the disk, and does not count it', () => {
    const cache = new Cache(1500)
    const waiting = [image(7, 0, 1000, true), image(7, 1000, 1000, true)]
    for (const one of waiting) cache.add(one)
    cache.add(image(1, 0))
    expect([cache.read(7, 0, 1), cache.read(7, 1000, 1), cache.read(1, 0, 1)].every((one) => one !== undefined)).toBe(true)
    for (const one of waiting) cache.unpin(one)
    expect(cache.bytes).toBe(1000)
  })

  it('uses a dropped buffer again, as zeros, unless somebody may have a view of it or it is still on its way to the disk', () => {
    const cache = new Cache(1)
    const [read, written, underWay, newest] = [image(1, 1000), image(1, 2000), image(2, 3000, 1000, true), image(1, 4000)]
    const view = (cache.add(read), cache.read(1, 1000, 10))
    for (const one of [written, underWay, newest]) cache.add(one)
    cache.dropSegment(2)
    cache.unpin(underWay)
    expect(cache.zeros(999)).toHaveLength(999)
    const again = cache.zeros(1000)
    expect(again).toBe(written.buffer)
    expect(again.every((byte) => byte === 0)).toBe(true)
    expect(cache.zeros(1000)).not.toBe(newest.buffer)
    cache.dropSegment(1)
    expect(cache.zeros(1000)).toBe(newest.buffer)
    expect(view?.[0]).toBe(1000 % 251)
    for (const other of [read, underWay]) expect(cache.zeros(1000)).not.toBe(other.buffer)
  })

  it('forgets a segment whole', () => {
    const cache = new Cache(10_000)
    cache.add(image(1, 0))
    cache.add(image(2, 0, 1000, true))
    cache.dropSegment(1)
    cache.dropSegment(2)
    expect([cache.bytes, cache.read(1, 0, 1), cache.read(2, 0, 1)]).toEqual([0, undefined, undefined])
  })
})
