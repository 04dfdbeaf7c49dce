// SEND with AMQ_SCHEDULED_DELAY, _PERIOD, _REPEAT or _CRON: when the message is sent, and how often.
import type { Plan } from '../../src/api.ts'
import { planOf } from '../shared/plan.ts'
import { type Frame, header } from './codec.ts'
import type { Fault } from './errors.ts'

/** `plan` undefined: once, after the delay. */
export type Schedule = Readonly<{ delayMs: number; plan: Plan | undefined }>

export function readSchedule(frame: Frame): Schedule | Fault {
  const number = (name: string): number => {
    const text = header(frame, name) ?? ''
    return text === '' ? 0 : NUMBER.test(text) ? Number(text) : Number.NaN
  }
  const fields = {
    delayMs: number('AMQ_SCHEDULED_DELAY'),
    periodMs: number('AMQ_SCHEDULED_PERIOD'),
    repeat: number('AMQ_SCHEDULED_REPEAT'),
    cron: (header(frame, 'AMQ_SCHEDULED_CRON') ?? '').trim(),
  }
  if (!(fields.delayMs >= 0 && fields.periodMs >= 0 && fields.repeat >= -1)) {
    return { code: 'invalid', sentence: 'AMQ_SCHEDULED_DELAY and _PERIOD are times in milliseconds, _REPEAT is a count or -1.' }
  }
  return { delayMs: fields.delayMs, plan: planOf(fields) }
}

const NUMBER = /^-?\d{1,15}$/
