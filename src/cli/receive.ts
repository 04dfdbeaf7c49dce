// `bascule receive`: takes messages from any broker by any protocol, prints each, and acknowledges it.
import { isUtf8 } from 'node:buffer'
import { type Incoming, openClient } from './clients/client.ts'
import { readFlags, UsageError, wholeFlag } from './usage.ts'

const options = { count: { type: 'string' }, wait: { type: 'string' }, json: { type: 'boolean' } } as const

export async function receive(args: readonly string[]): Promise<number> {
  const { values, positionals } = readFlags(args, options, 2)
  const [url, destination] = positionals
  if (url === undefined || destination === undefined)
    throw new UsageError('receive wants the URL of a broker and a destination. See bascule help receive.')
  const count = values.count === undefined ? Number.MAX_SAFE_INTEGER : wholeFlag('count', values.count, 1)
  const waitMs = wholeFlag('wait', values.wait, 0)
  const client = await openClient(url)
  let taken = 0
  let finish: () => void = () => {}
  let fail: (error: Error) => void = () => {}
  const finished = new Promise<void>((resolve, reject) => {
    finish = resolve
    fail = reject
  })
  finished.catch(() => {})
  const timer = waitMs === 0 ? undefined : setTimeout(finish, waitMs)
  const interrupt = (): void => finish()
  process.once('SIGINT', interrupt)
  try {
    // Acknowledged is only what has left this process.
    const take = async (message: Incoming): Promise<void> => {
      try {
        await print(values.json === true ? Buffer.from(`${json(message)}\n`) : Buffer.concat([message.body, NEWLINE]))
      } catch (error) {
        fail(new Error(`what was received could not be written and is not acknowledged: ${error instanceof Error ? error.message : String(error)}`))
        throw error
      }
      timer?.refresh()
      // In a turn of its own, so that the last one is acknowledged too.
      if (++taken >= count) setImmediate(finish)
    }
    if (count > 0) {
      await client.receive(destination, count, take)
      await Promise.race([finished, client.broken])
    }
  } finally {
    clearTimeout(timer)
    process.off('SIGINT', interrupt)
    await client.close().catch(() => {})
  }
  return values.count !== undefined && taken < count ? 1 : 0
}

function print(bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => process.stdout.write(bytes, (error) => (error === undefined || error === null ? resolve() : reject(error))))
}

function json({ destination, fields, body }: Incoming): string {
  return JSON.stringify({ destination, fields, body: isUtf8(body) ? { text: body.toString() } : { base64: body.toString('base64') } })
}

const NEWLINE = Buffer.from('\n')
