#include "core/clock.h"

#include <algorithm>

#include "core/issuing_time.h"

namespace idgen {
namespace {

constexpr std::int64_t offset_of(const ClockSample &sample) noexcept {
  return sample.wall - sample.monotonic;
}

}  // namespace

// A lead that an earlier and longer window has left is no rollback either.
void Clock::note_window(const ClockPolicy &policy, std::int64_t longest) noexcept {
  window_ = std::max(policy.window, longest);
  rollback_limit_ = policy.max_skew + window_;
}

// Skew and state, from offset_ and the sample. A suspect clock stays so for as
// long as it is ahead.
void Clock::settle(const ClockSample &sample) noexcept {
  skew_ = offset_ - offset_of(sample);
  const std::int64_t noise = kNoise + sample.error;
  if (skew_ > noise) {
    state_ = skew_ > rollback_limit_ ? ClockState::rollback : ClockState::holding;
  } else if (state_ != ClockState::suspect || skew_ >= -noise) {
    state_ = ClockState::synchronized;
  }
}

void Clock::start(const ClockSample &sample, const ClockEvidence &evidence,
                  const ClockPolicy &policy) noexcept {
  const std::int64_t boottime = sample.monotonic + sample.suspended;
  const std::int64_t issuing = within_time(evidence.issuing);
  std::int64_t expected = sample.wall;
  if (evidence.known && evidence.same_boot && boottime >= evidence.boottime) {
    expected = issuing + (boottime - evidence.boottime);
  } else if (evidence.known && !evidence.same_boot && sample.kernel == KernelSync::unsynchronized) {
    expected = issuing;  // later than that, nobody knows how much
  }
  note_window(policy, evidence.window);
  followed_ = 0;
  lasted_ = 0;
  suspect_offset_ = offset_of(sample);
  const bool contradicted = sample.wall - expected > policy.max_skew;
  state_ = contradicted ? ClockState::suspect : ClockState::unset;
  offset_ = (contradicted ? expected : sample.wall) - sample.monotonic;
  trusted_offset_ = offset_;
  last_ = sample;
  settle(sample);
}

void Clock::follow(const ClockSample &sample, std::int64_t floor) noexcept {
  state_ = ClockState::unset;
  followed_ = 0;
  offset_ = std::max(sample.wall, floor) - sample.monotonic;
  last_ = sample;
  settle(sample);
}

void Clock::raise(const ClockSample &sample, std::int64_t floor, std::int64_t explained) noexcept {
  window_ = within_time(window_ + explained);
  rollback_limit_ = within_time(rollback_limit_ + explained);
  offset_ = std::max(offset_, floor - sample.monotonic);
  settle(sample);
}

std::int64_t Clock::believed_offset(const ClockSample &sample) const noexcept {
  // A step ahead that sample() has not judged yet is not believed either.
  const std::int64_t judged = state_ == ClockState::suspect ? trusted_offset_ : offset_of(last_);
  return std::min(offset_of(sample), judged);
}

bool Clock::observe(const ClockSample &sample, std::int64_t until, std::int64_t max_skew) noexcept {
  if (until > sample.monotonic + believed_offset(sample) + max_skew) return false;
  if (offset_ - offset_of(sample) <= kNoise + sample.error) observed_ = true;
  raise(sample, until);
  return true;
}

// Ahead of the wall clock? Then holds and slews.
bool Clock::judge_lead(const ClockSample &sample, std::int64_t elapsed) noexcept {
  const std::int64_t ahead = offset_ - offset_of(sample);
  if (ahead <= kNoise + sample.error) return false;
  offset_ -= std::min({ahead, elapsed / kSlewDivisor, kMaxSlewStep});
  return true;
}

// Not ahead: follows, or doesn't believe it yet.
ClockEventKind Clock::judge_lag(const ClockSample &sample, const ClockPolicy &policy,
                                std::int64_t elapsed) noexcept {
  const std::int64_t wall_offset = offset_of(sample);
  const std::int64_t behind = wall_offset - offset_;
  const std::int64_t noise = kNoise + sample.error;
  if (behind <= noise) {
    if (sample.error <= kNoise) offset_ = wall_offset;
    state_ = ClockState::synchronized;
    return ClockEventKind::synchronized;
  }
  if (behind <= policy.max_skew - followed_) {
    followed_ += behind;
    offset_ = wall_offset;
    state_ = ClockState::synchronized;
    return ClockEventKind::followed;
  }
  const std::int64_t moved = wall_offset - suspect_offset_;
  if (state_ != ClockState::suspect || moved > kSteady || moved < -kSteady) {
    // Not where issuing time is: what was observed may have taken it there.
    if (state_ != ClockState::suspect) trusted_offset_ = std::min(offset_, offset_of(last_));
    state_ = ClockState::suspect;
    suspect_offset_ = wall_offset;
    lasted_ = 0;
    return ClockEventKind::suspect;
  }
  // Time in which nobody looked doesn't count.
  lasted_ += std::min(elapsed, 2 * policy.interval);
  if (lasted_ < policy.confirm) return ClockEventKind::synchronized;
  followed_ = 0;
  offset_ = wall_offset;
  state_ = ClockState::synchronized;
  return ClockEventKind::confirmed;
}

void Clock::sample(const ClockSample &sample, const ClockPolicy &policy,
                   ClockEvents &events) noexcept {
  const std::int64_t elapsed = std::max<std::int64_t>(0, sample.monotonic - last_.monotonic);
  const std::int64_t step = offset_of(sample) - offset_of(last_);
  const std::int64_t slept = sample.suspended - last_.suspended;
  const ClockState before = state_;
  const std::int64_t jump = offset_of(sample) - offset_;
  note_window(policy, before == ClockState::synchronized ? 0 : window_);
  followed_ = std::max<std::int64_t>(
      0, followed_ - static_cast<std::int64_t>(static_cast<double>(elapsed) *
                                               static_cast<double>(policy.max_skew) /
                                               static_cast<double>(policy.confirm)));

  const bool woke = slept > kNoise + sample.error + last_.error && jump > kNoise;
  if (woke) {
    offset_ += std::min(slept, jump);
    trusted_offset_ += std::min(slept, jump);
    suspect_offset_ += slept;  // it hasn't moved, the monotonic clock has stood still
  }
  ClockEventKind kind = ClockEventKind::synchronized;
  if (!judge_lead(sample, elapsed)) kind = judge_lag(sample, policy, elapsed);
  last_ = sample;
  settle(sample);

  const auto tell = [&](ClockEventKind what) { events.add({what, state_, skew_, step}); };
  if (woke) tell(ClockEventKind::suspended);
  if (kind == ClockEventKind::suspect || kind == ClockEventKind::confirmed) {
    tell(kind);
  } else if (kind == ClockEventKind::followed && (jump >= kWorthTelling && !woke)) {
    tell(kind);
  } else if (state_ == ClockState::holding && observed_ && step < -kWorthTelling) {
    observed_ = false;
    tell(ClockEventKind::holding);
  } else if (state_ != before) {
    const bool quiet = observed_ && state_ != ClockState::rollback;
    if (state_ != ClockState::holding) observed_ = false;
    if (quiet) return;
    tell(state_ == ClockState::rollback  ? ClockEventKind::rollback
         : state_ == ClockState::holding ? ClockEventKind::holding
                                         : ClockEventKind::synchronized);
  }
}

bool Clock::accept(const ClockSample &sample, ClockEvents &events) noexcept {
  // It may have come back since it became suspect; issuing time never follows that.
  if (state_ != ClockState::suspect || offset_of(sample) <= offset_) return false;
  follow(sample, sample.wall);
  events.add(event(ClockEventKind::accepted));
  return true;
}

}  // namespace idgen
