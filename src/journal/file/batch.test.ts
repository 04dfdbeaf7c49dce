import { describe, expect, it } from 'vitest'
import { SeededRandom } from '../../random.ts'
import { crc32, slowCrc } from '../crc.ts'
import { BATCH_HEADER_BYTES, type BatchHeader, FLAG_EPOCH_HEADER, eachFact, isWhole, peekBatch, sealBatch } from './batch.ts'
import { type ChainEntry, copyOffset, decodeEpochHeader, encodeEpochHeader, headerContentBytes } from './epoch-header.ts'
import { HEAD_BYTES, decodeHead, encodeHead, parseSegmentFile, segmentFile } from './segment.ts'

const header: BatchHeader = {
  batch: 300,
  epoch: 7,
  segment: 9,
  offset: 1024,
  wallMs: 1_700_000_000_000,
  length: BATCH_HEADER_BYTES + 6,
  numbersTo: 12,
  previous: 299,
  flags: 0,
}

function batch(): Buffer {
  const image = Buffer.alloc(512)
  image.writeUInt32LE((2 << 8) | 5, BATCH_HEADER_BYTES)
  image.write('ab', BATCH_HEADER_BYTES + 4)
  sealBatch(image, 0, header)
  return image
}

describe('a batch', () => {
  it('is these bytes, for ever', () => {
    expect(batch().toString('hex', 0, header.length)).toBe(
      [
        '42534231', // BSB1
        '01000001', // format, encoding, flags, lowest reader
        '0000000000c07240', // 300
        '0000000000001c40', // 7
        '09000000',
        '00040000',
        '00008056febc7842', // wall ms
        '46000000',
        '0c000000',
        '0000000000b07240', // 299
        '00000000',
        '359f9465',
        '050200006162',
      ].join(''),
    )
  })

  it('is read back as it was written', () => {
    const image = batch()
    expect(peekBatch(image, 0, 7, 9, 1024)).toEqual(header)
    expect(isWhole(image, 0, header)).toBe(true)
    const facts: string[] = []
    expect(
      eachFact(image, BATCH_HEADER_BYTES, header.length, (type, start, end) => facts.push(`${type} ${image.toString('latin1', start, end)}`)),
    ).toBe(true)
    expect(facts).toEqual(['5 ab'])
  })

  it.each([
    ['another epoch', 8, 9, 1024],
    ['another segment', 7, 10, 1024],
    ['another offset', 7, 9, 512],
  ])('is none when it is looked for at %s', (_name, epoch, segment, offset) => {
    expect(peekBatch(batch(), 0, epoch, segment, offset)).toBe('none')
  })

  it('is not whole with any bit of it flipped', () => {
    for (let byte = 0; byte < header.length; byte++)
      for (let bit = 0; bit < 8; bit++) {
        const image = batch()
        image[byte] ^= 1 << bit
        const found = peekBatch(image, 0, 7, 9, 1024)
        expect(typeof found === 'object' && isWhole(image, 0, found), `byte ${byte} bit ${bit}`).toBe(false)
      }
  })

  it('is not whole when it is cut at any byte', () => {
    for (let length = 0; length < header.length; length++) {
      const image = batch().subarray(0, length)
      const found = peekBatch(image, 0, 7, 9, 1024)
      expect(typeof found === 'object' && isWhole(image, 0, found)).toBe(false)
    }
  })

  it('of a newer format, or encoded in a way not known, is told as newer', () => {
    for (const at of [5, 7]) {
      const image = batch()
      image[at] = 9
      expect(peekBatch(image, 0, 7, 9, 1024)).toBe('newer')
    }
  })

  it('whose facts do not add up says so', () => {
    const image = batch()
    image.writeUInt32LE((3 << 8) | 5, BATCH_HEADER_BYTES)
    expect(eachFact(image, BATCH_HEADER_BYTES, header.length, () => undefined)).toBe(false)
    expect(eachFact(image, BATCH_HEADER_BYTES, BATCH_HEADER_BYTES + 3, () => undefined)).toBe(false)
  })
})

describe('the header of an epoch', () => {
  const chain: readonly ChainEntry[] = [
    { epoch: 3, segment: 17, end: 65_536, numbersTo: 19 },
    { epoch: 4, segment: 0, end: 0, numbersTo: 0 },
  ]
  const copy = { epoch: 3, batch: 299, wallMs: 5, segment: 17, offset: 65_024, bytes: batch().subarray(0, header.length) }

  it('comes back with its chain and its copy', () => {
    const content = Buffer.alloc(headerContentBytes(chain, copy))
    encodeEpochHeader(chain, copy, content, 0)
    expect(decodeEpochHeader(content)).toEqual({ chain, copy, copyAt: copyOffset(chain) })
    expect(content.subarray(copyOffset(chain)).equals(copy.bytes)).toBe(true)
  })

  it('comes back with nothing to copy', () => {
    const content = Buffer.alloc(headerContentBytes([], undefined))
    encodeEpochHeader([], undefined, content, 0)
    expect(decodeEpochHeader(content)).toEqual({ chain: [], copy: undefined, copyAt: copyOffset([]) })
  })

  it('is refused when it is cut at any byte', () => {
    const content = Buffer.alloc(headerContentBytes(chain, copy))
    encodeEpochHeader(chain, copy, content, 0)
    for (let length = 0; length < content.length; length++) expect(decodeEpochHeader(content.subarray(0, length))).toBeUndefined()
  })

  it('may be longer than other batches', () => {
    const image = Buffer.alloc(2 * 1024 * 1024)
    const large = { ...header, length: image.length }
    sealBatch(image, 0, large)
    expect(peekBatch(image, 0, 7, 9, 1024)).toBe('none')
    sealBatch(image, 0, { ...large, flags: FLAG_EPOCH_HEADER })
    expect(peekBatch(image, 0, 7, 9, 1024)).toEqual({ ...large, flags: FLAG_EPOCH_HEADER })
  })
})

describe('the head of a segment', () => {
  const head = {
    family: 'log',
    segment: 4_294_967_295,
    epoch: 12,
    firstBatch: 2 ** 40,
    before: 3,
    madeMs: 1_700_000_000_000,
    cluster: '00112233445566778899aabbccddeeff',
    node: 'näme',
  } as const

  it('comes back', () => {
    const image = Buffer.alloc(HEAD_BYTES, 0xff)
    encodeHead(head, image)
    expect(decodeHead(image)).toEqual(head)
  })

  it('is none with any byte of it changed, and newer when a newer version made it', () => {
    const image = Buffer.alloc(HEAD_BYTES)
    for (let byte = 0; byte < HEAD_BYTES; byte++) {
      encodeHead(head, image)
      image[byte] ^= 0x10
      expect(decodeHead(image)).toBe('none')
    }
    encodeHead(head, image)
    image[8] = 2
    image.writeUInt32LE(crc32(image.subarray(0, HEAD_BYTES - 4)), HEAD_BYTES - 4)
    expect(decodeHead(image)).toBe('newer')
  })

  it('is named by epoch and number, zero-padded', () => {
    expect(segmentFile({ family: 'log', epoch: 7, segment: 12 })).toBe('seg-0000000007-0000000012')
    expect(parseSegmentFile('old-0000000007-0000000012')).toEqual({ family: 'old', epoch: 7, segment: 12 })
    expect(parseSegmentFile('seg-7-12')).toBeUndefined()
  })
})

describe('the check sum', () => {
  it('is the same with and without zlib, in pieces and whole', () => {
    const random = new SeededRandom(5)
    for (let i = 0; i < 50; i++) {
      const bytes = random.bytes(random.below(300))
      const cut = random.below(bytes.length + 1)
      expect(slowCrc(bytes)).toBe(crc32(bytes))
      expect(slowCrc(bytes.subarray(cut), slowCrc(bytes.subarray(0, cut)))).toBe(crc32(bytes))
    }
    expect(crc32(Buffer.from('123456789'))).toBe(0xcbf43926)
  })
})
