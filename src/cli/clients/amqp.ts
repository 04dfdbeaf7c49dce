// AMQP 1.0 for `send` and `receive`, by rhea.
import { isUtf8 } from 'node:buffer'
import rhea, { type Connection, type ConnectionOptions, type EventContext, type Message, type Receiver, type Sender } from 'rhea'
import { dial } from '../../drill/dial.ts'
import type { Access, Client, Incoming, Outgoing, Take } from './client.ts'

/** Messages on their way to us that are not yet acknowledged. */
const WINDOW = 100

export async function openAmqp(access: Access): Promise<Client> {
  const { stream, socket } = dial(access, access.webSocket ? 'amqp' : undefined)
  // By this alone the library knows an end.
  socket.once('close', () => stream.emit('end'))
  const login = access.user === '' ? {} : { username: access.user, password: access.password }
  const options = {
    container_id: `bascule-${process.pid}`,
    reconnect: false,
    ...login,
    connection_details: () => ({
      connect: (_port: number, _host: string, _options: unknown, connected: () => void) => {
        process.nextTick(connected)
        return stream
      },
    }),
  }
  const connection = rhea.create_container().connect(options as unknown as ConnectionOptions)
  let ended: (error: Error) => void = () => {}
  const broken = new Promise<never>((_, reject) => {
    ended = reject
  })
  // Whoever waits for nothing is not disturbed.
  broken.catch(() => {})
  // What the library itself finds (a refused log-in) is with the event, what the broker said with the connection.
  const told = ({ error, connection }: EventContext): void => ended(new Error(sentenceOf(error ?? connection.error)))
  for (const event of ['connection_error', 'connection_close', 'protocol_error', 'disconnected', 'error']) {
    connection.on(event, (context: EventContext | Error) => (context instanceof Error ? ended(context) : told(context)))
  }
  await Promise.race([new Promise((resolve) => connection.once('connection_open', resolve)), broken])
  const senders = new Map<string, Promise<LinkOut>>()
  return {
    broken,
    async send(destination, message) {
      const link = senders.get(destination) ?? LinkOut.open(connection, destination, ended)
      senders.set(destination, link)
      await (await link).send(message)
    },
    receive: (destination, countMax, take) => receive(connection, destination, countMax, take, ended),
    async close() {
      connection.close()
      await new Promise((resolve) => connection.once('connection_close', resolve).once('disconnected', resolve))
    },
  }
}

/** One destination that is sent to. */
class LinkOut {
  readonly #sender: Sender
  /** By the delivery's number. */
  readonly #unsettled = new Map<number, Readonly<{ resolve: () => void; reject: (error: Error) => void }>>()
  #credit: (() => void)[] = []

  /** A link that is refused is attached and then detached with the reason (part 2.6.3): `ended` is told that too. */
  static async open(connection: Connection, destination: string, ended: (error: Error) => void): Promise<LinkOut> {
    const sender = connection.open_sender({ target: { address: destination } } as never)
    sender.on('sender_error', ({ sender: link }: EventContext) => ended(new Error(sentenceOf(link?.error))))
    await new Promise<void>((resolve) => sender.once('sender_open', () => resolve()))
    return new LinkOut(sender)
  }

  constructor(sender: Sender) {
    this.#sender = sender
    const end = (delivery: EventContext['delivery'], error: Error | undefined): void => {
      const waiting = this.#unsettled.get(delivery?.id ?? -1)
      this.#unsettled.delete(delivery?.id ?? -1)
      if (error === undefined) waiting?.resolve()
      else waiting?.reject(error)
    }
    sender.on('accepted', ({ delivery }: EventContext) => end(delivery, undefined))
    sender.on('released', ({ delivery }: EventContext) => end(delivery, new Error('the broker released the message')))
    sender.on('modified', ({ delivery }: EventContext) => end(delivery, new Error('the broker did not take the message')))
    sender.on('rejected', ({ delivery }: EventContext) => {
      const state = delivery?.remote_state as Readonly<{ error?: unknown }> | undefined
      end(delivery, new Error(sentenceOf(state?.error)))
    })
    sender.on('sendable', () => {
      const waiting = this.#credit
      this.#credit = []
      for (const go of waiting) go()
    })
  }

  async send({ body, durable, headers }: Outgoing): Promise<void> {
    while (!this.#sender.sendable()) await new Promise<void>((resolve) => this.#credit.push(resolve))
    const content = isUtf8(body) ? body.toString() : rhea.message.data_section(body)
    const message: Message = { body: content, durable, ...fieldsOf(headers) }
    const delivery = this.#sender.send(message)
    await new Promise<void>((resolve, reject) => this.#unsettled.set(delivery.id, { resolve, reject }))
  }
}

/** Names of the properties section are those; all others are application properties. */
function fieldsOf(headers: Outgoing['headers']): Partial<Message> {
  const fields: Record<string, unknown> = {}
  // With nothing from Object: `__proto__` is a name like any other.
  const properties: Record<string, string> = Object.create(null)
  for (const [name, value] of headers) {
    if (PROPERTIES.has(name)) fields[name.replaceAll('-', '_')] = value
    else properties[name] = value
  }
  return { ...fields, ...(Object.keys(properties).length === 0 ? {} : { application_properties: properties }) }
}

async function receive(connection: Connection, destination: string, countMax: number, take: Take, ended: (error: Error) => void): Promise<void> {
  const receiver: Receiver = connection.open_receiver({ source: { address: destination }, credit_window: 0, autoaccept: false } as never)
  let taken = 0
  let granted = 0
  const grant = (): void => {
    const more = Math.min(WINDOW - (granted - taken), countMax - granted)
    granted += more
    if (more > 0) receiver.add_credit(more)
  }
  receiver.on('message', ({ message, delivery }: EventContext) => {
    if (message === undefined) return
    const accept = (): void => {
      taken++
      delivery?.accept()
      if (granted - taken < WINDOW / 2) grant()
    }
    take(incoming(message, destination)).then(accept, () => {})
  })
  receiver.on('receiver_error', ({ receiver: link }: EventContext) => ended(new Error(sentenceOf(link?.error))))
  await new Promise<void>((resolve) => receiver.once('receiver_open', () => resolve()))
  grant()
}

function incoming(message: Message, destination: string): Incoming {
  const { body, delivery_annotations: delivery, message_annotations: annotations, application_properties: properties, footer: _, ...rest } = message
  const fields: (readonly [string, string])[] = []
  const add = (prefix: string, map: object | undefined): void => {
    for (const [name, value] of Object.entries(map ?? {})) if (value !== undefined && value !== null) fields.push([prefix + name, textOf(value)])
  }
  add('', rest)
  add('delivery-annotations.', delivery)
  add('message-annotations.', annotations)
  add('application-properties.', properties)
  const to = (delivery as Readonly<Record<string, unknown>> | undefined)?.['x-opt-to']
  return { destination: typeof to === 'string' ? to : destination, fields, body: bytesOf(body) }
}

function bytesOf(body: unknown): Buffer {
  if (Buffer.isBuffer(body)) return body
  if (typeof body === 'object' && body !== null && 'content' in body) return bytesOf(body.content)
  return body === undefined || body === null ? Buffer.alloc(0) : Buffer.from(textOf(body))
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value
  if (Buffer.isBuffer(value)) return `0x${value.toString('hex')}`
  return JSON.stringify(value, (_, item: unknown) => (typeof item === 'bigint' ? item.toString() : item)) ?? String(value)
}

function sentenceOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return 'the broker ended the connection'
  const { condition, description } = error as Readonly<{ condition?: string; description?: string }>
  // The library's own words for a refused log-in, with the number of its outcome.
  if (description?.startsWith('Failed to authenticate') === true) return 'User or password is wrong.'
  return description ?? condition ?? 'the broker ended the connection'
}

const PROPERTIES: ReadonlySet<string> = new Set([
  'message-id',
  'user-id',
  'to',
  'subject',
  'reply-to',
  'correlation-id',
  'content-type',
  'content-encoding',
  'group-id',
])
