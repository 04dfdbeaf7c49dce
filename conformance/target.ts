// The broker under test, as its addresses say it.
import type { ProtocolName } from './check.ts'

/** `path`: of the target's URL, for WebSocket. */
export type Address = Readonly<{ host: string; port: number; path: string }>
export type Addresses = Readonly<Partial<Record<ProtocolName, Address>>>

export type Target = Readonly<{
  /** Where each protocol listens; a protocol that is missing is not tested. `ws`: with the path of the URL. */
  urls: Readonly<Partial<Record<ProtocolName, string>>>
  user?: string
  password?: string
  profile: Profile
}>

/** What differs between brokers and is no matter of conformance: how addresses are written, what is known to fail. */
export type Profile = Readonly<{
  name: string
  /** A name of letters, digits and `-`, with dots between its levels, as clients of the protocol write it. */
  mqtt: Readonly<{ topic: (name: string) => string }>
  amqp: Readonly<{ queue: (name: string) => string; topic: (name: string) => string }>
  /**
   * `host`: the virtual host of CONNECT, where it is not the name by which the broker is reached. `transformation`: what SUBSCRIBE asks for, where a map
   * has no body without it.
   */
  stomp: Readonly<{ queue: (name: string) => string; topic: (name: string) => string; host?: string; transformation?: string }>
  known: Known
  /** Suites of which it speaks nothing, with the reason: no clause of them is tried. */
  lacks: Readonly<Record<string, string>>
  /** Checks that are not tried there, with the reason: those after which the broker serves nobody any more. */
  avoid: Known
}>

/** By suite and identifier, with the reason. Of `known`: checks known to fail there, which are told and do not count against the broker. */
export type Known = Readonly<Record<string, Readonly<Record<string, string>>>>

/** A profile as it is written: each address with `{name}`, or `{path}` for the name with slashes for dots. */
export type ProfileData = Readonly<{
  name: string
  mqtt: Readonly<{ topic: string }>
  amqp: Readonly<{ queue: string; topic: string }>
  stomp: Readonly<{ queue: string; topic: string; host?: string; transformation?: string }>
  known: Known
  lacks: Readonly<Record<string, string>>
  avoid: Known
}>

export function profileOf({ name, mqtt, amqp, stomp, known, lacks, avoid }: ProfileData): Profile {
  const address = (pattern: string) => (of: string) => pattern.replaceAll('{name}', of).replaceAll('{path}', of.replaceAll('.', '/'))
  return {
    name,
    mqtt: { topic: address(mqtt.topic) },
    amqp: { queue: address(amqp.queue), topic: address(amqp.topic) },
    stomp: { ...stomp, queue: address(stomp.queue), topic: address(stomp.topic) },
    known,
    lacks,
    avoid,
  }
}

const DEFAULT_PORTS: Readonly<Record<string, number>> = { mqtt: 1883, amqp: 5672, stomp: 61613, ws: 80, http: 80 }

export function addressesOf({ urls }: Target): Addresses {
  return Object.fromEntries(Object.entries(urls).map(([protocol, url]) => [protocol, addressOf(url)]))
}

/** How a protocol's URLs may begin: checks speak in the clear, and MQTT and STOMP over TCP alone. */
const SCHEMES: Readonly<Record<ProtocolName, readonly string[]>> = {
  mqtt: ['mqtt', 'tcp'],
  amqp: ['amqp', 'tcp'],
  stomp: ['stomp', 'tcp'],
  ws: ['ws', 'http'],
}

/** What hinders the checks of this protocol from going to this URL, in a sentence. */
export function wrongUrl(protocol: ProtocolName, url: string): string | undefined {
  try {
    addressOf(url)
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
  const scheme = new URL(url).protocol.slice(0, -1)
  const taken = SCHEMES[protocol]
  return taken.includes(scheme) ? undefined : `${protocol} is tested at ${taken.map((each) => `${each}://`).join(' or ')}, not at ${scheme}://`
}

/** `mqtt://host:1883` and the like. Throws with a sentence. */
export function addressOf(url: string): Address {
  let parsed: URL
  try {
    parsed = new URL(url)
  } catch {
    throw new Error(`${url} is no URL: mqtt://host:port is one`)
  }
  const scheme = parsed.protocol.slice(0, -1)
  const port = parsed.port === '' ? DEFAULT_PORTS[scheme] : Number(parsed.port)
  if (port === undefined) throw new Error(`${url}: ${scheme} is none of ${Object.keys(DEFAULT_PORTS).join(', ')}`)
  return { host: parsed.hostname === '' ? '127.0.0.1' : parsed.hostname.replace(/^\[|\]$/g, ''), port, path: parsed.pathname }
}
