// Edits of MQTT packets, for the mutants of both suites: packets are read and written at the level that the connection's CONNECT names.
import { generate, type Packet, parser } from 'mqtt-packet'
import { type Edited, type Mutant, mutant } from '../mutant.ts'

/** What stands for a packet: nothing said, the packet itself. Bytes go as they are, also such as no packet has. */
export type Stands = Packet | Buffer | readonly (Packet | Buffer)[] | 'drop' | 'close' | undefined

type Of<C extends Packet['cmd']> = Extract<Packet, { cmd: C }>

/** As an edit of bytes, with packets: `raw` is the whole packet. What cannot be read passes. */
export type PacketEdit = Readonly<{
  toClient?: (packet: Packet, raw: Buffer) => Stands
  toBroker?: (packet: Packet, raw: Buffer) => Stands
  brokerClosed?: () => boolean
  clientClosed?: () => boolean
}>

export type PacketEnds = Readonly<{
  toClient: (packet: Packet | Buffer) => void
  toBroker: (packet: Packet | Buffer) => void
  close: () => void
}>

/** `start` is called when the proxy starts, what it answers for each connection: what they share lies between. */
export function edits(says: string, start: () => (ends: PacketEnds) => PacketEdit): Mutant {
  return {
    says,
    start: () => {
      const editOf = start()
      return (ends) => {
        let level = 4
        const bytes = (packet: Packet | Buffer): Buffer => (Buffer.isBuffer(packet) ? packet : generate(packet, { protocolVersion: level }))
        const edit = editOf({
          toClient: (packet) => ends.toClient(bytes(packet)),
          toBroker: (packet) => ends.toBroker(bytes(packet)),
          close: ends.close,
        })
        const edited = (raw: Buffer, change: PacketEdit['toClient']): Edited => {
          const packet = change === undefined ? undefined : read(raw, level)
          const stands = packet === undefined ? undefined : change?.(packet, raw)
          if (stands === undefined || stands === 'close') return stands
          if (stands === 'drop') return []
          return isList(stands) ? stands.map(bytes) : bytes(stands)
        }
        return {
          toClient: (raw) => edited(raw, edit.toClient),
          toBroker: (raw) => {
            level = levelOf(raw) ?? level
            return edited(raw, edit.toBroker)
          },
          ...(edit.brokerClosed === undefined ? {} : { brokerClosed: edit.brokerClosed }),
          ...(edit.clientClosed === undefined ? {} : { clientClosed: edit.clientClosed }),
        }
      }
    },
  }
}

/** A broker that changes one kind of packet of its own: `change` answers what is sent instead, nothing to send it as it is. */
export function changes<C extends Packet['cmd']>(says: string, cmd: C, change: (packet: Of<C>, raw: Buffer) => Stands): Mutant {
  return edits(says, () => () => ({ toClient: (packet, raw) => (is(packet, cmd) ? change(packet, raw) : undefined) }))
}

/** A broker that takes one kind of packet for another: `change` answers what it sees instead. */
export function sees<C extends Packet['cmd']>(says: string, cmd: C, change: (packet: Of<C>, raw: Buffer) => Stands): Mutant {
  return edits(says, () => () => ({ toBroker: (packet, raw) => (is(packet, cmd) ? change(packet, raw) : undefined) }))
}

/** A broker that answers this kind of packet so, and does nothing else about it. Nothing answered: it does as it should. */
export function answers<C extends Packet['cmd']>(says: string, cmd: C, answer: (packet: Of<C>) => Packet | Buffer | undefined): Mutant {
  return edits(says, () => ({ toClient }) => ({
    toBroker: (packet) => {
      const own = is(packet, cmd) ? answer(packet) : undefined
      if (own === undefined) return undefined
      toClient(own)
      return 'drop'
    },
  }))
}

/** A broker that never says this. */
export const never = (cmd: Packet['cmd']): Mutant => changes(`never sends ${cmd.toUpperCase()}`, cmd, () => 'drop')

/** A broker that takes no notice of this. */
export const ignores = (cmd: Packet['cmd']): Mutant => sees(`takes no notice of ${cmd.toUpperCase()}`, cmd, () => 'drop')

export const is = <C extends Packet['cmd']>(packet: Packet, cmd: C): packet is Of<C> => packet.cmd === cmd

const isList = (stands: Packet | Buffer | readonly (Packet | Buffer)[]): stands is readonly (Packet | Buffer)[] => Array.isArray(stands)

/** Of a CONNECT: its protocol level, 5 if it is that and 4 if not; undefined for any other packet. */
function levelOf(raw: Buffer): number | undefined {
  if (raw[0] !== 0x10) return undefined
  let at = 1
  while ((raw[at] ?? 0) >= 128) at++
  const name = raw.readUInt16BE(Math.min(at + 1, raw.length - 2))
  return raw[at + 3 + name] === 5 ? 5 : 4
}

function read(raw: Buffer, level: number): Packet | undefined {
  let found: Packet | undefined
  const reader = parser({ protocolVersion: level })
  reader.on('packet', (packet) => {
    found = packet
  })
  reader.on('error', () => {
    found = undefined
  })
  reader.parse(raw)
  return found
}

/** With these bytes instead of others of the same length, wherever they are in what the client sends: it takes what is malformed for something else. */
export function mistakes(says: string, from: Buffer, to: Buffer): Mutant {
  return mutant(says, () => ({
    toBroker: (raw) => {
      const changed = Buffer.from(raw)
      for (let at = changed.indexOf(from); at >= 0; at = changed.indexOf(from)) to.copy(changed, at)
      return changed
    },
  }))
}
