// A way of bytes to a broker, for libraries that take one: a connection by TCP or TLS, or a WebSocket on one. The library that speaks WebSocket is not ours either (ws).
import { connect, isIP, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import { createWebSocketStream, WebSocket } from 'ws'
import type { Address } from './addresses.ts'

/** `socket` tells when it is over, whatever the library makes of that. */
export type Line = Readonly<{ stream: Duplex; socket: Socket }>

export type Place = Pick<Address, 'host' | 'port'> & Readonly<{ tls?: boolean }>

/** `subprotocol`: over WebSocket; undefined: TCP or TLS itself. */
export function dial(place: Place, subprotocol: string | undefined): Line {
  const { host, port } = place
  const socket = open(place)
  if (subprotocol === undefined) return { stream: socket, socket }
  const url = `ws://${host.includes(':') ? `[${host}]` : host}:${port}`
  const stream = createWebSocketStream(new WebSocket(url, subprotocol, { createConnection: () => socket, perMessageDeflate: false }))
  // A hand-shake that never ends, and an end that is never answered, would keep it.
  socket.once('close', () => stream.destroy())
  // Nobody may listen yet, or any more.
  stream.on('error', () => socket.destroy())
  return { stream, socket }
}

/** Over TLS the broker shows a certificate that this machine, or NODE_EXTRA_CA_CERTS, vouches for. */
export function open({ host, port, tls = false }: Place): Socket {
  return tls ? connectTls({ host, port, ...(isIP(host) === 0 ? { servername: host } : {}) }) : connect({ host, port, noDelay: true })
}
