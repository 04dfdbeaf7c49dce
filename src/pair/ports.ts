// Ports that are free now and that no outgoing connection takes meanwhile: a standby opens its ports only when it leads, yet clients must know them before.
import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

/** Below the range that systems take for outgoing connections: a client that tries a closed port of that range again and again meets itself one day. */
const FIRST = 12_000
const LAST = 32_000
const TRIES_MAX = 1_000

export async function freePorts(count: number, host = '127.0.0.1'): Promise<readonly number[]> {
  const found = new Set<number>()
  for (let i = 0; i < TRIES_MAX && found.size < count; i++) {
    const port = randomInt(FIRST, LAST)
    if (!found.has(port) && (await isFree(host, port))) found.add(port)
  }
  if (found.size < count) throw new Error(`no ${count} free ports between ${FIRST} and ${LAST} on ${host}`)
  return [...found]
}

function isFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ host, port }, () => server.close(() => resolve(true)))
  })
}
