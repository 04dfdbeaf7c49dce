// Which handler each command has. A new command is one file and one line.
import type { Handler } from '../connection.ts'
import { onAck } from './ack.ts'
import { onConnect } from './connect.ts'
import { onDisconnect } from './disconnect.ts'
import { onNack } from './nack.ts'
import { onSend } from './send.ts'
import { onSubscribe } from './subscribe.ts'
import { onAbort, onBegin, onCommit } from './transaction.ts'
import { onUnsubscribe } from './unsubscribe.ts'

export const handlers: ReadonlyMap<string, Handler> = new Map([
  ['CONNECT', onConnect],
  ['STOMP', onConnect],
  ['SEND', onSend],
  ['SUBSCRIBE', onSubscribe],
  ['UNSUBSCRIBE', onUnsubscribe],
  ['ACK', onAck],
  ['NACK', onNack],
  ['BEGIN', onBegin],
  ['COMMIT', onCommit],
  ['ABORT', onAbort],
  ['DISCONNECT', onDisconnect],
])
