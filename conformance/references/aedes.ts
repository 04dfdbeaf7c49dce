// aedes (MQTT 3.1 and 3.1.1 for Node) in this process, beside the broker under test.
import { createServer } from 'node:net'
import { Aedes } from 'aedes'

export type Reference = Readonly<{ urls: Readonly<{ mqtt: string }>; version: string; close: () => Promise<void> }>

export async function openAedes(): Promise<Reference> {
  const aedes = await Aedes.createBroker()
  const server = createServer(aedes.handle)
  await new Promise<void>((resolve, reject) => {
    server.on('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('aedes has no port')
  return {
    urls: { mqtt: `mqtt://127.0.0.1:${address.port}` },
    version: '1.2.0',
    async close() {
      await new Promise<void>((resolve) => aedes.close(() => resolve()))
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
