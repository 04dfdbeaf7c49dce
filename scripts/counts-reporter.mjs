// A vitest reporter that ends with the line every suite ends with: `N passed, N failed, N skipped`.

export default class CountsReporter {
  onTestRunEnd(modules, unhandledErrors, reason) {
    const counts = { passed: 0, failed: unhandledErrors.length, skipped: 0 }
    for (const module of modules) {
      let tests = 0
      for (const test of module.children.allTests()) {
        tests++
        const state = test.result().state
        if (state === 'passed' || state === 'failed') counts[state]++
        else counts.skipped++
      }
      // A file that does not load, or whose hooks fail outside of any test, is a failure although no test of it is.
      if (module.state() === 'failed' && (tests === 0 || module.errors().length > 0)) counts.failed++
    }
    if (reason === 'failed' && counts.failed === 0) counts.failed = 1
    // After the default reporter's own summary.
    process.once('exit', () => console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`))
  }
}
