// What a drill is run against: nodes with addresses, and what can be done to them. Our own pair is `own-pair.ts`; any other broker is described by a file.
import type { Listener } from './stage.ts'

/** `kill`: SIGKILL. `pause`: SIGSTOP, and SIGCONT after it was succeeded. `handover`: leadership is given away. `term`: stopped in order. */
export const FAULTS = ['kill', 'pause', 'handover', 'term'] as const
export type Fault = (typeof FAULTS)[number]

export type TargetNode = Readonly<{
  name: string
  /** `host:port` of its listeners. */
  addresses: Readonly<Partial<Record<Listener, string>>>
}>

export type Login = Readonly<{ username: string; password: string }>

export interface Target {
  readonly name: string
  readonly nodes: readonly TargetNode[]
  readonly login: Login
  /** STOMP: what stands before the name of a queue. */
  readonly queuePrefix: string
  /** Why a fault cannot be had here; undefined: it can. */
  lacks(fault: Fault): string | undefined
  /** Ends when one node leads and the others stand ready to follow it. */
  ready(): Promise<void>
  kill(node: number): Promise<void>
  pause(node: number): Promise<void>
  resume(node: number): Promise<void>
  handOver(node: number): Promise<void>
  /** Ends when it has been told; not when it has ended. */
  term(node: number): Promise<void>
  /** After `kill` or `term`: ends when it has been started, not when it is ready. */
  start(node: number): Promise<void>
  /** What the last takeover says of itself, in the order in which it happened; undefined: nothing. */
  takeover(): Readonly<Record<string, number>> | undefined
  /** When a file of the journal came or went; undefined: that cannot be seen here. */
  readonly housekeeping: ((each: () => void) => () => void) | undefined
  /** Leaves nothing running that it started. */
  close(): Promise<void>
}
