// SUBSCRIBE with its headers id and ack, and UNSUBSCRIBE.
import type { Chapter, Clause } from '../check.ts'
import { header, type Version } from '../clients/stomp-frame.ts'
import { mustEqual } from '../outcome.ts'
import { neverCloses } from '../mutant.ts'
import { changes, closesSilently, ignores, never, subscribesAs, takes, withHeader } from './mutants.ts'
import { connected, fill, leave, leftBefore, leftIn, mustBeList, naming, numbered, only, queueOf, receive, subscribe, topicOf } from './session.ts'

export function subscribing(version: Version): Chapter {
  const id = numbered(version, 'SUBSCRIBE')
  const old = version === '1.0'
  return {
    title: 'SUBSCRIBE',
    clauses: [
      {
        id: id('a'),
        level: 'must',
        says: 'What comes to a destination after SUBSCRIBE is delivered by MESSAGE.',
        how: 'SUBSCRIBE to a topic; then another connection sends two messages to it.',
        async run(trial) {
          const reader = await connected(trial, version)
          await subscribe(reader, topicOf(trial))
          const wire = await connected(trial, version)
          await fill(wire, topicOf(trial), ['one', 'two'])
          await receive(reader, ['one', 'two'])
        },
        mutants: [never('MESSAGE'), ignores('SUBSCRIBE')],
      },
      {
        id: id('b'),
        level: old ? 'may' : 'must',
        says: `A SUBSCRIBE that cannot be served (without destination) is answered by ERROR${old ? '' : ' and the end of the connection'}.`,
        how: 'SUBSCRIBE without destination.',
        async run(trial) {
          const wire = await connected(trial, version)
          wire.send('SUBSCRIBE', { id: '1' })
          if (old) await wire.error('after a SUBSCRIBE without destination')
          else await wire.refused('after a SUBSCRIBE without destination')
        },
        mutants: old ? [closesSilently] : [neverCloses, closesSilently],
      },
      {
        id: id('d'),
        level: version === '1.0' ? 'should' : 'must',
        says: 'A subscriber is told by which of its subscriptions a message comes.',
        how: 'Two subscriptions of one connection to two topics, a message to each.',
        async run(trial) {
          const wire = await connected(trial, version)
          await subscribe(wire, topicOf(trial, 'left'), { id: 'l' })
          await subscribe(wire, topicOf(trial, 'right'), { id: 'r' })
          for (const side of ['right', 'left']) {
            await fill(wire, topicOf(trial, side), [side])
            const message = await wire.next('MESSAGE')
            mustEqual(message.body.toString(), side, 'the body of MESSAGE')
            mustEqual(header(message, 'subscription'), side.slice(0, 1), 'the header subscription of MESSAGE')
          }
        },
        mutants: [
          changes('tells the same subscription always', 'MESSAGE', (frame) => withHeader(frame, 'subscription', 'l')),
          changes('tells no subscription', 'MESSAGE', (frame) => ({ ...frame, headers: frame.headers.filter(([name]) => name !== 'subscription') })),
        ],
      },
      ...only(version, ['1.2', '1.1'], () => ({
        id: id('e'),
        level: 'may',
        says: 'Subscriptions of one connection have different ids: a server may refuse a second one of the same id.',
        how: 'SUBSCRIBE twice with the same id, to two queues.',
        async run(trial) {
          const wire = await connected(trial, version)
          await subscribe(wire, queueOf(trial, 'one'), { id: '1' })
          wire.send('SUBSCRIBE', { id: '1', destination: queueOf(trial, 'two') })
          await wire.error('after a second SUBSCRIBE with the id of the first')
        },
        mutants: [closesSilently],
      })),
      {
        id: id('f'),
        level: 'must',
        says: 'Ids of subscriptions are of one connection: others may use the same.',
        how: 'Two connections, each with a subscription of the same id to a queue of its own; a message to each.',
        async run(trial) {
          const one = await connected(trial, version)
          const two = await connected(trial, version)
          await subscribe(one, queueOf(trial, 'one'))
          await subscribe(two, queueOf(trial, 'two'))
          await fill(one, queueOf(trial, 'two'), ['to two'])
          await fill(two, queueOf(trial, 'one'), ['to one'])
          await receive(one, ['to one'])
          await receive(two, ['to two'])
        },
        mutants: [
          {
            says: 'knows an id once in all connections',
            start: () => {
              const ids = new Set<string>()
              return ({ toClient }) => ({
                toBroker: (raw) => {
                  const found = /^SUBSCRIBE\n(?:.*\n)*?id:(.*)\n/.exec(raw.toString())?.[1]
                  if (found === undefined) return undefined
                  if (!ids.has(found)) return void ids.add(found)
                  toClient(Buffer.from('ERROR\nmessage:taken\n\n\0'))
                  return 'close'
                },
              })
            },
          },
        ],
      },
      {
        id: id('g'),
        level: old ? 'may' : 'should',
        says: 'A SUBSCRIBE with an ack mode that does not exist is answered by ERROR.',
        how: 'SUBSCRIBE with `ack:sometimes`.',
        async run(trial) {
          const wire = await connected(trial, version)
          wire.send('SUBSCRIBE', { id: '1', destination: queueOf(trial), ack: 'sometimes' })
          await wire.error('after a SUBSCRIBE with an ack mode that does not exist')
        },
        mutants: [closesSilently],
      },
    ],
  }
}

export function ackModes(version: Version): Chapter {
  const id = numbered(version, 'MODE')
  const auto = (letter: string, how: string, headers: Readonly<Record<string, string>>): Clause => ({
    id: id(letter),
    level: 'must',
    says: `${how}, a message is acknowledged as soon as it is sent to the client.`,
    how: `${how}: a message is received, and the client leaves without ACK; another gets only what was sent after it.`,
    async run(trial) {
      const wire = await connected(trial, version)
      await subscribe(wire, queueOf(trial), headers)
      await fill(wire, queueOf(trial), ['one'])
      await receive(wire, ['one'])
      await leave(wire)
      mustBeList(await leftBefore(trial, version, queueOf(trial)), [], 'what another gets')
    },
    mutants: [subscribesAs('client')],
  })
  const numbers = ['one', 'two', 'three', 'four']
  return {
    title: 'The header ack',
    clauses: [
      auto('a', 'Without the header ack', {}),
      auto('b', 'With `ack:auto`', { ack: 'auto' }),
      {
        id: id('c'),
        level: 'must',
        says: 'With `ack:client` a message is not consumed before it is acknowledged: if the client goes, another may have it.',
        how: 'A message is received and not acknowledged, the connection is cut, another subscribes.',
        async run(trial) {
          const wire = await connected(trial, version)
          await subscribe(wire, queueOf(trial), { ack: 'client' })
          await fill(wire, queueOf(trial), ['one'])
          await receive(wire, ['one'])
          wire.destroy()
          mustBeList(await leftIn(trial, version, queueOf(trial), 'one'), ['one'], 'what another gets')
        },
        mutants: [subscribesAs('auto')],
      },
      ...only(version, ['1.2', '1.1'], () => ({
        id: id('d'),
        level: 'must',
        says: 'With `ack:client` ACK is cumulative: it covers what was sent before by the same subscription.',
        how: 'Four messages are received, the third is acknowledged; another gets the fourth.',
        async run(trial) {
          const wire = await connected(trial, version)
          await subscribe(wire, queueOf(trial), { ack: 'client' })
          await fill(wire, queueOf(trial), numbers)
          const messages = await receive(wire, numbers)
          await wire.call('ACK', naming(wire, messages[2]))
          await leave(wire)
          mustBeList(await leftIn(trial, version, queueOf(trial), 'four'), ['four'], 'what another gets')
        },
        mutants: [subscribesAs('client-individual'), ignores('ACK')],
      })),
      ...only(version, ['1.2', '1.1'], () => ({
        id: id('e'),
        level: 'must',
        says: 'An ACK is cumulative within its subscription only.',
        how: 'Two subscriptions with `ack:client`; one message each; the one that came last is acknowledged; another gets the other.',
        async run(trial) {
          const wire = await connected(trial, version)
          await subscribe(wire, queueOf(trial, 'one'), { id: '1', ack: 'client' })
          await subscribe(wire, queueOf(trial, 'two'), { id: '2', ack: 'client' })
          await fill(wire, queueOf(trial, 'one'), ['one'])
          const [one] = await receive(wire, ['one'])
          await fill(wire, queueOf(trial, 'two'), ['two'])
          const [two] = await receive(wire, ['two'])
          naming(wire, one)
          await wire.call('ACK', naming(wire, two))
          await leave(wire)
          mustBeList(await leftIn(trial, version, queueOf(trial, 'one'), 'one'), ['one'], 'what another gets')
        },
        mutants: [subscribesAs('auto')],
      })),
      ...only(version, ['1.2', '1.1'], () => ({
        id: id('f'),
        level: 'must',
        says: 'With `ack:client-individual` an ACK is of its message alone.',
        how: 'Four messages are received, the third is acknowledged; another gets the first, the second and the fourth.',
        async run(trial) {
          const wire = await connected(trial, version)
          await subscribe(wire, queueOf(trial), { ack: 'client-individual' })
          await fill(wire, queueOf(trial), numbers)
          const messages = await receive(wire, numbers)
          await wire.call('ACK', naming(wire, messages[2]))
          await leave(wire)
          mustBeList((await leftIn(trial, version, queueOf(trial), 'four')).toSorted(), ['four', 'one', 'two'], 'what another gets')
        },
        mutants: [subscribesAs('client'), ignores('ACK')],
      })),
    ],
  }
}

export function unsubscribing(version: Version): Chapter {
  const id = numbered(version, 'UNSUBSCRIBE')
  return {
    title: 'UNSUBSCRIBE',
    clauses: [
      {
        id: id('a'),
        level: 'must',
        says: 'After UNSUBSCRIBE nothing more comes by that subscription.',
        how: 'SUBSCRIBE to a queue and UNSUBSCRIBE; then two messages, and a new subscription: both come by that.',
        async run(trial) {
          const wire = await connected(trial, version)
          await subscribe(wire, queueOf(trial), { id: 'old' })
          await wire.call('UNSUBSCRIBE', { id: 'old' })
          await subscribe(wire, queueOf(trial), { id: 'new' })
          await fill(wire, queueOf(trial), ['one', 'two'])
          for (const message of await receive(wire, ['one', 'two']))
            mustEqual(header(message, 'subscription'), 'new', 'the header subscription of MESSAGE')
        },
        mutants: [ignores('UNSUBSCRIBE')],
      },
      {
        id: id('b'),
        level: 'must',
        says: 'UNSUBSCRIBE ends the subscription that it names, and no other.',
        how: 'Two subscriptions, to two topics; one is ended; a message to the other comes.',
        async run(trial) {
          const wire = await connected(trial, version)
          await subscribe(wire, topicOf(trial, 'goes'), { id: 'goes' })
          await subscribe(wire, topicOf(trial, 'stays'), { id: 'stays' })
          await wire.call('UNSUBSCRIBE', { id: 'goes' })
          await fill(wire, topicOf(trial, 'goes'), ['unheard'])
          await fill(wire, topicOf(trial, 'stays'), ['heard'])
          await receive(wire, ['heard'])
        },
        mutants: [takes('ends another', 'UNSUBSCRIBE', (frame) => withHeader(frame, 'id', 'stays')), ignores('UNSUBSCRIBE')],
      },
      {
        id: id('d'),
        level: 'may',
        says: 'What was delivered and not acknowledged when its subscription ended is not lost.',
        how: 'A message is received with `ack:client`; UNSUBSCRIBE, and the client leaves; another gets it.',
        async run(trial) {
          const wire = await connected(trial, version)
          await subscribe(wire, queueOf(trial), { id: '1', ack: 'client' })
          await fill(wire, queueOf(trial), ['one'])
          await receive(wire, ['one'])
          await wire.call('UNSUBSCRIBE', { id: '1' })
          await leave(wire)
          mustBeList(await leftIn(trial, version, queueOf(trial), 'one'), ['one'], 'what another gets')
        },
        mutants: [subscribesAs('auto')],
      },
    ],
  }
}

export function acknowledging(version: Version): Chapter {
  const id = numbered(version, 'ACK')
  const nack = numbered(version, 'NACK')
  return {
    title: version === '1.0' ? 'ACK' : 'ACK and NACK',
    clauses: [
      {
        id: id('a'),
        level: 'must',
        says: 'An acknowledged message is consumed: nobody gets it again.',
        how: 'Two messages are received with `ack:client`, the first is acknowledged, the client leaves; another gets the second only.',
        async run(trial) {
          const wire = await connected(trial, version)
          await subscribe(wire, queueOf(trial), { ack: 'client' })
          await fill(wire, queueOf(trial), ['one', 'two'])
          const [one] = await receive(wire, ['one', 'two'])
          await wire.call('ACK', naming(wire, one))
          await leave(wire)
          mustBeList(await leftIn(trial, version, queueOf(trial), 'two'), ['two'], 'what another gets')
        },
        mutants: [ignores('ACK')],
      },
      {
        id: id('b'),
        level: 'must',
        says: 'An ACK acknowledges what it names: one that names nothing acknowledges nothing.',
        how: 'A message is received; an ACK of a made-up name; the client leaves; another gets the message.',
        async run(trial) {
          const wire = await connected(trial, version)
          await subscribe(wire, queueOf(trial), { ack: 'client' })
          await fill(wire, queueOf(trial), ['one'])
          await receive(wire, ['one'])
          wire.send('ACK', { id: 'made-up', subscription: 'sub', 'message-id': 'made-up' })
          wire.send('DISCONNECT', { receipt: 'bye' })
          await wire.inbox.next('RECEIPT, ERROR or the end of the connection')
          wire.destroy()
          mustBeList(await leftIn(trial, version, queueOf(trial), 'one'), ['one'], 'what another gets')
        },
        mutants: [
          {
            says: 'takes any ACK for one of the last message',
            start: () => () => {
              let last: readonly (readonly [string, string])[] = []
              return {
                toClient: (raw) => {
                  const text = raw.toString()
                  if (!text.startsWith('MESSAGE')) return undefined
                  last = [...text.matchAll(/^(ack|message-id|subscription):(.*)$/gm)].map(
                    ([, name = '', value = '']) => [name === 'ack' ? 'id' : name, value] as const,
                  )
                  return undefined
                },
                toBroker: (raw) =>
                  raw.toString().startsWith('ACK')
                    ? Buffer.from(`ACK\n${last.map(([name, value]) => `${name}:${value}\n`).join('')}\n\0`)
                    : undefined,
              }
            },
          },
        ],
      },
      ...only(version, ['1.2', '1.1'], () => ({
        id: nack('a'),
        level: 'must',
        says: 'With `ack:client-individual` a NACK is of its message alone.',
        how: 'Three messages are received, the second is refused, then the first acknowledged; another gets the third, and not the first.',
        async run(trial) {
          const wire = await connected(trial, version)
          await subscribe(wire, queueOf(trial), { ack: 'client-individual' })
          await fill(wire, queueOf(trial), ['one', 'two', 'three'])
          const [one, two] = await receive(wire, ['one', 'two', 'three'])
          await wire.call('NACK', naming(wire, two))
          await wire.call('ACK', naming(wire, one))
          await leave(wire)
          const left = await leftIn(trial, version, queueOf(trial), 'three')
          // What becomes of the second is the server's own business.
          mustBeList(
            left.filter((body) => body !== 'two'),
            ['three'],
            'what another gets',
          )
        },
        mutants: [ignores('ACK'), takes('refuses all before as well', 'SUBSCRIBE', (frame) => withHeader(frame, 'ack', 'client'))],
      })),
      ...only(version, ['1.2', '1.1'], () => ({
        id: nack('b'),
        level: 'must',
        says: 'NACK tells that a message was not consumed: what is behind it is still delivered, and may be acknowledged.',
        how: 'Two messages are received with `ack:client`, the first is refused, then the second acknowledged, then a third comes.',
        async run(trial) {
          const wire = await connected(trial, version)
          await subscribe(wire, queueOf(trial), { ack: 'client' })
          await fill(wire, queueOf(trial), ['one', 'two'])
          const [one, two] = await receive(wire, ['one', 'two'])
          await wire.call('NACK', naming(wire, one))
          await wire.call('ACK', naming(wire, two))
          await fill(wire, queueOf(trial), ['three'])
          await wire.inbox.find((frame): frame is typeof frame => frame.body.toString() === 'three', 'the third message')
        },
        mutants: [
          never('RECEIPT'),
          changes('delivers nothing after NACK', 'MESSAGE', (frame) => (frame.body.toString() === 'three' ? 'drop' : undefined)),
        ],
      })),
      ...only(version, ['1.2', '1.1'], () => ({
        id: nack('c'),
        level: 'must',
        says: 'What becomes of a refused message is the server’s own business.',
        unchecked: 'Redelivery, a dead-letter queue and dropping are all allowed.',
      })),
    ],
  }
}
