// MQTT 3.1.1, 4.8 to 7: errors, WebSocket, conformance.
import type { Chapter } from '../check.ts'
import { MqttWire } from '../clients/mqtt-wire.ts'
import { publish, publishPacket, subscribe, take, taken, text } from '../mqtt/acts.ts'
import { packet, string, u16 } from '../mqtt/bytes.ts'
import { changes, never } from '../mqtt/mutants.ts'
import { generate } from 'mqtt-packet'
import { mustEqual } from '../outcome.ts'
import { closesOn } from './closes.ts'
import { connected, connectPacket } from './session.ts'

const OVER_WEBSOCKET = 'The suite of WebSocket has it; this one speaks TCP.'

export const errors: Chapter = {
  title: '4.8 to 7: errors, transport, conformance',
  clauses: [
    closesOn(
      {
        id: 'MQTT-4.8.0-1',
        says: 'A protocol violation ends the connection on which it came.',
        how: 'Packets that only servers send, types that are reserved, a length of five bytes, packets shorter than their fields.',
      },
      (trial) => [
        packet(0x20, 0, 0),
        packet(0x90, u16(1), 0),
        packet(0xb0, u16(1)),
        packet(0xd0),
        packet(0x00),
        packet(0xf0),
        Buffer.from('30ffffffff7f', 'hex'),
        packet(0x32, string(trial.name('t'))),
        packet(0x40, 1),
        packet(0x82, 1),
      ],
    ),
    {
      id: 'MQTT-4.8.0-2',
      level: 'must',
      says: 'A transient error while a packet is processed ends the connection on which it came.',
      unchecked: 'What is transient lies within the server (memory, disk): no client can bring it about.',
    },
    {
      id: 'MQTT-6.0.0-1',
      level: 'must',
      says: 'Over WebSocket packets come in binary frames; any other data frame ends the connection.',
      unchecked: OVER_WEBSOCKET,
    },
    { id: 'MQTT-6.0.0-2', level: 'must', says: 'Over WebSocket packets may lie across frames in any way.', unchecked: OVER_WEBSOCKET },
    { id: 'MQTT-6.0.0-4', level: 'must', says: 'Over WebSocket the subprotocol that a server selects is mqtt.', unchecked: OVER_WEBSOCKET },
    {
      id: 'MQTT-7.0.0-1',
      level: 'must',
      says: 'A server that connects to other servers is a conforming client too.',
      unchecked: 'A test of servers sees nothing of connections that they open to others.',
    },
    {
      id: 'MQTT-7.0.0-2',
      level: 'must',
      says: 'Nothing outside the specification is needed to work together.',
      how: 'A client that knows nothing else connects, subscribes, publishes with each QoS and receives.',
      async run(trial) {
        const wire = await connected(trial)
        await subscribe(wire, trial.name('t'), 2)
        for (const qos of [0, 1, 2] as const) {
          await publish(wire, trial.name('t'), `of ${qos}`, { qos })
          mustEqual(text(await take(wire)), `of ${qos}`, 'the message')
        }
      },
      mutants: [never('connack'), never('suback'), never('publish')],
    },
    {
      id: 'MQTT-7.1.1-1',
      level: 'must',
      says: 'There is a transport that carries an ordered stream of bytes without loss both ways.',
      how: 'Packets byte by byte, all in one segment, and a message of 100,000 bytes with all values.',
      async run(trial) {
        const wire = await MqttWire.open(trial, 4)
        const bytes = generate(connectPacket(trial), { protocolVersion: 4 })
        for (const byte of bytes) wire.send(Buffer.from([byte]))
        mustEqual((await wire.next('connack')).returnCode, 0, 'the return code of CONNACK')
        await subscribe(wire, trial.name('t'), 1)
        const sent = [1, 2, 3].map((count) => publishPacket(trial.name('t'), `${count}`, { qos: 1 }))
        wire.send(Buffer.concat(sent.map((message) => generate(message, { protocolVersion: 4 }))))
        for (const message of sent) await taken(wire, message)
        for (const message of sent) mustEqual(text(await take(wire)), text(message), 'a message of one segment')
        const large = Buffer.from(Array.from({ length: 100_000 }, (_, index) => index % 251))
        await publish(wire, trial.name('t'), large, { qos: 1 })
        const { payload } = await take(wire)
        mustEqual(Buffer.compare(Buffer.from(payload), large), 0, 'the difference between a large message and what arrived')
      },
      mutants: [
        changes('loses a byte', 'publish', (message) =>
          message.payload.length > 1000 ? { ...message, payload: message.payload.slice(1) } : undefined,
        ),
        changes('delivers in another order', 'publish', (message) => ({ ...message, payload: text(message).replace('1', '2') })),
      ],
    },
  ],
}
