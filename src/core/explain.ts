// One message as a client of every protocol would read it, and what each conversion loses. Conversions are made anew here and not counted.
import type { Delivery, Described, Dialect, Loss, Message } from '../api.ts'

export type ToldLoss = Readonly<{ field: string }> & Loss

export type View = Readonly<{
  protocol: string
  /** It came by this protocol: nothing is converted. */
  own: boolean
  /** Undefined: `refused` says why nobody gets it by this protocol. */
  described: Described | undefined
  refused: string | undefined
  lost: readonly ToldLoss[]
}>

export function explain(dialects: Iterable<Dialect>, delivery: Delivery): readonly View[] {
  const all = [...dialects]
  const from = all.find(({ name }) => name === delivery.message.dialect)
  return all.map((to) => view(from, to, delivery))
}

function view(from: Dialect | undefined, to: Dialect, delivery: Delivery): View {
  const { message } = delivery
  const own = from === to
  const lost = new Map<string, ToldLoss>()
  const told = { protocol: to.name, own, described: undefined, lost: [] }
  if (from === undefined) return { ...told, refused: `There is no protocol ${message.dialect} here.` }
  try {
    const converted = own ? message : convert(from, to, message, (field) => lost.set(field, { field, ...to.ruleOf(field) }))
    if (converted === undefined)
      return { ...told, refused: `A message of ${from.name} like this one has no form in ${to.name}: its consumers reject it.` }
    const described = to.describe(converted, delivery)
    const refused = described.destination === undefined ? `Its destination has no name in ${to.name}.` : undefined
    return { protocol: to.name, own, described, refused, lost: [...lost.values()] }
  } catch (error) {
    return { ...told, refused: `It could not be read as ${from.name}: ${error instanceof Error ? error.message : String(error)}` }
  }
}

function convert(from: Dialect, to: Dialect, message: Message, lost: (field: string) => void): Message | undefined {
  const bytes = to.fromCanonical(from.toCanonical(message), message, lost)
  return bytes === undefined ? undefined : { ...message, dialect: to.name, ...bytes }
}
