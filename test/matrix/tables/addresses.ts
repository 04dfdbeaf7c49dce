// Table 3.2: one name as each front end spells it, and which topics a pattern sees.
import type { FrontEnd } from '../notation.ts'
import type { RuleId } from './rules.ts'

export type Spelling = Readonly<{
  name: string
  kind: 'queue' | 'topic'
  spelled: Partial<Readonly<Record<FrontEnd, string>>>
  /** Why a front end that is not in `spelled` is not there. */
  rule?: RuleId
  /** As AMQP and STOMP tell a receiver, where that is another spelling than a sender's. */
  told?: Partial<Readonly<Record<FrontEnd, string>>>
}>

const topic = (name: string, slashed: string, dotted: string): Spelling => ({
  name,
  kind: 'topic',
  spelled: { mqtt: slashed, mqtt5: slashed, amqp: `topic://${dotted}`, stomp: `/topic/${dotted}` },
})

export const spellings: readonly Spelling[] = [
  topic('a topic', 'm/a/b', 'm.a.b'),
  topic('a dot inside a segment, which is a slash elsewhere', 'm/v1.2/x', 'm.v1/2.x'),
  topic('letters that are wildcards elsewhere', 'm/a*b/>', 'm.a+b.#'),
  topic('empty segments', 'm//x/', 'm..x.'),
  topic('letters of all kinds', 'm/größe/温度/🙂', 'm.größe.温度.🙂'),
  topic('letters that mean something in addresses of the web', 'm/a b%20c?d&e', 'm.a b%20c?d&e'),
  {
    name: 'a star inside a segment',
    kind: 'topic',
    spelled: { amqp: 'topic://m.a*b', stomp: '/topic/m.a*b' },
    rule: 'mqtt-unnameable',
  },
  { name: 'a queue', kind: 'queue', spelled: { mqtt: '$queue/m/q', mqtt5: '$queue/m/q', amqp: 'queue://m.q', stomp: '/queue/m.q' } },
  {
    name: 'a queue by its bare name',
    kind: 'queue',
    spelled: { mqtt: '$queue/m/bare', mqtt5: '$queue/m/bare', amqp: 'm.bare', stomp: '/queue/m.bare' },
    told: { amqp: 'queue://m.bare' },
  },
]

export type Watched = Readonly<{
  name: string
  pattern: Readonly<Record<FrontEnd, string>>
  /** Paths of topics. */
  sees: readonly string[]
  not: readonly string[]
}>

export const patterns: readonly Watched[] = [
  {
    name: 'one level',
    pattern: { mqtt: 'w/+/z', mqtt5: 'w/+/z', amqp: 'topic://w.*.z', stomp: '/topic/w.*.z' },
    sees: ['w/a/z', 'w//z'],
    not: ['w/z', 'w/a/b/z', 'w/a'],
  },
  {
    name: 'the rest, and the parent',
    pattern: { mqtt: 'r/#', mqtt5: 'r/#', amqp: 'topic://r.>', stomp: '/topic/r.>' },
    sees: ['r', 'r/a', 'r/a/b'],
    not: ['rr', 'x/r'],
  },
  {
    name: 'both',
    pattern: { mqtt: 'b/+/#', mqtt5: 'b/+/#', amqp: 'topic://b.*.>', stomp: '/topic/b.*.>' },
    sees: ['b/a', 'b/a/b'],
    not: ['b'],
  },
  {
    name: 'no names that begin with $',
    pattern: { mqtt: '+/hidden', mqtt5: '+/hidden', amqp: 'topic://*.hidden', stomp: '/topic/*.hidden' },
    sees: ['open/hidden'],
    not: ['$closed/hidden'],
  },
]
