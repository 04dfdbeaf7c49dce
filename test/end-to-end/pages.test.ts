// The pages of docs/how-to, followed word for word: what stands behind `$` in their blocks marked `console` is typed into one shell, in its order, beside
// a node that has the configuration of the page's `yaml` blocks. Only addresses differ. In what is promised `…` stands for anything, alone on a line
// for any lines. A yaml block with `…` in it is not whole and left out.
import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { parse } from 'yaml'
import { isTree, type Overlay } from '../../src/config/load.ts'
import { spawnBroker } from '../support/process.ts'
import { program } from '../wire/node-process.ts'

const folder = fileURLToPath(new URL('../../docs/how-to', import.meta.url))
const LISTENERS: Readonly<Record<string, string>> = { 1883: 'mqtt', 61613: 'stomp', 5672: 'amqp', 61618: 'websocket', 8161: 'http' }
/** Before each command's output. */
const MARK = '\u0001'

type Step = Readonly<{ command: string; promised: string }>

const blocks = (page: string, kind: string): string[] =>
  [...page.matchAll(new RegExp(`^\`\`\`${kind}\n(.*?)^\`\`\``, 'gms'))].map(([, block]) => block)

const stepsOf = (page: string): readonly Step[] =>
  blocks(page, 'console').flatMap((block) =>
    [...block.matchAll(/^\$ (.*)\n((?:(?!\$ ).*\n)*)/gm)].map(([, command, promised]) => ({ command, promised })),
  )

/** Lists one behind the other. */
function added(one: unknown, other: unknown): unknown {
  if (Array.isArray(one) && Array.isArray(other)) return [...one, ...other]
  if (!isTree(one) || !isTree(other)) return other
  const both: Overlay = { ...one }
  for (const [key, value] of Object.entries(other)) both[key] = key in one ? added(one[key], value) : value
  return both
}

function configurationOf(page: string): unknown {
  const whole = blocks(page, 'yaml').filter((block) => !block.includes('…'))
  return whole.map((block): unknown => parse(block)).reduce(added, {})
}

function pattern(promised: string): RegExp {
  const lines = promised.split('\n').map((line) => (line === '…' ? '(?:.*\n)*?' : `${line.split('…').map(literally).join('.*')}\n`))
  // The last line end has nothing behind it.
  return new RegExp(`^${lines.slice(0, -1).join('')}$`)
}

const literally = (text: string): string => text.replaceAll(/[$()*+.?[\\\]^{|}]/g, '\\$&')

function run(script: string): Promise<string> {
  return new Promise((resolve) => {
    const shell = spawn('bash', ['-c', script], { stdio: ['ignore', 'pipe', 'pipe'], detached: true })
    let out = ''
    for (const stream of [shell.stdout, shell.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        out += text
      })
    const timer = setTimeout(() => shell.pid !== undefined && process.kill(-shell.pid, 'SIGKILL'), 50_000)
    shell.on('close', () => {
      clearTimeout(timer)
      resolve(out)
    })
  })
}

const pages = readdirSync(folder).map((name) => ({ name, text: readFileSync(join(folder, name), 'utf8') }))

it('most pages have something to type', () => {
  expect(pages.filter(({ text }) => stepsOf(text).length > 0).length).toBeGreaterThanOrEqual(3)
})

it.for(pages.filter(({ text }) => stepsOf(text).length > 0 || Object.keys(configurationOf(text) ?? {}).length > 0))(
  'docs/how-to/$name does what it says',
  { timeout: 60_000 },
  async ({ text }) => {
    const home = mkdtempSync(join(tmpdir(), 'bascule-page-'))
    const config = join(home, 'bascule.json')
    writeFileSync(config, JSON.stringify(configurationOf(text)))
    const node = await spawnBroker({ args: ['--config', config] })
    try {
      const steps = stepsOf(text)
      const head = `exec 2>&1\nexport BASCULE_URL=${node.address('http')}\nbascule() { ${process.execPath} ${program} "$@"; }\n`
      const commands = steps.map(
        ({ command }) => `printf '${MARK}'\n${command.replaceAll(/127\.0\.0\.1:(\d+)/g, (_, port) => node.address(LISTENERS[port]))}\n`,
      )
      const [, ...outputs] = (await run(head + commands.join(''))).split(MARK)
      expect(outputs).toHaveLength(steps.length)
      for (const [index, { command, promised }] of steps.entries()) expect(outputs[index], command).toMatch(pattern(promised))
    } finally {
      await node.stop()
      rmSync(home, { recursive: true })
    }
  },
)
