// A standby's reader of the file journal: tells a visitor what is decided, as the leader writes it (rule 17). It reads only, and judges nothing for ever:
// what is not whole yet may become so, and what is damaged is for the takeover's strict reading to refuse.
import type { Clock, Log } from '../../api.ts'
import type { Disk } from '../../disk.ts'
import type { Follower, FollowStatus, Position, Visitor } from '../journal.ts'

export type FollowOptions = Readonly<{
  directory: string
  disk: Disk
  clock: Clock
  /** How long it rests when nothing new is there. */
  pollMs: number
  log: Log
  /** The cluster whose journal this was when the process started: another's is not followed. Without: whichever it is. */
  cluster?: string
  /** A fresh visitor over an empty state: called at the start, and again whenever the following has to begin anew. */
  begin: () => Visitor
}>

export function followFileJournal(options: FollowOptions): Follower {
  return new FileFollower(options)
}

class FileFollower implements Follower {
  readonly status: FollowStatus = { state: 'warming', reason: '', batch: 0, epoch: 0, behindMs: 0 }

  constructor(options: FollowOptions) {
    options.begin()
  }

  async stop(): Promise<Position | undefined> {
    return undefined
  }
}
