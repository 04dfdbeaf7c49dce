// Transactions over AMQP (part 4), frame by frame: declare, discharge, transactional states on transfers and dispositions, and everything that is refused.
// With stock clients: test/clients (Qpid JMS, qpid-proton).
import { afterEach, describe, expect, it } from 'vitest'
import { addressTerm, type FakeNode, openReceiver, openSender, Raw, sendRhea, startNode, stopNodes } from './fake-node.ts'
import { SHARE } from './settling.ts'
import { boolean, described, list, pairs, symbol, symbols, type Term, text, ubyte, uint } from './term.ts'
import { TermWriter } from './writer.ts'

afterEach(stopNodes)

const ATTACH = 0x12
const FLOW = 0x13
const TRANSFER = 0x14
const DISPOSITION = 0x15
const DETACH = 0x16
const END = 0x17

const binary = (value: Uint8Array): Term => ({ type: 'binary', value })
const ACCEPTED = described(0x24, list([]))
const body = (value: string): Buffer =>
  new TermWriter()
    .composite(0x70, [boolean(true)])
    .term(described(0x77, text(value)))
    .bytes()
const command = (code: number, fields: readonly (Term | undefined)[]): Buffer =>
  new TermWriter().term(described(0x77, described(code, list(fields)))).bytes()

/** A client of one session: handle 0 is its coordinator, the others are as it likes. Delivery ids count up. */
class Client {
  readonly raw: Raw
  #ids = 0

  constructor(raw: Raw) {
    this.raw = raw
  }

  async coordinate(handle = 0, source: Term = addressTerm(0x28, 'me')): Promise<readonly Term[]> {
    const coordinator = described(0x30, list([symbols(['amqp:local-transactions'])]))
    this.raw.send(0, ATTACH, [
      text(`c${handle}`),
      uint(handle),
      boolean(false),
      ubyte(0),
      ubyte(0),
      source,
      coordinator,
      undefined,
      undefined,
      uint(0),
    ])
    const answer = await this.raw.next(ATTACH)
    await this.raw.next(FLOW)
    return answer.fields
  }

  async send(handle: number, address: string): Promise<void> {
    this.raw.send(0, ATTACH, [
      text(`s${handle}`),
      uint(handle),
      boolean(false),
      ubyte(2),
      ubyte(0),
      addressTerm(0x28, 'me'),
      addressTerm(0x29, address),
      undefined,
      undefined,
      uint(0),
    ])
    await this.raw.next(ATTACH)
    await this.raw.next(FLOW)
  }

  async receive(handle: number, address: string, credit = 100, timeoutS = 0): Promise<void> {
    this.raw.send(0, ATTACH, [
      text(`r${handle}`),
      uint(handle),
      boolean(true),
      ubyte(0),
      ubyte(0),
      described(0x28, list([text(address), uint(0), symbol('link-detach'), uint(timeoutS)])),
      addressTerm(0x29, 'me'),
    ])
    await this.raw.next(ATTACH)
    this.flow(handle, credit)
  }

  flow(handle: number, credit: number, properties?: Term): void {
    this.raw.send(0, FLOW, [
      uint(0),
      uint(10_000),
      uint(0),
      uint(10_000),
      uint(handle),
      uint(0),
      uint(credit),
      undefined,
      undefined,
      undefined,
      properties,
    ])
  }

  /** Answers the delivery id. */
  transfer(handle: number, payload: Buffer, state?: Term, settled = false): number {
    const id = this.#ids++
    const tag = Buffer.from(String(id))
    this.raw.send(0, TRANSFER, [uint(handle), uint(id), binary(tag), uint(0), boolean(settled), boolean(false), undefined, state], payload)
    return id
  }

  /** The first transfer of a delivery of which more is to come. */
  half(handle: number, payload: Buffer, state: Term): void {
    const id = this.#ids++
    this.raw.send(
      0,
      TRANSFER,
      [uint(handle), uint(id), binary(Buffer.from(String(id))), uint(0), boolean(false), boolean(true), undefined, state],
      payload,
    )
  }

  /** The state in which the client's delivery is answered. */
  async stateOf(id: number): Promise<Answer> {
    for (;;) {
      const { fields } = await this.raw.next(DISPOSITION)
      const [, first, last] = fields
      if (first.type === 'uint32' && last.type === 'uint32' && first.value <= id && id <= last.value) return readState(fields[4])
    }
  }

  async declare(handle = 0): Promise<Buffer> {
    const { code, fields } = await this.stateOf(this.transfer(handle, command(0x31, [])))
    const [id] = fields
    if (code !== 0x33 || id.type !== 'binary') throw new Error(`declare was answered by ${code.toString(16)}`)
    return Buffer.from(id.value)
  }

  async discharge(id: Buffer, fail = false, handle = 0): Promise<Answer> {
    return await this.stateOf(this.transfer(handle, command(0x32, [binary(id), boolean(fail)])))
  }

  settle(first: number, last: number, state: Term, settled = true): void {
    this.raw.send(0, DISPOSITION, [boolean(true), uint(first), uint(last), boolean(settled), state])
  }
}

type Answer = Readonly<{ code: number; fields: readonly Term[]; condition: string | undefined }>

function readState(state: Term): Answer {
  if (state.type !== 'described' || state.descriptor.type !== 'uint64' || state.value.type !== 'terms') throw new Error('no state')
  const fields = state.value.value
  const error = fields[0]
  const condition = error?.type === 'described' && error.value.type === 'terms' ? error.value.value[0] : undefined
  return { code: Number(state.descriptor.value), fields, condition: condition?.type === 'symbol' ? condition.value : undefined }
}

const within = (id: Buffer, outcome?: Term): Term => described(0x34, list([binary(id), outcome]))

async function begun(node: FakeNode): Promise<Client> {
  const client = new Client(await node.begun())
  await client.coordinate()
  return client
}

async function texts(node: FakeNode, address: string, count: number): Promise<unknown[]> {
  const inbox = await openReceiver(await node.rhea(), address)
  const bodies: unknown[] = []
  for (let i = 0; i < count; i++) {
    const { message, delivery } = await inbox.next()
    bodies.push(message?.body)
    delivery?.accept()
  }
  const probe = await openSender(await node.rhea(), address)
  await sendRhea(probe, { body: 'probe' })
  const last = await inbox.next()
  last.delivery?.accept()
  if (last.message?.body !== 'probe') throw new Error(`more is there: ${String(last.message?.body)}`)
  return bodies
}

describe('a coordinator', () => {
  it('says what it can do', async () => {
    const node = await startNode()
    const client = new Client(await node.begun())
    const fields = await client.coordinate()
    expect(fields[6]).toMatchObject({ descriptor: { value: 0x30n } })
    expect(JSON.stringify(fields[6], (_, value: unknown) => (typeof value === 'bigint' ? Number(value) : value))).toContain('amqp:local-transactions')
  })

  it('gives each transaction an id of its own', async () => {
    const client = await begun(await startNode())
    const ids = [await client.declare(), await client.declare()]
    expect(ids[0].equals(ids[1])).toBe(false)
    expect((await client.discharge(ids[1])).code).toBe(0x24)
    expect((await client.discharge(ids[1])).condition).toBe('amqp:transaction:unknown-id')
    expect((await client.discharge(ids[0], true)).code).toBe(0x24)
  })

  it.each([
    ['a global id', command(0x31, [binary(Buffer.from('xid'))]), 'amqp:not-implemented'],
    ['another command', command(0x35, []), 'amqp:invalid-field'],
    ['a text', body('declare'), 'amqp:invalid-field'],
    ['what is no message', Buffer.from([0x00, 0x53, 0x77]), 'amqp:decode-error'],
    ['an id of nobody', command(0x32, [binary(Buffer.from('none')), boolean(false)]), 'amqp:transaction:unknown-id'],
    ['no id', command(0x32, []), 'amqp:transaction:unknown-id'],
  ])('refuses %s', async (_, payload, condition) => {
    const client = await begun(await startNode())
    const answer = await client.stateOf(client.transfer(0, payload))
    expect([answer.code, answer.condition]).toEqual([0x25, condition])
    expect((await client.discharge(await client.declare())).code).toBe(0x24)
  })

  it('ends a link whose commands are settled, since nobody would hear its answer', async () => {
    const client = await begun(await startNode())
    client.transfer(0, command(0x31, []), undefined, true)
    expect(Raw.condition(await client.raw.next(DETACH))).toBe('amqp:invalid-field')
  })

  it('ends a link whose source knows no rejected, with what it could not do', async () => {
    const client = await begun(await startNode())
    const source = described(
      0x28,
      list([text('me'), ...Array.from({ length: 8 }, () => undefined), symbols(['amqp:accepted:list', 'amqp:declared:list'])]),
    )
    await client.coordinate(5, source)
    await client.declare(5)
    client.transfer(5, command(0x32, [binary(Buffer.from('none')), boolean(false)]))
    expect(Raw.condition(await client.raw.next(DETACH))).toBe('amqp:transaction:unknown-id')
  })

  it('refuses one transaction too many', async () => {
    const client = await begun(await startNode({}, { limits: { transactionsPerSession: 1 } }))
    await client.declare()
    const answer = await client.stateOf(client.transfer(0, command(0x31, [])))
    expect(answer.condition).toBe('amqp:resource-limit-exceeded')
  })
})

describe('transfers in a transaction', () => {
  it('are answered in its state, seen with its discharge, and not at all when it fails', async () => {
    const node = await startNode()
    const client = await begun(node)
    await client.send(1, 'a')
    for (const fail of [true, false]) {
      const id = await client.declare()
      for (const name of ['1', '2']) {
        const answer = await client.stateOf(client.transfer(1, body(`${fail ? 'undone' : 'done'} ${name}`), within(id)))
        expect(answer.code).toBe(0x34)
        expect(answer.fields[0]).toMatchObject({ value: id })
        expect(answer.fields[1]).toMatchObject({ descriptor: { value: 0x24n } })
      }
      client.transfer(1, body(`${fail ? 'undone' : 'done'} settled`), within(id), true)
      expect((await client.discharge(id, fail)).code).toBe(0x24)
    }
    await node.restart()
    expect(await texts(node, 'a', 3)).toEqual(['done 1', 'done 2', 'done settled'])
  })

  it('that are to be sent again and again are so from its discharge on', async () => {
    const node = await startNode()
    const client = await begun(node)
    await client.send(1, 'a')
    for (const fail of [true, false]) {
      const id = await client.declare()
      const again = new TermWriter()
        .composite(0x70, [boolean(true)])
        .term(
          described(
            0x72,
            pairs([
              [symbol('x-opt-delivery-period'), { type: 'int64', value: 1_000n }],
              [symbol('x-opt-delivery-repeat'), uint(1)],
            ]),
          ),
        )
        .term(described(0x77, text(fail ? 'undone' : 'done')))
        .bytes()
      const answer = await client.stateOf(client.transfer(1, again, within(id)))
      expect([answer.code, answer.fields[1]]).toMatchObject([0x34, { descriptor: { value: 0x24n } }])
      expect((await client.discharge(id, fail)).code).toBe(0x24)
    }
    await node.restart()
    for (let second = 0; second < 3; second++) {
      node.core.clock.advance(1_001)
      for (let i = 0; i < 3; i++) await node.core.settled()
    }
    expect(await texts(node, 'a', 2)).toEqual(['done', 'done'])
  })

  it('may be of several senders and sessions', async () => {
    const node = await startNode()
    const client = await begun(node)
    await client.send(1, 'a')
    await client.send(2, 'topic://t')
    const id = await client.declare()
    const inbox = await openReceiver(await node.rhea(), 'topic://t')
    client.transfer(1, body('to a'), within(id))
    await client.stateOf(client.transfer(2, body('to t'), within(id)))
    expect(inbox.contexts).toEqual([])
    await client.discharge(id)
    expect((await inbox.next()).message?.body).toBe('to t')
    expect(await texts(node, 'a', 1)).toEqual(['to a'])
  })

  it('of an id that is none are rejected', async () => {
    const client = await begun(await startNode())
    await client.send(1, 'a')
    expect((await client.stateOf(client.transfer(1, body('x'), within(Buffer.from('nope'))))).condition).toBe('amqp:transaction:unknown-id')
  })

  it.each([false, true])('of which one is refused (settled: %s) roll it back', async (settled) => {
    const node = await startNode()
    const client = await begun(node)
    await client.send(1, 'a')
    const id = await client.declare()
    await client.stateOf(client.transfer(1, body('good'), within(id)))
    client.transfer(1, Buffer.from([1, 2, 3]), within(id), settled)
    const answer = await client.discharge(id)
    expect(answer.condition).toBe('amqp:transaction:rollback')
    expect(await texts(node, 'a', 0)).toEqual([])
  })

  describe('of which one is half sent', () => {
    const halfSent = async () => {
      const node = await startNode()
      const client = await begun(node)
      await client.send(1, 'a')
      const id = await client.declare()
      client.transfer(1, body('whole'), within(id))
      client.half(1, body('half'), within(id))
      return { node, client, id }
    }

    it('end the coordinator with their discharge: amqp:transaction:rollback', async () => {
      const { node, client, id } = await halfSent()
      client.transfer(0, command(0x32, [binary(id), boolean(false)]))
      expect(Raw.condition(await client.raw.next(DETACH))).toBe('amqp:transaction:rollback')
      client.raw.socket.destroy()
      expect(await texts(node, 'a', 0)).toEqual([])
    })

    it('may be rolled back', async () => {
      const { node, client, id } = await halfSent()
      expect((await client.discharge(id, true)).code).toBe(0x24)
      client.raw.socket.destroy()
      expect(await texts(node, 'a', 0)).toEqual([])
    })
  })

  it('may be half sent and given up, or finished, before its discharge', async () => {
    const node = await startNode()
    const client = await begun(node)
    await client.send(1, 'a')
    const id = await client.declare()
    client.half(1, body('given up'), within(id))
    client.raw.send(0, TRANSFER, [
      uint(1),
      undefined,
      undefined,
      undefined,
      undefined,
      boolean(false),
      undefined,
      undefined,
      undefined,
      boolean(true),
    ])
    const whole = body('in two parts')
    client.half(1, whole.subarray(0, 5), within(id))
    client.raw.send(0, TRANSFER, [uint(1)], whole.subarray(5))
    expect((await client.discharge(id)).code).toBe(0x24)
    expect(await texts(node, 'a', 1)).toEqual(['in two parts'])
  })

  it('that are large hold its discharge up', async () => {
    const node = await startNode({ frameBytesMax: 1_000_000 })
    const client = await begun(node)
    await client.send(1, 'a')
    const id = await client.declare()
    client.transfer(1, body('x'.repeat(700_000)), within(id))
    client.transfer(1, body('small'), within(id))
    expect((await client.discharge(id)).code).toBe(0x24)
    const bodies = await texts(node, 'a', 2)
    expect(bodies.map((each) => String(each).length)).toEqual([700_000, 5])
  })

  it('vanish with their coordinator, and with their connection', async () => {
    const node = await startNode()
    const client = await begun(node)
    await client.coordinate(5)
    await client.send(1, 'a')
    const [first, second] = [await client.declare(0), await client.declare(5)]
    await client.stateOf(client.transfer(1, body('first'), within(first)))
    await client.stateOf(client.transfer(1, body('second'), within(second)))
    client.raw.send(0, DETACH, [uint(0), boolean(true)])
    await client.raw.next(DETACH)
    expect((await client.discharge(first, false, 5)).condition).toBe('amqp:transaction:unknown-id')
    client.raw.socket.destroy()
    expect(await texts(node, 'a', 0)).toEqual([])
  })

  it('of one that is too old are rolled back: amqp:transaction:timeout', async () => {
    const node = await startNode({}, { limits: { transactionAgeMs: 5_000 } })
    const client = await begun(node)
    await client.send(1, 'a')
    const id = await client.declare()
    await client.stateOf(client.transfer(1, body('late'), within(id)))
    node.core.clock.advance(10_000)
    expect((await client.discharge(id)).condition).toBe('amqp:transaction:timeout')
    expect(await texts(node, 'a', 0)).toEqual([])
  })
})

describe('dispositions in a transaction', () => {
  async function withMessages(count: number): Promise<{ node: FakeNode; client: Client }> {
    const node = await startNode()
    const sender = await openSender(await node.rhea(), 'a')
    sender.setMaxListeners(0)
    await Promise.all(Array.from({ length: count }, (_, i) => sendRhea(sender, { body: `m${i}`, durable: true })))
    const client = await begun(node)
    await client.receive(1, 'a', count)
    for (let i = 0; i < count; i++) await client.raw.next(TRANSFER)
    return { node, client }
  }

  it('settle with its discharge', async () => {
    const { node, client } = await withMessages(4)
    const id = await client.declare()
    client.settle(0, 1, within(id, ACCEPTED))
    client.settle(3, 3, within(id, ACCEPTED), false)
    expect((await client.discharge(id)).code).toBe(0x24)
    // proton settles what it did not when it hears of the discharge.
    client.settle(3, 3, within(id, ACCEPTED))
    client.raw.socket.destroy()
    expect(await texts(node, 'a', 1)).toEqual(['m2'])
  })

  it('that were settled come again when it fails, counted; the others are the client’s as before', async () => {
    const { node, client } = await withMessages(3)
    const id = await client.declare()
    client.settle(0, 0, within(id, ACCEPTED))
    client.settle(1, 1, within(id, ACCEPTED), false)
    expect((await client.discharge(id, true)).code).toBe(0x24)
    client.flow(1, 100)
    const again = await client.raw.next(TRANSFER)
    expect(again.fields[1]).toMatchObject({ value: 3 })
    client.settle(1, 1, ACCEPTED)
    client.settle(2, 2, ACCEPTED)
    client.settle(3, 3, described(0x26, list([])))
    const inbox = await openReceiver(await node.rhea(), 'a')
    client.raw.socket.destroy()
    const { message } = await inbox.next()
    expect(message).toMatchObject({ body: 'm0', delivery_count: 1, first_acquirer: false })
  })

  it('in one that is lost stay in hand until its end: no client has a whole queue given to it', async () => {
    const node = await startNode({ unsettledMax: 3 }, { limits: { transactionMessages: 2 } })
    const other = await openSender(await node.rhea(), 'a')
    for (let i = 0; i < 12; i++) await sendRhea(other, { body: `m${i}` })
    const client = await begun(node)
    await client.receive(1, 'a', 1_000)
    const id = await client.declare()
    for (let i = 0; i < 3; i++) await client.raw.next(TRANSFER)
    client.settle(0, 2, within(id, ACCEPTED))
    // The answer to a flow comes behind what could be given.
    client.raw.send(0, FLOW, [uint(0), uint(10_000), uint(0), uint(10_000), undefined, undefined, undefined, undefined, undefined, boolean(true)])
    await client.raw.next(FLOW)
    await node.core.settled()
    expect(client.raw.frames.filter(({ code }) => code === TRANSFER)).toHaveLength(0)
    expect((await client.discharge(id)).condition).toBe('amqp:transaction:rollback')
    client.raw.socket.destroy()
    const again = await texts(node, 'a', 12)
    expect(new Set(again).size).toBe(12)
  })

  it.each([0, 60])('give a receiver whose link lives %i seconds longer than its connection room for more', async (timeout) => {
    const node = await startNode({ prefetchBytes: 2048 })
    const count = 6
    const sender = await openSender(await node.rhea(), 'a')
    for (let i = 0; i < count; i++) await sendRhea(sender, { body: `${i}`.padEnd(1000, '.') })
    const client = await begun(node)
    await client.receive(1, 'a', 100, timeout)
    for (let i = 0; i < count; i++) {
      await client.raw.next(TRANSFER)
      const id = await client.declare()
      client.settle(i, i, within(id, ACCEPTED))
      expect((await client.discharge(id, i === 0)).code).toBe(0x24)
    }
    // The first was rolled back.
    await client.raw.next(TRANSFER)
  })

  it('that reject or release do so with its discharge', async () => {
    const { node, client } = await withMessages(3)
    const id = await client.declare()
    client.settle(0, 0, within(id, described(0x25, list([]))))
    client.settle(1, 1, within(id, described(0x26, list([]))))
    client.settle(2, 2, within(id, described(0x27, list([boolean(true), boolean(true)]))))
    const dead = await openReceiver(await node.rhea(), 'ActiveMQ.DLQ')
    expect((await client.discharge(id)).code).toBe(0x24)
    expect([(await dead.next()).message?.body, (await dead.next()).message?.body].sort()).toEqual(['m0', 'm2'])
    client.raw.socket.destroy()
    expect(await texts(node, 'a', 1)).toEqual(['m1'])
  })

  it('survive their link, and their node if they were discharged', async () => {
    const { node, client } = await withMessages(2)
    const [done, open] = [await client.declare(), await client.declare()]
    client.settle(0, 0, within(done, ACCEPTED))
    client.settle(1, 1, within(open, ACCEPTED))
    client.raw.send(0, DETACH, [uint(1), boolean(true)])
    await client.raw.next(DETACH)
    expect((await client.discharge(done)).code).toBe(0x24)
    await node.restart()
    expect(await texts(node, 'a', 1)).toEqual(['m1'])
  })

  it('of an id that is none end the session', async () => {
    const { client } = await withMessages(1)
    client.settle(0, 0, within(Buffer.from('nope'), ACCEPTED))
    expect(Raw.condition(await client.raw.next(END))).toBe('amqp:transaction:unknown-id')
  })

  it('twice, in two transactions, roll the second back', async () => {
    const { node, client } = await withMessages(1)
    const [first, second] = [await client.declare(), await client.declare()]
    client.settle(0, 0, within(first, ACCEPTED), false)
    client.settle(0, 0, within(second, ACCEPTED), false)
    expect((await client.discharge(second)).condition).toBe('amqp:transaction:rollback')
    expect((await client.discharge(first)).code).toBe(0x24)
    expect(await texts(node, 'a', 0)).toEqual([])
  })

  it('over more than one turn may look through hold up what the client says next, and nothing else', async () => {
    const count = SHARE * 2 + 10
    const { node, client } = await withMessages(count)
    client.raw.send(0, DISPOSITION, [boolean(true), uint(0), uint(0), boolean(true), ACCEPTED])
    for (const fail of [true, true]) {
      const id = await client.declare()
      client.settle(0, count - 1, within(id, ACCEPTED), false)
      expect((await client.discharge(id, fail)).code).toBe(0x24)
    }
    // All of these are said in one breath: each finds what the one before it has left.
    const id = await client.declare()
    client.settle(0, count - 1, within(id, ACCEPTED), false)
    const discharge = client.transfer(0, command(0x32, [binary(id), boolean(true)]))
    client.settle(1, 1, described(0x27, list([boolean(true), boolean(true)])))
    client.settle(2, count - 2, ACCEPTED)
    client.settle(count - 1, count - 1, described(0x26, list([])))
    expect((await client.stateOf(discharge)).code).toBe(0x24)
    client.raw.socket.destroy()
    expect(await texts(node, 'a', 1)).toEqual([`m${count - 1}`])
  })

  it('come again in their order, however many turns it takes to give them back', async () => {
    const count = SHARE * 2 + 10
    const { node, client } = await withMessages(count)
    const id = await client.declare()
    client.settle(0, count - 1, within(id, ACCEPTED))
    client.flow(1, count * 2)
    const other = await openReceiver(await node.rhea(), 'b')
    let rolledBack = false
    const discharged = client.discharge(id, true).then(() => {
      rolledBack = true
    })
    // Others are served meanwhile.
    await sendRhea(await openSender(await node.rhea(), 'b'), { body: 'x' })
    await other.next()
    await discharged
    expect(rolledBack).toBe(true)
    const bodies: string[] = []
    while (bodies.length < count) bodies.push(/m\d+/.exec((await client.raw.next(TRANSFER)).payload.toString('latin1'))?.[0] ?? '')
    expect(bodies).toEqual(Array.from({ length: count }, (_, i) => `m${i}`))
  })

  it('give all back when the coordinator is detached behind them', async () => {
    const count = SHARE + 10
    const { node, client } = await withMessages(count)
    const id = await client.declare()
    client.settle(0, count - 1, within(id, ACCEPTED), false)
    client.raw.send(0, DETACH, [uint(0), boolean(true)])
    client.settle(0, count - 2, ACCEPTED)
    await client.raw.next(DETACH)
    await client.coordinate(7)
    expect((await client.discharge(id, false, 7)).condition).toBe('amqp:transaction:unknown-id')
    client.raw.socket.destroy()
    expect(await texts(node, 'a', 1)).toEqual([`m${count - 1}`])
  })
})

it('transactional acquisition ends its link: amqp:not-implemented', async () => {
  const node = await startNode()
  const client = await begun(node)
  await client.receive(1, 'a', 0)
  const id = await client.declare()
  client.flow(1, 10, pairs([[symbol('txn-id'), binary(id)]]))
  expect(Raw.condition(await client.raw.next(DETACH))).toBe('amqp:not-implemented')
  expect((await client.discharge(id)).code).toBe(0x24)
})
