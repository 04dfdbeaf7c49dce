// What clients of MQTT do all day, for checks that are about something else: subscribe, publish with all its acknowledgements, take what comes. Of both levels.
import type { IPublishPacket, ISubscribePacket, ISubscription, QoS } from 'mqtt-packet'
import type { MqttWire, Received } from '../clients/mqtt-wire.ts'
import { fail, mustBe, mustEqual, outcomeOf, skip } from '../outcome.ts'

let identifiers = 0

/** A packet identifier that no packet under way has. */
export const nextId = (): number => (identifiers = (identifiers % 60000) + 1)

export const text = (packet: Readonly<{ payload: string | Buffer }>): string => packet.payload.toString()

/** Subscribes and waits for SUBACK; fails if it refuses one of the filters. */
export async function subscribe(
  wire: MqttWire,
  filters: string | readonly ISubscription[],
  qos: QoS = 2,
  properties?: ISubscribePacket['properties'],
): Promise<Received<'suback'>> {
  const subscriptions = typeof filters === 'string' ? [{ topic: filters, qos }] : [...filters]
  wire.send({ cmd: 'subscribe', messageId: nextId(), subscriptions, ...(properties === undefined ? {} : { properties }) })
  const suback = await wire.next('suback')
  for (const [index, code] of suback.granted.entries())
    if (Number(code) >= 0x80) fail(`the subscription to ${subscriptions[index]?.topic} was refused with 0x${Number(code).toString(16)}`)
  return suback
}

export async function unsubscribe(wire: MqttWire, ...unsubscriptions: readonly string[]): Promise<Received<'unsuback'>> {
  wire.send({ cmd: 'unsubscribe', messageId: nextId(), unsubscriptions: [...unsubscriptions] })
  return await wire.next('unsuback')
}

type Publishing = Partial<Omit<IPublishPacket, 'cmd' | 'topic' | 'payload'>>

export function publishPacket(topic: string, payload: string | Buffer, options: Publishing = {}): IPublishPacket {
  const { qos = 0 } = options
  return { cmd: 'publish', topic, payload, qos, dup: false, retain: false, ...(qos === 0 ? {} : { messageId: nextId() }), ...options }
}

/** Publishes and waits until the broker has taken it: for QoS 0 until it answers a PINGREQ behind it. */
export async function publish(wire: MqttWire, topic: string, payload: string | Buffer, options: Publishing = {}): Promise<void> {
  const packet = publishPacket(topic, payload, options)
  wire.send(packet)
  await taken(wire, packet)
}

/** The same for several, sent as fast as the broker lets its clients: no more are under way than its Receive Maximum. */
export async function publishAll(wire: MqttWire, packets: readonly IPublishPacket[]): Promise<void> {
  const waiting: IPublishPacket[] = []
  for (const packet of packets) {
    const oldest = packet.qos > 0 && waiting.length >= wire.receiveMaximum ? waiting.shift() : undefined
    if (oldest !== undefined) await taken(wire, oldest)
    wire.send(packet)
    if (packet.qos > 0) waiting.push(packet)
  }
  for (const packet of waiting) await taken(wire, packet)
}

/** Waits for the acknowledgements of a PUBLISH that was sent. */
export async function taken(wire: MqttWire, { qos, messageId = 0 }: IPublishPacket): Promise<void> {
  if (qos === 0) return wire.ping()
  if (qos === 1) return accepted(await wire.next('puback'), messageId)
  await received(wire, messageId)
  await release(wire, messageId)
}

/** Waits for PUBREC of this identifier. */
export async function received(wire: MqttWire, messageId: number): Promise<void> {
  const answer = await wire.inbox.find(
    (packet): packet is Received<'pubrec' | 'puback'> => packet.cmd === 'pubrec' || (packet.cmd === 'puback' && packet.messageId === messageId),
    'PUBREC',
  )
  // Told as a failure by the clauses of QoS 2; others cannot be tried by it.
  if (answer.cmd === 'puback') skip('this broker has no QoS 2: it answers PUBLISH of QoS 2 with PUBACK')
  accepted(answer, messageId)
}

/** PUBREL, and PUBCOMP for it. */
export async function release(wire: MqttWire, messageId: number): Promise<void> {
  wire.send({ cmd: 'pubrel', messageId })
  accepted(await wire.next('pubcomp'), messageId)
}

function accepted(answer: Received<'puback' | 'pubrec' | 'pubcomp'>, messageId: number): void {
  mustEqual(answer.messageId, messageId, `the Packet Identifier of ${answer.cmd.toUpperCase()}`)
  mustBe((answer.reasonCode ?? 0) < 0x80, `${answer.cmd.toUpperCase()} refuses with 0x${answer.reasonCode?.toString(16)}`)
}

/** The next message, acknowledged to the end. */
export async function take(wire: MqttWire): Promise<Received<'publish'>> {
  const message = await wire.next('publish')
  await acknowledge(wire, message)
  return message
}

export async function acknowledge(wire: MqttWire, { qos, messageId = 0 }: Received<'publish'>): Promise<void> {
  if (qos === 1) wire.send({ cmd: 'puback', messageId })
  if (qos !== 2) return
  wire.send({ cmd: 'pubrec', messageId })
  const pubrel = await wire.next('pubrel')
  mustEqual(pubrel.messageId, messageId, 'the Packet Identifier of PUBREL')
  wire.send({ cmd: 'pubcomp', messageId })
}

/** The next messages, so many, of which none is acknowledged. Skipped where a broker has fewer under way to one client. */
export async function held(wire: MqttWire, count: number): Promise<readonly Received<'publish'>[]> {
  const messages: Received<'publish'>[] = []
  while (messages.length < count) {
    const [oldest] = messages
    const next = oldest === undefined ? wire.next('publish') : further(wire, messages.length, count, () => acknowledge(wire, oldest))
    messages.push(await next)
  }
  return messages
}

/** The next message while `underWay` of the `wanted` are not acknowledged. Skipped where a broker has no more under way to one client, which it may: this one comes once the first of them is completed by `complete`. */
export async function further(wire: MqttWire, underWay: number, wanted: number, complete: () => Promise<void> | void): Promise<Received<'publish'>> {
  try {
    return await wire.next('publish')
  } catch (error) {
    if (outcomeOf(error).outcome !== 'fail') throw error
    await complete()
    await wire.next('publish')
    return skip(`this broker has no more than ${underWay} messages under way to one client, and this check wants ${wanted}`)
  }
}

/** Takes messages until this one comes: those before it. To show what did not come, let this one be published after it. */
export async function takeUntil(wire: MqttWire, payload: string): Promise<readonly Received<'publish'>[]> {
  const before: Received<'publish'>[] = []
  for (;;) {
    const message = await take(wire)
    if (text(message) === payload) return before
    before.push(message)
  }
}

/** DISCONNECT, and the end of the connection from both sides. */
export async function leave(wire: MqttWire): Promise<void> {
  wire.send({ cmd: 'disconnect' })
  wire.end()
  await wire.closed('after DISCONNECT and FIN')
}
