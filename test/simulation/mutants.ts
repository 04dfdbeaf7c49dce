// Mistakes, each of which the simulation must find: the same code with one rule broken. A mutant is a text of the source replaced by another in a copy of the tree, so that
// what runs is real code with a real bug; one whose text is not found exactly once is out of date, and fails.
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Invariant } from './history.ts'
import type { SimulationOptions } from './simulation.ts'

export type Mutant = Readonly<{
  name: string
  /** Any of these may be the first to show it. */
  caughtBy: readonly Invariant[]
  patches: readonly Patch[]
  options?: Partial<SimulationOptions>
}>

export type Patch = Readonly<{ file: string; from: string; to: string }>

const root = fileURLToPath(new URL('../..', import.meta.url))

/** A copy of the tree with the mistake in it; `remove` when done. */
export function makeTree(mutant: Mutant): Readonly<{ path: string; remove: () => void }> {
  const path = mkdtempSync(join(tmpdir(), 'bascule-mutant-'))
  const remove = (): void => rmSync(path, { recursive: true, force: true })
  try {
    for (const part of ['src', 'protocols', 'test/simulation', 'test/support', 'package.json', 'tsconfig.json'])
      cpSync(join(root, part), join(path, part), { recursive: true })
    symlinkSync(join(root, 'node_modules'), join(path, 'node_modules'))
    for (const { file, from, to } of mutant.patches) {
      const text = readFileSync(join(path, file), 'utf8')
      if (text.split(from).length !== 2)
        throw new Error(`mutant "${mutant.name}": ${file} has the text to replace ${text.split(from).length - 1} times: ${from}`)
      writeFileSync(
        join(path, file),
        text.replace(from, () => to),
      )
    }
  } catch (error) {
    remove()
    throw error
  }
  return { path, remove }
}

const FILE_JOURNAL = 'src/journal/file/file-journal.ts'
const WRITER = 'src/journal/file/batch-writer.ts'
const OPEN = 'src/journal/file/open.ts'
const CLAIM = 'src/failover/claim.ts'
const LIVE_TRANSACTION = 'src/core/live-transaction.ts'
const JOBS = 'src/core/jobs.ts'

export const mutants: readonly Mutant[] = [
  {
    name: 'acknowledges before the sync',
    caughtBy: ['successor-has-all', 'acknowledged-is-kept', 'one-history', 'same-state', 'no-late-commit', 'no-false-damage'],
    patches: [
      {
        file: FILE_JOURNAL,
        from: 'this.#writer.write(batch).then(this.#wrote, this.#failed)',
        to: 'this.#writer.write(batch).catch(this.#failed)\n    void Promise.resolve().then(this.#wrote)',
      },
    ],
  },
  {
    name: 'commits are not synced',
    caughtBy: ['successor-has-all', 'acknowledged-is-kept', 'no-false-damage'],
    patches: [
      { file: OPEN, from: "segment }), 'create-synced')", to: "segment }), 'create')" },
      { file: WRITER, from: "disk.open(segment.path, 'create-synced')", to: "disk.open(segment.path, 'create')" },
    ],
  },
  {
    name: 'no look',
    caughtBy: ['no-late-commit', 'look-after-stall'],
    patches: [{ file: 'src/failover/held-claim.ts', from: 'if (!this.#disk.exists(this.#next)) return true', to: 'return true' }],
  },
  {
    name: 'looks before the write and the sync',
    caughtBy: ['no-late-commit'],
    patches: [
      {
        file: FILE_JOURNAL,
        from: 'this.#writer.write(batch).then(',
        to: 'this.looked = this.#begin.leadership.look()\n    this.#writer.write(batch).then(',
      },
      { file: FILE_JOURNAL, from: '    if (!this.#begin.leadership.look()) {\n      this.#lose', to: '    if (!this.looked) {\n      this.#lose' },
      { file: FILE_JOURNAL, from: '  gathering: number\n  committed: number\n', to: '  gathering: number\n  committed: number\n  looked = true\n' },
    ],
  },
  {
    name: 'one lock file for all epochs',
    caughtBy: ['no-needless-claim'],
    options: { lookup: 'exact' },
    patches: [
      {
        file: CLAIM,
        from: "    if (!file.tryLock('exclusive'))",
        to: "    const lockPath = join(epochsIn(directory), 'lock')\n    const openLock = () => disk.open(lockPath, 'create').catch(() => disk.open(lockPath, 'write'))\n    const lock = await openLock().catch(openLock)\n    if (!lock.tryLock('exclusive') && options.leaseMs === 0)",
      },
      { file: CLAIM, from: 'new HeldClaim(options, epoch, file,', to: 'new HeldClaim(options, epoch, lock,' },
      {
        file: 'src/failover/watch.ts',
        from: "    file = await disk.open(claimPath(directory, epoch), 'read')\n",
        to: "    file = await disk.open(`${directory}/epochs/lock`, 'read').catch(() => disk.open(claimPath(directory, epoch), 'read'))\n",
      },
      { file: 'src/failover/watch.ts', from: "verdict === 'free' && (await inodeAt(disk, claimPath(directory, epoch))) !== inode", to: 'inode < 0' },
    ],
  },
  {
    name: 'the seal is not chained: it names the epoch before only',
    caughtBy: ['a-standby-catches-up', 'successor-has-all', 'acknowledged-is-kept', 'no-false-damage', 'true-bytes'],
    patches: [
      {
        file: 'src/journal/file/recover.ts',
        from: 'chain: [...header.content.chain, own, ...voids.reverse()]',
        to: 'chain: [own, ...voids.reverse()]',
      },
    ],
  },
  {
    name: 'the last batch is trusted where it was written, not copied',
    caughtBy: ['no-false-damage', 'successor-has-all', 'one-history', 'acknowledged-is-kept'],
    patches: [
      {
        file: 'src/journal/file/read-log.ts',
        from: '      if (covered(copy.batch)) break\n      stop = copy\n',
        to: '      if (covered(copy.batch)) break\n      backwards.pop()\n      stop = { ...copy, offset: copy.offset + Math.ceil(copy.bytes.length / 512) * 512 }\n',
      },
    ],
  },
  {
    name: 'delivers after it stood still, without a look',
    caughtBy: ['look-after-stall'],
    patches: [{ file: 'src/core/live.ts', from: 'if (!this.#stillLeads()) {', to: 'if (this.#stillLeads === undefined) {' }],
  },
  {
    name: 'numbers do not jump at a claim',
    caughtBy: ['one-number-once'],
    patches: [
      {
        file: 'src/core/places.ts',
        from: 'queue.next = queue.replayNext + SEQUENCE_JUMP * Math.max(1, journal.epoch - queue.sequenceEpoch)',
        to: 'queue.next = queue.replayNext',
      },
    ],
  },
  {
    name: 'a claim overwrites another',
    caughtBy: ['one-leader-an-epoch', 'no-late-commit', 'one-history', 'successor-has-all', 'no-needless-claim'],
    patches: [
      { file: CLAIM, from: '    await disk.link(temporary, path)\n', to: '    await disk.rename(temporary, path)\n' },
      { file: CLAIM, from: '    await disk.unlink(temporary)\n    return new', to: '    return new' },
    ],
  },
  {
    name: 'names of segments are not synced',
    caughtBy: ['same-state', 'successor-has-all', 'acknowledged-is-kept', 'no-false-damage', 'one-leader-an-epoch'],
    patches: [
      { file: OPEN, from: '    await disk.syncDirectory(segmentsIn(directory))\n', to: '' },
      { file: WRITER, from: '    await disk.syncDirectory(segmentsIn(directory))\n', to: '' },
    ],
  },
  {
    name: 'a claim is not durable before the journal is read',
    caughtBy: ['one-leader-an-epoch', 'no-late-commit', 'successor-has-all', 'one-history'],
    patches: [
      {
        file: CLAIM,
        from: '    await disk.syncDirectory(epochsIn(directory))\n    await disk.unlink(temporary)\n',
        to: '    await disk.unlink(temporary)\n',
      },
    ],
  },
  {
    name: 'a follower applies the last batch without waiting',
    caughtBy: ['one-history', 'successor-has-all', 'same-state'],
    patches: [
      {
        file: 'src/journal/file/tail.ts',
        from: '      this.#at += sectorAfter(header.length)\n',
        to: '      this.#at += sectorAfter(header.length)\n      this.decide(tell)\n',
      },
    ],
  },
  {
    name: 'old looks, and nobody waits for their age',
    caughtBy: ['no-late-commit', 'successor-has-all', 'one-history'],
    patches: [],
    options: { lookup: 'cached', settle: 0 },
  },
  {
    name: 'a settlement is answered before its commit',
    caughtBy: ['settled-stays-settled'],
    patches: [
      {
        file: 'src/core/consumer.ts',
        from: 'return live.batches.ticket(this.session, answered && written)',
        to: 'return live.batches.ticket(this.session, false)',
      },
    ],
  },
  {
    name: 'a publish is acknowledged before its commit',
    caughtBy: ['acknowledged-is-kept'],
    patches: [
      {
        file: 'src/core/session.ts',
        from: "return this.#live.batches.ticket(this, true)\n      case 'done'",
        to: "return this.#live.batches.ticket(this, false)\n      case 'done'",
      },
    ],
  },
  {
    name: 'delivers before the commit',
    caughtBy: ['acknowledged-is-kept', 'one-number-once'],
    patches: [{ file: 'src/core/places.ts', from: 'if (durable || unmade || queue.pending > 0 || behind) {', to: 'if (row < 0) {' }],
  },
  {
    name: 'a snapshot holds what is not committed',
    caughtBy: ['same-state', 'one-history', 'acknowledged-is-kept', 'no-false-damage', 'successor-has-all'],
    patches: [
      {
        file: FILE_JOURNAL,
        from: 'chain: [...chain, { epoch: this.epoch, ...this.#end }] }',
        to: 'chain: [...chain, { epoch: this.epoch, ...(this.#writing === undefined ? this.#end : { segment: this.#writing.segment.segment, end: this.#writing.image.base + sectorAfter(this.#writing.start + this.#writing.length) }) }] }',
      },
    ],
  },
  {
    name: 'a failed sync is tried again',
    caughtBy: ['successor-has-all', 'acknowledged-is-kept', 'no-false-damage'],
    patches: [
      {
        file: WRITER,
        from: 'return this.#file.write([image.buffer.subarray(start, sectorAfter(start + length))], offset)',
        to: 'const file = this.#file\n    return file.write([image.buffer.subarray(start, sectorAfter(start + length))], offset).catch(() => file.sync())',
      },
    ],
  },
  {
    name: 'the lease runs out too soon',
    caughtBy: ['no-needless-claim'],
    patches: [
      { file: 'src/failover/lease.ts', from: 'startedMs - this.#sinceMs >= this.#leaseMs)', to: 'startedMs - this.#sinceMs >= this.#leaseMs / 8)' },
    ],
  },
  {
    name: 'heartbeats do not name the last batch',
    caughtBy: ['a-standby-catches-up'],
    patches: [{ file: 'src/failover/held-claim.ts', from: '    this.#batch = batch\n', to: '    this.#batch = batch < 0 ? batch : 0\n' }],
  },
  {
    name: 'of a run of settlements a reader applies the first',
    caughtBy: ['same-state', 'settled-stays-settled'],
    patches: [{ file: 'src/core/apply.ts', from: 'sequence < first + count; sequence++', to: 'sequence < first + Math.min(1, count); sequence++' }],
  },
  {
    name: 'of the queues of a topic a message reaches the first',
    caughtBy: ['all-or-none', 'acknowledged-is-kept'],
    patches: [
      {
        file: 'src/core/apply.ts',
        from: 'i < set.queues.length; i++) if (set.queues[i].alive) state',
        to: 'i < 1; i++) if (set.queues[i].alive) state',
      },
    ],
  },
  {
    name: 'of the messages of a transaction a commit places the first half',
    caughtBy: ['all-or-none', 'acknowledged-is-kept'],
    patches: [
      {
        file: 'src/core/unfolding.ts',
        from: '  for (let i = 0; i < record.rows.length; i++) {\n    row = record.rows[i]',
        to: '  for (let i = 0; i < Math.ceil(record.rows.length / 2); i++) {\n    row = record.rows[i]',
      },
    ],
  },
  {
    name: 'a commit forgets what was settled',
    caughtBy: ['all-or-none', 'settled-stays-settled'],
    patches: [
      {
        file: 'src/core/unfolding.ts',
        from: 'run < record.goneQueues.length; run++',
        to: 'run < record.goneQueues.length && record.rows.length === 0; run++',
      },
    ],
  },
  {
    name: 'a commit is answered before it is durable',
    caughtBy: ['all-or-none', 'acknowledged-is-kept', 'settled-stays-settled'],
    patches: [
      {
        file: LIVE_TRANSACTION,
        from: 'return this.#live.batches.ticket(session, this.#commit())',
        to: 'this.#commit()\n    return this.#live.batches.ticket(session, false)',
      },
    ],
  },
  {
    name: 'a transaction is seen before its commit is durable',
    caughtBy: ['all-or-none', 'acknowledged-is-kept', 'one-number-once'],
    patches: [{ file: 'src/core/transactions.ts', from: 'const batch = live.facts.uncommitted ? live.facts.batch : 0', to: 'const batch = 0' }],
  },
  {
    name: 'a transaction is kept over a takeover',
    caughtBy: ['all-or-none', 'refused-has-no-effect', 'same-state'],
    patches: [
      {
        file: 'src/core/transactions.ts',
        from: "live.facts.admit(FACT.rollback, live.facts.writer.reset().f64(number), 'drain')",
        to: "live.facts.admit(FACT.commit, live.facts.writer.reset().f64(number).u32(1_000), 'drain')",
      },
    ],
  },
  {
    name: 'what a transaction settled is not given back when it is rolled back',
    caughtBy: ['acknowledged-is-kept'],
    patches: [
      {
        file: LIVE_TRANSACTION,
        from: 'this.#live.places.putBack(queue, row, 0)',
        to: 'void queue',
      },
    ],
  },
  {
    name: 'what a transaction settled is given to the next when it is rolled back',
    caughtBy: ['settled-stays-settled', 'one-consumer-a-group'],
    patches: [
      {
        file: LIVE_TRANSACTION,
        from: 'if (live.dispatch.unclaim(row)) entries.set(row, FLAGS, entries.get(row, FLAGS) & ~ENTRY_FLAG.claimed)',
        to: 'entries.set(row, FLAGS, entries.get(row, FLAGS) & ~ENTRY_FLAG.claimed)\n    live.dispatch.forget(row)\n    if (row > 0) live.places.putBack(queue, row, 0)',
      },
    ],
  },
  {
    name: 'that a scheduled message was sent is recorded after it, not with it',
    caughtBy: ['as-often-as-planned'],
    patches: [
      { file: JOBS, from: '    publisher.firing = job\n', to: '' },
      {
        file: JOBS,
        from: '    if (!publisher.recorded) {\n',
        to: `    live.clock.after(2, () => {
      if (live.lost !== undefined) return
      const after = live.facts.writer.reset().u32(number).u32(job.fired + 1).f64(nowMs)
      live.facts.admit(FACT.jobFired, after, 'drain')
      if (live.state.jobs.has(number) && !isOver(job)) this.#arm(job)
    })
    if (job.number > 0) return
    if (!publisher.recorded) {
`,
      },
    ],
  },
  {
    name: 'a message is given out before its time by a leader that finds it',
    caughtBy: ['not-early'],
    patches: [
      {
        file: 'src/core/places.ts',
        from: 'const at = Math.max(notBefore.get(row) ?? 0, messages.deliverAt.get(entries.get(row, MESSAGE)) ?? 0)',
        to: 'const at = notBefore.get(row) ?? 0',
      },
    ],
  },
  {
    name: 'a group that nobody owns goes to another while messages of it are out',
    caughtBy: ['one-consumer-a-group'],
    patches: [{ file: 'src/core/groups.ts', from: '(owner === undefined && bucket.out > 0)', to: '(owner === undefined && bucket.out < 0)' }],
  },
  {
    name: 'who chooses by a selector does not see what was there before',
    caughtBy: ['acknowledged-is-kept'],
    patches: [{ file: 'src/core/sweep.ts', from: 'this.#until = selection.queue.next\n', to: 'this.#until = 0\n' }],
  },
  {
    name: 'what one selector takes goes to every one',
    caughtBy: ['as-selected'],
    patches: [
      {
        file: 'src/core/selector/selector-set.ts',
        from: 'of this.#others) if (selector.takes(message)) taken(what)',
        to: 'of this.#others) if (selector.equality === undefined) taken(what)',
      },
    ],
  },
]
