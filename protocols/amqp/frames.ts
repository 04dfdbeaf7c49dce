// The frames that we send. Those of messages are written by hand, with the payload by reference; the rest is rare.
import { FRAME_AMQP, FRAME_SASL } from './codec.ts'
import type { AmqpError } from './errors.ts'
import { errorTerm } from './outcome.ts'
import { boolean, symbols, type Term, ubyte, uint, ushort } from './term.ts'
import { TermWriter } from './writer.ts'

export function frame(channel: number, code: number, fields: readonly (Term | undefined)[], type = FRAME_AMQP): Buffer {
  const writer = new TermWriter().u32(0).u8(2).u8(type).u16(channel).composite(code, fields)
  return writer.patch32(writer.length, 0).bytes()
}

/** Says nothing but that we live (part 2.4.5). */
export const HEARTBEAT = Buffer.from([0, 0, 0, 8, 2, 0, 0, 0])

export function saslMechanisms(names: readonly string[]): Buffer {
  return frame(0, 0x40, [symbols(names)], FRAME_SASL)
}

export function saslChallenge(data: Uint8Array): Buffer {
  return frame(0, 0x42, [{ type: 'binary', value: data }], FRAME_SASL)
}

/** 0 ok, 1 wrong user or password, 2 fault of ours, 4 try later. `data`: what the mechanism says at its success. */
export function saslOutcome(code: number, data: Uint8Array = NO_DATA): Buffer {
  return frame(0, 0x44, [ubyte(code), data.length === 0 ? undefined : { type: 'binary', value: data }], FRAME_SASL)
}

export function begin(channel: number, remote: number, incomingWindow: number, outgoingWindow: number, handleMax: number): Buffer {
  return frame(channel, 0x11, [ushort(remote), uint(0), uint(incomingWindow), uint(outgoingWindow), uint(handleMax)])
}

export function detach(channel: number, handle: number, closed: boolean, error: AmqpError | undefined): Buffer {
  return frame(channel, 0x16, [uint(handle), boolean(closed), error === undefined ? undefined : errorTerm(error)])
}

export function end(channel: number, error: AmqpError | undefined): Buffer {
  return frame(channel, 0x17, [error === undefined ? undefined : errorTerm(error)])
}

export function close(error: AmqpError | undefined): Buffer {
  return frame(0, 0x18, [error === undefined ? undefined : errorTerm(error)])
}

/** `receives`: we received what this speaks of. `state` is written already. */
export function disposition(channel: number, receives: boolean, first: number, last: number, settled: boolean, state: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(32 + state.length)
  bytes.writeUInt32BE(bytes.length, 0)
  bytes.writeUInt32BE(0x02_00_00_00 | channel, 4)
  bytes.writeUInt32BE(0x00_53_15_d0, 8)
  bytes.writeUInt32BE(bytes.length - 16, 12)
  bytes.writeUInt32BE(5, 16)
  bytes[20] = receives ? 0x41 : 0x42
  bytes[21] = 0x70
  bytes.writeUInt32BE(first >>> 0, 22)
  bytes[26] = 0x70
  bytes.writeUInt32BE(last >>> 0, 27)
  bytes[31] = settled ? 0x41 : 0x42
  bytes.set(state, 32)
  return bytes
}

export type FlowState = Readonly<{
  nextIncomingId: number
  incomingWindow: number
  nextOutgoingId: number
  outgoingWindow: number
  link: Readonly<{ handle: number; deliveryCount: number; credit: number; drain: boolean }> | undefined
}>

export function flow(channel: number, state: FlowState): Buffer {
  const { link } = state
  const session = [uint(state.nextIncomingId), uint(state.incomingWindow), uint(state.nextOutgoingId), uint(state.outgoingWindow)]
  if (link === undefined) return frame(channel, 0x13, session)
  return frame(channel, 0x13, [...session, uint(link.handle), uint(link.deliveryCount), uint(link.credit), undefined, boolean(link.drain)])
}

const NO_DATA = new Uint8Array(0)
