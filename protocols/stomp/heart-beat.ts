// What the header heart-beat of CONNECT asks for and gets (STOMP 1.1, 1.2 "Heart-beating"). The beats themselves: protocols/shared/heart-beat.ts.
import { type HeartBeatTimes, SCHEDULE_LATE_MS } from '../shared/heart-beat.ts'

export type Intervals = Readonly<{ sendMs: number; receiveMs: number }>

/** `wanted` is the client's header `cx,cy`; undefined when it is malformed. 0: none in that direction. */
export function negotiate(wanted: string | undefined, offer: Intervals): Intervals | undefined {
  if (wanted === undefined) return { sendMs: 0, receiveMs: 0 }
  const match = /^ *(\d{1,10}) *, *(\d{1,10}) *$/.exec(wanted)
  if (match === null) return undefined
  const canSend = Number(match[1])
  const wants = Number(match[2])
  return {
    sendMs: wants === 0 || offer.sendMs === 0 ? 0 : Math.max(wants, offer.sendMs),
    receiveMs: canSend === 0 || offer.receiveMs === 0 ? 0 : Math.max(canSend, offer.receiveMs),
  }
}

/** `grace`: how many times its interval a client may be silent. */
export function timesOf({ sendMs, receiveMs }: Intervals, grace: number): HeartBeatTimes {
  // Early enough that the promise is kept although the schedule runs late, and the network too.
  return { beatAfterMs: sendMs === 0 ? 0 : Math.max(sendMs / 2, sendMs - 4 * SCHEDULE_LATE_MS), silenceMaxMs: receiveMs * grace }
}
