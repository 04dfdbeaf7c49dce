// The certificates of this node's listeners over TLS: read at the start, where what is wrong with them ends it, and again when their files change,
// where what is wrong with them is logged and the old ones stay. Not here: what a listener does with them (`tls.ts`, `management/server.ts`).
import { constants, createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createSecureContext, type SecureContextOptions, type Server } from 'node:tls'
import type { Clock, Log } from '../api.ts'
import type { TlsSettings } from '../config/settings.ts'

export type CredentialsOptions = Readonly<{ settings: TlsSettings; clock: Clock; log: Log }>

/** As PEM. */
type Material = Readonly<{ certificate: string; key: string; ca: string }>
/** What servers need of the class. */
export type Reloading = Pick<Server, 'setSecureContext'>

export class Credentials {
  readonly #options: CredentialsOptions
  readonly #servers = new Set<Reloading>()
  #context: SecureContextOptions
  /** The last ones looked at, good or bad. */
  #seen: string
  #cancel: () => void = () => {}
  #closed = false

  /** Rejects with a sentence that says which setting and why. */
  static async open(options: CredentialsOptions): Promise<Credentials> {
    const material = await read(options.settings)
    return new Credentials(options, material, contextOf(options, material))
  }

  private constructor(options: CredentialsOptions, material: Material, context: SecureContextOptions) {
    this.#options = options
    this.#context = context
    this.#seen = JSON.stringify(material)
    this.#look()
  }

  /** For a new server. */
  get context(): SecureContextOptions {
    return this.#context
  }

  /** The server keeps up with them until the answer is called. */
  renew(server: Reloading): () => void {
    this.#servers.add(server)
    return () => void this.#servers.delete(server)
  }

  close(): void {
    this.#closed = true
    this.#cancel()
  }

  #look(): void {
    const { settings, clock } = this.#options
    if (this.#closed || settings.rereadMs === 0) return
    this.#cancel = clock.after(settings.rereadMs, () => void this.#reread().finally(() => this.#look()))
  }

  async #reread(): Promise<void> {
    const { settings, log } = this.#options
    let seen = ''
    try {
      const material = await read(settings)
      seen = JSON.stringify(material)
      if (seen === this.#seen || this.#closed) return
      const context = contextOf(this.#options, material)
      for (const server of this.#servers) server.setSecureContext(context)
      this.#context = context
      log.info({ certificate: nameOf(settings.certificate) }, 'the certificates of TLS have changed: new connections get the new ones')
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      if (seen === '') seen = reason
      // Told once: half of a change may be there, and the other half follows soon.
      if (seen !== this.#seen) log.error({ reason }, 'the certificates of TLS have changed and cannot be used: the old ones stay')
    }
    this.#seen = seen
  }
}

const PEM = '-----BEGIN '
/** A file of more than this is none of certificates. */
const FILE_BYTES_MAX = 1024 * 1024

async function read(settings: TlsSettings): Promise<Material> {
  const [certificate, key, ca] = await Promise.all(
    (['certificate', 'key', 'ca'] as const).map(async (name) => {
      const given = settings[name]
      if (given === '') return given
      // What stands before it on its line would hide it.
      if (isInline(given)) return given.slice(Math.max(0, given.indexOf(PEM)))
      try {
        const bytes = await readFile(given)
        if (bytes.length <= FILE_BYTES_MAX) return bytes.toString()
      } catch (error) {
        // It may be a key in a form that no rule of ours knows.
        throw new Error(`tls.${name}: the file it names cannot be read: ${codeOf(error)}`)
      }
      throw new Error(`tls.${name}: the file it names has more than ${FILE_BYTES_MAX} bytes`)
    }),
  )
  return { certificate, key, ca }
}

/** Never with the value of `tls.key` or `tls.passphrase` in the sentence: sentences are logged. */
function contextOf({ settings, clock, log }: CredentialsOptions, { certificate, key, ca }: Material): SecureContextOptions {
  const { passphrase, minVersion, ciphers, clientCertificates } = settings
  const of = (name: 'certificate' | 'ca'): string => `tls.${name}: ${nameOf(settings[name])}`
  const own = attempt(`${of('certificate')} holds no certificate`, () => new X509Certificate(certificate))
  const ownKey = attempt(`tls.key holds no private key that can be read${passphrase === '' ? ' without a passphrase' : ' with tls.passphrase'}`, () =>
    createPrivateKey({ key, passphrase }),
  )
  if (!own.checkPrivateKey(ownKey)) throw new Error(`tls.key is not the key of ${nameOf(settings.certificate)}`)
  if (ca !== '') attempt(`${of('ca')} holds no certificate`, () => new X509Certificate(ca))
  const context: SecureContextOptions = {
    cert: certificate,
    key,
    minVersion,
    ...(passphrase === '' ? {} : { passphrase }),
    ...(ca === '' ? {} : { ca }),
    ...(ciphers === '' ? {} : { ciphers }),
    // A session that is continued shows no certificate: who is known by one shows it each time.
    ...(clientCertificates === 'none' ? {} : { secureOptions: constants.SSL_OP_NO_TICKET }),
  }
  attempt('tls: the certificates cannot be used', () => createSecureContext(context))
  const untilMs = Date.parse(own.validTo)
  if (untilMs <= clock.wallMs())
    log.warn({ certificate: nameOf(settings.certificate), until: own.validTo }, 'the certificate of TLS is over: clients will refuse it')
  return context
}

/** Of what could be read only: then it is a file's name. */
const nameOf = (given: string): string => (isInline(given) ? 'what is written there' : given)

/** Whether it is no file's name but a key or certificates themselves, right or wrong ones. */
const isInline = (given: string): boolean => given.includes(PEM) || /[\r\n]/.test(given)

/** Without its sentence, which has the file's name in it once more. */
const codeOf = (error: unknown): string => (error instanceof Error && 'code' in error ? String(error.code) : 'nobody says why')

function attempt<T>(sentence: string, make: () => T): T {
  try {
    return make()
  } catch (error) {
    throw new Error(`${sentence} (${error instanceof Error ? error.message : String(error)})`)
  }
}
