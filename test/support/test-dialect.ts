// The dialect of tests of the core: headers are JSON in `head`, the body is bytes. Counts how often headers were read.
import type { Body, Canonical, CanonicalHead, Described, Dialect, Loss, Message, Value } from '../../src/api.ts'

type Plain = string | number | boolean

/** As `head` of a message: properties, and `correlationId`, `messageId`, `type` for the fields of those names. */
export function headers(values: Readonly<Record<string, Plain>>): Uint8Array {
  return Buffer.from(JSON.stringify(values))
}

export class TestDialect implements Dialect {
  readonly name = 'test'
  headsRead = 0

  toCanonical(message: Message): Canonical {
    const body: Body = { kind: 'bytes', bytes: message.body }
    return { ...this.headOf(message), body }
  }

  headOf(message: Message): CanonicalHead {
    this.headsRead++
    const values = message.head.length === 0 ? {} : (JSON.parse(Buffer.from(message.head).toString()) as Record<string, Plain>)
    const { correlationId, messageId, type, ...properties } = values
    return {
      messageId: messageId === undefined ? undefined : valueOf(messageId),
      correlationId: correlationId === undefined ? undefined : valueOf(correlationId),
      replyTo: undefined,
      type: type === undefined ? undefined : String(type),
      contentType: undefined,
      contentEncoding: undefined,
      timestampMs: undefined,
      userId: undefined,
      groupSequence: undefined,
      qos: undefined,
      retain: false,
      properties: Object.entries(properties).map(([name, value]) => [name, valueOf(value)] as const),
    }
  }

  fromCanonical(): undefined {
    return undefined
  }

  describe(message: Message): Described {
    return { destination: 'test', fields: [], body: { kind: 'bytes', bytes: message.body } }
  }

  ruleOf(): Loss {
    return { rule: 'test', says: 'Of tests.' }
  }
}

function valueOf(value: Plain): Value {
  if (typeof value === 'string') return { type: 'string', value }
  if (typeof value === 'boolean') return { type: 'boolean', value }
  return Number.isInteger(value) ? { type: 'int32', value } : { type: 'double', value }
}
