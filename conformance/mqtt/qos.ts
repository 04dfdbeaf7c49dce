// 4.3 of MQTT 3.1.1 and of MQTT 5.0: what both suites show of QoS 1 and 2 in the same way, and brokers that break it.
import type { Check } from '../check.ts'
import type { Mutant } from '../mutant.ts'
import { mustEqual } from '../outcome.ts'
import { nextId, publish, subscribe, take, text } from './acts.ts'
import type { Connect } from './closes.ts'
import { answers, changes, edits, is } from './mutants.ts'

export const setsDup = changes('sets DUP at once', 'publish', (_, raw) => Buffer.concat([Buffer.of((raw[0] ?? 0) | 8), raw.subarray(1)]))

export const oneIdentifier = changes('gives every message the same identifier', 'publish', (message) =>
  message.qos === 0 ? undefined : { ...message, messageId: 9 },
)

/** What is only sent again is kept from the client. */
export const dropsAgain = changes('does not send again', 'publish', (message) => (message.dup ? 'drop' : undefined))

export const takesNoNoticeOf = (cmd: 'puback' | 'pubcomp'): Mutant =>
  edits(`takes no notice of ${cmd.toUpperCase()}`, () => () => ({ toBroker: (sent) => (is(sent, cmd) ? 'drop' : undefined) }))

export const forgetsPubrel = edits('forgets PUBREL with the connection', () => {
  let count = 0
  return () => ({ toClient: (sent) => (is(sent, 'pubrel') && count++ > 0 ? 'drop' : undefined) })
})

/** After PUBCOMP. What comes again with DUP is none of this one's. */
export const takesNewForOld = edits('takes a new message for one that it has had', () => ({ toClient }) => {
  const had = new Set<number>()
  return {
    toBroker: (sent) => {
      if (!is(sent, 'publish') || sent.dup) return undefined
      const { messageId = 0 } = sent
      if (!had.has(messageId)) {
        had.add(messageId)
        return undefined
      }
      toClient({ cmd: 'pubrec', messageId, reasonCode: 0 })
      return 'drop'
    },
  }
})

/** Of QoS 1. */
export const newAfterPuback = (connect: Connect, told: Pick<Check, 'id' | 'says'>, mutants: readonly Mutant[] = []): Check => ({
  ...told,
  level: 'must',
  how: 'Two messages with one identifier, the second with DUP, after PUBACK of the first: both are delivered.',
  async run(trial) {
    const wire = await connect(trial)
    await subscribe(wire, trial.name('t'), 1)
    const messageId = nextId()
    for (const [payload, dup] of [
      ['first', false],
      ['second', true],
    ] as const) {
      await publish(wire, trial.name('t'), payload, { qos: 1, messageId, dup })
      mustEqual(text(await take(wire)), payload, 'the message')
    }
  },
  mutants: [
    answers('takes DUP for the same message', 'publish', ({ dup, messageId = 0 }) => (dup ? { cmd: 'puback', messageId, reasonCode: 0 } : undefined)),
    ...mutants,
  ],
})
