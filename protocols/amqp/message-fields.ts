// A message's properties and application properties (parts 3.2.4 and 3.2.5) as a selector names them: `properties.subject`,
// `application-properties.color`, and `has-application-property.color`, which is true of one that is null, too. What came by AMQP is read from
// its own sections; what came by another protocol as `format.ts` would write it.
import type { CanonicalHead, FieldReader, Message, Value } from '../../src/api.ts'
import { SCHEDULED, scheduledValue } from '../shared/schedule-names.ts'
import { textToIdentifier } from '../shared/values.ts'
import { formatAddress } from './address.ts'
import { FOREIGN_REPLY, isOfAnotherSection, REPLY_GROUP } from './carried.ts'
import { DIALECT } from './incoming-message.ts'
import { TermReader } from './reader.ts'
import { APPLICATION_PROPERTIES, PROPERTIES, PROPERTY_NAMES, type PropertyName, type Section, splitSections } from './sections.ts'
import type { AmqpSettings } from './settings.ts'
import { NULL, type Term, textOf, toValue } from './term.ts'

export const PROPERTY = 'properties.'
export const APPLICATION_PROPERTY = 'application-properties.'
export const HAS_APPLICATION_PROPERTY = 'has-application-property.'

export function fieldsOf(settings: AmqpSettings, message: Message, head: CanonicalHead): FieldReader {
  const { property, application, has } = message.dialect === DIALECT ? ownFields(settings, message) : foreignFields(message, head)
  return (name) => {
    if (name.startsWith(PROPERTY)) return property(name.slice(PROPERTY.length))
    if (name.startsWith(APPLICATION_PROPERTY)) return application(name.slice(APPLICATION_PROPERTY.length))
    if (!name.startsWith(HAS_APPLICATION_PROPERTY)) return undefined
    return has(name.slice(HAS_APPLICATION_PROPERTY.length)) ? TRUE : undefined
  }
}

type Readers = Readonly<{ property: FieldReader; application: FieldReader; has: (name: string) => boolean }>

function ownFields(settings: AmqpSettings, { head }: Message): Readers {
  const bytes = Buffer.from(head.buffer, head.byteOffset, head.length)
  const reader = new TermReader(settings)
  const sections = splitSections(reader.over(bytes), settings.sectionsMax)
  const read = (code: number): Term | undefined => {
    const section: Section | undefined = sections.find((one) => one.code === code)
    return section === undefined ? undefined : reader.over(bytes, section.value, section.end).term()
  }
  let properties: Term | undefined
  let applications: Term | undefined
  const pairOf = (name: string): readonly [Term, Term] | undefined => {
    applications ??= read(APPLICATION_PROPERTIES) ?? NULL
    return applications.type === 'pairs' ? applications.value.find(([key]) => textOf(key) === name) : undefined
  }
  return {
    property: (name) => {
      properties ??= read(PROPERTIES) ?? NULL
      const at = (PROPERTY_NAMES as readonly string[]).indexOf(name)
      return properties.type === 'terms' && at >= 0 ? valueOf(properties.value[at]) : undefined
    },
    application: (name) => valueOf(pairOf(name)?.[1]),
    // Whatever it is, also where nothing is compared with it.
    has: (name) => pairOf(name) !== undefined,
  }
}

/** Decimals are not computed with, and no bytes either. */
function valueOf(term: Term | undefined): Value | undefined {
  return term === undefined || term.type === 'decimal' ? undefined : toValue(term)
}

function foreignFields(message: Message, head: CanonicalHead): Readers {
  const application: FieldReader = (name) => {
    const value = propertyOf(head, name)
    return value === undefined || isElsewhere(head, name, value) ? undefined : value
  }
  return {
    property: (name) => ((PROPERTY_NAMES as readonly string[]).includes(name) ? FOREIGN[name as PropertyName](head, message) : undefined),
    application,
    has: (name) => application(name) !== undefined,
  }
}

const FOREIGN: Readonly<Record<PropertyName, (head: CanonicalHead, message: Message) => Value | undefined>> = {
  'message-id': ({ messageId }) => identifier(messageId),
  'user-id': ({ userId }) => (userId === undefined ? undefined : { type: 'binary', value: Buffer.from(userId) }),
  to: () => undefined,
  subject: ({ type }) => text(type),
  'reply-to': (head) => (head.replyTo === undefined ? stringOf(propertyOf(head, FOREIGN_REPLY)) : text(formatAddress(head.replyTo))),
  'correlation-id': ({ correlationId }) => identifier(correlationId),
  'content-type': ({ contentType }) => text(contentType),
  'content-encoding': ({ contentEncoding }) => text(contentEncoding),
  'absolute-expiry-time': (_, { expiresAtMs }) => (expiresAtMs > 0 ? timestamp(expiresAtMs) : undefined),
  'creation-time': ({ timestampMs }) => (timestampMs === undefined ? undefined : timestamp(timestampMs)),
  'group-id': (_, { group }) => (group === '' ? undefined : text(group)),
  'group-sequence': ({ groupSequence }) => (groupSequence === undefined ? undefined : { type: 'uint32', value: groupSequence >>> 0 }),
  'reply-to-group-id': (head) => stringOf(propertyOf(head, REPLY_GROUP)),
}

/** Heads have identifiers as text. */
function identifier(id: Value | undefined): Value | undefined {
  return id?.type === 'string' ? textToIdentifier(id.value) : id
}

/** Not an application property there. */
function isElsewhere(head: CanonicalHead, name: string, value: Value): boolean {
  if (isOfAnotherSection(name)) return true
  if (value.type === 'string' && (name === REPLY_GROUP || (name === FOREIGN_REPLY && head.replyTo === undefined))) return true
  const scheduled = SCHEDULED.get(name)
  return scheduled !== undefined && scheduledValue(scheduled.type, value) !== undefined
}

function propertyOf({ properties }: CanonicalHead, name: string): Value | undefined {
  for (const [known, value] of properties) if (known === name) return value
  return undefined
}

function stringOf(value: Value | undefined): Value | undefined {
  return value?.type === 'string' ? value : undefined
}

function text(value: string | undefined): Value | undefined {
  return value === undefined ? undefined : { type: 'string', value }
}

function timestamp(ms: number): Value {
  return { type: 'timestamp', value: BigInt(Math.trunc(ms)) }
}

const TRUE: Value = { type: 'boolean', value: true }
