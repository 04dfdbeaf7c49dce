export type Failure = Readonly<{ name: string; message: string }>
export const FAILURE_LINES: number
export const FAILURES_TOLD: number
export function recordFailures(failures: readonly Failure[], file?: string): void
export function readFailures(file: string): Failure[]
export function tellFailures(suite: string, failures: readonly Failure[], output: string): string[]
