// Log lines, one JSON object each, to standard error (standard output belongs to the `ready` line). pino does the writing.
// A reader of standard error that is slow or gone must never hold up or end the broker: lines wait in memory up to a bound and are then dropped.
import { destination, type DestinationStream, pino, stdSerializers } from 'pino'
import type { Log } from './api.ts'
import type { LogSettings } from './config/settings.ts'

/** Lines that wait for their reader. */
const WAITING_BYTES_MAX = 4 * 1024 * 1024

export type FlushableLog = Log & Readonly<{ flush(): void }>

/** `node` is asked for each line: a node may have no name yet when the log is opened. */
export function openLog(settings: LogSettings, node: () => string): FlushableLog {
  const file = destination({ dest: 2, sync: false, maxLength: WAITING_BYTES_MAX })
  // A pipe whose reader left. There is nobody to tell.
  file.on('error', () => {})
  return logTo(settings, node, settings.pretty ? pretty(file) : file, () => {
    try {
      file.flushSync()
    } catch {
      // Not opened yet, or its reader is gone.
    }
  })
}

export function logTo(settings: LogSettings, node: () => string, stream: DestinationStream, flush: () => void = () => {}): FlushableLog {
  const logger = pino(
    {
      level: settings.level,
      base: null,
      mixin: () => ({ node: node() }),
      serializers: { error: stdSerializers.err, reason: stdSerializers.err },
      formatters: { level: (level) => ({ level }) },
    },
    stream,
  )
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
    flush,
  }
}

/** `12:34:56.789 info  message key=value …`, stack traces on lines of their own. */
function pretty(stream: DestinationStream): DestinationStream {
  return {
    write(line) {
      const { level, time, node: _, msg, error, ...fields } = JSON.parse(line) as Readonly<Record<string, unknown>>
      const rest = Object.entries(fields).map(([key, value]) => ` ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
      const stack = typeof error === 'object' && error !== null && 'stack' in error ? `\n${String(error.stack)}` : ''
      stream.write(`${new Date(Number(time)).toISOString().slice(11, 23)} ${String(level).padEnd(5)} ${String(msg)}${rest.join('')}${stack}\n`)
    },
  }
}
