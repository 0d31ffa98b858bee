#include "core/lease.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace idgen {
namespace {

constexpr IssueLayout kLayout{41, 10, 12, 1000000};
constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kSecond = 1000 * kMs;
constexpr Lease::Policy kWindow{3 * kSecond, 60 * kSecond};
constexpr std::int64_t kOld = 1000 * kSecond;  // well after the start

Lease held_lease(std::uint64_t ceiling) {
  Lease lease(kLayout, 0);
  EXPECT_EQ(lease.next(kOld, 5000, kWindow).ask, Lease::Ask::acquire);
  lease.acknowledged(kOld, ceiling);
  return lease;
}

TEST(Lease, asks_for_a_node_first_and_once) {
  Lease lease(kLayout, 0);
  EXPECT_FALSE(lease.held());
  const Lease::Step step = lease.next(kOld, 5000, kWindow);
  EXPECT_EQ(step.ask, Lease::Ask::acquire);
  EXPECT_EQ(step.ticks, 3000u);
  EXPECT_TRUE(lease.waiting());
  EXPECT_EQ(lease.next(kOld + kSecond, 6000, kWindow).ask, Lease::Ask::nothing);
  lease.acknowledged(kOld, 9000);
  EXPECT_TRUE(lease.held());
  EXPECT_FALSE(lease.waiting());
  EXPECT_EQ(lease.ceiling(), 9000u);
}

TEST(Lease, extends_when_half_the_window_is_left) {
  Lease lease = held_lease(8000);
  EXPECT_EQ(lease.next(kOld, 6499, kWindow).ask, Lease::Ask::nothing);
  const Lease::Step step = lease.next(kOld, 6500, kWindow);
  EXPECT_EQ(step.ask, Lease::Ask::extend);
  EXPECT_EQ(step.ceiling, 9500u);
  EXPECT_EQ(lease.ceiling(), 8000u) << "U3: not before it is acknowledged";
  lease.acknowledged(kOld, 9500);
  EXPECT_EQ(lease.ceiling(), 9500u);
}

TEST(Lease, keeps_windows_short_soon_after_a_start) {
  struct Case {
    std::int64_t uptime;
    std::int64_t window;
  };
  for (const Case &c :
       {Case{0, 200 * kMs}, Case{1999 * kMs, 200 * kMs}, Case{10 * kSecond, kSecond},
        Case{29 * kSecond, 2900 * kMs}, Case{40 * kSecond, 3 * kSecond}}) {
    const Lease lease(kLayout, kOld);
    EXPECT_EQ(lease.window_at(kOld + c.uptime, kWindow), c.window) << c.uptime;
  }
  const Lease lease(kLayout, kOld);
  EXPECT_EQ(lease.window_at(kOld, {50 * kMs, 60 * kSecond}), 50 * kMs) << "never over what is set";
}

TEST(Lease, a_slow_disk_gets_a_longer_window_while_it_is_slow) {
  const auto after_write_of = [](std::int64_t took, std::int64_t uptime, Lease::Policy policy) {
    Lease lease(kLayout, kOld - uptime);
    EXPECT_EQ(lease.next(kOld - took, 5000, policy).ask, Lease::Ask::acquire);
    lease.acknowledged(kOld, 6000);
    return lease.window_at(kOld, policy);
  };
  const std::int64_t day = 86400 * kSecond;
  EXPECT_EQ(after_write_of(10 * kMs, day, kWindow), 3 * kSecond);
  EXPECT_EQ(after_write_of(2 * kSecond, day, kWindow), 8 * kSecond);
  EXPECT_EQ(after_write_of(100 * kSecond, day, kWindow), 60 * kSecond);
  EXPECT_EQ(after_write_of(100 * kSecond, day, {3 * kSecond, 10 * kSecond}), 10 * kSecond);
  EXPECT_EQ(after_write_of(100 * kSecond, day, {3 * kSecond, 100 * kMs}), 3 * kSecond);
  EXPECT_EQ(after_write_of(100 * kSecond, day, {3 * kSecond, 900 * kSecond}), 60 * kSecond);
  // Soon after a start within min(window, uptime).
  EXPECT_EQ(after_write_of(500 * kMs, kSecond, kWindow), kSecond);
  EXPECT_EQ(after_write_of(500 * kMs, 4 * kSecond, kWindow), 2 * kSecond);
  EXPECT_EQ(after_write_of(5 * kSecond, 6 * kSecond, kWindow), 3 * kSecond);

  Lease lease(kLayout, 0);
  std::int64_t now = day;
  std::uint64_t tick = 5000;
  const auto write = [&](std::int64_t took) {
    const Lease::Step step = lease.next(now, tick, kWindow);
    EXPECT_NE(step.ask, Lease::Ask::nothing);
    now += took;
    tick += 100000;
    lease.acknowledged(now, tick - 50000);
  };
  write(5 * kSecond);
  EXPECT_EQ(lease.window_at(now, kWindow), 20 * kSecond);
  for (int i = 0; i < 30; ++i) write(kMs);
  EXPECT_EQ(lease.window_at(now, kWindow), 3 * kSecond) << "and no longer";
}

// However many lives end by a crash, and however long they are: each begins at
// the ceiling of the one before, and takes the lead no more than kFirstWindow up.
RC_GTEST_PROP(Lease, crashes_do_not_carry_issuing_time_away, ()) {
  const auto lives = *rc::gen::container<std::vector<std::int64_t>>(
      rc::gen::map(rc::gen::inRange<std::int64_t>(1, 600000), [](auto v) { return v * kMs / 10; }));
  std::int64_t lead = 0;
  for (const std::int64_t uptime : lives) {
    const Lease lease(kLayout, kOld);
    const std::int64_t before = lead;
    lead = std::max<std::int64_t>(0, lead - uptime / Clock::kSlewDivisor);
    lead += lease.window_at(kOld + uptime, kWindow);
    RC_ASSERT(lead <= std::max(before, std::int64_t{0}) + Lease::kFirstWindow + kWindow.window);
    if (before >= kWindow.window) RC_ASSERT(lead <= before + Lease::kFirstWindow);
  }
}

TEST(Lease, coarse_ticks_leave_at_least_two) {
  Lease lease(IssueLayout{20, 10, 12, 10 * kSecond}, 0);
  EXPECT_EQ(lease.next(kOld, 5000, kWindow).ticks, kFirstWindowTicks);
  lease.acknowledged(kOld, 5002);
  EXPECT_EQ(lease.next(kOld, 5000, kWindow).ask, Lease::Ask::nothing);
  EXPECT_EQ(lease.next(kOld, 5001, kWindow).ceiling, 5003u) << "one is time to write";
}

TEST(Lease, repeats_what_failed_after_a_pause_that_doubles) {
  Lease lease(kLayout, 0);
  std::int64_t now = kOld;
  for (const std::int64_t pause : {50, 100, 200, 400, 500, 500}) {
    EXPECT_EQ(lease.next(now, 5000, kWindow).ask, Lease::Ask::acquire);
    lease.failed(now);
    EXPECT_FALSE(lease.waiting());
    EXPECT_EQ(lease.wake_at(now, 5000, kWindow), now + pause * kMs);
    EXPECT_EQ(lease.next(now + pause * kMs - 1, 5000, kWindow).ask, Lease::Ask::nothing);
    now += pause * kMs;
  }
  EXPECT_EQ(lease.next(now, 5000, kWindow).ask, Lease::Ask::acquire);
  lease.acknowledged(kOld, 8000);
  lease.restart();
  EXPECT_EQ(lease.next(now, 5000, kWindow).ask, Lease::Ask::acquire);
  lease.failed(now);
  EXPECT_EQ(lease.wake_at(now, 5000, kWindow), now + Lease::kFirstRetry) << "starts anew";
}

TEST(Lease, a_pause_can_be_cut_short) {
  Lease lease(kLayout, 0);
  EXPECT_EQ(lease.next(kOld, 5000, kWindow).ask, Lease::Ask::acquire);
  lease.failed(kOld);
  EXPECT_EQ(lease.next(kOld, 5000, kWindow).ask, Lease::Ask::nothing);
  lease.retry_at_once();
  EXPECT_EQ(lease.next(kOld, 5000, kWindow).ask, Lease::Ask::acquire);
  EXPECT_TRUE(lease.waiting());
  lease.forget_request();
  EXPECT_FALSE(lease.waiting());
}

TEST(Lease, never_asks_for_more_than_the_time_field_holds) {
  const std::uint64_t end = kLayout.max_ceiling();
  Lease lease = held_lease(end - 1000);
  const Lease::Step step = lease.next(kOld, end - 1000, kWindow);
  EXPECT_EQ(step.ask, Lease::Ask::extend);
  EXPECT_EQ(step.ceiling, end);
  lease.acknowledged(kOld, end);
  EXPECT_EQ(lease.next(kOld, end - 500, kWindow).ask, Lease::Ask::nothing);
  EXPECT_EQ(lease.next(kOld, end + 500, kWindow).ask, Lease::Ask::nothing);
}

TEST(Lease, sleeps_when_there_is_nothing_left_to_extend) {
  const std::uint64_t end = kLayout.max_ceiling();
  Lease lease = held_lease(end);
  ASSERT_EQ(lease.next(kOld, end - 10, kWindow).ask, Lease::Ask::nothing);
  EXPECT_GT(lease.wake_at(kOld, end - 10, kWindow), kOld) << "or the worker spins to the end";
}

TEST(Lease, resumes_with_the_ceiling_that_was_published) {
  Lease lease(kLayout, 0);
  lease.resume(8000);
  EXPECT_TRUE(lease.held());
  EXPECT_EQ(lease.ceiling(), 8000u);
  EXPECT_EQ(lease.next(kOld, 6000, kWindow).ask, Lease::Ask::nothing);
  EXPECT_EQ(lease.next(kOld, 7000, kWindow).ceiling, 10000u);
}

// U3: a fresh node's ceiling is its own. After a rotation to an earlier time it
// may lie below the one of the node that was given up.
TEST(Lease, a_fresh_node_does_not_inherit_the_old_ceiling) {
  Lease lease = held_lease(8000);
  lease.restart();
  EXPECT_FALSE(lease.held());
  EXPECT_EQ(lease.next(kOld, 3000, kWindow).ask, Lease::Ask::acquire);
  lease.acknowledged(kOld, 6000);
  EXPECT_EQ(lease.ceiling(), 6000u);
}

TEST(Lease, an_extension_acknowledged_after_a_restart_is_no_acquisition) {
  Lease lease = held_lease(8000);
  ASSERT_EQ(lease.next(kOld, 7000, kWindow).ask, Lease::Ask::extend);
  lease.restart();
  lease.acknowledged(kOld, 10000);
  EXPECT_FALSE(lease.held());
  EXPECT_EQ(lease.next(kOld, 7000, kWindow).ask, Lease::Ask::acquire);
}

// A worker that wakes when told keeps a durable ceiling ahead of issuing time,
// however the registry fails for less than half a window.
RC_GTEST_PROP(Lease, the_ceiling_stays_ahead_while_the_registry_answers_in_time, ()) {
  const auto span = *rc::gen::inRange<std::int64_t>(400, 10000) * kMs;
  const Lease::Policy window{span, span};
  Lease lease(kLayout, 0);
  std::int64_t now = kOld;
  std::uint64_t tick = 5000;
  RC_ASSERT(lease.next(now, tick, window).ask == Lease::Ask::acquire);
  lease.acknowledged(kOld, tick + kLayout.ticks_covering(span));
  std::uint64_t highest = lease.ceiling();
  const auto advance = [&](std::int64_t by) {
    now += by;
    tick += static_cast<std::uint64_t>(by / kMs);
  };
  for (int i = 0; i < 100; ++i) {
    const std::int64_t wake = lease.wake_at(now, tick, window);
    RC_ASSERT(wake >= now);
    advance(wake - now);
    const Lease::Step step = lease.next(now, tick, window);
    if (step.ask == Lease::Ask::nothing) {
      advance(kMs);
      continue;
    }
    RC_ASSERT(step.ask == Lease::Ask::extend);
    RC_ASSERT(step.ceiling > highest);
    advance(*rc::gen::inRange<std::int64_t>(0, span / kMs / 8) * kMs);
    if (*rc::gen::inRange(0, 4) == 0) {
      // One failure and its pause fit into the other half too.
      lease.failed(now);
      advance(std::min(Lease::kFirstRetry, span / 8));
      continue;
    }
    lease.acknowledged(kOld, step.ceiling);
    highest = std::max(highest, step.ceiling);
    RC_ASSERT(lease.ceiling() == highest);
  }
}

}  // namespace
}  // namespace idgen
