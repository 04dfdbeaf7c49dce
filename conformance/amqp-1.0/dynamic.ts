// AMQP 1.0, 3.5.3, 3.5.4 and 3.5.10: nodes that the broker makes for a link.
import type { Composite, Written } from '../clients/amqp-composite.ts'
import type { Chapter } from '../check.ts'
import { map, string, symbol, type Value } from '../clients/amqp-value.ts'
import { fail, mustBe, mustEqual, notSupported } from '../outcome.ts'
import { message, textOfBody } from './message.ts'
import { changes, edits, never } from './mutants.ts'
import { begun, conditionOf, Receiver, receiverOf, Sender, senderOf, type Session } from './session.ts'

export type Source = Composite<'source'>

/** The broker’s source of this link. */
export function sourceOf(receiver: Receiver): Source {
  const { source } = receiver.answer
  return source?.kind === 'source' ? source : fail('the broker’s attach has a source of another kind')
}

/** The broker's attach with another source. */
export const withSource = (says: string, change: (source: Source) => Written<'source'>): ReturnType<typeof changes> =>
  changes(says, 'attach', (attach) =>
    attach.source?.kind === 'source' && attach.role === false ? { ...attach, source: change(attach.source) } : undefined,
  )

/** A receiver from a node that the broker made for it. */
async function dynamic(session: Session, properties?: Value): Promise<Receiver> {
  const source = {
    kind: 'source',
    dynamic: true,
    capabilities: ['temporary-queue'],
    ...(properties === undefined ? {} : { dynamicNodeProperties: properties }),
  } as const
  const attached = await session.attach(receiverOf(session.wire.trial, 'dynamic', { source }))
  if (attached.answer.source === undefined) {
    const { error } = await session.next('detach')
    notSupported(`no dynamic node: ${conditionOf(error)}`)
  }
  return new Receiver(session, attached)
}

const addressOf = (terminus: Composite | undefined): Value | undefined =>
  terminus?.kind === 'source' || terminus?.kind === 'target' ? terminus.address : undefined

export const dynamicNodes: Chapter = {
  title: '3.5.3–3.5.10 Dynamic nodes',
  clauses: [
    {
      id: 'AMQP-3.5.3-f',
      level: 'must',
      says: 'A node that is made for a receiver has an address, which is in the broker’s source, and the source is dynamic.',
      how: 'A receiver with a dynamic source.',
      async run(trial) {
        const source = sourceOf(await dynamic(await begun(trial)))
        mustEqual(source.dynamic, true, 'the flag dynamic of the source')
        mustBe(source.address?.type === 'string' && source.address.value !== '', 'the source has no address')
      },
      mutants: [
        withSource('gives no address', (source) => ({ ...source, address: undefined })),
        withSource('forgets that it is dynamic', (source) => ({ ...source, dynamic: false })),
      ],
    },
    {
      id: 'AMQP-3.5.3-g',
      level: 'must',
      says: 'By that address others reach the node.',
      how: 'A message from another connection to the address of a dynamic source.',
      async run(trial) {
        const receiver = await dynamic(await begun(trial))
        const address = addressOf(receiver.answer.source) ?? fail('the source has no address')
        const other = await begun(trial, {}, { containerId: trial.name('other') })
        const sender = new Sender(other, await other.attach(senderOf(trial, 'reply', { target: { kind: 'target', address } })))
        await sender.deliver(message('reply'))
        receiver.credit(1)
        mustEqual(textOfBody((await receiver.next()).payload), 'reply', 'the body of the message')
      },
      mutants: [withSource('gives an address that is another’s', (source) => ({ ...source, address: string('elsewhere') })), never('transfer')],
    },
    {
      id: 'AMQP-3.5.3-h',
      level: 'must',
      says: 'No two nodes that are made so have the same address.',
      how: 'Two dynamic sources of two connections.',
      async run(trial) {
        const one = sourceOf(await dynamic(await begun(trial)))
        const other = sourceOf(await dynamic(await begun(trial, {}, { containerId: trial.name('other') })))
        mustBe(
          one.address?.type === 'string' && other.address?.type === 'string' && one.address.value !== other.address.value,
          'two dynamic nodes have one address',
        )
      },
      mutants: [withSource('gives everybody the same', (source) => ({ ...source, address: string('temporary') }))],
    },
    {
      id: 'AMQP-3.5.4-a',
      level: 'must',
      says: 'The same for a sender: its dynamic target has an address by which others receive.',
      how: 'A sender with a dynamic target, and a receiver of the same connection by its address.',
      async run(trial) {
        const session = await begun(trial)
        const attached = await session.attach(
          senderOf(trial, 'dynamic', { target: { kind: 'target', dynamic: true, capabilities: ['temporary-queue'] } }),
        )
        const { target } = attached.answer
        if (target?.kind !== 'target') notSupported('no dynamic target')
        mustEqual(target.dynamic, true, 'the flag dynamic of the target')
        const address = addressOf(target) ?? fail('the target has no address')
        const receiver = await session.receiver('dynamic', { source: { kind: 'source', address } })
        await new Sender(session, attached).deliver(message('x'))
        receiver.credit(1)
        mustEqual(textOfBody((await receiver.next()).payload), 'x', 'the body of the message')
      },
      mutants: [
        changes('gives no address', 'attach', (attach) =>
          attach.target?.kind === 'target' && attach.role === true ? { ...attach, target: { ...attach.target, address: undefined } } : undefined,
        ),
        changes('forgets that it is dynamic', 'attach', (attach) =>
          attach.target?.kind === 'target' ? { ...attach, target: { ...attach.target, dynamic: false } } : undefined,
        ),
      ],
    },
    {
      id: 'AMQP-3.5.10-a',
      level: 'must',
      says: 'A node of the lifetime policy delete-on-close is gone when the link that made it is.',
      how: 'A dynamic source of this policy with a message in it; after its link has closed, a receiver by its address gets no source, or a new one without the message.',
      async run(trial) {
        const session = await begun(trial)
        const policy: Value = { type: 'described', descriptor: symbol('amqp:delete-on-close:list'), value: { type: 'list', value: [] } }
        const receiver = await dynamic(session, map([[symbol('lifetime-policy'), policy]]))
        const address = addressOf(receiver.answer.source) ?? fail('the source has no address')
        await new Sender(session, await session.attach(senderOf(trial, 'left', { target: { kind: 'target', address } }))).deliver(message('left'))
        await receiver.detach()
        const attached = await session.attach(receiverOf(trial, 'gone', { source: { kind: 'source', address } }))
        if (attached.answer.source === undefined) return
        const again = new Receiver(session, attached)
        await again.nothing('the node of the only message had been deleted')
      },
      mutants: [
        edits('keeps the node', () => ({ toClient }) => {
          let made: number | undefined
          return {
            // The link that made the node is not closed, and what is asked of another is asked of it.
            toBroker: (piece) => {
              if (piece.kind === 'detach' && made !== undefined && piece.handle === 0) {
                toClient({ kind: 'detach', handle: made, closed: true }, piece.channel)
                return 'drop'
              }
              return undefined
            },
            toClient: (piece) => {
              if (piece.kind === 'attach' && piece.role === false) made ??= piece.handle ?? 0
              return undefined
            },
          }
        }),
      ],
    },
  ],
}
