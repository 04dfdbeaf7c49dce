// "Heart-beating". These checks take seconds: brokers agree on intervals from about one second up.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Chapter } from '../check.ts'
import { header, type Version } from '../clients/stomp-frame.ts'
import type { Received, StompWire } from '../clients/stomp-wire.ts'
import { fail, mustBe, mustEqual, notSupported, skip } from '../outcome.ts'
import { type Mutant, mutant } from '../mutant.ts'
import { connecting, fill, numbered, queueOf } from './session.ts'

/** The least that is asked for; a broker may make it more. */
const ASKED_MS = 1000
/** Longer than this nobody waits for an interval. */
const INTERVAL_MAX_MS = 5000

/** What CONNECTED says of each direction, in milliseconds; 0: none. */
function offered(connected: Received): Readonly<{ sends: number; wants: number }> {
  const [sends = 0, wants = 0] = (header(connected, 'heart-beat') ?? '0,0').split(',').map(Number)
  return { sends, wants }
}

function interval(asked: number, offers: number, whose: string): number {
  if (offers === 0) notSupported(`the server offers no heart-beats ${whose}`)
  const ms = Math.max(asked, offers)
  if (ms > INTERVAL_MAX_MS) skip(`the interval would be ${ms} ms`)
  return ms
}

/** Fails if between two pieces of what comes more than three times as long passes: machines are busy, and a heart-beat that is only late is not what this is about. */
async function mustBeat(wire: StompWire, ms: number, rounds: number): Promise<void> {
  for (let i = 0; i < rounds; i++) {
    const before = wire.heardAtMs.length
    const late = `nothing came for three times the interval of ${ms} ms`
    await wire.trial.within(
      (async () => {
        while (wire.heardAtMs.length === before && !wire.inbox.ended) await sleep(20)
      })(),
      late,
      ms * 3,
    )
    if (wire.inbox.ended) fail('the connection was closed')
  }
}

const silent: Mutant = mutant('sends no heart-beats', () => ({ toClient: (raw) => (raw[0] === 10 || raw[0] === 13 ? [] : undefined) }))

/** Closes so long after the connection began. */
const cutsAfter = (says: string, ms: number): Mutant =>
  mutant(says, ({ close }) => {
    const timer = setTimeout(close, ms)
    timer.unref()
    return {}
  })

export function heartBeating(version: Version): Chapter {
  const id = numbered(version, 'BEAT')
  return {
    title: 'Heart-beating',
    clauses: [
      {
        id: id('a'),
        level: 'must',
        says: 'A CONNECT without heart-beat is one with `heart-beat:0,0`: nothing is expected of the client, and nothing is sent to it.',
        how: 'CONNECT without heart-beat, three of the server’s intervals of silence, then a SEND with a receipt.',
        async run(trial) {
          const { wire, connected } = await connecting(trial, version)
          const { sends, wants } = offered(connected)
          if (sends > INTERVAL_MAX_MS || wants > INTERVAL_MAX_MS) skip('the server’s own intervals are too long to wait for')
          await sleep(Math.max(sends, wants) * 3)
          mustEqual(wire.beats.unread.length, 0, 'the number of heart-beats that came')
          await fill(wire, queueOf(trial), ['body'])
        },
        mutants: [
          cutsAfter('expects heart-beats', 1500),
          mutant('sends heart-beats', ({ toClient }) => {
            let timer: NodeJS.Timeout | undefined
            const stop = (): boolean => {
              clearInterval(timer)
              return true
            }
            return {
              toClient: (raw) => {
                if (raw.includes('CONNECTED')) timer = setInterval(() => toClient(Buffer.from('\n')), 300)
                return undefined
              },
              brokerClosed: stop,
              clientClosed: stop,
            }
          }),
        ],
      },
      {
        id: id('b'),
        level: 'must',
        says: 'The server sends something at least every so many milliseconds as the larger of what it can and what the client wants.',
        how: `CONNECT with \`heart-beat:0,${ASKED_MS}\`, then three intervals of listening.`,
        async run(trial) {
          const { wire, connected } = await connecting(trial, version, { 'heart-beat': `0,${ASKED_MS}` })
          await mustBeat(wire, interval(ASKED_MS, offered(connected).sends, 'of its own'), 3)
        },
        mutants: [
          silent,
          mutant('sends every fifth heart-beat', () => {
            let beats = 0
            return { toClient: (raw) => (raw[0] === 10 && ++beats % 5 !== 0 ? [] : undefined) }
          }),
        ],
      },
      {
        id: id('c'),
        level: 'must',
        says: 'Without a frame to send the server sends a line end.',
        how: `CONNECT with \`heart-beat:0,${ASKED_MS}\`: what comes first is a line end.`,
        async run(trial) {
          const { wire, connected } = await connecting(trial, version, { 'heart-beat': `0,${ASKED_MS}` })
          const ms = interval(ASKED_MS, offered(connected).sends, 'of its own')
          const beat = await trial.within(Promise.race([wire.beats.next('a line end'), wire.inbox.next('a line end')]), 'no line end came', ms * 4)
          mustBe(Buffer.isBuffer(beat), 'a frame came where a line end was due')
        },
        mutants: [
          silent,
          mutant('sends NUL as heart-beat', () => ({ toClient: (raw) => (raw[0] === 10 ? Buffer.from([0]) : undefined) })),
          mutant('sends a frame as heart-beat', () => ({
            toClient: (raw) => (raw[0] === 10 ? Buffer.from('RECEIPT\nreceipt-id:beat\n\n\0') : undefined),
          })),
        ],
      },
      {
        id: id('d'),
        level: 'should',
        says: 'The server bears with a client whose heart-beats come a little late.',
        how: `CONNECT with \`heart-beat:${ASKED_MS},0\`, five line ends, each a twentieth of the interval late, then a SEND with a receipt.`,
        async run(trial) {
          const { wire, connected } = await connecting(trial, version, { 'heart-beat': `${ASKED_MS},0` })
          const ms = interval(ASKED_MS, offered(connected).wants, 'of the client')
          for (let i = 0; i < 5; i++) {
            await sleep(ms * 1.05)
            wire.bytes('\n')
          }
          await fill(wire, queueOf(trial), ['body'])
        },
        mutants: [cutsAfter('ends the connection at the first late heart-beat', 1040)],
      },
      {
        id: id('e'),
        level: 'must',
        says: 'Whatever comes from the client shows that it is there, not its line ends alone.',
        how: `CONNECT with \`heart-beat:${ASKED_MS},0\`, a SEND in every interval for four of them, and no line end.`,
        async run(trial) {
          const { wire, connected } = await connecting(trial, version, { 'heart-beat': `${ASKED_MS},0` })
          const ms = interval(ASKED_MS, offered(connected).wants, 'of the client')
          for (let i = 0; i < 5; i++) {
            await sleep(ms * 0.8)
            wire.send('SEND', { destination: queueOf(trial) }, 'body')
          }
          await fill(wire, queueOf(trial), ['body'])
        },
        mutants: [cutsAfter('hears line ends only', 2100)],
      },
      {
        id: id('f'),
        level: 'must',
        says: 'A client that says 0 for a direction gets none in that direction, whatever it says for the other.',
        how: `CONNECT with \`heart-beat:${ASKED_MS},0\`, three intervals in which the client alone sends line ends.`,
        async run(trial) {
          const { wire, connected } = await connecting(trial, version, { 'heart-beat': `${ASKED_MS},0` })
          const { sends, wants } = offered(connected)
          const ms = Math.max(sends, ASKED_MS)
          if (ms > INTERVAL_MAX_MS || wants > INTERVAL_MAX_MS) skip('the server’s own intervals are too long to wait for')
          for (let i = 0; i < 6; i++) {
            await sleep(ms / 2)
            wire.bytes('\n')
          }
          await fill(wire, queueOf(trial), ['body'])
          mustEqual(wire.beats.unread.length, 0, 'the number of heart-beats that came')
        },
        mutants: [
          mutant('sends heart-beats to who gives some', ({ toClient }) => ({
            toBroker: (raw) => {
              if (raw[0] === 10) toClient(Buffer.from('\n'))
              return undefined
            },
          })),
        ],
      },
      {
        id: id('g'),
        level: 'may',
        says: 'A client that is silent for longer than was agreed may be taken for dead.',
        unchecked: 'It may as well not.',
      },
    ],
  }
}
