// The elements in which ActiveMQ writes maps for STOMP clients (its XStream), as XML and as the JSON that its Jettison makes of the same elements.
// Not an XML library: elements without attributes, text, and nothing else. What is not in that form is undefined.
//
//     <map>                                        {"map":{"entry":[
//       <entry>                                      {"string":"age","int":30},
//         <string>age</string>                       {"string":["name","Dejan"]}
//         <int>30</int>                            ]}}
//       </entry>                                   In JSON equal names next to each other or not become one array, one alone none,
//       …                                          and an element with nothing in it an empty string.
//     </map>

export type Element = Readonly<{ name: string; holds: string | readonly Element[] }>

/** Characters of an element but for its escapes: in XML at this depth, with the end of its line; in JSON (no depth) at most. */
export function lengthOf({ name, holds }: Element, depth: number | undefined): number {
  const tags = depth === undefined ? name.length + 6 : 2 * (name.length + depth) + 6
  if (typeof holds === 'string') return tags + holds.length
  const inside = depth === undefined ? undefined : depth + 1
  return holds.reduce((sum, each) => sum + lengthOf(each, inside), tags + 2 * (depth ?? 0) + 1)
}

// ---- XML ------------------------------------------------------------------------------------------------------------

export function writeXml(element: Element, indent = ''): string {
  const { name, holds } = element
  if (typeof holds === 'string') return `${indent}<${name}>${escapeXml(holds)}</${name}>`
  if (holds.length === 0) return `${indent}<${name}/>`
  const inside = holds.map((each) => writeXml(each, `${indent}  `)).join('\n')
  return `${indent}<${name}>\n${inside}\n${indent}</${name}>`
}

/** Each step is anchored where the one before it ended, so that its time grows with the length of the text and no faster. */
export function readXml(text: string): Element | undefined {
  const prologue = /^\s*(?:<\?xml[^<>]*\?>\s*)?/.exec(text)?.[0].length ?? 0
  const step = /([^<]*)<(\/?)([a-zA-Z][\w-]{0,40})\s*(\/?)>/y
  step.lastIndex = prologue
  const open: { name: string; children: Element[] }[] = []
  for (let match = step.exec(text); match !== null; match = step.exec(text)) {
    const [, before, closes, name, empty] = match
    const inside = open.at(-1)
    if (closes === '') {
      // Text beside elements is white space and means nothing.
      if (before.trim() !== '' || open.length >= DEPTH_MAX) return undefined
      if (empty === '') open.push({ name, children: [] })
      else if (inside === undefined) return text.slice(step.lastIndex).trim() === '' ? { name, holds: [] } : undefined
      else inside.children.push({ name, holds: [] })
      continue
    }
    if (inside === undefined || inside.name !== name || empty !== '') return undefined
    open.pop()
    if (inside.children.length > 0 && before.trim() !== '') return undefined
    const element: Element = { name, holds: inside.children.length > 0 ? inside.children : unescapeXml(before) }
    const around = open.at(-1)
    if (around === undefined) return text.slice(step.lastIndex).trim() === '' ? element : undefined
    around.children.push(element)
  }
  return undefined
}

function escapeXml(text: string): string {
  return text.replace(NOT_PLAIN, (one) => ENTITIES.get(one) ?? `&#x${one.charCodeAt(0).toString(16)};`)
}

function unescapeXml(text: string): string {
  return text.replace(/&(?:(lt|gt|amp|quot|apos)|#(\d{1,7})|#x([\da-fA-F]{1,6}));/g, (all, name?: string, decimal?: string, hex?: string) => {
    if (name !== undefined) return NAMED.get(name) ?? all
    const point = decimal === undefined ? Number.parseInt(hex ?? '', 16) : Number(decimal)
    return point <= 0x10_ff_ff ? String.fromCodePoint(point) : all
  })
}

// ---- JSON -----------------------------------------------------------------------------------------------------------

export function writeJson(element: Element, isLiteral: (element: Element) => boolean): string {
  return `{${JSON.stringify(element.name)}:${jsonOf(element, isLiteral)}}`
}

function jsonOf(element: Element, isLiteral: (element: Element) => boolean): string {
  const { holds } = element
  if (typeof holds === 'string') return isLiteral(element) ? holds : JSON.stringify(holds)
  if (holds.length === 0) return '""'
  const byName = new Map<string, string[]>()
  for (const each of holds) {
    const said = byName.get(each.name)
    if (said === undefined) byName.set(each.name, [jsonOf(each, isLiteral)])
    else said.push(jsonOf(each, isLiteral))
  }
  const members = [...byName].map(([name, values]) => `${JSON.stringify(name)}:${values.length === 1 ? values[0] : `[${values.join(',')}]`}`)
  return `{${members.join(',')}}`
}

/** Of text that was parsed as `json`. Long numbers are read from the text itself: those of 64 bits have more digits than a number of ours keeps. */
export function readJson(text: string, json: unknown): Element | undefined {
  const exact: unknown = MANY_DIGITS.test(text) ? JSON.parse(longNumbersAsStrings(text)) : json
  if (!isObject(exact)) return undefined
  const [member, ...others] = Object.entries(exact)
  return member === undefined || others.length > 0 ? undefined : elementOf(member[0], member[1], 0)
}

/** Steps over strings and does not match them: one may be as long as a body, and an expression that chooses for each character exhausts its stack. */
function longNumbersAsStrings(text: string): string {
  const parts: string[] = []
  let copied = 0
  let from = 0
  for (;;) {
    const quote = text.indexOf('"', from)
    const to = quote < 0 ? text.length : quote
    if (to - from >= MANY) {
      parts.push(text.slice(copied, from), text.slice(from, to).replace(LONG_NUMBER, '"$&"'))
      copied = to
    }
    if (quote < 0) return parts.join('') + text.slice(copied)
    from = endOfString(text, quote)
  }
}

/** Behind the string that begins here. A quote ends it unless an odd number of backslashes stands before. */
function endOfString(text: string, begin: number): number {
  for (let quote = text.indexOf('"', begin + 1); quote >= 0; quote = text.indexOf('"', quote + 1)) {
    let backslashes = 0
    while (text[quote - 1 - backslashes] === '\\') backslashes++
    if (backslashes % 2 === 0) return quote + 1
  }
  return text.length
}

function elementOf(name: string, value: unknown, depth: number): Element | undefined {
  if (value === null) return { name, holds: '' }
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return { name, holds: String(value) }
  if (!isObject(value)) return undefined
  if (depth >= DEPTH_MAX) return undefined
  const children: Element[] = []
  for (const [inner, values] of Object.entries(value)) {
    for (const each of Array.isArray(values) ? values : [values]) {
      const child = elementOf(inner, each, depth + 1)
      if (child === undefined) return undefined
      children.push(child)
    }
  }
  return { name, holds: children }
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What XML has a meaning for, and what it cannot hold as it is. */
const NOT_PLAIN = /[&<>"']|[^\P{Cc}\t\n]/gu
const ENTITIES: ReadonlyMap<string, string> = new Map([
  ['&', '&amp;'],
  ['<', '&lt;'],
  ['>', '&gt;'],
  ['"', '&quot;'],
  ["'", '&apos;'],
])
const NAMED: ReadonlyMap<string, string> = new Map([...ENTITIES].map(([one, entity]) => [entity.slice(1, -1), one]))
/** Digits of which a number of ours may not keep all. */
const MANY = 16
const MANY_DIGITS = /\d{16}/
const LONG_NUMBER = /-?\d[\d.eE+-]{15,}/g
/** A body is a client's, and must not exhaust our stack. */
const DEPTH_MAX = 64
