// Which web pages may connect. Any page that is open in a browser can open a WebSocket to any address that the browser reaches, this machine's loopback included,
// and no rule of browsers stops it: only the Origin header tells. What is no browser sends none.
import { isLoopback } from './loopback.ts'

export type Asked = Readonly<{
  origin: string | undefined
  /** The header Host. */
  host: string
  origins: readonly string[]
  /** The listener is open to this machine only. */
  loopback: boolean
}>

export function mayConnect({ origin, host, origins, loopback }: Asked): boolean {
  if (origin === undefined || origins.includes('*') || origins.includes(origin)) return true
  if (origin !== `http://${host}` && origin !== `https://${host}`) return false
  // Of the same host, as the browser sees it. A foreign name can be pointed to loopback: its pages would pass for our own.
  return !loopback || isLoopback(host.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1'))
}
