// AMQP 1.0, 2.2: which protocol and which version is spoken.
import type { Chapter } from '../check.ts'
import { AMQP, header, isHeader, SASL } from '../clients/amqp-framing.ts'
import { AmqpWire } from '../clients/amqp-wire.ts'
import { neverCloses } from '../mutant.ts'
import { mustBe, mustEqual } from '../outcome.ts'
import type { Trial } from '../trial.ts'
import { bytes, changes, edits, needsWhole, never } from './mutants.ts'
import { authenticated, openOf } from './session.ts'

/** Sends a header that no broker takes; answers the version in the one that comes back, after which the connection must end. */
async function refusesHeader(trial: Trial, sent: Buffer, why: string): Promise<Readonly<{ protocol: number; version: string }>> {
  const wire = await AmqpWire.open(trial)
  wire.send(sent)
  const { protocol, version } = await wire.next('header')
  await wire.closed(why)
  return { protocol, version }
}

/** Protocol header of another version in the place of the broker's. */
const answersVersion = (major: number): ReturnType<typeof bytes> =>
  bytes(`answers with version ${major}.0.0`, (raw) => (isHeader(raw) ? header(raw[4] ?? 0, [major, 0, 0]) : undefined))

const silentAboutHeaders = bytes('sends no protocol header', (raw) => (isHeader(raw) ? [] : undefined))

export const version: Chapter = {
  title: '2.2 Version negotiation',
  clauses: [
    {
      id: 'AMQP-2.2-a',
      level: 'must',
      says: 'The first thing that is sent is a protocol header; a requested version that is supported is answered by a header of that version.',
      how: 'The header of AMQP 1.0.0, plain or within SASL: whichever the broker takes.',
      async run(trial) {
        const wire = await AmqpWire.open(trial)
        wire.sendHeader(SASL)
        const answer = await wire.inbox.next('the protocol header')
        mustEqual(answer?.kind, 'header', 'the first thing that came')
        mustBe(
          answer?.kind === 'header' && answer.version === '1.0.0',
          `the header that came has version ${answer?.kind === 'header' ? answer.version : ''} where 1.0.0 was asked for`,
        )
      },
      mutants: [
        silentAboutHeaders,
        answersVersion(0),
        edits('sends sasl-mechanisms before its header', () => ({ toClient }) => {
          let early = false
          return {
            toClient: () => {
              if (!early) toClient({ kind: 'saslMechanisms', saslServerMechanisms: ['ANONYMOUS'] })
              early = true
              return undefined
            },
          }
        }),
      ],
    },
    {
      id: 'AMQP-2.2-b',
      level: 'must',
      says: 'A requested version that is not supported is answered by a header with one that is, and the socket is closed.',
      how: 'The header AMQP 0 9.0.0.',
      async run(trial) {
        const { version: offered } = await refusesHeader(trial, header(AMQP, [9, 0, 0]), 'after a header of version 9.0.0')
        mustBe(offered !== '9.0.0', 'the header that came back has the version that is not supported')
      },
      mutants: [neverCloses, silentAboutHeaders, answersVersion(9)],
    },
    {
      id: 'AMQP-2.2-c',
      level: 'should',
      says: 'Asked for a version below all that it supports, the broker answers with the highest that it supports.',
      how: 'The header AMQP 0 0.0.1.',
      async run(trial) {
        const { version: offered } = await refusesHeader(trial, header(AMQP, [0, 0, 1]), 'after a header of version 0.0.1')
        mustEqual(offered, '1.0.0', 'the version in the header that came back')
      },
      mutants: [neverCloses, silentAboutHeaders, answersVersion(0)],
    },
    {
      id: 'AMQP-2.2-d',
      level: 'must',
      says: 'What is no protocol header is answered by a valid header with a supported version, and the socket is closed.',
      how: 'Eight bytes that begin as no header does.',
      async run(trial) {
        await refusesHeader(trial, Buffer.from('584d515000010000', 'hex'), 'after bytes that are no protocol header')
      },
      mutants: [neverCloses, silentAboutHeaders],
    },
    {
      id: 'AMQP-2.2-e',
      level: 'must',
      says: 'A protocol id that is not accepted is answered by a header with one that is, and the socket is closed.',
      how: 'The header with protocol id 200.',
      async run(trial) {
        const { protocol, version: offered } = await refusesHeader(trial, header(200), 'after a header with protocol id 200')
        mustBe([0, 2, 3].includes(protocol), `the header that came back has protocol id ${protocol}, which is none`)
        mustEqual(offered, '1.0.0', 'the version in the header that came back')
      },
      mutants: [neverCloses, silentAboutHeaders, bytes('says the same protocol id', (raw) => (isHeader(raw) ? header(200) : undefined))],
    },
    {
      id: 'AMQP-2.2-f',
      level: 'must',
      says: 'A header that comes in pieces is the same header.',
      how: 'The header of SASL one byte at a time.',
      async run(trial) {
        const wire = await AmqpWire.open(trial)
        for (const byte of header(SASL)) {
          wire.send(Buffer.of(byte))
          await new Promise((resolve) => setImmediate(resolve))
        }
        const answer = await wire.next('header')
        mustEqual(answer.protocol, SASL, 'the protocol of the header that came back')
        await wire.next('saslMechanisms')
      },
      mutants: [needsWhole],
    },
    {
      id: 'AMQP-2.2-g',
      level: 'must',
      says: 'What follows the headers is of the version that they name: the first frame of AMQP 1.0 is an open.',
      how: 'Header and open, pipelined where no SASL is asked for, else after it.',
      async run(trial) {
        const wire = await authenticated(trial)
        wire.send(openOf(trial))
        const first = await wire.inbox.next('the first frame')
        mustEqual(first?.kind, 'open', 'the first frame that came')
      },
      mutants: [never('open'), changes('begins a session before it sends open', 'open', (open) => [{ kind: 'begin' }, open])],
    },
  ],
}
