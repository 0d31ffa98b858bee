#include "core/issuing_time.h"

#include <cstdint>
#include <random>

#include <gtest/gtest.h>

#include "core/keeper.h"

namespace idgen {
namespace {

// Layouts whose time field goes on for longer than int64 holds nanoseconds: for 557
// years and more.
constexpr IssueLayout kLong[] = {{44, 4, 5, 1'000'000},
                                 {39, 4, 5, 1'000'000'000},
                                 {28, 10, 12, std::int64_t{3600} * 1'000'000'000},
                                 {53, 5, 5, 1'000'000}};

TEST(IssuingTime, the_last_ceiling_is_a_time) {
  for (const IssueLayout &layout : kLong) {
    EXPECT_LT(layout.max_ceiling(), layout.max_tick());
    EXPECT_LE(layout.ns_of(layout.max_ceiling()), kEndOfIssuing);
    EXPECT_GT(layout.ns_of(layout.max_ceiling()), kEndOfIssuing - 2 * layout.tick_ns);
    EXPECT_EQ(layout.ns_of(layout.max_tick()), kEndOfIssuing);
    EXPECT_EQ(layout.ns_of(UINT64_MAX), kEndOfIssuing);
    EXPECT_GE(layout.tick_of(kLatestTime), layout.max_ceiling());
    EXPECT_EQ(layout.ticks_covering(INT64_MAX),
              static_cast<std::uint64_t>((INT64_MAX - 1) / layout.tick_ns) + 1);
  }
  // Where the time field ends before, it is the end.
  constexpr IssueLayout kDefault{41, 10, 12, 1'000'000};
  EXPECT_EQ(kDefault.max_ceiling(), kDefault.max_tick());
  EXPECT_EQ(kDefault.ns_of(kDefault.max_tick()),
            static_cast<std::int64_t>(kDefault.max_tick()) * 1'000'000);
}

TEST(IssuingTime, a_grant_keeps_any_ceiling_of_the_time_field) {
  for (const IssueLayout &layout : kLong) {
    const Grant grant{GrantState::active, 0, 3, layout.max_tick()};
    EXPECT_EQ(unpack(layout, pack(layout, grant)), grant);
    const Decision decision = decide(layout, 0, grant, layout.max_tick(), {}, 10);
    EXPECT_EQ(decision.verdict, Verdict::end);
  }
}

TEST(IssuingTime, any_clock_and_epoch_give_a_time) {
  constexpr std::int64_t kEpochs[] = {0, 1'735'689'600'000'000, 253'402'300'799'999'000};
  for (const std::int64_t epoch : kEpochs) {
    EXPECT_EQ(since_epoch(epoch, epoch), 0);
    EXPECT_EQ(since_epoch(epoch + 5, epoch), 5000);
    EXPECT_EQ(since_epoch(INT64_MIN, epoch), kEarliestTime);
    EXPECT_EQ(since_epoch(INT64_MAX, epoch), kLatestTime);
  }
  EXPECT_EQ(ns_between(INT64_MIN, INT64_MAX), kLatestTime);
  EXPECT_EQ(ns_between(INT64_MAX, INT64_MIN), kEarliestTime);
}

// An instance near the end of issuing, its clock anywhere, its registry's ceilings
// anywhere in the time field: nothing overflows (under UBSan), no ceiling lies beyond
// the end, and it ends up exhausted.
class NearTheEnd : public testing::TestWithParam<IssueLayout> {};

TEST_P(NearTheEnd, nothing_overflows) {
  const IssueLayout layout = GetParam();
  std::mt19937_64 random(5);
  const std::int64_t walls[] = {
      kEarliestTime, -1, 0, kEndOfIssuing / 2, kEndOfIssuing - 1, kEndOfIssuing + 1, kLatestTime};
  const std::uint64_t ticks[] = {0,
                                 1,
                                 layout.max_ceiling() / 2,
                                 layout.max_ceiling() - 1,
                                 layout.max_ceiling(),
                                 layout.max_tick()};
  for (int run = 0; run < 2000; ++run) {
    Keeper keeper(layout, Incarnation{{1, 2}}, 0);
    KeeperPolicy policy;
    ClockSample sample{1'000'000'000, walls[random() % 7], 0, 0, KernelSync::synchronized};
    for (int i = 0; i < 20; ++i) {
      if (random() % 4 == 0) sample.wall = walls[random() % 7];
      if (random() % 8 == 0) keeper.observe(ticks[random() % 6], sample, policy);
      const Turn turn = keeper.turn(sample, policy);
      sample.monotonic += 1'000'000;
      sample.wall = within_time(sample.wall + 1'000'000);
      if (!turn.asks) continue;
      RegistryAnswer answer;
      answer.ask = turn.ask.ask;
      answer.outcome = RegistryOutcome::done;
      answer.node = turn.ask.node;
      answer.evidence = {true, random() % 2 == 0, 0, static_cast<std::int64_t>(random() >> 1),
                         1'000'000};
      answer.floor = std::max(turn.ask.issuing_tick, ticks[random() % 5]);
      answer.raised = answer.floor - std::min(answer.floor, turn.ask.issuing_tick);
      answer.ceiling = turn.ask.ask == RegistryAsk::extend
                           ? turn.ask.ceiling
                           : std::min(answer.floor + turn.ask.ticks, layout.max_ceiling());
      EXPECT_LE(turn.ask.ceiling, layout.max_ceiling());
      if (answer.floor >= layout.max_ceiling()) answer.outcome = RegistryOutcome::exhausted;
      keeper.answer(answer, sample, policy);
    }
  }
}

TEST_P(NearTheEnd, issuing_ends_there) {
  const IssueLayout layout = GetParam();
  Keeper keeper(layout, Incarnation{{1, 2}}, 0);
  const KeeperPolicy policy;
  ClockSample sample{1'000'000'000, kEndOfIssuing - 2 * layout.tick_ns, 0, 0,
                     KernelSync::synchronized};
  GrantState state = GrantState::acquiring;
  bool issued = false;
  const auto note = [&](const Turn &turn) {
    for (const WordStep &step : turn.words) {
      if (step.kind != WordStep::Kind::withdraw && step.kind != WordStep::Kind::publish) continue;
      state = unpack(layout, step.value).state;
      issued = issued || state == GrantState::active;
    }
  };
  for (int i = 0; i < 100 && state != GrantState::exhausted; ++i) {
    const Turn turn = keeper.turn(sample, policy);
    note(turn);
    sample.monotonic += layout.tick_ns / 4;
    sample.wall = within_time(sample.wall + layout.tick_ns / 4);
    if (!turn.asks) continue;
    RegistryAnswer answer;
    answer.ask = turn.ask.ask;
    answer.outcome = RegistryOutcome::done;
    answer.floor = turn.ask.issuing_tick;
    answer.ceiling = turn.ask.ask == RegistryAsk::extend
                         ? turn.ask.ceiling
                         : std::min(turn.ask.issuing_tick + turn.ask.ticks, layout.max_ceiling());
    note(keeper.answer(answer, sample, policy));
  }
  EXPECT_TRUE(issued);
  EXPECT_EQ(state, GrantState::exhausted);
}

INSTANTIATE_TEST_SUITE_P(Layouts, NearTheEnd, testing::ValuesIn(kLong));

}  // namespace
}  // namespace idgen
