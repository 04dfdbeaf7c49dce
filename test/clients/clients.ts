// What the tests with foreign clients share: one broker a file, and tools that may not be there.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll } from 'vitest'
import { addressOf } from '../wire/bytes.ts'
import { NodeProcess } from '../wire/node-process.ts'

export interface Ports {
  mqtt: number
  stomp: number
  amqp: number
  websocket: number
}

/** A broker for the tests of this file. The ports are there when the first test runs. */
export function brokerForThisFile(): Ports {
  const ports: Ports = { mqtt: 0, stomp: 0, amqp: 0, websocket: 0 }
  let data = ''
  let node: NodeProcess | undefined
  beforeAll(async () => {
    data = mkdtempSync(join(tmpdir(), 'bascule-clients-'))
    node = new NodeProcess({ data })
    const ready = await node.leads()
    ports.mqtt = addressOf(ready.listeners['mqtt'] ?? '').port
    ports.stomp = addressOf(ready.listeners['stomp'] ?? '').port
    ports.amqp = addressOf(ready.listeners['amqp'] ?? '').port
    ports.websocket = addressOf(ready.listeners['websocket'] ?? '').port
  })
  afterAll(async () => {
    await node?.signal('SIGTERM')
    rmSync(data, { recursive: true, force: true })
  })
  return ports
}

export type Tool = Readonly<{ found: true; path: string }> | Readonly<{ found: false; reason: string }>

/** For the title of skipped tests. */
export function whySkipped(tool: Tool): string {
  return tool.found ? '' : ` (skipped: ${tool.reason})`
}

const here = fileURLToPath(new URL('.', import.meta.url))
const cache = join(here, '../../node_modules/.cache/bascule-clients')

/** Python with one package of one version, in an environment of its own that is kept between runs. */
export function python(name: string, version: string): Tool {
  const home = join(cache, `${name}-${version}`)
  const path = join(home, 'bin/python')
  if (existsSync(path)) return { found: true, path }
  mkdirSync(cache, { recursive: true })
  const fresh = mkdtempSync(join(cache, 'new-'))
  try {
    const made = spawnSync('python3', ['-m', 'venv', '--symlinks', fresh], { encoding: 'utf8' })
    if (made.status !== 0) return { found: false, reason: `python3 -m venv: ${made.error?.message ?? firstLine(made.stderr)}` }
    const installed = spawnSync(
      join(fresh, 'bin/python'),
      ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', `${name}==${version}`],
      { encoding: 'utf8' },
    )
    if (installed.status !== 0) return { found: false, reason: `pip install ${name}==${version}: ${firstLine(installed.stderr)}` }
    renameSync(fresh, home)
    return { found: true, path }
  } finally {
    rmSync(fresh, { recursive: true, force: true })
  }
}

/** The class path of a Java client in a folder here with a `pom.xml`. */
export function maven(name: string): Tool {
  const goals = ['compile', 'dependency:build-classpath', '-Dmdep.outputFile=class-path.txt']
  const made = build(name, 'mvn', ['--quiet', '--batch-mode', ...goals])
  if (!made.found) return made
  return { found: true, path: `${join(made.path, 'target/classes')}:${readFileSync(join(made.path, 'class-path.txt'), 'utf8').trim()}` }
}

/** The program of a Go client in a folder here with a `go.mod`. */
export function goProgram(name: string): Tool {
  const made = build(name, 'go', ['build', '-o', 'client', '.'])
  return made.found ? { found: true, path: join(made.path, 'client') } : made
}

/** A copy of the folder, built with its libraries and kept until its files change. */
function build(name: string, command: string, args: readonly string[]): Tool {
  const source = join(here, name)
  const files = readdirSync(source).toSorted()
  const hash = createHash('sha256')
  for (const file of files) hash.update(readFileSync(join(source, file)))
  const home = join(cache, `${name}-${hash.digest('hex').slice(0, 12)}`)
  if (existsSync(home)) return { found: true, path: home }
  mkdirSync(cache, { recursive: true })
  const fresh = mkdtempSync(join(cache, 'new-'))
  try {
    for (const file of files) copyFileSync(join(source, file), join(fresh, file))
    const made = spawnSync(command, args, { cwd: fresh, encoding: 'utf8', timeout: 180_000 })
    if (made.status !== 0) return { found: false, reason: `${command} ${args[0]}: ${made.error?.message ?? firstLine(made.stderr || made.stdout)}` }
    renameSync(fresh, home)
    return { found: true, path: home }
  } finally {
    rmSync(fresh, { recursive: true, force: true })
  }
}

/** A command, installed by Debian's package manager if that is there and we may. */
export function debianTool(command: string, packageName: string): Tool {
  const find = () => spawnSync('sh', ['-c', `command -v ${command}`], { encoding: 'utf8' }).stdout.trim()
  const there = find()
  if (there !== '') return { found: true, path: there }
  const installed = spawnSync(
    'sh',
    ['-c', `apt-get update -q >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends ${packageName}`],
    { encoding: 'utf8' },
  )
  const path = find()
  return path === ''
    ? { found: false, reason: `${command} is not installed and apt-get install ${packageName} failed: ${firstLine(installed.stderr)}` }
    : { found: true, path }
}

export interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program to its end. */
export function run(path: string, args: readonly string[], options: Readonly<{ input?: string; timeoutMs?: number }> = {}): Promise<Ran> {
  const { input, timeoutMs = 20_000 } = options
  return new Promise((resolve, reject) => {
    const child = spawn(path, args, { stdio: ['pipe', 'pipe', 'pipe'] })
    let stdout = ''
    let stderr = ''
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs)
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    child.stdin.on('error', () => {})
    child.stdin.end(input ?? '')
    child.on('error', reject)
    child.on('close', (code) => {
      clearTimeout(timer)
      resolve({ code, stdout, stderr })
    })
  })
}

export function script(name: string): string {
  return join(here, name)
}

function firstLine(text: string | undefined): string {
  return text?.split('\n').find((line) => line.trim() !== '') ?? 'no output'
}
