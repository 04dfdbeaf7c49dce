// `npm start`: set-up, then the broker in the foreground. Signals reach it, and it does not outlive this process.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { buildIfStale, checkNode, installIfStale, root } from './set-up.mjs'

checkNode()
installIfStale()
buildIfStale()

const broker = spawn(process.execPath, [join(root, 'dist/src/cli/bascule.cjs'), 'start', ...process.argv.slice(2)], {
  // The channel tells the broker when this process is gone, however it went.
  stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
})

// At a terminal Ctrl-C reaches the whole group, so the broker has it already: passing it on would count as the second signal, which stops at once.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    if (signal === 'SIGINT' && process.stdin.isTTY) return
    broker.kill(signal === 'SIGHUP' ? 'SIGTERM' : signal)
  })
}
process.on('exit', () => broker.kill('SIGTERM'))

broker.on('error', (error) => {
  console.error(`The broker could not be started: ${error.message}`)
  process.exit(1)
})
broker.on('exit', (code, signal) => process.exit(signal ? 1 : (code ?? 1)))
