// What is on a queue, as JSON for people: the sender's fields in the words of its protocol, the body as text where it is text.
import { isUtf8 } from 'node:buffer'
import type { Address, Described } from '../api.ts'
import type { Looked } from '../core/look.ts'
import type { View } from '../core/explain.ts'

export type RenderedBody = Readonly<{
  kind: string
  /** Of the whole body. */
  bytes: number
  text?: string
  /** Of what is no text. */
  base64?: string
  /** Only its beginning is shown. */
  cut?: true
}>

/** One entry; `view` says what it is in the protocol by which it came. */
export function renderEntry({ sequence, state, delivery }: Looked, view: View | undefined, bytesMax: number): Readonly<Record<string, unknown>> {
  if (delivery === undefined) return { sequence, state, unreadable: true }
  const { message, dead } = delivery
  return {
    sequence,
    state,
    protocol: message.dialect,
    sentTo: name(delivery.to),
    durable: message.durable,
    priority: message.priority,
    ...(message.group === '' ? {} : { group: message.group }),
    acceptedAt: time(delivery.acceptedAtMs),
    ...(message.expiresAtMs === 0 ? {} : { expiresAt: time(message.expiresAtMs) }),
    ...(message.deliverAtMs === 0 ? {} : { deliverAt: time(message.deliverAtMs) }),
    attempts: delivery.attempts - 1,
    failures: delivery.failures,
    maybeSeen: delivery.maybeSeen,
    ...(dead === undefined ? {} : { dead: { reason: dead.reason, origin: name(dead.origin) } }),
    bytes: message.head.length + message.body.length,
    ...(view?.described === undefined
      ? { unreadable: view?.refused ?? 'Its protocol is not served here.' }
      : renderDescribed(view.described, bytesMax)),
  }
}

export function renderView(view: View, bytesMax: number): Readonly<Record<string, unknown>> {
  return {
    protocol: view.protocol,
    own: view.own,
    ...(view.described === undefined ? {} : { destination: view.described.destination, ...renderDescribed(view.described, bytesMax) }),
    ...(view.refused === undefined ? {} : { refused: view.refused }),
    lost: view.lost,
  }
}

function renderDescribed({ fields, body }: Described, bytesMax: number): Readonly<{ fields: Described['fields']; body: RenderedBody }> {
  return { fields, body: renderBody(body, bytesMax) }
}

function renderBody({ kind, bytes }: Described['body'], bytesMax: number): RenderedBody {
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const cut = whole.length > bytesMax ? ({ cut: true } as const) : {}
  const shown = whole.subarray(0, bytesMax)
  if (isUtf8(whole)) return { kind, bytes: whole.length, text: cutText(shown), ...cut }
  return { kind, bytes: whole.length, base64: shown.toString('base64'), ...cut }
}

/** A character that the cut went through is left out. */
function cutText(shown: Buffer): string {
  let end = shown.length
  while (end > 0 && end > shown.length - 4 && !isUtf8(shown.subarray(0, end))) end--
  return shown.toString('utf8', 0, end)
}

/** Whose it is, kind and name in dots. */
export function name({ namespace, kind, path }: Address): string {
  return `${namespace === '' ? '' : `${namespace} `}${kind} ${path.join('.')}`
}

/** ISO 8601, or the number if it is beyond any date. */
function time(wallMs: number): string {
  return Math.abs(wallMs) > 8.64e15 ? String(wallMs) : new Date(wallMs).toISOString()
}
