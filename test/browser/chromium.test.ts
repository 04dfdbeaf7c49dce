// Pages in a real Chromium, with the libraries that pages use, over a real broker's WebSocket listener.
import { readFileSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { debianTool, whySkipped } from '../clients/clients.ts'
import { NodeProcess } from '../wire/node-process.ts'
import { type Browser, openBrowser } from './chromium.ts'

const chromium = debianTool('chromium', 'chromium')
const root = fileURLToPath(new URL('../..', import.meta.url))

const files: Readonly<Record<string, readonly [type: string, path: string]>> = {
  '/mqtt.js': ['text/javascript', join(root, 'node_modules/mqtt/dist/mqtt.min.js')],
  '/stomp.js': ['text/javascript', join(root, 'node_modules/@stomp/stompjs/bundles/stomp.umd.min.js')],
  '/rhea.js': ['text/javascript', join(root, 'node_modules/rhea/dist/rhea-umd.js')],
  '/page.js': ['text/javascript', join(root, 'test/browser/page.js')],
}
const scripts = Object.keys(files).map((path) => `<script src="${path}"></script>`)
const page = `<!doctype html><meta charset="utf-8">${scripts.join('')}`

function serve(): Promise<Readonly<{ server: Server; port: number }>> {
  const server = createServer((request, response) => {
    const file = files[request.url ?? '']
    response.setHeader('content-type', file?.[0] ?? 'text/html')
    response.end(file === undefined ? page : readFileSync(file[1]))
  })
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      resolve({ server, port: typeof address === 'object' && address !== null ? address.port : 0 })
    })
  })
}

describe.skipIf(!chromium.found)(`a page in Chromium${whySkipped(chromium)}`, { timeout: 60_000 }, () => {
  let browser: Browser
  let node: NodeProcess
  let site: Awaited<ReturnType<typeof serve>>
  let broker = ''
  const data = mkdtempSync(join(tmpdir(), 'bascule-chromium-'))
  const at = (host: string): string => `http://${host}:${site.port}/`

  beforeAll(async () => {
    site = await serve()
    node = new NodeProcess({ data, args: ['--set', `websocket.origins=["http://127.0.0.1:${site.port}"]`] })
    broker = `ws://${(await node.leads()).listeners['websocket'] ?? ''}/`
    browser = await openBrowser(chromium.found ? chromium.path : '')
  }, 60_000)

  afterAll(async () => {
    await browser?.close()
    await node?.signal('SIGTERM')
    site?.server.close()
    rmSync(data, { recursive: true, force: true })
  })

  it('publishes and receives by MQTT.js', async () => {
    expect(await browser.run(at('127.0.0.1'), `overMqtt('${broker}')`)).toEqual([
      ['page/0', 'grüße 0', 0],
      ['page/1', 'grüße 1', 1],
      ['page/2', 'grüße 2', 2],
    ])
  })

  it('sends and receives by @stomp/stompjs, and is closed with 1000', async () => {
    expect(await browser.run(at('127.0.0.1'), `overStomp('${broker}')`)).toEqual({ version: '1.2', got: ['grüße 😀', [255, 0, 254]], code: 1000 })
  })

  it('sends and receives by rhea', async () => {
    expect(await browser.run(at('127.0.0.1'), `overAmqp('${broker}')`)).toEqual(['grüße 😀', [255, 0, 254], { a: [1, null] }])
  })

  it('gets the best subprotocol that it offers, and is refused without one', async () => {
    expect(await browser.run(at('127.0.0.1'), `outcome('${broker}', ['v10.stomp', 'v12.stomp'])`)).toBe('open v12.stomp')
    expect(await browser.run(at('127.0.0.1'), `outcome('${broker}', [])`)).toBe('refused')
    expect(await browser.run(at('127.0.0.1'), `outcome('${broker}', ['soap'])`)).toBe('refused')
  })

  it('of another origin is refused', async () => {
    expect(await browser.run(at('localhost'), `outcome('${broker}', 'mqtt')`)).toBe('refused')
  })
})
