// What a suite is made of: clauses of a specification, each with the check that provokes it and the mutant that shows that the check can fail.
import type { Mutant } from './mutant.ts'
import type { Trial } from './trial.ts'

/** How the specification says it: MUST and SHALL, SHOULD, MAY. */
export type Level = 'must' | 'should' | 'may'

type Statement = Readonly<{
  /** The statement's own number (`MQTT-3.1.2-24`), or specification and section and a letter (`STOMP12-ACK-a`, `AMQP-2.6.7-b`). Unique in its suite. */
  id: string
  level: Level
  /** What it asks of a server: one sentence of our own. */
  says: string
}>

export type Check = Statement &
  Readonly<{
    /** How it is provoked: one sentence. */
    how: string
    /** Ends if the clause is kept; throws what `outcome.ts` has if not. */
    run: (trial: Trial) => Promise<void>
    /** What breaks this clause, and as little else as can be. With each of them the check must fail. */
    mutants: readonly Mutant[]
    /** Of a should that our own broker does not keep, or of a feature that it lacks: what would have to change in its frames. Proven is then that the check does not pass as it is, and passes so. */
    mends?: Mutant
    /** Not beside others: what it does is seen by every client of the broker, or it measures time. */
    alone?: boolean
    /** Whose frames the mutants edit, where that is not the suite's protocol. */
    through?: ProtocolName
  }>

/** A statement that no client can see kept or broken, or that binds no server alone. */
export type Unchecked = Statement & Readonly<{ unchecked: string }>

export type Clause = Check | Unchecked

/** One chapter of the specification: a file. */
export type Chapter = Readonly<{ title: string; clauses: readonly Clause[] }>

export type Suite = Readonly<{
  /** As `--suite` has it. */
  name: string
  title: string
  /** Where the specification can be read. */
  specification: string
  /** The protocols by which a target is named (`--target mqtt=…`) that it needs; the first is the one whose frames its mutants edit. */
  protocols: readonly [ProtocolName, ...ProtocolName[]]
  chapters: readonly Chapter[]
}>

export type ProtocolName = 'mqtt' | 'amqp' | 'stomp' | 'ws'

export const isCheck = (clause: Clause): clause is Check => 'run' in clause

export function checksOf(suite: Suite): readonly Check[] {
  return suite.chapters.flatMap(({ clauses }) => clauses.filter(isCheck))
}
