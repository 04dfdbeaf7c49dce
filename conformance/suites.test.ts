// What holds for every suite, whatever it is about.
import { describe, expect, it } from 'vitest'
import { isCheck } from './check.ts'
import { suites } from './suites.ts'

it('suites have names of their own', () => {
  expect(new Set(suites.map(({ name }) => name)).size).toBe(suites.length)
})

describe.for(suites.map((suite) => [suite.name, suite] as const))('the suite %s', ([, suite]) => {
  const clauses = suite.chapters.flatMap((chapter) => chapter.clauses)

  it('has each identifier once', () => {
    const ids = clauses.map(({ id }) => id)
    expect(ids.filter((id, i) => ids.indexOf(id) !== i)).toEqual([])
  })

  it('says of each clause what it asks in a sentence, of each check how, and of each other why not', () => {
    const sentence = /^\S[^\n]*[.?!)]$/
    expect(
      clauses
        .filter((clause) => !sentence.test(clause.says) || !(isCheck(clause) ? sentence.test(clause.how) : clause.unchecked !== ''))
        .map(({ id }) => id),
    ).toEqual([])
  })

  it('has for each check what shows that it can fail', () => {
    const unproven = clauses.filter((clause) => isCheck(clause) && clause.mutants.length === 0 && clause.mends === undefined)
    expect(unproven.map(({ id }) => id)).toEqual([])
  })
})
