import { describe, expect, it, vi } from 'vitest'
import type { Log } from './api.ts'
import { Node, type NodeOptions, type Term } from './broker.ts'
import { MovableClock } from './clock.ts'
import type { Leadership } from './failover/claim.ts'
import type { FollowStatus } from './journal/journal.ts'
import type { NodeStatus, Role } from './management/api.ts'
import type { Standby, Warm } from './standby.ts'

/** Follows what it is told to. */
class FakeStandby {
  status: FollowStatus = { state: 'warm', reason: '', batch: 5, epoch: 1, behindMs: 0 }
  stopped = 0
  readonly warm = { replica: {}, position: { epoch: 1, batch: 5, segment: 1, offset: 512 } } as unknown as Warm
  digest = () => ({ batch: this.status.batch, digest: 'd' })
  stop = async () => {
    this.stopped++
    return this.warm
  }
}

const log: Log = { debug() {}, info() {}, warn() {}, error() {} }

class FakeTerm implements Term {
  readonly listeners = { mqtt: '127.0.0.1:1' }
  readonly calls: string[] = []
  status = () => ({})
  administration: never = undefined as never
  recent = () => []
  declare = () => Promise.resolve(true)
  purge = async () => 0
  digest = async () => ({ batch: 9, digest: 'd' })
  stop = async (release: () => Promise<void>) => {
    this.calls.push('stop')
    await release()
    this.calls.push('released')
  }
  abandon = async (_error: Error, release: () => Promise<void>) => {
    this.calls.push('abandon')
    await release()
    this.calls.push('released')
  }
}

/** A node whose claims are granted by hand. */
function start(over: Partial<NodeOptions> = {}) {
  const clock = new MovableClock()
  const ready: NodeStatus[] = []
  const terms: FakeTerm[] = []
  const claims: { grant: (leads?: () => boolean) => void; wait: () => void; mayClaim: (highest: number) => boolean }[] = []
  const standbys: FakeStandby[] = []
  const warms: (Warm | undefined)[] = []
  const roles: Role[] = []
  const released: number[] = []
  let lost: (error: Error) => void = () => {}
  const node = new Node({
    name: () => 'a',
    version: '1',
    clock,
    log,
    ready: (status) => void ready.push(status),
    claim: (signal, { onWaiting: wait, mayClaim }) =>
      new Promise<Leadership>((resolve, reject) => {
        const epoch = claims.length + 1
        signal.addEventListener('abort', () => reject(signal.reason as Error))
        claims.push({
          wait,
          mayClaim,
          grant: (look = () => true) => resolve({ epoch, look, committed: () => {}, release: async () => void released.push(epoch) }),
        })
      }),
    standBy: () => {
      standbys.push(new FakeStandby())
      return standbys.at(-1) as unknown as Standby
    },
    mayTryAgain: (error) => !String(error).includes('damaged'),
    peers: () => [],
    successor: async () => 'b',
    changed: (role) => void roles.push(role),
    takeOver: async (_leadership, warm, onLost) => {
      warms.push(warm)
      lost = onLost
      const term = new FakeTerm()
      terms.push(term)
      return term
    },
    ...over,
  })
  const ended = node.run()
  ended.catch(() => {})
  return { node, clock, ready, terms, claims, standbys, warms, roles, released, ended, lose: () => lost(new Error('a higher epoch')) }
}

describe('a node', () => {
  it('that leads at once says ready once, as active', async () => {
    const { node, claims, ready, ended, terms, released } = start()
    claims[0].grant()
    await vi.waitFor(() => expect(node.role).toBe('active'))
    expect(ready).toMatchObject([{ role: 'active', epoch: 1, listeners: { mqtt: '127.0.0.1:1' } }])
    await node.stop()
    await ended
    expect(terms[0].calls).toEqual(['stop', 'released'])
    expect(new Set(released)).toEqual(new Set([1]))
    expect(node.role).toBe('stopping')
  })

  it('that must wait says ready as standby once, and again when it takes over', async () => {
    const { node, claims, ready } = start()
    claims[0].wait()
    claims[0].wait()
    expect(node.role).toBe('standby')
    expect(() => node.administration).toThrow('does not lead')
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
    expect(terms[0].calls).toEqual(['abandon', 'released'])
    expect(node.status()).toMatchObject({ epoch: 0, listeners: {} })
    // It watches at once, and claims later.
    await vi.waitFor(() => expect(claims).toHaveLength(2))
    expect(claims[1].mayClaim(1)).toBe(false)
    clock.advance(1_000)
    expect(claims[1].mayClaim(1)).toBe(true)
    expect(new Set(released)).toEqual(new Set([1]))
    claims[1].grant()
    await vi.waitFor(() => expect(ready.map((status) => `${status.role} ${status.epoch}`)).toEqual(['active 1', 'standby 0', 'active 2']))
    await node.stop()
  })

  it('that cannot take over although nobody else claimed fails, with the claim released', async () => {
    const { claims, ended, released } = start({ takeOver: () => Promise.reject(new Error('the journal is damaged')) })
    claims[0].grant()
    await expect(ended).rejects.toThrow('the journal is damaged')
    expect(new Set(released)).toEqual(new Set([1]))
  })

  it('that was overtaken while it took over waits again', async () => {
    const { node, claims, clock, ended } = start({ takeOver: () => Promise.reject(new Error('a higher epoch')) })
    claims[0].grant(() => false)
    await vi.waitFor(() => expect(node.role).toBe('standby'))
    await vi.waitFor(() => expect(claims).toHaveLength(2))
    clock.advance(1_000)
    expect(claims[1].mayClaim(1)).toBe(true)
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
    expect(term.calls).toEqual(['stop', 'released'])
    expect(ready).toEqual([])
  })

  it('that stands by follows, and takes over from what it followed', async () => {
    const { node, claims, standbys, warms, roles } = start()
    claims[0].wait()
    expect(standbys).toHaveLength(1)
    expect(node.status()).toMatchObject({ role: 'standby', follow: { state: 'warm', batch: 5 } })
    expect(await node.digest()).toEqual({ node: 'a', role: 'standby', batch: 5, digest: 'd' })
    claims[0].grant()
    await vi.waitFor(() => expect(node.role).toBe('active'))
    expect(warms).toEqual([standbys[0].warm])
    expect(standbys[0].stopped).toBe(1)
    expect(await node.digest()).toEqual({ node: 'a', role: 'active', batch: 9, digest: 'd' })
    expect(roles).toEqual(['standby', 'taking-over', 'active'])
    await node.stop()
  })

  it('that is cold never claims', () => {
    const { claims, standbys } = start()
    claims[0].wait()
    expect(claims[0].mayClaim(1)).toBe(true)
    standbys[0].status = { ...standbys[0].status, state: 'cold', reason: 'a fact of number 99' }
    expect(claims[0].mayClaim(1)).toBe(false)
  })

  it('hands over: the claim is given away, it follows, and leaves the next claim to others for a while', async () => {
    const { node, claims, standbys, terms, clock, ready } = start()
    await expect(node.handOver(false)).rejects.toThrow('does not lead')
    claims[0].grant()
    await vi.waitFor(() => expect(node.role).toBe('active'))
    expect(await node.handOver(false)).toEqual({ epoch: 1, successor: 'b' })
    await vi.waitFor(() => expect(node.role).toBe('standby'))
    expect(terms[0].calls).toEqual(['stop', 'released'])
    expect(standbys).toHaveLength(1)
    expect(claims[1].mayClaim(1)).toBe(false)
    // Somebody else led meanwhile and died.
    expect(claims[1].mayClaim(2)).toBe(true)
    clock.advance(5_000)
    expect(claims[1].mayClaim(1)).toBe(true)
    claims[1].grant()
    await vi.waitFor(() => expect(ready.map((status) => status.role)).toEqual(['active', 'standby', 'active']))
    await node.stop()
  })

  it('does not hand over to nobody, unless forced', async () => {
    const { node, claims } = start({ successor: async () => undefined })
    claims[0].grant()
    await vi.waitFor(() => expect(node.role).toBe('active'))
    await expect(node.handOver(false)).rejects.toThrow('No other node is warm')
    expect(node.role).toBe('active')
    expect(await node.handOver(true)).toEqual({ epoch: 1, successor: undefined })
    await node.stop()
  })

  it('that stood by and cannot take over gives its claim away, and pauses longer each time', async () => {
    const { node, claims, clock, released, standbys } = start({ takeOver: () => Promise.reject(new Error('EIO')) })
    claims[0].wait()
    for (let attempt = 0; attempt < 3; attempt++) {
      claims[attempt].grant()
      await vi.waitFor(() => expect(standbys).toHaveLength(attempt + 2))
      expect(node.role).toBe('standby')
      await vi.waitFor(() => expect(claims).toHaveLength(attempt + 2))
      clock.advance(1_000 * 2 ** attempt - 1)
      expect(claims[attempt + 1].mayClaim(1)).toBe(false)
      clock.advance(1)
      expect(claims[attempt + 1].mayClaim(1)).toBe(true)
    }
    expect(new Set(released)).toEqual(new Set([1, 2, 3]))
    await node.stop()
  })

  it('that has been of use waits for a directory that is gone, where a start would fail', async () => {
    const gone = () => Promise.reject(new Error('ENOENT'))
    const alone = start({ claim: gone })
    await expect(alone.ended).rejects.toThrow('ENOENT')
    let there = true
    const claimed: (() => void)[] = []
    const { node, clock, lose } = start({
      claim: (_signal, { onWaiting }) => {
        if (!there) return gone()
        onWaiting()
        return new Promise((resolve) => claimed.push(() => resolve({ epoch: 1, look: () => true, committed() {}, release: async () => {} })))
      },
    })
    claimed[0]()
    await vi.waitFor(() => expect(node.role).toBe('active'))
    there = false
    lose()
    await vi.waitFor(() => expect(node.role).toBe('standby'))
    for (let i = 0; i < 3; i++) {
      clock.advance(60_000)
      await new Promise((resolve) => setImmediate(resolve))
    }
    there = true
    await vi.waitFor(() => {
      clock.advance(60_000)
      expect(claimed).toHaveLength(2)
    })
    claimed[1]()
    await vi.waitFor(() => expect(node.role).toBe('active'))
    await node.stop()
  })
})
