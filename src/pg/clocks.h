// The machine's clocks, and how what the core says of them reads.

#ifndef IDGEN_PG_CLOCKS_H
#define IDGEN_PG_CLOCKS_H

#include <cstdint>
#include <ctime>

#include "core/clock.h"
#include "core/keeper.h"

namespace idgen::pg {

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
inline std::int64_t unix_now_us() noexcept {
  return realtime_ns() / 1000;
}

// What the kernel says of its clock.
struct KernelClock {
  KernelSync sync = KernelSync::unknown;
  std::int64_t max_error_us = -1;  // -1: not known
};
// By a system call.
KernelClock read_kernel_clock() noexcept;

// One sample of all clocks; `wall` counts from the layout's epoch. The kernel's
// opinion is the caller's to add.
ClockSample sample_clocks() noexcept;

// The names of the views.
const char *name_of(ClockState state) noexcept;
const char *name_of(ClockEventKind kind) noexcept;
const char *name_of(KernelSync sync) noexcept;

// Writes "1 h 2 min", "350 ms" and the like, without the sign.
struct SpanText {
  char text[48];
};
SpanText span_text(std::int64_t ns) noexcept;

}  // namespace idgen::pg

#endif  // IDGEN_PG_CLOCKS_H
