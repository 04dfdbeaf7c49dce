/* An epoch's log in several segment files (rules 5, 7, 8, 11, 12). What `failover.pml` says of one segment an epoch, here for two.
 *
 * One process an epoch: it claims when the epoch below is claimed (at any moment, under a healthy leader too), reads, seals, commits; it may die at each step.
 * Claims are exclusive and durable here, that being `failover.pml`'s matter. A write is visible to others at any time from the write to the end of its sync;
 * what was not synced vanishes in any prefix once its writer is gone; a file whose name was not synced vanishes whole.
 *
 * Sizes: E epochs, R batches an epoch (the header is batch 1), S batches a segment.   Mutants, each to be refuted:
 *   M_NOSEGMENT    the seal says the offset, not the segment
 *   M_NONAME       no directory sync for the second segment
 *   M_TWOINFLIGHT  the next segment's first batch is written while the batch before it is not yet synced
 *   M_OLDBYTES     a recycled file's old batch is taken for one of the new segment: no place in its check sum (rule 18)
 *   REACH          (sanity) the last epoch fills both its segments                                                                  */
#ifndef E
#define E 3
#endif
#ifndef R
#define R 3
#endif
#ifndef S
#define S 2
#endif
#define G ((R+S-1)/S)
#define W (E+1)
#define P(e,s) ((e)*(G+1)+(s))
#define X(a,b) ((a)*W+(b))
#define SEG(i) (((i)-1)/S+1)
#define OFF(i) (((i)-1)%S+1)

#define FREE    0   /* not claimed                                       */
#define CLAIMED 1   /* lists the segments next                           */
#define HEADER  2   /* looks for a whole header in epoch rd, downwards   */
#define TAIL    3   /* looks for the end of epoch rd, from segment rs down */
#define IDLE    4
#define WRITTEN 5
#define SYNCED  6
#define NAMED   7   /* the name of its segment is durable too            */
#define LOOKED  8
#define OVER    9   /* dead, or stepped down                             */

byte st[W], wr[W], rd[W], rs[W];
bit  there[W*(G+1)], named[W*(G+1)];   /* the file is listed; its name is durable          */
byte vis[W*(G+1)], dur[W*(G+1)];       /* whole batches in it that others see; that stay   */
bit  listed[W*W*(G+1)];                /* what the claimant's one listing showed           */
byte sealSeg[W*W], sealOff[W*W];       /* header of a: b ends in this segment, at this offset (0: void) */
byte ends[W*W];                        /* as read by a: how many batches of b count        */
byte ack[W], fin[W], mx[W];            /* ghosts: acknowledged; 1 + end as the first active successor took it; most ever visible */
#define L(a,e,s) ((a)*W*(G+1)+P(e,s))
#define HASREAD(a) (st[a]>=IDLE && st[a]!=OVER)

inline appear(e, i) {                     /* batch i of e becomes visible */
  assert(i>ack[e]);
  if :: OFF(i)>vis[P(e,SEG(i))] -> vis[P(e,SEG(i))]=OFF(i) :: else fi;
  if :: i>mx[e] -> mx[e]=i :: else fi;
  j=e+1; do :: j<W -> if :: HASREAD(j) -> assert(ends[X(j,e)]+1>=i) :: else fi; j++ :: else -> break od; j=0 }

/* every acknowledged batch is read, nothing that was never written is, and all but the last batch of each epoch will stay */
inline check(e) {
  j=1; do :: j<e ->
      assert(ack[j]<=ends[X(e,j)] && ends[X(e,j)]<=mx[j]);
      i=1; do :: i<ends[X(e,j)] -> assert(dur[P(j,SEG(i))]>=OFF(i) && named[P(j,SEG(i))]); i++ :: else -> break od;
      j++ :: else -> break od; j=0; i=0 }

proctype epoch(byte e) {
  byte j, i, s;
  do
  :: d_step { st[e]!=FREE && st[e]!=OVER -> st[e]=OVER; wr[e]=0; rd[e]=0; rs[e]=0;
       j=0; do :: j<W -> ends[X(e,j)]=0; s=0; do :: s<=G -> listed[L(e,j,s)]=0; s++ :: else -> break od; j++ :: else -> break od; j=0; s=0 }
  :: d_step { st[e]==FREE && (e==1 || st[e-1]!=FREE) -> st[e]=CLAIMED }

  /* read: one listing, then epochs downwards; of the first with a header the end, from its highest listed segment downwards */
  :: d_step { st[e]==CLAIMED ->
       j=1; do :: j<e -> s=1; do :: s<=G -> listed[L(e,j,s)]=there[P(j,s)]; s++ :: else -> break od; j++ :: else -> break od; j=0; s=0;
       rd[e]=e-1; st[e]=HEADER }
  :: d_step { st[e]==HEADER && rd[e]>0 ->
       if :: listed[L(e,rd[e],1)] && vis[P(rd[e],1)]>0 ->
               j=1; do :: j<rd[e] ->
#ifdef M_NOSEGMENT
                   s=G; do :: s>1 && vis[P(j,s)]==0 -> s-- :: else -> break od;
                   if :: sealOff[X(rd[e],j)]==0 -> ends[X(e,j)]=0
                      :: sealOff[X(rd[e],j)]!=0 && vis[P(j,s)]<sealOff[X(rd[e],j)] -> ends[X(e,j)]=(s-1)*S+vis[P(j,s)]
                      :: else -> ends[X(e,j)]=(s-1)*S+sealOff[X(rd[e],j)] fi;
#else
                   if :: sealOff[X(rd[e],j)]==0 -> ends[X(e,j)]=0
                      :: else -> ends[X(e,j)]=(sealSeg[X(rd[e],j)]-1)*S+sealOff[X(rd[e],j)] fi;
#endif
                   j++ :: else -> break od; j=0; s=0;
               rs[e]=G; st[e]=TAIL
          :: else -> ends[X(e,rd[e])]=0; rd[e]=rd[e]-1 fi }
  :: d_step { st[e]==TAIL ->
       if :: listed[L(e,rd[e],rs[e])] && vis[P(rd[e],rs[e])]>0 ->
               ends[X(e,rd[e])]=(rs[e]-1)*S+vis[P(rd[e],rs[e])];
#ifdef M_OLDBYTES
               if :: rs[e]>1 && vis[P(rd[e],rs[e])]<S -> ends[X(e,rd[e])]=ends[X(e,rd[e])]+1 :: else fi;
#endif
               rs[e]=0; rd[e]=0; st[e]=HEADER
          :: else -> if :: rs[e]>1 -> rs[e]=rs[e]-1
                        :: else -> rs[e]=0; rd[e]=0; st[e]=CLAIMED fi fi }       /* it vanished while we read: list again */
  :: d_step { st[e]==HEADER && rd[e]==0 -> check(e); st[e]=IDLE }

  /* write, sync, name, look, acknowledge */
  :: d_step { st[e]==IDLE && wr[e]<R ->
       if :: wr[e]==0 -> j=1; do :: j<e ->
               if :: ends[X(e,j)]>0 -> sealSeg[X(e,j)]=SEG(ends[X(e,j)]); sealOff[X(e,j)]=OFF(ends[X(e,j)]) :: else fi; j++ :: else -> break od; j=0
          :: else fi;
       wr[e]=wr[e]+1; there[P(e,SEG(wr[e]))]=1; st[e]=WRITTEN }
  :: d_step { st[e]==WRITTEN && vis[P(e,SEG(wr[e]))]<OFF(wr[e]) -> appear(e, wr[e]) }
#ifdef M_TWOINFLIGHT
  :: d_step { st[e]==WRITTEN && wr[e]<R && SEG(wr[e]+1)!=SEG(wr[e]) && vis[P(e,SEG(wr[e]+1))]==0 -> there[P(e,SEG(wr[e]+1))]=1; appear(e, wr[e]+1) }
#endif
  :: d_step { st[e]==WRITTEN ->
       if :: vis[P(e,SEG(wr[e]))]<OFF(wr[e]) -> appear(e, wr[e]) :: else fi;
       dur[P(e,SEG(wr[e]))]=OFF(wr[e]); st[e]=SYNCED }
  :: d_step { st[e]==SYNCED ->
#ifdef M_NONAME
       if :: SEG(wr[e])==1 -> named[P(e,1)]=1 :: else fi;
#else
       s=1; do :: s<=G -> named[P(e,s)]=there[P(e,s)]; s++ :: else -> break od; s=0;
#endif
       st[e]=NAMED }
  :: d_step { st[e]==NAMED -> if :: e==E || st[e+1]==FREE -> st[e]=LOOKED :: else -> st[e]=OVER; wr[e]=0; j=0; do :: j<W -> ends[X(e,j)]=0; j++ :: else -> break od; j=0 fi }
  :: d_step { st[e]==LOOKED ->
       j=e+1; do :: j<W -> if :: HASREAD(j) -> assert(ends[X(j,e)]>=wr[e]) :: else fi; j++ :: else -> break od; j=0;
       assert(fin[e]==0 || fin[e]>wr[e]);
       ack[e]=wr[e];
       if :: wr[e]==1 -> j=1; do :: j<e -> assert(fin[j]==0 || fin[j]==ends[X(e,j)]+1); fin[j]=ends[X(e,j)]+1; j++ :: else -> break od; j=0 :: else fi;
       st[e]=IDLE }
#ifdef REACH
  :: d_step { st[e]==IDLE && e==E && wr[e]==R -> assert(0) }
#endif
  od }

/* what was not synced vanishes once its writer is gone; a name that was not synced takes its file along */
proctype env(byte e; byte s) {
  do
  :: d_step { st[e]==OVER && vis[P(e,s)]>dur[P(e,s)] -> vis[P(e,s)]=vis[P(e,s)]-1 }
  :: d_step { st[e]==OVER && there[P(e,s)] && !named[P(e,s)] -> there[P(e,s)]=0; vis[P(e,s)]=0; dur[P(e,s)]=0 }
  od }

init { byte e, s; atomic {
  e=1; do :: e<=E -> run epoch(e); s=1; do :: s<=G -> run env(e,s); s++ :: else -> break od; e++ :: else -> break od; e=0; s=0 } }
