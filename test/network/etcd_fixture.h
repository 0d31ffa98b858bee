// What the tests of the etcd store have in common: one cluster of three for all,
// each test below a prefix of its own, and a fleet to begin with.

#ifndef IDGEN_TEST_NETWORK_ETCD_FIXTURE_H
#define IDGEN_TEST_NETWORK_ETCD_FIXTURE_H

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "etcd_server.h"
#include "network/etcd_store.h"
#include "network/now.h"

namespace idgen {

// Started for the first test that asks, ended with the program.
EtcdCluster &shared_cluster();

inline Incarnation incarnation(std::uint64_t number) {
  return {{0xfeed000000000000U, number}};
}

inline std::int64_t now_us() {
  return clock_now(CLOCK_REALTIME) / 1000;
}

class EtcdTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto *test = testing::UnitTest::GetInstance()->current_test_info();
    prefix_ = std::string("test/") + test->name() + "/" + std::to_string(now_us());
    store_ = open(shared_cluster());
    wait_until_ready(*store_);
  }

  std::unique_ptr<FleetStore> open(const EtcdCluster &cluster, const std::string &user = "",
                                   const std::string &options = "") const {
    std::string error;
    auto store =
        open_etcd_store("etcd://" + user + cluster.hosts() + "/" + prefix_ + options, error);
    EXPECT_NE(store, nullptr) << error;
    return store;
  }

  static FleetRoot a_root() {
    FleetRoot root;
    root.id = incarnation(77);
    root.layout = "time:41 region:3 shard:7 sequence:12 tick:1ms";
    root.epoch = "2025-01-01T00:00:00Z";
    root.generation = 1;
    root.base = 1000;
    return root;
  }

  // Makes the fleet; the root as it is read back.
  FleetRoot make_fleet() { return make_fleet(*store_); }
  static FleetRoot make_fleet(FleetStore &store) {
    store.create(a_root(), kStepTimeout);
    EXPECT_EQ(finish(store).outcome, StoreOutcome::done);
    return read(store, 0, 0).view.root;
  }

  static std::vector<FleetNode> untaken(std::uint32_t first, std::uint32_t count) {
    std::vector<FleetNode> nodes(count);
    for (std::uint32_t i = 0; i < count; ++i) nodes[i].node = first + i;
    return nodes;
  }

  static FleetWrite taking(const FleetRoot &root, std::vector<FleetNode> nodes,
                           const Incarnation &holder) {
    FleetWrite write;
    write.root = root;
    write.nodes = std::move(nodes);
    write.take = true;
    write.holder = holder;
    write.ceiling = 5000;
    write.ceiling_us = now_us();
    write.system = 7449876543210987654U;
    write.name = "main";
    write.alive_ms = 10'000;
    return write;
  }

  static FleetWrite extending(const FleetRoot &root, std::vector<FleetNode> nodes,
                              std::uint64_t by = 10) {
    FleetWrite write = taking(root, std::move(nodes), {});
    write.take = false;
    write.holder = write.nodes.front().holder;
    write.ceiling = write.nodes.front().ceiling + by;
    write.log2_lanes = write.nodes.front().log2_lanes;
    return write;
  }

  static FleetWrite releasing(const FleetRoot &root, std::vector<FleetNode> nodes) {
    FleetWrite write = extending(root, std::move(nodes), 0);
    write.state = NodeState::free;
    return write;
  }

  // Takes a node that nobody has had.
  std::vector<FleetNode> take(const FleetRoot &root, std::uint32_t node, std::uint32_t count = 1) {
    StoreResult result = write(*store_, taking(root, untaken(node, count), incarnation(1)));
    EXPECT_EQ(result.outcome, StoreOutcome::done) << result.message;
    return result.nodes;
  }

  // As another store sees it.
  FleetView seen(std::uint32_t first, std::uint32_t last) const {
    const auto other = open(shared_cluster());
    StoreResult result = read(*other, first, last);
    EXPECT_EQ(result.outcome, StoreOutcome::done) << result.message;
    return result.view;
  }

  static void expect_same(const FleetNode &a, const FleetNode &b) {
    EXPECT_EQ(a.node, b.node);
    EXPECT_EQ(a.revision, b.revision);
    EXPECT_EQ(a.epoch, b.epoch);
    EXPECT_EQ(a.state, b.state);
    EXPECT_EQ(a.holder, b.holder);
    EXPECT_EQ(a.ceiling, b.ceiling);
    EXPECT_EQ(a.log2_lanes, b.log2_lanes);
    EXPECT_EQ(a.alive, b.alive);
    EXPECT_EQ(a.system, b.system);
    EXPECT_EQ(a.name, b.name);
    EXPECT_EQ(a.ceiling_us, b.ceiling_us);
    EXPECT_EQ(a.since_us, b.since_us);
    EXPECT_EQ(a.extended_us, b.extended_us);
    EXPECT_EQ(a.value, b.value);
  }

  std::string prefix_;
  std::unique_ptr<FleetStore> store_;
};

}  // namespace idgen

#endif  // IDGEN_TEST_NETWORK_ETCD_FIXTURE_H
