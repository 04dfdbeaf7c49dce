// SEND, and the header receipt with the frames that can ask for one.
import type { Chapter, Clause } from '../check.ts'
import { header, type Version } from '../clients/stomp-frame.ts'
import type { StompWire } from '../clients/stomp-wire.ts'
import { mustEqual } from '../outcome.ts'
import { neverCloses } from '../mutant.ts'
import type { Trial } from '../trial.ts'
import { changes, closesSilently, ignores, mapHeaders, never, takes, withHeader, withoutHeader } from './mutants.ts'
import { connected, fill, leave, leftIn, mustBeList, naming, numbered, only, queueOf, receive, subscribe } from './session.ts'

/** A SEND that the server cannot serve: since 1.1 that is an ERROR and the end of the connection; 1.0 says only that a server may send ERROR. */
function refusedSend(id: string, version: Version): Clause {
  return {
    id,
    level: version === '1.0' ? 'may' : 'must',
    says: `A SEND that cannot be processed (without destination) is answered by ERROR${version === '1.0' ? '' : ' and the end of the connection'}.`,
    how: 'SEND without destination.',
    async run(trial) {
      const wire = await connected(trial, version)
      wire.send('SEND', {}, 'body')
      if (version === '1.0') await wire.error('after a SEND without destination')
      else await wire.refused('after a SEND without destination')
    },
    mutants: version === '1.0' ? [closesSilently] : [neverCloses, closesSilently],
  }
}

export function send(version: Version): Chapter {
  const id = numbered(version, 'SEND')
  return {
    title: 'SEND',
    clauses: [
      {
        id: id('a'),
        level: 'must',
        says: 'The body of a SEND is the message that a subscriber of its destination gets.',
        how: 'Two SENDs to a queue that another connection subscribes to.',
        async run(trial) {
          const reader = await connected(trial, version)
          await subscribe(reader, queueOf(trial))
          const wire = await connected(trial, version)
          await fill(wire, queueOf(trial), ['one', 'two'])
          await receive(reader, ['one', 'two'])
        },
        mutants: [changes('changes bodies', 'MESSAGE', (frame) => ({ ...frame, body: Buffer.from('other') })), never('MESSAGE'), ignores('SEND')],
      },
      {
        id: id('b'),
        level: 'must',
        says: 'A SEND may have no body.',
        how: 'SEND without a body to a subscriber.',
        async run(trial) {
          const wire = await connected(trial, version)
          await subscribe(wire, queueOf(trial))
          await fill(wire, queueOf(trial), ['', 'end'])
          await receive(wire, ['', 'end'])
        },
        mutants: [changes('drops what is empty', 'MESSAGE', (frame) => (frame.body.length === 0 ? 'drop' : undefined))],
      },
      refusedSend(id('c'), version),
      {
        id: id('d'),
        // Nobody says that it cannot be processed; that the connection ends after ERROR is told by ERROR-a.
        level: version === '1.0' ? 'may' : 'should',
        says: 'A SEND in a transaction that was never begun is answered by ERROR.',
        how: 'SEND in a transaction that was never begun.',
        async run(trial) {
          const wire = await connected(trial, version)
          wire.send('SEND', { destination: queueOf(trial), transaction: 'none' }, 'body')
          await wire.error('after a SEND in a transaction that was never begun')
        },
        mutants: [closesSilently],
      },
      {
        id: id('e'),
        level: version === '1.0' ? 'should' : 'must',
        says: 'Headers that the application adds to SEND come with MESSAGE.',
        how: 'SEND with headers of its own to a subscriber.',
        async run(trial) {
          // A value of nothing is allowed since 1.1.
          const more = version === '1.0' ? {} : { empty: '' }
          const wire = await connected(trial, version)
          await subscribe(wire, queueOf(trial))
          wire.send('SEND', { destination: queueOf(trial), colour: 'blue', 'x-count': '7', ...more }, 'body')
          const message = await wire.next('MESSAGE')
          mustEqual(header(message, 'colour'), 'blue', 'the header colour of MESSAGE')
          mustEqual(header(message, 'x-count'), '7', 'the header x-count of MESSAGE')
          if (version !== '1.0') mustEqual(header(message, 'empty'), '', 'the header empty of MESSAGE')
        },
        mutants: ['colour', 'x-count', ...(version === '1.0' ? [] : ['empty'])].map((name) =>
          changes(`drops ${name}`, 'MESSAGE', (frame) => withoutHeader(frame, name)),
        ),
      },
      {
        id: id('f'),
        level: 'must',
        says: 'Destinations are opaque strings whose meaning is the server’s.',
        unchecked: 'It asks nothing that could be seen.',
      },
    ],
  }
}

/** Prepares, and answers the headers of the frame that is to be receipted. */
type Prepare = (wire: StompWire, trial: Trial) => Promise<Readonly<Record<string, string>>>

const nothing: Prepare = async () => ({})
const begun: Prepare = async (wire) => {
  await wire.call('BEGIN', { transaction: 'tx' })
  return { transaction: 'tx' }
}
const received: Prepare = async (wire, trial) => {
  await subscribe(wire, queueOf(trial), { ack: 'client' })
  await fill(wire, queueOf(trial), ['body'])
  return naming(wire, await wire.next('MESSAGE'))
}

export function receipts(version: Version): Chapter {
  const id = numbered(version, 'RECEIPT')
  const receipted = (letter: string, command: string, prepare: Prepare): Clause => ({
    id: id(letter),
    level: 'must',
    says: `${command} with a receipt is answered by a RECEIPT that names it.`,
    how: `${command} with the header receipt.`,
    async run(trial) {
      const wire = await connected(trial, version)
      const headers = await prepare(wire, trial)
      const receipt = `the receipt of ${command}`
      wire.send(command, { ...headers, receipt })
      mustEqual(header(await wire.next('RECEIPT'), 'receipt-id'), receipt, 'the receipt-id')
    },
    mutants: [
      changes('sends no RECEIPT', 'RECEIPT', (frame) => (header(frame, 'receipt-id')?.startsWith('the') === true ? 'drop' : undefined)),
      changes('names no frame in RECEIPT', 'RECEIPT', (frame) =>
        header(frame, 'receipt-id')?.startsWith('the') === true ? withHeader(frame, 'receipt-id', '') : undefined,
      ),
    ],
  })
  return {
    title: 'The header receipt, and RECEIPT',
    clauses: [
      receipted('a', 'SEND', async (_, trial) => ({ destination: queueOf(trial) })),
      receipted('b', 'SUBSCRIBE', async (_, trial) => ({ id: '1', destination: queueOf(trial) })),
      receipted('c', 'UNSUBSCRIBE', async (wire, trial) => {
        await subscribe(wire, queueOf(trial), { id: '1' })
        return { id: '1' }
      }),
      receipted('d', 'BEGIN', async () => ({ transaction: 'tx' })),
      receipted('e', 'COMMIT', begun),
      receipted('f', 'ABORT', begun),
      receipted('g', 'ACK', received),
      ...only(version, ['1.2', '1.1'], () => receipted('h', 'NACK', received)),
      receipted('i', 'DISCONNECT', nothing),
      {
        id: id('j'),
        level: 'must',
        says: 'The value of a receipt is arbitrary.',
        how: 'A SEND whose receipt has spaces, signs and letters of other scripts, and a long one.',
        async run(trial) {
          const wire = await connected(trial, version)
          for (const receipt of ['a b;c=d/é€', 'r'.repeat(500)]) {
            wire.send('SEND', { destination: queueOf(trial), receipt }, 'body')
            mustEqual(header(await wire.next('RECEIPT'), 'receipt-id'), receipt, 'the receipt-id')
          }
        },
        mutants: [
          changes('cuts receipts', 'RECEIPT', (frame) => mapHeaders(frame, ([name, value]) => [name, value.slice(0, 100)])),
          changes('knows letters and digits only', 'RECEIPT', (frame) => mapHeaders(frame, ([name, value]) => [name, value.replace(/[^\w-]/g, '')])),
        ],
      },
      {
        id: id('k'),
        level: 'must',
        says: 'Who asks for no receipt gets none.',
        how: 'A SEND without receipt, then one with: one RECEIPT comes, and the receipt of DISCONNECT.',
        async run(trial) {
          const wire = await connected(trial, version)
          wire.send('SEND', { destination: queueOf(trial) }, 'body')
          wire.send('SEND', { destination: queueOf(trial), receipt: 'wanted' }, 'body')
          mustEqual(header(await wire.next('RECEIPT'), 'receipt-id'), 'wanted', 'the first receipt-id')
          wire.send('DISCONNECT', { receipt: 'bye' })
          mustEqual(header(await wire.next('RECEIPT'), 'receipt-id'), 'bye', 'the second receipt-id')
        },
        mutants: [takes('gives everybody a receipt', 'SEND', (frame) => withHeader(frame, 'receipt', header(frame, 'receipt') ?? 'unasked'))],
      },
      {
        id: id('l'),
        level: 'should',
        says: 'What was received before a receipted frame is processed even if the client goes then.',
        how: 'Two hundred SENDs, the last with a receipt; the client is gone with the RECEIPT; another reads them all.',
        async run(trial) {
          const wire = await connected(trial, version)
          const bodies = Array.from({ length: 200 }, (_, i) => `m${i}`)
          for (const body of bodies.slice(0, -1)) wire.send('SEND', { destination: queueOf(trial) }, body)
          await fill(wire, queueOf(trial), bodies.slice(-1))
          wire.destroy()
          mustBeList(await leftIn(trial, version, queueOf(trial), 'm199'), bodies, 'what another gets')
        },
        mutants: [takes('loses a message', 'SEND', (frame) => (frame.body.toString() === 'm150' ? 'drop' : undefined))],
      },
      {
        id: id('m'),
        level: 'must',
        says: 'The RECEIPT of a SEND says that it was processed: the message is there.',
        how: 'SEND with a receipt; with the RECEIPT the client is gone; another reads the message.',
        async run(trial) {
          const wire = await connected(trial, version)
          await fill(wire, queueOf(trial), ['one'])
          wire.destroy()
          mustBeList(await leftIn(trial, version, queueOf(trial), 'one'), ['one'], 'what another gets')
        },
        mutants: [ignores('SEND')],
      },
    ],
  }
}

export function disconnect(version: Version): Chapter {
  const id = numbered(version, 'DISCONNECT')
  return {
    title: 'DISCONNECT',
    clauses: [
      {
        id: id('a'),
        level: version === '1.0' ? 'may' : 'must',
        says: 'The RECEIPT of DISCONNECT says that everything before it was received.',
        how: 'A hundred SENDs without receipts, DISCONNECT with one; another reads them all.',
        async run(trial) {
          const wire = await connected(trial, version)
          const bodies = Array.from({ length: 100 }, (_, i) => `m${i}`)
          for (const body of bodies) wire.send('SEND', { destination: queueOf(trial) }, body)
          await leave(wire)
          mustBeList(await leftIn(trial, version, queueOf(trial), 'm99'), bodies, 'what another gets')
        },
        mutants: [takes('loses a message', 'SEND', (frame) => (frame.body.toString() === 'm50' ? 'drop' : undefined)), never('RECEIPT')],
      },
      {
        id: id('b'),
        level: 'must',
        says: 'A connection that ends ends its subscriptions: what comes then goes to others.',
        how: 'Two subscribers of a queue; one sends DISCONNECT, then messages come: the other gets them all.',
        async run(trial) {
          const stays = await connected(trial, version)
          await subscribe(stays, queueOf(trial))
          const goes = await connected(trial, version)
          await subscribe(goes, queueOf(trial))
          goes.send('DISCONNECT', { receipt: 'bye' })
          await goes.receipt('bye')
          await fill(stays, queueOf(trial), ['one', 'two', 'three'])
          await receive(stays, ['one', 'two', 'three'])
        },
        mutants: [ignores('DISCONNECT')],
      },
    ],
  }
}
