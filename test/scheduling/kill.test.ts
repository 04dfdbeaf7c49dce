// The built program, a directory, SIGKILL: what is scheduled comes once a time, and a message to a list of destinations is at all of them or at none.
import { afterEach, expect, it } from 'vitest'
import { type BrokerProcess, spawnBroker } from '../support/process.ts'
import { StompClient } from '../support/stomp-client.ts'

let broker: BrokerProcess | undefined
afterEach(async () => {
  await broker?.stop()
  broker = undefined
})

/** What is on the queue, by one consumer that settles nothing. */
async function contents(port: number, queue: string, until: (texts: readonly string[]) => boolean): Promise<string[]> {
  const client = await StompClient.connect(port)
  await client.ask('SUBSCRIBE', { id: '1', destination: `/queue/${queue}`, ack: 'client' })
  const texts: string[] = []
  await expect
    .poll(
      async () => {
        while (client.waiting > 0) texts.push((await client.message()).text)
        return until(texts)
      },
      { timeout: 15_000, interval: 20 },
    )
    .toBe(true)
  client.wire.destroy()
  return texts
}

it('a message with a period comes once each time, though the node is killed again and again', async () => {
  broker = await spawnBroker()
  const sender = await StompClient.connect(broker.port('stomp'))
  const times = 12
  const schedule = { AMQ_SCHEDULED_DELAY: '50', AMQ_SCHEDULED_PERIOD: '100', AMQ_SCHEDULED_REPEAT: String(times - 1) }
  await sender.ask('SEND', { destination: '/queue/ticks', persistent: 'true', ...schedule }, 'tick')
  // The last message of the queue: behind it nothing more is to come.
  for (let kills = 0; kills < 4; kills++) {
    await contents(broker.port('stomp'), 'ticks', (texts) => texts.length > kills * 2)
    await broker.restart()
  }
  const left = async (): Promise<number> => {
    const answer = await fetch(`http://${broker?.address('http')}/api/scheduled`)
    return ((await answer.json()) as { jobs: number }).jobs
  }
  await expect.poll(left, { timeout: 15_000 }).toBe(0)
  const client = await StompClient.connect(broker.port('stomp'))
  await client.ask('SEND', { destination: '/queue/ticks', persistent: 'true' }, 'end')
  const texts = await contents(broker.port('stomp'), 'ticks', (all) => all.at(-1) === 'end')
  expect(texts).toEqual([...Array.from({ length: times }, () => 'tick'), 'end'])
})

it('a message to a list of destinations is at all of them or at none, wherever the node is killed', async () => {
  broker = await spawnBroker()
  let sent = 0
  let acknowledged = 0
  for (let round = 0; round < 3; round++) {
    const sender = await StompClient.connect(broker.port('stomp'))
    const answered = new Promise<void>((resolve) => {
      sender.wire.onReceipt = () => {
        acknowledged++
        if (acknowledged % 20 === 0) resolve()
      }
    })
    for (let i = 0; i < 60; i++) {
      sender.wire.send('SEND', { destination: '/queue/a,b,c', persistent: 'true', receipt: `r${sent}` }, Buffer.from(`m${sent++}`))
    }
    await answered
    await broker.kill('SIGKILL')
    await broker.restart()
  }
  const client = await StompClient.connect(broker.port('stomp'))
  await client.ask('SEND', { destination: '/queue/a,b,c', persistent: 'true' }, 'end')
  const port = broker.port('stomp')
  const [a, b, c] = await Promise.all(['a', 'b', 'c'].map((queue) => contents(port, queue, (all) => all.at(-1) === 'end')))
  expect(a.length).toBeGreaterThan(acknowledged)
  expect(b).toEqual(a)
  expect(c).toEqual(a)
})
