// AMQP 1.0, 2.6.1 to 2.6.6 with attach (2.7.3) and detach (2.7.7): links come and go.
import type { Chapter } from '../check.ts'
import { string } from '../clients/amqp-value.ts'
import { mustBe, mustEqual, skip } from '../outcome.ts'
import { message } from './message.ts'
import { changes, closesAt, condition, edits, never, silent } from './mutants.ts'
import { refusing } from './refusals.ts'
import { authenticated, begun, conditionOf, openedWith, openOf, receiverOf, senderOf, Session, tooLarge, type Attached } from './session.ts'
import type { Trial } from '../trial.ts'

const ERRANT = 'amqp:session:errant-link'

/** Attaches to a node that is not there; skips where the broker makes it. `sending`: as the sender. */
async function refused(trial: Trial, sending: boolean): Promise<Readonly<{ session: Session; attached: Attached }>> {
  const session = await begun(trial)
  const nowhere = string(`no-such-scheme://*:${trial.name('nowhere')}::`)
  const attach = sending
    ? senderOf(trial, 'nowhere', { target: { kind: 'target', address: nowhere } })
    : receiverOf(trial, 'nowhere', { source: { kind: 'source', address: nowhere } })
  const attached = await session.attach(attach)
  const { target, source } = attached.answer
  if ((sending ? target : source) !== undefined) skip('the broker makes whatever node is asked for')
  return { session, attached }
}

/** Forgets the detach that has an error, so that it looks as if nothing had been wrong. */
const noDetach = never('detach')

export const links: Chapter = {
  title: '2.6.1–2.6.6 Links',
  clauses: [
    {
      id: 'AMQP-2.6.1-a',
      level: 'must',
      says: 'A link that is attached again elsewhere is stolen: the second attach succeeds, the first link is closed with the error stolen.',
      how: 'The same name and role in two sessions of a connection.',
      async run(trial) {
        const { wire, open } = await openedWith(trial)
        if (open.channelMax === 0) skip('the broker has one channel')
        const first = await (await Session.begin(wire, {}, 0)).receiver('q')
        const second = await (await Session.begin(wire, {}, 1)).receiver('q')
        const { error, closed } = await first.nextDetach()
        mustEqual(conditionOf(error), 'amqp:link:stolen', 'the condition of detach')
        mustEqual(closed, true, 'the flag closed of detach')
        await second.nothing('nothing was sent')
      },
      mutants: [
        noDetach,
        condition('detach', 'amqp:link:detach-forced'),
        changes('detaches what it should close', 'detach', (detach) => ({ ...detach, closed: false })),
      ],
    },
    {
      id: 'AMQP-2.6.1-d',
      level: 'must',
      says: 'A link is stolen from another connection of its container too.',
      how: 'The same name and role on two connections with one container id.',
      async run(trial) {
        const first = await (await begun(trial)).receiver('q')
        const wire = await authenticated(trial)
        wire.send(openOf(trial))
        await wire.next('open')
        wire.send({ kind: 'begin' })
        if ((await wire.nextOf('begin', 'close')).kind === 'close') skip('the broker takes one connection of a container')
        wire.send({ ...receiverOf(trial, 'q'), handle: 0 })
        await wire.next('attach')
        mustEqual(conditionOf((await first.nextDetach()).error), 'amqp:link:stolen', 'the condition of detach')
      },
      mutants: [noDetach, condition('detach', 'amqp:link:detach-forced')],
    },
    {
      id: 'AMQP-2.6.1-b',
      level: 'must',
      says: 'Names are those of one direction: a sender and a receiver of one name are two links.',
      how: 'Both in one session.',
      async run(trial) {
        const session = await begun(trial)
        const name = trial.name('both')
        const sender = await session.sender('q', { name })
        const receiver = await session.receiver('q', { name })
        await sender.deliver(message('x'))
        receiver.credit(1)
        await receiver.next()
        mustBe(
          !session.wire.inbox.unread.some(({ kind }) => kind === 'detach'),
          'a link was detached when another of the other direction took its name',
        )
      },
      mutants: [
        edits('ends the link of the other direction', () => ({ toClient }) => {
          let before: number | undefined
          return {
            toClient: (piece) => {
              if (piece.kind !== 'attach') return undefined
              if (before !== undefined)
                toClient({ kind: 'detach', handle: before, closed: true, error: { kind: 'error', condition: 'amqp:link:stolen' } }, piece.channel)
              before = piece.handle ?? 0
              return undefined
            },
          }
        }),
      ],
    },
    {
      id: 'AMQP-2.6.1-c',
      level: 'must',
      says: 'Names are those of one container: links of two containers with one name are two.',
      how: 'A receiver each; a message comes to each.',
      async run(trial) {
        const name = trial.name('same')
        const one = await (await begun(trial)).receiver('a', { name })
        const other = await (await begun(trial, {}, { containerId: trial.name('other') })).receiver('b', { name })
        await one.nothing('nothing was sent')
        await other.nothing('nothing was sent')
        for (const { wire } of [one, other])
          mustBe(!wire.inbox.unread.some(({ kind }) => kind === 'detach'), 'a link was detached when another container took its name')
      },
      mutants: [
        edits('knows one container', () => {
          const all: (() => void)[] = []
          return ({ toClient }) => ({
            toClient: (piece) => {
              if (piece.kind !== 'attach') return undefined
              for (const steal of all.splice(0)) steal()
              all.push(() =>
                toClient(
                  { kind: 'detach', handle: piece.handle ?? 0, closed: true, error: { kind: 'error', condition: 'amqp:link:stolen' } },
                  piece.channel,
                ),
              )
              return undefined
            },
          })
        }),
      ],
    },
    {
      id: 'AMQP-2.6.2-a',
      level: 'must',
      says: 'No two links that are attached in a session have the same handle of the broker’s.',
      how: 'Three links.',
      async run(trial) {
        const session = await begun(trial)
        const handles = new Set<number | undefined>()
        for (const word of ['a', 'b', 'c']) handles.add((await session.sender(word)).answer.handle)
        mustEqual(handles.size, 3, 'the number of handles of three links')
      },
      mutants: [changes('gives every link handle 0', 'attach', (attach) => ({ ...attach, handle: 0 }))],
    },
    {
      id: 'AMQP-2.6.2-b',
      level: 'must',
      says: 'A handle is free again after its link was detached by both.',
      how: 'Attach, detach, attach another link with the handle.',
      async run(trial) {
        const session = await begun(trial)
        const first = await session.sender('a')
        await first.detach()
        const { answer } = await session.attach({ ...senderOf(trial, 'b'), handle: first.handle })
        mustBe(answer.target !== undefined, 'the second link got no target')
      },
      mutants: [
        never('detach'),
        edits('keeps handles for ever', () => ({ toClient }) => {
          const seen = new Set<number | undefined>()
          return {
            toBroker: (piece) => {
              if (piece.kind !== 'attach') return undefined
              if (!seen.has(piece.handle)) {
                seen.add(piece.handle)
                return undefined
              }
              toClient({ kind: 'end', error: { kind: 'error', condition: 'amqp:session:handle-in-use' } })
              return 'drop'
            },
          }
        }),
      ],
    },
    {
      id: 'AMQP-2.6.3-a',
      level: 'must',
      says: 'Attach is answered by attach with the same name and the other role.',
      how: 'A sender and a receiver.',
      async run(trial) {
        const session = await begun(trial)
        mustEqual((await session.sender('q')).answer.role, true, 'the role in the answer to a sender')
        mustEqual((await session.receiver('q')).answer.role, false, 'the role in the answer to a receiver')
      },
      mutants: [
        never('attach'),
        changes('answers with another name', 'attach', (attach) => ({ ...attach, name: 'x' })),
        changes('answers with the client’s role', 'attach', (attach) => ({ ...attach, role: attach.role !== true })),
      ],
    },
    {
      id: 'AMQP-2.6.3-b',
      level: 'must',
      says: 'A source or target that the broker has not and does not make is null in its attach, and the link is detached at once.',
      how: 'A sender to an address that is none.',
      async run(trial) {
        const { session, attached } = await refused(trial, true)
        const { error } = await session.nextThat('detach', 'detach', ({ handle }) => handle === (attached.answer.handle ?? 0))
        mustBe(error !== undefined, 'detach came without an error')
      },
      mutants: [noDetach, silent('detach')],
    },
    {
      id: 'AMQP-2.6.3-c',
      level: 'must',
      says: 'The same for a receiver, whose source the broker has not.',
      how: 'A receiver from an address that is none.',
      async run(trial) {
        const { session, attached } = await refused(trial, false)
        const { error } = await session.nextThat('detach', 'detach', ({ handle }) => handle === (attached.answer.handle ?? 0))
        mustBe(error !== undefined, 'detach came without an error')
      },
      mutants: [noDetach, silent('detach')],
    },
    {
      id: 'AMQP-2.6.3-d',
      level: 'must',
      says: 'The broker’s attach has the source as it is where it sends, and the target as it is where it receives.',
      how: 'A sender and a receiver: the address is in the terminus of the broker.',
      async run(trial) {
        const session = await begun(trial)
        const { target } = (await session.sender('q')).answer
        mustBe(target?.kind === 'target' && target.address !== undefined, 'attach has a target without an address')
        const { source } = (await session.receiver('q')).answer
        mustBe(source?.kind === 'source' && source.address !== undefined, 'attach has a source without an address')
      },
      mutants: [
        changes('sends no target', 'attach', (attach) => ({ ...attach, target: undefined })),
        changes('sends no source', 'attach', (attach) => ({ ...attach, source: undefined })),
        changes('sends a source without an address', 'attach', (attach) => ({ ...attach, source: { kind: 'source' } })),
      ],
    },
    {
      id: 'AMQP-2.6.3-e',
      level: 'must',
      says: 'A link without a target permits no messages: it gets no credit.',
      how: 'A sender whose target is null: it is attached without a target, detached or refused altogether, and no flow gives credit.',
      async run(trial) {
        const session = await begun(trial)
        const handle = session.newHandle()
        session.send({ ...senderOf(trial, 'q', { target: undefined }), handle })
        const answer = await session.wire.firstOf('attach', 'end', 'close')
        if (answer?.kind !== 'attach') return
        mustBe(answer.target === undefined, 'the broker made a target where none was asked for')
        session.send({ kind: 'detach', handle, closed: true })
        await session.nextThat('detach', 'detach', (detach) => detach.handle === (answer.handle ?? 0))
        mustBe(
          !session.wire.inbox.unread.some((piece) => piece.kind === 'flow' && (piece.linkCredit ?? 0) > 0),
          'credit came for a link without a target',
        )
      },
      mutants: [
        changes('makes up a target', 'attach', (attach) => ({ ...attach, target: { kind: 'target', address: string('made-up') } })),
        noDetach,
        changes('gives credit to a link without a target', 'attach', (attach) => [
          attach,
          { kind: 'flow', handle: attach.handle ?? 0, deliveryCount: 0, linkCredit: 10 },
        ]),
      ],
    },
    {
      id: 'AMQP-2.6.4-a',
      level: 'should',
      says: 'Detach is answered by detach, and what was detached and not closed can be attached again.',
      how: 'Detach that does not close, and attach of the same name with another handle.',
      async run(trial) {
        const session = await begun(trial)
        const first = await session.sender('q')
        await first.detach(false)
        const again = await session.sender('q')
        await again.deliver(message('x'))
      },
      mutants: [
        never('detach'),
        closesAt('detach'),
        edits('attaches a link once', () => () => {
          let before = 0
          return { toBroker: ({ kind }) => (kind === 'attach' && before++ > 0 ? 'drop' : undefined) }
        }),
      ],
    },
    {
      id: 'AMQP-2.6.5-a',
      level: 'must',
      says: 'After a link was detached with an error, a flow for it ends the session with errant-link.',
      how: 'A flow for the handle of a link that ended because of a message that was too large, before the client’s detach.',
      async run(trial) {
        const sender = await tooLarge(trial)
        const { session, handle } = sender
        await sender.nextDetach()
        session.flow({ handle, deliveryCount: 0, linkCredit: 10 })
        const { error } = await session.next('end')
        mustEqual(conditionOf(error), ERRANT, 'the condition of end')
      },
      mutants: refusing('end', [ERRANT]),
    },
    {
      id: 'AMQP-2.6.5-b',
      level: 'must',
      says: 'After a link was detached with an error, a transfer on it ends the session with errant-link.',
      how: 'A transfer with the handle of a link that ended because of a message that was too large, before the client’s detach.',
      async run(trial) {
        const sender = await tooLarge(trial)
        const { session, handle } = sender
        await sender.nextDetach()
        session.transfer({ kind: 'transfer', handle, deliveryId: 0, deliveryTag: Buffer.from('t'), messageFormat: 0 }, message('x'))
        const { error } = await session.next('end')
        mustEqual(conditionOf(error), ERRANT, 'the condition of end')
      },
      mutants: refusing('end', [ERRANT]),
    },
    {
      id: 'AMQP-2.6.5-c',
      level: 'must',
      says: 'The client’s detach of a link that was detached with an error is the end of it, and the session goes on.',
      how: 'Detach after a message that was too large, then another link with the handle.',
      async run(trial) {
        const sender = await tooLarge(trial)
        const { session, handle } = sender
        await sender.nextDetach()
        session.send({ kind: 'detach', handle, closed: true })
        const { answer } = await session.attach({ ...senderOf(trial, 'next'), handle })
        mustBe(answer.target !== undefined, 'the next link got no target')
      },
      mutants: [
        closesAt('detach'),
        edits('keeps the handle', () => ({ toClient }) => ({
          toBroker: (piece) => {
            if (piece.kind === 'detach') toClient({ kind: 'end', error: { kind: 'error', condition: ERRANT } })
            return piece.kind === 'detach' ? 'drop' : undefined
          },
        })),
      ],
    },
    {
      id: 'AMQP-2.6.5-d',
      level: 'must',
      says: 'A link that was detached with an error cannot be attached again before the client has detached it: without a map of what is unsettled such an attach ends the session with errant-link.',
      how: 'Attach of the name of a link that ended because of a message that was too large, with another handle.',
      async run(trial) {
        const sender = await tooLarge(trial)
        await sender.nextDetach()
        sender.session.send({ ...senderOf(trial, 'q'), handle: 9 })
        const { error } = await sender.session.next('end')
        mustEqual(conditionOf(error), ERRANT, 'the condition of end')
      },
      mutants: refusing('end', [ERRANT]),
    },
    {
      id: 'AMQP-2.6.6-a',
      level: 'must',
      says: 'Detach that closes is answered by one that closes.',
      how: 'Close of a sender and of a receiver.',
      async run(trial) {
        const session = await begun(trial)
        mustEqual((await (await session.sender('q')).detach()).closed, true, 'the flag closed in the answer to a sender')
        mustEqual((await (await session.receiver('q')).detach()).closed, true, 'the flag closed in the answer to a receiver')
      },
      mutants: [never('detach'), changes('does not close', 'detach', (detach) => ({ ...detach, closed: false }))],
    },
    {
      id: 'AMQP-2.6.6-b',
      level: 'must',
      says: 'When one closes a link while the other detaches it, the other attaches again and closes.',
      unchecked: 'No client can bring a broker to detach without closing at the moment at which the client closes.',
    },
  ],
}
