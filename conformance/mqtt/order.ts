// 4.5 and 4.6 of MQTT 3.1.1 and of MQTT 5.0: who gets a message, and in which order. Both say the same, under other numbers.
import type { Check } from '../check.ts'
import type { MqttWire } from '../clients/mqtt-wire.ts'
import type { Mutant } from '../mutant.ts'
import { mustEqual } from '../outcome.ts'
import type { Trial } from '../trial.ts'
import { leave, publish, publishAll, publishPacket, subscribe, take, text } from './acts.ts'
import type { Connect } from './closes.ts'
import { edits, is } from './mutants.ts'

export type Clients = Readonly<{
  connect: Connect
  /** A session that is there already, or begins, and outlives its connection. */
  keep: (trial: Trial, word: string) => Promise<Readonly<{ wire: MqttWire }>>
}>

type Told = Pick<Check, 'id' | 'says'>

/** Each message that `which` names changes places with the next one. */
export const swaps = (says: string, which: (message: Readonly<{ dup: boolean; topic: string }>) => boolean = () => true): Mutant =>
  edits(says, () => () => {
    let kept: Buffer | undefined
    return {
      toClient: (message, raw) => {
        if (!is(message, 'publish') || !which(message)) return undefined
        const first = kept
        kept = first === undefined ? Buffer.from(raw) : undefined
        return first === undefined ? 'drop' : [raw, first]
      },
    }
  })

/** What the next messages say, so many, each acknowledged. */
export async function payloads(wire: MqttWire, count: number): Promise<string> {
  const seen: string[] = []
  while (seen.length < count) seen.push(text(await take(wire)))
  return seen.join()
}

export const toEverySession = ({ connect, keep }: Clients, mutants: readonly Mutant[] = []): Check => ({
  id: 'MQTT-4.5.0-1',
  level: 'must',
  says: 'A message that a server takes goes to every session whose subscriptions match it, connected or not.',
  how: 'Three clients subscribe, by name and by wildcards; one is away. A message of QoS 1 reaches all.',
  async run(trial) {
    const name = trial.name('t')
    const { wire: away } = await keep(trial, 'away')
    await subscribe(away, `${name}/#`, 1)
    await leave(away)
    const [one, two] = [await connect(trial, 'one'), await connect(trial, 'two')]
    await subscribe(one, `${name}/a`, 1)
    await subscribe(two, `${name}/+`, 1)
    await publish(await connect(trial, 'sender'), `${name}/a`, 'x', { qos: 1 })
    const { wire: back } = await keep(trial, 'away')
    for (const wire of [one, two, back]) mustEqual(text(await take(wire)), 'x', 'the message')
  },
  mutants: [
    edits('delivers to the first session only', () => {
      let count = 0
      return () => ({ toClient: (message) => (is(message, 'publish') && count++ > 0 ? 'drop' : undefined) })
    }),
    ...mutants,
  ],
})

export const qosInOrder = ({ connect, keep }: Clients, id: string): Check => ({
  id,
  level: 'must',
  says: 'Messages of one client to one topic with one QoS are delivered in the order in which they came.',
  how: 'Twenty messages of each QoS, as fast as the broker lets its clients; also to a session that was away.',
  async run(trial) {
    const topic = trial.name('t')
    const twenty = Array.from({ length: 20 }, (_, index) => `${index}`)
    const wire = await connect(trial)
    await subscribe(wire, topic, 2)
    const { wire: away } = await keep(trial, 'away')
    await subscribe(away, topic, 2)
    await leave(away)
    for (const qos of [0, 1, 2] as const) {
      const sender = await connect(trial, `sender${qos}`)
      await publishAll(
        sender,
        twenty.map((payload) => publishPacket(topic, payload, { qos })),
      )
      mustEqual(await payloads(wire, 20), twenty.join(), `the order of messages of QoS ${qos}`)
    }
    const { wire: back } = await keep(trial, 'away')
    const stored: string[][] = [[], [], []]
    while (stored[1]?.length !== 20 || stored[2]?.length !== 20) {
      const message = await take(back)
      stored[message.qos]?.push(text(message))
    }
    for (const qos of [1, 2]) mustEqual(stored[qos]?.join() ?? '', twenty.join(), `the order of stored messages of QoS ${qos}`)
  },
  mutants: [swaps('delivers in another order')],
})

export const topicsInOrder = ({ connect }: Clients, told: Told): Check => ({
  ...told,
  level: 'must',
  how: 'Messages of one client to two topics in turn, by a wildcard subscription: each topic comes in its order.',
  async run(trial) {
    const name = trial.name('t')
    const wire = await connect(trial)
    await subscribe(wire, `${name}/+`, 1)
    const twelve = Array.from({ length: 12 }, (_, index) => publishPacket(`${name}/${index % 2}`, `${index}`, { qos: 1 }))
    await publishAll(await connect(trial, 'sender'), twelve)
    const seen: [string[], string[]] = [[], []]
    for (let count = 0; count < 12; count++) {
      const message = await take(wire)
      seen[message.topic.endsWith('1') ? 1 : 0].push(text(message))
    }
    mustEqual(seen.map((one) => one.join()).join(' '), '0,2,4,6,8,10 1,3,5,7,9,11', 'the order of two topics')
  },
  mutants: [swaps('delivers one topic in another order', ({ topic }) => topic.endsWith('1'))],
})
