// RFC 6455, 5.1 to 5.4 and 5.6: frames, masks, lengths, fragments, text.
import type { Chapter, Clause, Level } from '../check.ts'
import { OPCODE, type WsFrame } from '../clients/ws-frame.ts'
import type { Received, WsWire } from '../clients/ws-wire.ts'
import { fail, mustBe, mustEqual, skip } from '../outcome.ts'
import { type Mutant, neverCloses } from '../mutant.ts'
import { sends, takes } from './mutants.ts'
import { answer, type Dialect, opened, type Opened, stomp } from './session.ts'

/** What breaks the rules, for which a server must fail the connection. */
export type Breach = Readonly<{
  id: string
  level?: Level
  says: string
  /** A few words, as in “after …”. */
  how: string
  does: (wire: WsWire, dialect: Dialect) => void
  dialects?: readonly Dialect[]
  /** A server that takes what stands. */
  bears?: Mutant
}>

export function breach({ id, level = 'must', says, how, does, dialects, bears }: Breach): Clause {
  return {
    id,
    level,
    says,
    how: `${how[0]?.toUpperCase()}${how.slice(1)}.`,
    async run(trial) {
      const { wire, dialect } = await opened(trial, dialects)
      does(wire, dialect)
      await wire.failed(how)
    },
    mutants: bears === undefined ? [neverCloses] : [neverCloses, bears],
  }
}

/** A server that hears nothing of frames like these. */
export const deafTo = (says: string, to: (frame: WsFrame) => boolean): Mutant => takes(says, (frame) => (to(frame) ? 'drop' : undefined))

/** Everything that the server sends while it is spoken to: data, a pong, and its close frame. */
async function everything({ wire, ask }: Opened): Promise<readonly Received[]> {
  await ask()
  wire.frame({ opcode: OPCODE.ping, payload: 'are you there' })
  await wire.next(OPCODE.pong, 'a pong')
  wire.frame({ opcode: OPCODE.close, payload: Buffer.from([3, 232]) })
  await wire.next(OPCODE.close, 'a close frame')
  return wire.all
}

export const framing: Chapter = {
  title: '5.1 to 5.3 Frames, lengths, masks',
  clauses: [
    breach({
      id: 'WS-5.1-a',
      says: 'A frame that is not masked ends the connection.',
      how: 'an unmasked frame',
      does: (wire, dialect) => wire.frame({ opcode: dialect.opcode, payload: dialect.question(wire.trial), mask: undefined }),
      bears: takes('needs no mask', (frame) => (frame.mask === undefined ? { ...frame, mask: Buffer.alloc(4) } : undefined)),
    }),
    {
      id: 'WS-5.1-b',
      level: 'must',
      says: 'A server masks none of its frames.',
      how: 'Data, a pong and a close frame of the server.',
      async run(trial) {
        for (const frame of await everything(await opened(trial))) mustBe(frame.mask === undefined, 'the server sent a frame that is masked')
      },
      mutants: [
        sends('masks its data', (frame) => (frame.opcode < 8 ? { ...frame, mask: Buffer.from('mask') } : undefined)),
        sends('masks its pongs', (frame) => (frame.opcode === OPCODE.pong ? { ...frame, mask: Buffer.from('mask') } : undefined)),
      ],
    },
    ...[4, 2, 1].map((rsv, i) =>
      breach({
        id: `WS-5.2-${'abc'[i] ?? ''}`,
        says: `A frame whose reserved bit ${i + 1} is set, though no extension was agreed on, ends the connection.`,
        how: `a frame with RSV${i + 1}`,
        does: (wire, dialect) => wire.frame({ opcode: dialect.opcode, payload: dialect.question(wire.trial), rsv }),
        bears: takes('looks at no reserved bit', (frame) => (frame.rsv === 0 ? undefined : { ...frame, rsv: 0 })),
      }),
    ),
    breach({
      id: 'WS-5.2-r',
      says: 'A control frame whose reserved bit is set ends the connection as well.',
      how: 'a ping with RSV1',
      does: (wire) => wire.frame({ opcode: OPCODE.ping, rsv: 4, payload: 'p' }),
      bears: takes('looks at no reserved bit', (frame) => (frame.rsv === 0 ? undefined : { ...frame, rsv: 0 })),
    }),
    ...[3, 7, 11, 15].map((opcode, i) =>
      breach({
        id: `WS-5.2-${'defg'[i] ?? ''}`,
        says: `A frame of the reserved opcode ${opcode} ends the connection.`,
        how: `a frame of opcode ${opcode}`,
        does: (wire) => wire.frame({ opcode }),
        bears: deafTo('ignores what it does not know', (frame) => frame.opcode === opcode),
      }),
    ),
    {
      id: 'WS-5.2-h',
      level: 'must',
      says: 'A server sets no reserved bit without an extension, and uses no reserved opcode.',
      how: 'Data, a pong and a close frame of the server.',
      async run(trial) {
        for (const frame of await everything(await opened(trial))) {
          mustEqual(frame.rsv, 0, 'the sum of the reserved bits of a frame')
          mustBe([0, 1, 2, 8, 9, 10].includes(frame.opcode), `the server sent a frame of opcode ${frame.opcode}`)
        }
      },
      mutants: [
        sends('sets RSV1', (frame) => (frame.opcode < 8 ? { ...frame, mask: undefined, rsv: 4 } : undefined)),
        sends('uses opcode 3', (frame) => (frame.opcode === OPCODE.binary || frame.opcode === OPCODE.text ? { ...frame, opcode: 3 } : undefined)),
      ],
    },
    {
      id: 'WS-5.2-i',
      level: 'must',
      says: 'A server tells lengths in as few bytes as can be.',
      how: 'Data, a pong and a close frame of the server.',
      async run(trial) {
        for (const { payload, lengthBytes } of await everything(await opened(trial)))
          mustEqual(
            lengthBytes,
            payload.length < 126 ? 0 : payload.length < 65_536 ? 2 : 8,
            `the number of further bytes that tell a length of ${payload.length}`,
          )
      },
      mutants: [
        sends('tells lengths in two bytes', (frame) => ({ ...frame, lengthBytes: 2 })),
        sends('tells lengths in eight bytes', (frame) => ({ ...frame, lengthBytes: 8 })),
      ],
    },
    ...[125, 126, 127, 65_535, 65_536, 70_000].map(
      (sizeBytes, i): Clause => ({
        id: `WS-5.2-${'jklmno'[i] ?? ''}`,
        level: 'must',
        says: `A message of ${sizeBytes} bytes is read.`,
        how: `A message of ${sizeBytes} bytes that is answered.`,
        async run(trial) {
          const { wire, dialect } = await opened(trial)
          wire.frame({ opcode: dialect.opcode, payload: dialect.question(trial, sizeBytes) })
          if (sizeBytes < 65_535) return answer(wire, dialect)
          // A server may have its limits (10.4).
          const first = await trial.within(Promise.race([wire.data.next('the answer'), wire.control.next('the answer')]), 'no answer came')
          if (first === undefined || first.opcode === OPCODE.close) skip(`the server takes no message of ${sizeBytes} bytes`)
        },
        mutants: [
          takes('misreads this length', (frame) =>
            frame.payload.length === sizeBytes ? { ...frame, payload: frame.payload.subarray(0, -1) } : undefined,
          ),
          deafTo('loses it', (frame) => frame.payload.length === sizeBytes),
        ],
      }),
    ),
    breach({
      id: 'WS-5.2-p',
      level: 'should',
      says: 'A length whose highest bit is set is none: it ends the connection.',
      how: 'a frame of 2^63 bytes',
      does: (wire) => wire.bytes(Buffer.from('82ff800000000000000001020304', 'hex')),
    }),
    {
      id: 'WS-5.3-a',
      level: 'must',
      says: 'Payloads are unmasked by the key of their frame.',
      how: 'Messages with keys of zeros, of ones and of four different bytes, at every length from 1 to 9, each answered.',
      async run(trial) {
        const { wire, dialect } = await opened(trial)
        for (const key of ['00000000', 'ffffffff', '01800f7e']) {
          // In fragments of every small length, so that the key begins at every place.
          const question = dialect.question(trial, 100)
          const mask = Buffer.from(key, 'hex')
          let at = 0
          for (let length = 1; length < 10; length++) {
            wire.frame({ opcode: at === 0 ? dialect.opcode : 0, fin: false, mask, payload: question.subarray(at, at + length) })
            at += length
          }
          wire.frame({ opcode: 0, mask, payload: question.subarray(at) })
          await answer(wire, dialect)
        }
      },
      mutants: [
        takes('goes on with the key in the next frame', (frame) =>
          frame.mask !== undefined && frame.opcode === 0 && frame.payload.length === 2
            ? { ...frame, payload: Buffer.from(frame.payload.toReversed()) }
            : undefined,
        ),
        takes('does not unmask with ones', (frame) =>
          frame.mask?.equals(Buffer.alloc(4, 255)) === true ? { ...frame, payload: Buffer.from(frame.payload.map((byte) => byte ^ 255)) } : undefined,
        ),
      ],
    },
  ],
}

export const fragments: Chapter = {
  title: '5.4 Fragmentation',
  clauses: [
    {
      id: 'WS-5.4-a',
      level: 'must',
      says: 'A message may come in fragments.',
      how: 'A question in three fragments, one of them empty; the answer.',
      async run(trial) {
        const { wire, dialect } = await opened(trial)
        const question = dialect.question(trial, 60)
        wire.frame({ opcode: dialect.opcode, fin: false, payload: question.subarray(0, 20) })
        wire.frame({ opcode: 0, fin: false })
        wire.frame({ opcode: 0, payload: question.subarray(20) })
        await answer(wire, dialect)
      },
      mutants: [
        deafTo('loses fragments', (frame) => frame.opcode === 0 && frame.fin),
        takes('knows no fragments', (frame) => (frame.fin ? undefined : 'close')),
      ],
    },
    {
      id: 'WS-5.4-b',
      level: 'must',
      says: 'Control frames may come between the fragments of a message, and are served at once.',
      how: 'Half a question, a ping, its pong, the other half, the answer.',
      async run(trial) {
        const { wire, dialect } = await opened(trial)
        const question = dialect.question(trial, 60)
        wire.frame({ opcode: dialect.opcode, fin: false, payload: question.subarray(0, 20) })
        wire.frame({ opcode: OPCODE.ping, payload: 'between' })
        mustEqual((await wire.next(OPCODE.pong, 'a pong between fragments')).payload.toString(), 'between', 'the payload of the pong')
        wire.frame({ opcode: 0, payload: question.subarray(20) })
        await answer(wire, dialect)
      },
      mutants: [
        deafTo('hears no ping between fragments', (frame) => frame.opcode === OPCODE.ping),
        takes('bears no ping between fragments', (frame) => (frame.opcode === OPCODE.ping ? 'close' : undefined)),
      ],
    },
    breach({
      id: 'WS-5.4-c',
      says: 'A continuation without a message that it goes on with ends the connection.',
      how: 'a continuation at the beginning of a message',
      does: (wire) => wire.frame({ opcode: 0, payload: 'x' }),
      bears: deafTo('ignores it', (frame) => frame.opcode === 0),
    }),
    breach({
      id: 'WS-5.4-d',
      says: 'A new message in the middle of another ends the connection: fragments of messages are not mixed.',
      how: 'a whole message after the first fragment of another',
      does: (wire, dialect) => {
        wire.frame({ opcode: dialect.opcode, fin: false })
        wire.frame({ opcode: dialect.opcode, payload: dialect.question(wire.trial) })
      },
      bears: takes('takes it for a continuation', (frame) => (frame.fin && frame.opcode === OPCODE.close ? undefined : { ...frame, fin: true })),
    }),
    breach({
      id: 'WS-5.4-e',
      says: 'A control frame in fragments ends the connection.',
      how: 'the first fragment of a ping',
      does: (wire) => wire.frame({ opcode: OPCODE.ping, fin: false, payload: 'part' }),
      bears: takes('takes it as it is', (frame) => (frame.fin ? undefined : { ...frame, fin: true })),
    }),
    {
      id: 'WS-5.4-f',
      level: 'must',
      says: 'A server’s own messages and fragments follow the same rules.',
      how: 'What a server sends in answer to questions: each message begins with an opcode and ends with FIN, and control frames are whole.',
      async run(trial) {
        const open = await opened(trial)
        let within = false
        for (const { opcode, fin } of await everything(open)) {
          if (opcode >= OPCODE.close) mustBe(fin, 'the server sent a fragment of a control frame')
          else {
            if ((opcode === 0) !== within) fail(within ? 'a message began in the middle of another' : 'a continuation came without a message')
            within = !fin
          }
        }
        mustBe(!within, 'the last message had no end')
      },
      mutants: [
        sends('sends continuations only', (frame) => (frame.opcode < OPCODE.close ? { ...frame, opcode: 0 } : undefined)),
        sends('ends no message', (frame) => (frame.opcode < OPCODE.close ? { ...frame, fin: false } : undefined)),
      ],
    },
    {
      id: 'WS-5.4-g',
      level: 'must',
      says: 'Reading control frames between fragments, a server need not wait for the end of the message to close.',
      how: 'Half a question, then a close frame: it is answered by one.',
      async run(trial) {
        const { wire, dialect } = await opened(trial)
        wire.frame({ opcode: dialect.opcode, fin: false, payload: dialect.question(trial, 60).subarray(0, 20) })
        wire.frame({ opcode: OPCODE.close, payload: Buffer.from([3, 232]) })
        await wire.next(OPCODE.close, 'a close frame')
      },
      mutants: [deafTo('waits for the end of the message', (frame) => frame.opcode === OPCODE.close)],
    },
  ],
}

export const text: Chapter = {
  title: '5.6 and 8.1 Text',
  clauses: [
    breach({
      id: 'WS-8.1-a',
      says: 'A text message that is not UTF-8 ends the connection.',
      how: 'a text message with a byte that UTF-8 does not have',
      dialects: [stomp],
      does: (wire) => wire.frame({ opcode: OPCODE.text, payload: Buffer.from([0x53, 0xff, 0x0a]) }),
      bears: takes('checks no text', (frame) => (frame.opcode === OPCODE.text ? { ...frame, payload: Buffer.from('\n') } : undefined)),
    }),
    breach({
      id: 'WS-8.1-b',
      says: 'A text message that ends within a letter ends the connection.',
      how: 'a text message with the first two bytes of €',
      dialects: [stomp],
      does: (wire) => wire.frame({ opcode: OPCODE.text, payload: Buffer.from([0x0a, 0xe2, 0x82]) }),
      bears: takes('checks no text', (frame) => (frame.opcode === OPCODE.text ? { ...frame, payload: Buffer.from('\n') } : undefined)),
    }),
    breach({
      id: 'WS-8.1-c',
      says: 'Half a pair of UTF-16 in a text message is no UTF-8, and ends the connection.',
      how: 'a text message with U+D800 in three bytes',
      dialects: [stomp],
      does: (wire) => wire.frame({ opcode: OPCODE.text, payload: Buffer.from([0x0a, 0xed, 0xa0, 0x80]) }),
      bears: takes('checks no text', (frame) => (frame.opcode === OPCODE.text ? { ...frame, payload: Buffer.from('\n') } : undefined)),
    }),
    breach({
      id: 'WS-8.1-f',
      says: 'Text that is not UTF-8 ends the connection also in a later fragment.',
      how: 'a text message whose second fragment has a byte that UTF-8 does not have',
      dialects: [stomp],
      does: (wire) => {
        wire.frame({ opcode: OPCODE.text, fin: false, payload: '\n' })
        wire.frame({ opcode: OPCODE.continuation, payload: Buffer.from([0x0a, 0xff]) })
      },
      bears: takes('checks the first fragment only', (frame) =>
        frame.opcode === OPCODE.continuation ? { ...frame, payload: Buffer.from('\n') } : undefined,
      ),
    }),
    {
      id: 'WS-8.1-d',
      level: 'must',
      says: 'A letter may be cut by the border of two fragments.',
      how: 'A text message with €, cut into fragments between its bytes; the answer.',
      async run(trial) {
        const { wire, dialect } = await opened(trial, [stomp])
        const question = Buffer.from(dialect.question(trial).toString().replace('\n\n', '\nnote:€\n\n'))
        const at = question.indexOf(0xe2)
        wire.frame({ opcode: OPCODE.text, fin: false, payload: question.subarray(0, at + 1) })
        wire.frame({ opcode: 0, fin: false, payload: question.subarray(at + 1, at + 2) })
        wire.frame({ opcode: 0, payload: question.subarray(at + 2) })
        await answer(wire, dialect)
      },
      mutants: [takes('checks each fragment by itself', (frame) => (frame.opcode === OPCODE.text && !frame.fin ? 'close' : undefined))],
    },
    {
      id: 'WS-8.1-e',
      level: 'should',
      says: 'The close code for a text that is not UTF-8 is 1007.',
      how: 'A text message that is not UTF-8; the code of the server’s close frame.',
      async run(trial) {
        const { wire } = await opened(trial, [stomp])
        wire.frame({ opcode: OPCODE.text, payload: Buffer.from([0x53, 0xff, 0x0a]) })
        mustEqual(await wire.failed('a text message that is not UTF-8'), 1007, 'the close code')
      },
      mutants: [sends('says 1002', (frame) => (frame.opcode === OPCODE.close ? { ...frame, payload: Buffer.from([3, 234]) } : undefined))],
    },
  ],
}
