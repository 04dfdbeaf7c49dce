// `bascule scheduled`: messages that are sent again and again, or at times of the clock.
import type { ScheduledPage } from '../core/administration.ts'
import { ask, managementUrl } from './management.ts'
import { table } from './table.ts'
import { readFlags } from './usage.ts'

const options = { url: { type: 'string' }, json: { type: 'boolean' } } as const

export async function scheduled(args: readonly string[]): Promise<number> {
  const { values } = readFlags(args, options, 0)
  const all: ScheduledPage['scheduled'][number][] = []
  for (let after = 0, more = true; more; ) {
    const page = await ask<ScheduledPage>(managementUrl(values.url), 'GET', `/api/scheduled?after=${after}`)
    all.push(...page.scheduled)
    after = page.scheduled.at(-1)?.number ?? 0
    more = page.scheduled.length > 0 && all.length < page.jobs
  }
  if (values.json === true) {
    process.stdout.write(`${JSON.stringify({ scheduled: all })}\n`)
    return 0
  }
  const rows = all.map((one) => [
    one.number,
    one.destination,
    one.cron,
    one.delayMs,
    one.periodMs,
    one.repeat < 0 ? '∞' : String(one.repeat),
    one.sent,
    one.nextAt ?? 'never',
  ])
  process.stdout.write(table(['number', 'destination', 'cron', 'delay', 'period', 'repeat', 'sent', 'next'], rows))
  return 0
}
