// STOMP 1.2 for `send` and `receive`, by stompit.
import { isUtf8 } from 'node:buffer'
import stompit, { type Client as StompClient, type Message } from 'stompit'
import { dial } from '../../drill/dial.ts'
import type { Access, Client, Outgoing, Take } from './client.ts'

/** Messages on their way to us that are not yet acknowledged. */
const WINDOW = 100

export async function openStomp(access: Access): Promise<Client> {
  const login = access.user === '' ? {} : { login: access.user, passcode: access.password }
  let ended: (error: Error) => void = () => {}
  const broken = new Promise<never>((_, reject) => {
    ended = reject
  })
  // Whoever waits for nothing is not disturbed.
  broken.catch(() => {})
  const client = await new Promise<StompClient>((resolve, reject) => {
    const options = {
      host: access.host,
      port: access.port,
      timeout: 0,
      connectHeaders: { 'accept-version': '1.2', 'heart-beat': '0,0', ...login },
      connect: (_: unknown, connected: () => void) => {
        const { stream } = dial(access, access.webSocket ? 'v12.stomp' : undefined)
        process.nextTick(connected)
        return stream
      },
    }
    const opening: StompClient = stompit.connect(options, (error, connected) => (error ? reject(error) : resolve(connected)))
    opening.on('error', (error: Error) => ended(error))
    // The library sets its own handlers in the turn after this event.
    opening.once('socket-connect', () => process.nextTick(() => onError(opening, fail)))
    const fail = (error: Error): void => {
      ended(error)
      reject(error)
    }
  })
  onError(client, ended)
  client.getTransportSocket().once('close', () => ended(new Error('the broker ended the connection')))
  return {
    broken,
    send: (destination, message) => send(client, destination, message),
    receive: async (destination, countMax, take) => receive(client, destination, countMax, take),
    close: () => new Promise((resolve) => client.disconnect(() => resolve())),
  }
}

/** The library's own handler pipes the body of an ERROR frame from a stream that it then destroys with an error that nobody listens for: the process would end. */
function onError(client: StompClient, ended: (error: Error) => void): void {
  client.setCommandHandler('ERROR', (frame) => {
    frame.on('error', () => {})
    ended(new Error(frame.headers['message'] ?? 'ERROR'))
    client.destroy()
  })
}

function send(client: StompClient, destination: string, { body, durable, headers }: Outgoing): Promise<void> {
  return new Promise((resolve, reject) => {
    // No content-length: text, as a JMS client would have it.
    const measured = body.includes(0) || !isUtf8(body) ? { 'content-length': body.length } : {}
    const all = { destination, ...(durable ? { persistent: 'true' } : {}), ...measured, ...Object.fromEntries(headers) }
    client.send(all, { onReceipt: resolve, onError: reject }).end(body)
  })
}

function receive(client: StompClient, destination: string, countMax: number, take: Take): void {
  let taken = 0
  const window = Math.min(WINDOW, countMax)
  client.subscribe({ destination, ack: 'client-individual', 'activemq.prefetchSize': window }, (error, message) => {
    // The end of the connection is told by `broken`.
    if (error) return
    void bodyOf(message)
      .then(async (body) => {
        if (++taken > countMax) return
        const fields = Object.entries(message.headers).filter(([name]) => !OF_THE_FRAME.has(name))
        await take({ destination: message.headers['destination'] ?? destination, fields, body })
        client.ack(message)
      })
      .catch(() => {})
  })
}

async function bodyOf(message: Message): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of message) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

const OF_THE_FRAME: ReadonlySet<string> = new Set(['destination', 'subscription', 'ack'])
