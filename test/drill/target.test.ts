// The drill against a pair that it did not start: addresses in a file, a shell command for each thing that can be done.
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { afterAll, expect, it } from 'vitest'
import { freePorts } from '../../src/pair/ports.ts'
import { bascule, temporaryFolder } from '../program/program.ts'
import { program } from '../wire/node-process.ts'

const folder = temporaryFolder()
const names = ['a', 'b'] as const
const shell = (line: string): void => void execFileSync('/bin/sh', ['-c', line], { stdio: 'ignore' })
const pidFile = (name: string): string => folder.path(`${name}.pid`)

afterAll(() => {
  for (const name of names) shell(`kill -CONT $(cat ${pidFile(name)}); kill -9 $(cat ${pidFile(name)}) || true`)
  folder.remove()
})

it('drills a pair of addresses, leaves out what has no command, and says so', { timeout: 90_000 }, async () => {
  const ports = await freePorts(10)
  mkdirSync(folder.path('data'))
  const nodes = names.map((name, i) => {
    const [mqtt, stomp, amqp, websocket, http] = [0, 1, 2, 3, 4].map((each) => `127.0.0.1:${ports[i * 5 + each]}`)
    const listeners = { mqtt, stomp, amqp, websocket, http }
    const listen = Object.entries(listeners)
      .map(([listener, address]) => `--listen ${listener}=${address}`)
      .join(' ')
    const pid = `$(cat ${pidFile(name)})`
    return {
      name,
      mqtt,
      stomp,
      amqp,
      websocket,
      commands: {
        kill: `kill -9 ${pid}`,
        start: `${process.execPath} ${program} start --data ${folder.path('data')} --node ${name} ${listen} --log-level error >${folder.path(`${name}.log`)} 2>&1 & echo $! >${pidFile(name)}`,
        handover: `${process.execPath} ${program} failover --url ${http} --force`,
        ready: `for i in $(seq 100); do ${process.execPath} -e 'fetch("http://${http}/health/role").then(async (r) => process.exit(/"(active|warm)"/.test(await r.text()) ? 0 : 1), () => process.exit(1))' && exit 0; sleep 0.1; done; exit 1`,
      },
    }
  })
  for (const { commands } of nodes) shell(commands.start)
  const file = folder.path('target.json')
  writeFileSync(file, JSON.stringify({ name: 'two of the street', nodes }))
  const { code, out, err } = await bascule(
    ['drill', '--target', file, '--rounds', '3', '--faults', 'kill,pause,handover', '--queued', '500'],
    {},
    80_000,
  )
  expect(out + err).toMatch(/^left out: pause: node a has no command pause$/m)
  expect(out).toMatch(/^drill on two of the street: 3 rounds of kill, handover/m)
  expect(out).toMatch(/^round (?=.*\bmqtt \d)(?=.*\bstomp \d)(?=.*\bamqp \d)(?=.*\bwebsocket \d)/m)
  expect(out).toMatch(/^4 passed, 0 failed, 0 skipped$/m)
  expect(code).toBe(0)
})
