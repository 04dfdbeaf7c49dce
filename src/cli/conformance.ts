// `bascule conformance`: the suites of `conformance/` against a broker, or against one of our own in this process. Reads flags and files, writes reports.
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import type { Clause, Level, ProtocolName, Suite } from '../../conformance/check.ts'
import { filtersOf, type Slice, wantedBy } from '../../conformance/commands/chosen.ts'
import { list } from '../../conformance/commands/list.ts'
import { mutants } from '../../conformance/commands/mutants.ts'
import { NotReached, reached } from '../../conformance/commands/reached.ts'
import { canRun, run, type Tested } from '../../conformance/commands/run.ts'
import { catchStrays } from '../../conformance/commands/strays.ts'
import { checkProfile, profiles } from '../../conformance/profiles/profile.ts'
import { html } from '../../conformance/report/html.ts'
import { json } from '../../conformance/report/json.ts'
import { junit } from '../../conformance/report/junit.ts'
import { markdown } from '../../conformance/report/markdown.ts'
import { type Report, triesAny, verdict } from '../../conformance/report/report.ts'
import { framings, suites as all } from '../../conformance/suites.ts'
import { type Profile, profileOf, type Target, wrongUrl } from '../../conformance/target.ts'
import { suggestion } from '../config/nearest.ts'
import { openOwn } from './conformance-own.ts'
import { referenceNamed } from './conformance-references.ts'
import { readFlags, UsageError, wholeFlag } from './usage.ts'

const options = {
  target: { type: 'string', multiple: true },
  suite: { type: 'string' },
  user: { type: 'string' },
  pass: { type: 'string' },
  profile: { type: 'string' },
  name: { type: 'string' },
  reference: { type: 'string', multiple: true },
  filter: { type: 'string' },
  level: { type: 'string' },
  patience: { type: 'string' },
  parallel: { type: 'string' },
  slice: { type: 'string' },
  json: { type: 'string' },
  junit: { type: 'string' },
  html: { type: 'string' },
  markdown: { type: 'string' },
  again: { type: 'boolean' },
  verbose: { type: 'boolean' },
} as const

type Values = ReturnType<typeof readFlags<typeof options>>['values']

const ACTIONS = ['run', 'list', 'mutants']

export async function conformance(args: readonly string[]): Promise<number> {
  const { values, positionals } = readFlags(args, options, 1)
  const [action = 'run'] = positionals
  if (!ACTIONS.includes(action))
    throw new UsageError(
      `conformance wants run, list or mutants, not ${action}${suggestion(action, ACTIONS, '') || '.'} See bascule help conformance.`,
    )
  const suites = suitesOf(values)
  if (action !== 'run') refuseReports(values, action)
  const wanted = wantedBy(filtersGiven(values.filter), sliceOf(values.slice), suites)
  if (!anyOf(suites, wanted)) throw new UsageError(`no clause has ${values.filter} in its identifier`)
  if (action === 'list') {
    list(suites, wanted, (text) => process.stdout.write(text))
    return 0
  }
  const patienceMs = wholeFlag('--patience', values.patience, 2000)
  if (patienceMs === 0) throw new UsageError('--patience is 1 or more milliseconds: no answer comes at once')
  const parallel = Math.max(1, wholeFlag('--parallel', values.parallel, 16))
  // Of our own node every should that is not kept is known, with its reason.
  const gate = levelOf(values.level ?? (values.target === undefined ? 'should' : 'must'))
  const screen = { write: (text: string) => void process.stdout.write(text), terminal: process.stdout.isTTY, columns: process.stdout.columns }
  const profile = profileNamed(values.profile ?? (values.target === undefined ? 'bascule' : undefined))
  const given = values.target === undefined ? undefined : targetOf(values, profile)
  if (given !== undefined) refuseUnreachable(suites, given.target, values.suite)
  if (action === 'mutants' && values.reference !== undefined) throw new UsageError('mutants has no column for --reference: it is of run')
  const references = (values.reference ?? []).map((name) => ({ name, open: referenceNamed(name) }))
  touchReports(values)
  const closers: (() => Promise<void>)[] = []
  const strays = catchStrays((line) => void process.stderr.write(`${line}\n`))
  const judged = async (): Promise<number> => {
    const brokers = [given ?? (await opened(openOwn, 'bascule', profile, closers))]
    for (const { name, open } of references) brokers.push(await opened(open, name, profileNamed(name), closers))
    const [{ target }] = brokers
    const asked = action === 'mutants' ? [brokers[0]] : brokers
    const runnable = suites.filter((suite) => asked.some((broker) => canRun(suite, broker.target)))
    if (!anyOf(runnable, wanted)) throw new UsageError(untriable(suites, wanted))
    const common = { suites: runnable, wanted, patienceMs, parallel, faults: strays.faults, screen }
    if (action === 'mutants') {
      await reached(target, patienceMs)
      const { failed } = await mutants({ ...common, framings, target })
      return failed === 0 ? 0 : 1
    }
    const report = await run({ ...common, brokers, again: values.again === true, verbose: values.verbose === true, gate })
    writeReports(values, report, gate)
    if (!triesAny(report)) throw new Error('no check was carried out: each was skipped, is not supported or cannot be checked from outside')
    return verdict(report, gate).failed === 0 ? 0 : 1
  }
  try {
    const code = await judged()
    // The end of a broker in this process is watched too.
    for (const close of closers.splice(0).reverse()) await close()
    return strays.faults.length === 0 ? code : 1
  } catch (error) {
    throw error instanceof NotReached ? new UsageError(error.message) : error
  } finally {
    for (const close of closers.reverse()) await close()
    strays.stop()
  }
}

function anyOf(suites: readonly Suite[], wanted: (clause: Clause) => boolean): boolean {
  return suites.some(({ chapters }) => chapters.some(({ clauses }) => clauses.some(wanted)))
}

/** Why nothing can be tried: the suites whose clauses were asked for speak protocols for which there is no target. */
function untriable(suites: readonly Suite[], wanted: (clause: Clause) => boolean): string {
  const without = suites.filter((suite) => anyOf([suite], wanted))
  return `what is asked for is of ${without.map(({ name }) => name).join(', ')}, which wants --target for ${[...new Set(without.flatMap(({ protocols }) => protocols))].join(', ')}`
}

function filtersGiven(given: string | undefined): readonly string[] {
  const filters = filtersOf(given ?? '')
  if (given !== undefined && filters.length === 0) throw new UsageError('--filter wants a part of an identifier, such as MQTT-3.1.2')
  return filters
}

/** A broker that this process started. */
export type Opened = Readonly<Omit<Target, 'profile'> & { version: string; close: () => Promise<void> }>

async function opened(open: () => Promise<Opened>, name: string, profile: Profile, closers: (() => Promise<void>)[]): Promise<Tested> {
  const { version, close, ...target } = await open()
  closers.push(close)
  return { name, version, target: { ...target, profile } }
}

function suitesOf(values: Values): readonly Suite[] {
  if (values.suite === undefined) return all
  const known = all.map(({ name }) => name)
  return values.suite.split(',').map((name) => {
    const found = all.find((suite) => suite.name === name)
    if (found === undefined) throw new UsageError(`there is no suite ${name}${suggestion(name, known, '') || '.'} There are ${known.join(', ')}.`)
    return found
  })
}

function sliceOf(given: string | undefined): Slice | undefined {
  if (given === undefined || given === '') return undefined
  const [, number, of] = /^(\d{1,4})\/(\d{1,4})$/.exec(given) ?? []
  const slice = { number: Number(number), of: Number(of) }
  if (!(slice.number >= 1 && slice.number <= slice.of)) throw new UsageError(`--slice is K/N with K from 1 to N, not ${given}`)
  return slice
}

function levelOf(given: string): Level {
  if (given !== 'must' && given !== 'should' && given !== 'may') throw new UsageError(`--level is must, should or may, not ${given}`)
  return given
}

function profileNamed(given: string | undefined): Profile {
  // A broker that nobody told of is excused of nothing.
  if (given === undefined) return profileOf({ ...profiles['bascule'], name: 'target', known: {}, lacks: {}, avoid: {} })
  const known = profiles[given]
  if (known !== undefined) return profileOf(known)
  if (!given.endsWith('.json'))
    throw new UsageError(
      `there is no profile ${given}${suggestion(given, Object.keys(profiles), '') || '.'} There are ${Object.keys(profiles).join(', ')}, and files that end in .json.`,
    )
  try {
    return profileOf(checkProfile(JSON.parse(readFileSync(given, 'utf8'))))
  } catch (error) {
    throw new UsageError(`--profile ${given}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

const PROTOCOLS: readonly ProtocolName[] = ['mqtt', 'amqp', 'stomp', 'ws']

function targetOf(values: Values, profile: Profile): Tested {
  const urls: Partial<Record<ProtocolName, string>> = {}
  for (const each of values.target ?? []) {
    const at = each.indexOf('=')
    const protocol = PROTOCOLS.find((name) => name === each.slice(0, at))
    const url = each.slice(at + 1)
    if (protocol === undefined) throw new UsageError(`--target is PROTOCOL=URL with mqtt, amqp, stomp or ws before the =, not ${each}`)
    const wrong = wrongUrl(protocol, url)
    if (wrong !== undefined) throw new UsageError(`--target ${each}: ${wrong}`)
    urls[protocol] = url
  }
  const { user, pass } = values
  const target = { urls, ...(user === undefined ? {} : { user }), ...(pass === undefined ? {} : { password: pass }), profile }
  return { name: values.name ?? profile.name, version: '', target }
}

/** Suites that were not asked for by name are left out when nothing is said of where their protocol listens. */
function refuseUnreachable(suites: readonly Suite[], target: Target, named: string | undefined): void {
  const without = suites.filter((suite) => !canRun(suite, target))
  if (without.length === suites.length || (named !== undefined && without.length > 0))
    throw new UsageError(
      `--suite ${without.map(({ name }) => name).join(',')} wants --target for ${[...new Set(without.flatMap(({ protocols }) => protocols))].join(', ')}`,
    )
}

const REPORTS = ['json', 'junit', 'html', 'markdown'] as const

function refuseReports(values: Values, action: string): void {
  for (const form of REPORTS) if (values[form] !== undefined) throw new UsageError(`${action} writes no reports: --${form} is of run`)
}

/** A file that cannot be written is told before the first check, not after the last. */
function touchReports(values: Values): void {
  for (const form of REPORTS) {
    const file = values[form]
    if (file === undefined) continue
    try {
      closeSync(openSync(file, 'a'))
    } catch (error) {
      throw new UsageError(`--${form} ${file}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
}

function writeReports(values: Values, report: Report, gate: Level): void {
  const files: readonly (readonly [string | undefined, () => string])[] = [
    [values.json, () => json(report)],
    [values.junit, () => junit(report, gate)],
    [values.html, () => html(report, gate)],
    [values.markdown, () => markdown(report, gate)],
  ]
  for (const [file, make] of files) if (file !== undefined) writeFileSync(file, make())
}
