// Bad input to the program: one clear line on stderr that says what to do, exit code non-zero, nothing changed on disk.
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { spawnBroker } from '../support/process.ts'
import { bascule, type Ended, temporaryFolder } from './program.ts'

const folder = temporaryFolder()
const servers: Server[] = []
afterAll(() => {
  for (const server of servers) server.close()
  folder.remove()
})

function expectOneLine({ code, err, out }: Ended, ...words: readonly string[]): void {
  expect(err, err).toMatch(/^bascule: .+\n$/)
  expect(err.trimEnd().split('\n')).toHaveLength(1)
  for (const word of words) expect(err).toContain(word)
  expect(code).toBeGreaterThan(0)
  expect(out).toBe('')
}

/** Names, sizes and contents below a directory. */
function picture(directory: string): unknown {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) => {
      const path = join(directory, name)
      return statSync(path).isDirectory() ? name : [name, readFileSync(path).toString('base64')]
    })
}

async function taken(): Promise<number> {
  const server = createServer()
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

describe('the program refuses', () => {
  it.each([
    [['strat'], 'unknown command strat: did you mean start?'],
    [['start', '--prots', 'free'], 'unknown flag --prots: did you mean --ports?'],
    [['start', '--ports', 'many'], '--ports many: only free or fixed'],
    [['start', '--port-offset', '99999'], 'a port is a number'],
    [['start', '--listen', 'mqqt=127.0.0.1:1'], 'unknown listener mqqt: did you mean mqtt?'],
    [['start', '--listen', 'mqtt'], 'NAME=HOST:PORT'],
    [['start', '--log-level', 'loud'], 'one of debug'],
    [['start', '--set', 'jurnal.lazyMs=1'], 'did you mean `journal.lazyMs`?'],
    [['start', 'now'], 'unexpected argument now'],
    [['start', '--data'], '--data'],
    [['journal', 'chekc'], 'check or dump'],
  ])('%j', async (args, sentence) => {
    expectOneLine(await bascule(args), sentence)
  })

  it('an unknown variable of ours in the environment', async () => {
    expectOneLine(await bascule(['start'], { BASCULE_DTAA: 'x' }), 'unknown environment variable `BASCULE_DTAA`: did you mean `BASCULE_DATA`?')
  })

  it('a broken configuration file, with file and line', async () => {
    const file = folder.path('broken.yaml')
    writeFileSync(file, 'node: a\nlistners: {}\n')
    const data = folder.path('never')
    expectOneLine(
      await bascule(['start', '--config', file, '--data', data, '--ports', 'free']),
      `${file}:2: unknown key`,
      'did you mean `listeners`?',
    )
    writeFileSync(file, 'node: [a\n')
    expectOneLine(await bascule(['start', '--config', file, '--data', data, '--ports', 'free']), `${file}:`)
    expectOneLine(await bascule(['start', '--config', folder.path('absent.yaml'), '--data', data]), 'cannot be read')
    expect(existsSync(data)).toBe(false)
  })

  it('an address in use, for each listener, and leaves no directory behind', async () => {
    const data = folder.path('in-use')
    for (const listener of ['mqtt', 'stomp', 'amqp', 'http', 'websocket']) {
      const port = await taken()
      const ended = await bascule([
        'start',
        '--data',
        data,
        '--ports',
        'fixed',
        '--listen',
        'mqtt=0',
        '--listen',
        'stomp=0',
        '--listen',
        'amqp=0',
        '--listen',
        'http=0',
        '--listen',
        'websocket=0',
        '--listen',
        `${listener}=${port}`,
      ])
      expectOneLine(ended, `listener ${listener}: 127.0.0.1:${port} is in use`, '--ports free')
      expect(existsSync(data)).toBe(false)
    }
  })

  it('to listen beyond loopback without --insecure', async () => {
    const data = folder.path('wide')
    expectOneLine(await bascule(['start', '--data', data, '--ports', 'free', '--listen', 'mqtt=0.0.0.0:0']), 'listener mqtt', '--insecure')
    expect(existsSync(data)).toBe(false)
  })

  it('a foreign directory, and changes nothing in it', async () => {
    const data = folder.path('foreign')
    mkdirSync(join(data, 'photos'), { recursive: true })
    writeFileSync(join(data, 'photos', 'cat.jpg'), 'meow')
    const before = picture(data)
    expectOneLine(await bascule(['start', '--data', data, '--ports', 'free']), data)
    expect(picture(data)).toEqual(before)
  })

  it('a file where the directory should be', async () => {
    const data = folder.path('file')
    writeFileSync(data, 'not a directory')
    expectOneLine(await bascule(['start', '--data', data, '--ports', 'free']), data)
    expect(readFileSync(data, 'utf8')).toBe('not a directory')
  })

  it('a journal of a newer format, and changes nothing in it', async () => {
    const data = folder.path('newer')
    const broker = await spawnBroker({ data })
    await broker.kill('SIGTERM')
    const file = join(data, 'format')
    const text = readFileSync(file, 'utf8')
    expect(text).toMatch(/1/)
    writeFileSync(file, text.replace('1', '99'))
    const before = picture(data)
    const ended = await bascule(['start', '--data', data, '--ports', 'free'])
    expectOneLine(ended, 'newer')
    expect(picture(data)).toEqual(before)
  })

  // Who may do everything may also write where nobody may.
  it.skipIf(process.getuid?.() === 0 && spawnSync('setpriv', ['--version']).status !== 0)('a directory that this user may not write', async () => {
    const data = folder.path('locked')
    mkdirSync(data)
    chmodSync(data, 0o555)
    const inside = join(data, 'data')
    const ended = await (process.getuid?.() === 0
      ? basculeAsNobody(['start', '--data', inside, '--ports', 'free'])
      : bascule(['start', '--data', inside, '--ports', 'free']))
    expectOneLine(ended, inside)
    chmodSync(data, 0o755)
    expect(readdirSync(data)).toEqual([])
  })
})

async function basculeAsNobody(args: readonly string[]): Promise<Ended> {
  const { program } = await import('../wire/node-process.ts')
  chmodSync(folder.path('.'), 0o755)
  const done = spawnSync('setpriv', ['--reuid=65534', '--clear-groups', process.execPath, program, ...args], { encoding: 'utf8', timeout: 15_000 })
  return { code: done.status, out: done.stdout, err: done.stderr }
}

describe('the program as it should be called', () => {
  it.each([[['--help']], [['help', 'start']], [['start', '--help']], [['journal', '--help']], [['version']], [['--version']]])(
    '%j answers on stdout',
    async (args) => {
      const { code, out, err } = await bascule(args)
      expect({ code, err }).toEqual({ code: 0, err: '' })
      expect(out.length).toBeGreaterThan(4)
    },
  )

  it('checks and dumps a journal, and says where it is damaged', async () => {
    const data = folder.path('checked')
    const broker = await spawnBroker({ data })
    await broker.kill('SIGKILL')
    const sound = await bascule(['journal', 'check', '--data', data])
    expect({ code: sound.code, err: sound.err }).toEqual({ code: 0, err: '' })
    expect(sound.out).toContain('sound')
    expect((await bascule(['journal', 'dump', '--data', data])).out).toContain('batch 1')
    const absent = await bascule(['journal', 'check', '--data', folder.path('absent')])
    expect(absent.code).toBe(1)
    expect(existsSync(folder.path('absent'))).toBe(false)
  })
})
