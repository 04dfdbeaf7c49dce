// What the models of docs/failover are asked: each size at which the protocol must hold, and each mutant (a rule left out) that must be refuted.
// `docs/failover/protocol.md` says what each mutant is and what its counterexample tells.

export type Check = Readonly<{
  /** A file of docs/failover, without `.pml`. */
  model: string
  name: string
  /** Preprocessor switches, without `-D`. */
  switches: readonly string[]
  /** What the search must end with. */
  holds: boolean
}>

const switchesOf = (text: string): readonly string[] => text.split(' ').filter((one) => one !== '')
const holds = (model: string, name: string, switches = ''): Check => ({ model, name, switches: switchesOf(switches), holds: true })
/** Of mutants, and of what must be reachable: there the counterexample is the proof. */
const refuted = (model: string, switches: string, sizes = ''): Check => ({
  model,
  name: switches,
  switches: switchesOf(`${sizes} ${switches}`),
  holds: false,
})

const TWO = 'NN=2 E=3 R=2'
const FOUR_EPOCHS = 'NN=2 E=4 R=1'
const commits: readonly Check[] = [
  holds('failover', 'two nodes, two takeovers, local disk', TWO),
  holds('failover', 'two nodes, two takeovers, file server', `${TWO} NFS`),
  holds('failover', 'three nodes, one takeover', 'NN=3 E=2 R=3'),
  holds('failover', 'no copy, but a sync after reading, on one local machine', `${TWO} V_FSYNC LOCAL`),
  holds('failover', 'on a local disk a look before the sync would do', `${TWO} M_LOOKFIRST`),
  holds('failover', 'a write after the look harms followers only', `${TWO} M_SHUTWRITE NOFOLLOW`),
  ...['M_NOLOOK', 'M_LOOKB4WRITE', 'M_LOOKFIRST NFS', 'M_READFIRST', 'M_NOSEAL', 'M_NOEXCL', 'M_CLAIMND', 'M_GAP', 'M_NODIR', 'M_NOADOPT'].map(
    (mutant) => refuted('failover', mutant, TWO),
  ),
  ...['M_NOADOPT LOCAL', 'M_FSYNCFIRST LOCAL', 'V_FSYNC', 'M_SEALNOLOOK', 'M_SHUTWRITE', 'REACH'].map((mutant) => refuted('failover', mutant, TWO)),
  refuted('failover', 'M_APPEND', 'NN=2 E=3 R=3'),
  ...['M_PREVONLY', 'M_CLEAN', 'V_CLEANOWN'].map((mutant) => refuted('failover', mutant, FOUR_EPOCHS)),
]

const lease: readonly Check[] = [
  holds('failover', 'an exact look needs no lease', 'TIMED TM=8 EXACT LOCKFALL DH=2'),
  holds('failover', 'an old look: claim, wait, read', 'TIMED TM=8 WAITD LOCKFALL DH=2'),
  holds('failover', 'an old look and old listings: claim, wait for both, read', 'TIMED TM=8 WAITD DR=2 WM=2'),
  holds('failover', 'an old look, a lease that is never revived', 'TIMED TM=10 LEASE NOREVIVE'),
  holds('failover', 'an old look, old heartbeats, a lease with a margin', 'TIMED TM=10 LEASE NOREVIVE DH=2 DW=2'),
  ...[
    'TIMED TM=9',
    'TIMED TM=10 LEASE',
    'TIMED TM=10 LEASE NOREVIVE DH=2',
    'TIMED TM=10 LEASE NOREVIVE DH=2 DW=2 LOCKFALL',
    'TIMED TM=8 WAITD DR=2',
    'TIMED TM=8 EXACT DR=2',
    'TIMED TM=9 WAITD VMPAUSE',
    'TIMED TM=9 WAITD LEASE VMPAUSE',
    'TIMED TM=9 WAITD LOCKFALL DH=2 REACH',
  ].map((switches) => refuted('failover', switches)),
]

const lock: readonly Check[] = [
  holds('lock', 'three nodes, three epochs: claims only when they should come'),
  ...[
    'M_LOCKAFTER',
    'M_ONEFILE',
    'M_PROBEEXCL',
    'M_POSIX',
    'M_WATCHOLD',
    'M_TIMERKEEPS',
    'M_BEATLATE',
    'M_SLEPT',
    'M_RELEASEFIRST',
    'M_CLOSEFIRST',
    'REACH',
  ].map((mutant) => refuted('lock', mutant)),
]

const segments: readonly Check[] = [
  holds('segments', 'three epochs of two segments'),
  ...['M_NOSEGMENT', 'M_NONAME', 'M_TWOINFLIGHT', 'M_OLDBYTES', 'REACH'].map((mutant) => refuted('segments', mutant)),
]

const space: readonly Check[] = [
  holds('space', 'snapshots, deletion, a slow reader'),
  holds('space', 'with committed facts only, no snapshot lies beyond a seal', 'R=2 V_BEYONDUSED'),
  ...['M_DELFIRST', 'M_RENAMEFIRST', 'M_SNAPUNCOMMITTED', 'M_FREEHEADER', 'M_FREELAST', 'M_NORELIST'].map((mutant) =>
    refuted('space', mutant, 'E=2'),
  ),
  refuted('space', 'M_SNAPUNCOMMITTED V_BEYONDUSED'),
  refuted('space', 'REACH', 'R=2'),
]

const moved: readonly Check[] = [
  holds('moved', 'a record that is moved twice'),
  ...['M_COPYLATE', 'M_FREEEARLY', 'M_SWEEPEARLY', 'REACH'].map((mutant) => refuted('moved', mutant)),
]

const failedSync: readonly Check[] = [
  holds('failed-sync', 'syncs that fail, pages that vanish'),
  ...['M_RETRY', 'M_GOON', 'M_NOCOPY', 'M_FSYNC', 'REACH'].map((mutant) => refuted('failed-sync', mutant)),
]

const follower: readonly Check[] = [
  holds('follower', 'a standby that follows, with heartbeats'),
  ...['M_LASTTOLD', 'M_BEATEARLY', 'M_ONEBEAT', 'M_HEADERSEEN', 'M_LATERSNAP', 'REACH'].map((mutant) => refuted('follower', mutant)),
]

export const checks: readonly Check[] = [...commits, ...lease, ...lock, ...segments, ...space, ...moved, ...failedSync, ...follower]
