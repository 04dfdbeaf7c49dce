// Edits of MQTT packets, for mutants: what is told by the first byte and the bytes behind the fixed header.
import { generate, type Packet, parser } from 'mqtt-packet'
import { type Edited, type Mutant, mutant } from '../mutant.ts'

/** A broker that changes one kind of packet of its own: `change` answers what is sent instead, nothing to send it as it is. */
export function changes<C extends Packet['cmd']>(
  says: string,
  cmd: C,
  change: (packet: Extract<Packet, { cmd: C }>, raw: Buffer) => Packet | Buffer | 'drop' | 'close' | undefined,
): Mutant {
  return mutant(says, () => ({
    toClient: (raw): Edited => {
      const packet = read(raw)
      if (packet?.cmd !== cmd) return undefined
      const stands = change(packet as Extract<Packet, { cmd: C }>, raw)
      if (stands === undefined || stands === 'close') return stands
      if (stands === 'drop') return []
      return Buffer.isBuffer(stands) ? stands : generate(stands, { protocolVersion: 4 })
    },
  }))
}

/** A broker that never says this. */
export const never = (cmd: Packet['cmd']): Mutant => changes(`never sends ${cmd.toUpperCase()}`, cmd, () => 'drop')

function read(raw: Buffer): Packet | undefined {
  let found: Packet | undefined
  const reader = parser({ protocolVersion: 4 })
  reader.on('packet', (packet) => {
    found = packet
  })
  reader.on('error', () => {})
  reader.parse(raw)
  return found
}
