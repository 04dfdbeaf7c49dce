// How checks of STOMP get a connection, subscribe, acknowledge and look into a queue, each as its version writes it.
import type { Clause } from '../check.ts'
import { header, type Version } from '../clients/stomp-frame.ts'
import { type Headers, type Received, StompWire, told } from '../clients/stomp-wire.ts'
import { fail, mustEqual, notSupported } from '../outcome.ts'
import type { Trial } from '../trial.ts'

/** `STOMP12-SEND-a` of 1.2, and the like. */
export function numbered(version: Version, section: string): (letter: string) => string {
  return (letter) => `STOMP${version.replace('.', '')}-${section}-${letter}`
}

export const queueOf = (trial: Trial, word = 'queue'): string => trial.profile.stomp.queue(trial.name(word))
export const topicOf = (trial: Trial, word = 'topic'): string => trial.profile.stomp.topic(trial.name(word))

/** Clauses that bind a server in these versions only. */
export function only(version: Version, versions: readonly Version[], clause: () => Clause): readonly Clause[] {
  return versions.includes(version) ? [clause()] : []
}

/** CONNECT as this check wants it: by the login of the target, of one version. */
export function connectHeaders(trial: Trial, version: Version, more: Headers = {}): Headers {
  return {
    ...(version === '1.0' ? {} : { 'accept-version': version }),
    host: trial.profile.stomp.host ?? trial.address.host,
    ...(trial.user === undefined ? {} : { login: trial.user }),
    ...(trial.password === undefined ? {} : { passcode: trial.password }),
    ...more,
  }
}

/** A connection that was accepted, and how. */
export async function connecting(trial: Trial, version: Version, more: Headers = {}): Promise<Readonly<{ wire: StompWire; connected: Received }>> {
  const wire = await StompWire.open(trial, version)
  wire.send('CONNECT', connectHeaders(trial, version, more))
  const answer = await wire.inbox.find(isFrame, 'CONNECTED')
  if (answer.command === 'ERROR') notSupported(`CONNECT of ${version} is answered by ${told(answer)}`)
  mustEqual(answer.command, 'CONNECTED', 'the answer to CONNECT')
  return { wire, connected: answer }
}

export async function connected(trial: Trial, version: Version, more: Headers = {}): Promise<StompWire> {
  return (await connecting(trial, version, more)).wire
}

/** Subscribes and waits until that is done. */
export async function subscribe(wire: StompWire, destination: string, more: Headers = {}): Promise<void> {
  await wire.call('SUBSCRIBE', { id: 'sub', destination, ...more })
}

/** Sends messages of these bodies to it, and waits until they are there. */
export async function fill(wire: StompWire, destination: string, bodies: readonly string[], more: Headers = {}): Promise<void> {
  for (const body of bodies) await wire.call('SEND', { destination, ...more }, body)
}

/** Sends messages of these bodies within a transaction. A server may answer their receipts with COMMIT only, so none is asked for. */
export function fillWithin(wire: StompWire, transaction: string, destination: string, bodies: readonly string[]): void {
  for (const body of bodies) wire.send('SEND', { destination, transaction }, body)
}

/** The next messages, as many as these, which must be of these bodies in this order. */
export async function receive(wire: StompWire, bodies: readonly string[]): Promise<readonly Received[]> {
  const messages: Received[] = []
  for (const body of bodies) {
    const message = await wire.next('MESSAGE')
    mustEqual(message.body.toString(), body, 'the body of MESSAGE')
    messages.push(message)
  }
  return messages
}

/** The headers by which ACK and NACK name a message. */
export function naming(wire: StompWire, message: Received | undefined): Headers {
  if (message === undefined) fail('no MESSAGE came')
  const need = (name: string): string => header(message, name) ?? fail(`MESSAGE has no header ${name}`)
  switch (wire.version) {
    case '1.2':
      return { id: need('ack') }
    case '1.1':
      return { subscription: need('subscription'), 'message-id': need('message-id') }
    case '1.0':
      return { 'message-id': need('message-id') }
  }
}

/** Bodies that somebody else gets of a queue, up to and with the one that is last. */
export async function leftIn(trial: Trial, version: Version, destination: string, last: string): Promise<readonly string[]> {
  const wire = await connected(trial, version)
  wire.send('SUBSCRIBE', { id: 'left', destination, ack: 'auto' })
  const bodies: string[] = []
  const what = (): string => `the message ${JSON.stringify(last)} of the queue to another subscriber, who got ${list(bodies)},`
  while (bodies.at(-1) !== last) bodies.push((await wire.inbox.find(isMessage, what())).body.toString())
  return bodies
}

/** The same, after a last message that is sent for it: everything that was there before has come by then. */
export async function leftBefore(trial: Trial, version: Version, destination: string): Promise<readonly string[]> {
  const wire = await connected(trial, version)
  await fill(wire, destination, ['the last'])
  return (await leftIn(trial, version, destination, 'the last')).slice(0, -1)
}

/** DISCONNECT, waited for until the broker has closed too, or answered at least. */
export async function leave(wire: StompWire): Promise<void> {
  await wire.call('DISCONNECT')
  wire.destroy()
}

export function mustBeList(got: readonly string[], wanted: readonly string[], what: string): void {
  if (got.join('|') !== wanted.join('|')) fail(`${what}: ${list(got)} where ${list(wanted)} was due`)
}

const list = (bodies: readonly string[]): string => (bodies.length === 0 ? 'nothing' : bodies.map((body) => JSON.stringify(body)).join(', '))

function isMessage(frame: Received): frame is Received {
  return frame.command === 'MESSAGE'
}

function isFrame(frame: Received): frame is Received {
  return frame.command === 'CONNECTED' || frame.command === 'ERROR'
}
