// MQTT 5.0, 4.1 and 4.2: sessions and transport.
import { generate } from 'mqtt-packet'
import type { Chapter } from '../check.ts'
import { MqttWire } from '../clients/mqtt-wire.ts'
import { leave, publish, publishPacket, subscribe, take, taken, text } from '../mqtt/acts.ts'
import { changes, edits, is, sees } from '../mqtt/mutants.ts'
import { fail, mustEqual } from '../outcome.ts'
import { client, keeper } from './clients.ts'
import { connectPacket, pause } from './session.ts'

export const sessions: Chapter = {
  title: '4.1 and 4.2: sessions and transport',
  clauses: [
    {
      id: 'MQTT-4.1.0-1',
      level: 'must',
      says: 'The state of a session is not discarded while its connection is open.',
      how: 'A client without session expiry keeps its subscription and what it has not acknowledged, whatever others come and go.',
      async run(trial) {
        const wire = await client(trial)
        await subscribe(wire, trial.name('t'), 1)
        for (let count = 0; count < 3; count++) {
          const other = await client(trial, 'other')
          await publish(other, trial.name('t'), `${count}`, { qos: 1 })
          await leave(other)
          await wire.ping()
        }
        for (let count = 0; count < 3; count++) mustEqual(text(await take(wire)), `${count}`, 'the message')
      },
      mutants: [
        edits('forgets the subscription', () => () => {
          let count = 0
          return { toClient: (message) => (is(message, 'publish') && count++ > 0 ? 'drop' : undefined) }
        }),
      ],
    },
    {
      id: 'MQTT-4.1.0-2',
      level: 'must',
      says: 'The state of a session is discarded when its expiry has passed since its connection was closed.',
      how: 'Sessions with an expiry of 0 and of 1 second are left; each is asked for after that time, and must be new, if need be some seconds later.',
      async run(trial) {
        const gone = async (word: string, sessionExpiryInterval: number): Promise<void> => {
          const look = async (): Promise<boolean> => {
            const { wire, connack } = await keeper(trial, word, { properties: { sessionExpiryInterval } })
            await leave(wire)
            return connack.sessionPresent
          }
          await look()
          // When a server looks for what has expired it does not say; each look of ours begins the interval anew, so there are two of them.
          for (const late of [trial.patienceMs / 2, 4 * trial.patienceMs]) {
            await pause(1000 * sessionExpiryInterval + late)
            if (!(await look())) return
          }
          fail(`Session Present is 1 more than ${4 * trial.patienceMs} ms after a session expiry of ${sessionExpiryInterval} s`)
        }
        await Promise.all([gone('none', 0), gone('second', 1)])
      },
      mutants: [
        sees('has sessions that never end', 'connect', (sent) => ({ ...sent, properties: { ...sent.properties, sessionExpiryInterval: 1000 } })),
      ],
    },
    {
      id: 'MQTT-4.2-1',
      level: 'must',
      says: 'There is a transport that carries an ordered stream of bytes without loss both ways.',
      how: 'Packets byte by byte, several in one segment, and a message of 100,000 bytes with all values.',
      async run(trial) {
        const wire = await MqttWire.open(trial, 5)
        for (const byte of generate(connectPacket(trial), { protocolVersion: 5 })) wire.send(Buffer.of(byte))
        mustEqual((await wire.next('connack')).reasonCode, 0, 'the reason code of CONNACK')
        await subscribe(wire, trial.name('t'), 1)
        const sent = [1, 2, 3].slice(0, wire.receiveMaximum).map((count) => publishPacket(trial.name('t'), `${count}`, { qos: 1 }))
        wire.send(Buffer.concat([...sent, { cmd: 'pingreq' } as const].map((one) => generate(one, { protocolVersion: 5 }))))
        for (const message of sent) await taken(wire, message)
        await wire.next('pingresp')
        for (const message of sent) mustEqual(text(await take(wire)), text(message), 'a message of one segment')
        const large = Buffer.from(Array.from({ length: 100_000 }, (_, index) => index % 251))
        await publish(wire, trial.name('t'), large, { qos: 1 })
        mustEqual(Buffer.compare(Buffer.from((await take(wire)).payload), large), 0, 'the difference between a large message and what arrived')
      },
      mutants: [
        changes('loses a byte', 'publish', (message) =>
          message.payload.length > 1000 ? { ...message, payload: message.payload.slice(1) } : undefined,
        ),
        changes('changes a byte', 'publish', (message) => ({ ...message, payload: text(message).replace('1', '2') })),
      ],
    },
  ],
}
