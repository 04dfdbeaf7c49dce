// A request of a command to a node's management listener.

/** What most nodes listen on. */
const DEFAULT_URL = 'http://127.0.0.1:8161'

/** The address of a node as a user gives it: `host:port` or a URL; '' is this machine's usual one. */
export function managementUrl(given: string | undefined): URL {
  const text = given ?? process.env.BASCULE_URL ?? DEFAULT_URL
  return new URL(/^https?:\/\//.test(text) ? text : `http://${text}`)
}

/** `NAME:PASSWORD` in BASCULE_LOGIN, for nodes with users: in the environment it is seen by fewer than on a command line. */
export function loginHeaders(): Readonly<Record<string, string>> {
  const login = process.env.BASCULE_LOGIN ?? ''
  return login === '' ? {} : { authorization: `Basic ${Buffer.from(login).toString('base64')}` }
}

/** The body of the answer. Rejects with the node's own sentence, or one that says who did not answer. */
export async function ask<T>(url: URL, method: 'GET' | 'POST' | 'DELETE', path: string): Promise<T> {
  let response: Response
  try {
    response = await fetch(new URL(path, url), { method, headers: loginHeaders() })
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error)
    throw new Error(`${url.host} does not answer (${cause}). Name the node's management address with --url.`)
  }
  const body = (await response.json()) as T & Readonly<{ message?: string }>
  if (response.status === 401) throw new Error(`${body.message ?? 'The node asks for a user.'} Set BASCULE_LOGIN to NAME:PASSWORD.`)
  if (!response.ok) throw new Error(body.message ?? `${url.host} answered ${response.status}`)
  return body
}
