// End (part 2.7.8): all links of the session go. Answered, unless it is the answer itself.
import type { Channel } from '../channel.ts'
import { end } from '../frames.ts'

export function onEnd(channel: Channel): void {
  channel.flush()
  if (!channel.ending) {
    channel.close(false)
    channel.connection.write(end(channel.number, undefined))
  }
  channel.ending = true
  channel.connection.channels.delete(channel.incoming)
}
