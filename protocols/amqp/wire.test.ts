// What is on the wire, byte by byte, where a client would hide it: what leaves as it came, tags, windows, flows, signs of life, the words of Open.
import { afterEach, describe, expect, it } from 'vitest'
import { AMQP_HEADER, SASL_HEADER } from './codec.ts'
import { addressTerm, amqpDefaults, openReceiver, openSender, Raw, sendRhea, startNode, stopNodes, told } from './fake-node.ts'
import { frame } from './frames.ts'
import { openFrame } from './on/open.ts'
import { TermReader } from './reader.ts'
import { splitSections } from './sections.ts'
import { boolean, described, list, pairs, symbol, type Term, text, toValue, ubyte, uint } from './term.ts'
import { TermWriter } from './writer.ts'

afterEach(stopNodes)

const tag = (value: string): Term => ({ type: 'binary', value: Buffer.from(value) })

async function sender(raw: Raw, address = 'a'): Promise<void> {
  raw.send(0, 0x12, [text('s'), uint(0), boolean(false), undefined, undefined, addressTerm(0x28, 'me'), addressTerm(0x29, address)])
  await raw.next(0x12)
  await raw.next(0x13)
}

async function receiver(raw: Raw, more: Readonly<{ credit?: number; handle?: number; unsettled?: Term; source?: Term }> = {}): Promise<void> {
  const { credit = 100, handle = 1, unsettled, source = addressTerm(0x28, 'a') } = more
  raw.send(0, 0x12, [text(`r${handle}`), uint(handle), boolean(true), undefined, undefined, source, addressTerm(0x29, 'me'), unsettled])
  await raw.next(0x12)
  raw.send(0, 0x13, [uint(0), uint(1000), uint(0), uint(1000), uint(handle), uint(0), uint(credit)])
}

/** Sections as they may come: every one, with values of every type, in their longest form. */
function everySection(): Readonly<{ header: Buffer; rest: Buffer }> {
  const every: Term[] = [
    { type: 'null' },
    boolean(true),
    ubyte(255),
    { type: 'int8', value: -1 },
    { type: 'uint16', value: 65_535 },
    { type: 'int16', value: -2 },
    uint(0),
    uint(5),
    uint(0xff_ff_ff_ff),
    { type: 'int32', value: -3 },
    { type: 'uint64', value: 2n ** 63n },
    { type: 'int64', value: -(2n ** 62n) },
    { type: 'float', value: 1.5 },
    { type: 'double', value: Math.PI },
    { type: 'decimal', value: Buffer.from([1, 2, 3, 4]) },
    { type: 'char', value: '😀' },
    { type: 'timestamp', value: 1n },
    { type: 'uuid', value: Buffer.alloc(16, 7) },
    { type: 'binary', value: Buffer.alloc(300, 9) },
    text('grün\0'),
    symbol('sym'),
  ]
  const section = (code: number, term: Term): Buffer => new TermWriter().u8(0).u8(0x80).u32(0).u32(code).term(term).bytes()
  const named = pairs(every.map((value, i) => [symbol(`x-${i}`), value] as const))
  return {
    header: section(0x70, list([boolean(true), ubyte(7), uint(100_000), boolean(true), uint(3)])),
    rest: Buffer.concat([
      section(0x71, named),
      section(0x72, named),
      section(
        0x73,
        list([{ type: 'uuid', value: Buffer.alloc(16, 1) }, tag('me'), text('to'), text('subject'), text('reply'), { type: 'uint64', value: 1n }]),
      ),
      section(0x74, pairs(every.map((value, i) => [text(`p${i}`), value] as const))),
      section(0x75, tag('one')),
      section(0x75, tag('two')),
      section(0x78, named),
    ]),
  }
}

describe('what came by AMQP leaves by AMQP', () => {
  it('with the same bytes behind the header, in whatever form they were written, after a restart too', async () => {
    const node = await startNode()
    const { header, rest } = everySection()
    const raw = await node.begun()
    await sender(raw)
    raw.send(0, 0x14, [uint(0), uint(0), tag('t'), uint(0)], Buffer.concat([header, rest]))
    expect((await raw.next(0x15)).fields[4]).toMatchObject({ descriptor: { value: 0x24n } })
    await node.restart()
    const again = await node.begun()
    await receiver(again)
    const { payload } = await again.next(0x14)
    const [first] = splitSections(new TermReader(amqpDefaults).over(payload), 100)
    expect(payload.subarray(first.end).equals(rest)).toBe(true)
    const written = new TermReader(amqpDefaults).over(payload, first.value, first.end).term()
    expect(written).toMatchObject({ type: 'terms', value: [boolean(true), ubyte(7), { type: 'uint32' }, boolean(false), uint(0)] })
  })

  it.each([0x40, 0x41, 0x45])('a body that is a value of type 0x%s of no width, too', async (code) => {
    const node = await startNode()
    const raw = await node.begun()
    await sender(raw)
    const value = Buffer.from([0x00, 0x53, 0x77, code])
    raw.send(0, 0x14, [uint(0), uint(0), tag('t'), uint(0), boolean(true)], value)
    await receiver(raw)
    const { payload } = await raw.next(0x14)
    expect(payload.subarray(-4)).toEqual(value)
  })
})

describe('a delivery', () => {
  it('has a tag that is the same sequence after a reconnect, and one that its receiver had accepted is told so and not sent again', async () => {
    const node = await startNode()
    const fill = await openSender(await node.rhea(), 'a')
    for (let i = 0; i < 3; i++) await sendRhea(fill, { body: i, durable: true })
    const raw = await node.begun()
    await receiver(raw)
    const tags = [await raw.next(0x14), await raw.next(0x14), await raw.next(0x14)].map(({ fields }) => fields[2])
    raw.socket.destroy()
    await raw.closed
    const again = await node.begun()
    const accepted = described(0x24, list([]))
    await receiver(again, {
      unsettled: pairs([
        [tags[0], accepted],
        [tags[1], { type: 'null' }],
      ]),
    })
    const [first, second] = [await again.next(0x14), await again.next(0x14)]
    expect(first.payload).toHaveLength(0)
    expect(first.fields.slice(4, 9)).toMatchObject([boolean(true), boolean(false), { type: 'null' }, accepted, boolean(true)])
    expect(second.payload.length).toBeGreaterThan(0)
    const sequence = (term: Term): string => Buffer.from((term as { value: Uint8Array }).value).toString('hex', 0, 7)
    expect(sequence(second.fields[2])).toBe(sequence(tags[1]))
    await again.next(0x14)
    again.send(0, 0x16, [uint(1), boolean(true)])
    await again.next(0x16)
    await receiver(again, { handle: 2 })
    expect((await again.next(0x14)).payload.length).toBeGreaterThan(0)
    expect((await again.next(0x14)).payload.length).toBeGreaterThan(0)
    again.send(0, 0x13, [uint(0), uint(1000), uint(0), uint(1000), undefined, undefined, undefined, undefined, undefined, boolean(true)])
    await again.next(0x13)
    expect(again.frames).toEqual([])
  })

  it('of several is settled by one disposition, and several sent are accepted by one', async () => {
    const node = await startNode()
    const raw = await node.begun()
    await sender(raw)
    const data = Buffer.from([0x00, 0x53, 0x75, 0xa0, 0x00])
    for (let i = 0; i < 10; i++) raw.send(0, 0x14, [uint(0), uint(i), tag(String(i)), uint(0)], data)
    const told: number[] = []
    while (told.at(-1) !== 9) {
      const { fields } = await raw.next(0x15)
      told.push(Number((fields[2] as { value: number }).value))
    }
    expect(told.length).toBeLessThan(10)
    await receiver(raw)
    for (let i = 0; i < 10; i++) await raw.next(0x14)
    raw.send(0, 0x15, [boolean(true), uint(0), uint(9), boolean(true), described(0x24, list([]))])
    raw.send(0, 0x16, [uint(1), boolean(true)])
    await raw.next(0x16)
    const inbox = await openReceiver(await node.rhea(), { source: 'a', credit_window: 0 })
    inbox.receiver.drain_credit()
    await once(inbox.receiver)
    expect(inbox.contexts).toHaveLength(0)
  })
})

async function once(emitter: Parameters<typeof told>[0]): Promise<void> {
  await told(emitter, 'receiver_drained')
}

describe('flow', () => {
  it('gives no credit while a message of the link waits for room, and again when it has found some', async () => {
    const node = await startNode({ creditWindow: 10 }, { destinations: { limitMessages: 8 } })
    const raw = await node.begun()
    await sender(raw)
    const data = Buffer.from([0x00, 0x53, 0x75, 0xa0, 0x00])
    for (let i = 0; i < 9; i++) raw.send(0, 0x14, [uint(0), uint(i), tag(String(i)), uint(0)], data)
    while (Number(((await raw.next(0x15)).fields[2] as { value: number }).value) < 7);
    const echo = [uint(0), uint(1000), uint(9), uint(1000), uint(0), uint(9), uint(0), undefined, undefined, boolean(true)]
    raw.send(0, 0x13, echo)
    expect((await raw.next(0x13)).fields[6]).toEqual(uint(1))
    const inbox = await openReceiver(await node.rhea(), 'a')
    ;(await inbox.next()).delivery?.accept()
    // All but the one that has just found room.
    expect((await raw.next(0x13)).fields[6]).toEqual(uint(9))
  })

  it('with echo is answered once, without asking back', async () => {
    const node = await startNode()
    const raw = await node.begun()
    raw.send(0, 0x13, [uint(0), uint(1), uint(0), uint(1), undefined, undefined, undefined, undefined, undefined, boolean(true)])
    const { fields } = await raw.next(0x13)
    expect(fields).toHaveLength(4)
    raw.send(0, 0x17, [])
    await raw.next(0x17)
    expect(raw.frames).toEqual([])
  })

  it('of drain with nothing to send uses the credit up and says so', async () => {
    const node = await startNode()
    const raw = await node.begun()
    await receiver(raw, { credit: 0 })
    raw.send(0, 0x13, [uint(0), uint(1000), uint(0), uint(1000), uint(1), uint(0), uint(7), undefined, boolean(true)])
    expect((await raw.next(0x13)).fields.slice(4)).toEqual([uint(0), uint(7), uint(0), { type: 'null' }, boolean(true)])
  })

  it('that takes credit back holds', async () => {
    const node = await startNode()
    const raw = await node.begun()
    await receiver(raw, { credit: 5 })
    raw.send(0, 0x13, [uint(0), uint(1000), uint(0), uint(1000), uint(1), uint(0), uint(1), undefined, boolean(false), boolean(true)])
    await raw.next(0x13)
    const rhea = await openSender(await node.rhea(), 'a')
    for (let i = 0; i < 3; i++) await sendRhea(rhea, { body: i })
    await raw.next(0x14)
    raw.send(0, 0x13, [uint(1), uint(1000), uint(0), uint(1000), undefined, undefined, undefined, undefined, undefined, boolean(true)])
    await raw.next(0x13)
    expect(raw.frames).toEqual([])
  })

  it('that opens the window a little lets as many frames through, of one message or of many', async () => {
    const node = await startNode()
    const raw = await node.opened('raw', [uint(512)])
    raw.send(0, 0x11, [undefined, uint(0), uint(3), uint(1000)])
    await raw.next(0x11)
    const rhea = await openSender(await node.rhea(), 'a')
    await sendRhea(rhea, { body: 'x'.repeat(2000) })
    raw.send(0, 0x12, [text('r'), uint(1), boolean(true), undefined, undefined, addressTerm(0x28, 'a'), addressTerm(0x29, 'me')])
    await raw.next(0x12)
    raw.send(0, 0x13, [uint(0), uint(3), uint(0), uint(1000), uint(1), uint(0), uint(10)])
    const frames = [await raw.next(0x14), await raw.next(0x14), await raw.next(0x14)]
    raw.send(0, 0x13, [uint(3), uint(0), uint(0), uint(1000), undefined, undefined, undefined, undefined, undefined, boolean(true)])
    await raw.next(0x13)
    expect(raw.frames).toEqual([])
    raw.send(0, 0x13, [uint(3), uint(50), uint(0), uint(1000)])
    const isLast = ({ fields }: (typeof frames)[number]): boolean => fields[5].type === 'boolean' && !fields[5].value
    while (!frames.some(isLast)) frames.push(await raw.next(0x14))
    const whole = Buffer.concat(frames.map(({ payload }) => payload))
    expect(whole.toString('latin1')).toContain('x'.repeat(2000))
  })
})

describe('a silent connection', () => {
  it('is sent signs of life at half of what its client asked for', async () => {
    const node = await startNode()
    const raw = await node.opened('raw', [undefined, undefined, uint(10_000)])
    for (let i = 0; i < 3; i++) {
      node.core.clock.advance(5000)
      expect((await raw.next()).code).toBe(0)
    }
  })

  it('ends after twice the time that we told', async () => {
    const node = await startNode({ idleTimeoutMs: 4000 })
    const raw = await node.raw()
    raw.write(AMQP_HEADER)
    raw.send(0, 0x10, [text('x')])
    expect((await raw.next(0x10)).fields[4]).toEqual(uint(4000))
    node.core.clock.advance(7000)
    raw.send(0, 0x11, [undefined, uint(0), uint(1), uint(1)])
    await raw.next(0x11)
    node.core.clock.advance(7000)
    raw.send(0, 0x13, [uint(0), uint(1), uint(0), uint(1), undefined, undefined, undefined, undefined, undefined, boolean(true)])
    await raw.next(0x13)
    node.core.clock.advance(9000)
    expect(Raw.condition(await raw.next(0x18))).toBe('amqp:resource-limit-exceeded')
    await raw.closed
  })
})

describe('the end of a link', () => {
  it('that comes before its attach was answered is answered after it', async () => {
    const node = await startNode()
    const raw = await node.begun()
    const source = described(0x28, list([text('topic://a'), uint(2), symbol('never')]))
    for (const receives of [true, false]) {
      const [from, to] = receives ? [source, addressTerm(0x29, 'me')] : [addressTerm(0x28, 'me'), addressTerm(0x29, 'b')]
      const attach = frame(0, 0x12, [text('x'), uint(0), boolean(receives), undefined, undefined, from, to])
      // In one read: the attach waits for a commit.
      raw.write(Buffer.concat([attach, frame(0, 0x16, [uint(0), boolean(true)])]))
      expect([(await raw.next()).code, (await raw.next()).code]).toEqual([0x12, 0x16])
    }
    expect(node.core.core.figures()).toMatchObject({ bindings: 0 })
  })

  it('leaves what waits for room waiting: it finds it all the same', async () => {
    const node = await startNode({}, { destinations: { limitMessages: 1 } })
    const raw = await node.begun()
    await sender(raw)
    const data = Buffer.from([0x00, 0x53, 0x75, 0xa0, 0x00])
    for (let i = 0; i < 4; i++) raw.send(0, 0x14, [uint(0), uint(i), tag(String(i)), uint(0), boolean(true)], data)
    raw.send(0, 0x16, [uint(0), boolean(true)])
    await raw.next(0x16)
    const inbox = await openReceiver(await node.rhea(), 'a')
    for (let i = 0; i < 4; i++) (await inbox.next()).delivery?.accept()
    // The link's own session of the core ends with the last of them: only the two connections' are left.
    while (node.core.core.figures().sessions > 2) await new Promise((resolve) => setImmediate(resolve))
  })
})

describe('the beginning', () => {
  it('of SASL, Open, Begin and Attach in one write is answered in order', async () => {
    const node = await startNode()
    const raw = await node.raw()
    raw.expectHeader()
    raw.write(SASL_HEADER)
    raw.send(0, 0x41, [symbol('PLAIN'), { type: 'binary', value: Buffer.from('\0user\0secret') }], undefined, 1)
    raw.write(AMQP_HEADER)
    raw.send(0, 0x10, [text('x')])
    raw.send(0, 0x11, [undefined, uint(0), uint(100), uint(100)])
    raw.send(0, 0x12, [text('s'), uint(0), boolean(false), undefined, undefined, addressTerm(0x28, 'me'), addressTerm(0x29, 'a')])
    const codes = []
    for (let i = 0; i < 6; i++) codes.push((await raw.next()).code)
    expect(codes).toEqual([0x40, 0x44, 0x10, 0x11, 0x12, 0x13])
  })

  it('names the other nodes of a pair as Qpid’s clients read them', () => {
    const broker = {
      node: 'a',
      version: '1',
      pairAddresses: (protocol: string, secure: boolean) => (protocol !== 'amqp' ? [] : secure ? ['one:5671'] : ['one:5672', '[::1]:5673']),
    }
    const propertiesOf = (secure: boolean): unknown => {
      const bytes = openFrame({ shared: { broker, settings: amqpDefaults }, secure } as never)
      const term = toValue(new TermReader(amqpDefaults).over(bytes, 8).term())
      return (term as unknown as { value: { value: unknown[][] }[] }).value[9].value
    }
    const server = (host: string, port: number, scheme = 'amqp'): unknown => ({
      type: 'map',
      value: [
        [symbol('hostname'), text(host)],
        [symbol('network-host'), text(host)],
        [symbol('port'), { type: 'int32', value: port }],
        [symbol('scheme'), text(scheme)],
      ],
    })
    // Whoever came over TLS is not sent to where everybody reads along.
    expect(propertiesOf(true)).toContainEqual([symbol('failover-server-list'), { type: 'list', value: [server('one', 5671, 'amqps')] }])
    expect(propertiesOf(false)).toContainEqual([symbol('failover-server-list'), { type: 'list', value: [server('one', 5672), server('::1', 5673)] }])
  })
})

describe('a session', () => {
  it('is answered on the lowest channel that is free, and within the channel-max of the client', async () => {
    const node = await startNode()
    const raw = await node.opened('raw', [undefined, { type: 'uint16', value: 1 }])
    const begin = async (channel: number): Promise<readonly unknown[]> => {
      raw.send(channel, 0x11, [undefined, uint(0), uint(100), uint(100)])
      const answer = await raw.next(0x11)
      return [answer.channel, answer.fields[0]]
    }
    expect(await begin(9)).toEqual([0, { type: 'uint16', value: 9 }])
    expect(await begin(5)).toEqual([1, { type: 'uint16', value: 5 }])
    raw.send(9, 0x17, [])
    expect((await raw.next(0x17)).channel).toBe(0)
    expect(await begin(7)).toEqual([0, { type: 'uint16', value: 7 }])
    raw.send(3, 0x11, [undefined, uint(0), uint(100), uint(100)])
    expect(Raw.condition(await raw.next(0x18))).toBe('amqp:not-allowed')
  })
})

describe('the answer to an attach', () => {
  it('has the distribution mode of the link, asked for or not, and of the capabilities those that there are', async () => {
    const node = await startNode()
    const raw = await node.begun()
    const source = (address: string, distribution?: string): Term => {
      const capabilities: Term = { type: 'array', value: [symbol('nonsense'), symbol('topic')] }
      const address9 = [
        text(address),
        undefined,
        undefined,
        undefined,
        undefined,
        undefined,
        distribution === undefined ? undefined : symbol(distribution),
      ]
      return described(0x28, list([...address9, undefined, undefined, undefined, address.startsWith('topic') ? capabilities : symbol('queue')]))
    }
    const answerTo = async (handle: number, asked: Term): Promise<readonly unknown[]> => {
      raw.send(0, 0x12, [text(`r${handle}`), uint(handle), boolean(true), undefined, undefined, asked, addressTerm(0x29, 'me')])
      const terminus = (await raw.next(0x12)).fields[5]
      const fields = terminus?.type === 'described' ? toValue(terminus) : undefined
      return fields?.type === 'list' ? [fields.value[6], fields.value[10]] : []
    }
    expect(await answerTo(0, source('queue://a'))).toEqual([symbol('move'), { type: 'list', value: [symbol('queue')] }])
    expect(await answerTo(1, source('queue://a', 'copy'))).toEqual([symbol('copy'), { type: 'list', value: [symbol('queue')] }])
    expect(await answerTo(2, source('topic://t'))).toEqual([symbol('copy'), { type: 'list', value: [symbol('topic')] }])
  })
})

it('what is in flight when the node stops leading is not spoken of', async () => {
  const node = await startNode()
  const raw = await node.begun()
  await sender(raw)
  raw.send(0, 0x14, [uint(0), uint(0), tag('t'), uint(0), boolean(false), boolean(true)], Buffer.from([0x00, 0x53]))
  raw.send(0, 0x13, [uint(0), uint(1), uint(0), uint(1), undefined, undefined, undefined, undefined, undefined, boolean(true)])
  await raw.next(0x13)
  await node.shutdown('not-leading')
  expect(Raw.condition(await raw.next(0x18))).toBe('amqp:connection:forced')
  expect(raw.frames.filter(({ code }) => code === 0x15)).toEqual([])
})
