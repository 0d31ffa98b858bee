// Which events of the clock are told. A clock that jitters by a millisecond falls behind
// issuing time and meets it again at every other sample; told each time, that would push
// everything else out of the view, and fill the log. So of small leads a few are told, and
// then one in a while. Of any other kind of event many are, and then one a minute: a clock
// may also flap about a limit, or the kernel's state of it.

#ifndef IDGEN_CORE_EVENT_LIMIT_H
#define IDGEN_CORE_EVENT_LIMIT_H

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "core/clock.h"

namespace idgen {

class ClockEventLimit {
 public:
  // So many small leads at once, and then one in so long.
  static constexpr std::int64_t kBurst = 4;
  static constexpr std::int64_t kPause = 600'000'000'000;
  // The same, of each other kind of event.
  static constexpr std::int64_t kKindBurst = 20;
  static constexpr std::int64_t kKindPause = 60'000'000'000;

  // Is it to be told? `now`: CLOCK_MONOTONIC. An end (`synchronized`) is not told if its
  // beginning was not.
  bool admits(const ClockEvent &event, std::int64_t now) noexcept {
    const bool told = is_told(event, now);
    if (!told) ++left_out_;
    return told;
  }
  // How many were not, since this was last asked.
  std::uint64_t left_out() noexcept { return std::exchange(left_out_, 0); }

 private:
  // Some at once, then one in a while.
  template <std::int64_t burst, std::int64_t pause>
  class Budget {
   public:
    bool take(std::int64_t now) noexcept {
      const std::int64_t earned = (now - since_) / pause;
      if (earned > 0) {
        left_ = std::min(burst, left_ + earned);
        since_ += earned * pause;
      }
      if (left_ == 0) return false;
      if (left_-- == burst) since_ = now;
      return true;
    }

   private:
    std::int64_t left_ = burst;
    std::int64_t since_ = 0;  // what has been earned since is not in left_ yet
  };

  static bool is_small(const ClockEvent &event) noexcept {
    return event.kind == ClockEventKind::holding && event.skew < Clock::kWorthTelling &&
           event.step > -Clock::kWorthTelling;
  }
  // The clocks part; `synchronized` ends it. Events of the kernel and the breaker do not.
  static bool departs(ClockEventKind kind) noexcept {
    return kind == ClockEventKind::holding || kind == ClockEventKind::rollback ||
           kind == ClockEventKind::suspect;
  }
  bool is_told(const ClockEvent &event, std::int64_t now) noexcept {
    if (event.kind == ClockEventKind::synchronized && std::exchange(hidden_, false)) return false;
    const bool told =
        is_small(event) ? small_.take(now) : kinds_[static_cast<std::size_t>(event.kind)].take(now);
    if (departs(event.kind)) hidden_ = !told;
    return told;
  }

  Budget<kBurst, kPause> small_;
  std::array<Budget<kKindBurst, kKindPause>, kClockEventKinds> kinds_{};
  std::uint64_t left_out_ = 0;
  bool hidden_ = false;  // the beginning of what `synchronized` will end
};

}  // namespace idgen

#endif  // IDGEN_CORE_EVENT_LIMIT_H
