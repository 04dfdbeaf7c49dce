// The thread in which passwords are checked, one after the other. In the pool that files share, a few checks at once would stop the journal for
// as long as they take (measured: four of them cut commits to 20 to 38 a second); in a thread of its own it does not notice.
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { type Hash, matches, readHash } from './hash.ts'

/** Whether the password is the hash's. Rejects when the thread fails; the next check has a new one. */
export type Check = (password: Uint8Array, hash: string) => Promise<boolean>

type Question = Readonly<{ password: Uint8Array; hash: string }>

export interface HashThread {
  readonly check: Check
  close(): void
}

/** The thread begins with the first check. One check at a time: who asks waits for the answer before the next. */
export function openHashThread(): HashThread {
  // Source files need a loader that a thread does not have: there it runs in this thread.
  if (import.meta.url.endsWith('.ts')) return { check: async (password, hash) => answer({ password, hash }), close() {} }
  let worker: Worker | undefined
  return {
    check: (password, hash) =>
      new Promise((resolve, reject) => {
        const asked = (worker ??= newWorker())
        const failed = (error: unknown): void => {
          if (worker === asked) worker = undefined
          reject(error instanceof Error ? error : new Error(`the thread that checks passwords ended with ${error}`))
        }
        asked.once('error', failed).once('exit', failed)
        asked.once('message', (message: unknown) => {
          asked.off('error', failed).off('exit', failed)
          resolve(message === true)
        })
        asked.postMessage({ password, hash } satisfies Question)
      }),
    close() {
      void worker?.terminate()
      worker = undefined
    },
  }
}

function newWorker(): Worker {
  const worker = new Worker(new URL(import.meta.url), { workerData: 'bascule-hash' })
  worker.unref()
  // Between two checks nobody else listens.
  worker.on('error', () => {})
  return worker
}

function answer({ password, hash }: Question): boolean {
  const read: Hash | undefined = readHash(hash)
  return read !== undefined && matches(password, read)
}

if (!isMainThread && workerData === 'bascule-hash') {
  parentPort?.on('message', (question: Question) => parentPort?.postMessage(answer(question)))
}
