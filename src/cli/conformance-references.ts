// Brokers of npm packages, in this process, for a column beside the one under test.
import { suggestion } from '../config/nearest.ts'
import type { Opened } from './conformance.ts'
import { UsageError } from './usage.ts'

const references: Readonly<Record<string, () => Promise<Opened>>> = {
  aedes: async () => (await import('../../conformance/references/aedes.ts')).openAedes(),
}

export function referenceNamed(name: string): () => Promise<Opened> {
  const open = references[name]
  if (open === undefined)
    throw new UsageError(
      `there is no reference ${name}${suggestion(name, Object.keys(references), '') || '.'} There is ${Object.keys(references).join(', ')}.`,
    )
  return open
}
