// BEGIN, COMMIT, ABORT (STOMP 1.2 "BEGIN" ff.). A receipt of COMMIT says that all of it is durable; sends of it that still wait for room hold it up.
import { type Frame, header } from '../codec.ts'
import type { StompConnection } from '../connection.ts'

export function onBegin(connection: StompConnection, frame: Frame): void {
  const name = nameOf(connection, frame)
  if (name === undefined) return
  const receipt = header(frame, 'receipt')
  const refused = connection.transactions.begin(connection.session, name)
  if (refused === undefined) connection.answerNow(receipt)
  else if (refused === 'refused') connection.refuse(receipt)
  else connection.fail(refused, receipt)
}

export function onCommit(connection: StompConnection, frame: Frame): void {
  const open = take(connection, frame)
  if (open === undefined) return
  const receipt = header(frame, 'receipt')
  const ticket = open.transaction.commit()
  open.committed()
  if (ticket > 0) connection.answer(receipt, ticket)
  else if (ticket < 0) connection.park(receipt)
  else connection.refuse(receipt)
}

export function onAbort(connection: StompConnection, frame: Frame): void {
  const open = take(connection, frame)
  if (open === undefined) return
  const receipt = header(frame, 'receipt')
  const undo = (): void => {
    const ticket = open.transaction.rollback()
    open.aborted()
    // 0: it was too old, and is rolled back already.
    if (ticket > 0) connection.answer(receipt, ticket)
    else connection.answerNow(receipt)
  }
  // One cumulative ACK names as many deliveries as were ever unsettled, and can be aborted and sent again at no cost to its client.
  connection.inShares(() => open.transaction.giveBack(SHARE), undo)
}

/** Settlements given back in one turn. */
const SHARE = 1_000

/** The transaction that is about to end; its name may be used again. */
function take(connection: StompConnection, frame: Frame): ReturnType<typeof found> {
  const name = nameOf(connection, frame)
  if (name === undefined) return undefined
  const open = found(connection, frame.command, name, header(frame, 'receipt'))
  if (open !== undefined) connection.transactions.close(name)
  return open
}

/** The open transaction that a frame names; undefined: there is none, and the connection is ended. */
export function found(connection: StompConnection, command: string, name: string, receipt: string | undefined) {
  const open = connection.transactions.find(command, name)
  if (!('code' in open)) return open
  connection.fail(open, receipt)
  return undefined
}

function nameOf(connection: StompConnection, frame: Frame): string | undefined {
  const name = header(frame, 'transaction')
  if (name === undefined || name === '') {
    connection.fail({ code: 'invalid', sentence: `${frame.command} needs the header transaction.` }, header(frame, 'receipt'))
    return undefined
  }
  return name
}
