// `/metrics` for Prometheus: read when asked for, from numbers that the core has anyway; nothing is counted for it on the way of a message.
// What there is one by one of (destinations, losses) is bounded; all else costs the same however many destinations there are.
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import type { Measures } from '../core/administration.ts'
import { gaps } from '../loop-gap.ts'
import type { Managed, NodeStatus, Role } from './api.ts'

const ROLES: readonly Role[] = ['starting', 'standby', 'taking-over', 'active', 'stopping']

export class Metrics {
  readonly contentType: string
  readonly #registry = new Registry()
  readonly #gauges = new Map<string, Gauge>()
  readonly #counters = new Map<string, Counter>()

  constructor() {
    this.contentType = this.#registry.contentType
    collectDefaultMetrics({ register: this.#registry })
  }

  async read(managed: Managed): Promise<string> {
    for (const gauge of this.#gauges.values()) gauge.reset()
    for (const counter of this.#counters.values()) counter.reset()
    this.#node(managed.standing())
    if (managed.role === 'active') this.#core(managed.administration.measure())
    return this.#registry.metrics()
  }

  #node({ node, version, role, epoch, startedAtMs, follow }: NodeStatus): void {
    this.#gauge('info', 'Who it is; the value is always 1.', { node, version }, 1)
    for (const each of ROLES) this.#gauge('role', '1 for the role that the node has.', { role: each }, each === role ? 1 : 0)
    this.#gauge('epoch', 'Of its own term; 0 while it does not lead.', {}, epoch)
    this.#gauge('start_time_seconds', 'When the process began.', {}, startedAtMs / 1000)
    this.#counter(
      'loop_gaps_total',
      'Turns of the event loop beyond 10 ms: each marked one, of the others at most the longest of each second.',
      {},
      gaps.count,
    )
    this.#counter('loop_gap_seconds_total', 'How long those took together.', {}, gaps.totalMs / 1000)
    this.#gauge('loop_gap_longest_seconds', 'The longest of them.', {}, gaps.longestMs / 1000)
    if (follow === undefined) return
    for (const state of ['warming', 'warm', 'cold']) {
      this.#gauge('follow_state', '1 for the state of this standby: only a warm one takes over at once.', { state }, state === follow.state ? 1 : 0)
    }
    this.#gauge(
      'follow_behind_seconds',
      'Since when something decided lies on disk that this standby has not applied; 0: nothing does.',
      {},
      follow.behindMs / 1000,
    )
    this.#gauge('follow_batch', 'The last batch that it has applied.', { epoch: String(follow.epoch) }, follow.batch)
  }

  #core({ figures, journal, bytes, losses, passedOver, queues, queuesLeftOut }: Measures): void {
    this.#counter('messages_in_total', 'Messages accepted.', {}, figures.messagesIn)
    this.#counter('messages_out_total', 'Messages handed to consumers.', {}, figures.messagesOut)
    this.#counter('bytes_in_total', 'Bytes of messages accepted.', {}, figures.bytesIn)
    this.#counter('bytes_out_total', 'Bytes of messages handed to consumers.', {}, figures.bytesOut)
    this.#counter('messages_dropped_total', 'Messages dropped: expired, beyond a limit, dead without a dead-letter queue.', {}, figures.dropped)
    this.#counter('connections_opened_total', 'Connections made.', {}, figures.connectionsTotal)
    this.#counter('messages_passed_over_total', 'How often a message could not be read back and those behind it went first.', {}, passedOver)
    this.#gauge('connections', 'Connected clients.', {}, figures.connections)
    this.#gauge('sessions', 'Sessions, connected and kept.', {}, figures.sessions)
    this.#gauge('bindings', 'Subscriptions.', {}, figures.bindings)
    this.#gauge('queues', 'Queues, those of subscriptions included.', {}, figures.queues)
    this.#gauge('retained_messages', 'Topics with a retained message.', {}, figures.retained)
    this.#gauge('queued_messages', 'Messages on queues, counted once for each queue.', {}, figures.entries)
    this.#journal(journal)
    for (const [kind, held] of Object.entries(bytes)) this.#gauge('memory_bytes', 'Memory by what it is for.', { kind }, held)
    for (const { from, to, field, count } of losses) {
      this.#counter('conversion_losses_total', 'Fields that a conversion from one protocol to another could not carry.', { from, to, field }, count)
    }
    for (const queue of queues) this.#queue(queue)
    this.#gauge('queues_not_measured', 'Queues that are to be measured and are beyond limits.measuredQueues.', {}, queuesLeftOut)
  }

  #journal(journal: Measures['journal']): void {
    this.#gauge('journal_used_bytes', 'Bytes of the journal on disk.', {}, journal.usedBytes)
    this.#gauge('journal_limit_bytes', 'Most that it may take.', {}, journal.bytesMax)
    this.#gauge('journal_cached_bytes', 'Bytes of it in memory.', {}, journal.cachedBytes)
    this.#gauge('journal_since_snapshot_bytes', 'Written since the last snapshot.', {}, journal.sinceSnapshotBytes)
    this.#gauge('journal_segments', 'Segment files.', {}, journal.segments)
    this.#counter('journal_batches_total', 'Batches committed in all terms.', {}, journal.committed)
  }

  #queue({ namespace, name, messages, ready, bytes, consumers, arrived, left, dropped }: Measures['queues'][number]): void {
    const labels = { queue: namespace === '' ? name : `${namespace}:${name}` }
    this.#gauge('queue_messages', 'Messages on the queue.', labels, messages)
    this.#gauge('queue_ready_messages', 'Of those, the ones that wait for a consumer.', labels, ready)
    this.#gauge('queue_bytes', 'Bytes of messages on the queue.', labels, bytes)
    this.#gauge('queue_consumers', 'Consumers of the queue.', labels, consumers)
    this.#counter('queue_arrived_total', 'Messages that came to the queue since this node leads.', labels, arrived)
    this.#counter('queue_left_total', 'Messages that left it since then: taken, expired, dropped, moved or purged.', labels, left)
    this.#counter('queue_dropped_total', 'Messages dropped there, those that found no room included.', labels, dropped)
  }

  #gauge(name: string, help: string, labels: Readonly<Record<string, string>>, value: number): void {
    let gauge = this.#gauges.get(name)
    if (gauge === undefined) {
      gauge = new Gauge({ name: `bascule_${name}`, help, labelNames: Object.keys(labels), registers: [this.#registry] })
      this.#gauges.set(name, gauge)
    }
    gauge.set(labels, value)
  }

  /** Its value is read, not counted here: set by being counted from nothing. */
  #counter(name: string, help: string, labels: Readonly<Record<string, string>>, value: number): void {
    let counter = this.#counters.get(name)
    if (counter === undefined) {
      counter = new Counter({ name: `bascule_${name}`, help, labelNames: Object.keys(labels), registers: [this.#registry] })
      this.#counters.set(name, counter)
    }
    counter.inc(labels, value)
  }
}
