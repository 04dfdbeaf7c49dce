import { createServer, type Socket } from 'node:net'
import { expect, it } from 'vitest'
import { checkProfile } from '../profiles/profile.ts'
import { profileOf } from '../target.ts'
import { Trial } from '../trial.ts'
import { StompWire } from './stomp-wire.ts'

it('line ends that come together with a frame, and the first that comes later, are no heart-beats', async () => {
  const sockets: Socket[] = []
  const server = createServer({ noDelay: true }, (socket) => sockets.push(socket))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const trial = new Trial({
    protocol: 'stomp',
    addresses: { stomp: { host: '127.0.0.1', port: address.port, path: '' } },
    profile: profileOf(checkProfile({ name: 'any' })),
    patienceMs: 5000,
    number: '1',
  })
  try {
    const wire = await StompWire.open(trial, '1.2')
    await expect.poll(() => sockets.length).toBe(1)
    const says = async (bytes: string): Promise<void> => {
      const before = wire.heardAtMs.length
      for (const socket of sockets) socket.write(bytes)
      await expect.poll(() => wire.heardAtMs.length).toBeGreaterThan(before)
    }
    await says('RECEIPT\nreceipt-id:1\n\n\0\n\n\r\n')
    expect(wire.beats.unread).toHaveLength(0)
    await says('\n')
    expect(wire.beats.unread).toHaveLength(1)
    await says('RECEIPT\nreceipt-id:2\n\n\0')
    await says('\n')
    expect(wire.beats.unread).toHaveLength(1)
    await says('\n\n')
    expect(wire.beats.unread).toHaveLength(3)
  } finally {
    await trial.close()
    server.close()
  }
})
