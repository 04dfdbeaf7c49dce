// AMQP 1.0, 2.3: frames.
import type { Chapter } from '../check.ts'
import { toValue } from '../clients/amqp-composite.ts'
import { frame } from '../clients/amqp-framing.ts'
import { described, list, raw, string, ulong } from '../clients/amqp-value.ts'
import { mustBe, mustEqual } from '../outcome.ts'
import { bytes, changes, edits, ignores, needsWhole } from './mutants.ts'
import { refusedOn, refusing } from './refusals.ts'
import { authenticated, begun, closesWith, openOf, opened, Session } from './session.ts'

const FRAMING = 'amqp:connection:framing-error'
const DECODE = 'amqp:decode-error'

/** A well-formed frame of a session's channel with some of its header's bytes changed. */
function spoiled(at: number, ...others: readonly number[]): Buffer {
  const good = frame(toValue({ kind: 'flow', nextIncomingId: 0 }))
  Buffer.from(others).copy(good, at)
  return good
}

export const framing: Chapter = {
  title: '2.3 Framing',
  clauses: [
    refusedOn(
      {
        id: 'AMQP-2.3.1-a',
        level: 'must',
        says: 'A frame whose size is below that of its header is malformed: the connection ends.',
        how: 'A frame that says that its size is 7.',
      },
      ({ wire }) => wire.send(spoiled(0, 0, 0, 0, 7)),
    ),
    refusedOn(
      {
        id: 'AMQP-2.3.1-b',
        level: 'must',
        says: 'A frame whose data offset is below 2 is malformed: the connection ends.',
        how: 'A frame with data offset 1.',
      },
      ({ wire }) => wire.send(spoiled(4, 1)),
    ),
    refusedOn(
      {
        id: 'AMQP-2.3.1-c',
        level: 'must',
        says: 'A frame whose data offset points behind its end has no body to be read: the connection ends.',
        how: 'A frame with data offset 255.',
      },
      ({ wire }) => wire.send(spoiled(4, 255)),
    ),
    refusedOn(
      {
        id: 'AMQP-2.3.1-d',
        level: 'should',
        says: 'A frame whose type is none that is known at this point is not read as one of AMQP: the connection ends.',
        how: 'A frame of type 200.',
      },
      ({ wire }) => wire.send(spoiled(5, 200)),
    ),
    refusedOn(
      {
        id: 'AMQP-2.3.1-e',
        level: 'should',
        says: 'A SASL frame has no place on a connection of AMQP: the connection ends.',
        how: 'An empty frame of type 1 after begin.',
      },
      ({ wire }) => wire.send(undefined, { type: 1 }),
    ),
    {
      id: 'AMQP-2.3.1-f',
      level: 'must',
      says: 'The body of a frame begins where its data offset says; an extended header before it is passed over.',
      how: 'Open in a frame with an extended header of eight bytes.',
      async run(trial) {
        const wire = await authenticated(trial)
        wire.send(openOf(trial), { extended: Buffer.from('ffffffffffffffff', 'hex') })
        await wire.next('open')
        wire.send({ kind: 'close' })
        const { error } = await wire.next('close')
        mustBe(error === undefined, 'close came with an error after a frame with an extended header')
      },
      mutants: [
        ignores('open'),
        edits('takes the extended header for the body', () => () => {
          let broken = false
          return {
            toBroker: ({ kind }) => {
              broken ||= kind === 'open'
              return undefined
            },
            toClient: (piece) => (broken && piece.kind === 'close' ? { ...piece, error: { kind: 'error', condition: DECODE } } : undefined),
          }
        }),
      ],
    },
    {
      id: 'AMQP-2.3.1-g',
      level: 'must',
      says: 'The size of a frame counts its header, extended header and body, and no more: nothing follows the performative of a frame that has no payload.',
      how: 'Open, begin, attach, detach, end, close: what comes is read to the last byte.',
      async run(trial) {
        const session = await begun(trial)
        const link = await session.sender('q')
        await link.detach()
        await session.end()
        session.wire.send({ kind: 'close' })
        const last = await session.wire.next('close')
        for (const piece of [session.begin, link.answer, last]) mustEqual(piece.payload.length, 0, `bytes behind the performative ${piece.kind}`)
      },
      mutants: [
        changes('sends bytes behind begin', 'begin', (begin) => Buffer.concat([resized(begin.raw, 2), Buffer.of(0x40, 0x40)])),
        bytes('counts its frames too short', (piece) => (piece[5] === 0 && piece[10] === 0x18 ? resized(piece, -1) : undefined)),
      ],
    },
    {
      id: 'AMQP-2.3.2-g',
      level: 'should',
      says: 'The condition says what was wrong: framing-error for what is no frame, decode-error for what cannot be decoded.',
      how: 'A frame with data offset 255; on another connection, a flow whose list says that it is longer than its frame.',
      async run(trial) {
        for (const bytes of [spoiled(4, 255), frame(raw('00 53 13 c0 7f 05 40 43'))]) {
          const { wire } = await begun(trial, {}, { containerId: trial.name(`container-${bytes.length}`) })
          wire.send(bytes)
          await closesWith(wire, 'what is no frame, or cannot be decoded', FRAMING, DECODE)
        }
      },
      mutants: refusing('close', [FRAMING, DECODE]),
    },
    refusedOn(
      {
        id: 'AMQP-2.3.2-a',
        level: 'must',
        says: 'The performative of a frame is one of those that are defined: another is refused, by the end of the connection or the session.',
        how: 'A frame whose body is a described list with the descriptor 0x1f.',
      },
      ({ wire }) => wire.send(frame(described(ulong(0x1f), list([])))),
    ),
    refusedOn(
      {
        id: 'AMQP-2.3.2-b',
        level: 'must',
        says: 'The body of a frame begins with a described type: another value is refused, by the end of the connection or the session.',
        how: 'A frame whose body is a string.',
      },
      ({ wire }) => wire.send(frame(string('open'))),
    ),
    refusedOn(
      {
        id: 'AMQP-2.3.2-c',
        level: 'must',
        says: 'A performative that cannot be decoded ends the connection.',
        how: 'A flow whose list says that it is longer than its frame.',
      },
      ({ wire }) => wire.send(frame(raw('00 53 13 c0 7f 05 40 43'))),
    ),
    {
      id: 'AMQP-2.3.2-d',
      level: 'must',
      says: 'Where the network cuts the stream says nothing: a frame that comes in pieces is the same frame.',
      how: 'Open one byte at a time.',
      async run(trial) {
        const wire = await authenticated(trial)
        for (const byte of frame(toValue(openOf(trial)))) {
          wire.send(Buffer.of(byte))
          await new Promise((resolve) => setImmediate(resolve))
        }
        await wire.next('open')
      },
      mutants: [needsWhole],
    },
    {
      id: 'AMQP-2.3.2-e',
      level: 'must',
      says: 'Frames that come together are read one by one, each for its channel.',
      how: 'Begin on three channels in one write.',
      async run(trial) {
        const wire = await opened(trial)
        wire.send(Buffer.concat([0, 1, 2].map((channel) => frame(toValue({ kind: 'begin' }), { channel }))))
        for (const channel of [0, 1, 2])
          await wire.nextThat('begin', `begin for channel ${channel}`, ({ remoteChannel }) => remoteChannel === channel)
      },
      mutants: [
        ignores('begin'),
        edits('reads the first of several frames only', () => () => {
          let before = 0
          return { toBroker: ({ kind }) => (kind === 'begin' && before++ > 0 ? 'drop' : undefined) }
        }),
      ],
    },
    {
      id: 'AMQP-2.3.2-f',
      level: 'must',
      says: 'Each frame of a session bears the number of the channel on which its sender began.',
      how: 'Two sessions, a link in each: what comes for each is on the channel of its begin.',
      async run(trial) {
        const wire = await opened(trial)
        const one = await Session.begin(wire, {}, 0)
        const other = await Session.begin(wire, {}, 1)
        mustBe(one.begin.channel !== other.begin.channel, `both sessions are on channel ${one.begin.channel}`)
        for (const session of [one, other]) {
          const { answer } = await session.sender(`q-${session.channel}`)
          mustEqual(answer.channel, session.begin.channel, 'the channel of attach')
        }
      },
      mutants: [
        edits('sends everything on the channel of the first session', () => () => ({
          toClient: (piece) => (piece.kind === 'attach' && piece.channel !== 0 ? withChannel(piece.raw, 0) : undefined),
        })),
      ],
    },
  ],
}

/** The frame with a size that is so much larger. */
function resized(raw: Buffer, by: number): Buffer {
  const copy = Buffer.from(raw)
  copy.writeUInt32BE(raw.length + by)
  return copy
}

function withChannel(raw: Buffer, channel: number): Buffer {
  const copy = Buffer.from(raw)
  copy.writeUInt16BE(channel, 6)
  return copy
}
