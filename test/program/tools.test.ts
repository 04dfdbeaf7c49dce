// The commands that look at a node and at its messages, and those that send and receive: the built program against a running one.
import { spawn } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type RunningBroker, startBroker } from '../support/broker.ts'
import { spawnBroker } from '../support/process.ts'
import { program } from '../wire/node-process.ts'
import { bascule } from './program.ts'

let broker: RunningBroker
let environment: Readonly<Record<string, string>>
beforeAll(async () => {
  broker = await startBroker()
  environment = { BASCULE_URL: broker.address('http') }
})
afterAll(() => broker.stop())

const run = (...args: string[]) => bascule(args, environment)

async function done(...args: string[]): Promise<string> {
  const { code, out, err } = await run(...args)
  expect({ args, code, err }).toEqual({ args, code: 0, err: '' })
  return out
}

/** Over TCP and over WebSocket. */
function urls(protocol: string): readonly string[] {
  return [`${protocol}://${broker.address(protocol)}`, `${protocol}+ws://${broker.address('websocket')}`]
}

describe('a move', () => {
  it('that kill -9 breaks off has each message on exactly one of both queues, and can be taken up again', async () => {
    const node = await spawnBroker()
    try {
      const url = { BASCULE_URL: node.address('http') }
      const total = 20_000
      const sent = await bascule(['send', `amqp://${node.address('amqp')}`, 'from', 'x'.repeat(100), '--count', String(total)], url, 60_000)
      expect(sent.out).toBe(`sent ${total}\n`)
      const counts = async () => {
        const { out } = await bascule(['destinations', '--json'], { BASCULE_URL: node.address('http') })
        const { queues } = JSON.parse(out) as { queues: { name: string; messages: number }[] }
        return (name: string): number => queues.find((one) => one.name === name)?.messages ?? 0
      }
      const moving = fetch(`http://${node.address('http')}/api/queues/from/move?to=to`, { method: 'POST' }).catch(() => {})
      // It goes in slices, and requests are answered between them.
      for (let begun = false; !begun; ) {
        const { queues } = (await (await fetch(`http://${node.address('http')}/api/destinations`)).json()) as {
          queues: { name: string; ready: number }[]
        }
        begun = queues.some(({ name, ready }) => name === 'to' && ready > 0)
      }
      await node.kill('SIGKILL')
      await moving
      await node.restart()
      const left = await counts()
      expect(left('from') + left('to')).toBe(total)
      const again = await bascule(['move', 'from', 'to', '--json'], { BASCULE_URL: node.address('http') }, 60_000)
      expect(JSON.parse(again.out)).toMatchObject({ moved: left('from') })
      await node.restart()
      const after = await counts()
      expect([after('from'), after('to')]).toEqual([0, total])
    } finally {
      await node.stop()
    }
  })
})

describe('send and receive', () => {
  const subscriptions = async (): Promise<number> => {
    const { queues } = JSON.parse(await done('destinations', 'mqtt:*', '--json')) as { queues: { bindings: number }[] }
    return queues.filter(({ bindings }) => bindings > 0).length
  }

  it.each([
    ['stomp', '/queue/tools.stomp', 'tools.stomp'],
    ['amqp', 'queue://tools.amqp', 'tools.amqp'],
  ])('%s: what was acknowledged is on the queue, is received in order, and then is gone', async (protocol, destination, queue) => {
    const [plain, webSocket] = urls(protocol)
    expect(await done('send', plain, destination, 'tcp wörd', '--header', 'x=1')).toBe('sent 1\n')
    expect(await done('send', webSocket, destination, 'ws', '--count', '3')).toBe('sent 3\n')
    expect(await done('destinations', queue)).toMatch(new RegExp(`^queue .*\\n${queue} +4 +4 +\\d+ +0 +0 +durable\\n$`))
    const first = JSON.parse(await done('receive', plain, destination, '--count', '1', '--json'))
    expect(first).toMatchObject({ body: { text: 'tcp wörd' } })
    expect(JSON.stringify(first.fields)).toContain('"1"')
    expect(await done('receive', webSocket, destination, '--count', '3')).toBe('ws\nws\nws\n')
    expect((await run('receive', plain, destination, '--count', '1', '--wait', '100')).code).toBe(1)
  })

  it('mqtt5: carries properties and user properties both ways', async () => {
    const [plain, webSocket] = urls('mqtt').map((url) => url.replace('mqtt', 'mqtt5'))
    const receiving = done('receive', webSocket, 'tools/five', '--count', '1', '--json')
    while ((await subscriptions()) === 0);
    const headers = ['content-type=text/x', 'correlation-data=c1', 'colour=red', 'colour=blue'].flatMap((header) => ['--header', header])
    expect(await done('send', plain, 'tools/five', 'm', ...headers)).toBe('sent 1\n')
    const { destination, fields, body } = JSON.parse(await receiving)
    expect([destination, body.text]).toEqual(['tools/five', 'm'])
    for (const field of [
      ['content-type', 'text/x'],
      ['correlation-data', 'c1'],
      ['colour', 'red'],
      ['colour', 'blue'],
    ])
      expect(fields).toContainEqual(field)
  })

  it('mqtt: lines of standard input are messages, and come to who subscribed', async () => {
    const [plain, webSocket] = urls('mqtt')
    while ((await subscriptions()) > 0);
    const receiving = done('receive', webSocket, 'tools/#', '--count', '3')
    // It has subscribed when a probe comes through.
    const child = spawn(process.execPath, [program, 'send', plain, 'tools/lines', '--lines'], { stdio: ['pipe', 'ignore', 'inherit'] })
    while ((await subscriptions()) === 0);
    child.stdin.end('one\ntwo\nthree')
    expect(await receiving).toBe('one\ntwo\nthree\n')
  })

  it('mqtt: takes no more than it is asked for of what it shares with others', async () => {
    const [url] = urls('mqtt')
    const total = 30
    const other = bascule(['receive', url, '$share/g/counted', '--wait', '4000'], environment)
    const first = bascule(['receive', url, '$share/g/counted', '--count', '1'], environment)
    await vi.waitFor(async () => expect((await done('connections')).match(/^mqtt /gm)?.length).toBe(2), 10_000)
    await bascule(['send', url, 'counted', 'm', '--count', String(total)], environment)
    expect((await first).out).toBe('m\n')
    // All others come to who stays, those too that were on their way to the first.
    expect((await other).out.match(/m/g)?.length).toBe(total - 1)
  })

  it('acknowledge nothing that could not be printed', async () => {
    for (const [url] of [urls('stomp'), urls('amqp')]) {
      const queue = url.startsWith('stomp') ? '/queue/unprinted' : 'unprinted'
      await done('purge', 'unprinted').catch(() => {})
      await bascule(['send', url, queue, 'm', '--count', '20'], environment)
      const reader = spawn(process.execPath, [program, 'receive', url, queue, '--wait', '3000'], {
        stdio: ['ignore', 'pipe', 'ignore'],
        env: { ...process.env, ...environment },
      })
      const code = new Promise((resolve) => reader.once('exit', resolve))
      reader.stdout.destroy()
      expect(await code).toBe(1)
      const rows = JSON.parse(await done('destinations', 'unprinted', '--json')) as { queues: { messages: number }[] }
      expect(rows.queues[0]?.messages).toBe(20)
    }
  })

  it('never print the password of a URL', async () => {
    for (const [url, expected] of [
      ['kafka://joe:secret@h', 2],
      ['amqp://joe:secret@h:x', 2],
      ['amqp://j%zz:secret@127.0.0.1', 2],
      ['amqps://joe:secret@127.0.0.1:1', 1],
    ]) {
      const { code, err } = await run('send', String(url), 'q', 'x')
      expect({ url, code, told: err.includes('secret') }).toEqual({ url, code: expected, told: false })
    }
  })

  it('say in one line what went wrong', async () => {
    const [stomp] = urls('stomp')
    const [mqtt] = urls('mqtt')
    const wrong = async (code: number, sentence: string | RegExp, ...args: string[]) => {
      const ended = await run(...args)
      expect({ args, code: ended.code, err: ended.err }).toEqual({ args, code, err: expect.stringMatching(sentence) })
      expect(ended.err.split('\n')).toHaveLength(2)
    }
    await wrong(2, 'is not the URL of a broker', 'send', 'http://x', 'q', 'm')
    await wrong(2, 'wants the URL', 'send')
    await wrong(2, 'has no headers', 'send', mqtt, 'a', 'm', '--header', 'a=b')
    await wrong(2, 'NAME=VALUE', 'send', stomp, '/queue/a', 'm', '--header', 'a')
    await wrong(1, 'cannot be reached', 'send', 'amqp://127.0.0.1:1', 'q', 'm')
    await wrong(1, 'A destination begins with /queue/', 'send', stomp, 'nowhere', 'm')
    await wrong(1, 'wildcards', 'send', urls('amqp')[0], 'topic://a.*', 'm')
    await wrong(1, 'option "x"', 'receive', urls('amqp')[0], 'queue://a?x=1')
    await wrong(1, 'there is no queue nowhere', 'browse', 'nowhere')
    await wrong(1, 'does not answer', 'destinations', '--url', '127.0.0.1:1')
    await wrong(2, 'one of them', 'explain', 'q', '1', '--last')
    await wrong(2, 'two queues', 'move', 'q')
    await wrong(2, 'wants the number', 'unschedule')
    await wrong(2, 'whole number', 'unschedule', 'all')
    await wrong(2, 'whole number', 'browse', 'q', '--count', 'many')
  })
})

describe('a queue', () => {
  it('is browsed, explained, moved and purged', async () => {
    const [stomp] = urls('stomp')
    await done('send', stomp, '/queue/seen', 'two lines\nand \u001b[31mred', '--header', 'correlation-id=c')
    await done('send', stomp, '/queue/seen', 'second')
    const browsed = await done('browse', 'seen')
    expect(browsed.split('\n')[1]).toMatch(/^ +1 {2}ready {2}stomp .*two lines⏎and \\u001b\[31mred$/)
    const more = await done('browse', 'seen', '--count', '1')
    expect(more).toContain('There is more: --after 1')
    expect(JSON.parse(await done('browse', 'seen', '--after', '1', '--json'))).toMatchObject({ sequence: 2, body: { text: 'second' } })
    const explained = await done('explain', 'seen')
    expect(explained).toContain('stomp (as it came)\n  destination  /queue/seen\n')
    expect(explained).toContain('properties.correlation-id: c\n')
    expect(explained).toMatch(/mqtt\n(?: .*\n)+ {2}lost: correlationId.* \(mqtt-payload-only\)\n {4}A PUBLISH/)
    expect(explained).not.toContain('\u001b')
    expect(JSON.parse(await done('explain', 'seen', '--last', '--json')).message.sequence).toBe(2)
    expect(await done('move', 'seen', 'elsewhere', '--count', '1')).toBe('moved 1\n  1 to elsewhere\n')
    expect(await done('move', '--redrive', 'elsewhere')).toBe('moved 0\n1 stayed: no dead letters, or their queue is gone\n')
    expect(await done('purge', 'seen')).toBe('removed 1\n')
    expect((await run('remove', 'elsewhere')).err).toContain('by force only')
    expect(JSON.parse(await done('purge', 'elsewhere', '--json'))).toEqual({ removed: 1 })
    expect(await done('remove', 'elsewhere')).toBe('removed, with 0 messages\n')
  })

  it('whose messages come again and again is listed, and left alone when they are ended', async () => {
    const [stomp] = urls('stomp')
    expect(await done('scheduled')).toBe('number  destination  cron  delay  period  repeat  sent  next\n')
    await done(
      'send',
      stomp,
      '/queue/again',
      'm',
      '--header',
      'AMQ_SCHEDULED_CRON=0 0 1 1 *',
      '--header',
      'AMQ_SCHEDULED_REPEAT=2',
      '--header',
      'AMQ_SCHEDULED_PERIOD=5000',
    )
    await done(
      'send',
      stomp,
      '/queue/again',
      'n',
      '--header',
      'AMQ_SCHEDULED_DELAY=3600000',
      '--header',
      'AMQ_SCHEDULED_REPEAT=-1',
      '--header',
      'AMQ_SCHEDULED_PERIOD=1000',
    )
    const lines = (await done('scheduled')).split('\n')
    expect(lines[1]).toMatch(/^ +\d+ {2}queue:again {2}0 0 1 1 \* +0 +5000 {2}2 +0 {2}\d{4}-/)
    expect(lines[2]).toMatch(/^ +\d+ {2}queue:again +3600000 +1000 {2}∞ +0 {2}\d{4}-/)
    const listed = JSON.parse(await done('scheduled', '--json')).scheduled
    expect(listed).toHaveLength(2)
    expect(await done('unschedule', String(listed[0].number))).toBe(`${listed[0].number} is sent no more\n`)
    expect(JSON.parse(await done('unschedule', String(listed[1].number), '--json'))).toEqual({ number: listed[1].number })
    expect((await run('unschedule', String(listed[1].number))).err).toContain('No message is scheduled under the number')
    expect(JSON.parse(await done('scheduled', '--json'))).toEqual({ scheduled: [] })
  })

  it('shows who is connected', async () => {
    const [, webSocket] = urls('stomp')
    const child = spawn(process.execPath, [program, 'receive', webSocket, '/queue/watched'], { stdio: 'ignore' })
    try {
      const row = async () => (await done('connections')).split('\n').find((line) => /^stomp .* 1 +100 +0 +0$/.test(line))
      while ((await row()) === undefined);
    } finally {
      child.kill('SIGINT')
    }
    expect(await new Promise((resolve) => child.once('close', resolve))).toBe(0)
  })
})
