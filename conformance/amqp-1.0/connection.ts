// AMQP 1.0, 2.4: connections: opening, pipelining, closing, idle time-outs.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Chapter } from '../check.ts'
import { toValue } from '../clients/amqp-composite.ts'
import { AMQP, frame, header, SASL } from '../clients/amqp-framing.ts'
import { described, list, ulong } from '../clients/amqp-value.ts'
import { AmqpWire, type Received } from '../clients/amqp-wire.ts'
import { neverCloses } from '../mutant.ts'
import { fail, mustBe, mustEqual, skip } from '../outcome.ts'
import type { Trial } from '../trial.ts'
import { changes, closesAt, edits, ignores, is, never, silent } from './mutants.ts'
import { bearing } from './refusals.ts'
import { authenticated, begun, initialResponse, openedWith, openOf, opened, receiverOf, refusedBy, Session } from './session.ts'

export const connection: Chapter = {
  title: '2.4 Connections',
  clauses: [
    {
      id: 'AMQP-2.4.1-a',
      level: 'must',
      says: 'Open is the first frame that each peer sends, and the broker sends its own.',
      how: 'Open alone: the first frame that comes is open.',
      async run(trial) {
        const wire = await authenticated(trial)
        wire.send(openOf(trial))
        const first = await wire.inbox.next('open')
        mustEqual(first?.kind, 'open', 'the first frame that came')
      },
      mutants: [never('open'), changes('sends an empty frame before open', 'open', ({ raw }) => [frame(undefined), raw])],
    },
    {
      id: 'AMQP-2.4.1-b',
      level: 'must',
      says: 'Until both have sent open no frame is larger than 512 bytes.',
      how: 'SASL and open: the largest frame that came by then is measured.',
      async run(trial) {
        const { wire } = await openedWith(trial)
        mustBe(wire.largestFrame <= 512, `a frame of ${wire.largestFrame} bytes came before the connection was open`)
      },
      mutants: [changes('sends a large open', 'open', (open) => ({ ...open, outgoingLocales: Array.from({ length: 200 }, () => 'en-US') }))],
    },
    {
      id: 'AMQP-2.4.1-c',
      level: 'must',
      says: 'Open is sent on channel 0.',
      how: 'The channel of the open that comes.',
      async run(trial) {
        const { open } = await openedWith(trial)
        mustEqual(open.channel, 0, 'the channel of open')
      },
      mutants: [changes('sends open on channel 1', 'open', ({ raw }) => Buffer.concat([raw.subarray(0, 7), Buffer.of(1), raw.subarray(8)]))],
    },
    {
      id: 'AMQP-2.4.1-d',
      level: 'must',
      says: 'A connection whose first frame is not open is not served: no session begins on it.',
      how: 'Begin where open is due: the connection ends, and begin is not answered.',
      async run(trial) {
        const wire = await authenticated(trial)
        wire.send({ kind: 'begin' })
        wire.send({ kind: 'close' })
        const came = await wire.closed('after begin without open')
        mustBe(!came.some(({ kind }) => kind === 'begin'), 'begin was answered on a connection without open')
      },
      mutants: [
        neverCloses,
        edits('needs no open', () => ({ toClient }) => ({
          toBroker: ({ kind }) => {
            if (kind === 'begin') toClient({ kind: 'begin', remoteChannel: 0 })
            return undefined
          },
        })),
      ],
    },
    {
      id: 'AMQP-2.4.1-e',
      level: 'should',
      says: 'Open is sent once: the connection ends on a second.',
      how: 'Open twice.',
      async run(trial) {
        const wire = await opened(trial)
        wire.send(openOf(trial))
        await refusedBy(wire, 'after a second open', 'close')
      },
      mutants: bearing('close'),
    },
    {
      id: 'AMQP-2.4.2-a',
      level: 'must',
      says: 'Frames that are sent before the partner’s open was read are as good as later ones.',
      how: 'After SASL: header, open, begin and attach in one write.',
      async run(trial) {
        const wire = await AmqpWire.open(trial)
        await wire.headers(SASL)
        const { saslServerMechanisms = [] } = await wire.next('saslMechanisms')
        const mechanism = trial.user === undefined ? 'ANONYMOUS' : 'PLAIN'
        if (!saslServerMechanisms.includes(mechanism)) skip(`the broker does not offer ${mechanism}`)
        wire.send({ kind: 'saslInit', mechanism, initialResponse: initialResponse(trial) })
        await wire.next('saslOutcome')
        const attach = { ...receiverOf(trial, 'q'), handle: 0 }
        wire.send(Buffer.concat([header(AMQP), ...[openOf(trial), { kind: 'begin' } as const, attach].map((each) => frame(toValue(each)))]))
        await wire.next('open')
        await wire.next('begin')
        await wire.nextThat('attach', 'attach', ({ name }) => name === attach.name)
      },
      mutants: [
        never('attach'),
        edits('forgets what comes together with open', () => () => {
          let answered = false
          return {
            toClient: ({ kind }) => {
              answered ||= kind === 'open'
              return undefined
            },
            toBroker: ({ kind }) => ((kind === 'begin' || kind === 'attach') && !answered ? 'drop' : undefined),
          }
        }),
      ],
    },
    {
      id: 'AMQP-2.4.2-b',
      level: 'must',
      says: 'A whole connection may be pipelined, its close too.',
      how: 'Open, begin, end and close in one write.',
      async run(trial) {
        const wire = await authenticated(trial)
        wire.send(
          Buffer.concat(
            [openOf(trial), { kind: 'begin' } as const, { kind: 'end' } as const, { kind: 'close' } as const].map((each) => frame(toValue(each))),
          ),
        )
        await wire.next('open')
        const { error } = await wire.next('close')
        mustBe(error === undefined, 'close came with an error after a pipelined connection')
      },
      mutants: [
        never('close'),
        ignores('close'),
        changes('cannot be pipelined', 'close', (close) => ({ ...close, error: { kind: 'error', condition: 'amqp:not-allowed' } })),
      ],
    },
    {
      id: 'AMQP-2.4.3-a',
      level: 'must',
      says: 'Close is answered by close before the socket ends.',
      how: 'Close after open.',
      async run(trial) {
        const wire = await opened(trial)
        wire.send({ kind: 'close' })
        const { error } = await wire.next('close')
        mustBe(error === undefined, 'close came with an error where nothing was wrong')
      },
      mutants: [
        never('close'),
        closesAt('close'),
        changes('blames the client', 'close', () => ({ kind: 'close', error: { kind: 'error', condition: 'amqp:internal-error' } })),
      ],
    },
    {
      id: 'AMQP-2.4.3-b',
      level: 'must',
      says: 'Close is the last that is written.',
      how: 'A receiver with credit, and close while messages could come: nothing follows the broker’s close.',
      async run(trial) {
        const session = await begun(trial)
        const receiver = await session.receiver('q')
        receiver.credit(10)
        session.wire.send({ kind: 'close' })
        await session.wire.next('close')
        session.wire.end()
        await session.wire.closed('after both have closed')
        const after = session.wire.afterClose
        mustBe(after.length === 0, `${after.map(({ kind }) => kind).join(', ')} came after close`)
      },
      mutants: [changes('sends an empty frame after close', 'close', ({ raw }) => [raw, frame(undefined)])],
    },
    {
      id: 'AMQP-2.4.3-c',
      level: 'must',
      says: 'Close is taken on any channel that the connection has.',
      how: 'Close on channel 1, where no session is.',
      async run(trial) {
        const { wire, open } = await openedWith(trial)
        if (open.channelMax === 0) skip('the broker has channel 0 only')
        wire.send({ kind: 'close' }, { channel: 1 })
        const { error } = await wire.next('close')
        mustBe(error === undefined, 'close came with an error where it was sent on channel 1')
      },
      mutants: [
        never('close'),
        edits('knows close on channel 0 only', () => () => ({
          toBroker: ({ kind, channel }) => (kind === 'close' && channel !== 0 ? 'drop' : undefined),
        })),
      ],
    },
    {
      id: 'AMQP-2.4.3-d',
      level: 'should',
      says: 'The broker’s close is on channel 0.',
      how: 'The channel of the close that comes.',
      async run(trial) {
        const wire = await opened(trial)
        wire.send({ kind: 'close' })
        mustEqual((await wire.next('close')).channel, 0, 'the channel of close')
      },
      mutants: [changes('sends close on channel 1', 'close', ({ raw }) => Buffer.concat([raw.subarray(0, 7), Buffer.of(1), raw.subarray(8)]))],
    },
    {
      id: 'AMQP-2.4.3-e',
      level: 'must',
      says: 'Who closes a connection because of what came writes a close before, with a code that says why.',
      how: 'A frame that says that its size is 7.',
      async run(trial) {
        const { wire } = await begun(trial)
        wire.send(Buffer.from('000000070200000000000000', 'hex'))
        const { error } = await wire.next('close')
        mustBe(error !== undefined, 'close came without an error after a frame that says that its size is 7')
      },
      mutants: [never('close'), closesAt('close'), silent('close')],
    },
    {
      id: 'AMQP-2.4.4-a',
      level: 'must',
      says: 'When both close at once, each takes the other’s close for the answer to its own.',
      unchecked: 'No client can bring a broker to close by itself at a moment of the client’s choosing.',
    },
    {
      id: 'AMQP-2.4.5-a',
      level: 'must',
      says: 'The broker keeps the client’s idle-time-out: a frame comes at least as often as it asks.',
      how: 'Open with an idle-time-out of one second, and silence: three empty frames in three seconds.',
      async run(trial) {
        const wire = await authenticated(trial)
        wire.send(openOf(trial, { idleTimeOut: 1000 }))
        await wire.next('open')
        const begun = performance.now()
        for (let frames = 0; frames < 3; frames++) {
          const { kind } = await wire.nextOf('empty', 'close', 'flow')
          if (kind === 'close') skip('the broker does not take an idle-time-out of one second')
        }
        const ms = Math.round(performance.now() - begun)
        mustBe(ms <= 3500, `three frames took ${ms} ms`)
      },
      mutants: [never('empty')],
    },
    {
      id: 'AMQP-2.4.5-b',
      level: 'must',
      says: 'An idle-time-out of zero is none.',
      how: 'Open with idle-time-out 0, and a session.',
      async run(trial) {
        const session = await begun(trial, {}, { idleTimeOut: 0 })
        await session.sync()
      },
      mutants: [closesAt('begin'), sees0()],
    },
    {
      id: 'AMQP-2.4.5-c',
      level: 'must',
      says: 'Empty frames mean nothing but that the sender is there, on whatever channel.',
      how: 'Empty frames on channels 0 and 1, before begin and after.',
      async run(trial) {
        const wire = await opened(trial)
        wire.send(undefined)
        wire.send(undefined, { channel: 1 })
        const session = await Session.begin(wire)
        wire.send(undefined)
        wire.send(undefined, { channel: 1 })
        await session.sync()
      },
      mutants: [
        ignores('begin'),
        closesAt('attach'),
        edits('takes an empty frame for an error', () => ({ toClient }) => ({
          toBroker: ({ kind }) => {
            if (kind !== 'empty') return undefined
            toClient({ kind: 'close', error: { kind: 'error', condition: 'amqp:decode-error' } })
            return 'close'
          },
        })),
      ],
    },
    {
      id: 'AMQP-2.4.5-d',
      level: 'should',
      says: 'Empty frames that the broker sends are on channel 0.',
      how: 'The channel of the first that comes under an idle-time-out of one second.',
      async run(trial) {
        const wire = await authenticated(trial)
        wire.send(openOf(trial, { idleTimeOut: 1000 }))
        const piece = await wire.nextOf('empty', 'close')
        if (piece.kind === 'close') skip('the broker does not take an idle-time-out of one second')
        mustEqual(piece.channel, 0, 'the channel of the empty frame')
      },
      mutants: [changes('sends empty frames on channel 3', 'empty', () => frame(undefined, { channel: 3 }))],
    },
    {
      id: 'AMQP-2.4.5-e',
      level: 'should',
      says: 'A client that is silent for longer than the broker’s own threshold is told by a close with an error.',
      how: 'Open, and silence for four times the idle-time-out that the broker asks for, if that is five seconds or less: close comes, with an error.',
      async run(trial) {
        const { wire, idleMs } = await asked(trial)
        // The close itself, not the end of the connection: a broker may wait for the other close before it goes.
        const { error } = await wire.inbox.find(isClose, `close after a silence of ${4 * idleMs} ms`, 4 * idleMs + trial.patienceMs)
        mustBe(error?.kind === 'error', 'the close says no error')
      },
      mutants: [silent('close'), never('close')],
    },
    {
      id: 'AMQP-2.4.5-f',
      level: 'should',
      says: 'The idle-time-out that the broker asks for is half of what it really waits.',
      how: 'Open, and silence for 1.8 times the idle-time-out that the broker asks for, if that is five seconds or less: a session begins still.',
      async run(trial) {
        const { wire, idleMs } = await asked(trial)
        await sleep(1.8 * idleMs)
        mustBe(!wire.inbox.ended, 'the connection was closed before twice the idle-time-out was over')
        await Session.begin(wire)
      },
      mutants: [
        edits('waits no longer than it asks for', () => ({ close }) => ({
          toClient: (piece) => {
            if (is(piece, 'open') && piece.idleTimeOut !== undefined) setTimeout(close, piece.idleTimeOut * 1.1)
            return undefined
          },
        })),
      ],
    },
    {
      id: 'AMQP-2.4.6-a',
      level: 'must',
      says: 'After a close with an error, what still comes is dropped in silence until the partner’s close.',
      how: 'A performative that does not exist, begin behind it: close is followed by nothing but the end.',
      async run(trial) {
        const wire = await opened(trial)
        wire.send(frame(described(ulong(0x1f), list([]))))
        const { error } = await wire.next('close')
        if (error === undefined) fail('close came without an error after a performative that does not exist')
        wire.send({ kind: 'begin' })
        wire.send({ kind: 'close' })
        wire.end()
        await wire.closed('after both have closed')
        const after = wire.afterClose
        mustBe(after.length === 0, `${after.map(({ kind }) => kind).join(', ')} came after close`)
      },
      mutants: [silent('close'), changes('begins a session after close', 'close', ({ raw }) => [raw, { kind: 'begin', remoteChannel: 0 }])],
    },
    {
      id: 'AMQP-2.4.6-b',
      level: 'should',
      says: 'A frame on a channel on which no session has begun ends the connection.',
      how: 'Attach on channel 3 after open.',
      async run(trial) {
        const wire = await opened(trial)
        wire.send({ ...receiverOf(trial, 'q'), handle: 0 }, { channel: 3 })
        await refusedBy(wire, 'after attach on a channel without a session', 'close')
      },
      mutants: bearing('close'),
    },
    {
      id: 'AMQP-2.4.6-c',
      level: 'must',
      says: 'A client that goes without close is gone: a container of the same name can connect again.',
      how: 'A connection that breaks, and the same container id on the next, where a session begins.',
      async run(trial) {
        const first = await opened(trial)
        first.destroy()
        const second = await opened(trial)
        second.send({ kind: 'begin' })
        await second.next('begin')
        second.send({ kind: 'close' })
        await second.next('close')
      },
      mutants: [
        edits('keeps the name of a container that is gone', () => {
          const seen = new Set<string>()
          return ({ toClient }) => ({
            toBroker: (piece) => {
              if (piece.kind !== 'open' || piece.containerId === undefined) return undefined
              if (!seen.has(piece.containerId)) return void seen.add(piece.containerId)
              toClient({ kind: 'open', containerId: 'broker' })
              toClient({ kind: 'close', error: { kind: 'error', condition: 'amqp:invalid-field' } })
              return 'drop'
            },
          })
        }),
      ],
    },
  ],
}

function sees0(): ReturnType<typeof edits> {
  return edits('takes zero for the shortest time', () => ({ toClient }) => ({
    toBroker: (piece) => {
      if (piece.kind !== 'open' || piece.idleTimeOut !== 0) return undefined
      toClient({ kind: 'open', containerId: 'broker' })
      toClient({ kind: 'close', error: { kind: 'error', condition: 'amqp:resource-limit-exceeded' } })
      return 'drop'
    },
  }))
}

/** A connection, and the idle-time-out that the broker asks for, where it is short enough to be waited for. */
async function asked(trial: Trial): Promise<Readonly<{ wire: AmqpWire; idleMs: number }>> {
  const { wire, open } = await openedWith(trial)
  const idleMs = open.idleTimeOut ?? 0
  if (idleMs === 0) skip('the broker asks for no idle-time-out')
  if (idleMs > IDLE_MS_MAX) skip(`the broker asks for an idle-time-out of ${idleMs} ms, which is too long to wait for`)
  return { wire, idleMs }
}

const IDLE_MS_MAX = 5_000

const isClose = (piece: Received): piece is Received<'close'> => piece.kind === 'close'
