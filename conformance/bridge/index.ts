// The bridge: every protocol to every other, each kind of body and each field. No specification says what must cross, so nothing here is a must.
// What both protocols have a place for should come as it was sent: a pass is exact, `lossy` says what became of it, `refused` that the broker did not take it.
import type { Chapter, Clause, Suite } from '../check.ts'
import { type Aspect, aspects } from './aspects.ts'
import { parties, type Party } from './message.ts'
import { loses } from './mutants.ts'
import { clients } from './party.ts'

const NAMES: Readonly<Record<Party, string>> = { 'mqtt-3.1.1': 'MQTT 3.1.1', 'mqtt-5': 'MQTT 5', amqp: 'AMQP 1.0', stomp: 'STOMP 1.2' }

export const bridge: Suite = {
  name: 'bridge',
  title: 'The bridge between protocols',
  specification: '',
  protocols: ['mqtt', 'amqp', 'stomp'],
  chapters: parties.flatMap((from) => parties.map((to) => chapter(from, to))),
}

function chapter(from: Party, to: Party): Chapter {
  return {
    title: `${NAMES[from]} to ${NAMES[to]}`,
    clauses: aspects.filter(({ says }) => says.includes(from)).map((aspect) => clause(aspect, from, to)),
  }
}

function clause(aspect: Aspect, from: Party, to: Party): Clause {
  const id = `BRIDGE-${from}-${to}-${aspect.name}`
  const says = `From ${NAMES[from]} to ${NAMES[to]}, ${aspect.what} comes as it was sent.`
  if (!aspect.hears.includes(to)) return { id, level: 'may', says, unchecked: `no place: ${NAMES[to]} has none for ${aspect.what}` }
  return {
    id,
    level: 'should',
    says,
    how: `A client of ${NAMES[to]} subscribes to a topic, one of ${NAMES[from]} sends to it.`,
    async run(trial) {
      const topic = trial.name('bridge')
      const came = await clients[to].receive(trial, topic)
      const sent = aspect.message(trial)
      await clients[from].send(trial, topic, sent)
      aspect.judge(await came(), sent, from, to, trial)
    },
    through: clients[to].protocol,
    mutants: [aspect.lostBy?.[to] ?? loses(aspect, to)],
  }
}
