// MQTT 3.1.1, 3.2: CONNACK.
import type { Chapter } from '../check.ts'
import { MqttWire } from '../clients/mqtt-wire.ts'
import { leave, publish, subscribe } from '../mqtt/acts.ts'
import { changes, edits, is } from '../mqtt/mutants.ts'
import { neverCloses } from '../mutant.ts'
import { mustEqual, skip } from '../outcome.ts'
import { alwaysClean, connackOf } from './connect.ts'
import { ACCEPTED, clientId, connected, connectedWith, connectPacket, durable, nameless, rawConnect } from './session.ts'

const present = (session: boolean) =>
  changes(`always says Session Present ${Number(session)}`, 'connack', (answer) => ({ ...answer, sessionPresent: session }))

export const connack: Chapter = {
  title: '3.2 CONNACK',
  clauses: [
    {
      id: 'MQTT-3.2.0-1',
      level: 'must',
      says: 'The first packet from a server is CONNACK.',
      how: 'A session with messages waiting is resumed, and PINGREQ sent behind CONNECT: CONNACK comes first all the same.',
      async run(trial) {
        const { wire } = await durable(trial, 'keeper')
        await subscribe(wire, trial.name('t'), 1)
        await leave(wire)
        await publish(await connected(trial, 'sender'), trial.name('t'), 'waiting', { qos: 1 })
        const again = await MqttWire.open(trial, 4)
        again.send(connectPacket(trial, { clientId: clientId(trial, 'keeper'), clean: false }))
        again.send({ cmd: 'pingreq' })
        await connackOf(again)
        await again.next('publish')
      },
      mutants: [
        edits('delivers before CONNACK', () => () => {
          let kept: Buffer | undefined
          return {
            toClient: (answer, raw) => {
              if (is(answer, 'connack') && answer.sessionPresent) {
                kept = Buffer.from(raw)
                return 'drop'
              }
              const first = kept
              kept = undefined
              return first === undefined ? undefined : [raw, first]
            },
          }
        }),
      ],
    },
    {
      id: 'MQTT-3.2.2-1',
      level: 'must',
      says: 'A connection with CleanSession 1 is accepted with Session Present 0.',
      how: 'CONNECT with CleanSession 1 where a session is stored, and where none is.',
      async run(trial) {
        const { wire } = await durable(trial, 'keeper')
        await leave(wire)
        for (const word of ['keeper', 'other'])
          mustEqual((await connectedWith(trial, word)).sessionPresent, false, `Session Present for the client ${word} with CleanSession 1`)
      },
      mutants: [present(true)],
    },
    {
      id: 'MQTT-3.2.2-2',
      level: 'must',
      says: 'With CleanSession 0 Session Present is 1 if the server has a session stored for the client.',
      how: 'A session is left, and resumed; it is dropped, and resumed.',
      async run(trial) {
        const { wire } = await durable(trial, 'keeper')
        await subscribe(wire, trial.name('t'), 1)
        await leave(wire)
        const left = await durable(trial, 'keeper')
        mustEqual(left.sessionPresent, true, 'Session Present after DISCONNECT')
        left.wire.destroy()
        mustEqual((await durable(trial, 'keeper')).sessionPresent, true, 'Session Present after a lost connection')
      },
      mutants: [present(false), alwaysClean],
    },
    {
      id: 'MQTT-3.2.2-3',
      level: 'must',
      says: 'Session Present is 0 if the server has no session stored for the client.',
      how: 'CONNECT with CleanSession 0 of a client that was never there, and of one whose session was clean.',
      async run(trial) {
        mustEqual((await durable(trial, 'new')).sessionPresent, false, 'Session Present for a client that was never here')
        await leave(await connected(trial, 'clean'))
        mustEqual((await durable(trial, 'clean')).sessionPresent, false, 'Session Present after a clean session')
      },
      mutants: [present(true)],
    },
    {
      id: 'MQTT-3.2.2-4',
      level: 'must',
      says: 'CONNACK with a return code other than 0 has Session Present 0.',
      how: 'A CONNECT with an empty identifier and CleanSession 0, which must be refused.',
      async run(trial) {
        const wire = await MqttWire.open(trial, 4)
        wire.send(nameless(trial, false))
        const { returnCode, sessionPresent } = await wire.next('connack')
        if (returnCode === 0) skip(ACCEPTED)
        mustEqual(sessionPresent, false, 'Session Present in a refusal')
      },
      mutants: [changes('says Session Present 1 when it refuses', 'connack', ({ returnCode }) => Buffer.from([0x20, 2, 1, returnCode ?? 0]))],
    },
    {
      id: 'MQTT-3.2.2-5',
      level: 'must',
      says: 'After CONNACK with a return code other than 0 the connection is closed.',
      how: 'CONNECTs that must be refused: an empty identifier with CleanSession 0, and an unknown level.',
      async run(trial) {
        const nobody = await MqttWire.open(trial, 4)
        nobody.send(nameless(trial, false))
        const answer = await nobody.inbox.next('CONNACK, or the end of the connection,')
        if (answer?.cmd === 'connack' && answer.returnCode === 0) skip(ACCEPTED)
        await nobody.closed('after a CONNECT with an empty identifier and CleanSession 0')
        const future = await MqttWire.open(trial, 5)
        future.send(rawConnect(trial, { level: 6 }))
        await future.closed('after a CONNECT of an unknown level')
      },
      mutants: [neverCloses],
    },
    {
      id: 'MQTT-3.2.2-6',
      level: 'must',
      says: 'If no return code fits, the connection is closed without CONNACK.',
      unchecked:
        'What a server refuses beyond the reasons of the table no client can know, let alone provoke; that a malformed CONNECT has no CONNACK is MQTT-3.1.4-1.',
    },
  ],
}
