// Whether a look for a file asks the disk or the file server each time (rule 19 of the failover protocol, its section 5): judged from the options of the mount.
// Pure but for `lookupOf`; what follows from the answer is decided where the node is put together.
import { readFile, realpath } from 'node:fs/promises'
import { resolve } from 'node:path'

/** `exact`: a look, a listing and an open see what is there now. `unknown`: they may see what was there; `sentence` says what to do about it. */
export type MountJudgement = Readonly<{ lookup: 'exact' | 'unknown'; type: string; sentence: string }>

/** Judges the mount that `path` (absolute, without symbolic links) lies on. `mountinfo`: the text of /proc/self/mountinfo. */
export function judgeMount(mountinfo: string, path: string): MountJudgement {
  const mount = mountOf(mountinfo, path)
  if (mount === undefined) return exact('')
  const { type, options } = mount
  if (type === 'nfs' || type === 'nfs4') return judgeNfs(type, options)
  if (!isRemote(type)) return exact(type)
  return unknown(type, `${path} is on a ${type} mount, of which is not known whether a look may be answered from a cache`)
}

/** Where there is no /proc/self/mountinfo (not Linux) the answer is exact: what is mounted cannot be told. */
export async function lookupOf(path: string): Promise<MountJudgement> {
  let mountinfo: string
  try {
    mountinfo = await readFile('/proc/self/mountinfo', 'utf8')
  } catch {
    return exact('')
  }
  return judgeMount(mountinfo, await realpath(path).catch(() => resolve(path)))
}

type Mount = Readonly<{ type: string; options: ReadonlyMap<string, string> }>

/** The longest mount point above the path; of two on one point the later, which hides the other. */
function mountOf(mountinfo: string, path: string): Mount | undefined {
  let found: Mount | undefined
  let longest = -1
  for (const line of mountinfo.split('\n')) {
    // id parent device root point options optional… - type source super-options
    const [before, after] = line.split(' - ')
    const point = unescape(before.split(' ')[4] ?? '')
    if (after === undefined || point === '' || point.length < longest || !isUnder(path, point)) continue
    const [type, , options = ''] = after.split(' ')
    longest = point.length
    found = { type, options: optionsOf(options) }
  }
  return found
}

/** The kernel writes space, tab, newline, backslash and `#` as three octal digits. */
const unescape = (text: string): string => text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)))

const isUnder = (path: string, point: string): boolean => point === '/' || path === point || path.startsWith(`${point}/`)

const optionsOf = (text: string): ReadonlyMap<string, string> =>
  new Map(
    text.split(',').map((option) => {
      const at = option.indexOf('=')
      return at === -1 ? [option, ''] : [option.slice(0, at), option.slice(at + 1)]
    }),
  )

const TIMES = ['acregmin', 'acregmax', 'acdirmin', 'acdirmax']

/**
 * `actimeo=0` shows as four zeros, `noac` as itself. `lookupcache=none` alone makes the look exact but not the listing of a directory, which is answered from
 * the cache as long as the directory's attributes are: a claimant that does not see the newest segment would leave out what it holds.
 */
function judgeNfs(type: string, options: ReadonlyMap<string, string>): MountJudgement {
  if (options.has('nocto'))
    return unknown(type, 'The mount has the option nocto: a file that is opened may be read from an old cache. Mount without it')
  const locks = options.get('local_lock')
  if (options.has('nolock') || locks === 'all' || locks === 'posix')
    return unknown(
      type,
      'The mount keeps file locks on this machine (nolock or local_lock): the nodes cannot see that the other lives. Mount without it',
    )
  if (options.has('noac') || TIMES.every((name) => options.get(name) === '0')) return exact(type)
  return unknown(type, 'The mount answers looks and listings from a cache. Mount with actimeo=0,lookupcache=none')
}

const exact = (type: string): MountJudgement => ({ lookup: 'exact', type, sentence: '' })

const unknown = (type: string, what: string): MountJudgement => ({
  lookup: 'unknown',
  type,
  sentence: `${what}, or set failover.lookup: "exact" if the server answers each look, "cached" if an answer may be old (a takeover then waits failover.lookupMaxAgeMs).`,
})

const REMOTE = new Set([
  'cifs',
  'smb3',
  'smbfs',
  'ncpfs',
  '9p',
  'virtiofs',
  'ceph',
  'glusterfs',
  'lustre',
  'afs',
  'coda',
  'gfs',
  'gfs2',
  'ocfs2',
  'ocfs2_dlmfs',
  'orangefs',
  'pvfs2',
  'gpfs',
  'beegfs',
  'fhgfs',
  'wekafs',
  'panfs',
  'vboxsf',
  'vmhgfs',
  'prl_fs',
  'prl_fs_freeze',
  'drvfs',
  'acfs',
  'quobyte',
  'fuse',
])

/** Whatever runs in a process of its own may be anything; fuseblk is a local disk (ntfs-3g, exfat). */
const isRemote = (type: string): boolean => REMOTE.has(type) || type.startsWith('fuse.')
