// What everybody who takes part in the drill shares.
import type { Addresses } from './addresses.ts'
import type { Darkness } from './darkness.ts'
import type { Ledger } from './ledger.ts'

/** What a broker listens for. Over WebSocket speak some clients of MQTT and of AMQP. */
export const LISTENERS = ['mqtt', 'stomp', 'amqp', 'websocket'] as const
export type Listener = (typeof LISTENERS)[number]

export type Stage = Readonly<{
  ledger: Ledger
  darkness: Darkness
  /** Body of each message. */
  bytes: number
  /** Told at each acknowledgement: faults are aimed with it. */
  onAcknowledged: () => void
}>

/** Where clients connect, and what their broker wants to know of them. */
export type Access = Readonly<{
  listener: Listener
  addresses: Addresses
  username: string
  password: string
  /** STOMP: what stands before the name of a queue. */
  queuePrefix: string
}>

/** One client of the drill; it outlives the brokers' faults and connects again after each. */
export interface Actor {
  readonly name: string
  /** Ends when it is connected, and subscribed if it is a consumer. */
  connect(): Promise<void>
  /** Nothing is under way: no unanswered message, no unanswered settlement. */
  readonly idle: boolean
  readonly connected: boolean
  /** For good; takes with it what it left on the broker. */
  close(): Promise<void>
}
