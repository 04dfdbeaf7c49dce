// rhea as a party of the bridge: durable messages unless told otherwise, sender and receiver unsettled.
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import rhea, { type Connection, type ConnectionOptions, type EventContext } from 'rhea'
import { refused } from '../outcome.ts'
import type { Trial } from '../trial.ts'
import type { Body, Fields, Message, Scalar } from './message.ts'
import type { Client } from './party.ts'

/** What rhea makes of sections: the body by its section, or the value itself. */
type Section = Readonly<{ typecode: number; content: unknown }>
const DATA = 0x75
const SEQUENCE = 0x76

export const amqpParty: Client = {
  protocol: 'amqp',
  async send(trial, topic, message) {
    const connection = await connect(trial)
    const target = { address: trial.profile.amqp.topic(topic), capabilities: ['topic'] }
    const sender = connection.open_sender({ target: target as never })
    await told(trial, sender, 'sendable', 'credit did not come')
    const sent = messageOf(trial, message)
    trial.line(
      `transfer to ${target.address}: ${JSON.stringify(sent, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value)).slice(0, 600)}`,
    )
    const outcome = new Promise<string>((resolve) => {
      sender.once('accepted', () => resolve(''))
      for (const event of ['rejected', 'released', 'modified'] as const)
        sender.once(event, ({ delivery }: EventContext) => resolve(`${event} ${JSON.stringify(delivery?.remote_state ?? {})}`))
      sender.once('sender_error', ({ sender: link }: EventContext) => resolve(`answered by the end of the link: ${JSON.stringify(link?.error)}`))
      connection.once('session_error', ({ session }: EventContext) =>
        resolve(`answered by the end of the session: ${JSON.stringify(session?.error)}`),
      )
      connection.once('connection_error', () => resolve(`answered by the end of the connection: ${JSON.stringify(connection.error)}`))
      connection.once('disconnected', () => resolve('answered by the end of the connection'))
    })
    sender.send(sent as never)
    const answer = await trial.within(outcome, 'no outcome came')
    if (answer !== '') refused(`the transfer was ${answer}`)
  },
  async receive(trial, topic) {
    const connection = await connect(trial)
    const receiver = connection.open_receiver({ source: { address: trial.profile.amqp.topic(topic), capabilities: ['topic'] } as never })
    const first = new Promise<Message>((resolve) => {
      receiver.once('message', ({ message }: EventContext) => {
        trial.line(`transfer came: ${JSON.stringify(message).slice(0, 600)}`)
        resolve(read(message as unknown as Readonly<Record<string, unknown>>))
      })
    })
    await told(trial, receiver, 'receiver_open', 'the attach was not answered')
    return () => trial.within(first, 'the message did not come')
  },
}

async function connect(trial: Trial): Promise<Connection> {
  const { host, port } = trial.addressOf('amqp')
  const container = rhea.create_container({ id: trial.name(`bridge-${trial.wireName()}`) })
  const login = trial.user === undefined ? { username: 'anonymous' } : { username: trial.user, password: trial.password ?? '' }
  const connection = container.connect({ host, port, hostname: host, reconnect: false, idle_time_out: 60_000, ...login } as ConnectionOptions)
  const quiet = ['connection_error', 'connection_close', 'disconnected', 'error', 'sender_error', 'receiver_error', 'session_error', 'protocol_error']
  for (const event of quiet) connection.on(event, () => {})
  // Its socket and timers end with an error of the socket alone: of a server that says nothing no event comes.
  const { socket } = connection as unknown as Readonly<{ socket: Socket }>
  trial.after(() => void socket.destroy(new Error('the trial is over')))
  await told(trial, connection, 'connection_open', 'open was not answered')
  trial.after(() => closed(connection))
  return connection
}

/** In milliseconds: for the answer to a close, which nothing depends on. */
const CLOSES_MS = 500

async function closed(connection: Connection): Promise<void> {
  const over = new AbortController()
  const ends = new Promise<void>((resolve) => {
    for (const event of ['connection_close', 'disconnected']) connection.once(event, () => resolve())
  })
  if (connection.is_closed()) return
  connection.close()
  await Promise.race([ends, sleep(CLOSES_MS, undefined, { signal: over.signal }).catch(() => {})])
  over.abort()
}

function told(
  trial: Trial,
  emitter: Readonly<{ once: (event: string, listener: () => void) => unknown }>,
  event: string,
  otherwise: string,
): Promise<void> {
  return trial.within(new Promise((resolve) => void emitter.once(event, () => resolve())), otherwise)
}

function messageOf(trial: Trial, { body, fields }: Message): object {
  const { correlationId, replyTo, contentType, type, messageId, timestampMs, expiresMs, priority, durable = true, group, userId, properties } = fields
  const said = {
    durable,
    priority,
    ttl: expiresMs === undefined ? undefined : expiresMs - Date.now(),
    absolute_expiry_time: expiresMs,
    correlation_id: correlationId,
    reply_to: replyTo === undefined ? undefined : trial.profile.amqp.topic(replyTo),
    content_type: contentType,
    subject: type,
    message_id: messageId,
    creation_time: timestampMs,
    group_id: group,
    user_id: userId === undefined ? undefined : Buffer.from(userId),
    application_properties: properties === undefined ? undefined : Object.fromEntries(properties),
    body: bodyOf(body),
  }
  return Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined))
}

/** Numbers as the clients of JMS write them; rhea's own choice is a type that JMS does not have. */
const asInt = (value: Scalar): unknown => (typeof value === 'number' ? rhea.types.wrap_int(value) : value)

function bodyOf(body: Body): unknown {
  switch (body.kind) {
    case 'text':
      return body.text
    case 'bytes':
    case 'unmarked':
      return rhea.message.data_section(body.bytes)
    case 'map':
      return Object.fromEntries(Object.entries(body.entries).map(([name, value]) => [name, asInt(value)]))
    case 'list':
      return rhea.message.sequence_section(body.items.map(asInt))
    case 'none':
      return null
  }
}

function read(message: Readonly<Record<string, unknown>>): Message {
  const text = (name: string): string | undefined => (typeof message[name] === 'string' ? message[name] : undefined)
  const time = (name: string): number | undefined => (message[name] === undefined || message[name] === null ? undefined : Number(message[name]))
  const { ttl, durable, priority, user_id: userId } = message
  const fields: Fields = Object.fromEntries(
    Object.entries({
      correlationId: text('correlation_id'),
      replyTo: text('reply_to'),
      contentType: text('content_type'),
      type: text('subject'),
      messageId: text('message_id'),
      timestampMs: time('creation_time'),
      expiresMs: time('absolute_expiry_time') ?? (typeof ttl === 'number' ? Date.now() + ttl : undefined),
      priority,
      durable: durable === true,
      group: text('group_id'),
      userId: Buffer.isBuffer(userId) ? userId.toString() : undefined,
      properties: Object.entries((message['application_properties'] ?? {}) as Readonly<Record<string, Scalar>>),
    }).filter(([, value]) => value !== undefined),
  )
  return { body: bodyRead(message['body']), fields }
}

function bodyRead(body: unknown): Body {
  if (typeof body === 'string') return { kind: 'text', text: body }
  if (Buffer.isBuffer(body)) return { kind: 'bytes', bytes: body }
  if (body === undefined || body === null) return { kind: 'none' }
  const { typecode, content } = body as Section
  if (typecode === DATA) return { kind: 'bytes', bytes: Buffer.concat(([content].flat() as Buffer[]).map((piece) => Buffer.from(piece))) }
  if (typecode === SEQUENCE) return { kind: 'list', items: content as Scalar[] }
  if (Array.isArray(body)) return { kind: 'list', items: body as Scalar[] }
  if (typeof body === 'object') return { kind: 'map', entries: body as Readonly<Record<string, Scalar>> }
  return { kind: 'list', items: [body as Scalar] }
}
