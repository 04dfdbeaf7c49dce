// RFC 6455, 5.5 and 7: control frames, and how a connection ends.
import type { Chapter, Clause } from '../check.ts'
import { OPCODE } from '../clients/ws-frame.ts'
import { codeOf, type WsWire } from '../clients/ws-wire.ts'
import { fail, mustBe, mustEqual, orSkip, outcomeOf, skip } from '../outcome.ts'
import { neverCloses } from '../mutant.ts'
import { breach, deafTo } from './framing.ts'
import { sends, takes } from './mutants.ts'
import { type Dialect, opened } from './session.ts'
import type { Trial } from '../trial.ts'

const code = (number: number, reason = ''): Buffer => Buffer.concat([Buffer.from([number >> 8, number & 255]), Buffer.from(reason)])
const deafToClose = deafTo('hears no close frame', (frame) => frame.opcode === OPCODE.close)
const deafToPing = deafTo('hears no ping', (frame) => frame.opcode === OPCODE.ping)

export const pings: Chapter = {
  title: '5.5 Control frames, ping and pong',
  clauses: [
    breach({
      id: 'WS-5.5-a',
      says: 'A control frame of more than 125 bytes ends the connection.',
      how: 'a ping of 126 bytes',
      does: (wire) => wire.frame({ opcode: OPCODE.ping, payload: 'p'.repeat(126) }),
      bears: takes('takes it', (frame) => (frame.opcode === OPCODE.ping ? { ...frame, lengthBytes: 0, payload: 'p' } : undefined)),
    }),
    {
      id: 'WS-5.5.2-a',
      level: 'must',
      says: 'A ping is answered by a pong.',
      how: 'A ping without a payload.',
      async run(trial) {
        const { wire } = await opened(trial)
        wire.frame({ opcode: OPCODE.ping })
        mustEqual((await wire.next(OPCODE.pong, 'a pong')).payload.length, 0, 'the length of the payload of the pong')
      },
      mutants: [deafToPing, sends('says something in pongs', (frame) => (frame.opcode === OPCODE.pong ? { ...frame, payload: 'pong' } : undefined))],
    },
    {
      id: 'WS-5.5.3-a',
      level: 'must',
      says: 'A pong has the payload of its ping.',
      how: 'A ping of 125 bytes of all kinds.',
      async run(trial) {
        const { wire } = await opened(trial)
        const payload = Buffer.from(Array.from({ length: 125 }, (_, i) => (i * 7) & 255))
        wire.frame({ opcode: OPCODE.ping, payload })
        mustBe((await wire.next(OPCODE.pong, 'a pong')).payload.equals(payload), 'the pong has another payload than its ping')
      },
      mutants: [
        deafToPing,
        sends('cuts pongs', (frame) =>
          frame.opcode === OPCODE.pong ? { ...frame, payload: frame.payload.subarray(0, 100), lengthBytes: 0 } : undefined,
        ),
      ],
    },
    {
      id: 'WS-5.5.3-b',
      level: 'must',
      says: 'Of several pings the last at least is answered.',
      how: 'Five pings in one piece; the pong of the last.',
      async run(trial) {
        const { wire } = await opened(trial)
        for (let i = 1; i <= 5; i++) wire.frame({ opcode: OPCODE.ping, payload: `ping ${i}` })
        for (;;) if ((await wire.next(OPCODE.pong, 'the pong of the last ping')).payload.toString() === 'ping 5') break
      },
      mutants: [
        sends('answers the first ping only', (frame) =>
          frame.opcode === OPCODE.pong && !frame.payload.equals(Buffer.from('ping 1')) ? 'drop' : undefined,
        ),
      ],
    },
    {
      id: 'WS-5.5.3-c',
      level: 'must',
      says: 'A pong that nobody asked for is borne, and not answered.',
      how: 'A pong, then a message that is answered; no control frame came.',
      async run(trial) {
        const { wire, ask } = await opened(trial)
        wire.frame({ opcode: OPCODE.pong, payload: 'unasked' })
        await ask()
        mustBe(!wire.control.unread.some(({ payload }) => payload.equals(Buffer.from('unasked'))), 'a pong was answered')
      },
      mutants: [
        takes('takes pongs for pings', (frame) => (frame.opcode === OPCODE.pong ? { ...frame, opcode: OPCODE.ping } : undefined)),
        takes('bears no pong', (frame) => (frame.opcode === OPCODE.pong ? 'close' : undefined)),
      ],
    },
  ],
}

/** A close frame of a client that is right. */
function closes(letter: string, what: string, payload: Buffer, echoed: number | undefined): Clause {
  return {
    id: `WS-5.5.1-${letter}`,
    level: 'must',
    says: `A close frame ${what} is answered by a close frame.`,
    how: `A close frame ${what}.`,
    async run(trial) {
      const { wire } = await opened(trial)
      wire.frame({ opcode: OPCODE.close, payload })
      const close = await wire.next(OPCODE.close, 'a close frame')
      // A code is mostly given back; another one, or none, is as right.
      const said = codeOf(close)
      mustBe(
        said === undefined || said === echoed || (said >= 1000 && said < 5000 && ![1004, 1005, 1006, 1015].includes(said)),
        `the code of the close frame is ${said}`,
      )
    },
    mutants: [deafToClose, sends('says 1005', (frame) => (frame.opcode === OPCODE.close ? { ...frame, payload: code(1005) } : undefined))],
  }
}

/** A close frame of a client that is wrong: whatever the server says, it ends. */
const wrongClose = (letter: string, level: 'must' | 'should', what: string, payload: Buffer): Clause => ({
  id: `WS-7.4-${letter}`,
  level,
  says: `After a close frame ${what} the connection ends.`,
  how: `A close frame ${what}.`,
  async run(trial) {
    const { wire } = await opened(trial)
    wire.frame({ opcode: OPCODE.close, payload })
    await wire.failed(`a close frame ${what}`)
  },
  mutants: [neverCloses, deafToClose],
})

/** A connection that the server has failed for what was sent: by the first of these that it does not bear. */
async function breached(trial: Trial): Promise<WsWire> {
  for (const breaks of [
    (wire: WsWire) => wire.frame({ opcode: 3 }),
    (wire: WsWire, dialect: Dialect) => wire.frame({ opcode: dialect.opcode, payload: dialect.question(trial), mask: undefined }),
  ]) {
    const { wire, dialect } = await opened(trial)
    breaks(wire, dialect)
    if (await ended(wire)) return wire
  }
  return skip('the server bears frames of reserved opcodes and such that are not masked')
}

async function ended(wire: WsWire): Promise<boolean> {
  try {
    await wire.failed('what breaks the protocol')
    return true
  } catch (error) {
    if (outcomeOf(error).outcome === 'fail') return false
    throw error
  }
}

export const closing: Chapter = {
  title: '5.5.1 and 7 Closing',
  clauses: [
    closes('a', 'of code 1000', code(1000), 1000),
    closes('b', 'without a code', Buffer.alloc(0), undefined),
    closes('c', 'with a reason', code(1001, 'going, and € with it'), 1001),
    closes('d', 'of an application’s own code', code(4000), 4000),
    {
      id: 'WS-5.5.1-e',
      level: 'must',
      says: 'After its close frame a server sends no more data.',
      how: 'A close frame, then questions: nothing comes behind the server’s close frame.',
      async run(trial) {
        const { wire, dialect } = await opened(trial)
        wire.frame({ opcode: OPCODE.close, payload: code(1000) })
        wire.frame({ opcode: dialect.opcode, payload: dialect.question(trial) })
        await wire.next(OPCODE.close, 'a close frame')
        await wire.control.untilEnd('TCP was left open after both close frames')
        const at = wire.all.findIndex(({ opcode }) => opcode === OPCODE.close)
        mustEqual(wire.all.length, at + 1, 'the number of frames up to the close frame, and of all,')
      },
      mutants: [
        sends('goes on after its close frame', (frame) =>
          frame.opcode === OPCODE.close ? [{ ...frame }, { opcode: OPCODE.binary, payload: 'more' }] : undefined,
        ),
        neverCloses,
      ],
    },
    {
      id: 'WS-7.1.1-a',
      level: 'must',
      says: 'When both have said close, the server ends TCP at once.',
      how: 'A close frame, the server’s close frame, the end of TCP.',
      async run(trial) {
        const { wire } = await opened(trial)
        wire.frame({ opcode: OPCODE.close, payload: code(1000) })
        await wire.next(OPCODE.close, 'a close frame')
        await wire.control.untilEnd('TCP was left open after both close frames')
      },
      mutants: [neverCloses],
    },
    {
      id: 'WS-7.1.2-a',
      level: 'should',
      says: 'What comes behind a client’s close frame is not looked at.',
      how: 'A close frame and a frame that breaks the rules in one piece: the answer is a close frame that does not complain.',
      async run(trial) {
        const { wire } = await opened(trial)
        wire.frame({ opcode: OPCODE.close, payload: code(1000) })
        wire.frame({ opcode: 3, payload: 'nonsense' })
        mustEqual(codeOf(await wire.next(OPCODE.close, 'a close frame')) ?? 1000, 1000, 'the close code')
      },
      mutants: [sends('complains', (frame) => (frame.opcode === OPCODE.close ? { ...frame, payload: code(1002) } : undefined)), deafToClose],
    },
    {
      id: 'WS-7.1.7-a',
      level: 'should',
      says: 'Before it fails a connection, a server says why by a close frame.',
      how: 'A frame of a reserved opcode, or one that is not masked where that is borne: a close frame comes before the end.',
      async run(trial) {
        mustBe(
          (await breached(trial)).all.some(({ opcode }) => opcode === OPCODE.close),
          'the connection ended without a close frame',
        )
      },
      mutants: [sends('sends no close frame', (frame) => (frame.opcode === OPCODE.close ? 'drop' : undefined))],
    },
    {
      id: 'WS-7.4.1-a',
      level: 'should',
      says: 'The close code for a breach of the protocol is 1002.',
      how: 'The same; the code of the server’s close frame.',
      async run(trial) {
        const close = (await breached(trial)).all.find(({ opcode }) => opcode === OPCODE.close)
        // Without one nothing is said wrongly: WS-7.1.7-a tells it.
        if (close === undefined) skip('the connection ended without a close frame')
        mustEqual(codeOf(close), 1002, 'the close code')
      },
      mutants: [sends('says 1000', (frame) => (frame.opcode === OPCODE.close ? { ...frame, payload: code(1000) } : undefined))],
    },
    {
      id: 'WS-7.4.1-b',
      level: 'should',
      says: 'A message that is larger than a server takes is answered by the close code 1009.',
      how: 'The head of a message of 2^40 bytes.',
      async run(trial) {
        const { wire } = await opened(trial)
        wire.bytes(Buffer.from('82ff000001000000000001020304', 'hex'))
        // Who reads messages piece by piece need not mind how long they are.
        const said = await orSkip(wire.failed('a message of 2^40 bytes'), 'the server sets no limit that this message reaches')
        if (said !== 1009) fail(`the close code is ${said ?? 'none'} where 1009 was due`)
      },
      mutants: [sends('says 1002', (frame) => (frame.opcode === OPCODE.close ? { ...frame, payload: code(1002) } : undefined))],
    },
    wrongClose('a', 'must', 'of one byte', Buffer.from([3])),
    wrongClose('b', 'must', 'whose reason is not UTF-8', Buffer.concat([code(1000), Buffer.from([0xff])])),
    wrongClose('c', 'must', 'of the code 1005, which is never sent,', code(1005)),
    wrongClose('d', 'must', 'of the code 999', code(999)),
    wrongClose('e', 'should', 'of the code 1016, which nobody has defined,', code(1016)),
    {
      id: 'WS-7.4.1-c',
      level: 'must',
      says: 'Codes 1005, 1006 and 1015 are never sent.',
      how: 'Close frames of these codes; the server’s close frame has none of them.',
      async run(trial) {
        for (const number of [1005, 1006, 1015]) {
          const { wire } = await opened(trial)
          wire.frame({ opcode: OPCODE.close, payload: code(number) })
          const said = await wire.failed(`a close frame of ${number}`)
          mustBe(said === undefined || ![1005, 1006, 1015].includes(said), `the server sent a close frame of ${said}`)
        }
      },
      mutants: [
        sends('gives back any code', (frame) => (frame.opcode === OPCODE.close ? { ...frame, payload: code(1005) } : undefined)),
        sends('says 1006', (frame) => (frame.opcode === OPCODE.close ? { ...frame, payload: code(1006) } : undefined)),
      ],
    },
    {
      id: 'WS-7.1.1-b',
      level: 'should',
      says: 'It is the server that ends TCP first.',
      unchecked: 'Who was first cannot be told from the outside; a client that waits for the end sees it come (WS-7.1.1-a).',
    },
    {
      id: 'WS-7.2.1-a',
      level: 'must',
      says: 'A client that is gone without a close frame is gone.',
      unchecked: 'What a server concludes of it is seen in the protocols above: MQTT’s will, redelivery of STOMP.',
    },
    {
      id: 'WS-10.4-a',
      level: 'should',
      says: 'A server limits the size of frames and messages.',
      unchecked: 'Seen in WS-7.4.1-b as far as it can be seen.',
    },
  ],
}
