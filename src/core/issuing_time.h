// Issuing time: nanoseconds since the layout's epoch, in an int64.
//
// That holds 292 years, but a layout's time field may go on for 28,000. So issuing ends
// 230 years after the epoch at the latest, and what is left is room for sums and
// differences: no time within these bounds overflows when a window, a skew or another
// such time is added or taken away. Times read from elsewhere (the wall clock, a
// coordinator's, a record's) are brought within the bounds first.

#ifndef IDGEN_CORE_ISSUING_TIME_H
#define IDGEN_CORE_ISSUING_TIME_H

#include <algorithm>
#include <cstdint>

namespace idgen {

inline constexpr std::int64_t kYearNs = std::int64_t{365} * 86400 * 1'000'000'000;
// No tick that begins later is issued.
inline constexpr std::int64_t kEndOfIssuing = 230 * kYearNs;
// What a wall clock counts as that is earlier, or later.
inline constexpr std::int64_t kEarliestTime = -60 * kYearNs;
inline constexpr std::int64_t kLatestTime = 231 * kYearNs;

constexpr std::int64_t within_time(std::int64_t ns) noexcept {
  return std::clamp(ns, kEarliestTime, kLatestTime);
}

// From one time to another, any microseconds.
constexpr std::int64_t ns_between(std::int64_t from_us, std::int64_t to_us) noexcept {
  constexpr std::int64_t kFar = INT64_MAX / 4;
  const std::int64_t us = std::clamp(to_us, -kFar, kFar) - std::clamp(from_us, -kFar, kFar);
  return std::clamp(us, kEarliestTime / 1000, kLatestTime / 1000) * 1000;
}

// From microseconds of Unix time to issuing time.
constexpr std::int64_t since_epoch(std::int64_t unix_us, std::int64_t epoch_us) noexcept {
  return ns_between(epoch_us, unix_us);
}

}  // namespace idgen

#endif  // IDGEN_CORE_ISSUING_TIME_H
