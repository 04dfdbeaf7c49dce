// MESSAGE and ERROR.
import type { Chapter } from '../check.ts'
import { header, type Version } from '../clients/stomp-frame.ts'
import type { Received } from '../clients/stomp-wire.ts'
import { fail, mustBe, mustEqual } from '../outcome.ts'
import { neverCloses } from '../mutant.ts'
import type { Trial } from '../trial.ts'
import { changes, lacks, says, withHeader } from './mutants.ts'
import { connected, fill, numbered, only, queueOf, receive, subscribe } from './session.ts'

export function messages(version: Version): Chapter {
  const id = numbered(version, 'MESSAGE')
  const one = async (trial: Trial, ack: string): Promise<Received> => {
    const wire = await connected(trial, version)
    await subscribe(wire, queueOf(trial), { ack })
    await fill(wire, queueOf(trial), ['body'])
    return wire.next('MESSAGE')
  }
  return {
    title: 'MESSAGE',
    clauses: [
      {
        id: id('a'),
        level: 'must',
        says: 'MESSAGE has a header destination.',
        how: 'SEND to a subscriber.',
        async run(trial) {
          if (header(await one(trial, 'auto'), 'destination') === undefined) fail('MESSAGE has no header destination')
        },
        mutants: [lacks('MESSAGE', 'destination')],
      },
      {
        id: id('b'),
        level: 'should',
        says: 'The destination of MESSAGE is the one that its SEND named.',
        how: 'SEND to a subscriber; both headers destination.',
        async run(trial) {
          mustEqual(header(await one(trial, 'auto'), 'destination'), queueOf(trial), 'the destination of MESSAGE')
        },
        mutants: [says('MESSAGE', 'destination', '/queue/other'), lacks('MESSAGE', 'destination')],
      },
      {
        id: id('c'),
        level: 'must',
        says: 'MESSAGE has a message-id that no other message has.',
        how: 'Twenty messages to a subscriber; their headers message-id.',
        async run(trial) {
          const wire = await connected(trial, version)
          await subscribe(wire, queueOf(trial))
          const bodies = Array.from({ length: 20 }, (_, i) => `m${i}`)
          await fill(wire, queueOf(trial), bodies)
          const ids = (await receive(wire, bodies)).map((message) => header(message, 'message-id') ?? fail('MESSAGE has no message-id'))
          mustEqual(new Set(ids).size, 20, 'the number of different message-ids')
        },
        mutants: [lacks('MESSAGE', 'message-id'), says('MESSAGE', 'message-id', '1')],
      },
      {
        id: id('d'),
        level: version === '1.0' ? 'should' : 'must',
        says: 'MESSAGE names the subscription by which it comes.',
        how: 'SEND to a subscriber; the header subscription.',
        async run(trial) {
          mustEqual(header(await one(trial, 'auto'), 'subscription'), 'sub', 'the subscription of MESSAGE')
        },
        mutants: [lacks('MESSAGE', 'subscription'), says('MESSAGE', 'subscription', 'another')],
      },
      ...only(version, ['1.2'], () => ({
        id: id('e'),
        level: 'must',
        says: 'MESSAGE has a header ack where it is to be acknowledged.',
        how: 'SEND to subscribers with `ack:client` and `ack:client-individual`.',
        async run(trial) {
          for (const mode of ['client', 'client-individual']) {
            const wire = await connected(trial, version)
            await subscribe(wire, queueOf(trial, mode), { ack: mode })
            await fill(wire, queueOf(trial, mode), ['body'])
            if (header(await wire.next('MESSAGE'), 'ack') === undefined) fail(`MESSAGE to a subscriber with ack:${mode} has no header ack`)
          }
        },
        mutants: [lacks('MESSAGE', 'ack')],
      })),
      ...only(version, ['1.2'], () => ({
        id: id('f'),
        level: 'must',
        says: 'The header ack names one delivery among all that are outstanding on its connection.',
        how: 'Two subscriptions with `ack:client-individual`, three messages each; their headers ack.',
        async run(trial) {
          const wire = await connected(trial, version)
          const acks = new Set<string | undefined>()
          for (const side of ['left', 'right']) {
            await subscribe(wire, queueOf(trial, side), { id: side, ack: 'client-individual' })
            await fill(wire, queueOf(trial, side), ['one', 'two', 'three'])
            for (const message of await receive(wire, ['one', 'two', 'three'])) acks.add(header(message, 'ack'))
          }
          mustEqual(acks.size, 6, 'the number of different headers ack')
        },
        mutants: [
          says('MESSAGE', 'ack', '1'),
          changes('counts for each subscription', 'MESSAGE', (frame) => withHeader(frame, 'ack', frame.body.toString())),
        ],
      })),
    ],
  }
}

export function errors(version: Version): Chapter {
  const id = numbered(version, 'ERROR')
  /** A SEND that no server can serve, with a receipt. */
  const provoke = async (trial: Trial): Promise<Received> => {
    const wire = await connected(trial, version)
    wire.send('SEND', { receipt: 'why' }, 'a body without a destination')
    return wire.inbox.find((frame): frame is Received => frame.command === 'ERROR', 'ERROR')
  }
  const bodiless = (frame: Received): boolean => frame.body.length === 0
  return {
    title: 'ERROR',
    clauses: [
      ...only(version, ['1.2', '1.1'], () => ({
        id: id('a'),
        level: 'must',
        says: 'After ERROR the server closes the connection.',
        how: 'A SEND without destination.',
        async run(trial) {
          const wire = await connected(trial, version)
          wire.send('SEND', {}, 'body')
          await wire.refused('after ERROR')
        },
        mutants: [neverCloses],
      })),
      {
        id: id('b'),
        level: 'should',
        says: 'ERROR has a header message that says briefly what is wrong.',
        how: 'A SEND without destination; the header message of ERROR.',
        async run(trial) {
          const message = header(await provoke(trial), 'message') ?? ''
          mustBe(message !== '', 'ERROR has no header message')
        },
        mutants: [lacks('ERROR', 'message'), says('ERROR', 'message', '')],
      },
      ...only(version, ['1.2', '1.1'], () => ({
        id: id('c'),
        level: 'should',
        says: 'ERROR names the receipt of the frame that it is about.',
        how: 'A SEND with receipt and without destination; the receipt-id of ERROR.',
        async run(trial) {
          mustEqual(header(await provoke(trial), 'receipt-id'), 'why', 'the receipt-id of ERROR')
        },
        mutants: [lacks('ERROR', 'receipt-id'), says('ERROR', 'receipt-id', 'other')],
      })),
      {
        id: id('d'),
        level: 'should',
        says: 'An ERROR with a body has a content-length.',
        how: 'A SEND without destination; the headers of ERROR.',
        async run(trial) {
          const error = await provoke(trial)
          if (!bodiless(error)) mustEqual(header(error, 'content-length'), String(error.body.length), 'the content-length of ERROR')
        },
        mutants: [lacks('ERROR', 'content-length')],
      },
      ...only(version, ['1.2', '1.1'], () => ({
        id: id('e'),
        level: 'should',
        says: 'An ERROR with a body has a content-type.',
        how: 'A SEND without destination; the headers of ERROR.',
        async run(trial) {
          const error = await provoke(trial)
          if (!bodiless(error)) mustBe(/^[\w.+-]+\/[\w.+-]+/.test(header(error, 'content-type') ?? ''), 'ERROR has a body and no content-type')
        },
        mutants: [lacks('ERROR', 'content-type'), says('ERROR', 'content-type', 'text')],
      })),
      ...only(version, ['1.2'], () => ({
        id: id('f'),
        level: 'must',
        says: 'The headers of ERROR are escaped.',
        how: 'A SEND to a destination that cannot be, with colons in its receipt; no value of a header of ERROR holds a colon.',
        async run(trial) {
          const wire = await connected(trial, version)
          wire.send('SEND', { receipt: 'a:b:c' }, 'body')
          const error = await wire.inbox.find((frame): frame is Received => frame.command === 'ERROR', 'ERROR')
          const head = error.raw.subarray(0, error.raw.length - 1 - error.body.length).toString()
          for (const line of head.split('\n').slice(1))
            if (line.split(':').length > 2) fail(`the header line ${JSON.stringify(line)} holds a colon that is not escaped`)
        },
        mutants: [
          changes('does not escape ERROR', 'ERROR', (frame) => ({
            ...frame,
            headers: frame.headers.map(([name, value]) => [name, value.replaceAll('\\c', ':')]),
          })),
        ],
      })),
      {
        id: id('g'),
        level: 'may',
        says: 'The server may keep a closed connection for a short time, and reset it then.',
        unchecked: 'How long it lingers is its own business.',
      },
    ],
  }
}
