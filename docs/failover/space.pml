/* Snapshots and deletion (rule 18): who may free what, and what a slow reader finds.
 *
 * One process an epoch, as in `segments.pml`; each batch lies in a file of its own, so that each can be freed. A leader makes one snapshot of what it
 * has committed (or none), frees any file that it covers, and drops older snapshots, all at any moment after it became active: a look comes before each in
 * the code, but nothing here rests on it. A snapshot once begun may be finished after its leader stepped down. A claimant lists, finds the chain, takes
 * the newest snapshot within it, and opens file by file what follows; what is gone when it comes to it makes it list again.
 *
 * Mutants, each to be refuted:
 *   M_DELFIRST         files are freed before the snapshot's name is durable
 *   M_RENAMEFIRST      the snapshot gets its name before its content is synced
 *   M_SNAPUNCOMMITTED  a snapshot holds what is applied and not committed: it lies beyond the seal, and the start is refused
 *   M_SNAPUNCOMMITTED with V_BEYONDUSED   such a snapshot is used
 *   M_FREEHEADER       a leader frees the file with its own epoch's header
 *   M_FREELAST         a leader frees the file with its last committed batch: nothing else says where the journal ends
 *   M_NORELIST         a file that is gone is taken for damage at once
 *   REACH              (sanity) the last epoch is led, from a snapshot of the epoch before, whose files are gone
 * V_BEYONDUSED alone (a snapshot beyond the seal is used) holds: with committed facts only there is none.                                            */
#ifndef E
#define E 3
#endif
#ifndef R
#define R 3
#endif
#define LAST(e) (e==1 -> R : (e==E -> 1 : R-1))   /* how many batches epoch e writes: the last only its header */
#define W (E+1)
#define P(e,i) ((e)*(R+1)+(i))
#define X(a,b) ((a)*W+(b))

#define FREE    0
#define CLAIMED 1   /* lists the segments next                     */
#define CHAIN   2   /* looks for a header in epoch rd, downwards   */
#define CHOOSE  3   /* takes a snapshot, or none                   */
#define OPEN    4   /* opens batch (oe, oi) next                   */
#define IDLE    5
#define WRITTEN 6
#define SYNCED  7
#define LOOKED  8
#define OVER    9

#define NONE    0
#define MAKING  1   /* under its temporary name                    */
#define NAMED   2   /* renamed; the name is not durable            */
#define DURABLE 3
#define DROPPED 4

byte st[W], wr[W], rd[W], oe[W], oi[W];
byte vis[W], dur[W];
bit  gone[W*(R+1)];
bit  listed[W*W*(R+1)];
byte seal[W*W], ends[W*W];
byte snap[W], at[W];                /* the snapshot of an epoch, and up to which of its batches it goes (and of lower epochs all that its header counts) */
bit  unsound[W];                    /* its content was never synced                   */
bit  ruined[W];                     /* and is lost                                    */
byte used[W];                       /* the snapshot that a reader took, by its epoch  */
byte ack[W], fin[W];
#define L(a,e,i) ((a)*W*(R+1)+P(e,i))
#define HASREAD(a) (st[a]>=IDLE && st[a]!=OVER)
#define DEPOSED(a) ((a)<E && st[(a)+1]!=FREE)
#define SHOWN(b) ((snap[b]==NAMED || snap[b]==DURABLE) && !ruined[b])

#ifdef M_DELFIRST
#define SAFE(a) (snap[a]==NAMED || snap[a]==DURABLE)
#else
#define SAFE(a) (snap[a]==DURABLE)
#endif
#ifdef M_FREEHEADER
#define OWN(a,i) (i<at[a] && i<ack[a])
#elif defined(M_FREELAST)
#define OWN(a,i) (i<=at[a] && i>1)
#else
#define OWN(a,i) (i<at[a] && i<ack[a] && i>1)
#endif
#define COVERS(a,e,i) (HASREAD(a) && ack[a]>0 && SAFE(a) && (e<a || (e==a && OWN(a,i))))

inline forget(e) { wr[e]=0; rd[e]=0; oe[e]=0; oi[e]=0; used[e]=0;
  j=0; do :: j<W -> ends[X(e,j)]=0; i=0; do :: i<=R -> listed[L(e,j,i)]=0; i++ :: else -> break od; j++ :: else -> break od; j=0; i=0 }

proctype epoch(byte e) {
  byte j, i;
  do
  :: d_step { st[e]!=FREE && st[e]!=OVER -> forget(e); st[e]=OVER }
  :: d_step { st[e]==FREE && (e==1 || st[e-1]!=FREE) -> st[e]=CLAIMED }

  :: d_step { st[e]==CLAIMED -> forget(e);
       j=1; do :: j<e -> i=1; do :: i<=vis[j] -> listed[L(e,j,i)]=!gone[P(j,i)]; i++ :: else -> break od; j++ :: else -> break od; j=0; i=0;
       rd[e]=e-1; st[e]=CHAIN }
  :: d_step { st[e]==CHAIN && rd[e]>0 ->
       if :: listed[L(e,rd[e],1)] && gone[P(rd[e],1)] -> st[e]=CLAIMED                       /* freed since the listing */
          :: listed[L(e,rd[e],1)] && !gone[P(rd[e],1)] && vis[rd[e]]>0 ->
               j=1; do :: j<rd[e] -> ends[X(e,j)]=seal[X(rd[e],j)]; j++ :: else -> break od; j=0;
               i=R; do :: i>1 && !(listed[L(e,rd[e],i)] && i<=vis[rd[e]] && !gone[P(rd[e],i)]) -> i-- :: else -> break od;
               ends[X(e,rd[e])]=i; i=0; rd[e]=0
          :: else -> rd[e]=rd[e]-1 fi }
  :: d_step { st[e]==CHAIN && rd[e]==0 -> st[e]=CHOOSE;
       j=1; do :: j<e -> i=0; do :: i<=R -> listed[L(e,j,i)]=0; i++ :: else -> break od; j++ :: else -> break od; j=0; i=0 }
  :: d_step { st[e]==CHOOSE ->
       j=e-1; do :: j>0 && used[e]==0 ->
           if :: SHOWN(j) ->
#ifdef V_BEYONDUSED
                   used[e]=j;
                   if :: at[j]>ends[X(e,j)] -> ends[X(e,j)]=at[j] :: else fi
#else
                   if :: at[j]<=ends[X(e,j)] -> used[e]=j
                      :: else -> assert(DEPOSED(e)) fi                                       /* an orphan: the start is refused */
#endif
              :: else fi; j-- :: else -> break od; j=0;
       oe[e]=used[e]; oi[e]=1; if :: used[e]>0 -> oi[e]=at[used[e]]+1 :: else -> oe[e]=1 fi;
       st[e]=OPEN }
  :: d_step { st[e]==OPEN && oe[e]<e ->                /* the last batch of an epoch is read from the next header, of the highest it was read already */
       if :: oi[e]<ends[X(e,oe[e])] || (oi[e]==1 && ends[X(e,oe[e])]==1) ->
               if :: gone[P(oe[e],oi[e])] || vis[oe[e]]<oi[e] ->
#ifdef M_NORELIST
                       assert(DEPOSED(e));
#else
                       j=e-1; do :: j>used[e] && !(SHOWN(j) && at[j]<=vis[j]) -> j-- :: else -> break od;
                       assert(DEPOSED(e) || j>used[e] || ends[X(e,oe[e])]==1); j=0;           /* a newer snapshot stands for it */
#endif
                       st[e]=CLAIMED
                  :: else -> oi[e]=oi[e]+1 fi
          :: else -> oe[e]=oe[e]+1; oi[e]=1 fi }
  :: d_step { st[e]==OPEN && oe[e]==e ->
       if :: !DEPOSED(e) -> j=1; do :: j<e -> assert(ack[j]<=ends[X(e,j)]); j++ :: else -> break od; j=0 :: else fi;
#ifdef REACH
       assert(!(e==E && used[e]==E-1 && gone[P(1,1)] && gone[P(1,2)] && ack[1]==R && !DEPOSED(e)));
#endif
       oe[e]=0; oi[e]=0; st[e]=IDLE }

  :: d_step { st[e]==IDLE && wr[e]<LAST(e) ->
       if :: wr[e]==0 -> j=1; do :: j<e -> seal[X(e,j)]=ends[X(e,j)]; j++ :: else -> break od; j=0 :: else fi;
       wr[e]=wr[e]+1; st[e]=WRITTEN }
  :: d_step { st[e]==WRITTEN && vis[e]<wr[e] -> vis[e]=wr[e] }
  :: d_step { st[e]==WRITTEN -> vis[e]=wr[e]; dur[e]=wr[e]; st[e]=SYNCED }
  :: d_step { st[e]==SYNCED -> if :: DEPOSED(e) -> forget(e); st[e]=OVER :: else -> st[e]=LOOKED fi }
  :: d_step { st[e]==LOOKED ->
       j=e+1; do :: j<W -> if :: HASREAD(j) && !DEPOSED(j) -> assert(ends[X(j,e)]>=wr[e]) :: else fi; j++ :: else -> break od; j=0;
       assert(fin[e]==0 || fin[e]>wr[e]);
       ack[e]=wr[e];
       if :: wr[e]==1 -> j=1; do :: j<e -> assert(fin[j]==0 || fin[j]==ends[X(e,j)]+1); fin[j]=ends[X(e,j)]+1; j++ :: else -> break od; j=0 :: else fi;
       st[e]=IDLE }

  /* the snapshot */
#ifdef M_SNAPUNCOMMITTED
  :: d_step { e<E && HASREAD(e) && ack[e]>0 && snap[e]==NONE -> at[e]=wr[e]; snap[e]=MAKING
#else
  :: d_step { e<E && HASREAD(e) && ack[e]>0 && snap[e]==NONE -> at[e]=ack[e]; snap[e]=MAKING
#endif
#ifdef M_RENAMEFIRST
       ; unsound[e]=1
#endif
     }
  :: d_step { snap[e]==MAKING -> snap[e]=NAMED }
  :: d_step { snap[e]==NAMED -> snap[e]=DURABLE }
  od }

/* a leader frees what it covers; what was not durable goes with its writer */
proctype file(byte e; byte i) {
  do
  :: d_step { !gone[P(e,i)] && i<=vis[e] && (COVERS(1,e,i) || COVERS(2,e,i)) -> gone[P(e,i)]=1 }
  od }
proctype env(byte e) {
  do
  :: d_step { st[e]==OVER && vis[e]>dur[e] -> vis[e]=vis[e]-1 }
  :: d_step { st[e]==OVER && (snap[e]==MAKING || snap[e]==NAMED) -> snap[e]=DROPPED; at[e]=0 }
  :: d_step { st[e]==OVER && unsound[e] && !ruined[e] -> ruined[e]=1 }
  :: d_step { SHOWN(e) && e<2 && HASREAD(2) && ack[2]>0 && SAFE(2) -> snap[e]=DROPPED; at[e]=0 }
  od }

init { byte e, i; atomic {
  e=1; do :: e<=E -> run epoch(e); run env(e); i=1; do :: e<E && i<=LAST(e) -> run file(e,i); i++ :: else -> break od; e++ :: else -> break od; e=0; i=0 } }
