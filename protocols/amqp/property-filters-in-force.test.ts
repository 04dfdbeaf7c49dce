// Filters of properties on a running broker: rhea asks, and is given what it asked for; bytes of the attach and its answer.
import rhea from 'rhea'
import { connect as connectTcp } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { addressTerm, openReceiver, openSender, type Raw, sendRhea, startNode, stopNodes, told } from './fake-node.ts'
import { boolean, list, pairs, symbol, type Term, text, uint } from './term.ts'

afterEach(stopNodes)

const { types } = rhea
const properties = (fields: object) => ({ props: types.wrap_described(types.wrap_symbolic_map(fields), 0x173) })
const application = (fields: object) => ({ app: types.wrap_described(types.wrap_map(fields), 'amqp:application-properties-filter') })
const selector = (selected: string) => ({ 'jms-selector': types.wrap_described(selected, 'apache.org:selector-filter:string') })
const noLocal = { 'no-local': types.wrap_described([], 'apache.org:no-local-filter:list') }
const from = (address: string, filter: object, more: object = {}) => ({ source: { address, filter, ...more } }) as never
const answered = (inbox: { receiver: unknown }) => (inbox.receiver as { source: { filter?: Record<string, unknown>; capabilities?: unknown } }).source

describe('a filter of properties', () => {
  it('takes what it matches of a queue, and is named in the answer; others take the rest', async () => {
    const node = await startNode()
    const connection = await node.rhea()
    const news = await openReceiver(connection, from('a', properties({ subject: '&p:new', 'message-id': types.wrap_ulong(2) })))
    const red = await openReceiver(connection, from('a', { ...application({ color: 'red' }), ...selector('size > 1') }))
    expect([news, red].map((inbox) => Object.keys(answered(inbox).filter ?? {}))).toEqual([['props'], ['jms-selector', 'app']])
    const sender = await openSender(connection, 'a')
    for (const id of [1, 2]) await sendRhea(sender, { body: `new ${id}`, subject: 'new order', message_id: types.wrap_ulong(id) as never })
    for (const size of [1, 2]) await sendRhea(sender, { body: `red ${size}`, application_properties: { color: 'red', size } })
    expect((await news.next()).message?.body).toBe('new 2')
    expect((await red.next()).message?.body).toBe('red 2')
    const rest = await openReceiver(connection, 'a')
    expect([(await rest.next()).message?.body, (await rest.next()).message?.body]).toEqual(['new 1', 'red 1'])
  })

  it('takes what it matches of what was on the queue before', async () => {
    const node = await startNode()
    const connection = await node.rhea()
    const sender = await openSender(connection, 'a')
    for (const n of [1, 2, 3]) await sendRhea(sender, { body: n, correlation_id: `c-${n}`, durable: true })
    await node.restart()
    const inbox = await openReceiver(await node.rhea(), from('a', properties({ 'correlation-id': 'c-2' })))
    expect((await inbox.next()).message?.body).toBe(2)
  })

  it('chooses what comes from a topic, with a selector and no-local', async () => {
    const node = await startNode()
    const [own, other] = [await node.rhea(), await node.rhea()]
    const filter = { ...noLocal, ...application({ kind: '&s:b' }), ...selector('n < 3') }
    const inbox = await openReceiver(own, from('topic://news', filter, { capabilities: ['AMQP_FILTEX_PROP_V1_0', 'of-nobody'] }))
    expect(Object.keys(answered(inbox).filter ?? {}).toSorted()).toEqual(['app', 'jms-selector', 'no-local'])
    expect(answered(inbox).capabilities).toEqual(['AMQP_FILTEX_PROP_V1_0'])
    for (const connection of [own, other]) {
      const sender = await openSender(connection, 'topic://news')
      for (const [n, kind] of ['ab', 'ba', 'bb', 'bb'].entries())
        await sendRhea(sender, { body: connection === own ? 'own' : kind, application_properties: { kind, n } })
    }
    expect([(await inbox.next()).message?.body, (await inbox.next()).message?.body]).toEqual(['ab', 'bb'])
    await sendRhea(await openSender(other, 'topic://news'), { body: 'last', application_properties: { kind: 'b', n: 0 } })
    expect((await inbox.next()).message?.body).toBe('last')
  })

  it('chooses what is browsed, and leaves it', async () => {
    const node = await startNode()
    const connection = await node.rhea()
    const sender = await openSender(connection, 'a')
    for (const n of [0, 1, 2]) await sendRhea(sender, { body: n, group_id: `g${n}` })
    const looker = await openReceiver(connection, from('a', properties({ 'group-id': 'g1' }), { distribution_mode: 'copy' }))
    expect((await looker.next()).message?.body).toBe(1)
    expect((await (await openReceiver(connection, 'a')).next()).message?.body).toBe(0)
  })

  it('reads what came by STOMP as AMQP would have it', async () => {
    const node = await startNode()
    const filter = { ...properties({ subject: 'new', 'correlation-id': types.wrap_ulong(7) }), ...application({ color: 'red' }) }
    const inbox = await openReceiver(await node.rhea(), from('a', filter))
    const socket = connectTcp(node.ports.stomp, '127.0.0.1')
    const send = (id: string, color: string) =>
      `SEND\ndestination:/queue/a\ntype:new\ncorrelation-id:ID\\cAMQP_ULONG\\c${id}\ncolor:${color}\n\n${id} ${color}\0`
    socket.write(`CONNECT\naccept-version:1.2\nhost:x\n\n\0${send('7', 'blue')}${send('8', 'red')}${send('7', 'red')}`)
    expect(String((await inbox.next()).message?.body)).toBe('7 red')
    socket.destroy()
  })

  it('of a durable subscription stays over a restart, and another one makes it another subscription', async () => {
    const node = await startNode()
    const attach = async (filter: object) => {
      const connection = await node.rhea({ container_id: 'app' })
      const source = { address: 'news', durable: 2, expiry_policy: 'never', capabilities: ['topic'], filter }
      return await openReceiver(connection, { name: 'sub', source } as never)
    }
    const away = async (inbox: Awaited<ReturnType<typeof attach>>): Promise<void> => {
      inbox.receiver.connection.close()
      await told(inbox.receiver.connection, 'connection_close')
    }
    const send = async (n: number, color: string): Promise<void> => {
      const sender = await openSender(await node.rhea(), 'topic://news')
      await sendRhea(sender, { body: `${n} ${color}`, subject: 'x', application_properties: { n, color }, durable: true })
    }
    const wanted = { ...properties({ subject: 'x' }), ...application({ color: 'red', n: types.wrap_int(1) }) }
    await away(await attach(wanted))
    await node.restart()
    await send(1, 'blue')
    await send(1, 'red')
    // The same map, in another order and with another integer type.
    const same = await attach({ ...application({ n: types.wrap_long(1), color: 'red' }), ...properties({ subject: 'x' }) })
    expect((await same.next()).message?.body).toBe('1 red')
    await away(same)
    const other = await attach(application({ n: 2 }))
    await send(1, 'red')
    await send(2, 'red')
    expect((await other.next()).message?.body).toBe('2 red')
  })

  it.each([
    ['has a list', application({ a: [1] }), 'not simple'],
    ['names no property', properties({ priority: 4 }), '"priority"'],
    ['has a modifier that there is not', properties({ subject: '&x:' }), '&p:'],
  ])('that %s is refused, and nothing is made for it', async (_, filter, sentence) => {
    const node = await startNode()
    const receiver = (await node.rhea()).open_receiver(from('topic://a', filter))
    const error = (await told(receiver, 'receiver_close')).receiver?.error
    expect(error).toMatchObject({ condition: 'amqp:invalid-field' })
    expect(String((error as { description: string }).description)).toContain(sentence)
    expect(node.core.core.figures().queues).toBe(0)
  })
})

describe('the answer to an attach', () => {
  /** A filter of properties by number and one by name, and one that nobody knows, in the bytes of the specification's encodings. */
  const known = [
    [symbol('a'), described({ type: 'uint64', value: 0x173n }, pairs([[symbol('subject'), text('&s:x')]]))],
    [symbol('b'), described(symbol('amqp:application-properties-filter'), pairs([[text('n'), uint(7)]]))],
  ] as const
  const unknown = [symbol('c'), described(symbol('amqp:header-filter'), pairs([[symbol('priority'), uint(4)]]))] as const

  it('has the filters that are in force as the client wrote them, and no others', async () => {
    const node = await startNode()
    const raw = await node.begun()
    attachWith(raw, [...known, unknown])
    const { fields } = await raw.next(0x12)
    expect(filterOf(fields[5])).toEqual({ type: 'pairs', value: known })
    const sender = await openSender(await node.rhea(), 'a')
    for (const n of [6, 7]) await sendRhea(sender, { body: n, subject: 'ax', application_properties: { n } })
    raw.send(0, 0x13, [uint(0), uint(1000), uint(0), uint(1000), uint(0), uint(0), uint(2)])
    const { payload } = await raw.next(0x14)
    expect(rhea.message.decode(payload)).toMatchObject({ body: 7 })
  })

  it('has none if none is', async () => {
    const node = await startNode()
    const raw = await node.begun()
    attachWith(raw, [unknown])
    const { fields } = await raw.next(0x12)
    expect(filterOf(fields[5])).toEqual({ type: 'null' })
  })

  function described(descriptor: Term, value: Term): Term {
    return { type: 'described', descriptor, value }
  }

  function attachWith(raw: Raw, filters: readonly (readonly [Term, Term])[]): void {
    const source = described({ type: 'uint64', value: 0x28n }, list([text('a'), ...Array<undefined>(6).fill(undefined), pairs(filters)]))
    raw.send(0, 0x12, [text('r'), uint(0), boolean(true), undefined, undefined, source, addressTerm(0x29, 'me')])
  }

  function filterOf(source: Term | undefined): Term | undefined {
    return source?.type === 'described' && source.value.type === 'terms' ? source.value.value[7] : undefined
  }
})
