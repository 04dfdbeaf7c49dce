// Open (part 2.7.1): who the client is, what both sides take, and what we offer.
import { ANONYMOUS_RELAY, DELAYED_DELIVERY, SHARED_SUBSCRIPTIONS, SOLE_CONNECTION } from '../capabilities.ts'
import type { AmqpConnection } from '../connection.ts'
import { ConnectionFault } from '../errors.ts'
import { frame } from '../frames.ts'
import type { Open } from '../performatives.ts'
import { pairs, symbol, symbols, type Term, text, uint, ushort } from '../term.ts'

/** Part 2.8.1: MIN-MAX-FRAME-SIZE. */
const FRAME_BYTES_MIN = 512
const CONTAINER_ID_BYTES_MAX = 1024

export function onOpen(connection: AmqpConnection, open: Open): void {
  if (connection.containerId !== '') throw new ConnectionFault('amqp:not-allowed', 'The connection is open already.')
  if (open.containerId === '' || Buffer.byteLength(open.containerId) > CONTAINER_ID_BYTES_MAX) {
    throw new ConnectionFault('amqp:invalid-field', `A container-id has 1 to ${CONTAINER_ID_BYTES_MAX} bytes.`)
  }
  if (open.frameBytesMax < FRAME_BYTES_MIN) throw new ConnectionFault('amqp:invalid-field', `A max-frame-size is at least ${FRAME_BYTES_MIN}.`)
  const { idleTimeoutMinMs } = connection.shared.settings
  if (open.idleTimeoutMs > 0 && open.idleTimeoutMs < idleTimeoutMinMs) {
    throw new ConnectionFault('amqp:invalid-field', `An idle-time-out of less than ${idleTimeoutMinMs} ms cannot be kept (idleTimeoutMinMs).`)
  }
  connection.open({ ...open, containerId: Buffer.from(open.containerId).toString() })
}

export function openFrame(connection: AmqpConnection): Buffer {
  const { broker, settings } = connection.shared
  const properties: (readonly [Term, Term])[] = [
    [symbol('product'), text('bascule')],
    [symbol('version'), text(broker.version)],
    [symbol('queue-prefix'), text('queue://')],
    [symbol('topic-prefix'), text('topic://')],
  ]
  const servers = broker.pairAddresses('amqp', connection.secure).map((address) => serverOf(address, connection.secure))
  if (servers.length > 0) properties.push([symbol('failover-server-list'), { type: 'terms', value: servers }])
  return frame(0, 0x10, [
    text(`bascule-${broker.node}`),
    undefined,
    uint(settings.frameBytesMax),
    ushort(settings.sessionsMax - 1),
    settings.idleTimeoutMs === 0 ? undefined : uint(settings.idleTimeoutMs),
    undefined,
    undefined,
    symbols([ANONYMOUS_RELAY, DELAYED_DELIVERY, SHARED_SUBSCRIPTIONS, SOLE_CONNECTION]),
    undefined,
    pairs(properties),
  ])
}

/** As Qpid's clients read it: where to go when this node is gone. */
function serverOf(address: string, secure: boolean): Term {
  const colon = address.lastIndexOf(':')
  const host = address.slice(0, colon).replace(/^\[|\]$/g, '')
  return pairs([
    [symbol('hostname'), text(host)],
    [symbol('network-host'), text(host)],
    [symbol('port'), { type: 'int32', value: Number(address.slice(colon + 1)) }],
    [symbol('scheme'), text(secure ? 'amqps' : 'amqp')],
  ])
}
