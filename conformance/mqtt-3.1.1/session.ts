// How checks of MQTT 3.1.1 get a connection, and leave nothing behind: by the login of the target.
import type { IConnectPacket, QoS } from 'mqtt-packet'
import { MqttWire } from '../clients/mqtt-wire.ts'
import { publish } from '../mqtt/acts.ts'
import { packet, string, u16 } from '../mqtt/bytes.ts'
import { mustEqual } from '../outcome.ts'
import type { Trial } from '../trial.ts'

type Options = Partial<Omit<IConnectPacket, 'cmd'>>

/** An identifier that every broker must allow [MQTT-3.1.3-5]: at most 23 letters and digits. */
export const clientId = (trial: Trial, word = 'client'): string => trial.name(word).replaceAll('-', '').slice(0, 23)

/** CONNECT as this check wants it; clean, with keep-alive 60 and a name of the trial's if it does not say otherwise. */
export function connectPacket(trial: Trial, options: Options = {}): IConnectPacket {
  return {
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: 4,
    clean: true,
    keepalive: 60,
    clientId: clientId(trial),
    ...(trial.user === undefined ? {} : { username: trial.user }),
    ...(trial.password === undefined ? {} : { password: Buffer.from(trial.password) }),
    ...options,
  }
}

/** A connection whose CONNECT was accepted. `word` names the client. */
export async function connected(trial: Trial, word = 'client', options: Options = {}): Promise<MqttWire> {
  const { wire } = await connectedWith(trial, word, options)
  return wire
}

/** The same, with what CONNACK says of the session. */
export async function connectedWith(
  trial: Trial,
  word: string,
  options: Options = {},
): Promise<Readonly<{ wire: MqttWire; sessionPresent: boolean }>> {
  const wire = await MqttWire.open(trial, 4)
  wire.send(connectPacket(trial, { clientId: clientId(trial, word), ...options }))
  const { returnCode, sessionPresent } = await wire.next('connack')
  mustEqual(returnCode, 0, 'the return code of CONNACK')
  return { wire, sessionPresent }
}

/** A client with CleanSession 0, whose session is ended with the trial. */
export async function durable(trial: Trial, word: string, options: Options = {}): Promise<Readonly<{ wire: MqttWire; sessionPresent: boolean }>> {
  tidy(trial, async () => void (await connected(trial, word)))
  return await connectedWith(trial, word, { clean: false, ...options })
}

/** Publishes with RETAIN, and has the topic cleared with the trial. */
export async function retain(trial: Trial, wire: MqttWire, topic: string, payload: string, qos: QoS = 1): Promise<void> {
  willRetain(trial, topic)
  await publish(wire, topic, payload, { qos, retain: true })
}

/** Has what is retained for this topic cleared with the trial. */
export function willRetain(trial: Trial, topic: string): void {
  tidy(trial, async () => publish(await connected(trial, 'tidy'), topic, '', { qos: 1, retain: true }))
}

/** What a broker, or a mutant, does at tidying is no matter of the check. */
function tidy(trial: Trial, work: () => Promise<void>): void {
  trial.after(() => work().catch(() => {}))
}

type RawConnect = Readonly<{ name?: string; level?: number; flags?: number; first?: number; clean?: boolean; payload?: readonly Buffer[] }>

/** Why a check that needs a refused CONNECT is not tried where the one with an empty identifier and CleanSession 0 is none (MQTT-3.1.3-8 tells it). */
export const ACCEPTED = 'the broker takes an empty identifier with CleanSession 0'

/** CONNECT with an empty identifier, which no generator writes for a session that is not clean. */
export function nameless(trial: Trial, clean: boolean): Buffer {
  const login = [trial.user, trial.password].filter((part) => part !== undefined).map(string)
  return rawConnect(trial, { clean, flags: login.length === 0 ? 0 : login.length === 1 ? 0x80 : 0xc0, payload: [string(''), ...login] }, true)
}

/** CONNECT by hand: the flags are added to those of a clean session, the payload stands behind the client's identifier unless it is given whole. The login is that of the target if no flag of a login is set. */
export function rawConnect(
  trial: Trial,
  { name = 'MQTT', level = 4, flags = 0, first = 0x10, clean = true, payload = [] }: RawConnect,
  whole = false,
): Buffer {
  const login = whole || (flags & 0xc0) !== 0 ? [] : [trial.user, trial.password].filter((part) => part !== undefined).map(string)
  const loginFlags = login.length === 0 ? 0 : login.length === 1 ? 0x80 : 0xc0
  const parts = whole ? payload : [string(clientId(trial)), ...payload, ...login]
  return packet(first, string(name), level, flags | loginFlags | (clean ? 2 : 0), u16(60), ...parts)
}
