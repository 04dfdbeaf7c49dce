// Whether a header Sec-WebSocket-Extensions is written as RFC 6455 9.1 has it. None is spoken here; one that is malformed all the same fails the hand-shake.

export function isExtensionList(value: string): boolean {
  // No value may hold a comma: what stands in quotes is a token too.
  const extensions = value.split(',').filter((each) => each.trim() !== '')
  return extensions.length > 0 && extensions.every((each) => each.split(';').every((part, i) => (i === 0 ? NAME : PARAMETER).test(part)))
}

const TOKEN = "[!#$%&'*+.^_`|~\\w-]+"
const NAME = new RegExp(`^[ \\t]*${TOKEN}[ \\t]*$`)
const PARAMETER = new RegExp(`^[ \\t]*${TOKEN}[ \\t]*(=[ \\t]*(${TOKEN}|"${TOKEN}")[ \\t]*)?$`)
