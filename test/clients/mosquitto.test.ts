import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterEach, describe, expect, it } from 'vitest'
import { until } from '../wire/bytes.ts'
import { brokerForThisFile, debianTool, run, whySkipped } from './clients.ts'

const pub = debianTool('mosquitto_pub', 'mosquitto-clients')
const ports = brokerForThisFile()

const at = () => ['-h', '127.0.0.1', '-p', String(ports.mqtt)]
const publish = async (...args: string[]) => expect(await run('mosquitto_pub', [...at(), ...args])).toMatchObject({ code: 0, stderr: '' })

const listening: ChildProcess[] = []

// Also those of a test that failed: the tool would try to reconnect for ever.
afterEach(() => {
  for (const child of listening.splice(0)) child.kill('SIGKILL')
})

/** A subscriber that runs until told; `-d` says when the SUBACK came. */
function listen(...args: string[]) {
  // Into a pipe the tool holds its output back until there is much of it.
  const child = spawn('stdbuf', ['-oL', 'mosquitto_sub', ...at(), '-d', '-F', '%t|%q|%r|%p', ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  listening.push(child)
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  return {
    child,
    subscribed: () => until('SUBACK', () => output.includes('Subscribed (mid')),
    lines: () => output.split('\n').filter((line) => line.includes('|')),
    end: async () => {
      child.kill('SIGINT')
      await once(child, 'exit')
    },
  }
}

describe.skipIf(!pub.found)(`mosquitto_pub and mosquitto_sub${whySkipped(pub)}`, () => {
  it.each([0, 1, 2])('publish and receive with QoS %i', async (qos) => {
    const sub = listen('-t', `mos/qos${qos}`, '-q', String(qos))
    await sub.subscribed()
    await run('mosquitto_pub', [...at(), '-t', `mos/qos${qos}`, '-q', String(qos), '-l'], {
      input: Array.from({ length: 100 }, (_, i) => `${i}\n`).join(''),
    })
    await until('100 messages', () => sub.lines().length >= 100)
    expect(sub.lines()).toEqual(Array.from({ length: 100 }, (_, i) => `mos/qos${qos}|${qos}|0|${i}`))
    await sub.end()
  })

  it('keep and clear a retained message', async () => {
    await publish('-t', 'mos/kept', '-r', '-q', '1', '-m', 'hello')
    const got = await run('mosquitto_sub', [...at(), '-t', 'mos/kept', '-C', '1', '-W', '5', '-F', '%r %p'])
    expect(got.stdout).toBe('1 hello\n')
    await publish('-t', 'mos/kept', '-r', '-n', '-q', '1')
    const none = await run('mosquitto_sub', [...at(), '-t', 'mos/kept', '-C', '1', '-W', '1'])
    expect(none.stdout).toBe('')
  })

  it('keep a session while its client is away', async () => {
    const args = [...at(), '-i', 'mos-kept', '-c', '-q', '2', '-t', 'mos/away']
    expect((await run('mosquitto_sub', [...args, '-E'])).code).toBe(0)
    for (const body of ['1', '2', '3']) await publish('-t', 'mos/away', '-q', '2', '-m', body)
    expect((await run('mosquitto_sub', [...args, '-C', '3', '-W', '5'])).stdout).toBe('1\n2\n3\n')
  })

  it('send a will when the client dies', async () => {
    const watcher = listen('-t', 'mos/will', '-q', '1')
    await watcher.subscribed()
    const dying = listen('-t', 'mos/other', '--will-topic', 'mos/will', '--will-payload', 'gone', '--will-qos', '1')
    await dying.subscribed()
    dying.child.kill('SIGKILL')
    await until('the will', () => watcher.lines().length > 0)
    expect(watcher.lines()).toEqual(['mos/will|1|0|gone'])
    await watcher.end()
  })

  it('speak 3.1', async () => {
    const sub = listen('-V', 'mqttv31', '-t', 'mos/31', '-q', '2')
    await sub.subscribed()
    await publish('-V', 'mqttv31', '-t', 'mos/31', '-q', '2', '-m', 'old')
    await until('a message', () => sub.lines().length > 0)
    expect(sub.lines()).toEqual(['mos/31|2|0|old'])
    await sub.end()
  })

  it('speak MQTT 5, with properties, and across versions', async () => {
    const sub = listen(
      '-V',
      'mqttv5',
      '-t',
      'mos/five',
      '-q',
      '2',
      '-D',
      'subscribe',
      'subscription-identifier',
      '9',
      '-F',
      '%t|%q|%p|%P|%C|%R|%D|%E',
    )
    await sub.subscribed()
    const old = listen('-t', 'mos/five', '-q', '2')
    await old.subscribed()
    const properties = ['content-type', 'x/y', 'response-topic', 'mos/answers', 'correlation-data', 'c7', 'message-expiry-interval', '100']
    const asked = properties.flatMap((_, i) => (i % 2 === 0 ? ['-D', 'publish', properties[i], properties[i + 1]] : []))
    await publish('-V', 'mqttv5', '-t', 'mos/five', '-q', '2', '-m', 'new', ...asked, '-D', 'publish', 'user-property', 'k', 'v')
    await publish('-t', 'mos/five', '-q', '1', '-m', 'old')
    await until('two messages each', () => sub.lines().length === 2 && old.lines().length === 2)
    expect(sub.lines()).toEqual(['mos/five|2|new|k:v|x/y|mos/answers|c7|100', 'mos/five|1|old|||||'])
    expect(old.lines()).toEqual(['mos/five|2|0|new', 'mos/five|1|0|old'])
    await sub.end()
    await old.end()
  })

  it('answer each other by response topic', async () => {
    const service = listen('-V', 'mqttv5', '-t', 'mos/service', '-q', '1', '-F', '%R|%D')
    await service.subscribed()
    const asked = run('mosquitto_rr', [...at(), '-t', 'mos/service', '-e', 'mos/reply', '-m', 'ping', '-q', '1', '-W', '10'])
    await until('the request', () => service.lines().length > 0)
    const [to] = service.lines()[0].split('|')
    expect(to).toBe('mos/reply')
    await publish('-V', 'mqttv5', '-t', to, '-q', '1', '-m', 'pong')
    expect((await asked).stdout).toBe('pong\n')
    await service.end()
  })

  it('keep a session of MQTT 5 for its expiry', async () => {
    const args = [...at(), '-V', 'mqttv5', '-i', 'mos-five', '-c', '-x', '600', '-q', '2', '-t', 'mos/five-away']
    expect((await run('mosquitto_sub', [...args, '-E'])).code).toBe(0)
    for (const body of ['1', '2']) await publish('-V', 'mqttv5', '-t', 'mos/five-away', '-q', '2', '-m', body)
    expect((await run('mosquitto_sub', [...args, '-C', '2', '-W', '5'])).stdout).toBe('1\n2\n')
  })

  it('see the broker itself under $SYS', async () => {
    const got = await run('mosquitto_sub', [...at(), '-t', '$SYS/#', '-C', '3', '-W', '15', '-v'])
    expect(got.stdout.split('\n').filter((line) => line.startsWith('$SYS/broker/')).length).toBe(3)
  })
})
