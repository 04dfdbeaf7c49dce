import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { SeededRandom } from '../../src/random.ts'
import { encodeFrame, type Frame, header, Parser } from './codec.ts'
import type { Version } from './escape.ts'

const LIMITS = { headersMax: 5, headerBytesMax: 400, lineBytesMax: 100, bodyBytesMax: 2000 }

describe('the parser', () => {
  it('reads command, headers and a body that NUL ends', () => {
    const [frame] = parse('SEND\ndestination:/queue/a\nx:1\n\nhello\0')
    expect(plain(frame)).toEqual({ command: 'SEND', headers: ['destination', '/queue/a', 'x', '1'], body: 'hello', measured: false })
  })

  it('reads a measured body that holds NULs', () => {
    const [frame] = parse('SEND\ncontent-length:5\n\na\0b\0c\0')
    expect(frame.body.toString('latin1')).toBe('a\0b\0c')
    expect(frame.measured).toBe(true)
  })

  it('reads an empty measured body', () => {
    expect(plain(parse('SEND\ncontent-length:0\n\n\0')[0])).toMatchObject({ body: '', measured: true })
  })

  it('skips heart-beats before and between frames, with LF and CR LF', () => {
    expect(parse('\n\r\n\nSEND\na:1\n\n\0\r\n\n\n\r\nSEND\na:2\n\n\0\n').map((frame) => header(frame, 'a'))).toEqual(['1', '2'])
  })

  it('gives the same frames wherever the bytes are split', () => {
    const bytes = Buffer.from('\n\r\nSEND\r\nname:\u00fc\u20ac\u{1f600}\r\n\r\nbody \u{1f600}\0\nSEND\ncontent-length:3\nx:a\\nb\n\na\0b\0SEND\n\n\0')
    const whole = read(bytes, '1.2', [])
    expect(whole.frames).toHaveLength(3)
    for (let i = 0; i <= bytes.length; i++) {
      expect(read(bytes, '1.2', [i])).toEqual(whole)
      for (let j = i; j <= bytes.length; j += 7) expect(read(bytes, '1.2', [i, j])).toEqual(whole)
    }
    expect(
      read(
        bytes,
        '1.2',
        Array.from({ length: bytes.length }, (_, i) => i),
      ),
    ).toEqual(whole)
  })

  it('keeps repeated headers in order and finds the first', () => {
    const [frame] = parse('SEND\na:1\na:2\n\n\0')
    expect(frame.headers).toEqual(['a', '1', 'a', '2'])
    expect(header(frame, 'a')).toBe('1')
  })

  it('takes __proto__, hasOwnProperty and constructor for headers like any other', () => {
    const [frame] = parse('SEND\n__proto__:1\nhasOwnProperty:2\nconstructor:3\n\n\0')
    expect(header(frame, '__proto__')).toBe('1')
    expect(header(frame, 'hasOwnProperty')).toBe('2')
    expect(header(frame, 'toString')).toBeUndefined()
  })

  it('lets the first of two content-length headers count', () => {
    expect(parse('SEND\ncontent-length:2\ncontent-length:9\n\nab\0')[0].body.toString()).toBe('ab')
  })

  it('reads a body of SUBSCRIBE, which is ignored in 1.0 and forbidden since', () => {
    const split = [...Buffer.from('SUBSCRIBE\n\nab').keys()]
    for (const frame of ['SUBSCRIBE\n\nabc\0', 'SUBSCRIBE\ncontent-length:3\n\nabc\0']) {
      expect(read(Buffer.from(frame), '1.0', split).frames.map(({ command }) => command)).toEqual(['SUBSCRIBE'])
      for (const version of ['1.1', '1.2', undefined] as const) expect(read(Buffer.from(frame), version, split).fault).toBeDefined()
    }
    expect(read(Buffer.from('UNSUBSCRIBE\n\nabc\0'), '1.0', []).fault).toBeDefined()
  })

  describe('escapes', () => {
    it.each<[Version, string, string | undefined]>([
      ['1.0', 'a\\nb\\c\\\\', 'a\\nb\\c\\\\'],
      ['1.1', 'a\\nb\\c\\\\', 'a\nb:\\'],
      ['1.1', 'a\\rb', undefined],
      ['1.2', 'a\\nb\\c\\\\\\r', 'a\nb:\\\r'],
      ['1.2', 'a\\tb', undefined],
      ['1.2', 'a\\', undefined],
      ['1.2', 'http://host', 'http://host'],
    ])('%s reads %s', (version, value, expected) => {
      const { frames, fault } = read(Buffer.from(`SEND\nx:${value}\n\n\0`), version, [])
      expect(frames[0] === undefined ? undefined : header(frames[0], 'x')).toBe(expected)
      expect(fault === undefined).toBe(expected !== undefined)
    })

    it('are left alone before the version is known, as in CONNECT', () => {
      expect(header(read(Buffer.from('CONNECT\npasscode:a\\nb\n\n\0'), undefined, []).frames[0], 'passcode')).toBe('a\\nb')
    })

    it('apply to names as well', () => {
      expect(header(parse('SEND\na\\cb:1\n\n\0')[0], 'a:b')).toBe('1')
    })
  })

  describe('carriage returns', () => {
    it.each<[Version, string]>([
      ['1.0', 'v'],
      ['1.1', 'v\r'],
      ['1.2', 'v'],
    ])('at the end of a header in %s', (version, value) => {
      expect(header(read(Buffer.from('SEND\r\nx:v\r\n\r\n\0'), version, []).frames[0], 'x')).toBe(value)
    })
  })

  it('trims spaces around names and values in 1.0 only', () => {
    const bytes = Buffer.from('SEND\nx : v \n\n\0')
    expect(read(bytes, '1.0', []).frames[0].headers).toEqual(['x', 'v'])
    expect(read(bytes, '1.2', []).frames[0].headers).toEqual(['x ', ' v '])
  })

  it('reads nothing but CONNECT and STOMP before the version is known', () => {
    expect(read(Buffer.from('STOMP\n\n\0'), undefined, []).frames).toHaveLength(1)
    for (const bytes of ['SEND\n\n\0', 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n']) {
      expect(read(Buffer.from(bytes), undefined, [])).toMatchObject({ frames: [], fault: { code: 'invalid' } })
    }
  })

  describe('refuses', () => {
    it.each([
      ['a negative content-length', 'SEND\ncontent-length:-1\n\n\0', 'invalid'],
      ['a content-length that is no number', 'SEND\ncontent-length:1e3\n\n\0', 'invalid'],
      ['an absurd content-length before anything of the body has come', 'SEND\ncontent-length:99999999999999999999\n\n', 'invalid'],
      ['a content-length beyond the limit before anything of the body has come', 'SEND\ncontent-length:2001\n\n', 'too-large'],
      ['a body that is longer than its content-length', 'SEND\ncontent-length:1\n\nab\0', 'invalid'],
      ['an unmeasured body beyond the limit', `SEND\n\n${'x'.repeat(2001)}`, 'too-large'],
      ['a header without colon', 'SEND\nabc\n\n\0', 'invalid'],
      ['a header without name', 'SEND\n:abc\n\n\0', 'invalid'],
      ['a NUL among the headers', 'DISCONNECT\nreceipt:1\0', 'invalid'],
      ['headers that are not UTF-8', Buffer.from([0x53, 0x0a, 0x78, 0x3a, 0xff, 0x0a, 0x0a, 0x00]), 'invalid'],
      ['more headers than allowed', `SEND\n${'a:1\n'.repeat(6)}\n\0`, 'limit'],
      ['a header line beyond the limit', `SEND\na:${'x'.repeat(100)}`, 'too-large'],
      ['headers beyond the limit', `SEND\n${`a:${'x'.repeat(90)}\n`.repeat(5)}`, 'too-large'],
      ['a command that never ends', 'x'.repeat(200), 'too-large'],
      ['a body on a frame that may have none', 'SUBSCRIBE\nid:1\n\nboom\0', 'invalid'],
      ['a body that has not ended on a frame that may have none', 'SUBSCRIBE\nid:1\n\nbo', 'invalid'],
      ['a measured body on a frame that may have none', 'SUBSCRIBE\ncontent-length:4\n\n', 'invalid'],
    ])('%s', (_, bytes, code) => {
      const buffer = Buffer.from(bytes)
      const whole = read(buffer, '1.2', [])
      expect(whole.fault?.code).toBe(code)
      expect(whole.frames).toEqual([])
      const bytewise = read(
        buffer,
        '1.2',
        Array.from({ length: buffer.length }, (_, i) => i),
      )
      expect(bytewise.fault?.code).toBe(code)
    })

    it('nothing at the limits themselves', () => {
      expect(parse(`SEND\n${'a:1\n'.repeat(5)}\n\0`)).toHaveLength(1)
      expect(parse(`SEND\na:${'x'.repeat(98)}\n\n\0`)).toHaveLength(1)
      expect(parse(`SEND\n\n${'x'.repeat(2000)}\0`)).toHaveLength(1)
      expect(parse(`SEND\ncontent-length:2000\n\n${'x'.repeat(2000)}\0`)).toHaveLength(1)
    })

    it('and then reads and keeps nothing more', () => {
      const parser = new Parser(LIMITS)
      parser.version = '1.2'
      parser.push(Buffer.from('SEND\nabc\n\n\0SEND\n\n\0'))
      expect(parser.read()).toBeUndefined()
      parser.push(Buffer.from('SEND\n\n\0'))
      expect(parser.read()).toBeUndefined()
      expect(parser.waitingBytes).toBe(0)
    })
  })

  it('never writes again where a frame it gave out lies', () => {
    const parser = new Parser(LIMITS)
    parser.version = '1.2'
    parser.push(Buffer.from('SEND\n\nfir'))
    parser.read()
    parser.push(Buffer.from('st\0SEND\n\nsec'))
    const first = parser.read()
    parser.read()
    for (const piece of ['ond', '\0', 'SEND\n\nthird\0']) {
      parser.push(Buffer.from(piece))
      parser.read()
    }
    expect(first?.body.toString()).toBe('first')
  })

  it('reads every piece of its corpus alike, split anywhere', () => {
    const directory = new URL('./corpus/', import.meta.url)
    const names = readdirSync(directory)
    expect(names.length).toBeGreaterThan(5)
    for (const name of names) {
      const bytes = readFileSync(new URL(name, directory))
      const whole = read(bytes, '1.2', [])
      for (let i = 0; i <= bytes.length; i++) expect(read(bytes, '1.2', [i]), `${name} split at ${i}`).toEqual(whole)
    }
  })

  it('survives mutated frames, split anywhere, and reads them alike (seeds 1 to 400)', () => {
    for (let seed = 1; seed <= 400; seed++) {
      const random = new SeededRandom(seed)
      const bytes = mutate(random, generate(random))
      const version = VERSIONS[random.below(3)]
      const whole = read(bytes, version, [])
      for (let round = 0; round < 4; round++) {
        const splits = Array.from({ length: 1 + random.below(6) }, () => random.below(bytes.length + 1)).sort((a, b) => a - b)
        const split = read(bytes, version, splits)
        // A limit may be noticed before the frame is whole, so a faulty stream may name another fault first, never give other frames.
        expect(split.frames, `seed ${seed}`).toEqual(whole.frames)
        expect(split.fault === undefined, `seed ${seed}`).toBe(whole.fault === undefined)
      }
    }
  })

  it('reads what the encoder writes, for every version (seeds 1 to 300)', () => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = new SeededRandom(seed)
      const version = VERSIONS[1 + random.below(2)]
      const headers = Array.from({ length: random.below(4) }, () => [`n${text(random, version)}`, text(random, version)] as const)
      const body = text(random, version)
      const { frames, fault } = read(encodeFrame('SEND', headers, body, version), version, [])
      expect(fault, `seed ${seed}`).toBeUndefined()
      expect(frames[0].headers.slice(0, headers.length * 2), `seed ${seed}`).toEqual(headers.flat())
      expect(frames[0].body.toString(), `seed ${seed}`).toBe(body)
    }
  })
})

describe('the encoder', () => {
  it.each<[Version | 'raw', string]>([
    ['1.0', 'ERROR\nmessage:a b:c\\d e\n\n\0'],
    ['1.1', 'ERROR\nmessage:a\\nb\\cc\\\\d e\n\n\0'],
    ['1.2', 'ERROR\nmessage:a\\nb\\cc\\\\d\\re\n\n\0'],
    ['raw', 'ERROR\nmessage:a\nb:c\\d\re\n\n\0'],
  ])('escapes as %s does', (version, expected) => {
    expect(encodeFrame('ERROR', [['message', 'a\nb:c\\d\re']], '', version).toString()).toBe(expected)
  })

  it('measures a body in bytes', () => {
    expect(encodeFrame('ERROR', [], 'ü', '1.2').toString()).toBe('ERROR\ncontent-length:2\n\nü\0')
  })
})

const VERSIONS: readonly Version[] = ['1.0', '1.1', '1.2']

function parse(text: string): Frame[] {
  const { frames, fault } = read(Buffer.from(text), '1.2', [])
  expect(fault).toBeUndefined()
  return frames
}

function read(bytes: Buffer, version: Version | undefined, splits: readonly number[]) {
  const parser = new Parser(LIMITS)
  parser.version = version
  const frames: Frame[] = []
  let from = 0
  for (const to of [...splits, bytes.length]) {
    // A copy each, as from a socket.
    parser.push(Buffer.from(bytes.subarray(from, to)))
    from = to
    for (let frame = parser.read(); frame !== undefined; frame = parser.read()) frames.push({ ...frame, body: Buffer.from(frame.body) })
  }
  return { frames, fault: parser.fault }
}

function plain(frame: Frame) {
  return { ...frame, body: frame.body.toString() }
}

function text(random: SeededRandom, version: Version): string {
  const alphabet = version === '1.2' ? ['a', ':', '\\', '\n', '\r', 'ü', '€', '😀', '0', ' '] : ['a', ':', '\\', '\n', 'ü', '€', '😀', '0']
  return Array.from({ length: random.below(8) }, () => alphabet[random.below(alphabet.length)]).join('')
}

function generate(random: SeededRandom): Buffer {
  const frames = Array.from({ length: 1 + random.below(4) }, () => {
    const headers = Array.from({ length: random.below(4) }, () => [text(random, '1.2') || 'n', text(random, '1.2')] as const)
    return Buffer.concat([encodeFrame('SEND', headers, text(random, '1.2'), '1.2'), Buffer.from(['', '\n', '\r\n', '\n\n'][random.below(4)])])
  })
  return Buffer.concat(frames)
}

function mutate(random: SeededRandom, bytes: Buffer): Buffer {
  const mutated = Buffer.from(bytes)
  for (let i = random.below(4); i > 0 && mutated.length > 0; i--) {
    const hostile = [0, 0x0a, 0x0d, 0x3a, 0x5c, 0xff, 0x2d, 0x39]
    mutated[random.below(mutated.length)] = hostile[random.below(hostile.length)]
  }
  return random.below(3) === 0 ? mutated.subarray(0, random.below(mutated.length + 1)) : mutated
}
