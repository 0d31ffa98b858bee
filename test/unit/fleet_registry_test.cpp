// The fleet's protocol, played by hand on a coordinator in memory: each rule, and
// each thing that may go wrong between two steps.

#include "registry/fleet_registry.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <string>

#include <unistd.h>

#include <gtest/gtest.h>

#include "sim/memory_store.h"

namespace idgen {
namespace {

namespace fs = std::filesystem;
using sim::Coordinator;
using sim::MemoryStore;
using Fault = MemoryStore::Fault;

constexpr std::uint64_t kSystem = 7449876543210987654u;
constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kSecond = 1000 * kMs;
constexpr std::uint64_t kNow = 1'000'000;  // tick of the coordinator's clock at first

class FleetRegistryTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "idgen-fleet-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    root_ = name;
    set_clock(kNow);
  }
  void TearDown() override { fs::remove_all(root_); }

  static Layout layout(std::string_view text = "time:41 region:3 shard:3 sequence:12") {
    return parse_layout(text, parse_epoch(kDefaultEpoch).unix_us).layout;
  }
  void set_clock(std::uint64_t tick) { coordinator_.clock_us = tick_start_us(layout(), tick); }
  std::uint64_t clock() const { return tick_containing(layout(), coordinator_.clock_us).tick; }

  // One instance: its directory, its store, its registry.
  struct Instance {
    Instance(const fs::path &directory, Coordinator &coordinator, const Layout &layout,
             const std::string &name, std::uint64_t number)
        : file(directory.string()),
          store(coordinator),
          registry(file, store, layout, LocalHost::here(kSystem), name),
          incarnation{{number, 7}} {}
    RecordFile file;
    MemoryStore store;
    FleetRegistry registry;
    Incarnation incarnation;
    RegistryReply held;
  };
  std::unique_ptr<Instance> start(const std::string &name) {
    return std::make_unique<Instance>(root_ / name, coordinator_, layout_, name, ++incarnations_);
  }
  // Starts an instance on a copy of another's directory, which shows as one.
  std::unique_ptr<Instance> start_copy(const std::string &from, const std::string &to) {
    fs::copy(root_ / from, root_ / to, fs::copy_options::recursive);
    return start(to);
  }
  // Or doesn't: a block device was cloned, inodes and all.
  std::unique_ptr<Instance> start_twin(const std::string &name) { return start(name); }

  RegistryRequest request(const Instance &instance, RegistryAsk ask) const {
    RegistryRequest request;
    request.ask = ask;
    request.incarnation = instance.incarnation;
    request.issuing_tick = clock();
    request.issuing_ns = static_cast<std::int64_t>(clock()) * kMs;
    request.node = instance.held.node;
    request.node_epoch = instance.held.node_epoch;
    request.log2_lanes = instance.held.log2_lanes;
    request.ticks = 3000;
    request.skew = 60 * kSecond;
    request.alive = 10 * kSecond;
    request.timeout = kSecond;
    return request;
  }
  static RegistryReply ask(Instance &instance, const RegistryRequest &request) {
    RegistryReply reply;
    instance.registry.begin(request);
    EXPECT_TRUE(instance.registry.poll(reply));
    RegistryReply none;
    EXPECT_FALSE(instance.registry.poll(none)) << "a reply comes once";
    EXPECT_EQ(reply.ask, request.ask);
    return reply;
  }
  RegistryReply acquire(Instance &instance) {
    const RegistryReply reply = ask(instance, request(instance, RegistryAsk::acquire));
    if (reply.outcome == RegistryOutcome::done) instance.held = reply;
    return reply;
  }
  RegistryReply rotate(Instance &instance) {
    RegistryRequest wanted = request(instance, RegistryAsk::acquire);
    wanted.another = true;
    return ask(instance, wanted);
  }
  RegistryReply extend(Instance &instance, std::uint64_t ceiling) {
    RegistryRequest wanted = request(instance, RegistryAsk::extend);
    wanted.ceiling = ceiling;
    return ask(instance, wanted);
  }
  RegistryRequest resume(const Instance &instance) const {
    RegistryRequest wanted = request(instance, RegistryAsk::resume);
    wanted.ceiling = instance.held.ceiling;
    return wanted;
  }
  RegistryReply release(Instance &instance) {
    return ask(instance, request(instance, RegistryAsk::release));
  }
  FleetNode row(const Instance &instance) { return coordinator_.nodes.at(instance.held.node); }

  Layout layout_ = layout();
  Coordinator coordinator_;
  fs::path root_;
  std::uint64_t incarnations_ = 0;
};

TEST_F(FleetRegistryTest, the_first_instance_makes_the_fleet_and_takes_a_node_but_never_0) {
  std::set<std::uint32_t> nodes;
  for (int i = 0; i < 7; ++i) {
    const auto instance = start("i" + std::to_string(i));
    const RegistryReply reply = acquire(*instance);
    ASSERT_EQ(reply.outcome, RegistryOutcome::done) << reply.message;
    EXPECT_EQ(reply.floor, kNow);
    EXPECT_EQ(reply.ceiling, kNow + 3000);
    EXPECT_EQ(row(*instance).holder, instance->incarnation);
    nodes.insert(reply.node);
  }
  EXPECT_EQ(nodes, (std::set<std::uint32_t>{1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(coordinator_.root.layout, to_text(layout_).view());
}

TEST_F(FleetRegistryTest, a_full_region_is_refused_and_its_holders_are_listed) {
  std::vector<std::unique_ptr<Instance>> instances;
  for (int i = 0; i < 7; ++i) {
    instances.push_back(start("db" + std::to_string(i)));
    ASSERT_EQ(acquire(*instances.back()).outcome, RegistryOutcome::done);
  }
  const auto late = start("late");
  const RegistryReply reply = acquire(*late);
  EXPECT_EQ(reply.outcome, RegistryOutcome::refused);
  EXPECT_NE(reply.message.find("no node of region 0 is free"), std::string::npos) << reply.message;
  for (int i = 0; i < 7; ++i) {
    EXPECT_NE(reply.message.find("\"db" + std::to_string(i) + "\""), std::string::npos);
  }
  // Liveness ends: the node is had again, above its old ceiling (U5).
  set_clock(kNow + 9'999);
  EXPECT_EQ(acquire(*late).outcome, RegistryOutcome::refused);
  set_clock(kNow + 10'001);
  EXPECT_EQ(acquire(*late).outcome, RegistryOutcome::done);
}

TEST_F(FleetRegistryTest, a_node_is_taken_at_or_above_its_old_ceiling) {
  layout_ = layout("time:41 region:3 shard:1 sequence:12");
  const auto first = start("first");
  ASSERT_EQ(acquire(*first).outcome, RegistryOutcome::done);
  ASSERT_EQ(extend(*first, kNow + 9000).outcome, RegistryOutcome::done);
  ASSERT_EQ(release(*first).outcome, RegistryOutcome::done);
  EXPECT_EQ(row(*first).ceiling, kNow + 9000) << "U4: not lowered by a release";
  const auto second = start("second");
  const RegistryReply reply = acquire(*second);
  ASSERT_EQ(reply.outcome, RegistryOutcome::done);
  EXPECT_EQ(reply.node, first->held.node);
  EXPECT_EQ(reply.floor, kNow + 9000) << "U5";
  EXPECT_EQ(reply.raised, 9000u);
  EXPECT_EQ(row(*second).epoch, 2u);
}

TEST_F(FleetRegistryTest, only_the_holder_extends) {
  layout_ = layout("time:41 region:3 shard:1 sequence:12");
  const auto first = start("first");
  ASSERT_EQ(acquire(*first).outcome, RegistryOutcome::done);
  set_clock(kNow + 20'000);
  const auto second = start("second");
  ASSERT_EQ(acquire(*second).outcome, RegistryOutcome::done);
  const RegistryReply reply = extend(*first, kNow + 30'000);
  EXPECT_EQ(reply.outcome, RegistryOutcome::lost) << "U6";
  EXPECT_NE(reply.message.find("was taken by \"second\""), std::string::npos) << reply.message;
  EXPECT_EQ(row(*second).holder, second->incarnation);
  EXPECT_EQ(acquire(*first).outcome, RegistryOutcome::refused) << "it doesn't displace back";
  EXPECT_EQ(extend(*second, kNow + 30'000).outcome, RegistryOutcome::done);
}

TEST_F(FleetRegistryTest, a_restart_gets_its_node_back_at_once_above_its_ceiling) {
  auto first = start("first");
  ASSERT_EQ(acquire(*first).outcome, RegistryOutcome::done);
  const std::uint32_t node = first->held.node;
  first = start("first");  // a crash: nothing was released
  const RegistryReply reply = acquire(*first);
  ASSERT_EQ(reply.outcome, RegistryOutcome::done);
  EXPECT_EQ(reply.node, node);
  EXPECT_EQ(reply.floor, kNow + 3000);
  EXPECT_EQ(row(*first).holder, first->incarnation);
}

TEST_F(FleetRegistryTest, a_copy_takes_another_node_and_starts_above_the_copied_ceiling) {
  const auto origin = start("origin");
  ASSERT_EQ(acquire(*origin).outcome, RegistryOutcome::done);
  const auto copy = start_copy("origin", "copy");
  const RegistryReply reply = acquire(*copy);
  ASSERT_EQ(reply.outcome, RegistryOutcome::done);
  EXPECT_NE(reply.node, origin->held.node);
  EXPECT_EQ(reply.floor, kNow + 3000) << "order: its own record names that ceiling";
  EXPECT_EQ(reply.message.find("this data directory is a copy of one that holds node "), 0u);
  OwnRecord record;
  bool copied = true;
  std::string why;
  ASSERT_EQ(copy->file.load(record, copied, why), RecordStore::Load::loaded);
  EXPECT_FALSE(copied);
  EXPECT_EQ(record.former, (std::vector<PastNode>{{origin->held.node, kNow + 3000}}))
      << "should it be local again one day";
  EXPECT_EQ(extend(*origin, kNow + 6000).outcome, RegistryOutcome::done);
}

TEST_F(FleetRegistryTest, an_unseen_clone_displaces_once_and_neither_displaces_back) {
  const auto origin = start("data");
  ASSERT_EQ(acquire(*origin).outcome, RegistryOutcome::done);
  const auto twin = start_twin("data");
  ASSERT_EQ(acquire(*twin).outcome, RegistryOutcome::done);
  EXPECT_EQ(twin->held.node, origin->held.node);
  EXPECT_GE(twin->held.floor, origin->held.ceiling);
  EXPECT_EQ(extend(*origin, kNow + 9000).outcome, RegistryOutcome::lost);
  ASSERT_EQ(acquire(*origin).outcome, RegistryOutcome::done);
  EXPECT_NE(origin->held.node, twin->held.node);
  EXPECT_EQ(extend(*twin, kNow + 9000).outcome, RegistryOutcome::done);
  EXPECT_EQ(extend(*origin, kNow + 9000).outcome, RegistryOutcome::done);
}

TEST_F(FleetRegistryTest, a_displaced_and_pinned_instance_waits_for_the_others_liveness_to_end) {
  const auto origin = start("data");
  RegistryRequest pinned = request(*origin, RegistryAsk::acquire);
  pinned.shard = 3;
  origin->held = ask(*origin, pinned);
  ASSERT_EQ(origin->held.outcome, RegistryOutcome::done);
  const auto twin = start_twin("data");
  pinned.incarnation = twin->incarnation;
  ASSERT_EQ(ask(*twin, pinned).outcome, RegistryOutcome::done);
  EXPECT_EQ(extend(*origin, kNow + 9000).outcome, RegistryOutcome::lost);
  pinned.incarnation = origin->incarnation;
  const RegistryReply refused = ask(*origin, pinned);
  EXPECT_EQ(refused.outcome, RegistryOutcome::refused);
  EXPECT_NE(refused.message.find("which idgen.shard pins, is held"), std::string::npos)
      << refused.message;
  set_clock(kNow + 10'001);
  EXPECT_EQ(ask(*origin, pinned).outcome, RegistryOutcome::done);
}

TEST_F(FleetRegistryTest, a_lost_reply_is_no_acknowledgement_and_is_written_anew) {
  const auto instance = start("one");
  ASSERT_EQ(acquire(*instance).outcome, RegistryOutcome::done);
  for (const Fault fault : {Fault::reply_lost, Fault::request_lost}) {
    instance->store.fault = fault;
    const std::uint64_t before = row(*instance).ceiling;
    EXPECT_EQ(extend(*instance, before + 1000).outcome, RegistryOutcome::unreachable) << "U3";
    instance->store.fault = Fault::none;
    const std::uint64_t writes = coordinator_.writes;
    EXPECT_EQ(row(*instance).ceiling, before + (fault == Fault::reply_lost ? 1000 : 0));
    const RegistryReply reply = extend(*instance, before + 2000);
    ASSERT_EQ(reply.outcome, RegistryOutcome::done);
    EXPECT_EQ(reply.ceiling, before + 2000);
    EXPECT_EQ(coordinator_.writes, writes + 1) << "read back is no acknowledgement";
  }
}

TEST_F(FleetRegistryTest, a_node_whose_acquisition_was_not_heard_of_is_taken_again) {
  const auto instance = start("one");
  ASSERT_EQ(ask(*instance, request(*instance, RegistryAsk::list)).outcome, RegistryOutcome::done);
  ASSERT_EQ(acquire(*start("other")).outcome, RegistryOutcome::done);
  // The read is answered, the write's answer is lost.
  instance->store.hold = true;
  RegistryReply reply;
  instance->registry.begin(request(*instance, RegistryAsk::acquire));
  EXPECT_FALSE(instance->registry.poll(reply));
  instance->store.fault = Fault::reply_lost;
  instance->store.hold = false;
  ASSERT_TRUE(instance->registry.poll(reply));
  EXPECT_EQ(reply.outcome, RegistryOutcome::unreachable);
  instance->store.fault = Fault::none;
  std::uint32_t unheard = 0;
  for (const auto &[node, row] : coordinator_.nodes) {
    if (row.holder == instance->incarnation) unheard = node;
  }
  ASSERT_NE(unheard, 0u);
  ASSERT_EQ(acquire(*instance).outcome, RegistryOutcome::done);
  EXPECT_EQ(instance->held.node, unheard);
  EXPECT_EQ(instance->held.floor, kNow + 3000) << "what was read is a floor";
}

TEST_F(FleetRegistryTest, a_row_that_has_gone_back_is_lost_whatever_its_revision) {
  for (const bool ceiling : {true, false}) {
    const auto instance = start(ceiling ? "one" : "two");
    ASSERT_EQ(acquire(*instance).outcome, RegistryOutcome::done);
    FleetNode &row = coordinator_.nodes.at(instance->held.node);
    row.revision += 5;
    if (ceiling) row.ceiling -= 1;
    if (!ceiling) row.epoch -= 1;
    EXPECT_EQ(extend(*instance, kNow + 9000).outcome, RegistryOutcome::lost);
  }
}

// Its revisions have only grown: what shows is the row alone.
TEST_F(FleetRegistryTest, a_registry_that_lost_a_row_is_refused_until_it_is_raised) {
  for (const bool ceiling : {true, false}) {
    coordinator_ = Coordinator{};
    set_clock(kNow);
    const std::string name = ceiling ? "one" : "two";
    auto instance = start(name);
    ASSERT_EQ(acquire(*instance).outcome, RegistryOutcome::done);
    FleetNode &row = coordinator_.nodes.at(instance->held.node);
    row.revision += 5;
    if (ceiling) row.ceiling -= 1;
    if (!ceiling) row.epoch -= 1;
    coordinator_.revision += 100;
    ASSERT_EQ(extend(*instance, kNow + 9000).outcome, RegistryOutcome::lost);
    EXPECT_EQ(acquire(*instance).outcome, RegistryOutcome::refused);
    instance = start(name);
    const RegistryReply reply = acquire(*instance);
    EXPECT_EQ(reply.outcome, RegistryOutcome::refused) << "nor after a restart";
    EXPECT_NE(reply.message.find("snowflake_raise_registry()"), std::string::npos);
    ASSERT_EQ(ask(*instance, request(*instance, RegistryAsk::raise)).outcome,
              RegistryOutcome::done);
    ASSERT_EQ(acquire(*instance).outcome, RegistryOutcome::done);
    EXPECT_GE(instance->held.floor, kNow + 70'000);
  }
}

TEST_F(FleetRegistryTest, a_start_sees_by_its_records_epoch_that_older_rows_were_put_back) {
  auto one = start("one");
  ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
  const auto rows = coordinator_.nodes;
  one = start("one");
  ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
  EXPECT_EQ(one->held.node_epoch, 2U);
  coordinator_.nodes = rows;
  coordinator_.revision += 100;
  one = start("one");
  EXPECT_EQ(acquire(*one).outcome, RegistryOutcome::refused);
  const auto two = start("two");
  EXPECT_EQ(acquire(*two).outcome, RegistryOutcome::done) << "which another can not know";
}

TEST_F(FleetRegistryTest, a_coordinator_put_back_in_place_waits_for_an_operator) {
  for (const bool unguarded : {false, true}) {
    coordinator_ = Coordinator{};
    set_clock(kNow);
    const auto one = start(unguarded ? "one" : "two");
    ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
    coordinator_.root.moved = true;
    coordinator_.root.guarded = !unguarded;
    coordinator_.root.same_place = unguarded;
    EXPECT_EQ(extend(*one, kNow + 9000).outcome, RegistryOutcome::lost);
    const auto newcomer = start(unguarded ? "three" : "four");
    for (Instance *instance : {one.get(), newcomer.get()}) {
      const RegistryReply reply = acquire(*instance);
      EXPECT_EQ(reply.outcome, RegistryOutcome::refused);
      EXPECT_NE(reply.message.find("snowflake_raise_registry()"), std::string::npos);
    }
    ASSERT_EQ(ask(*one, request(*one, RegistryAsk::raise)).outcome, RegistryOutcome::done);
    ASSERT_EQ(acquire(*newcomer).outcome, RegistryOutcome::done);
    EXPECT_GE(newcomer->held.floor, kNow + 70'000);
  }
}

TEST_F(FleetRegistryTest, a_request_that_arrives_late_changes_nothing) {
  layout_ = layout("time:41 region:3 shard:1 sequence:12");
  const auto first = start("first");
  ASSERT_EQ(acquire(*first).outcome, RegistryOutcome::done);
  first->store.fault = Fault::late;
  EXPECT_EQ(extend(*first, kNow + 9000).outcome, RegistryOutcome::unreachable);
  set_clock(kNow + 20'000);
  const auto second = start("second");
  ASSERT_EQ(acquire(*second).outcome, RegistryOutcome::done);
  first->store.deliver_late();
  EXPECT_EQ(row(*second).holder, second->incarnation);
  EXPECT_EQ(extend(*second, kNow + 30'000).outcome, RegistryOutcome::done);
}

TEST_F(FleetRegistryTest, a_ceiling_never_goes_down) {
  const auto instance = start("one");
  ASSERT_EQ(acquire(*instance).outcome, RegistryOutcome::done);
  ASSERT_EQ(extend(*instance, kNow + 8000).outcome, RegistryOutcome::done);
  const RegistryReply reply = extend(*instance, kNow + 4000);
  EXPECT_EQ(reply.outcome, RegistryOutcome::done);
  EXPECT_EQ(reply.ceiling, kNow + 8000);
}

TEST_F(FleetRegistryTest, one_bad_clock_poisons_no_node) {
  const auto instance = start("one");
  RegistryRequest wanted = request(*instance, RegistryAsk::acquire);
  wanted.issuing_tick = kNow + 365ull * 86'400'000;
  const RegistryReply reply = ask(*instance, wanted);
  EXPECT_EQ(reply.outcome, RegistryOutcome::refused);
  EXPECT_TRUE(coordinator_.nodes.empty());
  // What is that far ahead already goes on.
  ASSERT_EQ(acquire(*instance).outcome, RegistryOutcome::done);
  FleetNode &poisoned = coordinator_.nodes.at(instance->held.node);
  poisoned.ceiling = kNow + 500'000;
  const auto again = start("one");
  EXPECT_EQ(acquire(*again).outcome, RegistryOutcome::done);
  EXPECT_NE(again->held.node, instance->held.node) << "too far ahead to be handed out";
}

TEST_F(FleetRegistryTest, lanes_are_leased_as_an_aligned_block) {
  const auto wide = start("wide");
  RegistryRequest wanted = request(*wide, RegistryAsk::acquire);
  wanted.log2_lanes = 2;
  wide->held = ask(*wide, wanted);
  ASSERT_EQ(wide->held.outcome, RegistryOutcome::done) << wide->held.message;
  EXPECT_EQ(wide->held.node, 4u) << "a block with node 0 is not handed out";
  EXPECT_EQ(coordinator_.nodes.size(), 4u);
  ASSERT_EQ(extend(*wide, kNow + 5000).outcome, RegistryOutcome::done);
  for (const auto &[node, row] : coordinator_.nodes) EXPECT_EQ(row.ceiling, kNow + 5000);
  // One row that isn't ours any more, and nothing is written.
  coordinator_.nodes.at(6).epoch += 1;
  EXPECT_EQ(extend(*wide, kNow + 7000).outcome, RegistryOutcome::lost);
  for (const auto &[node, row] : coordinator_.nodes) EXPECT_EQ(row.ceiling, kNow + 5000);
}

TEST_F(FleetRegistryTest, fragments_that_leave_no_aligned_block_are_told) {
  std::vector<std::unique_ptr<Instance>> singles;
  for (const int shard : {1, 5}) {
    singles.push_back(start("single" + std::to_string(shard)));
    RegistryRequest pinned = request(*singles.back(), RegistryAsk::acquire);
    pinned.shard = shard;
    ASSERT_EQ(ask(*singles.back(), pinned).outcome, RegistryOutcome::done);
  }
  const auto wide = start("wide");
  RegistryRequest wanted = request(*wide, RegistryAsk::acquire);
  wanted.log2_lanes = 2;
  const RegistryReply reply = ask(*wide, wanted);
  EXPECT_EQ(reply.outcome, RegistryOutcome::refused);
  EXPECT_EQ(reply.message.find("no aligned block of 4 nodes of region 0 is free; held: node 1"), 0u)
      << reply.message;
  wanted.shard = 2;
  EXPECT_NE(ask(*wide, wanted).message.find("must be a multiple"), std::string::npos);
}

TEST_F(FleetRegistryTest, a_rotation_takes_the_new_node_before_it_leaves_the_old) {
  const auto instance = start("one");
  ASSERT_EQ(acquire(*instance).outcome, RegistryOutcome::done);
  const std::uint32_t old = instance->held.node;
  const RegistryReply reply = rotate(*instance);
  ASSERT_EQ(reply.outcome, RegistryOutcome::done);
  EXPECT_NE(reply.node, old);
  EXPECT_EQ(coordinator_.nodes.at(old).state, NodeState::held);
  ASSERT_EQ(release(*instance).outcome, RegistryOutcome::done);  // still names the old one
  EXPECT_EQ(coordinator_.nodes.at(old).state, NodeState::free);
  instance->held = reply;
  EXPECT_EQ(extend(*instance, kNow + 9000).outcome, RegistryOutcome::done);
}

TEST_F(FleetRegistryTest, a_rotation_that_fails_keeps_the_old_node) {
  const auto instance = start("one");
  ASSERT_EQ(acquire(*instance).outcome, RegistryOutcome::done);
  instance->store.fault = Fault::reply_lost;
  EXPECT_EQ(rotate(*instance).outcome, RegistryOutcome::unreachable);
  instance->store.fault = Fault::none;
  EXPECT_EQ(extend(*instance, kNow + 9000).outcome, RegistryOutcome::done);
}

TEST_F(FleetRegistryTest, a_rotation_that_cant_be_recorded_keeps_the_old_node) {
  const auto instance = start("one");
  ASSERT_EQ(acquire(*instance).outcome, RegistryOutcome::done);
  fs::create_directories(root_ / "one" / "record.new" / "in the way");
  EXPECT_EQ(rotate(*instance).outcome, RegistryOutcome::failed);
  fs::remove_all(root_ / "one" / "record.new");
  EXPECT_EQ(extend(*instance, kNow + 9000).outcome, RegistryOutcome::done);
}

TEST_F(FleetRegistryTest, a_grant_of_before_is_not_extended_when_its_node_was_taken_again) {
  layout_ = layout("time:41 region:3 shard:1 sequence:12");
  const auto one = start("one");
  ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
  set_clock(kNow + 20'000);
  const auto two = start("two");
  ASSERT_EQ(acquire(*two).outcome, RegistryOutcome::done);
  ASSERT_EQ(release(*two).outcome, RegistryOutcome::done);
  // It is taken again, and that can't be recorded: the grant stays what it was.
  fs::create_directories(root_ / "one" / "record.new" / "in the way");
  EXPECT_EQ(rotate(*one).outcome, RegistryOutcome::failed);
  fs::remove_all(root_ / "one" / "record.new");
  EXPECT_EQ(extend(*one, kNow + 40'000).outcome, RegistryOutcome::lost);
  ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
  EXPECT_GE(one->held.floor, two->held.ceiling);
}

TEST_F(FleetRegistryTest, a_rotation_back_in_time_begins_strictly_above_what_the_node_had) {
  layout_ = layout("time:41 region:3 shard:2 sequence:12");
  const auto instance = start("one");
  ASSERT_EQ(acquire(*instance).outcome, RegistryOutcome::done);
  for (int i = 0; i < 6; ++i) {
    RegistryRequest wanted = request(*instance, RegistryAsk::acquire);
    wanted.fresh = true;
    wanted.issuing_tick = kNow - 100'000;
    wanted.latest = kNow + 60'000;
    const auto before = coordinator_.nodes;
    const RegistryReply reply = ask(*instance, wanted);
    ASSERT_EQ(reply.outcome, RegistryOutcome::done) << reply.message;
    const auto known = before.find(reply.node);
    EXPECT_GT(reply.floor, known == before.end() ? 0 : known->second.ceiling);
    ASSERT_EQ(release(*instance).outcome, RegistryOutcome::done);
    instance->held = reply;
  }
}

TEST_F(FleetRegistryTest, a_worker_that_goes_on_publishes_nothing_that_it_read) {
  auto instance = start("one");
  ASSERT_EQ(acquire(*instance).outcome, RegistryOutcome::done);
  instance->store.fault = Fault::reply_lost;
  EXPECT_EQ(extend(*instance, kNow + 9000).outcome, RegistryOutcome::unreachable);
  // A new worker of the same incarnation.
  auto next = start("one");
  next->incarnation = instance->incarnation;
  next->held = instance->held;
  RegistryRequest resumed = resume(*next);
  const RegistryReply reply = ask(*next, resumed);
  ASSERT_EQ(reply.outcome, RegistryOutcome::done) << reply.message;
  EXPECT_EQ(reply.ceiling, instance->held.ceiling);
  EXPECT_EQ(extend(*next, kNow + 10'000).outcome, RegistryOutcome::done);
  // Somebody else's node is lost.
  coordinator_.nodes.at(next->held.node).holder = {{99, 99}};
  next = start("one");
  next->incarnation = instance->incarnation;
  next->held = instance->held;
  EXPECT_EQ(ask(*next, resume(*next)).outcome, RegistryOutcome::lost);
}

TEST_F(FleetRegistryTest, a_worker_goes_on_with_nothing_that_was_raised_or_taken_again) {
  for (const bool raised : {true, false}) {
    const std::string name = raised ? "raised" : "taken again";
    const auto instance = start(name);
    ASSERT_EQ(acquire(*instance).outcome, RegistryOutcome::done);
    if (raised) {
      ASSERT_EQ(ask(*instance, request(*instance, RegistryAsk::raise)).outcome,
                RegistryOutcome::done);
    } else {
      // Another had it in between; the reply that it is ours again was lost.
      FleetNode &row = coordinator_.nodes.at(instance->held.node);
      row.epoch += 2;
      row.revision += 2;
      row.ceiling += 50'000;
    }
    const auto next = start(name);
    next->incarnation = instance->incarnation;
    next->held = instance->held;
    EXPECT_EQ(ask(*next, resume(*next)).outcome, RegistryOutcome::lost) << name;
  }
}

TEST_F(FleetRegistryTest, after_a_fail_over_nobody_extends_before_all_ceilings_were_raised) {
  const auto one = start("one");
  const auto two = start("two");
  ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
  const Coordinator behind = coordinator_;  // what an asynchronous standby has
  ASSERT_EQ(acquire(*two).outcome, RegistryOutcome::done);
  ASSERT_EQ(extend(*one, kNow + 50'000).outcome, RegistryOutcome::done);
  coordinator_ = behind;
  coordinator_.root.moved = true;
  const std::uint64_t generation = coordinator_.root.generation;
  EXPECT_EQ(extend(*one, kNow + 52'000).outcome, RegistryOutcome::lost) << "U7";
  EXPECT_EQ(coordinator_.root.generation, generation);
  ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
  EXPECT_GT(coordinator_.root.generation, generation);
  EXPECT_GE(one->held.floor, kNow + 70'000) << "clock, skew allowed and liveness";
  EXPECT_EQ(extend(*two, kNow + 9000).outcome, RegistryOutcome::lost) << "its row is gone";
  ASSERT_EQ(acquire(*two).outcome, RegistryOutcome::done);
  EXPECT_GE(two->held.floor, kNow + 70'000);
}

TEST_F(FleetRegistryTest, a_raise_lifts_rows_that_were_further_ahead_already) {
  const auto one = start("one");
  ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
  coordinator_.nodes.at(one->held.node).ceiling = kNow + 500'000;
  coordinator_.root.moved = true;
  const auto two = start("two");
  ASSERT_EQ(acquire(*two).outcome, RegistryOutcome::done);
  EXPECT_EQ(coordinator_.nodes.at(one->held.node).ceiling, kNow + 580'000);
}

TEST_F(FleetRegistryTest, a_raise_by_a_clock_that_is_behind_lifts_each_row) {
  const auto one = start("one");
  RegistryRequest ahead = request(*one, RegistryAsk::acquire);
  ahead.issuing_tick = kNow + 60'000;
  one->held = ask(*one, ahead);
  ASSERT_EQ(one->held.outcome, RegistryOutcome::done) << one->held.message;
  const Coordinator behind = coordinator_;
  ASSERT_EQ(extend(*one, kNow + 65'000).outcome, RegistryOutcome::done);
  coordinator_ = behind;  // that commit is lost
  coordinator_.root.moved = true;
  set_clock(kNow - 8000);
  const auto two = start("two");
  ASSERT_EQ(acquire(*two).outcome, RegistryOutcome::done);
  EXPECT_GT(std::max(row(*one).ceiling, coordinator_.root.base), kNow + 65'000);
}

TEST_F(FleetRegistryTest, a_raise_lifts_the_rows_of_all_regions_whoever_raises) {
  const auto far = start("far");
  RegistryRequest elsewhere = request(*far, RegistryAsk::acquire);
  elsewhere.region = 5;
  far->held = ask(*far, elsewhere);
  ASSERT_EQ(far->held.outcome, RegistryOutcome::done);
  FleetNode &poisoned = coordinator_.nodes.at(far->held.node);
  poisoned.ceiling = kNow + 500'000;
  coordinator_.root.moved = true;
  const auto pinned = start("pinned");
  RegistryRequest one_node = request(*pinned, RegistryAsk::acquire);
  one_node.shard = 3;
  ASSERT_EQ(ask(*pinned, one_node).outcome, RegistryOutcome::done);
  EXPECT_EQ(poisoned.ceiling, kNow + 580'000);
}

TEST_F(FleetRegistryTest, nodes_can_be_had_at_once_after_one_raise_upon_another) {
  const auto one = start("one");
  RegistryRequest pinned = request(*one, RegistryAsk::acquire);
  pinned.shard = 3;
  std::uint64_t issued = 0;
  for (int i = 0; i < 5; ++i) {
    one->held = ask(*one, pinned);
    ASSERT_EQ(one->held.outcome, RegistryOutcome::done) << i << ": " << one->held.message;
    EXPECT_GE(one->held.floor, issued);
    issued = one->held.ceiling;
    coordinator_.root.moved = true;
  }
}

TEST_F(FleetRegistryTest, a_second_raise_is_above_what_was_taken_after_the_first) {
  const auto one = start("one");
  ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
  coordinator_.root.moved = true;
  ASSERT_EQ(extend(*one, kNow + 9000).outcome, RegistryOutcome::lost);
  ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
  const Coordinator behind = coordinator_;
  const auto two = start("two");
  ASSERT_EQ(acquire(*two).outcome, RegistryOutcome::done);  // above the base, and lost
  coordinator_ = behind;
  coordinator_.root.moved = true;
  ASSERT_EQ(extend(*one, one->held.ceiling + 100).outcome, RegistryOutcome::lost);
  ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
  EXPECT_GE(one->held.floor, two->held.ceiling);
}

TEST_F(FleetRegistryTest, a_lead_that_a_raise_has_made_is_known_to_the_next_start) {
  auto one = start("one");
  ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
  RegistryRequest raise = request(*one, RegistryAsk::raise);
  raise.ceiling = kNow + 200'000;
  ASSERT_EQ(ask(*one, raise).outcome, RegistryOutcome::done);
  ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
  one = start("one");
  const RegistryReply looked = ask(*one, request(*one, RegistryAsk::look));
  EXPECT_GE(looked.evidence.window, 190 * kSecond);
}

TEST_F(FleetRegistryTest, a_dump_restored_elsewhere_waits_for_an_operator) {
  const auto one = start("one");
  ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
  coordinator_.root.moved = true;
  coordinator_.root.same_system = false;
  EXPECT_EQ(extend(*one, kNow + 9000).outcome, RegistryOutcome::lost);
  const RegistryReply reply = acquire(*one);
  EXPECT_EQ(reply.outcome, RegistryOutcome::refused);
  EXPECT_NE(reply.message.find("snowflake_raise_registry()"), std::string::npos);
  ASSERT_EQ(ask(*one, request(*one, RegistryAsk::raise)).outcome, RegistryOutcome::done);
  ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
  EXPECT_GE(one->held.floor, kNow + 70'000);
}

TEST_F(FleetRegistryTest, a_registry_that_went_back_in_time_is_refused_until_it_is_raised) {
  auto one = start("one");
  ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
  const Coordinator snapshot = coordinator_;
  for (std::uint64_t i = 1; i < 5; ++i) {
    ASSERT_EQ(extend(*one, kNow + 3000 + i * 1000).outcome, RegistryOutcome::done);
  }
  coordinator_ = snapshot;
  EXPECT_EQ(extend(*one, kNow + 9000).outcome, RegistryOutcome::lost) << "U7";
  const RegistryReply reply = acquire(*one);
  EXPECT_EQ(reply.outcome, RegistryOutcome::refused);
  EXPECT_NE(reply.message.find("gone back in time"), std::string::npos) << reply.message;
  // So by a start: the own record remembers.
  one = start("one");
  EXPECT_EQ(acquire(*one).outcome, RegistryOutcome::refused);
  // And when the revisions have come back.
  coordinator_.revision += 100;
  ASSERT_EQ(ask(*one, request(*one, RegistryAsk::raise)).outcome, RegistryOutcome::done);
  ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
  EXPECT_GE(one->held.floor, kNow + 70'000);
}

TEST_F(FleetRegistryTest, a_write_that_shows_that_the_registry_went_back_is_no_extension) {
  const auto one = start("one");
  ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
  const Coordinator snapshot = coordinator_;
  const auto two = start("two");
  ASSERT_EQ(acquire(*two).outcome, RegistryOutcome::done);
  ASSERT_EQ(extend(*two, kNow + 4000).outcome, RegistryOutcome::done);
  ASSERT_EQ(ask(*one, request(*one, RegistryAsk::list)).outcome, RegistryOutcome::done);
  coordinator_ = snapshot;
  // Its own row is as it was.
  EXPECT_EQ(extend(*one, kNow + 5000).outcome, RegistryOutcome::lost) << "U7";
  EXPECT_EQ(acquire(*one).outcome, RegistryOutcome::refused);
}

TEST_F(FleetRegistryTest, a_fleet_that_a_fail_over_has_lost_begins_above_what_was_issued) {
  const auto one = start("one");
  ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
  ASSERT_EQ(extend(*one, kNow + 5000).outcome, RegistryOutcome::done);
  // The new primary never heard of the fleet. Who knew it waits for an operator; one
  // that comes anew can't know, and is to begin above what is still being issued.
  coordinator_ = Coordinator{};
  set_clock(kNow + 1000);
  coordinator_.took_over_us = coordinator_.clock_us - 1'000'000;
  EXPECT_EQ(acquire(*one).outcome, RegistryOutcome::refused);
  const auto two = start("two");
  ASSERT_EQ(acquire(*two).outcome, RegistryOutcome::done);
  EXPECT_GE(two->held.floor, kNow + 80'000);
  EXPECT_EQ(coordinator_.root.base, two->held.floor);
  EXPECT_EQ(acquire(*one).outcome, RegistryOutcome::refused);
}

TEST_F(FleetRegistryTest, a_coordinator_that_took_over_long_ago_begins_a_fleet_at_its_clock) {
  coordinator_.took_over_us = coordinator_.clock_us - 80'000'000;
  const auto one = start("one");
  ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
  EXPECT_EQ(one->held.floor, kNow);
}

TEST_F(FleetRegistryTest, a_registry_that_went_back_is_not_believed_again_when_its_revisions_grow) {
  auto one = start("one");
  ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
  const Coordinator snapshot = coordinator_;
  ASSERT_EQ(extend(*one, kNow + 9000).outcome, RegistryOutcome::done);
  coordinator_ = snapshot;
  ASSERT_EQ(extend(*one, kNow + 10'000).outcome, RegistryOutcome::lost);
  coordinator_.revision += 1000;  // leases that end, or other fleets' writes
  EXPECT_EQ(acquire(*one).outcome, RegistryOutcome::refused);
  one = start("one");
  EXPECT_EQ(acquire(*one).outcome, RegistryOutcome::refused) << "nor after a restart";
  ASSERT_EQ(ask(*one, request(*one, RegistryAsk::raise)).outcome, RegistryOutcome::done);
  EXPECT_EQ(acquire(*one).outcome, RegistryOutcome::done);
}

TEST_F(FleetRegistryTest, a_drain_does_not_make_it_forget_that_the_registry_went_back) {
  const auto one = start("one");
  const auto two = start("two");
  ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
  const Coordinator snapshot = coordinator_;
  ASSERT_EQ(ask(*one, request(*one, RegistryAsk::raise)).outcome, RegistryOutcome::done);
  ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
  ASSERT_EQ(acquire(*two).outcome, RegistryOutcome::done);
  coordinator_ = snapshot;
  EXPECT_EQ(release(*one).outcome, RegistryOutcome::failed);
  EXPECT_EQ(acquire(*one).outcome, RegistryOutcome::refused);
}

TEST_F(FleetRegistryTest, an_extension_in_a_generation_of_before_is_a_loss) {
  const auto one = start("one");
  const auto two = start("two");
  ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
  const Coordinator snapshot = coordinator_;
  ASSERT_EQ(ask(*two, request(*two, RegistryAsk::raise)).outcome, RegistryOutcome::done);
  ASSERT_EQ(ask(*one, request(*one, RegistryAsk::list)).outcome, RegistryOutcome::done);
  coordinator_ = snapshot;
  EXPECT_EQ(extend(*one, kNow + 9000).outcome, RegistryOutcome::lost);
}

TEST_F(FleetRegistryTest, an_instance_of_another_layout_raises_nothing) {
  const auto one = start("one");
  ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
  const std::uint64_t base = coordinator_.root.base;
  layout_ = layout("time:41 region:3 shard:3 sequence:12 tick:10ms");
  const auto other = start("other");
  EXPECT_EQ(ask(*other, request(*other, RegistryAsk::raise)).outcome,
            RegistryOutcome::layout_mismatch);
  EXPECT_EQ(coordinator_.root.base, base);
}

TEST_F(FleetRegistryTest, a_rotation_that_can_not_be_recorded_takes_no_node) {
  const auto one = start("one");
  ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
  fs::remove_all(root_ / "one");
  fs::remove(root_ / "one.marker");
  std::ofstream(root_ / "one") << "no folder";
  EXPECT_EQ(rotate(*one).outcome, RegistryOutcome::failed);
  EXPECT_EQ(coordinator_.nodes.size(), 1u);
}

TEST_F(FleetRegistryTest, nodes_can_be_changed_while_a_raise_has_everybody_ahead) {
  const auto one = start("one");
  ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
  ASSERT_EQ(ask(*one, request(*one, RegistryAsk::raise)).outcome, RegistryOutcome::done);
  ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
  // 25 s later issuing time has gone 22.5 s further.
  const std::uint64_t ahead = one->held.floor + 22'500;
  set_clock(kNow + 25'000);
  RegistryRequest wanted = request(*one, RegistryAsk::acquire);
  wanted.another = true;
  wanted.issuing_tick = ahead + 3000;
  const RegistryReply reply = ask(*one, wanted);
  EXPECT_EQ(reply.outcome, RegistryOutcome::done) << reply.message;
  // One bad clock must not use nodes up, all the same.
  const auto bad = start("bad");
  wanted = request(*bad, RegistryAsk::acquire);
  wanted.issuing_tick = clock() + 95'000;
  EXPECT_EQ(ask(*bad, wanted).outcome, RegistryOutcome::refused);
}

// What a first raise has given, and a second one by a clock that is behind must cover.
TEST_F(FleetRegistryTest, a_second_raise_by_a_clock_that_is_behind_is_above_what_was_lost) {
  for (const std::uint64_t behind : {2000u, 15'000u, 30'000u, 45'000u, 60'000u}) {
    coordinator_ = Coordinator{};
    set_clock(kNow);
    const std::string name = "one" + std::to_string(behind);
    const auto one = start(name);
    ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
    coordinator_.root.moved = true;
    ASSERT_EQ(extend(*one, kNow + 4000).outcome, RegistryOutcome::lost);
    ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
    set_clock(kNow + 60'000);
    const std::uint64_t issuing = one->held.floor + 54'000;
    ASSERT_EQ(extend(*one, issuing + 3000).outcome, RegistryOutcome::done);
    const Coordinator known = coordinator_;
    RegistryRequest another = request(*one, RegistryAsk::acquire);
    another.another = true;
    another.issuing_tick = issuing + 3000;
    const RegistryReply lost = ask(*one, another);
    ASSERT_EQ(lost.outcome, RegistryOutcome::done) << lost.message;
    coordinator_ = known;
    coordinator_.root.moved = true;
    set_clock(kNow + 61'000 - behind);
    RegistryRequest same = request(*one, RegistryAsk::acquire);
    same.issuing_tick = lost.ceiling;
    same.issuing_ns = static_cast<std::int64_t>(lost.ceiling) * kMs;
    const RegistryReply back = ask(*one, same);
    EXPECT_EQ(back.outcome, RegistryOutcome::done) << behind << ": " << back.message;
    const auto two = start("two" + std::to_string(behind));
    RegistryRequest pinned = request(*two, RegistryAsk::acquire);
    pinned.shard = lost.node == back.node ? -1 : lost.node;
    const RegistryReply taken = ask(*two, pinned);
    ASSERT_EQ(taken.outcome, RegistryOutcome::done) << behind << ": " << taken.message;
    EXPECT_GE(taken.floor, lost.ceiling) << behind;
  }
}

TEST_F(FleetRegistryTest, a_window_longer_than_the_skew_still_lets_nodes_be_changed) {
  const auto one = start("one");
  RegistryRequest wanted = request(*one, RegistryAsk::acquire);
  wanted.ticks = 300'000;
  wanted.alive = 300 * kSecond;
  one->held = ask(*one, wanted);
  ASSERT_EQ(one->held.outcome, RegistryOutcome::done);
  wanted.another = true;
  wanted.issuing_tick = one->held.ceiling;
  const RegistryReply reply = ask(*one, wanted);
  EXPECT_EQ(reply.outcome, RegistryOutcome::done) << reply.message;
  EXPECT_GT(reply.ceiling, reply.floor);
}

TEST_F(FleetRegistryTest, a_clock_a_year_ahead_raises_nothing) {
  const auto one = start("one");
  ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
  const std::uint64_t base = coordinator_.root.base;
  RegistryRequest wanted = request(*one, RegistryAsk::acquire);
  coordinator_.root.moved = true;
  set_clock(kNow + std::uint64_t{365} * 86'400'000);
  EXPECT_EQ(ask(*one, wanted).outcome, RegistryOutcome::refused);
  EXPECT_EQ(coordinator_.root.base, base);
}

TEST_F(FleetRegistryTest, nothing_is_let_go_at_a_registry_that_went_back) {
  const auto one = start("one");
  ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
  const Coordinator snapshot = coordinator_;
  ASSERT_EQ(extend(*one, kNow + 9000).outcome, RegistryOutcome::done);
  coordinator_ = snapshot;
  ASSERT_EQ(release(*one).outcome, RegistryOutcome::failed);
  EXPECT_EQ(row(*one).state, NodeState::held) << "others would find it free, below what was issued";
  // Nor at one that has failed over.
  coordinator_.root.moved = true;
  ASSERT_EQ(release(*one).outcome, RegistryOutcome::failed);
  EXPECT_EQ(row(*one).state, NodeState::held);
  // But when it was raised: the row still says that this one is alive.
  ASSERT_EQ(ask(*one, request(*one, RegistryAsk::raise)).outcome, RegistryOutcome::done);
  ASSERT_EQ(release(*one).outcome, RegistryOutcome::done);
  EXPECT_EQ(row(*one).state, NodeState::free);
  coordinator_ = Coordinator{};
  EXPECT_EQ(release(*one).outcome, RegistryOutcome::done)
      << "of one that is empty there is nothing";
}

// A worker that goes on knows of it by the record alone.
TEST_F(FleetRegistryTest, a_release_by_a_new_worker_heeds_the_record) {
  for (const bool distrusted : {false, true}) {
    coordinator_ = Coordinator{};
    set_clock(kNow);
    const auto one = start(distrusted ? "one" : "two");
    ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
    const Coordinator snapshot = coordinator_;
    ASSERT_EQ(extend(*one, kNow + 9000).outcome, RegistryOutcome::done);
    coordinator_ = snapshot;
    if (distrusted) {
      ASSERT_EQ(extend(*one, kNow + 10'000).outcome, RegistryOutcome::lost);
      coordinator_.revision += 1000;
    }
    const auto worker = start(distrusted ? "one" : "two");
    worker->incarnation = one->incarnation;
    worker->held = one->held;
    EXPECT_EQ(release(*worker).outcome, RegistryOutcome::failed);
    EXPECT_EQ(row(*one).state, NodeState::held) << "below what was issued";
    EXPECT_EQ(acquire(*worker).outcome, RegistryOutcome::refused) << "nor is it forgotten";
    // Raised, its row still says that this one is alive.
    ASSERT_EQ(ask(*worker, request(*worker, RegistryAsk::raise)).outcome, RegistryOutcome::done);
    EXPECT_EQ(release(*worker).outcome, RegistryOutcome::done);
    EXPECT_EQ(row(*one).state, NodeState::free);
  }
}

// A registry that has lost nothing lets the new worker's nodes go.
TEST_F(FleetRegistryTest, a_new_worker_lets_the_node_of_the_last_one_go) {
  const auto one = start("one");
  ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
  const auto worker = start("one");
  worker->incarnation = one->incarnation;
  worker->held = one->held;
  EXPECT_EQ(release(*worker).outcome, RegistryOutcome::done);
  EXPECT_EQ(row(*one).state, NodeState::free);
  EXPECT_EQ(row(*one).ceiling, kNow + 3000) << "U4";
}

// Rotations leave several behind; a worker that goes on knows of none; a node may have been
// taken in vain: whatever it is, the rows say whose it is.
TEST_F(FleetRegistryTest, any_node_of_this_incarnation_can_be_let_go) {
  const auto one = start("one");
  ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
  const RegistryReply first = one->held;
  const RegistryReply second = rotate(*one);
  one->held = second;
  one->held = rotate(*one);
  ASSERT_EQ(one->held.outcome, RegistryOutcome::done);
  for (const RegistryReply &left : {first, second}) {
    RegistryRequest wanted = request(*one, RegistryAsk::release);
    wanted.node = left.node;
    EXPECT_EQ(ask(*one, wanted).outcome, RegistryOutcome::done);
    EXPECT_EQ(coordinator_.nodes.at(left.node).state, NodeState::free);
  }
  EXPECT_EQ(row(*one).state, NodeState::held);
  EXPECT_EQ(extend(*one, kNow + 9000).outcome, RegistryOutcome::done);
  const auto two = start("two");
  ASSERT_EQ(acquire(*two).outcome, RegistryOutcome::done);
  RegistryRequest wanted = request(*one, RegistryAsk::release);
  wanted.node = two->held.node;
  EXPECT_EQ(ask(*one, wanted).outcome, RegistryOutcome::done);
  EXPECT_EQ(row(*two).state, NodeState::held) << "but no other's";
}

TEST_F(FleetRegistryTest, what_is_left_of_a_block_is_let_go) {
  const auto wide = start("wide");
  RegistryRequest wanted = request(*wide, RegistryAsk::acquire);
  wanted.log2_lanes = 1;
  wide->held = ask(*wide, wanted);
  ASSERT_EQ(wide->held.outcome, RegistryOutcome::done);
  FleetNode &taken = coordinator_.nodes.at(wide->held.node + 1);
  taken.holder = Incarnation{{99, 99}};
  ++taken.epoch;
  ++taken.revision;
  EXPECT_EQ(extend(*wide, kNow + 9000).outcome, RegistryOutcome::lost);
  EXPECT_EQ(release(*wide).outcome, RegistryOutcome::done);
  EXPECT_EQ(coordinator_.nodes.at(wide->held.node).state, NodeState::free);
  EXPECT_EQ(coordinator_.nodes.at(wide->held.node + 1).state, NodeState::held);
}

// Nobody goes on with it: it is told, so that it is let go.
TEST_F(FleetRegistryTest, a_node_that_a_rotation_may_have_taken_in_vain_is_told) {
  const auto one = start("one");
  ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
  // The reply to the read comes, that to the write doesn't.
  RegistryRequest wanted = request(*one, RegistryAsk::acquire);
  wanted.another = true;
  one->store.hold = true;
  one->registry.begin(wanted);
  RegistryReply reply;
  ASSERT_FALSE(one->registry.poll(reply));
  one->store.fault = Fault::reply_lost;
  one->store.hold = false;
  ASSERT_TRUE(one->registry.poll(reply));
  EXPECT_EQ(reply.outcome, RegistryOutcome::unreachable);
  ASSERT_TRUE(reply.stray);
  EXPECT_NE(reply.node, one->held.node);
  EXPECT_EQ(coordinator_.nodes.at(reply.node).holder, one->incarnation);
  one->store.fault = Fault::none;
  wanted = request(*one, RegistryAsk::release);
  wanted.node = reply.node;
  EXPECT_EQ(ask(*one, wanted).outcome, RegistryOutcome::done);
  EXPECT_EQ(coordinator_.nodes.at(reply.node).state, NodeState::free);
}

TEST_F(FleetRegistryTest, no_operator_raises_by_more_than_a_day_without_force) {
  const std::uint64_t day = 86'400'000;
  const auto one = start("one");
  ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
  // Its own record is of a first boot with a bad clock.
  RegistryRequest bad = request(*one, RegistryAsk::extend);
  bad.ceiling = kNow + 360 * day;
  bad.skew = 400 * static_cast<std::int64_t>(day) * kMs;
  ASSERT_EQ(ask(*one, bad).outcome, RegistryOutcome::done);
  coordinator_.nodes.clear();
  RegistryRequest raise = request(*one, RegistryAsk::raise);
  const std::uint64_t base = coordinator_.root.base;
  RegistryReply reply = ask(*one, raise);
  EXPECT_EQ(reply.outcome, RegistryOutcome::refused);
  EXPECT_NE(reply.message.find("this instance has held a node up to then"), std::string::npos)
      << reply.message;
  EXPECT_EQ(coordinator_.root.base, base);
  raise.force = true;
  EXPECT_EQ(ask(*one, raise).outcome, RegistryOutcome::done);
  EXPECT_GE(coordinator_.root.base, kNow + 360 * day);
  // And on top of that: whatever the reason.
  raise.force = false;
  EXPECT_EQ(ask(*one, raise).outcome, RegistryOutcome::refused);
}

TEST_F(FleetRegistryTest, a_raise_fences_every_holder) {
  const auto one = start("one");
  const auto two = start("two");
  ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
  ASSERT_EQ(acquire(*two).outcome, RegistryOutcome::done);
  RegistryRequest raise = request(*one, RegistryAsk::raise);
  raise.ceiling = kNow + 90'000;
  ASSERT_EQ(ask(*one, raise).outcome, RegistryOutcome::done);
  EXPECT_EQ(extend(*two, kNow + 9000).outcome, RegistryOutcome::lost);
  const RegistryReply reply = acquire(*two);
  ASSERT_EQ(reply.outcome, RegistryOutcome::done);
  EXPECT_GE(reply.floor, kNow + 90'000);
}

TEST_F(FleetRegistryTest, an_empty_registry_at_the_old_place_is_no_new_fleet) {
  const auto one = start("one");
  ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
  coordinator_ = Coordinator{};
  set_clock(kNow + 1000);
  EXPECT_EQ(extend(*one, kNow + 9000).outcome, RegistryOutcome::lost);
  EXPECT_EQ(acquire(*one).outcome, RegistryOutcome::refused);
  EXPECT_FALSE(coordinator_.root.exists);
  ASSERT_EQ(ask(*one, request(*one, RegistryAsk::raise)).outcome, RegistryOutcome::done);
  ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
  EXPECT_GE(one->held.floor, kNow + 71'000);
}

TEST_F(FleetRegistryTest, another_fleet_made_at_the_old_place_is_refused) {
  const auto one = start("one");
  ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
  coordinator_ = Coordinator{};
  set_clock(kNow + 1000);
  const auto stranger = start("stranger");
  ASSERT_EQ(acquire(*stranger).outcome, RegistryOutcome::done);
  EXPECT_EQ(extend(*one, kNow + 9000).outcome, RegistryOutcome::lost);
  EXPECT_EQ(acquire(*one).outcome, RegistryOutcome::refused);
}

TEST_F(FleetRegistryTest, switching_fleets_starts_above_the_recorded_ceiling) {
  auto one = start("one");
  ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
  ASSERT_EQ(extend(*one, kNow + 9000).outcome, RegistryOutcome::done);
  coordinator_ = Coordinator{};
  set_clock(kNow + 1000);
  one = start("one");
  one->store.name = "memory://two";
  const RegistryReply reply = acquire(*one);
  ASSERT_EQ(reply.outcome, RegistryOutcome::done) << reply.message;
  EXPECT_GE(reply.floor, kNow + 71'000) << "above all that may be in use in the old one";
}

TEST_F(FleetRegistryTest, from_local_it_starts_above_the_recorded_ceiling_and_back_wants_a_word) {
  RecordFile file((root_ / "one").string());
  LocalRegistry local(file, layout_, LocalHost::here(kSystem));
  RegistryRequest wanted;
  wanted.incarnation = {{5, 5}};
  wanted.issuing_tick = kNow + 40'000;
  wanted.ticks = 200;
  RegistryReply reply;
  local.begin(wanted);
  ASSERT_TRUE(local.poll(reply));
  ASSERT_EQ(reply.outcome, RegistryOutcome::done);
  const auto one = start("one");
  ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
  EXPECT_EQ(one->held.floor, kNow + 40'201);

  LocalRegistry again(file, layout_, LocalHost::here(kSystem));
  again.begin(wanted);
  ASSERT_TRUE(again.poll(reply));
  EXPECT_EQ(reply.outcome, RegistryOutcome::refused);
  EXPECT_NE(reply.message.find("snowflake_confirm_local()"), std::string::npos) << reply.message;
  wanted.local = true;
  again.begin(wanted);
  ASSERT_TRUE(again.poll(reply));
  ASSERT_EQ(reply.outcome, RegistryOutcome::done) << reply.message;
  EXPECT_GE(reply.floor, one->held.ceiling);
}

// A rotation leaves a node behind whose ceiling is the highest. No registry but the one
// that handed it out knows of that ceiling.
TEST_F(FleetRegistryTest, after_a_rotation_in_the_fleet_local_starts_above_all_ceilings) {
  const auto one = start("one");
  ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
  ASSERT_EQ(extend(*one, kNow + 50'000).outcome, RegistryOutcome::done);
  RegistryRequest back = request(*one, RegistryAsk::acquire);
  back.fresh = true;
  back.issuing_tick = kNow + 1000;
  const RegistryReply rotated = ask(*one, back);
  ASSERT_EQ(rotated.outcome, RegistryOutcome::done) << rotated.message;
  ASSERT_LT(rotated.floor, kNow + 50'000);

  for (const bool fresh : {false, true}) {
    SCOPED_TRACE(fresh);
    RecordFile file((root_ / "one").string());
    LocalRegistry local(file, layout_, LocalHost::here(kSystem));
    RegistryRequest wanted = request(*one, RegistryAsk::acquire);
    wanted.local = true;
    wanted.fresh = fresh;
    wanted.log2_lanes = 0;
    RegistryReply reply;
    local.begin(wanted);
    ASSERT_TRUE(local.poll(reply));
    ASSERT_EQ(reply.outcome, RegistryOutcome::done) << reply.message;
    EXPECT_GT(reply.floor, kNow + 50'000);
  }
}

TEST_F(FleetRegistryTest, after_a_rotation_as_local_the_fleet_starts_above_all_ceilings) {
  RecordFile file((root_ / "one").string());
  LocalRegistry local(file, layout_, LocalHost::here(kSystem));
  RegistryRequest wanted;
  wanted.incarnation = {{5, 5}};
  wanted.issuing_tick = kNow + 50'000;
  wanted.ticks = 200;
  RegistryReply reply;
  for (const bool fresh : {false, true}) {
    wanted.fresh = fresh;
    local.begin(wanted);
    ASSERT_TRUE(local.poll(reply));
    ASSERT_EQ(reply.outcome, RegistryOutcome::done) << reply.message;
    wanted.issuing_tick = kNow;
  }
  ASSERT_LT(reply.ceiling, kNow + 50'000);
  const auto one = start("one");
  ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
  EXPECT_GT(one->held.floor, kNow + 50'200);
  // Nor does a rotation in the fleet come below.
  RegistryRequest back = request(*one, RegistryAsk::acquire);
  back.fresh = true;
  const RegistryReply rotated = ask(*one, back);
  ASSERT_EQ(rotated.outcome, RegistryOutcome::done) << rotated.message;
  EXPECT_GT(rotated.floor, kNow + 50'200);
}

TEST_F(FleetRegistryTest, rotations_in_one_fleet_go_on_following_the_clock_back) {
  const auto one = start("one");
  ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
  ASSERT_EQ(extend(*one, kNow + 50'000).outcome, RegistryOutcome::done);
  for (int i = 1; i < 4; ++i) {
    RegistryRequest back = request(*one, RegistryAsk::acquire);
    back.fresh = true;
    back.issuing_tick = kNow + static_cast<std::uint64_t>(i) * 10;
    const RegistryReply rotated = ask(*one, back);
    ASSERT_EQ(rotated.outcome, RegistryOutcome::done) << rotated.message;
    EXPECT_LT(rotated.floor, kNow + 10'000);
    one->held = rotated;
  }
}

TEST_F(FleetRegistryTest, a_fleet_has_one_layout) {
  const auto one = start("one");
  ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
  layout_ = layout("time:41 region:3 shard:4 sequence:11");
  const auto two = start("two");
  const RegistryReply reply = acquire(*two);
  EXPECT_EQ(reply.outcome, RegistryOutcome::layout_mismatch);
  EXPECT_EQ(reply.recorded_layout,
            "time:41 region:3 shard:3 sequence:12 tick:1ms epoch 2010-01-01T00:00:00Z");
}

TEST_F(FleetRegistryTest, a_retired_node_is_never_handed_out) {
  layout_ = layout("time:41 region:3 shard:1 sequence:12");
  const auto one = start("one");
  ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
  const auto two = start("two");
  RegistryRequest retire = request(*two, RegistryAsk::retire);
  retire.node = one->held.node;
  EXPECT_EQ(ask(*two, retire).outcome, RegistryOutcome::refused) << "its holder is alive";
  ASSERT_EQ(release(*one).outcome, RegistryOutcome::done);
  ASSERT_EQ(ask(*two, retire).outcome, RegistryOutcome::done);
  EXPECT_EQ(row(*one).ceiling, one->held.ceiling) << "U4";
  EXPECT_EQ(acquire(*two).outcome, RegistryOutcome::refused);
  retire.retired = false;
  ASSERT_EQ(ask(*two, retire).outcome, RegistryOutcome::done);
  EXPECT_EQ(acquire(*two).outcome, RegistryOutcome::done);
}

TEST_F(FleetRegistryTest, a_record_that_cant_be_written_holds_nothing_and_ceilings_stay) {
  const auto one = start("one");
  fs::create_directories(root_ / "one" / "record.new" / "in the way");
  RegistryReply reply = acquire(*one);
  EXPECT_EQ(reply.outcome, RegistryOutcome::failed);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(acquire(*one).outcome, RegistryOutcome::failed);
  EXPECT_EQ(coordinator_.nodes.begin()->second.ceiling, kNow + 3000);
  fs::remove_all(root_ / "one" / "record.new");
  ASSERT_EQ(acquire(*one).outcome, RegistryOutcome::done);
  EXPECT_EQ(one->held.floor, kNow);
}

TEST_F(FleetRegistryTest, both_may_want_the_last_node_and_one_gets_it) {
  layout_ = layout("time:41 region:3 shard:1 sequence:12");
  const auto one = start("one");
  const auto two = start("two");
  ASSERT_EQ(ask(*one, request(*one, RegistryAsk::list)).outcome, RegistryOutcome::done);
  // Both have read before either writes.
  one->store.hold = two->store.hold = true;
  RegistryReply first;
  RegistryReply second;
  one->registry.begin(request(*one, RegistryAsk::acquire));
  two->registry.begin(request(*two, RegistryAsk::acquire));
  EXPECT_FALSE(one->registry.poll(first));
  EXPECT_FALSE(two->registry.poll(second));
  one->store.hold = two->store.hold = false;
  EXPECT_TRUE(one->registry.poll(first));
  EXPECT_TRUE(two->registry.poll(second));
  EXPECT_EQ(first.outcome, RegistryOutcome::done);
  EXPECT_EQ(second.outcome, RegistryOutcome::refused) << second.message;
}

}  // namespace
}  // namespace idgen
