// Flow (part 2.7.4): the session's window, and a link's credit.
import type { Channel } from '../channel.ts'
import type { Flow } from '../performatives.ts'

export function onFlow(channel: Channel, flow: Flow): void {
  channel.onFlow(flow)
}
