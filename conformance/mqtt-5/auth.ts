// MQTT 5.0, 3.15 and 4.12: AUTH, and enhanced authentication by SCRAM-SHA-256, the method that a broker most probably has.
import type { Chapter } from '../check.ts'
import { MqttWire, type Received } from '../clients/mqtt-wire.ts'
import { ScramClient } from '../clients/scram.ts'
import { packet, properties, string, u32 } from '../mqtt/bytes.ts'
import { changes, edits, sees } from '../mqtt/mutants.ts'
import { neverCloses } from '../mutant.ts'
import { fail, mustBe, mustEqual, notSupported, skip } from '../outcome.ts'
import type { Trial } from '../trial.ts'
import { acceptsAll, adds, addsLongReason, addsLongUserProperty, changesProperties, leavesOut } from './mutants.ts'
import { ID } from './properties.ts'
import { closes, closesEach, code, connectBytes, opened, publish, publishBytes, refused, subscribe } from './session.ts'

const METHOD = 'SCRAM-SHA-256'
const CONTINUE = 0x18
const AGAIN = 0x19

const authBytes = (reason: number, data: string, method = METHOD): Buffer =>
  packet(0xf0, reason, properties(ID.authenticationMethod, string(method), ID.authenticationData, string(data)))

/** A CONNECT by SCRAM to which the broker has answered with its challenge. */
type Begun = Readonly<{ wire: MqttWire; scram: ScramClient; challenge: Received<'auth'> }>

async function begun(trial: Trial, options: Readonly<{ password?: string; maximumPacketSize?: number }> = {}): Promise<Begun> {
  const { user = 'somebody', password = 'something' } = trial
  const scram = new ScramClient(METHOD, user, options.password ?? password)
  const wire = await MqttWire.open(trial, 5)
  const limit = options.maximumPacketSize === undefined ? [] : [ID.maximumPacketSize, u32(options.maximumPacketSize)]
  const method = [ID.authenticationMethod, string(METHOD), ID.authenticationData, string(scram.first)]
  wire.send(connectBytes(trial, { nameless: true, properties: [...limit, ...method] }))
  const answer = await wire.inbox.next('an answer to CONNECT with an authentication method')
  if (answer?.cmd === 'connack' && (answer.reasonCode ?? 0) >= 0x80) notSupported(`${METHOD} is refused with ${code(answer.reasonCode)}`)
  if (trial.user === undefined || trial.password === undefined) skip('it takes the name and the password of a user')
  if (answer?.cmd !== 'auth') return fail(`${answer?.cmd ?? 'the end of the connection'} came where AUTH or a refusal was due`)
  return { wire, scram, challenge: answer }
}

const dataOf = ({ properties: given }: Received<'auth'> | Received<'connack'>): string => given?.authenticationData?.toString() ?? ''

const proofOf = ({ scram, challenge }: Pick<Begun, 'scram' | 'challenge'>): string =>
  scram.final(dataOf(challenge)) ?? fail(`the challenge is no server-first of ${METHOD}: ${dataOf(challenge)}`)

/** A connection that was logged in by SCRAM. */
async function loggedIn(trial: Trial, options: Parameters<typeof begun>[1] = {}): Promise<Begun & Readonly<{ connack: Received<'connack'> }>> {
  const own = await begun(trial, options)
  own.wire.send(authBytes(CONTINUE, proofOf(own)))
  const connack = await own.wire.next('connack')
  mustEqual(connack.reasonCode, 0, 'the reason code of CONNACK after the right proof')
  mustBe(own.scram.believes(dataOf(connack)), 'the Authentication Data of CONNACK does not show that the server knows the password')
  return { ...own, connack }
}

/** Begins to log in again on the same connection. */
async function again(trial: Trial, wire: MqttWire, password = trial.password ?? ''): Promise<Pick<Begun, 'scram' | 'challenge'>> {
  const scram = new ScramClient(METHOD, trial.user ?? '', password)
  wire.send(authBytes(AGAIN, scram.first))
  return { scram, challenge: await wire.next('auth') }
}

export const auth: Chapter = {
  title: '3.15 AUTH and 4.12 Enhanced authentication',
  clauses: [
    {
      id: 'MQTT-3.15.1-1',
      level: 'must',
      says: 'The flags of AUTH are 0: with any other it is malformed, and the connection ends.',
      how: 'An AUTH with flags 1.',
      run: (trial) => closesEach(trial, { 'an AUTH with flags 1': packet(0xf1, CONTINUE, properties(ID.authenticationMethod, string(METHOD))) }),
      mutants: [neverCloses],
    },
    {
      id: 'MQTT-3.15.2-1',
      level: 'must',
      says: 'The reason code of AUTH is 0x00 or 0x18, if a server sends it.',
      how: 'A log-in, and another on the same connection; the wire holds reason codes against the table.',
      async run(trial) {
        const { wire } = await loggedIn(trial)
        wire.send(authBytes(CONTINUE, proofOf(await again(trial, wire))))
        await wire.next('auth')
      },
      mutants: [
        changes('says 0x19', 'auth', (_, raw) => withReason(raw, AGAIN)),
        changes('says 0x80 at the end', 'auth', ({ reasonCode }, raw) => (reasonCode === 0 ? withReason(raw, 0x80) : undefined)),
      ],
    },
    ...(
      [
        ['2', 'Reason String', addsLongReason],
        ['3', 'User Property', addsLongUserProperty],
      ] as const
    ).map(([number, what, long]): Chapter['clauses'][number] => ({
      id: `MQTT-3.15.2-${number}`,
      level: 'must',
      says: `AUTH has no ${what} that makes it larger than its receiver takes.`,
      how: 'A log-in with a Maximum Packet Size of 400.',
      async run(trial) {
        const { challenge } = await begun(trial, { maximumPacketSize: 400 })
        mustBe(challenge.raw.length <= 400, `an AUTH of ${challenge.raw.length} bytes was sent to a client that takes 400`)
      },
      mutants: [long('auth')],
    })),
    {
      id: 'MQTT5 3.15.2.2.2-a',
      level: 'must',
      says: 'An AUTH without an Authentication Method, or with two, is a protocol error.',
      how: 'The answer to a challenge without a method, and with the method twice.',
      async run(trial) {
        for (const method of [[], [ID.authenticationMethod, string(METHOD), ID.authenticationMethod, string(METHOD)]]) {
          const own = await begun(trial)
          await refusedOn(
            own.wire,
            packet(0xf0, CONTINUE, properties(...method, ID.authenticationData, string(proofOf(own)))),
            'AUTH without one method',
          )
        }
      },
      mutants: [
        neverCloses,
        sees('takes the method of CONNECT', 'auth', ({ reasonCode, properties: given }) =>
          given?.authenticationMethod === undefined ? authBytes(reasonCode ?? CONTINUE, given?.authenticationData?.toString() ?? '') : undefined,
        ),
      ],
    },
    {
      id: 'MQTT-4.12.0-1',
      level: 'must',
      says: 'An authentication method that the server does not have ends the connection, after CONNACK 0x8C or 0x87 or without.',
      how: 'CONNECT with a method of our invention.',
      async run(trial) {
        const unknown = connectBytes(trial, {
          properties: [ID.authenticationMethod, string(trial.name('method')), ID.authenticationData, string('x')],
        })
        const connack = await refused(trial, unknown, 'an unknown authentication method')
        if (connack !== undefined)
          mustBe([0x8c, 0x87].includes(connack.reasonCode ?? 0), `an unknown authentication method is refused with ${code(connack.reasonCode)}`)
      },
      mutants: [neverCloses, acceptsAll, changes('refuses it with 0x85', 'connack', (connack) => ({ ...connack, reasonCode: 0x85 }))],
    },
    {
      id: 'MQTT-4.12.0-2',
      level: 'must',
      says: 'The AUTH by which the server asks for more has 0x18.',
      how: 'CONNECT with client-first: the answer is AUTH 0x18.',
      async run(trial) {
        mustEqual((await begun(trial)).challenge.reasonCode, CONTINUE, 'the reason code of AUTH')
      },
      mutants: [changes('says 0x00', 'auth', (_, raw) => withReason(raw, 0))],
    },
    {
      id: 'MQTT-4.12.0-3',
      level: 'must',
      says: 'The AUTH that answers the server has 0x18: with another reason code it is a protocol error.',
      how: 'The right proof, with 0x19 and with 0x00.',
      async run(trial) {
        for (const reason of [AGAIN, 0]) {
          const own = await begun(trial)
          await refusedOn(own.wire, authBytes(reason, proofOf(own)), `AUTH ${reason} before CONNACK`)
        }
      },
      mutants: [neverCloses, sees('takes any reason code', 'auth', (_, raw) => withReason(raw, CONTINUE))],
    },
    {
      id: 'MQTT-4.12.0-4',
      level: 'must',
      says: 'When the server rejects the log-in, the connection ends, after a CONNACK that says so or without.',
      how: 'The proof of a wrong password, and one that is none.',
      async run(trial) {
        const wrong = await begun(trial, { password: 'this is not the password' })
        await refusedOn(wrong.wire, authBytes(CONTINUE, proofOf(wrong)), 'the proof of a wrong password')
        await refusedOn((await begun(trial)).wire, authBytes(CONTINUE, 'this is no client-final'), 'a proof that is none')
      },
      mutants: [neverCloses, changes('believes every proof', 'connack', (connack) => ({ ...connack, reasonCode: 0 }))],
    },
    {
      id: 'MQTT-4.12.0-5',
      level: 'must',
      says: 'All AUTHs and the CONNACK that accepts have the Authentication Method of CONNECT.',
      how: 'A log-in, and another on the same connection.',
      async run(trial) {
        const same = (from: Received<'auth'> | Received<'connack'>): void =>
          mustEqual(from.properties?.authenticationMethod, METHOD, `the Authentication Method of ${from.cmd.toUpperCase()}`)
        const { wire, challenge, connack } = await loggedIn(trial)
        same(challenge)
        same(connack)
        const next = await again(trial, wire)
        same(next.challenge)
        wire.send(authBytes(CONTINUE, proofOf(next)))
        same(await wire.next('auth'))
      },
      mutants: [
        leavesOut('the Authentication Method', 'connack', ID.authenticationMethod),
        leavesOut('the Authentication Method', 'auth', ID.authenticationMethod),
        changesProperties('names another method', 'auth', (before) =>
          before.map((each) => (each.id === ID.authenticationMethod ? { ...each, value: string('SCRAM-SHA-512') } : each)),
        ),
      ],
    },
    {
      id: 'MQTT-4.12.0-6',
      level: 'must',
      says: 'Where CONNECT had no Authentication Method, the server sends no AUTH, and no method in CONNACK.',
      how: 'CONNECT without a method, SUBSCRIBE, PUBLISH and PINGREQ: all that comes is looked through.',
      async run(trial) {
        const { wire, connack } = await opened(trial)
        mustEqual(connack.properties?.authenticationMethod, undefined, 'the Authentication Method of CONNACK')
        await subscribe(wire, { topic: trial.name('topic') })
        await publish(wire, trial.name('topic'), 'x')
        await wire.ping()
        mustBe(!wire.inbox.unread.some(({ cmd }) => cmd === 'auth'), 'AUTH came, and CONNECT had no Authentication Method')
      },
      mutants: [
        adds('an Authentication Method', 'connack', ID.authenticationMethod, string(METHOD)),
        edits('sends AUTH', () => () => ({ toClient: (each, raw) => (each.cmd === 'connack' ? [raw, authBytes(CONTINUE, 'x')] : undefined) })),
      ],
    },
    {
      id: 'MQTT-4.12.0-7',
      level: 'must',
      says: 'Where CONNECT had no Authentication Method, an AUTH of the client is a protocol error.',
      how: 'AUTH 0x18 and 0x19 after a CONNACK without a method.',
      run: (trial) =>
        closesEach(trial, {
          'AUTH 0x18 without a method in CONNECT': authBytes(CONTINUE, 'x'),
          'AUTH 0x19 without a method in CONNECT': authBytes(AGAIN, 'x'),
        }),
      mutants: [neverCloses],
    },
    {
      id: 'MQTT-3.1.2-30',
      level: 'must',
      says: 'Between a CONNECT with an Authentication Method and CONNACK, a packet that is neither AUTH nor DISCONNECT is a protocol error.',
      how: 'A PUBLISH and a PINGREQ in place of the answer to a challenge.',
      async run(trial) {
        for (const bytes of [publishBytes(trial.name('topic'), [], 'x'), packet(0xc0)])
          await refusedOn((await begun(trial)).wire, bytes, `packet ${bytes.toString('hex')} before CONNACK`)
      },
      mutants: [neverCloses],
    },
    {
      id: 'MQTT-4.12.1-1',
      level: 'must',
      says: 'Who logs in again names the method of CONNECT: another is a protocol error.',
      how: 'AUTH 0x19 with another method, on a connection that was logged in by this one.',
      async run(trial) {
        const { wire } = await loggedIn(trial)
        await closes(wire, authBytes(AGAIN, 'n,,n=x,r=y', trial.name('method')), 'AUTH with another method than CONNECT')
      },
      mutants: [neverCloses],
    },
    {
      id: 'MQTT5 4.12.1-a',
      level: 'must',
      says: 'A client that was logged in by a method can log in again, while all else goes on, and is told by AUTH 0x00.',
      how: 'AUTH 0x19, between challenge and answer a PUBLISH and a PINGREQ; then AUTH 0x00 comes, with the proof of the server.',
      async run(trial) {
        const { wire } = await loggedIn(trial)
        const next = await again(trial, wire)
        mustEqual(next.challenge.reasonCode, CONTINUE, 'the reason code of the challenge')
        await publish(wire, trial.name('topic'), 'meanwhile')
        await wire.ping()
        wire.send(authBytes(CONTINUE, proofOf(next)))
        const last = await wire.next('auth')
        mustEqual(last.reasonCode, 0, 'the reason code of the last AUTH')
        mustBe(next.scram.believes(dataOf(last)), 'the Authentication Data of the last AUTH does not show that the server knows the password')
        await wire.ping()
      },
      mutants: [
        changes('says 0x18 at the end', 'auth', ({ reasonCode }, raw) => (reasonCode === 0 ? withReason(raw, CONTINUE) : undefined)),
        edits('does nothing else until the log-in is over', () => () => {
          let busy = false
          return {
            toBroker: (each) => {
              if (each.cmd === 'auth') busy = each.reasonCode === AGAIN
              return undefined
            },
            toClient: (each) => (busy && (each.cmd === 'puback' || each.cmd === 'pingresp') ? 'drop' : undefined),
          }
        }),
      ],
    },
    {
      id: 'MQTT-4.12.1-2',
      level: 'must',
      says: 'When logging in again fails, the connection ends.',
      how: 'AUTH 0x19, then the proof of a wrong password.',
      async run(trial) {
        const { wire } = await loggedIn(trial)
        const wrong = await again(trial, wire, 'this is not the password')
        await closes(wire, authBytes(CONTINUE, proofOf(wrong)), 'the proof of a wrong password')
      },
      mutants: [neverCloses],
    },
    {
      id: 'MQTT5 4.12.1-b',
      level: 'should',
      says: 'When logging in again fails, DISCONNECT says why.',
      how: 'The same: DISCONNECT with a reason code from 0x80 comes.',
      async run(trial) {
        const { wire } = await loggedIn(trial)
        wire.send(authBytes(CONTINUE, proofOf(await again(trial, wire, 'this is not the password'))))
        const { reasonCode = 0 } = await wire.next('disconnect')
        mustBe(reasonCode >= 0x80, `DISCONNECT has ${code(reasonCode)}`)
      },
      mutants: [changes('says 0x00', 'disconnect', () => packet(0xe0, 0)), changes('does not say why', 'disconnect', () => 'drop')],
    },
  ],
}

/** The same AUTH with another reason code, behind a Remaining Length of one byte or two. */
function withReason(raw: Buffer, reason: number): Buffer {
  const changed = Buffer.from(raw)
  changed[(raw[1] ?? 0) < 128 ? 2 : 3] = reason
  return changed
}

/** Fails if a log-in goes on, or succeeds, after this. */
async function refusedOn(wire: MqttWire, last: Buffer, why: string): Promise<void> {
  wire.send(last)
  const answer = await wire.inbox.next(`an answer to ${why}`)
  if (answer?.cmd === 'connack') mustBe((answer.reasonCode ?? 0) >= 0x80, `${why} was accepted`)
  else if (answer !== undefined && answer.cmd !== 'disconnect') fail(`${answer.cmd.toUpperCase()} came after ${why}`)
  await wire.closed(`after ${why}`)
}
