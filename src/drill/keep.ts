// A client that connects again whenever its connection ends, for as long as the drill lasts: for libraries that leave that to their user.
import type { Socket } from 'node:net'
import { type Address, type Addresses, seek } from './addresses.ts'

export type Keep<Client> = Readonly<{
  addresses: Addresses
  stopped: () => boolean
  attempt: (address: Address) => Promise<Client>
  socketOf: (client: Client) => Socket
  open: (client: Client, node: number) => void
  lost: () => void
}>

/** Ends when it is connected for the first time, or stopped. */
export async function keepConnected<Client>(keep: Keep<Client>): Promise<void> {
  const { addresses, stopped, attempt, socketOf, open, lost } = keep
  const found = await seek(addresses, stopped, async (address) => ({ client: await attempt(address), node: address.node }))
  if (found === undefined) return
  const socket = socketOf(found.client)
  if (socket.destroyed) return keepConnected(keep)
  socket.once('close', () => {
    lost()
    if (!stopped()) void keepConnected(keep)
  })
  open(found.client, found.node)
}
