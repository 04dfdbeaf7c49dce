// Links that outlive their connection (parts 2.6.5, 2.6.13, 3.5.6), byte by byte: what is kept and for how long, what both sides say of it, and what is sent again.
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Delivery } from '../../src/api.ts'
import { amqpDefaults, type FakeNode, type Got, openReceiver, openSender, Raw, sendRhea, startNode, stopNodes } from './fake-node.ts'
import { InHand } from './resuming.ts'
import { boolean, described, list, pairs, symbol, symbols, type Term, text, toValue, ubyte, uint } from './term.ts'
import { TermWriter } from './writer.ts'

afterEach(stopNodes)

const tag = (value: string | Uint8Array): Term => ({ type: 'binary', value: Buffer.from(value) })
const NULL: Term = { type: 'null' }
const accepted = described(0x24, list([]))
const received = (section: number, offset: number): Term => described(0x23, list([uint(section), { type: 'uint64', value: BigInt(offset) }]))
const value = (content: string): Buffer => Buffer.concat([Buffer.from([0x00, 0x53, 0x77, 0xa1, content.length]), Buffer.from(content)])

type Asked = Readonly<{ policy?: string; timeout?: number; durable?: number; address?: string; capabilities?: readonly string[] }>
function terminus(code: 0x28 | 0x29, { policy = 'link-detach', timeout = 60, durable = 0, address = 'a', capabilities = [] }: Asked): Term {
  const common = [text(address), uint(durable), symbol(policy), uint(timeout)]
  if (code === 0x29) return described(code, list(common))
  return described(
    code,
    list([...common, ...Array.from({ length: 6 }, () => undefined), capabilities.length === 0 ? undefined : symbols(capabilities)]),
  )
}

type More = Readonly<{ unsettled?: Term; incomplete?: boolean; second?: boolean; name?: string; handle?: number }>

/** A link on which the client sends; credit has come. */
async function sends(raw: Raw, asked: Asked = {}, { unsettled, incomplete, second = false, name = 's', handle = 0 }: More = {}): Promise<Got> {
  const fields = [text(name), uint(handle), boolean(false), undefined, ubyte(second ? 1 : 0), terminus(0x28, { timeout: 0, address: 'me' })]
  raw.send(0, 0x12, [...fields, terminus(0x29, asked), unsettled, incomplete === true ? boolean(true) : undefined, uint(0)])
  const got = await raw.next(0x12)
  await raw.next(0x13)
  return got
}

/** A link on which the client receives. */
async function receives(raw: Raw, asked: Asked = {}, { unsettled, incomplete, name = 'r', handle = 1 }: More = {}): Promise<Got> {
  const fields = [text(name), uint(handle), boolean(true), undefined, undefined, terminus(0x28, asked), terminus(0x29, { timeout: 0, address: 'me' })]
  raw.send(0, 0x12, [...fields, unsettled, incomplete === true ? boolean(true) : undefined])
  return raw.next(0x12)
}

const credit = (raw: Raw, count = 100, handle = 1): void =>
  raw.send(0, 0x13, [uint(0), uint(1000), uint(0), uint(1000), uint(handle), uint(0), uint(count)])
/** What is there comes before this is answered. */
async function settledDown(raw: Raw, handle = 1): Promise<void> {
  raw.send(0, 0x13, [
    uint(0),
    uint(1000),
    uint(0),
    uint(1000),
    uint(handle),
    uint(0),
    uint(1000),
    undefined,
    boolean(handle !== 0),
    boolean(handle === 0),
  ])
  await raw.next(0x13)
}
const send = (raw: Raw, id: number, name: string, payload: Buffer, more: readonly (Term | undefined)[] = []): void =>
  raw.send(0, 0x14, [uint(0), uint(id), tag(name), uint(0), ...more], payload)
const RESUME = [boolean(false), boolean(false), undefined, undefined, boolean(true)]

/** The next disposition: first, settled, descriptor of the state. */
async function told(raw: Raw): Promise<readonly unknown[]> {
  const { fields } = await raw.next(0x15)
  const state = fields[4]
  return [toValue(fields[1]), toValue(fields[3]), state?.type === 'described' ? toValue(state.descriptor) : undefined].map((each) =>
    each !== undefined && 'value' in each ? each.value : undefined,
  )
}

const unsettledOf = (attach: Got): readonly (readonly [string, string])[] => {
  const map = attach.fields[7]
  if (map?.type !== 'pairs') return []
  return map.value.map(([key, state]) => [
    key.type === 'binary' ? Buffer.from(key.value).toString('latin1') : '',
    state.type === 'described' && state.descriptor.type === 'uint64' ? state.descriptor.value.toString(16) : state.type,
  ])
}
/** Durable, expiry-policy and timeout that our answer grants. */
const grantedOf = (attach: Got, at: 5 | 6): readonly unknown[] => {
  const term = attach.fields[at]
  const fields = term?.type === 'described' && term.value.type === 'terms' ? term.value.value : []
  return [fields[1], fields[2], fields[3]].map((field) => (field !== undefined && 'value' in field ? field.value : undefined))
}

/** The connection broke, and the node knows. */
async function lost(node: FakeNode, raw: Raw): Promise<void> {
  const open = (): number => node.core.core.figures().sessionsOpen
  const before = open()
  raw.socket.destroy()
  while (open() === before) await new Promise((resolve) => setImmediate(resolve))
}

async function bodiesOn(node: FakeNode, address = 'a'): Promise<readonly unknown[]> {
  const inbox = await openReceiver(await node.rhea(), { source: address, credit_window: 0, snd_settle_mode: 1 })
  inbox.receiver.add_credit(1000)
  await new Promise<void>((resolve) => {
    inbox.receiver.once('receiver_drained', () => resolve())
    inbox.receiver.drain_credit()
  })
  return inbox.contexts.map(({ message }) => message?.body)
}

describe('what a client sent and lost the answer to', () => {
  it('is there once: its outcome is told by our map, and again to who resumes it, and what we do not know may come anew', async () => {
    const node = await startNode()
    const raw = await node.begun('c')
    await sends(raw)
    for (const [i, name] of ['x', 'y'].entries()) send(raw, i, name, value(name))
    await told(raw)
    await lost(node, raw)
    const again = await node.begun('c')
    const attach = await sends(again, {}, { unsettled: pairs(['x', 'y', 'z'].map((name) => [tag(name), NULL])) })
    expect(unsettledOf(attach)).toEqual([
      ['x', '24'],
      ['y', '24'],
    ])
    send(again, 0, 'x', Buffer.alloc(0), RESUME)
    expect(await told(again)).toEqual([0, true, 0x24n])
    // With all of its message, and without the flag.
    send(again, 1, 'y', value('y'))
    expect(await told(again)).toEqual([1, true, 0x24n])
    send(again, 2, 'z', value('z'))
    expect(await told(again)).toEqual([2, true, 0x24n])
    expect(await bodiesOn(node)).toEqual(['x', 'y', 'z'])
  })

  it('is not heard when it is said to be resumed and is not known: the specification has it so', async () => {
    const node = await startNode()
    const raw = await node.begun('c')
    await sends(raw)
    send(raw, 0, 'x', value('x'), RESUME)
    send(raw, 1, 'y', value('y'))
    expect(await told(raw)).toEqual([1, true, 0x24n])
    expect(await bodiesOn(node)).toEqual(['y'])
  })

  it('waits for room still, and is answered where it is resumed', async () => {
    const node = await startNode({ creditWindow: 10 }, { destinations: { limitMessages: 2 } })
    const raw = await node.begun('c')
    await sends(raw)
    for (const [i, name] of ['x', 'y', 'z'].entries()) send(raw, i, name, value(name))
    while ((await told(raw))[0] === undefined);
    await lost(node, raw)
    const again = await node.begun('c')
    // No credit comes while something waits.
    const fields = [text('s'), uint(0), boolean(false), undefined, ubyte(0), terminus(0x28, { timeout: 0 }), terminus(0x29, {})]
    again.send(0, 0x12, [...fields, pairs([[tag('z'), NULL]]), undefined, uint(0)])
    expect(unsettledOf(await again.next(0x12))).toEqual([['z', 'null']])
    expect(await bodiesOn(node)).toHaveLength(2)
    await again.next(0x13)
    send(again, 0, 'z', Buffer.alloc(0), RESUME)
    expect(await told(again)).toEqual([0, true, 0x24n])
  })

  it('leaves its tag to a new message where its client came back with a map that is incomplete and has it not', async () => {
    const node = await startNode()
    const raw = await node.begun('c')
    await sends(raw)
    send(raw, 0, 'x', value('one'))
    await told(raw)
    await lost(node, raw)
    const again = await node.begun('c')
    await sends(again, {}, { unsettled: pairs([[tag('other'), NULL]]), incomplete: true })
    send(again, 0, 'x', value('two'))
    expect(await told(again)).toEqual([0, true, 0x24n])
    expect(await bodiesOn(node)).toEqual(['one', 'two'])
  })

  it('in a transaction that went with its connection is not answered in the next session, where its id is another delivery’s', async () => {
    const node = await startNode({}, { destinations: { limitMessages: 1 } })
    for (const name of ['a', 'b']) await sendRhea(await openSender(await node.rhea(), name), { body: 'first' })
    const raw = await node.begun('c')
    const coordinator = described(0x30, list([symbols(['amqp:local-transactions'])]))
    const me = terminus(0x28, { timeout: 0, address: 'me' })
    raw.send(0, 0x12, [text('t'), uint(0), boolean(false), undefined, undefined, me, coordinator, undefined, undefined, uint(0)])
    await raw.next(0x12)
    await raw.next(0x13)
    await sends(raw, {}, { handle: 1 })
    send(raw, 5, 'declare', new TermWriter().term(described(0x77, described(0x31, list([])))).bytes())
    const declared = (await raw.next(0x15)).fields[4]
    const id = declared?.type === 'described' && declared.value.type === 'terms' ? declared.value.value[0] : undefined
    const within = described(0x34, list([id, accepted]))
    raw.send(0, 0x14, [uint(1), uint(0), tag('x'), uint(0), boolean(false), boolean(false), undefined, within], value('waits for room'))
    await settledDown(raw, 0)
    await lost(node, raw)
    const again = await node.begun('c')
    await sends(again, { address: 'b', timeout: 0 }, { name: 'other' })
    const fields = [text('s'), uint(1), boolean(false), undefined, ubyte(0), me, terminus(0x29, {}), pairs([]), undefined, uint(0)]
    again.send(0, 0x12, fields)
    await again.next(0x12)
    send(again, 0, 'new', value('waits for room too'))
    await settledDown(again, 0)
    expect(await bodiesOn(node)).toEqual(['first'])
    // Credit comes when nothing waits any more.
    await again.next(0x13)
    await node.core.settled()
    await settledDown(again, 0)
    expect(again.frames.filter(({ code }) => code === 0x15)).toEqual([])
  })

  it('with rcv-settle-mode second is known until its sender has settled it, and no longer', async () => {
    const node = await startNode()
    const raw = await node.begun('c')
    await sends(raw, {}, { second: true })
    for (const [i, name] of ['x', 'y'].entries()) send(raw, i, name, value(name))
    expect((await told(raw))[1]).toBe(false)
    raw.send(0, 0x15, [boolean(false), uint(0), uint(0), boolean(true)])
    await settledDown(raw, 0)
    await lost(node, raw)
    const again = await node.begun('c')
    const attach = await sends(again, {}, { second: true, unsettled: pairs(['x', 'y'].map((name) => [tag(name), NULL])) })
    expect(unsettledOf(attach)).toEqual([['y', '24']])
    send(again, 0, 'y', Buffer.alloc(0), RESUME)
    expect(await told(again)).toEqual([0, false, 0x24n])
    again.send(0, 0x15, [boolean(false), uint(0), uint(0), boolean(true)])
    await settledDown(again, 0)
    await lost(node, again)
    const third = await node.begun('c')
    expect(unsettledOf(await sends(third, {}, { second: true, unsettled: pairs([[tag('y'), NULL]]) }))).toEqual([])
  })

  it('is told as refused if it was', async () => {
    const node = await startNode()
    const raw = await node.begun('c')
    await sends(raw)
    send(raw, 0, 'x', Buffer.from([0, 0x53, 0x99, 0x40]))
    await told(raw)
    await lost(node, raw)
    const again = await node.begun('c')
    expect(unsettledOf(await sends(again, {}, { unsettled: pairs([[tag('x'), NULL]]) }))).toEqual([['x', '25']])
    send(again, 0, 'x', Buffer.alloc(0), RESUME)
    expect(await told(again)).toEqual([0, true, 0x25n])
  })

  it('is forgotten when its client comes back without a word of it, when the link is closed, after its time, and by a takeover', async () => {
    const node = await startNode()
    const come = async (): Promise<Raw> => {
      const raw = await node.begun('c')
      await sends(raw)
      send(raw, 0, 'x', value('x'))
      await told(raw)
      return raw
    }
    const known = async (raw: Raw): Promise<number> => {
      const count = unsettledOf(await sends(raw, {}, { unsettled: pairs([[tag('x'), NULL]]) })).length
      await lost(node, raw)
      return count
    }
    await lost(node, await come())
    expect(await known(await node.begun('c'))).toBe(1)
    await lost(node, await come())
    const silent = await node.begun('c')
    await sends(silent)
    await lost(node, silent)
    expect(await known(await node.begun('c'))).toBe(0)
    const closing = await come()
    closing.send(0, 0x16, [uint(0), boolean(true)])
    await closing.next(0x16)
    await lost(node, closing)
    expect(await known(await node.begun('c'))).toBe(0)
    await lost(node, await come())
    node.core.clock.advance(59_000)
    expect(await known(await node.begun('c'))).toBe(1)
    await lost(node, await come())
    node.core.clock.advance(61_000)
    expect(await known(await node.begun('c'))).toBe(0)
    await come()
    await node.restart()
    expect(await known(await node.begun('c'))).toBe(0)
  })

  it('is remembered as far as its client can be ignorant of it: as many as the window of credit', async () => {
    const node = await startNode({ creditWindow: 4 })
    const raw = await node.begun('c')
    await sends(raw)
    for (let i = 0; i < 12; i++) {
      send(raw, i, `t${i}`, value(String(i)))
      await told(raw)
      if (i % 4 === 3) await settledDown(raw, 0)
    }
    await lost(node, raw)
    const again = await node.begun('c')
    const all = pairs(Array.from({ length: 12 }, (_, i) => [tag(`t${i}`), NULL] as const))
    expect(unsettledOf(await sends(again, {}, { unsettled: all })).map(([name]) => name)).toEqual(['t8', 't9', 't10', 't11'])
  })

  it('when the map has no room in a frame is told in part, and nothing new may come until the next attach', async () => {
    const node = await startNode()
    const small = async (): Promise<Raw> => {
      const raw = await node.opened('c', [uint(512)])
      raw.send(0, 0x11, [undefined, uint(0), uint(1000), uint(1000)])
      await raw.next(0x11)
      return raw
    }
    const raw = await small()
    await sends(raw)
    const names = Array.from({ length: 40 }, (_, i) => `a long tag, number ${i}`)
    for (const [i, name] of names.entries()) send(raw, i, name, value('x'))
    while ((await raw.next(0x15)).fields[2]?.type === 'uint32' && (await bodiesSeen(node)) < names.length);
    await lost(node, raw)
    const again = await small()
    const attach = await sends(again, {}, { unsettled: pairs(names.map((name) => [tag(name), NULL])) })
    expect(attach.fields[8]).toEqual(boolean(true))
    const count = unsettledOf(attach).length
    expect(count).toBeGreaterThan(2)
    expect(count).toBeLessThan(40)
    send(again, 0, names[0] ?? '', Buffer.alloc(0), RESUME)
    expect(await told(again)).toEqual([0, true, 0x24n])
    send(again, 1, 'new', value('new'))
    const { fields } = await again.next(0x16)
    expect(fields[2]).toMatchObject({ value: { value: [symbol('amqp:not-allowed'), {}] } })
  })
})

async function bodiesSeen(node: FakeNode): Promise<number> {
  await new Promise((resolve) => setImmediate(resolve))
  return node.core.core.figures().entries
}

describe('what a client received and has not settled when it goes', () => {
  async function given(node: FakeNode, asked: Asked = {}, count = 3): Promise<Readonly<{ raw: Raw; tags: readonly Buffer[] }>> {
    const fill = await openSender(await node.rhea(), 'a')
    for (let i = 0; i < count; i++) await sendRhea(fill, { body: `body ${i}`, durable: true })
    const raw = await node.begun('c')
    await receives(raw, asked)
    credit(raw)
    const tags: Buffer[] = []
    for (let i = 0; i < count; i++) {
      const { fields } = await raw.next(0x14)
      tags.push(fields[2]?.type === 'binary' ? Buffer.from(fields[2].value) : Buffer.alloc(0))
    }
    return { raw, tags }
  }

  it('is nobody else’s, and goes on where its client says: settled, from the start, or from where it broke off', async () => {
    const node = await startNode()
    const { raw, tags } = await given(node, {}, 4)
    await lost(node, raw)
    expect(await bodiesOn(node)).toEqual([])
    const again = await node.begun('c')
    const states = [accepted, NULL, received(1, 3), received(9, 0)]
    const attach = await receives(again, {}, { unsettled: pairs(states.map((state, i) => [tag(tags[i] ?? ''), state] as const)) })
    expect(unsettledOf(attach)).toEqual(tags.map((each) => [each.toString('latin1'), '23']))
    credit(again)
    const got = [await again.next(0x14), await again.next(0x14), await again.next(0x14), await again.next(0x14)]
    expect(got.map(({ fields }) => fields[2])).toEqual(tags.map(tag))
    expect(got.map(({ fields }) => [fields[4], fields[8]])).toEqual([true, false, false, false].map((settled) => [boolean(settled), boolean(true)]))
    expect(got[0]?.fields[7]).toEqual(accepted)
    expect(got.slice(1).map(({ fields }) => fields[7])).toEqual([received(0, 0), received(1, 3), received(9, 0)])
    const [none, whole, rest, nothing] = got.map(({ payload }) => payload)
    expect([none?.length, nothing?.length]).toEqual([0, 0])
    expect(whole?.toString()).toContain('body 1')
    // What is missing begins three bytes into the first section behind the header, which is that of the properties.
    const properties = whole === undefined ? 0 : whole.indexOf(Buffer.from([0x00, 0x53, 0x73]))
    const expected = whole?.subarray(properties + 3).toString()
    expect(rest?.toString()).toBe(expected?.replace('body 1', 'body 2'))
    again.send(0, 0x15, [boolean(true), uint(1), uint(3), boolean(true), accepted])
    again.send(0, 0x16, [uint(1), boolean(true)])
    await again.next(0x16)
    expect(await bodiesOn(node)).toEqual([])
  })

  it('has the outcome that its client brings back once: what goes back to its queue comes again whole', async () => {
    const node = await startNode()
    const { raw, tags } = await given(node, {}, 1)
    await lost(node, raw)
    const again = await node.begun('c')
    const modified = described(0x27, list([boolean(true), boolean(false)]))
    await receives(again, {}, { unsettled: pairs([[tag(tags[0] ?? ''), modified]]) })
    credit(again)
    expect((await again.next(0x14)).fields[4]).toEqual(boolean(true))
    const { fields, payload } = await again.next(0x14)
    expect(fields[4]).toEqual(boolean(false))
    expect(payload.toString()).toContain('body 0')
    // Of the header the last field: delivery-count.
    expect(payload[12]).toBe(1)
  })

  it.each([
    ['is kept', { timeout: 60 }, 1],
    ['is not kept', { timeout: 0 }, 0],
  ])(
    'on a link that %s has the outcome once, however often its client is lost before it hears that and brings it back',
    async (_, asked, failures) => {
      const node = await startNode()
      const { raw, tags } = await given(node, asked, 1)
      await lost(node, raw)
      const modified = described(0x27, list([boolean(true), boolean(false)]))
      const unsettled = pairs([[tag(tags[0] ?? ''), modified]])
      for (let loss = 0; loss < 2; loss++) {
        const again = await node.begun('c')
        await receives(again, asked, { unsettled })
        credit(again)
        await again.next(0x14)
        await lost(node, again)
      }
      const last = await node.begun('c')
      await receives(last, asked, { unsettled })
      credit(last)
      const { fields, payload } = await last.next(0x14)
      expect(fields[4]).toEqual(boolean(false))
      expect(payload.toString()).toContain('body 0')
      expect(payload[12]).toBe(failures)
    },
  )

  it('is not taken for one of a subscription of a later term', async () => {
    const node = await startNode()
    const asked = { address: 'topic://news', timeout: 0 }
    let raw = await node.begun('c')
    await receives(raw, asked)
    credit(raw)
    await sendRhea(await openSender(await node.rhea(), 'topic://news'), { body: 'one', durable: true })
    const { fields } = await raw.next(0x14)
    await node.restart()
    raw = await node.begun('c')
    await receives(raw, asked, { unsettled: pairs([[fields[2] ?? NULL, described(0x24, list([]))]]) })
    credit(raw)
    await sendRhea(await openSender(await node.rhea(), 'topic://news'), { body: 'two', durable: true })
    expect((await raw.next(0x14)).payload.toString('latin1')).toContain('two')
  })

  it('is not taken for one of a queue that was made anew under its name', async () => {
    const node = await startNode()
    const { raw, tags } = await given(node, { timeout: 0 }, 1)
    await lost(node, raw)
    node.core.client().session.remove(node.core.core.address('queue', ['a']))
    await new Promise((resolve) => setImmediate(resolve))
    const fill = await openSender(await node.rhea(), 'a')
    await sendRhea(fill, { body: 'another', durable: true })
    const again = await node.begun('c')
    await receives(again, { timeout: 0 }, { unsettled: pairs([[tag(tags[0] ?? ''), accepted]]) })
    credit(again)
    const { fields, payload } = await again.next(0x14)
    expect(fields[4]).toEqual(boolean(false))
    expect(payload.toString()).toContain('another')
  })

  it('begins with its first byte again where it has as many sections as a message may have, and ours before them', async () => {
    const node = await startNode()
    const sender = await node.begun('s')
    await sends(sender, { timeout: 0 })
    const sections = Buffer.concat(Array.from({ length: amqpDefaults.sectionsMax }, () => Buffer.from([0, 0x53, 0x75, 0xa0, 1, 65])))
    send(sender, 0, 'x', sections)
    await told(sender)
    const raw = await node.begun('c')
    await receives(raw)
    credit(raw)
    const { fields, payload } = await raw.next(0x14)
    await lost(node, raw)
    const again = await node.begun('c')
    await receives(again, {}, { unsettled: pairs([[fields[2] ?? NULL, received(1, 1)]]) })
    credit(again)
    const got = await again.next(0x14)
    expect(got.fields[7]).toEqual(received(0, 0))
    expect(got.payload.length).toBe(payload.length)
    expect(got.payload.subarray(-sections.length)).toEqual(sections)
  })

  it('ends the connection of who comes back, and nothing else, where sending it again fails in the broker', async () => {
    const node = await startNode()
    // One more than are resumed in one turn.
    const count = 501
    let translated = 0
    vi.spyOn(node.core.core, 'translate').mockImplementation((message) => {
      if (++translated === 2 * count) throw new Error('a mistake')
      return { ...message, dialect: 'amqp', head: Buffer.alloc(0), body: value('x') }
    })
    const other = node.core.client()
    const queue = node.core.core.address('queue', ['a'])
    const raw = await node.begun('c')
    await receives(raw)
    for (let i = 0; i < count; i++) other.send(queue, String(i))
    credit(raw, count)
    const tags: Term[] = []
    while (tags.length < count) tags.push((await raw.next(0x14)).fields[2] ?? NULL)
    await lost(node, raw)
    const again = await node.begun('c')
    await receives(again, {}, { unsettled: pairs(tags.map((each) => [each, NULL] as const)) })
    credit(again, count)
    expect(Raw.condition(await again.next(0x18))).toBe('amqp:internal-error')
    expect(node.faults).not.toEqual([])
    await node.begun('d')
  })

  it('and is not named by its client when it comes back is given out again, uncounted', async () => {
    const node = await startNode()
    const { raw, tags } = await given(node)
    await lost(node, raw)
    const again = await node.begun('c')
    expect(unsettledOf(await receives(again, {}, { unsettled: pairs([[tag(tags[2] ?? ''), NULL]]) })).map(([name]) => name)).toEqual([
      tags[2]?.toString('latin1'),
    ])
    credit(again)
    const got = [await again.next(0x14), await again.next(0x14), await again.next(0x14)]
    expect(got.map(({ fields }) => (fields[8]?.type === 'boolean' ? fields[8].value : false))).toEqual([true, false, false])
    expect(got.map(({ payload }) => /body \d/.exec(payload.toString())?.[0])).toEqual(['body 2', 'body 0', 'body 1'])
  })

  it.each([
    ['no map', {}],
    ['another source', { address: 'b' }],
  ])('goes back to its queue where the next attach has %s', async (_, asked) => {
    const node = await startNode()
    const { raw } = await given(node)
    await lost(node, raw)
    const again = await node.begun('c')
    await receives(again, asked)
    expect(await bodiesOn(node)).toHaveLength(3)
  })

  it('may be settled in its session while the link is detached', async () => {
    const node = await startNode()
    const { raw } = await given(node)
    raw.send(0, 0x16, [uint(1)])
    await raw.next(0x16)
    raw.send(0, 0x15, [boolean(true), uint(0), uint(1), boolean(true), accepted])
    raw.send(0, 0x13, [uint(0), uint(1000), uint(0), uint(1000), undefined, undefined, undefined, undefined, undefined, boolean(true)])
    await raw.next(0x13)
    await lost(node, raw)
    node.core.clock.advance(61_000)
    expect(await bodiesOn(node)).toEqual(['body 2'])
  })

  it('goes back to its queue after its time, and when the link is closed', async () => {
    const node = await startNode()
    const { raw } = await given(node)
    await lost(node, raw)
    node.core.clock.advance(61_000)
    expect(await bodiesOn(node)).toHaveLength(3)
    const { raw: again } = await given(node)
    again.send(0, 0x16, [uint(1), boolean(true)])
    await again.next(0x16)
    expect(await bodiesOn(node)).toHaveLength(3)
  })

  it('goes on with who steals the link', async () => {
    const node = await startNode()
    const { raw, tags } = await given(node)
    const thief = await node.begun('c')
    const attach = await receives(thief, {}, { unsettled: pairs([[tag(tags[0] ?? ''), NULL]]) })
    expect((await raw.next(0x16)).fields[2]).toMatchObject({ value: { value: [symbol('amqp:link:stolen'), {}] } })
    expect(unsettledOf(attach)).toHaveLength(1)
    credit(thief, 1)
    expect((await thief.next(0x14)).fields[2]).toEqual(tag(tags[0] ?? ''))
  })

  it('has no more bytes than prefetchBytes', async () => {
    const node = await startNode({ prefetchBytes: 1024 })
    const fill = await openSender(await node.rhea(), 'a')
    for (let i = 0; i < 10; i++) await sendRhea(fill, { body: 'x'.repeat(500), durable: true })
    const raw = await node.begun('c')
    await receives(raw)
    credit(raw)
    const { fields } = await raw.next(0x14)
    raw.send(0, 0x13, [uint(0), uint(1000), uint(0), uint(1000), undefined, undefined, undefined, undefined, undefined, boolean(true)])
    await raw.next(0x13)
    const more = raw.frames.splice(0).filter(({ code }) => code === 0x14).length
    expect(more).toBeLessThan(3)
    raw.send(0, 0x15, [boolean(true), uint(0), uint(more), boolean(true), accepted])
    await raw.next(0x14)
    expect(fields[1]).toEqual(uint(0))
  })

  it('is told as far as a frame has room, and found behind that where its client names it', async () => {
    const node = await startNode()
    const { raw, tags } = await given(node, {}, 60)
    await lost(node, raw)
    const again = await node.opened('c', [uint(512)])
    again.send(0, 0x11, [undefined, uint(0), uint(1000), uint(1000)])
    await again.next(0x11)
    const last = tag(tags[59] ?? '')
    const attach = await receives(again, {}, { incomplete: true, unsettled: pairs([[last, NULL]]) })
    const known = unsettledOf(attach).map(([name]) => name)
    expect(attach.fields[8]).toEqual(boolean(true))
    expect(known.length).toBeGreaterThan(10)
    expect(known).toEqual(tags.slice(0, known.length).map((each) => each.toString('latin1')))
    credit(again)
    expect((await again.next(0x14)).fields[2]).toEqual(last)
  })

  it('has no more said of it than a frame has room for, however many there are', () => {
    const hand = new InHand()
    const message = { head: Buffer.alloc(0), body: Buffer.alloc(1) }
    for (let i = 1; i <= 1_000; i++) hand.given({ tag: i, ref: { queue: 1, sequence: i }, attempts: 1, message } as unknown as Delivery)
    const { ours, forgotten } = hand.compare({ unsettled: [], incomplete: true }, 512)
    expect(forgotten).toEqual([])
    expect(ours.length).toBeGreaterThan(20)
    expect(ours.length).toBeLessThan(40)
  })

  it('with an incomplete map of its client’s stays, and nothing new comes', async () => {
    const node = await startNode()
    const { raw, tags } = await given(node)
    await lost(node, raw)
    await sendRhea(await openSender(await node.rhea(), 'a'), { body: 'new' })
    const again = await node.begun('c')
    expect(unsettledOf(await receives(again, {}, { incomplete: true, unsettled: pairs([[tag(tags[1] ?? ''), NULL]]) }))).toHaveLength(3)
    credit(again)
    expect((await again.next(0x14)).fields[2]).toEqual(tag(tags[1] ?? ''))
    await settledDown(again)
    expect(again.frames).toEqual([])
  })
})

describe('a terminus', () => {
  it.each<readonly [Asked, readonly unknown[]]>([
    [{ policy: 'session-end', timeout: 0 }, [0, 'link-detach', 0]],
    [{ policy: 'link-detach', timeout: 0, durable: 2 }, [1, 'link-detach', 0]],
    [{ policy: 'link-detach', timeout: 30 }, [0, 'link-detach', 30]],
    [{ policy: 'session-end', timeout: 30, durable: 1 }, [1, 'session-end', 30]],
    [{ policy: 'connection-close', timeout: 0 }, [0, 'connection-close', 0]],
    [{ policy: 'never', timeout: 0, durable: 2 }, [1, 'connection-close', 60]],
    [{ policy: 'link-detach', timeout: 0xff_ff_ff_ff }, [0, 'link-detach', 60]],
  ])('asked for %j is told what is granted', async (asked, granted) => {
    const node = await startNode()
    const raw = await node.begun('c')
    expect(grantedOf(await sends(raw, asked), 6)).toEqual(granted)
    expect(grantedOf(await receives(raw, asked), 5)).toEqual(granted)
  })

  it('that is a durable subscription never goes, whatever its link asks for', async () => {
    const node = await startNode()
    const raw = await node.begun('c')
    expect(grantedOf(await receives(raw, { durable: 2, policy: 'link-detach', address: 'topic://t' }), 5)).toEqual([2, 'never', 0])
  })

  it.each(['dynamic', 'sometimes'])('of an expiry-policy that is none (%s) is refused', async (policy) => {
    const node = await startNode()
    const raw = await node.begun('c')
    await receives(raw, { policy })
    expect((await raw.next(0x16)).fields[2]).toMatchObject({ value: { value: [symbol('amqp:invalid-field'), {}] } })
  })

  it.each([
    ['link-detach', 0, 3],
    ['session-end', 0, 3],
    ['session-end', 1, 0],
    ['connection-close', 0, 0],
  ])('of %s and %i seconds, its link detached: %i messages are there for others', async (policy, timeout, count) => {
    const node = await startNode()
    const fill = await openSender(await node.rhea(), 'a')
    for (let i = 0; i < 3; i++) await sendRhea(fill, { body: i })
    const raw = await node.begun('c')
    await receives(raw, { policy, timeout })
    credit(raw)
    for (let i = 0; i < 3; i++) await raw.next(0x14)
    raw.send(0, 0x16, [uint(1)])
    await raw.next(0x16)
    // What waits for the end of its session has no time that runs.
    node.core.clock.advance(5_000)
    expect(await bodiesOn(node)).toHaveLength(count)
    raw.send(0, 0x17, [])
    await raw.next(0x17)
    node.core.clock.advance(5_000)
    expect(await bodiesOn(node)).toHaveLength(policy === 'connection-close' ? 0 : 3 - count)
    await lost(node, raw)
    node.core.clock.advance(1_000)
    expect(await bodiesOn(node)).toHaveLength(policy === 'connection-close' ? 3 : 0)
  })

  it('that is a volatile subscription goes on while its client is away', async () => {
    const node = await startNode()
    const raw = await node.begun('c')
    await receives(raw, { address: 'topic://news' })
    await lost(node, raw)
    await sendRhea(await openSender(await node.rhea(), 'topic://news'), { body: 'while away' })
    const again = await node.begun('c')
    await receives(again, { address: 'topic://news' })
    credit(again)
    expect((await again.next(0x14)).payload.toString()).toContain('while away')
  })

  it('that is a shared volatile subscription stays with its other receivers when one that was kept is closed', async () => {
    const node = await startNode()
    const raw = await node.begun('c')
    const shared = { address: 'topic://news', capabilities: ['shared'] }
    await receives(raw, shared, { name: 'sub|1', handle: 0 })
    await receives(raw, { ...shared, timeout: 0 }, { name: 'sub|2' })
    raw.send(0, 0x16, [uint(0)])
    await raw.next(0x16)
    await receives(raw, { ...shared, timeout: 0 }, { name: 'sub|1', handle: 0, unsettled: pairs([]) })
    raw.send(0, 0x16, [uint(0), boolean(true)])
    await raw.next(0x16)
    credit(raw)
    await sendRhea(await openSender(await node.rhea(), 'topic://news'), { body: 'for the other' })
    expect((await raw.next(0x14)).payload.toString()).toContain('for the other')
  })

  it('is granted nothing where linksKept others may be kept, until one of them is no more', async () => {
    const node = await startNode({ linksKept: 1 })
    const grants = async (name: string, how: 'send' | 'receive' = 'receive'): Promise<unknown> => {
      const raw = await node.begun('d')
      const attach = how === 'send' ? await sends(raw, {}, { name }) : await receives(raw, {}, { name })
      await lost(node, raw)
      return grantedOf(attach, how === 'send' ? 6 : 5)[2]
    }
    for (const how of ['send', 'receive'] as const) {
      expect([await grants('one', how), await grants('two'), await grants('two', how), await grants('one', how)]).toEqual([60, 0, 0, 60])
      node.core.clock.advance(61_000)
      expect(await grants('two')).toBe(60)
      node.core.clock.advance(61_000)
    }
  })

  it('that waits for the end of its connection counts there no more when its client comes back on another one', async () => {
    const node = await startNode({ linksMax: 2 })
    await sendRhea(await openSender(await node.rhea(), 'a'), { body: 'x' })
    const asked = { policy: 'connection-close' }
    const raw = await node.begun('c')
    const other = await node.begun('c')
    for (const [i, name] of ['one', 'two'].entries()) {
      await receives(raw, { ...asked, address: name }, { name, handle: i })
      raw.send(0, 0x16, [uint(i)])
      await raw.next(0x16)
      await receives(other, { ...asked, address: name }, { name, handle: i, unsettled: pairs([]) })
    }
    await receives(raw, asked)
    credit(raw)
    await raw.next(0x14)
    raw.send(0, 0x16, [uint(1)])
    await raw.next(0x16)
    expect(await bodiesOn(node)).toEqual([])
  })

  it('is given up at once where linksKept others are kept', async () => {
    const node = await startNode({ linksKept: 1 })
    const fill = await openSender(await node.rhea(), 'a')
    for (let i = 0; i < 2; i++) await sendRhea(fill, { body: i })
    const raw = await node.begun('c')
    for (const [i, name] of ['one', 'two'].entries()) {
      await receives(raw, {}, { name, handle: i })
      credit(raw, 1, i)
      await raw.next(0x14)
    }
    await lost(node, raw)
    expect(await bodiesOn(node)).toHaveLength(1)
  })

  it('of a queue that is removed meanwhile begins anew', async () => {
    const node = await startNode()
    const fill = await openSender(await node.rhea(), 'a')
    await sendRhea(fill, { body: 'x' })
    const raw = await node.begun('c')
    await receives(raw)
    credit(raw)
    const { fields } = await raw.next(0x14)
    await lost(node, raw)
    const other = node.core.client()
    other.session.remove(node.core.core.address('queue', ['a']))
    await new Promise((resolve) => setImmediate(resolve))
    const again = await node.begun('c')
    expect(unsettledOf(await receives(again, {}, { unsettled: pairs([[fields[2] ?? NULL, NULL]]) }))).toEqual([])
  })
})
