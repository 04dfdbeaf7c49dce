// Transfer (part 2.7.5): one frame of a message. To a link that we detached, and whose client does not know yet, it is dropped.
import type { Channel } from '../channel.ts'
import type { Frame } from '../codec.ts'
import type { Transfer } from '../performatives.ts'

export function onTransfer(channel: Channel, transfer: Transfer, frame: Frame): void {
  if (!channel.received()) return
  const link = channel.linkOf(transfer.handle)
  if (link === undefined) return
  if (link.receives) {
    channel.end({ condition: 'amqp:not-allowed', description: `The link with the handle ${transfer.handle} is not one on which the client sends.` })
    return
  }
  link.transfer(transfer, frame)
}
