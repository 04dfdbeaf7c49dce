// The pair as this node knows it: it tells the others what it is, and knows where clients reach them. News about nodes, no decision about leadership.
import type { Clock } from './api.ts'
import { overTls } from './config/listener-names.ts'
import type { Settings } from './config/settings.ts'
import type { Presence } from './failover/nodes.ts'
import type { NodeStatus } from './management/api.ts'

/** How often this node looks whether it has news for the others. */
const TICK_MS = 200
/** Every so many of those the others are looked at, and told how far this node is. */
const TICKS = 5
/** How old news of another node may be. */
const NEWS_MS = 2 * TICK_MS

export class Peers {
  readonly #presence: Presence
  readonly #settings: Settings
  readonly #clock: Clock
  readonly #hostName: string
  readonly #status: () => NodeStatus
  #others: Awaited<ReturnType<Presence['others']>> = []
  #cancel: () => void = () => {}
  #stopped = false
  #ticks = 0
  #told = ''

  constructor(options: Readonly<{ presence: Presence; settings: Settings; clock: Clock; hostName: string; status: () => NodeStatus }>) {
    this.#presence = options.presence
    this.#settings = options.settings
    this.#clock = options.clock
    this.#hostName = options.hostName
    this.#status = options.status
  }

  /** Begins to tell and to look. */
  start(): void {
    void this.#tick()
  }

  /** The others' addresses for clients of this protocol (of those over TLS), this node's last; empty while there are no others. */
  addresses(protocol: string, secure = false): readonly string[] {
    const listener = secure ? overTls(protocol) : protocol
    const theirs = this.#others.flatMap(({ addresses }) => addresses[listener] ?? [])
    const own = this.#addresses()[listener]
    return theirs.length === 0 || own === undefined ? theirs : [...theirs, own]
  }

  /** What is known of them, for people. */
  get others(): readonly Readonly<{ node: string; role: string; http: string; follow: unknown }>[] {
    return this.#others.map(({ node, role, addresses, follow }) => ({ node, role, http: addresses.http ?? '', follow }))
  }

  /** A node that has everything and would take over at once. News takes its time: asked for a while before the answer is no. */
  async successor(): Promise<string | undefined> {
    const untilMs = this.#clock.monoMs() + NEWS_MS
    for (;;) {
      this.#others = await this.#presence.others()
      const warm = this.#others.find((one) => one.role === 'standby' && one.follow?.state === 'warm')
      if (warm !== undefined || this.#clock.monoMs() >= untilMs) return warm?.node
      await new Promise<void>((resolve) => this.#clock.after(TICK_MS / 4, resolve))
    }
  }

  /** The role or what belongs to it has changed. */
  changed(): void {
    const { role, epoch, follow } = this.#status()
    this.#told = follow?.state ?? ''
    this.#presence.tell({
      role,
      epoch,
      addresses: this.#addresses(),
      follow: follow === undefined ? undefined : { state: follow.state, batch: follow.batch },
    })
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancel()
    await this.#presence.release()
  }

  readonly #tick = async (): Promise<void> => {
    if (this.#ticks++ % TICKS === 0) {
      this.changed()
      this.#others = await this.#presence.others()
    } else if ((this.#status().follow?.state ?? '') !== this.#told) this.changed()
    if (!this.#stopped) this.#cancel = this.#clock.after(TICK_MS, () => void this.#tick())
  }

  /** Where it listens; a standby: where it will, as far as its ports are known. */
  #addresses(): Readonly<Record<string, string>> {
    const addresses: Record<string, string> = {}
    for (const [name, { enabled, host, port }] of Object.entries(this.#settings.listeners))
      if (enabled && port !== 0) addresses[name] = this.#reachable(`${host.includes(':') ? `[${host}]` : host}:${port}`)
    for (const [name, address] of Object.entries(this.#status().listeners)) addresses[name] = this.#reachable(address)
    return addresses
  }

  /** As clients on other machines need it: an address that means "every interface" has no meaning for them. */
  #reachable(address: string): string {
    const at = address.lastIndexOf(':')
    const host = address.slice(0, at)
    const { advertise } = this.#settings.failover
    if (advertise !== '') return `${advertise}${address.slice(at)}`
    return host === '0.0.0.0' || host === '[::]' ? `${this.#hostName}${address.slice(at)}` : address
  }
}
