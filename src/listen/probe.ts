// Can these addresses be had? Asked before anything is changed on disk, so that a start that must fail leaves no trace.
import { createServer } from 'node:net'
import type { ListenerSettings } from '../config/settings.ts'

/** The first listener that cannot, and why. */
export async function probe(
  listeners: Readonly<Record<string, ListenerSettings>>,
): Promise<Readonly<{ name: string; listener: ListenerSettings; error: unknown }> | undefined> {
  for (const [name, listener] of Object.entries(listeners)) {
    if (!listener.enabled || listener.port === 0) continue
    try {
      await tryAddress(listener.host, listener.port)
    } catch (error) {
      return { name, listener, error }
    }
  }
  return undefined
}

function tryAddress(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen({ host, port }, () => server.close(() => resolve()))
  })
}
