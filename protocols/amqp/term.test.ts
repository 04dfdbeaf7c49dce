// AMQP's type system: what we write we read, and rhea reads the same; what rhea writes we read. And that what is malformed is refused.
import fc from 'fast-check'
import rhea from 'rhea'
import { describe, expect, it } from 'vitest'
import { DecodeFault } from './errors.ts'
import { amqpDefaults } from './fake-node.ts'
import { TermReader } from './reader.ts'
import { symbol, type Term, text, uint } from './term.ts'
import { TermWriter } from './writer.ts'

const { types } = rhea
const read = (bytes: Buffer): Term => new TermReader(amqpDefaults).over(bytes).term()
const write = (term: Term): Buffer => new TermWriter(4).term(term).bytes()
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')

function thrownBy(attempt: () => unknown): unknown {
  try {
    attempt()
    return undefined
  } catch (error) {
    return error
  }
}

const scalar: fc.Arbitrary<Term> = fc.oneof(
  fc.constant<Term>({ type: 'null' }),
  fc.boolean().map((value): Term => ({ type: 'boolean', value })),
  fc.integer({ min: 0, max: 255 }).map((value): Term => ({ type: 'uint8', value })),
  fc.integer({ min: -128, max: 127 }).map((value): Term => ({ type: 'int8', value })),
  fc.integer({ min: 0, max: 65_535 }).map((value): Term => ({ type: 'uint16', value })),
  fc.integer({ min: -32_768, max: 32_767 }).map((value): Term => ({ type: 'int16', value })),
  fc.integer({ min: 0, max: 0xff_ff_ff_ff }).map((value): Term => ({ type: 'uint32', value })),
  fc.integer().map((value): Term => ({ type: 'int32', value })),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((value): Term => ({ type: 'uint64', value })),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((value): Term => ({ type: 'int64', value })),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((value): Term => ({ type: 'timestamp', value })),
  fc.float({ noNaN: true }).map((value): Term => ({ type: 'float', value })),
  fc.double({ noNaN: true }).map((value): Term => ({ type: 'double', value })),
  fc.constantFrom('a', 'ü', '😀', '\0').map((value): Term => ({ type: 'char', value })),
  fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes): Term => ({ type: 'uuid', value: Buffer.from(bytes) })),
  fc.uint8Array({ maxLength: 600 }).map((bytes): Term => ({ type: 'binary', value: Buffer.from(bytes) })),
  fc.string({ unit: 'grapheme', maxLength: 300 }).map((value): Term => text(value)),
  fc.stringMatching(/^[\x20-\x7e]{0,40}$/).map((value): Term => symbol(value)),
)

const { term } = fc.letrec<{ term: Term }>((tie) => ({
  term: fc.oneof(
    { maxDepth: 4 },
    scalar,
    fc.array(tie('term'), { maxLength: 6 }).map((value): Term => ({ type: 'terms', value })),
    fc.array(fc.tuple(tie('term'), tie('term')), { maxLength: 4 }).map((value): Term => ({ type: 'pairs', value })),
    fc.array(fc.stringMatching(/^[a-z]{0,8}$/), { maxLength: 5 }).map((names): Term => ({ type: 'array', value: names.map(symbol) })),
    fc.tuple(scalar, tie('term')).map(([descriptor, value]): Term => ({ type: 'described', descriptor, value })),
  ),
}))

describe('a value', () => {
  it('is read as it was written, whatever it is', () => {
    fc.assert(
      fc.property(term, (value) => {
        expect(read(write(value))).toEqual(value)
      }),
      { numRuns: 2000 },
    )
  })

  it('is passed in one step as far as it is read', () => {
    fc.assert(
      fc.property(term, (value) => {
        const bytes = write(value)
        const reader = new TermReader(amqpDefaults).over(Buffer.concat([bytes, Buffer.from([0x40])]))
        reader.skip()
        expect(reader.position).toBe(bytes.length)
      }),
    )
  })

  it('cut anywhere is refused, never misread', () => {
    fc.assert(
      fc.property(term, fc.nat(), (value, at) => {
        const bytes = write(value)
        if (bytes.length === 1) return
        expect(() => read(bytes.subarray(0, at % (bytes.length - 1)))).toThrow(DecodeFault)
      }),
    )
  })

  it('of random bytes is read or refused, and nothing else is thrown', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        for (const attempt of [() => read(Buffer.from(bytes)), () => new TermReader(amqpDefaults).over(Buffer.from(bytes)).skip()]) {
          expect(thrownBy(attempt)).toSatisfy((error) => error === undefined || error instanceof DecodeFault)
        }
      }),
      { numRuns: 5000 },
    )
  })

  it.each<[string, Term]>([
    ['40', { type: 'null' }],
    ['56 01', { type: 'boolean', value: true }],
    ['56 00', { type: 'boolean', value: false }],
    ['43', uint(0)],
    ['52 05', uint(5)],
    ['70 00000005', uint(5)],
    ['44', { type: 'uint64', value: 0n }],
    ['80 0000000000000007', { type: 'uint64', value: 7n }],
    ['54 ff', { type: 'int32', value: -1 }],
    ['55 ff', { type: 'int64', value: -1n }],
    ['73 0001f600', { type: 'char', value: '😀' }],
    ['45', { type: 'terms', value: [] }],
    [
      'c0 03 02 41 42',
      {
        type: 'terms',
        value: [
          { type: 'boolean', value: true },
          { type: 'boolean', value: false },
        ],
      },
    ],
    [
      'e0 04 02 50 01 02',
      {
        type: 'array',
        value: [
          { type: 'uint8', value: 1 },
          { type: 'uint8', value: 2 },
        ],
      },
    ],
    [
      'e0 08 02 00 a3 01 64 50 01 02',
      { type: 'array', value: [1, 2].map((value) => ({ type: 'described', descriptor: symbol('d'), value: { type: 'uint8', value } })) },
    ],
    ['74 01020304', { type: 'decimal', value: Buffer.from([1, 2, 3, 4]) }],
  ] as [string, Term][])('%s', (bytes, expected) => {
    expect(read(hex(bytes))).toEqual(expected)
  })

  it.each([
    ['a type that is none', '3f'],
    ['a map with an odd count', 'c1 02 01 40'],
    ['a list longer than its items', 'c0 03 01 40 40'],
    ['a list shorter than its items', 'c0 02 02 40'],
    ['a list without room for its count', 'd0 00000002 0000'],
    ['an array longer than its items', 'e0 05 02 50 01 02 03'],
    ['an array of no width beyond termsMax', 'f0 00000005 ffffffff 40'],
    ['a surrogate as a char', '73 0000d800'],
    ['a char beyond Unicode', '73 00110000'],
    ['no UTF-8', 'a1 01 ff'],
    ['a descriptor without a value', '00 53 24'],
  ])('%s is refused', (_, bytes) => {
    expect(() => read(hex(bytes))).toThrow(DecodeFault)
  })
})

describe('rhea', () => {
  it('reads what we write', () => {
    fc.assert(
      fc.property(scalar, (value) => {
        // rhea answers integers of 64 bits as numbers or bytes: compared by what it writes of them.
        if (value.type === 'uint64' || value.type === 'int64' || value.type === 'timestamp' || value.type === 'char' || value.type === 'float') return
        const got = types.unwrap(
          new (types as unknown as { Reader: new (bytes: Buffer) => { read(): unknown } }).Reader(write(value)).read() as never,
        ) as unknown
        expect(Buffer.isBuffer(got) ? Buffer.from(got) : got).toEqual('value' in value ? value.value : null)
      }),
    )
  })

  it.each<[string, unknown, Term]>([
    ['ulong', types.wrap_ulong(300), { type: 'uint64', value: 300n }],
    ['long', types.wrap_long(-300), { type: 'int64', value: -300n }],
    ['timestamp', types.wrap_timestamp(1_700_000_000_000), { type: 'timestamp', value: 1_700_000_000_000n }],
    ['symbol', types.wrap_symbol('s'), symbol('s')],
    ['map', types.wrap_map({ a: 1 }), { type: 'pairs', value: [[text('a'), uint(1)]] }],
    ['list', types.wrap_list(['a', true]), { type: 'terms', value: [text('a'), { type: 'boolean', value: true }] }],
    ['array', types.wrap_array(['a', 'b'], 0xa3, undefined as never), { type: 'array', value: [symbol('a'), symbol('b')] }],
  ])('writes a %s that we read', (_, wrapped, expected) => {
    const writer = new (types as unknown as { Writer: new () => { write(value: unknown): void; toBuffer(): Buffer } }).Writer()
    writer.write(wrapped)
    expect(read(writer.toBuffer())).toEqual(expected)
  })
})
