// The certificates of `certificates/`, which `make.sh` there has made, for tests alone.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export const certificatePath = (file: string): string => fileURLToPath(new URL(`certificates/${file}`, import.meta.url))
export const pem = (file: string): string => readFileSync(certificatePath(file), 'utf8')

/** For a client: whom it trusts, and its own certificate if it has one. */
export function clientTls(name?: string): Readonly<{ ca: string; cert?: string; key?: string; servername: string }> {
  const trust = { ca: pem('authority.pem'), servername: 'localhost' }
  return name === undefined ? trust : { ...trust, cert: pem(`${name}.pem`), key: pem(`${name}.key`) }
}

/** For a broker, as its configuration has them. */
export const brokerTls = { certificate: certificatePath('broker.pem'), key: certificatePath('broker.key') }
