// Attach (part 2.7.3): a link, or why not. The answer waits until what it made is committed. A link whose client was away goes on where it was.
// A name that is attached already is taken over, whoever has it (part 2.6.1): the older link ends with amqp:link:stolen.
import { formatAddress, kindOf, parseTarget } from '../address.ts'
import { queuesOf } from '../anonymous.ts'
import { hasRoom, type Pairs, writeAttach } from '../attach-frame.ts'
import { OF_SOURCES, OF_TERMINI } from '../capabilities.ts'
import type { Channel } from '../channel.ts'
import { CAPABILITIES, Coordinator } from '../coordinator.ts'
import { type AmqpError, ConnectionFault, errorOf, fault } from '../errors.ts'
import { type Expiry, grantOf, outlives, WITH_LINK } from '../expiry.ts'
import { IncomingLink } from '../incoming-link.ts'
import { OutgoingLink } from '../outgoing-link.ts'
import { OwnSession } from '../own-session.ts'
import type { Attach } from '../performatives.ts'
import { bindSource, mayOutlive, PERMANENT, prepareSource } from '../sources.ts'
import { type Terminus, terminusTerm } from '../terminus.ts'
import { leave } from './detach.ts'

export function onAttach(channel: Channel, told: Attach): void {
  const { connection } = channel
  const { linksMax } = connection.shared.settings
  if (told.handle >= linksMax)
    throw new ConnectionFault('amqp:connection:framing-error', `Handle ${told.handle} exceeds handle-max (${linksMax - 1}).`)
  if (channel.taken(told.handle)) {
    channel.end({ condition: 'amqp:session:handle-in-use', description: `Handle ${told.handle} has a link already.` })
    return
  }
  if (channel.handles.isErrant(told)) {
    channel.end({ condition: 'amqp:session:errant-link', description: 'The link was detached because of an error, which is to be answered first.' })
    return
  }
  const own = channel.handles.take()
  if (own === undefined) {
    channel.end(fault('limit', 'The client takes no more links in this session than there are (handle-max).'))
    return
  }
  const attach = { ...told, own }
  if (told.senderSettles > 2 || told.receiverSettles > 1) {
    refuse(
      channel,
      { ...attach, senderSettles: 2, receiverSettles: 0 },
      fault('invalid', 'A settle mode of an attach is none that there is (part 2.8.2, 2.8.3).'),
    )
    return
  }
  // Before anything is made, renewed or taken over.
  if (!hasRoom(channel, attach)) {
    refuse(channel, attach, NO_ROOM)
    return
  }
  connection.names.steal(attach.name, attach.receives)
  if (attach.receives) attachOutgoing(channel, attach)
  else attachIncoming(channel, attach)
}

/** The client sends. */
function attachIncoming(channel: Channel, attach: Attach): void {
  const { connection } = channel
  const target = attach.target
  if (target === undefined) {
    refuse(channel, attach, fault('invalid', 'A link on which the client sends has no target. An anonymous one has a target without an address.'))
    return
  }
  const coordinator = target.kind === 'coordinator' ? new Coordinator(connection.transactions) : undefined
  const address = target.dynamic === true ? connection.nodes.temporary(kindOf(target.capabilities) ?? 'queue') : targetOf(channel, target)
  if (address !== undefined && 'condition' in address) {
    refuse(channel, attach, address)
    return
  }
  const lives = coordinator === undefined && target.dynamic !== true
  const wished = coordinator !== undefined ? WITH_LINK : grantOf(target, lives, connection.shared.settings)
  if ('condition' in wished) {
    refuse(channel, attach, wished)
    return
  }
  const signature = signatureOf(target)
  const taken = connection.names.takeKept(attach.name, false, signature)
  const kept = taken instanceof IncomingLink && taken.alive ? taken : undefined
  if (kept === undefined) taken?.drop()
  const expiry = kept === undefined ? connection.shared.kept.admit(wished) : wished
  const link = new IncomingLink(channel, { attach, target: address, coordinator, expiry, signature })
  let ours: Pairs = []
  if (kept !== undefined) ours = link.inherit(kept)
  else {
    try {
      link.open(new OwnSession(connection.shared.broker, connection, link))
    } catch (error) {
      if (outlives(expiry)) connection.shared.kept.leave()
      refuse(channel, attach, errorOf(error))
      return
    }
  }
  let ticket = link.session.opened
  for (const queue of address === undefined || target.dynamic === true ? [] : queuesOf(address)) {
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
  if (address !== undefined && target.dynamic === true) {
    nodeTicket = connection.nodes.makeTemporary(address)
    if (nodeTicket === 0) {
      const error = errorOf(connection.session.refusal)
      link.release(true)
      refuse(channel, attach, error)
      return
    }
    link.node = address
  }
  enter(channel, link)
  const name = target.dynamic === true && address !== undefined ? formatAddress(address) : target.address
  link.after(ticket, () => {
    connection.after(nodeTicket, () => {
      if (channel.links.get(link.incoming) !== link) return
      const granted = coordinator === undefined ? inForce(target, expiry) : { ...NO_TARGET, kind: 'coordinator' as const, capabilities: CAPABILITIES }
      const answer = { source: attach.source && terminusTerm(attach.source), target: terminusTerm({ ...granted, address: name }), link, ours }
      if (writeAttach(channel, attach, answer)) answered(channel, link)
      else giveUp(channel, link)
      connection.flush()
    })
  })
}

function targetOf(channel: Channel, target: Terminus): ReturnType<typeof parseTarget> | undefined {
  // No address: each message says where it goes.
  if (target.address === undefined || target.address === '') return undefined
  return parseTarget(channel.connection.shared.broker, target.address, kindOf(target.capabilities))
}

/** The client receives. */
function attachOutgoing(channel: Channel, attach: Attach): void {
  const { connection } = channel
  const wished = attach.source === undefined ? WITH_LINK : grantOf(attach.source, mayOutlive(connection, attach), connection.shared.settings)
  if ('condition' in wished) {
    refuse(channel, attach, wished)
    return
  }
  const signature = signatureOf(attach.source) + attach.senderSettles
  const taken = connection.names.takeKept(attach.name, true, signature)
  const kept = taken instanceof OutgoingLink && taken.alive ? taken : undefined
  if (kept === undefined) taken?.drop()
  else {
    const link = new OutgoingLink(channel, { attach, source: kept.source, expiry: wished, signature, own: undefined })
    const ours = link.inherit(kept)
    enter(channel, link)
    answer(channel, link, ours)
    return
  }
  const expiry = connection.shared.kept.admit(wished)
  let own: OwnSession | undefined
  try {
    own = outlives(expiry) ? new OwnSession(connection.shared.broker, connection, connection) : undefined
  } catch (error) {
    connection.shared.kept.leave()
    refuse(channel, attach, errorOf(error))
    return
  }
  const prepared = prepareSource(connection, attach, own?.session)
  if ('condition' in prepared) {
    own?.session.close('clean')
    if (own !== undefined) connection.shared.kept.leave()
    refuse(channel, attach, prepared)
    return
  }
  const { source } = prepared
  const link = new OutgoingLink(channel, { attach, source, expiry, signature, own })
  let { ticket } = prepared
  if (source.copy) {
    const browse = link.session.browse(source.queue, { held: false, selector: source.selector }, link)
    if (browse === undefined) {
      refuse(channel, attach, errorOf(link.session.refusal))
      return
    }
    link.look(browse)
  } else if (!source.lookup) {
    const { exclusive, priority } = source
    // A subscription's selector is its binding's; of a list it is both's.
    const selector = prepared.patterns.length === 0 || source.several !== undefined ? source.selector : undefined
    const options = { settle: link.settled ? 'settled' : 'unsettled', exclusive, priority, selector } as const
    const consumer = link.session.consume(source.several ?? [source.queue], options, own === undefined ? link : link.sink)
    const bound = consumer === undefined ? undefined : bindSource(link.session, prepared, link.settled)
    if (consumer === undefined || bound === undefined) {
      const error = errorOf(link.session.refusal)
      consumer?.close()
      if (own !== undefined) connection.shared.kept.leave()
      if (source.temporary && own === undefined) connection.nodes.letGo(source.queue)
      if (source.node !== undefined) connection.session.release(source.node)
      own?.session.close('clean')
      refuse(channel, attach, error)
      return
    }
    ticket = Math.max(ticket, bound)
    link.open(consumer)
    if (source.durable) connection.names.subscribed(source.queue)
  }
  enter(channel, link)
  link.after(ticket, () => answer(channel, link, []))
}

function answer(channel: Channel, link: OutgoingLink, ours: Pairs): void {
  const { attach, source } = link
  if (channel.links.get(link.incoming) !== link) return
  const told = { source: terminusTerm(sourceAnswer(link)), target: attach.target && terminusTerm(attach.target), link, ours }
  if (writeAttach(channel, source.copy ? { ...attach, senderSettles: 1 } : attach, told)) answered(channel, link)
  else giveUp(channel, link)
  channel.connection.flush()
}

/** What is in force. */
function sourceAnswer({ attach, source, expiry }: OutgoingLink): Terminus {
  const asked = attach.source
  if (asked === undefined)
    return { ...NO_SOURCE, address: source.address, durable: 2, expiry: 'never', distribution: 'copy', capabilities: ['topic'] }
  // A subscription is one of many copies of its topic. Told in any case, since there are two modes (part 3.5.3).
  const ofTopic = source.durable || (source.temporary && source.node === undefined)
  const distribution = source.copy || ofTopic ? 'copy' : 'move'
  const answer = { ...asked, address: source.address, filter: source.filter, distribution }
  // A durable subscription is there until its link is closed, and what is unsettled of it waits on it.
  return inForce(answer, source.durable ? { ...asked, policy: 'never', timeoutS: 0 } : expiry)
}

function inForce(asked: Terminus, { policy, timeoutS, durable }: Pick<Expiry, 'policy' | 'timeoutS' | 'durable'>): Terminus {
  const known = asked.kind === 'source' ? OF_SOURCES : OF_TERMINI
  return { ...asked, expiry: policy, timeoutS, durable, capabilities: asked.capabilities.filter((each) => known.includes(each)) }
}

/** Of what makes a terminus another one. */
function signatureOf(terminus: Terminus | undefined): string {
  if (terminus === undefined) return ''
  const { address, distribution, filter, capabilities } = terminus
  return JSON.stringify([address, distribution, filter, capabilities], (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value))
}

function enter(channel: Channel, link: IncomingLink | OutgoingLink): void {
  const { connection } = channel
  channel.add(link)
  connection.names.enter(link, () => {
    channel.stolen(link, fault('taken-over', 'Another link of this name was attached.'))
    connection.flush()
  })
}

function answered(channel: Channel, link: IncomingLink | OutgoingLink): void {
  link.answered = true
  if (link.leaving !== undefined) leave(channel, link, link.leaving.closed)
  link.topUp()
}

/** An answer of which only now is known that it has no room: with a node's name that the broker gave, or that of a subscription looked up. */
function giveUp(channel: Channel, link: IncomingLink | OutgoingLink): void {
  channel.forget(link)
  channel.connection.names.released(link, false)
  refuse(channel, link.attach, NO_ROOM)
  // Its client detached it meanwhile, and will not do so again.
  if (link.leaving !== undefined) channel.handles.detachedByBoth(link.incoming)
}

/** An attach without source and target, and a detach that says why (part 2.6.3; Go's client waits for the reason only if both are missing). */
function refuse(channel: Channel, attach: Attach, error: AmqpError): void {
  if (writeAttach(channel, attach, { source: undefined, target: undefined, link: undefined, ours: [] })) channel.refused(attach, error)
  // Not even its name has room.
  else channel.end(NO_ROOM)
}

const NO_ROOM: AmqpError = {
  condition: 'amqp:frame-size-too-small',
  description: "The answer to this attach does not fit into a frame of the client's max-frame-size (part 2.7.1).",
}

const NO_SOURCE: Terminus = {
  kind: 'source',
  address: undefined,
  durable: 0,
  expiry: 'link-detach',
  timeoutS: 0,
  dynamic: false,
  distribution: undefined,
  filter: [],
  defaultOutcome: undefined,
  outcomes: undefined,
  capabilities: [],
}
const NO_TARGET: Terminus = { ...NO_SOURCE, kind: 'target' }
