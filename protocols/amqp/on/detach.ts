// Detach (part 2.7.7): a link goes, answered in kind. Closed, a durable subscription goes with it; detached, it waits for its next receiver.
import type { Channel, Link } from '../channel.ts'
import type { Detach } from '../performatives.ts'

export function onDetach(channel: Channel, told: Detach): void {
  if (channel.handles.isDetached(told.handle)) {
    channel.handles.detachedByBoth(told.handle)
    return
  }
  const link = channel.linkOf(told.handle)
  if (link === undefined) return
  if (link.answered) leave(channel, link, told.closed)
  // Its attach waits for a commit, and comes first.
  else link.leaving = { closed: told.closed }
}

export function leave(channel: Channel, link: Link, closed: boolean): void {
  const { connection } = channel
  channel.flush()
  channel.forget(link, closed ? undefined : 'detach')
  connection.names.released(link, false)
  if (link.receives && link.source.durable && closed) {
    // A shared one lives as long as somebody else takes from it.
    if (connection.names.subscribersOf(link.source.queue) === 0) {
      const ticket = connection.session.remove(link.source.queue)
      if (ticket > 0) {
        connection.after(ticket, () => channel.tellDetach(link.handle, closed))
        return
      }
    }
  }
  channel.tellDetach(link.handle, closed)
}
