// `bascule drill` against `faulty-node.ts`, with the one thing wrong that a test names.
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bascule, type Ended } from '../program/program.ts'

const faultyNode = fileURLToPath(new URL('faulty-node.ts', import.meta.url))
export const TEST_MS = 90_000

export function drill(folder: string, fault: string, ...args: readonly string[]): Promise<Ended> {
  const program = ['--program', faultyNode, '--node-arg=--import', '--node-arg=tsx']
  // No test must wait for a takeover longer than it takes; a lease of a second is long beside what this machine can do.
  const common = ['--lease', '1000', '--patience', '8000', '--seed', '4', '--data', join(folder, fault)]
  return bascule(['drill', ...common, ...program, ...args], { DRILL_FAULT: fault }, TEST_MS)
}
