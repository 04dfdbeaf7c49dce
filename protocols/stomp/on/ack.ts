// ACK, and what NACK shares with it: which delivery is meant (1.2: `id`; 1.1: `subscription` and `message-id`; 1.0: `message-id`), and its settlement.
// Both are served past sends that wait for room, so a full queue can be drained by the connection that fills it.
import type { Outcome } from '../../../src/api.ts'
import { type Frame, header } from '../codec.ts'
import type { StompConnection } from '../connection.ts'
import { faultOf, quote } from '../errors.ts'
import type { Meant, Subscription } from '../subscription.ts'
import { subscriptionKey } from './subscribe.ts'
import { found as foundTransaction } from './transaction.ts'

export function onAck(connection: StompConnection, frame: Frame): void {
  settle(connection, frame, ACCEPTED)
}

export function settle(connection: StompConnection, frame: Frame, outcome: Outcome): void {
  const receipt = header(frame, 'receipt')
  const transaction = header(frame, 'transaction')
  const within = transaction === undefined ? undefined : foundTransaction(connection, frame.command, transaction, receipt)
  if (within === undefined && transaction !== undefined) return
  const name = connection.version === '1.2' ? 'id' : 'message-id'
  const id = header(frame, name)
  if (id === undefined) {
    connection.fail({ code: 'invalid', sentence: `${frame.command} needs the header ${name}.` }, receipt)
    return
  }
  if (connection.version === '1.1' && header(frame, 'subscription') === undefined) {
    connection.fail({ code: 'invalid', sentence: `${frame.command} needs the header subscription.` }, receipt)
    return
  }
  const found = connection.version === '1.2' ? findByAck(connection, id) : findByMessage(connection, id, header(frame, 'subscription'))
  const ticket = found === undefined ? 0 : found.subscription.settle(found.meant, outcome, receipt !== undefined, within)
  if (ticket > 0) connection.answer(receipt, ticket)
  else if (within?.transaction.doomed !== undefined) connection.fail(faultOf(within.transaction.doomed), receipt)
  else if (connection.shared.settings.staleAck === 'ignore') connection.answerNow(receipt)
  else connection.fail({ code: 'not-found', sentence: `${frame.command}: no message ${quote(id)} is outstanding on this connection.` }, receipt)
}

type Found = Readonly<{ subscription: Subscription; meant: Meant }>

function findByAck(connection: StompConnection, id: string): Found | undefined {
  const pair = numbersOf(id)
  if (pair === undefined) return undefined
  const subscription = connection.subscriptionNumbered(pair[0])
  return subscription === undefined ? undefined : { subscription, meant: { tag: pair[1], key: undefined } }
}

function findByMessage(connection: StompConnection, id: string, subscriptionId: string | undefined): Found | undefined {
  const pair = numbersOf(id)
  if (pair === undefined) return undefined
  const named = subscriptionId === undefined ? undefined : connection.subscriptions.get(subscriptionKey(subscriptionId, undefined))
  if (named !== undefined || connection.version !== '1.0') {
    const meant = named?.meant(pair[0], pair[1])
    return named === undefined || meant === undefined || meant.tag === 0 ? undefined : { subscription: named, meant }
  }
  for (const subscription of connection.subscriptions.values()) {
    const meant = subscription.meant(pair[0], pair[1])
    if (meant.tag !== 0) return { subscription, meant }
  }
  return undefined
}

/** Both `ack` and `message-id` are two numbers. */
function numbersOf(id: string): readonly [number, number] | undefined {
  const match = /^(\d{1,15})-(\d{1,16})$/.exec(id)
  return match === null ? undefined : [Number(match[1]), Number(match[2])]
}

const ACCEPTED: Outcome = { kind: 'accepted' }
