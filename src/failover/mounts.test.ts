// What the kernel writes for NFS options: fs/nfs/super.c, nfs_show_mount_options (acregmin … only where not the default; `noac`, `nocto`, `nolock` as words).
import { describe, expect, it } from 'vitest'
import { judgeMount, lookupOf } from './mounts.ts'

const root = '27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard'
const line = (point: string, type: string, options = 'rw', optional = 'shared:5'): string =>
  `90 27 0:50 / ${point} rw,relatime ${optional} - ${type} server:/export ${options}`
const nfs = (options: string, type = 'nfs4'): string =>
  `${root}\n${line('/mnt/j', type, `rw,vers=4.2,rsize=1048576${options},hard,proto=tcp,sec=sys`)}\n`
const judge = (mountinfo: string, path = '/mnt/j/data'): string => judgeMount(mountinfo, path).lookup

describe('the judgement of a mount', () => {
  it('trusts local disks, also a device mounted through a user-space driver', () => {
    for (const type of ['ext4', 'xfs', 'btrfs', 'zfs', 'tmpfs', 'overlay', 'fuseblk', 'f2fs'])
      expect(judgeMount(`${root}\n${line('/mnt/j', type)}`, '/mnt/j/data')).toEqual({ lookup: 'exact', type, sentence: '' })
  })

  it('does not know what a network or user-space file system answers from a cache, and says what to set', () => {
    for (const type of ['cifs', 'smb3', '9p', 'virtiofs', 'ceph', 'glusterfs', 'lustre', 'fuse.sshfs', 'fuse.glusterfs', 'fuse']) {
      const judged = judgeMount(`${root}\n${line('/mnt/j', type)}`, '/mnt/j/data')
      expect(judged).toMatchObject({ lookup: 'unknown', type })
      expect(judged.sentence).toMatch(/failover\.lookup: "exact" .* "cached"/)
    }
  })

  it('trusts NFS only where neither looks nor listings come from a cache', () => {
    const zeros = ',acregmin=0,acregmax=0,acdirmin=0,acdirmax=0'
    expect(judge(nfs(zeros))).toBe('exact')
    expect(judge(nfs(`${zeros},lookupcache=none,local_lock=none`))).toBe('exact')
    expect(judge(nfs(',noac'))).toBe('exact')
    expect(judge(nfs(',noac', 'nfs'))).toBe('exact')
    // The look is exact then, a listing is not.
    expect(judge(nfs(',lookupcache=none'))).toBe('unknown')
    expect(judge(nfs(',lookupcache=pos'))).toBe('unknown')
    expect(judge(nfs(''))).toBe('unknown')
    expect(judge(nfs(',acregmin=0,acregmax=0,acdirmin=0'))).toBe('unknown')
    expect(judge(nfs(',acregmin=1,acregmax=1,acdirmin=1,acdirmax=1'))).toBe('unknown')
    expect(judgeMount(nfs(''), '/mnt/j').sentence).toContain('actimeo=0,lookupcache=none')
  })

  it('does not trust NFS that opens old files or keeps its locks to itself', () => {
    const judged = (options: string): string => judgeMount(nfs(`,noac${options}`), '/mnt/j').sentence
    expect(judged(',nocto')).toContain('nocto')
    for (const options of [',nolock', ',local_lock=all', ',local_lock=posix']) expect(judged(options)).toContain('locks')
    expect(judged(',local_lock=flock')).toBe('')
  })

  it('takes the mount nearest to the path, and the later of two on one point', () => {
    const under = `${root}\n${line('/mnt', 'nfs4')}\n${line('/mnt/j', 'xfs')}\n`
    expect([judge(under), judge(under, '/mnt/jdata'), judge(under, '/mnt'), judge(under, '/srv')]).toEqual(['exact', 'unknown', 'unknown', 'exact'])
    expect(judge(`${root}\n${line('/mnt/j', 'xfs')}\n${line('/mnt/j', 'nfs4')}\n`)).toBe('unknown')
    expect(judge(`${root}\n${line('/mnt/j', 'nfs4')}\n${line('/mnt/j', 'xfs')}\n`)).toBe('exact')
  })

  it('reads escaped names, and lines with no or many optional fields', () => {
    expect(judge(`${root}\n${line('/mnt/my\\040disk', 'cifs')}\n`, '/mnt/my disk/data')).toBe('unknown')
    expect(judge(`${root}\n${line('/mnt/a\\134b', 'cifs')}\n`, '/mnt/a\\b')).toBe('unknown')
    expect(judge(`${root}\n90 27 0:50 / /mnt/j rw - nfs4 s:/e rw\n`)).toBe('unknown')
    expect(judge(`${root}\n${line('/mnt/j', 'nfs4', 'rw', 'shared:5 master:3 propagate_from:2')}\n`)).toBe('unknown')
  })

  it('is exact where nothing is known of mounts, and is not disturbed by lines that make no sense', () => {
    expect(judgeMount('', '/x')).toEqual({ lookup: 'exact', type: '', sentence: '' })
    expect(judge(`garbage\n - \n\n1 2 3\n${root}`)).toBe('exact')
  })

  it('is asked of the machine it runs on, also for a path that is not there', async () => {
    for (const path of ['/', '/no/such/path']) expect(['exact', 'unknown']).toContain((await lookupOf(path)).lookup)
  })
})
