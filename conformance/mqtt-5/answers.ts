// MQTT 5.0, 4.9 to 4.11: what the prose asks of the send quota, request and response, and server redirection. The numbered statements of 4.9 are in quota.ts.
import type { Chapter } from '../check.ts'
import type { MqttWire } from '../clients/mqtt-wire.ts'

import { held } from '../mqtt/acts.ts'
import { changes, sees } from '../mqtt/mutants.ts'
import { mustBe, mustEqual, skip } from '../outcome.ts'
import { leavesOut } from './mutants.ts'
import { ID } from './properties.ts'
import { A_WHILE, connectBytes, connected, mustReceive, opened, publish, receive, second, subscribe, watching, whatComes } from './session.ts'

const KEPT = { sessionExpiryInterval: A_WHILE }

/** How many PUBLISHes have come and were not looked at, a PINGRESP later. */
async function waiting(wire: MqttWire): Promise<number> {
  await wire.ping()
  return wire.inbox.unread.filter(({ cmd }) => cmd === 'publish').length
}

export const answering: Chapter = {
  title: '4.9 to 4.11 Flow control, request and response, server redirection',
  clauses: [
    {
      id: 'MQTT5 4.9-a',
      level: 'must',
      says: 'The send quota never grows beyond the Receive Maximum, whatever is acknowledged.',
      how: 'Receive Maximum 2; two messages are acknowledged twice each, then five are published: two of them come, and no third before an acknowledgement.',
      async run(trial) {
        const topic = trial.name('topic')
        const publisher = await second(trial)
        const wire = await connected(trial, { properties: { receiveMaximum: 2 } })
        await subscribe(wire, { topic })
        for (const payload of ['one', 'two']) {
          await publish(publisher, topic, payload)
          const { messageId = 0 } = await wire.next('publish')
          for (let count = 0; count < 2; count++) wire.send({ cmd: 'puback', messageId, reasonCode: 0 })
          wire.send({ cmd: 'pingreq' })
          await whatComes(trial, wire)
          if (wire.inbox.ended) skip('the broker disconnects who acknowledges a message twice')
          await wire.next('pingresp')
        }
        for (let index = 0; index < 5; index++) await publish(publisher, topic, `${index}`)
        mustBe((await waiting(wire)) <= 2, 'more messages were sent than the Receive Maximum of 2, after acknowledgements that came twice')
        for (let index = 0; index < 5; index++) await mustReceive(wire, `${index}`, 'out of order')
      },
      mutants: [
        sees('makes room for each PUBACK that comes', 'connect', (connect) =>
          connect.properties?.receiveMaximum === undefined ? undefined : { ...connect, properties: { receiveMaximum: 4 } },
        ),
        changes('loses messages', 'publish', ({ payload }) => (payload.toString() === '3' ? 'drop' : undefined)),
      ],
    },
    {
      id: 'MQTT5 4.9-b',
      level: 'must',
      says: 'The send quota begins anew with each connection, by the Receive Maximum of that.',
      how: 'A session of Receive Maximum 3 is sent three messages and acknowledges none; it comes back with 1: one comes, the next after its acknowledgement.',
      async run(trial) {
        const topic = trial.name('topic')
        const publisher = await second(trial)
        const before = await connected(trial, { properties: { ...KEPT, receiveMaximum: 3 } })
        await subscribe(before, { topic })
        for (let index = 0; index < 5; index++) await publish(publisher, topic, `${index}`)
        await held(before, 3)
        before.destroy()
        const wire = await connected(trial, { clean: false, properties: { ...KEPT, receiveMaximum: 1 } })
        for (let index = 0; index < 5; index++) {
          mustBe((await waiting(wire)) <= 1, 'more than one message was sent to a client that came back with a Receive Maximum of 1')
          await mustReceive(wire, `${index}`, 'out of order')
        }
      },
      mutants: [
        sees('keeps the Receive Maximum of the first connection', 'connect', (connect) =>
          connect.clean === false ? { ...connect, properties: { ...connect.properties, receiveMaximum: 3 } } : undefined,
        ),
        changes('sends nothing again', 'publish', ({ dup }) => (dup ? 'drop' : undefined)),
      ],
    },
    {
      id: 'MQTT5 4.10-a',
      level: 'must',
      says: 'A request reaches its responder with Response Topic and Correlation Data, and the response its requester.',
      how: 'A request over a topic, answered to the Response Topic that came with it, with the Correlation Data that came with it.',
      async run(trial) {
        const requester = await watching(trial, trial.name('responses'))
        const responder = await connected(trial)
        await subscribe(responder, { topic: trial.name('requests') })
        const correlationData = Buffer.from([0, 1, 0xfe, 0xff])
        await publish(requester, trial.name('requests'), 'question', { properties: { responseTopic: trial.name('responses'), correlationData } })
        const { properties: asked } = await receive(responder)
        mustEqual(asked?.responseTopic, trial.name('responses'), 'the Response Topic')
        await publish(responder, asked?.responseTopic ?? '', 'answer', {
          properties: { correlationData: asked?.correlationData ?? Buffer.alloc(0) },
        })
        const { properties: answered } = await mustReceive(requester, 'answer', 'the response')
        mustEqual(answered?.correlationData?.toString('hex'), correlationData.toString('hex'), 'the Correlation Data')
      },
      mutants: [leavesOut('the Response Topic', 'publish', ID.responseTopic), leavesOut('the Correlation Data', 'publish', ID.correlationData)],
    },
    {
      id: 'MQTT5 4.10.1-a',
      level: 'must',
      says: 'A client that asks for Response Information may be given it, and can work without it if not.',
      how: 'CONNECT with Request Response Information 1: accepted; Response Information, if there is one, is a topic to which it can subscribe.',
      async run(trial) {
        const { wire, connack } = await opened(trial, connectBytes(trial, { properties: [ID.requestResponse, 1] }))
        const given = connack.properties?.responseInformation
        const topic = given === undefined || /[#+]/.test(given) ? trial.name('responses') : `${given}/${trial.name('responses')}`
        await subscribe(wire, { topic })
        await publish(wire, topic, 'answer')
        await mustReceive(wire, 'answer', 'a response')
      },
      mutants: [sees('refuses who asks', 'connect', ({ properties: given }) => (given?.requestResponseInformation === true ? 'close' : undefined))],
    },
    {
      id: 'MQTT5 4.11-a',
      level: 'should',
      says: 'A server that sends clients elsewhere says 0x9C or 0x9D in CONNACK or DISCONNECT, with a Server Reference if it knows one.',
      unchecked: 'It is seen only where an operator moves the clients of a server.',
    },
  ],
}
