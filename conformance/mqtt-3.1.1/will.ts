// MQTT 3.1.1, 3.1.2.5 to 3.1.2.10: the will, the login's flags, keep-alive.
import type { Chapter, Check } from '../check.ts'
import type { MqttWire, Received } from '../clients/mqtt-wire.ts'
import { leave, publish, subscribe, take, takeUntil, text } from '../mqtt/acts.ts'
import { string } from '../mqtt/bytes.ts'
import { edits, is, sees } from '../mqtt/mutants.ts'
import type { Mutant } from '../mutant.ts'
import { neverCloses } from '../mutant.ts'
import { mustEqual } from '../outcome.ts'
import type { Trial } from '../trial.ts'
import { refuses } from './closes.ts'
import { clientId, connected, durable, rawConnect, willRetain } from './session.ts'

type Will = Readonly<{ topic: string; payload: string; qos?: 0 | 1 | 2; retain?: boolean }>

const WILL_FLAG = 0x04
const WILL_RETAIN = 0x20
const USER_NAME = 0x80
const PASSWORD = 0x40

const forgetsWills: Mutant = sees('has no wills', 'connect', ({ will: _will, ...sent }) => sent)

/** What it was once told to say it says whenever that client goes. */
const keepsWills: Mutant = edits('keeps a will beyond its connection', () => {
  let kept: Will | undefined
  return () => ({
    toBroker: (sent) => {
      if (!is(sent, 'connect')) return undefined
      if (sent.will !== undefined) kept = { ...sent.will, payload: sent.will.payload.toString() }
      return kept === undefined || sent.clean === true ? undefined : { ...sent, will: { qos: 0, retain: false, ...kept } }
    },
  })
})

/** A client that watches a topic, and what it saw of it until now: shown by a message of ours behind it. */
async function watch(
  trial: Trial,
  topic: string,
): Promise<Readonly<{ wire: MqttWire; granted: number; seen: () => Promise<readonly Received<'publish'>[]> }>> {
  const wire = await connected(trial, 'watch')
  const { granted } = await subscribe(wire, topic, 2)
  const from = await connected(trial, 'sender')
  return {
    wire,
    granted: Number(granted[0]),
    async seen() {
      await publish(from, topic, 'end', { qos: 1 })
      return await takeUntil(wire, 'end')
    },
  }
}

/** Of `count` wills none more, none less, once the client that left has come again. */
async function goneAndBack(trial: Trial, wire: MqttWire, word: string): Promise<MqttWire> {
  wire.destroy()
  return (await durable(trial, word)).wire
}

const mentions = (id: string, flags: number, says: string, how: string, payload: readonly Buffer[]): Check =>
  refuses({ id, says, how }, (trial) => [rawConnect(trial, { flags, payload: [string(clientId(trial)), ...payload] }, true)])

export const will: Chapter = {
  title: '3.1.2 CONNECT: will, login and keep-alive',
  clauses: [
    {
      id: 'MQTT-3.1.2-8',
      level: 'must',
      says: 'The will of a client is published when its connection ends without DISCONNECT.',
      how: 'A client with a will drops its connection.',
      async run(trial) {
        const { wire } = await watch(trial, trial.name('t'))
        const dropped = await connected(trial, 'dropped', { will: { topic: trial.name('t'), payload: Buffer.from('dropped'), qos: 1 } })
        dropped.destroy()
        mustEqual(text(await take(wire)), 'dropped', 'the will')
      },
      mutants: [forgetsWills],
    },
    {
      id: 'MQTT-3.1.2-9',
      level: 'must',
      says: 'With the Will Flag the topic and message of the will are in the payload, and its QoS is used; without them the CONNECT is no CONNECT.',
      how: 'A will of each QoS is seen with that QoS; CONNECT with the flag, but without topic or message, is refused.',
      async run(trial) {
        const { wire, granted } = await watch(trial, trial.name('t'))
        for (const qos of [0, 1, 2] as const) {
          const dropped = await connected(trial, `dropped${qos}`, { will: { topic: trial.name('t'), payload: Buffer.from(`of ${qos}`), qos } })
          dropped.destroy()
          const seen = await take(wire)
          mustEqual(`${text(seen)} by ${seen.qos}`, `of ${qos} by ${Math.min(qos, granted)}`, 'the will')
        }
        await refusal.run(trial)
      },
      mutants: [
        neverCloses,
        sees('publishes every will with QoS 0', 'connect', (sent) =>
          sent.will === undefined ? undefined : { ...sent, will: { ...sent.will, qos: 0 } },
        ),
      ],
    },
    {
      id: 'MQTT-3.1.2-10',
      level: 'must',
      says: 'A will is gone once it was published, or its client sent DISCONNECT.',
      how: 'A session with a will is dropped, resumed without one, dropped again; another leaves, is resumed and dropped.',
      async run(trial) {
        const { wire, seen } = await watch(trial, trial.name('t'))
        const first = await durable(trial, 'first', { will: { topic: trial.name('t'), payload: Buffer.from('once'), qos: 1 } })
        first.wire.destroy()
        mustEqual(text(await take(wire)), 'once', 'the will')
        await goneAndBack(trial, await goneAndBack(trial, first.wire, 'first'), 'first')
        const second = await durable(trial, 'second', { will: { topic: trial.name('t'), payload: Buffer.from('never'), qos: 1 } })
        await leave(second.wire)
        await goneAndBack(trial, (await durable(trial, 'second')).wire, 'second')
        const more = await seen()
        mustEqual(more.length, 0, `the number of wills that were published beside the one (${more.map(text).join()})`)
      },
      mutants: [keepsWills],
    },
    mentions(
      'MQTT-3.1.2-11',
      0,
      'Without the Will Flag there is no will in the payload: such a CONNECT is refused.',
      'CONNECT without the flag and with topic and message behind the client identifier.',
      [string('some/topic'), string('some message')],
    ),
    {
      id: 'MQTT-3.1.2-12',
      level: 'must',
      says: 'Without the Will Flag nothing is published when the connection ends.',
      how: 'A session that had a will and sent DISCONNECT is resumed without one and dropped.',
      async run(trial) {
        const { seen } = await watch(trial, trial.name('t'))
        const { wire } = await durable(trial, 'keeper', { will: { topic: trial.name('t'), payload: Buffer.from('old'), qos: 1 } })
        await leave(wire)
        await goneAndBack(trial, (await durable(trial, 'keeper')).wire, 'keeper')
        const more = await seen()
        mustEqual(more.length, 0, `the number of wills of a connection without one (${more.map(text).join()})`)
      },
      mutants: [keepsWills],
    },
    mentions(
      'MQTT-3.1.2-13',
      0x08,
      'Without the Will Flag the Will QoS is 0: other flags are refused.',
      'CONNECT with Will QoS 1 and no Will Flag.',
      [],
    ),
    mentions('MQTT-3.1.2-14', WILL_FLAG | 0x18, 'A Will QoS of 3 is refused.', 'CONNECT with a will of QoS 3.', [
      string('some/topic'),
      string('some message'),
    ]),
    mentions(
      'MQTT-3.1.2-15',
      WILL_RETAIN,
      'Without the Will Flag Will Retain is 0: other flags are refused.',
      'CONNECT with Will Retain and no Will Flag.',
      [],
    ),
    {
      id: 'MQTT-3.1.2-16',
      level: 'must',
      says: 'With Will Retain 0 the will is published as a message that is not retained.',
      how: 'Such a will is seen without RETAIN, and not by those who subscribe later.',
      async run(trial) {
        const { wire } = await watch(trial, trial.name('t'))
        const dropped = await connected(trial, 'dropped', { will: { topic: trial.name('t'), payload: Buffer.from('will'), qos: 1, retain: false } })
        willRetain(trial, trial.name('t'))
        dropped.destroy()
        mustEqual((await take(wire)).retain, false, 'RETAIN of the will')
        const late = await connected(trial, 'late')
        await subscribe(late, trial.name('t'), 1)
        await publish(late, trial.name('t'), 'end', { qos: 1 })
        mustEqual((await takeUntil(late, 'end')).length, 0, 'the number of wills that were retained')
      },
      mutants: [
        sees('retains every will', 'connect', (sent) => (sent.will === undefined ? undefined : { ...sent, will: { ...sent.will, retain: true } })),
      ],
    },
    {
      id: 'MQTT-3.1.2-17',
      level: 'must',
      says: 'With Will Retain 1 the will is published as a retained message.',
      how: 'Such a will is seen by a client that subscribes after it.',
      async run(trial) {
        const { wire } = await watch(trial, trial.name('t'))
        const dropped = await connected(trial, 'dropped', { will: { topic: trial.name('t'), payload: Buffer.from('will'), qos: 1, retain: true } })
        willRetain(trial, trial.name('t'))
        dropped.destroy()
        await take(wire)
        const late = await connected(trial, 'late')
        await subscribe(late, trial.name('t'), 1)
        const seen = await take(late)
        mustEqual(text(seen), 'will', 'the retained message')
        mustEqual(seen.retain, true, 'RETAIN of a retained will')
      },
      mutants: [
        sees('retains no will', 'connect', (sent) => (sent.will === undefined ? undefined : { ...sent, will: { ...sent.will, retain: false } })),
      ],
    },
    mentions(
      'MQTT-3.1.2-18',
      0,
      'Without the User Name Flag there is no user name in the payload: such a CONNECT is refused.',
      'CONNECT without the flag and with a string behind the client identifier.',
      [string('somebody')],
    ),
    mentions(
      'MQTT-3.1.2-19',
      USER_NAME,
      'With the User Name Flag there is a user name: a CONNECT without is refused.',
      'CONNECT with the flag that ends behind the client identifier.',
      [],
    ),
    mentions(
      'MQTT-3.1.2-20',
      USER_NAME,
      'Without the Password Flag there is no password in the payload: such a CONNECT is refused.',
      'CONNECT with a user name and one string more.',
      [string('somebody'), string('secret')],
    ),
    mentions(
      'MQTT-3.1.2-21',
      USER_NAME | PASSWORD,
      'With the Password Flag there is a password: a CONNECT without is refused.',
      'CONNECT with both flags that ends behind the user name.',
      [string('somebody')],
    ),
    mentions(
      'MQTT-3.1.2-22',
      PASSWORD,
      'Without the User Name Flag the Password Flag is 0: other flags are refused.',
      'CONNECT with a password and no user name.',
      [string('secret')],
    ),
    {
      id: 'MQTT-3.1.2-24',
      level: 'must',
      says: 'A client that is silent for one and a half times its keep-alive is disconnected as if the network had failed.',
      how: 'A client with a will and a keep-alive of two seconds says nothing: its connection ends within 3 s and five times the patience of this run.',
      async run(trial) {
        const { wire } = await watch(trial, trial.name('t'))
        const silent = await connected(trial, 'silent', { keepalive: 2, will: { topic: trial.name('t'), payload: Buffer.from('silent'), qos: 1 } })
        // The specification has no word on how long it may take to notice: a server that looks every few seconds is right too.
        const came = await silent.closed('a client with a keep-alive of two seconds said nothing', 3000 + 5 * trial.patienceMs)
        mustEqual(came.length, 0, 'the number of packets to a silent client')
        mustEqual(text(await take(wire)), 'silent', 'the will')
      },
      mutants: [
        sees('has no keep-alive', 'connect', (sent) => ({ ...sent, keepalive: 0 })),
        sees('is too patient', 'connect', (sent) => ({ ...sent, keepalive: 20 * (sent.keepalive ?? 0) })),
      ],
    },
  ],
}

const refusal = refuses({ id: '', says: '', how: '' }, (trial) => [
  rawConnect(trial, { flags: WILL_FLAG, payload: [string(clientId(trial))] }, true),
  rawConnect(trial, { flags: WILL_FLAG, payload: [string(clientId(trial)), string('some/topic')] }, true),
])
