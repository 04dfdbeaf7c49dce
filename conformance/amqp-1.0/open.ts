// AMQP 1.0, 2.7.1: the fields of open, and what both sides promise by them.
import type { Chapter } from '../check.ts'
import { toValue } from '../clients/amqp-composite.ts'
import { frame } from '../clients/amqp-framing.ts'
import { list, map, nothing, string, symbol } from '../clients/amqp-value.ts'
import { mustBe, mustEqual, skip } from '../outcome.ts'
import { data, textOfBody } from './message.ts'
import { answers, changes, closesAt, edits, never } from './mutants.ts'
import { bearing, refusing } from './refusals.ts'
import { authenticated, begun, closesWith, opened, openedWith, openOf, refusedBy, Session } from './session.ts'

/** A broker that closes the connection where the client's open has this. */
const minds = (what: string): ReturnType<typeof answers> =>
  answers(`takes ${what} for an error`, 'open', () => ({ kind: 'close', error: { kind: 'error', condition: 'amqp:invalid-field' } }))

export const open: Chapter = {
  title: '2.7.1 Open',
  clauses: [
    {
      id: 'AMQP-2.7.1-a',
      level: 'must',
      says: 'The broker’s open has a container id.',
      how: 'The open that comes.',
      async run(trial) {
        const { open: answer } = await openedWith(trial)
        mustBe(answer.containerId !== undefined && answer.containerId !== '', 'open has no container-id')
      },
      mutants: [changes('sends open without a container id', 'open', (own) => ({ ...own, containerId: undefined }))],
    },
    {
      id: 'AMQP-2.7.1-b',
      level: 'must',
      says: 'The broker sends no frame larger than the client’s max-frame-size.',
      how: 'Open with max-frame-size 512; a message of 5000 bytes is received in frames of at most that.',
      async run(trial) {
        const session = await begun(trial, {}, { maxFrameSize: 512 })
        const sender = await (await begun(trial, {}, { containerId: trial.name('other') })).sender('q')
        await sender.deliver(data(Buffer.alloc(5000, 7)))
        const receiver = await session.receiver('q')
        receiver.credit(1)
        const { payload } = await receiver.next()
        mustBe(payload.includes(Buffer.alloc(5000, 7)), 'the message came without its body')
        mustBe(session.wire.largestFrame <= 512, `a frame of ${session.wire.largestFrame} bytes came`)
      },
      mutants: [
        edits('sends a message in one frame', () => () => {
          const parts: Buffer[] = []
          return {
            toClient: (piece) => {
              if (piece.kind !== 'transfer') return undefined
              parts.push(piece.payload)
              if (piece.more === true) return 'drop'
              const whole = frame(toValue({ ...piece, deliveryId: 0, deliveryTag: Buffer.from('t'), messageFormat: 0, more: false }), {
                channel: piece.channel,
                payload: Buffer.concat(parts),
              })
              return whole
            },
          }
        }),
      ],
    },
    {
      id: 'AMQP-2.7.1-c',
      level: 'must',
      says: 'A frame larger than the broker’s max-frame-size closes the connection with framing-error.',
      how: 'A transfer in a frame one byte larger.',
      async run(trial) {
        const { wire, open: answer } = await openedWith(trial)
        const { maxFrameSize = 0xffffffff } = answer
        if (maxFrameSize > 4_000_000) skip(`the broker’s max-frame-size is ${maxFrameSize}`)
        const session = await Session.begin(wire)
        const sender = await session.sender('q')
        await sender.credit()
        const bare = frame(toValue({ kind: 'transfer', handle: sender.handle, deliveryId: 0, deliveryTag: Buffer.from('t'), messageFormat: 0 }))
        sender.transfer(data(Buffer.alloc(maxFrameSize - bare.length)), { deliveryTag: Buffer.from('t') })
        await closesWith(wire, 'a frame larger than max-frame-size', 'amqp:connection:framing-error')
      },
      mutants: refusing('close', ['amqp:connection:framing-error']),
    },
    {
      id: 'AMQP-2.7.1-d',
      level: 'must',
      says: 'Frames of up to 512 bytes are taken in any case.',
      how: 'An open of 512 bytes.',
      async run(trial) {
        const wire = await authenticated(trial)
        const padded = (length: number): Buffer =>
          frame(toValue(openOf(trial, { properties: map([[symbol('padding'), string('x'.repeat(length))]]) })))
        wire.send(padded(300 + 512 - padded(300).length))
        await wire.next('open')
        await Session.begin(wire)
      },
      mutants: [
        minds('a large open'),
        edits('takes frames of up to 500 bytes', () => () => ({ toBroker: ({ raw }) => (raw.length > 500 ? 'close' : undefined) })),
      ],
    },
    {
      id: 'AMQP-2.7.1-e',
      level: 'should',
      says: 'A max-frame-size below 512 cannot be: the connection is closed with an error.',
      how: 'Open with max-frame-size 511.',
      async run(trial) {
        const wire = await authenticated(trial)
        wire.send(openOf(trial, { maxFrameSize: 511 }))
        await refusedBy(wire, 'after a max-frame-size of 511', 'close')
      },
      mutants: bearing('close'),
    },
    {
      id: 'AMQP-2.7.1-f',
      level: 'must',
      says: 'Without a max-frame-size the client sets no limit; without a channel-max it has every channel.',
      how: 'Open with a container id and nothing else, and a session.',
      async run(trial) {
        const wire = await authenticated(trial)
        wire.send({ kind: 'open', containerId: trial.name('bare') })
        await wire.next('open')
        await Session.begin(wire)
      },
      mutants: [minds('a short open'), never('begin')],
    },
    {
      id: 'AMQP-2.7.1-g',
      level: 'must',
      says: 'A channel number above the broker’s channel-max closes the connection with framing-error.',
      how: 'Begin on the channel behind the last.',
      async run(trial) {
        const { wire, open: answer } = await openedWith(trial)
        if ((answer.channelMax ?? 65535) === 65535) skip('the broker has every channel')
        wire.send({ kind: 'begin' }, { channel: (answer.channelMax ?? 0) + 1 })
        await closesWith(wire, 'a begin on a channel above channel-max', 'amqp:connection:framing-error')
      },
      mutants: refusing('close', ['amqp:connection:framing-error']),
    },
    {
      id: 'AMQP-2.7.1-h',
      level: 'must',
      says: 'The broker uses no channel above the client’s channel-max.',
      how: 'Open with channel-max 1, and sessions on channels 7 and 3.',
      async run(trial) {
        const { wire, open: answer } = await openedWith(trial, { channelMax: 1 })
        for (const channel of (answer.channelMax ?? 65535) >= 7 ? [7, 3] : [0]) {
          const { begin } = await Session.begin(wire, {}, channel)
          mustBe(begin.channel <= 1, `begin came on channel ${begin.channel} where channel-max is 1`)
        }
      },
      mutants: [
        changes('begins on the channel of the client', 'begin', ({ raw, remoteChannel = 0 }) => {
          const copy = Buffer.from(raw)
          copy.writeUInt16BE(remoteChannel, 6)
          return copy
        }),
      ],
    },
    {
      id: 'AMQP-2.7.1-i',
      level: 'must',
      says: 'A host name is not mandatory in open.',
      how: 'Open without one.',
      async run(trial) {
        const wire = await opened(trial, { hostname: undefined })
        await Session.begin(wire)
      },
      mutants: [minds('the absence of a host name')],
    },
    {
      id: 'AMQP-2.7.1-j',
      level: 'must',
      says: 'Where no locale that the client wants is there, en-US is: it is no reason to refuse.',
      how: 'Open with incoming-locales that nobody has.',
      async run(trial) {
        const wire = await opened(trial, { incomingLocales: ['tlh', 'x-none'], outgoingLocales: ['tlh'] })
        await Session.begin(wire)
      },
      mutants: [minds('an unknown locale')],
    },
    {
      id: 'AMQP-2.7.1-k',
      level: 'must',
      says: 'Capabilities that are desired or offered and unknown are no reason to refuse, and are not offered back.',
      how: 'Open that desires and offers one that nobody has.',
      async run(trial) {
        const { wire, open: answer } = await openedWith(trial, {
          desiredCapabilities: ['conformance:none', 'conformance:other'],
          offeredCapabilities: ['conformance:none'],
        })
        mustBe(!(answer.offeredCapabilities ?? []).includes('conformance:none'), 'the broker offers a capability that does not exist')
        await Session.begin(wire)
      },
      mutants: [
        minds('an unknown capability'),
        changes('offers whatever is desired', 'open', (own) => ({ ...own, offeredCapabilities: ['conformance:none'] })),
      ],
    },
    {
      id: 'AMQP-2.7.1-l',
      level: 'must',
      says: 'Properties of a connection that are unknown are no reason to refuse, whatever their values.',
      how: 'Open with a string, a list, a map and null among its properties.',
      async run(trial) {
        const properties = map([
          [symbol('x-string'), string('one')],
          [symbol('x-list'), list([string('one'), nothing])],
          [symbol('x-map'), map([[string('k'), string('v')]])],
          [symbol('x-null'), nothing],
        ])
        const wire = await opened(trial, { properties })
        await Session.begin(wire)
      },
      mutants: [minds('an unknown property')],
    },
    {
      id: 'AMQP-2.7.1-m',
      level: 'must',
      says: 'The container id is mandatory: an open without one closes the connection.',
      how: 'Open whose first field is null.',
      async run(trial) {
        const wire = await authenticated(trial)
        wire.send({ kind: 'open', hostname: 'localhost' })
        await refusedBy(wire, 'after an open without container-id', 'close')
      },
      mutants: bearing('close'),
    },
    {
      id: 'AMQP-2.7.1-n',
      level: 'may',
      says: 'Containers may have any name, two connections may have the same, unless one asks to be alone.',
      how: 'Two connections with one container id, both at once.',
      async run(trial) {
        const first = await begun(trial)
        const second = await begun(trial)
        const sender = await first.sender('q')
        await sender.deliver(Buffer.from('005377a10161', 'hex'))
        const receiver = await second.receiver('q')
        receiver.credit(1)
        mustEqual(textOfBody((await receiver.next()).payload), 'a', 'the body of the message')
      },
      mutants: [
        closesAt('attach'),
        edits('takes one connection of a container', () => {
          let before = 0
          return () => ({ toBroker: ({ kind }) => (kind === 'open' && before++ > 0 ? 'close' : undefined) })
        }),
      ],
    },
  ],
}
