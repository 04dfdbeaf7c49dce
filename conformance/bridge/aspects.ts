// What may cross a bridge: each kind of body and each field, who can say it, who has a place for it, and whether what came is what was said.
import { lossy, mustBe } from '../outcome.ts'
import { changes } from '../mqtt/mutants.ts'
import type { Mutant } from '../mutant.ts'
import type { Trial } from '../trial.ts'
import { type Body, bytesOf, type Fields, type Message, type Party, written } from './message.ts'

export type Aspect = Readonly<{
  /** Of the clause's identifier: lower case and dashes. */
  name: string
  /** `the correlation id`. */
  what: string
  says: readonly Party[]
  /** Those that are not here have no place for it: it is lost by that rule, unless the broker carries it in a user property. */
  hears: readonly Party[]
  message: (trial: Trial) => Message
  /** Ends if it came as it was said; throws `lossy` or `fail` otherwise. */
  judge: (came: Message, sent: Message, from: Party, to: Party, trial: Trial) => void
  /** Bytes that a broker which loses just this would change: as each protocol writes them. None: it loses the whole message. */
  carriedIn: (sent: Message) => readonly (string | Buffer)[]
  /** Where bytes alone do not tell it. */
  lostBy?: Partial<Readonly<Record<Party, Mutant>>>
}>

const everybody: readonly Party[] = ['mqtt-3.1.1', 'mqtt-5', 'amqp', 'stomp']
const marked: readonly Party[] = ['mqtt-5', 'amqp', 'stomp']
/** Once for all checks: an hour from the start. */
const EXPIRES_MS = Date.now() + 3_600_000
const ODD = 'grün 😀\0end'

const plain: Body = { kind: 'text', text: 'plain' }

/** A body that every party can carry as bytes. */
function payload(name: string, what: string, body: Body, carriedIn: readonly (string | Buffer)[] = []): Aspect {
  return {
    name,
    what,
    says: body.kind === 'text' ? ['mqtt-5', 'amqp', 'stomp'] : everybody,
    hears: everybody,
    message: () => ({ body, fields: {} }),
    judge(came, _sent, _from, to) {
      const [got, wanted] = [bytesOf(came.body), bytesOf(body) ?? Buffer.alloc(0)]
      if (got === undefined && !(came.body.kind === 'none' && wanted.length === 0)) lossy(`came as ${written(came.body)}`)
      mustBe((got ?? wanted).equals(wanted), `its bytes changed: ${written(came.body)} came`)
      // STOMP and MQTT 3.1.1 have no word for the kind; AMQP and MQTT 5 do.
      if (to === 'amqp' && came.body.kind !== body.kind) lossy(`came as ${came.body.kind}`)
      if (to === 'mqtt-5' && body.kind === 'text' && came.body.kind !== 'text') lossy('came without its payload format indicator')
    },
    carriedIn: () => carriedIn,
  }
}

function structured(name: string, what: string, body: Body, says: readonly Party[], json: unknown, carriedIn: readonly string[]): Aspect {
  return {
    name,
    what,
    says,
    hears: everybody,
    message: () => ({ body, fields: {} }),
    judge(came, _sent, _from, to) {
      if (to === 'amqp') {
        if (came.body.kind !== body.kind) lossy(`came as ${written(came.body)}`)
        const same = JSON.stringify(came.body, sorted) === JSON.stringify(body, sorted)
        mustBe(same, `changed: ${written(came.body)} came`)
        return
      }
      const text = bytesOf(came.body)?.toString() ?? ''
      if (text === '') lossy('came without a body')
      let read: unknown
      try {
        read = JSON.parse(text)
      } catch {
        lossy(`came as ${written(came.body)}, which is no JSON`)
      }
      if (JSON.stringify(read, sorted) !== JSON.stringify(json, sorted)) lossy(`came as ${text.slice(0, 200)}`)
    },
    carriedIn: () => carriedIn,
  }
}

/** Maps in one order, numbers of any type as numbers. */
function sorted(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

type Field = keyof Omit<Fields, 'properties'>

function field(
  name: Field,
  what: string,
  hears: readonly Party[],
  value: (trial: Trial) => NonNullable<Fields[Field]>,
  more: Partial<Pick<Aspect, 'says' | 'judge' | 'carriedIn' | 'lostBy'>> = {},
): Aspect {
  return {
    name: name.replace(/Ms$/, '').replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`),
    what,
    says: hears,
    hears,
    message: (trial) => ({ body: plain, fields: { [name]: value(trial) } }),
    judge(came, sent) {
      const [got, wanted] = [came.fields[name], sent.fields[name]]
      if (got === wanted) return
      const carried = came.fields.properties?.find(([, property]) => String(property) === String(wanted))
      if (got === undefined && carried !== undefined) lossy(`came as the property ${carried[0]}`)
      lossy(got === undefined ? 'came without it' : `came as ${JSON.stringify(got)}`)
    },
    carriedIn: (sent) => {
      const said = sent.fields[name]
      return typeof said === 'string' ? [said] : []
    },
    ...more,
  }
}

/** How AMQP writes a time, without the last five hours. */
function timeInAmqp(ms: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(BigInt(ms))
  return bytes.subarray(0, 5)
}

function property(name: string, what: string, key: string, value: string | number | boolean, says: readonly Party[] = marked): Aspect {
  return {
    name,
    what,
    says,
    hears: marked,
    message: () => ({ body: plain, fields: { properties: [[key, value]] } }),
    judge(came, _sent, from, to) {
      const got = came.fields.properties?.find(([each]) => each === key)?.[1]
      if (got === undefined) lossy('came without it')
      // Types are AMQP's alone.
      const same = from === 'amqp' && to === 'amqp' ? got === value : String(got) === String(value)
      if (!same) lossy(`came as ${JSON.stringify(got)}`)
    },
    carriedIn: () => [key],
  }
}

export const aspects: readonly Aspect[] = [
  payload('text', 'text', { kind: 'text', text: 'order 4711' }, ['order 4711']),
  payload('text-odd', 'text with a NUL and with characters of four bytes', { kind: 'text', text: ODD }, [ODD]),
  payload('text-empty', 'empty text', { kind: 'text', text: '' }),
  payload('bytes', 'bytes that are no text', { kind: 'bytes', bytes: Buffer.from('00ff80fe00c3', 'hex') }, [Buffer.from('ff80fe00c3', 'hex')]),
  payload('bytes-empty', 'no bytes', { kind: 'bytes', bytes: Buffer.alloc(0) }),
  payload('bytes-large', '256 KiB', { kind: 'bytes', bytes: Buffer.alloc(262_144, 'bascule\0') }),
  structured('map', 'a map', { kind: 'map', entries: { name: 'anna', count: 3, good: true } }, ['amqp'], { name: 'anna', count: 3, good: true }, [
    'anna',
  ]),
  structured('list', 'a list', { kind: 'list', items: ['anna', 3, true] }, ['amqp'], ['anna', 3, true], ['anna']),
  field('correlationId', 'the correlation id', marked, () => 'correlation-47'),
  field('replyTo', 'where to reply: a topic', marked, (trial) => trial.name('replies'), {
    judge(came, sent, _from, to, trial) {
      const got = came.fields.replyTo
      const wanted = trial.profile[to === 'mqtt-5' || to === 'mqtt-3.1.1' ? 'mqtt' : to].topic(String(sent.fields.replyTo))
      if (got === undefined) lossy('came without it')
      if (got !== wanted) lossy(`came as ${got}, by which a client of this protocol would not reach ${wanted}`)
    },
  }),
  field('contentType', 'the content type', marked, () => 'image/x-bridge'),
  field('type', 'the type (AMQP: subject, JMS: JMSType)', ['amqp', 'stomp'], () => 'order.bridged'),
  // STOMP's message-id is the server's.
  field('messageId', 'the message id of the sender', ['amqp'], () => 'message-id-47'),
  field('timestampMs', 'the time of its creation', ['amqp', 'stomp'], () => 1_700_000_000_123, {
    carriedIn: () => [timeInAmqp(1_700_000_000_123), '1700000000123'],
  }),
  field('expiresMs', 'when it expires', marked, () => EXPIRES_MS, {
    judge(came, sent) {
      const [got, wanted] = [came.fields.expiresMs, Number(sent.fields.expiresMs)]
      if (got === undefined || Number.isNaN(got) || got === 0) lossy('came without it')
      // Time passes, and a suite may run for a while.
      if (Math.abs(got - wanted) > 120_000) lossy(`came with ${Math.round((got - Date.now()) / 1000)} s left of an hour`)
    },
    carriedIn: () => [timeInAmqp(EXPIRES_MS), 'expires'],
    lostBy: {
      'mqtt-5': changes('loses when it expires', 'publish', ({ properties = {}, ...packet }) => {
        const { messageExpiryInterval: _, ...rest } = properties
        return { ...packet, properties: rest }
      }),
    },
  }),
  field('priority', 'the priority', ['amqp', 'stomp'], () => 7, { carriedIn: () => [Buffer.from('5007', 'hex'), 'priority:7'] }),
  field('durable', 'that it is durable', ['amqp', 'stomp'], () => true, { carriedIn: () => ['persistent:true', Buffer.from('005370', 'hex')] }),
  field('group', 'the group', ['amqp', 'stomp'], () => 'group-of-47'),
  field('userId', 'the user', ['amqp', 'stomp'], () => 'anna', { says: ['amqp'] }),
  property('property', 'a property', 'colour', 'green'),
  property('property-odd', 'a property with characters of four bytes', 'colour', 'grün 😀'),
  property('property-number', 'a property that is a number', 'weight', 47, ['amqp']),
  property('property-boolean', 'a property that is true', 'ready', true, ['amqp']),
  {
    name: 'property-twice',
    what: 'two properties of one name',
    says: ['mqtt-5'],
    // A map of AMQP has each name once, and of repeated headers of STOMP the first alone counts.
    hears: ['mqtt-5'],
    message: () => ({
      body: plain,
      fields: {
        properties: [
          ['colour', 'green'],
          ['colour', 'blue'],
        ],
      },
    }),
    judge(came) {
      const got = came.fields.properties?.filter(([name]) => name === 'colour').map(([, value]) => value) ?? []
      if (got.join() !== 'green,blue') lossy(`came as ${got.length === 0 ? 'none' : got.join(', ')}`)
    },
    carriedIn: () => ['colour'],
  },
]
