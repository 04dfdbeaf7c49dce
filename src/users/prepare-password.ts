// A password as SCRAM wants it (RFC 4013, SASLprep), so that it is the same bytes on every keyboard. Done where a verifier is made; clients do it too.
// Tables of RFC 3454 by Unicode's properties: what is unassigned there and has been assigned since is let through.

/** Undefined: it holds what a password may not. */
export function preparePassword(password: string): string | undefined {
  const mapped = password.replace(SPACES, ' ').replace(NOTHING, '').normalize('NFKC')
  if (mapped === '' || PROHIBITED.test(mapped)) return undefined
  // RFC 3454, 6: with letters that are written from the right it has none that are written from the left, and begins and ends with one.
  if (RIGHT.test(mapped) && (LEFT.test(mapped) || !RIGHT_AT_BOTH_ENDS.test(mapped))) return undefined
  return mapped
}

/** Table C.1.2, but for the zero-width space, which table B.1 has too. */
const SPACES = /[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]/gu
/** Table B.1. */
const NOTHING = /\u00ad|\u034f|\u1806|[\u180b-\u180d]|[\u200b-\u200d]|\u2060|[\ufe00-\ufe0f]|\ufeff/gu
/** Tables C.2 to C.9: controls, private use, non-characters, surrogates, what changes how text is shown. */
const PROHIBITED =
  /[\p{Cc}\p{Co}\p{Cs}\p{Noncharacter_Code_Point}\u06dd\u070f\u180e\u2028\u2029\u2061-\u2063\u206a-\u206f\ufff9-\ufffd\u2ff0-\u2ffb\u200e\u200f\u202a-\u202e\u{1d173}-\u{1d17a}\u{e0001}\u{e0020}-\u{e007f}]/u
const RIGHT = /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}]/u
const RIGHT_AT_BOTH_ENDS = new RegExp(`^${RIGHT.source}(?:.*${RIGHT.source})?$`, 'su')
const LEFT = /[\p{Script=Latin}\p{Script=Greek}\p{Script=Cyrillic}\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/u
