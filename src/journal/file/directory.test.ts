import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { SimulatedDisk } from '../../../test/simulation/simulated-disk.ts'
import { type Disk, realDisk } from '../../disk.ts'
import { SeededRandom } from '../../random.ts'
import { prepareDirectory } from './directory.ts'

describe('a data directory', () => {
  let root = ''
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'bascule-directory-'))
  })
  afterEach(async () => {
    await rm(root, { recursive: true, force: true })
  })

  it('is made where nothing is, with its parents, and is the same ever after', async () => {
    const path = join(root, 'a', 'b')
    const made = await prepareDirectory(realDisk, path)
    expect(made.cluster).toMatch(/^[0-9a-f]{32}$/)
    expect((await readdir(path)).toSorted()).toEqual(['epochs', 'format', 'segments', 'snapshots'])
    expect(await prepareDirectory(realDisk, path)).toEqual(made)
  })

  it('is finished when a crash left only its folders', async () => {
    await mkdir(join(root, 'epochs'))
    await mkdir(join(root, 'segments'))
    await prepareDirectory(realDisk, root)
    expect(await readdir(root)).toContain('format')
  })

  it('is one directory when two nodes make it at once', async () => {
    const [a, b] = await Promise.all([prepareDirectory(realDisk, root), prepareDirectory(realDisk, root)])
    expect(a).toEqual(b)
    expect(await readdir(root)).toHaveLength(4)
  })

  it('is complete when another node made folders and format between two looks of ours', async () => {
    const made: string[] = []
    const late: Disk = {
      ...realDisk,
      async checkWritable(path) {
        const missing = await realDisk.checkWritable(path).then(
          () => undefined,
          (error: unknown) => error,
        )
        if (missing === undefined) return
        // The other node is quick, once.
        if (made.length === 0) made.push((await prepareDirectory(realDisk, root)).cluster)
        throw missing as Error
      },
    }
    await mkdir(join(root, 'snapshots'))
    expect((await prepareDirectory(late, root)).cluster).toBe(made[0])
  })

  /** What the refusal says; '' when it was none, or when it changed something. */
  const refusal = async (path: string, disk: Disk = realDisk): Promise<string> => {
    const before = (await readdir(root, { recursive: true })).toSorted()
    const said = await prepareDirectory(disk, path).then(
      () => '',
      (error: unknown) => String(error),
    )
    return (await readdir(root, { recursive: true })).toSorted().join() === before.join() ? said : ''
  }

  it('of somebody else is refused and left alone', async () => {
    await writeFile(join(root, 'holiday.jpg'), 'x')
    expect(await refusal(root)).toMatch(/not a Bascule data directory.*holiday\.jpg.*--data/)
  })

  it('of a newer version is refused', async () => {
    await writeFile(join(root, 'format'), `bascule-journal 99 ${'0'.repeat(32)}\n`)
    expect(await refusal(root)).toMatch(/newer version/)
  })

  it.each(['', 'something else'])('with a format file that says %j is refused', async (text) => {
    await writeFile(join(root, 'format'), text)
    expect(await refusal(root)).toMatch(/format/)
  })

  it('that is a file, or lies under one, is refused', async () => {
    await writeFile(join(root, 'file'), '')
    expect(await refusal(join(root, 'file'))).toMatch(/is a file/)
    expect(await refusal(join(root, 'file', 'below'))).toMatch(/--data/)
  })

  it('that lost a folder is refused', async () => {
    await prepareDirectory(realDisk, root)
    await rm(join(root, 'epochs'), { recursive: true })
    expect(await refusal(root)).toMatch(/epochs is missing/)
  })

  it.each([
    ['EROFS', /read-only/],
    ['EACCES', /not writable/],
  ])('on a disk that answers %s is refused, with what to do', async (code, sentence) => {
    const disk = new SimulatedDisk(new SeededRandom(1))
    await prepareDirectory(disk.as('a'), '/data', new SeededRandom(2))
    disk.fail = (_process, operation) => (operation === 'exists' ? { code, after: false } : undefined)
    await expect(prepareDirectory(disk.as('a'), '/data')).rejects.toThrow(sentence)
  })
})
