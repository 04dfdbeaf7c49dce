// rhea, over TCP or WebSocket. What it sends is encoded and what it gets is decoded in amqp-sections.ts, so that types are seen.
import type { Socket } from 'node:net'
import rhea, { type Connection, type ConnectionOptions, type EventContext, type Receiver, type Sender } from 'rhea'
import { WebSocket } from 'ws'
import { type Endpoint, nameOf } from '../notation.ts'
import { decode, encode } from './amqp-sections.ts'
import { type Arrived, Box, type Client, type SubscribeOptions } from './client.ts'

/** rhea gives its users no bytes: it is asked to keep them beside what it makes of them. */
const readByRhea = rhea.message.decode
rhea.message.decode = (bytes) => Object.assign(readByRhea(bytes), { bytes })

/** `sendRaw`: any bytes as a message. */
export type AmqpClient = Client & Readonly<{ sendRaw(destination: string, bytes: Buffer): Promise<string> }>

export async function amqpClient(endpoint: Endpoint, port: number): Promise<AmqpClient> {
  const container = rhea.create_container({ id: `matrix-${nameOf(endpoint)}` })
  container.on('error', () => {})
  const url = `ws://127.0.0.1:${port}`
  const how =
    endpoint.transport === 'ws' ? { connection_details: rhea.websocket_connect(WebSocket as never)(url, ['amqp'], {}) } : { port, host: '127.0.0.1' }
  const connection = container.connect({ reconnect: false, ...how } as unknown as ConnectionOptions)
  for (const event of ['connection_error', 'connection_close', 'disconnected', 'error', 'receiver_error', 'sender_error'])
    connection.on(event, () => {})
  await told(connection, 'connection_open')
  const senders = new Map<string, Promise<Sender>>()
  const senderOf = (destination: string): Promise<Sender> => {
    let sender = senders.get(destination)
    if (sender === undefined) senders.set(destination, (sender = openSender(connection, destination)))
    return sender
  }
  return {
    endpoint,
    async send(destination, { amqp: message = {} }) {
      return await sendBytes(await senderOf(destination), encode(message))
    },
    async sendRaw(destination, bytes) {
      return await sendBytes(await senderOf(destination), bytes)
    },
    subscribe: (destination, options = {}) => subscribe(connection, destination, options),
    async close() {
      const closed = told(connection, 'connection_close')
      connection.close()
      await closed
      ;(connection as unknown as { socket?: Socket }).socket?.end()
    },
  }
}

async function openSender(connection: Connection, destination: string): Promise<Sender> {
  const sender = connection.open_sender({ target: destination })
  await told(sender, 'sender_open')
  return sender
}

async function sendBytes(sender: Sender, bytes: Buffer): Promise<string> {
  if (!sender.sendable()) await told(sender, 'sendable')
  const delivery = sender.send(bytes, undefined, 0)
  return await new Promise((resolve) => {
    const names = ['accepted', 'rejected', 'released', 'modified'] as const
    const listen = (context: EventContext): void => {
      if (context.delivery !== delivery) return
      for (const name of names) sender.removeListener(name, listen)
      const state = context.delivery.remote_state as unknown as Readonly<{ error?: Readonly<{ condition: string; description: string }> }>
      resolve(
        context.delivery.state === undefined && state.error === undefined ? 'accepted' : `${state.error?.condition}: ${state.error?.description}`,
      )
    }
    for (const name of names) sender.on(name, listen)
  })
}

async function subscribe(connection: Connection, destination: string, { manual = false, temporary }: SubscribeOptions) {
  const source = temporary === undefined ? destination : { dynamic: true, address: '', capabilities: [`temporary-${temporary}`] }
  const receiver = connection.open_receiver({ source: source as string, autoaccept: !manual, autosettle: true })
  const box = new Box()
  receiver.on('message', (context: EventContext) => box.push(arrivedOf(context)))
  await told(receiver, 'receiver_open')
  return { address: addressOf(receiver, destination), next: (waitMs?: number) => box.next(waitMs), close: () => close(receiver) }
}

function addressOf(receiver: Receiver, asked: string): string {
  return receiver.source.address === undefined || receiver.source.address === '' ? asked : receiver.source.address
}

async function close(receiver: Receiver): Promise<void> {
  const closed = told(receiver, 'receiver_close')
  receiver.close()
  await closed
}

function arrivedOf({ message, delivery }: EventContext): Arrived {
  const { bare, firstAcquirer, deliveryCount, ...seen } = decode((message as unknown as { bytes: Buffer }).bytes)
  const to = seen.deliveryAnnotations?.['x-opt-to']
  return {
    destination: String(to?.[1] ?? ''),
    seen,
    exact: bare,
    redelivered: firstAcquirer === false,
    deliveryCount,
    settle(outcome) {
      if (outcome === 'accepted') delivery?.accept()
      else if (outcome === 'released') delivery?.release()
      else if (outcome === 'rejected') delivery?.reject({ condition: 'test:rejected', description: 'no good' })
      else delivery?.modified({ delivery_failed: true, undeliverable_here: false })
    },
  }
}

function told(emitter: { once(event: string, listener: (context: EventContext) => void): unknown }, event: string): Promise<EventContext> {
  return new Promise((resolve) => emitter.once(event, resolve))
}
