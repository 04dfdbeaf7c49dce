import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { makeHash } from '../users/hash.ts'
import { defaults } from './defaults.ts'
import { loadSettings, type Sources } from './load.ts'
import type { ProtocolSection } from './schema.ts'

const protocols: readonly ProtocolSection[] = [
  {
    name: 'mqtt',
    port: 1883,
    portTls: 8883,
    schema: {
      type: 'object',
      properties: {
        inflightMax: { type: 'integer', default: 500, minimum: 1, description: 'Window.' },
        refuse: { type: 'array', items: { type: 'string' }, default: [], description: 'Filters.' },
      },
    },
  },
]
const folder = mkdtempSync(join(tmpdir(), 'bascule-config-'))
afterAll(() => rmSync(folder, { recursive: true }))

let files = 0
function file(text: string): string {
  const path = join(folder, `${++files}.yaml`)
  writeFileSync(path, text)
  return path
}

const load = (sources: Partial<Sources> = {}) => loadSettings({ file: '', environment: {}, flags: {}, sets: [], ...sources }, protocols)

describe('settings', () => {
  it('are the defaults when nothing is configured, those of protocols included', async () => {
    const settings = await load()
    expect(settings).toEqual({
      ...defaults,
      listeners: {
        ...defaults.listeners,
        mqtt: { enabled: true, host: '127.0.0.1', port: 1883 },
        // Not without a certificate.
        https: { enabled: false, host: '127.0.0.1', port: 8162 },
        mqtts: { enabled: false, host: '127.0.0.1', port: 8883 },
        wss: { enabled: false, host: '127.0.0.1', port: 61619 },
      },
      websocket: { ...defaults.websocket, paths: { mqtt: '/mqtt' } },
      protocols: { mqtt: { inflightMax: 500, refuse: [] } },
    })
  })

  it('are the same whether the schema checker fills the defaults in or not', async () => {
    expect(await load({ file: file('{}') })).toEqual(await load())
    expect(await load({ sets: ['data=data'] })).toEqual(await load())
  })

  it('come from file, environment and flags, in rising precedence', async () => {
    const path = file('node: file\nlimits:\n  queues: 1\n  sessions: 1\n  bindings: 1\nmqtt:\n  inflightMax: 7\n')
    const environment = { BASCULE_NODE: 'environment', BASCULE_LIMITS_QUEUES: '2', BASCULE_LIMITS_SESSIONS: '2', HOME: '/' }
    const settings = await load({ file: path, environment, flags: { node: 'flag' }, sets: ['limits.queues=3'] })
    expect(settings.node).toBe('flag')
    expect(settings.limits).toMatchObject({ queues: 3, sessions: 2, bindings: 1, entries: defaults.limits.entries })
    expect(settings.protocols).toEqual({ mqtt: { inflightMax: 7, refuse: [] } })
  })

  it('are found by BASCULE_CONFIG, and --config goes before it', async () => {
    const one = file('node: one')
    expect((await load({ environment: { BASCULE_CONFIG: one } })).node).toBe('one')
    expect((await load({ environment: { BASCULE_CONFIG: one }, file: file('node: two') })).node).toBe('two')
  })

  it('take JSON as well as YAML, and lists and booleans from text', async () => {
    const settings = await load({
      file: file('{"log": {"level": "debug"}}'),
      environment: { BASCULE_MQTT_REFUSE: '["#"]', BASCULE_INSECURE: 'true' },
      sets: ['destinations.policies=[{"match":"queue:a.>","failuresMax":1}]'],
    })
    expect(settings.log.level).toBe('debug')
    expect(settings.insecure).toBe(true)
    expect(settings.protocols).toMatchObject({ mqtt: { refuse: ['#'] } })
    expect(settings.destinations.policies).toEqual([{ match: 'queue:a.>', failuresMax: 1 }])
  })

  it('add portOffset to fixed ports and give free ones for `ports: free`', async () => {
    expect((await load({ flags: { portOffset: 100 } })).listeners).toMatchObject({ http: { port: 8261 }, mqtt: { port: 1983 } })
    expect((await load({ flags: { ports: 'free' } })).listeners).toMatchObject({ http: { port: 0 }, mqtt: { port: 0 } })
    await expect(load({ flags: { portOffset: 60_000, listeners: { mqtt: { port: 60_000 } } } })).rejects.toThrow('beyond 65535')
  })
})

describe('what is wrong with a configuration', () => {
  it('an unknown key names the nearest known one and the line', async () => {
    const path = file('node: a\nlistners:\n  mqtt: {}\n')
    await expect(load({ file: path })).rejects.toThrow(`${path}:2: unknown key \`listners\`: did you mean \`listeners\`?`)
    const deep = file('journal:\n  lazyMs: 1\n  cacheByte: 1\n')
    await expect(load({ file: deep })).rejects.toThrow(`${deep}:3: unknown key \`cacheByte\` in journal: did you mean \`cacheBytes\`?`)
    await expect(load({ file: file('zzzzzz: 1') })).rejects.toThrow(/unknown key `zzzzzz`$/)
  })

  it('the same for environment variables and --set', async () => {
    await expect(load({ environment: { BASCULE_JURNAL_LAZY_MS: '1' } })).rejects.toThrow('did you mean `BASCULE_JOURNAL_LAZY_MS`?')
    await expect(load({ sets: ['jurnal.lazyMs=1'] })).rejects.toThrow('unknown key `jurnal.lazyMs`: did you mean `journal.lazyMs`?')
    await expect(load({ sets: ['node'] })).rejects.toThrow('KEY=VALUE')
  })

  it('a value of the wrong kind says what it must be, and where', async () => {
    const path = file('log:\n  level: loud\n')
    await expect(load({ file: path })).rejects.toThrow(`${path}:2: log.level must be one of debug, info, warn, error, silent, not "loud"`)
    await expect(load({ sets: ['limits.queues=many'] })).rejects.toThrow('limits.queues must be integer, not "many"')
    await expect(load({ file: file('limits: {queues: 0}') })).rejects.toThrow('limits.queues must be >= 1, not 0')
    await expect(load({ environment: { BASCULE_MQTT_INFLIGHT_MAX: '-1' } })).rejects.toThrow('mqtt.inflightMax must be >= 1')
  })

  it('a broken file is told with line and column', async () => {
    const path = file('node: a\nlog: [\n')
    await expect(load({ file: path })).rejects.toThrow(/\.yaml:[23]:\d+: /)
    await expect(load({ file: join(folder, 'absent.yaml') })).rejects.toThrow('cannot be read')
    await expect(load({ file: file('- 1') })).rejects.toThrow('mapping')
    await expect(load({ file: file('a: 1\na: 2') })).rejects.toThrow(':2:1:')
  })

  it('names of object prototypes are unknown keys like any other', async () => {
    await expect(load({ file: file('__proto__: {polluted: true}') })).rejects.toThrow('unknown key `__proto__`')
    await expect(load({ file: file('constructor: 1') })).rejects.toThrow('unknown key `constructor`')
    expect(({} as Record<string, unknown>).polluted).toBeUndefined()
  })

  it('listening beyond loopback without TLS wants insecure', async () => {
    await expect(load({ flags: { listeners: { mqtt: { host: '0.0.0.0' } } } })).rejects.toThrow('--insecure')
    await expect(load({ flags: { listeners: { http: { host: '::' } } } })).rejects.toThrow('listener http')
    await expect(load({ flags: { listeners: { mqtt: { host: '0.0.0.0', enabled: false } } } })).resolves.toBeDefined()
    await expect(load({ flags: { insecure: true, listeners: { mqtt: { host: '0.0.0.0' } } } })).resolves.toBeDefined()
  })

  it('listening beyond loopback over TLS wants users and nobody without a name, or certificates of clients', async () => {
    const tls = { certificate: 'a', key: 'b' }
    const users = [{ name: 'anna', password: makeHash(Buffer.from('x'), 1) }]
    const mqtts = { mqtts: { host: '0.0.0.0' } }
    const https = { https: { host: '0.0.0.0' } }
    await expect(load({ flags: { tls, listeners: mqtts } })).rejects.toThrow(/^listener mqtts would open 0\.0\.0\.0 to everybody/)
    await expect(load({ flags: { tls, users, listeners: { ...mqtts, ...https } } })).resolves.toBeDefined()
    await expect(load({ flags: { tls, insecure: true, listeners: mqtts } })).resolves.toBeDefined()
    const required = { ...tls, ca: 'c', clientCertificates: 'required' }
    await expect(load({ flags: { tls: required, listeners: mqtts } })).resolves.toBeDefined()
    await expect(load({ flags: { tls: required, listeners: https } })).rejects.toThrow('listener https')
    const open = { users, anonymous: true }
    await expect(load({ flags: { tls, ...open, listeners: mqtts } })).rejects.toThrow(/^listener mqtts would open .* leave `anonymous` out/)
    await expect(load({ flags: { tls, ...open, insecure: true, listeners: mqtts } })).resolves.toBeDefined()
    await expect(load({ flags: { tls: required, ...open, listeners: mqtts } })).resolves.toBeDefined()
    // Management asks for a user all the same.
    await expect(load({ flags: { tls, ...open, listeners: https } })).resolves.toBeDefined()
    await expect(load({ flags: { tls, users, listeners: { mqtt: { host: '0.0.0.0' } } } })).rejects.toThrow('without TLS')
  })

  it('a listener over TLS listens where there is a certificate, and is asked for in vain where there is none', async () => {
    const { listeners } = await load({ flags: { tls: { certificate: 'a', key: 'b' }, portOffset: 10 } })
    expect([listeners.mqtts, listeners.wss.enabled, listeners.https.enabled]).toEqual([{ enabled: true, host: '127.0.0.1', port: 8893 }, true, true])
    await expect(load({ flags: { listeners: { mqtts: { enabled: true, port: 1 } } } })).rejects.toThrow('listener mqtts needs a certificate')
    await expect(load({ flags: { listeners: { mqtts: { enabled: false } } } })).resolves.toBeDefined()
    // What else is said, and where, asks for none.
    await expect(load({ flags: { listeners: { mqtt: { enabled: true, port: 1 } } }, sets: ['failover.leaseMs=1000'] })).resolves.toBeDefined()
  })

  it('of TLS belong together', async () => {
    const of = (tls: Readonly<Record<string, unknown>>): Promise<unknown> =>
      load({ sets: Object.entries(tls).map(([key, value]) => `tls.${key}=${value}`) })
    await expect(of({ certificate: 'a' })).rejects.toThrow('tls.key is missing')
    await expect(of({ key: 'a' })).rejects.toThrow('tls.certificate is missing')
    await expect(of({ certificate: 'a', key: 'b', clientCertificates: 'optional' })).rejects.toThrow('tls.ca is missing')
    await expect(of({ certificate: 'a', key: 'b', certificateLogin: true })).rejects.toThrow('tls.certificateLogin has no use')
    await expect(of({ certificate: 'a', key: 'b', passphrase: 5, minVersion: 'secret' })).rejects.toThrow(/^(?!.*secret).*tls\.minVersion/)
  })

  it('of users by certificate name each certificate once, and ask for them', async () => {
    const tls = { certificate: 'a', key: 'b', ca: 'c', clientCertificates: 'optional' }
    const of = (users: unknown, over: object = { tls }): Promise<unknown> => load({ flags: { users, ...over } })
    const print = 'ab:'.repeat(31) + 'ab'
    await expect(
      of([
        { name: 'a', certificate: 'x' },
        { name: 'b', certificate: print },
      ]),
    ).resolves.toBeDefined()
    await expect(
      of([
        { name: 'a', certificate: 'x' },
        { name: 'b', certificate: 'x' },
      ]),
    ).rejects.toThrow('another user')
    await expect(
      of([
        { name: 'a', certificate: print },
        { name: 'b', certificate: 'AB'.repeat(32) },
      ]),
    ).rejects.toThrow('another user')
    await expect(of([{ name: 'a', certificate: 'x' }], {})).rejects.toThrow('see tls.clientCertificates')
    await expect(of([{ name: 'a' }])).rejects.toThrow('a has no password')
    await expect(of([{ name: 'a', certificate: 'x', scram: ['y'] }])).rejects.toThrow('a has no password')
  })

  it('marks in the wrong order are refused', async () => {
    await expect(load({ sets: ['limits.outputLowBytes=2000000'] })).rejects.toThrow('outputLowBytes')
  })

  it('take users with hashes only, each name once, and never print what was given as a password', async () => {
    const hash = makeHash(Buffer.from('x'), 1)
    const of = (users: unknown) => load({ sets: [`users=${JSON.stringify(users)}`] })
    expect((await of([{ name: 'anna', password: hash }])).users).toEqual([{ name: 'anna', password: hash }])
    await expect(of([{ name: 'anna', password: 'secret' }])).rejects.toThrow(/users\[0\]: the password of anna is not a hash.*bascule user hash/)
    await expect(
      of([
        { name: 'a', password: hash },
        { name: 'a', password: hash },
      ]),
    ).rejects.toThrow('users[1]: there is a user a already')
    for (const users of [
      [{ name: 'anna', password: 'secret' }],
      [{ name: 'anna', password: 5678 }],
      ['anna:secret'],
      [{ name: 'anna', secret: 5678 }],
    ])
      await expect(of(users)).rejects.toThrow(/^(?!.*(5678|"secret|:secret|secret")).*$/s)
  })

  it('leave the variables of commands alone', async () => {
    expect(await load({ environment: { BASCULE_URL: '127.0.0.1:1', BASCULE_LOGIN: 'a:b' } })).toEqual(await load())
  })
})
