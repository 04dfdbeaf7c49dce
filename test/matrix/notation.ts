// How the tables write what a client says and what one sees: each front end in its own words, by its own real clients. Types only.
//
// `Said` is what stands beside the plain message of the matrix (a body of three bytes, nothing else); `Seen` is the whole message as it arrives,
// without what names the one delivery (message-id, ack, delivery tag) and without its destination, which is compared by itself.

/** MQTT 5 speaks on the listeners of 3.1.1, and is another: its messages have properties. */
export type FrontEnd = 'mqtt' | 'amqp' | 'stomp' | 'mqtt5'
export const frontEnds: readonly FrontEnd[] = ['mqtt', 'amqp', 'stomp', 'mqtt5']
export type Transport = 'tcp' | 'ws'
export type Endpoint = Readonly<{ frontEnd: FrontEnd; transport: Transport }>
export const endpoints: readonly Endpoint[] = frontEnds.flatMap((frontEnd) => [
  { frontEnd, transport: 'tcp' },
  { frontEnd, transport: 'ws' },
])
export const nameOf = ({ frontEnd, transport }: Endpoint): string => (transport === 'tcp' ? frontEnd : `${frontEnd}(ws)`)

/**
 * One value of AMQP with its type, by the names of the specification: `['ubyte', 7]`. Whole numbers of 64 bits are bigint, binary and uuid are
 * hexadecimal, timestamps milliseconds, a char its code point, a map its pairs.
 */
export type Typed =
  | readonly ['null', null]
  | readonly ['boolean', boolean]
  | readonly ['ubyte' | 'ushort' | 'uint' | 'byte' | 'short' | 'int' | 'float' | 'double' | 'char' | 'timestamp', number]
  | readonly ['ulong' | 'long', bigint]
  | readonly ['string' | 'symbol' | 'binary' | 'uuid', string]
  | readonly ['list', readonly Typed[]]
  | readonly ['map', readonly (readonly [Typed, Typed])[]]
export type TypedMap = Readonly<Record<string, Typed>>

/** Body sections, in order. None: no body. */
export type Section = Readonly<{ data: string } | { sequence: readonly Typed[] } | { value: Typed }>

export type AmqpMessage = Readonly<{
  durable?: boolean
  priority?: number
  /** What is left of it, when seen: compared to the second. */
  ttl?: number
  deliveryAnnotations?: TypedMap
  messageAnnotations?: TypedMap
  /** By the names of part 3.2.4. */
  properties?: TypedMap
  applicationProperties?: TypedMap
  body?: readonly Section[]
  footer?: TypedMap
}>

/** Headers in order, repeated ones too. `body` is text, or bytes in hexadecimal behind `0x`. */
export type StompMessage = Readonly<{ headers?: readonly (readonly [string, string])[]; body?: string }>

export type MqttMessage = Readonly<{ payload?: string; qos?: 0 | 1 | 2; retain?: boolean }>

/** Properties of MQTT 5. Correlation is text, or bytes in hexadecimal behind `0x`; expiry in seconds: compared to the minute. Of user properties, the
 *  library keeps equal names together. */
export type FiveProperties = Readonly<{
  format?: boolean
  contentType?: string
  responseTopic?: string
  correlation?: string
  expiry?: number
  user?: readonly (readonly [string, string])[]
}>
export type FiveMessage = MqttMessage & Readonly<{ five?: FiveProperties }>

export type Said = Readonly<{ mqtt?: MqttMessage; amqp?: AmqpMessage; stomp?: StompMessage; mqtt5?: FiveMessage }>

/** What a consumer of another front end sees beside the plain message. */
export type Seen = FiveMessage & AmqpMessage & { readonly headers?: readonly (readonly [string, string])[] }

export const bytesOf = (body: string): Buffer => (body.startsWith('0x') ? Buffer.from(body.slice(2), 'hex') : Buffer.from(body, 'utf8'))
