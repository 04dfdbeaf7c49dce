// `bascule connections`: who is connected to a node, and what each has in hand.
import type { ConnectionFigures, ConnectionsPage } from '../core/administration.ts'
import { ask, managementUrl } from './management.ts'
import { table } from './table.ts'
import { readFlags } from './usage.ts'

const options = { url: { type: 'string' }, json: { type: 'boolean' } } as const

export async function connections(args: readonly string[]): Promise<number> {
  const { values } = readFlags(args, options, 0)
  const sessions: ConnectionFigures[] = []
  for (let after: number | undefined = 0; after !== undefined; ) {
    const page: ConnectionsPage = await ask<ConnectionsPage>(managementUrl(values.url), 'GET', `/api/connections?after=${after}`)
    sessions.push(...page.connections)
    after = page.next
  }
  const all = byConnection(sessions)
  if (values.json === true) {
    process.stdout.write(`${JSON.stringify({ connections: all })}\n`)
    return 0
  }
  const rows = all.map((one) => [
    one.protocol,
    one.remote,
    one.clientId,
    one.user,
    one.consumers,
    Number.isFinite(one.credit) ? one.credit : '∞',
    one.unsettled,
    one.parked,
  ])
  process.stdout.write(table(['protocol', 'remote', 'client', 'user', 'consumers', 'credit', 'unsettled', 'parked'], rows))
  return 0
}

/** A protocol may have several sessions on one connection: they are added up. */
function byConnection(sessions: readonly ConnectionFigures[]): readonly ConnectionFigures[] {
  const found = new Map<string, ConnectionFigures>()
  for (const one of sessions) {
    const key = `${one.protocol} ${one.remote}`
    const known = found.get(key)
    if (known === undefined) found.set(key, one)
    else
      found.set(key, {
        ...known,
        clientId: known.clientId === '' ? one.clientId : known.clientId,
        consumers: known.consumers + one.consumers,
        credit: known.credit + one.credit,
        unsettled: known.unsettled + one.unsettled,
        parked: known.parked + one.parked,
      })
  }
  return [...found.values()]
}
