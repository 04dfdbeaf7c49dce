// A way of bytes to a broker, for libraries that take one: a TCP connection, or a WebSocket on one. The library that speaks WebSocket is not ours either (ws).
import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { createWebSocketStream, WebSocket } from 'ws'
import type { Address } from './addresses.ts'

/** `socket` tells when it is over, whatever the library makes of that. */
export type Line = Readonly<{ stream: Duplex; socket: Socket }>

/** `subprotocol`: over WebSocket; undefined: TCP itself. */
export function dial({ host, port }: Pick<Address, 'host' | 'port'>, subprotocol: string | undefined): Line {
  const socket = connect({ host, port, noDelay: true })
  if (subprotocol === undefined) return { stream: socket, socket }
  const url = `ws://${host.includes(':') ? `[${host}]` : host}:${port}`
  const stream = createWebSocketStream(new WebSocket(url, subprotocol, { createConnection: () => socket, perMessageDeflate: false }))
  // A hand-shake that never ends, and an end that is never answered, would keep it.
  socket.once('close', () => stream.destroy())
  // Nobody may listen yet, or any more.
  stream.on('error', () => socket.destroy())
  return { stream, socket }
}
