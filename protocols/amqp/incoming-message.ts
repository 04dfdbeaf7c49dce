// A message as it came in by AMQP → the core's. Hot: sections are found, not read, but for the header and a few fields.
//
//     head   delivery annotations, message annotations, properties, application properties, as they came
//     body   body sections and footer, as they came
//
// The header is the broker's to change (part 3.2.1) and lives in the message's own fields; on the way out it is written anew.
import type { Message, Plan } from '../../src/api.ts'
import { planOf } from '../shared/plan.ts'
import type { TermReader } from './reader.ts'
import {
  annotation,
  DATA,
  FOOTER,
  HEADER,
  MESSAGE_ANNOTATIONS,
  PROPERTIES,
  readHeader,
  readRouting,
  type Section,
  splitSections,
} from './sections.ts'
import type { Term } from './term.ts'

export const DIALECT = 'amqp'

export type Incoming = Readonly<{
  message: Message
  /** The property `to`: where a message of an anonymous sender goes. */
  to: string | undefined
  /** The annotation x-opt-jms-dest, if there is one: kind of `to`. */
  toKind: number | undefined
  retain: 'no' | 'set' | 'clear'
  /** It is to be sent again and again. */
  plan: Plan | undefined
}>

/** `reader` is over the message. Throws `DecodeFault` when it is none. */
export function readMessage(reader: TermReader, sectionsMax: number, wallMs: number): Incoming {
  const { buffer: bytes, position: start, end } = reader
  const sections = splitSections(reader, sectionsMax)
  let durable = false
  let priority = 4
  let ttlMs: number | undefined
  let headAt = start
  let bodyAt = end
  let annotations
  let routing
  for (const section of sections) {
    if (section.code === HEADER) {
      ;({ durable, priority, ttlMs } = readHeader(reader, bytes, section))
      headAt = section.end
    } else if (section.code === MESSAGE_ANNOTATIONS) annotations = section
    else if (section.code === PROPERTIES) routing = readRouting(reader, bytes, section)
    else if (section.code >= DATA && section.code < FOOTER && bodyAt === end) bodyAt = section.start
  }
  const body = bytes.subarray(bodyAt, end)
  const scheduled = annotations !== undefined && bytes.subarray(annotations.value, annotations.end).includes('x-opt-delivery-', 0, 'latin1')
  const schedule = scheduled ? readSchedule(reader, bytes, annotations, wallMs) : UNSCHEDULED
  const message: Message = {
    dialect: DIALECT,
    head: headAt === bodyAt ? EMPTY : bytes.subarray(headAt, bodyAt),
    body,
    durable,
    priority,
    // The earlier of the two, should they differ.
    expiresAtMs: earlier(ttlMs === undefined || ttlMs === 0 ? 0 : wallMs + ttlMs, routing?.expiresAtMs ?? 0),
    deliverAtMs: schedule.deliverAtMs,
    group: routing?.group ?? '',
    groupEnds: routing?.groupEnds === true,
  }
  const retain = annotation(reader, bytes, annotations, 'x-opt-retain')
  const retains = retain?.type === 'boolean' && retain.value
  return {
    message,
    to: routing?.to,
    toKind: numberOf(annotation(reader, bytes, annotations, 'x-opt-jms-dest')),
    retain: !retains ? 'no' : isEmpty(bytes, sections) ? 'clear' : 'set',
    plan: schedule.plan,
  }
}

export function numberOf(term: Term | undefined): number | undefined {
  if (term === undefined || term.type === 'null') return undefined
  if (typeof term.value === 'number') return term.value
  return typeof term.value === 'bigint' ? Number(term.value) : undefined
}

function earlier(one: number, other: number): number {
  return one === 0 ? other : other === 0 ? one : Math.min(one, other)
}

type Schedule = Readonly<{ deliverAtMs: number; plan: Plan | undefined }>

const UNSCHEDULED: Schedule = { deliverAtMs: 0, plan: undefined }

/** As ActiveMQ has it: the annotations x-opt-delivery-time or -delay, -period, -repeat, -cron. What makes no sense is refused by the core. */
function readSchedule(reader: TermReader, bytes: Buffer, annotations: Section | undefined, wallMs: number): Schedule {
  const read = (name: string): Term | undefined => annotation(reader, bytes, annotations, `x-opt-delivery-${name}`)
  const deliverAtMs = deliverAt(read('time'), read('delay'), wallMs)
  const cron = read('cron')
  const plan = planOf({
    delayMs: deliverAtMs === 0 ? 0 : Math.max(0, deliverAtMs - wallMs),
    periodMs: numberOf(read('period')) ?? 0,
    repeat: numberOf(read('repeat')) ?? 0,
    cron: cron?.type === 'string' || cron?.type === 'symbol' ? cron.value.trim() : '',
  })
  return { deliverAtMs, plan }
}

function deliverAt(time: Term | undefined, delay: Term | undefined, wallMs: number): number {
  const at = numberOf(time)
  if (at !== undefined && at > 0 && Number.isSafeInteger(at)) return at
  const after = numberOf(delay)
  return after !== undefined && after > 0 && Number.isSafeInteger(wallMs + after) ? wallMs + after : 0
}

/** No body, or nothing but empty data, text or null: then a topic forgets what it retains, as with MQTT and STOMP. */
function isEmpty(bytes: Buffer, sections: readonly Section[]): boolean {
  return sections.every(({ code, value, end }) => code < DATA || code === FOOTER || isNothing(bytes[value], end - value))
}

/** Null, or binary, string or symbol without a byte, in its short or its long form. */
function isNothing(constructor: number, length: number): boolean {
  if (constructor === 0x40) return true
  return (constructor >> 4 === 0xa && length === 2) || (constructor >> 4 === 0xb && length === 5)
}

const EMPTY = Buffer.alloc(0)
