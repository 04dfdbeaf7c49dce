// Our parser beside stompit's, for well-formed frames. Where stompit is wrong (escapes without a version, CR LF or UTF-8 split across chunks,
// `hasOwnProperty`, 1.1's carriage return) it is no judge: those inputs are left out here and written out in codec.test.ts.
import { createRequire } from 'node:module'
import type { Readable, Transform } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { SeededRandom } from '../../src/random.ts'
import { encodeFrame, Parser } from './codec.ts'
import type { Version } from './escape.ts'

type StompitFrame = Readable & { command: string; headers: Record<string, string | number> }
type StompitStream = Transform & { setVersion(version: string): void }
const IncomingFrameStream = createRequire(import.meta.url)('stompit/lib/IncomingFrameStream.js') as new (options: object) => StompitStream

describe('beside stompit', () => {
  it.each<[Version]>([['1.1'], ['1.2']])('well-formed %s frames parse alike (seeds 1 to 150)', async (version) => {
    for (let seed = 1; seed <= 150; seed++) {
      const random = new SeededRandom(seed)
      const bytes = Buffer.concat(Array.from({ length: 1 + random.below(5) }, () => frameBytes(random, version)))
      expect(ours(bytes, version), `seed ${seed}`).toEqual(await theirs(bytes, version))
    }
  })
})

type Plain = { command: string; headers: [string, string][]; body: string }

function ours(bytes: Buffer, version: Version): Plain[] {
  const parser = new Parser({ headersMax: 100, headerBytesMax: 65_536, lineBytesMax: 1024, bodyBytesMax: 65_536 })
  parser.version = version
  parser.push(bytes)
  const frames: Plain[] = []
  for (let frame = parser.read(); frame !== undefined; frame = parser.read()) {
    const headers = new Map<string, string>()
    for (let i = 0; i < frame.headers.length; i += 2) if (!headers.has(frame.headers[i])) headers.set(frame.headers[i], frame.headers[i + 1])
    frames.push({ command: frame.command, headers: [...headers], body: frame.body.toString('latin1') })
  }
  expect(parser.fault).toBeUndefined()
  return frames
}

async function theirs(bytes: Buffer, version: Version): Promise<Plain[]> {
  const stream = new IncomingFrameStream({})
  stream.setVersion(version)
  stream.end(bytes)
  const frames: Plain[] = []
  for await (const frame of stream as AsyncIterable<StompitFrame>) {
    const pieces: Buffer[] = []
    for await (const piece of frame as AsyncIterable<Buffer>) pieces.push(piece)
    frames.push({
      command: frame.command,
      headers: Object.entries(frame.headers).map(([name, value]) => [name, String(value)]),
      body: Buffer.concat(pieces).toString('latin1'),
    })
  }
  return frames
}

function frameBytes(random: SeededRandom, version: Version): Buffer {
  const headers = Array.from({ length: random.below(5) }, (_, i) => [`h${i}${word(random)}`, word(random)] as const)
  const end = ['', '\n', '\n\n'][random.below(3)]
  if (random.below(2) === 0) {
    const body = Buffer.from(random.bytes(random.below(40)))
    const text = encodeFrame('SEND', [...headers, ['content-length', String(body.length)]], '', version)
    return Buffer.concat([text.subarray(0, -1), body, Buffer.from(`\0${end}`)])
  }
  return Buffer.concat([encodeFrame('SEND', headers, '', version).subarray(0, -1), Buffer.from(`${word(random)}\0${end}`)])
}

function word(random: SeededRandom): string {
  const alphabet = ['a', 'Z', '0', ':', '\\', '\n', 'ü', '€', '😀', ' ', '.', '/']
  return Array.from({ length: random.below(10) }, () => alphabet[random.below(alphabet.length)]).join('')
}
