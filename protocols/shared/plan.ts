// What ActiveMQ's four scheduling fields ask for together, however a protocol spells them: one message later, or one again and again.
import type { Plan } from '../../src/api.ts'

export type Fields = Readonly<{ delayMs: number; periodMs: number; repeat: number; cron: string }>

/** Undefined: it is sent once, after the delay. A period without a repeat, and the other way round, mean nothing, as there. */
export function planOf({ delayMs, periodMs, repeat, cron }: Fields): Plan | undefined {
  const again = periodMs > 0 && repeat !== 0
  if (cron === '' && !again) return undefined
  return { delayMs, periodMs: again ? periodMs : 0, repeat: again ? repeat : 0, cron }
}
