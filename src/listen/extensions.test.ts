import { expect, it } from 'vitest'
import { isExtensionList } from './extensions.ts'

it.each([
  ['permessage-deflate', true],
  ['permessage-deflate; client_max_window_bits', true],
  ['permessage-deflate; server_max_window_bits=10, permessage-deflate;client_max_window_bits="15" , x-other', true],
  [', x-one ,', true],
  ['', false],
  [' , ', false],
  ['x-one; =', false],
  ['x-one; a=b=c', false],
  ['x-one; a="b', false],
  ['x one', false],
  ['x-one;;', false],
  ['x-one; a=""', false],
])('%j is a list of extensions: %s', (value, is) => {
  expect(isExtensionList(value)).toBe(is)
})
