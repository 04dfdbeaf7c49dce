// Sources and targets (parts 3.5.3, 3.5.4) and the coordinator (4.5.1): one shape for all, read and written.
import { ConnectionFault } from './errors.ts'
import { codeOf } from './outcome.ts'
import { boolean, described, list, pairs, symbol, symbols, type Term, text, textOf, uint } from './term.ts'

export type Terminus = Readonly<{
  kind: 'source' | 'target' | 'coordinator'
  address: string | undefined
  /** 0 none, 1 configuration, 2 unsettled-state. */
  durable: number
  expiry: string
  timeoutS: number
  dynamic: boolean
  distribution: string | undefined
  filter: readonly (readonly [Term, Term])[]
  defaultOutcome: Term | undefined
  outcomes: Term | undefined
  capabilities: readonly string[]
}>

export function readTerminus(term: Term | undefined): Terminus | undefined {
  if (term === undefined) return undefined
  const kind = term.type === 'described' ? KINDS.get(codeOf(term.descriptor)) : undefined
  if (term.type !== 'described' || kind === undefined || term.value.type !== 'terms') {
    throw new ConnectionFault('amqp:decode-error', 'A source or target of an attach is neither.')
  }
  const fields = term.value.value
  if (kind === 'coordinator') return { ...NOTHING, kind }
  const [address, durable, expiry, timeout, dynamic] = fields
  const at = kind === 'source' ? 10 : 6
  const filter = kind === 'source' ? fields[7] : undefined
  return {
    kind,
    address: textOf(address),
    durable: durable?.type === 'uint32' ? durable.value : 0,
    expiry: textOf(expiry) ?? 'session-end',
    timeoutS: timeout?.type === 'uint32' ? timeout.value : 0,
    dynamic: dynamic?.type === 'boolean' && dynamic.value,
    distribution: kind === 'source' ? textOf(fields[6]) : undefined,
    filter: filter?.type === 'pairs' ? filter.value : [],
    defaultOutcome: kind === 'source' ? present(fields[8]) : undefined,
    outcomes: kind === 'source' ? present(fields[9]) : undefined,
    capabilities: namesOf(fields[at]),
  }
}

/** As the answer to an attach names it. */
export function terminusTerm(terminus: Terminus): Term {
  if (terminus.kind === 'coordinator') return described(0x30, list([symbols(terminus.capabilities)]))
  const common = [
    terminus.address === undefined ? undefined : text(terminus.address),
    uint(terminus.durable),
    symbol(terminus.expiry),
    uint(terminus.timeoutS),
    boolean(terminus.dynamic),
    // What a dynamic node lives by is ours to say: it goes when the link goes that made it (lifetime-policy delete-on-close).
    terminus.dynamic ? pairs([[symbol('lifetime-policy'), described(0x2b, list([]))]]) : undefined,
  ]
  const capabilities = terminus.capabilities.length === 0 ? undefined : symbols(terminus.capabilities)
  if (terminus.kind === 'target') return described(0x29, list([...common, capabilities]))
  return described(
    0x28,
    list([
      ...common,
      terminus.distribution === undefined ? undefined : symbol(terminus.distribution),
      terminus.filter.length === 0 ? undefined : pairs(terminus.filter),
      terminus.defaultOutcome,
      terminus.outcomes,
      capabilities,
    ]),
  )
}

const KINDS: ReadonlyMap<number, Terminus['kind']> = new Map([
  [0x28, 'source'],
  [0x29, 'target'],
  [0x30, 'coordinator'],
])

const NOTHING: Omit<Terminus, 'kind'> = {
  address: undefined,
  durable: 0,
  expiry: 'session-end',
  timeoutS: 0,
  dynamic: false,
  distribution: undefined,
  filter: [],
  defaultOutcome: undefined,
  outcomes: undefined,
  capabilities: [],
}

function present(term: Term | undefined): Term | undefined {
  return term === undefined || term.type === 'null' ? undefined : term
}

/** One symbol, or several. */
export function namesOf(term: Term | undefined): readonly string[] {
  if (term === undefined) return []
  const items = term.type === 'array' || term.type === 'terms' ? term.value : [term]
  return items.flatMap((item) => textOf(item) ?? [])
}
