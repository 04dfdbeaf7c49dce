// What an MQTT 5 connection has beside the others': the limits that client and broker told each other, topic aliases, identifiers of subscriptions.
import type { Address, Pattern } from '../../src/api.ts'
import type { Exchange } from './exchange.ts'
import type { Connect } from './packets.ts'
import { PROPERTY } from './properties.ts'
import type { MqttSettings } from './settings.ts'
import { SubscriptionIdentifiers } from './subscription-identifiers.ts'

const NO_PROOF = new Uint8Array(0)

export class Five {
  // What the client asked for.
  readonly receiveMaximum: number
  readonly packetBytesMax: number
  readonly wantsProblems: boolean
  readonly wantsResponse: boolean
  /** Seconds; 0xFFFFFFFF: for ever. */
  readonly sessionExpiryAsked: number
  readonly keepAliveAsked: number
  /** Aliases that we may use to it, and those in use. */
  readonly aliasesOutMax: number
  readonly aliasesOut = new Map<Address, number>()
  /** Those of the client, by number. */
  readonly aliasesIn: (Address | undefined)[] = []
  readonly identifiers = new SubscriptionIdentifiers()
  /** Publishes of QoS 1 and 2 that are not answered to their end [MQTT5-3.3.4-9]. */
  incoming = 0
  /**
   * PUBREL of identifiers that nobody knows which may still lower that number: those that an earlier connection of a resumed session can have left. Its
   * client counts their PUBCOMP as an answer [MQTT5-4.9]. Others could else send what they like.
   */
  leftOver = 0
  /** A client id that the broker made up, or ''. */
  assignedClientId = ''
  /** By which it logs in in several steps, or ''. */
  readonly method: string
  /** Such a log-in that is under way. */
  exchange: Exchange | undefined = undefined
  /** Who it said it was, and what CONNACK proves to it. */
  principal = ''
  proof: Uint8Array = NO_PROOF

  constructor(connect: Connect, settings: MqttSettings) {
    const numbers = connect.properties?.numbers ?? new Map<number, number>()
    this.receiveMaximum = numbers.get(PROPERTY.receiveMaximum) ?? 65_535
    const { packetBytesMax, wantsProblems } = wishes(numbers)
    this.packetBytesMax = packetBytesMax
    this.wantsProblems = wantsProblems
    this.wantsResponse = numbers.get(PROPERTY.requestResponse) === 1
    this.sessionExpiryAsked = numbers.get(PROPERTY.sessionExpiry) ?? 0
    this.keepAliveAsked = connect.keepAliveSeconds
    this.method = connect.properties?.texts.get(PROPERTY.authenticationMethod) ?? ''
    this.aliasesOutMax = Math.min(numbers.get(PROPERTY.topicAliasMaximum) ?? 0, settings.topicAliasesOutMax)
  }

  /** Publishes have their last answer. */
  answered(count = 1): void {
    this.incoming = Math.max(0, this.incoming - count)
  }

  /** A continued session's identifiers, as they were kept. */
  restore(bound: readonly Readonly<{ pattern: Pattern; noLocal: boolean; label: number }>[]): void {
    for (const { pattern, noLocal, label } of bound) if (label !== 0) this.identifiers.set(pattern, label, noLocal)
  }
}

/** What a client says in CONNECT of the packets that it takes. */
export function wishes(numbers: ReadonlyMap<number, number>): Readonly<{ packetBytesMax: number; wantsProblems: boolean }> {
  return {
    packetBytesMax: numbers.get(PROPERTY.maximumPacketSize) ?? Number.POSITIVE_INFINITY,
    wantsProblems: (numbers.get(PROPERTY.requestProblem) ?? 1) === 1,
  }
}

export const FOR_EVER = 0xffff_ffff

export function keepMsOf(seconds: number, settings: MqttSettings): number {
  const asked = seconds === FOR_EVER ? Number.POSITIVE_INFINITY : seconds * 1000
  return settings.sessionExpiryMs === 0 ? asked : Math.min(asked, settings.sessionExpiryMs)
}

export function secondsOf(keepMs: number): number {
  return Math.min(FOR_EVER, Math.floor(keepMs / 1000))
}
