// DISCONNECT: its receipt says that everything before it is done (STOMP 1.1, 1.2 "DISCONNECT").
import { type Frame, header } from '../codec.ts'
import type { StompConnection } from '../connection.ts'

export function onDisconnect(connection: StompConnection, frame: Frame): void {
  connection.leave(header(frame, 'receipt'))
}
