/* A sync that fails (rule 15), as Linux does it: the page counts as clean though it is not on the disk. Later syncs succeed without it, readers on the
 * same machine still see it in the cache, and at any later time it may be gone.
 *
 * One process an epoch, one segment an epoch, as in `segments.pml`.   Mutants, each to be refuted:
 *   M_RETRY   the sync is tried again on the same descriptor, and its success believed
 *   M_GOON    the failed batch is given up and the next one written: the leader goes on
 *   M_NOCOPY  the header names the end, and copies nothing
 *   M_FSYNC   instead of the copy, the reader syncs what it has read (rule 7's way for one local machine): that succeeds, and saves nothing
 *   REACH     (sanity) the last epoch leads, after two leaders whose sync failed and whose batches were counted                              */
#ifndef E
#define E 3
#endif
#ifndef R
#define R 3
#endif
#define W (E+1)
#define P(e,i) ((e)*(R+2)+(i))
#define X(a,b) ((a)*W+(b))

#define FREE    0
#define CLAIMED 1   /* reads epoch rd, downwards                              */
#define HASREAD 2   /* M_FSYNC: syncs it next                                 */
#define IDLE    3
#define WRITTEN 4
#define FAILED  5   /* its last sync failed                                   */
#define SYNCED  6
#define LOOKED  7
#define OVER    8

#define NONE    0
#define DIRTY   1   /* written: others see it; it may vanish with its writer  */
#define CLEAN   2   /* its sync failed: others see it until the cache lets go */
#define ONDISK  3

byte st[W], wr[W], rd[W];
byte batch[W*(R+2)];
byte seal[W*W], ends[W*W], ack[W], fin[W];
bit  failed[W];
#define KNOWS(a) (st[a]>=IDLE && st[a]!=OVER)

inline forget(e) { wr[e]=0; rd[e]=0; j=0; do :: j<W -> ends[X(e,j)]=0; j++ :: else -> break od; j=0 }

proctype epoch(byte e) {
  byte j, i;
  do
  :: d_step { st[e]!=FREE && st[e]!=OVER -> forget(e); st[e]=OVER }
  :: d_step { st[e]==FREE && (e==1 || st[e-1]!=FREE) -> rd[e]=e-1; st[e]=CLAIMED }

  :: d_step { st[e]==CLAIMED && rd[e]>0 ->
       i=0; do :: i<R && batch[P(rd[e],i+1)]!=NONE -> i++ :: else -> break od;
       assert(i==R || batch[P(rd[e],i+2)]==NONE);              /* a whole batch behind a hole is damage: the start is refused */
       ends[X(e,rd[e])]=i;
       if :: i>0 -> j=1; do :: j<rd[e] -> ends[X(e,j)]=seal[X(rd[e],j)]; j++ :: else -> break od; j=0; rd[e]=0
          :: else -> rd[e]=rd[e]-1 fi; i=0 }
  :: d_step { st[e]==CLAIMED && rd[e]==0 ->
       j=1; do :: j<e ->
           assert(ack[j]<=ends[X(e,j)]);
           i=1; do :: i<=ends[X(e,j)] ->
#if defined(M_NOCOPY) || defined(M_FSYNC)
               assert(batch[P(j,i)]!=NONE);                     /* what was counted is still there                            */
#else
               assert(i==ends[X(e,j)] || batch[P(j,i)]==ONDISK); /* the last one is read from the copy in the next header      */
#endif
               i++ :: else -> break od;
           j++ :: else -> break od; j=0; i=0;
#ifdef REACH
       assert(!(e==E && failed[1] && failed[2] && ends[X(e,1)]>1 && ends[X(e,2)]>1));
#endif
#ifdef M_FSYNC
       st[e]=HASREAD }
  :: d_step { st[e]==HASREAD ->
       j=1; do :: j<e -> i=1; do :: i<=R -> if :: batch[P(j,i)]==DIRTY -> batch[P(j,i)]=ONDISK :: else fi; i++ :: else -> break od; j++ :: else -> break od; j=0; i=0;
#endif
       st[e]=IDLE }

  :: d_step { st[e]==IDLE && wr[e]<R ->
       if :: wr[e]==0 -> j=1; do :: j<e -> seal[X(e,j)]=ends[X(e,j)]; j++ :: else -> break od; j=0 :: else fi;
       wr[e]=wr[e]+1; batch[P(e,wr[e])]=DIRTY; st[e]=WRITTEN }
  :: d_step { st[e]==WRITTEN -> batch[P(e,wr[e])]=ONDISK; st[e]=SYNCED }
  :: d_step { st[e]==WRITTEN -> batch[P(e,wr[e])]=CLEAN; failed[e]=1; st[e]=FAILED }
#if defined(M_RETRY)
  :: d_step { st[e]==FAILED -> st[e]=SYNCED }
#elif defined(M_GOON)
  :: d_step { st[e]==FAILED -> st[e]=IDLE }
#else
  :: d_step { st[e]==FAILED -> forget(e); st[e]=OVER }
#endif
  :: d_step { st[e]==SYNCED -> if :: e==E || st[e+1]==FREE -> st[e]=LOOKED :: else -> forget(e); st[e]=OVER fi }
  :: d_step { st[e]==LOOKED ->
       j=e+1; do :: j<W -> if :: KNOWS(j) -> assert(ends[X(j,e)]>=wr[e]) :: else fi; j++ :: else -> break od; j=0;
       assert(fin[e]==0 || fin[e]>wr[e]);
       ack[e]=wr[e];
       if :: wr[e]==1 -> j=1; do :: j<e -> assert(fin[j]==0 || fin[j]==ends[X(e,j)]+1); fin[j]=ends[X(e,j)]+1; j++ :: else -> break od; j=0 :: else fi;
       st[e]=IDLE }
  od }

proctype page(byte e; byte i) {
  do
  :: d_step { batch[P(e,i)]==CLEAN -> batch[P(e,i)]=NONE }                   /* the cache needs the room                          */
  :: d_step { batch[P(e,i)]==DIRTY && st[e]==OVER -> batch[P(e,i)]=NONE }
  od }

init { byte e, i; atomic {
  e=1; do :: e<=E -> run epoch(e); i=1; do :: i<=R -> run page(e,i); i++ :: else -> break od; e++ :: else -> break od; e=0; i=0 } }
