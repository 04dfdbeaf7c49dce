// Checks of one shape: something that must not be sent is sent, and the broker ends what the specification says, with one of its conditions.
import type { Check } from '../check.ts'
import type { Mutant } from '../mutant.ts'
import type { Trial } from '../trial.ts'
import { condition, edits, never, silent } from './mutants.ts'
import { begun, detachesWith, endsWith, refusedBy, type Receiver, type Sender, type Session } from './session.ts'

type Told = Pick<Check, 'id' | 'level' | 'says' | 'how'> & Readonly<{ mutants?: readonly Mutant[] }>

/** In a session: the connection does not bear it. By which condition it ends, and whether the session ends alone, is the broker's choice. */
export function refusedOn(told: Told, send: (session: Session, trial: Trial) => void | Promise<void>): Check {
  return {
    ...told,
    async run(trial) {
      const session = await begun(trial)
      await send(session, trial)
      await refusedBy(session.wire, told.how, 'close', 'end')
    },
    mutants: [...bearing('close'), ...(told.mutants ?? [])],
  }
}

/** The session is ended. */
export function endsOn(told: Told, send: (session: Session, trial: Trial) => void | Promise<void>, ...conditions: readonly string[]): Check {
  return {
    ...told,
    async run(trial) {
      const session = await begun(trial)
      await send(session, trial)
      await endsWith(session, told.how, ...conditions)
    },
    mutants: [...refusing('end', conditions), ...(told.mutants ?? [])],
  }
}

/** The link is detached. */
export function detachesOn<L extends Sender | Receiver>(
  told: Told,
  attach: (session: Session) => Promise<L>,
  send: (link: L, trial: Trial) => void | Promise<void>,
  ...conditions: readonly string[]
): Check {
  return {
    ...told,
    async run(trial) {
      const link = await attach(await begun(trial))
      await send(link, trial)
      await detachesWith(link, told.how, ...conditions)
    },
    mutants: [...refusing('detach', conditions), ...(told.mutants ?? [])],
  }
}

/** A broker that goes on as if nothing had been wrong, or gives no reason. For checks that take the end of the socket for an answer. */
export function bearing(kind: 'close' | 'end' | 'detach'): readonly Mutant[] {
  const bears = edits(`bears what it should answer by ${kind}`, () => () => ({
    toClient: (piece) => (piece.kind === kind ? 'drop' : undefined),
    brokerClosed: () => false,
  }))
  return [bears, silent(kind)]
}

/** A broker that says nothing, gives no reason, or a wrong one. */
export function refusing(kind: 'close' | 'end' | 'detach', conditions: readonly string[]): readonly Mutant[] {
  return [never(kind), silent(kind), ...(conditions.length === 0 ? [] : [condition(kind, 'amqp:conformance:another')])]
}
