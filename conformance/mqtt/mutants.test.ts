import { generate, type Packet } from 'mqtt-packet'
import { describe, expect, it } from 'vitest'
import type { Edited, Mutant } from '../mutant.ts'
import { answers, changes, edits, is, mistakes, never, sees } from './mutants.ts'

const SUBACK5 = Buffer.from('9004000100' + '01', 'hex')
const connect = (protocolVersion: 4 | 5): Buffer =>
  generate({ cmd: 'connect', protocolId: 'MQTT', protocolVersion, clientId: 'a', clean: true, keepalive: 0 }, { protocolVersion })

/** One connection through the mutant: what it lets pass each way, and what it says by itself. */
function through(mutant: Mutant, level: 4 | 5) {
  const said: string[] = []
  const edit = mutant.start()({ toClient: (bytes) => void said.push(bytes.toString('hex')), toBroker: () => {}, close: () => {} })
  const told = (edited: Edited): string =>
    edited === undefined
      ? 'as it is'
      : typeof edited === 'string'
        ? edited
        : Buffer.isBuffer(edited)
          ? edited.toString('hex')
          : edited.map((one) => one.toString('hex')).join(' ')
  edit.toBroker?.(connect(level))
  return {
    said,
    toClient: (bytes: Buffer) => told(edit.toClient?.(bytes)),
    toBroker: (packet: Packet) => told(edit.toBroker?.(generate(packet, { protocolVersion: level }))),
  }
}

describe('edits of MQTT packets', () => {
  it('reads and writes by the level that CONNECT named', () => {
    const grants = changes('grants 2', 'suback', (answer) => ({ ...answer, granted: [2] }))
    expect(through(grants, 5).toClient(SUBACK5)).toBe('900400010002')
    expect(through(grants, 4).toClient(Buffer.from('9003000100', 'hex'))).toBe('9003000102')
  })

  it('lets other packets pass, and such as nobody can read', () => {
    const drops = never('suback')
    expect(through(drops, 4).toClient(Buffer.from('d000', 'hex'))).toBe('as it is')
    expect(through(drops, 4).toClient(Buffer.from('9003000105', 'hex'))).toBe('as it is')
    expect(through(drops, 4).toClient(Buffer.from('9003000101', 'hex'))).toBe('')
  })

  it('answers in place of the broker, which does not see the packet', () => {
    const { said, toBroker } = through(
      answers('refuses', 'pingreq', () => ({ cmd: 'pingresp' })),
      4,
    )
    expect(toBroker({ cmd: 'pingreq' })).toBe('')
    expect(said).toEqual(['d000'])
  })

  it('puts several packets in the place of one, and ends the connection', () => {
    expect(
      through(
        sees('hears twice', 'pingreq', (_, raw) => [raw, raw]),
        4,
      ).toBroker({ cmd: 'pingreq' }),
    ).toBe('c000 c000')
    expect(
      through(
        sees('hangs up', 'pingreq', () => 'close'),
        4,
      ).toBroker({ cmd: 'pingreq' }),
    ).toBe('close')
  })

  it('shares what lies in start between connections, and nothing else', () => {
    const mutant = edits('counts', () => {
      let all = 0
      return () => {
        let own = 0
        return { toBroker: (packet) => (is(packet, 'pingreq') ? Buffer.of(++all, ++own) : undefined) }
      }
    })
    const start = mutant.start()
    const ends = { toClient: () => {}, toBroker: () => {}, close: () => {} }
    const [one, two] = [start(ends), start(ends)]
    const seen = [one, two, two].map((edit) => edit.toBroker?.(Buffer.from('c000', 'hex')))
    expect(seen).toEqual([Buffer.of(1, 1), Buffer.of(2, 1), Buffer.of(3, 2)])
  })

  it('mistakes bytes for others wherever they are', () => {
    const edit = mistakes('reads a as b', Buffer.from('a'), Buffer.from('b')).start()({ toClient: () => {}, toBroker: () => {}, close: () => {} })
    expect(edit.toBroker?.(Buffer.from('banana'))).toEqual(Buffer.from('bbnbnb'))
  })
})
