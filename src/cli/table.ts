// Tables for people: columns as wide as what is in them, numbers to the right, nothing that a terminal would obey.

export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const cells = rows.map((row) => row.map(plain))
  const widths = head.map((name, column) => cells.reduce((width, row) => Math.max(width, lengthOf(row[column])), name.length))
  const line = (row: readonly string[], right: (column: number) => boolean): string =>
    row
      .map((cell, column) => {
        const gap = ' '.repeat(widths[column] - lengthOf(cell))
        return right(column) ? gap + cell : cell + gap
      })
      .join('  ')
      .trimEnd()
  const numeric = head.map((_, column) => rows.length > 0 && rows.every((row) => typeof row[column] === 'number'))
  return [head, ...cells].map((row) => `${line(row, (column) => numeric[column])}\n`).join('')
}

/** Names come from clients: control characters and what turns the direction of writing are shown as what they are. */
export function plain(value: string | number): string {
  return String(value).replace(UNPRINTABLE, (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`)
}

/** Text of several lines, each behind this. */
export function indented(text: string, indent: string): string {
  return text
    .split('\n')
    .map((line) => indent + plain(line))
    .join('\n')
}

function lengthOf(text: string): number {
  return Array.from(text).length
}

const UNPRINTABLE = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu
