// The connection’s state machine against a core that the test plays: how it begins and ends, receipts of DISCONNECT, heart-beats, hostile input.
// What it sends: send.test.ts; what it is given: subscription.test.ts; with the real core and real sockets: end-to-end.test.ts.
import { describe, expect, it } from 'vitest'
import { CodedError } from '../../src/errors.ts'
import { SeededRandom } from '../../src/random.ts'
import { connected, send, start, subscribed } from './fake-core.ts'

describe('CONNECT', () => {
  it.each([
    ['CONNECT\n\n\0', '1.0'],
    ['CONNECT\naccept-version:1.0\n\n\0', '1.0'],
    ['CONNECT\naccept-version:1.0,1.1\nhost:x\n\n\0', '1.1'],
    ['CONNECT\naccept-version:1.2,1.1\n\n\0', '1.2'],
    ['STOMP\naccept-version:2.0, 1.2\n\n\0', '1.2'],
    ['\n\r\n\nCONNECT\r\naccept-version:1.1\r\n\r\n\0', '1.1'],
  ])('%j negotiates %s', async (bytes, version) => {
    const { client, core } = start()
    client.send(bytes)
    await client.turn()
    expect(client.text()).toBe('')
    core.done()
    expect(client.text()).toMatch(new RegExp(`^CONNECTED\nversion:${version}\nsession:[\\w-]+\nserver:bascule/0\nheart-beat:1000,1000\n\n\0$`))
  })

  it('with no version in common is an ERROR that names ours', () => {
    const { client } = start()
    client.send('CONNECT\naccept-version:9.9\n\n\0')
    expect(client.text()).toMatch(/^ERROR\nmessage:.*\ncontent-type:text\/plain;charset=utf-8\nversion:1\.0,1\.1,1\.2\n/)
    expect(client.ended).toBe(true)
  })

  it('twice is an ERROR', async () => {
    const { client, core } = await connected()
    client.send('CONNECT\naccept-version:1.2\n\n\0')
    expect(client.text()).toMatch(/^ERROR\nmessage:The connection is made already/)
    expect(client.ended).toBe(true)
    expect(core.closed).toBe('lost')
  })

  it('must be the first frame', () => {
    const { client } = start()
    client.send('SEND\ndestination:/queue/a\n\nx\0')
    expect(client.text()).toMatch(/^ERROR\nmessage:The first frame must be CONNECT or STOMP/)
    expect(client.ended).toBe(true)
  })

  it('is waited for no longer than connectTimeoutMs', () => {
    const { client, clock } = start({ connectTimeoutMs: 5000 })
    client.send('\n\n')
    clock.advance(4999)
    expect(client.ended).toBe(false)
    clock.advance(2)
    expect(client.text()).toContain('connectTimeoutMs')
    expect(client.ended).toBe(true)
  })

  it('gives login and passcode unescaped, and client-id, to the core', async () => {
    const { client, core } = start()
    client.send('CONNECT\naccept-version:1.2\nlogin:me\npasscode:a\\nb:c\nclient-id:c1\n\n\0')
    await client.turn()
    expect(core.login).toEqual({ user: 'me', password: 'a\\nb:c' })
    expect(core.clientId).toBe('c1')
  })

  it('that the core refuses is an ERROR', async () => {
    const { client, core } = start()
    core.loginError = new CodedError('unauthenticated', 'wrong password')
    client.send('CONNECT\naccept-version:1.2\n\n\0')
    await client.turn()
    expect(client.text()).toMatch(/^ERROR\nmessage:wrong password\n/)
  })

  it('keeps what came with it until the session is there, and reads nothing more meanwhile', async () => {
    const { client, core } = start()
    client.send(`CONNECT\naccept-version:1.2\n\n\0${send('/queue/a', 'x')}`)
    expect(client.paused).toBe(1)
    await client.turn()
    expect(core.published).toEqual([])
    core.done()
    await client.turn()
    expect(core.published).toHaveLength(1)
    expect(client.paused).toBe(0)
  })

  it('takes no body before somebody is logged in', () => {
    const { client } = start()
    client.send('SEND\ncontent-length:1000000\n\n')
    expect(client.ended).toBe(true)
  })
})

describe('other frames', () => {
  it.each(['MESSAGE', 'toString', '__proto__', 'connect'])('%s is no command', async (command) => {
    const { client } = await connected()
    client.send(`${command}\nreceipt:r\n\n\0`)
    expect(client.text()).toContain('There is no command')
    expect(client.ended).toBe(true)
  })

  it('UNSUBSCRIBE of nothing is an ERROR', async () => {
    const { client } = await connected()
    client.send('UNSUBSCRIBE\nid:x\n\n\0')
    expect(client.text()).toContain('There is no subscription')
  })
})

describe('DISCONNECT', () => {
  it('is answered after everything before it, parked sends included, and then ends the connection cleanly', async () => {
    const { client, core } = await subscribed('client')
    core.full = true
    client.send(`${send('/queue/a', '1', 'receipt:1')}DISCONNECT\nreceipt:bye\n\n\0`)
    core.done()
    expect(client.text()).toBe('')
    expect(core.consumers[0].closed).toBe(true)
    core.admit()
    expect(client.ended).toBe(false)
    core.done()
    expect(client.text()).toBe('RECEIPT\nreceipt-id:1\n\n\0RECEIPT\nreceipt-id:bye\n\n\0')
    expect(client.ended).toBe(true)
    expect(core.closed).toBe('clean')
  })

  it('reads nothing that follows it', async () => {
    const { client, core } = await connected()
    client.send(`DISCONNECT\n\n\0${send('/queue/a', 'late')}`)
    expect(core.published).toEqual([])
    expect(client.text()).toBe('')
    expect(client.ended).toBe(true)
  })
})

describe('the end', () => {
  it('by the core is an ERROR without receipt-id, since what happened is unknown', async () => {
    const { client, core } = await connected()
    client.send(send('/queue/a', '1', 'receipt:1'))
    core.replies?.ended(new CodedError('not-leading', 'this node no longer leads'))
    const text = client.text()
    expect(text).toContain('message:this node no longer leads\n')
    expect(text).not.toContain('receipt-id')
    expect(client.ended).toBe(true)
    core.replies?.done(99)
    expect(client.text()).toBe('')
  })

  it('by shutdown is an ERROR without receipt-id', async () => {
    const { client } = await connected()
    client.connection.shutdown(new CodedError('shutting-down', 'the broker stops'))
    expect(client.text()).toMatch(/^ERROR\nmessage:the broker stops\n/)
    expect(client.ended).toBe(true)
  })

  it('by shutdown or loss of leadership names the other nodes, and by a fault of the client does not', async () => {
    for (const code of ['shutting-down', 'not-leading'] as const) {
      const { client, core } = await connected()
      core.pair = ['b.example:61613', 'a.example:61613']
      client.connection.shutdown(new CodedError(code, 'the node leads no more'))
      expect(client.text()).toContain('server-list:b.example\\c61613,a.example\\c61613\n')
    }
    const { client, core } = await connected()
    core.pair = ['b.example:61613']
    client.send('NONSENSE\n\n\0')
    expect(client.text()).not.toContain('server-list')
  })

  it('by the wire closes the session as lost, and nothing is written after', async () => {
    const { client, core } = await subscribed('auto')
    client.connection.closed()
    expect(core.closed).toBe('lost')
    core.deliver(0, { tag: 0 })
    expect(client.text()).toBe('')
  })

  it('by the removal of its queue names the subscription', async () => {
    const { client, core } = await subscribed('auto')
    core.consumers[0].sink.ended(new CodedError('removed', 'queue a was removed'))
    expect(client.text()).toMatch(/^ERROR\nmessage:The subscription s ended\\c queue a was removed\n/)
  })

  it('while the login is under way opens no session', async () => {
    const { client, core } = start()
    client.send('CONNECT\naccept-version:1.2\n\n\0')
    client.connection.closed()
    await client.turn()
    expect(core.replies).toBeUndefined()
  })

  it('makes what follows a fault unheard', async () => {
    const { client, core } = await connected()
    client.send(`SEND\nbroken\n\n\0${send('/queue/a', 'x')}`)
    client.send(send('/queue/a', 'x'))
    expect(core.published).toEqual([])
    expect(client.text().match(/ERROR/g)).toHaveLength(1)
  })
})

describe('heart-beats', () => {
  it('are sent when nothing else was', async () => {
    const { client, clock, core } = await connected({}, 'heart-beat:0,4000')
    clock.advance(3000)
    expect(client.text()).toBe('\n')
    clock.advance(2000)
    client.send(send('/queue/a', 'x', 'receipt:1'))
    core.done()
    client.text()
    clock.advance(2000)
    expect(client.text()).toBe('')
    clock.advance(1000)
    expect(client.text()).toBe('\n')
  })

  it('that do not come end the connection after the grace', async () => {
    const { client, clock, core } = await connected({ heartBeatGrace: 2 }, 'heart-beat:4000,0')
    clock.advance(7000)
    client.send('\n')
    clock.advance(7999)
    expect(client.ended).toBe(false)
    clock.advance(2)
    expect(client.text()).toContain('neither a frame nor a heart-beat')
    expect(core.closed).toBe('lost')
  })

  it('are not missed while reading was stopped by ourselves', async () => {
    const { client, clock, core } = await connected({}, 'heart-beat:1000,0')
    core.replies?.pressure(true)
    clock.advance(60_000)
    expect(client.ended).toBe(false)
    core.replies?.pressure(false)
    clock.advance(5000)
    expect(client.ended).toBe(true)
  })

  it.each(['heart-beat:1', 'heart-beat:a,b', 'heart-beat:-1,0'])('%s is refused', (line) => {
    const { client } = start()
    client.send(`CONNECT\naccept-version:1.2\n${line}\n\n\0`)
    expect(client.text()).toContain('heart-beat is not two numbers')
  })

  it('stop with the connection', async () => {
    const { client, clock } = await connected({}, 'heart-beat:1000,1000')
    client.connection.closed()
    clock.advance(60_000)
    expect(client.text()).toBe('')
  })
})

describe('hostile input', () => {
  it('of any frames, in any order, split anywhere, ends its connection at worst (seeds 1 to 500)', async () => {
    const ends = new Set<boolean>()
    for (let seed = 1; seed <= 500; seed++) {
      const random = new SeededRandom(seed)
      const version = ['1.0', '1.1', '1.2'][random.below(3)]
      const { client, core } = await connected({ staleAck: random.below(2) === 0 ? 'ignore' : 'error' }, 'client-id:c\nheart-beat:0,0', version)
      for (let i = 0; i < 12; i++) {
        const bytes = Buffer.from(randomFrame(random))
        const at = random.below(bytes.length + 1)
        client.connection.data(bytes.subarray(0, at))
        client.connection.data(bytes.subarray(at))
        const consumer = core.consumers.at(-1)
        if (consumer !== undefined && !consumer.closed && random.below(3) === 0)
          core.deliver(core.consumers.length - 1, { tag: i + 1, sequence: i + 1 })
        if (random.below(4) === 0) core.done()
        if (random.below(6) === 0) client.connection.congested(random.below(2) === 0)
        if (random.below(6) === 0) core.replies?.pressure(random.below(2) === 0)
      }
      ends.add(client.ended)
      expect(core.closed !== undefined, `seed ${seed}`).toBe(client.ended)
      client.connection.closed()
      expect(core.closed, `seed ${seed}`).toBeDefined()
    }
    expect(ends).toEqual(new Set([true, false]))
  })
})

function randomFrame(random: SeededRandom): string {
  const pick = (from: readonly string[]): string => from[random.below(from.length)]
  // Mostly what makes sense, or every connection would end at its first frame.
  if (random.below(8) !== 0) {
    const id = `${random.below(3)}`
    return pick([
      `SEND\ndestination:/queue/a${id}\nreceipt:${id}\n\nbody\0`,
      `SEND\ndestination:/topic/a.${id}\npersistent:true\n\n\0`,
      '\n\r\n\n',
      `SEND\ndestination:/queue/a\ncontent-length:4\n__proto__:x\n\n\0\0\0\0\0`,
    ])
  }
  const headers = Array.from({ length: random.below(6) }, () => `${pick(NAMES)}:${pick(VALUES)}\n`).join('')
  return `${pick([...COMMANDS, ...COMMANDS, ...COMMANDS, 'X', ''])}\n${headers}\n${pick(['', '', 'body'])}\0`
}

const COMMANDS = ['SEND', 'SUBSCRIBE', 'UNSUBSCRIBE', 'ACK', 'NACK', 'BEGIN', 'DISCONNECT', 'CONNECT']
const NAMES = [
  'destination',
  'id',
  'ack',
  'message-id',
  'subscription',
  'receipt',
  'content-length',
  'priority',
  'activemq.subscriptionName',
  '__proto__',
  'expires',
]
const VALUES = [
  '/queue/a',
  '/topic/a.>',
  '1',
  '0',
  '-1',
  '1-1',
  '5-1',
  'client',
  'client-individual',
  'auto',
  '\\c',
  '\\t',
  '/topic/',
  'é😀',
  '9'.repeat(30),
]
