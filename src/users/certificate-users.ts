// Whose certificate is it? A user's entry names it by its fingerprint, or by a name that the authority has put into it.
import type { Certificate } from '../api.ts'
import type { User } from '../config/settings.ts'

export class CertificateUsers {
  readonly #byFingerprint = new Map<string, string>()
  readonly #byName = new Map<string, string>()

  constructor(users: readonly User[]) {
    for (const { name, certificate } of users) {
      if (certificate === undefined) continue
      const fingerprint = fingerprintIn(certificate)
      if (fingerprint === undefined) this.#byName.set(certificate, name)
      else this.#byFingerprint.set(fingerprint, name)
    }
  }

  /** Undefined: nobody's, or by its names several people's, which an authority should not have made. */
  userOf({ fingerprint, commonName, names }: Certificate): string | undefined {
    const known = this.#byFingerprint.get(fingerprint)
    if (known !== undefined) return known
    const users = new Set([commonName, ...names].flatMap((name) => this.#byName.get(name) ?? []))
    const [user] = users
    return users.size === 1 ? user : undefined
  }
}

/** As it is compared: with colons between or not, in large letters or small ones, what looks like a fingerprint is one and no name. */
export function fingerprintIn(text: string): string | undefined {
  const digits = text.replaceAll(':', '').toUpperCase()
  return /^[0-9A-F]{64}$/.test(digits) ? digits : undefined
}
