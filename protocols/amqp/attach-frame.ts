// The frame of our Attach (part 2.7.3), which is never longer than the client takes: what is unsettled is told as far as there is room, the rest
// of it cannot be told in parts. Not here: what is answered (on/attach.ts).
import { DELAYED_DELIVERY } from './capabilities.ts'
import type { Channel } from './channel.ts'
import { frame } from './frames.ts'
import type { IncomingLink } from './incoming-link.ts'
import type { OutgoingLink } from './outgoing-link.ts'
import type { Attach } from './performatives.ts'
import { fitting } from './remembered.ts'
import { boolean, symbols, type Term, text, ubyte, uint } from './term.ts'
import { type Terminus, terminusTerm } from './terminus.ts'

export type Pairs = readonly (readonly [Term, Term])[]
type Termini = Readonly<{ source: Term | undefined; target: Term | undefined }>
export type Answer = Termini & Readonly<{ link: IncomingLink | OutgoingLink | undefined; ours: Pairs }>

/** Would all that is asked have room in the answer? Filters that are not in force count too: which are is known later. */
export function hasRoom(channel: Channel, attach: Attach): boolean {
  const { source, target } = attach
  const longest = encoded(
    channel,
    attach,
    { source: source && terminusTerm(inFull(source)), target: target && terminusTerm(inFull(target)) },
    [],
    true,
  )
  return longest.length <= channel.connection.frameBytesOut
}

/** With what an answer may have and nobody asked for, each as long as it can be. */
function inFull(terminus: Terminus): Terminus {
  if (terminus.kind === 'coordinator') return terminus
  return {
    ...terminus,
    durable: 2,
    expiry: 'connection-close',
    timeoutS: 0xff_ff_ff_ff,
    distribution: terminus.kind === 'source' ? 'move' : undefined,
  }
}

/** False: nothing was written, since it is longer than the client takes. */
export function writeAttach(channel: Channel, attach: Attach, { source, target, link, ours }: Answer): boolean {
  const { connection } = channel
  const termini = { source, target }
  let written: Buffer
  if (ours.length === 0) written = encoded(channel, attach, termini, attach.unsettled === undefined ? undefined : [], false)
  else {
    const room = connection.frameBytesOut - encoded(channel, attach, termini, [], true).length - LENGTHS_BYTES
    const told = fitting(ours, room)
    if (told.length < ours.length) link?.resumeOnly()
    written = encoded(channel, attach, termini, told, told.length < ours.length)
  }
  if (written.length > connection.frameBytesOut) return false
  connection.write(written)
  return true
}

function encoded(channel: Channel, attach: Attach, { source, target }: Termini, unsettled: Pairs | undefined, incomplete: boolean): Buffer {
  return frame(channel.number, 0x12, [
    text(attach.name),
    uint(attach.own),
    boolean(!attach.receives),
    ubyte(attach.senderSettles),
    ubyte(attach.receiverSettles),
    source,
    target,
    // Without a word of the client's about what it has unsettled there is nothing to answer (part 2.6.13).
    unsettled === undefined ? undefined : { type: 'pairs', value: unsettled },
    incomplete ? boolean(true) : undefined,
    attach.receives ? uint(0) : undefined,
    attach.receives ? undefined : { type: 'uint64', value: BigInt(channel.connection.shared.settings.messageBytesMax) },
    attach.desired.includes(DELAYED_DELIVERY) ? symbols([DELAYED_DELIVERY]) : undefined,
  ])
}

/** Of a map and the lists around it, when they grow long. */
const LENGTHS_BYTES = 16
