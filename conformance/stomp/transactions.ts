// BEGIN, COMMIT and ABORT, and what may be part of a transaction.
import type { Chapter, Clause } from '../check.ts'
import type { Version } from '../clients/stomp-frame.ts'
import type { StompWire } from '../clients/stomp-wire.ts'
import { closesSilently, ignores, takes, withoutHeader } from './mutants.ts'
import { connected, fill, fillWithin, leave, leftBefore, leftIn, mustBeList, naming, numbered, only, queueOf, receive, subscribe } from './session.ts'

const outside = takes('does at once what belongs to a transaction', ['SEND', 'ACK', 'NACK'], (frame) => withoutHeader(frame, 'transaction'))
const commits = takes('takes ABORT for COMMIT', 'ABORT', (frame) => ({ ...frame, command: 'COMMIT' }))

export function transactions(version: Version): Chapter {
  const id = numbered(version, 'TX')
  /** Messages of an open transaction never arrive when it ends like this. */
  const rolledBack = (letter: string, how: string, end: (wire: StompWire) => Promise<void>): Clause => ({
    id: id(letter),
    level: 'must',
    says: `${how}, nothing of an open transaction happens.`,
    how: `Two SENDs in a transaction; ${how.toLowerCase()}; the queue holds nothing of it.`,
    async run(trial) {
      const wire = await connected(trial, version)
      await wire.call('BEGIN', { transaction: 'tx' })
      fillWithin(wire, 'tx', queueOf(trial), ['one', 'two'])
      await end(wire)
      mustBeList(await leftBefore(trial, version, queueOf(trial)), [], 'what the queue holds')
    },
    mutants: letter === 'c' ? [outside, commits] : [outside],
  })
  /** A frame that names no transaction as it must. */
  const refused = (letter: string, what: string, command: string, headers: Readonly<Record<string, string>>): Clause => ({
    id: id(letter),
    // 1.0 says only that a server may send ERROR.
    level: version === '1.0' ? 'may' : 'should',
    says: `${what} is an ERROR.`,
    how: `${command} ${Object.keys(headers).length === 0 ? 'without the header transaction' : 'of a name that was never begun'}.`,
    async run(trial) {
      const wire = await connected(trial, version)
      wire.send(command, headers)
      await wire.error(`after ${command}`)
    },
    mutants: [closesSilently],
  })
  return {
    title: 'Transactions',
    clauses: [
      {
        id: id('a'),
        level: 'must',
        says: 'What is sent in a transaction is there after COMMIT, all of it, in its order.',
        how: 'Three SENDs in a transaction, COMMIT; another reads the queue.',
        async run(trial) {
          const wire = await connected(trial, version)
          await wire.call('BEGIN', { transaction: 'tx' })
          fillWithin(wire, 'tx', queueOf(trial), ['one', 'two', 'three'])
          await wire.call('COMMIT', { transaction: 'tx' })
          mustBeList(await leftIn(trial, version, queueOf(trial), 'three'), ['one', 'two', 'three'], 'what the queue holds')
        },
        mutants: [
          ignores('COMMIT'),
          takes('loses a message of a transaction', 'SEND', (frame) => (frame.body.toString() === 'two' ? 'drop' : undefined)),
        ],
      },
      {
        id: id('b'),
        level: 'must',
        says: 'Before COMMIT nobody sees what is sent in a transaction.',
        how: 'A subscriber; a SEND in a transaction, a SEND outside, COMMIT: the one outside comes first.',
        async run(trial) {
          const reader = await connected(trial, version)
          await subscribe(reader, queueOf(trial))
          const wire = await connected(trial, version)
          await wire.call('BEGIN', { transaction: 'tx' })
          fillWithin(wire, 'tx', queueOf(trial), ['inside'])
          await fill(wire, queueOf(trial), ['outside'])
          await receive(reader, ['outside'])
          await wire.call('COMMIT', { transaction: 'tx' })
          await receive(reader, ['inside'])
        },
        mutants: [outside],
      },
      rolledBack('c', 'After ABORT', async (wire) => void (await wire.call('ABORT', { transaction: 'tx' }))),
      rolledBack('d', 'After DISCONNECT', leave),
      rolledBack('e', 'After the end of the TCP connection', async (wire) => wire.destroy()),
      {
        id: id('f'),
        level: 'must',
        says: 'An ACK in a transaction counts with COMMIT.',
        how: 'Two messages are received with `ack:client`; the first is acknowledged in a transaction, COMMIT, the client leaves; another gets the second only.',
        async run(trial) {
          const wire = await connected(trial, version)
          await subscribe(wire, queueOf(trial), { ack: 'client' })
          await fill(wire, queueOf(trial), ['one', 'two'])
          const [one] = await receive(wire, ['one', 'two'])
          await wire.call('BEGIN', { transaction: 'tx' })
          await wire.call('ACK', { ...naming(wire, one), transaction: 'tx' })
          await wire.call('COMMIT', { transaction: 'tx' })
          await leave(wire)
          mustBeList(await leftIn(trial, version, queueOf(trial), 'two'), ['two'], 'what another gets')
        },
        mutants: [ignores('COMMIT'), ignores('ACK')],
      },
      {
        id: id('g'),
        level: version === '1.0' ? 'must' : 'should',
        says: 'An ACK in a transaction does not count if that is aborted.',
        how: 'A message is received with `ack:client` and acknowledged in a transaction; ABORT, the client leaves; another gets it.',
        async run(trial) {
          const wire = await connected(trial, version)
          await subscribe(wire, queueOf(trial), { ack: 'client' })
          await fill(wire, queueOf(trial), ['one'])
          const [one] = await receive(wire, ['one'])
          await wire.call('BEGIN', { transaction: 'tx' })
          await wire.call('ACK', { ...naming(wire, one), transaction: 'tx' })
          await wire.call('ABORT', { transaction: 'tx' })
          await leave(wire)
          await fill(await connected(trial, version), queueOf(trial), ['end'])
          mustBeList(await leftIn(trial, version, queueOf(trial), 'end'), ['one', 'end'], 'what another gets')
        },
        mutants: [outside, commits],
      },
      {
        id: id('h'),
        level: version === '1.0' ? 'must' : 'should',
        says: 'An ACK in a transaction that is still open when the client goes does not count.',
        how: 'A message is received with `ack:client` and acknowledged in a transaction; the connection is cut; another gets it.',
        async run(trial) {
          const wire = await connected(trial, version)
          await subscribe(wire, queueOf(trial), { ack: 'client' })
          await fill(wire, queueOf(trial), ['one'])
          const [one] = await receive(wire, ['one'])
          await wire.call('BEGIN', { transaction: 'tx' })
          await wire.call('ACK', { ...naming(wire, one), transaction: 'tx' })
          wire.destroy()
          mustBeList(await leftIn(trial, version, queueOf(trial), 'one'), ['one'], 'what another gets')
        },
        mutants: [outside],
      },
      ...only(version, ['1.2', '1.1'], () => ({
        id: id('i'),
        level: 'must',
        says: 'Transactions of one connection are apart: one may be aborted and the other committed.',
        how: 'Two transactions with a SEND each; the first is aborted, the second committed.',
        async run(trial) {
          const wire = await connected(trial, version)
          for (const transaction of ['no', 'yes']) {
            await wire.call('BEGIN', { transaction })
            fillWithin(wire, transaction, queueOf(trial), [transaction])
          }
          await wire.call('ABORT', { transaction: 'no' })
          await wire.call('COMMIT', { transaction: 'yes' })
          mustBeList(await leftIn(trial, version, queueOf(trial), 'yes'), ['yes'], 'what the queue holds')
        },
        mutants: [
          commits,
          takes('knows one transaction', ['BEGIN', 'SEND', 'COMMIT', 'ABORT'], (frame) => ({
            ...frame,
            headers: frame.headers.map(([name, value]) => [name, name === 'transaction' ? 'the-only-one' : value]),
          })),
        ],
      })),
      {
        id: id('j'),
        level: 'must',
        says: 'Names of transactions are of one connection: others may use the same.',
        how: 'Two connections with a transaction of the same name; one aborts, the other commits.',
        async run(trial) {
          const one = await connected(trial, version)
          const two = await connected(trial, version)
          for (const wire of [one, two]) await wire.call('BEGIN', { transaction: 'tx' })
          fillWithin(one, 'tx', queueOf(trial), ['one'])
          fillWithin(two, 'tx', queueOf(trial), ['two'])
          await one.call('ABORT', { transaction: 'tx' })
          await two.call('COMMIT', { transaction: 'tx' })
          mustBeList(await leftIn(trial, version, queueOf(trial), 'two'), ['two'], 'what the queue holds')
        },
        mutants: [
          {
            says: 'knows a name once in all connections',
            start: () => {
              let begun = false
              return ({ toClient }) => ({
                toBroker: (raw) => {
                  if (!raw.toString().startsWith('BEGIN')) return undefined
                  if (!begun) return void (begun = true)
                  toClient(Buffer.from('ERROR\nmessage:begun\n\n\0'))
                  return 'close'
                },
              })
            },
          },
          commits,
        ],
      },
      refused('k', 'BEGIN without the header transaction', 'BEGIN', {}),
      refused('l', 'COMMIT without the header transaction', 'COMMIT', {}),
      refused('m', 'ABORT without the header transaction', 'ABORT', {}),
      refused('n', 'COMMIT of a transaction that is not open', 'COMMIT', { transaction: 'none' }),
      refused('o', 'ABORT of a transaction that is not open', 'ABORT', { transaction: 'none' }),
      {
        id: id('p'),
        level: 'may',
        says: 'Clients must not begin a transaction of a name that is open: a server that is told to may answer ERROR.',
        how: 'BEGIN twice with the same name.',
        async run(trial) {
          const wire = await connected(trial, version)
          await wire.call('BEGIN', { transaction: 'tx' })
          wire.send('BEGIN', { transaction: 'tx' })
          await wire.error('after a second BEGIN of the same name')
        },
        mutants: [closesSilently],
      },
      {
        id: id('q'),
        level: version === '1.0' ? 'may' : 'should',
        says: 'After COMMIT the transaction is over: a SEND that names it cannot be processed, which is an ERROR.',
        how: 'BEGIN, COMMIT, then a SEND in that transaction.',
        async run(trial) {
          const wire = await connected(trial, version)
          await wire.call('BEGIN', { transaction: 'tx' })
          await wire.call('COMMIT', { transaction: 'tx' })
          wire.send('SEND', { destination: queueOf(trial), transaction: 'tx' }, 'late')
          await wire.error('after a SEND in a transaction that was committed')
        },
        mutants: [closesSilently],
      },
    ],
  }
}
