// What only STOMP 1.0 says.
import type { Chapter } from '../check.ts'
import { header } from '../clients/stomp-frame.ts'
import { fail, mustBe, mustEqual } from '../outcome.ts'
import { changes, errs, lacks, mapHeaders, takes, withHeader } from './mutants.ts'
import { connected, connecting, fill, leave, leftIn, mustBeList, naming, numbered, queueOf, receive } from './session.ts'

const id = (section: string, letter: string): string => numbered('1.0', section)(letter)

export const oneZero: Chapter = {
  title: 'Only in 1.0',
  clauses: [
    {
      id: id('CONNECTED', 'a'),
      level: 'must',
      says: 'CONNECTED has a header session.',
      how: 'CONNECT without accept-version; the header session of CONNECTED.',
      async run(trial) {
        const { connected: answer } = await connecting(trial, '1.0')
        mustBe((header(answer, 'session') ?? '') !== '', 'CONNECTED has no header session')
      },
      mutants: [lacks('CONNECTED', 'session')],
    },
    {
      id: id('CONNECTED', 'b'),
      level: 'must',
      says: 'The session identifier is another for each session.',
      how: 'Two connections; their headers session.',
      async run(trial) {
        const first = header((await connecting(trial, '1.0')).connected, 'session')
        const second = header((await connecting(trial, '1.0')).connected, 'session')
        if (first === second) fail(`both sessions are ${first ?? 'without a name'}`)
      },
      mutants: [changes('names every session alike', 'CONNECTED', (frame) => withHeader(frame, 'session', 'same'))],
    },
    {
      id: id('HEADER', 'a'),
      level: 'must',
      says: 'Headers have no escapes: a backslash stands for itself.',
      how: 'A header whose value holds `\\n` and `\\t`, from SEND to MESSAGE.',
      async run(trial) {
        const wire = await connected(trial, '1.0')
        await wire.call('SUBSCRIBE', { destination: queueOf(trial) })
        wire.bytes(`SEND\ndestination:${queueOf(trial)}\nkey:a\\nb\\t\n\nbody\0`)
        const message = await wire.next('MESSAGE')
        mustEqual(header(message, 'key'), 'a\\nb\\t', 'the header key of MESSAGE')
      },
      mutants: [changes('escapes', 'MESSAGE', (frame) => mapHeaders(frame, ([name, value]) => [name, value.replaceAll('\\', '\\\\')]))],
    },
    {
      id: id('HEADER', 'b'),
      level: 'must',
      says: 'A value may hold colons.',
      how: 'A header whose value holds colons, from SEND to MESSAGE.',
      async run(trial) {
        const wire = await connected(trial, '1.0')
        await wire.call('SUBSCRIBE', { destination: queueOf(trial) })
        wire.send('SEND', { destination: queueOf(trial), key: 'a:b:c' }, 'body')
        mustEqual(header(await wire.next('MESSAGE'), 'key'), 'a:b:c', 'the header key of MESSAGE')
      },
      mutants: [
        changes('cuts at the second colon', 'MESSAGE', (frame) => mapHeaders(frame, ([name, value]) => [name, value.split(':')[0] ?? ''])),
        changes('escapes colons', 'MESSAGE', (frame) => mapHeaders(frame, ([name, value]) => [name, value.replaceAll(':', '\\c')])),
      ],
    },
    {
      id: id('HEADER', 'c'),
      level: 'may',
      says: 'A space behind the colon, as the examples have it, does no harm.',
      how: 'SUBSCRIBE and SEND with `destination: …`, as the examples of the specification write it.',
      async run(trial) {
        const wire = await connected(trial, '1.0')
        wire.send('SUBSCRIBE', { destination: ` ${queueOf(trial)}`, ack: ' auto' })
        wire.send('SEND', { destination: ` ${queueOf(trial)}` }, 'body')
        await receive(wire, ['body'])
      },
      mutants: [errs('MESSAGE')],
    },
    {
      id: id('SUBSCRIBE', 'h'),
      level: 'must',
      says: 'A subscription needs no id.',
      how: 'SUBSCRIBE without id, then a SEND.',
      async run(trial) {
        const wire = await connected(trial, '1.0')
        await wire.call('SUBSCRIBE', { destination: queueOf(trial) })
        await fill(wire, queueOf(trial), ['body'])
        await receive(wire, ['body'])
      },
      mutants: [takes('needs an id', 'SUBSCRIBE', (frame) => (header(frame, 'id') === undefined ? 'close' : undefined))],
    },
    {
      id: id('SUBSCRIBE', 'i'),
      level: 'must',
      says: 'The body of SUBSCRIBE is ignored.',
      how: 'SUBSCRIBE with a body, then a SEND.',
      async run(trial) {
        const wire = await connected(trial, '1.0')
        await wire.call('SUBSCRIBE', { destination: queueOf(trial) }, 'this is nothing')
        await fill(wire, queueOf(trial), ['body'])
        await receive(wire, ['body'])
      },
      mutants: [takes('refuses a body', 'SUBSCRIBE', (frame) => (frame.body.length > 0 ? 'close' : undefined))],
    },
    {
      id: id('SUBSCRIBE', 'j'),
      level: 'may',
      says: 'A server may know the header selector, an SQL 92 condition on headers.',
      unchecked: 'A server without selectors conforms, and need not look at the header.',
    },
    {
      id: id('UNSUBSCRIBE', 'e'),
      level: 'must',
      says: 'A subscription without id is ended by its destination.',
      how: 'SUBSCRIBE without id, UNSUBSCRIBE by destination; then a message, which another subscription gets.',
      async run(trial) {
        const wire = await connected(trial, '1.0')
        await wire.call('SUBSCRIBE', { destination: queueOf(trial) })
        await wire.call('UNSUBSCRIBE', { destination: queueOf(trial) })
        await fill(wire, queueOf(trial), ['one'])
        mustBeList(await leftIn(trial, '1.0', queueOf(trial), 'one'), ['one'], 'what another gets')
      },
      mutants: [
        errs('RECEIPT'),
        takes('ignores UNSUBSCRIBE by destination', 'UNSUBSCRIBE', (frame) => ({
          ...frame,
          command: 'BEGIN',
          headers: [...frame.headers, ['transaction', 'x']],
        })),
      ],
    },
    {
      id: id('ACK', 'c'),
      level: 'must',
      says: 'ACK needs nothing but the message-id.',
      how: 'A message is received by a subscription without id and acknowledged by its message-id alone; another gets only what comes later.',
      async run(trial) {
        const wire = await connected(trial, '1.0')
        await wire.call('SUBSCRIBE', { destination: queueOf(trial), ack: 'client' })
        await fill(wire, queueOf(trial), ['one'])
        const [one] = await receive(wire, ['one'])
        await wire.call('ACK', naming(wire, one))
        await leave(wire)
        await fill(await connected(trial, '1.0'), queueOf(trial), ['end'])
        mustBeList(await leftIn(trial, '1.0', queueOf(trial), 'end'), ['end'], 'what another gets')
      },
      mutants: [takes('wants a subscription', 'ACK', (frame) => (header(frame, 'subscription') === undefined ? 'close' : undefined))],
    },
  ],
}
