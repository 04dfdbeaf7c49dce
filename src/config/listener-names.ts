// Each listener has one beside it that speaks the same over TLS. How they are called, here alone.

/** `mqtt` → `mqtts`, `http` → `https`, and what everybody calls WebSocket over TLS. */
export function overTls(listener: string): string {
  return listener === 'websocket' ? 'wss' : `${listener}s`
}

type Named = Readonly<{ name: string }>

const plain = (protocols: readonly Named[]): readonly string[] => ['http', ...protocols.map(({ name }) => name), 'websocket']

/** The listeners over TLS of a node with these protocols. */
export const tlsListenerNames = (protocols: readonly Named[]): readonly string[] => plain(protocols).map(overTls)

/** All of its listeners. */
export const listenerNames = (protocols: readonly Named[]): readonly string[] => [...plain(protocols), ...tlsListenerNames(protocols)]
