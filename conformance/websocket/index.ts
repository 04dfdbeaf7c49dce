// WebSocket as brokers offer it: RFC 6455 as it binds a server, and what each protocol says of its way over it.
import type { Suite } from '../check.ts'
import { overAmqp, overMqtt, overStomp } from './bindings.ts'
import { closing, pings } from './control.ts'
import { fragments, framing, text } from './framing.ts'
import { clientHandshake, serverHandshake } from './handshake.ts'

export const websocket: Suite = {
  name: 'websocket',
  title: 'WebSocket',
  specification: 'https://www.rfc-editor.org/rfc/rfc6455',
  protocols: ['ws'],
  chapters: [clientHandshake, serverHandshake, framing, fragments, text, pings, closing, overMqtt, overStomp, overAmqp],
}
