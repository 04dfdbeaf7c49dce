// Bytes that a client of good will never sends: each ends what it should, with the right condition, and nothing else. After each the node serves others.
import { afterEach, describe, expect, it } from 'vitest'
import { annotatedHead } from './annotated.ts'
import { AMQP_HEADER, SASL_HEADER } from './codec.ts'
import { addressTerm, amqpDefaults, type FakeNode, type Got, openSender, Raw, sendRhea, startNode, stopNodes } from './fake-node.ts'
import { frame } from './frames.ts'
import { TermReader } from './reader.ts'
import { boolean, described, list, pairs, symbol, type Term, text, ubyte, uint } from './term.ts'
import { TermWriter } from './writer.ts'

afterEach(stopNodes)

const OPEN = 0x10
const BEGIN = 0x11
const ATTACH = 0x12
const FLOW = 0x13
const TRANSFER = 0x14
const DISPOSITION = 0x15
const DETACH = 0x16
const END = 0x17
const CLOSE = 0x18

/** The node takes a message from somebody else, and calls nothing its own fault. */
async function servesOthers(node: FakeNode): Promise<void> {
  expect(await sendRhea(await openSender(await node.rhea(), 'others'), { body: 1 })).toBe('accepted')
  expect(node.faults).toEqual([])
}

async function closesWith(node: FakeNode, raw: Raw, condition: string): Promise<void> {
  expect(Raw.condition(await raw.next(CLOSE))).toBe(condition)
  await raw.closed
  await servesOthers(node)
}

async function endsWith(node: FakeNode, raw: Raw, condition: string): Promise<void> {
  expect(Raw.condition(await raw.next(END))).toBe(condition)
  // The connection goes on: another session may be begun.
  raw.send(1, BEGIN, [undefined, uint(0), uint(10), uint(10)])
  expect((await raw.next(BEGIN)).channel).toBe(1)
  await servesOthers(node)
}

async function sender(raw: Raw, handle: number, address: string | undefined, more: readonly (Term | undefined)[] = []): Promise<Got> {
  const target = address === undefined ? described(0x29, list([])) : addressTerm(0x29, address)
  raw.send(0, ATTACH, [text(`s${handle}`), uint(handle), boolean(false), undefined, undefined, addressTerm(0x28, 'me'), target, ...more])
  await raw.next(ATTACH)
  return await raw.next(FLOW)
}

async function receiver(raw: Raw, handle: number, address: string, credit = 10): Promise<void> {
  raw.send(0, ATTACH, [text(`r${handle}`), uint(handle), boolean(true), undefined, undefined, addressTerm(0x28, address), addressTerm(0x29, 'me')])
  await raw.next(ATTACH)
  raw.send(0, FLOW, [uint(0), uint(1000), uint(0), uint(1000), uint(handle), uint(0), uint(credit)])
}

const tag = (value: string): Term => ({ type: 'binary', value: Buffer.from(value) })
const DATA = Buffer.from([0x00, 0x53, 0x75, 0xa0, 0x01, 0x78])

function transfer(
  raw: Raw,
  handle: number,
  id: number | undefined,
  payload: Uint8Array,
  more: Readonly<{ more?: boolean; settled?: boolean; aborted?: boolean }> = {},
): void {
  const fields = [
    uint(handle),
    id === undefined ? undefined : uint(id),
    id === undefined ? undefined : tag(String(id)),
    uint(0),
    boolean(more.settled ?? false),
    boolean(more.more ?? false),
    undefined,
    undefined,
    undefined,
    boolean(more.aborted ?? false),
  ]
  raw.send(0, TRANSFER, fields, payload)
}

function bytes(...values: number[]): Buffer {
  return Buffer.from(values)
}

/** A frame whose body is this. */
function framed(body: Uint8Array, channel = 0): Buffer {
  const head = bytes(0, 0, 0, 0, 2, 0, channel >> 8, channel & 0xff)
  head.writeUInt32BE(8 + body.length, 0)
  return Buffer.concat([head, body])
}

describe('before anything else', () => {
  it.each([
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['one wrong byte', bytes(0x41, 0x4d, 0x58)],
  ])('%s is answered with our header and the end', async (_, garbage) => {
    const node = await startNode()
    const raw = await node.raw()
    raw.write(garbage)
    expect(await raw.header()).toEqual(AMQP_HEADER)
    await raw.closed
    await servesOthers(node)
  })

  it.each([
    ['version 0.9.1', bytes(0x41, 0x4d, 0x51, 0x50, 0, 0, 9, 1), AMQP_HEADER],
    ['version 1.1', bytes(0x41, 0x4d, 0x51, 0x50, 0, 1, 1, 0), AMQP_HEADER],
    ['TLS inside', bytes(0x41, 0x4d, 0x51, 0x50, 2, 1, 0, 0), SASL_HEADER],
  ])('%s is answered with what we speak and the end', async (_, header, answer) => {
    const node = await startNode()
    const raw = await node.raw()
    raw.write(header)
    expect(await raw.header()).toEqual(answer)
    await raw.closed
  })

  it.each([
    ['an unknown mechanism', 'SCRAM-SHA-1', Buffer.from('x')],
    ['PLAIN without a password', 'PLAIN', Buffer.from('user')],
  ])('%s fails the login with code 1 and ends the connection', async (_, mechanism, response) => {
    const node = await startNode()
    const raw = await node.raw()
    raw.write(SASL_HEADER)
    const mechanisms = await raw.next(0x40)
    expect(mechanisms.fields).toEqual([{ type: 'array', value: [symbol('PLAIN'), symbol('ANONYMOUS')] }])
    raw.send(0, 0x41, [symbol(mechanism), { type: 'binary', value: response }], undefined, 1)
    expect((await raw.next(0x44)).fields).toEqual([ubyte(1)])
    await raw.closed
    await servesOthers(node)
  })

  it('silence ends after connectTimeoutMs', async () => {
    const node = await startNode({ connectTimeoutMs: 1000 })
    const raw = await node.raw()
    raw.write(AMQP_HEADER)
    await raw.header()
    node.core.clock.advance(2000)
    expect(Raw.condition(await raw.next(CLOSE))).toBe('amqp:resource-limit-exceeded')
    await raw.closed
  })

  it('anything but Open is not allowed', async () => {
    const node = await startNode()
    const raw = await node.raw()
    raw.write(Buffer.concat([AMQP_HEADER, frame(0, BEGIN, [undefined, uint(0), uint(1), uint(1)])]))
    await closesWith(node, raw, 'amqp:not-allowed')
  })
})

describe('a frame', () => {
  it.each([
    ['of size 0', bytes(0, 0, 0, 0, 2, 0, 0, 0), 'amqp:connection:framing-error'],
    ['of size 7', bytes(0, 0, 0, 7, 2, 0, 0, 0), 'amqp:connection:framing-error'],
    ['that claims 4 GiB', bytes(0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0), 'amqp:connection:framing-error'],
    ['one byte beyond max-frame-size', bytes(0, 1, 0, 1, 2, 0, 0, 0), 'amqp:connection:framing-error'],
    ['whose data begins in its head', bytes(0, 0, 0, 12, 1, 0, 0, 0), 'amqp:connection:framing-error'],
    ['whose data begins behind its end', bytes(0, 0, 0, 12, 4, 0, 0, 0), 'amqp:connection:framing-error'],
    ['of SASL after SASL', bytes(0, 0, 0, 12, 2, 1, 0, 0), 'amqp:connection:framing-error'],
    ['on a channel above channel-max', bytes(0, 0, 0, 12, 2, 0, 0xff, 0xff), 'amqp:connection:framing-error'],
    ['with a performative that is none', framed(bytes(0x00, 0x53, 0x99, 0x45)), 'amqp:connection:framing-error'],
    ['without a descriptor', framed(bytes(0x45)), 'amqp:connection:framing-error'],
    ['with a type that is none', framed(bytes(0x00, 0x53, 0x10, 0x3f)), 'amqp:decode-error'],
    ['with a list that is longer than the frame', framed(bytes(0x00, 0x53, 0x11, 0xd0, 0, 0, 1, 0, 0, 0, 0, 1)), 'amqp:decode-error'],
    [
      'with a list that claims four thousand million items',
      framed(bytes(0x00, 0x53, 0x11, 0xd0, 0, 0, 0, 5, 0xff, 0xff, 0xff, 0xff, 0x40)),
      'amqp:decode-error',
    ],
    ['with a begin that lacks what is mandatory', framed(bytes(0x00, 0x53, 0x11, 0x45)), 'amqp:decode-error'],
    ['with a field of another type', framed(bytes(0x00, 0x53, 0x11, 0xc0, 4, 2, 0x40, 0xa1, 0)), 'amqp:decode-error'],
    ['that ends in a string', framed(bytes(0x00, 0x53, 0x12, 0xc0, 3, 1, 0xa1, 200)), 'amqp:decode-error'],
    ['with a string that is not UTF-8', framed(bytes(0x00, 0x53, 0x12, 0xc0, 5, 1, 0xa1, 2, 0xc3, 0x28)), 'amqp:decode-error'],
  ])('%s ends the connection', async (_, evil, condition) => {
    const node = await startNode()
    const raw = await node.opened()
    raw.write(evil)
    await closesWith(node, raw, condition)
  })

  it('whose array of no width claims four thousand million items ends the connection at once', async () => {
    const node = await startNode()
    const raw = await node.opened()
    const array = bytes(0xf0, 0, 0, 0, 5, 0xff, 0xff, 0xff, 0xff, 0x40)
    // In the place of an attach's map of unsettled deliveries.
    const body = Buffer.concat([
      bytes(0x00, 0x53, 0x12, 0xd0, 0, 0, 0, 0, 0, 0, 0, 8),
      bytes(0xa1, 1, 0x61, 0x43, 0x41, 0x40, 0x40),
      bytes(0x40, 0x40),
      array,
    ])
    body.writeUInt32BE(body.length - 8, 4)
    raw.write(framed(body))
    await closesWith(node, raw, 'amqp:decode-error')
  })

  it('with 60,000 descriptors inside each other ends the connection', async () => {
    const node = await startNode()
    const raw = await node.begun()
    const deep = Buffer.alloc(60_000)
    const body = Buffer.concat([bytes(0x00, 0x53, 0x12, 0xd0, 0, 0, 0, 0, 0, 0, 0, 6, 0xa1, 1, 0x61, 0x43, 0x41, 0x40, 0x40), deep])
    body.writeUInt32BE(body.length - 8, 4)
    raw.write(framed(body))
    await closesWith(node, raw, 'amqp:decode-error')
  })

  it('with an extended header and nothing else is a sign of life', async () => {
    const node = await startNode()
    const raw = await node.opened()
    raw.write(bytes(0, 0, 0, 8, 2, 0, 0, 0, 0, 0, 0, 12, 3, 0, 0, 0, 1, 2, 3, 4))
    raw.send(0, BEGIN, [undefined, uint(0), uint(1), uint(1)])
    await raw.next(BEGIN)
  })

  it('that comes byte by byte is a frame', async () => {
    const node = await startNode()
    const raw = await node.raw()
    for (const byte of Buffer.concat([AMQP_HEADER, frame(0, OPEN, [text('slow')]), frame(0, BEGIN, [undefined, uint(0), uint(1), uint(1)])])) {
      raw.write(bytes(byte))
      await new Promise((resolve) => setImmediate(resolve))
    }
    await raw.next(BEGIN)
  })
})

describe('Open', () => {
  it.each([
    ['without a container id', [text('')], 'amqp:invalid-field'],
    ['with a container id of 2,000 bytes', [text('x'.repeat(2000))], 'amqp:invalid-field'],
    ['with a max-frame-size of 511', [text('x'), undefined, uint(511)], 'amqp:invalid-field'],
    ['with an idle-time-out that nobody can keep', [text('x'), undefined, undefined, undefined, uint(1)], 'amqp:invalid-field'],
  ])('%s is refused', async (_, fields, condition) => {
    const node = await startNode()
    const raw = await node.raw()
    raw.write(AMQP_HEADER)
    raw.send(0, OPEN, fields)
    await closesWith(node, raw, condition)
  })

  it('a second time is not allowed', async () => {
    const node = await startNode()
    const raw = await node.opened()
    raw.send(0, OPEN, [text('again')])
    await closesWith(node, raw, 'amqp:not-allowed')
  })
})

describe('a session', () => {
  it('begun twice on a channel ends the connection', async () => {
    const node = await startNode()
    const raw = await node.begun()
    raw.send(0, BEGIN, [undefined, uint(0), uint(1), uint(1)])
    await closesWith(node, raw, 'amqp:not-allowed')
  })

  it.each([
    ['flow', FLOW, [uint(0), uint(1), uint(0), uint(1)]],
    ['attach', ATTACH, [text('x'), uint(0), boolean(true)]],
    ['end', END, []],
  ])('that was not begun is not spoken on: %s', async (_, code, fields) => {
    const node = await startNode()
    const raw = await node.opened()
    raw.send(3, code, fields)
    await closesWith(node, raw, 'amqp:not-allowed')
  })

  it('that sends beyond our incoming-window ends', async () => {
    const node = await startNode({ incomingWindow: 16 })
    const raw = await node.begun()
    await sender(raw, 0, 'a')
    // All in one read, so that no flow can widen the window between them.
    const one = Buffer.concat([frame(0, TRANSFER, [uint(0), uint(0), tag('0'), uint(0), boolean(false), boolean(true)]), DATA])
    one.writeUInt32BE(one.length, 0)
    raw.write(Buffer.concat(Array.from({ length: 17 }, () => one)))
    await endsWith(node, raw, 'amqp:session:window-violation')
  })

  it('whose client never takes anything costs a bounded amount, and others get the messages', async () => {
    const node = await startNode({ prefetch: 5 })
    const raw = await node.begun('raw', 0)
    raw.send(0, ATTACH, [text('r'), uint(0), boolean(true), undefined, undefined, addressTerm(0x28, 'a'), addressTerm(0x29, 'me')])
    await raw.next(ATTACH)
    raw.send(0, FLOW, [uint(0), uint(0), uint(0), uint(1000), uint(0), uint(0), uint(0xffffffff)])
    const other = await node.rhea()
    const rheaSender = await openSender(other, 'a')
    for (let i = 0; i < 20; i++) await sendRhea(rheaSender, { body: i })
    const got: unknown[] = []
    const inbox = other.open_receiver('a')
    inbox.on('message', ({ message }) => got.push(message?.body))
    while (got.length < 20) await new Promise((resolve) => setImmediate(resolve))
    expect(raw.frames.filter(({ code }) => code === TRANSFER)).toEqual([])
  })
})

describe('a link', () => {
  it('with a handle in use ends the session', async () => {
    const node = await startNode()
    const raw = await node.begun()
    await sender(raw, 0, 'a')
    raw.send(0, ATTACH, [text('other'), uint(0), boolean(false), undefined, undefined, addressTerm(0x28, 'x'), addressTerm(0x29, 'b')])
    await endsWith(node, raw, 'amqp:session:handle-in-use')
  })

  it('with a handle above handle-max ends the connection', async () => {
    const node = await startNode({ linksMax: 4 })
    const raw = await node.begun()
    raw.send(0, ATTACH, [text('x'), uint(4), boolean(false), undefined, undefined, addressTerm(0x28, 'x'), addressTerm(0x29, 'b')])
    await closesWith(node, raw, 'amqp:connection:framing-error')
  })

  it('that we detached because of an error ends its session when its client goes on with it before it has detached too', async () => {
    for (const goOn of [
      (raw: Raw) => transfer(raw, 0, 2, DATA),
      (raw: Raw) => raw.send(0, 0x13, [uint(0), uint(1000), uint(0), uint(1000), uint(0), uint(0), uint(1)]),
      (raw: Raw) => raw.send(0, ATTACH, [text('s0'), uint(5), boolean(false), undefined, undefined, addressTerm(0x28, 'x'), addressTerm(0x29, 'a')]),
    ]) {
      const node = await startNode()
      const raw = await node.begun()
      await sender(raw, 0, 'a')
      // Settled, so that it can only be refused by the end of its link.
      raw.send(0, 0x14, [uint(0), uint(0), { type: 'binary', value: Buffer.from('t') }, uint(0), boolean(true)], Buffer.from([0, 0x53, 0x99, 0x40]))
      await raw.next(DETACH)
      goOn(raw)
      expect(Raw.condition(await raw.next(0x17))).toBe('amqp:session:errant-link')
    }
  })

  it('that was refused is not errant when its client sent credit along with its attach', async () => {
    const node = await startNode()
    const raw = await node.begun()
    raw.send(0, ATTACH, [text('r'), uint(0), boolean(true), undefined, undefined, addressTerm(0x28, 'a::b'), addressTerm(0x29, 'x')])
    raw.send(0, 0x13, [uint(0), uint(1000), uint(0), uint(1000), uint(0), uint(0), uint(1)])
    expect(Raw.condition(await raw.next(DETACH))).toBe('amqp:not-implemented')
    raw.send(0, DETACH, [uint(0), boolean(true)])
    await sender(raw, 0, 'a')
    expect(raw.frames.map(({ code }) => code)).not.toContain(0x17)
  })

  it.each([
    ['a symbol', symbol('mine'), 0x72],
    ['a number', { type: 'uint64', value: 5n } as const, 0x71],
    ['one behind the body', symbol('x-mine'), 0x78],
  ])(
    'on which an annotation comes that nobody understands (%s) ends where unknownAnnotations says refuse, and goes on elsewhere',
    async (_, key, code) => {
      for (const unknownAnnotations of ['refuse', 'keep'] as const) {
        const node = await startNode({ unknownAnnotations })
        const raw = await node.begun()
        await sender(raw, 0, 'a')
        const annotated = (name: typeof key): Buffer =>
          new TermWriter().term({ type: 'described', descriptor: { type: 'uint64', value: BigInt(code) }, value: pairs([[name, text('x')]]) }).bytes()
        const message = (name: typeof key): Buffer => Buffer.concat(code === 0x78 ? [DATA, annotated(name)] : [annotated(name), DATA])
        transfer(raw, 0, 0, message(symbol('x-opt-mine')))
        await raw.next(DISPOSITION)
        transfer(raw, 0, 1, message(key))
        const answer = await raw.next()
        expect([answer.code, answer.code === DETACH ? Raw.condition(answer) : '']).toEqual(
          unknownAnnotations === 'refuse' ? [DETACH, 'amqp:not-implemented'] : [DISPOSITION, ''],
        )
      }
    },
  )

  it.each([
    [3, 0],
    [0, 2],
  ])('of settle modes that there are not (%i, %i) is refused', async (senderSettles, receiverSettles) => {
    const node = await startNode()
    const raw = await node.begun()
    raw.send(0, ATTACH, [text('s'), uint(0), boolean(false), ubyte(senderSettles), ubyte(receiverSettles), undefined, addressTerm(0x29, 'a')])
    expect((await raw.next(ATTACH)).fields.slice(3, 5)).toEqual([ubyte(2), ubyte(0)])
    expect(Raw.condition(await raw.next(DETACH))).toBe('amqp:invalid-field')
    await sender(raw, 1, 'a')
  })

  it('without a target is refused: an anonymous one has a target without an address', async () => {
    const node = await startNode()
    const raw = await node.begun()
    raw.send(0, ATTACH, [text('s'), uint(0), boolean(false), undefined, undefined, addressTerm(0x28, 'x')])
    expect((await raw.next(ATTACH)).fields[6]).toEqual({ type: 'null' })
    expect(Raw.condition(await raw.next(DETACH))).toBe('amqp:invalid-field')
  })

  it('is answered on the lowest handle of ours that is free, and none beyond the handle-max of its client', async () => {
    const node = await startNode()
    const raw = await node.opened()
    raw.send(0, 0x11, [undefined, uint(0), uint(1000), uint(1000), uint(1)])
    await raw.next(0x11)
    const attach = async (handle: number): Promise<unknown> => {
      raw.send(0, ATTACH, [text(`s${handle}`), uint(handle), boolean(false), undefined, undefined, addressTerm(0x28, 'x'), addressTerm(0x29, 'a')])
      return (await raw.next(ATTACH)).fields[1]
    }
    expect([await attach(100), await attach(50)]).toEqual([uint(0), uint(1)])
    raw.send(0, DETACH, [uint(100), boolean(true)])
    expect((await raw.next(DETACH)).fields[0]).toEqual(uint(0))
    expect(await attach(7)).toEqual(uint(0))
    raw.send(0, ATTACH, [text('s8'), uint(8), boolean(false), undefined, undefined, addressTerm(0x28, 'x'), addressTerm(0x29, 'a')])
    expect(Raw.condition(await raw.next(0x17))).toBe('amqp:resource-limit-exceeded')
  })

  it('attached twice by its name is taken over by the newer one', async () => {
    const node = await startNode()
    const raw = await node.begun()
    await sender(raw, 0, 'a')
    raw.send(0, ATTACH, [text('s0'), uint(1), boolean(false), undefined, undefined, addressTerm(0x28, 'x'), addressTerm(0x29, 'a')])
    const detached = await raw.next(DETACH)
    expect(detached.fields[0]).toEqual(uint(0))
    expect(Raw.condition(detached)).toBe('amqp:link:stolen')
    expect((await raw.next(ATTACH)).fields[1]).toEqual(uint(1))
    // What was on its way to the older one is dropped, not an error.
    transfer(raw, 0, 0, DATA)
    raw.send(0, DETACH, [uint(0), boolean(true)])
    transfer(raw, 1, 1, DATA)
    expect((await raw.next(DISPOSITION)).fields[1]).toEqual(uint(1))
  })

  it('that is no more is not sent to: a transfer after detach ends the session', async () => {
    const node = await startNode()
    const raw = await node.begun()
    await sender(raw, 0, 'a')
    raw.send(0, DETACH, [uint(0), boolean(true)])
    await raw.next(DETACH)
    transfer(raw, 0, 0, DATA)
    await endsWith(node, raw, 'amqp:session:unattached-handle')
  })

  it('on which we send is not sent to', async () => {
    const node = await startNode()
    const raw = await node.begun()
    await receiver(raw, 0, 'a')
    transfer(raw, 0, 0, DATA)
    await endsWith(node, raw, 'amqp:not-allowed')
  })

  it('that sends without credit ends', async () => {
    const node = await startNode({ creditWindow: 1 }, { destinations: { limitMessages: 1 } })
    const raw = await node.begun()
    await sender(raw, 0, 'a')
    transfer(raw, 0, 0, DATA)
    await raw.next(FLOW)
    transfer(raw, 0, 1, DATA)
    transfer(raw, 0, 2, DATA)
    expect(Raw.condition(await raw.next(DETACH))).toBe('amqp:link:transfer-limit-exceeded')
    await servesOthers(node)
  })

  it('whose first frame has no delivery id ends', async () => {
    const node = await startNode()
    const raw = await node.begun()
    await sender(raw, 0, 'a')
    transfer(raw, 0, undefined, DATA)
    expect(Raw.condition(await raw.next(DETACH))).toBe('amqp:invalid-field')
  })

  it('that mixes two messages ends', async () => {
    const node = await startNode()
    const raw = await node.begun()
    await sender(raw, 0, 'a')
    transfer(raw, 0, 0, DATA, { more: true })
    transfer(raw, 0, 1, DATA)
    expect(Raw.condition(await raw.next(DETACH))).toBe('amqp:invalid-field')
  })

  it('that keeps too much unfinished ends; partialBytesMax is of all links of the connection', async () => {
    const node = await startNode({ partialBytesMax: 1024 })
    const raw = await node.begun()
    await sender(raw, 0, 'a')
    await sender(raw, 1, 'b')
    transfer(raw, 0, 0, Buffer.alloc(1000), { more: true })
    transfer(raw, 1, 1, Buffer.alloc(1000), { more: true })
    const detached = await raw.next(DETACH)
    expect(detached.fields[0]).toEqual(uint(1))
    expect(Raw.condition(detached)).toBe('amqp:resource-limit-exceeded')
    // The other is not touched.
    transfer(raw, 0, undefined, Buffer.alloc(0), { aborted: true })
    transfer(raw, 0, 2, DATA)
    expect((await raw.next(DISPOSITION)).fields[1]).toEqual(uint(2))
  })
})

it.each([true, false])(
  'an attach that is refused (receiver: %s) is answered without source and target, and a detach with the reason',
  async (receives) => {
    const node = await startNode()
    const raw = await node.begun()
    const terms = [addressTerm(0x28, receives ? 'a::b' : 'me'), addressTerm(0x29, receives ? 'me' : 'a::b')]
    raw.send(0, ATTACH, [text('x'), uint(0), boolean(receives), undefined, undefined, ...terms])
    expect((await raw.next(ATTACH)).fields.slice(5, 7)).toMatchObject([{ type: 'null' }, { type: 'null' }])
    expect(Raw.condition(await raw.next(DETACH))).toBe('amqp:not-implemented')
  },
)

describe('a transfer', () => {
  it('that is aborted is forgotten, and the next is a message', async () => {
    const node = await startNode({ creditWindow: 2 })
    const raw = await node.begun()
    await sender(raw, 0, 'a')
    for (let i = 0; i < 6; i += 2) {
      transfer(raw, 0, i, Buffer.from([0x00, 0x53]), { more: true })
      transfer(raw, 0, undefined, Buffer.alloc(0), { aborted: true })
      transfer(raw, 0, i + 1, DATA)
      expect((await raw.next(DISPOSITION)).fields.slice(1, 3)).toEqual([uint(i + 1), uint(i + 1)])
      await raw.next(FLOW)
    }
  })

  it.each([
    ['is no message at all', bytes(0xff, 0xff)],
    ['ends in the middle of a section', bytes(0x00, 0x53, 0x75, 0xa0, 200)],
    ['has an unknown section', bytes(0x00, 0x53, 0x90, 0x45)],
    ['has two values', Buffer.concat([bytes(0x00, 0x53, 0x77, 0x41), bytes(0x00, 0x53, 0x77, 0x41)])],
    ['has properties that are no list', bytes(0x00, 0x53, 0x73, 0xa1, 0)],
    ['has sections in the wrong order', Buffer.concat([DATA, bytes(0x00, 0x53, 0x70, 0x45)])],
    ['has a section inside 60,000 descriptors', Buffer.concat([bytes(0x00, 0x53, 0x77), Buffer.alloc(60_000)])],
  ])('that %s is rejected, and its link goes on', async (_, payload) => {
    const node = await startNode()
    const raw = await node.begun()
    await sender(raw, 0, 'a')
    transfer(raw, 0, 0, payload)
    const disposition = await raw.next(DISPOSITION)
    expect(disposition.fields[4]).toMatchObject({ type: 'described', descriptor: { value: 0x25n } })
    expect(JSON.stringify(disposition.fields[4], (_key, value) => (typeof value === 'bigint' ? String(value) : value))).toContain('amqp:decode-error')
    transfer(raw, 0, 1, DATA)
    expect((await raw.next(DISPOSITION)).fields[4]).toMatchObject({ descriptor: { value: 0x24n } })
    await servesOthers(node)
  })

  it('of more sections than sectionsMax is rejected', async () => {
    const node = await startNode({ sectionsMax: 10 })
    const raw = await node.begun()
    await sender(raw, 0, 'a')
    transfer(raw, 0, 0, Buffer.concat(Array.from({ length: 11 }, () => DATA)))
    expect((await raw.next(DISPOSITION)).fields[4]).toMatchObject({ descriptor: { value: 0x25n } })
  })

  it('settled by its sender and refused by us ends its link: nobody else can be told', async () => {
    const node = await startNode()
    const raw = await node.begun()
    await sender(raw, 0, undefined)
    const value = new TermWriter().composite(0x73, [undefined, undefined, text('queue://a::b')]).bytes()
    transfer(raw, 0, 0, Buffer.concat([value, DATA]), { settled: true })
    expect(Raw.condition(await raw.next(DETACH))).toBe('amqp:not-implemented')
    await servesOthers(node)
  })

  it('in a transaction that is not is rejected', async () => {
    const node = await startNode()
    const raw = await node.begun()
    await sender(raw, 0, 'a')
    const state = described(0x34, list([tag('tx')]))
    raw.send(0, TRANSFER, [uint(0), uint(0), tag('0'), uint(0), boolean(false), boolean(false), undefined, state], DATA)
    expect((await raw.next(DISPOSITION)).fields[4]).toMatchObject({ descriptor: { value: 0x25n } })
    await servesOthers(node)
  })
})

describe('a disposition', () => {
  const accepted = described(0x24, list([]))

  it.each([
    ['of deliveries that never were', [boolean(true), uint(5), uint(9), boolean(true), accepted]],
    ['of all deliveries there could be', [boolean(true), uint(0), uint(300_000_000), boolean(true), accepted]],
    ['that goes backwards', [boolean(true), uint(1), uint(0), boolean(true), accepted]],
  ])('%s ends the session in no time', async (_, fields) => {
    const node = await startNode()
    const raw = await node.begun()
    await receiver(raw, 0, 'a')
    await sendRhea(await openSender(await node.rhea(), 'a'), { body: 1 })
    await raw.next(TRANSFER)
    const before = performance.now()
    raw.send(0, DISPOSITION, fields)
    await endsWith(node, raw, 'amqp:invalid-field')
    expect(performance.now() - before).toBeLessThan(2000)
  })

  it('of what is settled already is no error', async () => {
    const node = await startNode()
    const raw = await node.begun()
    await receiver(raw, 0, 'a')
    await sendRhea(await openSender(await node.rhea(), 'a'), { body: 1 })
    await raw.next(TRANSFER)
    for (let i = 0; i < 3; i++) raw.send(0, DISPOSITION, [boolean(true), uint(0), uint(0), boolean(true), accepted])
    raw.send(0, FLOW, [uint(1), uint(1000), uint(0), uint(1000), undefined, undefined, undefined, undefined, undefined, boolean(true)])
    expect((await raw.next()).code).toBe(FLOW)
  })

  it('in a transaction that is not ends the session', async () => {
    const node = await startNode()
    const raw = await node.begun()
    raw.send(0, DISPOSITION, [boolean(true), uint(0), uint(0), boolean(true), described(0x34, list([tag('tx')]))])
    await endsWith(node, raw, 'amqp:transaction:unknown-id')
  })

  it('never given leaves the receiver with unsettledMax messages and no more', async () => {
    const node = await startNode({ unsettledMax: 3 })
    const raw = await node.begun()
    await receiver(raw, 0, 'a', 0xffff)
    const other = await openSender(await node.rhea(), 'a')
    for (let i = 0; i < 10; i++) await sendRhea(other, { body: i })
    raw.send(0, FLOW, [uint(3), uint(1000), uint(0), uint(1000), undefined, undefined, undefined, undefined, undefined, boolean(true)])
    await raw.next(FLOW)
    expect(raw.frames.filter(({ code }) => code === TRANSFER)).toHaveLength(3)
    raw.send(0, DISPOSITION, [boolean(true), uint(0), uint(2), boolean(true), accepted])
    for (let i = 0; i < 6; i++) await raw.next(TRANSFER)
  })
})

it('a filter or property that is a bomb of values costs its connection', async () => {
  const node = await startNode({ termsMax: 1000 })
  const raw = await node.begun()
  const many = pairs(Array.from({ length: 600 }, (_, i) => [symbol(`k${i}`), text('v')] as const))
  const source = described(0x28, list([text('a'), undefined, undefined, undefined, undefined, undefined, undefined, many]))
  raw.send(0, ATTACH, [text('r'), uint(0), boolean(true), undefined, undefined, source, addressTerm(0x29, 'me')])
  await closesWith(node, raw, 'amqp:decode-error')
})

describe('a message of which a map has a key without a value', () => {
  const durable = bytes(0x00, 0x53, 0x70, 0xc0, 2, 1, 0x41)
  const ofOneItem = (code: number): Buffer => bytes(0x00, 0x53, code, 0xc1, 2, 1, 0x40)
  const inGroup = new TermWriter().term(described(0x73, list([...Array.from({ length: 10 }, () => undefined), text('g')]))).bytes()
  const annotating = described(0x27, list([boolean(true), boolean(false), pairs([[symbol('x-opt-a'), uint(1)]])]))
  const annotated = Buffer.concat([ofOneItem(0x72), DATA])

  it.each([
    ['its annotations, after a receiver added some', annotated, annotating],
    ['its annotations, as a dead letter', annotated, described(0x25, list([]))],
    ['its application properties, as the first of its group', Buffer.concat([inGroup, ofOneItem(0x74), DATA]), described(0x26, list([]))],
  ])('goes out as it came where the broker would write to it: %s', async (_, payload, outcome) => {
    const node = await startNode({}, { destinations: { groupFirst: true } })
    const raw = await node.begun()
    await sender(raw, 0, 'a')
    transfer(raw, 0, 0, Buffer.concat([durable, payload]))
    await raw.next(DISPOSITION)
    await receiver(raw, 1, 'a')
    expect((await raw.next(TRANSFER)).payload.subarray(-payload.length)).toEqual(payload)
    raw.send(0, DISPOSITION, [boolean(true), uint(0), uint(0), boolean(true), outcome])
    await receiver(raw, 2, 'ActiveMQ.DLQ')
    expect((await raw.next(TRANSFER)).payload.subarray(-payload.length)).toEqual(payload)
    await servesOthers(node)
  })
})

it('many annotations of a message, and as many times that some were added, are merged in no time', () => {
  const annotations = (count: number, name: string): Buffer =>
    new TermWriter().term(pairs(Array.from({ length: count }, (_, i) => [symbol(`${name}${i}`), uint(i)] as const))).bytes()
  const head = Buffer.concat([bytes(0x00, 0x53, 0x72), annotations(40_000, 'x-opt-')])
  const added = Array.from({ length: 4_000 }, (_, i) => ({ dialect: 'amqp', bytes: annotations(1, `x-opt-more-${i}-`) }))
  const before = performance.now()
  expect(annotatedHead(new TermReader(amqpDefaults), head, { dead: undefined, added }).length).toBeGreaterThan(head.length)
  expect(performance.now() - before).toBeLessThan(2000)
})

describe('an attach whose answer is longer than a frame that its client takes', () => {
  const SMALLEST = [uint(512)]
  const fields = Array.from({ length: 60 }, (_, i) => [text(`field-${i}`), text('value')] as const)
  const source = described(
    0x28,
    list([
      text('topic://a'),
      uint(2),
      symbol('never'),
      ...Array.from({ length: 4 }, () => undefined),
      pairs([[symbol('f'), described(0x174, pairs(fields))]]),
    ]),
  )

  async function small(node: FakeNode): Promise<Raw> {
    const raw = await node.opened('small', SMALLEST)
    raw.send(0, BEGIN, [undefined, uint(0), uint(10), uint(10)])
    await raw.next(BEGIN)
    return raw
  }

  function asks(raw: Raw, name: string, receives: boolean, from: Term | undefined, to: Term | undefined): void {
    raw.send(0, ATTACH, [text(name), uint(0), boolean(receives), undefined, undefined, from, to])
  }

  async function isRefused(raw: Raw): Promise<void> {
    const { fields: answer } = await raw.next(ATTACH)
    expect([answer[5], answer[6]].every((term) => term === undefined || term.type === 'null')).toBe(true)
    expect(Raw.condition(await raw.next(DETACH))).toBe('amqp:frame-size-too-small')
    raw.send(0, DETACH, [uint(0), boolean(true)])
  }

  it('is refused before anything is changed: a durable subscription is what it was', async () => {
    const node = await startNode()
    const raw = await small(node)
    asks(raw, 'sub', true, described(0x28, list([text('topic://a'), uint(2), symbol('never')])), addressTerm(0x29, 'me'))
    expect((await raw.next(ATTACH)).fields[5]).toMatchObject({ type: 'described' })
    raw.send(0, DETACH, [uint(0), boolean(false)])
    await raw.next(DETACH)
    asks(raw, 'sub', true, source, addressTerm(0x29, 'me'))
    await isRefused(raw)
    asks(raw, 'sub', true, undefined, addressTerm(0x29, 'me'))
    expect((await raw.next(ATTACH)).fields[5]).toMatchObject({ type: 'described' })
    await servesOthers(node)
  })

  it.each([true, false])('is refused where the broker names the node, and no frame is too long (receiver: %s)', async (receives) => {
    const node = await startNode()
    const raw = await small(node)
    let sent = Buffer.alloc(0)
    raw.socket.on('data', (some) => {
      sent = Buffer.concat([sent, some])
    })
    const dynamic = described(receives ? 0x28 : 0x29, list([undefined, undefined, undefined, undefined, boolean(true)]))
    const other = addressTerm(receives ? 0x29 : 0x28, 'me')
    const outcomes = new Set<string | undefined>()
    for (let length = 250; length < 420; length++) {
      asks(raw, 'x'.repeat(length), receives, receives ? dynamic : other, receives ? other : dynamic)
      const answer = (await raw.next(ATTACH)).fields[receives ? 5 : 6]
      if (answer.type === 'null') outcomes.add(Raw.condition(await raw.next(DETACH)))
      else outcomes.add('attached')
      raw.send(0, DETACH, [uint(0), boolean(true)])
      if (answer.type !== 'null') await raw.next(DETACH)
    }
    expect([...outcomes]).toEqual(['attached', 'amqp:frame-size-too-small'])
    for (let at = 0; at + 4 <= sent.length; at += sent.readUInt32BE(at)) expect(sent.readUInt32BE(at)).toBeLessThanOrEqual(512)
    await servesOthers(node)
  })

  it('ends the session when not even its name has room', async () => {
    const node = await startNode()
    const raw = await small(node)
    asks(raw, 'x'.repeat(500), true, addressTerm(0x28, 'a'), addressTerm(0x29, 'me'))
    await endsWith(node, raw, 'amqp:frame-size-too-small')
  })
})
