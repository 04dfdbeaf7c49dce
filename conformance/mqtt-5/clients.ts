// Clients of MQTT 5 by name, for the chapters whose checks have several; with what a check of either version does (../mqtt/acts.ts) they read alike.
import type { MqttWire, Received } from '../clients/mqtt-wire.ts'
import type { Trial } from '../trial.ts'
import { A_WHILE, type ConnectOptions, connected, opened } from './session.ts'

export const client = (trial: Trial, word = 'client', options: ConnectOptions = {}): Promise<MqttWire> =>
  connected(trial, { clientId: trial.name(word), ...options })

/** A session that is there already, or begins; it outlives its connection, and ends with the trial. */
export async function keeper(
  trial: Trial,
  word: string,
  options: ConnectOptions = {},
): Promise<Readonly<{ wire: MqttWire; connack: Received<'connack'> }>> {
  trial.after(async () => void (await client(trial, word).catch(() => {})))
  const { properties, ...more } = options
  return await opened(trial, { clientId: trial.name(word), clean: false, properties: { sessionExpiryInterval: A_WHILE, ...properties }, ...more })
}
