// `bascule send`: messages to any broker by any protocol, acknowledged before it ends.
import { type Client, openClient } from './clients/client.ts'
import { readFlags, UsageError, wholeFlag } from './usage.ts'

const options = {
  count: { type: 'string' },
  header: { type: 'string', multiple: true },
  lines: { type: 'boolean' },
  volatile: { type: 'boolean' },
} as const

/** Sent and not yet acknowledged. */
const WINDOW = 100

export async function send(args: readonly string[]): Promise<number> {
  const { values, positionals } = readFlags(args, options, 3)
  const [url, destination, text] = positionals
  if (url === undefined || destination === undefined) throw new UsageError('send wants the URL of a broker and a destination. See bascule help send.')
  if (text !== undefined && values.lines === true) throw new UsageError('send takes a body or --lines of standard input, not both')
  const headers = (values.header ?? []).map(readHeader)
  const count = wholeFlag('count', values.count, 1)
  const client = await openClient(url)
  let sent = 0
  try {
    const durable = values.volatile !== true
    const window = new Window((body) => client.send(destination, { body, durable, headers }), client)
    for await (const body of bodies(text, values.lines === true)) {
      for (let i = 0; i < count; i++) {
        await window.push(body)
        sent++
      }
    }
    await window.empty()
  } finally {
    await client.close().catch(() => {})
  }
  process.stdout.write(`sent ${sent}\n`)
  return 0
}

function readHeader(text: string): readonly [string, string] {
  const at = text.indexOf('=')
  if (at < 1) throw new UsageError(`--header wants NAME=VALUE, not ${text}`)
  return [text.slice(0, at), text.slice(at + 1)]
}

/** What was given, else standard input: whole, or line by line. */
async function* bodies(text: string | undefined, lines: boolean): AsyncGenerator<Buffer> {
  if (text !== undefined) {
    yield Buffer.from(text)
    return
  }
  let left = Buffer.alloc(0)
  for await (const chunk of process.stdin) {
    left = Buffer.concat([left, chunk as Buffer])
    for (let at = lines ? left.indexOf(10) : -1; at >= 0; at = left.indexOf(10)) {
      yield left.subarray(0, at)
      left = left.subarray(at + 1)
    }
  }
  if (!lines || left.length > 0) yield left
}

/** Sends so many at once; the first that fails ends it. */
class Window {
  readonly #send: (body: Buffer) => Promise<void>
  readonly #client: Client
  readonly #under = new Set<Promise<void>>()
  #failed: Error | undefined

  constructor(send: (body: Buffer) => Promise<void>, client: Client) {
    this.#send = send
    this.#client = client
  }

  async push(body: Buffer): Promise<void> {
    while (this.#under.size >= WINDOW) await this.#one()
    if (this.#failed !== undefined) throw this.#failed
    const sending = this.#send(body).catch((error: unknown) => {
      this.#failed ??= error instanceof Error ? error : new Error(String(error))
    })
    this.#under.add(sending)
    void sending.then(() => this.#under.delete(sending))
  }

  async empty(): Promise<void> {
    while (this.#under.size > 0 && this.#failed === undefined) await this.#one()
    if (this.#failed !== undefined) throw this.#failed
  }

  async #one(): Promise<void> {
    await Promise.race([...this.#under, this.#client.broken])
    if (this.#failed !== undefined) throw this.#failed
  }
}
