// Whether anybody listens where the target is, before a thousand checks say that nobody does.
import { connect } from 'node:net'
import { addressOf, type Target } from '../target.ts'

/** Nobody listens there: the broker is not at fault, no check was tried. */
export class NotReached extends Error {
  override readonly name = 'NotReached'
}

/** Rejects with a sentence that names the first address at which nobody listens. */
export async function reached({ urls }: Target, patienceMs: number): Promise<void> {
  for (const url of Object.values(urls)) {
    const { host, port } = addressOf(url)
    await new Promise<void>((resolve, reject) => {
      const socket = connect({ host, port, timeout: patienceMs })
      const end = (sentence: string | undefined): void => {
        socket.destroy()
        if (sentence === undefined) resolve()
        else reject(new NotReached(`${url} is not reached: ${sentence}`))
      }
      socket.once('connect', () => end(undefined))
      socket.once('timeout', () => end(`no answer in ${patienceMs} ms`))
      socket.once('error', (error) => end(error.message === '' ? error.name : error.message))
    })
  }
}
