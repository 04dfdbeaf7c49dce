// AMQP 1.0, part 5: SASL.
import type { Chapter } from '../check.ts'
import { toValue } from '../clients/amqp-composite.ts'
import { AMQP, frame, header, isHeader, SASL, TLS } from '../clients/amqp-framing.ts'
import { described, list, ulong } from '../clients/amqp-value.ts'
import { AmqpWire } from '../clients/amqp-wire.ts'
import { neverCloses } from '../mutant.ts'
import { mustBe, mustEqual, orSkip, skip } from '../outcome.ts'
import type { Trial } from '../trial.ts'
import { answers, bytes, changes, edits, ignores, never, sees } from './mutants.ts'
import { initialResponse, openOf } from './session.ts'

/** After the headers of SASL, and the broker's mechanisms. */
async function offered(trial: Trial): Promise<Readonly<{ wire: AmqpWire; mechanisms: readonly string[] }>> {
  const wire = await AmqpWire.open(trial)
  await wire.headers(SASL)
  const { saslServerMechanisms = [] } = await wire.next('saslMechanisms')
  return { wire, mechanisms: saslServerMechanisms }
}

/** As `offered`, with the mechanism of the target's login, which the broker must have. */
async function choosing(trial: Trial): Promise<Readonly<{ wire: AmqpWire; mechanism: string }>> {
  const { wire, mechanisms } = await offered(trial)
  const mechanism = trial.user === undefined ? 'ANONYMOUS' : 'PLAIN'
  if (!mechanisms.includes(mechanism)) skip(`the broker does not offer ${mechanism}`)
  return { wire, mechanism }
}

/** Fails if a log-in that must not succeed does. An outcome that is not ok refuses it, and so does the end of the connection; where neither comes nothing is concluded. */
async function refuses(wire: AmqpWire, why: string): Promise<void> {
  const answer = await orSkip(wire.firstOf('saslOutcome', 'open'), `the broker falls silent ${why}, and the connection stays open`)
  mustBe(answer?.kind !== 'open', `the connection was opened: ${why}`)
  mustBe(answer?.kind !== 'saslOutcome' || answer.code !== 0, `the log-in was accepted: ${why}`)
}

/** Whether the broker goes on to AMQP. */
async function opens(wire: AmqpWire, trial: Trial): Promise<boolean> {
  wire.sendHeader(AMQP)
  wire.send(openOf(trial))
  for (;;) {
    const piece = await wire.inbox.next('open')
    if (piece === undefined || piece.kind === 'open') return piece !== undefined
  }
}

const acceptsAll = changes('accepts every log-in', 'saslOutcome', () => ({ kind: 'saslOutcome', code: 0 }))

export const security: Chapter = {
  title: '5 Security',
  clauses: [
    {
      id: 'AMQP-5.3-a',
      level: 'must',
      says: 'SASL begins with a header of protocol id 3, which is answered by the same.',
      how: 'The header of SASL.',
      async run(trial) {
        const wire = await AmqpWire.open(trial)
        wire.sendHeader(SASL)
        const { protocol, version } = await wire.next('header')
        mustEqual(protocol, SASL, 'the protocol id')
        mustEqual(version, '1.0.0', 'the version')
      },
      mutants: [
        bytes('answers with another protocol', (raw) => (isHeader(raw) ? header(AMQP) : undefined)),
        bytes('sends no header', (raw) => (isHeader(raw) ? [] : undefined)),
      ],
    },
    {
      id: 'AMQP-5.3.1-a',
      level: 'must',
      says: 'SASL frames have type 1, and at most 512 bytes.',
      how: 'The frames of a log-in.',
      async run(trial) {
        const { wire, mechanism } = await choosing(trial)
        wire.send({ kind: 'saslInit', mechanism, initialResponse: initialResponse(trial) })
        const { raw } = await wire.next('saslOutcome')
        mustEqual(raw[5], 1, 'the type of the frame')
        mustBe(wire.largestFrame <= 512, `a frame of ${wire.largestFrame} bytes came`)
      },
      mutants: [
        changes('sends it as a frame of AMQP', 'saslOutcome', (outcome) => frame(toValue(outcome), { type: 0 })),
        changes('offers more than a frame can hold', 'saslMechanisms', (own) => ({
          ...own,
          saslServerMechanisms: [...(own.saslServerMechanisms ?? []), ...Array.from({ length: 100 }, (_, at) => `X-MECHANISM-${at}`)],
        })),
      ],
    },
    {
      id: 'AMQP-5.3.1-b',
      level: 'must',
      says: 'An empty frame within SASL cannot be recovered from: no log-in succeeds after it.',
      how: 'A frame of type 1 without a body, and the target’s log-in behind it.',
      async run(trial) {
        const { wire, mechanism } = await choosing(trial)
        wire.send(undefined, { type: 1 })
        wire.send({ kind: 'saslInit', mechanism, initialResponse: initialResponse(trial) })
        await refuses(wire, 'after an empty SASL frame')
      },
      mutants: [ignores('empty')],
    },
    {
      id: 'AMQP-5.3.1-c',
      level: 'should',
      says: 'A frame of more than 512 bytes has no place within SASL: a log-in by one does not succeed.',
      how: 'sasl-init with an initial response of 600 bytes.',
      async run(trial) {
        const { wire, mechanism } = await choosing(trial)
        wire.send({ kind: 'saslInit', mechanism, initialResponse: Buffer.concat([Buffer.alloc(600, 0x61), initialResponse(trial)]) })
        await refuses(wire, 'after a SASL frame of more than 512 bytes')
      },
      mutants: [
        sees('takes no notice of what is too much', 'saslInit', ({ mechanism, initialResponse: all }) => ({
          kind: 'saslInit',
          ...(mechanism === undefined ? {} : { mechanism }),
          ...(all === undefined ? {} : { initialResponse: all.length > 512 ? all.subarray(600) : all }),
        })),
      ],
    },
    {
      id: 'AMQP-5.3.1-d',
      level: 'must',
      says: 'Bytes 6 and 7 of a SASL frame, and an extended header, are ignored.',
      how: 'sasl-init with 0xffff there and an extended header of four bytes.',
      async run(trial) {
        const { wire, mechanism } = await choosing(trial)
        wire.send({ kind: 'saslInit', mechanism, initialResponse: initialResponse(trial) }, { channel: 0xffff, extended: Buffer.alloc(4, 1) })
        mustEqual((await wire.next('saslOutcome')).code, 0, 'the code of sasl-outcome')
      },
      mutants: [never('saslOutcome'), changes('minds the bytes', 'saslOutcome', () => ({ kind: 'saslOutcome', code: 2 }))],
    },
    {
      id: 'AMQP-5.3.2-a',
      level: 'must',
      says: 'The broker begins: it announces its mechanisms before the client has said anything but its header.',
      how: 'The header and silence.',
      async run(trial) {
        const { mechanisms } = await offered(trial)
        mustBe(mechanisms.length > 0, 'sasl-mechanisms came without a mechanism')
      },
      mutants: [never('saslMechanisms')],
    },
    {
      id: 'AMQP-5.3.3.1-a',
      level: 'must',
      says: 'The list of mechanisms is neither null nor empty.',
      how: 'The sasl-mechanisms that comes.',
      async run(trial) {
        const { mechanisms } = await offered(trial)
        mustBe(
          mechanisms.length > 0 && mechanisms.every((each) => /^[A-Z0-9_-]{1,20}$/.test(each)),
          `${mechanisms.join(', ')}: none, or not as mechanisms are named`,
        )
      },
      mutants: [
        changes('offers nothing', 'saslMechanisms', () => ({ kind: 'saslMechanisms' })),
        changes('offers no name', 'saslMechanisms', () => ({ kind: 'saslMechanisms', saslServerMechanisms: [''] })),
      ],
    },
    {
      id: 'AMQP-5.3.3.2-a',
      level: 'must',
      says: 'A mechanism that the broker does not have ends the connection, authentication failed.',
      how: 'sasl-init with a mechanism that nobody has.',
      async run(trial) {
        const { wire } = await offered(trial)
        wire.send({ kind: 'saslInit', mechanism: 'X-CONFORMANCE', initialResponse: initialResponse(trial) })
        for (const piece of await wire.closed('after a mechanism that is not offered'))
          mustBe(piece.kind !== 'saslOutcome' || piece.code !== 0, 'the log-in was accepted: after a mechanism that is not offered')
      },
      mutants: [neverCloses, acceptsAll],
    },
    {
      id: 'AMQP-5.3.3.2-b',
      level: 'must',
      says: 'A host name is not mandatory in sasl-init, and one that is there is no reason to refuse.',
      how: 'sasl-init with a host name.',
      async run(trial) {
        const { wire, mechanism } = await choosing(trial)
        wire.send({ kind: 'saslInit', mechanism, initialResponse: initialResponse(trial), hostname: trial.address.host })
        mustEqual((await wire.next('saslOutcome')).code, 0, 'the code of sasl-outcome')
      },
      mutants: [never('saslOutcome'), changes('minds the host name', 'saslOutcome', () => ({ kind: 'saslOutcome', code: 4 }))],
    },
    {
      id: 'AMQP-5.3.3.2-c',
      level: 'must',
      says: 'The mechanism is mandatory in sasl-init: a log-in without does not succeed.',
      how: 'sasl-init without a field.',
      async run(trial) {
        const { wire } = await offered(trial)
        wire.send({ kind: 'saslInit' })
        await refuses(wire, 'after sasl-init without a mechanism')
      },
      mutants: [
        answers('logs in without a mechanism', 'saslInit', ({ mechanism }) =>
          mechanism === undefined ? { kind: 'saslOutcome', code: 0 } : undefined,
        ),
      ],
    },
    {
      id: 'AMQP-5.3.3.3-a',
      level: 'must',
      says: 'A mechanism whose client speaks first, chosen without an initial response, is answered by a challenge or refused.',
      how: 'PLAIN without an initial response; the response to an empty challenge is as good.',
      async run(trial) {
        const { wire, mechanism } = await choosing(trial)
        if (mechanism !== 'PLAIN') skip('the target has no user')
        wire.send({ kind: 'saslInit', mechanism })
        const answer = await wire.inbox.next('sasl-challenge or sasl-outcome')
        if (answer?.kind !== 'saslChallenge') {
          mustBe(answer?.kind !== 'saslOutcome' || answer.code !== 0, 'a log-in without a word was accepted')
          return
        }
        wire.send({ kind: 'saslResponse', response: initialResponse(trial) })
        mustEqual((await wire.next('saslOutcome')).code, 0, 'the code of sasl-outcome')
      },
      mutants: [
        edits('accepts silence', () => ({ toClient }) => ({
          toBroker: (piece) => {
            if (piece.kind !== 'saslInit' || piece.initialResponse !== undefined) return undefined
            toClient({ kind: 'saslOutcome', code: 0 })
            return 'drop'
          },
        })),
        edits('says nothing to silence', () => () => ({
          toBroker: (piece) => (piece.kind === 'saslInit' && piece.initialResponse === undefined ? 'drop' : undefined),
        })),
      ],
    },
    {
      id: 'AMQP-5.3.3.4-a',
      level: 'must',
      says: 'A response that nobody has asked for is no log-in.',
      how: 'sasl-response where sasl-init is due.',
      async run(trial) {
        const { wire } = await offered(trial)
        wire.send({ kind: 'saslResponse', response: initialResponse(trial) })
        await refuses(wire, 'after sasl-response without sasl-init')
      },
      mutants: [answers('takes it for sasl-init', 'saslResponse', () => ({ kind: 'saslOutcome', code: 0 }))],
    },
    {
      id: 'AMQP-5.3.3.5-a',
      level: 'must',
      says: 'After an outcome of ok the headers are exchanged again, and AMQP begins.',
      how: 'The target’s login, header, open.',
      async run(trial) {
        const { wire, mechanism } = await choosing(trial)
        wire.send({ kind: 'saslInit', mechanism, initialResponse: initialResponse(trial) })
        mustEqual((await wire.next('saslOutcome')).code, 0, 'the code of sasl-outcome')
        await wire.headers(AMQP)
        wire.send(openOf(trial))
        await wire.next('open')
      },
      mutants: [never('saslOutcome'), never('open'), changes('refuses', 'saslOutcome', () => ({ kind: 'saslOutcome', code: 1 }))],
    },
    {
      id: 'AMQP-5.3.3.5-b',
      level: 'must',
      says: 'Credentials that are wrong are answered by an outcome that is not ok, and no session begins after it.',
      how: 'PLAIN with a user that does not exist; behind its outcome the header, open and begin.',
      async run(trial) {
        const { wire, mechanisms } = await offered(trial)
        if (!mechanisms.includes('PLAIN')) skip('the broker does not offer PLAIN')
        wire.send({ kind: 'saslInit', mechanism: 'PLAIN', initialResponse: Buffer.from(`\0${trial.name('nobody')}\0wrong`) })
        const { code } = await wire.next('saslOutcome')
        if (code === 0 && (await opens(wire, trial))) skip('the broker takes any user')
        mustEqual(code, 1, 'the code of sasl-outcome')
        wire.sendHeader(AMQP)
        wire.send(openOf(trial))
        wire.send({ kind: 'begin' })
        const answer = await orSkip(
          wire.firstOf('begin', 'close'),
          'the broker falls silent after a log-in that it refused, and the connection stays open',
        )
        mustBe(answer?.kind !== 'begin', 'a session began after a log-in that was refused')
      },
      mutants: [
        acceptsAll,
        never('saslOutcome'),
        changes('blames itself', 'saslOutcome', () => ({ kind: 'saslOutcome', code: 2 })),
        changes('goes on after a refusal', 'saslOutcome', ({ raw }) => [raw, { kind: 'begin', remoteChannel: 0 }]),
      ],
    },
    {
      id: 'AMQP-5.3.3.5-c',
      level: 'must',
      says: 'An outcome that is not ok has no additional data.',
      how: 'PLAIN with a user that does not exist.',
      async run(trial) {
        const { wire, mechanisms } = await offered(trial)
        if (!mechanisms.includes('PLAIN')) skip('the broker does not offer PLAIN')
        wire.send({ kind: 'saslInit', mechanism: 'PLAIN', initialResponse: Buffer.from(`\0${trial.name('nobody')}\0wrong`) })
        const { code, additionalData } = await wire.next('saslOutcome')
        if (code === 0) skip('the broker takes any user')
        mustBe(additionalData === undefined, 'additional data came with a refusal')
      },
      mutants: [changes('says why', 'saslOutcome', (outcome) => ({ ...outcome, additionalData: Buffer.from('no such user') }))],
    },
    {
      id: 'AMQP-5.3.2-b',
      level: 'should',
      says: 'A frame that is none of SASL’s has no place within it: no log-in succeeds after it.',
      how: 'Open before the outcome, and the target’s log-in behind it; a described list that is nothing, and the same.',
      async run(trial) {
        for (const [wrong, why] of [
          [frame(toValue(openOf(trial))), 'after open within SASL'],
          [frame(described(ulong(0x4f), list([])), { type: 1 }), 'after an unknown SASL frame'],
        ] as const) {
          const { wire, mechanism } = await choosing(trial)
          wire.send(wrong)
          wire.send({ kind: 'saslInit', mechanism, initialResponse: initialResponse(trial) })
          await refuses(wire, why)
        }
      },
      mutants: [ignores('open'), ignores('unreadable')],
    },
    {
      id: 'AMQP-5.3-b',
      level: 'must',
      says: 'A broker that wants SASL answers a header without it by that of SASL, and closes.',
      how: 'The header of AMQP: it is answered by itself, or by that of a security layer and the end.',
      async run(trial) {
        const wire = await AmqpWire.open(trial)
        wire.sendHeader(AMQP)
        const { protocol } = await wire.next('header')
        if (protocol === AMQP) {
          wire.send(openOf(trial))
          await wire.nextOf('open', 'close')
          return
        }
        mustBe(protocol === SASL || protocol === TLS, `the protocol id ${protocol} is none`)
        await wire.closed('after the header of AMQP where SASL is wanted')
      },
      mutants: [
        bytes('answers with a protocol that does not exist', (raw) => (isHeader(raw) ? header(77) : undefined)),
        bytes('wants SASL and stays', (raw) => (isHeader(raw) ? header(SASL) : raw[5] === 0 ? [] : undefined)),
      ],
    },
    {
      id: 'AMQP-5.2-a',
      level: 'must',
      says: 'A header that asks for TLS is answered by the same, or by another and the end of the connection.',
      how: 'The header with protocol id 2.',
      async run(trial) {
        const wire = await AmqpWire.open(trial)
        wire.sendHeader(TLS)
        const { protocol } = await wire.next('header')
        if (protocol === TLS) return
        mustBe(protocol === AMQP || protocol === SASL, `the protocol id ${protocol} is none`)
        await wire.closed('after the header of TLS, which was answered by another')
      },
      mutants: [bytes('sends no header', (raw) => (isHeader(raw) ? [] : undefined)), neverCloses],
    },
    {
      id: 'AMQP-5.3.3.6-a',
      level: 'must',
      says: 'The codes 3 and 4 tell errors of the broker’s own that last or pass.',
      unchecked: 'No client can bring a broker to have them.',
    },
    {
      id: 'AMQP-5.1-a',
      level: 'must',
      says: 'When a security layer ends, the outgoing stream is shut down first and the incoming read to its end.',
      unchecked: 'From outside the end of a socket is one.',
    },
  ],
}
