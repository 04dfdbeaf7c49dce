// What differs between brokers and is no matter of conformance, as data: of ours and of the peers beside this file, of any other in a file of the user's.
import type { ProfileData } from '../target.ts'
import { activemq } from './activemq.ts'
import { aedes } from './aedes.ts'
import { artemis } from './artemis.ts'
import { bascule } from './bascule.ts'
import { mosquitto } from './mosquitto.ts'
import { rabbitmq } from './rabbitmq.ts'

/** By the name that `--profile` has. */
export const profiles: Readonly<Record<string, ProfileData>> = { bascule, activemq, artemis, rabbitmq, mosquitto, aedes }

/** What was read from a file as a profile. Throws with a sentence. */
export function checkProfile(read: unknown): ProfileData {
  if (!isRecord(read)) throw new Error('a profile is an object of JSON')
  const { name = 'given', mqtt = bascule.mqtt, amqp = bascule.amqp, stomp = bascule.stomp, known = {}, lacks = {}, avoid = {}, ...more } = read
  const [unknown] = Object.keys(more)
  if (unknown !== undefined) throw new Error(`a profile has name, mqtt, amqp, stomp, known, lacks and avoid, not ${unknown}`)
  if (typeof name !== 'string') throw new Error('the name of a profile is a string')
  return {
    name,
    mqtt: { topic: pattern(mqtt, 'mqtt', 'topic') },
    amqp: { queue: pattern(amqp, 'amqp', 'queue'), topic: pattern(amqp, 'amqp', 'topic') },
    stomp: {
      queue: pattern(stomp, 'stomp', 'queue'),
      topic: pattern(stomp, 'stomp', 'topic'),
      ...asked(stomp, 'host'),
      ...asked(stomp, 'transformation'),
    },
    known: knownOf(known, 'known'),
    avoid: knownOf(avoid, 'avoid'),
    lacks: reasonsOf(lacks, 'lacks of a profile has suites, and these a reason'),
  }
}

/** What the profile says beside the addresses of STOMP. */
function asked(read: unknown, key: 'host' | 'transformation'): Readonly<Partial<Record<typeof key, string>>> {
  const said = isRecord(read) ? read[key] : undefined
  if (said === undefined) return {}
  if (typeof said !== 'string') throw new Error(`stomp.${key} of a profile is a string`)
  return { [key]: said }
}

function pattern(read: unknown, protocol: string, kind: string): string {
  const found = isRecord(read) ? read[kind] : undefined
  if (typeof found !== 'string' || !/\{(name|path)\}/.test(found))
    throw new Error(`${protocol}.${kind} of a profile is an address with {name} (or {path}, slashes for dots) in it`)
  return found
}

function knownOf(read: unknown, key: string): ProfileData['known'] {
  const wrong = `${key} of a profile has suites, these have identifiers of clauses, and these a reason`
  if (!isRecord(read)) throw new Error(wrong)
  return Object.fromEntries(Object.entries(read).map(([suite, clauses]) => [suite, reasonsOf(clauses, wrong)]))
}

function reasonsOf(read: unknown, wrong: string): Readonly<Record<string, string>> {
  if (!isRecord(read)) throw new Error(wrong)
  const reasons: Record<string, string> = {}
  for (const [id, reason] of Object.entries(read)) {
    if (typeof reason !== 'string' || reason === '') throw new Error(wrong)
    reasons[id] = reason
  }
  return reasons
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null && !Array.isArray(value)
