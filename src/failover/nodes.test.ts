// Who is here, on the real disk; among processes at the end.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { realClock } from '../clock.ts'
import { type Disk, realDisk } from '../disk.ts'
import { NODE_FILE_BYTES, type NodeNotice, decodeNodeFile, encodeNodeFile, nodeFileName } from './node-file.ts'
import { type Presence, enter } from './nodes.ts'

let directory = ''
const here: Presence[] = []
const children: ChildProcess[] = []

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bascule-nodes-'))
})
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  for (const one of here.splice(0)) await one.release()
  await rm(directory, { recursive: true, force: true })
})

async function come(node: string, pid = 1, disk: Disk = realDisk): Promise<Presence> {
  const presence = await enter({ directory, node, disk, clock: realClock, pid, host: `host-${pid}`, version: '0.0.0' })
  here.push(presence)
  return presence
}

const pathOf = (node: string): string => join(directory, 'nodes', nodeFileName(node))

/** What one sees of the others, once it is as expected. */
async function seen(presence: Presence, good: (others: readonly NodeNotice[]) => boolean): Promise<readonly NodeNotice[]> {
  for (;;) {
    const others = await presence.others()
    if (good(others)) return others
  }
}

describe('the presence of nodes', () => {
  it('shows each the others, with what they told last, and nothing else of the directory is touched', async () => {
    const [a, b] = [await come('a', 1), await come('b', 2)]
    b.tell({ role: 'standby', follow: { state: 'warming', batch: 3 } })
    b.tell({ follow: { state: 'warm', batch: 4 }, addresses: { mqtt: '10.0.0.2:1883' } })
    const [other] = await seen(a, ([one]) => one?.role === 'standby')
    expect(other).toMatchObject({
      node: 'b',
      pid: 2,
      host: 'host-2',
      epoch: 0,
      follow: { state: 'warm', batch: 4 },
      addresses: { mqtt: '10.0.0.2:1883' },
    })
    expect((await b.others()).map(({ node }) => node)).toEqual(['a'])
    expect(await readdir(directory)).toEqual(['nodes'])
    expect((await readdir(join(directory, 'nodes'))).toSorted()).toEqual(['node-a', 'node-b'])
    expect((await stat(pathOf('a'))).size).toBe(NODE_FILE_BYTES)
  })

  it('refuses a name that another holds, and says who that is', async () => {
    await seen(await come('x', 1), () => true)
    const b = await come('b', 4711)
    await seen(await come('y', 3), (others) => others.some(({ node }) => node === 'b'))
    await expect(come('b', 5)).rejects.toThrow(
      /^The node name "b" is in use in .* by process 4711 on host-4711: stop that one, or choose another name with --node\.$/,
    )
    await b.release()
    expect((await come('b', 5)).node).toBe('b')
  })

  it('keeps its lock though others of its process open and close its file', async () => {
    const [a, b] = [await come('a'), await come('b')]
    for (let i = 0; i < 20; i++) {
      await b.others()
      await a.others()
      await readFile(pathOf('a'))
    }
    await expect(come('a')).rejects.toThrow('is in use')
    expect((await seen(b, (others) => others.length === 1))[0].node).toBe('a')
  })

  it('gives letters in turn, and one that is free again', async () => {
    const nodes = [await come(''), await come(''), await come('')]
    expect(nodes.map(({ node }) => node)).toEqual(['a', 'b', 'c'])
    await nodes[1].release()
    expect((await come('')).node).toBe('b')
  })

  it('gives each of several that come at once a letter of its own', async () => {
    const nodes = await Promise.all(Array.from({ length: 6 }, () => come('')))
    expect(new Set(nodes.map(({ node }) => node)).size).toBe(6)
  })

  it('ends when every letter is taken', async () => {
    for (const letter of 'abcdefghijklmnopqrstuvwxyz') await come(letter)
    await expect(come('')).rejects.toThrow('26 nodes')
  })

  it('is gone after a release, file and all, and tells nothing more', async () => {
    const [a, b] = [await come('a'), await come('b')]
    await b.release()
    b.tell({ role: 'active' })
    await b.release()
    expect(await a.others()).toEqual([])
    expect(await readdir(join(directory, 'nodes'))).toEqual(['node-a'])
  })

  it('never gives two the same name, while holders go and others come', async () => {
    let holders = 0
    const one = async (): Promise<void> => {
      for (let i = 0; i < 15; i++) {
        const presence = await enter({ directory, node: 'z', disk: realDisk, clock: realClock, pid: 1, host: '', version: '' }).catch(() => undefined)
        if (presence === undefined) continue
        expect(++holders).toBe(1)
        await new Promise((resolve) => setImmediate(resolve))
        holders -= 1
        await presence.release()
      }
    }
    await Promise.all([one(), one(), one(), one()])
  })

  it('takes no lock on a file that was removed under it for the name', async () => {
    const holder = await come('z')
    let open = (): void => undefined
    const opened = new Promise<void>((resolve) => {
      open = resolve
    })
    let goOn = (): void => undefined
    const gate = new Promise<void>((resolve) => {
      goOn = resolve
    })
    const slow: Disk = {
      ...realDisk,
      open: async (path, mode) => {
        const file = await realDisk.open(path, mode)
        open()
        await gate
        return file
      },
    }
    const late = come('z', 2, slow)
    await opened
    await holder.release()
    const next = await come('z', 3)
    goOn()
    await expect(late).rejects.toThrow('is in use')
    expect(next.node).toBe('z')
  })

  it('passes over torn files, foreign files, files of the dead, and copies', async () => {
    const a = await come('a')
    const b = await come('b')
    await seen(a, (others) => others.length === 1)
    await writeFile(pathOf('dead'), encodeNodeFile({ ...(await a.others())[0], node: 'dead' }))
    await writeFile(join(directory, 'nodes', 'other'), 'x')
    await writeFile(join(directory, 'nodes', 'heartbeat-0000000001'), 'x')
    expect((await a.others()).map(({ node }) => node)).toEqual(['b'])
    // Held, and another's notice in it.
    const c = await come('c')
    await seen(a, (others) => others.length === 2)
    await writeFile(pathOf('c'), await readFile(pathOf('b')))
    expect((await a.others()).map(({ node }) => node)).toEqual(['b'])
    // Half new, half old.
    const bytes = await readFile(pathOf('b'))
    bytes[20] ^= 1
    await writeFile(pathOf('b'), bytes)
    expect(await a.others()).toEqual([])
    b.tell({ role: 'standby' })
    c.tell({ role: 'active' })
    expect((await seen(a, (others) => others.length === 2)).map(({ role }) => role)).toEqual(['standby', 'active'])
  })

  it('knows a hundred', async () => {
    for (let i = 0; i < 100; i++) await come(`node ${i}`, i)
    expect(await seen(here[0], (others) => others.length === 99)).toHaveLength(99)
  })

  it('has at most one write in flight, and the last word is written', async () => {
    let [writing, most, writes] = [0, 0, 0]
    const disk: Disk = {
      ...realDisk,
      open: async (path, mode) => {
        const file = await realDisk.open(path, mode)
        const write = async (buffers: readonly Uint8Array[], position: number): Promise<void> => {
          most = Math.max(most, ++writing)
          writes += 1
          await file.write(buffers, position)
          writing -= 1
        }
        return {
          write,
          read: (i, p) => file.read(i, p),
          sync: () => file.sync(),
          truncate: (l) => file.truncate(l),
          stat: () => file.stat(),
          tryLock: (k) => file.tryLock(k),
          close: () => file.close(),
        }
      },
    }
    const [a, b] = [await come('a', 1, disk), await come('b')]
    for (let batch = 1; batch <= 1_000; batch++) {
      a.tell({ follow: { state: 'warm', batch } })
      if (batch % 100 === 0) await Promise.resolve()
    }
    await seen(b, ([one]) => one?.follow?.batch === 1_000)
    expect([most, writes < 50]).toEqual([1, true])
  })

  it('is quiet when the disk is not there any more', async () => {
    const a = await come('a')
    await rm(directory, { recursive: true, force: true })
    a.tell({ role: 'active' })
    expect(await a.others()).toEqual([])
    await a.release()
  })
})

describe('the file of a node', () => {
  const notice: NodeNotice = {
    node: 'a',
    pid: 1,
    host: 'h',
    version: '1',
    startedMs: 2,
    role: 'active',
    epoch: 3,
    addresses: { mqtt: 'h:1' },
    follow: undefined,
  }

  it('comes back; cut or changed it is nothing', () => {
    const bytes = encodeNodeFile(notice)
    expect(decodeNodeFile(bytes)).toEqual(notice)
    const end = bytes.indexOf(0x20, bytes.lastIndexOf(0x0a) - 10)
    for (let length = 0; length < end - 1; length++) expect(decodeNodeFile(bytes.subarray(0, length))).toBeUndefined()
    for (let at = 0; at < bytes.indexOf(0x0a); at++) {
      const bad = Buffer.from(bytes)
      bad[at] ^= 2
      expect(decodeNodeFile(bad)).toBeUndefined()
    }
  })

  it('leaves the addresses out when they do not fit, and keeps who it is', () => {
    const addresses = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`listener-${i}`, `${'x'.repeat(50)}:1`]))
    const bytes = encodeNodeFile({ ...notice, addresses })
    expect(bytes).toHaveLength(NODE_FILE_BYTES)
    expect(decodeNodeFile(bytes)).toEqual({ ...notice, addresses: {} })
  })

  it('has a name of its own for each id, safe in a directory', () => {
    const ids = ['a', 'A b', 'a/b', '../x', '..', '%2e', 'ü', '日本', '']
    const names = ids.map(nodeFileName)
    expect(new Set(names).size).toBe(ids.length)
    for (const name of names) expect(name).toMatch(/^node-[A-Za-z0-9_.%-]*$/)
    expect(() => nodeFileName('x'.repeat(81))).toThrow('longer than 80 bytes')
  })
})

const sitter = `
  import { enter } from ${JSON.stringify(new URL('nodes.ts', import.meta.url).href)}
  import { realClock } from ${JSON.stringify(new URL('../clock.ts', import.meta.url).href)}
  import { realDisk } from ${JSON.stringify(new URL('../disk.ts', import.meta.url).href)}
  const held = await enter({ directory: process.argv[1], node: process.argv[2], disk: realDisk, clock: realClock, pid: process.pid, host: 'there', version: '1' })
  held.tell({ role: 'standby' })
  console.log('here ' + held.node)
  setInterval(() => undefined, 1000)
`

describe('the presence of processes', () => {
  const start = async (node: string): Promise<ChildProcess> => {
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', sitter, directory, node], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    children.push(child)
    await new Promise<void>((resolve, reject) => {
      child.stdout?.on('data', (data: Buffer) => {
        if (data.toString().includes('here ')) resolve()
      })
      child.on('exit', () => reject(new Error('it ended')))
    })
    return child
  }

  it('a stopped one is there, a killed one is not; its name is free again at once', async () => {
    const child = await start('b')
    const a = await come('a')
    await seen(a, ([one]) => one?.role === 'standby' && one.pid === child.pid)
    child.kill('SIGSTOP')
    await expect(come('b')).rejects.toThrow(`process ${child.pid} on there`)
    expect(await a.others()).toHaveLength(1)
    child.kill('SIGKILL')
    // Within the tries: the lock falls when the kernel has taken the process down.
    const b = await come('b', 7)
    expect(b.node).toBe('b')
    expect((await seen(a, ([one]) => one?.pid === 7))[0].role).toBe('starting')
  })
})
