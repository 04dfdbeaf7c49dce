// Edits of STOMP frames, for mutants. Headers are as they stand on the wire.
import { type Frame, type Header, readFrame, writeFrame } from '../clients/stomp-frame.ts'
import { type Edited, type Mutant, mutant } from '../mutant.ts'

type Change = (frame: Frame, raw: Buffer) => Frame | Buffer | 'drop' | 'close' | undefined

function edited(raw: Buffer, commands: readonly string[], change: Change): Edited {
  const frame = readFrame(raw)
  if (frame === undefined || !commands.includes(frame.command)) return undefined
  const stands = change(frame, raw)
  if (stands === undefined || stands === 'close') return stands
  if (stands === 'drop') return []
  return Buffer.isBuffer(stands) ? stands : writeFrame(stands)
}

const listed = (commands: string | readonly string[]): readonly string[] => (typeof commands === 'string' ? [commands] : commands)

/** A broker that changes frames of its own. */
export function changes(says: string, commands: string | readonly string[], change: Change): Mutant {
  return mutant(says, () => ({ toClient: (raw) => edited(raw, listed(commands), change) }))
}

/** A broker that takes a client's frames for something else. */
export function takes(says: string, commands: string | readonly string[], change: Change): Mutant {
  return mutant(says, () => ({ toBroker: (raw) => edited(raw, listed(commands), change) }))
}

/** A broker that never says this. */
export const never = (command: string): Mutant => changes(`never sends ${command}`, command, () => 'drop')

/** A broker that answers ERROR, and closes, where it should say this. */
export const errs = (command: string): Mutant =>
  mutant(`answers ERROR instead of ${command}`, (ends) => ({
    toClient: (raw) => {
      if (readFrame(raw)?.command !== command) return undefined
      ends.toClient(Buffer.from('ERROR\nmessage:no\n\n\0'))
      return 'close'
    },
  }))

/** A broker that keeps the ERROR to itself. */
export const closesSilently = changes('closes without an ERROR', 'ERROR', () => 'drop')

/** A broker that goes on as if nothing had been wrong. */
export const bears: Mutant = mutant('bears what it should refuse', () => ({
  toClient: (raw) => edited(raw, ['ERROR'], () => 'drop'),
  brokerClosed: () => false,
}))

export function withHeader(frame: Frame, name: string, value: string): Frame {
  const headers = frame.headers.filter(([each]) => each !== name)
  return { ...frame, headers: [...headers, [name, value]] }
}

export function withoutHeader(frame: Frame, name: string): Frame {
  return { ...frame, headers: frame.headers.filter(([each]) => each !== name) }
}

/** Every header, changed. */
export function mapHeaders(frame: Frame, change: (header: Header) => Header): Frame {
  return { ...frame, headers: frame.headers.map(change) }
}

export const lacks = (command: string, name: string): Mutant =>
  changes(`sends ${command} without ${name}`, command, (frame) => withoutHeader(frame, name))

export const says = (command: string, name: string, value: string): Mutant =>
  changes(`sends ${command} with ${name}:${value}`, command, (frame) => withHeader(frame, name, value))

export const subscribesAs = (ack: string): Mutant =>
  takes(`takes every subscription for ack:${ack}`, 'SUBSCRIBE', (frame) => withHeader(frame, 'ack', ack))

/** A broker that hears nothing of a frame of this command, but answers its receipt. */
export const ignores = (command: string): Mutant =>
  mutant(`ignores ${command}`, (ends) => ({
    toBroker: (raw) =>
      edited(raw, [command], (frame) => {
        const receipt = frame.headers.find(([name]) => name === 'receipt')?.[1]
        if (receipt !== undefined) ends.toClient(writeFrame({ command: 'RECEIPT', headers: [['receipt-id', receipt]], body: Buffer.alloc(0) }))
        return 'drop'
      }),
  }))
