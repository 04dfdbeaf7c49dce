// The five-minute tour of the README, word for word but for the ports and the directory, so that it runs beside other brokers.
import { spawn } from 'node:child_process'
import { readFileSync, rmSync, mkdtempSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}

function run(script: string): Promise<{ code: number | null; out: string }> {
  return new Promise((resolve) => {
    const shell = spawn('bash', ['-c', script], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
    let out = ''
    shell.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text
    })
    shell.stderr.setEncoding('utf8').on('data', (text: string) => {
      out += text
    })
    const timer = setTimeout(() => shell.pid !== undefined && process.kill(-shell.pid, 'SIGKILL'), 50_000)
    shell.on('close', (code) => {
      clearTimeout(timer)
      resolve({ code, out })
    })
  })
}

it('the tour of the README does what it says', { timeout: 60_000 }, async () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  const tour = readme.slice(readme.indexOf('## Five minutes'), readme.indexOf('## More'))
  const blocks = [...tour.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block]) => block)
  const promised = [...tour.matchAll(/^ {4}(\/topic.*)$/gm)].map(([, line]) => line)
  expect(promised).toHaveLength(2)
  const [mqtt, stomp, amqp] = [await freePort(), await freePort(), await freePort()]
  const data = mkdtempSync(join(tmpdir(), 'bascule-tour-'))
  const script = blocks
    .join('\n')
    .replaceAll(
      '--data tour',
      `--data ${data} --listen mqtt=${mqtt} --listen stomp=${stomp} --listen amqp=${amqp} --listen http=0 --listen websocket=0`,
    )
    .replaceAll('-p 1883', `-p ${mqtt}`)
    .replaceAll(/stomp-receive\.mjs (\d)/g, `stomp-receive.mjs $1 ${stomp}`)
    .replaceAll(/(amqp-send\.mjs \S+ '[^']*')/g, `$1 ${amqp}`)
  expect(script.match(new RegExp(String(stomp), 'g'))).toHaveLength(4)
  expect(script.match(new RegExp(String(amqp), 'g'))).toHaveLength(3)
  const { code, out } = await run(`set -e\n${script}\nwait $! || true`)
  rmSync(data, { recursive: true })
  expect(code, out).toBe(0)
  const lines = out.split('\n')
  expect(lines.filter((line) => line.startsWith('/topic'))).toEqual(promised)
  expect(lines.filter((line) => line.startsWith('ready ')).map((line) => JSON.parse(line.slice(6)).epoch)).toEqual([1, 2])
})
