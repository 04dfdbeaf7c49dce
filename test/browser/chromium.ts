// A headless Chromium, driven over its debugging protocol: opens a page and runs an expression in it. It knows nothing of brokers.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { WebSocket } from 'ws'

export interface Browser {
  /** What the expression's promise becomes in a page of this address. Rejects with the page's error. */
  run(url: string, expression: string): Promise<unknown>
  close(): Promise<void>
}

type Answer = Readonly<{
  id?: number
  error?: Readonly<{ message: string }>
  result?: Readonly<Record<string, unknown>>
}>

export async function openBrowser(program: string): Promise<Browser> {
  const home = mkdtempSync(join(tmpdir(), 'bascule-browser-'))
  const flags = ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run', '--remote-debugging-port=0']
  const child = spawn(program, [...flags, `--user-data-dir=${home}`, 'about:blank'], { stdio: ['ignore', 'ignore', 'pipe'] })
  const gone = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const address = await new Promise<string>((resolve, reject) => {
    let said = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text
      const found = /DevTools listening on (ws:\S+)/.exec(said)
      if (found !== null) resolve(found[1])
    })
    void gone.then(() => reject(new Error(`Chromium ended: ${said.slice(-500)}`)))
  })
  const ws = new WebSocket(address)
  await new Promise((resolve, reject) => ws.once('open', resolve).once('error', reject))
  const waiting = new Map<number, (answer: Answer) => void>()
  ws.on('message', (data) => {
    const answer = JSON.parse((data as Buffer).toString()) as Answer
    if (answer.id !== undefined) waiting.get(answer.id)?.(answer)
  })
  let last = 0
  const call = (method: string, params: object, sessionId?: string): Promise<Readonly<Record<string, unknown>>> =>
    new Promise((resolve, reject) => {
      const id = ++last
      waiting.set(id, ({ error, result }) => {
        waiting.delete(id)
        if (error === undefined) resolve(result ?? {})
        else reject(new Error(`${method}: ${error.message}`))
      })
      ws.send(JSON.stringify({ id, method, params, ...(sessionId === undefined ? {} : { sessionId }) }))
    })
  return {
    async run(url, expression) {
      const { targetId } = await call('Target.createTarget', { url: 'about:blank' })
      const { sessionId } = await call('Target.attachToTarget', { targetId, flatten: true })
      // Answered when the page is the one of this address; before, an expression would be evaluated in the blank one.
      await call('Page.navigate', { url }, String(sessionId))
      const loaded = `new Promise((resolve) => (document.readyState === 'complete' ? resolve() : addEventListener('load', () => resolve())))`
      const { result, exceptionDetails } = await call(
        'Runtime.evaluate',
        { expression: `${loaded}.then(() => ${expression})`, awaitPromise: true, returnByValue: true },
        String(sessionId),
      )
      await call('Target.closeTarget', { targetId })
      if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails))
      return (result as Readonly<{ value: unknown }>).value
    },
    async close() {
      ws.close()
      child.kill('SIGTERM')
      await gone
      rmSync(home, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}
