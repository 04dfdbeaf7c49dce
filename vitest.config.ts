// Two projects: `unit` (beside the source, plus the rules of the tree in `test/*.test.ts`) and `suites` (what crosses rooms:
// real processes, files and clients; the built program is made before they start).
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    reporters: ['default', './scripts/counts-reporter.mjs'],
    projects: [
      {
        test: {
          name: 'unit',
          // No test depends on speed: a busy machine is not a failure.
          testTimeout: 30_000,
          hookTimeout: 30_000,
          include: ['src/**/*.test.ts', 'protocols/**/*.test.ts', 'conformance/**/*.test.ts', 'scripts/**/*.test.ts', 'test/*.test.ts'],
        },
      },
      {
        test: {
          name: 'suites',
          include: ['test/*/**/*.test.ts'],
          globalSetup: ['./test/support/build-once.ts'],
          testTimeout: 30_000,
          hookTimeout: 30_000,
        },
      },
    ],
  },
})
