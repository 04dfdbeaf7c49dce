// A message of which more frames are to come (part 2.6.14): its pieces, and what its transfers have said of it. Hot room: most have one frame only.
import { type AmqpError, fault } from './errors.ts'
import type { Frame } from './codec.ts'
import type { AmqpConnection } from './connection.ts'
import type { Attach, Transfer } from './performatives.ts'
import type { OpenTransaction } from './transactions.ts'

export type Partial = {
  readonly id: number
  settled: boolean
  /** Of a link that remembers. */
  readonly tag: string
  readonly resume: boolean
  /** The client settles after us. */
  readonly second: boolean
  readonly pieces: Buffer[]
  bytes: number
  readonly format: number
  /** The transaction that it is a part of, by its id. */
  within: string | undefined
  /** The same, while more is to come. */
  open: OpenTransaction | undefined
}

/** Why a transfer cannot be the first of a message. */
export function faultOfFirst({ deliveryId, tagBytes, receiverSettles }: Transfer, attach: Attach): AmqpError | undefined {
  if (deliveryId === undefined || tagBytes === undefined)
    return fault('invalid', 'The first frame of a message has no delivery-id or no delivery-tag.')
  if (tagBytes > 32) return fault('invalid', 'A delivery-tag is longer than 32 bytes.')
  if (receiverSettles === 1 && attach.receiverSettles !== 1)
    return fault('invalid', 'A transfer asks for rcv-settle-mode second on a link of first (part 2.7.5).')
  return undefined
}

/** `transfer` is without fault. `remembers`: its tag is needed. */
export function partialOf(transfer: Transfer, bytes: Buffer, attach: Attach, remembers: boolean): Partial {
  const { deliveryId = 0, tagBytes = 0, tagEnd, resume, receiverSettles, format } = transfer
  return {
    id: deliveryId,
    settled: false,
    tag: remembers ? bytes.toString('latin1', tagEnd - tagBytes, tagEnd) : '',
    resume,
    second: attach.receiverSettles === 1 && receiverSettles !== 0,
    pieces: [],
    bytes: 0,
    format: format ?? 0,
    within: undefined,
    open: undefined,
  }
}

/** The one message of a link of which more is to come. */
export class Gathering {
  readonly #connection: AmqpConnection
  #partial: Partial | undefined

  constructor(connection: AmqpConnection) {
    this.#connection = connection
  }

  get partial(): Partial | undefined {
    return this.#partial
  }

  /** More frames are to come after this one. Answers why they may not. */
  keep(partial: Partial, { payload }: Transfer, { bytes, end }: Frame): AmqpError | undefined {
    const { transactions, shared } = this.#connection
    if (partial.within !== undefined && partial.open === undefined) {
      partial.open = transactions.find(partial.within)
      if (partial.open !== undefined) partial.open.partials++
    }
    if (end > payload) partial.pieces.push(bytes.subarray(payload, end))
    this.#partial = partial
    if (this.#connection.keepPartial(end - payload)) return undefined
    return fault('limit', `Unfinished messages of this connection exceed partialBytesMax (${shared.settings.partialBytesMax}).`)
  }

  /** It is unfinished no more. */
  drop(): void {
    if (this.#partial === undefined) return
    if (this.#partial.open !== undefined) this.#partial.open.partials--
    this.#connection.keepPartial(-this.#partial.pieces.reduce((sum, piece) => sum + piece.length, 0))
    this.#partial = undefined
  }
}
