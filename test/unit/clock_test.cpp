#include "core/clock.h"

#include <cstdint>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace idgen {
namespace {

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kSecond = 1000 * kMs;
constexpr ClockPolicy kPolicy{};

// A machine with both clocks, sampled by a worker.
struct Machine {
  std::int64_t monotonic = 5000 * kSecond;
  std::int64_t wall = 90000 * kSecond;
  Clock clock;

  ClockSample sample() const { return {monotonic, wall}; }
  void start(std::int64_t floor = 0) { clock.start(sample(), floor); }
  void run(std::int64_t span) {
    monotonic += span;
    wall += span;
  }
  void tick(std::int64_t span = 100 * kMs) {
    run(span);
    clock.sample(sample(), kPolicy);
  }
  std::int64_t issuing() const { return monotonic + clock.offset(); }
};

TEST(Clock, starts_at_the_wall_clock) {
  Machine machine;
  EXPECT_EQ(machine.clock.state(), ClockState::unset);
  machine.start(machine.wall - kSecond);
  EXPECT_EQ(machine.issuing(), machine.wall);
  EXPECT_EQ(machine.clock.skew(), 0);
  EXPECT_EQ(machine.clock.state(), ClockState::synchronized);
}

TEST(Clock, starts_at_the_floor_where_the_wall_clock_lies_behind_it) {
  Machine machine;
  machine.start(machine.wall + 3 * kSecond);
  EXPECT_EQ(machine.issuing(), machine.wall + 3 * kSecond);
  EXPECT_EQ(machine.clock.skew(), 3 * kSecond);
  EXPECT_EQ(machine.clock.state(), ClockState::holding);
}

TEST(Clock, follows_noise_both_ways) {
  Machine machine;
  machine.start();
  for (const std::int64_t noise : {kMs, -kMs, kMs / 3, -kMs, std::int64_t{1}}) {
    machine.wall += noise;
    machine.tick();
    EXPECT_EQ(machine.issuing(), machine.wall);
    EXPECT_EQ(machine.clock.state(), ClockState::synchronized);
  }
}

TEST(Clock, follows_a_wall_clock_ahead_by_no_more_than_the_skew_allowed) {
  Machine machine;
  machine.start();
  machine.wall += kPolicy.max_skew;
  machine.tick();
  EXPECT_EQ(machine.issuing(), machine.wall);
  EXPECT_EQ(machine.clock.state(), ClockState::synchronized);
}

TEST(Clock, holds_when_the_wall_clock_falls_back_and_meets_it_at_nine_tenths) {
  Machine machine;
  machine.start();
  machine.wall -= 10 * kSecond;
  machine.tick();
  EXPECT_EQ(machine.clock.state(), ClockState::holding);
  std::int64_t samples = 1;
  for (std::int64_t before = machine.clock.skew(); machine.clock.state() == ClockState::holding;
       before = machine.clock.skew()) {
    machine.tick(Clock::kSlewInterval);
    ++samples;
    ASSERT_LT(machine.clock.skew(), before);
    ASSERT_LT(samples, 20000);
  }
  // 10 s at a tenth of real speed take 100 s.
  EXPECT_NEAR(static_cast<double>(samples * Clock::kSlewInterval) / kSecond, 100, 0.2);
  EXPECT_EQ(machine.clock.state(), ClockState::synchronized);
  machine.tick();
  EXPECT_EQ(machine.clock.skew(), 0);
}

TEST(Clock, does_not_believe_a_wall_clock_far_ahead_until_it_has_lasted) {
  Machine machine;
  machine.start();
  machine.wall += 3600 * kSecond;
  machine.tick();
  const std::int64_t from = machine.monotonic;
  EXPECT_EQ(machine.clock.state(), ClockState::suspect);
  EXPECT_EQ(machine.clock.skew(), -3600 * kSecond);
  while (machine.clock.state() == ClockState::suspect) {
    machine.tick(kSecond);
    ASSERT_LE(machine.monotonic - from, kPolicy.confirm);
  }
  EXPECT_EQ(machine.monotonic - from, kPolicy.confirm);
  EXPECT_EQ(machine.clock.state(), ClockState::synchronized);
  EXPECT_EQ(machine.issuing(), machine.wall);
}

TEST(Clock, a_suspect_clock_that_jumps_again_waits_anew) {
  Machine machine;
  machine.start();
  machine.wall += 3600 * kSecond;
  machine.tick();
  machine.tick(kPolicy.confirm - kSecond);
  EXPECT_EQ(machine.clock.state(), ClockState::suspect);
  machine.wall += 3600 * kSecond;
  machine.tick(2 * kSecond);
  EXPECT_EQ(machine.clock.state(), ClockState::suspect);
  machine.tick(kPolicy.confirm - kSecond);
  EXPECT_EQ(machine.clock.state(), ClockState::suspect);
  machine.tick(kSecond);
  EXPECT_EQ(machine.clock.state(), ClockState::synchronized);
}

TEST(Clock, a_suspect_clock_that_comes_back_was_wrong) {
  Machine machine;
  machine.start();
  machine.wall += 3600 * kSecond;
  machine.tick();
  machine.wall -= 3600 * kSecond;
  machine.tick();
  EXPECT_EQ(machine.clock.state(), ClockState::synchronized);
  EXPECT_EQ(machine.issuing(), machine.wall);
  // And what had lasted before doesn't count when it jumps once more.
  machine.wall += 3600 * kSecond;
  machine.tick(kPolicy.confirm);
  EXPECT_EQ(machine.clock.state(), ClockState::suspect);
}

TEST(Clock, resumes_with_the_offset_in_use) {
  Machine machine;
  machine.start(machine.wall + 3 * kSecond);
  const std::int64_t offset = machine.clock.offset();
  Clock fresh;
  machine.run(kSecond);
  fresh.resume(machine.sample(), offset);
  EXPECT_EQ(fresh.offset(), offset);
  EXPECT_EQ(fresh.skew(), 3 * kSecond);
  EXPECT_EQ(fresh.state(), ClockState::holding);
}

TEST(Clock, is_raised_to_a_floor_and_never_lowered_by_one) {
  Machine machine;
  machine.start();
  const std::int64_t offset = machine.clock.offset();
  machine.clock.raise(machine.monotonic, machine.issuing() - kSecond);
  EXPECT_EQ(machine.clock.offset(), offset);
  EXPECT_EQ(machine.clock.state(), ClockState::synchronized);
  machine.clock.raise(machine.monotonic, machine.issuing() + kSecond);
  EXPECT_EQ(machine.clock.offset(), offset + kSecond);
  EXPECT_EQ(machine.clock.skew(), kSecond);
  EXPECT_EQ(machine.clock.state(), ClockState::holding);
}

RC_GTEST_PROP(Clock, issuing_time_never_steps_back_by_more_than_noise, ()) {
  Machine machine;
  machine.start();
  const auto steps = *rc::gen::container<std::vector<std::int64_t>>(
      rc::gen::inRange<std::int64_t>(-100 * kSecond, 100 * kSecond));
  for (const std::int64_t step : steps) {
    const std::int64_t before = machine.issuing();
    machine.wall += *rc::gen::element(step, step / 1000, step / 1000000, std::int64_t{0});
    machine.tick(*rc::gen::inRange<std::int64_t>(0, 20 * kSecond));
    RC_ASSERT(machine.issuing() >= before - Clock::kNoise);
    RC_ASSERT(machine.clock.skew() == machine.issuing() - machine.wall);
    RC_ASSERT(machine.clock.state() != ClockState::unset);
    RC_ASSERT((machine.clock.state() == ClockState::holding) ==
              (machine.clock.skew() > Clock::kNoise));
    RC_ASSERT((machine.clock.state() == ClockState::suspect) ==
              (machine.clock.skew() < -kPolicy.max_skew));
  }
}

// Backends use the offset between the samples too: a worker that comes late must
// not take seconds off at once.
TEST(Clock, a_late_sample_does_not_step_issuing_time_back) {
  Machine machine;
  machine.start();
  machine.wall -= 30 * kSecond;
  machine.tick();
  machine.run(10 * kSecond);
  const std::int64_t seen_by_backends = machine.issuing();
  machine.clock.sample(machine.sample(), kPolicy);
  EXPECT_GE(machine.issuing(), seen_by_backends - 10 * kMs)
      << "further back than callers may lead (max_lead, 10 ms): they all wait";
}

}  // namespace
}  // namespace idgen
