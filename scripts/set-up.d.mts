export const root: string
export function checkNode(): void
export function installIfStale(): void
export function buildIfStale(options?: { quiet?: boolean }): void
