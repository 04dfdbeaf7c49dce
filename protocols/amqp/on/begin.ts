// Begin (part 2.7.2): a session on a channel. We answer on the lowest channel that is free (part 2.5.1), which is within what the client takes.
import { Channel } from '../channel.ts'
import type { AmqpConnection } from '../connection.ts'
import { ConnectionFault } from '../errors.ts'
import { begin } from '../frames.ts'
import type { Begin } from '../performatives.ts'

export function onBegin(connection: AmqpConnection, number: number, told: Begin): void {
  if (connection.channels.has(number)) throw new ConnectionFault('amqp:not-allowed', `Channel ${number} has a session already.`)
  if (told.remoteChannel !== undefined) throw new ConnectionFault('amqp:not-allowed', 'A Begin answers one that was never sent.')
  const { incomingWindow, linksMax } = connection.shared.settings
  const own = lowestFree(connection)
  if (own > connection.channelMaxOut) throw new ConnectionFault('amqp:not-allowed', `The client takes no more than ${own} sessions (channel-max).`)
  connection.channels.set(number, new Channel(connection, { number: own, incoming: number }, told))
  connection.write(begin(own, number, incomingWindow, 0x7f_ff_ff_ff, linksMax - 1))
}

function lowestFree(connection: AmqpConnection): number {
  const taken = new Set<number>()
  for (const channel of connection.channels.values()) taken.add(channel.number)
  let free = 0
  while (taken.has(free)) free++
  return free
}
