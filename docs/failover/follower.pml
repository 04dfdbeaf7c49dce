/* The standby that follows (rule 17): it tells its state a batch of an epoch when the next batch of that epoch is there, or when the heartbeat of that epoch
 * names it. Nothing that it was told may ever be undone, also when it claims from where it stands, without reading again.
 *
 * One process an epoch, as in `segments.pml`, one follower. A write is visible at any time from the write to the end of its sync; a heartbeat is
 * written at any time after the commit that it names, also by a leader that was deposed since, or never.   Mutants, each to be refuted:
 *   M_LASTTOLD    the last batch is told as soon as it is whole
 *   M_BEATEARLY   the heartbeat names a batch that is synced and not yet looked at
 *   M_ONEBEAT     one heartbeat file for all epochs: the number of a lost batch is given again by the next epoch
 *   M_HEADERSEEN  the header of a new epoch is believed as soon as it is whole
   M_LATERSNAP   a header is believed because of a snapshot of a later epoch (of its own: that holds committed facts, so it is decided)
 *   REACH         (sanity) a heartbeat alone decided the last batch of an epoch, and the follower went on to the next
 * That it tells nothing beyond a seal follows from the two conditions, and is not tested for on the way: a seal may come between the test and the telling. */
#ifndef E
#define E 3
#endif
#ifndef R
#define R 3
#endif
#define FILLS(e) (e==E -> R-1 : R)   /* how many batches epoch e writes */
#define W (E+1)
#define X(a,b) ((a)*W+(b))

#define FREE    0
#define READING 1   /* claimed; reads epoch rd, downwards */
#define IDLE    2
#define WRITTEN 3
#define SYNCED  4
#define LOOKED  5
#define OVER    6

byte st[W], wr[W], rd[W];
byte vis[W], dur[W];
byte seal[W*W], ends[W*W], ack[W], fin[W];
byte beat[W];                 /* what the heartbeat of an epoch names               */
byte told[W];                 /* how many batches of each epoch the follower told   */
byte at;                      /* the epoch that it follows                          */
bit  snap;                    /* there is a snapshot of epoch E                     */
#define HASREAD(a) (st[a]>=IDLE && st[a]!=OVER)
#define DEPOSED(a) ((a)<E && st[(a)+1]!=FREE)
#ifdef M_ONEBEAT
byte before[W];               /* batches before the epoch: their numbers go through */
#define NAMED(e,i) (beat[1]>=before[e]+(i) || beat[2]>=before[e]+(i) || beat[E]>=before[e]+(i))
#define NUMBER(e) (before[e]+ack[e])
#else
#define NAMED(e,i) (beat[e]>=(i))
#define NUMBER(e) ack[e]
#endif
#ifdef M_LASTTOLD
#define DECIDED(e,i) 1
#else
#define DECIDED(e,i) (vis[e]>(i) || NAMED(e,i))
#endif
#ifdef M_HEADERSEEN
#define HEADER(e) 1
#else
#ifdef M_LATERSNAP
#define HEADER(e) (vis[e]>1 || NAMED(e,1) || snap)
#else
#define HEADER(e) (vis[e]>1 || NAMED(e,1) || (e==E && snap))
#endif
#endif

inline forget(e) { wr[e]=0; rd[e]=0; j=0; do :: j<W -> ends[X(e,j)]=0; j++ :: else -> break od; j=0 }

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
       j=1; do :: j<e -> assert(ack[j]<=ends[X(e,j)]); assert(DEPOSED(e) || told[j]<=ends[X(e,j)]); j++ :: else -> break od; j=0;
       st[e]=IDLE }
  :: d_step { st[e]==IDLE && wr[e]<FILLS(e) ->
       if :: wr[e]==0 -> j=1; do :: j<e -> seal[X(e,j)]=ends[X(e,j)];
#ifdef M_ONEBEAT
               before[e]=before[e]+ends[X(e,j)];
#endif
               j++ :: else -> break od; j=0
          :: else fi;
       wr[e]=wr[e]+1; st[e]=WRITTEN }
  :: d_step { st[e]==WRITTEN && vis[e]<wr[e] -> vis[e]=wr[e] }
  :: d_step { st[e]==WRITTEN -> vis[e]=wr[e]; dur[e]=wr[e]; st[e]=SYNCED }
  :: d_step { st[e]==SYNCED -> if :: DEPOSED(e) -> forget(e); st[e]=OVER :: else -> st[e]=LOOKED fi }
#ifdef M_BEATEARLY
  :: d_step { st[e]==SYNCED -> beat[e]=wr[e] }
#endif
  :: d_step { st[e]==LOOKED ->
       assert(fin[e]==0 || fin[e]>wr[e]);
       ack[e]=wr[e];
       if :: wr[e]==1 -> j=1; do :: j<e -> assert(fin[j]==0 || fin[j]==ends[X(e,j)]+1); fin[j]=ends[X(e,j)]+1; j++ :: else -> break od; j=0 :: else fi;
       st[e]=IDLE }
  :: d_step { ack[e]>0 && beat[e]!=NUMBER(e) -> beat[e]=NUMBER(e) }        /* also long after, also by one that was deposed */
  :: d_step { e==E && ack[e]>0 && !snap -> snap=1 }
  od }

proctype env(byte e) {
  byte j;
  do
  :: d_step { st[e]==OVER && vis[e]>dur[e] -> vis[e]=vis[e]-1;
       if :: vis[e]==0 -> j=0; do :: j<W -> seal[X(e,j)]=0; j++ :: else -> break od; j=0 :: else fi }
  od }

inline agree(e) {              /* nobody who goes on has read less */
  j=e+1; do :: j<W -> if :: HASREAD(j) && !DEPOSED(j) -> assert(told[e]<=ends[X(j,e)]) :: else fi; j++ :: else -> break od; j=0;
  assert(fin[e]==0 || told[e]<fin[e]) }

/* a decided header speaks for everything below it: that is told up to the seal, and then the header */
inline go(e) {
  i=1; do :: i<e -> assert(told[i]<=seal[X(e,i)]); told[i]=seal[X(e,i)]; agree(i); i++ :: else -> break od; i=0;
  told[e]=1; at=e; agree(e) }

proctype follower() {
  byte i, j;
  do
  :: d_step { at<1 && vis[1]>0 && HEADER(1) -> go(1) }
  :: d_step { at<2 && vis[2]>0 && HEADER(2) -> go(2) }
  :: d_step { at<E && vis[E]>0 && HEADER(E) -> go(E) }
  :: d_step { at>0 && vis[at]>told[at] && DECIDED(at, told[at]+1) -> told[at]=told[at]+1; agree(at) }
#ifdef REACH
  :: d_step { at==E && told[E]==FILLS(E) && told[E-1]==R -> assert(0) }
#endif
  od }

init { byte e; atomic { e=1; do :: e<=E -> run epoch(e); run env(e); e++ :: else -> break od; e=0; run follower() } }
