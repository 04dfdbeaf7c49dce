// Who is it? Names and passwords of the configuration, for every front end and for management. What somebody may do is another question.
//
// A check is slow on purpose (`hash.ts`), so they wait in a line with an end, and a success is remembered for a while: a thousand
// connections of one user that come back at once cost one check.
import { createHmac, randomBytes } from 'node:crypto'
import type { Broker, Clock } from '../api.ts'
import type { Limits, User } from '../config/settings.ts'
import { CodedError } from '../errors.ts'
import type { Check } from './hash-thread.ts'
import { makeHash } from './hash.ts'

export type Login = Parameters<Broker['authenticate']>[0]

export type AuthenticatorOptions = Readonly<{
  users: readonly User[]
  /** With users: whether one may come without a name too. Without users everybody is anonymous. */
  anonymous: boolean
  limits: Limits
  clock: Clock
  check: Check
}>

const ANONYMOUS = 'anonymous'
/** One address may fill this part of the line: whoever guesses passwords keeps nobody out but itself. */
const SHARE_PER_ADDRESS = 4

type Waiting = Readonly<{ password: Uint8Array; hash: string; resolve: (right: boolean) => void; reject: (error: Error) => void }>

export class Authenticator {
  readonly #options: AuthenticatorOptions
  readonly #hashes: ReadonlyMap<string, string>
  /** For names that nobody has: it takes as long, and says no. */
  readonly #decoy: string
  /** Digests of log-ins are of use in this process only, and to nobody who reads its memory later. */
  readonly #key = randomBytes(32)
  /** Digest of a log-in that succeeded → until when it is remembered. Least recently used first. */
  readonly #remembered = new Map<string, number>()
  /** Digest of a log-in that is being checked: whoever comes with the same meanwhile gets the same answer. */
  readonly #checking = new Map<string, Promise<boolean>>()
  readonly #line: Waiting[] = []
  readonly #lineByAddress = new Map<string, number>()
  #working = false

  constructor(options: AuthenticatorOptions) {
    this.#options = options
    this.#hashes = new Map(options.users.map(({ name, password }) => [name, password]))
    this.#decoy = decoyLike(options.users[0]?.password)
  }

  /** Log-ins that were checked and are remembered. */
  get remembered(): number {
    return this.#remembered.size
  }

  readonly login = async ({ user, password, remote }: Login): Promise<string> => {
    const { users, anonymous } = this.#options
    if (users.length === 0) return ANONYMOUS
    const named = user !== undefined && !(user === '' && (password === undefined || password.length === 0))
    if (!named) {
      if (anonymous) return ANONYMOUS
      throw new CodedError('unauthenticated', 'A user and a password are needed.')
    }
    if (password !== undefined && (await this.#isRight(user, password, hostOf(remote)))) return user
    throw new CodedError('unauthenticated', 'User or password is wrong.')
  }

  async #isRight(user: string, password: Uint8Array, host: string): Promise<boolean> {
    const digest = this.#digestOf(user, password)
    if (this.#isRemembered(digest)) return true
    let checking = this.#checking.get(digest)
    if (checking === undefined) {
      const hash = this.#hashes.get(user)
      checking = this.#check(password, hash ?? this.#decoy, host).then((right) => right && hash !== undefined)
      this.#checking.set(digest, checking)
      const forget = (): void => void this.#checking.delete(digest)
      checking.then(forget, forget)
    }
    const right = await checking
    if (right) this.#remember(digest)
    return right
  }

  #check(password: Uint8Array, hash: string, host: string): Promise<boolean> {
    const { loginsWaiting } = this.#options.limits
    const waiting = this.#lineByAddress.get(host) ?? 0
    if (this.#line.length >= loginsWaiting || waiting >= Math.max(1, Math.floor(loginsWaiting / SHARE_PER_ADDRESS)))
      return Promise.reject(new CodedError('throttled', 'Too many log-ins wait to be checked (limits.loginsWaiting): try again later.'))
    this.#lineByAddress.set(host, waiting + 1)
    const checked = new Promise<boolean>((resolve, reject) => {
      this.#line.push({ password, hash, resolve, reject })
    })
    const leave = (): void => {
      const left = (this.#lineByAddress.get(host) ?? 1) - 1
      if (left > 0) this.#lineByAddress.set(host, left)
      else this.#lineByAddress.delete(host)
    }
    checked.then(leave, leave)
    void this.#work()
    return checked
  }

  /** One at a time. */
  async #work(): Promise<void> {
    if (this.#working) return
    this.#working = true
    for (let next = this.#line.shift(); next !== undefined; next = this.#line.shift()) {
      try {
        next.resolve(await this.#options.check(next.password, next.hash))
      } catch (error) {
        next.reject(new CodedError('internal', `The password could not be checked: ${error instanceof Error ? error.message : String(error)}`))
      }
    }
    this.#working = false
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

/** Without the port. */
const hostOf = (remote: string): string => remote.slice(0, Math.max(0, remote.lastIndexOf(':')))
