// The etcd store's steps, against a cluster of three: what is done, what is a
// conflict, and what is refused.

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <string>
#include <vector>

#include "etcd_fixture.h"
#include "network/etcd_records.h"

namespace idgen {

EtcdCluster &shared_cluster() {
  static EtcdCluster cluster(3, {"--enable-v2=false"});
  static const bool started = (cluster.start(), true);
  (void)started;
  return cluster;
}

namespace {

class EtcdStoreTest : public EtcdTest {
 protected:
  // A key and its value, as somebody else would put it.
  void put(const std::string &key, const std::string &value) {
    EtcdTransaction transaction;
    transaction.put(prefix_ + "/" + key, value);
    shared_cluster().ask("/v3/kv/txn", transaction.text());
  }
};

TEST_F(EtcdStoreTest, an_empty_prefix_reads_as_no_fleet) {
  const StoreResult result = read(*store_, 0, UINT32_MAX);
  ASSERT_EQ(result.outcome, StoreOutcome::done);
  EXPECT_FALSE(result.view.root.exists);
  EXPECT_TRUE(result.view.nodes.empty());
  EXPECT_GT(result.view.revision, 0U);
  // Whole seconds, rounded down.
  EXPECT_LE(result.view.clock_us, now_us());
  EXPECT_GT(result.view.clock_us, now_us() - 5'000'000);
  EXPECT_EQ(result.view.clock_us % 1'000'000, 0);
}

TEST_F(EtcdStoreTest, a_fleet_is_made_once) {
  store_->create(a_root(), kStepTimeout);
  const StoreResult made = finish(*store_);
  ASSERT_EQ(made.outcome, StoreOutcome::done) << made.message;
  FleetRoot other = a_root();
  other.id = incarnation(78);
  const auto second = open(shared_cluster());
  second->create(other, kStepTimeout);
  EXPECT_EQ(finish(*second).outcome, StoreOutcome::conflict);

  const FleetView view = seen(0, 10);
  EXPECT_TRUE(view.root.exists);
  EXPECT_EQ(view.root.id, a_root().id);
  EXPECT_EQ(view.root.layout, a_root().layout);
  EXPECT_EQ(view.root.epoch, a_root().epoch);
  EXPECT_EQ(view.root.generation, 1U);
  EXPECT_EQ(view.root.base, 1000U);
  EXPECT_EQ(view.root.revision, made.revision);
  EXPECT_FALSE(view.root.moved);
}

TEST_F(EtcdStoreTest, a_node_is_taken_and_extended) {
  const FleetRoot root = make_fleet();
  FleetWrite first = taking(root, untaken(7, 1), incarnation(1));
  first.log2_lanes = 0;
  StoreResult result = write(*store_, first);
  ASSERT_EQ(result.outcome, StoreOutcome::done) << result.message;
  ASSERT_EQ(result.nodes.size(), 1U);
  const FleetNode taken = result.nodes[0];
  EXPECT_EQ(taken.epoch, 1U);
  EXPECT_EQ(taken.state, NodeState::held);
  EXPECT_EQ(taken.holder, incarnation(1));
  EXPECT_EQ(taken.ceiling, 5000U);
  EXPECT_EQ(taken.revision, result.revision);
  EXPECT_TRUE(taken.alive);
  EXPECT_NEAR(static_cast<double>(taken.since_us), static_cast<double>(now_us()), 10e6);
  FleetView view = seen(0, 100);
  ASSERT_EQ(view.nodes.size(), 1U);
  expect_same(view.nodes[0], taken);
  EXPECT_EQ(view.revision, result.revision);

  while (now_us() <= taken.extended_us) usleep(100);
  result = write(*store_, extending(root, result.nodes));
  ASSERT_EQ(result.outcome, StoreOutcome::done) << result.message;
  const FleetNode extended = result.nodes.at(0);
  EXPECT_EQ(extended.epoch, 1U);
  EXPECT_EQ(extended.ceiling, 5010U);
  EXPECT_GT(extended.revision, taken.revision);
  EXPECT_EQ(extended.since_us, taken.since_us);
  EXPECT_GT(extended.extended_us, taken.extended_us);
  view = seen(7, 7);
  ASSERT_EQ(view.nodes.size(), 1U);
  expect_same(view.nodes[0], extended);

  // Another takes it: by the value that was read, with the next epoch.
  FleetWrite second = taking(view.root, view.nodes, incarnation(2));
  second.ceiling = 6000;
  const auto other = open(shared_cluster());
  result = write(*other, second);
  ASSERT_EQ(result.outcome, StoreOutcome::done) << result.message;
  EXPECT_EQ(result.nodes.at(0).epoch, 2U);
  EXPECT_EQ(result.nodes.at(0).holder, incarnation(2));
  EXPECT_EQ(write(*store_, extending(root, {extended})).outcome, StoreOutcome::conflict);
  EXPECT_EQ(seen(7, 7).nodes.at(0).holder, incarnation(2));
}

TEST_F(EtcdStoreTest, an_extension_asked_for_twice_is_done_once) {
  const FleetRoot root = make_fleet();
  const FleetWrite extension = extending(root, take(root, 7));
  EXPECT_EQ(write(*store_, extension).outcome, StoreOutcome::done);
  EXPECT_EQ(write(*store_, extension).outcome, StoreOutcome::conflict);
}

// Each by itself, everything else being as it was (U6).
TEST_F(EtcdStoreTest, a_change_of_revision_value_epoch_or_root_is_a_conflict) {
  const FleetRoot root = make_fleet();
  const FleetWrite right = extending(root, take(root, 7));
  std::vector<FleetWrite> wrongs(7, right);
  wrongs[0].nodes[0].revision += 1;
  wrongs[1].nodes[0].revision -= 1;
  wrongs[2].nodes[0].value = node_value(right.nodes[0], 12345);  // only the nonce
  wrongs[3].nodes[0].epoch += 1;
  wrongs[4].root.revision -= 1;
  wrongs[5].root.value += " ";
  wrongs[6].nodes[0].node = 8;  // never taken
  for (std::size_t i = 0; i < wrongs.size(); ++i) {
    EXPECT_EQ(write(*store_, wrongs[i]).outcome, StoreOutcome::conflict) << i;
  }
  FleetWrite unborn = taking(root, untaken(7, 1), incarnation(3));
  EXPECT_EQ(write(*store_, unborn).outcome, StoreOutcome::conflict);
  EXPECT_EQ(write(*store_, right).outcome, StoreOutcome::done);
}

TEST_F(EtcdStoreTest, a_raise_makes_every_holder_conflict) {
  const FleetRoot root = make_fleet();
  const std::vector<FleetNode> held = take(root, 7);
  FleetRaise raise;
  raise.root = root;
  raise.base = 9000;
  raise.generation = 5;
  store_->raise(raise, kStepTimeout);
  ASSERT_EQ(finish(*store_).outcome, StoreOutcome::done);
  const FleetView view = seen(7, 7);
  EXPECT_EQ(view.root.base, 9000U);
  EXPECT_EQ(view.root.generation, 5U);
  EXPECT_EQ(view.root.id, root.id);
  EXPECT_EQ(view.root.layout, root.layout);
  expect_same(view.nodes.at(0), held[0]);

  EXPECT_EQ(write(*store_, extending(root, held)).outcome, StoreOutcome::conflict);
  raise.generation = 6;
  store_->raise(raise, kStepTimeout);
  EXPECT_EQ(finish(*store_).outcome, StoreOutcome::conflict);
  EXPECT_EQ(write(*store_, extending(view.root, held)).outcome, StoreOutcome::done);
}

TEST_F(EtcdStoreTest, a_raise_lowers_nothing) {
  const FleetRoot root = make_fleet();
  std::vector<FleetRaise> wrongs(3);
  for (FleetRaise &wrong : wrongs) {
    wrong.root = root;
    wrong.base = root.base;
    wrong.generation = root.generation + 1;
  }
  wrongs[0].base -= 1;
  wrongs[1].generation = root.generation;
  wrongs[2].above = take(root, 7);
  wrongs[2].above[0].ceiling -= 1;
  for (const FleetRaise &wrong : wrongs) {
    store_->raise(wrong, kStepTimeout);
    EXPECT_EQ(finish(*store_).outcome, StoreOutcome::refused);
  }
  EXPECT_EQ(seen(0, 9).root.generation, root.generation);
}

TEST_F(EtcdStoreTest, a_raise_takes_any_number_of_nodes_along) {
  const FleetRoot root = make_fleet();
  for (const std::size_t count : {1U, 63U, 64U, 130U}) {
    FleetView view = seen(0, 999);
    while (view.nodes.size() < count) {
      const auto node = static_cast<std::uint32_t>(view.nodes.size());
      const auto more = std::min<std::size_t>(count - node, 64);
      take(view.root, node, static_cast<std::uint32_t>(more));
      view = seen(0, 999);
    }
    FleetRaise raise;
    raise.root = view.root;
    raise.base = view.root.base + 1;
    raise.generation = view.root.generation + 1;
    raise.above = view.nodes;
    for (FleetNode &node : raise.above) node.ceiling += 7 + node.node;
    store_->raise(raise, kStepTimeout);
    ASSERT_EQ(finish(*store_).outcome, StoreOutcome::done);
    const FleetView after = seen(0, 999);
    EXPECT_EQ(after.root.generation, raise.generation);
    ASSERT_EQ(after.nodes.size(), count);
    for (std::size_t i = 0; i < count; ++i) {
      EXPECT_EQ(after.nodes[i].ceiling, raise.above[i].ceiling);
      EXPECT_EQ(after.nodes[i].epoch, view.nodes[i].epoch);
      EXPECT_TRUE(after.nodes[i].alive);
    }
    store_->raise(raise, kStepTimeout);
    EXPECT_EQ(finish(*store_).outcome, StoreOutcome::conflict);
  }
  EXPECT_EQ(root.generation + 4, seen(0, 0).root.generation);
}

TEST_F(EtcdStoreTest, a_release_keeps_the_ceiling_and_ends_liveness) {
  const FleetRoot root = make_fleet();
  const std::vector<FleetNode> held = take(root, 7);
  ASSERT_TRUE(seen(7, 7).nodes.at(0).alive);
  const StoreResult result = write(*store_, releasing(root, held));
  ASSERT_EQ(result.outcome, StoreOutcome::done) << result.message;
  EXPECT_FALSE(result.nodes.at(0).alive);
  const FleetNode node = seen(7, 7).nodes.at(0);
  expect_same(node, result.nodes.at(0));
  EXPECT_EQ(node.state, NodeState::free);
  EXPECT_EQ(node.ceiling, 5000U);
  EXPECT_EQ(node.epoch, 1U);
  // A key that somebody left there doesn't make it alive.
  put("alive/0000000007", to_text(incarnation(1)));
  EXPECT_FALSE(seen(7, 7).nodes.at(0).alive);

  // And so does an operator's retirement, by another store.
  FleetWrite retirement = releasing(root, take(root, 8));
  retirement.state = NodeState::retired;
  const auto other = open(shared_cluster());
  EXPECT_EQ(write(*other, retirement).outcome, StoreOutcome::done);
  const FleetNode retired = seen(8, 8).nodes.at(0);
  EXPECT_EQ(retired.state, NodeState::retired);
  EXPECT_EQ(retired.ceiling, 5000U);
  EXPECT_FALSE(retired.alive);
}

TEST_F(EtcdStoreTest, a_ceiling_is_never_lowered) {
  const FleetRoot root = make_fleet();
  const std::vector<FleetNode> held = take(root, 7);
  FleetWrite lower = extending(root, held);
  lower.ceiling = held[0].ceiling - 1;
  for (const NodeState state : {NodeState::held, NodeState::free, NodeState::retired}) {
    lower.state = state;
    EXPECT_EQ(write(*store_, lower).outcome, StoreOutcome::refused);
  }
  // Not even by one who misremembers it: the value says what it is.
  lower.nodes[0].ceiling = 1;
  EXPECT_EQ(write(*store_, lower).outcome, StoreOutcome::refused);
  EXPECT_EQ(seen(7, 7).nodes.at(0).ceiling, held[0].ceiling);
}

TEST_F(EtcdStoreTest, a_ceiling_too_far_ahead_is_refused) {
  const FleetRoot root = make_fleet();
  FleetWrite far = taking(root, untaken(7, 1), incarnation(1));
  far.skew_us = 60'000'000;
  far.window_us = 3'000'000;
  far.ceiling_us = now_us() + 70'000'000;
  const StoreResult result = write(*store_, far);
  EXPECT_EQ(result.outcome, StoreOutcome::refused);
  EXPECT_NE(result.message.find("ahead of etcd's clock"), std::string::npos) << result.message;
  EXPECT_TRUE(seen(7, 7).nodes.empty());

  // The record was there already, or it isn't that far.
  FleetWrite recorded = far;
  recorded.recorded_us = far.ceiling_us - 2'000'000;
  EXPECT_EQ(write(*store_, recorded).outcome, StoreOutcome::done);
  FleetWrite near = far;
  near.nodes = untaken(8, 1);
  near.ceiling_us = now_us() + 55'000'000;
  EXPECT_EQ(write(*store_, near).outcome, StoreOutcome::done);
  FleetWrite unchecked = far;
  unchecked.nodes = untaken(9, 1);
  unchecked.window_us = 0;
  EXPECT_EQ(write(*store_, unchecked).outcome, StoreOutcome::done);
}

TEST_F(EtcdStoreTest, a_block_of_64_is_written_as_a_whole) {
  const FleetRoot root = make_fleet();
  FleetWrite block = taking(root, untaken(64, 64), incarnation(1));
  block.log2_lanes = 6;
  StoreResult result = write(*store_, block);
  ASSERT_EQ(result.outcome, StoreOutcome::done) << result.message;
  ASSERT_EQ(result.nodes.size(), 64U);
  result = write(*store_, extending(root, result.nodes));
  ASSERT_EQ(result.outcome, StoreOutcome::done) << result.message;
  const FleetView view = seen(0, 1023);
  ASSERT_EQ(view.nodes.size(), 64U);
  for (std::size_t i = 0; i < 64; ++i) expect_same(view.nodes[i], result.nodes[i]);

  // One node of it taken by another: none of it is extended.
  const auto other = open(shared_cluster());
  FleetWrite one = taking(root, {view.nodes[40]}, incarnation(2));
  one.ceiling = 6000;
  ASSERT_EQ(write(*other, one).outcome, StoreOutcome::done);
  EXPECT_EQ(write(*store_, extending(root, result.nodes)).outcome, StoreOutcome::conflict);
  for (const FleetNode &node : seen(0, 1023).nodes) {
    EXPECT_EQ(node.ceiling, node.node == 104 ? 6000U : 5010U);
  }
}

// The most that there is to compare: 64 revisions and 64 values.
TEST_F(EtcdStoreTest, a_block_of_64_with_histories_of_their_own_is_taken) {
  const FleetRoot root = make_fleet();
  const auto other = open(shared_cluster());
  for (const std::uint32_t unborn : {64U, 0U, 9U}) {
    for (std::uint32_t node = 0; node < 64; ++node) {
      const FleetView before = seen(node, node);
      if (!before.nodes.empty() || node == unborn) continue;
      ASSERT_EQ(write(*other, releasing(root, take(root, node))).outcome, StoreOutcome::done);
    }
    std::vector<FleetNode> nodes = seen(0, 63).nodes;
    if (nodes.size() == 63) nodes.insert(nodes.begin() + unborn, untaken(unborn, 1)[0]);
    ASSERT_EQ(nodes.size(), 64U);
    // Each change of a single one is noticed.
    for (const std::size_t changed : {0U, 1U, 31U, 62U, 63U}) {
      FleetWrite stale = taking(root, nodes, incarnation(3));
      if (nodes[changed].revision == 0) continue;
      FleetNode &node = stale.nodes[changed];
      node.value = node_value(node, 12345);
      EXPECT_EQ(write(*store_, stale).outcome, StoreOutcome::conflict);
    }
    FleetWrite block = taking(root, nodes, incarnation(2));
    block.log2_lanes = 6;
    // Also where only the revision tells.
    for (const std::uint32_t changed : {1U, 63U}) {
      put("node/00000000" + std::string(changed < 10 ? "0" : "") + std::to_string(changed),
          nodes[changed].value);
      EXPECT_EQ(write(*store_, block).outcome, StoreOutcome::conflict);
      block.nodes[changed] = seen(changed, changed).nodes.at(0);
    }
    StoreResult result = write(*store_, block);
    ASSERT_EQ(result.outcome, StoreOutcome::done) << result.message;
    if (unborn != 9) {
      // Once more from the start, with one node that there never was.
      const std::string folder = prefix_ + "/node/";
      EtcdTransaction removal;
      removal.remove(folder + "0", folder + "9");
      shared_cluster().ask("/v3/kv/txn", removal.text());
    }
  }
}

TEST_F(EtcdStoreTest, a_region_of_1000_nodes_is_read_at_once) {
  const FleetRoot root = make_fleet();
  for (std::uint32_t first = 0; first < 1000; first += 50) take(root, first, 50);
  const StoreResult result = read(*store_, 0, 1023);
  ASSERT_EQ(result.outcome, StoreOutcome::done) << result.message;
  ASSERT_EQ(result.view.nodes.size(), 1000U);
  for (std::uint32_t i = 0; i < 1000; ++i) {
    EXPECT_EQ(result.view.nodes[i].node, i);
    EXPECT_TRUE(result.view.nodes[i].alive);
  }
  EXPECT_EQ(seen(100, 199).nodes.size(), 100U);
  EXPECT_EQ(seen(999, 5000).nodes.size(), 1U);
}

TEST_F(EtcdStoreTest, of_two_stores_racing_for_a_node_exactly_one_wins) {
  const FleetRoot root = make_fleet();
  const auto other = open(shared_cluster());
  std::vector<FleetNode> nodes = untaken(7, 1);
  int first_won = 0;
  for (std::uint64_t round = 1; round <= 50; ++round) {
    FleetWrite one = taking(root, nodes, incarnation(1));
    FleetWrite two = taking(root, nodes, incarnation(2));
    one.ceiling = two.ceiling = 5000 + round;
    // Who is first varies.
    FleetStore &begins = round % 2 == 0 ? *store_ : *other;
    FleetStore &follows = round % 2 == 0 ? *other : *store_;
    begins.write(round % 2 == 0 ? one : two, kStepTimeout);
    follows.write(round % 2 == 0 ? two : one, kStepTimeout);
    const StoreResult first = finish(*store_);
    const StoreResult second = finish(*other);
    const bool won = first.outcome == StoreOutcome::done;
    first_won += won ? 1 : 0;
    ASSERT_EQ(first.outcome, won ? StoreOutcome::done : StoreOutcome::conflict) << first.message;
    ASSERT_EQ(second.outcome, won ? StoreOutcome::conflict : StoreOutcome::done) << second.message;
    nodes = seen(7, 7).nodes;
    ASSERT_EQ(nodes.size(), 1U);
    EXPECT_EQ(nodes[0].epoch, round);
    EXPECT_EQ(nodes[0].holder, incarnation(won ? 1 : 2));
    EXPECT_TRUE(nodes[0].alive);
  }
  RecordProperty("first_won", first_won);
}

TEST_F(EtcdStoreTest, a_record_that_is_none_is_refused_by_its_key) {
  const FleetRoot root = make_fleet();
  take(root, 7);
  put("node/0000000008", "nonsense");
  StoreResult result = read(*store_, 0, 100);
  EXPECT_EQ(result.outcome, StoreOutcome::refused);
  EXPECT_NE(result.message.find(prefix_ + "/node/0000000008"), std::string::npos) << result.message;
  EXPECT_EQ(read(*store_, 0, 7).outcome, StoreOutcome::done);
  put("node/000000001x", "{}");
  EXPECT_EQ(read(*store_, 9, 100).outcome, StoreOutcome::refused);
  put("root", "{}");
  result = read(*store_, 0, 7);
  EXPECT_EQ(result.outcome, StoreOutcome::refused);
  EXPECT_NE(result.message.find(prefix_ + "/root"), std::string::npos) << result.message;
}

TEST_F(EtcdStoreTest, fleets_below_other_prefixes_are_not_seen) {
  const FleetRoot root = make_fleet();
  take(root, 7);
  prefix_ += "x";
  EXPECT_FALSE(seen(0, UINT32_MAX).root.exists);
  EXPECT_TRUE(seen(0, UINT32_MAX).nodes.empty());
}

TEST_F(EtcdStoreTest, a_restored_etcd_counts_as_another_until_it_is_raised) {
  const FleetRoot root = make_fleet();
  take(root, 7);
  EtcdCluster restored(1);
  const std::string snapshot = restored.folder().path() + "/snapshot";
  const std::string hosts = shared_cluster().hosts();
  ASSERT_EQ(
      run_program(restored.folder(), {"etcdctl", "--endpoints", hosts.substr(0, hosts.find(',')),
                                      "snapshot", "save", snapshot}),
      0);
  restored.restore(snapshot);
  restored.start();
  const auto store = open(restored);
  wait_until_ready(*store);
  const FleetView view = read(*store, 0, 9).view;
  EXPECT_TRUE(view.root.moved);
  EXPECT_FALSE(view.root.same_system);
  EXPECT_EQ(view.root.id, root.id);
  ASSERT_EQ(view.nodes.size(), 1U);
  FleetRaise raise;
  raise.root = view.root;
  raise.base = 99'000;
  raise.generation = 2;
  store->raise(raise, kStepTimeout);
  ASSERT_EQ(finish(*store).outcome, StoreOutcome::done);
  const FleetRoot raised = read(*store, 0, 9).view.root;
  EXPECT_FALSE(raised.moved);
  EXPECT_EQ(raised.base, 99'000U);
}

TEST_F(EtcdStoreTest, what_it_is_can_be_shown) {
  EXPECT_EQ(store_->describe(), "etcd://" + shared_cluster().hosts() + "/" + prefix_);
  std::string error;
  EXPECT_EQ(open_etcd_store("etcd://u:SECRET@h:x/p", error), nullptr);
  EXPECT_EQ(error.find("SECRET"), std::string::npos);
  EXPECT_FALSE(error.empty());
  const auto store = open_etcd_store("etcd://u:SECRET@h/p", error);
  ASSERT_NE(store, nullptr);
  EXPECT_EQ(store->describe(), "etcd://h:2379/p");
}

}  // namespace
}  // namespace idgen

int main(int argc, char **argv) {
  testing::InitGoogleTest(&argc, argv);
  signal(SIGPIPE, SIG_IGN);  // as in a worker
  return RUN_ALL_TESTS();
}
