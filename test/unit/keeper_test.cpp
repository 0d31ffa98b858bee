#include "core/keeper.h"

#include <cstdint>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace idgen {
namespace {

constexpr IssueLayout kLayout{41, 10, 12, 1000000};
constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kSecond = 1000 * kMs;
constexpr std::int64_t kHour = 3600 * kSecond;
constexpr Incarnation kSelf{{1, 2}};
using Kind = WordStep::Kind;

// A keeper with what it keeps: words that its steps are carried out on, clocks,
// and a registry that the test answers for.
struct Rig {
  std::int64_t monotonic = 5000 * kSecond;
  std::int64_t wall = 90000 * kSecond;
  KernelSync kernel = KernelSync::synchronized;
  KeeperPolicy policy;
  Keeper keeper{kLayout, kSelf, 0};

  Grant grant;
  std::int64_t offset = 0;
  std::uint64_t last = 0;

  std::string order;  // of the last turn's steps: w, r, b, o, p
  std::vector<ClockEventKind> told;
  bool asked = false;
  bool asked_candidate = false;
  RegistryRequest request;
  std::int64_t wake_at = 0;

  ClockSample sample() const { return {monotonic, wall, 0, 0, kernel}; }
  std::uint64_t tick() const { return kLayout.tick_of(monotonic + keeper.clock().offset()); }
  std::uint64_t wall_tick() const { return kLayout.tick_of(wall); }

  void carry_out(const Turn &turn) {
    order.clear();
    told.clear();
    for (const WordStep &step : turn.words) {
      switch (step.kind) {
        case Kind::withdraw:
          order += 'w';
          grant = unpack(kLayout, step.value);
          EXPECT_NE(grant.state, GrantState::active);
          break;
        case Kind::raise:
          order += 'r';
          EXPECT_NE(grant.state, GrantState::active) << "U7";
          if (step.value > last) last = step.value;
          break;
        case Kind::set_back:
          order += 'b';
          EXPECT_NE(grant.state, GrantState::active) << "U7";
          last = step.value;
          break;
        case Kind::offset:
          order += 'o';
          offset = static_cast<std::int64_t>(step.value);
          break;
        case Kind::publish:
          order += 'p';
          grant = unpack(kLayout, step.value);
          break;
      }
    }
    for (const ClockEvent &event : turn.events) told.push_back(event.kind);
    wake_at = turn.wake_at;
    if (turn.asks) {
      EXPECT_FALSE(asked) << "one request is in flight at a time";
      asked = true;
      asked_candidate = turn.to_candidate;
      request = turn.ask;
    }
  }
  void turn(std::int64_t span = 0) {
    monotonic += span;
    wall += span;
    carry_out(keeper.turn(sample(), policy));
  }
  void answer(const RegistryAnswer &answer) {
    EXPECT_TRUE(asked);
    asked = false;
    carry_out(keeper.answer(answer, sample(), policy));
  }
  RegistryAnswer done(std::uint32_t node, std::uint64_t floor, std::uint64_t ceiling) const {
    RegistryAnswer answer;
    answer.ask = request.ask;
    answer.outcome = RegistryOutcome::done;
    answer.node = node;
    answer.floor = floor;
    answer.ceiling = ceiling;
    return answer;
  }
  void answer_as(RegistryOutcome outcome) {
    RegistryAnswer none;
    none.ask = request.ask;
    none.outcome = outcome;
    answer(none);
  }
  // As the local registry would: at the floor asked for, by the ticks asked for.
  void grant_as_asked(std::uint32_t node = 7) {
    if (request.ask == RegistryAsk::look) {
      answer(done(0, 0, 0));
    } else if (request.ask == RegistryAsk::extend) {
      answer(done(grant.node, 0, request.ceiling));
    } else {
      if (request.shard >= 0) node = static_cast<std::uint32_t>(request.shard);
      answer(done(node, request.issuing_tick, request.issuing_tick + request.ticks));
    }
  }
  // Up to the first grant.
  void start(std::uint32_t node = 7) {
    turn();
    ASSERT_TRUE(asked);
    ASSERT_EQ(request.ask, RegistryAsk::look);
    grant_as_asked();
    turn();
    ASSERT_TRUE(asked);
    ASSERT_EQ(request.ask, RegistryAsk::acquire);
    grant_as_asked(node);
    ASSERT_EQ(grant.state, GrantState::active);
  }
  // Turns for a while, as the worker takes them, with a registry that does what
  // it is asked.
  void run(std::int64_t span) {
    for (const std::int64_t end = monotonic + span; monotonic < end;) {
      turn(10 * kMs);
      if (asked) grant_as_asked();
    }
  }
};

TEST(Keeper, the_first_grant_comes_in_the_order_raise_offset_publish) {
  Rig rig;
  rig.turn();
  EXPECT_EQ(rig.request.ask, RegistryAsk::look) << "before it decides where to start";
  EXPECT_EQ(rig.order, "");
  rig.grant_as_asked();
  EXPECT_EQ(rig.order, "") << "nothing is published before the answer";
  rig.turn();
  EXPECT_EQ(rig.request.ask, RegistryAsk::acquire);
  EXPECT_EQ(rig.request.incarnation, kSelf);
  EXPECT_EQ(rig.request.issuing_tick, rig.wall_tick());
  EXPECT_EQ(rig.order, "");
  rig.answer(rig.done(7, rig.wall_tick() + 50, rig.wall_tick() + 250));
  EXPECT_EQ(rig.order, "rop");
  EXPECT_EQ(rig.grant, (Grant{GrantState::active, 0, 7, rig.wall_tick() + 250}));
  EXPECT_EQ(rig.last, Block(kLayout, rig.grant).last_below(rig.wall_tick() + 50)) << "U2";
  EXPECT_EQ(kLayout.tick_of(rig.monotonic + rig.offset), rig.wall_tick() + 50);
}

// What a pinned node that no record names begins above, and no further.
TEST(Keeper, an_acquisition_says_where_a_node_without_a_record_may_begin) {
  Rig rig;
  rig.policy.max_skew = 60 * kSecond;
  rig.policy.window = 3 * kSecond;
  rig.turn();
  rig.grant_as_asked();
  rig.turn();
  ASSERT_EQ(rig.request.ask, RegistryAsk::acquire);
  EXPECT_EQ(rig.request.unvouched_tick, rig.wall_tick() + kLayout.ticks_covering(63 * kSecond));
}

TEST(Keeper, a_failed_or_unknown_write_publishes_nothing_and_is_asked_again) {
  Rig rig;
  rig.start();
  const Grant before = rig.grant;
  while (!rig.asked) rig.turn(10 * kMs);
  ASSERT_EQ(rig.request.ask, RegistryAsk::extend);
  rig.answer_as(RegistryOutcome::failed);
  EXPECT_EQ(rig.grant, before) << "U3";
  EXPECT_EQ(rig.order.find_first_of("wrbp"), std::string::npos);
  std::int64_t waited = 0;
  while (!rig.asked) {
    rig.turn(10 * kMs);
    waited += 10 * kMs;
  }
  EXPECT_LE(waited, Lease::kFirstRetry);
  const std::uint64_t wanted = rig.request.ceiling;
  rig.grant_as_asked();
  EXPECT_EQ(rig.grant.ceiling, wanted);
  EXPECT_EQ(rig.order.back(), 'p');
}

TEST(Keeper, a_change_of_nodes_withdraws_first_and_raises) {
  Rig rig;
  rig.start(7);
  rig.run(kSecond);
  const std::uint64_t ceiling = rig.grant.ceiling;
  rig.policy.shard = 9;
  rig.keeper.reload();
  rig.turn();
  ASSERT_EQ(rig.request.ask, RegistryAsk::acquire);
  EXPECT_EQ(rig.request.shard, 9);
  EXPECT_FALSE(rig.request.fresh);
  EXPECT_GE(rig.request.issuing_tick, ceiling) << "U5: its own highest ceiling";
  EXPECT_EQ(rig.grant.state, GrantState::active) << "the old node is good until then";
  rig.grant_as_asked(9);
  EXPECT_EQ(rig.order, "wrop");
  EXPECT_EQ(rig.grant.node, 9u);
}

TEST(Keeper, a_change_of_nodes_that_is_refused_keeps_the_old_one) {
  Rig rig;
  rig.start(7);
  rig.policy.shard = 9;
  rig.keeper.reload();
  rig.turn();
  const Grant before = rig.grant;
  rig.answer_as(RegistryOutcome::refused);
  EXPECT_EQ(rig.grant, before);
  rig.run(3 * kSecond);
  EXPECT_EQ(rig.grant.node, 7u);
  EXPECT_GT(rig.grant.ceiling, before.ceiling) << "it is extended";
  // Whoever holds the pinned node may have gone.
  int tried = 0;
  for (int i = 0; i < 12'000; ++i) {
    rig.turn(10 * kMs);
    if (!rig.asked) continue;
    if (rig.request.ask == RegistryAsk::extend) {
      rig.grant_as_asked();
    } else {
      EXPECT_EQ(rig.request.shard, 9);
      rig.answer_as(RegistryOutcome::refused);
      ++tried;
    }
  }
  EXPECT_EQ(tried, 2) << "once a minute";
}

// As long as the acquisition fails: the old node is extended, and the move tried again.
TEST(Keeper, a_change_of_nodes_that_fails_goes_on_extending_the_old_one) {
  for (const RegistryOutcome outcome : {RegistryOutcome::failed, RegistryOutcome::unreachable}) {
    for (const bool rotates : {false, true}) {
      Rig rig;
      rig.policy.on_rollback = OnRollback::rotate;
      rig.start(7);
      rig.run(kSecond);
      if (rotates) {
        rig.wall -= kHour;
      } else {
        rig.policy.shard = 9;
        rig.keeper.reload();
      }
      int tried = 0;
      for (int i = 0; i < 3000; ++i) {
        rig.turn(10 * kMs);
        ASSERT_EQ(rig.grant.state, GrantState::active);
        ASSERT_GT(rig.grant.ceiling, rig.tick()) << "it is extended";
        if (!rig.asked) continue;
        if (rig.request.ask == RegistryAsk::extend) {
          rig.grant_as_asked();
        } else {
          EXPECT_EQ(rig.request.fresh, rotates);
          rig.answer_as(outcome);
          ++tried;
        }
      }
      EXPECT_GE(tried, 10) << "it is tried again and again";
      EXPECT_LE(tried, 60) << "with pauses";
      EXPECT_EQ(rig.grant.node, 7u);
    }
  }
}

TEST(Keeper, rotation_takes_the_new_node_first_and_sets_the_word_back_under_no_grant) {
  Rig rig;
  rig.policy.on_rollback = OnRollback::rotate;
  rig.start(7);
  rig.run(kSecond);
  const std::uint64_t high = rig.last;
  rig.wall -= kHour;
  rig.turn(10 * kMs);
  EXPECT_EQ(rig.told, std::vector{ClockEventKind::rollback});
  if (rig.asked && rig.request.ask == RegistryAsk::extend) {
    rig.grant_as_asked();
    rig.turn(10 * kMs);
  }
  ASSERT_TRUE(rig.asked);
  ASSERT_EQ(rig.request.ask, RegistryAsk::acquire);
  EXPECT_TRUE(rig.request.fresh);
  EXPECT_EQ(rig.request.issuing_tick, rig.wall_tick());
  EXPECT_EQ(rig.grant.state, GrantState::active) << "the old node goes on until then";
  rig.grant_as_asked(8);
  EXPECT_EQ(rig.order, "wbop");
  EXPECT_EQ(rig.told, std::vector{ClockEventKind::rotated});
  EXPECT_EQ(rig.grant.node, 8u);
  EXPECT_LT(rig.last, high);
  EXPECT_EQ(rig.last, Block(kLayout, rig.grant).last_below(rig.wall_tick()));
  EXPECT_EQ(kLayout.tick_of(rig.monotonic + rig.offset), rig.wall_tick());
  // From now on the new node is as any other.
  rig.run(kSecond);
  EXPECT_EQ(rig.grant.node, 8u);
  EXPECT_EQ(rig.keeper.clock().state(), ClockState::synchronized);
}

TEST(Keeper, a_rotation_that_is_refused_holds_on_and_is_told_once) {
  Rig rig;
  rig.policy.on_rollback = OnRollback::rotate;
  rig.start(7);
  rig.wall -= kHour;
  int refused = 0;
  for (int i = 0; i < 500; ++i) {
    rig.turn(10 * kMs);
    if (!rig.asked) continue;
    if (rig.request.ask == RegistryAsk::extend) {
      rig.grant_as_asked();
    } else {
      rig.answer_as(RegistryOutcome::refused);
      ++refused;
      EXPECT_EQ(rig.told, std::vector{ClockEventKind::rotation_refused});
    }
  }
  EXPECT_EQ(refused, 1) << "in one rollback";
  EXPECT_EQ(rig.grant.state, GrantState::active);
  EXPECT_EQ(rig.keeper.clock().state(), ClockState::rollback);
  EXPECT_GT(rig.grant.ceiling, rig.tick());
  rig.keeper.reload();
  rig.turn();
  if (rig.asked && rig.request.ask == RegistryAsk::extend) rig.grant_as_asked();
  rig.turn();
  EXPECT_TRUE(rig.asked && rig.request.fresh) << "after a reload it is tried again";
}

TEST(Keeper, a_rotation_follows_no_wall_clock_that_has_moved_on) {
  for (const std::int64_t to : {kHour, 24 * kHour}) {
    Rig rig;
    rig.policy.on_rollback = OnRollback::rotate;
    rig.start(7);
    rig.run(kSecond);
    rig.wall -= kHour;
    while (!(rig.asked && rig.request.fresh)) {
      if (rig.asked) rig.grant_as_asked();
      rig.turn(10 * kMs);
    }
    const std::uint64_t issuing = rig.tick();
    rig.wall += to;  // right again, or far ahead
    rig.grant_as_asked(8);
    EXPECT_EQ(rig.order, "wrop") << "no way back";
    rig.run(kSecond);
    EXPECT_EQ(rig.grant.node, 8u);
    EXPECT_GE(rig.tick(), issuing);
    EXPECT_LE(rig.tick(), issuing + 2000);
    EXPECT_GT(rig.grant.ceiling, rig.tick());
  }
}

TEST(Keeper, a_rotation_that_is_no_longer_due_is_given_up) {
  Rig rig;
  rig.policy.on_rollback = OnRollback::rotate;
  rig.start(7);
  rig.run(kSecond);
  rig.wall -= kHour;
  while (!(rig.asked && rig.request.fresh)) {
    if (rig.asked) rig.grant_as_asked();
    rig.turn(10 * kMs);
  }
  rig.answer_as(RegistryOutcome::failed);
  rig.wall += kHour;
  rig.turn(10 * kMs);
  rig.run(kSecond);
  EXPECT_EQ(rig.grant.node, 7u);
  EXPECT_EQ(rig.grant.state, GrantState::active);
  EXPECT_GT(rig.grant.ceiling, rig.tick());
}

TEST(Keeper, policy_stop_opens_the_breaker_and_closes_it_by_a_fresh_acquisition) {
  Rig rig;
  rig.policy.on_rollback = OnRollback::stop;
  rig.start(7);
  rig.run(kSecond);
  const std::uint64_t ceiling = rig.grant.ceiling;
  rig.wall -= kHour;
  rig.turn(10 * kMs);
  EXPECT_EQ(rig.order, "w");
  EXPECT_EQ(rig.grant.state, GrantState::breaker);
  EXPECT_EQ(rig.keeper.trouble(), ClockTrouble::rollback);
  EXPECT_EQ(rig.told, (std::vector{ClockEventKind::rollback, ClockEventKind::stopped}));
  for (int i = 0; i < 100; ++i) {
    rig.turn(100 * kMs);
    EXPECT_FALSE(rig.asked);
    EXPECT_EQ(rig.order, "");
    EXPECT_GT(rig.wake_at, rig.monotonic);
  }
  rig.wall += kHour;
  rig.turn(10 * kMs);
  EXPECT_EQ(rig.grant.state, GrantState::acquiring) << "callers wait again";
  ASSERT_TRUE(rig.asked);
  EXPECT_EQ(rig.request.ask, RegistryAsk::acquire);
  EXPECT_GE(rig.request.issuing_tick, ceiling);
  rig.grant_as_asked(7);
  EXPECT_EQ(rig.order, "rop");
  EXPECT_EQ(rig.grant.state, GrantState::active);
}

TEST(Keeper, an_answer_that_comes_after_the_breaker_opened_publishes_nothing) {
  for (const bool extension : {true, false}) {
    Rig rig;
    rig.policy.on_rollback = OnRollback::stop;
    rig.start(7);
    rig.run(kSecond);
    if (!extension) {
      rig.policy.shard = 9;
      rig.keeper.reload();
    }
    while (!rig.asked) rig.turn(10 * kMs);
    rig.wall -= kHour;
    rig.turn(10 * kMs);
    ASSERT_EQ(rig.grant.state, GrantState::breaker);
    rig.grant_as_asked(9);
    EXPECT_EQ(rig.order.find('p'), std::string::npos);
    EXPECT_EQ(rig.grant.state, GrantState::breaker);
    rig.wall += kHour;
    rig.run(kSecond);
    EXPECT_EQ(rig.grant.state, GrantState::active) << "and it recovers";
  }
}

TEST(Keeper, policy_stop_issues_nothing_at_a_start_with_the_clock_far_behind) {
  Rig rig;
  rig.policy.on_rollback = OnRollback::stop;
  rig.turn();
  rig.grant_as_asked();
  rig.turn();
  const std::uint64_t floor = kLayout.tick_of(rig.wall + kHour);
  rig.answer(rig.done(7, floor, floor + 200));
  EXPECT_EQ(rig.grant.state, GrantState::breaker);
  EXPECT_EQ(rig.order.find('p'), std::string::npos);
}

TEST(Keeper, before_the_epoch_nothing_is_issued_until_the_clock_is_right) {
  Rig rig;
  const std::int64_t right = rig.wall;
  rig.wall = -kHour;
  rig.turn();
  EXPECT_EQ(rig.grant.state, GrantState::breaker);
  EXPECT_EQ(rig.keeper.trouble(), ClockTrouble::before_epoch);
  EXPECT_EQ(rig.request.ask, RegistryAsk::look);
  rig.grant_as_asked();
  rig.turn();
  EXPECT_FALSE(rig.asked);
  rig.wall = right;
  rig.turn();
  EXPECT_EQ(rig.grant.state, GrantState::acquiring);
  rig.grant_as_asked();
  EXPECT_EQ(rig.grant.state, GrantState::active);
  // One that runs takes it as any other rollback.
  rig.wall = -kHour;
  rig.run(kSecond);
  EXPECT_EQ(rig.grant.state, GrantState::active);
  EXPECT_EQ(rig.keeper.clock().state(), ClockState::rollback);
}

TEST(Keeper, issues_only_with_a_kernel_that_is_synchronized_if_that_is_required) {
  for (const KernelSync kernel : {KernelSync::unknown, KernelSync::unsynchronized}) {
    Rig rig;
    rig.policy.require_sync = true;
    rig.start();
    rig.kernel = kernel;
    rig.turn(10 * kMs);
    EXPECT_EQ(rig.grant.state, GrantState::breaker);
    EXPECT_EQ(rig.keeper.trouble(), ClockTrouble::unsynchronized);
    rig.kernel = KernelSync::synchronized;
    rig.run(100 * kMs);
    EXPECT_EQ(rig.grant.state, GrantState::active);
  }
}

TEST(Keeper, a_start_that_the_record_contradicts_is_suspect) {
  Rig rig;
  rig.turn();
  RegistryAnswer looked = rig.done(0, 0, 0);
  looked.evidence = {true, true, rig.monotonic - kSecond, rig.wall - 24 * kHour, 0};
  rig.answer(looked);
  rig.turn();
  EXPECT_EQ(rig.keeper.clock().state(), ClockState::suspect);
  EXPECT_EQ(rig.request.issuing_tick, kLayout.tick_of(rig.wall - 24 * kHour + kSecond));
  rig.grant_as_asked();
  EXPECT_EQ(rig.keeper.clock().state(), ClockState::suspect);
  Turn turn;
  EXPECT_TRUE(rig.keeper.accept_clock(rig.sample(), turn));
  rig.run(kSecond);
  EXPECT_EQ(kLayout.tick_of(rig.monotonic + rig.offset), rig.wall_tick());
}

// The offset that backends use is never beyond the ceiling.
TEST(Keeper, a_step_ahead_is_followed_when_a_ceiling_above_it_is_durable) {
  Rig rig;
  rig.start();
  rig.run(40 * kSecond);
  rig.wall += 30 * kSecond;
  rig.turn(10 * kMs);
  if (rig.request.ceiling < rig.wall_tick()) {  // one for the old time was in flight
    if (rig.asked) rig.grant_as_asked();
    rig.turn(10 * kMs);
  }
  ASSERT_TRUE(rig.asked);
  EXPECT_EQ(rig.order.find('o'), std::string::npos) << "not yet";
  EXPECT_LT(kLayout.tick_of(rig.monotonic + rig.offset), rig.grant.ceiling);
  rig.grant_as_asked();
  EXPECT_EQ(rig.order, "op");
  EXPECT_EQ(kLayout.tick_of(rig.monotonic + rig.offset), rig.wall_tick());
}

TEST(Keeper, a_worker_that_goes_on_keeps_the_grant_and_asks_first) {
  Rig rig;
  rig.start(7);
  rig.run(kSecond);
  while (!rig.asked) rig.turn(10 * kMs);  // the old worker ends with a request in flight
  rig.asked = false;
  const Grant held = rig.grant;
  rig.keeper.resume(rig.grant, rig.offset);
  rig.turn(10 * kMs);
  ASSERT_TRUE(rig.asked);
  EXPECT_EQ(rig.request.ask, RegistryAsk::resume);
  EXPECT_EQ(rig.request.node, held.node);
  EXPECT_EQ(rig.request.ceiling, held.ceiling);
  EXPECT_EQ(rig.order.find_first_of("wrbp"), std::string::npos);
  rig.answer(rig.done(held.node, 0, held.ceiling));
  EXPECT_EQ(rig.grant, held);
  rig.run(kSecond);
  EXPECT_GT(rig.grant.ceiling, held.ceiling);
}

TEST(Keeper, a_worker_whose_record_is_another_acquires_above_what_was_held) {
  Rig rig;
  rig.start(7);
  rig.run(kSecond);
  const Grant held = rig.grant;
  rig.keeper.resume(rig.grant, rig.offset);
  rig.turn(10 * kMs);
  rig.answer_as(RegistryOutcome::refused);
  EXPECT_EQ(rig.grant, held) << "what was acknowledged stays good";
  rig.turn(10 * kMs);
  ASSERT_TRUE(rig.asked);
  EXPECT_EQ(rig.request.ask, RegistryAsk::acquire);
  EXPECT_GE(rig.request.issuing_tick, held.ceiling);
  rig.grant_as_asked(11);
  EXPECT_EQ(rig.order, "wrop");
}

TEST(Keeper, refusals_have_their_states) {
  for (const auto &[outcome, state] :
       {std::pair{RegistryOutcome::refused, GrantState::fenced},
        std::pair{RegistryOutcome::layout_mismatch, GrantState::mismatch},
        std::pair{RegistryOutcome::exhausted, GrantState::exhausted}}) {
    Rig rig;
    rig.turn();
    rig.grant_as_asked();
    rig.turn();
    rig.answer_as(outcome);
    EXPECT_EQ(rig.grant.state, state);
    // Who mends the cause need not restart the server.
    std::int64_t waited = 0;
    while (!rig.asked && waited < kSecond) {
      rig.turn(10 * kMs);
      waited += 10 * kMs;
    }
    ASSERT_TRUE(rig.asked);
    EXPECT_EQ(rig.request.ask, RegistryAsk::look) << "the record may be another";
    rig.grant_as_asked();
    rig.turn(10 * kMs);
    rig.grant_as_asked();
    EXPECT_EQ(rig.grant.state, GrantState::active);
  }
}

TEST(Keeper, a_refused_extension_leaves_the_grant_good_up_to_its_ceiling) {
  Rig rig;
  rig.start();
  while (!rig.asked) rig.turn(10 * kMs);
  rig.answer_as(RegistryOutcome::refused);
  EXPECT_EQ(rig.grant.state, GrantState::active);
  while (rig.tick() < rig.grant.ceiling) {
    rig.turn(10 * kMs);
    if (!rig.asked) continue;
    if (rig.tick() >= rig.grant.ceiling) break;
    rig.answer_as(RegistryOutcome::refused);
    ASSERT_EQ(rig.grant.state, GrantState::active);
  }
  while (!rig.asked) rig.turn(10 * kMs);
  rig.answer_as(RegistryOutcome::refused);
  EXPECT_EQ(rig.grant.state, GrantState::fenced);
}

// A move whose answer was lost may have been made: the registry then holds
// another node than backends use, and its ceiling is none of theirs.
TEST(Keeper, a_ceiling_of_another_node_is_not_published) {
  Rig rig;
  rig.start(7);
  while (!rig.asked) rig.turn(10 * kMs);
  ASSERT_EQ(rig.request.ask, RegistryAsk::extend);
  EXPECT_EQ(rig.request.node, 7u);
  const Grant before = rig.grant;
  rig.answer(rig.done(9, 0, rig.request.ceiling));
  EXPECT_EQ(rig.grant, before);
}

TEST(Keeper, a_confirmed_copy_starts_a_window_above_the_clock) {
  Rig rig;
  rig.policy.shard = 9;
  rig.turn();
  rig.grant_as_asked();
  rig.turn();
  EXPECT_FALSE(rig.request.confirmed);
  rig.answer_as(RegistryOutcome::refused);
  EXPECT_EQ(rig.grant.state, GrantState::fenced);
  EXPECT_TRUE(rig.keeper.confirm_copy(rig.sample(), rig.policy));
  const std::uint64_t clear = rig.wall_tick() + 3000;
  rig.wall -= kHour;  // before it is taken
  rig.turn();
  if (rig.request.ask == RegistryAsk::look) {
    rig.grant_as_asked();
    rig.turn();
  }
  ASSERT_EQ(rig.request.ask, RegistryAsk::acquire);
  EXPECT_TRUE(rig.request.confirmed);
  EXPECT_EQ(rig.request.issuing_tick, clear);
  rig.grant_as_asked(9);
  EXPECT_EQ(rig.grant.state, GrantState::active);
  EXPECT_FALSE(rig.keeper.confirm_copy(rig.sample(), rig.policy)) << "nothing is wanted";
  // It holds for one acquisition.
  rig.policy.shard = 10;
  rig.keeper.reload();
  rig.turn();
  EXPECT_EQ(rig.request.ask, RegistryAsk::acquire);
  EXPECT_FALSE(rig.request.confirmed);
}

TEST(Keeper, never_spins) {
  Rig rig;
  rig.start();
  for (const std::int64_t step : {std::int64_t{0}, -10 * kSecond, -kHour, 2 * kHour, -kHour}) {
    rig.wall += step;
    for (int i = 0; i < 100; ++i) {
      rig.turn(10 * kMs);
      if (rig.asked) {
        rig.grant_as_asked();
        continue;
      }
      ASSERT_GT(rig.wake_at, rig.monotonic);
      ASSERT_LE(rig.wake_at, rig.monotonic + rig.policy.interval);
    }
  }
}

// A clock that was fast, was followed, and is right again: issuing time runs at
// 0.9 while nothing is issued, too, or the breaker would stay open for hours.
TEST(Keeper, slews_while_the_breaker_is_open) {
  Rig rig;
  rig.policy.on_rollback = OnRollback::stop;
  rig.turn();
  RegistryAnswer looked;
  looked.ask = RegistryAsk::look;
  looked.outcome = RegistryOutcome::done;
  rig.answer(looked);
  rig.turn();
  rig.answer(rig.done(7, rig.wall_tick(), rig.wall_tick() + 3000));
  rig.wall -= 200 * kSecond;
  rig.turn(kMs);
  ASSERT_EQ(rig.keeper.trouble(), ClockTrouble::rollback);
  const std::int64_t skew = rig.keeper.clock().skew();
  const std::int64_t end = rig.monotonic + 10 * kSecond;
  while (rig.monotonic < end) rig.turn(std::max(rig.wake_at - rig.monotonic, kMs));
  EXPECT_LT(rig.keeper.clock().skew(), skew - 9 * kSecond / 10);
}

// A ceiling of the longer window still lies ahead when they have met.
TEST(Keeper, a_window_that_was_longer_is_no_rollback_when_the_breaker_closes) {
  Rig rig;
  rig.policy.on_rollback = OnRollback::stop;
  rig.policy.window = 300 * kSecond;
  rig.monotonic += 3600 * kSecond;
  rig.start();
  rig.run(kSecond);
  rig.policy.window = 3 * kSecond;
  rig.wall -= kHour;
  rig.turn(10 * kMs);
  ASSERT_EQ(rig.grant.state, GrantState::breaker);
  rig.wall += kHour;
  rig.run(kSecond);
  EXPECT_EQ(rig.grant.state, GrantState::active);
  EXPECT_EQ(rig.keeper.clock().state(), ClockState::holding);
}

// From 5 minutes to 3 seconds: the start finds itself far ahead, and explains it.
TEST(Keeper, a_window_that_was_longer_is_no_rollback) {
  for (const bool copied : {false, true}) {
    Rig rig;
    rig.policy.on_rollback = OnRollback::stop;
    rig.turn();
    RegistryAnswer looked = rig.done(0, 0, 0);
    looked.evidence = {!copied, true, rig.monotonic - kSecond, rig.wall - kSecond, 300 * kSecond};
    rig.answer(looked);
    rig.turn();
    EXPECT_EQ(rig.request.window, 300 * kSecond) << "for a start that follows";
    const std::uint64_t floor = rig.wall_tick() + 299'000;
    rig.answer(rig.done(7, floor, floor + rig.request.ticks));
    EXPECT_EQ(rig.keeper.clock().state(), ClockState::holding);
    EXPECT_EQ(rig.grant.state, GrantState::active);
    rig.run(kSecond);
    EXPECT_EQ(rig.keeper.clock().window(), 300 * kSecond);
    rig.wall += 299 * kSecond;  // they meet
    rig.run(5 * kSecond);
    EXPECT_EQ(rig.request.window, rig.policy.window) << "forgotten";
    rig.wall -= 100 * kSecond;
    rig.turn(10 * kMs);
    EXPECT_EQ(rig.keeper.clock().state(), ClockState::rollback);
  }
}

TEST(Keeper, a_suspect_clock_is_accepted_and_confirmed_without_a_node) {
  for (const bool accepted : {true, false}) {
    for (const bool breaker : {true, false}) {
      Rig rig;
      rig.policy.require_sync = breaker;
      if (breaker) rig.kernel = KernelSync::unsynchronized;
      RegistryAnswer looked;
      looked.ask = RegistryAsk::look;
      looked.outcome = RegistryOutcome::done;
      looked.evidence = {true, true, rig.monotonic, rig.wall - 24 * kHour, 0};
      // The node can't be had: the disk is full, or the breaker open.
      const auto run = [&](std::int64_t span) {
        for (const std::int64_t end = rig.monotonic + span; rig.monotonic < end;) {
          rig.turn(100 * kMs);
          if (!rig.asked) continue;
          if (rig.request.ask == RegistryAsk::look) {
            rig.answer(looked);
          } else {
            rig.answer_as(RegistryOutcome::refused);
          }
        }
      };
      run(10 * kSecond);
      ASSERT_EQ(rig.keeper.clock().state(), ClockState::suspect);
      if (accepted) {
        Turn turn;
        ASSERT_TRUE(rig.keeper.accept_clock(rig.sample(), turn));
      } else {
        run(rig.policy.confirm);
      }
      run(10 * kSecond);
      EXPECT_EQ(rig.keeper.clock().state(), ClockState::synchronized);
      // Not for a clock that jumps again.
      rig.wall += 24 * kHour;
      rig.turn(100 * kMs);
      EXPECT_EQ(rig.keeper.clock().state(), ClockState::suspect);
    }
  }
}

// A pin that comes while the node is being changed is not forgotten.
TEST(Keeper, a_shard_that_is_pinned_during_a_rotation_is_taken_afterwards) {
  Rig rig;
  rig.policy.on_rollback = OnRollback::rotate;
  rig.start(7);
  rig.wall -= kHour;
  while (!(rig.asked && rig.request.fresh)) {
    if (rig.asked) rig.grant_as_asked();
    rig.turn(10 * kMs);
  }
  rig.policy.shard = 9;
  rig.keeper.reload();
  rig.grant_as_asked(8);
  ASSERT_EQ(rig.grant.node, 8u);
  while (!(rig.asked && rig.request.ask == RegistryAsk::acquire)) {
    if (rig.asked) rig.grant_as_asked();
    rig.turn(10 * kMs);
  }
  EXPECT_EQ(rig.request.shard, 9);
}

// --- in a fleet ---------------------------------------------------------------

// Runs until it asks that, answering all else as wished for.
void run_until_asked(Rig &rig, RegistryAsk ask) {
  for (int i = 0; i < 10'000; ++i) {
    if (rig.asked && rig.request.ask == ask) return;
    if (rig.asked) rig.grant_as_asked();
    rig.turn(10 * kMs);
  }
  FAIL() << "it never asked";
}

TEST(KeeperInAFleet, withdraws_first_when_the_node_is_lost) {
  Rig rig;
  rig.start(7);
  run_until_asked(rig, RegistryAsk::extend);
  rig.answer_as(RegistryOutcome::lost);
  EXPECT_EQ(rig.order, "w") << "U7";
  EXPECT_EQ(rig.grant.state, GrantState::acquiring);
  const std::uint64_t old_ceiling = rig.grant.ceiling;
  rig.turn();
  ASSERT_TRUE(rig.asked) << "at once";
  EXPECT_EQ(rig.request.ask, RegistryAsk::acquire);
  EXPECT_GE(rig.request.issuing_tick, old_ceiling) << "U5: the instance's own highest ceiling";
  rig.grant_as_asked(8);
  EXPECT_EQ(rig.order, "rop");
  EXPECT_EQ(rig.grant.node, 8u);
}

TEST(KeeperInAFleet, a_worker_that_goes_on_withdraws_a_node_that_was_lost) {
  Rig rig;
  rig.start(7);
  rig.asked = false;
  rig.keeper.resume(rig.grant, rig.offset);
  rig.turn();
  ASSERT_EQ(rig.request.ask, RegistryAsk::resume);
  rig.answer_as(RegistryOutcome::lost);
  EXPECT_EQ(rig.order, "w");
}

TEST(KeeperInAFleet, without_a_registry_it_goes_on_to_the_ceiling_then_calls_fail_at_once) {
  Rig rig;
  rig.start(7);
  run_until_asked(rig, RegistryAsk::extend);
  const std::uint64_t ceiling = rig.grant.ceiling;
  bool fenced = false;
  for (int i = 0; i < 2000 && !fenced; ++i) {
    if (rig.asked) rig.answer_as(RegistryOutcome::unreachable);
    fenced = rig.grant.state == GrantState::fenced;
    EXPECT_EQ(fenced, rig.tick() >= ceiling);
    rig.turn(kMs);
    fenced = rig.grant.state == GrantState::fenced;
    EXPECT_EQ(fenced, rig.tick() >= ceiling);
  }
  ASSERT_TRUE(fenced);
  EXPECT_TRUE(rig.keeper.cut_off());
  run_until_asked(rig, RegistryAsk::acquire);
  rig.grant_as_asked(7);
  EXPECT_EQ(rig.grant.state, GrantState::active);
  EXPECT_FALSE(rig.keeper.cut_off());
}

TEST(KeeperInAFleet, at_a_start_without_a_registry_calls_fail_at_once) {
  Rig rig;
  run_until_asked(rig, RegistryAsk::acquire);
  rig.answer_as(RegistryOutcome::unreachable);
  EXPECT_EQ(rig.grant.state, GrantState::fenced);
}

TEST(KeeperInAFleet, a_worker_without_a_registry_resumes_when_it_is_back) {
  Rig rig;
  rig.start(7);
  rig.asked = false;
  rig.keeper.resume(rig.grant, rig.offset);
  rig.turn();
  rig.answer_as(RegistryOutcome::unreachable);
  EXPECT_EQ(rig.grant.state, GrantState::active);
  while (!rig.asked) rig.turn(10 * kMs);
  EXPECT_EQ(rig.request.ask, RegistryAsk::resume);
}

TEST(KeeperInAFleet, a_rotation_takes_the_new_node_then_releases_the_old_in_order) {
  Rig rig;
  rig.start(7);
  EXPECT_TRUE(rig.keeper.rotate());
  rig.turn();
  ASSERT_TRUE(rig.asked);
  EXPECT_TRUE(rig.request.another);
  EXPECT_FALSE(rig.request.fresh);
  EXPECT_EQ(rig.grant.state, GrantState::active) << "the old one serves until then";
  rig.grant_as_asked(8);
  EXPECT_EQ(rig.order, "wrop");
  EXPECT_EQ(rig.keeper.moves().ended, 1u);
  EXPECT_TRUE(rig.keeper.moves().succeeded);
  run_until_asked(rig, RegistryAsk::release);
  EXPECT_EQ(rig.request.node, 7u);
  rig.grant_as_asked();
  EXPECT_EQ(rig.grant.node, 8u);
  EXPECT_EQ(rig.grant.state, GrantState::active);
}

TEST(KeeperInAFleet, a_rotation_that_fails_ends_and_the_old_node_is_extended) {
  for (const RegistryOutcome outcome :
       {RegistryOutcome::unreachable, RegistryOutcome::failed, RegistryOutcome::refused}) {
    Rig rig;
    rig.start(7);
    ASSERT_TRUE(rig.keeper.rotate());
    rig.turn();
    rig.answer_as(outcome);
    EXPECT_EQ(rig.keeper.moves().ended, 1u);
    EXPECT_FALSE(rig.keeper.moves().succeeded);
    EXPECT_EQ(rig.grant.state, GrantState::active);
    run_until_asked(rig, RegistryAsk::extend);
    EXPECT_EQ(rig.request.node, 7u);
  }
}

// Whatever becomes of a release, it is asked for until it is done.
TEST(KeeperInAFleet, a_release_that_fails_is_tried_again_with_pauses) {
  for (const RegistryOutcome outcome :
       {RegistryOutcome::failed, RegistryOutcome::unreachable, RegistryOutcome::refused}) {
    Rig rig;
    rig.start(7);
    rig.keeper.drain();
    int asked = 0;
    for (int i = 0; i < 1000; ++i) {
      rig.turn(10 * kMs);
      EXPECT_TRUE(rig.keeper.releasing());
      if (!rig.asked) continue;
      ASSERT_EQ(rig.request.ask, RegistryAsk::release);
      EXPECT_EQ(rig.request.node, 7u);
      rig.answer_as(outcome);
      ++asked;
    }
    EXPECT_GE(asked, 8);
    EXPECT_LE(asked, 20) << "with pauses that grow";
    run_until_asked(rig, RegistryAsk::release);
    rig.answer_as(RegistryOutcome::done);
    EXPECT_FALSE(rig.keeper.releasing());
  }
}

TEST(KeeperInAFleet, a_node_that_another_has_taken_is_not_released) {
  Rig rig;
  rig.start(7);
  rig.keeper.drain();
  run_until_asked(rig, RegistryAsk::release);
  rig.answer_as(RegistryOutcome::lost);
  EXPECT_FALSE(rig.keeper.releasing());
}

TEST(KeeperInAFleet, rotated_and_drained_at_once_it_lets_both_nodes_go) {
  Rig rig;
  rig.start(7);
  ASSERT_TRUE(rig.keeper.rotate());
  rig.turn();
  rig.grant_as_asked(8);
  rig.keeper.drain();
  std::vector<std::uint32_t> released;
  for (int i = 0; i < 200; ++i) {
    rig.turn(10 * kMs);
    if (!rig.asked) continue;
    ASSERT_EQ(rig.request.ask, RegistryAsk::release);
    released.push_back(rig.request.node);
    rig.answer_as(released.size() == 1 ? RegistryOutcome::failed : RegistryOutcome::done);
  }
  EXPECT_EQ(released, (std::vector<std::uint32_t>{7, 8, 7})) << "what failed is tried again";
  EXPECT_FALSE(rig.keeper.releasing());
}

// A node that is held without a grant (the clock breaker is open) is let go, too.
TEST(KeeperInAFleet, what_was_held_without_a_grant_is_let_go) {
  Rig rig;
  rig.policy.require_sync = true;
  rig.start(7);
  rig.kernel = KernelSync::unsynchronized;
  rig.turn(kMs);
  ASSERT_EQ(rig.grant.state, GrantState::breaker);
  rig.kernel = KernelSync::synchronized;
  run_until_asked(rig, RegistryAsk::acquire);
  rig.grant_as_asked(9);
  ASSERT_EQ(rig.grant.node, 9u);
  run_until_asked(rig, RegistryAsk::release);
  EXPECT_EQ(rig.request.node, 7u);
  rig.grant_as_asked();
  rig.kernel = KernelSync::unsynchronized;
  rig.turn(kMs);
  rig.policy.require_sync = false;
  rig.keeper.drain();
  run_until_asked(rig, RegistryAsk::release);
  EXPECT_EQ(rig.request.node, 9u);
}

TEST(KeeperInAFleet, what_was_taken_in_vain_is_let_go) {
  Rig rig;
  rig.start(7);
  ASSERT_TRUE(rig.keeper.rotate());
  rig.turn();
  RegistryAnswer stray = rig.done(8, 0, 0);
  stray.outcome = RegistryOutcome::failed;
  stray.stray = true;
  rig.answer(stray);
  run_until_asked(rig, RegistryAsk::release);
  EXPECT_EQ(rig.request.node, 8u);
  EXPECT_EQ(rig.grant.node, 7u);
}

TEST(KeeperInAFleet, a_node_that_is_taken_again_is_not_let_go) {
  Rig rig;
  rig.start(7);
  rig.keeper.drain();
  run_until_asked(rig, RegistryAsk::release);
  rig.answer_as(RegistryOutcome::failed);
  rig.keeper.undrain();
  run_until_asked(rig, RegistryAsk::acquire);
  rig.grant_as_asked(7);
  EXPECT_FALSE(rig.keeper.releasing());
  for (int i = 0; i < 300; ++i) {
    rig.turn(10 * kMs);
    if (!rig.asked) continue;
    ASSERT_EQ(rig.request.ask, RegistryAsk::extend);
    rig.grant_as_asked();
  }
}

// While releases fail rotations wait, so that none is ever forgotten.
TEST(KeeperInAFleet, rotations_wait_for_room_to_release_what_they_leave) {
  Rig rig;
  rig.start(7);
  std::uint32_t node = 7;
  std::size_t most = 0;
  for (int i = 0; i < 20'000; ++i) {
    (void)rig.keeper.rotate();
    rig.turn(10 * kMs);
    most = std::max(most, rig.keeper.releases());
    if (!rig.asked) continue;
    if (rig.request.ask == RegistryAsk::release) {
      rig.answer_as(RegistryOutcome::failed);
    } else {
      rig.grant_as_asked(node += rig.request.another);
    }
    ASSERT_EQ(rig.grant.state, GrantState::active);
    ASSERT_GT(rig.grant.ceiling, rig.tick()) << "the node that is held is extended";
  }
  EXPECT_LT(most, 8u);
  EXPECT_EQ(rig.keeper.releases(), node - 7) << "each that was left is still to be released";
  rig.keeper.drain();
  for (int i = 0; i < 2'000; ++i) {
    if (rig.asked) rig.answer_as(RegistryOutcome::done);
    rig.turn(10 * kMs);
  }
  EXPECT_FALSE(rig.keeper.releasing());
}

// --- another registry ---------------------------------------------------------

TEST(KeeperInAFleet, a_registry_that_gives_no_node_is_not_gone_over_to) {
  for (const RegistryOutcome outcome :
       {RegistryOutcome::failed, RegistryOutcome::unreachable, RegistryOutcome::refused,
        RegistryOutcome::layout_mismatch, RegistryOutcome::exhausted, RegistryOutcome::lost}) {
    Rig rig;
    rig.start(7);
    rig.run(kSecond);
    rig.keeper.set_candidate();
    int tried = 0;
    for (int i = 0; i < 1000; ++i) {
      rig.turn(10 * kMs);
      ASSERT_EQ(rig.grant.state, GrantState::active);
      ASSERT_GT(rig.grant.ceiling, rig.tick()) << "extended where it is";
      ASSERT_FALSE(rig.keeper.cut_off());
      if (!rig.asked) continue;
      EXPECT_EQ(rig.asked_candidate, rig.request.ask == RegistryAsk::acquire);
      if (rig.asked_candidate) {
        ++tried;
        rig.answer_as(outcome);
      } else {
        rig.grant_as_asked();
      }
    }
    EXPECT_EQ(rig.grant.node, 7u);
    const bool may_come_right =
        outcome == RegistryOutcome::failed || outcome == RegistryOutcome::unreachable;
    const bool is_out_of_reach = outcome == RegistryOutcome::unreachable;
    EXPECT_TRUE(may_come_right && !is_out_of_reach ? tried > 4 && tried < 12 : tried == 1) << tried;
    // Out of reach, it is tried again when it is known to answer; refused, after a while.
    const bool is_refused = !may_come_right;
    if (is_out_of_reach) rig.keeper.set_candidate();
    const std::int64_t before = rig.monotonic;
    run_until_asked(rig, RegistryAsk::acquire);
    EXPECT_TRUE(rig.asked_candidate);
    EXPECT_EQ(rig.monotonic - before > 40 * kSecond, is_refused) << (rig.monotonic - before);
    EXPECT_LT(rig.monotonic - before, 61 * kSecond);
    rig.answer_as(outcome);
    if (is_out_of_reach) rig.keeper.set_candidate();
    rig.keeper.reload();
    const std::int64_t reloaded = rig.monotonic;
    run_until_asked(rig, RegistryAsk::acquire);
    EXPECT_LT(rig.monotonic - reloaded, 5 * kSecond) << "after a reload at once";
  }
}

TEST(KeeperInAFleet, a_registry_that_gives_a_node_is_gone_over_to_in_order) {
  Rig rig;
  rig.start(7);
  rig.run(kSecond);
  const std::uint64_t ceiling = rig.grant.ceiling;
  rig.keeper.set_candidate();
  run_until_asked(rig, RegistryAsk::acquire);
  EXPECT_TRUE(rig.asked_candidate);
  EXPECT_EQ(rig.grant.state, GrantState::active) << "the old node serves until then";
  EXPECT_GE(rig.request.issuing_tick, ceiling) << "U5: its own highest ceiling";
  rig.grant_as_asked(7);
  EXPECT_EQ(rig.order, "wrop");
  EXPECT_FALSE(rig.keeper.releasing()) << "the same number is another registry's node";
  rig.run(3 * kSecond);
  EXPECT_EQ(rig.grant.state, GrantState::active);
  EXPECT_FALSE(rig.asked_candidate);
}

TEST(KeeperInAFleet, a_registry_that_is_wanted_no_more_is_forgotten) {
  Rig rig;
  rig.start(7);
  rig.keeper.set_candidate();
  run_until_asked(rig, RegistryAsk::acquire);
  rig.keeper.drop_candidate();
  rig.asked = false;
  run_until_asked(rig, RegistryAsk::extend);
  EXPECT_FALSE(rig.asked_candidate);
  EXPECT_EQ(rig.grant.node, 7u);
}

TEST(KeeperInAFleet, drained_while_it_goes_over_it_lets_the_new_node_go) {
  Rig rig;
  rig.start(7);
  rig.keeper.set_candidate();
  run_until_asked(rig, RegistryAsk::acquire);
  rig.keeper.drain();
  rig.turn();
  EXPECT_EQ(rig.grant.state, GrantState::drained);
  rig.grant_as_asked(3);
  EXPECT_EQ(rig.grant.state, GrantState::drained);
  run_until_asked(rig, RegistryAsk::release);
  EXPECT_EQ(rig.request.node, 3u);
  rig.grant_as_asked();
  EXPECT_FALSE(rig.keeper.releasing());
}

TEST(KeeperInAFleet, without_a_node_there_is_nothing_to_rotate) {
  Rig rig;
  EXPECT_FALSE(rig.keeper.rotate());
}

TEST(KeeperInAFleet, drained_it_issues_nothing_and_lets_the_node_go) {
  Rig rig;
  rig.start(7);
  rig.keeper.drain();
  rig.turn();
  EXPECT_EQ(rig.order, "w");
  EXPECT_EQ(rig.grant.state, GrantState::drained);
  ASSERT_TRUE(rig.asked);
  EXPECT_EQ(rig.request.ask, RegistryAsk::release);
  EXPECT_EQ(rig.request.node, 7u);
  EXPECT_TRUE(rig.keeper.releasing());
  rig.grant_as_asked();
  EXPECT_FALSE(rig.keeper.releasing());
  rig.turn(10 * kSecond);
  EXPECT_FALSE(rig.asked);
  rig.keeper.undrain();
  rig.turn();
  EXPECT_EQ(rig.grant.state, GrantState::acquiring);
  ASSERT_EQ(rig.request.ask, RegistryAsk::acquire);
  rig.grant_as_asked(9);
  EXPECT_EQ(rig.grant.state, GrantState::active);
}

TEST(KeeperInAFleet, a_node_that_comes_while_it_drains_is_let_go) {
  Rig rig;
  run_until_asked(rig, RegistryAsk::acquire);
  rig.keeper.drain();
  rig.grant_as_asked(7);
  EXPECT_EQ(rig.grant.state, GrantState::drained);
  run_until_asked(rig, RegistryAsk::release);
  EXPECT_EQ(rig.request.node, 7u);
}

TEST(KeeperInAFleet, an_extension_that_comes_after_the_drain_publishes_nothing) {
  Rig rig;
  rig.start(7);
  run_until_asked(rig, RegistryAsk::extend);
  rig.keeper.drain();
  rig.turn();
  EXPECT_EQ(rig.grant.state, GrantState::drained);
  rig.grant_as_asked();
  EXPECT_EQ(rig.grant.state, GrantState::drained);
  run_until_asked(rig, RegistryAsk::release);
}

TEST(KeeperInAFleet, auto_drain_hands_the_node_back_while_the_clock_cant_be_trusted) {
  Rig rig;
  rig.policy.auto_drain = true;
  rig.start(7);
  rig.wall -= kHour;
  run_until_asked(rig, RegistryAsk::release);
  EXPECT_EQ(rig.grant.state, GrantState::drained);
  rig.wall += kHour;
  run_until_asked(rig, RegistryAsk::acquire);
  rig.grant_as_asked(7);
  EXPECT_EQ(rig.grant.state, GrantState::active);
}

TEST(KeeperInAFleet, a_floor_that_the_fleet_raised_is_no_rollback_of_this_clock) {
  Rig rig;
  rig.policy.on_rollback = OnRollback::stop;
  run_until_asked(rig, RegistryAsk::acquire);
  RegistryAnswer raised =
      rig.done(7, rig.request.issuing_tick + 300'000, rig.request.issuing_tick + 300'200);
  raised.raised = 300'000;
  rig.answer(raised);
  EXPECT_EQ(rig.keeper.clock().state(), ClockState::holding);
  EXPECT_EQ(rig.grant.state, GrantState::active);
  for (int i = 0; i < 1000; ++i) {
    if (rig.asked) rig.grant_as_asked();
    rig.turn(10 * kMs);
    ASSERT_EQ(rig.grant.state, GrantState::active);
  }
  EXPECT_GE(rig.request.window, 300 * kSecond) << "so that the next start knows it, too";
}

TEST(KeeperInAFleet, without_a_node_time_rests_on_what_was_promised) {
  Rig rig;
  rig.start(7);
  rig.wall -= kHour;
  for (int i = 0; i < 100; ++i) {
    if (rig.asked) rig.grant_as_asked();
    rig.turn(10 * kMs);
  }
  const std::uint64_t promised = rig.grant.ceiling;
  run_until_asked(rig, RegistryAsk::extend);
  rig.answer_as(RegistryOutcome::lost);
  // Nobody lets it have a node, for long.
  for (int i = 0; i < 1000; ++i) {
    rig.turn(kSecond);
    if (rig.asked) rig.answer_as(RegistryOutcome::refused);
  }
  while (!rig.asked) rig.turn(10 * kMs);
  EXPECT_GE(rig.request.issuing_tick, promised) << "U5, and order";
  EXPECT_LE(rig.request.issuing_tick, promised + 5000) << "nothing was issued meanwhile";
}

TEST(KeeperInAFleet, lanes_travel_with_the_grant) {
  Rig rig;
  rig.policy.log2_lanes = 3;
  run_until_asked(rig, RegistryAsk::acquire);
  EXPECT_EQ(rig.request.log2_lanes, 3u);
  RegistryAnswer wide =
      rig.done(8, rig.request.issuing_tick, rig.request.issuing_tick + rig.request.ticks);
  wide.log2_lanes = 3;
  rig.answer(wide);
  EXPECT_EQ(rig.grant.log2_lanes, 3u);
  run_until_asked(rig, RegistryAsk::extend);
  EXPECT_EQ(rig.request.log2_lanes, 3u);
}

TEST(KeeperInAFleet, another_registry_begins_with_a_withdrawal_and_above_the_highest_ceiling) {
  Rig rig;
  rig.start(7);
  const std::uint64_t ceiling = rig.grant.ceiling;
  Turn turn;
  rig.asked = false;
  rig.keeper.change_registry(turn);
  rig.carry_out(turn);
  EXPECT_EQ(rig.order, "w");
  rig.turn();
  ASSERT_EQ(rig.request.ask, RegistryAsk::acquire);
  EXPECT_GE(rig.request.issuing_tick, ceiling);
}

TEST(KeeperInAFleet, an_operators_request_and_the_leases_take_turns) {
  Rig rig;
  rig.start(7);
  run_until_asked(rig, RegistryAsk::extend);
  EXPECT_FALSE(rig.keeper.begin_other());
  rig.grant_as_asked();
  EXPECT_TRUE(rig.keeper.begin_other());
  rig.turn(2 * kSecond);
  EXPECT_FALSE(rig.asked);
  rig.keeper.end_other();
  rig.turn(0);
  EXPECT_TRUE(rig.asked);
}

// What was observed moves issuing time, but never past the ceiling: that is
// extended first.
TEST(Keeper, observing_extends_the_ceiling_before_it_moves_issuing_time) {
  Rig rig;
  rig.start();
  rig.run(100 * kSecond);
  const std::uint64_t seen = rig.grant.ceiling + 2000;
  ASSERT_TRUE(rig.keeper.observe(seen, rig.sample(), rig.policy));
  rig.turn();
  EXPECT_EQ(rig.order.find('o'), std::string::npos);
  EXPECT_LT(kLayout.tick_of(rig.monotonic + rig.offset), rig.grant.ceiling);
  while (!rig.asked) rig.turn(kMs);
  ASSERT_EQ(rig.request.ask, RegistryAsk::extend);
  EXPECT_GT(rig.request.ceiling, seen);
  rig.grant_as_asked();
  EXPECT_EQ(rig.order, "op");
  EXPECT_GE(rig.monotonic + rig.offset, Keeper::passed_at(kLayout, seen));
  EXPECT_LT(kLayout.tick_of(rig.monotonic + rig.offset), rig.grant.ceiling);
}

// Whatever number is taken for an ID, in whatever layout.
TEST(Keeper, what_lies_beyond_all_times_is_never_passed) {
  constexpr IssueLayout kSeconds{38, 6, 5, 1'000'000'000};
  constexpr IssueLayout kNarrow{41, 4, 8, 1'000'000};
  for (const IssueLayout &layout : {kLayout, kSeconds, kNarrow}) {
    for (const std::uint64_t tick : {std::uint64_t{INT64_MAX} >> layout.time_shift(),
                                     layout.max_ceiling(), UINT64_MAX, UINT64_MAX / 2}) {
      EXPECT_GE(Keeper::passed_at(layout, tick), std::int64_t{1} << 60);
    }
    EXPECT_EQ(Keeper::passed_at(layout, 9), 10 * layout.tick_ns + Clock::kMaxStepBack);
  }
}

// From there on it never shows a time at or before the tick again, however the wall
// clock is slewed.
TEST(Keeper, what_was_passed_is_not_come_back_to) {
  for (const std::int64_t slew : {-900'000, -500'000, 900'000}) {
    Rig rig;
    rig.start();
    rig.run(10 * kSecond);
    for (int i = 0; i < 200; ++i) {
      const std::uint64_t seen = rig.wall_tick() + static_cast<std::uint64_t>(i % 7);
      rig.keeper.observe(seen, rig.sample(), rig.policy);
      rig.turn();
      if (rig.asked) rig.grant_as_asked();
      ASSERT_GE(rig.monotonic + rig.offset, Keeper::passed_at(kLayout, seen));
      for (int turns = 0; turns < 5; ++turns) {
        rig.wall += slew;
        rig.turn(turns == 0 ? 0 : 10 * kMs);
        if (rig.asked) rig.grant_as_asked();
        ASSERT_GT(kLayout.tick_of(rig.monotonic + rig.offset), seen);
      }
    }
  }
}

TEST(Keeper, observing_too_far_ahead_or_without_a_node_is_ignored) {
  Rig rig;
  EXPECT_FALSE(rig.keeper.observe(rig.wall_tick() + 1, rig.sample(), rig.policy));
  rig.start();
  rig.run(10 * kSecond);
  const auto limit = static_cast<std::uint64_t>(rig.policy.max_skew / kMs);
  EXPECT_FALSE(rig.keeper.observe(rig.wall_tick() + limit - 2, rig.sample(), rig.policy));
  EXPECT_FALSE(rig.keeper.observe(kLayout.max_ceiling(), rig.sample(), rig.policy));
  EXPECT_FALSE(rig.keeper.observe(UINT64_MAX >> 22, rig.sample(), rig.policy));
  EXPECT_EQ(rig.tick(), rig.wall_tick());
  EXPECT_TRUE(rig.keeper.observe(rig.wall_tick() + limit - 3, rig.sample(), rig.policy));
  EXPECT_EQ(rig.keeper.observe_offset(rig.policy), rig.wall - rig.monotonic + rig.policy.max_skew);
  rig.keeper.drain();
  rig.turn();
  EXPECT_FALSE(rig.keeper.observe(rig.wall_tick() + 1, rig.sample(), rig.policy));
}

}  // namespace
}  // namespace idgen
