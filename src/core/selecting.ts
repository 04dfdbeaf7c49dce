// What the core does with selectors: compiles them within the configured bounds, remembers each binding's, and reads messages for them
// through their dialects.
import type { CanonicalHead, Dialect, FieldReader, Identity, Log, Message } from '../api.ts'
import type { Limits } from '../config/settings.ts'
import { CodedError } from '../errors.ts'
import type { Binding } from './bindings.ts'
import type { CoreConsumer } from './consumer.ts'
import type { Queue } from './queue.ts'
import type { SelectorBounds } from './selector/parse.ts'
import { given, Selector } from './selector/selector.ts'
import { MessageView, NO_FIELDS } from './selector/view.ts'
import type { SessionRecord } from './sessions.ts'

/** The journal keeps texts of so many bytes. */
const TEXT_BYTES_MAX = 65_535
const UNBOUNDED: SelectorBounds = { bytes: TEXT_BYTES_MAX, depth: TEXT_BYTES_MAX, terms: TEXT_BYTES_MAX }

const NOTHING_KNOWN: CanonicalHead = {
  messageId: undefined,
  correlationId: undefined,
  replyTo: undefined,
  type: undefined,
  contentType: undefined,
  contentEncoding: undefined,
  timestampMs: undefined,
  userId: undefined,
  groupSequence: undefined,
  qos: undefined,
  retain: false,
  properties: [],
}

export class Selecting {
  dialects: ReadonlyMap<string, Dialect> = new Map()
  readonly #bounds: SelectorBounds
  readonly #log: Log
  readonly #ofBinding = new WeakMap<Binding, Selector>()
  readonly #view = new MessageView(
    (message) => this.#headOf(message),
    (dialect, message, head) => this.#fieldsOf(dialect, message, head),
  )

  constructor(limits: Limits, log: Log) {
    this.#bounds = { bytes: Math.min(limits.selectorBytes, TEXT_BYTES_MAX), depth: limits.selectorDepth, terms: limits.selectorTerms }
    this.#log = log
  }

  /** The selector, or why it is none; an empty text stands for no selector. */
  compile(text: string | undefined, converts = false): Selector | CodedError | undefined {
    const wanted = given(text)
    try {
      return wanted === undefined ? undefined : this.#known(new Selector(wanted, this.#bounds, converts))
    } catch (error) {
      if (error instanceof CodedError) return error
      throw error
    }
  }

  /** Of a binding that was taken once: bounds that were lowered since do not undo it. Undefined: it cannot be read, and takes nothing. */
  selectorOf(binding: Binding): Selector | undefined {
    let selector = this.#ofBinding.get(binding)
    if (selector !== undefined) return selector
    try {
      selector = new Selector(binding.selector, UNBOUNDED, binding.selectorConverts)
    } catch (error) {
      this.#log.error({ err: error, queue: binding.queue.address.path }, 'a stored selector cannot be read: its subscription takes nothing')
      return undefined
    }
    this.#ofBinding.set(binding, selector)
    return selector
  }

  /** Good until the next call. */
  view(message: Message): MessageView {
    return this.#view.of(message)
  }

  #known(selector: Selector): Selector | CodedError {
    for (const dialect of selector.dialects) {
      if (this.dialects.get(dialect)?.fieldsOf === undefined)
        return new CodedError('invalid', `the selector is wrong: ${dialect} is no dialect whose fields it could name`)
    }
    return selector
  }

  #fieldsOf(dialect: string, message: Message, head: CanonicalHead): FieldReader {
    const reading = this.dialects.get(dialect)
    let fields: FieldReader | undefined
    return (name) => {
      try {
        fields ??= reading?.fieldsOf?.(message, head) ?? NO_FIELDS
        return fields(name)
      } catch (error) {
        this.#log.debug({ err: error, dialect: message.dialect }, 'a field of a message could not be read for a selector')
        return undefined
      }
    }
  }

  /** A message whose headers cannot be read has none. */
  #headOf(message: Message): CanonicalHead {
    try {
      return this.dialects.get(message.dialect)?.headOf(message) ?? NOTHING_KNOWN
    } catch (error) {
      this.#log.debug({ err: error, dialect: message.dialect }, 'the headers of a message could not be read for a selector')
      return NOTHING_KNOWN
    }
  }
}

/** The selector would make messages of this queue too dear to judge. */
export function selectorBeyond({ selector }: CoreConsumer, queue: Queue, limits: Limits): CodedError | undefined {
  const { selectorTermsPerQueue } = limits
  if (selector === undefined || queue.selection?.wouldExceed(selector, selectorTermsPerQueue) !== true) return undefined
  return new CodedError(
    'limit',
    `the selectors of queue ${queue.address.path.join('.')} have as many names and literals as limits.selectorTermsPerQueue (${selectorTermsPerQueue}) allows`,
  )
}

/** Who sends or subscribes, for no-local: the client by its name, so that it outlives a connection; else the connection. */
export function originOf(record: SessionRecord, { origin }: Pick<Identity, 'origin'>): string {
  if (origin !== undefined) return `${record.protocol} ${origin}`
  return record.clientId === '' ? `#${record.number}` : record.key
}
