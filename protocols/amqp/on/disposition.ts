// Disposition (part 2.7.6): the client's word on a range of deliveries, its own or ours.
import type { Channel } from '../channel.ts'
import type { Disposition } from '../performatives.ts'

export function onDisposition(channel: Channel, disposition: Disposition): void {
  channel.onDisposition(disposition)
}
