// A standby's copy of the state, kept warm: a replica told by a follower of the journal. What takes over from it is `Warm`.
import type { Clock, Log } from './api.ts'
import { CodedError } from './errors.ts'
import type { Settings } from './config/settings.ts'
import { Replica } from './core/replica.ts'
import type { Disk } from './disk.ts'
import type { FollowOptions } from './journal/file/follow.ts'
import type { Follower, FollowStatus, Position } from './journal/journal.ts'

/** A state and up to where it was told, and how long it took to end the following. */
export type Warm = Readonly<{ replica: Replica; position: Position; stopMs: number }>

export type StandbyOptions = Readonly<{
  settings: Settings
  cluster: string
  clock: Clock
  disk: Disk
  log: Log
  follow: (options: FollowOptions) => Follower
}>

export class Standby {
  #replica: Replica
  readonly #clock: Clock
  readonly #follower: Follower

  constructor(options: StandbyOptions) {
    const { settings, clock, disk, log } = options
    this.#clock = clock
    this.#replica = new Replica(settings.destinations, clock)
    this.#follower = options.follow({
      directory: settings.data,
      cluster: options.cluster,
      disk,
      clock,
      pollMs: settings.failover.followPollMs,
      log,
      begin: () => {
        this.#replica = new Replica(settings.destinations, clock)
        return this.#replica
      },
    })
  }

  get status(): FollowStatus {
    return this.#follower.status
  }

  /** The batch last applied and the digest of the state (invariant 9). */
  digest(): Readonly<{ batch: number; digest: string }> {
    const { state, batch } = this.status
    if (state !== 'warm') throw new CodedError('not-leading', `This standby is ${state}: it has no state that could be compared.`)
    // A snapshot does not tell the replica of which batch it is.
    const told = this.#replica.digest()
    return { ...told, batch: Math.max(told.batch, batch) }
  }

  /** Undefined: nothing that could be taken over from; the journal is read from its start. */
  async stop(): Promise<Warm | undefined> {
    const begunMs = this.#clock.monoMs()
    const position = await this.#follower.stop()
    return position === undefined ? undefined : { replica: this.#replica, position, stopMs: this.#clock.monoMs() - begunMs }
  }
}
