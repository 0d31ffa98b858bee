// What backends and the worker share: the grant, the words, the clock, counters.
//
// Plain numbers only: nothing of a process (pointer, descriptor, lock taken)
// survives in here. Every field says who writes it and what guards it. All of
// it is drawn up anew when the postmaster (re-)initialises shared memory; that
// is what an incarnation is.

#ifndef IDGEN_PG_SHMEM_H
#define IDGEN_PG_SHMEM_H

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "core/keeper.h"
#include "core/scope_word.h"
#include "pg/clocks.h"
#include "pg/compat.h"
#include "pg/prelude.h"
#include "registry/fleet_store.h"

namespace idgen::pg {

inline constexpr std::size_t kCacheLine = 64;

// Why a call waits.
enum WaitReason : std::uint8_t {
  kWaitClock,    // for the clock to catch up with IDs that have run ahead of it
  kWaitCeiling,  // for the worker to raise the ceiling
  kWaitNode,     // for a node
  kWaitReasons,
};

// Counters of one process slot (proc_number()) for one scope. Writer: the process
// that holds the slot, alone; but who resets the statistics sets what is a maximum
// to 0. Readers sum over all slots; relaxed loads will do. A slot keeps its counts
// when the process ends or the scope is dropped: only differences of sums mean
// anything (statistics.h).
struct alignas(kCacheLine) Counters {
  struct Waits {
    std::atomic<std::uint64_t> count{0};
    std::atomic<std::uint64_t> us{0};          // the time they took
    std::atomic<std::uint64_t> longest_us{0};  // of one
  };
  std::atomic<std::uint64_t> calls{0};      // that asked for one ID, and got it
  std::atomic<std::uint64_t> batches{0};    // that asked for several
  std::atomic<std::uint64_t> batch_ids{0};  // IDs issued to those
  std::atomic<std::uint64_t> skipped{0};    // IDs left out so that a run lies in one tick
  std::atomic<std::uint64_t> exhausted{0};  // ticks whose last ID was issued
  std::atomic<std::uint64_t> peak{0};       // most IDs of one tick that were seen to be issued
  Waits waits[kWaitReasons];
};

// A place for a scope's word. Which scope it is, if any, shows by word.owner, and
// changes under scopes_lock alone.
struct alignas(kCacheLine) ScopePlace {
  ScopeWord word;             // writers: any backend, the worker. Guard: scope_word.h
  Oid database = InvalidOid;  // writer: who starts the scope here. Guard: scopes_lock
  NameData name = {};         // the same
  // CLOCK_MONOTONIC when it was last seen to be used. Writers: who starts the scope,
  // the worker once a second. Guard: atomic
  std::atomic<std::int64_t> used_ns{0};
};

// Sums of counters when they last began to count; of all together also the maxima of
// those that count for another scope since. Writers: who resets them, or
// starts a scope. Guard: scopes_lock.
struct Sums {
  std::uint64_t calls = 0;
  std::uint64_t batches = 0;
  std::uint64_t ids = 0;
  std::uint64_t exhausted = 0;
  std::uint64_t peak = 0;  // a maximum
  struct Waits {
    std::uint64_t count = 0;
    std::uint64_t us = 0;
    std::uint64_t longest_us = 0;  // a maximum
  };
  Waits waits[kWaitReasons];
};

// One line of snowflake_clock_events.
struct LoggedEvent {
  std::int64_t at_us = 0;  // Unix time, by the wall clock of that moment
  ClockEvent event;
};

// The last events, a ring. Writer: the worker. Guard: info_lock.
struct EventRing {
  static constexpr std::uint64_t kSize = 128;
  std::uint64_t count = 0;  // ever; the next goes to [count % kSize]
  LoggedEvent events[kSize];
};

// What operators ask of the worker.
enum class Ask : std::uint8_t {
  accept_clock,
  confirm_copy,
  confirm_local,
  rotate,
  drain,
  undrain,
  // Of the fleet's registry:
  list,
  raise,     // argument: the ceiling, a tick
  force,     // likewise, however far ahead
  retire,    // argument: the node
  unretire,  // the same
};

// A queue of them. A caller takes a ticket, writes its call and waits on
// grant_changed until `answered` has reached it; the worker answers in order. A
// caller that has given up waiting is answered all the same, and an answer is kept until
// another call needs its place. The fleet is read for all that want to see it at once, so
// that they take one ticket and leave the others to operators.
struct Mailbox {
  static constexpr std::uint64_t kSize = 16;
  struct Call {
    std::uint64_t ticket = 0;     // writer: the caller. Guard: info_lock
    Ask ask = Ask::accept_clock;  // writer: the caller. Guard: info_lock
    std::int64_t argument = 0;    // the same
    bool ok = false;              // writer: the worker, before `answered`. Guard: info_lock
    bool failed = false;          // the same: `message` says why
    char message[448] = {};       // the same
  };
  std::uint64_t asked = 0;                 // writers: callers. Guard: info_lock
  std::uint64_t lists = 0;                 // the last ticket of Ask::list. The same
  std::atomic<std::uint64_t> answered{0};  // writer: the worker, under info_lock. Guard: atomic
  Call calls[kSize];                       // ticket n lies at [n % kSize]
};

// One line of snowflake_fleet. Writer: the worker. Guard: info_lock.
struct FleetRow {
  std::uint32_t node = 0;
  NodeState state = NodeState::free;
  bool alive = false;
  std::uint8_t log2_lanes = 0;
  std::uint64_t epoch = 0;
  std::uint64_t ceiling = 0;  // what counts: at least the fleet's base
  Incarnation holder;
  std::int64_t since_us = 0;     // Unix time
  std::int64_t extended_us = 0;  // the same
  char name[144] = {};           // cluster_name (host:port)
};

// The fleet as last read. Writer: the worker. Guard: info_lock. The rows follow the
// counters; those beyond the capacity are left out.
struct FleetInfo {
  static constexpr std::uint64_t kCapacity = 4096;
  std::int64_t read_at_us = 0;  // Unix time; 0: never
  // CLOCK_MONOTONIC, ns, until which it needs not be asked for again; 0: it does
  std::int64_t fresh_until = 0;
  bool failed = false;  // it could not be read when it was last asked for
  std::uint64_t generation = 0;
  std::int64_t capacity = 0;  // constant
  std::int64_t rows = 0;
};

// How full the databases of the coordinator's members are, as last read. Writer: the
// worker. Guard: info_lock. Members beyond the capacity are left out.
struct SpaceInfo {
  static constexpr int kCapacity = 16;
  struct Member {
    char name[280] = {};  // "host:port"
    std::int64_t size = 0;
    std::int64_t in_use = 0;
    std::int64_t quota = 0;  // 0: there is none
    bool quota_known = false;
    bool full = false;
    std::int64_t read_at_us = 0;    // Unix time
    std::int64_t warned_at_us = 0;  // Unix time; 0: never
  };
  int count = 0;
  Member members[kCapacity];
};

static_assert(std::is_trivially_copyable_v<Keeper>, "it is kept in shared memory");
static_assert(std::atomic<std::uint64_t>::is_always_lock_free,
              "atomics in shared memory must not hide a lock");

// What the views show of the worker. Writer: the worker. Guard: info_lock.
struct WorkerInfo {
  std::int32_t pid = 0;             // 0: not running
  std::int32_t process = 0;         // its proc_number(), to wake it by
  std::int64_t state_since_us = 0;  // Unix time at which the grant's state last changed
  std::uint64_t floor = 0;          // of the grant
  ClockTrouble trouble = ClockTrouble::none;
  std::int64_t max_error_us = -1;  // the kernel's, of its clock; -1: not known
  std::int64_t error_at_us = 0;    // Unix time; 0: none yet
  char error[512] = {};            // the last request's failure; empty after a success
  char registry[192] = {};         // what it asks, without credentials
  char recorded_layout[192] = {};  // in GrantState::mismatch: what the record says,
  bool fleet_disagrees = false;    // or the fleet's registry
  char last_failure[512] = {};     // as `error`, but kept
};

// What the worker has done. Writers: the worker, and who resets it. Guard: info_lock.
struct WorkerStats {
  std::int64_t started_us = 0;     // Unix time at which it was started, last
  std::uint64_t starts = 0;        // since shared memory was made
  std::uint64_t turns = 0;         // since then, or since the reset
  std::int64_t last_turn_us = 0;   // Unix time at which the last turn ended; 0: none yet
  std::uint64_t acquisitions = 0;  // nodes taken
  std::uint64_t renewals = 0;      // ceilings raised
  std::uint64_t failures = 0;      // requests of the registry that were not done
  std::uint64_t losses = 0;        // of them, those by which the node was lost
  std::int64_t renewed_us = 0;     // Unix time of the last renewal; 0: none
  std::int64_t last_ns = 0;        // how long it took
  std::int64_t longest_ns = 0;     // the longest
  std::int64_t total_ns = 0;       // all together
};

struct SharedState {
  // --- read by every call, written a few times a second -------------------
  // The grant. Writer: the worker. Guard: atomic; in the order "withdraw the
  // grant, raise the words, set the offset, publish the grant".
  alignas(kCacheLine) std::atomic<std::uint64_t> grant{0};
  // Nanoseconds from CLOCK_MONOTONIC to issuing time since the epoch. Writer:
  // the worker. Guard: atomic.
  std::atomic<std::int64_t> clock_offset{0};

  // --- written by every call ----------------------------------------------
  // The default scope's word: the last ID issued. Writers: any backend by
  // compare-and-swap, the worker by raise_word(). Guard: atomic.
  alignas(kCacheLine) std::atomic<std::uint64_t> last{0};

  // --- written when a scope starts or ends --------------------------------
  // At or above all that was issued in scopes that have ended. Writers: backends
  // and the worker, under scopes_lock. Guard: atomic.
  alignas(kCacheLine) std::atomic<std::uint64_t> high_water{0};
  std::uint64_t owners = 0;  // scopes ever started. Guard: scopes_lock
  // Places ever used: those behind need not be looked at. Writer: who starts a scope,
  // under scopes_lock. Guard: atomic.
  std::atomic<int> places_used{0};

  // --- IDs of others that were seen (snowflake_observe) --------------------
  // The greatest tick of those that the worker is still to take in, plus one; 0:
  // none. Writers: backends by CAS-max, the worker takes it away. Guard: atomic.
  alignas(kCacheLine) std::atomic<std::uint64_t> observed{0};
  // From CLOCK_MONOTONIC to how far ahead they may be; 0: not known yet. Writer: the
  // worker. Guard: atomic.
  std::atomic<std::int64_t> observe_offset{0};
  // How many were ahead and have moved issuing time; and how many were too far ahead
  // and were ignored. Writers: backends. Guard: atomic.
  std::atomic<std::uint64_t> observations{0};
  std::atomic<std::uint64_t> observations_ignored{0};

  // --- the rest -----------------------------------------------------------
  // Drawn when shared memory is made; constant afterwards.
  alignas(kCacheLine) Incarnation incarnation;
  std::int64_t started_ns = 0;      // CLOCK_MONOTONIC at that time; constant
  int slots = 0;                    // of processes; constant
  int places = 0;                   // of scopes; constant
  std::int64_t stats_reset_us = 0;  // Unix time; 0: never. Guard: scopes_lock
  // Callers that wait for a grant or a ceiling; broadcast by the worker
  // whenever it publishes. Guard: its own.
  ConditionVariable grant_changed;
  WorkerInfo info;
  WorkerStats worker;
  EventRing events;
  // What the worker knows, as of its last turn, for the views and for a worker
  // that goes on after it. Writer: the worker. Guard: info_lock.
  Keeper keeper{IssueLayout{}, Incarnation{}, 0};
  bool has_keeper = false;  // the same
  Mailbox mailbox;
  FleetInfo fleet;
  SpaceInfo space;

  // What has no fixed length follows.
  static constexpr int kDefaultColumn = 0;
  int columns() const noexcept { return places + 1; }  // of counters: the default scope, the places
  // The counters of a process, by column.
  Counters *counters(int slot) noexcept {
    return reinterpret_cast<Counters *>(this + 1) + std::size_t{1} * slot * columns();
  }
  ScopePlace *scope_places() noexcept { return reinterpret_cast<ScopePlace *>(counters(slots)); }
  // By column; then one for all together.
  Sums *began() noexcept { return reinterpret_cast<Sums *>(scope_places() + places); }
  FleetRow *fleet_rows() noexcept { return reinterpret_cast<FleetRow *>(began() + columns() + 1); }
};
static_assert(sizeof(Sums) % alignof(FleetRow) == 0 && sizeof(ScopePlace) % alignof(Sums) == 0);

// The shared state, or null in a server that doesn't preload the library.
extern SharedState *shared;
// Guards what says so above. Null where `shared` is.
extern LWLock *info_lock;
// Guards which scope has which place: taken by who starts or ends one, and by the
// worker while it raises all words. Null where `shared` is.
extern LWLock *scopes_lock;

// Is the registry in use the instance's own record alone? That may differ from the setting
// idgen.registry, as another registry is gone over to only when it can be.
bool uses_own_record_alone();

// Hooks the reservation and the making of shared memory in. Only while the
// server starts.
void install_shmem_hooks();

// This process's counters; null until it has counted something.
extern Counters *own_counters;

// This process's counters of a column. It needs a slot, which it keeps until it ends:
// true of every process that can run SQL.
inline Counters &my_counters(int column) noexcept {
  if (unlikely(own_counters == nullptr)) own_counters = shared->counters(proc_number());
  return own_counters[column];
}

// Adds to a counter that this process alone writes: no locked instruction.
inline void add(std::atomic<std::uint64_t> &counter, std::uint64_t n) noexcept {
  counter.store(counter.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
}

}  // namespace idgen::pg

#endif  // IDGEN_PG_SHMEM_H
