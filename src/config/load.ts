// Settings from file, environment and flags, in rising precedence. Without a file, environment or `--set` nothing is read or checked
// by schema: then neither the YAML reader nor the schema checker is loaded, which would cost a good part of the time to start.
import type { Protocol } from '../api.ts'
import { isLoopback } from '../listen/loopback.ts'
import { defaults } from './defaults.ts'
import { tlsListenerNames } from './listener-names.ts'
import { defaultsOf, type ProtocolSection, type Schema, settingsSchema } from './schema.ts'
import { fingerprintIn } from '../users/certificate-users.ts'
import { readHash } from '../users/hash.ts'
import { ITERATIONS_MIN, readVerifier } from '../users/scram.ts'
import type { ListenerSettings, Settings, TlsSettings, User } from './settings.ts'

/** Part of a configuration, as a file has it. */
export type Overlay = { [key: string]: unknown }

export type Sources = Readonly<{
  /** '': none. */
  file: string
  environment: Readonly<Record<string, string | undefined>>
  /** What the named flags say, already checked. */
  flags: Overlay
  /** `journal.cacheBytes=…`, one a `--set`. */
  sets: readonly string[]
}>

/** Variables that are no keys of the configuration: the file's name, and what commands say to a running node. */
const ours: readonly string[] = ['BASCULE_CONFIG', 'BASCULE_URL', 'BASCULE_LOGIN']

/** What is wrong with the configuration, in one sentence that says where and what to do. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError'
}

export async function loadSettings(sources: Sources, protocols: readonly ProtocolSection[]): Promise<Settings> {
  const schema = settingsSchema(protocols)
  const variables = Object.keys(sources.environment).filter((name) => name.startsWith('BASCULE_') && !ours.includes(name))
  const file = sources.file !== '' ? sources.file : (sources.environment.BASCULE_CONFIG ?? '')
  let tree: Overlay
  if (file === '' && variables.length === 0 && sources.sets.length === 0) {
    tree = withDefaults(schema, sources.flags)
  } else {
    const { readSources } = await import('./read.ts')
    tree = await readSources({ ...sources, file }, variables, schema)
  }
  const settings = toSettings(tree, protocols)
  checkTogether(settings, new Set(tlsListenerNames(protocols)))
  checkAsked(sources.flags, settings)
  return settings
}

function withDefaults(schema: Schema, flags: Overlay): Overlay {
  const tree = defaultsOf(schema)
  if (!isTree(tree)) throw new Error('the schema of the configuration is an object')
  merge(tree, flags)
  return tree
}

/** `over` wins, and stays as it is whatever is merged into the tree later; lists are replaced, not joined. */
export function merge(tree: Overlay, over: Overlay): void {
  for (const [key, value] of Object.entries(over)) {
    const below = Object.hasOwn(tree, key) ? tree[key] : undefined
    if (isTree(value) && isTree(below)) merge(below, value)
    else Object.defineProperty(tree, key, { value: structuredClone(value), enumerable: true, writable: true, configurable: true })
  }
}

export function isTree(value: unknown): value is Overlay {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The sections of protocols stand beside the others in a file, and together in the settings. */
function toSettings(tree: Overlay, protocols: readonly Pick<Protocol, 'name'>[]): Settings {
  const sections: Record<string, unknown> = {}
  const rest: Overlay = { ...tree }
  for (const { name } of protocols) {
    sections[name] = rest[name]
    delete rest[name]
  }
  // The schema, or the flags' own checks, have established every field.
  const settings = { ...defaults, ...(rest as Partial<Settings>), protocols: sections }
  return { ...settings, listeners: placed(settings, new Set(tlsListenerNames(protocols))) }
}

function placed(settings: Settings, tlsListeners: ReadonlySet<string>): Settings['listeners'] {
  const listeners: Record<string, ListenerSettings> = {}
  for (const [name, listener] of Object.entries(settings.listeners)) {
    const port = settings.ports === 'free' || listener.port === 0 ? 0 : listener.port + settings.portOffset
    if (port > 65_535) throw new ConfigurationError(`port ${port} of listener ${name} is beyond 65535: choose a smaller portOffset`)
    // A certificate of nobody's would only look like safety: without one nothing listens for TLS.
    const enabled = listener.enabled && (settings.tls.certificate !== '' || !tlsListeners.has(name))
    listeners[name] = { ...listener, enabled, port }
  }
  return listeners
}

/** Rules between several keys, which a schema cannot say. */
function checkTogether(settings: Settings, tlsListeners: ReadonlySet<string>): void {
  const { limits, journal, listeners, insecure, users, anonymous, tls } = settings
  checkUsers(users, tls)
  checkTls(tls)
  if (limits.outputLowBytes >= limits.outputHighBytes) throw new ConfigurationError('limits.outputLowBytes must be below limits.outputHighBytes')
  if (limits.outputHighBytes >= limits.outputBytesMax) throw new ConfigurationError('limits.outputHighBytes must be below limits.outputBytesMax')
  if (journal.reserveBytes * 2 > journal.bytesMax) throw new ConfigurationError('journal.reserveBytes must be at most half of journal.bytesMax')
  if (journal.segmentBytes * 4 > journal.bytesMax) throw new ConfigurationError('journal.bytesMax must be at least four times journal.segmentBytes')
  for (const [name, { enabled, host }] of Object.entries(listeners)) {
    if (!enabled) continue
    if (insecure || isLoopback(host)) continue
    if (!tlsListeners.has(name))
      throw new ConfigurationError(
        `listener ${name} would open ${host} to the network without TLS: listen on 127.0.0.1, let clients come over TLS (docs/how-to/tls.md), or pass --insecure if you mean it`,
      )
    // Management asks for a user wherever there are any, and never for a certificate.
    const everybody = name === 'https' ? users.length === 0 : (users.length === 0 || anonymous) && tls.clientCertificates !== 'required'
    if (everybody)
      throw new ConfigurationError(
        `listener ${name} would open ${host} to everybody who reaches it: write down users (docs/how-to/users.md) and leave \`anonymous\` out, or pass --insecure if you mean it`,
      )
  }
}

/** Who asks for a listener by a flag is told why it is not there. */
function checkAsked({ listeners }: Overlay, settings: Settings): void {
  for (const [name, asked] of Object.entries(isTree(listeners) ? listeners : {}))
    if (isTree(asked) && asked.enabled === true && !settings.listeners[name]?.enabled)
      throw new ConfigurationError(`listener ${name} needs a certificate: see tls.certificate and tls.key (docs/how-to/tls.md)`)
}

function checkTls({ certificate, key, ca, clientCertificates, certificateLogin }: TlsSettings): void {
  const wrong = (sentence: string): never => {
    throw new ConfigurationError(sentence)
  }
  if (certificate === '' && (key !== '' || clientCertificates !== 'none')) wrong('tls.certificate is missing: without it there is no TLS')
  if (certificate !== '' && key === '') wrong('tls.key is missing: the private key of tls.certificate')
  if (clientCertificates !== 'none' && ca === '')
    wrong(`tls.ca is missing: with clientCertificates ${clientCertificates} it says who vouches for them`)
  if (certificateLogin && clientCertificates === 'none') wrong('tls.certificateLogin has no use while tls.clientCertificates is none')
}

/** Never with the password in the sentence: sentences are logged. */
function checkUsers(users: readonly User[], { clientCertificates }: TlsSettings): void {
  const names = new Set<string>()
  const certificates = new Set<string>()
  for (const [i, { name, password, scram = [], certificate }] of users.entries()) {
    if (names.has(name)) throw new ConfigurationError(`users[${i}]: there is a user ${name} already`)
    names.add(name)
    if (password === undefined && (certificate === undefined || scram.length > 0))
      throw new ConfigurationError(`users[${i}]: ${name} has no password: \`bascule user entry\` makes an entry with one`)
    if (password === undefined && clientCertificates === 'none')
      throw new ConfigurationError(`users[${i}]: ${name} has a certificate only, and nobody is asked for one: see tls.clientCertificates`)
    if (certificate !== undefined) {
      const known = fingerprintIn(certificate) ?? certificate
      if (certificates.has(known)) throw new ConfigurationError(`users[${i}]: the certificate of ${name} is another user's already`)
      certificates.add(known)
    }
    if (password !== undefined && readHash(password) === undefined)
      throw new ConfigurationError(
        `users[${i}]: the password of ${name} is not a hash: make one with \`bascule user hash\` and write that instead, so that the file gives no password away`,
      )
    const verifiers = scram.map(readVerifier)
    if (verifiers.includes(undefined))
      throw new ConfigurationError(
        `users[${i}]: scram of ${name} holds what is no verifier of SCRAM-SHA-256 or -512 with ${ITERATIONS_MIN} iterations or more: \`bascule user entry\` makes them`,
      )
    if (new Set(verifiers.map((verifier) => verifier?.mechanism)).size < verifiers.length)
      throw new ConfigurationError(`users[${i}]: scram of ${name} has two verifiers of one mechanism`)
  }
}
