// AMQP 1.0, 2.6.1 to 2.6.6 with attach (2.7.3) and detach (2.7.7): links come and go.
import type { Chapter } from '../check.ts'
import { map, nothing, string, symbol } from '../clients/amqp-value.ts'
import { mustBe, mustEqual, skip } from '../outcome.ts'
import { message } from './message.ts'
import { changes, closesAt, condition, edits, ignores, never, sees, silent } from './mutants.ts'
import { endsOn, refusing } from './refusals.ts'
import { authenticated, begun, conditionOf, openedWith, openOf, receiverOf, type Sender, senderOf, Session, type Attached } from './session.ts'
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

/** A link that the broker ended with an error: the node is not there. */
async function inError(trial: Trial): Promise<Readonly<{ session: Session; handle: number }>> {
  const { session, attached } = await refused(trial, true)
  await session.nextThat('detach', 'detach', ({ handle }) => handle === (attached.answer.handle ?? 0))
  return { session, handle: attached.handle }
}

/** A sender whose message was a byte larger than the broker's max-message-size, which is a link error. Skips where there is no such limit. */
async function tooLarge(trial: Trial): Promise<Sender> {
  const sender = await (await begun(trial)).sender('q')
  const { maxMessageSize = 0n } = sender.answer
  if (maxMessageSize === 0n) skip('the broker has no max-message-size')
  if (maxMessageSize > 20_000_000n) skip(`the broker’s max-message-size is ${maxMessageSize}`)
  await sender.credit()
  sender.transferInParts(message('x'.repeat(Number(maxMessageSize))), 32_000)
  return sender
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
      how: 'A sender whose target is null: it is attached without a target or detached, and no flow gives credit.',
      async run(trial) {
        const session = await begun(trial)
        const { handle, answer } = await session.attach(senderOf(trial, 'q', { target: undefined }))
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
      level: 'must',
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
      how: 'Detach after a refusal, then another link with the handle.',
      async run(trial) {
        const { session, handle } = await inError(trial)
        session.send({ kind: 'detach', handle, closed: true })
        const { answer } = await session.attach({ ...senderOf(trial, 'q'), handle })
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
    {
      id: 'AMQP-2.7.3-a',
      level: 'must',
      says: 'An attach with a handle that has a link is answered by an end with handle-in-use.',
      how: 'Two names with handle 0.',
      async run(trial) {
        const session = await begun(trial)
        await session.attach({ ...senderOf(trial, 'a'), handle: 0 })
        session.send({ ...senderOf(trial, 'b'), handle: 0 })
        const { error } = await session.wire.nextOf('end', 'close')
        mustEqual(conditionOf(error), 'amqp:session:handle-in-use', 'the condition')
      },
      mutants: refusing('end', ['amqp:session:handle-in-use']),
    },
    {
      id: 'AMQP-2.7.3-b',
      level: 'must',
      says: 'Where the broker sends, its attach has initial-delivery-count.',
      how: 'The answer to a receiver.',
      async run(trial) {
        const { answer } = await (await begun(trial)).receiver('q')
        mustBe(answer.initialDeliveryCount !== undefined, 'attach has no initial-delivery-count')
      },
      mutants: [changes('leaves out initial-delivery-count', 'attach', (attach) => ({ ...attach, initialDeliveryCount: undefined }))],
    },
    {
      id: 'AMQP-2.7.3-c',
      level: 'must',
      says: 'A sender says by snd-settle-mode how it settles, and settles so: `settled` means that every delivery is settled when it has come.',
      how: 'A receiver that wants snd-settle-mode 1: what the answer says holds for the transfer.',
      async run(trial) {
        const session = await begun(trial)
        await (await session.sender('q')).deliver(message('x'))
        const receiver = await session.receiver('q', { sndSettleMode: 1 })
        if (receiver.answer.sndSettleMode !== 1) skip('the broker does not send settled')
        receiver.credit(1)
        mustEqual((await receiver.nextTransfer()).settled, true, 'the flag settled of transfer')
      },
      mutants: [changes('says settled and sends unsettled', 'transfer', (transfer) => ({ ...transfer, settled: false }))],
    },
    {
      id: 'AMQP-2.7.3-d',
      level: 'must',
      says: '`unsettled` means that no delivery is settled when it comes.',
      how: 'A receiver that wants snd-settle-mode 0.',
      async run(trial) {
        const session = await begun(trial)
        await (await session.sender('q')).deliver(message('x'))
        const receiver = await session.receiver('q', { sndSettleMode: 0 })
        if (receiver.answer.sndSettleMode === 1) skip('the broker does not send unsettled')
        receiver.credit(1)
        const delivery = await receiver.next()
        mustBe(delivery.transfer.settled !== true, 'a transfer came settled where unsettled was asked for and granted')
        receiver.accept(delivery)
      },
      mutants: [changes('says unsettled and sends settled', 'transfer', (transfer) => ({ ...transfer, settled: true }))],
    },
    {
      id: 'AMQP-2.7.3-e',
      level: 'must',
      says: 'With rcv-settle-mode `first` the broker settles as it says the outcome.',
      how: 'A sender without modes: the disposition of its message is settled.',
      async run(trial) {
        const sender = await (await begun(trial)).sender('q')
        if (sender.answer.rcvSettleMode === 1) skip('the broker settles second')
        await sender.credit()
        const { settled, state } = await sender.outcome(sender.transfer())
        mustEqual(state?.kind, 'accepted', 'the outcome')
        mustEqual(settled, true, 'the flag settled of disposition')
      },
      mutants: [changes('does not settle', 'disposition', (disposition) => ({ ...disposition, settled: false })), never('disposition')],
    },
    {
      id: 'AMQP-2.7.3-f',
      level: 'must',
      says: 'With rcv-settle-mode `second` the broker settles only after the client has.',
      how: 'A sender that wants it and is granted it: the outcome comes unsettled.',
      async run(trial) {
        const sender = await (await begun(trial)).sender('q', { rcvSettleMode: 1, sndSettleMode: 0 })
        if (sender.answer.rcvSettleMode !== 1) skip('the broker does not grant rcv-settle-mode second')
        await sender.credit()
        const id = sender.transfer()
        const { settled, state } = await sender.outcome(id)
        mustEqual(state?.kind, 'accepted', 'the outcome')
        mustBe(settled !== true, 'the broker settled before the sender had')
        sender.session.send({ kind: 'disposition', role: false, first: id, settled: true, state: { kind: 'accepted' } })
        await sender.session.sync()
      },
      mutants: [changes('settles first', 'disposition', (disposition) => ({ ...disposition, settled: true })), never('disposition')],
    },
    {
      id: 'AMQP-2.7.3-g',
      level: 'must',
      says: 'A message larger than the broker’s max-message-size is a link error, message-size-exceeded.',
      how: 'One that is a byte larger, in as many frames as it needs.',
      async run(trial) {
        const sender = await tooLarge(trial)
        const { error } = await sender.nextDetach()
        mustEqual(conditionOf(error), 'amqp:link:message-size-exceeded', 'the condition of detach')
      },
      mutants: refusing('detach', ['amqp:link:message-size-exceeded']),
    },
    {
      id: 'AMQP-2.7.3-h',
      level: 'should',
      says: 'The broker sends a receiver no message larger than its max-message-size.',
      how: 'A message of 5000 bytes and a small one, a receiver with max-message-size 1000.',
      async run(trial) {
        const session = await begun(trial)
        await (await session.sender('q')).deliver(message('x'.repeat(5000)), message('small'))
        const receiver = await session.receiver('q', { maxMessageSize: 1000n })
        for (const { payload } of await receiver.drain(2)) mustBe(payload.length <= 1000, `a message of ${payload.length} bytes came`)
      },
      mutants: [sees('takes no notice of max-message-size', 'attach', (attach) => ({ ...attach, maxMessageSize: undefined }))],
    },
    {
      id: 'AMQP-2.7.3-i',
      level: 'must',
      says: 'Properties and capabilities of a link that are unknown are no reason to refuse it.',
      how: 'Attach with both.',
      async run(trial) {
        const session = await begun(trial)
        const unknown = {
          properties: map([[symbol('x-conformance'), nothing]]),
          desiredCapabilities: ['conformance:none'],
          offeredCapabilities: ['conformance:none'],
        }
        const { answer } = await session.sender('q', unknown)
        mustBe(!(answer.offeredCapabilities ?? []).includes('conformance:none'), 'the broker offers a capability that does not exist')
      },
      mutants: [
        ignores('attach'),
        changes('offers whatever is desired', 'attach', (attach) => ({ ...attach, offeredCapabilities: ['conformance:none'] })),
      ],
    },
    {
      id: 'AMQP-2.7.3-j',
      level: 'must',
      says: 'Name, handle and role are mandatory: an attach without a name is not taken for one.',
      how: 'Attach whose name is null: the session or the connection ends.',
      async run(trial) {
        const session = await begun(trial)
        session.send({ ...senderOf(trial, 'q'), name: nothing, handle: 0 })
        const { error } = await session.wire.nextOf('end', 'close')
        mustBe(error !== undefined, 'attach without a name was no error')
      },
      mutants: refusing('close', []),
    },
    endsOn(
      {
        id: 'AMQP-2.7.7-a',
        level: 'must',
        says: 'Detach of a handle that has no link ends the session with unattached-handle.',
        how: 'Detach of handle 9.',
      },
      (session) => session.send({ kind: 'detach', handle: 9, closed: true }),
      'amqp:session:unattached-handle',
    ),
  ],
}
