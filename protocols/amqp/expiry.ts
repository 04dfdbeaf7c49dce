// When a terminus goes (parts 3.5.3 to 3.5.6): what is granted of what a client asks, which the answer to its attach says.
//
// What a link has unsettled outlives it in memory, for a bounded time: a takeover or restart forgets it. A queue, and a durable subscription, live by
// themselves; so `never` is granted only to the latter.
import type { AmqpSettings } from './settings.ts'
import type { Terminus } from './terminus.ts'
import { type AmqpError, fault, quote } from './errors.ts'

type Policy = 'link-detach' | 'session-end' | 'connection-close'

/** What ends a link, or what it was part of. A link that is closed keeps nothing. */
export type Leaving = 'detach' | 'end' | 'close'

export type Expiry = Readonly<{ policy: Policy | 'never'; timeoutS: number; durable: number }>

/** Nothing outlives the link. */
export const WITH_LINK: Expiry = { policy: 'link-detach', timeoutS: 0, durable: 0 }

/** `lives`: by what it is it may outlive its link. `session-end` without a time-out is what everybody gets who asks for nothing: it is granted as the end of the link. */
export function grantOf(terminus: Terminus, lives: boolean, { linkKeepMaxMs }: AmqpSettings): Expiry | AmqpError {
  const { expiry, timeoutS, durable } = terminus
  const policy = POLICIES.find((each) => each === expiry)
  if (policy === undefined) return fault('invalid', `The expiry-policy ${quote(expiry)} of a terminus is none.`)
  const maxS = Math.floor(linkKeepMaxMs / 1000)
  // The node is there after a restart, what is unsettled is not: configuration, not unsettled-state.
  const configuration = Math.min(durable, 1)
  if (!lives || maxS === 0 || (timeoutS === 0 && (policy === 'session-end' || policy === 'link-detach')))
    return { ...WITH_LINK, durable: configuration }
  if (policy === 'never') return { policy: 'connection-close', timeoutS: maxS, durable: configuration }
  return { policy, timeoutS: Math.min(timeoutS, maxS), durable: configuration }
}

export function outlives({ policy, timeoutS }: Expiry): boolean {
  return timeoutS > 0 || policy !== 'link-detach'
}

/** Does its time begin with this? Else it waits for something larger to end. */
export function beginsWith({ policy }: Expiry, leaving: Leaving): boolean {
  return policy === 'link-detach' || leaving === 'close' || (policy === 'session-end' && leaving === 'end')
}

const POLICIES = ['link-detach', 'session-end', 'connection-close', 'never'] as const
