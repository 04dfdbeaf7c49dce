// Where an actor connects: in turn to the protocol's own listener and to that of WebSocket, so that every round has both.
import { addressOf, type Place } from '../wire/bytes.ts'
import type { Ready } from '../wire/node-process.ts'

let connections = 0

export function placeOf(ready: Ready, listener: string, subprotocol: string): Place {
  return ++connections % 2 === 0 ? addressOf(ready.listeners[listener] ?? '') : { ...addressOf(ready.listeners['websocket'] ?? ''), subprotocol }
}
