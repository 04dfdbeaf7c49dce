// The file of a node, `nodes/node-<id>`: one line of JSON for people and programs, one with its CRC, padded with spaces to one size, so that it is overwritten in place.
import { join } from 'node:path'
import { crc32 } from '../journal/crc.ts'
import { nodesIn } from './heartbeat.ts'

export type NodeNotice = Readonly<{
  node: string
  pid: number
  host: string
  version: string
  startedMs: number
  /** As in `management/api.ts`. */
  role: string
  /** Of its own term; 0 while it does not lead. */
  epoch: number
  /** By listener name, `host:port` for clients. */
  addresses: Readonly<Record<string, string>>
  /** How far it follows the journal; undefined while it does not. */
  follow: Readonly<{ state: string; batch: number }> | undefined
}>

export const NODE_FILE_BYTES = 4096

const PREFIX = 'node-'
/** Bytes of an id; three characters each in the worst case, and a file name has 255. */
const ID_BYTES_MAX = 80

/** Every id has a name of its own that is safe in a directory. Throws one sentence when it is too long. */
export function nodeFileName(node: string): string {
  const bytes = Buffer.from(node)
  if (bytes.length > ID_BYTES_MAX) throw new Error(`The node's name is longer than ${ID_BYTES_MAX} bytes: choose a shorter one with --node.`)
  let name = PREFIX
  for (const byte of bytes) {
    const character = String.fromCharCode(byte)
    name += /[A-Za-z0-9_.-]/.test(character) ? character : `%${byte.toString(16).padStart(2, '0')}`
  }
  return name
}

export const nodeFilePath = (directory: string, name: string): string => join(nodesIn(directory), name)

export const isNodeFile = (name: string): boolean => name.startsWith(PREFIX)

/** What does not fit is left out, the addresses first: it is news, not a promise. */
export function encodeNodeFile(notice: NodeNotice): Buffer {
  for (const tried of [notice, { ...notice, addresses: {} }, { ...notice, addresses: {}, host: '', version: '', follow: undefined }]) {
    const line = `${JSON.stringify(tried)}\n`
    const text = `${line}${crc32(Buffer.from(line)).toString(16).padStart(8, '0')}\n`
    const length = Buffer.byteLength(text)
    if (length <= NODE_FILE_BYTES) return Buffer.from(text + ' '.repeat(NODE_FILE_BYTES - length))
  }
  throw new Error('a notice of a node does not fit its file')
}

/** Undefined: torn, or not a node's. */
export function decodeNodeFile(bytes: Buffer): NodeNotice | undefined {
  const end = bytes.indexOf(0x0a) + 1
  if (end === 0 || bytes.toString('latin1', end, end + 9) !== `${crc32(bytes.subarray(0, end)).toString(16).padStart(8, '0')}\n`) return undefined
  let value: unknown
  try {
    value = JSON.parse(bytes.toString('utf8', 0, end))
  } catch {
    return undefined
  }
  return readNotice(value)
}

/** Another version may have written it: what it knows more is passed over, what is missing makes it foreign. */
function readNotice(value: unknown): NodeNotice | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { node, pid, host, version, startedMs, role, epoch, addresses, follow } = value as Partial<Record<keyof NodeNotice, unknown>>
  if (typeof node !== 'string' || typeof host !== 'string' || typeof version !== 'string' || typeof role !== 'string') return undefined
  if (typeof pid !== 'number' || typeof startedMs !== 'number' || typeof epoch !== 'number') return undefined
  return { node, pid, host, version, startedMs, role, epoch, addresses: readAddresses(addresses), follow: readFollow(follow) }
}

function readAddresses(value: unknown): Readonly<Record<string, string>> {
  if (typeof value !== 'object' || value === null) return {}
  return Object.fromEntries(Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string'))
}

function readFollow(value: unknown): NodeNotice['follow'] {
  if (typeof value !== 'object' || value === null) return undefined
  const { state, batch } = value as Readonly<{ state?: unknown; batch?: unknown }>
  return typeof state === 'string' && typeof batch === 'number' ? { state, batch } : undefined
}
