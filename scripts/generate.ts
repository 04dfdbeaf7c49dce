// `npm run generate`: writes what is generated from the sources.
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { documents } from './documents/documents.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
for (const [path, make] of Object.entries(documents)) {
  mkdirSync(dirname(join(root, path)), { recursive: true })
  writeFileSync(join(root, path), make())
  console.log(path)
}
