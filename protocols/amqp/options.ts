// How a receiver wants to stand beside the others of its queue: ActiveMQ's options behind the address
// (`orders?consumer.exclusive=true&consumer.priority=5`), or Artemis's link property `priority`.
import type { ConsumerOptions } from '../../src/api.ts'
import { type AmqpError, fault, quote } from './errors.ts'
import type { Attach } from './performatives.ts'
import { textOf } from './term.ts'

export type Asked = Readonly<{ name: string } & Pick<ConsumerOptions, 'exclusive' | 'priority'>>

export function readOptions(attach: Attach, address: string): Asked | AmqpError {
  const asked = { name: address, exclusive: 'no' as Asked['exclusive'], priority: linkPriority(attach) }
  const mark = address.search(OPTIONS)
  if (mark < 0) return asked
  asked.name = address.slice(0, mark)
  for (const option of address.slice(mark + 1).split('&')) {
    const [name = '', value = ''] = option.split('=', 2)
    if (name === 'consumer.exclusive' && (value === 'true' || value === 'false')) asked.exclusive = value === 'true' ? 'wait' : 'no'
    else if (name === 'consumer.priority' && PRIORITY.test(value)) asked.priority = Number(value)
    else if (name === 'consumer.exclusive' || name === 'consumer.priority') return fault('invalid', `The option ${quote(option)} has no such value.`)
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

const OPTIONS = /\?[\w.-]+=/
/** What is beyond -128 and 127 counts as those. */
const PRIORITY = /^-?\d{1,3}$/
