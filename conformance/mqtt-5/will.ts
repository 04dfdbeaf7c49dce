// MQTT 5.0, 3.1.2.5 to 3.1.2.7 and 3.1.3.2: the will, when it is published, when it is not, and with what.
import type { IConnectPacket } from 'mqtt-packet'
import type { Chapter } from '../check.ts'
import type { MqttWire, Received } from '../clients/mqtt-wire.ts'
import { properties, string, u32 } from '../mqtt/bytes.ts'
import { changes, edits, sees } from '../mqtt/mutants.ts'
import { type Mutant, neverCloses } from '../mutant.ts'
import { fail, mustBe, mustEqual, orSkip } from '../outcome.ts'
import type { Trial } from '../trial.ts'
import { acceptsAll, changesProperties } from './mutants.ts'
import { ID, propertiesOf } from './properties.ts'
import {
  A_WHILE,
  connectBytes,
  connected,
  connectPacket,
  forget,
  leave,
  mustReceive,
  opened,
  publish,
  publishBytes,
  receive,
  refusesEach,
  second,
  subscribe,
  watching,
} from './session.ts'

type Will = NonNullable<IConnectPacket['will']>

const willOn = (topic: string, more: Partial<Will> = {}): Will => ({ topic, payload: Buffer.from('last words'), qos: 1, retain: false, ...more })

const KEPT = { sessionExpiryInterval: A_WHILE }

/** A broker that knows of no will. */
const noWill: Mutant = sees('keeps no will', 'connect', ({ will: _, ...connect }) => connect)

/** The will: that it does not come is told as that. */
async function comes(watcher: MqttWire, whose = 'of a connection that broke'): Promise<Received<'publish'>> {
  const message = await watcher.inbox.find((each): each is Received<'publish'> => each.cmd === 'publish', `the will ${whose}`)
  watcher.send({ cmd: 'puback', messageId: message.messageId ?? 0, reasonCode: 0 })
  mustEqual(message.payload.toString(), 'last words', `the payload of the will ${whose}`)
  return message
}

/** Ends when the broker has noticed that the connection of this client is gone: it has accepted the next one. */
async function again(trial: Trial, options: Parameters<typeof connected>[1] = {}): Promise<MqttWire> {
  return connected(trial, options)
}

function twice(section: string, name: string, id: number, value: Buffer | number): Chapter['clauses'][number] {
  return {
    id: `MQTT5 ${section}-a`,
    level: 'must',
    says: `Two ${name} properties of a will are a protocol error.`,
    how: 'CONNECT with a will that has the property twice.',
    run: (trial) =>
      refusesEach(trial, {
        [`a will with two ${name} properties`]: connectBytes(trial, {
          flags: 0x06,
          payload: [string(trial.name('client')), properties(id, value, id, value), string(trial.name('will')), string('w')],
        }),
      }),
    mutants: [neverCloses, acceptsAll],
  }
}

export const will: Chapter = {
  title: '3.1.2.5 Will',
  clauses: [
    {
      id: 'MQTT-3.1.2-7',
      level: 'must',
      says: 'A will is stored with its session, and is still there when the connection breaks much later.',
      how: 'A client with a will publishes, subscribes and pings, then its connection breaks: the will comes.',
      async run(trial) {
        const topic = trial.name('will')
        const watcher = await watching(trial, topic)
        const wire = await connected(trial, { will: willOn(topic) })
        await subscribe(wire, { topic: trial.name('other') })
        await publish(wire, trial.name('other'), 'x')
        await wire.ping()
        wire.destroy()
        await comes(watcher)
      },
      mutants: [noWill],
    },
    {
      id: 'MQTT-3.1.2-8',
      level: 'must',
      says: 'The will is published when the connection is gone without DISCONNECT 0x00, and the delay has passed.',
      how: 'A broken connection, a half-closed one, DISCONNECT 0x04; and a delay of 1 s.',
      async run(trial) {
        const ways: Readonly<Record<string, readonly [options: Partial<Will>, end: (wire: MqttWire) => void]>> = {
          broken: [{}, (wire) => wire.destroy()],
          finished: [{}, (wire) => wire.end()],
          asked: [{}, (wire) => wire.send({ cmd: 'disconnect', reasonCode: 4 })],
          delayed: [{ properties: { willDelayInterval: 1 } }, (wire) => wire.destroy()],
        }
        for (const [way, [more, end]] of Object.entries(ways)) {
          const topic = trial.name(`will-${way}`)
          const watcher = await watching(trial, topic, { clientId: trial.name(`watcher-${way}`) })
          const wire = await connected(trial, { clientId: trial.name(way), will: willOn(topic, more), properties: KEPT })
          end(wire)
          const begun = performance.now()
          await comes(watcher, `of a connection that is ${way}`)
          if (way === 'delayed' && performance.now() - begun < 900) fail('a will with a delay of 1 s came in less than 900 ms')
        }
      },
      mutants: [
        noWill,
        sees('never minds the delay', 'connect', ({ will: own, ...connect }) => {
          if (own === undefined) return undefined
          const { properties: _, ...undelayed } = own
          return { ...connect, will: undelayed }
        }),
        sees('takes DISCONNECT 0x04 for 0x00', 'disconnect', (disconnect) => ({ ...disconnect, reasonCode: 0 })),
      ],
    },
    {
      id: 'MQTT5 3.1.2.5-a',
      level: 'must',
      says: 'The will is also published when the server ends the connection because of a protocol error or a malformed packet.',
      how: 'Clients with a will send a PUBLISH of QoS 3, and a second CONNECT.',
      async run(trial) {
        for (const [word, last] of [
          ['malformed', publishBytes(trial.name('other'), [], 'x', 0x36)],
          ['violated', connectPacket(trial)],
        ] as const) {
          const topic = trial.name(`will-${word}`)
          const watcher = await watching(trial, topic, { clientId: trial.name(`watcher-${word}`) })
          const wire = await connected(trial, { clientId: trial.name(word), will: willOn(topic) })
          wire.send(last)
          // That it ends is a clause of its own.
          await orSkip(wire.closed(`after it was ${word}`), `the broker does not end a connection that was ${word}`)
          await comes(watcher, `of a connection that ended because it was ${word}`)
        }
      },
      mutants: [
        noWill,
        sees('takes a second CONNECT for a DISCONNECT', 'connect', ({ clientId }) =>
          clientId.endsWith('-client') ? { cmd: 'disconnect', reasonCode: 0 } : undefined,
        ),
      ],
    },
    {
      id: 'MQTT5 3.1.3.2.2-b',
      level: 'must',
      says: 'The will is published when its session ends, if that is before its delay has passed.',
      how: 'A will with a delay of an hour, and a session that ends with its connection; and one that a Clean Start ends.',
      async run(trial) {
        for (const kept of [false, true]) {
          const topic = trial.name(`will-${kept}`)
          const watcher = await watching(trial, topic, { clientId: trial.name(`watcher-${kept}`) })
          const wire = await connected(trial, {
            will: willOn(topic, { properties: { willDelayInterval: 3600 } }),
            ...(kept ? { properties: KEPT } : {}),
          })
          wire.destroy()
          if (kept) await again(trial)
          await comes(watcher, kept ? 'of a session that Clean Start has ended' : 'of a session that has ended')
        }
      },
      mutants: [
        sees('waits for the delay though the session has ended', 'connect', (connect) => ({ ...connect, properties: KEPT })),
        sees('takes no notice of Clean Start', 'connect', (connect) => ({ ...connect, clean: false })),
      ],
    },
    {
      id: 'MQTT-3.1.2-10',
      level: 'must',
      says: 'A will that was published, or that DISCONNECT 0x00 has taken away, is gone from the session: it does not come again.',
      how: 'The connection of a kept session breaks and the will comes; it comes back without a will and breaks again; then a message on the same topic comes, and nothing before it.',
      async run(trial) {
        const topic = trial.name('will')
        const watcher = await watching(trial, topic)
        const wire = await connected(trial, { will: willOn(topic), properties: KEPT })
        wire.destroy()
        // That it comes is a clause of its own (MQTT-3.1.2-8).
        await orSkip(comes(watcher), 'the will of a kept session does not come when its connection breaks')
        const back = await again(trial, { clean: false, properties: KEPT })
        back.destroy()
        const last = await again(trial, { clean: false, properties: KEPT })
        await publish(last, topic, 'still here')
        await mustReceive(watcher, 'still here', 'a will that was published before')
      },
      mutants: [
        edits('keeps the will of an earlier connection', () => {
          let old: Will | undefined
          return () => ({
            toBroker: (packet) => {
              if (packet.cmd !== 'connect' || packet.clean !== false) {
                if (packet.cmd === 'connect') old = packet.will ?? old
                return undefined
              }
              return old === undefined ? undefined : { ...packet, will: old }
            },
          })
        }),
      ],
    },
    {
      id: 'MQTT-3.1.2-14',
      level: 'must',
      says: 'Without will retain, the will is published as a message that is not retained.',
      how: 'A will comes to a subscription that keeps RETAIN as it was, without that flag; a later subscriber gets something else first.',
      async run(trial) {
        const topic = trial.name('will')
        trial.after(() => forget(trial, topic))
        const watcher = await second(trial)
        await subscribe(watcher, { topic, rap: true })
        const wire = await connected(trial, { will: willOn(topic) })
        wire.destroy()
        const message = await comes(watcher)
        mustEqual(message.retain, false, 'RETAIN of a will without will retain')
        const late = await watching(trial, topic)
        await publish(watcher, topic, 'a later message')
        await mustReceive(late, 'a later message', 'a will without will retain was retained')
      },
      mutants: [
        sees('retains every will', 'connect', (connect) =>
          connect.will === undefined ? undefined : { ...connect, will: { ...connect.will, retain: true } },
        ),
      ],
    },
    {
      id: 'MQTT-3.1.2-15',
      level: 'must',
      says: 'With will retain, the will is published as a retained message.',
      how: 'A will with will retain comes; who subscribes later gets it as a retained message.',
      async run(trial) {
        const topic = trial.name('will')
        const watcher = await watching(trial, topic)
        trial.after(() => forget(trial, topic))
        const { wire, connack } = await opened(trial, { will: willOn(topic, { retain: true }) })
        mustBe(connack.properties?.retainAvailable !== false, 'a will with will retain was accepted, and CONNACK says that nothing is retained')
        wire.destroy()
        await comes(watcher)
        const late = await watching(trial, topic, { clientId: trial.name('late') })
        const message = await mustReceive(late, 'last words', 'the retained will')
        mustEqual(message.retain, true, 'RETAIN of the retained will')
      },
      mutants: [
        sees('retains no will', 'connect', (connect) =>
          connect.will === undefined ? undefined : { ...connect, will: { ...connect.will, retain: false } },
        ),
      ],
    },
    {
      id: 'MQTT5 3.1.2.6-a',
      level: 'must',
      says: 'The will is published at the will QoS.',
      how: 'Wills of QoS 0, 1 and 2, to a subscription of QoS 2.',
      async run(trial) {
        const watcher = await second(trial)
        const topic = trial.name('will')
        await subscribe(watcher, { topic: `${topic}/+`, qos: 2 })
        for (const qos of [0, 1, 2] as const) {
          const wire = await connected(trial, { clientId: trial.name(`client-${qos}`), will: willOn(`${topic}/${qos}`, { qos }) })
          wire.destroy()
          const message = await receive(watcher)
          mustEqual(message.qos, qos, `the QoS of a will of QoS ${qos}`)
        }
      },
      mutants: [
        sees('publishes every will at QoS 0', 'connect', (connect) =>
          connect.will === undefined ? undefined : { ...connect, will: { ...connect.will, qos: 0 } },
        ),
        sees('publishes every will at QoS 1', 'connect', (connect) =>
          connect.will === undefined ? undefined : { ...connect, will: { ...connect.will, qos: 1 } },
        ),
      ],
    },
    twice('3.1.3.2.2', 'Will Delay Interval', ID.willDelay, u32(1)),
    {
      id: 'MQTT-3.1.3-9',
      level: 'must',
      says: 'A will whose session gets a new connection before its delay has passed is not published.',
      how: 'A connection with a will of 1 s delay breaks, the session comes back at once; the will of another one that breaks later, with the same delay, comes first.',
      async run(trial) {
        const topic = trial.name('will')
        const watcher = await watching(trial, topic)
        const delayed = willOn(topic, { properties: { willDelayInterval: 1 } })
        const first = await connected(trial, { will: delayed, properties: KEPT })
        const other = await connected(trial, {
          clientId: trial.name('other'),
          will: { ...delayed, payload: Buffer.from('of the other') },
          properties: KEPT,
        })
        first.destroy()
        await again(trial, { clean: false, properties: KEPT })
        other.destroy()
        await mustReceive(watcher, 'of the other', 'the session came back before the delay of its will was over, and the will came nevertheless')
      },
      mutants: [
        edits('publishes the will though the session came back', () => {
          let own: Will | undefined
          return () => ({
            toBroker: (packet) => {
              if (packet.cmd !== 'connect') return undefined
              if (packet.will !== undefined && own === undefined) {
                const { properties: _, ...undelayed } = packet.will
                own = packet.will
                return { ...packet, will: undelayed }
              }
              return undefined
            },
          })
        }),
      ],
    },
    twice('3.1.3.2.3', 'Payload Format Indicator', ID.payloadFormat, 1),
    twice('3.1.3.2.4', 'Message Expiry Interval', ID.messageExpiry, u32(10)),
    twice('3.1.3.2.5', 'Content Type', ID.contentType, string('text/plain')),
    twice('3.1.3.2.6', 'Response Topic', ID.responseTopic, string('responses')),
    twice('3.1.3.2.7', 'Correlation Data', ID.correlationData, string('data')),
    {
      id: 'MQTT5 3.1.3.2-b',
      level: 'must',
      says: 'The will is published with the properties it was given: format, expiry, content type, response topic and correlation data.',
      how: 'A will with all of them, and what comes.',
      async run(trial) {
        const topic = trial.name('will')
        const watcher = await watching(trial, topic)
        const wire = await connected(trial, {
          will: willOn(topic, {
            properties: {
              payloadFormatIndicator: true,
              messageExpiryInterval: 60,
              contentType: 'text/x-will',
              responseTopic: trial.name('response'),
              correlationData: Buffer.from([1, 2, 3]),
            },
          }),
        })
        wire.destroy()
        const { properties: got } = await comes(watcher)
        mustEqual(got?.payloadFormatIndicator, true, 'the Payload Format Indicator')
        const expiry = got?.messageExpiryInterval ?? -1
        mustBe(expiry >= 50 && expiry <= 60, `the Message Expiry Interval is ${expiry} where about 60 was due`)
        mustEqual(got?.contentType, 'text/x-will', 'the Content Type')
        mustEqual(got?.responseTopic, trial.name('response'), 'the Response Topic')
        mustEqual(got?.correlationData?.toString('hex'), '010203', 'the Correlation Data')
      },
      mutants: [ID.payloadFormat, ID.messageExpiry, ID.contentType, ID.responseTopic, ID.correlationData].map((left) =>
        changesProperties(`leaves out property ${left}`, 'publish', (before) => before.filter(({ id }) => id !== left)),
      ),
    },
    {
      id: 'MQTT-3.1.3-10',
      level: 'must',
      says: 'The user properties of a will are published in their order.',
      how: 'A will with five, of three names.',
      async run(trial) {
        const topic = trial.name('will')
        const watcher = await watching(trial, topic)
        const pairs = ['b1', 'a2', 'b3', 'c4', 'a5'].map((text) => Buffer.concat([string(text.slice(0, 1)), string(text.slice(1))]))
        const wire = await connected(
          trial,
          connectBytes(trial, {
            flags: 0x0e,
            payload: [
              string(trial.name('client')),
              properties(...pairs.flatMap((pair) => [ID.userProperty, pair])),
              string(topic),
              string('last words'),
            ],
          }),
        )
        wire.destroy()
        const { raw } = await comes(watcher)
        const got = propertiesOf(raw).filter(({ id }) => id === ID.userProperty)
        // A broker may add its own behind them.
        const same = pairs.every((pair, index) => got[index]?.value.equals(pair))
        mustBe(same, `the user properties came as ${got.map(({ value }) => value.toString('latin1').replace(/[^a-z0-9]/g, '')).join(', ')}`)
      },
      mutants: [
        changesProperties('sorts the user properties', 'publish', (before) => before.toSorted((a, b) => a.value.compare(b.value))),
        changesProperties('keeps one user property a name', 'publish', (before) =>
          before.filter(({ value }, index) => before.findIndex((each) => each.value[2] === value[2]) === index),
        ),
        changes('forgets them', 'publish', ({ properties: _, ...message }) => message),
      ],
    },
    {
      id: 'MQTT-3.1.3-11',
      level: 'must',
      says: 'The will topic is a UTF-8 string without wildcards: another makes CONNECT malformed.',
      how: 'Will topics with ill-formed UTF-8, with U+0000, with wildcards, and of no length.',
      run: (trial) => {
        const withTopic = (topic: Buffer): Buffer =>
          connectBytes(trial, { flags: 0x06, payload: [string(trial.name('client')), properties(), string(topic), string('w')] })
        return refusesEach(trial, {
          'a will topic with a surrogate': withTopic(Buffer.from([0x61, 0xed, 0xa0, 0x80])),
          'a will topic with U+0000': withTopic(Buffer.from('a\0b')),
          'a will topic with #': withTopic(Buffer.from(`${trial.name('will')}/#`)),
          'a will topic with +': withTopic(Buffer.from(`+/${trial.name('will')}`)),
          'an empty will topic': withTopic(Buffer.alloc(0)),
        })
      },
      mutants: [neverCloses, acceptsAll],
    },
    {
      id: 'MQTT-3.14.4-3',
      level: 'must',
      says: 'DISCONNECT 0x00 discards the will without publishing it.',
      how: 'A client with a will sends DISCONNECT 0x00; when its connection is closed, a message is published: it is the first that comes. The same with a will delay.',
      async run(trial) {
        for (const word of ['plain', 'delayed']) {
          const topic = trial.name(word)
          const watcher = await watching(trial, topic, { clientId: trial.name(`watcher-${word}`) })
          const wire = await connected(trial, {
            will: willOn(topic, word === 'delayed' ? { properties: { willDelayInterval: 1 } } : {}),
          })
          await leave(trial, wire, word === 'plain' ? Buffer.of(0xe0, 0) : Buffer.of(0xe0, 2, 0, 0))
          const back = await again(trial, { clean: false })
          await publish(back, topic, 'a later message')
          await mustReceive(watcher, 'a later message', 'the will was published after DISCONNECT 0x00')
        }
      },
      mutants: [
        sees('takes no notice of DISCONNECT', 'disconnect', () => 'close'),
        sees('takes DISCONNECT 0x00 for 0x04', 'disconnect', (disconnect) => ({ ...disconnect, reasonCode: 4 })),
      ],
    },
  ],
}
