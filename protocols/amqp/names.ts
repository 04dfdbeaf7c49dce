// The names of one connection's links (part 2.6.1), by which they are stolen, kept for a client that is away, and found again; and who takes from a
// durable subscription. Not here: links kept of all connections (kept-links.ts), what a link keeps (incoming-link.ts, outgoing-link.ts).
import type { Address } from '../../src/api.ts'
import type { Channel, Link } from './channel.ts'
import type { AmqpConnection } from './connection.ts'
import { beginsWith, type Leaving, outlives } from './expiry.ts'
import type { KeptLink } from './kept-links.ts'

export class Names {
  readonly #connection: AmqpConnection
  /** Kept ones that wait for the end of their session or of the connection. */
  readonly #keptHere = new Map<string, Readonly<{ link: Link; channel: Channel }>>()

  constructor(connection: AmqpConnection) {
    this.#connection = connection
  }

  key(name: string, receives: boolean): string {
    const { principal, containerId } = this.#connection
    return `${principal}\0${containerId}\0${receives ? 'receiver' : 'sender'}\0${name}`
  }

  /** A link of this name has it from now on; `stolen` when another takes it. */
  enter({ attach, receives }: Link, stolen: () => void): void {
    this.#connection.shared.links.set(this.key(attach.name, receives), stolen)
  }

  /** Whoever has this name has it no more. */
  steal(name: string, receives: boolean): void {
    this.#connection.shared.links.get(this.key(name, receives))?.()
  }

  /** A link is no more: its name is free, and its temporary queue goes. */
  released(link: Link, gone: boolean): void {
    const { shared, nodes } = this.#connection
    shared.links.delete(this.key(link.attach.name, link.receives))
    const node = link.receives ? link.source.node : link.node
    if (node !== undefined && !gone) nodes.release(node)
    if (!link.receives) return
    const { source } = link
    if (source.durable && !source.lookup) this.#subscriber(source.queue, -1)
    // With the connection, or with a session of its own, goes what holds it.
    if (source.temporary && !gone && !link.apart) nodes.letGo(source.queue)
  }

  // ---- Links whose client is away

  /** Keeps what a link has, where its terminus outlives what it leaves by. False: it is to be released. */
  keep(link: Link, leaving: Leaving, channel: Channel): boolean {
    const { kept, settings } = this.#connection.shared
    if (!outlives(link.expiry) || this.#keptHere.size >= settings.linksMax) return false
    const key = this.key(link.attach.name, link.receives)
    link.suspend()
    kept.keep(key, link, () => this.#keptHere.delete(key))
    if (beginsWith(link.expiry, leaving)) kept.begin(key)
    else this.#keptHere.set(key, { link, channel })
    return true
  }

  /** A link that its client left is attached again, here or elsewhere. */
  takeKept(name: string, receives: boolean, signature: string): KeptLink | undefined {
    return this.#connection.shared.kept.take(this.key(name, receives), signature)
  }

  /** Its session ended: the time of those begins that waited for that. */
  beginKept(ended: Channel): void {
    for (const [key, { link, channel }] of this.#keptHere) {
      if (channel !== ended || !beginsWith(link.expiry, 'end')) continue
      this.#keptHere.delete(key)
      this.#connection.shared.kept.begin(key, link)
    }
  }

  /** The connection ended: the time of all begins. */
  beginAll(): void {
    for (const [key, { link }] of this.#keptHere) this.#connection.shared.kept.begin(key, link)
    this.#keptHere.clear()
  }

  // ---- Durable subscriptions

  subscribed(queue: Address): void {
    this.#subscriber(queue, 1)
  }

  subscribersOf(queue: Address): number {
    return this.#subscriber(queue, 0)
  }

  /** Counts who takes from a durable subscription, here and on other connections. */
  #subscriber(queue: Address, change: number): number {
    const { subscribers } = this.#connection.shared
    const key = queue.path.join('\0')
    const count = (subscribers.get(key) ?? 0) + change
    if (count > 0) subscribers.set(key, count)
    else subscribers.delete(key)
    return count
  }
}
