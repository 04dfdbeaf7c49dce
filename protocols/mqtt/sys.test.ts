import { describe, expect, it } from 'vitest'
import { CodedError } from '../../src/errors.ts'
import { FakeBroker } from './fake-core.ts'
import { newFront } from './index.ts'
import { defaults } from './settings.ts'
import { publishSys } from './sys.ts'

const SILENT = { debug() {}, info() {}, warn() {}, error() {} }

function started(settings = {}) {
  const broker = new FakeBroker()
  const stop = publishSys(newFront(broker, { ...defaults, ...settings }, SILENT))
  return { broker, stop, session: broker.sessions[0] }
}

/** Topic → payload of what was published since it was asked last. */
function published(session: FakeBroker['sessions'][number]): Record<string, string> {
  return Object.fromEntries(session.published.splice(0).map(({ to, message }) => [to.path.slice(2).join('/'), Buffer.from(message.body).toString()]))
}

describe('$SYS', () => {
  it('has the figures of the broker, retained', () => {
    const { session } = started()
    expect(session.taken().every((call) => call.startsWith('publish topic $SYS|broker|') && call.endsWith(' set 0'))).toBe(true)
    expect(published(session)).toMatchObject({
      version: 'bascule 0',
      uptime: '5 seconds',
      'clients/total': '3',
      'messages/received': '8',
      'messages/sent': '9',
      'bytes/received': '10',
      'bytes/sent': '11',
      'subscriptions/count': '4',
      'retained messages/count': '6',
      'publish/messages/dropped': '12',
    })
  })

  it('is renewed at its interval until the session ends', () => {
    const { broker, session } = started({ sysIntervalMs: 1000 })
    published(session)
    broker.clock.advance(999)
    expect(published(session)).toEqual({})
    broker.clock.advance(1)
    expect(published(session).uptime).toBe('6 seconds')
    session.replies.ended(new CodedError('not-leading', 'x'))
    broker.clock.advance(5000)
    expect(published(session)).toEqual({})
  })

  it('stops with a node that says only by refusing that it is over', () => {
    const { broker, session } = started({ sysIntervalMs: 1000 })
    published(session)
    session.room = new CodedError('removed', 'the session is over')
    broker.clock.advance(1000)
    session.room = 'taken'
    broker.clock.advance(5000)
    expect(published(session)).toEqual({})
  })

  it('goes on after a refusal that passes', () => {
    const { broker, session } = started({ sysIntervalMs: 1000 })
    session.room = new CodedError('limit', 'limits.retained')
    broker.clock.advance(1000)
    published(session)
    session.room = 'taken'
    broker.clock.advance(1000)
    expect(published(session).version).toBe('bascule 0')
  })

  it('is off at 0', () => {
    expect(started({ sysIntervalMs: 0 }).session).toBeUndefined()
  })

  it('ends when it is told to', () => {
    const { broker, stop, session } = started({ sysIntervalMs: 1000 })
    stop()
    published(session)
    broker.clock.advance(5000)
    expect(published(session)).toEqual({})
  })
})
