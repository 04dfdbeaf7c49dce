// `npm start`, `npm run pair` and `npm run drill`: set-up, then the command of the program in the foreground. Signals reach it once each, and it does not outlive this process, nor npm.
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { buildIfStale, checkNode, installIfStale, root } from './set-up.mjs'

const AGAIN_MS = 200

export function foreground(command) {
  checkNode()
  installIfStale()
  buildIfStale()

  const broker = spawn(process.execPath, [join(root, 'dist/src/cli/bascule.cjs'), command, ...process.argv.slice(2)], {
    // The channel tells the broker when this process is gone, however it went.
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    // A group of its own: Ctrl-C reaches every process of the terminal's group, and npm passes it on as well; the broker would take the second for "at once".
    detached: true,
  })

  let last = { signal: '', at: 0 }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      const now = Date.now()
      if (last.signal !== signal || now - last.at > AGAIN_MS) broker.kill(signal)
      last = { signal, at: now }
    })
  }

  // npm runs this through a shell that passes no signal on: when npm or the shell is gone, so is whoever wanted the broker.
  const parent = process.ppid
  const grandparent = parentOf(parent)
  const watch = setInterval(() => {
    if (process.ppid === parent && (grandparent === undefined || parentOf(parent) === grandparent)) return
    clearInterval(watch)
    broker.kill('SIGTERM')
  }, 250)
  watch.unref()

  broker.on('error', (error) => {
    console.error(`The broker could not be started: ${error.message}`)
    process.exit(1)
  })
  broker.on('exit', (code, signal) => process.exit(signal ? 1 : (code ?? 1)))
}

/** Where there is no /proc only the parent itself is watched. */
function parentOf(pid) {
  try {
    return Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
  } catch {
    return undefined
  }
}
