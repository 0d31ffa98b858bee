// Who holds the node, and up to which ceiling: the protocol between instances
// and a registry, for spin. `scripts/model` explores it.
//
// Two instances want one node. Each reads the registry, asks for the node or for
// a higher ceiling by one atomic compare-and-write, and issues up to the ceiling
// that was acknowledged. Requests and replies are lost, sent twice, or arrive
// when their sender waits no longer or has crashed. Instances crash and start
// again as new incarnations, or with a copy of the other's record (a clone). The
// registry goes back to an earlier state (a standby that lagged, a backup), until
// one raise has set a new generation, and a base above all that it may have
// acknowledged. An earlier state is put back in another place of the same server, or
// another registry's rows are written over this one's. Every order of all that is
// visited.
//
// No tick may be issued twice, by whomever (U1 and U2 for all instances together).
// On the way there, of the invariants in docs/architecture.md, these are asserted:
//
//   U3  nothing is published above what was acknowledged
//   U4  no write lowers the ceiling, and while the registry is open, nothing that
//       it ever acknowledged lies above its ceiling and base
//   U5  a taking's floor is at or above the old ceiling in the step that writes it
//   U6  an extension is written only for who holds the node, in the same epoch, and
//       never onto a grant from before the last raise
//   U8  a reply counts only for the incarnation that asked
//
// U7 is how the steps are built: what raises the doubt withdraws the grant.
//
// Left out, so that more may happen here than does:
//   - Liveness, identity and preferences. Whoever wants the node asks for it at
//     any time, its holder alive or not, displaced or not.
//   - Clocks. A clock that is behind the old ceiling changes nothing; one that is
//     ahead raises the floor by a tick (JUMPS).
//   - Time. All ticks of a grant are issued at its publication. Since that changes
//     nothing but what is issued, whatever order repeats a tick still does with
//     each issue moved forward to the publication. (ISSUE_LATER: each is a step.)
//   - Reading as a step. Between a read and the request that is made from it an
//     instance does nothing; the time that passes is the request's on its way.
//   - The record's fsync. A crash before it is a lost reply; a crash between it and
//     the publication leaves what a crash after the publication does.
//
// Assumed, and to be kept by what is outside of this page:
//   - Nothing is written between a loss and the raise. On PostgreSQL the timeline
//     sees to that, and the place of what was put back. A restored etcd must be raised before requests can reach it:
//     MUTANT_RAISE_AFTER_OPENING says what one that was on its way does.
//   - The raise is above all that was acknowledged, also where the reply is still
//     on its way. Where reading back the very proposal (etcd's nonce) stands in for
//     a reply, everything that was written counts as acknowledged.
//   - One coordinator at a time, and of each instance one request at a time.

// How much of everything there is. A tick is as much as a window of the server's.
#ifndef TICKS
#define TICKS 3
#endif
#ifndef WINDOW
#define WINDOW 1
#endif
#ifndef INSTANCES
#define INSTANCES 2
#endif
#ifndef STRAYS
#define STRAYS 1
#endif
#ifndef CRASHES
#define CRASHES 0
#endif
#ifndef LOSSES
#define LOSSES 0
#endif
#ifndef RELEASES
#define RELEASES 0
#endif
#ifndef PUTBACKS
#define PUTBACKS 0
#endif
#ifndef FOREIGN
#define FOREIGN 0
#endif
#ifndef JUMPS
#define JUMPS 0
#endif

#define NOBODY 0
#define max(a, b) ((a) > (b) -> (a) : (b))

// Each step is atomic and has one outcome. (As `atomic`, spin tells which of its
// statements were never reached.)
#ifndef step
#define step d_step
#endif

// Mutants are to issue a tick twice: that they break a rule is known.
#ifndef UNIQUENESS_ONLY
#define check(invariant) assert(invariant)
#else
#define check(invariant) skip
#endif

// The record of the node, with that of the generation.
typedef Registry {
  byte revision;  // one more with each write
  byte epoch;     // one more with each taking
  byte holder;    // an incarnation; NOBODY after a release
  byte ceiling;
  byte generation;
  byte base  // of the generation: no ceiling is below it
}
#define effective(r) max(r.ceiling, r.base)

mtype = { idle, sent, committed };
mtype = { nothing, take, extend, release };

typedef Message {
  mtype state = idle;
  mtype ask = nothing;
  byte by;  // an incarnation
  byte floor;
  byte ceiling;
  Registry row  // sent: what is expected; committed: what has been written
}

Registry registry;
bool open = true;   // not between a loss and the raise
Registry snapshot;  // what a loss goes back to
bool kept;          // it was taken since the last loss

// The instances. A crash leaves the own record.
byte incarnation[INSTANCES];
byte recorded[INSTANCES];  // the highest ceiling ever promised
byte ceiling[INSTANCES];   // the grant's; 0: withdrawn
Registry seen[INSTANCES];  // under a grant: the registry as last read or written
bool sure[INSTANCES];      // it is not known to have changed since

// The request of each instance that waits, or its reply; and then those that
// nobody waits for any more.
Message message[INSTANCES + STRAYS];

// Known to nobody.
bool issued[TICKS];
byte promised;  // the highest ceiling acknowledged, in a reply that was sent
byte born = INSTANCES;
byte crashes = CRASHES;
byte losses = LOSSES;
byte releases = RELEASES;
byte putbacks = PUTBACKS;
byte foreign = FOREIGN;
byte jumps = JUMPS;
byte tick;

// Whether a state or an event can come about: the search for it fails at GOAL.
#ifdef GOAL
mtype = { nowhere, applied, refused, ignored, cloned, put_back, foreign_row };
mtype event = nowhere;
byte where;
#define note(what, slot) event = what; where = slot
#else
#define note(what, slot) skip
#endif

// The rules, and what mutants make of them.

#if defined(MUTANT_NO_FLOOR)
#define old_ceiling 0
#elif defined(MUTANT_START_BELOW_CEILING)
#define old_ceiling (effective(registry) > 0 -> effective(registry) - 1 : 0)
#else
#define old_ceiling effective(registry)
#endif

#ifndef SPARE_OWN_RECORD
#define own_ceiling recorded[me]
#else
#define own_ceiling 0
#endif

#ifndef MUTANT_CEILING_MAY_DECREASE
#define extended (seen[me].ceiling + 1)
#else
#define extended (seen[me].ceiling - 1)
#endif

#ifndef MUTANT_RELEASE_LOWERS
#define left_by_release registry.ceiling
#else
#define left_by_release (registry.ceiling - 1)
#endif

// Within a generation no revision comes back, and no ceiling under the same epoch
// and holder. So each of these checks could be spared (SPARE_...) as long as the
// others are there, and mutants leave out more than the one they are named after.
#if defined(SPARE_REVISION)
#define same_version(a, b) (a.ceiling == b.ceiling)
#elif defined(SPARE_CEILING)
#define same_version(a, b) (a.revision == b.revision)
#else
#define same_version(a, b) (a.revision == b.revision && a.ceiling == b.ceiling)
#endif
#ifndef SPARE_EPOCH
#define same_taking(a, b) (a.epoch == b.epoch && a.holder == b.holder)
#else
#define same_taking(a, b) true
#endif

#if defined(MUTANT_NO_EPOCH_CHECK)
#define versioned(m) (m.ask != extend)
#define of_a_taking(m) (m.ask != extend)
#elif defined(MUTANT_EXTEND_WITHOUT_REVISION)
#define versioned(m) (m.ask != extend)
#define of_a_taking(m) true
#elif defined(MUTANT_TAKE_WITHOUT_REVISION)
#define versioned(m) (m.ask != take)
#define of_a_taking(m) true
#else
#define versioned(m) true
#define of_a_taking(m) true
#endif
#define same_row(m)                                       \
  ((!versioned(m) || same_version(m.row, registry)) &&    \
   (!of_a_taking(m) || same_taking(m.row, registry)))

// The raise counts on from the number that it finds, and a loss takes that back:
// then the number comes again. But not with the same base, if anything was taken.
#if defined(MUTANT_GENERATION_NOT_COMPARED)
#define same_generation(a, b) true
#elif defined(MUTANT_GENERATION_NUMBER_ONLY) || defined(MUTANT_RAISE_DOES_NOT_FENCE)
#define same_generation(a, b) (a.generation == b.generation)
#else
#define same_generation(a, b) (a.generation == b.generation && a.base == b.base)
#endif

#ifndef MUTANT_RAISE_DOES_NOT_FENCE
#define next_generation (registry.generation + 1)
#else
#define next_generation registry.generation
#endif

#ifndef MUTANT_FAILOVER_WITHOUT_RAISE
#define raised_base promised
#else
#define raised_base registry.base
#endif

// The place is part of the identity: what was put back names another.
#ifndef MUTANT_IDENTITY_WITHOUT_PLACE
#define open_elsewhere false
#else
#define open_elsewhere true
#endif

// The guard of the tables skips what no step writes.
#ifndef MUTANT_CEILING_GUARD_MISSING
#define ceiling_from_elsewhere registry.ceiling
#else
#define ceiling_from_elsewhere 0
#endif

#ifndef MUTANT_RESTORE_WITHOUT_RAISE
#define open_after_loss false
#else
#define open_after_loss true
#endif

// A restored etcd is as the snapshot was, generation and all: what was asked for
// before may be just what it expects, though another has issued there since.
#ifndef MUTANT_RAISE_AFTER_OPENING
#define lets_writes_in open
#else
#define lets_writes_in true
#endif

// Who holds the node after the raise still has to take it anew, though the record
// may name it, with its epoch and its ceiling: others may have issued above that.
#ifndef MUTANT_HOLDER_FOLLOWS_GENERATION
#define same_era(me) same_generation(registry, seen[me])
#else
#define same_era(me) true
#endif
#define still_held(me)                                                       \
  (registry.holder == incarnation[me] && registry.epoch == seen[me].epoch && \
   registry.ceiling >= seen[me].ceiling && same_era(me))

inline copy(to, from) {
  to.revision = from.revision; to.epoch = from.epoch; to.holder = from.holder;
  to.ceiling = from.ceiling; to.generation = from.generation; to.base = from.base
}

inline copy_message(to, from) {
  to.state = from.state; to.ask = from.ask; to.by = from.by;
  to.floor = from.floor; to.ceiling = from.ceiling;
  copy(to.row, from.row)
}

// What is forgotten is wiped, so that equal states are equal.
inline wipe(x) {
  x.revision = 0; x.epoch = 0; x.holder = NOBODY; x.ceiling = 0; x.generation = 0; x.base = 0
}

inline wipe_message(x) {
  x.state = idle; x.ask = nothing; x.by = NOBODY; x.floor = 0; x.ceiling = 0;
  wipe(x.row)
}

// The instances.

#define waiting (message[me].state != idle)
#define holding (ceiling[me] > 0)
#define lowest max(old_ceiling, own_ceiling)
#define other ((me + 1) % INSTANCES)
// Nothing need be sent while the registry is not open: what was sent just before
// may arrive then. One below the own record has gone back, and is refused.
#define may_contact (open && !waiting)
#define may_take (may_contact && !holding && effective(registry) >= own_ceiling)
#define may_extend (may_contact && holding && sure[me])

inline send(what, from, upto, known) {
  message[me].state = sent;
  message[me].ask = what;
  message[me].by = incarnation[me];
  message[me].floor = from;
  message[me].ceiling = upto;
  copy(message[me].row, known);
  sure[me] = false
}

inline ask_for_node(ahead) {
  tick = lowest + ahead;
  printf("instance %d reads ceiling %d, base %d, and asks for the node: %d to %d\n",
         me + 1, registry.ceiling, registry.base, tick, tick + WINDOW);
  send(take, tick, tick + WINDOW, registry);
  tick = 0
}

inline withdraw(who) {
  ceiling[who] = 0;
  sure[who] = false;
  wipe(seen[who])
}

#ifdef ISSUE_LATER
byte next[INSTANCES];
inline issue(from, upto) {
  if
  :: next[me] < from -> next[me] = from
  :: else
  fi
}
#else
inline issue(from, upto) {
  tick = from;
  do
  :: tick < upto ->
     assert(!issued[tick]);  // U1
     issued[tick] = true;
     tick++
  :: else -> break
  od;
  tick = 0
}
#endif

inline publish(from, upto, known) {
  printf("instance %d publishes %d to %d\n", me + 1, from, upto);
  check(upto <= promised);  // U3
  issue(from, upto);
  recorded[me] = upto;
  ceiling[me] = upto;
  copy(seen[me], known);
  sure[me] = true
}

inline start(record) {
  withdraw(me);
  crashes--;
  born++;
  incarnation[me] = born;
#ifdef ISSUE_LATER
  next[me] = 0;
#endif
  recorded[me] = record
}

active [INSTANCES] proctype Instance() {
  byte me = _pid;
  incarnation[me] = _pid + 1;
end:
  do
  :: step { may_take && lowest <= TICKS - WINDOW -> ask_for_node(0) }
  :: step { may_take && lowest < TICKS - WINDOW && jumps > 0 -> jumps--; ask_for_node(1) }
  :: step { may_extend && seen[me].ceiling < TICKS ->
       printf("instance %d asks for %d to %d\n", me + 1, seen[me].ceiling, extended);
       send(extend, ceiling[me], extended, seen[me])
     }
  :: step { may_extend && releases > 0 ->
       printf("instance %d withdraws its grant and releases the node\n", me + 1);
       releases--;
       send(release, 0, 0, seen[me]);
       withdraw(me)
     }
  // What became of an extension is not known. What is read can be extended, but is
  // no ceiling to issue up to.
  :: step { may_contact && holding && !sure[me] ->
       printf("instance %d reads holder %d, ceiling %d\n", me + 1, registry.holder,
              registry.ceiling);
       if
       :: still_held(me) ->
#ifdef MUTANT_READ_BACK_PUBLISHED
          publish(ceiling[me], registry.ceiling, registry);
#endif
          copy(seen[me], registry);
          sure[me] = true
       :: else -> withdraw(me)
       fi
     }
  :: step { message[me].state == committed ->
       check(message[me].by == incarnation[me]);  // U8
       if
       :: message[me].ask != release ->
          publish(message[me].floor, message[me].ceiling, message[me].row)
       :: else
       fi;
       wipe_message(message[me])
     }
#ifdef MUTANT_LATE_REPLY_COUNTS
  :: step { message[me].state == sent && message[INSTANCES].state == committed &&
              message[INSTANCES].by == incarnation[me] ->
       publish(message[me].floor, message[me].ceiling, message[INSTANCES].row);
       wipe_message(message[me])
     }
#endif
  :: step { message[me].state == sent ->
       printf("what instance %d asked for is sent twice\n", me + 1);
       copy_message(message[INSTANCES + STRAYS - 1], message[INSTANCES]);
       copy_message(message[INSTANCES], message[me])
     }
  :: step { waiting ->
       printf("instance %d waits no longer, what is on its way stays there\n", me + 1);
       copy_message(message[INSTANCES + STRAYS - 1], message[INSTANCES]);
       copy_message(message[INSTANCES], message[me]);
       wipe_message(message[me])
     }
  :: step { waiting ->
       printf("instance %d waits no longer, what was on its way is lost\n", me + 1);
       wipe_message(message[me])
     }
  :: step { crashes > 0 && !waiting ->
       printf("instance %d crashes and starts again\n", me + 1);
       start(recorded[me])
     }
  :: step { crashes > 0 && !waiting && recorded[me] != recorded[other] ->
       printf("instance %d starts again with a copy of the other's record\n", me + 1);
       start(recorded[other]);
       note(cloned, me)
     }
#ifdef ISSUE_LATER
  :: step { next[me] < ceiling[me] ->
       printf("instance %d issues %d\n", me + 1, next[me]);
       assert(!issued[next[me]]);  // U1
       issued[next[me]] = true;
       next[me]++
     }
#endif
  od
}

// The way of a message: sooner or later the registry writes what is asked for, or
// refuses; and the reply is on its way.

#define expected(m) (lets_writes_in && same_generation(m.row, registry) && same_row(m))

inline write(m) {
  if
  :: m.ask == take ->
     check(m.floor >= effective(registry));    // U5
     check(m.ceiling > registry.ceiling);      // U4
     registry.epoch++;
     registry.holder = m.by;
     registry.ceiling = m.ceiling
  :: m.ask == extend ->
     check(registry.holder == m.by && registry.epoch == m.row.epoch);  // U6
     check(m.floor >= registry.base);                                  // U6
     check(m.ceiling > registry.ceiling);                              // U4
     registry.ceiling = m.ceiling
  :: m.ask == release ->
     registry.holder = NOBODY;
     registry.ceiling = left_by_release
  fi;
  registry.revision++;
  check(effective(registry) >= promised);  // U4
  note(applied, slot)
}

active [INSTANCES + STRAYS] proctype Way() {
  byte slot = _pid - INSTANCES;
end:
  do
  :: step { message[slot].state == sent && expected(message[slot]) ->
       write(message[slot]);
       printf("registry writes what incarnation %d asked for: ceiling %d\n", message[slot].by,
              registry.ceiling);
       message[slot].state = committed;
       copy(message[slot].row, registry);
       promised = max(promised, message[slot].ceiling)
     }
  :: step { message[slot].state == sent && expected(message[slot]) ->
       write(message[slot]);
       printf("registry writes what incarnation %d asked for: ceiling %d; the reply is lost\n",
              message[slot].by, registry.ceiling);
       wipe_message(message[slot])
     }
  :: step { slot < INSTANCES && message[slot].state == sent && !expected(message[slot]) ->
       printf("registry refuses instance %d, which withdraws\n", slot + 1);
       withdraw(slot);  // U7
       wipe_message(message[slot]);
       note(refused, slot)
     }
  :: step { slot >= INSTANCES && message[slot].state == sent && !expected(message[slot]) ->
       printf("registry refuses a late request\n");
       wipe_message(message[slot]);
       note(refused, slot)
     }
  :: step { slot >= INSTANCES && message[slot].state == committed ->
       printf("nobody waits for a late reply\n");
       wipe_message(message[slot]);
       note(ignored, slot)
     }
  od
}

// What the registry forgets, and who sees to it.
active proctype Fate() {
end:
  do
  :: step { losses + putbacks > 0 && open && !kept && registry.revision > 0 ->
       printf("fate keeps this state of the registry\n");
       copy(snapshot, registry);
       kept = true
     }
  :: step { losses > 0 && open ->
       copy(registry, snapshot);
       printf("fate takes the registry back to ceiling %d, base %d\n", registry.ceiling,
              registry.base);
       losses--;
       open = open_after_loss;
       kept = false;
       if
       :: losses + putbacks == 0 -> wipe(snapshot)
       :: else
       fi
     }
  :: step { putbacks > 0 && open ->
       copy(registry, snapshot);
       printf("fate puts ceiling %d, base %d back in another place\n", registry.ceiling,
              registry.base);
       putbacks--;
       open = open_elsewhere;
       kept = false;
       if
       :: losses + putbacks == 0 -> wipe(snapshot)
       :: else
       fi;
       note(put_back, 0)
     }
  :: step { foreign > 0 && open && registry.ceiling > 0 ->
       foreign--;
       printf("fate replicates another registry's row onto this one\n");
       registry.ceiling = ceiling_from_elsewhere;
       note(foreign_row, 0)
     }
  :: step { !open ->
       registry.base = raised_base;
       registry.generation = next_generation;
       printf("operator raises: generation %d, base %d\n", registry.generation, registry.base);
       open = true;
       check(effective(registry) >= promised)  // U4
     }
  od
}

#ifdef GOAL
active proctype Goal() {
end:
  d_step { GOAL -> assert(false) }
}
#endif
