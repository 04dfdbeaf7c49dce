import { createPrivateKey } from 'node:crypto'
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Log } from '../api.ts'
import { MovableClock } from '../clock.ts'
import { defaults } from '../config/defaults.ts'
import type { TlsSettings } from '../config/settings.ts'
import { brokerTls, certificatePath, pem } from '../../test/support/certificates.ts'
import { Credentials } from './credentials.ts'

const made: (() => void)[] = []
afterEach(() => {
  for (const remove of made.splice(0)) remove()
})

/** Knows whether something waits. */
class WatchedClock extends MovableClock {
  pending = 0

  override after(delayMs: number, run: () => void): () => void {
    this.pending++
    return super.after(delayMs, () => {
      this.pending--
      run()
    })
  }
}

async function open(changes: Partial<TlsSettings> = {}) {
  const clock = new WatchedClock()
  const told: string[] = []
  const tell = (fields: Readonly<Record<string, unknown>>, message: string): void => void told.push(`${message}: ${JSON.stringify(fields)}`)
  const log: Log = { debug() {}, info: tell, warn: tell, error: tell }
  const credentials = await Credentials.open({ settings: { ...defaults.tls, ...brokerTls, ...changes }, clock, log })
  made.push(() => credentials.close())
  return { clock, told, credentials }
}

const fault = (changes: Partial<TlsSettings>): Promise<string> =>
  open(changes).then(
    () => 'none',
    (error: Error) => error.message,
  )

describe('at the start', () => {
  it('files are read, or what is written in their place', async () => {
    const { credentials } = await open()
    expect(credentials.context).toMatchObject({ cert: pem('broker.pem'), key: pem('broker.key'), minVersion: 'TLSv1.2' })
    expect(await fault({ certificate: pem('broker.pem'), key: pem('broker.key'), ca: pem('authority.pem') })).toBe('none')
    expect(await fault({ key: certificatePath('broker-locked.key'), passphrase: 'secret' })).toBe('none')
  })

  it('what is wrong is told with its name, and without any secret', async () => {
    const key = certificatePath('broker.key')
    expect(await fault({ certificate: '/not/there.pem' })).toBe('tls.certificate: the file it names cannot be read: ENOENT')
    expect(await fault({ certificate: key })).toMatch(/^tls\.certificate: .*broker\.key holds no certificate \(/)
    expect(await fault({ key: certificatePath('broker.pem') })).toMatch(/^tls\.key holds no private key that can be read without a passphrase/)
    expect(await fault({ key: certificatePath('anna.key') })).toMatch(/^tls\.key is not the key of .*broker\.pem$/)
    expect(await fault({ ca: key })).toMatch(/^tls\.ca: .*broker\.key holds no certificate/)
    expect(await fault({ ciphers: 'nonsense' })).toMatch(/^tls: the certificates cannot be used \(.*no.cipher/i)
    const locked = certificatePath('broker-locked.key')
    for (const passphrase of ['', 'hunter2']) {
      const sentence = await fault({ key: locked, passphrase })
      expect(sentence).toMatch(/^tls\.key holds no private key that can be read with/)
      expect(sentence).not.toContain('hunter2')
    }
    expect(await fault({ key: pem('anna.key') })).toBe(`tls.key is not the key of ${brokerTls.certificate}`)
  })

  it('what is written in place of a file may have something before it, as other programs write it', async () => {
    const [certificate, key] = [pem('broker.pem'), pem('broker.key')]
    const bag = 'Bag Attributes\n    localKeyID: 01 02\nKey Attributes: <No Attributes>\n'
    for (const before of [bag, '# of the broker\n', '\n ', '"', '\uFEFF'])
      expect([before, await fault({ certificate: before + certificate, key: before + key })]).toEqual([before, 'none'])
  })

  it('a key is never told, whatever was done to it', async () => {
    const key = pem('broker.key')
    const body = key.split('\n').slice(1, -2).join('')
    const base64 = Buffer.from(key).toString('base64')
    const der = Buffer.from(body, 'base64')
    const jwk = createPrivateKey(key).export({ format: 'jwk' })
    for (const broken of [
      `"${key.trim()}"`,
      key.replaceAll('\n', '\\n'),
      key.replaceAll('\n', ' '),
      key.replace('-----BEGIN', '----BEGIN'),
      key.replace(/^.*\n/, ''),
      `Bag Attributes\n${key.replaceAll('PRIVATE', 'PUBLIC')}`,
      body,
      `'${body}'`,
      base64,
      base64.replaceAll(/.{76}/g, '$&\r'),
      base64.replaceAll(/.{76}/g, '$& '),
      body.replaceAll(/.{64}/g, '$&\\n'),
      `""${body}""`,
      `key=${body}`,
      der.toString('base64url'),
      der.toString('hex'),
      JSON.stringify(jwk),
      body.slice(0, 40),
    ])
      for (const name of ['key', 'certificate', 'ca'] as const) {
        const sentence = await fault({ [name]: broken })
        expect(sentence).toMatch(
          /^tls\.(key holds no private key|(certificate|ca): what is written there holds no cert|\w+: the file it names cannot be read: (ENOENT|ENAMETOOLONG)$)/,
        )
        for (const part of [body.slice(0, 16), body.slice(-16), base64.slice(40, 56), der.toString('hex', 30, 40), String(jwk.d)])
          expect(sentence).not.toContain(part)
      }
    expect(await fault({ key: '/not\0there' })).toBe('tls.key: the file it names cannot be read: ERR_INVALID_ARG_VALUE')
  })
})

describe('while the node runs', () => {
  async function renewing() {
    const folder = mkdtempSync(join(tmpdir(), 'bascule-tls-'))
    made.push(() => rmSync(folder, { recursive: true }))
    const put = (name: string, part: 'pem' | 'key'): void => copyFileSync(certificatePath(`${name}.${part}`), join(folder, `own.${part}`))
    put('broker', 'pem')
    put('broker', 'key')
    const opened = await open({ certificate: join(folder, 'own.pem'), key: join(folder, 'own.key'), rereadMs: 1_000 })
    const given: unknown[] = []
    const forget = opened.credentials.renew({ setSecureContext: ({ cert }) => void given.push(cert) })
    /** Until the files were looked at once more. */
    const look = async (): Promise<void> => {
      await vi.waitFor(() => expect(opened.clock.pending).toBeGreaterThan(0))
      opened.clock.advance(1_000)
      await vi.waitFor(() => expect(opened.clock.pending).toBeGreaterThan(0))
    }
    return { ...opened, put, folder, given, forget, look }
  }

  it('changed files are given to servers, once', async () => {
    const { put, look, given, told, forget } = await renewing()
    await look()
    expect(given).toEqual([])
    put('broker-next', 'pem')
    put('broker-next', 'key')
    await look()
    await look()
    expect(given).toEqual([pem('broker-next.pem')])
    expect(told.length).toBe(1)
    expect(told[0]).toContain('have changed: new connections get the new ones')
    forget()
    put('broker', 'pem')
    put('broker', 'key')
    await look()
    expect(given.length).toBe(1)
  })

  it('what cannot be used is told once, and the old ones stay until it can', async () => {
    const { put, look, given, told, folder, credentials } = await renewing()
    put('broker-next', 'pem')
    await look()
    await look()
    writeFileSync(join(folder, 'own.pem'), 'nonsense')
    await look()
    rmSync(join(folder, 'own.pem'))
    await look()
    await look()
    expect(given).toEqual([])
    expect(credentials.context.cert).toBe(pem('broker.pem'))
    expect(told.map((line) => /is not the key|holds no certificate|cannot be read/.exec(line)?.[0])).toEqual([
      'is not the key',
      'holds no certificate',
      'cannot be read',
    ])
    put('broker-next', 'pem')
    put('broker-next', 'key')
    await look()
    expect(given).toEqual([pem('broker-next.pem')])
  })
})
