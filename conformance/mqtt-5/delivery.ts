// MQTT 5.0, 4.3: the three qualities of service.
import type { Chapter, Check } from '../check.ts'
import type { MqttWire } from '../clients/mqtt-wire.ts'
import { held, leave, nextId, publish, publishPacket, received, release, subscribe, take, takeUntil, taken, text } from '../mqtt/acts.ts'
import { answers, changes, edits, is, never, sees } from '../mqtt/mutants.ts'
import { dropsAgain, forgetsPubrel, newAfterPuback, oneIdentifier, setsDup, takesNewForOld, takesNoNoticeOf } from '../mqtt/qos.ts'
import { mustBe, mustEqual, skip } from '../outcome.ts'
import type { Trial } from '../trial.ts'
import { client, keeper } from './clients.ts'
import { pause } from './session.ts'

type Told = Pick<Check, 'id' | 'says' | 'how'>

/** Six messages that are not acknowledged have six identifiers. */
function unused(told: Told, qos: 1 | 2): Check {
  return {
    ...told,
    level: 'must',
    async run(trial) {
      const wire = await client(trial)
      await subscribe(wire, trial.name('t'), qos)
      const sender = await client(trial, 'sender')
      for (let count = 0; count < 6; count++) await publish(sender, trial.name('t'), `${count}`, { qos })
      const seen = new Set((await held(wire, 6)).map(({ messageId }) => messageId))
      mustEqual(seen.size, 6, 'the number of Packet Identifiers of six messages under way')
    },
    mutants: [oneIdentifier],
  }
}

/** The first PUBLISH of a message of this QoS. */
function first(told: Told, qos: 0 | 1 | 2): Check {
  return {
    ...told,
    level: 'must',
    async run(trial) {
      const wire = await client(trial)
      const { granted } = await subscribe(wire, trial.name('t'), 2)
      if (Number(granted[0]) < qos) skip(`QoS ${Number(granted[0])} is granted at most`)
      await publish(await client(trial, 'sender'), trial.name('t'), 'x', { qos })
      const message = await take(wire)
      mustEqual(message.qos, qos, 'the QoS')
      mustEqual(message.dup, false, 'DUP of a first delivery')
    },
    mutants: [
      setsDup,
      changes('delivers with another QoS', 'publish', (message) => publishPacket(message.topic, message.payload, { qos: qos === 1 ? 0 : 1 })),
    ],
  }
}

/** A message of QoS 2 that was received up to PUBREL. */
async function released(trial: Trial): Promise<Readonly<{ wire: MqttWire; sender: MqttWire; messageId: number }>> {
  const { wire } = await keeper(trial, 'keeper')
  await subscribe(wire, trial.name('t'), 2)
  const sender = await client(trial, 'sender')
  await publish(sender, trial.name('t'), 'x', { qos: 2 })
  const { messageId = 0 } = await wire.next('publish')
  wire.send({ cmd: 'pubrec', messageId, reasonCode: 0 })
  mustEqual((await wire.next('pubrel')).messageId, messageId, 'the Packet Identifier of PUBREL')
  return { wire, sender, messageId }
}

export const delivery: Chapter = {
  title: '4.3: the protocols of QoS 0, 1 and 2',
  clauses: [
    first(
      {
        id: 'MQTT-4.3.1-1',
        says: 'QoS 0: the sender sends PUBLISH with QoS 0 and DUP 0.',
        how: 'A message of QoS 0 is received by a subscription of QoS 2.',
      },
      0,
    ),
    unused(
      {
        id: 'MQTT-4.3.2-1',
        says: 'QoS 1: the sender gives each new message an identifier that is free.',
        how: 'Six messages of QoS 1, none of them acknowledged.',
      },
      1,
    ),
    first(
      {
        id: 'MQTT-4.3.2-2',
        says: 'QoS 1: the sender sends PUBLISH with QoS 1 and DUP 0.',
        how: 'A message of QoS 1 is received by a subscription of QoS 2.',
      },
      1,
    ),
    {
      id: 'MQTT-4.3.2-3',
      level: 'must',
      says: 'QoS 1: the sender holds PUBLISH unacknowledged until PUBACK.',
      how: 'Two messages; one is acknowledged, the session left and resumed: only the other comes again.',
      async run(trial) {
        const { wire } = await keeper(trial, 'keeper')
        await subscribe(wire, trial.name('t'), 1)
        const sender = await client(trial, 'sender')
        for (const payload of ['acknowledged', 'not']) await publish(sender, trial.name('t'), payload, { qos: 1 })
        const [first] = await held(wire, 2)
        wire.send({ cmd: 'puback', messageId: first?.messageId ?? 0, reasonCode: 0 })
        await wire.ping()
        await leave(wire)
        const { wire: again } = await keeper(trial, 'keeper')
        await publish(sender, trial.name('t'), 'end', { qos: 1 })
        mustEqual((await takeUntil(again, 'end')).map(text).join(), 'not', 'what comes again')
      },
      mutants: [takesNoNoticeOf('puback'), dropsAgain],
    },
    {
      id: 'MQTT-4.3.2-4',
      level: 'must',
      says: 'QoS 1: the receiver answers PUBACK with the identifier once it has taken the message.',
      how: 'Messages with several identifiers; each that is acknowledged is delivered.',
      async run(trial) {
        const wire = await client(trial)
        await subscribe(wire, trial.name('t'), 1)
        for (const messageId of [1, 256, 65535]) {
          await publish(wire, trial.name('t'), `${messageId}`, { qos: 1, messageId })
          mustEqual(text(await take(wire)), `${messageId}`, 'the message')
        }
      },
      mutants: [
        never('puback'),
        changes('answers with another identifier', 'puback', (answer) => ({ ...answer, messageId: 7 })),
        answers('acknowledges what it has not taken', 'publish', ({ messageId = 0 }) => ({ cmd: 'puback', messageId, reasonCode: 0 })),
      ],
    },
    newAfterPuback(client, {
      id: 'MQTT-4.3.2-5',
      says: 'QoS 1: after PUBACK the same identifier is a new message, whatever its DUP.',
    }),
    unused(
      {
        id: 'MQTT-4.3.3-1',
        says: 'QoS 2: the sender gives each new message an identifier that is free.',
        how: 'Six messages of QoS 2, none of them acknowledged.',
      },
      2,
    ),
    first(
      {
        id: 'MQTT-4.3.3-2',
        says: 'QoS 2: the sender sends PUBLISH with QoS 2 and DUP 0.',
        how: 'A message of QoS 2 is received by a subscription of QoS 2.',
      },
      2,
    ),
    {
      id: 'MQTT-4.3.3-3',
      level: 'must',
      says: 'QoS 2: the sender holds PUBLISH unacknowledged until PUBREC.',
      how: 'A message is received and not answered, the session dropped and resumed: it comes again.',
      async run(trial) {
        const { wire } = await keeper(trial, 'keeper')
        await subscribe(wire, trial.name('t'), 2)
        await publish(await client(trial, 'sender'), trial.name('t'), 'x', { qos: 2 })
        await wire.next('publish')
        wire.destroy()
        const { wire: again } = await keeper(trial, 'keeper')
        const message = await take(again)
        mustEqual(`${text(message)} by ${message.qos}`, 'x by 2', 'the message that comes again')
      },
      mutants: [dropsAgain],
    },
    {
      id: 'MQTT-4.3.3-4',
      level: 'must',
      says: 'QoS 2: the sender answers PUBREC below 0x80 by PUBREL with the same identifier.',
      how: 'Messages are answered by PUBREC with 0x00 and with 0x10.',
      async run(trial) {
        const wire = await client(trial)
        await subscribe(wire, trial.name('t'), 2)
        const sender = await client(trial, 'sender')
        for (const reasonCode of [0, 0x10]) {
          await publish(sender, trial.name('t'), 'x', { qos: 2 })
          const { messageId = 0 } = await wire.next('publish')
          wire.send({ cmd: 'pubrec', messageId, reasonCode })
          const pubrel = await wire.next('pubrel')
          mustEqual(pubrel.messageId, messageId, 'the Packet Identifier of PUBREL')
          mustEqual(pubrel.reasonCode, 0, 'the reason code of PUBREL')
          wire.send({ cmd: 'pubcomp', messageId, reasonCode: 0 })
        }
      },
      mutants: [
        never('pubrel'),
        changes('sends PUBREL with another identifier', 'pubrel', (answer) => ({ ...answer, messageId: 7777 })),
        changes('does not know what it has sent', 'pubrel', (answer) => ({ ...answer, reasonCode: 0x92 })),
      ],
    },
    {
      id: 'MQTT-4.3.3-5',
      level: 'must',
      says: 'QoS 2: the sender holds PUBREL unacknowledged until PUBCOMP.',
      how: 'A session is dropped after PUBREL and resumed: it comes again; after PUBCOMP it does not.',
      async run(trial) {
        const { wire, messageId } = await released(trial)
        wire.destroy()
        const { wire: again } = await keeper(trial, 'keeper')
        mustEqual((await again.next('pubrel')).messageId, messageId, 'the Packet Identifier of PUBREL that comes again')
        again.send({ cmd: 'pubcomp', messageId, reasonCode: 0 })
        await again.ping()
        await leave(again)
        const { wire: last } = await keeper(trial, 'keeper')
        await last.ping()
        mustBe(!last.inbox.unread.some(({ cmd }) => cmd === 'pubrel'), 'PUBREL came again after PUBCOMP')
      },
      mutants: [forgetsPubrel, takesNoNoticeOf('pubcomp')],
    },
    {
      id: 'MQTT-4.3.3-6',
      level: 'must',
      says: 'QoS 2: the sender does not send PUBLISH again once it has sent PUBREL.',
      how: 'A session is dropped after PUBREL and resumed, and gets another message: the first does not come again.',
      async run(trial) {
        const { wire, sender, messageId } = await released(trial)
        wire.destroy()
        const { wire: again } = await keeper(trial, 'keeper')
        await again.next('pubrel')
        again.send({ cmd: 'pubcomp', messageId, reasonCode: 0 })
        await publish(sender, trial.name('t'), 'end', { qos: 2 })
        mustEqual((await takeUntil(again, 'end')).length, 0, 'the number of messages that come again after PUBREL')
      },
      mutants: [
        edits('sends PUBLISH again', () => {
          let kept: Buffer | undefined
          let rels = 0
          return () => ({
            toClient: (sent, raw) => {
              if (is(sent, 'publish')) kept ??= Buffer.from(raw)
              return is(sent, 'pubrel') && rels++ === 1 && kept !== undefined ? [kept, raw] : undefined
            },
          })
        }),
      ],
    },
    {
      id: 'MQTT-4.3.3-7',
      level: 'must',
      says: 'QoS 2: the sender does not apply message expiry once PUBLISH was sent.',
      how: 'A message that expires after a second is received; PUBREC follows when the second is over: PUBREL with success comes.',
      async run(trial) {
        const wire = await client(trial)
        await subscribe(wire, trial.name('t'), 2)
        await publish(await client(trial, 'sender'), trial.name('t'), 'x', { qos: 2, properties: { messageExpiryInterval: 1 } })
        const { messageId = 0 } = await wire.next('publish')
        await pause(1500)
        wire.send({ cmd: 'pubrec', messageId, reasonCode: 0 })
        mustEqual((await wire.next('pubrel')).reasonCode, 0, 'the reason code of PUBREL for a message that has expired meanwhile')
        wire.send({ cmd: 'pubcomp', messageId, reasonCode: 0 })
        await wire.ping()
      },
      mutants: [never('pubrel'), changes('does not know what has expired', 'pubrel', (answer) => ({ ...answer, reasonCode: 0x92 }))],
    },
    {
      id: 'MQTT-4.3.3-8',
      level: 'must',
      says: 'QoS 2: the receiver answers PUBREC with the identifier once it has taken the message.',
      how: 'Messages with several identifiers; each is answered, released and delivered.',
      async run(trial) {
        const wire = await client(trial)
        await subscribe(wire, trial.name('t'), 1)
        for (const messageId of [1, 256, 65535]) {
          wire.send(publishPacket(trial.name('t'), `${messageId}`, { qos: 2, messageId }))
          mustEqual((await wire.next('pubrec')).messageId, messageId, 'the Packet Identifier of PUBREC')
          await release(wire, messageId)
          mustEqual(text(await take(wire)), `${messageId}`, 'the message')
        }
      },
      mutants: [never('pubrec'), changes('answers with another identifier', 'pubrec', (answer) => ({ ...answer, messageId: 7 }))],
    },
    {
      id: 'MQTT-4.3.3-9',
      level: 'must',
      says: 'QoS 2: after PUBREC with 0x80 or above the identifier is that of a new message.',
      how: 'PUBLISH below $SYS, which brokers refuse; then one with the same identifier to an ordinary topic. Skipped where it is not refused.',
      async run(trial) {
        const wire = await client(trial)
        await subscribe(wire, trial.name('t'), 1)
        const messageId = nextId()
        wire.send(publishPacket(`$SYS/${trial.name('t')}`, 'no', { qos: 2, messageId }))
        const answer = await wire.inbox.next('an answer to PUBLISH below $SYS, or the end of the connection,')
        if (answer?.cmd !== 'pubrec' || (answer.reasonCode ?? 0) < 0x80)
          skip('this broker does not refuse PUBLISH below $SYS by PUBREC, and how it does refuse one, it does not say')
        await publish(wire, trial.name('t'), 'new', { qos: 2, messageId })
        mustEqual(text(await take(wire)), 'new', 'the message')
      },
      mutants: [
        edits('takes the new message for the one that it refused', () => ({ toClient }) => {
          const refused = new Set<number>()
          return {
            toClient: (answer) => {
              if (is(answer, 'pubrec') && (answer.reasonCode ?? 0) >= 0x80) refused.add(answer.messageId ?? 0)
              return undefined
            },
            toBroker: (sent) => {
              if (!is(sent, 'publish') || !refused.has(sent.messageId ?? 0)) return undefined
              toClient({ cmd: 'pubrec', messageId: sent.messageId ?? 0, reasonCode: 0 })
              return 'drop'
            },
          }
        }),
      ],
    },
    {
      id: 'MQTT-4.3.3-10',
      level: 'must',
      says: 'QoS 2: until PUBREL the receiver answers the same identifier by PUBREC, and nobody gets the message twice.',
      how: 'PUBLISH, the same with DUP, also after a lost connection; then PUBREL: it is delivered once.',
      async run(trial) {
        const watch = await client(trial, 'watch')
        await subscribe(watch, trial.name('t'), 1)
        const { wire } = await keeper(trial, 'keeper')
        const sent = publishPacket(trial.name('t'), 'once', { qos: 2 })
        wire.send(sent)
        await received(wire, sent.messageId ?? 0)
        wire.send({ ...sent, dup: true })
        await received(wire, sent.messageId ?? 0)
        wire.destroy()
        const { wire: again } = await keeper(trial, 'keeper')
        again.send({ ...sent, dup: true })
        await taken(again, sent)
        await publish(watch, trial.name('t'), 'end', { qos: 1 })
        mustEqual((await takeUntil(watch, 'end')).map(text).join(), 'once', 'what is delivered')
      },
      mutants: [
        sees('takes what comes again for a second message', 'publish', (sent) =>
          sent.dup ? [publishPacket(sent.topic, sent.payload), sent] : undefined,
        ),
        sees('does not answer what comes again', 'publish', (sent) => (sent.dup ? 'drop' : undefined)),
      ],
    },
    {
      id: 'MQTT-4.3.3-11',
      level: 'must',
      says: 'QoS 2: the receiver answers PUBREL by PUBCOMP with the same identifier.',
      how: 'Messages with several identifiers are released.',
      async run(trial) {
        const wire = await client(trial)
        for (const messageId of [1, 256, 65535]) await publish(wire, trial.name('t'), 'x', { qos: 2, messageId })
      },
      mutants: [never('pubcomp'), changes('answers with another identifier', 'pubcomp', (answer) => ({ ...answer, messageId: 7 }))],
    },
    {
      id: 'MQTT-4.3.3-12',
      level: 'must',
      says: 'QoS 2: after PUBCOMP the same identifier is a new message.',
      how: 'Two messages with one identifier, one after the other: both are delivered.',
      async run(trial) {
        const wire = await client(trial)
        await subscribe(wire, trial.name('t'), 1)
        const messageId = nextId()
        for (const payload of ['first', 'second']) {
          await publish(wire, trial.name('t'), payload, { qos: 2, messageId })
          mustEqual(text(await take(wire)), payload, 'the message')
        }
      },
      mutants: [takesNewForOld],
    },
    {
      id: 'MQTT-4.3.3-13',
      level: 'must',
      says: 'QoS 2: the receiver goes on with its answers also where the message has expired.',
      how: 'A message that expires after a second is answered by PUBREC; PUBREL follows when the second is over: PUBCOMP with success comes.',
      async run(trial) {
        const wire = await client(trial)
        const sent = publishPacket(trial.name('t'), 'x', { qos: 2, properties: { messageExpiryInterval: 1 } })
        wire.send(sent)
        await received(wire, sent.messageId ?? 0)
        await pause(1500)
        wire.send({ cmd: 'pubrel', messageId: sent.messageId ?? 0, reasonCode: 0 })
        mustEqual((await wire.next('pubcomp')).reasonCode, 0, 'the reason code of PUBCOMP for a message that has expired meanwhile')
      },
      mutants: [never('pubcomp'), changes('does not know what has expired', 'pubcomp', (answer) => ({ ...answer, reasonCode: 0x92 }))],
    },
  ],
}
