import { expect, it } from 'vitest'
import { isCheck } from '../check.ts'
import { suites } from '../suites.ts'
import { profileOf } from '../target.ts'
import { bascule } from './bascule.ts'
import { checkProfile, profiles } from './profile.ts'

it('addresses are written as the pattern says', () => {
  const profile = profileOf(
    checkProfile({ name: 'x', mqtt: { topic: 'site/{path}' }, stomp: { queue: '/queue/{name}?a=1', topic: '/topic/{name}' } }),
  )
  expect(profile.mqtt.topic('a.b')).toBe('site/a/b')
  expect(profile.stomp.queue('a.b')).toBe('/queue/a.b?a=1')
  expect(profile.amqp.topic('a.b')).toBe('topic://a.b')
})

it('what a file may not say is refused with a sentence', () => {
  expect(() => checkProfile([])).toThrow('a profile is an object of JSON')
  expect(() => checkProfile({ limit: 3 })).toThrow('not limit')
  expect(() => checkProfile({ mqtt: { topic: 'all' } })).toThrow('mqtt.topic of a profile is an address with {name}')
  expect(() => checkProfile({ stomp: { ...bascule.stomp, transformation: true } })).toThrow('stomp.transformation of a profile is a string')
  expect(() => checkProfile({ known: { 'mqtt-5': { 'MQTT-1': '' } } })).toThrow('known of a profile has suites')
  expect(() => checkProfile({ lacks: { 'mqtt-5': true } })).toThrow('lacks of a profile has suites')
})

it('of ours no must is known to fail', () => {
  const musts = suites.flatMap(({ name, chapters }) =>
    chapters.flatMap(({ clauses }) => clauses.filter(({ id, level }) => level === 'must' && profiles['bascule']?.known[name]?.[id] !== undefined)),
  )
  expect(musts.map(({ id }) => id)).toEqual([])
})

it.for(Object.keys(profiles))('what the profile %s knows is a clause that there is', (name) => {
  const profile = profiles[name]
  expect(checkProfile(profile)).toEqual(profile)
  const unknown = Object.entries(profile?.known ?? {}).flatMap(([suite, clauses]) =>
    Object.keys(clauses).filter(
      (id) =>
        !suites.some(
          (each) => each.name === suite && each.chapters.some((chapter) => chapter.clauses.some((clause) => clause.id === id && isCheck(clause))),
        ),
    ),
  )
  expect(unknown).toEqual([])
})
