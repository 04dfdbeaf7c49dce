// SASL as it is on the wire (part 5.3): what is offered, exchanges of one step and of several, and what ends them.
import { afterEach, describe, expect, it } from 'vitest'
import { defaultLimits } from '../../src/config/defaults.ts'
import { realClock } from '../../src/clock.ts'
import { Authenticator } from '../../src/users/authenticator.ts'
import { makeHash, matches, readHash } from '../../src/users/hash.ts'
import { makeVerifier, type Mechanism, MECHANISMS, writeVerifier } from '../../src/users/scram.ts'
import { ScramClient } from '../../test/support/scram-client.ts'
import { AMQP_HEADER, SASL_HEADER } from './codec.ts'
import { type FakeNode, type Got, type Raw, startNode, stopNodes } from './fake-node.ts'
import { frame } from './frames.ts'
import { symbol, type Term, text } from './term.ts'

afterEach(stopNodes)

const users = [
  {
    name: 'anna',
    password: makeHash(Buffer.from('grüße'), 1),
    scram: MECHANISMS.map((mechanism: Mechanism) => writeVerifier(makeVerifier(mechanism, 'grüße', 4096))),
  },
]
const binary = (bytes: Uint8Array | string): Term => ({ type: 'binary', value: Buffer.from(bytes) })

function nodeWithUsers(list: readonly Readonly<{ name: string; password: string; scram?: readonly string[] }>[] = users): Promise<FakeNode> {
  const check = async (password: Uint8Array, hash: string): Promise<boolean> => {
    const read = readHash(hash)
    return read !== undefined && matches(password, read)
  }
  return startNode({}, { logins: new Authenticator({ users: list, anonymous: false, limits: defaultLimits, clock: realClock, check }) })
}

/** Has read what is offered. */
async function asked(node: FakeNode): Promise<Readonly<{ raw: Raw; offered: readonly Term[] }>> {
  const raw = await node.raw()
  raw.write(SASL_HEADER)
  await raw.header()
  const { fields } = await raw.next(0x40)
  return { raw, offered: fields[0]?.type === 'array' ? fields[0].value : [] }
}

const init = (raw: Raw, mechanism: string, response?: Uint8Array | string): void =>
  raw.send(0, 0x41, [symbol(mechanism), response === undefined ? undefined : binary(response)], undefined, 1)
const respond = (raw: Raw, response: string): void => raw.send(0, 0x43, [binary(response)], undefined, 1)
const bytesOf = (term: Term | undefined): string => (term?.type === 'binary' ? Buffer.from(term.value).toString() : '')

async function open(raw: Raw): Promise<Got> {
  raw.expectHeader()
  raw.write(AMQP_HEADER)
  raw.send(0, 0x10, [text('c')])
  await raw.header()
  return raw.next(0x10)
}

/** Code 1, nothing more, and the end. */
async function refused(raw: Raw): Promise<void> {
  const { code, fields } = await raw.next()
  expect([code, fields[0], fields.length]).toEqual([0x44, { type: 'uint8', value: 1 }, 1])
  await raw.closed
}

describe('what is offered', () => {
  it('is SCRAM before PLAIN where every user has a verifier, and never EXTERNAL', async () => {
    const { offered } = await asked(await nodeWithUsers())
    expect(offered).toEqual(['SCRAM-SHA-512', 'SCRAM-SHA-256', 'PLAIN', 'ANONYMOUS'].map(symbol))
  })

  it('is no SCRAM where one user has none, so that a client that takes the strongest can log in', async () => {
    const { raw, offered } = await asked(await nodeWithUsers([...users, { name: 'bert', password: users[0].password }]))
    expect(offered).toEqual(['PLAIN', 'ANONYMOUS'].map(symbol))
    init(raw, 'SCRAM-SHA-256', new ScramClient('SCRAM-SHA-256', 'anna', 'grüße').first)
    await refused(raw)
  })
})

describe('SCRAM', () => {
  it.each(['SCRAM-SHA-256', 'SCRAM-SHA-512'])('%s lets in, and the outcome has our own proof', async (mechanism) => {
    const { raw } = await asked(await nodeWithUsers())
    const client = new ScramClient(mechanism, 'anna', 'grüße')
    init(raw, mechanism, client.first)
    respond(raw, client.final(bytesOf((await raw.next(0x42)).fields[0])))
    const { fields } = await raw.next(0x44)
    expect(fields[0]).toEqual({ type: 'uint8', value: 0 })
    expect(client.knows(bytesOf(fields[1]))).toBe(true)
    expect((await open(raw)).code).toBe(0x10)
  })

  it('without an initial response is asked for it', async () => {
    const { raw } = await asked(await nodeWithUsers())
    const client = new ScramClient('SCRAM-SHA-256', 'anna', 'grüße')
    init(raw, 'SCRAM-SHA-256')
    expect((await raw.next(0x42)).fields[0]).toEqual(binary(''))
    respond(raw, client.first)
    respond(raw, client.final(bytesOf((await raw.next(0x42)).fields[0])))
    expect((await raw.next(0x44)).fields[0]).toEqual({ type: 'uint8', value: 0 })
  })

  it.each([
    ['anna', 'gruesse'],
    ['eve', 'grüße'],
  ])('of %s with %s is refused after the last step', async (user, password) => {
    const { raw } = await asked(await nodeWithUsers())
    const client = new ScramClient('SCRAM-SHA-256', user, password)
    init(raw, 'SCRAM-SHA-256', client.first)
    respond(raw, client.final(bytesOf((await raw.next(0x42)).fields[0])))
    await refused(raw)
  })

  it('that is refused may be tried again on another connection, with the right password', async () => {
    const node = await nodeWithUsers()
    const first = await asked(node)
    init(first.raw, 'SCRAM-SHA-256', 'no message of SCRAM')
    await refused(first.raw)
    const { raw } = await asked(node)
    const client = new ScramClient('SCRAM-SHA-256', 'anna', 'grüße')
    init(raw, 'SCRAM-SHA-256', client.first)
    respond(raw, client.final(bytesOf((await raw.next(0x42)).fields[0])))
    expect((await raw.next(0x44)).fields[0]).toEqual({ type: 'uint8', value: 0 })
  })
})

describe('an exchange is refused', () => {
  it.each([
    ['by a mechanism that nobody has', (raw: Raw) => init(raw, 'NTLM', 'x')],
    ['by EXTERNAL, which nobody can vouch for', (raw: Raw) => init(raw, 'EXTERNAL', '')],
    ['by PLAIN without a response', (raw: Raw) => init(raw, 'PLAIN')],
    ['by PLAIN that acts for somebody else', (raw: Raw) => init(raw, 'PLAIN', 'bert\0anna\0grüße')],
    ['by PLAIN with a wrong password', (raw: Raw) => init(raw, 'PLAIN', '\0anna\0x')],
    ['by a response that nobody asked for', (raw: Raw) => respond(raw, 'x')],
    ['by ANONYMOUS where a name is needed', (raw: Raw) => init(raw, 'ANONYMOUS', '')],
  ])('%s', async (_, say) => {
    const { raw } = await asked(await nodeWithUsers())
    say(raw)
    await refused(raw)
  })

  it('by a second init in the middle of one', async () => {
    const { raw } = await asked(await nodeWithUsers())
    init(raw, 'SCRAM-SHA-256', new ScramClient('SCRAM-SHA-256', 'anna', 'grüße').first)
    await raw.next(0x42)
    init(raw, 'PLAIN', '\0anna\0grüße')
    await refused(raw)
  })

  it.each([
    ['an empty frame', Buffer.from([0, 0, 0, 8, 2, 1, 0, 0])],
    ['a frame of more than 512 bytes', Buffer.concat([Buffer.from([0, 0, 2, 1, 2, 1, 0, 0]), Buffer.alloc(505)])],
    ['a frame that only we send', frame(0, 0x44, [{ type: 'uint8', value: 0 }], 1)],
    ['a frame of AMQP', Buffer.from([0, 0, 0, 8, 2, 0, 0, 0])],
  ])('by %s: the connection ends without a word', async (_, bytes) => {
    const { raw } = await asked(await nodeWithUsers())
    raw.write(bytes)
    await raw.closed
    expect(raw.frames).toEqual([])
  })
})

it('PLAIN may say for whom it acts, if that is itself', async () => {
  const { raw } = await asked(await nodeWithUsers())
  init(raw, 'PLAIN', 'anna\0anna\0grüße')
  expect((await raw.next(0x44)).fields).toEqual([{ type: 'uint8', value: 0 }])
})
