import { connect } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import { fakeBroker, type FakeBroker, lineFraming } from './fake-suite.ts'
import { type Mutant, mutant, neverCloses } from './mutant.ts'
import { openProxy, type Proxy } from './proxy.ts'
import { addressOf } from './target.ts'

const open: (FakeBroker | Proxy)[] = []
afterEach(async () => {
  for (const each of open.splice(0).toReversed()) await each.close()
})

/** What a client reads that writes this through the mutant, until `until` has come or the connection ends. */
async function talk(by: Mutant, said: readonly string[], until: string): Promise<string> {
  const broker = await fakeBroker()
  const proxy = await openProxy(addressOf(broker.target.urls.mqtt ?? ''), lineFraming, by)
  open.push(broker, proxy)
  const socket = connect(proxy.address)
  let heard = ''
  for (const piece of said) socket.write(piece)
  for await (const bytes of socket.setEncoding('utf8')) {
    heard += String(bytes)
    if (heard.includes(until)) {
      socket.destroy()
      return heard
    }
  }
  return `${heard}closed`
}

it('what is not edited goes through as it came', async () => {
  expect(
    await talk(
      mutant('edits nothing', () => ({})),
      ['AB', 'C\nD\n'],
      'd\n',
    ),
  ).toBe('abc\nd\n')
})

it('what comes from the client can be seen before it is cut into frames', async () => {
  const pieces = mutant('wants frames whole', () => ({ arrives: (bytes) => (bytes.at(-1) === 10 ? undefined : 'close') }))
  expect(await talk(pieces, ['AB\n'], 'ab\n')).toBe('ab\n')
  expect(await talk(pieces, ['A'], 'ab\n')).toBe('closed')
})

it('a frame is seen whole, however it was cut on its way', async () => {
  const frames: string[] = []
  const sees = mutant('sees', () => ({ toBroker: (frame) => void frames.push(frame.toString()) }))
  await talk(sees, ['A', 'B\nC', 'D\n'], 'cd\n')
  expect(frames).toEqual(['AB\n', 'CD\n'])
})

it('frames are changed, doubled, dropped, and come from nowhere', async () => {
  const edits = mutant('edits', ({ toClient }) => ({
    toClient(frame) {
      if (frame.toString() === 'b\n') return []
      if (frame.toString() === 'c\n') return [frame, Buffer.from('c!\n')]
      toClient(Buffer.from('before '))
      return frame.toString() === 'a\n' ? Buffer.from('A\n') : undefined
    },
  }))
  const said = ['A\n', 'B\n', 'C\n', 'D\n']
  expect((await talk(edits, [said.join('')], 'd\n')).replaceAll(/before /g, '')).toBe('A\nc\nc!\nd\n')
})

it('a frame may end the connection', async () => {
  expect(
    await talk(
      mutant('closes', () => ({ toBroker: (frame) => (frame.toString() === 'B\n' ? 'close' : undefined) })),
      ['B\n'],
      'b',
    ),
  ).toBe('closed')
})

it('a broker that closes is seen to, unless the mutant hides it', async () => {
  expect(
    await talk(
      mutant('edits nothing', () => ({})),
      ['END\n'],
      'x',
    ),
  ).toBe('closed')
  const hidden = talk(neverCloses, ['END\n'], 'x')
  const later = new Promise((resolve) => setTimeout(() => resolve('open'), 200))
  expect(await Promise.race([hidden, later])).toBe('open')
  await Promise.all(open.splice(0).map((each) => each.close()))
  await hidden.catch(() => {})
})

it('connections of one mutant share what lies between its start and their own beginning', async () => {
  let starts = 0
  const counts: Mutant = {
    says: 'counts',
    start: () => {
      starts++
      return () => ({})
    },
  }
  await talk(counts, ['A\n'], 'a')
  expect(starts).toBe(1)
})
