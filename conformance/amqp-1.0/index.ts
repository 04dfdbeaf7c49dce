import type { Suite } from '../check.ts'
import { attach } from './attach.ts'
import { connection } from './connection.ts'
import { dispositions } from './dispositions.ts'
import { dynamicNodes } from './dynamic.ts'
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
    attach,
    flow,
    transfers,
    dispositions,
    resume,
    messages,
    outcomes,
    termini,
    dynamicNodes,
    transactions,
    posting,
    retiring,
    acquisition,
    security,
  ],
}
