// `bascule journal check | dump`: thin over `journal/check.ts`. Reads only; both may run beside a broker.
import { realClock } from '../clock.ts'
import { realDisk } from '../disk.ts'
import { checkJournal, dumpJournal } from '../journal/check.ts'
import { FACT_NAMES } from '../journal/facts.ts'
import { readFlags, UsageError } from './usage.ts'

const options = { data: { type: 'string' }, json: { type: 'boolean' } } as const

export async function journal(args: readonly string[]): Promise<number> {
  const { values, positionals } = readFlags(args, options, 1)
  const directory = values.data ?? process.env.BASCULE_DATA ?? 'data'
  switch (positionals[0]) {
    case 'check':
      return check(directory, values.json ?? false)
    case 'dump':
      await dumpJournal(realDisk, directory, (type) => FACT_NAMES.get(type) ?? 'unknown', print)
      return 0
    default:
      throw new UsageError(`journal wants check or dump, not ${positionals[0] ?? 'nothing'}. See bascule help journal.`)
  }
}

async function check(directory: string, json: boolean): Promise<number> {
  const { findings, ...counts } = await checkJournal(realDisk, directory, realClock)
  for (const finding of findings) {
    const { level, file, offset, sentence } = finding
    print(json ? JSON.stringify(finding) : `${level}: ${file === '' ? '' : `${file} at ${offset}: `}${sentence}`)
  }
  const damaged = findings.some((finding) => finding.level === 'damage')
  const { epoch, batches, facts, segments, bytes } = counts
  print(
    json
      ? JSON.stringify({ damaged, ...counts })
      : `${damaged ? 'damaged' : 'sound'}: epoch ${epoch}, ${batches} batches, ${facts} facts, ${segments} segments, ${bytes} bytes`,
  )
  return damaged ? 1 : 0
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
