// Cuts MQTT's bytes into packets: fixed header and remaining length (MQTT 2.2).
import type { Framing, Splitter } from '../mutant.ts'

export const mqttFraming: Framing = () => ({ toClient: splitter(), toBroker: splitter() })

export function splitter(): Splitter {
  let rest: Buffer = Buffer.alloc(0)
  return (bytes) => {
    rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes])
    const packets: Buffer[] = []
    for (;;) {
      const size = packetSize(rest)
      if (size === undefined || size > rest.length) return packets
      packets.push(rest.subarray(0, size))
      rest = rest.subarray(size)
    }
  }
}

/** Of the packet at the beginning, header included; undefined while its length is not all there. A length of five bytes and more is none: what is there is one packet. */
function packetSize(bytes: Buffer): number | undefined {
  let length = 0
  for (let at = 1; at <= 4; at++) {
    const byte = bytes[at]
    if (byte === undefined) return undefined
    length |= (byte & 127) << (7 * (at - 1))
    if (byte < 128) return at + 1 + length
  }
  return bytes.length
}
