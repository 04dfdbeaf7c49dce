// The performatives that clients send (parts 2.7, 5.3), read into objects. What they do is in on/. What we send is written in frames.ts.
import { ConnectionFault } from './errors.ts'
import { Fields } from './fields.ts'
import type { TermReader } from './reader.ts'
import { ACCEPTED, type Outcome, readOutcome } from './outcome.ts'
import { readTerminus, type Terminus } from './terminus.ts'
import { type Term, textOf } from './term.ts'

export type Pairs = readonly (readonly [Term, Term])[]

export type Open = Readonly<{
  kind: 'open'
  containerId: string
  hostname: string | undefined
  frameBytesMax: number
  channelMax: number
  idleTimeoutMs: number
  desired: readonly string[]
}>

export type Begin = Readonly<{
  kind: 'begin'
  remoteChannel: number | undefined
  nextOutgoingId: number
  incomingWindow: number
  outgoingWindow: number
  handleMax: number
}>

export type Attach = Readonly<{
  kind: 'attach'
  name: string
  /** The client's. */
  handle: number
  /** Ours, once it is known. */
  own: number
  /** The client receives: we send. */
  receives: boolean
  /** 0 unsettled, 1 settled, 2 mixed. */
  senderSettles: number
  /** 0 first, 1 second. */
  receiverSettles: number
  source: Terminus | undefined
  target: Terminus | undefined
  unsettled: Pairs | undefined
  /** There are more than the map has. */
  incomplete: boolean
  initialDeliveryCount: number | undefined
  messageBytesMax: number
  desired: readonly string[]
  properties: Pairs
}>

export type Flow = Readonly<{
  kind: 'flow'
  nextIncomingId: number | undefined
  incomingWindow: number
  nextOutgoingId: number
  outgoingWindow: number
  handle: number | undefined
  deliveryCount: number | undefined
  linkCredit: number | undefined
  drain: boolean
  echo: boolean
  /** Asks that what is given for it belongs to a transaction (part 4.4.3). */
  acquires: boolean
}>

export type Transfer = Readonly<{
  kind: 'transfer'
  handle: number
  deliveryId: number | undefined
  /** Its length, and where in the frame it ends; few ask what is in it. */
  tagBytes: number | undefined
  tagEnd: number
  format: number | undefined
  settled: boolean | undefined
  more: boolean
  /** 0 first, 1 second; undefined: as the link has it. */
  receiverSettles: number | undefined
  /** It was under way on an earlier link of this name. */
  resume: boolean
  aborted: boolean
  outcome: Outcome | undefined
  /** Where in the frame the payload begins. */
  payload: number
}>

export type Disposition = Readonly<{
  kind: 'disposition'
  /** The client received what this speaks of: we sent it. */
  received: boolean
  first: number
  last: number
  settled: boolean
  outcome: Outcome | undefined
}>

export type Detach = Readonly<{ kind: 'detach'; handle: number; closed: boolean }>
export type SaslInit = Readonly<{ kind: 'sasl-init'; mechanism: string; response: Buffer | undefined }>
export type SaslResponse = Readonly<{ kind: 'sasl-response'; response: Buffer }>

export type Performative =
  | Open
  | Begin
  | Attach
  | Flow
  | Transfer
  | Disposition
  | Detach
  | Readonly<{ kind: 'end' }>
  | Readonly<{ kind: 'close' }>
  | SaslInit
  | SaslResponse

const UINT_MAX = 0xff_ff_ff_ff

/** `reader` is over the body of a frame. */
export function readPerformative(reader: TermReader): Performative {
  const descriptor = reader.code() === 0 ? reader.descriptor() : -1
  switch (descriptor) {
    case 0x10:
      return readOpen(new Fields(reader, 'open'))
    case 0x11:
      return readBegin(new Fields(reader, 'begin'))
    case 0x12:
      return readAttach(new Fields(reader, 'attach'))
    case 0x13:
      return readFlow(new Fields(reader, 'flow'))
    case 0x14:
      return readTransfer(new Fields(reader, 'transfer'), reader)
    case 0x15:
      return readDisposition(new Fields(reader, 'disposition'))
    case 0x16:
      return readDetach(new Fields(reader, 'detach'))
    case 0x17:
      return { kind: 'end' }
    case 0x18:
      return { kind: 'close' }
    case 0x41:
      return readSaslInit(new Fields(reader, 'sasl-init'))
    case 0x43:
      return readSaslResponse(new Fields(reader, 'sasl-response'))
    default:
      throw new ConnectionFault('amqp:connection:framing-error', 'A frame holds no performative that is known here.')
  }
}

function readOpen(fields: Fields): Open {
  const containerId = fields.must(fields.string('container-id'), 'container-id')
  const hostname = fields.string('hostname')
  const frameBytesMax = fields.uint('max-frame-size') ?? UINT_MAX
  const channelMax = fields.ushort('channel-max') ?? 65_535
  const idleTimeoutMs = fields.uint('idle-time-out') ?? 0
  fields.skip(3)
  const desired = fields.symbols('desired-capabilities')
  fields.close()
  return { kind: 'open', containerId, hostname, frameBytesMax, channelMax, idleTimeoutMs, desired }
}

function readBegin(fields: Fields): Begin {
  const begin: Begin = {
    kind: 'begin',
    remoteChannel: fields.ushort('remote-channel'),
    nextOutgoingId: fields.must(fields.uint('next-outgoing-id'), 'next-outgoing-id'),
    incomingWindow: fields.must(fields.uint('incoming-window'), 'incoming-window'),
    outgoingWindow: fields.must(fields.uint('outgoing-window'), 'outgoing-window'),
    handleMax: fields.uint('handle-max') ?? UINT_MAX,
  }
  fields.close()
  return begin
}

function readAttach(fields: Fields): Attach {
  const name = fields.must(fields.string('name'), 'name')
  const handle = fields.must(fields.uint('handle'), 'handle')
  const receives = fields.must(fields.boolean('role'), 'role')
  const senderSettles = fields.ubyte('snd-settle-mode') ?? 2
  const receiverSettles = fields.ubyte('rcv-settle-mode') ?? 0
  const source = readTerminus(fields.term())
  const target = readTerminus(fields.term())
  const unsettled = fields.map('unsettled')
  const incomplete = fields.boolean('incomplete-unsettled') ?? false
  const initialDeliveryCount = fields.uint('initial-delivery-count')
  const messageBytesMax = fields.ulong('max-message-size') ?? 0
  fields.skip(1)
  const desired = fields.symbols('desired-capabilities')
  const properties = fields.map('properties') ?? []
  fields.close()
  return {
    kind: 'attach',
    name,
    handle,
    own: 0,
    receives,
    senderSettles,
    receiverSettles,
    source,
    target,
    unsettled,
    incomplete,
    initialDeliveryCount,
    messageBytesMax,
    desired,
    properties,
  }
}

function readFlow(fields: Fields): Flow {
  const nextIncomingId = fields.uint('next-incoming-id')
  const incomingWindow = fields.must(fields.uint('incoming-window'), 'incoming-window')
  const nextOutgoingId = fields.must(fields.uint('next-outgoing-id'), 'next-outgoing-id')
  const outgoingWindow = fields.must(fields.uint('outgoing-window'), 'outgoing-window')
  const handle = fields.uint('handle')
  const deliveryCount = fields.uint('delivery-count')
  const linkCredit = fields.uint('link-credit')
  fields.skip(1)
  const drain = fields.boolean('drain') ?? false
  const echo = fields.boolean('echo') ?? false
  const acquires = fields.map('properties')?.some(([key]) => textOf(key) === 'txn-id') ?? false
  fields.close()
  return { kind: 'flow', nextIncomingId, incomingWindow, nextOutgoingId, outgoingWindow, handle, deliveryCount, linkCredit, drain, echo, acquires }
}

function readTransfer(fields: Fields, reader: TermReader): Transfer {
  const handle = fields.must(fields.uint('handle'), 'handle')
  const deliveryId = fields.uint('delivery-id')
  const tagBytes = fields.binaryBytes('delivery-tag')
  const tagEnd = reader.position
  const format = fields.uint('message-format')
  const settled = fields.boolean('settled')
  const more = fields.boolean('more') ?? false
  const receiverSettles = fields.ubyte('rcv-settle-mode')
  const state = fields.term()
  const resume = fields.boolean('resume') ?? false
  const aborted = fields.boolean('aborted') ?? false
  fields.close()
  const outcome = state === undefined ? undefined : readOutcome(state)
  return {
    kind: 'transfer',
    handle,
    deliveryId,
    tagBytes,
    tagEnd,
    format,
    settled,
    more,
    receiverSettles,
    resume,
    aborted,
    outcome,
    payload: reader.position,
  }
}

function readDisposition(fields: Fields): Disposition {
  const received = fields.must(fields.boolean('role'), 'role')
  const first = fields.must(fields.uint('first'), 'first')
  const last = fields.uint('last') ?? first
  const settled = fields.boolean('settled') ?? false
  const outcome = fields.accepted() ? ACCEPTED : outcomeOf(fields.term())
  fields.close()
  return { kind: 'disposition', received, first, last, settled, outcome }
}

function outcomeOf(state: Term | undefined): Outcome | undefined {
  return state === undefined ? undefined : readOutcome(state)
}

function readDetach(fields: Fields): Detach {
  const handle = fields.must(fields.uint('handle'), 'handle')
  const closed = fields.boolean('closed') ?? false
  fields.close()
  return { kind: 'detach', handle, closed }
}

function readSaslInit(fields: Fields): SaslInit {
  const mechanism = fields.must(fields.symbol('mechanism'), 'mechanism')
  const response = fields.binary('initial-response')
  fields.close()
  return { kind: 'sasl-init', mechanism, response }
}

function readSaslResponse(fields: Fields): SaslResponse {
  const response = fields.must(fields.binary('response'), 'response')
  fields.close()
  return { kind: 'sasl-response', response }
}
