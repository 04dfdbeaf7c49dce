// Set-up on a machine with only Node and npm: installs what is missing or stale, builds what is stale. Uses nothing but Node itself.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = dirname(dirname(fileURLToPath(import.meta.url)))
const sources = ['src', 'protocols', 'conformance']

/** A directory of npm's own may lack `npm` on PATH; npm tells its place to the scripts that it runs. */
export function npm(args, options = {}) {
  const cli = process.env.npm_execpath
  const [command, first] = cli && cli.endsWith('.js') ? [process.execPath, [cli]] : [process.platform === 'win32' ? 'npm.cmd' : 'npm', []]
  return spawnSync(command, [...first, ...args], { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], ...options })
}

/** Runs a program of node_modules/.bin without a shell and without npx. */
export function tool(name, args, options = {}) {
  return spawnSync(join(root, 'node_modules', '.bin', name), args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], ...options })
}

export function installIfStale() {
  if (!installIsStale()) return
  console.error('Installing dependencies …')
  const done = npm(['ci', '--no-audit', '--no-fund'], { stdio: ['ignore', 2, 2] })
  if (done.status !== 0) fail('npm ci failed. Is the package registry reachable? Run `npm ci` to see more.')
}

/** npm writes what it installed to node_modules/.package-lock.json: the two differ when something is missing or of another version. */
function installIsStale() {
  const installedFile = join(root, 'node_modules', '.package-lock.json')
  if (!existsSync(installedFile)) return true
  try {
    const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages
    const installed = JSON.parse(readFileSync(installedFile, 'utf8')).packages
    for (const [path, entry] of Object.entries(wanted)) {
      if (path === '') continue
      const there = installed[path]
      // Packages for other platforms are optional and stay out.
      if (there === undefined ? !entry.optional : there.version !== entry.version) return true
    }
    return false
  } catch {
    return true
  }
}

/** Builds `dist` when a source is newer than the last build, or was added or removed. Processes that find it stale together build one after the other. */
export function buildIfStale({ quiet = false } = {}) {
  if (!buildIsStale()) return
  const unlock = lock(join(root, 'dist.lock'))
  try {
    if (!buildIsStale()) return
    if (!quiet) console.error('Building …')
    const files = sourceFiles()
    const begun = Date.now()
    const done = tool('tsc', ['-p', 'tsconfig.build.json'], { stdio: quiet ? 'pipe' : ['ignore', 2, 2], encoding: 'utf8' })
    removeOrphans(join(root, 'dist'), files)
    if (done.status === 0) {
      writeFileSync(stampFile(), JSON.stringify({ begun, files }))
      return
    }
    // Type errors do not keep tsc from writing. Tests go on with what it wrote (types are a step of their own); whoever starts or ships a broker does not.
    const sentence = `The build failed (npm run build).\n${done.stdout ?? ''}${done.stderr ?? ''}`
    if (!quiet) fail(sentence)
    console.error(sentence)
  } finally {
    unlock()
  }
}

const stampFile = () => join(root, 'dist', '.built')

function buildIsStale() {
  try {
    const stamp = JSON.parse(readFileSync(stampFile(), 'utf8'))
    const files = sourceFiles()
    if (files.length !== stamp.files.length || files.some((file, i) => file !== stamp.files[i])) return true
    const inputs = [...files, 'tsconfig.json', 'tsconfig.build.json']
    return inputs.some((file) => statSync(join(root, file)).mtimeMs >= stamp.begun)
  } catch {
    return true
  }
}

function sourceFiles() {
  const found = []
  const walk = (folder) => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      const path = `${folder}/${entry.name}`
      if (entry.isDirectory()) walk(path)
      else if (/\.c?ts$/.test(path) && !/\.(test|contract|bench)\.ts$|\/fake-[^/]+\.ts$/.test(path)) found.push(path)
    }
  }
  for (const folder of sources) if (existsSync(join(root, folder))) walk(folder)
  return found.sort()
}

/** What was built from a source that is gone would still be imported and shipped. */
function removeOrphans(dist, files) {
  const wanted = new Set(files.map((file) => file.replace(/\.c?ts$/, '')))
  const walk = (folder) => {
    for (const entry of readdirSync(join(dist, folder), { withFileTypes: true })) {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`
      if (entry.isDirectory()) walk(path)
      else if (/\.(c?js|c?js\.map|d\.c?ts)$/.test(path) && !wanted.has(path.replace(/\.(c?js|c?js\.map|d\.c?ts)$/, ''))) rmSync(join(dist, path))
    }
  }
  walk('')
}

/** A directory is made by one process only. That of a process that was killed is taken over. */
function lock(path) {
  for (;;) {
    try {
      mkdirSync(path)
      writeFileSync(join(path, 'pid'), String(process.pid))
      return () => rmSync(path, { recursive: true, force: true })
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
      if (ownerIsGone(path)) rmSync(path, { recursive: true, force: true })
      else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50)
    }
  }
}

function ownerIsGone(path) {
  const age = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now())
  try {
    process.kill(Number(readFileSync(join(path, 'pid'), 'utf8')), 0)
    return age > 120_000
  } catch (error) {
    // Its file is written an instant after the directory is made.
    return error.code === 'ESRCH' || age > 2_000
  }
}

/** Too old a Node fails in ways that say nothing; say it first. */
export function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major < 20 || (major === 20 && minor < 19)) fail(`Bascule needs Node 20.19 or newer; this is ${process.versions.node}.`)
}

function fail(sentence) {
  console.error(sentence)
  process.exit(1)
}
