// `npm start` itself: it passes options through, and however it ends it leaves no broker behind.
import { spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, it, vi } from 'vitest'
import { temporaryFolder } from './program.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = temporaryFolder()
const groups: number[] = []
afterAll(() => {
  for (const group of groups) {
    try {
      process.kill(-group, 'SIGKILL')
    } catch {
      // Ended by itself, as it should.
    }
  }
  folder.remove()
})

async function npmStart(name: string) {
  const data = folder.path(name)
  rmSync(data, { recursive: true, force: true })
  const npm = spawn('npm', ['start', '--', '--ports', 'free', '--data', data], { cwd: root, stdio: ['ignore', 'pipe', 'ignore'], detached: true })
  if (npm.pid !== undefined) groups.push(npm.pid)
  const exited = new Promise<number | null>((resolve) => npm.once('exit', resolve))
  let out = ''
  npm.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text
  })
  const line = await vi.waitFor(() => {
    const found = /^ready (.*)$/m.exec(out)?.[1]
    if (found === undefined) throw new Error(`not ready\n${out}`)
    return found
  }, 30_000)
  const { listeners } = JSON.parse(line) as { listeners: Record<string, string> }
  const answers = (): Promise<boolean> =>
    fetch(`http://${listeners.http}/health/live`).then(
      ({ ok }) => ok,
      () => false,
    )
  return { npm, exited, answers }
}

it.each(['SIGTERM', 'SIGKILL'] as const)('npm that gets %s leaves no broker behind', { timeout: 60_000 }, async (signal) => {
  const { npm, exited, answers } = await npmStart(signal)
  expect(await answers()).toBe(true)
  npm.kill(signal)
  await exited
  await vi.waitFor(async () => expect(await answers()).toBe(false), 10_000)
})

it('Ctrl-C, which reaches the whole group, stops the broker in order', { timeout: 60_000 }, async () => {
  const { npm, exited, answers } = await npmStart('group')
  if (npm.pid !== undefined) process.kill(-npm.pid, 'SIGINT')
  await vi.waitFor(async () => expect(await answers()).toBe(false), 10_000)
  await exited
})
