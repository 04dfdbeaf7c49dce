import { describe, expect, it } from 'vitest'
import { DIRECTORY, Stage } from '../../test/simulation/stage.ts'
import { HEARTBEAT_BYTES, decodeHeartbeat, encodeHeartbeat, heartbeatEpochOf, heartbeatPath, readHeartbeat } from './heartbeat.ts'

describe('a heartbeat', () => {
  it('comes back, at every size of its numbers', () => {
    for (const batch of [0, 1, 2 ** 32, Number.MAX_SAFE_INTEGER])
      expect(decodeHeartbeat(encodeHeartbeat(7, { count: batch, batch }), 7)).toEqual({ count: batch, batch })
  })

  it('is nothing when one bit is other, when it is cut, or when it is of another epoch', () => {
    const bytes = encodeHeartbeat(7, { count: 3, batch: 9 })
    for (let bit = 0; bit < 40 * 8; bit++) {
      const bad = Buffer.from(bytes)
      bad[bit >> 3] ^= 1 << (bit & 7)
      expect(decodeHeartbeat(bad, 7)).toBeUndefined()
    }
    for (const length of [0, 39, HEARTBEAT_BYTES - 1]) expect(decodeHeartbeat(bytes.subarray(0, length), 7)).toBeUndefined()
    expect(decodeHeartbeat(bytes, 8)).toBeUndefined()
  })

  it('is undefined where there is no folder, no file, or half a file', async () => {
    const stage = await Stage.make()
    const disk = stage.as('a')
    expect(await readHeartbeat(disk, DIRECTORY, 1)).toBeUndefined()
    await disk.mkdir(`${DIRECTORY}/nodes`)
    expect(await readHeartbeat(disk, DIRECTORY, 1)).toBeUndefined()
    const file = await disk.open(heartbeatPath(DIRECTORY, 1), 'create')
    await file.write([encodeHeartbeat(1, { count: 1, batch: 1 }).subarray(0, 100)], 0)
    expect(await readHeartbeat(disk, DIRECTORY, 1)).toBeUndefined()
    await file.write([encodeHeartbeat(1, { count: 1, batch: 5 })], 0)
    expect(await readHeartbeat(disk, DIRECTORY, 1)).toEqual({ count: 1, batch: 5 })
  })

  it('does not take an error of the disk for silence', async () => {
    const stage = await Stage.make()
    stage.disk.fail = () => ({ code: 'EIO', after: false })
    await expect(readHeartbeat(stage.as('a'), DIRECTORY, 1)).rejects.toThrow('EIO')
  })

  it('is named by its epoch', () => {
    expect(heartbeatPath('/d', 7)).toBe('/d/nodes/heartbeat-0000000007')
    expect([heartbeatEpochOf('heartbeat-0000000007'), heartbeatEpochOf('heartbeat-7'), heartbeatEpochOf('node-a')]).toEqual([7, undefined, undefined])
  })
})
