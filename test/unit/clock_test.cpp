#include "core/clock.h"

#include "core/event_limit.h"

#include <cstdint>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace idgen {
namespace {

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kSecond = 1000 * kMs;
constexpr ClockPolicy kPolicy{};
using Kinds = std::vector<ClockEventKind>;

// A machine with both clocks, sampled by a worker.
struct Machine {
  std::int64_t monotonic = 5000 * kSecond;
  std::int64_t wall = 90000 * kSecond;
  Clock clock;

  std::int64_t suspended = 0;
  std::int64_t error = 0;
  KernelSync kernel = KernelSync::synchronized;
  ClockPolicy policy;
  ClockEvents events;  // of the last sample

  ClockSample sample() const { return {monotonic, wall, suspended, error, kernel}; }
  void start(std::int64_t floor = 0) {
    clock.start(sample(), {}, policy);
    clock.raise(sample(), floor);
  }
  void run(std::int64_t span) {
    monotonic += span;
    wall += span;
  }
  void suspend(std::int64_t span) {
    suspended += span;
    wall += span;
  }
  void tick(std::int64_t span = 100 * kMs) {
    run(span);
    events = {};
    clock.sample(sample(), policy, events);
  }
  // Samples as the worker takes them.
  void ticks(std::int64_t span) {
    for (const std::int64_t end = monotonic + span; monotonic < end;) tick();
  }
  // The kinds of the last sample's events.
  std::vector<ClockEventKind> told() const {
    std::vector<ClockEventKind> kinds;
    for (const ClockEvent &event : events) kinds.push_back(event.kind);
    return kinds;
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
  EXPECT_EQ(machine.told(), Kinds{ClockEventKind::suspect});
  while (machine.clock.state() == ClockState::suspect) {
    machine.tick();
    ASSERT_LE(machine.monotonic - from, kPolicy.confirm);
  }
  EXPECT_EQ(machine.monotonic - from, kPolicy.confirm);
  EXPECT_EQ(machine.clock.state(), ClockState::synchronized);
  EXPECT_EQ(machine.issuing(), machine.wall);
  EXPECT_EQ(machine.told(), Kinds{ClockEventKind::confirmed});
}

TEST(Clock, time_in_which_nobody_looked_confirms_nothing) {
  Machine machine;
  machine.start();
  machine.wall += 3600 * kSecond;
  machine.tick();
  machine.tick(2 * kPolicy.confirm);
  EXPECT_EQ(machine.clock.state(), ClockState::suspect);
  machine.ticks(kPolicy.confirm - 300 * kMs);
  EXPECT_EQ(machine.clock.state(), ClockState::suspect);
  machine.ticks(200 * kMs);
  EXPECT_EQ(machine.clock.state(), ClockState::synchronized);
}

TEST(Clock, a_suspect_clock_that_moves_waits_anew) {
  Machine machine;
  machine.start();
  machine.wall += 3600 * kSecond;
  machine.ticks(kPolicy.confirm);
  EXPECT_EQ(machine.clock.state(), ClockState::suspect);
  machine.wall += Clock::kSteady + kMs;
  machine.tick();
  EXPECT_EQ(machine.told(), Kinds{ClockEventKind::suspect}) << "told again";
  machine.ticks(kPolicy.confirm - 100 * kMs);
  EXPECT_EQ(machine.clock.state(), ClockState::suspect);
  machine.tick();
  EXPECT_EQ(machine.clock.state(), ClockState::synchronized);
}

TEST(Clock, an_operator_accepts_what_is_suspect_and_nothing_else) {
  Machine machine;
  machine.start();
  ClockEvents events;
  EXPECT_FALSE(machine.clock.accept(machine.sample(), events));
  machine.wall += 3600 * kSecond;
  machine.tick();
  ClockSample back = machine.sample();
  back.wall -= 2 * 3600 * kSecond;
  EXPECT_FALSE(machine.clock.accept(back, events)) << "it has come back, and beyond";
  EXPECT_TRUE(machine.clock.accept(machine.sample(), events));
  EXPECT_EQ(machine.issuing(), machine.wall);
  EXPECT_EQ(machine.clock.state(), ClockState::synchronized);
  EXPECT_EQ(events.begin()->kind, ClockEventKind::accepted);
}

// Skew is the level: many steps back count as one.
TEST(Clock, steps_back_add_up_to_a_rollback) {
  Machine machine;
  machine.start();
  machine.wall -= 50 * kSecond;
  machine.tick();
  EXPECT_EQ(machine.clock.state(), ClockState::holding);
  EXPECT_EQ(machine.told(), Kinds{ClockEventKind::holding});
  EXPECT_EQ(machine.events.begin()->step, -50 * kSecond);
  machine.wall -= 13 * kSecond;  // max_skew + window, but for what was slewed
  machine.tick();
  EXPECT_EQ(machine.clock.state(), ClockState::holding);
  machine.wall -= 10 * kMs;
  machine.tick();
  EXPECT_EQ(machine.clock.state(), ClockState::rollback);
  EXPECT_EQ(machine.told(), Kinds{ClockEventKind::rollback});
  machine.tick();
  EXPECT_EQ(machine.told(), Kinds{}) << "once a change";
}

// And so do steps ahead: what one may not, many may not.
TEST(Clock, steps_ahead_add_up_to_a_suspicion) {
  Machine machine;
  machine.start();
  std::int64_t followed = 0;
  for (int i = 0; i < 100 && machine.clock.state() == ClockState::synchronized; ++i) {
    machine.wall += 10 * kSecond;
    machine.tick();
    followed += machine.clock.state() == ClockState::synchronized ? 10 * kSecond : 0;
  }
  EXPECT_EQ(machine.clock.state(), ClockState::suspect);
  EXPECT_EQ(followed, kPolicy.max_skew);
  // What was followed is forgotten in time.
  Machine slow;
  slow.start();
  for (int i = 0; i < 20; ++i) {
    slow.wall += 10 * kSecond;
    slow.tick();
    ASSERT_EQ(slow.clock.state(), ClockState::synchronized) << i;
    slow.ticks(kPolicy.confirm / 6);
  }
}

TEST(Clock, a_suspended_machine_is_followed_at_once) {
  Machine machine;
  machine.start();
  machine.suspend(8 * 3600 * kSecond);
  machine.tick();
  EXPECT_EQ(machine.clock.state(), ClockState::synchronized);
  EXPECT_EQ(machine.issuing(), machine.wall);
  EXPECT_EQ(machine.told(), Kinds{ClockEventKind::suspended});
  // A jump that the sleep doesn't explain is none the less suspect.
  machine.suspend(60 * kSecond);
  machine.wall += 3600 * kSecond;
  machine.tick();
  EXPECT_EQ(machine.clock.state(), ClockState::suspect);
  EXPECT_EQ(machine.clock.skew(), -3600 * kSecond);
  EXPECT_EQ(machine.told(), (Kinds{ClockEventKind::suspended, ClockEventKind::suspect}));
  // And sleeping on doesn't make it wait anew.
  machine.ticks(kPolicy.confirm / 2);
  machine.suspend(3600 * kSecond);
  machine.tick();
  EXPECT_EQ(machine.clock.skew(), -3600 * kSecond);
  machine.ticks(kPolicy.confirm / 2);
  EXPECT_EQ(machine.clock.state(), ClockState::synchronized);
}

TEST(Clock, readings_that_were_torn_apart_neither_step_nor_flap) {
  Machine machine;
  machine.start();
  const std::int64_t offset = machine.clock.offset();
  for (const std::int64_t off : {40 * kMs, -40 * kMs, 30 * kMs}) {
    machine.error = 50 * kMs;
    machine.wall += off;
    machine.tick();
    EXPECT_EQ(machine.clock.offset(), offset);
    EXPECT_EQ(machine.clock.state(), ClockState::synchronized);
    machine.wall -= off;
  }
}

struct Start {
  ClockEvidence evidence;
  KernelSync kernel;
  std::int64_t expected_lag;  // of issuing time behind the wall clock
  ClockState expected;
};

TEST(Clock, a_start_believes_the_wall_clock_unless_it_is_contradicted) {
  const Machine now;
  const std::int64_t hour = 3600 * kSecond;
  const auto same_boot = [&](std::int64_t boot_ago, std::int64_t wall_ago) {
    return ClockEvidence{true, true, now.monotonic - boot_ago, now.wall - wall_ago};
  };
  const auto other_boot = [&](std::int64_t wall_ago) {
    return ClockEvidence{true, false, 7, now.wall - wall_ago};
  };
  const Start starts[] = {
      {{}, KernelSync::unsynchronized, 0, ClockState::synchronized},
      {same_boot(hour, hour), KernelSync::unsynchronized, 0, ClockState::synchronized},
      {same_boot(hour, hour + 60 * kSecond), KernelSync::synchronized, 0, ClockState::synchronized},
      {same_boot(hour, hour + 61 * kSecond), KernelSync::synchronized, 61 * kSecond,
       ClockState::suspect},
      {same_boot(hour, 24 * hour), KernelSync::synchronized, 23 * hour, ClockState::suspect},
      {same_boot(hour, 0), KernelSync::synchronized, 0, ClockState::synchronized},
      {other_boot(24 * hour), KernelSync::synchronized, 0, ClockState::synchronized},
      {other_boot(24 * hour), KernelSync::unknown, 0, ClockState::synchronized},
      {other_boot(24 * hour), KernelSync::unsynchronized, 24 * hour, ClockState::suspect},
      {other_boot(60 * kSecond), KernelSync::unsynchronized, 0, ClockState::synchronized},
      {other_boot(-hour), KernelSync::unsynchronized, 0, ClockState::synchronized},
  };
  for (const Start &start : starts) {
    Machine machine;
    machine.kernel = start.kernel;
    machine.clock.start(machine.sample(), start.evidence, kPolicy);
    const auto which = &start - starts;
    EXPECT_EQ(machine.wall - machine.issuing(), start.expected_lag) << which;
    EXPECT_EQ(machine.clock.state(), start.expected) << which;
  }
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
  machine.ticks(kPolicy.confirm);
  EXPECT_EQ(machine.clock.state(), ClockState::suspect);
}

TEST(Clock, is_raised_to_a_floor_and_never_lowered_by_one) {
  Machine machine;
  machine.start();
  const std::int64_t offset = machine.clock.offset();
  machine.clock.raise(machine.sample(), machine.issuing() - kSecond);
  EXPECT_EQ(machine.clock.offset(), offset);
  EXPECT_EQ(machine.clock.state(), ClockState::synchronized);
  machine.clock.raise(machine.sample(), machine.issuing() + kSecond);
  EXPECT_EQ(machine.clock.offset(), offset + kSecond);
  EXPECT_EQ(machine.clock.skew(), kSecond);
  EXPECT_EQ(machine.clock.state(), ClockState::holding);
}

RC_GTEST_PROP(Clock, issuing_time_never_steps_back_nor_runs_ahead_of_what_is_believed, ()) {
  Machine machine;
  machine.start();
  const auto steps = *rc::gen::container<std::vector<std::int64_t>>(
      rc::gen::inRange<std::int64_t>(-100 * kSecond, 100 * kSecond));
  for (const std::int64_t step : steps) {
    const std::int64_t before = machine.issuing();
    const std::int64_t offset = machine.clock.offset();
    machine.wall += *rc::gen::element(step, step / 1000, step / 1000000, std::int64_t{0});
    const auto slept = *rc::gen::element<std::int64_t>(0, 0, 0, 5 * kSecond, 3600 * kSecond);
    machine.suspend(slept);
    const auto span = *rc::gen::inRange<std::int64_t>(0, 20 * kSecond);
    machine.tick(span);
    RC_ASSERT(machine.issuing() >= before - Clock::kNoise);
    RC_ASSERT(machine.clock.offset() <= offset + slept + kPolicy.max_skew + Clock::kNoise);
    RC_ASSERT(machine.clock.skew() == machine.issuing() - machine.wall);
    const ClockState state = machine.clock.state();
    RC_ASSERT(state != ClockState::unset);
    const std::int64_t limit = kPolicy.max_skew + kPolicy.window;
    RC_ASSERT((state == ClockState::rollback) == (machine.clock.skew() > limit));
    RC_ASSERT((state == ClockState::holding) ==
              (machine.clock.skew() > Clock::kNoise && machine.clock.skew() <= limit));
    RC_ASSERT(state != ClockState::suspect || machine.clock.skew() < -Clock::kNoise);
  }
}

// What was followed is forgotten steadily, so that within any span of `confirm`
// it comes to no more than twice max_skew; what may be noise doesn't count.
TEST(Clock, steps_ahead_are_followed_up_to_twice_the_skew_allowed_within_the_time_to_confirm) {
  Machine machine;
  machine.start();
  const std::int64_t start = machine.clock.offset();
  std::int64_t most = 0;
  for (const std::int64_t end = machine.monotonic + kPolicy.confirm; machine.monotonic < end;) {
    // As greedy as can be: whatever would just be followed.
    for (std::int64_t step = kPolicy.max_skew; step > Clock::kNoise; step -= 10 * kMs) {
      Machine tried = machine;
      tried.wall += step;
      tried.tick();
      if (tried.clock.state() != ClockState::synchronized) continue;
      machine = tried;
      break;
    }
    machine.ticks(2 * kSecond);
    most = machine.clock.offset() - start;
  }
  EXPECT_GT(most, kPolicy.max_skew * 19 / 10);
  EXPECT_LE(most, 2 * kPolicy.max_skew);
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
  machine.clock.sample(machine.sample(), kPolicy, machine.events);
  EXPECT_GE(machine.issuing(), seen_by_backends - 10 * kMs)
      << "further back than callers may lead (max_lead, 10 ms): they all wait";
}

// ---------------------------------------------------------------------------
// IDs of others that were seen

TEST(Clock, observing_moves_issuing_time_on_and_it_is_slewed_back) {
  Machine machine;
  machine.start();
  machine.tick();
  ASSERT_TRUE(machine.clock.observe(machine.sample(), machine.wall + 5 * kSecond, 60 * kSecond));
  EXPECT_EQ(machine.issuing(), machine.wall + 5 * kSecond);
  EXPECT_EQ(machine.clock.state(), ClockState::holding);
  machine.ticks(600 * kSecond);
  EXPECT_EQ(machine.clock.state(), ClockState::synchronized);
  EXPECT_EQ(machine.issuing(), machine.wall);
}

TEST(Clock, observing_less_than_issuing_time_changes_nothing) {
  Machine machine;
  machine.start();
  machine.tick();
  EXPECT_TRUE(machine.clock.observe(machine.sample(), machine.wall - kSecond, 60 * kSecond));
  EXPECT_EQ(machine.issuing(), machine.wall);
  EXPECT_EQ(machine.clock.state(), ClockState::synchronized);
}

TEST(Clock, observing_is_bounded_by_the_wall_clock_and_does_not_ratchet) {
  Machine machine;
  machine.start();
  machine.tick();
  const std::int64_t bound = 60 * kSecond;
  EXPECT_FALSE(machine.clock.observe(machine.sample(), machine.wall + bound + 1, bound));
  EXPECT_EQ(machine.issuing(), machine.wall);
  for (int i = 0; i < 1000; ++i) {
    machine.clock.observe(machine.sample(), machine.issuing() + bound, bound);
    machine.clock.observe(machine.sample(), machine.wall + bound, bound);
    ASSERT_LE(machine.issuing(), machine.wall + bound);
    machine.tick();
  }
  EXPECT_NE(machine.clock.state(), ClockState::rollback);
}

// A bad time server that comes and goes makes no room either, time after time.
TEST(Clock, observing_while_the_wall_clock_comes_and_goes_does_not_ratchet) {
  Machine machine;
  machine.start();
  machine.tick();
  const std::int64_t right = machine.wall - machine.monotonic;
  const std::int64_t bound = 60 * kSecond;
  for (int i = 0; i < 400; ++i) {
    machine.wall = machine.monotonic + right + (i / 10 % 2 == 1 ? 3600 * kSecond : 0);
    machine.tick();
    for (const std::int64_t ahead : {bound, bound / 2, 3600 * kSecond}) {
      machine.clock.observe(machine.sample(), machine.issuing() + ahead, bound);
      machine.clock.observe(machine.sample(), machine.monotonic + right + bound, bound);
    }
    ASSERT_LE(machine.issuing(), machine.monotonic + right + bound) << i;
    ASSERT_NE(machine.clock.state(), ClockState::rollback) << i;
  }
}

// The sample that comes with an observation is the first to show the jump.
TEST(Clock, observing_does_not_believe_a_wall_clock_before_it_is_judged) {
  Machine machine;
  machine.start();
  machine.tick();
  const std::int64_t before = machine.issuing();
  machine.wall += 86400 * kSecond;
  EXPECT_FALSE(machine.clock.observe(machine.sample(), machine.wall, 60 * kSecond));
  EXPECT_EQ(machine.issuing(), before);
}

// A wall clock that isn't believed makes no room for what is observed.
TEST(Clock, observing_is_bounded_by_where_a_suspect_clock_should_be) {
  Machine machine;
  machine.start();
  machine.tick();
  const std::int64_t right = machine.wall - machine.monotonic;
  machine.wall += 3600 * kSecond;
  machine.tick();
  ASSERT_EQ(machine.clock.state(), ClockState::suspect);
  const std::int64_t bound = 60 * kSecond;
  EXPECT_FALSE(machine.clock.observe(machine.sample(), machine.wall, bound));
  for (int i = 0; i < 1000; ++i) {
    machine.clock.observe(machine.sample(), machine.issuing() + bound / 2, bound);
    machine.tick();
    ASSERT_LE(machine.issuing(), machine.monotonic + right + bound);
  }
}

TEST(Clock, what_is_observed_is_no_event_but_a_step_back_meanwhile_is) {
  Machine machine;
  machine.start();
  machine.tick();
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(machine.clock.observe(machine.sample(), machine.wall + 20 * kMs, 60 * kSecond));
    machine.tick();
    EXPECT_EQ(machine.told(), Kinds{}) << i;
  }
  for (int i = 0; i < 50; ++i) {
    machine.tick();
    EXPECT_EQ(machine.told(), Kinds{}) << i;
  }
  ASSERT_EQ(machine.clock.state(), ClockState::synchronized);
  ASSERT_TRUE(machine.clock.observe(machine.sample(), machine.wall + 20 * kMs, 60 * kSecond));
  machine.wall -= 5 * kSecond;
  machine.tick();
  EXPECT_EQ(machine.told(), Kinds{ClockEventKind::holding});
  // And later ones are events again.
  machine.ticks(600 * kSecond);
  ASSERT_EQ(machine.clock.state(), ClockState::synchronized);
  machine.wall -= 5 * kSecond;
  machine.tick();
  EXPECT_EQ(machine.told(), Kinds{ClockEventKind::holding});
}

// A millisecond more and less, at every sample, for a day; and once something that counts.
TEST(ClockEventLimit, jitter_is_told_now_and_then_and_what_counts_always) {
  ClockEventLimit limit;
  ClockEvent lead{ClockEventKind::holding, ClockState::holding, 1'100'000, -1'100'000};
  ClockEvent met{ClockEventKind::synchronized, ClockState::synchronized, 0, 1'100'000};
  std::uint64_t leads = 0;
  std::uint64_t meetings = 0;
  std::uint64_t left_out = 0;
  std::uint64_t others = 0;
  const std::int64_t day = 86'400 * kSecond;
  for (std::int64_t now = 0; now < day; now += kSecond) {
    leads += limit.admits(lead, now);
    meetings += limit.admits(met, now + kSecond / 2);
    if (now % (3600 * kSecond) != 0) continue;
    for (const ClockEventKind kind :
         {ClockEventKind::rollback, ClockEventKind::suspect, ClockEventKind::followed,
          ClockEventKind::suspended, ClockEventKind::confirmed, ClockEventKind::accepted,
          ClockEventKind::rotated, ClockEventKind::rotation_refused, ClockEventKind::stopped,
          ClockEventKind::resumed, ClockEventKind::unsynchronized,
          ClockEventKind::resynchronized}) {
      others += limit.admits({kind, ClockState::synchronized, 0, 0}, now);
    }
    left_out += limit.left_out();
  }
  left_out += limit.left_out();
  EXPECT_EQ(others, 24u * 12u);
  EXPECT_EQ(leads, meetings) << "no lead is told that never ends";
  EXPECT_GE(leads, 144u);
  EXPECT_LE(leads, 150u);
  EXPECT_EQ(left_out, 2 * 86'400 - leads - meetings);
}

// A clock that goes to and fro about a limit, or the kernel's state of it, every second.
TEST(ClockEventLimit, a_kind_of_event_that_comes_all_the_time_is_told_once_a_minute) {
  for (const ClockEventKind kind :
       {ClockEventKind::suspect, ClockEventKind::unsynchronized, ClockEventKind::rotated}) {
    ClockEventLimit limit;
    std::int64_t told = 0;
    for (std::int64_t now = 0; now < 3600 * kSecond; now += kSecond) {
      told += limit.admits({kind, ClockState::suspect, -kSecond, 0}, now);
    }
    EXPECT_GE(told, 20 + 59);
    EXPECT_LE(told, 20 + 61);
    EXPECT_EQ(limit.left_out(), static_cast<std::uint64_t>(3600 - told));
    EXPECT_TRUE(limit.admits({ClockEventKind::rollback, ClockState::rollback, kSecond, 0}, 0));
  }
}

constexpr ClockEvent kSmallLead{ClockEventKind::holding, ClockState::holding, 1'100'000, 0};
constexpr ClockEvent kMet{ClockEventKind::synchronized, ClockState::synchronized, 0, 0};

// Small leads until one is not told, which goes on.
void begin_untold_lead(ClockEventLimit &limit) {
  for (int told = 0; limit.admits(kSmallLead, 0); ++told) {
    ASSERT_LT(told, 100) << "there is no limit";
    EXPECT_TRUE(limit.admits(kMet, 0));
  }
}

TEST(ClockEventLimit, the_end_of_an_untold_lead_is_not_told_whatever_happens_in_between) {
  ClockEventLimit limit;
  begin_untold_lead(limit);
  EXPECT_TRUE(limit.admits({ClockEventKind::unsynchronized, ClockState::holding, 1'100'000, 0}, 0));
  EXPECT_FALSE(limit.admits(kMet, 0));
}

TEST(ClockEventLimit, what_an_untold_lead_becomes_is_told_to_its_end) {
  ClockEventLimit limit;
  begin_untold_lead(limit);
  EXPECT_TRUE(limit.admits({ClockEventKind::rollback, ClockState::rollback, kSecond, 0}, 0));
  EXPECT_TRUE(limit.admits(kMet, 0));
  ASSERT_FALSE(limit.admits(kSmallLead, 0));
  EXPECT_TRUE(limit.admits({ClockEventKind::suspect, ClockState::suspect, -kSecond, 0}, 0));
  EXPECT_TRUE(limit.admits(kMet, 0));
  const ClockEvent step{ClockEventKind::holding, ClockState::holding, 50'000'000, -150'000'000};
  EXPECT_TRUE(limit.admits(step, 0)) << "a step that is worth telling";
}

}  // namespace
}  // namespace idgen
