// The described lists of AMQP 1.0 by name: performatives, SASL frames, termini, outcomes, transaction states, and the message sections that are lists.
// Both ways, and forgiving: what comes with a wrong type is read as well as it can be, and told among `faults`.
import { array, boolean, described, type Described, list, nothing, symbol, textOf, type TypeName, ulong, type Value } from './amqp-value.ts'

/** How a field of each type is written in TypeScript. */
type Plain = {
  string: string
  symbol: string
  boolean: boolean
  ubyte: number
  ushort: number
  uint: number
  ulong: bigint
  timestamp: bigint
  binary: Buffer
  /** A symbol, or several (`multiple`). */
  symbols: readonly string[]
  map: Value
  any: Value
  composite: Composite
}

const TABLE = {
  open: {
    code: 0x10,
    symbol: 'amqp:open:list',
    needs: 1,
    fields: {
      containerId: 'string',
      hostname: 'string',
      maxFrameSize: 'uint',
      channelMax: 'ushort',
      idleTimeOut: 'uint',
      outgoingLocales: 'symbols',
      incomingLocales: 'symbols',
      offeredCapabilities: 'symbols',
      desiredCapabilities: 'symbols',
      properties: 'map',
    },
  },
  begin: {
    code: 0x11,
    symbol: 'amqp:begin:list',
    needs: 0,
    fields: {
      remoteChannel: 'ushort',
      nextOutgoingId: 'uint',
      incomingWindow: 'uint',
      outgoingWindow: 'uint',
      handleMax: 'uint',
      offeredCapabilities: 'symbols',
      desiredCapabilities: 'symbols',
      properties: 'map',
    },
  },
  attach: {
    code: 0x12,
    symbol: 'amqp:attach:list',
    needs: 3,
    fields: {
      name: 'string',
      handle: 'uint',
      role: 'boolean',
      sndSettleMode: 'ubyte',
      rcvSettleMode: 'ubyte',
      source: 'composite',
      target: 'composite',
      unsettled: 'map',
      incompleteUnsettled: 'boolean',
      initialDeliveryCount: 'uint',
      maxMessageSize: 'ulong',
      offeredCapabilities: 'symbols',
      desiredCapabilities: 'symbols',
      properties: 'map',
    },
  },
  flow: {
    code: 0x13,
    symbol: 'amqp:flow:list',
    needs: 0,
    fields: {
      nextIncomingId: 'uint',
      incomingWindow: 'uint',
      nextOutgoingId: 'uint',
      outgoingWindow: 'uint',
      handle: 'uint',
      deliveryCount: 'uint',
      linkCredit: 'uint',
      available: 'uint',
      drain: 'boolean',
      echo: 'boolean',
      properties: 'map',
    },
  },
  transfer: {
    code: 0x14,
    symbol: 'amqp:transfer:list',
    needs: 1,
    fields: {
      handle: 'uint',
      deliveryId: 'uint',
      deliveryTag: 'binary',
      messageFormat: 'uint',
      settled: 'boolean',
      more: 'boolean',
      rcvSettleMode: 'ubyte',
      state: 'composite',
      resume: 'boolean',
      aborted: 'boolean',
      batchable: 'boolean',
    },
  },
  disposition: {
    code: 0x15,
    symbol: 'amqp:disposition:list',
    needs: 2,
    fields: { role: 'boolean', first: 'uint', last: 'uint', settled: 'boolean', state: 'composite', batchable: 'boolean' },
  },
  detach: { code: 0x16, symbol: 'amqp:detach:list', needs: 1, fields: { handle: 'uint', closed: 'boolean', error: 'composite' } },
  end: { code: 0x17, symbol: 'amqp:end:list', needs: 0, fields: { error: 'composite' } },
  close: { code: 0x18, symbol: 'amqp:close:list', needs: 0, fields: { error: 'composite' } },
  error: { code: 0x1d, symbol: 'amqp:error:list', needs: 1, fields: { condition: 'symbol', description: 'string', info: 'map' } },
  received: { code: 0x23, symbol: 'amqp:received:list', needs: 2, fields: { sectionNumber: 'uint', sectionOffset: 'ulong' } },
  accepted: { code: 0x24, symbol: 'amqp:accepted:list', needs: 0, fields: {} },
  rejected: { code: 0x25, symbol: 'amqp:rejected:list', needs: 0, fields: { error: 'composite' } },
  released: { code: 0x26, symbol: 'amqp:released:list', needs: 0, fields: {} },
  modified: {
    code: 0x27,
    symbol: 'amqp:modified:list',
    needs: 0,
    fields: { deliveryFailed: 'boolean', undeliverableHere: 'boolean', messageAnnotations: 'map' },
  },
  source: {
    code: 0x28,
    symbol: 'amqp:source:list',
    needs: 0,
    fields: {
      address: 'any',
      durable: 'uint',
      expiryPolicy: 'symbol',
      timeout: 'uint',
      dynamic: 'boolean',
      dynamicNodeProperties: 'map',
      distributionMode: 'symbol',
      filter: 'map',
      defaultOutcome: 'composite',
      outcomes: 'symbols',
      capabilities: 'symbols',
    },
  },
  target: {
    code: 0x29,
    symbol: 'amqp:target:list',
    needs: 0,
    fields: {
      address: 'any',
      durable: 'uint',
      expiryPolicy: 'symbol',
      timeout: 'uint',
      dynamic: 'boolean',
      dynamicNodeProperties: 'map',
      capabilities: 'symbols',
    },
  },
  deleteOnClose: { code: 0x2b, symbol: 'amqp:delete-on-close:list', needs: 0, fields: {} },
  deleteOnNoLinks: { code: 0x2c, symbol: 'amqp:delete-on-no-links:list', needs: 0, fields: {} },
  deleteOnNoMessages: { code: 0x2d, symbol: 'amqp:delete-on-no-messages:list', needs: 0, fields: {} },
  deleteOnNoLinksOrMessages: { code: 0x2e, symbol: 'amqp:delete-on-no-links-or-messages:list', needs: 0, fields: {} },
  coordinator: { code: 0x30, symbol: 'amqp:coordinator:list', needs: 0, fields: { capabilities: 'symbols' } },
  declare: { code: 0x31, symbol: 'amqp:declare:list', needs: 0, fields: { globalId: 'any' } },
  discharge: { code: 0x32, symbol: 'amqp:discharge:list', needs: 1, fields: { txnId: 'binary', fail: 'boolean' } },
  declared: { code: 0x33, symbol: 'amqp:declared:list', needs: 1, fields: { txnId: 'binary' } },
  transactionalState: { code: 0x34, symbol: 'amqp:transactional-state:list', needs: 1, fields: { txnId: 'binary', outcome: 'composite' } },
  saslMechanisms: { code: 0x40, symbol: 'amqp:sasl-mechanisms:list', needs: 1, fields: { saslServerMechanisms: 'symbols' } },
  saslInit: { code: 0x41, symbol: 'amqp:sasl-init:list', needs: 1, fields: { mechanism: 'symbol', initialResponse: 'binary', hostname: 'string' } },
  saslChallenge: { code: 0x42, symbol: 'amqp:sasl-challenge:list', needs: 1, fields: { challenge: 'binary' } },
  saslResponse: { code: 0x43, symbol: 'amqp:sasl-response:list', needs: 1, fields: { response: 'binary' } },
  saslOutcome: { code: 0x44, symbol: 'amqp:sasl-outcome:list', needs: 1, fields: { code: 'ubyte', additionalData: 'binary' } },
  header: {
    code: 0x70,
    symbol: 'amqp:header:list',
    needs: 0,
    fields: { durable: 'boolean', priority: 'ubyte', ttl: 'uint', firstAcquirer: 'boolean', deliveryCount: 'uint' },
  },
  properties: {
    code: 0x73,
    symbol: 'amqp:properties:list',
    needs: 0,
    fields: {
      messageId: 'any',
      userId: 'binary',
      to: 'any',
      subject: 'string',
      replyTo: 'any',
      correlationId: 'any',
      contentType: 'symbol',
      contentEncoding: 'symbol',
      absoluteExpiryTime: 'timestamp',
      creationTime: 'timestamp',
      groupId: 'string',
      groupSequence: 'uint',
      replyToGroupId: 'string',
    },
  },
} as const

type Table = typeof TABLE
export type Kind = keyof Table
type Fields<K extends Kind> = { readonly [F in keyof Table[K]['fields']]?: Plain[Table[K]['fields'][F] & keyof Plain] | undefined }

/** A described list by its name, with the fields that are there. */
export type Composite<K extends Kind = Kind> = { [E in K]: Readonly<{ kind: E }> & Fields<E> }[K]

/** As it is written: a field can be any value instead of what its type says. */
export type Written<K extends Kind = Kind> = {
  [E in K]: Readonly<{ kind: E }> & { readonly [F in keyof Fields<E>]?: Fields<E>[F] | Value | Written }
}[K]

export type Performative = 'open' | 'begin' | 'attach' | 'flow' | 'transfer' | 'disposition' | 'detach' | 'end' | 'close'
export type SaslFrame = 'saslMechanisms' | 'saslInit' | 'saslChallenge' | 'saslResponse' | 'saslOutcome'

/** Windows without which `begin` and `flow` are not well-formed: what is written without them has these. */
const DEFAULTS: Partial<Record<Kind, Readonly<Record<string, number>>>> = {
  begin: { nextOutgoingId: 0, incomingWindow: 2048, outgoingWindow: 2048 },
  flow: { nextIncomingId: 0, incomingWindow: 2048, nextOutgoingId: 0, outgoingWindow: 2048 },
}

/** The descriptor as number, fields up to the last that is there. `null` leaves out a default. */
export function toValue(composite: Written): Described {
  const { code, fields } = TABLE[composite.kind]
  const given: Readonly<Record<string, unknown>> = { ...DEFAULTS[composite.kind], ...composite }
  const values = Object.entries(fields as Readonly<Record<string, keyof Plain>>).map(([name, type]) => valueOf(given[name], type))
  while (values.length > 0 && values.at(-1)?.type === 'null') values.pop()
  return described(ulong(code), list(values))
}

/** The name by which its descriptor can be written instead of the number. */
export const symbolOf = (kind: Kind): string => TABLE[kind].symbol

/** How many of the first fields are mandatory; `begin` and `flow` say theirs otherwise. */
export const fieldsOf = (kind: Kind): readonly string[] => Object.keys(TABLE[kind].fields)

function valueOf(given: unknown, type: keyof Plain): Value {
  if (given === undefined || given === null) return nothing
  if (typeof given === 'object' && 'type' in given) return given as Value
  if (typeof given === 'object' && 'kind' in given) return toValue(given as Written)
  switch (type) {
    case 'symbols': {
      const symbols = (given as readonly string[]).map((each) => symbol(each))
      const [only] = symbols
      return symbols.length === 1 && only !== undefined ? only : array(symbols)
    }
    case 'ulong':
    case 'timestamp':
      return { type, value: BigInt(given as number) }
    case 'boolean':
      return boolean(given as boolean)
    case 'map':
    case 'any':
    case 'composite':
      throw new Error(`a field of type ${type} is written as a value`)
    default:
      return { type, value: given } as Value
  }
}

const BY_DESCRIPTOR = new Map<string, Kind>(
  Object.entries(TABLE).flatMap(([kind, { code, symbol: name }]) => [
    [String(code), kind as Kind],
    [name, kind as Kind],
  ]),
)

/** What a described list is, by its descriptor; undefined when it is none of those above. `faults` gains a sentence for what is not as the specification has it. */
export function compositeOf(value: Value, faults: string[] = []): Composite | undefined {
  if (value.type !== 'described') return undefined
  const kind = BY_DESCRIPTOR.get(textOf(value.descriptor))
  if (kind === undefined) return undefined
  const { value: given } = value
  const composite: Record<string, unknown> = { kind }
  if (given.type !== 'list') {
    faults.push(`${kind} is a ${given.type} where a list was due`)
    return composite as Composite
  }
  const fields = Object.entries(TABLE[kind].fields as Readonly<Record<string, keyof Plain>>)
  if (given.value.length > fields.length) faults.push(`${kind} has ${given.value.length} fields where it can have ${fields.length}`)
  const defaults = DEFAULTS[kind] ?? {}
  for (const [at, [name, type]] of fields.entries()) {
    const field = given.value[at] ?? nothing
    if (field.type === 'null') {
      if (at < TABLE[kind].needs || (name in defaults && name !== 'nextIncomingId')) faults.push(`${kind} has no ${name}`)
      continue
    }
    composite[name] = plainOf(field, type, `${name} of ${kind}`, faults)
  }
  return composite as Composite
}

function plainOf(value: Value, type: keyof Plain, what: string, faults: string[]): unknown {
  if (type === 'composite') {
    const composite = compositeOf(value, faults)
    if (composite === undefined) faults.push(`${what} is ${textOf(value)}, which is nothing that the specification has`)
    return composite
  }
  if (type === 'any') return value
  if (type === 'symbols') {
    const values = value.type === 'array' ? value.value : [value]
    for (const each of values) if (each.type !== 'symbol') faults.push(`${what} has a ${each.type} where a symbol was due`)
    return values.map((each) => (each.type === 'symbol' || each.type === 'string' ? each.value : ''))
  }
  if (value.type !== (type satisfies TypeName)) faults.push(`${what} is a ${value.type} where a ${type} was due`)
  if (type === 'symbol' && value.type === 'symbol' && !/^[\0-\x7f]*$/.test(value.value)) faults.push(`${what} is a symbol that is not ASCII`)
  if (type === 'map' || !('value' in value)) return value
  return value.value
}
