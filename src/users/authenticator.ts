// Who is it? Names and passwords of the configuration, for every front end and for management. What somebody may do is another question.
//
// A check of a password is slow on purpose (`hash.ts`), so they wait in a line with an end (`check-line.ts`), and a success is remembered for a
// while: a thousand connections of one user that come back at once cost one check. Log-ins in several steps (`scram-login.ts`) are cheap for us, and
// are checked in the same line, where one that is wrong takes as long as a password.
import { createHash, createHmac, randomBytes } from 'node:crypto'
import type { Broker, Clock, Log, LogIns } from '../api.ts'
import type { Limits, User } from '../config/settings.ts'
import { CodedError } from '../errors.ts'
import { CertificateUsers } from './certificate-users.ts'
import { CheckLine, hostOf } from './check-line.ts'
import { ExternalLogin } from './external-login.ts'
import type { Check } from './hash-thread.ts'
import { makeHash } from './hash.ts'
import { decoyOf, type Mechanism, MECHANISMS, readVerifier, type Verifier } from './scram.ts'
import { ScramLogin } from './scram-login.ts'

export type Login = Parameters<Broker['authenticate']>[0]

export type AuthenticatorOptions = Readonly<{
  users: readonly User[]
  /** With users: whether one may come without a name too. Without users everybody is anonymous. */
  anonymous: boolean
  /** Who names nobody is the user whose certificate it shows. */
  certificateLogin?: boolean
  limits: Limits
  clock: Clock
  check: Check
  log?: Log
}>

const ANONYMOUS = 'anonymous'
/** So long a wrong proof stays in the line: about what a wrong password does. */
const WRONG_PROOF_MS = 200

export class Authenticator implements LogIns {
  readonly mechanisms: readonly string[]
  readonly #options: AuthenticatorOptions
  readonly #hashes: ReadonlyMap<string, string>
  readonly #certified: CertificateUsers
  /** For names that nobody has: it takes as long, and says no. */
  readonly #decoy: string
  /** Digests of log-ins are of use in this process only, and to nobody who reads its memory later. */
  readonly #key = randomBytes(32)
  /** Digest of a log-in that succeeded → until when it is remembered. Least recently used first. */
  readonly #remembered = new Map<string, number>()
  /** Digest of a log-in that is being checked: whoever comes with the same meanwhile gets the same answer. */
  readonly #checking = new Map<string, Promise<boolean>>()
  readonly #line: CheckLine
  /** Mechanism and user, where it was said that there is no verifier: anybody may ask for it at any rate. */
  readonly #warned = new Set<string>()
  readonly #verifiers: ReadonlyMap<Mechanism, ReadonlyMap<string, Verifier>>
  /** Of what the configuration keeps secret, so that both nodes of a pair make the same of it. */
  readonly #decoySecret: Uint8Array

  constructor(options: AuthenticatorOptions) {
    this.#options = options
    this.#line = new CheckLine(options.limits.loginsWaiting)
    const { users } = options
    this.#verifiers = new Map(MECHANISMS.map((mechanism) => [mechanism, verifiersOf(users, mechanism)]))
    this.#certified = new CertificateUsers(users)
    const byPassword = users.flatMap(({ name, password }) => (password === undefined ? [] : [{ name, password }]))
    const [first] = byPassword
    this.mechanisms = MECHANISMS.filter((mechanism) => first !== undefined && this.#verifiers.get(mechanism)?.size === byPassword.length)
    this.#decoySecret = createHash('sha256').update(`decoy ${first?.name} ${first?.password}`).digest()
    this.#hashes = new Map(byPassword.map(({ name, password }) => [name, password]))
    this.#decoy = decoyLike(first?.password)
  }

  /** Log-ins that were checked and are remembered. */
  get remembered(): number {
    return this.#remembered.size
  }

  readonly authenticate = async ({ user, password, remote, certificate }: Login): Promise<string> => {
    const { users, anonymous, certificateLogin = false } = this.#options
    if (users.length === 0) return ANONYMOUS
    if (certificateLogin && certificate !== undefined && password === undefined) {
      const known = this.#certified.userOf(certificate)
      if (known !== undefined && (user === undefined || user === '' || user === known)) return known
    }
    const named = user !== undefined && !(user === '' && (password === undefined || password.length === 0))
    if (!named) {
      if (anonymous) return ANONYMOUS
      throw new CodedError('unauthenticated', 'A user and a password are needed.')
    }
    if (password !== undefined && (await this.#isRight(user, password, hostOf(remote)))) return user
    throw new CodedError('unauthenticated', 'User or password is wrong.')
  }

  readonly authenticateBy: Broker['authenticateBy'] = (name, { remote, certificate }) => {
    if (name === 'EXTERNAL') {
      const known = certificate === undefined ? undefined : this.#certified.userOf(certificate)
      return known === undefined ? undefined : new ExternalLogin(known)
    }
    const { clock, log } = this.#options
    const mechanism = MECHANISMS.find((each) => each === name)
    const verifiers = mechanism === undefined ? undefined : this.#verifiers.get(mechanism)
    const [like] = verifiers?.values() ?? []
    if (mechanism === undefined || verifiers === undefined || like === undefined) return undefined
    return new ScramLogin({
      verifierOf: (user) => {
        const verifier = verifiers.get(user)
        if (verifier === undefined && this.#hashes.has(user) && !this.#warned.has(`${mechanism} ${user}`)) {
          this.#warned.add(`${mechanism} ${user}`)
          log?.warn({ user, remote, mechanism }, 'a user has no verifier of this mechanism and cannot log in by it: see bascule user entry')
        }
        return verifier ?? decoyOf(mechanism, like.iterations, like.salt.length, this.#decoySecret, user)
      },
      check: (isRight) =>
        this.#line.enter(hostOf(remote), async () => {
          const right = isRight()
          if (!right) await new Promise<void>((resolve) => void clock.after(WRONG_PROOF_MS, resolve))
          return right
        }),
    })
  }

  async #isRight(user: string, password: Uint8Array, host: string): Promise<boolean> {
    const digest = this.#digestOf(user, password)
    if (this.#isRemembered(digest)) return true
    let checking = this.#checking.get(digest)
    if (checking === undefined) {
      const hash = this.#hashes.get(user)
      checking = this.#line.enter(host, () => this.#options.check(password, hash ?? this.#decoy)).then((right) => right && hash !== undefined)
      this.#checking.set(digest, checking)
      const forget = (): void => void this.#checking.delete(digest)
      checking.then(forget, forget)
    }
    const right = await checking
    if (right) this.#remember(digest)
    return right
  }

  #digestOf(user: string, password: Uint8Array): string {
    return createHmac('sha256', this.#key)
      .update(`${Buffer.byteLength(user)}:${user}`)
      .update(password)
      .digest('base64')
  }

  #isRemembered(digest: string): boolean {
    const untilMs = this.#remembered.get(digest)
    if (untilMs === undefined) return false
    this.#remembered.delete(digest)
    if (untilMs <= this.#options.clock.monoMs()) return false
    this.#remembered.set(digest, untilMs)
    return true
  }

  #remember(digest: string): void {
    const { loginsRemembered, loginRememberedMs } = this.#options.limits
    if (loginRememberedMs === 0 || this.#remembered.has(digest)) return
    this.#remembered.set(digest, this.#options.clock.monoMs() + loginRememberedMs)
    for (const oldest of this.#remembered.keys()) {
      if (this.#remembered.size <= loginsRemembered) break
      this.#remembered.delete(oldest)
    }
  }
}

/** A hash of no password, that costs what this one costs. */
function decoyLike(hash: string | undefined): string {
  if (hash === undefined) return ''
  const parameters = hash.slice(0, hash.indexOf('$', '$scrypt$'.length))
  const [, , , salt, key] = makeHash(randomBytes(16), 1).split('$')
  return `${parameters}$${salt}$${key}`
}

function verifiersOf(users: readonly User[], mechanism: Mechanism): ReadonlyMap<string, Verifier> {
  const verifiers = new Map<string, Verifier>()
  for (const { name, scram } of users) {
    const verifier = scram?.map(readVerifier).find((each) => each?.mechanism === mechanism)
    if (verifier !== undefined) verifiers.set(name, verifier)
  }
  return verifiers
}
