// The report as it is, for programs; docs/conformance/report.schema.json says what is in it.
import type { Report } from './report.ts'

export const json = (report: Report): string => `${JSON.stringify(report, undefined, 2)}\n`
