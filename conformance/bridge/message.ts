// A message as the bridge's checks speak of it, whatever protocol carries it.

/** `unmarked`: the protocol has no word for what its bytes are. */
export type Body =
  | Readonly<{ kind: 'text'; text: string }>
  | Readonly<{ kind: 'bytes' | 'unmarked'; bytes: Buffer }>
  | Readonly<{ kind: 'map'; entries: Readonly<Record<string, Scalar>> }>
  | Readonly<{ kind: 'list'; items: readonly Scalar[] }>
  | Readonly<{ kind: 'none' }>

export type Scalar = string | number | boolean

/** Fields that an application can say, each absent where it is not said or the protocol has no place for it. */
export type Fields = Readonly<{
  correlationId?: string
  /** Sent: the plain name of a topic. Seen: the address as it came. */
  replyTo?: string
  contentType?: string
  /** AMQP's subject, JMSType. */
  type?: string
  messageId?: string
  /** In milliseconds since 1970, as `expiresMs`. */
  timestampMs?: number
  expiresMs?: number
  priority?: number
  durable?: boolean
  group?: string
  userId?: string
  /** Application's own. In order, names may come twice. */
  properties?: readonly (readonly [string, Scalar])[]
}>

export type Message = Readonly<{ body: Body; fields: Fields }>

export type Party = 'mqtt-3.1.1' | 'mqtt-5' | 'amqp' | 'stomp'
export const parties: readonly Party[] = ['mqtt-3.1.1', 'mqtt-5', 'amqp', 'stomp']

/** The bytes of a body that is text or bytes of any kind; undefined for others. */
export function bytesOf(body: Body): Buffer | undefined {
  if (body.kind === 'text') return Buffer.from(body.text)
  return body.kind === 'bytes' || body.kind === 'unmarked' ? body.bytes : undefined
}

/** For people. */
export function written(body: Body): string {
  switch (body.kind) {
    case 'text':
      return `text ${JSON.stringify(body.text.slice(0, 60))}`
    case 'bytes':
    case 'unmarked':
      return `${body.bytes.length} bytes ${JSON.stringify(body.bytes.subarray(0, 60).toString())}`
    case 'map':
      return `a map ${JSON.stringify(body.entries)}`
    case 'list':
      return `a list ${JSON.stringify(body.items)}`
    case 'none':
      return 'no body'
  }
}
