// A suite of a protocol of one line, and a broker that speaks it, for tests of what runs suites: `X` is answered by `x`.
import { connect, createServer, type Socket } from 'node:net'
import type { Check, Suite } from './check.ts'
import { Inbox } from './clients/inbox.ts'
import type { Framing } from './mutant.ts'
import { bascule } from './profiles/bascule.ts'
import { type ProfileData, profileOf, type Target } from './target.ts'
import type { Trial } from './trial.ts'

/** Frames are lines. */
export const lineFraming: Framing = () => {
  const splitter = () => {
    let rest = ''
    return (bytes: Buffer): readonly Buffer[] => {
      const [last = '', ...lines] = (rest + bytes.toString()).split('\n').toReversed()
      rest = last
      return lines.toReversed().map((line) => Buffer.from(`${line}\n`))
    }
  }
  return { toClient: splitter(), toBroker: splitter() }
}

export const framings = { mqtt: lineFraming, amqp: lineFraming, stomp: lineFraming, ws: lineFraming }

export async function ask(trial: Trial, question: string): Promise<string> {
  const inbox = new Inbox<string>(trial)
  const socket = connect(trial.address)
  trial.after(() => void socket.destroy())
  socket.on('error', () => {})
  socket.on('data', (bytes: Buffer) => {
    trial.line(`A ← ${bytes.toString().trim()}`)
    inbox.put(bytes.toString())
  })
  socket.on('close', () => inbox.end())
  trial.line(`A → ${question}`)
  socket.write(`${question}\n`)
  return (await inbox.next('an answer')) ?? 'closed'
}

export const check = (id: string, run: Check['run'], more: Partial<Check> = {}): Check => ({
  id,
  level: 'must',
  says: `It keeps ${id}.`,
  how: 'It is asked.',
  run,
  mutants: [],
  ...more,
})

export const suiteOf = (...clauses: Suite['chapters'][number]['clauses']): Suite => ({
  name: 'lines',
  title: 'Lines',
  specification: 'https://example.org/lines',
  protocols: ['mqtt'],
  chapters: [{ title: '1 Lines', clauses }],
})

export type FakeBroker = Readonly<{ target: Target; sockets: ReadonlySet<Socket>; close: () => Promise<void> }>

export async function fakeBroker(profile: Partial<ProfileData> = {}): Promise<FakeBroker> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    socket.on('data', (bytes: Buffer) => {
      if (bytes.toString().startsWith('END')) socket.end()
      else socket.write(bytes.toString().toLowerCase())
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = address === null || typeof address === 'string' ? 0 : address.port
  return {
    target: { urls: { mqtt: `mqtt://127.0.0.1:${port}` }, profile: profileOf({ ...bascule, ...profile }) },
    sockets,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy()
        server.close(() => resolve())
      }),
  }
}
