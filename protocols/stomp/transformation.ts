// The header `transformation`: of a SEND, how the body is written; of a SUBSCRIBE, how maps are to be written for that subscription. ActiveMQ's names,
// and its bytes (users-and-features.md 3.1). Who subscribes without it gets maps as they were sent, or as plain JSON (format.ts).
import type { Broker, Canonical, Message } from '../../src/api.ts'
import { readHead, writeHead } from './head.ts'
import { type MapForm, writeMap } from './map-body.ts'

/** Makes of a message what a subscription asked for; undefined: STOMP has no form for it. */
export type Transform = (message: Message) => Message | undefined

/** In which form the body of a SEND is a map; undefined: it is none. */
export function mapForm(transformation: string | undefined): MapForm | undefined {
  return transformation === 'jms-map-json' ? 'json' : transformation === 'jms-map-xml' ? 'xml' : undefined
}

/** Made once per message and name while it is in use, for however many subscriptions. */
export class Transformations {
  readonly #broker: Broker
  readonly #bodyMax: number
  readonly #byName: ReadonlyMap<string, Transform>

  /** `bodyMax`: characters that a map may become. */
  constructor(broker: Broker, bodyMax: number) {
    this.#broker = broker
    this.#bodyMax = bodyMax
    this.#byName = new Map(NAMES.map((name) => [name, this.#remembered(name)]))
  }

  /** Undefined: there is none of this name. */
  named(name: string): Transform | undefined {
    return this.#byName.get(name)
  }

  #remembered(name: string): Transform {
    const made = new WeakMap<Message, { message: Message | undefined }>()
    return (message) => {
      let known = made.get(message)
      if (known === undefined) made.set(message, (known = { message: this.#make(name, message) }))
      return known.message
    }
  }

  #make(name: string, message: Message): Message | undefined {
    const written = this.#broker.translate(message, 'stomp')
    const canonical = written === undefined ? undefined : this.#broker.canonical(message)
    if (written === undefined || canonical === undefined) return written
    const { body } = canonical
    if (body.kind !== 'map') return withError(written, errorOf(canonical, name))
    const text = writeMap(body.entries, name.endsWith('json') ? 'json' : 'xml', this.#bodyMax)
    if (text === undefined) return withError(written, `the map is longer than bodyBytesMax in the form of ${name}`)
    const head = readHead(written.head).filter(([header]) => !OF_BODIES.has(header))
    head.push([TRANSFORMATION, name === 'jms-json' ? 'jms-map-json' : name === 'jms-xml' ? 'jms-map-xml' : name])
    return { ...written, head: writeHead(head), body: Buffer.from(text) }
  }
}

/** Why a message that should be transformed is not; undefined: it need not be. */
function errorOf({ body, properties }: Canonical, name: string): string | undefined {
  if (body.kind === 'object') return `a Java object cannot be written as ${name} without its class`
  const error = properties.find(([property]) => property === TRANSFORMATION_ERROR)?.[1]
  return error?.type === 'string' ? error.value : undefined
}

function withError(message: Message, error: string | undefined): Message {
  if (error === undefined) return message
  const head = readHead(message.head)
  if (head.some(([header]) => header === TRANSFORMATION_ERROR)) return message
  // Behind the first line, which may be the message-id.
  head.splice(1, 0, [TRANSFORMATION_ERROR, error])
  return { ...message, head: writeHead(head) }
}

export const TRANSFORMATION = 'transformation'
/** Why a body that should be a map or an object is not. */
export const TRANSFORMATION_ERROR = 'transformation-error'
const OF_BODIES: ReadonlySet<string> = new Set([TRANSFORMATION, 'content-length', 'amq-msg-type'])
/** Those that say no more than JSON or XML: ActiveMQ makes nothing of a SEND by them. */
export const NOT_OF_SEND: ReadonlySet<string> = new Set(['jms-json', 'jms-xml', 'jms-advisory-json', 'jms-advisory-xml'])
/** All of ActiveMQ's. Maps are JSON for those that end so, XML for the others. */
const NAMES = [
  ...['jms-json', 'jms-xml', 'jms-map-json', 'jms-map-xml', 'jms-object-json', 'jms-object-xml'],
  ...['jms-byte', 'jms-advisory-json', 'jms-advisory-xml'],
] as const
