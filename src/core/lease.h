// The lease: when to ask the registry for what, so that a durable ceiling is
// always ahead of issuing time.
//
// A pure state machine. The worker asks next() what to do, carries it out
// through the registry, and tells the outcome. Ticks are the layout's; times
// are nanoseconds of CLOCK_MONOTONIC.
//
//   U3  ceiling() only ever takes values that acknowledged() was given.
//   U4  no extension asks for a ceiling below one already acknowledged.

#ifndef IDGEN_CORE_LEASE_H
#define IDGEN_CORE_LEASE_H

#include <cstdint>

#include "core/clock.h"
#include "core/grant.h"

namespace idgen {

// The setting may not be shorter than this many ticks.
inline constexpr std::uint64_t kMinWindowTicks = 4;
// Nor any window than this: half of it must be time to write.
inline constexpr std::uint64_t kFirstWindowTicks = 2;

class Lease {
 public:
  enum class Ask : std::uint8_t { nothing, acquire, extend };

  struct Step {
    Ask ask = Ask::nothing;
    std::uint64_t ticks = 0;    // acquire: how far above the floor the ceiling should lie
    std::uint64_t ceiling = 0;  // extend: the ceiling wanted
  };

  // Soon after a start a window is a tenth of the time since then, within
  // [kFirstWindow, window] (hole). A start begins at the old ceiling, and slewing
  // takes a tenth of the time off a lead: so a life that ends by a crash carries
  // issuing time no further away from the wall clock than kFirstWindow (or
  // kFirstWindowTicks), however long it was and however many there are.
  static constexpr std::int64_t kFirstWindow = 200'000'000;
  static constexpr std::int64_t kUptimeDivisor = Clock::kSlewDivisor;
  // A slow disk gets a window of so many times its last write, up to
  // kLongestWindow (or max_skew, if that is less): half of it is time to write.
  static constexpr std::int64_t kSlowWrites = 4;
  static constexpr std::int64_t kLongestWindow = 60'000'000'000;
  static constexpr std::int64_t kFirstRetry = 50'000'000;
  static constexpr std::int64_t kLastRetry = 500'000'000;

  // `started`: when this incarnation began.
  Lease(const IssueLayout &layout, std::int64_t started) noexcept
      : layout_(layout), started_(started) {}

  // What a window may be.
  struct Policy {
    std::int64_t window = 3'000'000'000;
    std::int64_t longest = kLongestWindow;  // for a slow disk
  };

  // What to do now. One request is in flight at a time: `nothing` until its
  // outcome is told.
  Step next(std::int64_t now, std::uint64_t issuing_tick, const Policy &policy) noexcept;

  // The outcome of the request in flight: durably written, with this ceiling.
  void acknowledged(std::int64_t now, std::uint64_t ceiling) noexcept;
  // Or not, or not known: asked again after a pause that doubles up to
  // kLastRetry.
  void failed(std::int64_t now) noexcept;

  // The request in flight is none any more, or was none of the lease's.
  void forget_request() noexcept { in_flight_ = Ask::nothing; }
  // The pause after a failure is over.
  void retry_at_once() noexcept { retry_at_ = 0; }

  // Goes on with a ceiling that was published before (a restarted worker).
  void resume(std::uint64_t ceiling) noexcept;
  // The node is to be acquired afresh; the next step asks for that. The outcome
  // of an extension in flight is still to be told, and changes nothing.
  void restart() noexcept { held_ = false; }

  bool held() const noexcept { return held_; }
  bool waiting() const noexcept { return in_flight_ != Ask::nothing; }
  std::uint64_t ceiling() const noexcept { return ceiling_; }

  // When next() may have something to do, if issuing time goes on as the
  // monotonic clock does.
  std::int64_t wake_at(std::int64_t now, std::uint64_t issuing_tick,
                       const Policy &policy) const noexcept;

  // The window now, in time.
  std::int64_t window_at(std::int64_t now, const Policy &policy) const noexcept;

 private:
  std::uint64_t window_ticks(std::int64_t now, const Policy &policy) const noexcept;

  IssueLayout layout_;
  std::int64_t started_;
  std::uint64_t ceiling_ = 0;
  std::int64_t asked_at_ = 0;
  std::int64_t write_time_ = 0;  // what a write takes: the longest lately
  std::int64_t retry_at_ = 0;
  std::int64_t retry_pause_ = 0;
  bool held_ = false;
  Ask in_flight_ = Ask::nothing;
};

}  // namespace idgen

#endif  // IDGEN_CORE_LEASE_H
