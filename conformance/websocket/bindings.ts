// What the protocols say that go over WebSocket: MQTT (chapter 6 of 3.1.1 and of 5), AMQP (its WebSocket Binding 1.0), and STOMP, whose subprotocols are registered, and nothing else said.
import type { Chapter, Clause } from '../check.ts'
import { OPCODE, statusOf } from '../clients/ws-frame.ts'
import { WsWire } from '../clients/ws-wire.ts'
import { mustBe, mustEqual, notSupported } from '../outcome.ts'
import { neverCloses } from '../mutant.ts'
import { deafTo } from './framing.ts'
import { responds, sends, takes } from './mutants.ts'
import { amqp, answer, type Dialect, mqtt, mustChoose, opened, shaken, stomp } from './session.ts'

/** The server answers with the name that was asked for. */
function named(id: string, level: 'must' | 'should', name: string, of: string): Clause {
  return {
    id,
    level,
    says: `The subprotocol of ${of} is ${name}.`,
    how: `A hand-shake for ${name} alone.`,
    async run(trial) {
      if (name !== 'mqtt') await mustChoose(trial)
      const wire = await WsWire.open(trial)
      wire.text(wire.request({ headers: { 'Sec-WebSocket-Protocol': name } }))
      const head = await wire.responseOrEnd()
      if (head === undefined || statusOf(head) >= 400) notSupported(`${name} is refused${head === undefined ? '' : `: ${head.start}`}`)
      if (!head.headers.has('sec-websocket-protocol')) notSupported(`${name} is not answered`)
      mustEqual(head.headers.get('sec-websocket-protocol'), name, 'the header Sec-WebSocket-Protocol')
    },
    mutants: [
      responds(
        'answers with another name',
        (headers) => void (headers.has('sec-websocket-protocol') && headers.set('sec-websocket-protocol', 'other')),
      ),
    ],
  }
}

/** Data of the server are of this opcode. */
const answersIn = (id: string, dialect: Dialect, of: string, opcodes: readonly number[], level: 'must' | 'should' = 'must'): Clause => ({
  id,
  level,
  says: `${of} is sent in ${opcodes.includes(OPCODE.text) ? 'messages' : 'binary messages'}.`,
  how: 'The answer to the first message of a client.',
  async run(trial) {
    if (dialect !== mqtt) await mustChoose(trial)
    const { wire } = await shaken(trial, [dialect])
    wire.frame({ opcode: dialect.opcode, payload: dialect.hello(trial) })
    await wire.until(dialect.welcomed, 'the answer to the first message')
    for (const { opcode } of wire.all) mustBe(opcode === 0 || opcodes.includes(opcode), `a message of opcode ${opcode} came`)
  },
  mutants: opcodes.includes(OPCODE.text)
    ? [sends('uses opcode 5', (frame) => (frame.opcode < OPCODE.close && frame.opcode > 0 ? { ...frame, opcode: 5 } : undefined))]
    : [sends('sends text', (frame) => (frame.opcode === OPCODE.binary ? { ...frame, opcode: OPCODE.text } : undefined))],
})

/** Borders of messages mean nothing. */
function unaligned(id: string, level: 'must' | 'should', dialect: Dialect, of: string): readonly Clause[] {
  return [
    {
      id: `${id}-a`,
      level,
      says: `A message of WebSocket may hold several of ${of}.`,
      how: 'Three questions in one message; three answers.',
      async run(trial) {
        const { wire } = await opened(trial, [dialect])
        const question = dialect.question(trial)
        wire.frame({ opcode: dialect.opcode, payload: Buffer.concat([question, question, question]) })
        await wire.until((stream) => countOf(stream, dialect) >= 3, 'three answers')
      },
      mutants: [
        takes('reads the first only', (frame) =>
          frame.opcode < OPCODE.close && frame.payload.length % 3 === 0 && repeats(frame.payload)
            ? { ...frame, payload: frame.payload.subarray(0, frame.payload.length / 3) }
            : undefined,
        ),
      ],
    },
    {
      id: `${id}-b`,
      level,
      says: `${of} may be cut by the border of two messages of WebSocket.`,
      how: 'A question in as many messages as it has bytes; the answer.',
      async run(trial) {
        const { wire } = await opened(trial, [dialect])
        for (const byte of dialect.question(trial)) wire.frame({ opcode: dialect.opcode, payload: Buffer.from([byte]) })
        await answer(wire, dialect)
      },
      mutants: [deafTo('wants it whole', (frame) => frame.opcode < OPCODE.close && frame.payload.length === 1)],
    },
  ]
}

const countOf = (stream: Buffer, dialect: Dialect): number =>
  dialect === mqtt ? Math.floor(stream.length / 2) : stream.toString('latin1').split('RECEIPT\n').length - 1

function repeats(bytes: Buffer): boolean {
  const third = bytes.length / 3
  return third > 0 && bytes.subarray(0, third).equals(bytes.subarray(third, 2 * third))
}

export const overMqtt: Chapter = {
  title: 'MQTT over WebSocket',
  clauses: [
    {
      id: 'MQTT-6.0.0-1',
      level: 'must',
      says: 'MQTT comes in binary messages: any other kind of data ends the connection.',
      how: 'A text message of one NUL.',
      async run(trial) {
        const { wire, dialect } = await opened(trial, [mqtt])
        wire.frame({ opcode: OPCODE.text, payload: Buffer.from('\0') })
        await wire.failed('a text message')
        mustEqual(dialect.names[0], 'mqtt', 'the subprotocol')
      },
      mutants: [
        neverCloses,
        takes('takes text', (frame) =>
          frame.opcode === OPCODE.text ? { ...frame, opcode: OPCODE.binary, payload: Buffer.from([0xc0, 0]) } : undefined,
        ),
      ],
    },
    answersIn('MQTT-6.0.0-1-b', mqtt, 'What a server says in MQTT', [OPCODE.binary]),
    ...unaligned('MQTT-6.0.0-2', 'must', mqtt, 'an MQTT packet'),
    named('MQTT-6.0.0-4', 'must', 'mqtt', 'MQTT'),
  ],
}

export const overStomp: Chapter = {
  title: 'STOMP over WebSocket',
  clauses: [
    named('STOMP-WS-a', 'should', 'v12.stomp', 'STOMP 1.2'),
    named('STOMP-WS-b', 'should', 'v11.stomp', 'STOMP 1.1'),
    named('STOMP-WS-c', 'should', 'v10.stomp', 'STOMP 1.0'),
    answersIn('STOMP-WS-d', stomp, 'What a server says in STOMP', [OPCODE.text, OPCODE.binary], 'should'),
    {
      id: 'STOMP-WS-e',
      level: 'should',
      says: 'STOMP is taken from text messages and from binary ones.',
      how: 'CONNECT in a text message, SEND with receipt in a binary one, and in a text one.',
      async run(trial) {
        const { wire, dialect } = await opened(trial, [stomp])
        for (const opcode of [OPCODE.binary, OPCODE.text]) {
          wire.frame({ opcode, payload: dialect.question(trial) })
          await answer(wire, dialect)
        }
      },
      mutants: [
        takes('takes text only', (frame) => (frame.opcode === OPCODE.binary ? 'close' : undefined)),
        deafTo('takes binary only', (frame) => frame.opcode === OPCODE.text),
      ],
    },
    ...unaligned('STOMP-WS-align', 'should', stomp, 'a frame of STOMP'),
    {
      id: 'STOMP-WS-f',
      level: 'should',
      says: 'A frame of STOMP may end with its message, without a NUL being cut off it.',
      how: 'Two SENDs with receipts, each in a message; both answers.',
      async run(trial) {
        const { ask } = await opened(trial, [stomp])
        await ask()
        await ask()
      },
      mutants: [
        takes('cuts the NUL', (frame) =>
          frame.payload.at(-1) === 0 && frame.opcode < OPCODE.close ? { ...frame, payload: frame.payload.subarray(0, -1) } : undefined,
        ),
      ],
    },
  ],
}

export const overAmqp: Chapter = {
  title: 'AMQP over WebSocket',
  clauses: [
    named('AMQP-WSB-2.1-a', 'must', 'amqp', 'AMQP 1.0'),
    answersIn('AMQP-WSB-2.4-a', amqp, 'What a server says in AMQP', [OPCODE.binary]),
    {
      id: 'AMQP-WSB-2.2-a',
      level: 'must',
      says: 'The exchange of protocol headers is as over TCP.',
      how: 'The protocol header of SASL, or of AMQP where there is no SASL; the server’s.',
      async run(trial) {
        await mustChoose(trial)
        const { wire, dialect } = await shaken(trial, [amqp])
        wire.frame({ opcode: dialect.opcode, payload: dialect.hello(trial) })
        const stream = await wire.until(dialect.welcomed, 'a protocol header')
        mustEqual(stream.toString('latin1', 0, 4), 'AMQP', 'the first four bytes')
      },
      mutants: [
        sends('says nothing', (frame) => (frame.opcode < OPCODE.close ? 'drop' : undefined)),
        deafTo('hears nothing', (frame) => frame.opcode < OPCODE.close),
      ],
    },
  ],
}
