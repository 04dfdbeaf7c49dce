// Receives what is published to orders/… with a durable STOMP subscription: node examples/stomp-receive.mjs COUNT [PORT]
// Ends after COUNT messages; 0: as soon as the subscription is made. What comes while nobody listens waits for the next call.
import stompit from 'stompit'

const count = Number(process.argv[2] ?? 1)
const port = Number(process.argv[3] ?? 61613)

/** A broker that is just starting is asked again, as clients in the field do. */
async function connect() {
  for (let tries = 1; ; tries++) {
    try {
      return await new Promise((resolve, reject) => {
        const headers = { host: '/', 'client-id': 'shop', 'accept-version': '1.2' }
        stompit.connect({ host: '127.0.0.1', port, connectHeaders: headers }, (error, client) => (error ? reject(error) : resolve(client)))
      })
    } catch (error) {
      if (tries === 100) throw error
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
}

const client = await connect()
let received = 0
const subscription = { destination: '/topic/orders.>', ack: 'client-individual', id: '1', 'activemq.subscriptionName': 'shop' }

client.subscribe(subscription, (error, message) => {
  if (error) return
  message.readString('utf-8', (_, body) => {
    console.log(`${message.headers.destination}: ${body}`)
    client.ack(message)
    if (++received === count) client.disconnect()
  })
})
// Its receipt comes after everything before it: then the subscription is on disk.
if (count === 0) client.disconnect()
