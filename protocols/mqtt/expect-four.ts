// Which packets a client of MQTT 3.1 and 3.1.1 may send, by their fixed headers: judged before a byte of them is kept. PUBLISH is judged by connection.ts, as in
// every version.
import * as codec from './codec.ts'
import { ProtocolError } from './codec.ts'

export function expectFour(type: number, flags: number, remaining: number, packetBytesMax: number): void {
  switch (type) {
    case codec.CONNECT:
      if (flags === 0) return
      break
    case codec.PUBACK:
    case codec.PUBREC:
    case codec.PUBCOMP:
      if (flags === 0 && remaining === 2) return
      break
    case codec.PUBREL:
      if (flags === 2 && remaining === 2) return
      break
    case codec.SUBSCRIBE:
    case codec.UNSUBSCRIBE:
      if (flags === 2 && remaining <= packetBytesMax) return
      break
    case codec.PINGREQ:
    case codec.DISCONNECT:
      if (flags === 0 && remaining === 0) return
      break
    default:
  }
  throw new ProtocolError('a packet that no client sends, with wrong flags [MQTT-2.2.2-2], or of an impossible length')
}
