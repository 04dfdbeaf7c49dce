// Which handler a performative is for. Those of a session need one: speaking on a channel that was not begun ends the connection.
import type { Channel } from '../channel.ts'
import type { Frame } from '../codec.ts'
import type { AmqpConnection } from '../connection.ts'
import { ConnectionFault } from '../errors.ts'
import type { Performative } from '../performatives.ts'
import { onAttach } from './attach.ts'
import { onBegin } from './begin.ts'
import { onDetach } from './detach.ts'
import { onDisposition } from './disposition.ts'
import { onEnd } from './end.ts'
import { onFlow } from './flow.ts'
import { onOpen } from './open.ts'
import { onTransfer } from './transfer.ts'

export function handle(connection: AmqpConnection, frame: Frame, performative: Performative): void {
  switch (performative.kind) {
    case 'open':
      onOpen(connection, performative)
      return
    case 'close':
      connection.leave()
      return
    case 'begin':
      onBegin(connection, frame.channel, performative)
      return
    case 'sasl-init':
    case 'sasl-response':
      throw new ConnectionFault('amqp:not-allowed', 'SASL is over.')
    default:
  }
  const channel = connection.channels.get(frame.channel)
  if (channel === undefined) throw new ConnectionFault('amqp:not-allowed', `There is no session on channel ${frame.channel}.`)
  if (performative.kind === 'end') onEnd(channel)
  // After our End the client's word there counts no more, until its own End.
  else if (!channel.ending) inSession(channel, frame, performative)
}

function inSession(
  channel: Channel,
  frame: Frame,
  performative: Exclude<Performative, { kind: 'open' | 'close' | 'begin' | 'end' | 'sasl-init' | 'sasl-response' }>,
): void {
  switch (performative.kind) {
    case 'attach':
      onAttach(channel, performative)
      return
    case 'flow':
      onFlow(channel, performative)
      return
    case 'transfer':
      onTransfer(channel, performative, frame)
      return
    case 'disposition':
      onDisposition(channel, performative)
      return
    case 'detach':
      onDetach(channel, performative)
      return
    default:
      performative satisfies never
  }
}
