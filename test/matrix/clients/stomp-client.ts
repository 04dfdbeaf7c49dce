// stompit over TCP, @stomp/stompjs over WebSocket, version 1.2. Headers that come twice, which neither can send, go by a raw connection.
import { Client as StompJs, type IMessage } from '@stomp/stompjs'
import stompit, { type Client as Stompit, type Message } from 'stompit'
import { WebSocket } from 'ws'
import { StompWire } from '../../wire/stomp-wire.ts'
import { bytesOf, type Endpoint, type StompMessage } from '../notation.ts'
import { type Arrived, Box, type Client, type Outcome, type SubscribeOptions } from './client.ts'

type Headers = Readonly<Record<string, string>>

/** The library behind it. */
interface Library {
  send(headers: Headers, body: Buffer): Promise<string>
  subscribe(headers: Headers, each: (headers: Headers, body: Buffer, acknowledge: (nack: boolean) => void) => void): Promise<() => Promise<void>>
  close(): Promise<void>
}

export async function stompClient(endpoint: Endpoint, port: number): Promise<Client> {
  const library = endpoint.transport === 'ws' ? await overStompJs(port) : await overStompit(port)
  const place = { host: '127.0.0.1', port, ...(endpoint.transport === 'ws' ? { subprotocol: 'v12.stomp' } : {}) }
  const wire = await StompWire.connect(place)
  return {
    endpoint,
    send: (destination, { stomp: message = {} }) => (repeats(message) ? sendRaw(wire, destination, message) : send(library, destination, message)),
    subscribe: (destination, options = {}) => subscribe(library, destination, options),
    async close() {
      wire.destroy()
      await library.close()
    },
  }
}

const repeats = ({ headers = [] }: StompMessage): boolean => new Set(headers.map(([name]) => name)).size < headers.length

function send(library: Library, destination: string, { headers = [], body = '' }: StompMessage): Promise<string> {
  return library.send({ destination, ...Object.fromEntries(headers) }, bytesOf(body))
}

let receipts = 0

function sendRaw(wire: StompWire, destination: string, { headers = [], body = '' }: StompMessage): Promise<string> {
  const receipt = `raw-${++receipts}`
  const lines = [['destination', destination], ['receipt', receipt], ...headers].map(([name, value]) => `${name}:${value}\n`)
  const earlier = wire.onReceipt
  wire.write(Buffer.concat([Buffer.from(`SEND\n${lines.join('')}\n`), bytesOf(body), Buffer.from([0])]))
  return new Promise((resolve) => {
    wire.onReceipt = (id) => (id === receipt ? resolve('accepted') : earlier(id))
    wire.onError = (error) => resolve(error.body.toString())
  })
}

async function subscribe(library: Library, destination: string, { manual = false }: SubscribeOptions) {
  const box = new Box()
  const unsubscribe = await library.subscribe({ destination, ack: 'client-individual' }, (headers, body, acknowledge) => {
    const arrived = arrivedOf(headers, body, (outcome) => acknowledge(outcome !== 'accepted'))
    if (!manual) arrived.settle('accepted')
    box.push(arrived)
  })
  return { address: destination, next: (waitMs?: number) => box.next(waitMs), close: unsubscribe }
}

/** The broker's, of this one delivery. */
const OF_DELIVERY = ['destination', 'message-id', 'subscription', 'ack', 'redelivered']

function arrivedOf(headers: Headers, body: Buffer, settle: (outcome: Outcome) => void): Arrived {
  // What names our entry is of the delivery; what the sender called the message is not.
  const own = /^\d+-\d+$/.test(headers['message-id'] ?? '')
  const seen = Object.entries(headers)
    .filter(([name]) => !OF_DELIVERY.includes(name) || (name === 'message-id' && !own))
    // stompit makes a number of the length.
    .map(([name, value]) => [name, String(value)] as const)
  return {
    destination: headers['destination'] ?? '',
    seen: { headers: seen, payload: `0x${body.toString('hex')}` },
    exact: `${JSON.stringify(seen.toSorted())} ${body.toString('hex')}`,
    redelivered: headers['redelivered'] === 'true',
    settle,
  }
}

async function overStompit(port: number): Promise<Library> {
  const client = await new Promise<Stompit>((resolve, reject) =>
    stompit.connect({ host: '127.0.0.1', port, connectHeaders: { 'accept-version': '1.2', 'heart-beat': '0,0' } }, (error, connected) =>
      error === null ? resolve(connected) : reject(error),
    ),
  )
  client.on('error', () => {})
  return {
    send: (headers, body) =>
      new Promise((resolve) => {
        client.send(headers, { onReceipt: () => resolve('accepted'), onError: (error) => resolve(error.message) }).end(body)
      }),
    async subscribe(headers, each) {
      const subscription = client.subscribe(headers, (error, message) => {
        if (error === null) readAll(message, (body) => each(message.headers, body, (nack) => (nack ? client.nack(message) : client.ack(message))))
      })
      // Frames are answered in order: what is asked later is done later.
      await fenced(client)
      return async () => {
        subscription.unsubscribe()
        await fenced(client)
      }
    },
    close: async () => client.destroy(),
  }
}

function fenced(client: Stompit): Promise<void> {
  return new Promise((resolve) => client.send({ destination: '/topic/matrix.nobody' }, { onReceipt: resolve }).end())
}

function readAll(message: Message, done: (body: Buffer) => void): void {
  const pieces: Buffer[] = []
  message.on('data', (piece: Buffer) => pieces.push(piece))
  message.on('end', () => done(Buffer.concat(pieces)))
}

async function overStompJs(port: number): Promise<Library> {
  const client = new StompJs({ reconnectDelay: 0, heartbeatIncoming: 0, heartbeatOutgoing: 0 })
  client.webSocketFactory = () => new WebSocket(`ws://127.0.0.1:${port}`, 'v12.stomp') as never
  const refusals: ((sentence: string) => void)[] = []
  await new Promise<void>((resolve) => {
    client.onConnect = () => resolve()
    client.onStompError = ({ body, headers }) => refusals.shift()?.(body === '' ? (headers['message'] ?? '') : body)
    client.activate()
  })
  const answered = (ask: (receipt: string) => void): Promise<string> =>
    new Promise((resolve) => {
      const receipt = `matrix-${++receipts}`
      refusals.push(resolve)
      client.watchForReceipt(receipt, () => {
        refusals.splice(refusals.indexOf(resolve), 1)
        resolve('accepted')
      })
      ask(receipt)
    })
  return {
    send: ({ destination = '', 'content-length': length, ...headers }, body) =>
      answered((receipt) => {
        // The library measures what it is given as bytes, and leaves what it is given as text unmeasured when told to.
        const content = length === undefined ? { body: body.toString(), skipContentLengthHeader: true } : { binaryBody: new Uint8Array(body) }
        client.publish({ destination, headers: { ...headers, receipt }, ...content })
      }),
    async subscribe({ destination = '', ...headers }, each) {
      let unsubscribe = (_receipt: string): void => {}
      await answered((receipt) => {
        const subscription = client.subscribe(
          destination,
          (message: IMessage) => each(message.headers, Buffer.from(message.binaryBody), (nack) => (nack ? message.nack() : message.ack())),
          { ...headers, receipt },
        )
        unsubscribe = (goodbye) => subscription.unsubscribe({ receipt: goodbye })
      })
      return async () => void (await answered(unsubscribe))
    },
    close: () => client.deactivate({ force: true }),
  }
}
