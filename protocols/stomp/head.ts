// `Message.head` in the dialect `stomp`: the sender's header lines as a delivery repeats them, in order, as STOMP 1.2 writes them
// ("name:value\n" each, escaped), without those that belong to the frame it came in and those that only the broker may set. A measured body
// has its content-length at the end. So a delivery to a STOMP client is: what the broker says, head, empty line, body, NUL. Hot room.
import type { Message } from '../../src/api.ts'
import type { Frame } from './codec.ts'
import type { Fault } from './errors.ts'
import { escape, unescape } from './escape.ts'
import { OWN, remoteName } from './temporary.ts'

/** What a SEND asks for beside its message. */
export type Sending = Readonly<{
  destination: string | undefined
  receipt: string | undefined
  transaction: string | undefined
  retain: boolean
  /** A temporary destination of the sender's own that it wants the reply at. */
  replyTo: string | undefined
  /** One of the headers of schedule.ts is there. */
  scheduled: boolean
  message: Message
}>

/** Makes messages of SEND frames. One for each connection: it remembers the last head, since a sender's are mostly the same. */
export class HeadWriter {
  /** Of the connection's temporary destinations. */
  owner = ''
  #text = ''
  #bytes: Uint8Array = EMPTY

  read(frame: Frame): Sending | Fault {
    const headers = frame.headers
    let destination: string | undefined
    let receipt: string | undefined
    let transaction: string | undefined
    let persistent: string | undefined
    let priority: string | undefined
    let expires: string | undefined
    let group: string | undefined
    let groupSequence: string | undefined
    let retain: string | undefined
    let replyTo: string | undefined
    let scheduled = false
    let text = ''
    for (let i = 0; i < headers.length; i += 2) {
      const name = headers[i]
      let value = headers[i + 1]
      switch (MEANINGS.get(name)) {
        case 'destination':
          destination ??= value
          continue
        case 'receipt':
          receipt ??= value
          continue
        case 'transaction':
          transaction ??= value
          continue
        case 'frame':
          continue
        case 'persistent':
          persistent ??= value
          break
        case 'priority':
          priority ??= value
          break
        case 'expires':
          expires ??= value
          break
        case 'group-sequence':
          groupSequence ??= value
          break
        case 'group':
          group ??= value
          break
        case 'retain':
          retain ??= value
          break
        case 'reply-to':
          if (!value.startsWith(OWN)) break
          replyTo ??= value
          value = remoteName(this.owner, value)
          break
        case 'schedule':
          scheduled = true
          break
        case 'transformation':
          // Table 3.4: a Java object would need its class.
          if (value.startsWith('jms-object'))
            return { code: 'unsupported', sentence: 'Java objects cannot be made here: transformation jms-object is refused.' }
          break
        default:
      }
      text += `${escape(name, '1.2')}:${escape(value, '1.2')}\n`
    }
    if (frame.measured) text += `content-length:${frame.body.length}\n`
    if (text !== this.#text) {
      this.#text = text
      this.#bytes = text === '' ? EMPTY : Buffer.from(text)
    }
    if (priority !== undefined && !NUMBER.test(priority)) return { code: 'invalid', sentence: 'The header priority is not a number from 0 to 9.' }
    if (expires !== undefined && !NUMBER.test(expires))
      return { code: 'invalid', sentence: 'The header expires is not a time in milliseconds since 1970.' }
    return {
      destination,
      receipt,
      transaction,
      retain: retain !== undefined && isTrue(retain),
      replyTo,
      scheduled,
      message: {
        dialect: 'stomp',
        head: this.#bytes,
        body: frame.body,
        durable: persistent !== undefined && isTrue(persistent),
        priority: priority === undefined ? 4 : Math.min(9, Number(priority)),
        expiresAtMs: expires === undefined ? 0 : Number(expires),
        deliverAtMs: 0,
        group: group ?? '',
        groupEnds: groupSequence === '-1',
      },
    }
  }
}

/** The lines of a head, decoded. */
export function readHead(head: Uint8Array): [string, string][] {
  const headers: [string, string][] = []
  const text = Buffer.from(head.buffer, head.byteOffset, head.length).toString()
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':')
    if (colon < 0) continue
    const name = line.slice(0, colon)
    const value = line.slice(colon + 1)
    headers.push([unescape(name, '1.2') ?? name, unescape(value, '1.2') ?? value])
  }
  return headers
}

export function writeHead(headers: readonly (readonly [string, string])[]): Uint8Array {
  let text = ''
  for (const [name, value] of headers) text += `${escape(name, '1.2')}:${escape(value, '1.2')}\n`
  return Buffer.from(text)
}

/** What the sender of another protocol calls its message: the first line of a translated head, if it is there. A head that came by STOMP never holds it. */
export const MESSAGE_ID = 'message-id'

/** Where a head goes on behind that line; 0: it has none. */
export function afterMessageId(head: Uint8Array): number {
  if (head.length < MESSAGE_ID_LINE.length) return 0
  for (let i = 0; i < MESSAGE_ID_LINE.length; i++) if (head[i] !== MESSAGE_ID_LINE[i]) return 0
  return head.indexOf(LF) + 1
}

/** Headers that a head never holds: the frame's own, and those that only the broker may set on a delivery. */
export function belongsToFrame(name: string): boolean {
  switch (MEANINGS.get(name)) {
    case 'destination':
    case 'receipt':
    case 'transaction':
    case 'frame':
      return true
    default:
      return false
  }
}

export function isTrue(value: string): boolean {
  return value === 'true' || value.toLowerCase() === 'true'
}

const MEANINGS: ReadonlyMap<string, string> = new Map([
  ['destination', 'destination'],
  ['receipt', 'receipt'],
  ['transaction', 'transaction'],
  ['content-length', 'frame'],
  ['message-id', 'frame'],
  ['subscription', 'frame'],
  ['ack', 'frame'],
  ['redelivered', 'frame'],
  ['receipt-id', 'frame'],
  ['original-destination', 'frame'],
  ['dlqDeliveryFailureCause', 'frame'],
  ['JMSXGroupFirstForConsumer', 'frame'],
  ['JMSXUserID', 'frame'],
  ['ActiveMQ.Retained', 'frame'],
  ['persistent', 'persistent'],
  ['priority', 'priority'],
  ['expires', 'expires'],
  ['JMSXGroupID', 'group'],
  ['JMSXGroupSeq', 'group-sequence'],
  ['ActiveMQ.Retain', 'retain'],
  ['transformation', 'transformation'],
  ['reply-to', 'reply-to'],
  ['AMQ_SCHEDULED_DELAY', 'schedule'],
  ['AMQ_SCHEDULED_PERIOD', 'schedule'],
  ['AMQ_SCHEDULED_REPEAT', 'schedule'],
  ['AMQ_SCHEDULED_CRON', 'schedule'],
])
const MESSAGE_ID_LINE = Buffer.from(`${MESSAGE_ID}:`)
const LF = 0x0a
const NUMBER = /^\d{1,15}$/
const EMPTY = new Uint8Array(0)
