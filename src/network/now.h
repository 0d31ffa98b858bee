// The clocks that the network back ends read.

#ifndef IDGEN_NETWORK_NOW_H
#define IDGEN_NETWORK_NOW_H

#include <cstdint>
#include <ctime>

namespace idgen {

// A clock, in nanoseconds.
inline std::int64_t clock_now(clockid_t clock) noexcept {
  struct timespec now {};
  clock_gettime(clock, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

// What deadlines are counted in.
inline std::int64_t monotonic_now() noexcept {
  return clock_now(CLOCK_MONOTONIC);
}

}  // namespace idgen

#endif  // IDGEN_NETWORK_NOW_H
