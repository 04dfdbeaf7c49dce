// MQTT 5.0, 3.12 to 3.14 and 4.13: PINGREQ, DISCONNECT, and how errors end a connection.
import type { Chapter } from '../check.ts'
import { MqttWire, type Received } from '../clients/mqtt-wire.ts'
import { packet, properties, string, u16, u32 } from '../mqtt/bytes.ts'
import { changes, edits, never, sees } from '../mqtt/mutants.ts'
import { mutant, neverCloses } from '../mutant.ts'
import { mustBe, mustEqual, notSupported, skip } from '../outcome.ts'
import type { Trial } from '../trial.ts'
import { acceptsAll, adds, addsLongReason, addsLongUserProperty } from './mutants.ts'
import { ID } from './properties.ts'
import {
  A_WHILE,
  closes,
  closesEach,
  code,
  connectBytes,
  connected,
  connectPacket,
  leave,
  mustReceive,
  opened,
  pause,
  publish,
  publishBytes,
  refusesEach,
  subscribe,
  watching,
  whatComes,
} from './session.ts'

const KEPT = { properties: { sessionExpiryInterval: A_WHILE } }

/** Ways to be disconnected, each on a connection of its own; what came until the end. Those that the broker lets pass, or takes without a word, are left out: other clauses tell. */
async function disconnected(trial: Trial, maximumPacketSize?: number): Promise<readonly (readonly Received[])[]> {
  const topic = trial.name('topic')
  const ways: Readonly<Record<string, Buffer>> = {
    malformed: publishBytes(topic, [], 'x', 0x36),
    'second-connect': connectBytes(trial),
    'alias-zero': publishBytes(topic, [ID.topicAlias, u16(0)]),
    wildcard: publishBytes(`${topic}/#`, [], 'x'),
  }
  const limit = maximumPacketSize === undefined ? {} : { properties: { maximumPacketSize } }
  const ended = async (wire: MqttWire): Promise<readonly Received[]> => {
    const came = await whatComes(trial, wire)
    if (!wire.inbox.ended && disconnects(came).length === 0) return []
    return wire.closed('after DISCONNECT of the broker')
  }
  const taken = connected(trial, { ...limit, clientId: trial.name('taken') }).then(async (first) => {
    await connected(trial, { clientId: trial.name('taken') })
    return ended(first)
  })
  const others = Object.entries(ways).map(async ([why, last]) => {
    const wire = await connected(trial, { ...limit, clientId: trial.name(why) })
    wire.send(Buffer.concat([last, packet(0xc0)]))
    return ended(wire)
  })
  const all = (await Promise.all([taken, ...others])).filter((packets) => disconnects(packets).length > 0)
  if (all.length === 0) notSupported('the broker closes connections without DISCONNECT')
  return all
}

/** Not by this suite. */
const OVER_WEBSOCKET = 'It is checked by the suite websocket, for every version of MQTT.'

const disconnects = (packets: readonly Received[]): readonly Received<'disconnect'>[] =>
  packets.filter((each): each is Received<'disconnect'> => each.cmd === 'disconnect')

export const ending: Chapter = {
  title: '3.12 to 3.14 PINGREQ and DISCONNECT, 4.13 Errors',
  clauses: [
    {
      id: 'MQTT-3.12.4-1',
      level: 'must',
      says: 'PINGREQ is answered with PINGRESP.',
      how: 'PINGREQ alone, three in one write, and one between other packets.',
      async run(trial) {
        const wire = await connected(trial)
        await wire.ping()
        wire.send(Buffer.concat([packet(0xc0), packet(0xc0), packet(0xc0)]))
        for (let count = 0; count < 3; count++) await wire.next('pingresp')
        wire.send(Buffer.concat([publishBytes(trial.name('topic'), [], 'x', 0x32), packet(0xc0), publishBytes(trial.name('topic'), [], 'x', 0x32)]))
        await wire.next('pingresp')
      },
      mutants: [
        never('pingresp'),
        edits('answers the first PINGREQ only', () => () => {
          let answered = 0
          return { toClient: (each) => (each.cmd === 'pingresp' && ++answered > 1 ? 'drop' : undefined) }
        }),
      ],
    },
    {
      id: 'MQTT-3.14.0-1',
      level: 'must',
      says: 'A server sends DISCONNECT only after a CONNACK with a reason code below 0x80.',
      how: 'CONNECTs that are refused, and packets before CONNECT: no DISCONNECT comes, but a CONNACK or the end of the connection.',
      async run(trial) {
        const cases: Record<string, Buffer> = {
          'a CONNECT with its reserved flag set': connectBytes(trial, { flags: 3 }),
          'a Receive Maximum of 0': connectBytes(trial, { properties: [ID.receiveMaximum, u16(0)] }),
          'an unknown authentication method': connectBytes(trial, { properties: [ID.authenticationMethod, string(trial.name('method'))] }),
          'a PINGREQ before CONNECT': packet(0xc0),
          'a PUBLISH before CONNECT': publishBytes(trial.name('topic'), [], 'x'),
        }
        await Promise.all(
          Object.entries(cases).map(async ([why, bytes]) => {
            const wire = await MqttWire.open(trial, 5)
            wire.send(bytes)
            const came = await whatComes(trial, wire)
            const accepted = came.some((each) => each.cmd === 'connack' && each.reasonCode === 0)
            mustBe(accepted || disconnects(came).length === 0, `DISCONNECT was sent after ${why}, and there was no CONNACK that accepts`)
            const answered = wire.inbox.ended || came.some((each) => each.cmd === 'connack')
            // From silence nothing follows; that something is due is said by clauses of their own.
            if (!answered) skip(`after ${why} there was neither a CONNACK nor the end of the connection`)
          }),
        )
      },
      mutants: [
        changes('refuses with DISCONNECT', 'connack', ({ reasonCode }) => packet(0xe0, reasonCode ?? 0x80)),
        changes('sends DISCONNECT behind the CONNACK that refuses', 'connack', (_, raw) => Buffer.concat([raw, packet(0xe0, 0x81)])),
      ],
    },
    {
      id: 'MQTT-3.14.1-1',
      level: 'must',
      says: 'The flags of DISCONNECT are 0: with any other it is malformed, and so the will is published.',
      how: 'A client with a will sends DISCONNECT with flags 1: the connection ends, and the will comes.',
      async run(trial) {
        await invalidDisconnect(trial, packet(0xe1, 0, properties()), 'a DISCONNECT with flags 1', {})
      },
      mutants: [
        neverCloses,
        mutant('takes no notice of the flags', () => ({
          toBroker: (raw) => (raw[0] === 0xe1 ? Buffer.concat([Buffer.of(0xe0), raw.subarray(1)]) : undefined),
        })),
      ],
    },
    {
      id: 'MQTT-3.14.2-1',
      level: 'must',
      says: 'The reason code of DISCONNECT is one of its table, and of those that a server sends.',
      how: 'Five ways to be disconnected; the wire holds reason codes against the table.',
      async run(trial) {
        for (const packets of await disconnected(trial))
          for (const { reasonCode = 0 } of disconnects(packets))
            mustBe(reasonCode >= 0x80, `DISCONNECT for an error of the client has ${code(reasonCode)}`)
      },
      mutants: [
        changes('says 0x04', 'disconnect', () => packet(0xe0, 4)),
        changes('says 0x85', 'disconnect', () => packet(0xe0, 0x85)),
        changes('says 0x00', 'disconnect', () => packet(0xe0, 0)),
      ],
    },
    {
      id: 'MQTT-3.14.2-2',
      level: 'must',
      says: 'A server sends no Session Expiry Interval with DISCONNECT.',
      how: 'Five ways to be disconnected.',
      async run(trial) {
        for (const packets of await disconnected(trial))
          for (const { properties: told } of disconnects(packets))
            mustEqual(told?.sessionExpiryInterval, undefined, 'the Session Expiry Interval of DISCONNECT')
      },
      mutants: [adds('a Session Expiry Interval', 'disconnect', ID.sessionExpiry, u32(0))],
    },
    {
      id: 'MQTT5 3.14.2.2.2-a',
      level: 'must',
      says: 'Who had a Session Expiry Interval of 0 cannot give another with DISCONNECT: that is a protocol error, and no valid DISCONNECT.',
      how: 'CONNECT with 0 and a will, DISCONNECT with 30: the will comes, and the session is not kept.',
      async run(trial) {
        await invalidDisconnect(trial, packet(0xe0, 0, properties(ID.sessionExpiry, u32(A_WHILE))), 'a Session Expiry Interval that was 0', {})
        const { connack } = await opened(trial, { clean: false })
        mustEqual(connack.sessionPresent, false, 'Session Present')
      },
      mutants: [sees('takes it for a valid DISCONNECT', 'disconnect', () => packet(0xe0, 0))],
    },
    {
      id: 'MQTT5 3.14.2.2.2-b',
      level: 'must',
      says: 'A Session Expiry Interval in DISCONNECT stands for that of CONNECT; without one, that of CONNECT stays.',
      how: 'Sessions of 30 s and 1 s: DISCONNECT with 0 ends the first, without one keeps it, with 30 keeps the second for more than 1 s.',
      async run(trial) {
        const present = async (clientId: string, wait: number): Promise<boolean> => {
          await pause(wait)
          return (await opened(trial, { clientId, clean: false })).connack.sessionPresent
        }
        const ways = [
          ['ended', A_WHILE, 0, false, 0],
          ['as-it-was', A_WHILE, undefined, true, 0],
          ['longer', 1, A_WHILE, true, 2500],
        ] as const
        await Promise.all(
          ways.map(async ([name, atFirst, atLast, wanted, wait]) => {
            const clientId = trial.name(name)
            const wire = await connected(trial, { clientId, properties: { sessionExpiryInterval: atFirst } })
            await subscribe(wire, { topic: trial.name('topic') })
            await leave(trial, wire, packet(0xe0, 0, atLast === undefined ? properties() : properties(ID.sessionExpiry, u32(atLast))))
            mustEqual(await present(clientId, wait), wanted, `Session Present after ${atFirst} s in CONNECT and ${atLast ?? 'nothing'} in DISCONNECT`)
          }),
        )
      },
      mutants: [
        sees('takes no notice of it', 'disconnect', () => packet(0xe0, 0)),
        sees('ends every session with DISCONNECT', 'disconnect', () => packet(0xe0, 0, properties(ID.sessionExpiry, u32(0)))),
      ],
    },
    {
      id: 'MQTT5 3.14.2.2.2-c',
      level: 'must',
      says: 'Two Session Expiry Intervals in a DISCONNECT are a protocol error, and no valid DISCONNECT.',
      how: 'DISCONNECT with two, of a client with a will: the will comes.',
      run: (trial) =>
        invalidDisconnect(
          trial,
          packet(0xe0, 0, properties(ID.sessionExpiry, u32(5), ID.sessionExpiry, u32(5))),
          'a DISCONNECT with two Session Expiry Intervals',
          KEPT,
        ),
      mutants: [mutant('takes it for a valid DISCONNECT', () => ({ toBroker: (raw) => (raw[0] === 0xe0 ? packet(0xe0, 0) : undefined) }))],
    },
    {
      id: 'MQTT5 3.14.2.2.3-a',
      level: 'must',
      says: 'Two Reason Strings in a DISCONNECT are a protocol error, and no valid DISCONNECT.',
      how: 'DISCONNECT with two, of a client with a will: the will comes.',
      run: (trial) =>
        invalidDisconnect(
          trial,
          packet(0xe0, 0, properties(ID.reasonString, string('a'), ID.reasonString, string('b'))),
          'a DISCONNECT with two Reason Strings',
          {},
        ),
      mutants: [mutant('takes it for a valid DISCONNECT', () => ({ toBroker: (raw) => (raw[0] === 0xe0 ? packet(0xe0, 0) : undefined) }))],
    },
    {
      id: 'MQTT5 3.14.2.1-a',
      level: 'must',
      says: 'A DISCONNECT may leave out its reason code, if that is 0x00 and it has no properties, and the length of its properties.',
      how: 'DISCONNECTs of each form of clients with wills: no will comes before a later message.',
      async run(trial) {
        const topic = trial.name('will')
        const watcher = await watching(trial, topic)
        const why = properties(ID.userProperty, string('a'), string('b'), ID.reasonString, string('done'))
        for (const bytes of [packet(0xe0), packet(0xe0, 0), packet(0xe0, 0, properties()), packet(0xe0, 0, why)]) {
          const wire = await connected(trial, { will: { topic, payload: Buffer.from('a will'), qos: 1, retain: false } })
          await leave(trial, wire, bytes)
          await publish(watcher, topic, 'a later message')
          await mustReceive(watcher, 'a later message', `${bytes.toString('hex')} was not taken for a DISCONNECT`)
        }
      },
      mutants: [
        sees('does not understand a DISCONNECT without a body', 'disconnect', (_, raw) => (raw.length === 2 ? 'close' : undefined)),
        sees('does not understand a DISCONNECT with properties', 'disconnect', (_, raw) => (raw.length > 4 ? 'close' : undefined)),
      ],
    },
    ...(
      [
        ['3', 'Reason String', addsLongReason],
        ['4', 'User Property', addsLongUserProperty],
      ] as const
    ).map(([number, what, long]): Chapter['clauses'][number] => ({
      id: `MQTT-3.14.2-${number}`,
      level: 'must',
      says: `DISCONNECT has no ${what} that makes it larger than its receiver takes.`,
      how: 'Five ways to be disconnected, with a Maximum Packet Size of 200.',
      async run(trial) {
        for (const packets of await disconnected(trial, 200))
          for (const { raw } of disconnects(packets))
            mustBe(raw.length <= 200, `a DISCONNECT of ${raw.length} bytes was sent to a client that takes 200`)
      },
      mutants: [long('disconnect')],
    })),
    {
      id: 'MQTT-3.14.4-1',
      level: 'must',
      says: 'After its DISCONNECT a server sends nothing more on the connection.',
      how: 'Five ways to be disconnected, with a PINGREQ behind each: DISCONNECT is the last that comes.',
      async run(trial) {
        for (const packets of await disconnected(trial)) {
          const at = packets.findIndex(({ cmd }) => cmd === 'disconnect')
          mustBe(at < 0 || at === packets.length - 1, `${packets[at + 1]?.cmd.toUpperCase()} came after DISCONNECT`)
        }
      },
      mutants: [
        edits('sends PINGRESP after DISCONNECT', () => () => ({
          toClient: (each, raw) => (each.cmd === 'disconnect' ? [raw, packet(0xd0)] : undefined),
        })),
        edits('sends DISCONNECT twice', () => () => ({ toClient: (each, raw) => (each.cmd === 'disconnect' ? [raw, raw] : undefined) })),
      ],
    },
    {
      id: 'MQTT-3.14.4-2',
      level: 'must',
      says: 'After its DISCONNECT a server closes the connection.',
      how: 'Five ways to be disconnected.',
      async run(trial) {
        await disconnected(trial)
      },
      mutants: [neverCloses],
    },
    {
      id: 'MQTT5 3.14.4-a',
      level: 'should',
      says: 'When a client has sent DISCONNECT and does not close the connection, the server does.',
      how: 'DISCONNECT, and then nothing.',
      async run(trial) {
        const wire = await connected(trial)
        await closes(wire, { cmd: 'disconnect', reasonCode: 0 }, 'DISCONNECT')
      },
      mutants: [neverCloses],
    },
    {
      id: 'MQTT5 3.14.4-b',
      level: 'must',
      says: 'A DISCONNECT 0x00 whose client closes the connection at once, as it must, still discards the will.',
      how: 'Ten clients with wills send DISCONNECT and FIN together: no will comes before a later message of the last.',
      async run(trial) {
        const topic = trial.name('will')
        const watcher = await watching(trial, topic)
        for (let count = 0; count < 10; count++) {
          const wire = await connected(trial, { will: { topic, payload: Buffer.from('a will'), qos: 1, retain: false } })
          wire.send(packet(0xe0))
          wire.end()
          await wire.closed('after DISCONNECT and FIN')
        }
        // Who has the client identifier now has it because the broker has done with the connection before.
        const last = await connected(trial)
        await publish(last, topic, 'a later message')
        await mustReceive(watcher, 'a later message', 'the will of a client that sent DISCONNECT and closed')
      },
      mutants: [sees('sees the end of the connection first', 'disconnect', () => 'close')],
    },
    {
      id: 'MQTT-4.13.1-1',
      level: 'must',
      says: 'A malformed packet and a protocol error end the connection.',
      how: 'Packets that are cut short, that are longer than their parts, that come twice or out of turn.',
      async run(trial) {
        const topic = trial.name('topic')
        await closesEach(trial, {
          'a SUBSCRIBE without filters': packet(0x82, u16(1), properties()),
          'an UNSUBSCRIBE without filters': packet(0xa2, u16(1), properties()),
          'a SUBSCRIBE that ends before its options': packet(0x82, u16(1), properties(), string(topic)),
          'a SUBSCRIBE that ends within its filter': packet(0x82, u16(1), properties(), u16(50), Buffer.from('short')),
          'a PUBLISH that ends before its packet identifier': packet(0x32, string(topic)),
          'a PUBLISH that ends before the length of its properties': packet(0x30, string(topic)),
          'a PUBACK of one byte': packet(0x40, 0),
          'a PUBREL without an identifier': packet(0x62),
          'an AUTH where CONNECT had no method': packet(0xf0, 0x18, properties(ID.authenticationMethod, string('x'))),
          'a second CONNECT': connectBytes(trial),
        })
        await refusesEach(trial, { 'a CONNECT cut short': packet(0x10, string('MQTT'), 5, 2) })
      },
      mutants: [neverCloses, acceptsAll],
    },
    {
      id: 'MQTT5 4.13.1-a',
      level: 'should',
      says: 'Before the connection ends because of a malformed packet or a protocol error, DISCONNECT says why; for a CONNECT, CONNACK may.',
      how: 'Malformed packets and protocol errors: DISCONNECT with a reason code from 0x80 comes.',
      async run(trial) {
        for (const [why, last] of [
          ['a PUBLISH of QoS 3', publishBytes(trial.name('topic'), [], 'x', 0x36)],
          ['a second CONNECT', connectBytes(trial)],
          ['a Topic Alias of 0', publishBytes(trial.name('topic'), [ID.topicAlias, u16(0)])],
        ] as const) {
          const told = await closes(await connected(trial), last, why)
          mustBe((told?.reasonCode ?? 0) >= 0x80, `the connection was closed after ${why} without a DISCONNECT that says why`)
        }
      },
      mutants: [never('disconnect')],
    },
    {
      id: 'MQTT-4.13.2-1',
      level: 'must',
      says: 'Where a CONNACK or DISCONNECT has a reason code from 0x80, the connection is closed.',
      how: 'CONNECTs that are refused, and five ways to be disconnected.',
      async run(trial) {
        await refusesEach(trial, {
          'an unknown authentication method': connectBytes(trial, { properties: [ID.authenticationMethod, string(trial.name('method'))] }),
        })
        await disconnected(trial)
      },
      mutants: [neverCloses],
    },
    {
      id: 'MQTT5 4.13.2-a',
      level: 'must',
      says: 'That a connection ends with an error means nothing for other sessions.',
      how: 'One client is disconnected for a protocol error; another goes on publishing and receiving, and so does the session of the first when it comes back.',
      async run(trial) {
        const topic = trial.name('topic')
        const other = await watching(trial, topic)
        const wire = await connected(trial, KEPT)
        await subscribe(wire, { topic })
        await closes(wire, publishBytes(topic, [], 'x', 0x36), 'a malformed PUBLISH')
        await publish(other, topic, 'still here')
        await mustReceive(other, 'still here', 'another session lost its message')
        const { wire: back, connack } = await opened(trial, { ...connectPacket(trial), ...KEPT, clean: false })
        mustBe(connack.sessionPresent, 'the session ended with its connection, though it was to be kept')
        await mustReceive(back, 'still here', 'the session lost its message')
      },
      mutants: [
        edits('disconnects everybody', () => {
          const all = new Set<() => void>()
          return ({ close }) => {
            all.add(close)
            return {
              toClient: (each) => {
                if (each.cmd === 'disconnect') for (const end of all) end()
                return undefined
              },
            }
          }
        }),
        sees('ends the session', 'connect', (connect) => ({ ...connect, clean: true })),
      ],
    },
    {
      id: 'MQTT-6.0.0-1',
      level: 'must',
      says: 'Over WebSocket packets are sent in binary frames, and other frames end the connection.',
      unchecked: OVER_WEBSOCKET,
    },
    { id: 'MQTT-6.0.0-2', level: 'must', says: 'Over WebSocket packets may lie across frames in any way.', unchecked: OVER_WEBSOCKET },
    { id: 'MQTT-6.0.0-4', level: 'must', says: 'Over WebSocket the server selects the subprotocol mqtt.', unchecked: OVER_WEBSOCKET },
  ],
}

/** A client with a will sends this for a DISCONNECT: it is none, so the connection ends with the will. */
async function invalidDisconnect(trial: Trial, bytes: Buffer, why: string, options: Parameters<typeof connected>[1]): Promise<void> {
  const topic = trial.name('will')
  const watcher = await watching(trial, topic)
  const wire = await connected(trial, {
    ...(Buffer.isBuffer(options) ? {} : options),
    will: { topic, payload: Buffer.from('a will'), qos: 1, retain: false },
  })
  await closes(wire, bytes, why)
  await mustReceive(watcher, 'a will', `${why} was taken for a valid DISCONNECT`)
}
