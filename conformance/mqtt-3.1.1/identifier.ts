// MQTT 3.1.1, 3.1.3 and 3.1.4: the payload of CONNECT, and what is done with it.
import type { Chapter } from '../check.ts'
import { MqttWire } from '../clients/mqtt-wire.ts'
import { leave, publish, publishPacket, subscribe, take, takeUntil, text } from '../mqtt/acts.ts'
import { string, u16 } from '../mqtt/bytes.ts'
import { together } from '../mqtt/closes.ts'
import { answers, changes, edits, is, never, sees } from '../mqtt/mutants.ts'
import { mutant, neverCloses } from '../mutant.ts'
import { mustBe, mustEqual, notSupported, skip } from '../outcome.ts'
import type { Trial } from '../trial.ts'
import { alwaysClean, connackOf, neverClean } from './connect.ts'
import { acceptsAnyConnect, refuses } from './closes.ts'
import { ACCEPTED, clientId, connected, connectedWith, connectPacket, durable, nameless, rawConnect } from './session.ts'

const SURROGATE = Buffer.from('eda080', 'hex')
const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'

/** CONNECTs that are none, by the rules of 3.1. */
const malformed = (trial: Trial): readonly Buffer[] => [
  rawConnect(trial, { flags: 1 }),
  rawConnect(trial, { flags: 0x18 }),
  rawConnect(trial, { flags: 0x1c, payload: [string('t'), string('m')] }),
  rawConnect(trial, { payload: [] }, true),
  rawConnect(trial, { payload: [u16(40)] }, true),
  rawConnect(trial, { payload: [string(SURROGATE)] }, true),
]

async function empty(trial: Trial, clean: boolean): Promise<MqttWire> {
  const wire = await MqttWire.open(trial, 4)
  wire.send(nameless(trial, clean))
  return wire
}

export const identifier: Chapter = {
  title: '3.1.3 and 3.1.4 CONNECT: payload and response',
  clauses: [
    {
      id: 'MQTT-3.1.3-1',
      level: 'must',
      says: 'The fields of the payload are read in the order client identifier, will topic, will message, user name, password.',
      how: 'CONNECT with all that there is; its will is published under its topic with its message.',
      async run(trial) {
        const wire = await connected(trial)
        await subscribe(wire, `${trial.name('t')}/+`, 1)
        const dropped = await connected(trial, 'dropped', {
          will: { topic: `${trial.name('t')}/topic`, payload: Buffer.from(`${trial.name('t')}/message`), qos: 1 },
        })
        dropped.destroy()
        const seen = await take(wire)
        mustEqual(`${seen.topic} ${text(seen)}`, `${trial.name('t')}/topic ${trial.name('t')}/message`, 'topic and message of the will')
      },
      mutants: [
        sees('reads the will message before the will topic', 'connect', (sent) =>
          sent.will === undefined
            ? undefined
            : { ...sent, will: { ...sent.will, topic: sent.will.payload.toString(), payload: Buffer.from(sent.will.topic) } },
        ),
      ],
    },
    {
      id: 'MQTT-3.1.3-2',
      level: 'must',
      says: 'The client identifier names the state that a server holds for a client.',
      how: 'Two clients with sessions; only the one that subscribed gets the message.',
      async run(trial) {
        const one = await durable(trial, 'one')
        await subscribe(one.wire, trial.name('t'), 1)
        await leave(one.wire)
        const two = await durable(trial, 'two')
        await subscribe(two.wire, trial.name('other'), 1)
        const from = await connected(trial, 'sender')
        await publish(from, trial.name('t'), 'for one', { qos: 1 })
        await publish(from, trial.name('other'), 'end', { qos: 1 })
        mustEqual((await takeUntil(two.wire, 'end')).length, 0, "the number of the other client's messages")
        const again = await durable(trial, 'one')
        mustEqual(text(await take(again.wire)), 'for one', 'the message of the session')
      },
      mutants: [
        edits('takes two clients for one', () => {
          let first: string | undefined
          return () => ({
            toBroker: (sent) => (is(sent, 'connect') && sent.clean === false ? { ...sent, clientId: (first ??= sent.clientId) } : undefined),
          })
        }),
      ],
    },
    refuses(
      {
        id: 'MQTT-3.1.3-3',
        says: 'A client identifier is the first field of the payload: a CONNECT without is refused.',
        how: 'CONNECT without payload.',
      },
      (trial) => [rawConnect(trial, { payload: [] }, true)],
    ),
    refuses(
      { id: 'MQTT-3.1.3-4', says: 'A client identifier that is no UTF-8 is refused.', how: 'CONNECT with ill-formed identifiers.' },
      (trial) => [
        rawConnect(trial, { payload: [string(SURROGATE)] }, true),
        rawConnect(trial, { payload: [string(Buffer.from('c328', 'hex'))] }, true),
      ],
    ),
    {
      id: 'MQTT-3.1.3-5',
      level: 'must',
      says: 'Client identifiers of 1 to 23 digits and Latin letters are allowed.',
      how: 'CONNECT with CleanSession 1 and one letter, which ends the session of a client of that name, and with 23 letters and digits until all 62 were there.',
      async run(trial) {
        const [first = ''] = LETTERS[Number.parseInt(clientId(trial), 36) % 62] ?? 'Z'
        const name = clientId(trial, '')
        const rest = 23 - name.length
        const ids = [first, ...Array.from({ length: Math.ceil(62 / rest) }, (_, index) => name + LETTERS.slice(index * rest, (index + 1) * rest))]
        for (const id of ids) await connected(trial, 'any', { clientId: id.padEnd(id.length === 1 ? 1 : 23, 'z') })
      },
      mutants: [
        answers('allows no identifier of 23 bytes', 'connect', (sent) =>
          sent.clientId.length < 23 ? undefined : { cmd: 'connack', returnCode: 2, sessionPresent: false },
        ),
        answers('allows no identifier of one byte', 'connect', (sent) =>
          sent.clientId.length > 1 ? undefined : { cmd: 'connack', returnCode: 2, sessionPresent: false },
        ),
        answers('allows no capitals', 'connect', (sent) =>
          /[A-Z]/.test(sent.clientId) ? { cmd: 'connack', returnCode: 2, sessionPresent: false } : undefined,
        ),
      ],
    },
    {
      id: 'MQTT-3.1.3-6',
      level: 'must',
      says: 'A server that allows an empty client identifier gives each such client one of its own.',
      how: 'Two clean sessions with empty identifiers at once: both stay, and a message to one is not for the other.',
      async run(trial) {
        const one = await empty(trial, true)
        const { returnCode } = await connackOf(one)
        if (returnCode === 2) notSupported('a client with an empty identifier is refused with return code 2')
        mustEqual(returnCode, 0, 'the return code of CONNACK for an empty identifier with CleanSession 1')
        await subscribe(one, trial.name('one'), 1)
        const two = await empty(trial, true)
        mustEqual((await connackOf(two)).returnCode, 0, 'the return code of CONNACK for a second empty identifier')
        await subscribe(two, trial.name('two'), 1)
        await publish(two, trial.name('one'), 'for one', { qos: 1 })
        mustEqual(text(await take(one)), 'for one', 'the message to the first of two clients with empty identifiers')
        await publish(one, trial.name('two'), 'for two', { qos: 1 })
        mustEqual((await takeUntil(two, 'for two')).length, 0, "the number of the other client's messages")
      },
      mutants: [
        sees('gives every such client the same identifier', 'connect', (sent) =>
          sent.clientId === '' ? { ...sent, clientId: 'nobody' } : undefined,
        ),
      ],
    },
    {
      id: 'MQTT-3.1.3-8',
      level: 'must',
      says: 'An empty client identifier with CleanSession 0 is refused with return code 2, and the connection closed.',
      how: 'Such a CONNECT.',
      async run(trial) {
        const wire = await empty(trial, false)
        mustEqual((await wire.next('connack')).returnCode, 2, 'the return code of CONNACK')
        await wire.closed('after return code 2')
      },
      mutants: [
        neverCloses,
        acceptsAnyConnect,
        changes('gives another code', 'connack', (answer) => ({ ...answer, returnCode: 5 })),
        changes('closes without an answer', 'connack', () => 'close'),
      ],
    },
    {
      id: 'MQTT-3.1.3-9',
      level: 'must',
      says: 'A client identifier that a server does not want is refused with return code 2, and the connection closed.',
      how: 'Long and unusual identifiers, each of them well-formed: each is accepted, or refused so.',
      async run(trial) {
        const name = clientId(trial)
        let refused = 0
        for (const id of [name.padEnd(24, 'x'), name.padEnd(300, 'x'), `${name}/+#$`, `${name} ä€😀`]) {
          const wire = await MqttWire.open(trial, 4)
          wire.send(connectPacket(trial, { clientId: id }))
          const { returnCode } = await wire.next('connack')
          if (returnCode === 0) continue
          mustEqual(returnCode, 2, `the return code of CONNACK for the identifier ${id}`)
          await wire.closed('after return code 2')
          refused++
        }
        if (refused === 0) skip('no identifier was refused')
      },
      mends: edits('refuses long identifiers', () => ({ toClient }) => ({
        toBroker: (sent) => {
          if (!is(sent, 'connect') || sent.clientId.length <= 23) return undefined
          toClient({ cmd: 'connack', returnCode: 2, sessionPresent: false })
          return 'close'
        },
      })),
      mutants: [
        answers('leaves the connection open', 'connect', (sent) =>
          sent.clientId.length > 23 ? { cmd: 'connack', returnCode: 2, sessionPresent: false } : undefined,
        ),
        edits('closes on an identifier that it does not want', () => () => ({
          toBroker: (sent) => (is(sent, 'connect') && sent.clientId.length > 23 ? 'close' : undefined),
        })),
        answers('refuses it with another code', 'connect', (sent) =>
          sent.clientId.length > 23 ? { cmd: 'connack', returnCode: 5, sessionPresent: false } : undefined,
        ),
      ],
    },
    refuses({ id: 'MQTT-3.1.3-10', says: 'A will topic that is no UTF-8 is refused.', how: 'CONNECT with an ill-formed will topic.' }, (trial) => [
      rawConnect(trial, { flags: 4, payload: [string(SURROGATE), string('m')] }),
      rawConnect(trial, { flags: 4, payload: [string('a\0b'), string('m')] }),
    ]),
    refuses({ id: 'MQTT-3.1.3-11', says: 'A user name that is no UTF-8 is refused.', how: 'CONNECT with an ill-formed user name.' }, (trial) => [
      rawConnect(trial, { flags: 0xc0, payload: [string(SURROGATE), string('secret')] }),
    ]),
    {
      id: 'MQTT-3.1.4-1',
      level: 'must',
      says: 'A CONNECT that does not conform to 3.1 ends the connection, and no CONNACK is sent.',
      how: 'Six CONNECTs with wrong flags, missing, cut or ill-formed identifiers.',
      async run(trial) {
        const one = async (bytes: Buffer): Promise<void> => {
          const wire = await MqttWire.open(trial, 4)
          wire.send(bytes)
          const [first] = await wire.closed(`after the malformed CONNECT ${bytes.toString('hex')}`)
          if (first !== undefined)
            mustBe(false, `${first.cmd.toUpperCase()} ${first.raw.toString('hex')} answers the malformed CONNECT ${bytes.toString('hex')}`)
        }
        await together(malformed(trial), one)
      },
      mutants: [
        neverCloses,
        acceptsAnyConnect,
        mutant('refuses it by a CONNACK', ({ toClient }) => ({
          toBroker: () => {
            toClient(Buffer.from([0x20, 2, 0, 2]))
            return undefined
          },
        })),
      ],
    },
    {
      id: 'MQTT-3.1.4-2',
      level: 'must',
      says: 'A client that connects with the identifier of one that is connected replaces it: the older connection is closed.',
      how: 'Two connections with one identifier, with and without CleanSession.',
      async run(trial) {
        const first = await connected(trial, 'same')
        const { wire: second } = await durable(trial, 'same')
        await first.closed('after a second client with its identifier')
        const third = await connected(trial, 'same')
        await second.closed('after a third client with its identifier')
        await third.ping()
      },
      mutants: [
        neverCloses,
        edits('lets the older one live', () => {
          let count = 0
          return () => ({ toBroker: (sent) => (is(sent, 'connect') ? { ...sent, clientId: `${sent.clientId}${count++}` } : undefined) })
        }),
      ],
    },
    {
      id: 'MQTT-3.1.4-3',
      level: 'must',
      says: 'A CONNECT that is accepted has CleanSession processed, also where it replaces a connection.',
      how: 'A connected session is replaced by one with CleanSession 0, which has its subscription, then by one with 1, which has not.',
      async run(trial) {
        const { wire } = await durable(trial, 'same')
        await subscribe(wire, trial.name('t'), 1)
        const from = await connected(trial, 'sender')
        const { wire: resumed } = await durable(trial, 'same')
        await publish(from, trial.name('t'), 'resumed', { qos: 1 })
        mustEqual(text(await take(resumed)), 'resumed', 'the message to the resumed session')
        const { wire: clean, sessionPresent } = await connectedWith(trial, 'same')
        mustEqual(sessionPresent, false, 'Session Present with CleanSession 1')
        await subscribe(clean, trial.name('end'), 1)
        await publish(from, trial.name('t'), 'stale', { qos: 1 })
        await publish(from, trial.name('end'), 'end', { qos: 1 })
        mustEqual((await takeUntil(clean, 'end')).length, 0, 'the number of messages by a subscription of a session that was discarded')
      },
      mutants: [alwaysClean, neverClean],
    },
    {
      id: 'MQTT-3.1.4-4',
      level: 'must',
      says: 'A valid CONNECT is acknowledged by CONNACK with return code 0.',
      how: 'CONNECT with and without CleanSession, with a will and with keep-alive 0.',
      async run(trial) {
        await connected(trial)
        await durable(trial, 'keeper')
        await connected(trial, 'will', { will: { topic: trial.name('t'), payload: Buffer.alloc(0), qos: 2, retain: false } })
        await connected(trial, 'quiet', { keepalive: 0 })
      },
      mutants: [never('connack'), changes('refuses', 'connack', (answer) => ({ ...answer, returnCode: 3 }))],
    },
    {
      id: 'MQTT-3.1.4-5',
      level: 'must',
      says: 'What a client sends behind a CONNECT that is refused is not processed.',
      how: 'A CONNECT that must be refused, with a PUBLISH in the same segment: nobody sees the message.',
      async run(trial) {
        const watch = await connected(trial, 'watch')
        await subscribe(watch, trial.name('t'), 1)
        const wire = await empty(trial, false)
        wire.send(publishPacket(trial.name('t'), 'smuggled', { qos: 1 }))
        const answer = await wire.inbox.next('CONNACK, or the end of the connection,')
        if (answer?.cmd === 'connack' && answer.returnCode === 0) skip(ACCEPTED)
        await wire.closed('after a CONNECT with an empty identifier and CleanSession 0')
        await publish(watch, trial.name('t'), 'end', { qos: 1 })
        mustEqual((await takeUntil(watch, 'end')).length, 0, 'the number of messages behind a refused CONNECT that were delivered')
      },
      mutants: [
        edits('processes what stands behind a CONNECT that it refuses', () => () => {
          let refused = false
          return {
            toBroker: (sent) => {
              if (!is(sent, 'connect') || sent.clientId !== '') return undefined
              refused = true
              return { ...sent, clientId: 'nobody', clean: true }
            },
            toClient: (answer) => {
              if (!refused) return undefined
              return is(answer, 'connack') ? { ...answer, returnCode: 2 } : 'close'
            },
          }
        }),
      ],
    },
    {
      id: 'MQTT311 3.1.4-a',
      level: 'should',
      says: 'Who sends no CONNECT within a reasonable time is disconnected.',
      unchecked: 'The specification gives no time, and what brokers take for reasonable is more than a check can wait.',
    },
  ],
}
