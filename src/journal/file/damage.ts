// What a reader found that it must not read past. One sentence that names the file and the offset, for whoever must decide.
export type DamageKind = 'batch' | 'head' | 'missing' | 'newer' | 'snapshot' | 'header' | 'foreign'

export class JournalDamage extends Error {
  readonly kind: DamageKind
  readonly file: string
  readonly offset: number

  constructor(kind: DamageKind, file: string, offset: number, sentence: string) {
    super(`${sentence} (${file}${offset > 0 ? ` at ${offset}` : ''})`)
    this.name = 'JournalDamage'
    this.kind = kind
    this.file = file
    this.offset = offset
  }
}
