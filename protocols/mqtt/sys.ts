// The topics under $SYS/broker: figures of the whole broker, and the MQTT clients of this front end, as retained messages of QoS 0.
// Renewed every `sysIntervalMs` while the node leads. The names are mosquitto's, where it has the same figure.
import type { Broker, ErrorCode, Replies, Session } from '../../src/api.ts'
import { newMessage } from './format.ts'
import type { Front } from './front.ts'

/** Publishes until the session ends; the answer stops it. */
export function publishSys(front: Front): () => void {
  const { broker, settings, log } = front
  const intervalMs = settings.sysIntervalMs
  if (intervalMs === 0) return () => {}
  let cancel = () => {}
  let session: Session | undefined
  const replies: Replies = {
    done() {},
    admitted() {},
    refused() {},
    pressure() {},
    ended(error) {
      session = undefined
      cancel()
      log.debug({ code: error.code }, '$SYS is not renewed any more')
    },
  }
  session = broker.open(
    { principal: 'broker', protocol: 'mqtt', remote: '', clientId: '', clash: 'refuse', keepMs: 0, fresh: true, will: undefined },
    replies,
  )
  const renew = (): void => {
    if (session === undefined) return
    for (const [name, value] of figuresOf(front)) {
      const to = broker.address('topic', ['$SYS', 'broker', ...name.split('/')])
      const ticket = session.publish(to, newMessage(0, true, Buffer.from(String(value))), { retain: 'set', note: 0, transaction: undefined })
      // The node stopped or leads no more: nothing of it must go on.
      if (ticket === 0 && OVER.has(session.refusal?.code)) return
    }
    cancel = broker.schedule(intervalMs, renew)
  }
  renew()
  return () => {
    cancel()
    session?.close('clean')
    session = undefined
  }
}

const OVER: ReadonlySet<ErrorCode | undefined> = new Set<ErrorCode>(['removed', 'not-leading', 'shutting-down'])

function figuresOf(front: Front): readonly (readonly [name: string, value: string | number])[] {
  const broker: Broker = front.broker
  const figures = broker.figures()
  return [
    ['version', `bascule ${broker.version}`],
    ['node', broker.node],
    ['uptime', `${Math.floor((broker.clock.wallMs() - figures.startedAtMs) / 1000)} seconds`],
    ['clients/connected', front.connected],
    ['clients/maximum', front.connectedMax],
    ['connections/connected', figures.connections],
    ['connections/total', figures.connectionsTotal],
    ['clients/total', figures.sessions],
    ['messages/received', figures.messagesIn],
    ['messages/sent', figures.messagesOut],
    ['messages/stored', figures.entries],
    ['publish/messages/dropped', figures.dropped],
    ['publish/messages/too-large', front.tooLargeDropped],
    ['publish/messages/refused-by-clients', front.refusedByClients],
    ['bytes/received', figures.bytesIn],
    ['bytes/sent', figures.bytesOut],
    ['subscriptions/count', figures.bindings],
    ['retained messages/count', figures.retained],
    ['queues/count', figures.queues],
  ]
}
