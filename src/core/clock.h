// The clock: what the issuing clock should be, given samples of the wall clock
// and of the monotonic clock.
//
// A pure state machine. The worker samples and calls; the offset that comes out
// is what it publishes (after it has made sure of a ceiling above it). Backends
// never see a step of the wall clock: they read CLOCK_MONOTONIC + offset.
//
// All times are nanoseconds; `wall` counts from the layout's epoch.

#ifndef IDGEN_CORE_CLOCK_H
#define IDGEN_CORE_CLOCK_H

#include <cstdint>

namespace idgen {

enum class ClockState : std::uint8_t {
  unset,         // no sample yet
  synchronized,  // issuing time follows the wall clock
  holding,       // issuing time is ahead and runs slower until they meet
  suspect,       // the wall clock is far ahead and not believed yet
};

struct ClockSample {
  std::int64_t monotonic = 0;
  std::int64_t wall = 0;
};

struct ClockPolicy {
  std::int64_t max_skew = 60'000'000'000;  // a wall clock further ahead is not believed at once
  std::int64_t confirm = 600'000'000'000;  // but when it has stayed there for this long
};

class Clock {
 public:
  // A difference up to this is reading noise and slewing by the time daemon:
  // followed in both directions.
  static constexpr std::int64_t kNoise = 1'000'000;
  // While ahead, issuing time runs at 1 - 1/10 of real speed: a sample takes a
  // tenth of the time since the last one off, at most kMaxSlewStep, so that
  // callers never see a step they would have to wait for. Samples should come
  // every kSlewInterval meanwhile; late ones only make it slower.
  static constexpr std::int64_t kSlewDivisor = 10;
  static constexpr std::int64_t kMaxSlewStep = 1'000'000;
  static constexpr std::int64_t kSlewInterval = kMaxSlewStep * kSlewDivisor;

  // Starts at the wall clock or at `floor`, whichever is later.
  void start(const ClockSample &sample, std::int64_t floor) noexcept;

  // Goes on with an offset that backends already use.
  void resume(const ClockSample &sample, std::int64_t offset) noexcept;

  // Issuing time must not be below `floor` from now on (a fresh grant's floor).
  void raise(std::int64_t monotonic, std::int64_t floor) noexcept;

  // Takes a sample in; offset(), state() and skew() tell what follows.
  void sample(const ClockSample &sample, const ClockPolicy &policy) noexcept;

  std::int64_t offset() const noexcept { return offset_; }
  ClockState state() const noexcept { return state_; }
  // Issuing time minus wall time at the last sample: a level, not a step.
  std::int64_t skew() const noexcept { return skew_; }

 private:
  void settle(const ClockSample &sample) noexcept;

  ClockState state_ = ClockState::unset;
  std::int64_t offset_ = 0;
  std::int64_t skew_ = 0;
  std::int64_t last_monotonic_ = 0;
  std::int64_t suspect_offset_ = 0;  // where the wall clock was when it became suspect
  std::int64_t suspect_since_ = 0;
};

}  // namespace idgen

#endif  // IDGEN_CORE_CLOCK_H
