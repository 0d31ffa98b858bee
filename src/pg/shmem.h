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
#include <ctime>

#include "core/clock.h"
#include "core/generator.h"
#include "registry/registry.h"
#include "pg/compat.h"
#include "pg/prelude.h"

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

static_assert(std::atomic<std::uint64_t>::is_always_lock_free,
              "atomics in shared memory must not hide a lock");

// What the views show of the worker. Writer: the worker. Guard: info_lock.
struct WorkerInfo {
  std::int32_t pid = 0;             // 0: not running
  std::int64_t state_since_us = 0;  // Unix time at which the grant's state last changed
  std::uint64_t floor = 0;          // of the grant
  ClockState clock_state = ClockState::unset;
  std::int64_t clock_skew_ns = 0;
  std::int64_t error_at_us = 0;    // Unix time; 0: none yet
  char error[512] = {};            // the last request's failure; empty after a success
  char recorded_layout[192] = {};  // in GrantState::mismatch: what the record says
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

  Counters *counters() noexcept { return reinterpret_cast<Counters *>(this + 1); }
};

// The shared state, or null in a server that doesn't preload the library.
extern SharedState *shared;
// Guards shared->info. Null where `shared` is.
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

// Nanoseconds of CLOCK_MONOTONIC; and of Unix time. By vDSO, no system call.
inline std::int64_t clock_ns(clockid_t clock) noexcept {
  struct timespec now;
  clock_gettime(clock, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}
inline std::int64_t monotonic_ns() noexcept {
  return clock_ns(CLOCK_MONOTONIC);
}
inline std::int64_t realtime_ns() noexcept {
  return clock_ns(CLOCK_REALTIME);
}

}  // namespace idgen::pg

#endif  // IDGEN_PG_SHMEM_H
