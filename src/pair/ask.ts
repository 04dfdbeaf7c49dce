// One small request to a node's management listener. A node that was stopped never answers, so every request has its time.
import { request } from 'node:http'
import { loginHeaders } from '../cli/management.ts'

const TIMEOUT_MS = 1_000
const ANSWER_BYTES_MAX = 1024 * 1024

export type Answer = Readonly<{ status: number; body: unknown }>

/** `address` is `host:port`. Undefined: nobody answered in time. */
export function ask(
  address: string,
  path: string,
  options: Readonly<{ method?: 'GET' | 'POST'; timeoutMs?: number }> = {},
): Promise<Answer | undefined> {
  const { method = 'GET', timeoutMs = TIMEOUT_MS } = options
  return new Promise((resolve) => {
    const asking = request(`http://${address}${path}`, { method, headers: loginHeaders(), agent: false, timeout: timeoutMs }, (response) => {
      const chunks: Buffer[] = []
      let bytes = 0
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > ANSWER_BYTES_MAX) asking.destroy()
        else chunks.push(chunk)
      })
      response.on('error', () => resolve(undefined))
      response.on('close', () => resolve(undefined))
      response.on('end', () => {
        try {
          resolve({ status: response.statusCode ?? 0, body: JSON.parse(Buffer.concat(chunks).toString()) })
        } catch {
          resolve(undefined)
        }
      })
    })
    const timer = setTimeout(() => asking.destroy(), timeoutMs)
    asking.on('error', () => resolve(undefined))
    asking.on('close', () => {
      clearTimeout(timer)
      resolve(undefined)
    })
    asking.end()
  })
}

/** A field of an answer, by its path; undefined when it is not there. */
export function field(value: unknown, ...path: readonly string[]): unknown {
  let at = value
  for (const name of path) {
    if (typeof at !== 'object' || at === null) return undefined
    at = (at as Readonly<Record<string, unknown>>)[name]
  }
  return at
}
