// In whose hands the messages of each group are, under one leader: they are in one consumer's at a time.

export class GroupWatch {
  /** By queue and group: how many each consumer has. */
  readonly #out = new Map<string, Map<object, number>>()

  /** False: another has messages of this group. */
  given(queue: string, group: string, consumer: object): boolean {
    if (group === '') return true
    const key = `${queue} ${group}`
    const out = this.#out.get(key) ?? new Map<object, number>()
    this.#out.set(key, out)
    out.set(consumer, (out.get(consumer) ?? 0) + 1)
    return out.size === 1
  }

  /** It settled one of them. */
  back(queue: string, group: string, consumer: object): void {
    const out = this.#out.get(`${queue} ${group}`)
    const count = out?.get(consumer) ?? 0
    if (count > 1) out?.set(consumer, count - 1)
    else out?.delete(consumer)
  }

  gone(consumer: object): void {
    for (const out of this.#out.values()) out.delete(consumer)
  }
}
