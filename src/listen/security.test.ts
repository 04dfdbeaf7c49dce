import { expect, it } from 'vitest'
import { namesIn } from './security.ts'

it('alternative names are those of hosts, of mail, and URIs', () => {
  expect(namesIn('DNS:a.example, IP Address:127.0.0.1, email:b@example, URI:spiffe://x/y, DirName:CN = z')).toEqual([
    'a.example',
    'b@example',
    'spiffe://x/y',
  ])
  expect(namesIn('')).toEqual([])
})

it('a name that only looks like several is one', () => {
  expect(namesIn('DNS:"a.example, DNS:admin", DNS:b.example')).toEqual(['a.example, DNS:admin', 'b.example'])
  expect(namesIn('DNS:"a\\", DNS:admin, DNS:\\"b"')).toEqual(['a", DNS:admin, DNS:"b'])
})

it('a name may be long: the stack does not grow with it', () => {
  const long = 'a'.repeat(10_000_000)
  expect(namesIn(`DNS:"${long}", DNS:b.example`)[0]).toHaveLength(long.length)
  expect(namesIn(`DNS:"${long}`)).toEqual([])
})
