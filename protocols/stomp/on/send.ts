// SEND: one message to one destination. Its receipt comes after the commit; a send to a full destination waits with its receipt.
import type { Address, Plan } from '../../../src/api.ts'
import { isTemporary } from '../../shared/naming.ts'
import { parseDestination } from '../address.ts'
import type { Frame } from '../codec.ts'
import { header } from '../codec.ts'
import type { StompConnection } from '../connection.ts'
import type { Sending } from '../head.ts'
import { readSchedule } from '../schedule.ts'
import type { OpenTransaction } from '../transactions.ts'
import { claimTemporary, isOwnTemporary } from '../temporary.ts'
import { found } from './transaction.ts'

export function onSend(connection: StompConnection, frame: Frame): void {
  const sending = connection.head.read(frame)
  if ('code' in sending) {
    connection.fail(sending, header(frame, 'receipt'))
    return
  }
  const within = sending.transaction === undefined ? undefined : found(connection, 'SEND', sending.transaction, sending.receipt)
  if (within === undefined && sending.transaction !== undefined) return
  if (sending.destination === undefined) {
    connection.fail({ code: 'invalid', sentence: 'SEND needs the header destination.' }, sending.receipt)
    return
  }
  const { replyTo } = sending
  // Who answers at once must find it.
  if (replyTo !== undefined && !connection.destinations.has(replyTo) && firstUse(connection, replyTo, sending.receipt) === undefined) return
  const to = connection.destinations.get(sending.destination) ?? firstUse(connection, sending.destination, sending.receipt)
  if (to === undefined) return
  const options = within?.options ?? OUTSIDE
  if (sending.scheduled) publishLater(connection, to, sending, options, frame)
  else publish(connection, to, sending, within === undefined ? ONCE : { options, plan: undefined }, true)
}

/** How to send it: in which transaction, how often. */
type Way = Readonly<{ options: OpenTransaction['options']; plan: Plan | undefined }>

function publishLater(connection: StompConnection, to: Address, sending: Sending, options: Way['options'], frame: Frame): void {
  const schedule = readSchedule(frame)
  if ('code' in schedule) {
    connection.fail(schedule, sending.receipt)
    return
  }
  const { plan, delayMs } = schedule
  const deliverAtMs = plan !== undefined || delayMs === 0 ? 0 : connection.broker.clock.wallMs() + delayMs
  publish(connection, to, { ...sending, message: { ...sending.message, deliverAtMs } }, { options, plan }, true)
}

function publish(connection: StompConnection, to: Address, sending: Sending, way: Way, again: boolean): void {
  const session = connection.session
  const ticket =
    way.plan === undefined
      ? session.publish(to, sending.message, way.options[sending.retain && to.kind === 'topic' ? retains(sending) : 'no'])
      : session.repeat(to, sending.message, way.plan, way.options.no.transaction)
  if (ticket > 0) {
    connection.answer(sending.receipt, ticket)
  } else if (ticket < 0) {
    connection.park(sending.receipt)
  } else if (again && session.refusal?.code === 'not-found' && makeAgain(connection, to, sending.receipt)) {
    // It was made by us and removed by somebody since.
    publish(connection, to, sending, way, false)
  } else if (!connection.over) {
    connection.refuse(sending.receipt)
  }
}

/** All queues of it that may be made by using them; false: there are none, or one is refused, and then the connection has ended. */
function makeAgain(connection: StompConnection, to: Address, receipt: string | undefined): boolean {
  if (to.parts === undefined) return declare(connection, to, receipt)
  let made = false
  for (const part of to.parts) if (!connection.over && declare(connection, part, receipt)) made = true
  return made && !connection.over
}

function firstUse(connection: StompConnection, destination: string, receipt: string | undefined): Address | undefined {
  const address = parseDestination(connection.broker, destination, connection.temporaryOwner)
  if ('code' in address) {
    connection.fail(address, receipt)
    return undefined
  }
  for (const part of address.parts ?? [address]) {
    const needsMaking = isTemporary(part) ? isOwnTemporary(connection, part) : part.kind === 'queue'
    if (needsMaking && !declare(connection, part, receipt)) return undefined
  }
  const kept = connection.destinations
  if (kept.size >= connection.shared.settings.destinationsKept) kept.clear()
  // A copy: a piece of a longer string would keep the whole header block.
  kept.set(Buffer.from(destination).toString(), address)
  return address
}

function declare(connection: StompConnection, address: Address, receipt: string | undefined): boolean {
  const temporary = isTemporary(address)
  if (temporary ? !isOwnTemporary(connection, address) : address.kind !== 'queue') return false
  const ticket = temporary ? claimTemporary(connection, address) : connection.session.declare(address, { durable: true, lifetime: 'permanent' })
  if (ticket === 0) {
    connection.refuse(receipt)
    return false
  }
  connection.answer(undefined, ticket)
  return true
}

/** As ActiveMQ has it: an empty message clears what the topic retains. */
function retains(sending: Sending): 'set' | 'clear' {
  return sending.message.body.length === 0 ? 'clear' : 'set'
}

const OUTSIDE: OpenTransaction['options'] = {
  no: { retain: 'no', note: 0, transaction: undefined },
  set: { retain: 'set', note: 0, transaction: undefined },
  clear: { retain: 'clear', note: 0, transaction: undefined },
}

const ONCE: Way = { options: OUTSIDE, plan: undefined }
