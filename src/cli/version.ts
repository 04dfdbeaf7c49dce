// `bascule version`, and the version for everybody else.
import { readFileSync } from 'node:fs'

export async function printVersion(): Promise<number> {
  process.stdout.write(`${version()}\n`)
  return 0
}

/** As package.json has it: beside `src` in a checkout, above `dist` when built. */
export function version(): string {
  for (const place of ['../../package.json', '../../../package.json']) {
    try {
      const found: unknown = JSON.parse(readFileSync(new URL(place, import.meta.url), 'utf8'))
      if (typeof found === 'object' && found !== null && 'version' in found && typeof found.version === 'string') return found.version
    } catch {
      // Not there: the other place.
    }
  }
  return '0.0.0'
}
