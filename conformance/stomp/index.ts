// STOMP 1.2, 1.1 and 1.0: a suite each. What two versions say alike is one clause of both.
import type { Chapter, Suite } from '../check.ts'
import type { Version } from '../clients/stomp-frame.ts'
import { connectChapter, connectedFrame, negotiation, onceConnected } from './connect.ts'
import { bodies, encoding, frames, repeatedAndLimits } from './frames.ts'
import { heartBeating } from './heart-beat.ts'
import { oneZero } from './one-zero.ts'
import { disconnect, receipts, send } from './send.ts'
import { errors, messages } from './server-frames.ts'
import { acknowledging, ackModes, subscribing, unsubscribing } from './subscribe.ts'
import { transactions } from './transactions.ts'

const inAll: readonly ((version: Version) => Chapter)[] = [
  frames,
  bodies,
  connectChapter,
  send,
  subscribing,
  ackModes,
  unsubscribing,
  acknowledging,
  transactions,
  disconnect,
  receipts,
  messages,
  errors,
]

const since11: readonly ((version: Version) => Chapter)[] = [encoding, repeatedAndLimits, connectedFrame, negotiation, onceConnected, heartBeating]

function suite(version: Version, chapters: readonly Chapter[]): Suite {
  return {
    name: `stomp-${version}`,
    title: `STOMP ${version}`,
    specification: `https://stomp.github.io/stomp-specification-${version}.html`,
    protocols: ['stomp'],
    chapters,
  }
}

export const stomp12 = suite(
  '1.2',
  [...inAll, ...since11].map((chapter) => chapter('1.2')),
)
export const stomp11 = suite(
  '1.1',
  [...inAll, ...since11].map((chapter) => chapter('1.1')),
)
export const stomp10 = suite('1.0', [...inAll.map((chapter) => chapter('1.0')), oneZero])
