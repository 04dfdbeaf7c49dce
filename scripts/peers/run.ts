// `npm run conformance:peers`: installs and starts the brokers beside ours that this machine offers, runs the suites against each and ours, and writes
// docs/conformance from what was seen. What it can be told is in USAGE.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Clause } from '../../conformance/check.ts'
import { canRun, run } from '../../conformance/commands/run.ts'
import { catchStrays } from '../../conformance/commands/strays.ts'
import { profiles } from '../../conformance/profiles/profile.ts'
import { html } from '../../conformance/report/html.ts'
import { json } from '../../conformance/report/json.ts'
import type { Report } from '../../conformance/report/report.ts'
import { suites } from '../../conformance/suites.ts'
import { type ProfileData, profileOf } from '../../conformance/target.ts'
import { openOwn } from '../../src/cli/conformance-own.ts'
import { confirmed } from './confirmed.ts'
import { filled, unsupported } from './filled.ts'
import { writeDocuments } from './documents.ts'
import type { Peer, Running, Urls } from './peer.ts'
import { peers } from './peers.ts'

const USAGE = `npm run conformance:peers -- [flags]

Installs and starts the brokers that stand beside ours, one after another, runs every suite that each can run, and writes docs/conformance from what was seen.

  --only NAME,…    of ${['bascule', ...peers.map(({ name }) => name)].join(', ')}
  --suite NAME,…   of ${suites.map(({ name }) => name).join(', ')}
  --confirm        a failure stands only if the run before has it too
  --write          writes from the last runs and runs nothing
  --keep           starts them, prints where they listen, and waits for an interrupt
  --folder DIR     what is installed and kept, reports too; or BASCULE_PEERS (a folder of its own among the temporary files)
  --patience MS    how long an answer may take (4000); what fails is tried again with twice that
  --parallel N     checks under way at once (16)

With --only or --suite the documents are written only if the folder has reports of all the others from earlier runs.`

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    suite: { type: 'string' },
    folder: { type: 'string', default: process.env['BASCULE_PEERS'] ?? join(tmpdir(), 'bascule-peers') },
    patience: { type: 'string', default: '4000' },
    parallel: { type: 'string', default: '16' },
    keep: { type: 'boolean' },
    write: { type: 'boolean' },
    confirm: { type: 'boolean' },
    help: { type: 'boolean' },
  },
})
const { folder } = values
const reports = join(folder, 'reports')
mkdirSync(reports, { recursive: true })

const bascule: Peer = {
  name: 'bascule',
  title: 'Bascule',
  home: '',
  settings:
    'In the process of the suite, with a user, anonymous access, `mqtt.receiveMaximum: 200`, `amqp.idleTimeoutMs: 2500` (silence that a check can wait for) and `amqp.unknownAnnotations: refuse` (its default departs from AMQP-3.2.10-a).',
  install: () => undefined,
  async start() {
    const { close, ...own } = await openOwn()
    return { ...own, stop: close }
  },
}
const all = [bascule, ...peers]
const chosen = all.filter(({ name }) => values.only === undefined || values.only.split(',').includes(name))
const named = suites.filter(({ name }) => values.suite === undefined || values.suite.split(',').includes(name))

if (values.help === true) console.log(USAGE)
else if (values.keep === true) await keep()
else if (values.write !== true) for (const peer of chosen) await ask(peer)
if (values.keep !== true && values.help !== true) write()

async function begun(peer: Peer): Promise<Running | undefined> {
  const missing = peer.install(folder)
  if (missing !== undefined) {
    console.log(`${peer.name} is left out: ${missing}`)
    return undefined
  }
  const data = join(folder, values.keep === true ? 'kept' : 'data', peer.name)
  rmSync(data, { recursive: true, force: true })
  mkdirSync(data, { recursive: true })
  return await peer.start(folder, data)
}

async function keep(): Promise<void> {
  const running = (await Promise.all(chosen.map(async (peer) => [peer.name, await begun(peer)] as const))).flatMap(([name, started]) =>
    started === undefined ? [] : [{ name, started }],
  )
  for (const { name, started } of running) {
    const targets = Object.entries(started.urls).map(([protocol, url]) => `--target ${protocol}=${url}`)
    const login = started.user === undefined ? '' : ` --user ${started.user} --pass ${started.password}`
    console.log(`${name} ${started.version}: --profile ${name} ${targets.join(' ')}${login}`)
  }
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {}, 60_000)
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve(clearInterval(timer)))
  })
  for (const { started } of running) await started.stop()
}

/** Suite by suite, each written when it is through: a broker that hangs in one takes no other's result along. */
async function ask(peer: Peer): Promise<void> {
  const running = await begun(peer)
  if (running === undefined) return
  const { urls, bridge, furtherWs, user, password, version, stop } = running
  const data: ProfileData = profiles[peer.name] ?? profiles['bascule']
  const target = { urls, ...(user === undefined ? {} : { user }), ...(password === undefined ? {} : { password }), profile: profileOf(data) }
  const strays = catchStrays((line) => console.error(line))
  const screen = { write: (text: string) => void process.stdout.write(text), terminal: false, columns: 120 }
  try {
    for (const suite of named.filter((each) => canRun(each, target))) {
      console.log(`\n── ${suite.title}: ${peer.title} ${version}`)
      const asked = (urls: Urls, wanted: (clause: Clause) => boolean): Promise<Report> =>
        run({
          suites: [suite],
          brokers: [{ name: peer.title, version, target: { ...target, urls } }],
          wanted,
          patienceMs: Number(values.patience),
          parallel: Number(values.parallel),
          again: true,
          verbose: false,
          gate: 'must',
          faults: strays.faults,
          screen,
        })
      const first = await asked(suite.name === 'bridge' ? { ...urls, ...bridge } : urls, () => true)
      const rest = unsupported(first)
      const report =
        suite.name === 'websocket' && furtherWs !== undefined && rest.size > 0
          ? filled(first, await asked({ ...urls, ws: furtherWs }, ({ id }) => rest.has(id)))
          : first
      const file = join(reports, `${peer.name} ${suite.name}.json`)
      const told = values.confirm === true && existsSync(file) ? confirmed(report, reportIn(file)) : report
      writeFileSync(file, json(told))
      writeFileSync(join(reports, `${peer.name} ${suite.name}.html`), html(told, 'must'))
    }
  } catch (error) {
    console.error(`${peer.name}:`, error)
    process.exitCode = 1
  } finally {
    strays.stop()
    await stop()
  }
}

/** Written by this script, by the same code. */
function reportIn(file: string): Report {
  return JSON.parse(readFileSync(file, 'utf8')) as Report
}

function write(): void {
  const found = all.map((peer) => ({
    peer,
    reports: suites.flatMap(({ name }): Report[] => {
      const file = join(reports, `${peer.name} ${name}.json`)
      return existsSync(file) ? [reportIn(file)] : []
    }),
  }))
  // Of a part, in a folder that has nothing of the rest, the pages would be pages of that part alone.
  const missing = found.filter(({ reports: of }) => of.length === 0).map(({ peer }) => peer.name)
  const part = values.only !== undefined || values.suite !== undefined
  if (part && missing.length > 0) console.log(`docs/conformance stays as it is: ${reports} has no report of ${missing.join(', ')}`)
  else writeDocuments(found.filter(({ reports: of }) => of.length > 0))
}
