import { describe, expect, it, vi } from 'vitest'
import type { Log } from './api.ts'
import { Node, type NodeOptions, type Term } from './broker.ts'
import { MovableClock } from './clock.ts'
import type { Leadership } from './failover/claim.ts'
import type { NodeStatus } from './management/api.ts'

const log: Log = { debug() {}, info() {}, warn() {}, error() {} }

class FakeTerm implements Term {
  readonly listeners = { mqtt: '127.0.0.1:1' }
  readonly calls: string[] = []
  status = () => ({})
  destinations = () => []
  recent = () => []
  declare = () => Promise.resolve(true)
  purge = async () => 0
  stop = async () => void this.calls.push('stop')
  abandon = async () => void this.calls.push('abandon')
}

/** A node whose claims are granted by hand. */
function start(over: Partial<NodeOptions> = {}) {
  const clock = new MovableClock()
  const ready: NodeStatus[] = []
  const terms: FakeTerm[] = []
  const claims: { grant: (leads?: () => boolean) => void; wait: () => void }[] = []
  const released: number[] = []
  let lost: (error: Error) => void = () => {}
  const node = new Node({
    node: 'a',
    version: '1',
    clock,
    log,
    ready: (status) => void ready.push(status),
    claim: (signal, wait) =>
      new Promise<Leadership>((resolve, reject) => {
        const epoch = claims.length + 1
        signal.addEventListener('abort', () => reject(signal.reason as Error))
        claims.push({
          wait,
          grant: (look = () => true) => resolve({ epoch, look, committed: () => {}, release: async () => void released.push(epoch) }),
        })
      }),
    takeOver: async (_leadership, onLost) => {
      lost = onLost
      const term = new FakeTerm()
      terms.push(term)
      return term
    },
    ...over,
  })
  const ended = node.run()
  ended.catch(() => {})
  return { node, clock, ready, terms, claims, released, ended, lose: () => lost(new Error('a higher epoch')) }
}

describe('a node', () => {
  it('that leads at once says ready once, as active', async () => {
    const { node, claims, ready, ended, terms, released } = start()
    claims[0].grant()
    await vi.waitFor(() => expect(node.role).toBe('active'))
    expect(ready).toMatchObject([{ role: 'active', epoch: 1, listeners: { mqtt: '127.0.0.1:1' } }])
    await node.stop()
    await ended
    expect(terms[0].calls).toEqual(['stop'])
    expect(released).toEqual([1])
    expect(node.role).toBe('stopping')
  })

  it('that must wait says ready as standby once, and again when it takes over', async () => {
    const { node, claims, ready } = start()
    claims[0].wait()
    claims[0].wait()
    expect(node.role).toBe('standby')
    expect(() => node.destinations()).toThrow('does not lead')
    claims[0].grant()
    await vi.waitFor(() => expect(ready.map((status) => status.role)).toEqual(['standby', 'active']))
    await node.stop()
  })

  it('stops while it waits', async () => {
    const { node, claims, ended, terms } = start()
    claims[0].wait()
    await node.stop()
    await ended
    expect(terms).toEqual([])
  })

  it('that loses its leadership abandons the term and becomes a standby that claims again, after a pause', async () => {
    const { node, claims, clock, ready, terms, released, lose } = start()
    claims[0].grant()
    await vi.waitFor(() => expect(node.role).toBe('active'))
    lose()
    await vi.waitFor(() => expect(node.role).toBe('standby'))
    expect(terms[0].calls).toEqual(['abandon'])
    expect(node.status()).toMatchObject({ epoch: 0, listeners: {} })
    expect(claims).toHaveLength(1)
    clock.advance(1_000)
    await vi.waitFor(() => expect(claims).toHaveLength(2))
    expect(released).toEqual([1])
    claims[1].grant()
    await vi.waitFor(() => expect(ready.map((status) => `${status.role} ${status.epoch}`)).toEqual(['active 1', 'standby 0', 'active 2']))
    await node.stop()
  })

  it('that cannot take over although nobody else claimed fails, with the claim released', async () => {
    const { claims, ended, released } = start({ takeOver: () => Promise.reject(new Error('the journal is damaged')) })
    claims[0].grant()
    await expect(ended).rejects.toThrow('the journal is damaged')
    expect(released).toEqual([1])
  })

  it('that was overtaken while it took over waits again', async () => {
    const { node, claims, clock, ended } = start({ takeOver: () => Promise.reject(new Error('a higher epoch')) })
    claims[0].grant(() => false)
    await vi.waitFor(() => expect(node.role).toBe('standby'))
    clock.advance(1_000)
    await vi.waitFor(() => expect(claims).toHaveLength(2))
    await node.stop()
    await ended
  })

  it('that is told to stop while it takes over stops in order once it has', async () => {
    let grantTerm: (term: Term) => void = () => {}
    const term = new FakeTerm()
    const { node, claims, ready } = start({
      takeOver: () =>
        new Promise((resolve) => {
          grantTerm = resolve
        }),
    })
    claims[0].grant()
    await vi.waitFor(() => expect(node.role).toBe('taking-over'))
    const stopped = node.stop()
    grantTerm(term)
    await stopped
    expect(term.calls).toEqual(['stop'])
    expect(ready).toEqual([])
  })
})
