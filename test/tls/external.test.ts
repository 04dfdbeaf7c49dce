// SASL EXTERNAL byte by byte, as AMQP has it (part 5.3), and the certificates' change while a node runs.
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, type PeerCertificate, type TLSSocket } from 'node:tls'
import { afterEach, describe, expect, it } from 'vitest'
import { makeHash } from '../../src/users/hash.ts'
import { type RunningBroker, startBroker } from '../support/broker.ts'
import { brokerTls, certificatePath, clientTls } from '../support/certificates.ts'
import { Pair } from '../failover/nodes.ts'
import { until } from '../wire/bytes.ts'

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function start(settings: Readonly<Record<string, unknown>>): Promise<RunningBroker> {
  const broker = await startBroker({ settings })
  ends.push(() => broker.stop())
  return broker
}

type Spoken = Readonly<{ socket: TLSSocket; read: () => Buffer; closed: () => boolean }>

async function speak(port: number, name?: string): Promise<Spoken> {
  const socket = connect({ host: '127.0.0.1', port, ...clientTls(name) })
  ends.push(() => socket.destroy())
  let read = Buffer.alloc(0)
  let closed = false
  socket.on('data', (bytes) => {
    read = Buffer.concat([read, bytes])
  })
  socket.on('error', () => {})
  socket.on('close', () => {
    closed = true
  })
  await new Promise((resolve) => socket.once('secureConnect', resolve))
  return { socket, read: () => read, closed: () => closed }
}

const SASL = Buffer.from('AMQP\x03\x01\x00\x00', 'latin1')

/** sasl-init or sasl-response: a frame of type 1 with one short list. */
function frame(code: number, fields: readonly Buffer[]): Buffer {
  const list = Buffer.concat(fields)
  const body = Buffer.concat([Buffer.from([0, 0x53, code, 0xc0, list.length + 1, fields.length]), list])
  const head = Buffer.from([0, 0, 0, 8 + body.length, 2, 1, 0, 0])
  return Buffer.concat([head, body])
}

const symbol = (name: string): Buffer => Buffer.concat([Buffer.from([0xa3, name.length]), Buffer.from(name)])
const binary = (text: string): Buffer => Buffer.concat([Buffer.from([0xa0, Buffer.byteLength(text)]), Buffer.from(text)])

/** The code of sasl-outcome: 0 is ok, 1 that the log-in failed. */
const outcomeIn = (read: Buffer): number | undefined => {
  const at = read.indexOf(Buffer.from([0x00, 0x53, 0x44]))
  const code = at < 0 ? -1 : read.indexOf(0x50, at + 3)
  return code < 0 ? undefined : read[code + 1]
}

async function external(
  port: number,
  name: string | undefined,
  response: string | undefined,
): Promise<Readonly<{ offered: boolean; code: unknown; spoken: Spoken }>> {
  const spoken = await speak(port, name)
  spoken.socket.write(SASL)
  await until('the mechanisms', () => spoken.read().includes('PLAIN') || spoken.closed())
  const offered = spoken.read().includes('EXTERNAL')
  spoken.socket.write(frame(0x41, [symbol('EXTERNAL'), ...(response === undefined ? [] : [binary(response)])]))
  const challenged = (): boolean => spoken.read().includes(Buffer.from([0x00, 0x53, 0x42]))
  await until('an answer', () => outcomeIn(spoken.read()) !== undefined || challenged() || spoken.closed())
  return { offered, code: challenged() ? 'challenge' : (outcomeIn(spoken.read()) ?? 'closed'), spoken }
}

describe('EXTERNAL', () => {
  it('is offered to whoever shows a user’s certificate, who is that user and nobody else', async () => {
    const broker = await start({
      tls: { ...brokerTls, ca: certificatePath('authority.pem'), clientCertificates: 'optional' },
      users: [
        { name: 'anna', certificate: 'anna' },
        { name: 'bert', certificate: 'bert.example.com' },
      ],
    })
    const port = broker.port('amqps')
    const told: unknown[] = []
    for (const [name, response] of [
      ['anna', ''],
      ['anna', 'anna'],
      ['anna', 'bert'],
      ['bert', ''],
      ['nobody', ''],
      [undefined, ''],
      ['stranger', ''],
      ['expired', ''],
    ]) {
      const { offered, code } = await external(port, name, response)
      told.push([name, response, offered, code])
    }
    expect(told).toEqual([
      ['anna', '', true, 0],
      ['anna', 'anna', true, 0],
      ['anna', 'bert', true, 1],
      ['bert', '', true, 0],
      ['nobody', '', false, 1],
      [undefined, '', false, 1],
      ['stranger', '', false, 'closed'],
      ['expired', '', false, 'closed'],
    ])
  })

  it('without a response is asked for one', async () => {
    const tls = { ...brokerTls, ca: certificatePath('authority.pem'), clientCertificates: 'required' }
    const broker = await start({ tls, users: [{ name: 'anna', certificate: 'anna@example.com' }] })
    const { code, spoken } = await external(broker.port('amqps'), 'anna', undefined)
    expect(code).toBe('challenge')
    spoken.socket.write(frame(0x43, [binary('')]))
    await until('the outcome', () => outcomeIn(spoken.read()) !== undefined)
    expect(outcomeIn(spoken.read())).toBe(0)
  })

  it('is offered to nobody without TLS', async () => {
    const broker = await start({
      tls: { ...brokerTls, ca: certificatePath('authority.pem'), clientCertificates: 'optional' },
      users: [{ name: 'anna', certificate: 'anna' }],
    })
    const { connect: connectPlain } = await import('node:net')
    const socket = connectPlain(broker.port('amqp'), '127.0.0.1')
    ends.push(() => socket.destroy())
    const got: Buffer[] = []
    socket.on('data', (bytes) => got.push(bytes)).write(SASL)
    await until('the mechanisms', () => Buffer.concat(got).includes('PLAIN'))
    expect(Buffer.concat(got).includes('EXTERNAL')).toBe(false)
  })
})

it('a new certificate counts from the next connection on, for protocols and management', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'bascule-tls-'))
  ends.push(() => rmSync(folder, { recursive: true }))
  const put = (name: string): void => {
    for (const part of ['pem', 'key']) copyFileSync(certificatePath(`${name}.${part}`), join(folder, `own.${part}`))
  }
  put('broker')
  const broker = await start({
    tls: { certificate: join(folder, 'own.pem'), key: join(folder, 'own.key'), rereadMs: 50 },
    users: [{ name: 'carl', password: makeHash(Buffer.from('c'), 1) }],
  })
  const shownAt = async (listener: string): Promise<string> => {
    const { socket } = await speak(broker.port(listener))
    const { subject }: PeerCertificate = socket.getPeerCertificate()
    socket.destroy()
    return String(subject.CN)
  }
  const before = await speak(broker.port('amqps'))
  expect([await shownAt('mqtts'), await shownAt('wss'), await shownAt('https')]).toEqual(['broker', 'broker', 'broker'])
  put('broker-next')
  let seen = ''
  let asking = false
  await until('the new certificate', () => {
    if (!asking && seen !== 'broker-next') {
      asking = true
      void shownAt('mqtts').then((name) => {
        seen = name
        asking = false
      })
    }
    return seen === 'broker-next'
  })
  expect([await shownAt('stomps'), await shownAt('wss'), await shownAt('https')]).toEqual(['broker-next', 'broker-next', 'broker-next'])
  before.socket.write(SASL)
  await until('an answer on the old connection', () => before.read().includes('PLAIN'))
})

it('a pair hands over: clients over TLS are told where TLS is spoken, and find the successor there', async () => {
  const pair = new Pair()
  ends.push(() => pair.end())
  const { first, second, ready } = await pair.both('--set', `tls.certificate=${brokerTls.certificate}`, '--set', `tls.key=${brokerTls.key}`)
  const portOf = (address = ''): number => Number(address.split(':').at(-1))
  const stomp = await speak(portOf(ready.listeners['stomps']))
  stomp.socket.write('CONNECT\naccept-version:1.2\nhost:x\n\n\0')
  await until('CONNECTED', () => stomp.read().includes('CONNECTED'))
  // An address that the system chose is known once it is bound, that of a standby not before it leads.
  await fetch(`http://${ready.listeners['http']}/api/failover?force=true`, { method: 'POST' })
  await until('the goodbye', () => stomp.closed())
  expect(stomp.read().toString()).toContain('ERROR')
  const next = await second.leads()
  const after = await speak(portOf(next.listeners['stomps']))
  after.socket.write('CONNECT\naccept-version:1.2\nhost:x\n\n\0')
  await until('CONNECTED of the successor', () => after.read().includes('CONNECTED'))
  expect(first.exit).toBeUndefined()
})
