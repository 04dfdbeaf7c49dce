// What checks of MQTT 5 do again and again: get a connection by the login of the target, subscribe, publish, and see a connection refused or closed.
import { setTimeout as sleep } from 'node:timers/promises'
import type { IConnectPacket, IPublishPacket, ISubscription } from 'mqtt-packet'
import { MqttWire, type Received } from '../clients/mqtt-wire.ts'
import { packet, properties, string, u16 } from '../mqtt/bytes.ts'
import { fail, mustBe, mustEqual } from '../outcome.ts'
import type { Trial } from '../trial.ts'

export type ConnectOptions = Partial<Omit<IConnectPacket, 'cmd'>>

/** A reason code as the specification writes it. */
export const code = (reason: number | undefined): string =>
  reason === undefined ? 'no reason code' : `0x${reason.toString(16).padStart(2, '0').toUpperCase()}`

/** In seconds: long enough for any check, and gone soon after it. */
export const A_WHILE = 30

/** CONNECT as this check wants it; a clean start, with keep-alive 60 and a name of the trial's if it does not say otherwise. */
export function connectPacket(trial: Trial, options: ConnectOptions = {}): IConnectPacket {
  return {
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: 5,
    clean: true,
    keepalive: 60,
    clientId: trial.name('client'),
    ...(trial.user === undefined ? {} : { username: trial.user }),
    ...(trial.password === undefined ? {} : { password: Buffer.from(trial.password) }),
    ...options,
  }
}

/** A connection whose CONNECT was accepted, and how. */
export async function opened(
  trial: Trial,
  options: ConnectOptions | Buffer = {},
): Promise<Readonly<{ wire: MqttWire; connack: Received<'connack'> }>> {
  const wire = await MqttWire.open(trial, 5)
  wire.send(Buffer.isBuffer(options) ? options : connectPacket(trial, options))
  const connack = await wire.next('connack')
  mustEqual(connack.reasonCode, 0, 'the reason code of CONNACK')
  return { wire, connack }
}

export async function connected(trial: Trial, options: ConnectOptions | Buffer = {}): Promise<MqttWire> {
  return (await opened(trial, options)).wire
}

/** A connection of another name, for the second party of a check. */
export function second(trial: Trial, options: ConnectOptions = {}): Promise<MqttWire> {
  return connected(trial, { clientId: trial.name('second'), ...options })
}

/** Somebody who sees what is published to `topic`, at QoS 1. */
export async function watching(trial: Trial, topic: string, options: ConnectOptions = {}): Promise<MqttWire> {
  const wire = await connected(trial, { clientId: trial.name('watcher'), ...options })
  await subscribe(wire, { topic, qos: 1 })
  return wire
}

/** CONNECT byte by byte. The login of the target is behind `payload`, and in the flags. */
export function connectBytes(
  trial: Trial,
  parts: Readonly<{
    first?: number
    name?: string | Buffer
    version?: number
    flags?: number
    properties?: readonly (Buffer | number)[]
    payload?: readonly (Buffer | number)[]
    /** Without the login of the target. */
    nameless?: boolean
  }> = {},
): Buffer {
  const { user, password } = parts.nameless === true ? {} : trial
  const flags = (parts.flags ?? 2) | (user === undefined ? 0 : 0x80) | (password === undefined ? 0 : 0x40)
  return packet(
    parts.first ?? 0x10,
    string(parts.name ?? 'MQTT'),
    parts.version ?? 5,
    flags,
    u16(60),
    properties(...(parts.properties ?? [])),
    ...(parts.payload ?? [string(trial.name('client'))]),
    ...(user === undefined ? [] : [string(user)]),
    ...(password === undefined ? [] : [string(password)]),
  )
}

/** PUBLISH byte by byte; `first` has QoS and flags. */
export function publishBytes(topic: string | Buffer, given: readonly (Buffer | number)[], payload: string | Buffer = '', first = 0x30): Buffer {
  return packet(first, string(topic), ...((first & 6) === 0 ? [] : [u16(1)]), properties(...given), Buffer.from(payload))
}

/** Fails if the broker accepts this CONNECT, or leaves the connection open. Answers the CONNACK that refuses it, if there is one. */
export async function refused(trial: Trial, connect: IConnectPacket | Buffer, why: string): Promise<Received<'connack'> | undefined> {
  const wire = await MqttWire.open(trial, 5)
  wire.send(connect)
  const answer = await wire.inbox.next(`an answer to ${why}`)
  if (answer?.cmd === 'connack') {
    if ((answer.reasonCode ?? answer.returnCode) === 0) fail(`${why} was accepted`)
    await wire.closed(`after refusing ${why}`)
    return answer
  }
  await wire.closed(why)
  return undefined
}

/** Sends what ends a connection, and fails if it does not end. Answers the broker's DISCONNECT, if there was one. */
export async function closes(wire: MqttWire, last: Parameters<MqttWire['send']>[0], why: string): Promise<Received<'disconnect'> | undefined> {
  wire.send(last)
  const unread = await wire.closed(`after ${why}`)
  return unread.find((packet): packet is Received<'disconnect'> => packet.cmd === 'disconnect')
}

/** A connection of its own for each: none of them may survive what is sent on it. */
export async function closesEach(trial: Trial, cases: Readonly<Record<string, Buffer>>): Promise<void> {
  await Promise.all(
    Object.entries(cases).map(async ([why, bytes], index) => {
      const wire = await connected(trial, { clientId: trial.name(`client-${index}`) })
      await closes(wire, bytes, why)
    }),
  )
}

/** As `closesEach`, for CONNECT. */
export async function refusesEach(trial: Trial, cases: Readonly<Record<string, Buffer>>): Promise<void> {
  await Promise.all(Object.entries(cases).map(([why, bytes]) => refused(trial, bytes, why)))
}

type Subscription = Partial<ISubscription> & Readonly<{ topic: string }>

export async function subscribe(wire: MqttWire, to: Subscription | readonly Subscription[], identifier?: number): Promise<Received<'suback'>> {
  const subscriptions = (Array.isArray(to) ? to : [to]).map(
    (each: Subscription): ISubscription => ({ qos: 1, nl: false, rap: false, rh: 0, ...each }),
  )
  const messageId = 50_000 + (nextSubscribe++ % 1000)
  wire.send({
    cmd: 'subscribe',
    messageId,
    subscriptions,
    ...(identifier === undefined ? {} : { properties: { subscriptionIdentifier: identifier } }),
  })
  const suback = await wire.next('suback')
  const refusal = suback.granted.find((code) => Number(code) >= 0x80)
  if (refusal !== undefined) fail(`a subscription was refused with ${code(Number(refusal))}`)
  return suback
}

let nextSubscribe = 0

type PublishOptions = Partial<Omit<IPublishPacket, 'cmd' | 'topic' | 'payload'>>

export function publishPacket(topic: string, payload: string | Buffer, options: PublishOptions = {}): IPublishPacket {
  return { cmd: 'publish', topic, payload, qos: 0, retain: false, dup: false, ...((options.qos ?? 0) > 0 ? { messageId: 1 } : {}), ...options }
}

/** Publishes, and ends only when the broker has taken it: at QoS 1 if nothing else is said. */
export async function publish(wire: MqttWire, topic: string, payload: string | Buffer, options: PublishOptions = {}): Promise<void> {
  const sent = publishPacket(topic, payload, { qos: 1, ...options })
  wire.send(sent)
  if (sent.qos === 1) {
    const { reasonCode = 0 } = await wire.next('puback')
    mustBe(reasonCode < 0x80, `PUBLISH was refused with ${code(reasonCode)}`)
  }
  if (sent.qos !== 2) return
  const { reasonCode = 0 } = await wire.next('pubrec')
  mustBe(reasonCode < 0x80, `PUBLISH was refused with ${code(reasonCode)}`)
  wire.send({ cmd: 'pubrel', messageId: sent.messageId ?? 1, reasonCode: 0 })
  await wire.next('pubcomp')
}

/** A retained message, that is forgotten when the check is over. */
export async function retain(trial: Trial, wire: MqttWire, topic: string, payload: string, options: PublishOptions = {}): Promise<void> {
  trial.after(() => forget(trial, topic))
  await publish(wire, topic, payload, { retain: true, ...options })
}

/** Takes a retained message away, by a connection of its own. */
export async function forget(trial: Trial, topic: string): Promise<void> {
  try {
    const wire = await connected(trial, { clientId: trial.name('cleaner') })
    await publish(wire, topic, '', { retain: true })
    wire.destroy()
  } catch {
    // The check is over; what it could not take away hurts nobody, its name is its own.
  }
}

/** The next message on this connection, acknowledged as its QoS asks. */
export async function receive(wire: MqttWire): Promise<Received<'publish'>> {
  const message = await wire.next('publish')
  const { qos } = message
  const messageId = message.messageId ?? 0
  if (qos === 1) wire.send({ cmd: 'puback', messageId, reasonCode: 0 })
  if (qos === 2) {
    wire.send({ cmd: 'pubrec', messageId, reasonCode: 0 })
    await wire.next('pubrel')
    wire.send({ cmd: 'pubcomp', messageId, reasonCode: 0 })
  }
  return message
}

/** Fails unless the next message is this: what came before it, and should not have come, is told. */
export async function mustReceive(wire: MqttWire, payload: string, otherwise: string): Promise<Received<'publish'>> {
  const message = await receive(wire)
  mustBe(message.payload.toString() === payload, `${otherwise}: "${message.payload.toString().slice(0, 60)}" came where "${payload}" was due`)
  return message
}

/** For clauses about time itself; never to see whether something comes. */
export const pause = (ms: number): Promise<void> => sleep(ms)

/** DISCONNECT; the broker has half of the patience to close the connection, then the client does. Ends when it is closed. */
export async function leave(trial: Trial, wire: MqttWire, disconnect: Buffer = packet(0xe0)): Promise<void> {
  wire.send(disconnect)
  await until(trial, () => wire.inbox.ended, trial.patienceMs / 2)
  wire.end()
  await wire.closed('after DISCONNECT and the end of what the client sends')
}

/** What comes until the connection ends, a PINGRESP comes, or patience is over: for provocations that a broker need not answer. */
export async function whatComes(trial: Trial, wire: MqttWire): Promise<readonly Received[]> {
  await until(trial, () => wire.inbox.ended || wire.inbox.unread.some(({ cmd }) => cmd === 'pingresp'))
  return wire.inbox.unread
}

async function until(trial: Trial, holds: () => boolean, patienceMs = trial.patienceMs): Promise<void> {
  const end = performance.now() + patienceMs
  while (!holds() && performance.now() < end) await pause(10)
}
