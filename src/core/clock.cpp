#include "core/clock.h"

#include <algorithm>

namespace idgen {

void Clock::settle(const ClockSample &sample) noexcept {
  skew_ = sample.monotonic + offset_ - sample.wall;
  if (skew_ > kNoise) {
    state_ = ClockState::holding;
  } else if (state_ != ClockState::suspect) {
    state_ = ClockState::synchronized;
  }
  last_monotonic_ = sample.monotonic;
}

void Clock::start(const ClockSample &sample, std::int64_t floor) noexcept {
  state_ = ClockState::unset;
  offset_ = std::max(sample.wall, floor) - sample.monotonic;
  settle(sample);
}

void Clock::resume(const ClockSample &sample, std::int64_t offset) noexcept {
  state_ = ClockState::unset;
  offset_ = offset;
  settle(sample);
}

void Clock::raise(std::int64_t monotonic, std::int64_t floor) noexcept {
  const std::int64_t wall = monotonic + offset_ - skew_;
  offset_ = std::max(offset_, floor - monotonic);
  settle({monotonic, wall});
}

void Clock::sample(const ClockSample &sample, const ClockPolicy &policy) noexcept {
  const std::int64_t elapsed = std::max<std::int64_t>(0, sample.monotonic - last_monotonic_);
  const std::int64_t wall_offset = sample.wall - sample.monotonic;
  const std::int64_t ahead = offset_ - wall_offset;

  if (ahead > kNoise) {
    offset_ -= std::min({ahead, elapsed / kSlewDivisor, kMaxSlewStep});
    state_ = ClockState::holding;
  } else if (ahead >= -policy.max_skew) {
    offset_ = wall_offset;
    state_ = ClockState::synchronized;
  } else {
    const std::int64_t moved = wall_offset - suspect_offset_;
    if (state_ != ClockState::suspect || moved > policy.max_skew || moved < -policy.max_skew) {
      state_ = ClockState::suspect;
      suspect_offset_ = wall_offset;
      suspect_since_ = sample.monotonic;
    } else if (sample.monotonic - suspect_since_ >= policy.confirm) {
      offset_ = wall_offset;
      state_ = ClockState::synchronized;
    }
  }
  settle(sample);
}

}  // namespace idgen
