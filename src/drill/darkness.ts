// How long nobody was answered: the last acknowledgement of a connection made before the fault, to the first of one made after it.
// A connection made before may answer again later (a node that was stopped wakes): that ends nothing and begins nothing.

export type Dark = Readonly<{
  /** Over all producers together. */
  allMs: number | undefined
  byProtocol: Readonly<Record<string, number | undefined>>
  /** From the fault to the first answer after it; much shorter than `allMs`: nobody was answered for a while before it either. */
  sinceFaultMs: number | undefined
  /** Until the last producer that changes over was answered again. */
  everybodyMs: number | undefined
}>

type Gap = { lastBeforeMs: number | undefined; firstAfterMs: number | undefined }

export class Darkness {
  #faultMs = Number.POSITIVE_INFINITY
  #all = noGap()
  readonly #protocols = new Map<string, Gap>()
  /** Producers that must be answered again. */
  readonly #waiting = new Set<string>()
  #everybodyMs: number | undefined
  /** Which node answered last. */
  node: number | undefined
  /** The node of the first answer after the fault. */
  successor: number | undefined

  /** Work begins: what was acknowledged before it is of the round before. */
  begin(): void {
    this.#all = noGap()
    this.#protocols.clear()
  }

  /** Somebody was answered in this round. */
  get answering(): boolean {
    return this.#all.lastBeforeMs !== undefined
  }

  /** From now on connections count as made after the fault. */
  fault(atMs: number, changingOver: readonly string[]): void {
    this.#faultMs = atMs
    for (const name of changingOver) this.#waiting.add(name)
  }

  /** `connectedMs`: when the connection that it came over was made. */
  acknowledged(producer: string, protocol: string, node: number, connectedMs: number, nowMs: number): void {
    const after = connectedMs >= this.#faultMs
    let gap = this.#protocols.get(protocol)
    if (gap === undefined) this.#protocols.set(protocol, (gap = noGap()))
    for (const each of [this.#all, gap]) {
      if (after) each.firstAfterMs ??= nowMs
      else if (each.firstAfterMs === undefined) each.lastBeforeMs = nowMs
    }
    if (after || this.successor === undefined) this.node = node
    if (!after) return
    this.successor ??= node
    if (this.#waiting.delete(producer) && this.#waiting.size === 0) this.#everybodyMs = nowMs - (this.#all.lastBeforeMs ?? this.#faultMs)
  }

  /** Everybody that changes over was answered again. */
  get over(): boolean {
    return this.successor !== undefined && this.#waiting.size === 0
  }

  get waiting(): readonly string[] {
    return [...this.#waiting]
  }

  /** What was measured; begins anew. */
  take(): Dark {
    const dark = {
      allMs: lengthOf(this.#all),
      byProtocol: Object.fromEntries([...this.#protocols].map(([name, gap]) => [name, lengthOf(gap)])),
      sinceFaultMs: this.#all.firstAfterMs === undefined ? undefined : this.#all.firstAfterMs - this.#faultMs,
      everybodyMs: this.#everybodyMs,
    }
    this.#faultMs = Number.POSITIVE_INFINITY
    this.#all = noGap()
    this.#protocols.clear()
    this.#waiting.clear()
    this.#everybodyMs = undefined
    this.successor = undefined
    return dark
  }
}

function noGap(): Gap {
  return { lastBeforeMs: undefined, firstAfterMs: undefined }
}

function lengthOf({ lastBeforeMs, firstAfterMs }: Gap): number | undefined {
  return lastBeforeMs === undefined || firstAfterMs === undefined ? undefined : firstAfterMs - lastBeforeMs
}
