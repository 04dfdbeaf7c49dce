// stompit as a party of the bridge, by the headers that ActiveMQ, Artemis and RabbitMQ document: STOMP itself leaves all but destination, content type and length open.
import stompit, { type Client as Stompit } from 'stompit'
import { fail, refused } from '../outcome.ts'
import type { Trial } from '../trial.ts'
import { bytesOf, type Fields, type Message } from './message.ts'
import type { Client } from './party.ts'

/** Headers that say something of their own; every other is the application's. */
const OWN = new Set(
  ['destination', 'message-id', 'subscription', 'ack', 'redelivered', 'content-length', 'content-type', 'correlation-id', 'reply-to', 'type'].concat([
    'timestamp',
    'expires',
    'priority',
    'persistent',
    'JMSXGroupID',
    'JMSXUserID',
    'receipt',
  ]),
)

export const stompParty: Client = {
  protocol: 'stomp',
  async send(trial, topic, message) {
    const client = await connect(trial)
    const headers = { destination: trial.profile.stomp.topic(topic), ...headersOf(trial, message) }
    trial.line(`SEND ${JSON.stringify(headers)}`)
    const answered = new Promise<string>((resolve) => {
      client.on('error', (error: Error) => resolve(error.message))
      client.send(headers, { onReceipt: () => resolve(''), onError: (error) => resolve(error.message) }).end(payloadOf(message))
    })
    const answer = await trial.within(answered, 'RECEIPT did not come')
    if (answer !== '') refused(`SEND was answered: ${answer}`)
  },
  async receive(trial, topic) {
    const client = await connect(trial)
    const first = new Promise<Message>((resolve, reject) => {
      const { transformation } = trial.profile.stomp
      const asked = transformation === undefined ? {} : { transformation }
      client.subscribe({ destination: trial.profile.stomp.topic(topic), ack: 'auto', ...asked }, (error, message) => {
        if (error !== null) return reject(error)
        const pieces: Buffer[] = []
        message.on('error', reject)
        message.on('data', (piece: Buffer) => pieces.push(piece))
        message.on('end', () => {
          const bytes = plainMap(Buffer.concat(pieces))
          trial.line(`MESSAGE ${JSON.stringify(message.headers)} ${bytes.toString('hex').slice(0, 120)}`)
          resolve({ body: { kind: 'unmarked', bytes }, fields: fieldsOf(message.headers) })
        })
      })
    })
    first.catch(() => {})
    // A server takes a client's frames in order: what is answered after SUBSCRIBE was read after it.
    const fenced = new Promise<void>((resolve) => {
      client.send({ destination: trial.profile.stomp.topic(trial.name('fence')) }, { onReceipt: () => resolve() }).end()
    })
    await trial.within(fenced, 'RECEIPT of a SEND behind SUBSCRIBE did not come')
    const came = (): Promise<Message> =>
      first.catch((error: unknown) => fail(`the message did not come: ${error instanceof Error ? error.message : String(error)}`))
    return () => trial.within(came(), 'the message did not come')
  },
}

function connect(trial: Trial): Promise<Stompit> {
  const { host, port } = trial.addressOf('stomp')
  const login = trial.user === undefined ? {} : { login: trial.user, passcode: trial.password ?? '' }
  const connectHeaders = { 'accept-version': '1.2', host: '/', 'heart-beat': '0,0', ...login }
  return trial.within(
    new Promise((resolve, reject) => {
      const client = stompit.connect({ host, port, connectHeaders }, (error) => (error === null ? resolve(client) : reject(error)))
      client.on('error', () => {})
      // A server that never says CONNECTED must not hold the process.
      trial.after(() => client.destroy())
    }),
    'CONNECTED did not come',
  )
}

function payloadOf({ body }: Message): Buffer {
  if (body.kind === 'map') return Buffer.from(JSON.stringify(body.entries))
  return bytesOf(body) ?? Buffer.alloc(0)
}

/** What ActiveMQ makes of a map, entry by entry with the types of Java, as the object that it says; anything else as it is, a broken one too. */
export function plainMap(bytes: Buffer): Buffer {
  if (!bytes.toString().startsWith('{"map":{"entry":')) return bytes
  try {
    const { entry } = (JSON.parse(bytes.toString()) as XStreamMap).map
    return Buffer.from(JSON.stringify(Object.fromEntries([entry].flat().map(pairOf))))
  } catch {
    return bytes
  }
}

type XStreamMap = Readonly<{ map: Readonly<{ entry: unknown }> }>

/** `{"string":["a","x"]}`, or `{"string":"n","int":30}`; throws where it is neither. */
function pairOf(entry: unknown): readonly [string, unknown] {
  const [name, value, ...more] = Object.values(entry as object).flat()
  if (typeof name !== 'string' || value === undefined || more.length > 0) throw new Error('no entry of a map')
  return [name, value]
}

function headersOf(trial: Trial, { body, fields }: Message): Readonly<Record<string, string>> {
  const { correlationId, replyTo, contentType, type, timestampMs, expiresMs, priority, durable = true, group, properties = [] } = fields
  const said = {
    'correlation-id': correlationId,
    'reply-to': replyTo === undefined ? undefined : trial.profile.stomp.topic(replyTo),
    'content-type': contentType ?? (body.kind === 'text' ? 'text/plain' : undefined),
    // Without it a body ends at its first NUL; to ActiveMQ and its kin it says bytes.
    'content-length': body.kind === 'bytes' || (body.kind === 'text' && body.text.includes('\0')) ? String(bytesOf(body)?.length) : undefined,
    'amq-msg-type': body.kind === 'text' && body.text.includes('\0') ? 'text' : undefined,
    transformation: body.kind === 'map' ? 'jms-map-json' : undefined,
    type,
    timestamp: timestampMs?.toString(),
    expires: expiresMs?.toString(),
    priority: priority?.toString(),
    persistent: String(durable),
    JMSXGroupID: group,
    ...Object.fromEntries(properties.map(([name, value]) => [name, String(value)])),
  }
  return Object.fromEntries(Object.entries(said).filter((pair): pair is [string, string] => pair[1] !== undefined))
}

function fieldsOf(headers: Readonly<Record<string, string>>): Fields {
  const number = (name: string): number | undefined => (headers[name] === undefined ? undefined : Number(headers[name]))
  const id = headers['message-id']
  return Object.fromEntries(
    Object.entries({
      correlationId: headers['correlation-id'],
      replyTo: headers['reply-to'],
      contentType: headers['content-type'],
      type: headers['type'],
      messageId: id,
      timestampMs: number('timestamp'),
      expiresMs: number('expires'),
      priority: number('priority'),
      durable: headers['persistent'] === 'true',
      group: headers['JMSXGroupID'],
      userId: headers['JMSXUserID'],
      properties: Object.entries(headers).filter(([name]) => !OWN.has(name)),
    }).filter(([, value]) => value !== undefined),
  )
}
