// Temporary destinations as ActiveMQ's STOMP has them: `/temp-queue/x` is this connection's own, made by using it, and known to others as
// `/remote-temp-queue/<owner>.x`: that is how a reply-to reaches them. The owner is the client-id, so that a client that comes back finds
// what it had; without one it is the connection, and what it had is found by nobody.
import type { Address, QueueOptions, Ticket } from '../../src/api.ts'
import { isTemporary, TEMPORARY, toDotted } from '../shared/naming.ts'
import type { StompConnection } from './connection.ts'

export const OWN = '/temp-'
const OWN_NAME = /^\/temp-(queue|topic)\/(.*)$/s

/** First segment behind `$temp` of what a client owns; another protocol's clients, and those without a name, have others. */
export function ownerOf(clientId: string, sessionId: string): string {
  return clientId === '' ? `stomp-${sessionId}` : `stomp-client-${encodeURIComponent(clientId).replaceAll('.', '%2E')}`
}

/** `/temp-queue/x` as others know it; anything else as it is. */
export function remoteName(owner: string, destination: string): string {
  const [, kind, name] = OWN_NAME.exec(destination) ?? []
  return kind === undefined ? destination : `/remote-temp-${kind}/${owner}.${name}`
}

/** What a temporary destination is called on the connection of this owner. */
export function temporaryName(owner: string, address: Address): string {
  const [, first, ...rest] = address.path
  return first === owner ? `/temp-${address.kind}/${toDotted(rest)}` : `/remote-temp-${address.kind}/${toDotted(address.path.slice(1))}`
}

export function remoteTemporaryName(address: Address): string {
  return `/remote-temp-${address.kind}/${toDotted(address.path.slice(1))}`
}

/** The path of `/temp-queue/x` (of this owner) and `/remote-temp-queue/x`. */
export function temporaryPath(path: readonly string[], owner: string | undefined): string[] {
  return owner === undefined ? [TEMPORARY, ...path] : [TEMPORARY, owner, ...path]
}

/** Makes it, if it is this connection's own; takes it, if it was. 0: `session.refusal`. */
export function claimTemporary(connection: StompConnection, address: Address): Ticket {
  const { session, temporaryOwner } = connection
  const { settings } = connection.shared
  const owner = `stomp\0${connection.principal}\0${temporaryOwner}`
  if (address.path[1] !== temporaryOwner) return session.hold(address, 0, owner)
  const backlog: QueueOptions = {
    durable: true,
    lifetime: 'temporary',
    owner,
    limitMessages: settings.topicBacklogMessages,
    limitBytes: settings.topicBacklogBytes,
    whenFull: 'drop-oldest',
  }
  return session.declare(address, backlog)
}

export function isOwnTemporary(connection: StompConnection, address: Address): boolean {
  return isTemporary(address) && address.path[1] === connection.temporaryOwner
}
