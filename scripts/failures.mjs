// What failed, from the vitest that saw it to the end of the log: the reporter writes one line of JSON a failure into the file that FAILURES names,
// `ci.mjs` tells them again after everything else. A log is often kept by its tail alone, and a suite's own output is far up in it.
import { appendFileSync, existsSync, readFileSync } from 'node:fs'

/** Of one failure so many lines, of one suite so many failures, and no line longer than this. */
export const FAILURE_LINES = 30
export const FAILURES_TOLD = 10
const COLUMNS = 400

/** Colours, as terminals are told them. */
// oxlint-disable-next-line no-control-regex
const COLOURS = /\u001b\[[0-9;]*m/g

/** Does nothing where nobody asked. */
export function recordFailures(failures, file = process.env.FAILURES) {
  if (file === undefined || failures.length === 0) return
  appendFileSync(file, failures.map((failure) => `${JSON.stringify(failure)}\n`).join(''))
}

export function readFailures(file) {
  if (!existsSync(file)) return []
  const lines = readFileSync(file, 'utf8').split('\n')
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line))
}

/** The lines that tell of a suite's failures: those recorded, or else the last of what it said. */
export function tellFailures(suite, failures, output) {
  if (failures.length === 0) return [`FAILED ${suite}, which ended with:`, ...lastLines(output)]
  const told = failures.slice(0, FAILURES_TOLD)
  const more = failures.length - told.length
  return [
    ...told.flatMap(({ name, message }) => [`FAILED ${suite}: ${name}`, ...firstLines(message)]),
    ...(more === 0 ? [] : [`… and ${more} more of ${suite}`]),
  ]
}

function firstLines(text) {
  const lines = linesOf(text)
  const rest = lines.length - FAILURE_LINES
  return rest > 0 ? [...lines.slice(0, FAILURE_LINES), `    … ${rest} lines more`] : lines
}

function lastLines(text) {
  return linesOf(text).slice(-FAILURE_LINES)
}

function linesOf(text) {
  const lines = text.replaceAll(COLOURS, '').split(/\r?\n/)
  return lines.filter((line) => line.trim() !== '').map((line) => `    ${line.length > COLUMNS ? `${line.slice(0, COLUMNS)}…` : line}`)
}
