// What selectors see of one message: the JMS headers by their names, then the properties (of several of one name the first). The message's
// dialect reads its headers when the first name is asked for, its body never. One view is reused for one message after another.
import type { CanonicalHead, FieldReader, Message, Value } from '../../api.ts'
import type { Scalar, Selectable } from './evaluate.ts'
import { dialectOf, fieldOf, isMarked, textOfBytes } from './qualified.ts'

export type ReadHead = (message: Message) => CanonicalHead
/** As a dialect that is not the message's may read it. */
export type ReadFields = (dialect: string, message: Message, head: CanonicalHead) => FieldReader

export const NO_FIELDS: FieldReader = () => undefined

const EXACT: ReadonlySet<Value['type']> = new Set(['int8', 'int16', 'int32', 'int64', 'uint8', 'uint16', 'uint32', 'uint64', 'timestamp'])

export class MessageView implements Selectable {
  readonly #read: ReadHead
  readonly #readFields: ReadFields
  #message: Message | undefined
  #head: CanonicalHead | undefined
  /** As one dialect calls them: `fields` of `fieldsOf`. */
  #fields: FieldReader | undefined
  #fieldsOf = ''

  constructor(read: ReadHead, readFields: ReadFields = () => NO_FIELDS) {
    this.#read = read
    this.#readFields = readFields
  }

  of(message: Message): this {
    if (this.#message !== message) {
      this.#message = message
      this.#head = undefined
      this.#fields = undefined
    }
    return this
  }

  /** Lets go of the message. */
  clear(): void {
    this.#message = undefined
    this.#head = undefined
    this.#fields = undefined
  }

  get(name: string): Scalar {
    const message = this.#message
    if (message === undefined) return undefined
    switch (name) {
      case 'JMSPriority':
        return message.priority
      case 'JMSDeliveryMode':
        return message.durable ? 'PERSISTENT' : 'NON_PERSISTENT'
      case 'JMSExpiration':
        return message.expiresAtMs
      case 'JMSXGroupID':
        return message.group === '' ? undefined : message.group
      default:
        return isMarked(name) ? this.#ofDialect(name, message) : this.#field(name, this.#headOf(message))
    }
  }

  exact(name: string): boolean {
    if (isMarked(name)) {
      const value = this.#message === undefined ? undefined : this.#valueOfDialect(name, this.#message)
      return value !== undefined && EXACT.has(value.type)
    }
    if (name.startsWith('JMS') && this.get(name) !== undefined && this.#property(name) === undefined) return true
    const value = this.#property(name)
    return value !== undefined && EXACT.has(value.type)
  }

  #field(name: string, head: CanonicalHead): Scalar {
    switch (name) {
      case 'JMSCorrelationID':
        return scalarOf(head.correlationId)
      case 'JMSMessageID':
        return scalarOf(head.messageId)
      case 'JMSType':
        return head.type
      case 'JMSTimestamp':
        return head.timestampMs
      case 'JMSXGroupSeq':
        return head.groupSequence
      case 'JMSXUserID':
        return head.userId
      default:
        return scalarOf(this.#property(name))
    }
  }

  #ofDialect(name: string, message: Message): Scalar {
    const value = this.#valueOfDialect(name, message)
    return value?.type === 'binary' || value?.type === 'uuid' ? textOfBytes(value) : scalarOf(value)
  }

  #valueOfDialect(name: string, message: Message): Value | undefined {
    const dialect = dialectOf(name)
    if (this.#fields === undefined || this.#fieldsOf !== dialect) {
      this.#fields = this.#readFields(dialect, message, this.#headOf(message))
      this.#fieldsOf = dialect
    }
    return this.#fields(fieldOf(name))
  }

  #property(name: string): Value | undefined {
    if (this.#message === undefined) return undefined
    for (const [known, value] of this.#headOf(this.#message).properties) if (known === name) return value
    return undefined
  }

  #headOf(message: Message): CanonicalHead {
    this.#head ??= this.#read(message)
    return this.#head
  }
}

function scalarOf(value: Value | undefined): Scalar {
  switch (value?.type) {
    case 'boolean':
    case 'string':
    case 'symbol':
    case 'char':
    case 'int8':
    case 'int16':
    case 'int32':
    case 'uint8':
    case 'uint16':
    case 'uint32':
    case 'float':
    case 'double':
      return value.value
    case 'int64':
    case 'uint64':
    case 'timestamp': {
      const asNumber = Number(value.value)
      return Number.isSafeInteger(asNumber) ? asNumber : value.value
    }
    default:
      return undefined
  }
}
