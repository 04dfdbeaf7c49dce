// Attach (part 2.7.3): a link, or why not. The answer waits until what it made is committed.
// A name that is attached already is taken over, whoever has it (part 2.6.1): the older link ends with amqp:link:stolen.
import { formatAddress, kindOf, parseTarget } from '../address.ts'
import { DELAYED_DELIVERY } from '../capabilities.ts'
import type { Channel } from '../channel.ts'
import { CAPABILITIES, Coordinator } from '../coordinator.ts'
import { type AmqpError, ConnectionFault, errorOf, fault } from '../errors.ts'
import { frame } from '../frames.ts'
import { IncomingLink, queuesOf } from '../incoming-link.ts'
import { OutgoingLink, type Source } from '../outgoing-link.ts'
import type { Attach } from '../performatives.ts'
import { bindSource, PERMANENT, prepareSource } from '../sources.ts'
import { boolean, symbols, type Term, text, ubyte, uint } from '../term.ts'
import { type Terminus, terminusTerm } from '../terminus.ts'
import { leave } from './detach.ts'

export function onAttach(channel: Channel, attach: Attach): void {
  const { connection } = channel
  const { linksMax } = connection.shared.settings
  if (attach.handle >= linksMax)
    throw new ConnectionFault('amqp:connection:framing-error', `Handle ${attach.handle} exceeds handle-max (${linksMax - 1}).`)
  if (channel.taken(attach.handle)) {
    channel.end({ condition: 'amqp:session:handle-in-use', description: `Handle ${attach.handle} has a link already.` })
    return
  }
  connection.shared.links.get(connection.linkKey(attach.name, attach.receives))?.()
  if (attach.receives) attachOutgoing(channel, attach)
  else attachIncoming(channel, attach)
}

/** The client sends. */
function attachIncoming(channel: Channel, attach: Attach): void {
  const { connection } = channel
  const { broker } = connection.shared
  const target = attach.target
  const coordinator = target?.kind === 'coordinator' ? new Coordinator(connection.transactions) : undefined
  const address = target?.dynamic === true ? connection.temporary(kindOf(target.capabilities) ?? 'queue') : targetOf(channel, target)
  if (address !== undefined && 'condition' in address) {
    refuse(channel, attach, address)
    return
  }
  const link = new IncomingLink(channel, { attach, target: address, coordinator })
  const options = { protocol: 'amqp', clientId: '', clash: 'refuse', keepMs: 0, fresh: false, will: undefined } as const
  try {
    link.open(broker.open({ ...options, principal: connection.principal, remote: connection.remote, origin: connection.origin }, link))
  } catch (error) {
    refuse(channel, attach, errorOf(error))
    return
  }
  let ticket = link.session.opened
  for (const queue of address === undefined || target?.dynamic === true ? [] : queuesOf(address)) {
    const made = link.session.declare(queue, PERMANENT)
    if (made === 0) {
      const error = errorOf(link.session.refusal)
      link.release(true)
      refuse(channel, attach, error)
      return
    }
    ticket = Math.max(ticket, made)
  }
  // The connection's, who alone may receive from it; it goes with this link.
  let nodeTicket = 0
  if (address !== undefined && target?.dynamic === true) {
    nodeTicket = connection.makeTemporary(address)
    if (nodeTicket === 0) {
      const error = errorOf(connection.session.refusal)
      link.release(true)
      refuse(channel, attach, error)
      return
    }
    link.node = address
  }
  enter(channel, link)
  const name = target?.dynamic === true && address !== undefined ? formatAddress(address) : target?.address
  link.after(ticket, () => {
    connection.after(nodeTicket, () => {
      if (channel.links.get(link.handle) !== link) return
      const answer: Terminus = { ...(target ?? NO_TARGET), address: name, ...(coordinator === undefined ? {} : { capabilities: CAPABILITIES }) }
      write(channel, attach, attach.source === undefined ? undefined : terminusTerm(attach.source), terminusTerm(answer))
      answered(channel, link)
      link.topUp()
      connection.flush()
    })
  })
}

function targetOf(channel: Channel, target: Terminus | undefined): ReturnType<typeof parseTarget> | undefined {
  // No address: each message says where it goes.
  if (target?.address === undefined || target.address === '') return undefined
  return parseTarget(channel.connection.shared.broker, target.address, kindOf(target.capabilities))
}

/** The client receives. */
function attachOutgoing(channel: Channel, attach: Attach): void {
  const { connection } = channel
  const prepared = prepareSource(connection, attach)
  if ('condition' in prepared) {
    refuse(channel, attach, prepared)
    return
  }
  const { source } = prepared
  const link = new OutgoingLink(channel, attach, source)
  let { ticket } = prepared
  if (source.copy) {
    const browse = connection.session.browse(source.queue, { held: false, selector: source.selector }, link)
    if (browse === undefined) {
      refuse(channel, attach, errorOf(connection.session.refusal))
      return
    }
    link.look(browse)
  } else if (!source.lookup) {
    const { exclusive, priority } = source
    const selector = prepared.pattern === undefined ? source.selector : undefined
    const options = { settle: link.settled ? 'settled' : 'unsettled', exclusive, priority, selector } as const
    const consumer = connection.session.consume(source.several ?? [source.queue], options, link)
    const bound = consumer === undefined ? undefined : bindSource(connection, prepared, link.settled)
    if (consumer === undefined || bound === undefined) {
      const error = errorOf(connection.session.refusal)
      consumer?.close()
      if (source.temporary) connection.letGo(source.queue)
      if (source.node !== undefined) connection.session.release(source.node)
      refuse(channel, attach, error)
      return
    }
    ticket = Math.max(ticket, bound)
    link.open(consumer)
    if (source.durable) connection.subscribed(source.queue)
  }
  enter(channel, link)
  connection.after(ticket, () => {
    if (channel.links.get(link.handle) !== link) return
    const told = source.copy ? { ...attach, senderSettles: 1 } : attach
    write(channel, told, terminusTerm(sourceAnswer(attach, source)), attach.target === undefined ? undefined : terminusTerm(attach.target))
    answered(channel, link)
    link.topUp()
    connection.flush()
  })
}

/** What is in force. */
function sourceAnswer(attach: Attach, source: Source): Terminus {
  const asked = attach.source
  if (asked === undefined)
    return { ...NO_SOURCE, address: source.address, durable: 2, expiry: 'never', distribution: 'copy', capabilities: ['topic'] }
  return { ...asked, address: source.address, filter: source.filter }
}

function enter(channel: Channel, link: IncomingLink | OutgoingLink): void {
  const { connection } = channel
  channel.add(link)
  connection.shared.links.set(connection.linkKey(link.attach.name, link.receives), () => {
    channel.detach(link, true, fault('taken-over', 'Another link of this name was attached.'))
    connection.flush()
  })
}

function answered(channel: Channel, link: IncomingLink | OutgoingLink): void {
  link.answered = true
  if (link.leaving !== undefined) leave(channel, link, link.leaving.closed)
}

/** An attach without source and target, and a detach that says why (part 2.6.3; Go's client waits for the reason only if both are missing). */
function refuse(channel: Channel, attach: Attach, error: AmqpError): void {
  write(channel, attach, undefined, undefined)
  channel.refused(attach.handle, error)
}

function write(channel: Channel, attach: Attach, source: Term | undefined, target: Term | undefined): void {
  const { settings } = channel.connection.shared
  channel.connection.write(
    frame(channel.number, 0x12, [
      text(attach.name),
      uint(attach.handle),
      boolean(!attach.receives),
      ubyte(attach.senderSettles),
      ubyte(attach.receiverSettles > 1 ? 0 : attach.receiverSettles),
      source,
      target,
      // What the client remembers of an earlier link we do not: the map is empty (part 2.6.13).
      attach.unsettled === undefined ? undefined : { type: 'pairs', value: [] },
      undefined,
      attach.receives ? uint(0) : undefined,
      attach.receives ? undefined : { type: 'uint64', value: BigInt(settings.messageBytesMax) },
      attach.desired.includes(DELAYED_DELIVERY) ? symbols([DELAYED_DELIVERY]) : undefined,
    ]),
  )
}

const NO_SOURCE: Terminus = {
  kind: 'source',
  address: undefined,
  durable: 0,
  expiry: 'session-end',
  dynamic: false,
  distribution: undefined,
  filter: [],
  defaultOutcome: undefined,
  outcomes: undefined,
  capabilities: [],
}
const NO_TARGET: Terminus = { ...NO_SOURCE, kind: 'target' }
