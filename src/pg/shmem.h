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
#include "pg/clocks.h"
#include "pg/compat.h"
#include "pg/prelude.h"
#include "registry/fleet_store.h"

namespace idgen::pg {

inline constexpr std::size_t kCacheLine = 64;

// Counters of one process slot (proc_number()). Writer: the process that holds
// the slot, alone. Readers sum over all slots; relaxed loads will do. A slot
// keeps its counts when the process ends: only sums mean anything.
struct alignas(kCacheLine) Counters {
  std::atomic<std::uint64_t> ids{0};            // IDs issued
  std::atomic<std::uint64_t> calls{0};          // calls that asked for one ID
  std::atomic<std::uint64_t> batches{0};        // calls that asked for several
  std::atomic<std::uint64_t> waits_lead{0};     // waits for the clock to catch up
  std::atomic<std::uint64_t> waits_ceiling{0};  // waits for the worker to extend
  std::atomic<std::uint64_t> waits_grant{0};    // waits for a node
  std::atomic<std::uint64_t> wait_us{0};        // time spent in them
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
  retire,    // argument: the node
  unretire,  // the same
};

// A queue of them. A caller takes a ticket, writes its call and waits on
// grant_changed until `answered` has reached it; the worker answers in order. A
// caller who has given up waiting is answered all the same.
struct Mailbox {
  static constexpr std::uint64_t kSize = 16;
  struct Call {
    Ask ask = Ask::accept_clock;  // writer: the caller. Guard: info_lock
    std::int64_t argument = 0;    // the same
    bool ok = false;              // writer: the worker, before `answered`. Guard: info_lock
    bool failed = false;          // the same: `message` says why
    char message[448] = {};       // the same
  };
  std::uint64_t asked = 0;                 // writers: callers. Guard: info_lock
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
  std::uint64_t generation = 0;
  std::int64_t capacity = 0;  // constant
  std::int64_t rows = 0;
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

  // --- the rest -----------------------------------------------------------
  // Drawn when shared memory is made; constant afterwards.
  alignas(kCacheLine) Incarnation incarnation;
  std::int64_t started_ns = 0;  // CLOCK_MONOTONIC at that time; constant
  int slots = 0;                // length of counters(); constant
  // Callers that wait for a grant or a ceiling; broadcast by the worker
  // whenever it publishes. Guard: its own.
  ConditionVariable grant_changed;
  WorkerInfo info;
  EventRing events;
  // What the worker knows, as of its last turn, for the views and for a worker
  // that goes on after it. Writer: the worker. Guard: info_lock.
  Keeper keeper{IssueLayout{}, Incarnation{}, 0};
  bool has_keeper = false;  // the same
  Mailbox mailbox;
  FleetInfo fleet;

  Counters *counters() noexcept { return reinterpret_cast<Counters *>(this + 1); }
  FleetRow *fleet_rows() noexcept { return reinterpret_cast<FleetRow *>(counters() + slots); }
};

// The shared state, or null in a server that doesn't preload the library.
extern SharedState *shared;
// Guards what says so above. Null where `shared` is.
extern LWLock *info_lock;

// Hooks the reservation and the making of shared memory in. Only while the
// server starts.
void install_shmem_hooks();

// The counters of this process. It needs a slot: true of every process that
// can run SQL.
inline Counters &my_counters() noexcept {
  return shared->counters()[proc_number()];
}

// Adds to a counter that this process alone writes: no locked instruction.
inline void add(std::atomic<std::uint64_t> &counter, std::uint64_t n) noexcept {
  counter.store(counter.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
}

}  // namespace idgen::pg

#endif  // IDGEN_PG_SHMEM_H
