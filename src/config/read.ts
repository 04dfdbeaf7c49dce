// The slow way to settings: file, environment and `--set`, merged and checked against the schema. Loaded only when one of them is given.
import { readFileSync } from 'node:fs'
import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js'
import { isNode, LineCounter, parseDocument, type Document } from 'yaml'
import { ConfigurationError, isTree, merge, type Overlay, type Sources } from './load.ts'
import { suggestion } from './nearest.ts'
import type { Schema } from './schema.ts'

/** A file of more than this is no configuration. */
const FILE_BYTES_MAX = 4 * 1024 * 1024

export async function readSources(sources: Sources, variables: readonly string[], schema: Schema): Promise<Overlay> {
  const tree: Overlay = {}
  const file = sources.file === '' ? undefined : readFile(sources.file)
  if (file !== undefined) {
    // Checked by itself first, so that what is wrong in it is told with its line.
    check(structuredClone(file.tree), schema, (path) => `${sources.file}${file.lineOf(path)}`)
    merge(tree, file.tree)
  }
  const options = new Map(optionsOf(schema).map((option) => [option.path.join('.'), option]))
  const byVariable = new Map([...options.values()].map((option) => [option.variable, option]))
  for (const name of variables) {
    const option = byVariable.get(name)
    if (option === undefined)
      throw new ConfigurationError(`unknown environment variable \`${name}\`${suggestion(name, ['BASCULE_CONFIG', ...byVariable.keys()])}`)
    put(tree, option.path, parse(sources.environment[name] ?? '', option.schema, name))
  }
  merge(tree, sources.flags)
  for (const set of sources.sets) {
    const at = set.indexOf('=')
    if (at < 1) throw new ConfigurationError(`--set ${set}: write it as KEY=VALUE, such as --set journal.cacheBytes=1048576`)
    const key = set.slice(0, at)
    const option = options.get(key)
    if (option === undefined) throw new ConfigurationError(`--set: unknown key \`${key}\`${suggestion(key, options.keys())}`)
    put(tree, option.path, parse(set.slice(at + 1), option.schema, `--set ${key}`))
  }
  check(tree, schema, () => 'configuration')
  return tree
}

type ConfigurationFile = Readonly<{ tree: Overlay; lineOf: (path: readonly string[]) => string }>

function readFile(path: string): ConfigurationFile {
  let text: string
  try {
    const bytes = readFileSync(path)
    if (bytes.length > FILE_BYTES_MAX) throw new ConfigurationError(`${path} is not a configuration file: it has ${bytes.length} bytes`)
    text = bytes.toString('utf8')
  } catch (error) {
    if (error instanceof ConfigurationError) throw error
    throw new ConfigurationError(`the configuration file cannot be read: ${error instanceof Error ? error.message : String(error)}`)
  }
  // JSON is YAML too, so one reader knows the lines of both.
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const [problem] = document.errors
  if (problem !== undefined) {
    const { line, col } = lines.linePos(problem.pos[0])
    throw new ConfigurationError(`${path}:${line}:${col}: ${problem.message.split('\n')[0]}`)
  }
  const tree: unknown = document.toJS() ?? {}
  if (!isTree(tree)) throw new ConfigurationError(`${path}:1: a configuration is a mapping of keys to values`)
  return { tree, lineOf: (keys) => lineOf(document, lines, keys) }
}

/** `:12`, of the key itself where it can be found. */
function lineOf(document: Document, lines: LineCounter, path: readonly string[]): string {
  const parent = document.getIn(path.slice(0, -1), true) ?? document.contents
  const key = path.at(-1)
  const items: readonly unknown[] = isTree(parent) && Array.isArray(parent.items) ? parent.items : []
  for (const item of items) {
    if (!isTree(item) || !isNode(item.key)) continue
    if (String(item.key) === key && item.key.range) return `:${lines.linePos(item.key.range[0]).line}`
  }
  const node = document.getIn(path, true)
  return isNode(node) && node.range ? `:${lines.linePos(node.range[0]).line}` : ''
}

/** Fills in the defaults; throws at the first thing that is wrong. */
function check(tree: Overlay, schema: Schema, where: (path: readonly string[]) => string): void {
  const ajv = new Ajv2020({ useDefaults: true, allErrors: true, strict: true, verbose: true })
  const validate = ajv.compile<unknown>(schema)
  if (validate(tree)) return
  const errors = validate.errors ?? []
  // An unknown key explains more than whatever else is wrong.
  const error = errors.find((one) => one.keyword === 'additionalProperties') ?? errors[0]
  const path = error.instancePath.split('/').slice(1).map(unescapePointer)
  if (error.keyword === 'additionalProperties') {
    const key = String(error.params.additionalProperty)
    const known: unknown = error.parentSchema?.properties
    const inside = path.length === 0 ? '' : ` in ${path.join('.')}`
    throw new ConfigurationError(
      `${where([...path, key])}: unknown key \`${key}\`${inside}${suggestion(key, isTree(known) ? Object.keys(known) : [])}`,
    )
  }
  throw new ConfigurationError(`${where(path)}: ${path.join('.') || 'it'} ${sentence(error, path[0] === 'users' || path[0] === 'tls')}`)
}

/** `secret`: what was given may be a password, and sentences are logged. */
function sentence(error: ErrorObject, secret: boolean): string {
  if (secret) return error.message ?? 'is not valid'
  const given = JSON.stringify(error.data)
  const allowed: unknown = error.params.allowedValues
  if (Array.isArray(allowed)) return `must be one of ${allowed.join(', ')}, not ${given}`
  return `${error.message ?? 'is not valid'}, not ${given !== undefined && given.length > 80 ? `${given.slice(0, 80)}…` : given}`
}

const unescapePointer = (part: string) => part.replaceAll('~1', '/').replaceAll('~0', '~')

export type Option = Readonly<{ path: readonly string[]; variable: string; schema: Schema }>

/** Every key that holds a value, with the name of its environment variable. */
export function optionsOf(schema: Schema, path: readonly string[] = []): readonly Option[] {
  if (schema.properties === undefined) return [{ path, variable: variableOf(path), schema }]
  return Object.entries(schema.properties).flatMap(([name, property]) => optionsOf(property, [...path, name]))
}

/** `journal.cacheBytes` → `BASCULE_JOURNAL_CACHE_BYTES`. */
export function variableOf(path: readonly string[]): string {
  return `BASCULE_${path.map((part) => part.replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase()).join('_')}`
}

/** Text from the environment or a flag, as the schema wants it. What does not look like it stays text, and the check names it. */
function parse(text: string, schema: Schema, name: string): unknown {
  switch (schema.type) {
    case 'integer':
    case 'number':
      return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text
    case 'boolean':
      return text === 'true' || text === '1' ? true : text === 'false' || text === '0' ? false : text
    case 'array':
    case 'object':
      try {
        return JSON.parse(text) as unknown
      } catch {
        throw new ConfigurationError(`${name} must be JSON, such as []`)
      }
    default:
      return text
  }
}

function put(tree: Overlay, path: readonly string[], value: unknown): void {
  merge(tree, path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as Overlay)
}
