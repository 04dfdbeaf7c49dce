// aedes's `mq` and `persistence`, for one client. They keep nothing: sessions, subscriptions, retained messages, wills and messages are the core's.
// What aedes emits is swallowed, for the core has it already: it was published before aedes was let go on.
import { Readable } from 'node:stream'
import type { Subscription } from 'aedes'

/** What of it the core must hear, for one client. Each promise is kept when it is committed. */
export interface Kept {
  /** An earlier session was found. */
  readonly resumed: boolean
  /** UNSUBSCRIBE of a kept session. */
  unsubscribe(filters: readonly string[]): Promise<void>
  /** PUBREL has come: its identifier is free for what comes after it. */
  forget(packetId: number): void
  /** All that was asked so far is done. */
  settled(): Promise<void>
  /** PUBREC. */
  received(packetId: number): Promise<void>
  /** PUBACK, PUBCOMP. */
  acknowledged(kind: 'puback' | 'pubcomp', packetId: number): Promise<void>
}

/** aedes calls a session present that has subscriptions. It is shown this one, which the hook `authorizeSubscribe` turns away. */
export const PRESENT: Subscription = { topic: 'present', qos: 0 }

type Numbered = Readonly<{ cmd: string; messageId?: number }>

export function mq() {
  const done = (_topic: unknown, _listener: unknown, told?: () => void): void => told?.()
  return {
    on: done,
    removeListener: done,
    emit: (_packet: unknown, told?: () => void): void => told?.(),
    close: (told?: () => void): void => told?.(),
  }
}

export function persistence(kept: Kept) {
  const nothing = async (): Promise<void> => {}
  const none = (): Readable => Readable.from([])
  return {
    async setup(): Promise<void> {},
    destroy: nothing,
    // Retained messages come from the core, with the binding.
    storeRetained: nothing,
    createRetainedStream: none,
    createRetainedStreamCombi: none,
    // Subscriptions are bound in `authorizeSubscribe`, before aedes grants them.
    addSubscriptions: nothing,
    removeSubscriptions: (_client: unknown, filters: readonly string[]) => kept.unsubscribe(filters),
    subscriptionsByClient: async () => (kept.resumed ? [PRESENT] : []),
    subscriptionsByTopic: async () => [],
    cleanSubscriptions: nothing,
    countOffline: async () => ({ subsCount: 0, clientsCount: 0 }),
    // What goes out comes from the core's queue.
    outgoingEnqueue: nothing,
    outgoingEnqueueCombi: nothing,
    outgoingStream: none,
    outgoingUpdate: (_client: unknown, { cmd, messageId = 0 }: Numbered) => (cmd === 'pubrel' ? kept.received(messageId) : nothing()),
    outgoingClearMessageId: (_client: unknown, { cmd, messageId = 0 }: Numbered) =>
      kept.acknowledged(cmd === 'pubcomp' ? 'pubcomp' : 'puback', messageId),
    // A message of QoS 2 is published and noted before aedes asks: it is always there already, and aedes does no more than answer.
    async incomingGetPacket(_client: unknown, packet: Numbered): Promise<unknown> {
      // Now, for the client may use its identifier again in the same read.
      if (packet.cmd === 'pubrel') kept.forget(packet.messageId ?? 0)
      return packet
    },
    incomingStorePacket: nothing,
    incomingDelPacket: () => kept.settled(),
    cleanIncoming: nothing,
    // The core has the will, and aedes was told that there is none.
    putWill: nothing,
    getWill: nothing,
    delWill: nothing,
    streamWill: none,
    getClientList: none,
  }
}
