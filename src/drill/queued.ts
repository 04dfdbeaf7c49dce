// The messages that lie on a queue all the time: put there before the first round, counted one by one after the last.
import { setTimeout as sleep } from 'node:timers/promises'
import { seek } from './addresses.ts'
import { payloadOf, readPayload } from './payload.ts'
import type { Access } from './stage.ts'
import { connectStomp } from './stomp-clients.ts'

const WINDOW = 500
/** Longest silence while messages are put or taken. */
const SILENCE_MS = 20_000

export type Queued = Readonly<{ run: string; count: number; bytes: number }>

const nameOf = ({ run }: Queued): string => `${run}-queued`
const destinationOf = (access: Access, { run }: Queued): string => `${access.queuePrefix}${run}.queued`

export async function fill(access: Access, queued: Queued): Promise<void> {
  const client = await connected(access)
  let acknowledged = 0
  let sent = 0
  let broken: Error | undefined
  client.on('error', (error: Error) => {
    broken = error
  })
  let lastMs = performance.now()
  while (acknowledged < queued.count) {
    while (sent < queued.count && sent - acknowledged < WINDOW) {
      const payload = payloadOf({ producer: nameOf(queued), number: sent++ }, queued.bytes)
      const headers = { destination: destinationOf(access, queued), persistent: 'true', 'content-length': payload.length }
      const onReceipt = (): void => {
        acknowledged++
        lastMs = performance.now()
      }
      client.send(headers, { onReceipt }).end(payload)
    }
    await sleep(1)
    if (broken !== undefined) throw new Error(`${acknowledged} of ${queued.count} messages were queued, then: ${broken.message}`)
    if (performance.now() - lastMs > SILENCE_MS) throw new Error(`${acknowledged} of ${queued.count} messages were queued, then came no receipt`)
  }
  client.destroy()
}

/** Takes all of them; answers what is wrong. */
export async function drain(access: Access, queued: Queued): Promise<readonly string[]> {
  const client = await connected(access)
  const seen = new Uint8Array(queued.count)
  let count = 0
  let twice = 0
  let foreign = 0
  let lastMs = performance.now()
  const headers = { destination: destinationOf(access, queued), ack: 'client-individual', 'activemq.prefetchSize': 1_000 }
  client.subscribe(headers, (error, message) => {
    if (error !== null) return
    message.readString('latin1', (failed, body = '') => {
      if (failed !== null) return
      lastMs = performance.now()
      client.ack(message)
      const read = readPayload(Buffer.from(body, 'latin1'))
      if (read === undefined || read.producer !== nameOf(queued) || read.number >= queued.count) foreign++
      else if (seen[read.number] === 1) twice++
      else {
        seen[read.number] = 1
        count++
      }
    })
  })
  while (count < queued.count && performance.now() - lastMs < SILENCE_MS) await sleep(5)
  // Once all are there, whatever comes is one too many.
  await sleep(200)
  client.destroy()
  const sentences: string[] = []
  if (count < queued.count)
    sentences.push(`${queued.count - count} of ${queued.count} queued messages are lost, the first is number ${seen.indexOf(0)}`)
  if (twice > 0) sentences.push(`${twice} queued messages came more than once`)
  if (foreign > 0) sentences.push(`${foreign} messages came from the queue that nobody put there`)
  return sentences
}

async function connected(access: Access): ReturnType<typeof connectStomp> {
  const end = performance.now() + SILENCE_MS
  const client = await seek(
    access.addresses,
    () => performance.now() > end,
    (address) => connectStomp(access, address, false),
  )
  if (client === undefined) throw new Error('no node takes STOMP connections')
  return client
}
