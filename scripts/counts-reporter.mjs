// A vitest reporter that ends with the line every suite ends with: `N passed, N failed, N skipped`. What failed is recorded too, for whoever asked (`failures.mjs`).
import { recordFailures } from './failures.mjs'

export default class CountsReporter {
  onTestRunEnd(modules, unhandledErrors, reason) {
    const counts = { passed: 0, failed: unhandledErrors.length, skipped: 0 }
    const failures = unhandledErrors.map((error) => ({ name: 'outside of every test', message: textOf([error]) }))
    for (const module of modules) {
      let tests = 0
      for (const test of module.children.allTests()) {
        tests++
        const { state, errors } = test.result()
        if (state === 'passed' || state === 'failed') counts[state]++
        else counts.skipped++
        if (state === 'failed') failures.push({ name: `${module.relativeModuleId} > ${test.fullName}`, message: textOf(errors) })
      }
      // A file that does not load, or whose hooks fail outside of any test, is a failure although no test of it is.
      if (module.state() === 'failed' && (tests === 0 || module.errors().length > 0)) {
        counts.failed++
        failures.push({ name: module.relativeModuleId, message: textOf(module.errors()) })
      }
    }
    if (reason === 'failed' && counts.failed === 0) counts.failed = 1
    recordFailures(failures)
    // After the default reporter's own summary.
    process.once('exit', () => console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`))
  }
}

/** What an error says, what was expected, and where: the stack without its library's part. */
function textOf(errors) {
  return errors
    .map(({ name, message, diff, stacks }) => {
      const at = (stacks ?? []).map(({ method, file, line, column }) => `  at ${method === '' ? '' : `${method} `}${file}:${line}:${column}`)
      return [`${name ?? 'Error'}: ${message}`, ...(diff === undefined ? [] : [diff]), ...at].join('\n')
    })
    .join('\n')
}
