// Whose clients are connected, and whether they are read: not while the journal is behind, and not while intake is held for a moment in which
// nothing is to change. What a session does is `session.ts`; what is kept of it while nobody is connected, `sessions.ts`.
import type { LiveSession } from './session.ts'

export class Intake {
  readonly sessions = new Set<LiveSession>()
  /** Since this term began. */
  opened = 0
  #congested = false
  #held = false

  join(session: LiveSession): void {
    this.sessions.add(session)
    if (this.#congested) session.pressure(true)
    if (this.#held) session.pressure(true)
  }

  /** No client is read while held. */
  hold(held: boolean): void {
    if (this.#held === held) return
    this.#held = held
    for (const session of this.sessions) session.pressure(held)
  }

  /** The journal has more than it can write soon. */
  congest(high: boolean): void {
    if (this.#congested === high) return
    this.#congested = high
    for (const session of this.sessions) session.pressure(high)
  }
}
