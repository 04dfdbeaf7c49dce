// How checks of MQTT 3.1.1 get a connection: by the login of the target.
import type { IConnectPacket } from 'mqtt-packet'
import { MqttWire } from '../clients/mqtt-wire.ts'
import { mustEqual } from '../outcome.ts'
import type { Trial } from '../trial.ts'

type Options = Partial<Omit<IConnectPacket, 'cmd'>>

/** CONNECT as this check wants it; clean, with keep-alive 60 and a name of the trial's if it does not say otherwise. */
export function connectPacket(trial: Trial, options: Options = {}): IConnectPacket {
  return {
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: 4,
    clean: true,
    keepalive: 60,
    clientId: trial.name('client'),
    ...(trial.user === undefined ? {} : { username: trial.user }),
    ...(trial.password === undefined ? {} : { password: Buffer.from(trial.password) }),
    ...options,
  }
}

/** A connection whose CONNECT was accepted. */
export async function connected(trial: Trial, options: Options = {}): Promise<MqttWire> {
  const wire = await MqttWire.open(trial, 4)
  wire.send(connectPacket(trial, options))
  const { returnCode } = await wire.next('connack')
  mustEqual(returnCode, 0, 'the return code of CONNACK')
  return wire
}
