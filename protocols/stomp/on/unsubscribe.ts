// UNSUBSCRIBE: ends a subscription; what it has outstanding goes back to its queue. With the name of a durable subscription (and client-id
// in CONNECT) that is deleted with all it kept, subscribed to at the moment or not, as in ActiveMQ.
import { type Frame, header } from '../codec.ts'
import type { StompConnection } from '../connection.ts'
import { quote } from '../errors.ts'
import { durableName, durableQueue, subscriptionKey } from './subscribe.ts'

export function onUnsubscribe(connection: StompConnection, frame: Frame): void {
  const receipt = header(frame, 'receipt')
  const id = header(frame, 'id')
  const destination = header(frame, 'destination')
  if (id === undefined && (connection.version !== '1.0' || destination === undefined)) {
    connection.fail(
      {
        code: 'invalid',
        sentence: connection.version === '1.0' ? 'UNSUBSCRIBE needs the header id or destination.' : 'UNSUBSCRIBE needs the header id.',
      },
      receipt,
    )
    return
  }
  const name = durableName(frame)
  const subscription = connection.subscriptions.get(subscriptionKey(id, destination))
  if (subscription === undefined && name === undefined) {
    connection.fail({ code: 'not-found', sentence: `There is no subscription ${quote(id ?? destination ?? '')} on this connection.` }, receipt)
    return
  }
  if (name !== undefined && connection.clientId === '') {
    connection.fail({ code: 'invalid', sentence: 'A durable subscription needs the header client-id in CONNECT.' }, receipt)
    return
  }
  if (subscription !== undefined) {
    subscription.close()
    connection.unsubscribe(subscription)
    if (subscription.options.temporary) connection.answer(undefined, connection.session.release(subscription.options.queue))
  }
  if (name !== undefined) {
    const ticket = connection.session.remove(durableQueue(connection, name))
    if (ticket === 0) {
      connection.refuse(receipt)
      return
    }
    connection.answer(undefined, ticket)
  }
  connection.answerNow(receipt)
}
