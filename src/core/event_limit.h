// Which events of the clock are told. A clock that jitters by a millisecond falls behind
// issuing time and meets it again at every other sample; told each time, that would push
// everything else out of the view, and fill the log. So of small leads a few are told, and
// then one in a while. What is not small is always told.

#ifndef IDGEN_CORE_EVENT_LIMIT_H
#define IDGEN_CORE_EVENT_LIMIT_H

#include <algorithm>
#include <cstdint>
#include <utility>

#include "core/clock.h"

namespace idgen {

class ClockEventLimit {
 public:
  // So many small leads at once, and then one in so long.
  static constexpr std::int64_t kBurst = 4;
  static constexpr std::int64_t kPause = 600'000'000'000;

  // Is it to be told? `now`: CLOCK_MONOTONIC. The end of a lead is told if its beginning was.
  bool admits(const ClockEvent &event, std::int64_t now) noexcept {
    if (event.kind == ClockEventKind::synchronized && std::exchange(hidden_, false)) {
      ++left_out_;
      return false;
    }
    hidden_ = is_small(event) && !take(now);
    if (hidden_) ++left_out_;
    return !hidden_;
  }
  // How many were not, since this was last asked.
  std::uint64_t left_out() noexcept { return std::exchange(left_out_, 0); }

 private:
  static bool is_small(const ClockEvent &event) noexcept {
    return event.kind == ClockEventKind::holding && event.skew < Clock::kWorthTelling &&
           event.step > -Clock::kWorthTelling;
  }
  bool take(std::int64_t now) noexcept {
    const std::int64_t earned = (now - since_) / kPause;
    if (earned > 0) {
      left_ = std::min(kBurst, left_ + earned);
      since_ += earned * kPause;
    }
    if (left_ == 0) return false;
    if (left_-- == kBurst) since_ = now;
    return true;
  }

  std::int64_t left_ = kBurst;
  std::int64_t since_ = 0;  // what has been earned since is not in left_ yet
  std::uint64_t left_out_ = 0;
  bool hidden_ = false;  // the lead that there is
};

}  // namespace idgen

#endif  // IDGEN_CORE_EVENT_LIMIT_H
