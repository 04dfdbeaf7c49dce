// Runs the built program once, to its end, and says what it printed.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { program } from '../wire/node-process.ts'

export type Ended = Readonly<{ code: number | null; out: string; err: string }>

export function bascule(args: readonly string[], environment: Readonly<Record<string, string>> = {}, timeoutMs = 15_000): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...environment } })
    let out = ''
    let err = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      err += text
    })
    // A start that should have failed must not hold up the test.
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs)
    child.on('close', (code) => {
      clearTimeout(timer)
      resolve({ code, out, err })
    })
  })
}

/** A folder for one test file's directories and files. */
export function temporaryFolder(): Readonly<{ path: (name: string) => string; remove: () => void }> {
  const folder = mkdtempSync(join(tmpdir(), 'bascule-program-'))
  return { path: (name) => join(folder, name), remove: () => rmSync(folder, { recursive: true, force: true }) }
}
