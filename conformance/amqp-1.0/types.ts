// AMQP 1.0, part 1: every constructor of every type, where performatives can have it and where messages can.
import type { Chapter, Check } from '../check.ts'
import { fieldsOf, symbolOf, toValue } from '../clients/amqp-composite.ts'
import { frame } from '../clients/amqp-framing.ts'
import {
  array,
  binary,
  boolean,
  type Described,
  described,
  int,
  list,
  long,
  map,
  nothing,
  raw,
  string,
  symbol,
  timestamp,
  ubyte,
  uint,
  ulong,
  ushort,
  type Value,
} from '../clients/amqp-value.ts'
import type { AmqpWire } from '../clients/amqp-wire.ts'
import { mustBe } from '../outcome.ts'
import type { Trial } from '../trial.ts'
import { section, sectionOf } from './message.ts'
import { answers, changes, edits, never } from './mutants.ts'
import { bearing } from './refusals.ts'
import { authenticated, begun, openOf, queueSource, receiverOf, refusedBy, Session } from './session.ts'

/** Open of these fields, in this order, goes as well as any. */
function takesOpen(told: Pick<Check, 'id' | 'says' | 'how'>, written: (trial: Trial) => Value): Check {
  return {
    ...told,
    level: 'must',
    async run(trial) {
      const wire = await authenticated(trial)
      wire.send(frame(written(trial)))
      await wire.next('open')
      await Session.begin(wire)
    },
    mutants: [
      never('begin'),
      edits('cannot read it', () => ({ toClient }) => ({
        toBroker: ({ kind }) => {
          if (kind !== 'open' && kind !== 'unreadable') return undefined
          toClient({ kind: 'open', containerId: 'broker' })
          toClient({ kind: 'close', error: { kind: 'error', condition: 'amqp:decode-error' } })
          return 'drop'
        },
      })),
    ],
  }
}

/** This body, on its way through a queue, stays the same bytes. */
function carries(id: string, type: string, ...values: readonly Value[]): Check {
  return {
    id,
    level: 'must',
    says: `Values of type ${type} are values, by whatever constructor.`,
    how: 'A message that is one, by each, through a queue.',
    async run(trial) {
      const bodies = values.map((value) => section('value', value))
      const session = await begun(trial)
      await (await session.sender('q')).deliver(...bodies)
      const receiver = await session.receiver('q')
      receiver.credit(bodies.length)
      for (const body of bodies) {
        const came = sectionOf((await receiver.next()).payload, 'value')?.bytes ?? Buffer.alloc(0)
        mustBe(came.equals(body), `${came.toString('hex')} came where ${body.toString('hex')} was sent`)
      }
    },
    mutants: [
      never('transfer'),
      answers('rejects it', 'transfer', ({ deliveryId = 0 }) => ({
        kind: 'disposition',
        role: true,
        first: deliveryId,
        settled: true,
        state: { kind: 'rejected' },
      })),
    ],
  }
}

/** This in the place of open is no open. */
function refusesOpen(told: Pick<Check, 'id' | 'says' | 'how' | 'level'>, written: (trial: Trial) => Value): Check {
  return {
    ...told,
    async run(trial) {
      const wire: AmqpWire = await authenticated(trial)
      wire.send(frame(written(trial)))
      await refusedBy(wire, told.how, 'close')
    },
    mutants: bearing('close'),
  }
}

const openWith = (trial: Trial, change: (fields: Value[]) => readonly Value[], code?: number): Described => {
  const fields: Value[] = fieldsOf('open').map(() => nothing)
  fields[0] = string(trial.name('container'))
  return described(ulong(0x10), list(change(fields), code))
}

const set =
  (at: number, value: Value) =>
  (fields: Value[]): readonly Value[] =>
    fields.with(at, value)

export const types: Chapter = {
  title: '1 Types',
  clauses: [
    takesOpen(
      {
        id: 'AMQP-1.1.2-a',
        says: 'A performative may be named by its symbol instead of its number.',
        how: 'Open with the descriptor amqp:open:list.',
      },
      (trial) => {
        const { value } = toValue(openOf(trial))
        return described(symbol(symbolOf('open')), value)
      },
    ),
    takesOpen(
      { id: 'AMQP-1.1.2-b', says: 'The number of a descriptor may be written in eight bytes.', how: 'Open with the descriptor as a long ulong.' },
      (trial) => {
        const { value } = toValue(openOf(trial))
        return described(ulong(0x10, 0x80), value)
      },
    ),
    takesOpen({ id: 'AMQP-1.2.3-a', says: 'A list may have sizes of four bytes, however short it is.', how: 'Open as a list32.' }, (trial) =>
      openWith(trial, (fields) => fields.slice(0, 1), 0xd0),
    ),
    takesOpen(
      { id: 'AMQP-1.4-a', says: 'Null at the end of a list may be left out, or not.', how: 'Open with all ten fields, nine of them null.' },
      (trial) => openWith(trial, (fields) => fields),
    ),
    takesOpen(
      { id: 'AMQP-1.4-b', says: 'A field of which several are allowed may be one value.', how: 'Open with one symbol as outgoing-locales.' },
      (trial) => openWith(trial, set(5, symbol('en-US'))),
    ),
    takesOpen(
      {
        id: 'AMQP-1.4-c',
        says: 'A field of which several are allowed may be an array, of one too.',
        how: 'Open with an array of one symbol, and one of two.',
      },
      (trial) => openWith(trial, (fields) => set(6, array([symbol('en-US'), symbol('de')]))([...set(5, array([symbol('en-US')], 0xf0))(fields)])),
    ),
    takesOpen(
      {
        id: 'AMQP-1.4-d',
        says: 'An array without elements is as good as null.',
        how: 'Open with an empty array of symbols as desired-capabilities.',
      },
      (trial) => openWith(trial, set(8, raw('e0 02 00 a3'))),
    ),
    takesOpen(
      { id: 'AMQP-1.6-a', says: 'A string may have a size of four bytes, however short it is.', how: 'Open with a container id as str32.' },
      (trial) => openWith(trial, set(0, string(trial.name('container'), 0xb1))),
    ),
    takesOpen(
      {
        id: 'AMQP-1.6-b',
        says: 'A string may have any character of Unicode.',
        how: 'Open with a host name of two, three and four bytes a character.',
      },
      (trial) => openWith(trial, set(1, string('grün→😀'))),
    ),
    takesOpen(
      {
        id: 'AMQP-1.6-c',
        says: 'A uint may be written in no byte, in one or in four.',
        how: 'Open with idle-time-out 0 in each way: the last of them here in four bytes.',
      },
      (trial) => openWith(trial, (fields) => set(4, uint(0, 0x70))([...set(2, uint(0x10000, 0x70))(fields)])),
    ),
    takesOpen({ id: 'AMQP-1.6-d', says: 'The shortest uint is no byte.', how: 'Open with idle-time-out as uint0.' }, (trial) =>
      openWith(trial, set(4, uint(0, 0x43))),
    ),
    takesOpen(
      { id: 'AMQP-1.6-e', says: 'A symbol may have a size of four bytes, a map too.', how: 'Open with properties as map32 whose keys are sym32.' },
      (trial) => openWith(trial, set(9, map([[symbol('x-one', 0xb3), string('1', 0xb1)]], 0xd1))),
    ),
    takesOpen({ id: 'AMQP-1.6-f', says: 'Properties may have values of every type.', how: 'Open with a map of all of them.' }, (trial) =>
      openWith(
        trial,
        set(
          9,
          map(
            everything.map((value, at) => [symbol(`x-${at}`), value] as const),
            0xd1,
          ),
        ),
      ),
    ),
    {
      id: 'AMQP-1.6-g',
      level: 'must',
      says: 'A boolean may be a constructor of its own or a byte.',
      how: 'Attach whose role and flags are bytes.',
      async run(trial) {
        const session = await begun(trial)
        const { answer } = await session.sender('q', { role: boolean(false, 0x56), incompleteUnsettled: boolean(false, 0x56) })
        mustBe(answer.role === true, 'attach came with the client’s role')
        const receiver = await session.receiver('q', { role: boolean(true, 0x56) })
        mustBe(receiver.answer.role === false, 'attach came with the client’s role')
      },
      mutants: [never('attach'), changes('reads every boolean that is a byte as true', 'attach', (attach) => ({ ...attach, role: false }))],
    },
    {
      id: 'AMQP-1.4-e',
      level: 'must',
      says: 'What the broker sends is as the composite types have it: each field of its type, no mandatory one missing, none too many.',
      how: 'SASL, a connection, a session, links both ways, a message and its settlement, and the end of all.',
      async run(trial) {
        const session = await begun(trial)
        const sender = await session.sender('q')
        await sender.deliver(section('value', string('x')))
        const receiver = await session.receiver('q')
        receiver.credit(1)
        receiver.accept(await receiver.next())
        await receiver.detach()
        await sender.detach()
        await session.end()
        session.wire.send({ kind: 'close' })
        await session.wire.next('close')
        const [fault] = session.wire.faults
        mustBe(fault === undefined, fault ?? '')
      },
      mutants: [
        changes('writes the container id as a symbol', 'open', (open) => ({ ...open, containerId: symbol('broker') })),
        changes('writes a window as ulong', 'begin', (begin) => ({ ...begin, incomingWindow: ulong(5) })),
        changes('leaves out the handle', 'detach', (detach) => ({ ...detach, handle: undefined })),
        changes('sends a field too many', 'end', ({ channel }) => frame(described(ulong(0x17), list([nothing, uint(1)])), { channel })),
        changes('writes a delivery-id as int', 'transfer', (transfer) => ({ ...transfer, deliveryId: int(transfer.deliveryId ?? 0) })),
      ],
    },
    refusesOpen(
      {
        id: 'AMQP-1.2-a',
        level: 'must',
        says: 'A constructor that does not exist makes the rest unreadable: the connection ends.',
        how: 'Open with the constructor 0x3f in it.',
      },
      (trial) => openWith(trial, set(1, raw('3f 01'))),
    ),
    refusesOpen(
      { id: 'AMQP-1.2.3-b', level: 'must', says: 'A list has as many values as it says.', how: 'Open whose list says that it has nine.' },
      () => raw('00 53 10 c0 05 09 a1 02 61 62'),
    ),
    {
      id: 'AMQP-1.6-h',
      level: 'should',
      says: 'A map has a value for each key: one that has not cannot be read.',
      how: 'Attach whose source has a filter of three values: the link, the session or the connection ends.',
      async run(trial) {
        const session = await begun(trial)
        session.send({
          ...receiverOf(trial, 'q', { source: queueSource(trial, 'q', { filter: raw('c1 0a 03 a3 01 61 a1 01 62 a3 01 63') }) }),
          handle: 0,
        })
        await refusedBy(session.wire, 'after such a filter', 'detach', 'end', 'close')
      },
      mutants: bearing('close'),
    },
    refusesOpen(
      { id: 'AMQP-1.4-f', level: 'should', says: 'A field has the type that it is defined with.', how: 'Open whose container id is a list.' },
      (trial) => openWith(trial, set(0, list([string('x')]))),
    ),
    refusesOpen({ id: 'AMQP-1.6-i', level: 'should', says: 'A string is UTF-8.', how: 'Open whose container id has bytes that are not.' }, () =>
      described(ulong(0x10), list([raw('a1 03 ff fe fd')])),
    ),
    carries('AMQP-1.6.1-a', 'null', nothing),
    carries('AMQP-1.6.2-a', 'boolean', boolean(true), boolean(false), boolean(true, 0x56), boolean(false, 0x56)),
    carries('AMQP-1.6.3-a', 'ubyte', ubyte(0), ubyte(255)),
    carries('AMQP-1.6.4-a', 'ushort', ushort(0), ushort(65535)),
    carries('AMQP-1.6.5-a', 'uint', uint(0), uint(0, 0x52), uint(0, 0x70), uint(255), uint(0xffffffff)),
    carries('AMQP-1.6.6-a', 'ulong', ulong(0), ulong(0, 0x53), ulong(0, 0x80), ulong(255), ulong(2n ** 64n - 1n)),
    carries('AMQP-1.6.7-a', 'byte', { type: 'byte', value: -128 }, { type: 'byte', value: 127 }),
    carries('AMQP-1.6.8-a', 'short', { type: 'short', value: -32768 }, { type: 'short', value: 32767 }),
    carries('AMQP-1.6.9-a', 'int', int(-1), int(-1, 0x71), int(-(2 ** 31)), int(2 ** 31 - 1)),
    carries('AMQP-1.6.10-a', 'long', long(-1), long(-1, 0x81), long(-(2n ** 63n)), long(2n ** 63n - 1n)),
    carries('AMQP-1.6.11-a', 'float', { type: 'float', value: 1.5 }, raw('72 7fc00001'), raw('72 80000000')),
    carries('AMQP-1.6.12-a', 'double', { type: 'double', value: Math.PI }, raw('82 7ff8000000000001'), raw('82 8000000000000000')),
    carries('AMQP-1.6.13-a', 'decimal32', { type: 'decimal32', value: Buffer.of(1, 2, 3, 4) }),
    carries('AMQP-1.6.14-a', 'decimal64', { type: 'decimal64', value: Buffer.alloc(8, 5) }),
    carries('AMQP-1.6.15-a', 'decimal128', { type: 'decimal128', value: Buffer.alloc(16, 6) }),
    carries('AMQP-1.6.16-a', 'char', { type: 'char', value: 0x61 }, { type: 'char', value: 0x1f600 }),
    carries('AMQP-1.6.17-a', 'timestamp', timestamp(0), timestamp(-1), timestamp(1_311_704_463_521)),
    carries('AMQP-1.6.18-a', 'uuid', { type: 'uuid', value: Buffer.alloc(16, 0xab) }),
    carries('AMQP-1.6.19-a', 'binary', binary(''), binary('', 0xb0), binary(Buffer.alloc(300, 0xff))),
    carries('AMQP-1.6.20-a', 'string', string(''), string('', 0xb1), string('grün→😀\0'), string('x'.repeat(300))),
    carries('AMQP-1.6.21-a', 'symbol', symbol(''), symbol('', 0xb3), symbol('x'.repeat(300))),
    carries('AMQP-1.6.22-a', 'list', list([]), list([], 0xc0), list([], 0xd0), list([list([nothing])])),
    carries(
      'AMQP-1.6.23-a',
      'map',
      map([]),
      map([], 0xd1),
      map([
        [nothing, nothing],
        [list([]), map([])],
      ]),
    ),
    carries(
      'AMQP-1.6.24-a',
      'array',
      raw('e0 02 00 40'),
      array([uint(1), uint(2)], 0xf0),
      array([string('a'), string('bc')]),
      array([boolean(true, 0x56), boolean(false, 0x56)]),
    ),
    carries(
      'AMQP-1.1.2-c',
      'described',
      described(symbol('conformance:type'), string('x')),
      described(ulong(2n ** 40n), list([])),
      described(string('odd'), described(nothing, nothing)),
    ),
  ],
}

/** One of each type. */
const everything: readonly Value[] = [
  nothing,
  boolean(true),
  ubyte(1),
  ushort(1),
  uint(1),
  ulong(1),
  { type: 'byte', value: -1 },
  { type: 'short', value: -1 },
  int(-1),
  long(-1),
  { type: 'float', value: 0.5 },
  { type: 'double', value: 0.5 },
  { type: 'decimal32', value: Buffer.alloc(4) },
  { type: 'decimal64', value: Buffer.alloc(8) },
  { type: 'decimal128', value: Buffer.alloc(16) },
  { type: 'char', value: 0x61 },
  timestamp(1),
  { type: 'uuid', value: Buffer.alloc(16, 1) },
  binary('x'),
  string('x'),
  symbol('x'),
  list([string('x')]),
  map([[string('k'), string('v')]]),
  array([uint(1), uint(2)]),
  described(symbol('x:y'), string('z')),
]
