// The data directory itself: made once, recognised ever after. It changes nothing when it refuses.
//
//   format                 one line: bascule-journal <format> <cluster id>
//   epochs/ segments/ snapshots/
//   nodes/                 who is here (src/failover/nodes.ts); made when first needed
import { dirname, join } from 'node:path'
import { type Disk, codeOf, readWhole } from '../../disk.ts'
import type { Random } from '../../random.ts'
import { realRandom } from '../../random.ts'
import { JournalDamage } from './damage.ts'
import { FORMAT } from './segment.ts'

export type DirectoryFacts = Readonly<{ format: number; cluster: string }>

const FOLDERS = ['epochs', 'segments', 'snapshots']
const NODES = 'nodes'
const FORMAT_FILE = 'format'

/** Makes an empty or absent directory ours, or checks that it is. Throws an error with one sentence that says what to do. */
export async function prepareDirectory(disk: Disk, directory: string, random: Random = realRandom): Promise<DirectoryFacts> {
  const names = await namesIn(disk, directory)
  if (names === undefined) {
    await makeRoot(disk, directory)
    return make(disk, directory, random)
  }
  if (names.includes(FORMAT_FILE)) {
    const facts = await readFormat(disk, directory)
    await checkWritable(disk, directory)
    return facts
  }
  // A crash, or another node, may be between the folders and the format file: those are ours to finish. Anything else is somebody's.
  const foreign = names.find((name) => !FOLDERS.includes(name) && name !== NODES && !isTemporaryFormat(name))
  if (foreign !== undefined)
    throw new Error(
      `${directory} is not a Bascule data directory: it holds "${foreign}" and no "format" file. Name an empty or new directory with --data.`,
    )
  await checkWritable(disk, directory)
  return make(disk, directory, random)
}

/** What `format` says. Throws with a sentence when it is not ours, or newer. */
export async function readFormat(disk: Disk, directory: string): Promise<DirectoryFacts> {
  const text = (await readWhole(disk, join(directory, FORMAT_FILE), 4096)).toString()
  const match = /^bascule-journal ([0-9]+) ([0-9a-f]{32})\n$/.exec(text)
  if (match === null) {
    const what = text.length === 0 ? 'is empty' : 'is not of Bascule'
    throw new Error(
      `${join(directory, FORMAT_FILE)} ${what}: this is not a Bascule data directory, or it is damaged. Name another with --data, or restore the file from a copy.`,
    )
  }
  const format = Number(match[1])
  if (format > FORMAT)
    throw new JournalDamage(
      'newer',
      FORMAT_FILE,
      0,
      `${directory} was written by a newer version of Bascule (format ${format}, this version knows ${FORMAT}): start that version, or a later one`,
    )
  return { format, cluster: match[2] }
}

/** The cluster of a directory. Throws when it is not the one that it was. */
export async function readCluster(disk: Disk, directory: string, expected: string | undefined): Promise<string> {
  const { cluster } = await readFormat(disk, directory)
  if (expected !== undefined && cluster !== expected)
    throw new JournalDamage(
      'foreign',
      FORMAT_FILE,
      0,
      `${directory} is another cluster's directory now (${cluster}, and not ${expected}): put the right one back, or restart the node to use this one`,
    )
  return cluster
}

/** Undefined: the directory is not there. */
async function namesIn(disk: Disk, directory: string): Promise<string[] | undefined> {
  try {
    return await disk.list(directory)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    if (codeOf(error) === 'ENOTDIR') throw new Error(`${directory} is a file, not a directory. Name a directory with --data.`)
    if (codeOf(error) === 'EACCES' || codeOf(error) === 'EPERM')
      throw new Error(`${directory} cannot be read by this user. Give it access, or name another directory with --data.`)
    throw error
  }
}

async function checkWritable(disk: Disk, directory: string): Promise<void> {
  for (const path of [directory, ...FOLDERS.map((folder) => join(directory, folder))]) {
    try {
      await disk.checkWritable(path)
    } catch (error) {
      if (codeOf(error) !== 'ENOENT' || path === directory) throw refusal(path, error)
      // The folders come before the format: where that is, another node may have made both since the look.
      if (await hasFormat(disk, directory)) await checkThere(disk, path)
    }
  }
}

async function checkThere(disk: Disk, path: string): Promise<void> {
  try {
    await disk.checkWritable(path)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw refusal(path, error)
    throw new Error(`${path} is missing: the data directory is not complete. Restore it from a copy, or name another with --data.`)
  }
}

async function hasFormat(disk: Disk, directory: string): Promise<boolean> {
  return (await disk.list(directory)).includes(FORMAT_FILE)
}

function refusal(path: string, error: unknown): unknown {
  switch (codeOf(error)) {
    case 'EROFS':
      return new Error(`${path} is on a file system mounted read-only. Mount it writable, or name another directory with --data.`)
    case 'EACCES':
    case 'EPERM':
      return new Error(`${path} is not writable by this user. Give it write access, or name another directory with --data.`)
    case 'ENOSPC':
      return new Error(`${path} cannot be set up: the disk is full. Free some space, or name another directory with --data.`)
    default:
      return error
  }
}

async function makeRoot(disk: Disk, directory: string): Promise<void> {
  try {
    await disk.mkdir(directory)
  } catch (error) {
    if (codeOf(error) === 'ENOTDIR' || codeOf(error) === 'EEXIST')
      throw new Error(`${directory} cannot be made: a part of the path is a file. Name another directory with --data.`)
    throw refusal(directory, error)
  }
  await disk.syncDirectory(dirname(directory))
}

const isTemporaryFormat = (name: string): boolean => name.startsWith('.format-')

/** The format file comes last, whole, and exclusively: of two nodes that do this at once one's cluster id wins, and both read it. */
async function make(disk: Disk, directory: string, random: Random): Promise<DirectoryFacts> {
  try {
    for (const folder of FOLDERS) await disk.mkdir(join(directory, folder))
    const cluster = Buffer.from(random.bytes(16)).toString('hex')
    const temporary = join(directory, `.format-${cluster}`)
    const file = await disk.open(temporary, 'create')
    try {
      await file.write([Buffer.from(`bascule-journal ${FORMAT} ${cluster}\n`)], 0)
      await file.sync()
    } finally {
      await file.close()
    }
    try {
      await disk.link(temporary, join(directory, FORMAT_FILE))
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error
    }
    await disk.unlink(temporary)
    await disk.syncDirectory(directory)
  } catch (error) {
    throw refusal(directory, error)
  }
  return readFormat(disk, directory)
}
