import type { Suite } from '../check.ts'
import { connection } from './connection.ts'
import { flow } from './flow.ts'
import { framing } from './framing.ts'
import { links } from './links.ts'
import { messages } from './messages.ts'
import { open } from './open.ts'
import { outcomes } from './outcomes.ts'
import { resume } from './resume.ts'
import { security } from './security.ts'
import { sessions } from './sessions.ts'
import { termini } from './termini.ts'
import { acquisition, posting, retiring } from './transactional-work.ts'
import { transactions } from './transactions.ts'
import { transfers } from './transfers.ts'
import { types } from './types.ts'
import { version } from './version.ts'

export const amqp10: Suite = {
  name: 'amqp-1.0',
  title: 'AMQP 1.0',
  specification: 'https://docs.oasis-open.org/amqp/core/v1.0/os/amqp-core-overview-v1.0-os.html',
  protocols: ['amqp'],
  chapters: [
    types,
    version,
    framing,
    connection,
    sessions,
    open,
    links,
    flow,
    transfers,
    resume,
    messages,
    outcomes,
    termini,
    transactions,
    posting,
    retiring,
    acquisition,
    security,
  ],
}
