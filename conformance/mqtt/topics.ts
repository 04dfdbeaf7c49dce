// 4.7 of MQTT 3.1.1 and of MQTT 5.0: topic names and filters. Both say the same; their numbers and their packets differ a little.
import type { Chapter } from '../check.ts'
import type { MqttWire } from '../clients/mqtt-wire.ts'
import { nextId, publish, publishPacket, subscribe, takeUntil, text } from './acts.ts'
import { packet, string, u16 } from './bytes.ts'
import { closesBy, type Connect } from './closes.ts'
import { changes, sees } from './mutants.ts'
import { neverCloses } from '../mutant.ts'
import { mustBe, mustEqual } from '../outcome.ts'
import type { Trial } from '../trial.ts'

export type Dialect = Readonly<{
  /** Before the section of statements that have no number. */
  name: 'MQTT311' | 'MQTT5'
  /** The numbers of the statements on wildcards in names, on # and on +; the others are the same. */
  ids: readonly [string, string, string]
  /** What lies before the payload of PUBLISH, SUBSCRIBE and UNSUBSCRIBE: properties, but none. */
  none: Buffer
  connect: Connect
}>

/** SUBSCRIBE to a filter that is none must be refused: by a code of 0x80 and more, or by the end of the connection. */
async function refusesFilter(trial: Trial, { connect, none }: Dialect, filter: string, word: string): Promise<void> {
  const wire = await connect(trial, word)
  wire.send(packet(0x82, u16(nextId()), none, string(filter), 0))
  const answer = await wire.inbox.next(`an answer to SUBSCRIBE to ${filter}, or the end of the connection`)
  if (answer === undefined || answer.cmd === 'disconnect') return
  mustBe(
    answer.cmd === 'suback' && Number(answer.granted[0]) >= 0x80,
    `SUBSCRIBE to ${filter === '' ? 'an empty filter' : filter} is answered by ${answer.cmd.toUpperCase()} ${answer.raw.toString('hex')}`,
  )
}

/**
 * Which of these topics reach a subscription to `filter`, in any order: that of different topics is nobody's.
 * What ends the search goes the same way as they do, by a topic that the filter matches, so that it does not overtake them on a way of its own.
 */
async function reach(wire: MqttWire, sender: MqttWire, filter: string, topics: readonly string[], last: string): Promise<string> {
  await subscribe(wire, [{ topic: filter, qos: 1 }])
  for (const topic of topics) await publish(sender, topic, topic, { qos: 1 })
  await publish(sender, last, 'end', { qos: 1 })
  const seen = (await takeUntil(wire, 'end')).map(text)
  wire.send({ cmd: 'unsubscribe', messageId: nextId(), unsubscriptions: [filter] })
  await wire.next('unsuback')
  return seen.toSorted().join(' ')
}

type Matches = readonly Readonly<{ filter: string; yes: readonly [string, ...string[]]; no: readonly string[] }>[]

/** Below a name of the trial's. */
async function match(trial: Trial, { connect }: Dialect, table: Matches): Promise<void> {
  const [wire, sender] = [await connect(trial), await connect(trial, 'sender')]
  const name = trial.name('t')
  const own = (topic: string): string => topic.replace('~', name)
  for (const { filter, yes, no } of table)
    mustEqual(
      await reach(wire, sender, own(filter), [...no, ...yes].map(own), own(yes[0])),
      yes.map(own).toSorted().join(' '),
      `what ${own(filter)} matches of ${[...no, ...yes].map(own).join(' ')}`,
    )
}

const rewrites = (says: string, change: (topic: string) => string) =>
  [
    sees(`${says} in filters`, 'subscribe', (sent) => ({
      ...sent,
      subscriptions: sent.subscriptions.map((each) => ({ ...each, topic: change(each.topic) })),
    })),
    sees(`${says} in names`, 'publish', (sent) => ({ ...sent, topic: change(sent.topic) })),
  ] as const

export function topics(dialect: Dialect): Chapter {
  const { ids, none, connect } = dialect
  const closesOn = closesBy(connect)
  const nameless = closesOn({ id: '', says: '', how: '' }, () => [
    packet(0x30, string(''), none, Buffer.from('x')),
    packet(0x32, string(''), u16(1), none, Buffer.from('x')),
  ])
  return {
    title: '4.7: topic names and filters',
    clauses: [
      closesOn(
        {
          id: ids[0],
          says: 'Wildcards are no part of a topic name: a PUBLISH that has one ends the connection.',
          how: 'PUBLISH to names that are or contain + or #.',
        },
        (trial) => [
          packet(0x30, string('#'), none, Buffer.from('x')),
          packet(0x30, string('+'), none, Buffer.from('x')),
          packet(0x32, string(`${trial.name('t')}/+/a`), u16(1), none, Buffer.from('x')),
          packet(0x34, string(`${trial.name('t')}#`), u16(1), none, Buffer.from('x')),
        ],
      ),
      {
        id: ids[1],
        level: 'must',
        says: '# is a level of its own, and the last: it matches its parent and all below; other filters with it are none.',
        how: 'Filters with # at the end and what they match; filters with # elsewhere, which must be refused.',
        async run(trial) {
          await match(trial, dialect, [
            { filter: '~/#', yes: ['~', '~/a', '~/a/b', '~/'], no: ['~a', '~a/b'] },
            { filter: '~/a/#', yes: ['~/a', '~/a/b/c'], no: ['~', '~/ab', '~/b'] },
          ])
          for (const [index, filter] of ['~#', '~/a#', '~/#/a', '#/a', '~/##'].entries())
            await refusesFilter(trial, dialect, filter.replace('~', trial.name('t')), `c${index}`)
        },
        mutants: [
          changes('accepts every filter', 'suback', (answer) => ({ ...answer, granted: answer.granted.map(() => 0) })),
          changes('does not match the parent by #', 'publish', (message) =>
            message.topic.includes('/') || text(message) === 'end' ? undefined : 'drop',
          ),
          changes('does not match deep levels by #', 'publish', (message) => (message.topic.split('/').length > 2 ? 'drop' : undefined)),
          sees('forgives # behind letters', 'subscribe', (sent) => ({
            ...sent,
            subscriptions: sent.subscriptions.map((each) => ({ ...each, topic: each.topic.replace(/([^/])#$/, '$1/#') })),
          })),
        ],
      },
      {
        id: ids[2],
        level: 'must',
        says: '+ is a level of its own, at any place: it matches one level, an empty one too; other filters with it are none.',
        how: 'Filters with + first, between and last, and what they match; filters with + beside letters, which must be refused.',
        async run(trial) {
          await match(trial, dialect, [
            { filter: '~/+', yes: ['~/a', '~/'], no: ['~', '~/a/b'] },
            { filter: '~/+/c', yes: ['~/b/c', '~//c'], no: ['~/c', '~/a/b/c'] },
            { filter: '+/~', yes: ['x/~', '/~'], no: ['~', 'x/y/~'] },
            { filter: '~/+/+/#', yes: ['~/a/b', '~/a/b/c/d'], no: ['~/a'] },
          ])
          for (const [index, filter] of ['~+', '~/a+', '~/+a', '~/+a/b', '~/++'].entries())
            await refusesFilter(trial, dialect, filter.replace('~', trial.name('t')), `c${index}`)
        },
        mutants: [
          changes('accepts every filter', 'suback', (answer) => ({ ...answer, granted: answer.granted.map(() => 0) })),
          changes('does not match an empty level by +', 'publish', (message) => (/\/$|\/\/|^\//.test(message.topic) ? 'drop' : undefined)),
          sees('takes + for #', 'subscribe', (sent) => ({
            ...sent,
            subscriptions: sent.subscriptions.map((each) => ({ ...each, topic: each.topic.replace(/\/\+$/, '/#') })),
          })),
          sees('forgives + beside letters', 'subscribe', (sent) => ({
            ...sent,
            subscriptions: sent.subscriptions.map((each) => ({ ...each, topic: each.topic.replace(/[^/]\+/, '+') })),
          })),
        ],
      },
      {
        id: 'MQTT-4.7.2-1',
        level: 'must',
        says: 'A filter that begins with a wildcard matches no topic that begins with $.',
        how: 'PUBLISH to a topic below $, which a broker may refuse: +/… must not get it, nor what the broker itself says below $SYS.',
        async run(trial) {
          const wire = await connect(trial)
          const name = trial.name('t')
          await subscribe(
            wire,
            [`+/${name}`, `+/${name}/#`].map((topic) => ({ topic, qos: 1 })),
          )
          for (const topic of [`$own/${name}`, `$/${name}`]) {
            // One that the broker refuses by closing is delivered to nobody either.
            const refused = await connect(trial, 'refused')
            refused.send(publishPacket(topic, topic))
            refused.send({ cmd: 'pingreq' })
            await refused.inbox.next('an answer to PINGREQ, or the end of the connection')
          }
          await publish(await connect(trial, 'sender'), `own/${name}`, 'end', { qos: 1 })
          mustEqual(
            (await takeUntil(wire, 'end')).map(({ topic }) => topic).join(' '),
            '',
            'the topics below $ that a filter with a leading wildcard gets',
          )
        },
        mutants: [sees('matches $ by +', 'publish', (message) => ({ ...message, topic: message.topic.replace('$', 's') }))],
      },
      {
        id: `${dialect.name} 4.7.2-a`,
        level: 'should',
        says: 'Clients are kept from exchanging messages by topics that begin with $.',
        how: 'A client subscribes to a topic below $, another publishes to it: nothing comes.',
        async run(trial) {
          const wire = await connect(trial)
          const topic = `$own/${trial.name('t')}`
          wire.send({ cmd: 'subscribe', messageId: nextId(), subscriptions: [{ topic, qos: 0 }] })
          const answer = await wire.inbox.next('an answer to SUBSCRIBE to a topic below $, or the end of the connection')
          if (answer?.cmd !== 'suback' || Number(answer.granted[0]) >= 0x80) return
          await subscribe(wire, trial.name('end'), 0)
          const refused = await connect(trial, 'refused')
          refused.send(publishPacket(topic, topic))
          refused.send({ cmd: 'pingreq' })
          await refused.inbox.next('an answer to PINGREQ, or the end of the connection')
          await publish(await connect(trial, 'sender'), trial.name('end'), 'end')
          mustEqual((await takeUntil(wire, 'end')).map((message) => message.topic).join(' '), '', 'the topics below $ by which a message came')
        },
        mends: sees('drops what clients publish below $', 'publish', (message) => (message.topic.startsWith('$') ? 'drop' : undefined)),
        mutants: [],
      },
      {
        id: 'MQTT-4.7.3-1',
        level: 'must',
        says: 'Topic names and filters have at least one character.',
        how: 'PUBLISH to an empty name ends the connection; SUBSCRIBE to an empty filter is refused; names of one character are none the worse.',
        async run(trial) {
          await nameless.run(trial)
          await refusesFilter(trial, dialect, '', 'empty')
          const wire = await connect(trial)
          await subscribe(wire, [{ topic: '/', qos: 0 }])
          await publish(wire, '/', trial.name('slash'))
          await takeUntil(wire, trial.name('slash'))
        },
        mutants: [
          neverCloses,
          sees('takes an empty filter for another', 'subscribe', (sent) => ({
            ...sent,
            subscriptions: sent.subscriptions.map((each) => ({ ...each, topic: each.topic === '' ? 'empty' : each.topic })),
          })),
          sees('has no topic of one character', 'publish', (message) => (message.topic === '/' ? 'drop' : undefined)),
        ],
      },
      closesOn(
        {
          id: 'MQTT-4.7.3-2',
          says: 'Topic names and filters have no U+0000: one with it ends the connection.',
          how: 'PUBLISH, SUBSCRIBE and UNSUBSCRIBE with U+0000 first, between and last.',
        },
        () => [
          packet(0x30, string('a/b\0'), none, Buffer.from('x')),
          packet(0x32, string('\0a'), u16(1), none, Buffer.from('x')),
          packet(0x82, u16(1), none, string('a/\0/b'), 0),
          packet(0xa2, u16(1), none, string('a/\0/b')),
        ],
      ),
      {
        id: 'MQTT-4.7.3-3',
        level: 'must',
        says: 'Topic names and filters have at most 65,535 bytes.',
        unchecked: 'The length of a string has two bytes in every packet: nobody can send a longer one.',
      },
      {
        id: 'MQTT-4.7.3-4',
        level: 'must',
        says: 'Names and filters are compared as they are: nothing is normalised, changed or replaced.',
        how: 'Names that differ by case, slashes, spaces, dots, composed and decomposed letters: each filter gets its own alone, unchanged.',
        async run(trial) {
          const variants = [
            '~/a',
            '~/A',
            '/~/a',
            '~/a/',
            '~//a',
            '~/ a',
            '~/a ',
            '~/a.b',
            '~/a/b',
            '~/\u00e4',
            '~/a\u0308',
            '~/\u212b',
            '~/\u00c5',
            '~/*',
            '~/>',
            '~/%2F',
            '~/a\\b',
          ]
          await match(
            trial,
            dialect,
            variants.map((filter) => ({ filter, yes: [filter], no: variants.filter((other) => other !== filter) })),
          )
        },
        mutants: [
          ...rewrites('ignores case', (topic) => topic.toLowerCase()),
          ...rewrites('composes letters', (topic) => topic.normalize('NFC')),
          ...rewrites('takes several slashes for one', (topic) => topic.replace('//', '/')),
          ...rewrites('ignores a slash at the end', (topic) => topic.replace(/\/$/, '')),
          ...rewrites('ignores a slash at the beginning', (topic) => topic.replace(/^\//, '')),
          ...rewrites('ignores spaces', (topic) => topic.trim()),
          ...rewrites('takes dots for slashes', (topic) => topic.replace('.', '/')),
          changes('gives another name', 'publish', (message) => ({ ...message, payload: message.topic.includes('\\') ? '' : message.payload })),
        ],
      },
    ],
  }
}
