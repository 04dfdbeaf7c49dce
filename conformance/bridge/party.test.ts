import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { bascule } from '../profiles/bascule.ts'
import { addressOf, profileOf } from '../target.ts'
import { Trial } from '../trial.ts'
import { parties } from './message.ts'
import { clients } from './party.ts'

let server: Server
let sockets: Socket[]
let says: string
beforeEach(async () => {
  sockets = []
  says = ''
  server = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => {})
    socket.resume()
    if (says !== '') socket.write(says)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
})
afterEach(() => void server.close())

const trialOf = (): Trial => {
  const bound = server.address()
  const address = addressOf(`mqtt://127.0.0.1:${typeof bound === 'object' ? bound?.port : ''}`)
  return new Trial({
    addresses: { mqtt: address, amqp: address, stomp: address },
    protocol: 'mqtt',
    profile: profileOf(bascule),
    patienceMs: 200,
    number: '1',
  })
}

const words = { nothing: '', 'what it does not understand': 'HTTP/1.1 400 Bad Request\r\n\r\n' }
const cases = parties.flatMap((party) => Object.entries(words).map(([what, text]) => [party, what, text] as const))

it.for(cases)('%s leaves no connection behind at a server that says %s', async ([party, , text]) => {
  says = text
  const trial = trialOf()
  await expect(clients[party].send(trial, 'topic', { body: { kind: 'text', text: 'x' }, fields: {} })).rejects.toThrow(
    /did not come|was not answered|refused|unknown command/,
  )
  await expect(clients[party].receive(trial, 'topic')).rejects.toThrow(/did not come|was not answered|refused|unknown command/)
  await trial.close()
  // The server closes when each of its connections has ended.
  const closed = once(server, 'close')
  server.close()
  await closed
  expect(sockets.length).toBe(2)
})
