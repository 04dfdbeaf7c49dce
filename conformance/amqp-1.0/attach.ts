// AMQP 1.0, 2.7.3 and 2.7.7: the fields of attach, and detach.
import type { Chapter } from '../check.ts'
import { map, nothing, symbol } from '../clients/amqp-value.ts'
import { mustBe, mustEqual, skip } from '../outcome.ts'
import { message } from './message.ts'
import { changes, ignores, never, sees } from './mutants.ts'
import { endsOn, refusing } from './refusals.ts'
import { begun, conditionOf, senderOf, tooLarge } from './session.ts'

export const attach: Chapter = {
  title: '2.7.3 Attach',
  clauses: [
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
        level: 'should',
        says: 'Detach of a handle that has no link ends the session with unattached-handle.',
        how: 'Detach of handle 9.',
      },
      (session) => session.send({ kind: 'detach', handle: 9, closed: true }),
      'amqp:session:unattached-handle',
    ),
  ],
}
