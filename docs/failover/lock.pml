/* The OS lock, the heartbeat and the hand-over (rules 2 and 4, lease): when may a standby try? Safety does not rest on this, that is `failover.pml`'s: there a
 * claim may come at any moment. Here it must come only when it should: never under a leader that is well, always when the leader is gone.
 *
 * A lock belongs to a claim file (its inode), and falls when its holder dies or gives it away. Nodes may hang (a paused process keeps its locks and beats
 * no heart) and wake. Time is not counted: the lease of a standby may run out only when the one it watches has been silent all the while.
 *
 * Checked at each step: a claim is made only where the holder of the highest epoch is dead, has released, or has hung (probe: dead or released only);
 * a probe that says "held" means that its owner has it: so the death of whoever leads is seen; what a leader has in flight at a hand-over is committed.
 *
 * Mutants, each to be refuted:
 *   M_LOCKAFTER     the lock is taken after the link
 *   M_ONEFILE       one lock file for all epochs
 *   M_PROBEEXCL     a probe locks exclusively, and is seen by another's
 *   M_POSIX         the lock falls when its process closes any descriptor of the file (fcntl locks): a leader reads its own claim
 *   M_WATCHOLD      a standby goes on watching the claim that it saw first
 *   M_TIMERKEEPS    the lease goes on when a new epoch appears
 *   M_BEATLATE      the successor's heart beats only when it leads, not while it reads
 *   M_SLEPT         a standby that was itself stopped takes its own silence for the leader's
 *   M_RELEASEFIRST  at a hand-over the lock is released before the last commit
 *   M_CLOSEFIRST    at a hand-over clients are closed before the lock is released
 *   REACH           (sanity) a lock fell, a lease ran out, and a leader handed over in one run                                              */
#ifndef NN
#define NN 3
#endif
#ifndef E
#define E 3
#endif

#define DOWN    0
#define STBY    1
#define EXPIRED 2   /* its lease ran out over epoch watch          */
#define FREELY  3   /* its probe found the lock of `watch` free    */
#define LINKED  4   /* mutant: linked, not yet locked              */
#define READS   5   /* has claimed; reads the journal              */
#define LEADS   6
#define FLIGHT  7   /* one commit in flight                        */
#define LAST    8   /* hand-over: takes no more; commits what it has */
#define FREED   9   /* hand-over: has released                     */

#define NOBODY 255

byte st[NN], ep[NN], watch[NN];
bit  hung[NN];
bit  flight[NN];               /* a commit is in flight                                   */
byte holder[E+2];              /* who holds the lock of claim e (M_ONEFILE: of file 0)    */
byte owner[E+2];               /* who made claim e                                        */
bit  sick[E+2];                /* ghost: its owner hung at some time after the claim      */
bit  ended[E+2];               /* ghost: its owner died, released, or stepped down        */
byte prober;                   /* mutant M_PROBEEXCL: 1 + who holds the lock for a probe  */
byte highest;
#ifdef REACH
bit  byLock, byLease, byHand;
#endif
#ifdef M_SLEPT
bit  slept[NN];
#define SLEPT(n) || slept[n]
#else
#define SLEPT(n)
#endif
#ifdef M_BEATLATE
#define SILENT(n) (hung[n] || st[n]==READS)
#else
#define SILENT(n) hung[n]
#endif

#ifdef M_ONEFILE
#define FILE(e) 0
#else
#define FILE(e) (e)
#endif
/* what it found of a lower epoch says nothing of the highest */
#if defined(M_WATCHOLD)
#define STALE(n) 0
#elif defined(M_TIMERKEEPS)
#define STALE(n) (watch[n]!=highest && st[n]==FREELY)
#else
#define STALE(n) (watch[n]!=highest)
#endif

inline drop(n) {                /* the process of n holds no lock any more */
  j=0; do :: j<=E -> if :: holder[j]==n -> holder[j]=NOBODY :: else fi; j++ :: else -> break od; j=0;
  if :: ep[n]>0 -> ended[ep[n]]=1; sick[ep[n]]=0; owner[ep[n]]=NOBODY :: else fi; ep[n]=0; flight[n]=0 }

proctype node(byte n) {
  byte j;
  do
  /* a crash; a hang and the waking: at any step */
  :: d_step { st[n]!=DOWN -> drop(n); if :: prober==n+1 -> prober=0 :: else fi; st[n]=DOWN; watch[n]=0; hung[n]=0 }
  :: d_step { st[n]==DOWN -> st[n]=STBY; watch[n]=highest }
  :: d_step { st[n]!=DOWN && !hung[n] -> hung[n]=1; if :: ep[n]>0 -> sick[ep[n]]=1 :: else fi
#ifdef M_SLEPT
       ; slept[n]=1
#endif
     }
  :: d_step { hung[n] -> hung[n]=0 }

  /* a standby sees a new claim: it watches that one, and its lease begins anew */
#ifndef M_WATCHOLD
#ifdef M_TIMERKEEPS
  :: d_step { !hung[n] && st[n]==STBY && watch[n]!=highest -> watch[n]=highest }
#else
  :: d_step { !hung[n] && (st[n]==STBY || st[n]==EXPIRED) && watch[n]!=highest -> watch[n]=highest; st[n]=STBY }
#endif
#endif

  /* the probe */
#ifdef M_PROBEEXCL
  :: d_step { !hung[n] && st[n]==STBY && watch[n]==highest && holder[watch[n]]==NOBODY && prober==0 && watch[n]>0 -> prober=n+1 }
  :: d_step { !hung[n] && prober==n+1 -> prober=0; if :: watch[n]==highest -> st[n]=FREELY :: else fi }
  :: d_step { !hung[n] && st[n]==STBY && watch[n]==highest && watch[n]>0 && prober!=n+1 && (holder[watch[n]]!=NOBODY || prober!=0) ->
       assert(!ended[watch[n]]) }
#else
  :: d_step { !hung[n] && st[n]==STBY && watch[n]>0 && holder[FILE(watch[n])]==NOBODY -> st[n]=FREELY }
  :: d_step { !hung[n] && st[n]==STBY && watch[n]==highest && watch[n]>0 && holder[FILE(watch[n])]!=NOBODY ->
       assert(!ended[watch[n]]) }                                        /* held: then by one who lives */
#endif
  :: d_step { !hung[n] && st[n]==STBY && watch[n]==0 && highest==0 -> st[n]=FREELY }

  /* the lease: the one who is watched was silent for as long as this node counted */
  :: d_step { !hung[n] && st[n]==STBY && watch[n]>0 && !ended[watch[n]] &&
       (SILENT(owner[watch[n]]) SLEPT(n)) -> st[n]=EXPIRED }

  /* the claim: one more than the highest in the listing; what was found of a lower one says nothing of it */
  :: d_step { !hung[n] && (st[n]==FREELY || st[n]==EXPIRED) && highest<E ->
       if :: STALE(n) -> watch[n]=highest; st[n]=STBY
          :: else ->
       if :: highest>0 && st[n]==FREELY -> assert(ended[highest])
          :: highest>0 && st[n]==EXPIRED -> assert(ended[highest] || sick[highest])
          :: else fi;
#ifdef REACH
       if :: highest>0 && st[n]==EXPIRED -> byLease=1 :: highest>0 && st[n]==FREELY && owner[highest]==NOBODY -> byLock=1 :: else fi;
#endif
       highest++; ep[n]=highest; owner[highest]=n; watch[n]=0;
#ifdef M_LOCKAFTER
       st[n]=LINKED
#else
       if :: holder[FILE(highest)]==NOBODY -> holder[FILE(highest)]=n :: else fi;
       st[n]=READS
#endif
       fi }
#ifdef M_LOCKAFTER
  :: d_step { !hung[n] && st[n]==LINKED -> holder[ep[n]]=n; st[n]=READS }
#endif

  /* it leads; a look that finds a higher claim ends it */
  :: d_step { !hung[n] && st[n]==READS ->
       if :: highest>ep[n] -> drop(n); st[n]=STBY; watch[n]=highest
          :: else -> st[n]=LEADS;
#ifdef M_POSIX
               holder[ep[n]]=NOBODY
#endif
       fi }
  :: d_step { !hung[n] && st[n]==LEADS && !flight[n] -> flight[n]=1 }
  :: d_step { !hung[n] && st[n]==LEADS && flight[n] -> if :: highest>ep[n] -> drop(n); st[n]=STBY; watch[n]=highest :: else -> flight[n]=0 fi }

  /* hand-over: take no more, commit, release, close clients */
  :: d_step { !hung[n] && st[n]==LEADS && highest==ep[n] ->
#ifdef M_RELEASEFIRST
       holder[ep[n]]=NOBODY; ended[ep[n]]=1;
#endif
       st[n]=LAST }
  :: d_step { !hung[n] && st[n]==LAST && flight[n] ->
       if :: highest>ep[n] -> assert(sick[ep[n]]); drop(n); st[n]=STBY; watch[n]=highest    /* the outcome of what was in flight is unknown */
          :: else -> flight[n]=0 fi }
#ifdef M_CLOSEFIRST
  :: d_step { !hung[n] && st[n]==LAST && !flight[n] -> st[n]=FREED }
  :: d_step { !hung[n] && st[n]==FREED -> assert(ended[ep[n]]); drop(n); st[n]=STBY; watch[n]=highest }
#else
  :: d_step { !hung[n] && st[n]==LAST && !flight[n] -> holder[ep[n]]=NOBODY; ended[ep[n]]=1;
#ifdef REACH
       byHand=1;
#endif
       st[n]=FREED }
  /* clients are told to go: whoever they find may lead at once */
  :: d_step { !hung[n] && st[n]==FREED -> assert(ended[ep[n]]); drop(n); st[n]=STBY; watch[n]=highest }
#endif
#ifdef REACH
  :: d_step { byLock && byLease && byHand -> assert(0) }
#endif
  od }

init { byte i; atomic {
  i=0; do :: i<=E+1 -> holder[i]=NOBODY; owner[i]=NOBODY; i++ :: else -> break od;
  i=0; do :: i<NN -> st[i]=STBY; i++ :: else -> break od;
  i=0; do :: i<NN -> run node(i); i++ :: else -> break od; i=0 } }
