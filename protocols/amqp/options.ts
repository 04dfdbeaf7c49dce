// How a receiver wants to stand beside the others of its queue, and to begin with what a topic retains: ActiveMQ's options behind the address
// (`orders?consumer.exclusive=true&consumer.priority=5`, `topic://news?consumer.retroactive=true`), or Artemis's link property `priority`.
import type { ConsumerOptions } from '../../src/api.ts'
import { type AmqpError, fault, quote } from './errors.ts'
import type { Attach } from './performatives.ts'
import { textOf } from './term.ts'

export type Asked = Readonly<{ name: string; retroactive: boolean } & Pick<ConsumerOptions, 'exclusive' | 'priority'>>

export function readOptions(attach: Attach, address: string): Asked | AmqpError {
  const asked = { name: address, retroactive: false, exclusive: 'no' as Asked['exclusive'], priority: linkPriority(attach) }
  const mark = address.search(OPTIONS)
  if (mark < 0) return asked
  asked.name = address.slice(0, mark)
  for (const option of address.slice(mark + 1).split('&')) {
    const [name = '', value = ''] = option.split('=', 2)
    const truth = value === 'true' || value === 'false'
    if (name === 'consumer.exclusive' && truth) asked.exclusive = value === 'true' ? 'wait' : 'no'
    else if (name === 'consumer.retroactive' && truth) asked.retroactive = value === 'true'
    else if (name === 'consumer.priority' && PRIORITY.test(value)) asked.priority = Number(value)
    else if (KNOWN.has(name)) return fault('invalid', `The option ${quote(option)} has no such value.`)
    else return fault('unsupported', `The option ${quote(name)} in an address is not offered.`)
  }
  return asked
}

function linkPriority(attach: Attach): number {
  for (const [key, value] of attach.properties) {
    if (textOf(key) !== 'priority') continue
    if (typeof value !== 'object' || !('value' in value)) continue
    if (typeof value.value === 'number' || typeof value.value === 'bigint') return Number(value.value)
  }
  return 0
}

const KNOWN: ReadonlySet<string> = new Set(['consumer.exclusive', 'consumer.priority', 'consumer.retroactive'])
const OPTIONS = /\?[\w.-]+=/
/** What is beyond -128 and 127 counts as those. */
const PRIORITY = /^-?\d{1,3}$/
