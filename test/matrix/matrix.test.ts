// The matrix: every front end over every transport as producer, every one as consumer, every row of the tables, by a topic and by queues. All messages
// are sent first, one after the other, so that losses are counted for one at a time; each test then judges one cell.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Arrived } from './clients/client.ts'
import { comparable, crossed, type Kind, message, outcome, rows, unchanged } from './cells.ts'
import { endpoints, frontEnds, nameOf } from './notation.ts'
import { openStage, type Stage, spelled } from './stage.ts'

type Observed = Readonly<{ answer: string; arrived: ReadonlyMap<string, Arrived | undefined>; lost: readonly string[] }>

const TOPIC = ['matrix', 'topic']
const kinds: readonly Kind[] = ['topic', 'queue']
const observed = new Map<string, Observed>()
const keyOf = (kind: Kind, from: string, row: string): string => `${kind} ${from} ${row}`
let stage: Stage

/** Queues are one for each consumer. */
const pathOf = (kind: Kind, consumer: string): readonly string[] => (kind === 'topic' ? TOPIC : ['matrix', consumer.replace(/[()]/g, '-')])

/** Who was once waited for in vain is not waited for again: his cells fail, and the others are still judged. */
const silent = new Set<string>()

/** Undefined: it did not come. */
async function inTime<T>(name: string, ask: () => Promise<T>): Promise<T | undefined> {
  if (silent.has(name)) return undefined
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => {
      silent.add(name)
      resolve(undefined)
    }, WAIT_MS)
  })
  const found = await Promise.race([ask(), late])
  clearTimeout(timer)
  return found
}

const WAIT_MS = 3000

beforeAll(async () => {
  stage = await openStage()
  for (const kind of kinds) {
    const inboxes = await Promise.all(
      stage.clients.map(async (client) => {
        const name = nameOf(client.endpoint)
        return { name, inbox: await inTime(name, () => client.subscribe(spelled(client.endpoint.frontEnd, kind, pathOf(kind, name)))) }
      }),
    )
    for (const producer of stage.clients) {
      const { frontEnd } = producer.endpoint
      for (const row of rows) {
        if (row.said[frontEnd] === undefined || row.refused !== undefined) continue
        const said = message(row, frontEnd)
        const destinations = new Set(inboxes.map(({ name }) => spelled(frontEnd, kind, pathOf(kind, name))))
        const answers = await Promise.all(
          [...destinations].map((destination) => inTime(nameOf(producer.endpoint), () => producer.send(destination, said))),
        )
        const answer = [...new Set(answers)].map((each) => each ?? 'no answer').join()
        const arrived = await Promise.all(
          inboxes.map(async ({ name, inbox }) => {
            const came = answer === 'accepted' ? await inTime(name, async () => inbox?.next(2 * WAIT_MS)) : undefined
            return [name, came] as const
          }),
        )
        observed.set(keyOf(kind, nameOf(producer.endpoint), row.name), { answer, arrived: new Map(arrived), lost: stage.losses() })
      }
    }
    for (const { name, inbox } of inboxes) await inTime(name, async () => inbox?.close())
  }
}, 60_000)

afterAll(() => inTime('the stage', () => stage.stop()))

describe.each(kinds)('by a %s', (kind) => {
  for (const from of endpoints) {
    for (const to of endpoints) {
      for (const row of rows) {
        const expected = outcome(row, from.frontEnd, to.frontEnd)
        if (expected.kind === 'unsaid' || expected.kind === 'refused') continue
        it(`${nameOf(from)} → ${nameOf(to)}: ${row.name}`, () => {
          const sent = observed.get(keyOf(kind, nameOf(from), row.name))
          const arrived = sent?.arrived.get(nameOf(to))
          expect(sent?.answer).toBe('accepted')
          if (arrived === undefined) throw new Error('nothing came')
          // AMQP has no place for where it was sent between its own, and none beside its sender's delivery annotations.
          const destination = to.frontEnd === 'amqp' && arrived.destination === '' ? '' : spelled(to.frontEnd, kind, pathOf(kind, nameOf(to)))
          const unaltered = expected.kind === 'unchanged'
          const found = unaltered ? arrived.exact : comparable(arrived, to)
          expect({ destination: arrived.destination, found }).toEqual({
            destination,
            found: unaltered ? unchanged(row, from.frontEnd) : crossed(row, expected.cell, from.frontEnd, to.frontEnd),
          })
        })
      }
    }
    for (const row of rows) {
      if (row.said[from.frontEnd] === undefined || row.refused !== undefined) continue
      it(`${nameOf(from)}, what is counted as lost: ${row.name}`, () => {
        // Of a topic each dialect makes one copy for all, of queues one for each.
        const copies = kind === 'topic' ? 1 : 2
        const expected = frontEnds.flatMap((to) => {
          const cell = outcome(row, from.frontEnd, to)
          const lost = cell.kind === 'crosses' ? (cell.cell.lost ?? []) : []
          return Array.from({ length: copies }, () => lost.map((field) => `${from.frontEnd} to ${to}: ${field}`)).flat()
        })
        expect(observed.get(keyOf(kind, nameOf(from), row.name))?.lost).toEqual(expected.sort())
      })
    }
  }
})

// Last: STOMP answers by ERROR, which is the end of the connection.
describe('what is refused', () => {
  for (const row of rows.filter(({ refused }) => refused !== undefined)) {
    for (const client of endpoints) {
      if (row.said[client.frontEnd] === undefined) continue
      it(`${nameOf(client)}: ${row.name}`, async () => {
        const producer = stage.clients.find(({ endpoint }) => endpoint === client)
        const answer = await producer?.send(spelled(client.frontEnd, 'topic', TOPIC), message(row, client.frontEnd))
        expect(answer).toContain(row.refused?.answer)
      })
    }
  }
})
