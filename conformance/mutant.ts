// A mutant is a broker that breaks one clause: the real one behind a proxy that edits single frames.

import type { ProtocolName } from './check.ts'

/** What stands for a frame: itself (undefined), others in its place, nothing (an empty list), or the end of both connections. */
export type Edited = undefined | Buffer | readonly Buffer[] | 'close'

/** One connection that goes through the proxy. Frames are whole, as the protocol's framing cuts them. */
export type Edit = Readonly<{
  /** From the broker to the client. */
  toClient?: (frame: Buffer) => Edited
  /** From the client to the broker. */
  toBroker?: (frame: Buffer) => Edited
  /** From the client to the broker, as it comes and before it is cut into frames. */
  arrives?: (bytes: Buffer) => 'close' | undefined
  /** The broker closed the connection: false, and the client does not learn of it. */
  brokerClosed?: () => boolean
  /** The client closed the connection: false, and the broker does not learn of it while the proxy runs. */
  clientClosed?: () => boolean
}>

/** What an edit may do beside answering: for frames that come from nowhere. */
export type Ends = Readonly<{
  toClient: (bytes: Buffer) => void
  toBroker: (bytes: Buffer) => void
  close: () => void
}>

export type Mutant = Readonly<{
  /** What this broker does wrong, in a few words. */
  says: string
  /** Called when the proxy starts; what it answers is called for each connection. What connections share lies between. */
  start: () => (ends: Ends) => Edit
}>

/** A mutant whose connections share nothing. */
export function mutant(says: string, edit: (ends: Ends) => Edit): Mutant {
  return { says, start: () => edit }
}

/** Never closes a connection by itself. */
export const neverCloses: Mutant = mutant('leaves the connection open', () => ({ brokerClosed: () => false }))

export type Framings = Readonly<Record<ProtocolName, Framing>>

/** Cuts a stream of bytes into frames. What it cannot cut it answers as it came. */
export type Splitter = (bytes: Buffer) => readonly Buffer[]

/** A splitter for each direction of a connection. */
export type Framing = () => Readonly<{ toClient: Splitter; toBroker: Splitter }>

/** What came together is one frame. */
export const unframed: Framing = () => ({ toClient: (bytes) => [bytes], toBroker: (bytes) => [bytes] })
