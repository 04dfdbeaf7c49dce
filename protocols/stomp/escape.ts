// Escapes in header names and values, which differ by version: 1.0 has none, 1.1 has \n \c \\, 1.2 also \r.
// Inside the broker header lines are kept as 1.2 writes them, the only version that can carry every value.

export type Version = '1.0' | '1.1' | '1.2'

/** Undefined when the text holds an escape that the version does not define, which is fatal (STOMP 1.1, 1.2 "Value Encoding"). */
export function unescape(text: string, version: Version): string | undefined {
  let at = version === '1.0' ? -1 : text.indexOf('\\')
  if (at < 0) return text
  let result = ''
  let from = 0
  while (at >= 0) {
    const plain = plainOf(text.charCodeAt(at + 1), version)
    if (plain === undefined) return undefined
    result += text.slice(from, at) + plain
    from = at + 2
    at = text.indexOf('\\', from)
  }
  return result + text.slice(from)
}

/** 1.0 cannot carry a line end at all: there it becomes a space, so that a value can never add a header. The same for CR in 1.1. */
export function escape(text: string, version: Version): string {
  if (!SPECIAL.test(text)) return text
  switch (version) {
    case '1.2':
      return text.replace(SPECIAL_ALL, escapeAll)
    case '1.1':
      return text.replace(SPECIAL_ALL, (character) => (character === '\r' ? ' ' : escapeAll(character)))
    case '1.0':
      return text.replace(LINE_ENDS_ALL, ' ')
  }
}

/** Header lines in 1.2's form, as another version writes them. */
export function relabel(lines: string, version: Version): string {
  if (version === '1.2' || !lines.includes('\\')) return lines
  return lines.replace(ESCAPE_ALL, (pair) => escape(plainOf(pair.charCodeAt(1), '1.2') ?? pair, version))
}

const SPECIAL = /[\\\n\r:]/
const SPECIAL_ALL = /[\\\n\r:]/g
const LINE_ENDS_ALL = /[\n\r]/g
const ESCAPE_ALL = /\\./g

function plainOf(code: number, version: Version): string | undefined {
  switch (code) {
    case 0x6e: // n
      return '\n'
    case 0x63: // c
      return ':'
    case 0x5c: // backslash
      return '\\'
    case 0x72: // r
      return version === '1.2' ? '\r' : undefined
    default:
      return undefined
  }
}

function escapeAll(character: string): string {
  switch (character) {
    case '\n':
      return '\\n'
    case '\r':
      return '\\r'
    case ':':
      return '\\c'
    default:
      return '\\\\'
  }
}
