// The live table of a pair, as lines of text.
import type { NodeView } from './pair.ts'

const HEADS = ['node', 'role', 'epoch', 'batch', 'entries', 'follows', 'addresses'] as const

export function tableOf(views: readonly NodeView[]): readonly string[] {
  const rows = views.map(({ name, role, epoch, batch, entries, follow, addresses }) => [
    name,
    role,
    epoch === 0 ? '' : String(epoch),
    batch === undefined ? '' : batch.toLocaleString('en'),
    entries === undefined ? '' : entries.toLocaleString('en'),
    follow,
    Object.entries(addresses)
      .map(([protocol, address]) => `${protocol} ${address}`)
      .join('  '),
  ])
  const widths = HEADS.map((head, i) => Math.max(head.length, ...rows.map((row) => row[i].length)))
  return [HEADS, ...rows].map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i]))
      .join('  ')
      .trimEnd(),
  )
}
