// LIKE patterns: `%` any run of characters, `_` one. A pattern is cut at its `%`; the pieces are found from left to right, the first place
// being always good enough, so nothing is ever tried again. One piece is searched for with a bit a character (shift-and), so that
// `_` costs nothing and the whole is linear in the text, times the pattern's length in words of 31 characters.
// A character is a UTF-16 unit, as in Java.

const BITS = 31

/** `undefined` stands for `_`. */
type Piece = readonly (string | undefined)[]

export function compileLike(pattern: string, escape: string): (text: string) => boolean {
  const pieces = cut(pattern, escape)
  const first = pieces[0]
  if (pieces.length === 1) return (text) => text.length === first.length && standsAt(first, text, 0)
  const last = pieces[pieces.length - 1]
  const searches = pieces
    .slice(1, -1)
    .filter((piece) => piece.length > 0)
    .map(searchFor)
  const shortest = pieces.reduce((sum, piece) => sum + piece.length, 0)
  return (text) => {
    if (text.length < shortest || !standsAt(first, text, 0) || !standsAt(last, text, text.length - last.length)) return false
    const end = text.length - last.length
    let at = first.length
    for (const search of searches) {
      at = search(text, at, end)
      if (at < 0) return false
    }
    return true
  }
}

function cut(pattern: string, escape: string): Piece[] {
  const pieces: (string | undefined)[][] = [[]]
  for (let i = 0; i < pattern.length; i++) {
    const piece = pieces[pieces.length - 1]
    const character = pattern[i]
    if (character === escape) piece.push(pattern[++i])
    else if (character === '_') piece.push(undefined)
    else if (character === '%') pieces.push([])
    else piece.push(character)
  }
  return pieces
}

function standsAt(piece: Piece, text: string, at: number): boolean {
  if (at + piece.length > text.length) return false
  for (let i = 0; i < piece.length; i++) if (piece[i] !== undefined && piece[i] !== text[at + i]) return false
  return true
}

/** Answers where the first occurrence between `from` and `end` ends; -1: there is none. */
function searchFor(piece: Piece): (text: string, from: number, end: number) => number {
  const words = Math.ceil(piece.length / BITS)
  const any = new Int32Array(words)
  const masks = new Map<number, Int32Array>()
  for (const [i, character] of piece.entries()) {
    const bit = 1 << (i % BITS)
    const word = Math.floor(i / BITS)
    if (character === undefined) any[word] |= bit
    else {
      const mask = masks.get(character.charCodeAt(0)) ?? new Int32Array(words)
      mask[word] |= bit
      masks.set(character.charCodeAt(0), mask)
    }
  }
  for (const mask of masks.values()) for (let word = 0; word < words; word++) mask[word] |= any[word]
  const last = words - 1
  const whole = 1 << ((piece.length - 1) % BITS)
  const found = new Int32Array(words)
  return (text, from, end) => {
    found.fill(0)
    for (let at = from; at < end; at++) {
      const mask = masks.get(text.charCodeAt(at)) ?? any
      let carry = 1
      for (let word = 0; word < words; word++) {
        const shifted = (found[word] << 1) | carry
        carry = (found[word] >>> (BITS - 1)) & 1
        found[word] = shifted & mask[word] & 0x7fff_ffff
      }
      if ((found[last] & whole) !== 0) return at + 1
    }
    return -1
  }
}
