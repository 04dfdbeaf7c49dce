// Times written as cron does: minute, hour, day of month, month, day of week. Five fields, as ActiveMQ has them; croner finds the times.
// With both days given either is enough, as everywhere.
import { Cron } from 'croner'
import { CodedError } from '../errors.ts'

const TEXT_MAX = 256
/** Numbers, lists, ranges, steps, and the names of months and days: none of the further signs that the library knows. */
const FIELD = /^(?:[\d*,/-]|[A-Za-z]{3})+$/
/** Patterns read lately. */
const KEPT_MAX = 1_000

const kept = new Map<string, Cron>()

/** Why this is no pattern, if it is none. `zone` '': the machine's. */
export function checkCron(text: string, zone: string, nowMs: number): CodedError | undefined {
  const fields = text.trim().split(/\s+/)
  if (text.length > TEXT_MAX || fields.length !== 5 || !fields.every((field) => FIELD.test(field))) {
    return new CodedError('invalid', 'a cron pattern has five fields: minute, hour, day of month, month, day of week')
  }
  if (fields[4] === '*' && firstDay(fields[2]) > longestMonth(fields[3])) return never()
  try {
    if (after(text, zone, nowMs) !== undefined) return undefined
  } catch (error) {
    return new CodedError('invalid', `the cron pattern cannot be read: ${error instanceof Error ? error.message : 'it is none'}`)
  }
  return never()
}

function never(): CodedError {
  return new CodedError('invalid', 'the cron pattern names no time that comes')
}

// The 31st of February would be looked for through centuries, 100 ms long: days that their months never have are found here.

/** The first day of the month that the field names, at most. */
function firstDay(field: string): number {
  return Math.min(...field.split(',').map((item) => (item.startsWith('*') ? 1 : Number.parseInt(item, 10) || 1)))
}

/** Days of the longest month that the field names, at least. */
function longestMonth(field: string): number {
  return Math.max(
    ...field.split(',').map((item) => {
      const [, first, last, step] = /^(\d+|[A-Za-z]{3})(?:-(\d+|[A-Za-z]{3}))?(\/\d+)?$/.exec(item) ?? []
      if (first === undefined) return 31
      const from = monthOf(first)
      const to = last === undefined ? (step === undefined ? from : 12) : monthOf(last)
      return from < 1 || to > 12 || to < from ? 31 : Math.max(...DAYS.slice(from - 1, to))
    }),
  )
}

function monthOf(text: string): number {
  return /^\d/.test(text) ? Number(text) : MONTHS.indexOf(text.toUpperCase()) + 1
}

const MONTHS = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC']
const DAYS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

/** The first time after this one. */
export function after(text: string, zone: string, ms: number): number | undefined {
  return read(text, zone).nextRun(new Date(ms))?.getTime()
}

/** The last time up to and with this one. */
export function upTo(text: string, zone: string, ms: number): number | undefined {
  // The library answers those before its reference, and reads that in whole seconds.
  return read(text, zone)
    .previousRuns(2, new Date(ms + 1_000))
    .map((time) => time.getTime())
    .find((time) => time <= ms)
}

function read(text: string, zone: string): Cron {
  const key = `${zone} ${text}`
  let cron = kept.get(key)
  if (cron === undefined) {
    if (kept.size >= KEPT_MAX) kept.clear()
    cron = new Cron(text.trim(), { paused: true, ...(zone === '' ? {} : { timezone: zone }) })
    kept.set(key, cron)
  }
  return cron
}
