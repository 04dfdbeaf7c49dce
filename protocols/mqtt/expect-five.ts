// Which packets a client of MQTT 5 may send, by their fixed headers: judged before a byte of them is kept. PUBLISH is judged by connection.ts, as in every version.
import * as codec from './codec.ts'
import { ProtocolError } from './codec.ts'
import { PACKET_TOO_LARGE, PROTOCOL_ERROR } from './reasons.ts'

export function expectFive(type: number, flags: number, remaining: number, packetBytesMax: number): void {
  if (remaining > packetBytesMax) throw new ProtocolError(`a packet of more than ${packetBytesMax} bytes`, PACKET_TOO_LARGE)
  switch (type) {
    case codec.CONNECT:
    case codec.DISCONNECT:
    case codec.AUTH:
      if (flags === 0) return
      break
    case codec.PUBACK:
    case codec.PUBREC:
    case codec.PUBCOMP:
      if (flags === 0 && remaining >= 2) return
      break
    case codec.PUBREL:
    case codec.SUBSCRIBE:
    case codec.UNSUBSCRIBE:
      if (flags === 2 && remaining >= 2) return
      break
    case codec.PINGREQ:
      if (flags === 0 && remaining === 0) return
      break
    case codec.CONNACK:
    case codec.SUBACK:
    case codec.UNSUBACK:
    case codec.PINGRESP:
      throw new ProtocolError('a packet that no client sends', PROTOCOL_ERROR)
    default:
  }
  throw new ProtocolError('a packet with wrong flags [MQTT5-2.1.3-1], or of an impossible length')
}
