// Sends one durable message with AMQP 1.0 and ends when the broker has accepted it: node examples/amqp-send.mjs ADDRESS TEXT [PORT]
import rhea from 'rhea'

const [, , address, body, port = 5672] = process.argv

const connection = rhea.connect({ host: '127.0.0.1', port: Number(port), reconnect: false })
const sender = connection.open_sender(address)
sender.once('sendable', () => sender.send({ durable: true, body }))
sender.once('accepted', () => connection.close())
sender.once('rejected', ({ delivery }) => fail(`rejected: ${delivery.remote_state?.error?.description}`))
connection.once('disconnected', ({ error }) => fail(`${error?.message ?? 'disconnected'}`))

function fail(sentence) {
  console.error(sentence)
  process.exit(1)
}
