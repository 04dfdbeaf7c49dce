// docs/conformance/surprises.md and second-look.md are written by hand: what they tell of a broker must stand on that broker's generated page, and no must that is not kept may be without its cause.
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { peers } from './peers.ts'

const page = (name: string): string => readFileSync(new URL(`../../docs/conformance/${name}`, import.meta.url), 'utf8')
const sections = page('surprises.md').split(/^## /m).slice(1)

it('every peer has three', () => {
  expect(sections.map((section) => section.match(/^### /gm)?.length)).toEqual(peers.map(() => 3))
})

it.for(peers.map(({ name, title }) => [name, title] as const))(
  'what surprised us of %s is among what it does not keep, in the version that was seen',
  ([name, title]) => {
    const section = sections.find((each) => each.startsWith(title)) ?? ''
    const [version = ''] = /[\d.]+$/.exec(section.split('\n')[0] ?? '') ?? []
    const failures = page(`brokers/${name}.md`)
    const ids = [...section.matchAll(/^### .*, ((?:MQTT|AMQP|STOMP|WS)[^,)]*)\)$/gm)].map(([, id]) => id)
    expect(ids).toHaveLength(3)
    expect(failures).toContain(`# ${title} ${version}: what is not kept`)
    const also = [...section.matchAll(/\(((?:MQTT5 |MQTT-|AMQP-|STOMP1\d-|WS-)[\d.A-Z]+-\w+)\)/g)].map(([, id]) => id)
    expect([...ids, ...also].filter((id) => !failures.includes(`## ${id} (`))).toEqual([])
  },
)

const causes = page('second-look.md').split(/^## /m).slice(1)

it.for(peers.map(({ name, title }) => [name, title] as const))('every must that %s does not keep has its cause', ([name, title]) => {
  const named = causes
    .filter((each) => each.startsWith(title))
    .flatMap((section) =>
      section.split('\n').flatMap(
        (row) =>
          row
            .split(' | ')
            .at(-1)
            ?.match(/(?:MQTT5 |MQTT-|AMQP-|STOMP1\d-|WS-)[\w.-]+/g) ?? [],
      ),
    )
  const failing = [...page(`brokers/${name}.md`).matchAll(/^## (.+) \(.*, must\)$/gm)].map(([, id]) => id)
  expect(failing.filter((id) => !named.includes(id))).toEqual([])
})
