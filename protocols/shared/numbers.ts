// Numbers of less precision than JavaScript's, as text.

/** The number with the fewest digits that is this float of 32 bits: 0.1, not 0.10000000149011612, as Java and C write it. */
export function shortestFloat(value: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const candidate = Number(value.toPrecision(digits))
    if (Math.fround(candidate) === Math.fround(value)) return candidate
  }
  return value
}
