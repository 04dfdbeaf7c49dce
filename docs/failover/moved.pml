/* Records that are moved (rule 18, and rule 6's "no deletion"): the body of one acknowledged record lies in a file of its own, a leader copies it to another
 * file, and says so in a batch of the log; then the first may go. The copy is no part of the log: it counts if the batch that speaks of it does.
 *
 * One process an epoch, as in `segments.pml`. Batch 1 of an epoch is its header, batch 2 says "moved to my copy". Place 0 is where the record lay at first,
 * place e the copy of epoch e. Deletions happen at any moment after they are allowed.   Mutants, each to be refuted:
 *   M_COPYLATE   the copy is not durable before the batch that speaks of it is written
 *   M_FREEEARLY  the old place is freed before that batch is committed
 *   M_SWEEPEARLY a claimant deletes what does not count for it before its header is committed
 *   REACH        (sanity) the record was moved twice, and both earlier places are gone                                                             */
#ifndef E
#define E 3
#endif
#define W (E+1)
#define X(a,b) ((a)*W+(b))

#define FREE    0
#define READING 1
#define IDLE    2
#define WRITTEN 3
#define SYNCED  4
#define LOOKED  5
#define OVER    6

#define NONE    0
#define COPYING 1   /* written, not durable */
#define DURABLE 2
#define GONE    3

byte st[W], wr[W], rd[W];
byte vis[W], dur[W];
byte seal[W*W], ends[W*W], ack[W], fin[W];
byte file[W];               /* the copy of each epoch; file[0]: the first place    */
byte place[W];              /* where each epoch's process knows the record to lie  */
#define HASREAD(a) (st[a]>=IDLE && st[a]!=OVER)
#define DEPOSED(a) ((a)<E && st[(a)+1]!=FREE)
#define THERE(p) (file[p]==COPYING || file[p]==DURABLE)

#ifdef M_COPYLATE
#define COPIED(e) (file[e]==COPYING || file[e]==DURABLE)
#else
#define COPIED(e) (file[e]==DURABLE)
#endif
#ifdef M_SWEEPEARLY
#define MAYDELETE(a) HASREAD(a)
#else
#define MAYDELETE(a) (HASREAD(a) && ack[a]>0)
#endif
#ifdef M_FREEEARLY
#define MOVED(a) (wr[a]==2)
#else
#define MOVED(a) (ack[a]==2)
#endif

inline forget(e) { wr[e]=0; rd[e]=0; place[e]=0; j=0; do :: j<W -> ends[X(e,j)]=0; j++ :: else -> break od; j=0 }

proctype epoch(byte e) {
  byte j;
  do
  :: d_step { st[e]!=FREE && st[e]!=OVER -> forget(e); st[e]=OVER }
  :: d_step { st[e]==FREE && (e==1 || st[e-1]!=FREE) -> rd[e]=e-1; st[e]=READING }
  :: d_step { st[e]==READING && rd[e]>0 ->
       ends[X(e,rd[e])]=vis[rd[e]];
       if :: vis[rd[e]]>0 -> j=1; do :: j<rd[e] -> ends[X(e,j)]=seal[X(rd[e],j)]; j++ :: else -> break od; j=0; rd[e]=0
          :: else -> rd[e]=rd[e]-1 fi }
  :: d_step { st[e]==READING && rd[e]==0 ->
       j=1; do :: j<e -> assert(ack[j]<=ends[X(e,j)]); if :: ends[X(e,j)]==2 -> place[e]=j :: else fi; j++ :: else -> break od; j=0;
       assert(DEPOSED(e) || THERE(place[e]));                                    /* the record is where the journal says */
       st[e]=IDLE }
  :: d_step { st[e]==IDLE && ack[e]==1 && file[e]==NONE -> file[e]=COPYING }
  :: d_step { file[e]==COPYING && st[e]!=OVER -> file[e]=DURABLE }
  :: d_step { st[e]==IDLE && (wr[e]==0 || (wr[e]==1 && COPIED(e))) ->
       if :: wr[e]==0 -> j=1; do :: j<e -> seal[X(e,j)]=ends[X(e,j)]; j++ :: else -> break od; j=0 :: else fi;
       wr[e]=wr[e]+1; st[e]=WRITTEN }
  :: d_step { st[e]==WRITTEN && vis[e]<wr[e] -> vis[e]=wr[e] }
  :: d_step { st[e]==WRITTEN -> vis[e]=wr[e]; dur[e]=wr[e]; st[e]=SYNCED }
  :: d_step { st[e]==SYNCED -> if :: DEPOSED(e) -> forget(e); st[e]=OVER :: else -> st[e]=LOOKED fi }
  :: d_step { st[e]==LOOKED ->
       assert(fin[e]==0 || fin[e]>wr[e]);
       ack[e]=wr[e];
       if :: wr[e]==1 -> j=1; do :: j<e -> assert(fin[j]==0 || fin[j]==ends[X(e,j)]+1); fin[j]=ends[X(e,j)]+1; j++ :: else -> break od; j=0
          :: else -> place[e]=e fi;
       st[e]=IDLE }
#ifdef REACH
  :: d_step { e==E && HASREAD(e) && !DEPOSED(e) && place[e]==2 && file[0]==GONE && file[1]==GONE -> assert(0) }
#endif
  od }

/* place p is deleted: by one that knows the record to lie elsewhere, or that has moved it */
#define SWEEPS(a) (a>p && MAYDELETE(a) && (place[a]!=p || MOVED(a)))
proctype sweep(byte p) {
  byte j;
  do
  :: d_step { THERE(p) && (SWEEPS(1) || SWEEPS(2) || SWEEPS(3)) -> file[p]=GONE;
       j=1; do :: j<W -> assert(!(HASREAD(j) && !DEPOSED(j) && place[j]==p && !MOVED(j))); j++ :: else -> break od; j=0 }
  od }

proctype env(byte e) {
  byte j;
  do
  :: d_step { st[e]==OVER && vis[e]>dur[e] -> vis[e]=vis[e]-1;
       if :: vis[e]==0 -> j=0; do :: j<W -> seal[X(e,j)]=0; j++ :: else -> break od; j=0 :: else fi }
  :: d_step { st[e]==OVER && file[e]==COPYING -> file[e]=GONE }
  od }

init { byte e; atomic { file[0]=DURABLE; run sweep(0);
  e=1; do :: e<=E -> run epoch(e); run env(e); run sweep(e); e++ :: else -> break od; e=0 } }
