// Request and reply across every pair: the replier reads where to answer in its own words and copies the correlation id as it sees it; the requester
// gets its own back, of the type that it was. Where MQTT takes part both know the name beforehand.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Arrived, Client } from './clients/client.ts'
import { bytesOf, endpoints, type FrontEnd, frontEnds, nameOf, type Said, type Typed } from './notation.ts'
import { openStage, type Stage, spelled } from './stage.ts'
import { type ReplyRow, replyRows, replyRule } from './tables/replies.ts'

let stage: Stage
let numbers = 0
beforeAll(async () => {
  stage = await openStage()
})
afterAll(() => stage.stop())

const UUID: Typed = ['uuid', '00112233445566778899aabbccddeeff']
const ID = 'ID:AMQP_UUID:00112233-4455-6677-8899-aabbccddeeff'

/** What a client says of where to answer, and what correlates. */
function request(frontEnd: FrontEnd, replyTo: string): Said {
  return {
    mqtt: { payload: 'ping' },
    mqtt5: { payload: 'ping', five: { responseTopic: frontEnd === 'mqtt5' ? replyTo : 'x', correlation: 'c-5' } },
    amqp: { properties: frontEnd === 'amqp' ? { 'reply-to': ['string', replyTo], 'correlation-id': UUID } : {}, body: [{ data: '70696e67' }] },
    stomp: {
      headers: [
        ['reply-to', replyTo],
        ['correlation-id', 'c-7'],
      ],
      body: 'ping',
    },
  }
}

function replyToOf({ seen }: Arrived, frontEnd: FrontEnd): string | undefined {
  if (frontEnd === 'mqtt5') return seen.five?.responseTopic
  const found = frontEnd === 'amqp' ? seen.properties?.['reply-to']?.[1] : seen.headers?.find(([name]) => name === 'reply-to')?.[1]
  return found === undefined ? undefined : String(found)
}

/** With the correlation id as it was seen. */
function answer({ seen }: Arrived): Said {
  const correlation = seen.properties?.['correlation-id']
  return {
    mqtt: { payload: 'pong' },
    mqtt5: { payload: 'pong', five: seen.five?.correlation === undefined ? {} : { correlation: seen.five.correlation } },
    amqp: { properties: correlation === undefined ? {} : { 'correlation-id': correlation }, body: [{ data: '706f6e67' }] },
    stomp: { headers: seen.headers?.filter(([name]) => name === 'correlation-id') ?? [], body: 'pong' },
  }
}

function correlationOf({ seen }: Arrived, frontEnd: FrontEnd): unknown {
  if (frontEnd === 'mqtt5') return seen.five?.correlation === undefined ? undefined : bytesOf(seen.five.correlation).toString()
  return frontEnd === 'amqp' ? seen.properties?.['correlation-id'] : seen.headers?.find(([name]) => name === 'correlation-id')?.[1]
}

const OWN: Readonly<Record<FrontEnd, unknown>> = { mqtt: undefined, amqp: UUID, stomp: 'c-7', mqtt5: 'c-5' }

/** What the requester attaches to and what it says. */
async function openReplies(client: Client, row: ReplyRow, path: readonly string[]) {
  const { frontEnd } = client.endpoint
  if (!row.temporary) return await client.subscribe(spelled(frontEnd, row.kind, path))
  return await client.subscribe(frontEnd === 'stomp' ? `/temp-${row.kind}/${path.join('.')}` : '', { temporary: row.kind })
}

async function exchange(requester: Client, replier: Client, row: ReplyRow, by: 'queue' | 'topic') {
  const number = String(++numbers)
  const path = ['replies', number]
  const from = requester.endpoint.frontEnd
  const to = replier.endpoint.frontEnd
  const service = await replier.subscribe(spelled(to, by, ['service', number]))
  const replies = await openReplies(requester, row, path)
  const sent = await requester.send(spelled(from, by, ['service', number]), request(from, replies.address))
  const asked = await service.next(2000)
  if (asked === undefined) throw new Error(`the request was ${sent} and did not come`)
  const seen = replyToOf(asked, to)
  const target = replyRule(row, from, to) === undefined ? (seen ?? 'no reply-to') : spelled(to, row.kind, path)
  const answered = await replier.send(target, answer(asked))
  const got = await replies.next(2000)
  if (got === undefined) throw new Error(`the answer to ${target} was ${answered} and did not come`)
  await Promise.all([service.close(), replies.close()])
  return { seen, path, body: bodyOf(got, from), correlation: correlationOf(got, from) }
}

function bodyOf({ seen }: Arrived, frontEnd: FrontEnd): string {
  const [section] = seen.body ?? []
  if (frontEnd !== 'amqp') return Buffer.from((seen.payload ?? '').slice(2), 'hex').toString()
  return section === undefined
    ? ''
    : 'data' in section
      ? Buffer.from(section.data, 'hex').toString()
      : String('value' in section ? section.value[1] : '')
}

describe.each(replyRows)('an answer to $name', (row) => {
  for (const from of endpoints) {
    for (const to of endpoints) {
      const rule = replyRule(row, from.frontEnd, to.frontEnd)
      if (rule !== undefined && !rule.agreed) continue
      // Each front end asks and answers over WebSocket, and somebody over TCP is at the other end.
      if (from.transport === 'ws' && to.transport === 'ws') continue
      it.each(['queue', 'topic'] as const)(`${nameOf(from)} → ${nameOf(to)} and back, asked by a %s`, async (by) => {
        const requester = stage.clients[endpoints.indexOf(from)]
        const found = await exchange(requester, stage.clients[endpoints.indexOf(to)], row, by)
        expect(found.body).toBe('pong')
        // Where one of both is MQTT, nothing but the payload comes back.
        expect(found.correlation).toEqual(rule === undefined ? OWN[from.frontEnd] : undefined)
        const named = rule === undefined && !row.temporary ? spelled(to.frontEnd, row.kind, found.path) : found.seen
        expect(found.seen).toBe(named)
      })
    }
  }
})

describe('an answer that names the request by its message id, as JMS clients do', () => {
  it.each(frontEnds.filter((frontEnd) => frontEnd !== 'mqtt' && frontEnd !== 'mqtt5'))('amqp → %s and back', async (frontEnd) => {
    const replier = stage.clients.find(({ endpoint }) => endpoint.frontEnd === frontEnd)
    const [, , requester] = stage.clients
    if (replier === undefined) throw new Error('no client')
    const service = await replier.subscribe(spelled(frontEnd, 'queue', ['jms', frontEnd]))
    const replies = await requester.subscribe('', { temporary: 'queue' })
    const properties = { 'message-id': UUID, 'reply-to': ['string', replies.address] } as const
    await requester.send(`queue://jms.${frontEnd}`, { amqp: { properties, body: [{ data: '61' }] } })
    const asked = await service.next()
    if (asked === undefined) throw new Error('no request')
    const id = asked.seen.headers?.find(([name]) => name === 'message-id')?.[1] ?? ''
    const stomp = frontEnd === 'stomp'
    expect(stomp ? id : asked.seen.properties?.['message-id']).toEqual(stomp ? ID : UUID)
    await replier.send(replyToOf(asked, frontEnd) ?? '', {
      amqp: { properties: { 'correlation-id': asked.seen.properties?.['message-id'] ?? ['null', null] }, body: [] },
      stomp: { headers: [['correlation-id', id]], body: 'x' },
    })
    expect((await replies.next())?.seen.properties?.['correlation-id']).toEqual(UUID)
    await Promise.all([service.close(), replies.close()])
  })
})
