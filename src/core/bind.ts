// Binds topics to a queue for a session, and unbinds them: within the limits, once a pattern and queue. Changes answer whether the journal was told, or
// why not. What a binding is and what is interned of it is `bindings.ts`; which queues a topic has, `router.ts`.
import type { Address, Binding as BindingSpec, Bound, Pattern } from '../api.ts'
import { CodedError } from '../errors.ts'
import { FACT } from '../journal/facts.ts'
import { own, patternBeyond, patternKey, writePattern } from './addresses.ts'
import { Binding } from './bindings.ts'
import { writeBinding } from './cold-facts.ts'
import type { Live } from './live.ts'
import { EVENT, REASON } from './recorder.ts'
import { journalFull, noQueue } from './refusals.ts'
import { given } from './selector/selector.ts'
import type { LiveSession } from './session.ts'
import { mayBind } from './temporary.ts'

export function bind(live: Live, { record, origin }: LiveSession, spec: BindingSpec): boolean | CodedError {
  const queue = live.findQueue(own(spec.queue))
  if (queue === undefined) return noQueue(spec.queue.path)
  const { limits } = live.settings
  const key = patternKey(spec.pattern)
  const known = queue.bindings?.get(key)
  if (known === undefined && live.state.bindingCount >= limits.bindings) {
    return new CodedError('limit', `limits.bindings (${limits.bindings}) subscriptions exist`)
  }
  if (known === undefined && (queue.bindings?.size ?? 0) >= limits.bindingsPerSession) {
    return new CodedError('limit', `limits.bindingsPerSession (${limits.bindingsPerSession}) subscriptions exist`)
  }
  if (known === undefined && queue.bindingBytes + key.length > limits.bindingBytesPerSession) {
    return new CodedError('limit', `limits.bindingBytesPerSession (${limits.bindingBytesPerSession}) bytes of patterns are bound`)
  }
  const tooLong = patternBeyond(spec.pattern, limits) ?? mayBind(record, spec.pattern)
  if (tooLong !== undefined) return tooLong
  const selector = live.selecting.compile(spec.selector, spec.selectorConverts)
  if (selector instanceof CodedError) return selector
  const exceptFrom = spec.noLocal === true ? origin : ''
  const selectorConverts = selector !== undefined && spec.selectorConverts === true
  const binding = new Binding({ ...spec, label: spec.label ?? 0, selector: selector?.text ?? '', selectorConverts, exceptFrom }, queue)
  if (!queue.durable) live.state.bind(binding)
  else if (!live.facts.admit(FACT.bind, writeBinding(live.facts.writer.reset(), binding), 'publish')) return journalFull()
  live.recorder.note(EVENT.bound, queue.number, 0, REASON.none, 0)
  if (spec.retained === 'always' || (spec.retained === 'if-new' && known === undefined)) live.replays.start(binding)
  return queue.durable
}

export function boundTo(live: Live, address: Address): readonly Bound[] {
  const bindings = live.findQueue(own(address))?.bindings?.values() ?? []
  return [...bindings].map(({ pattern, selector, exceptFrom, tag, label }) => ({
    pattern,
    selector: given(selector),
    noLocal: exceptFrom !== '',
    tag,
    label,
  }))
}

export function unbind(live: Live, address: Address, pattern: Pattern): boolean | CodedError {
  const queue = live.findQueue(own(address))
  const key = patternKey(pattern)
  if (queue?.bindings?.get(key) === undefined) return new CodedError('not-found', 'there is no such subscription')
  live.recorder.note(EVENT.unbound, queue.number, 0, REASON.none, 0)
  if (!queue.durable) {
    live.state.unbind(queue, key)
    return false
  }
  const fact = live.facts.writer.reset().u32(queue.number)
  writePattern(fact, pattern)
  live.facts.admit(FACT.unbind, fact, 'drain')
  return true
}
