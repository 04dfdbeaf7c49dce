// MQTT 3.1.1, 3.1: CONNECT.
import type { Chapter } from '../check.ts'
import { MqttWire } from '../clients/mqtt-wire.ts'
import { neverCloses } from '../mutant.ts'
import { changes } from '../mqtt/mutants.ts'
import { mustEqual } from '../outcome.ts'
import { connected, connectPacket } from './session.ts'

export const connect: Chapter = {
  title: '3.1 CONNECT',
  clauses: [
    {
      id: 'MQTT-3.1.0-2',
      level: 'must',
      says: 'A second CONNECT on one connection is a protocol violation: the client is disconnected.',
      how: 'CONNECT, and after CONNACK CONNECT once more.',
      async run(trial) {
        const wire = await connected(trial)
        wire.send(connectPacket(trial))
        await wire.closed('after a second CONNECT')
      },
      mutants: [neverCloses],
    },
    {
      id: 'MQTT-3.1.2-2',
      level: 'must',
      says: 'An unknown protocol level is answered with return code 1, then the connection is closed.',
      how: 'CONNECT with protocol level 6.',
      async run(trial) {
        const wire = await MqttWire.open(trial, 4)
        // Protocol name, level 6, clean session, keep-alive 0, a client id of one letter.
        wire.send(Buffer.from('100d00044d51545406020000000161', 'hex'))
        const { returnCode } = await wire.next('connack')
        mustEqual(returnCode, 1, 'the return code of CONNACK')
        await wire.closed('after a CONNECT of an unknown level')
      },
      mutants: [neverCloses, changes('accepts any level', 'connack', (packet) => ({ ...packet, returnCode: 0 }))],
    },
  ],
}
