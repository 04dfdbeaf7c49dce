// SEND: one message to one destination. Its receipt comes after the commit; a send to a full destination waits with its receipt.
import type { Address, Plan, PublishOptions } from '../../../src/api.ts'
import { isTemporary } from '../../shared/naming.ts'
import { parseAddress } from '../address.ts'
import type { Frame } from '../codec.ts'
import { header } from '../codec.ts'
import type { StompConnection } from '../connection.ts'
import type { Sending } from '../head.ts'
import { readSchedule } from '../schedule.ts'
import { claimTemporary, isOwnTemporary } from '../temporary.ts'
import { NO_TRANSACTIONS } from './transaction.ts'

export function onSend(connection: StompConnection, frame: Frame): void {
  const sending = connection.head.read(frame)
  if ('code' in sending) {
    connection.fail(sending, header(frame, 'receipt'))
    return
  }
  if (sending.transaction !== undefined) {
    connection.fail(NO_TRANSACTIONS, sending.receipt)
    return
  }
  if (sending.destination === undefined) {
    connection.fail({ code: 'invalid', sentence: 'SEND needs the header destination.' }, sending.receipt)
    return
  }
  const { replyTo } = sending
  // Who answers at once must find it.
  if (replyTo !== undefined && !connection.destinations.has(replyTo) && firstUse(connection, replyTo, sending.receipt) === undefined) return
  const to = connection.destinations.get(sending.destination) ?? firstUse(connection, sending.destination, sending.receipt)
  if (to === undefined) return
  if (sending.scheduled) publishLater(connection, to, sending, frame)
  else publish(connection, to, sending, undefined, true)
}

function publishLater(connection: StompConnection, to: Address, sending: Sending, frame: Frame): void {
  const schedule = readSchedule(frame)
  if ('code' in schedule) {
    connection.fail(schedule, sending.receipt)
    return
  }
  const deliverAtMs = schedule.plan !== undefined || schedule.delayMs === 0 ? 0 : connection.broker.clock.wallMs() + schedule.delayMs
  publish(connection, to, { ...sending, message: { ...sending.message, deliverAtMs } }, schedule.plan, true)
}

function publish(connection: StompConnection, to: Address, sending: Sending, plan: Plan | undefined, again: boolean): void {
  const session = connection.session
  const ticket =
    plan === undefined
      ? session.publish(to, sending.message, sending.retain && to.kind === 'topic' ? retainedOptions(sending) : PLAIN)
      : session.repeat(to, sending.message, plan)
  if (ticket > 0) {
    connection.answer(sending.receipt, ticket)
  } else if (ticket < 0) {
    connection.park(sending.receipt)
  } else if (again && session.refusal?.code === 'not-found' && declare(connection, to, sending.receipt)) {
    // It was made by us and removed by somebody since.
    publish(connection, to, sending, plan, false)
  } else if (!connection.over) {
    connection.refuse(sending.receipt)
  }
}

function firstUse(connection: StompConnection, destination: string, receipt: string | undefined): Address | undefined {
  const address = parseAddress(connection.broker, destination, connection.temporaryOwner)
  if ('code' in address) {
    connection.fail(address, receipt)
    return undefined
  }
  const needsMaking = isTemporary(address) ? isOwnTemporary(connection, address) : address.kind === 'queue'
  if (needsMaking && !declare(connection, address, receipt)) return undefined
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
function retainedOptions(sending: Sending): PublishOptions {
  return sending.message.body.length === 0 ? CLEAR : SET
}

const PLAIN: PublishOptions = { retain: 'no', note: 0, transaction: undefined }
const SET: PublishOptions = { retain: 'set', note: 0, transaction: undefined }
const CLEAR: PublishOptions = { retain: 'clear', note: 0, transaction: undefined }
