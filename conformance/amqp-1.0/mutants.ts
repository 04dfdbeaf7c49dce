// Edits of AMQP frames, for mutants: by performative, written again with what the edit left of it.
import { toValue, type Written } from '../clients/amqp-composite.ts'
import { frame } from '../clients/amqp-framing.ts'
import { read, type Received, type ReceivedKind } from '../clients/amqp-wire.ts'
import { type Edited, type Mutant, mutant } from '../mutant.ts'

/** What stands for a frame: nothing said, the frame itself; a performative, with the channel and the payload of the frame; bytes; several. */
export type Stands = Written | Buffer | readonly (Written | Buffer)[] | 'drop' | 'close' | undefined

export type FrameEdit = Readonly<{
  toClient?: (piece: Received) => Stands
  toBroker?: (piece: Received) => Stands
  brokerClosed?: () => boolean
  clientClosed?: () => boolean
}>

export type FrameEnds = Readonly<{
  toClient: (what: Written | Buffer, channel?: number, payload?: Buffer) => void
  toBroker: (what: Written | Buffer, channel?: number, payload?: Buffer) => void
  close: () => void
}>

/** `start` is called when the proxy starts, what it answers for each connection: what they share lies between. */
export function edits(says: string, start: () => (ends: FrameEnds) => FrameEdit): Mutant {
  return {
    says,
    start: () => {
      const editOf = start()
      return (ends) => {
        const edit = editOf({
          toClient: (what, channel, payload) => ends.toClient(bytesOf(what, channel, payload)),
          toBroker: (what, channel, payload) => ends.toBroker(bytesOf(what, channel, payload)),
          close: ends.close,
        })
        const edited = (raw: Buffer, change: FrameEdit['toClient']): Edited => {
          if (change === undefined) return undefined
          const { piece } = read(raw)
          const stands = change(piece)
          if (stands === undefined || stands === 'close') return stands
          if (stands === 'drop') return []
          const all = isList(stands) ? stands : [stands]
          return all.map((each) => bytesOf(each, piece.channel, piece.payload))
        }
        return {
          toClient: (raw) => edited(raw, edit.toClient),
          toBroker: (raw) => edited(raw, edit.toBroker),
          ...(edit.brokerClosed === undefined ? {} : { brokerClosed: edit.brokerClosed }),
          ...(edit.clientClosed === undefined ? {} : { clientClosed: edit.clientClosed }),
        }
      }
    },
  }
}

/** A broker that changes one kind of frame of its own. */
export function changes<K extends ReceivedKind>(says: string, kind: K, change: (piece: Received<K>) => Stands): Mutant {
  return edits(says, () => () => ({ toClient: (piece) => (is(piece, kind) ? change(piece) : undefined) }))
}

/** A broker that takes one kind of frame for another: `change` answers what it sees instead. */
export function sees<K extends ReceivedKind>(says: string, kind: K, change: (piece: Received<K>) => Stands): Mutant {
  return edits(says, () => () => ({ toBroker: (piece) => (is(piece, kind) ? change(piece) : undefined) }))
}

/** A broker that answers this kind of frame so, and does nothing else about it. Nothing answered: it does as it should. */
export function answers<K extends ReceivedKind>(says: string, kind: K, answer: (piece: Received<K>) => Written | Buffer | undefined): Mutant {
  return edits(says, () => ({ toClient }) => ({
    toBroker: (piece) => {
      const own = is(piece, kind) ? answer(piece) : undefined
      if (own === undefined) return undefined
      toClient(own, piece.channel)
      return 'drop'
    },
  }))
}

/** A broker that never sends this. */
export const never = (kind: ReceivedKind): Mutant => changes(`never sends ${kind}`, kind, () => 'drop')

/** A broker that takes no notice of this. */
export const ignores = (kind: ReceivedKind): Mutant => sees(`takes no notice of ${kind}`, kind, () => 'drop')

/** A broker that says another condition in its close, end or detach. */
export function condition(kind: 'close' | 'end' | 'detach', other: string): Mutant {
  return changes(`says ${other} in ${kind}`, kind, (piece) => ({ ...piece, error: { kind: 'error', condition: other } }) as Written)
}

/** A broker that ends without saying why. */
export function silent(kind: 'close' | 'end' | 'detach'): Mutant {
  return changes(`gives no error in ${kind}`, kind, (piece) => ({ ...piece, error: undefined }) as Written)
}

/** A broker that closes the connection instead. */
export const closesAt = (kind: ReceivedKind): Mutant => changes(`closes the connection instead of sending ${kind}`, kind, () => 'close')

/** A broker that reads nothing more from where it sees this. */
export function deafFrom(kind: ReceivedKind): Mutant {
  return edits(`reads nothing from ${kind} on`, () => () => {
    let deaf = false
    return {
      toBroker: (piece) => {
        if (piece.kind === kind) deaf = true
        return deaf ? 'drop' : undefined
      },
    }
  })
}

/** A broker that takes what comes at once for whole: less than a header is none. */
export const needsWhole: Mutant = mutant('closes on a header that comes in pieces', () => ({
  arrives: (raw) => (raw.length < 8 ? 'close' : undefined),
}))

/** Only the bytes: what is no frame too. */
export const bytes = (says: string, toClient: (raw: Buffer) => Edited): Mutant => mutant(says, () => ({ toClient }))

export const is = <K extends ReceivedKind>(piece: Received, kind: K): piece is Received<K> => piece.kind === kind

const isList = (stands: Written | Buffer | readonly (Written | Buffer)[]): stands is readonly (Written | Buffer)[] => Array.isArray(stands)

function bytesOf(what: Written | Buffer, channel = 0, payload?: Buffer): Buffer {
  if (Buffer.isBuffer(what)) return what
  const type = what.kind.startsWith('sasl') ? 1 : 0
  return frame(toValue(what), { channel, type, ...(payload === undefined ? {} : { payload }) })
}
