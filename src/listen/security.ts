// What TLS has shown of a connection: that nobody reads along, and who its client is, if an authority of ours vouches for a certificate.
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Certificate, Wire } from '../api.ts'

export function securityOf(socket: Socket): Pick<Wire, 'secure' | 'certificate'> {
  return isTls(socket) ? { secure: true, certificate: certificateOf(socket) } : PLAIN
}

const PLAIN = { secure: false, certificate: undefined }

/** Without the module, which a node without TLS need not load. */
const isTls = (socket: Socket): socket is TLSSocket => 'encrypted' in socket

/** Undefined: it showed none, or one that nobody vouches for. `authorized` alone may mean that there was none to doubt. */
function certificateOf(socket: TLSSocket): Certificate | undefined {
  const shown = socket.authorized ? socket.getPeerX509Certificate() : undefined
  if (shown === undefined) return undefined
  const { CN }: { CN?: unknown } = shown.toLegacyObject().subject
  return {
    commonName: typeof CN === 'string' ? CN : '',
    names: namesIn(shown.subjectAltName ?? ''),
    fingerprint: shown.fingerprint256.replaceAll(':', ''),
  }
}

/** `DNS:a.example, email:a@example`; what has a comma or a quote in it stands in quotes, as a string of JSON. Other kinds of names are passed over. */
export function namesIn(text: string): readonly string[] {
  const names: string[] = []
  for (const [, kind, value] of text.matchAll(/(?:^|, )([^:,"]+):("[^"\\]*(?:\\.[^"\\]*)*"|[^",]*)(?=, |$)/g)) {
    if (kind !== 'DNS' && kind !== 'email' && kind !== 'URI') continue
    const name: unknown = value.startsWith('"') ? JSON.parse(value) : value
    if (typeof name === 'string' && name !== '') names.push(name)
  }
  return names
}
