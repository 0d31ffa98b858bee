#include "core/lease.h"

#include <algorithm>
#include <limits>

namespace idgen {
namespace {

constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

}  // namespace

std::int64_t Lease::window_at(std::int64_t now, const Policy &policy) const noexcept {
  const std::int64_t uptime = now - started_;
  const std::int64_t steady = std::max(kFirstWindow, uptime / kUptimeDivisor);
  const std::int64_t longest = std::max(policy.window, std::min(policy.longest, kLongestWindow));
  const std::int64_t slow = std::min(kSlowWrites * write_time_, longest);
  // What a slow disk needs comes sooner, within min(window, uptime).
  const std::int64_t sooner = std::max(steady, std::min(policy.window, uptime));
  return std::max(std::min(policy.window, steady), std::min(slow, sooner));
}

std::uint64_t Lease::window_ticks(std::int64_t now, const Policy &policy) const noexcept {
  return std::max(kFirstWindowTicks, layout_.ticks_covering(window_at(now, policy)));
}

Lease::Step Lease::next(std::int64_t now, std::uint64_t issuing_tick,
                        const Policy &policy) noexcept {
  if (waiting() || now < retry_at_) return {};
  const std::uint64_t ticks = window_ticks(now, policy);
  asked_at_ = now;
  if (!held_) {
    in_flight_ = Ask::acquire;
    return {Ask::acquire, ticks, 0};
  }
  const std::uint64_t left = ceiling_ > issuing_tick ? ceiling_ - issuing_tick : 0;
  const std::uint64_t wanted = std::min(issuing_tick + ticks, layout_.max_ceiling());
  if (left > ticks / 2 || wanted <= ceiling_) return {};
  in_flight_ = Ask::extend;
  return {Ask::extend, ticks, wanted};
}

void Lease::acknowledged(std::int64_t now, std::uint64_t ceiling) noexcept {
  write_time_ = std::max(now - asked_at_, write_time_ - write_time_ / 8);
  const Ask asked = in_flight_;
  in_flight_ = Ask::nothing;
  if (asked == Ask::acquire) {
    held_ = true;
    ceiling_ = ceiling;  // the fresh node's own, which may lie below the old one's
  } else if (held_) {
    ceiling_ = std::max(ceiling_, ceiling);
  }
  retry_at_ = 0;
  retry_pause_ = 0;
}

void Lease::failed(std::int64_t now) noexcept {
  in_flight_ = Ask::nothing;
  retry_pause_ = retry_pause_ == 0 ? kFirstRetry : std::min(2 * retry_pause_, kLastRetry);
  retry_at_ = now + retry_pause_;
}

void Lease::resume(std::uint64_t ceiling) noexcept {
  in_flight_ = Ask::nothing;
  held_ = true;
  ceiling_ = ceiling;
}

std::int64_t Lease::wake_at(std::int64_t now, std::uint64_t issuing_tick,
                            const Policy &policy) const noexcept {
  if (now < retry_at_) return retry_at_;
  if (!held_) return now;
  if (ceiling_ >= layout_.max_ceiling()) return kNever;
  const std::uint64_t half = window_ticks(now, policy) / 2;
  const std::uint64_t left = ceiling_ > issuing_tick ? ceiling_ - issuing_tick : 0;
  if (left <= half) return now;
  return now + layout_.ns_of(left - half);
}

}  // namespace idgen
