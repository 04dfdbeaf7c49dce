// From the tables to cells: what a consumer sees of one row sent by a producer, the plain message and what each front end adds of itself filled in,
// in a form that is compared as it is. Nothing here comes from the broker.
import { decode, encode } from './clients/amqp-sections.ts'
import { bytesOf, type Endpoint, type FiveMessage, type FrontEnd, type Said, type Seen } from './notation.ts'
import { bodies } from './tables/bodies.ts'
import { fields } from './tables/fields.ts'
import { five } from './tables/mqtt5.ts'
import { propertyRows } from './tables/properties.ts'
import { type Cell, jms, PLAIN, type Row } from './tables/row.ts'
import type { RuleId } from './tables/rules.ts'

export const rows: readonly Row[] = [...fields, ...propertyRows, ...bodies].map(withFive)

/** The row with its column MQTT 5. */
function withFive(row: Row): Row {
  const column = five[row.name]
  if (column === undefined) throw new Error(`the row “${row.name}” has nothing in the column MQTT 5`)
  const { said, to, also } = column
  return { ...row, said: { ...row.said, ...(said === undefined ? {} : { mqtt5: said }) }, to: { ...also, ...row.to, mqtt5: to } }
}

export type Kind = 'queue' | 'topic'

export type Outcome =
  | Readonly<{ kind: 'unchanged' }>
  | Readonly<{ kind: 'crosses'; cell: Cell }>
  | Readonly<{ kind: 'unsaid'; rule: RuleId }>
  | Readonly<{ kind: 'refused'; rule: RuleId; answer: string }>

export function outcome(row: Row, from: FrontEnd, to: FrontEnd): Outcome {
  if (row.said[from] === undefined) return { kind: 'unsaid', rule: row.unsaid?.[from] ?? missing(row, from) }
  if (row.refused !== undefined) return { kind: 'refused', ...row.refused }
  if (from === to) return { kind: 'unchanged' }
  const cell = row.between?.[`${from} → ${to}`] ?? row.to[to]
  if (cell === undefined) throw new Error(`the row “${row.name}” does not say what becomes of it from ${from} to ${to}`)
  return { kind: 'crosses', cell }
}

function missing(row: Row, from: FrontEnd): RuleId {
  if (from === 'mqtt') return 'mqtt-says-payloads'
  if (from === 'mqtt5') return 'mqtt5-says'
  throw new Error(`the row “${row.name}” does not say why ${from} has no word for it`)
}

/** The whole of what is sent. */
export function message(row: Row, from: FrontEnd): Said {
  const { mqtt, amqp, stomp, mqtt5 } = row.said
  switch (from) {
    case 'mqtt5':
      return { mqtt5: { payload: PLAIN, ...mqtt5 } }
    case 'mqtt':
      return { mqtt: { payload: PLAIN, ...mqtt } }
    case 'amqp':
      return { amqp: { body: [{ data: PLAIN.slice(2) }], ...amqp } }
    case 'stomp':
      if (stomp?.body !== undefined) return { stomp }
      return { stomp: { headers: [...(stomp?.headers ?? []), ['content-length', '3']], body: PLAIN } }
  }
}

/** What a consumer of the same front end sees: `Arrived.exact`. */
export function unchanged(row: Row, from: FrontEnd): string {
  const { mqtt, amqp, stomp, mqtt5 } = message(row, from)
  if (mqtt5 !== undefined) return JSON.stringify(comparableFive({ ...mqtt5, qos: mqtt5.qos ?? 0, retain: false }))
  if (mqtt !== undefined) return `${mqtt.qos ?? 0} ${bytesOf(mqtt.payload ?? '').toString('hex')}`
  if (amqp !== undefined) return decode(encode(amqp)).bare
  // The libraries show one of equal headers; that all come is the business of unchanged.test.ts.
  return `${JSON.stringify([...new Map((stomp?.headers ?? []).toReversed())].toSorted())} ${bytesOf(stomp?.body ?? '').toString('hex')}`
}

/** What a consumer of another front end sees, to be compared with `comparable(arrived)`. */
export function crossed(row: Row, cell: Cell, from: FrontEnd, to: FrontEnd): object {
  const seen = cell.seen ?? {}
  const publisher = from === 'mqtt' || from === 'mqtt5' ? { qos: 0, ...row.said[from] } : undefined
  switch (to) {
    case 'mqtt5':
      return comparableFive({ payload: PLAIN, ...seen, qos: seen.qos ?? 0, retain: false })
    case 'mqtt':
      return { payload: bytesOf(seen.payload ?? PLAIN).toString('hex'), qos: seen.qos ?? 0, retain: false }
    case 'stomp': {
      const headers = new Map<string, string>([['priority', '4']])
      if (seen.payload === undefined) headers.set('content-length', '3')
      for (const [name, value] of seen.headers ?? []) headers.set(name, value)
      // MQTT's publishers say QoS with everything.
      if (publisher !== undefined) headers.set('ActiveMQ.MQTT.QoS', String(publisher.qos))
      return comparableStomp([...headers], seen.payload ?? PLAIN)
    }
    case 'amqp':
      return amqpOf(seen, publisher?.qos)
  }
}

function amqpOf(seen: Seen, qos: number | undefined): object {
  const annotations = { ...(seen.messageAnnotations ?? jms(3)), ...seen.messageAnnotations }
  return {
    durable: seen.durable ?? false,
    priority: seen.priority ?? 4,
    ttl: seen.ttl,
    deliveryAnnotations: seen.deliveryAnnotations ?? {},
    messageAnnotations: qos === undefined ? annotations : { ...annotations, 'x-opt-mqtt-qos': ['ubyte', qos] },
    properties: seen.properties ?? {},
    applicationProperties: seen.applicationProperties ?? {},
    body: seen.body ?? [{ data: PLAIN.slice(2) }],
    footer: seen.footer ?? {},
  }
}

/** What arrived, in the same form. */
export function comparable({ seen }: Readonly<{ seen: Seen }>, to: Endpoint): object {
  switch (to.frontEnd) {
    case 'mqtt5':
      return comparableFive(seen)
    case 'mqtt':
      return { payload: bytesOf(seen.payload ?? '').toString('hex'), qos: seen.qos, retain: seen.retain }
    case 'stomp':
      return comparableStomp(seen.headers ?? [], seen.payload ?? '')
    case 'amqp': {
      // Where it was sent is compared by itself.
      const { 'x-opt-to': _, ...deliveryAnnotations } = seen.deliveryAnnotations ?? {}
      // Some of its time has passed.
      const ttl = seen.ttl === undefined ? undefined : Math.ceil(seen.ttl / 60_000) * 60_000
      return { ...amqpOf({ ...seen, messageAnnotations: seen.messageAnnotations ?? {} }, undefined), deliveryAnnotations, ttl }
    }
  }
}

export function comparableFive({ payload = '', qos, retain, five: found = {} }: FiveMessage): object {
  const { format = false, contentType = '', responseTopic = '', correlation, expiry = 0, user = [] } = found
  return {
    payload: bytesOf(payload).toString('hex'),
    qos,
    retain,
    format,
    contentType,
    responseTopic,
    correlation: correlation === undefined ? 'none' : bytesOf(correlation).toString('hex'),
    // Some of its time has passed.
    expiry: Math.ceil(expiry / 60) * 60,
    user,
  }
}

function comparableStomp(headers: readonly (readonly [string, string])[], body: string): object {
  return { headers: Object.fromEntries(headers), body: bytesOf(body).toString('hex') }
}
