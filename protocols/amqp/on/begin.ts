// Begin (part 2.7.2): a session on a channel. We answer on the channel of the same number.
import { Channel } from '../channel.ts'
import type { AmqpConnection } from '../connection.ts'
import { ConnectionFault } from '../errors.ts'
import { begin } from '../frames.ts'
import type { Begin } from '../performatives.ts'

export function onBegin(connection: AmqpConnection, number: number, told: Begin): void {
  if (connection.channels.has(number)) throw new ConnectionFault('amqp:not-allowed', `Channel ${number} has a session already.`)
  if (told.remoteChannel !== undefined) throw new ConnectionFault('amqp:not-allowed', 'A Begin answers one that was never sent.')
  const { incomingWindow, linksMax } = connection.shared.settings
  connection.channels.set(number, new Channel(connection, number, told))
  connection.write(begin(number, incomingWindow, 0x7f_ff_ff_ff, linksMax - 1))
}
