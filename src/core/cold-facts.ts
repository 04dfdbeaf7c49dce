// The bytes of facts that are not on the path of every message: queues, sessions, bindings, vias. Written and read in one place each.
import type { Binding as BindingSpec, Message, QueueOptions, WhenFull } from '../api.ts'
import type { FactReader, FactWriter } from '../journal/facts.ts'
import { composite, type CoreAddress, own, readAddress, readPattern, writePattern } from './addresses.ts'
import { type Binding, type BindingFields, SETTLE_ORDER, type Via } from './bindings.ts'
import type { Job } from './job.ts'
import { type CoreWill, SessionRecord } from './sessions.ts'

const WHEN_FULL: readonly WhenFull[] = ['refuse', 'drop-newest', 'drop-oldest', 'end-consumers']
const LIFETIMES: readonly QueueOptions['lifetime'][] = ['permanent', 'held', 'temporary']
const ABSENT: readonly BindingSpec['absent'][] = ['keep', 'drop']
const RETAIN: readonly CoreWill['retain'][] = ['no', 'set', 'clear']

/** The optional numbers of `QueueOptions`, in the order of their bits and bytes. */
const NUMBERS = ['limitMessages', 'limitBytes', 'failuresMax', 'redeliveryDelayMs', 'redeliveryBackoff', 'redeliveryDelayMaxMs'] as const
const WHEN_FULL_BIT = 1 << NUMBERS.length
const DEAD_LETTER_BIT = WHEN_FULL_BIT << 1
const OWNER_BIT = DEAD_LETTER_BIT << 1

/** number u32, lifetime u8, address, which fields u16, those fields (f64 each; whenFull u8; dead-letter u8 there, address; owner). */
export function writeQueue(to: FactWriter, number: number, address: CoreAddress, options: QueueOptions): FactWriter {
  to.u32(number).u8(LIFETIMES.indexOf(options.lifetime)).raw(address.encoded)
  let given = 0
  for (const [bit, name] of NUMBERS.entries()) if (options[name] !== undefined) given |= 1 << bit
  if (options.whenFull !== undefined) given |= WHEN_FULL_BIT
  if ('deadLetter' in options) given |= DEAD_LETTER_BIT
  if (options.owner !== undefined) given |= OWNER_BIT
  to.u16(given)
  for (const name of NUMBERS) {
    const value = options[name]
    if (value !== undefined) to.f64(value)
  }
  if (options.whenFull !== undefined) to.u8(WHEN_FULL.indexOf(options.whenFull))
  if ('deadLetter' in options) {
    to.u8(options.deadLetter === undefined ? 0 : 1)
    if (options.deadLetter !== undefined) to.raw(own(options.deadLetter).encoded)
  }
  if (options.owner !== undefined) to.text(options.owner)
  return to
}

export function readQueue(from: FactReader): { number: number; address: CoreAddress; options: QueueOptions } {
  const number = from.u32()
  const lifetime = LIFETIMES[from.u8()]
  const address = readAddress(from)
  const given = from.u16()
  const numbers: { -readonly [Name in (typeof NUMBERS)[number]]?: number } = {}
  for (const [bit, name] of NUMBERS.entries()) if ((given & (1 << bit)) !== 0) numbers[name] = from.f64()
  let options: QueueOptions = { durable: true, lifetime, ...numbers }
  if ((given & WHEN_FULL_BIT) !== 0) options = { ...options, whenFull: WHEN_FULL[from.u8()] }
  if ((given & DEAD_LETTER_BIT) !== 0) options = { ...options, deadLetter: from.u8() === 1 ? readAddress(from) : undefined }
  if ((given & OWNER_BIT) !== 0) options = { ...options, owner: from.text() }
  return { number, address, options }
}

/** number u32, protocol, client id, keep f64, away since f64, will u8 there, will. */
export function writeSession(to: FactWriter, session: SessionRecord): FactWriter {
  to.u32(session.number).text(session.protocol).text(session.clientId).f64(session.keepMs).f64(session.awaySinceMs)
  const { will } = session
  to.u8(will === undefined ? 0 : 1)
  if (will !== undefined) {
    to.raw(will.to.encoded)
      .u8(RETAIN.indexOf(will.retain))
      .f64(will.delayMs)
      .f64(will.ttlMs ?? 0)
    writeMessage(to, will.message)
  }
  return to
}

export function readSession(from: FactReader): SessionRecord {
  const number = from.u32()
  const protocol = from.text()
  const clientId = from.text()
  const keepMs = from.f64()
  const awaySinceMs = from.f64()
  let will: CoreWill | undefined
  if (from.u8() === 1) {
    const to = readAddress(from)
    const retain = RETAIN[from.u8()]
    const delayMs = from.f64()
    const ttlMs = from.f64()
    will = { to, retain, delayMs, ttlMs, message: readMessage(from) }
  }
  const session = new SessionRecord(number, protocol, clientId, keepMs, will)
  session.awaySinceMs = awaySinceMs
  session.recorded = true
  return session
}

/** number u32, made f64, ttl f64, delay f64, period f64, repeat f64, cron, fired u32, last f64, count u16 of addresses, message. */
export function writeJob(to: FactWriter, job: Job): FactWriter {
  to.u32(job.number)
    .f64(job.madeAtMs)
    .f64(job.ttlMs)
    .f64(job.delayMs)
    .f64(job.periodMs)
    .f64(job.repeat)
    .text(job.cron)
    .u32(job.fired)
    .f64(job.lastAtMs)
  const parts = job.to.parts ?? [job.to]
  to.u16(parts.length)
  for (const part of parts) to.raw(part.encoded)
  writeMessage(to, job.message)
  return to
}

export function readJob(from: FactReader): Job {
  const times = {
    number: from.u32(),
    madeAtMs: from.f64(),
    ttlMs: from.f64(),
    delayMs: from.f64(),
    periodMs: from.f64(),
    repeat: from.f64(),
    cron: from.text(),
    fired: from.u32(),
    lastAtMs: from.f64(),
  }
  const parts: CoreAddress[] = []
  for (let left = from.u16(); left > 0; left--) parts.push(readAddress(from))
  return { ...times, to: parts.length === 1 ? parts[0] : composite(parts), message: readMessage(from) }
}

function writeMessage(to: FactWriter, message: Message): void {
  to.text(message.dialect)
    .u8(message.durable ? 1 : 0)
    .u8(message.priority)
    .f64(message.expiresAtMs)
    .f64(message.deliverAtMs)
  to.text(message.group)
    .u8(message.groupEnds ? 1 : 0)
    .bytes(message.head)
    .bytes(message.body)
}

function readMessage(from: FactReader): Message {
  return {
    dialect: from.text(),
    durable: from.u8() === 1,
    priority: from.u8(),
    expiresAtMs: from.f64(),
    deliverAtMs: from.f64(),
    group: from.text(),
    groupEnds: from.u8() === 1,
    head: from.bytes(),
    body: from.bytes(),
  }
}

/** queue u32, tag u8, label u32, settle u8, absent u8, selector, except from, pattern, and 1 u8 if the selector converts. Whether retained messages follow is decided once, when it is bound. */
export function writeBinding(to: FactWriter, binding: Binding): FactWriter {
  to.u32(binding.queue.number).u8(binding.tag).u32(binding.label).u8(SETTLE_ORDER.indexOf(binding.settle)).u8(ABSENT.indexOf(binding.absent))
  to.text(binding.selector).text(binding.exceptFrom)
  writePattern(to, binding.pattern)
  return binding.selectorConverts ? to.u8(1) : to
}

export function readBinding(from: FactReader): BindingFields & { queue: number } {
  return {
    queue: from.u32(),
    tag: from.u8(),
    label: from.u32(),
    settle: SETTLE_ORDER[from.u8()],
    absent: ABSENT[from.u8()],
    selector: from.text(),
    exceptFrom: from.text(),
    pattern: readPattern(from),
    selectorConverts: from.left > 0 && from.u8() === 1,
  }
}

export function writeVia(to: FactWriter, via: Via): FactWriter {
  to.u32(via.number).u8(SETTLE_ORDER.indexOf(via.settle)).u8(ABSENT.indexOf(via.absent))
  to.u8(via.to === undefined ? 0 : 1)
  if (via.to !== undefined) to.raw(via.to.encoded)
  for (const tag of via.tags) to.u8(tag)
  return to
}

export function readVia(from: FactReader): Omit<Via, 'recorded'> {
  const number = from.u32()
  const settle = SETTLE_ORDER[from.u8()]
  const absent = ABSENT[from.u8()]
  const to = from.u8() === 1 ? readAddress(from) : undefined
  const tags: number[] = []
  while (from.left > 0) tags.push(from.u8())
  return { number, settle, absent, to, tags }
}
