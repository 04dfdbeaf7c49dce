// AMQP 1.0, 2.5 and the performatives begin and end: sessions and their windows.
import type { Chapter } from '../check.ts'
import { frame } from '../clients/amqp-framing.ts'
import { toValue } from '../clients/amqp-composite.ts'
import type { Received } from '../clients/amqp-wire.ts'
import { mustBe, mustEqual, skip } from '../outcome.ts'
import { message } from './message.ts'
import { changes, closesAt, edits, never, sees } from './mutants.ts'
import { refusing } from './refusals.ts'
import { begun, closesWith, openedWith, opened, receiverOf, senderOf, Session } from './session.ts'
import type { Trial } from '../trial.ts'

/** So many messages in the trial's queue, by a connection of its own. */
export async function filled(trial: Trial, word: string, count: number): Promise<void> {
  const sender = await (await begun(trial, {}, { containerId: trial.name('filler') })).sender(word)
  await sender.deliver(...Array.from({ length: count }, (_, at) => message(`${at}`)))
}

/** The broker's end of this session. One that closes the connection instead breaks a clause of its own (2.5.4-a), and tells nothing of others. */
async function endOf({ wire }: Session): Promise<Received<'end'>> {
  const answer = await wire.firstOf('end', 'close')
  return answer?.kind === 'end' ? answer : skip('the broker closes the connection where the session was to end')
}

export const sessions: Chapter = {
  title: '2.5 Sessions',
  clauses: [
    {
      id: 'AMQP-2.5.1-a',
      level: 'must',
      says: 'A begin that names no remote channel is answered by one whose remote-channel is the channel on which it came.',
      how: 'Begin on channels 0 and 5.',
      async run(trial) {
        const { wire, open } = await openedWith(trial)
        for (const channel of (open.channelMax ?? 65535) >= 5 ? [0, 5] : [0]) {
          wire.send({ kind: 'begin' }, { channel })
          mustEqual((await wire.next('begin')).remoteChannel, channel, 'the remote-channel of begin')
        }
      },
      mutants: [
        never('begin'),
        changes('leaves out the remote channel', 'begin', (begin) => ({ ...begin, remoteChannel: undefined })),
        changes('says its own channel', 'begin', (begin) => ({ ...begin, remoteChannel: 1 })),
      ],
    },
    {
      id: 'AMQP-2.5.1-b',
      level: 'must',
      says: 'Each session gets a channel of the broker’s that no other session of the connection has.',
      how: 'Three sessions of one connection.',
      async run(trial) {
        const { wire, open } = await openedWith(trial)
        if ((open.channelMax ?? 65535) < 2) skip('the broker has less than three channels')
        const channels = new Set<number>()
        for (const channel of [0, 1, 2]) channels.add((await Session.begin(wire, {}, channel)).begin.channel)
        mustEqual(channels.size, 3, 'the number of channels of three sessions')
      },
      mutants: [changes('begins every session on channel 0', 'begin', ({ raw }) => onChannel(raw, 0))],
    },
    {
      id: 'AMQP-2.5.1-c',
      level: 'should',
      says: 'The channel that the broker takes is the lowest that is free.',
      how: 'Begin on channel 9: the answer is on channel 0.',
      async run(trial) {
        const { wire, open } = await openedWith(trial)
        const channel = Math.min(9, open.channelMax ?? 65535)
        mustEqual((await Session.begin(wire, {}, channel)).begin.channel, 0, 'the channel of begin')
      },
      mutants: [changes('begins on channel 7', 'begin', ({ raw }) => onChannel(raw, 7))],
    },
    {
      id: 'AMQP-2.5.1-d',
      level: 'should',
      says: 'A begin on a channel on which a session is already begun is an error.',
      how: 'Begin twice on channel 0: the connection or the session ends.',
      async run(trial) {
        const { wire } = await begun(trial)
        wire.send({ kind: 'begin' })
        const { error } = await wire.nextOf('close', 'end')
        mustBe(error !== undefined, 'the second begin was answered by an end without an error')
      },
      mutants: refusing('close', []),
    },
    {
      id: 'AMQP-2.5.2-a',
      level: 'must',
      says: 'End is answered by end.',
      how: 'End after begin.',
      async run(trial) {
        const session = await begun(trial)
        const { error } = await session.end()
        mustBe(error === undefined, 'end came with an error where nothing was wrong')
      },
      mutants: [
        never('end'),
        closesAt('end'),
        changes('blames the client', 'end', () => ({ kind: 'end', error: { kind: 'error', condition: 'amqp:internal-error' } })),
      ],
    },
    {
      id: 'AMQP-2.5.2-b',
      level: 'must',
      says: 'A channel is free again after both have ended its session.',
      how: 'Begin, end, begin on the same channel, and a link.',
      async run(trial) {
        const wire = await opened(trial)
        await (await Session.begin(wire)).end()
        const again = await Session.begin(wire)
        await again.sender('q')
      },
      mutants: [
        secondIgnored('begin'),
        edits('closes the connection when a channel is used again', () => () => {
          let before = 0
          return { toBroker: ({ kind }) => (kind === 'begin' && before++ > 0 ? 'close' : undefined) }
        }),
      ],
    },
    {
      id: 'AMQP-2.5.2-c',
      level: 'must',
      says: 'The end of a session leaves the others of its connection as they are.',
      how: 'Two sessions; the first ends, a link attaches in the second.',
      async run(trial) {
        const { wire, open } = await openedWith(trial)
        if (open.channelMax === 0) skip('the broker has one channel')
        const first = await Session.begin(wire, {}, 0)
        const second = await Session.begin(wire, {}, 1)
        await first.end()
        await second.sender('q')
      },
      mutants: [
        closesAt('end'),
        edits('ends every session', () => ({ toClient }) => ({
          toBroker: (piece) => {
            if (piece.kind === 'end') toClient({ kind: 'close' })
            return undefined
          },
          toClient: (piece) => (piece.kind === 'attach' ? 'drop' : undefined),
        })),
      ],
    },
    {
      id: 'AMQP-2.5.3-a',
      level: 'must',
      says: 'When both end at once, each takes the other’s end for the answer to its own.',
      how: 'A handle that is not attached, and end behind it: the end with the error is the only one.',
      async run(trial) {
        const session = await begun(trial)
        session.flow({ handle: 77, linkCredit: 1, deliveryCount: 0 })
        session.send({ kind: 'end' })
        const { error } = await endOf(session)
        mustBe(error !== undefined, 'flow for a handle that is not attached was no error')
        const again = await Session.begin(session.wire)
        mustBe(!session.wire.inbox.unread.some(({ kind }) => kind === 'end'), 'end came twice for one session')
        await again.sync()
      },
      mutants: [never('end'), changes('answers end after it has sent its own', 'end', ({ raw }) => [raw, raw])],
    },
    {
      id: 'AMQP-2.5.4-a',
      level: 'must',
      says: 'Input that a session cannot process ends it with an error, and what comes on it until the partner’s end is dropped.',
      how: 'A handle that is not attached, attach behind it; then end, and begin again on the channel.',
      async run(trial) {
        const session = await begun(trial)
        session.flow({ handle: 77, linkCredit: 1, deliveryCount: 0 })
        session.send({ ...senderOf(trial, 'q'), handle: 0 })
        const { error } = await session.next('end')
        mustBe(error !== undefined, 'end came without an error')
        session.send({ kind: 'end' })
        await Session.begin(session.wire)
        mustBe(!session.wire.inbox.unread.some(({ kind }) => kind === 'attach'), 'attach was answered after the session had ended')
      },
      mutants: [
        ...refusing('end', []),
        changes('attaches a link after its end', 'end', ({ raw }) => [raw, { kind: 'attach', name: 'late', handle: 0, role: true }]),
      ],
    },
    {
      id: 'AMQP-2.5.4-b',
      level: 'must',
      says: 'An error of one session is no error of the others.',
      how: 'Two sessions, an error in the first; a link attaches in the second.',
      async run(trial) {
        const { wire, open } = await openedWith(trial)
        if (open.channelMax === 0) skip('the broker has one channel')
        const first = await Session.begin(wire, {}, 0)
        const second = await Session.begin(wire, {}, 1)
        first.flow({ handle: 77, linkCredit: 1, deliveryCount: 0 })
        const { error } = await endOf(first)
        mustBe(error !== undefined, 'end came without an error')
        first.send({ kind: 'end' })
        await second.sender('q')
      },
      mutants: refusing('end', []),
    },
    {
      id: 'AMQP-2.5.6-a',
      level: 'must',
      says: 'The broker sends no more transfers than the session’s incoming-window lets it.',
      how: 'Three messages, credit for ten, an incoming-window of one: one comes; after a flow that opens the window, the others.',
      async run(trial) {
        await filled(trial, 'q', 3)
        const session = await begun(trial, { incomingWindow: 1 })
        const receiver = await session.receiver('q')
        receiver.credit(10, { incomingWindow: 1 })
        await receiver.nextTransfer()
        session.flow({ incomingWindow: 0 })
        await session.sync()
        mustBe(!session.wire.inbox.unread.some(({ kind }) => kind === 'transfer'), 'a second transfer came where the window was one')
        session.flow({ incomingWindow: 10 })
        await receiver.nextTransfer()
        await receiver.nextTransfer()
      },
      mutants: [
        edits('takes no notice of windows', () => () => ({
          toBroker: (piece) => (piece.kind === 'begin' || piece.kind === 'flow' ? { ...piece, incomingWindow: 1000 } : undefined),
        })),
        edits('does not see that the window opens', () => () => ({
          toBroker: (piece) => (piece.kind === 'flow' && (piece.incomingWindow ?? 0) > 1 ? 'drop' : undefined),
        })),
      ],
    },
    {
      id: 'AMQP-2.5.6-b',
      level: 'must',
      says: 'The next-outgoing-id of the broker’s flow counts the transfers that it has sent.',
      how: 'Two messages, and the flow that gives the next link credit.',
      async run(trial) {
        await filled(trial, 'q', 2)
        const session = await begun(trial)
        const receiver = await session.receiver('q')
        receiver.credit(2)
        await receiver.nextTransfer()
        await receiver.nextTransfer()
        const { nextOutgoingId } = await (await session.sync()).nextFlow('credit')
        mustEqual(nextOutgoingId, ((session.begin.nextOutgoingId ?? 0) + 2) >>> 0, 'the next-outgoing-id after two transfers')
      },
      mutants: [
        changes('counts one transfer too many', 'flow', (flow) => ({ ...flow, nextOutgoingId: (flow.nextOutgoingId ?? 0) + 1 })),
        never('flow'),
      ],
    },
    {
      id: 'AMQP-2.5.6-c',
      level: 'must',
      says: 'The next-incoming-id of the broker’s flow follows the transfers that it has received.',
      how: 'Two messages that are accepted, and the flow that gives the next link credit.',
      async run(trial) {
        const session = await begun(trial)
        const sender = await session.sender('q')
        await sender.deliver(message('a'), message('b'))
        const { nextIncomingId } = await (await session.sync()).nextFlow('credit')
        mustEqual(nextIncomingId, 2, 'the next-incoming-id')
      },
      mutants: [
        changes('counts no transfers', 'flow', (flow) => ({ ...flow, nextIncomingId: 0 })),
        changes('leaves out next-incoming-id', 'flow', (flow) => ({ ...flow, nextIncomingId: undefined })),
      ],
    },
    {
      id: 'AMQP-2.5.6-d',
      level: 'must',
      says: 'A flow without next-incoming-id counts the window from the broker’s first transfer.',
      how: 'Three messages; begin with no window, attach, and flow with a window of two that names no next-incoming-id, in one write: two come.',
      async run(trial) {
        await filled(trial, 'q', 3)
        const wire = await opened(trial)
        const attach = { ...receiverOf(trial, 'q'), handle: 0 }
        const flow = {
          kind: 'flow',
          nextIncomingId: undefined,
          incomingWindow: 2,
          nextOutgoingId: 0,
          outgoingWindow: 10,
          handle: 0,
          linkCredit: 10,
        } as const
        wire.send(Buffer.concat([{ kind: 'begin', incomingWindow: 0 } as const, attach, flow].map((each) => frame(toValue(each)))))
        await wire.next('transfer')
        await wire.next('transfer')
        const { nextOutgoingId = 0, channel } = await wire.next('begin')
        wire.send({ kind: 'flow', nextIncomingId: (nextOutgoingId + 2) >>> 0, incomingWindow: 0 })
        wire.send({ ...senderOf(trial, 'sync'), handle: 1 })
        await wire.nextThat('attach', 'attach', (answer) => answer.channel === channel && answer.role === true)
        mustBe(!wire.inbox.unread.some(({ kind }) => kind === 'transfer'), 'a third transfer came where the window was two')
      },
      mutants: [
        sees('takes no window from such a flow', 'flow', (flow) => (flow.nextIncomingId === undefined ? 'drop' : undefined)),
        sees('takes any window from such a flow', 'flow', (flow) =>
          flow.nextIncomingId === undefined ? { ...flow, incomingWindow: 1000 } : undefined,
        ),
      ],
    },
    {
      id: 'AMQP-2.5.6-e',
      level: 'must',
      says: 'Transfer ids are serial numbers: they go on after 4294967295 with 0.',
      how: 'Begin with next-outgoing-id 4294967294; four messages are accepted, and the broker expects 2 as the next.',
      async run(trial) {
        const session = await begun(trial, { nextOutgoingId: 0xfffffffe })
        const sender = await session.sender('q')
        await sender.deliver(...'abcd'.split('').map((each) => message(each)))
        const { nextIncomingId } = await (await session.sync()).nextFlow('credit')
        mustEqual(nextIncomingId, 2, 'the next-incoming-id')
      },
      mutants: [
        changes('counts from zero', 'flow', (flow) => ({ ...flow, nextIncomingId: 4 })),
        changes('stops at the highest number', 'flow', (flow) => ({ ...flow, nextIncomingId: 0xffffffff })),
      ],
    },
    {
      id: 'AMQP-2.5.6-f',
      level: 'must',
      says: 'The window that the broker has left for the client grows again as the client sends within it.',
      how: 'More transfers than the broker’s first incoming-window, each within the window that is known.',
      async run(trial) {
        const session = await begun(trial)
        const window = session.begin.incomingWindow ?? 0
        if (window > 5000) skip(`the broker’s incoming-window is ${window}`)
        const sender = await session.sender('q')
        for (let sent = 0; sent <= window; sent += 100) await sender.deliver(...Array.from({ length: 100 }, (_, at) => message(`${at}`)))
        await session.sync()
      },
      mutants: [sees('takes no more than hundred transfers', 'transfer', ({ deliveryId = 0 }) => (deliveryId > 100 ? 'drop' : undefined))],
    },
    {
      id: 'AMQP-2.5.6-g',
      level: 'must',
      says: 'Transfers beyond the broker’s incoming-window end the session with window-violation.',
      unchecked: 'A broker opens its window while transfers come in, and no client can be sure that it is beyond it.',
    },
    {
      id: 'AMQP-2.7.2-a',
      level: 'must',
      says: 'A handle above the broker’s handle-max closes the connection with framing-error.',
      how: 'Attach with the handle behind the last.',
      async run(trial) {
        const session = await begun(trial)
        const { handleMax = 0xffffffff } = session.begin
        if (handleMax === 0xffffffff) skip('the broker has every handle')
        session.send({ ...senderOf(trial, 'q'), handle: handleMax + 1 })
        await closesWith(session.wire, 'an attach with a handle above handle-max', 'amqp:connection:framing-error')
      },
      // What a broker does with it may be seen by its other clients.
      alone: true,
      mutants: refusing('close', ['amqp:connection:framing-error']),
    },
    {
      id: 'AMQP-2.7.2-b',
      level: 'must',
      says: 'The broker uses no handle above the client’s handle-max.',
      how: 'Begin with handle-max 1, and two links.',
      async run(trial) {
        const session = await begun(trial, { handleMax: 1 })
        for (const word of ['a', 'b']) {
          const { answer } = await session.sender(word)
          mustBe((answer.handle ?? 0) <= 1, `attach came with handle ${answer.handle} where handle-max is 1`)
        }
      },
      mutants: [changes('attaches with handle 9', 'attach', (attach) => ({ ...attach, handle: 9 }))],
    },
    {
      id: 'AMQP-2.7.2-c',
      level: 'must',
      says: 'Begin has next-outgoing-id, incoming-window and outgoing-window.',
      how: 'The begin that comes.',
      async run(trial) {
        const { begin } = await begun(trial)
        for (const field of ['nextOutgoingId', 'incomingWindow', 'outgoingWindow'] as const)
          mustBe(begin[field] !== undefined, `begin has no ${field}`)
      },
      mutants: [
        changes('begins without a window', 'begin', (begin) =>
          frame(toValue({ kind: 'begin', remoteChannel: begin.remoteChannel, incomingWindow: undefined }), { channel: begin.channel }),
        ),
      ],
    },
  ],
}

function onChannel(raw: Buffer, channel: number): Buffer {
  const copy = Buffer.from(raw)
  copy.writeUInt16BE(channel, 6)
  return copy
}

function secondIgnored(ignored: 'begin'): ReturnType<typeof edits> {
  return edits(`takes no notice of a second ${ignored}`, () => () => {
    let before = 0
    return { toBroker: ({ kind }) => (kind === ignored && before++ > 0 ? 'drop' : undefined) }
  })
}
