// The clients of the bridge: one library a protocol, each asked for the same two things.
import type { ProtocolName } from '../check.ts'
import type { Trial } from '../trial.ts'
import { amqpParty } from './amqp-party.ts'
import type { Message, Party } from './message.ts'
import { mqttParty } from './mqtt-party.ts'
import { stompParty } from './stomp-party.ts'

export type Client = Readonly<{
  protocol: ProtocolName
  /** Ends when the broker has answered for it, or (MQTT QoS 0 is not used) throws what `refused` throws. */
  send: (trial: Trial, topic: string, message: Message) => Promise<void>
  /** Ends when the subscription is there; what it answers ends with the first message. */
  receive: (trial: Trial, topic: string) => Promise<() => Promise<Message>>
}>

export const clients: Readonly<Record<Party, Client>> = {
  'mqtt-3.1.1': mqttParty(4),
  'mqtt-5': mqttParty(5),
  amqp: amqpParty,
  stomp: stompParty,
}
