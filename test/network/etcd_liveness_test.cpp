// Who counts as alive, and for how long: the etcd lease behind it.

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "etcd_fixture.h"
#include "network/etcd_records.h"

namespace idgen {
namespace {

// The time itself is what these tests are about, in us: extensions come as an
// instance's do, of leases of a second or two; and a keep-alive goes out when an
// eighth of its lease has gone by.
constexpr unsigned kBetweenExtensions = 450'000;
constexpr unsigned kRenewalDue = 300'000;

class EtcdLivenessTest : public EtcdTest {
 protected:
  bool is_alive(std::uint32_t node) const {
    const FleetView view = seen(node, node);
    return view.nodes.size() == 1 && view.nodes[0].alive;
  }

  // When it was not alive any more, or `limit`.
  std::int64_t lives_for(std::uint32_t node, std::int64_t limit) const {
    const std::int64_t begun = monotonic_now();
    while (monotonic_now() - begun < limit && is_alive(node)) usleep(20'000);
    return monotonic_now() - begun;
  }

  std::vector<FleetNode> take_for(const FleetRoot &root, std::uint32_t node,
                                  std::int64_t alive_ms) {
    FleetWrite write = taking(root, untaken(node, 1), incarnation(1));
    write.alive_ms = alive_ms;
    return done(write);
  }

  std::vector<FleetNode> done(const FleetWrite &write) { return done(*store_, write); }
  static std::vector<FleetNode> done(FleetStore &store, const FleetWrite &what) {
    StoreResult result = write(store, what);
    EXPECT_EQ(result.outcome, StoreOutcome::done) << result.message;
    return result.nodes;
  }

  FleetWrite extension(const FleetRoot &root, const std::vector<FleetNode> &nodes,
                       std::int64_t alive_ms) {
    FleetWrite write = extending(root, nodes);
    write.alive_ms = alive_ms;
    return write;
  }

  // A liveness key as it is in etcd; without a lease if there is none.
  EtcdKeyValue key_of(std::uint32_t node) const {
    EtcdTransaction transaction;
    transaction.range(EtcdKeys(prefix_).alive(node));
    const EtcdAnswer answer = shared_cluster().ask("/v3/kv/txn", transaction.text());
    std::vector<EtcdKeyValue> found;
    EXPECT_TRUE(read_range(answer.body.get(), 0, found));
    return found.empty() ? EtcdKeyValue{} : found[0];
  }
  std::uint64_t lease_of(std::uint32_t node) const { return key_of(node).lease; }

  static void revoke(std::uint64_t lease) {
    shared_cluster().ask("/v3/lease/revoke", R"({"ID":")" + std::to_string(lease) + R"("})");
  }
};

TEST_F(EtcdLivenessTest, it_ends_by_itself_and_the_ceiling_stays) {
  const FleetRoot root = make_fleet();
  take_for(root, 7, 1000);
  const std::int64_t lived = lives_for(7, 5 * kTestSecond);
  EXPECT_GE(lived, 900 * kTestMs);
  EXPECT_LE(lived, 4 * kTestSecond);
  const FleetNode node = seen(7, 7).nodes.at(0);
  EXPECT_EQ(node.state, NodeState::held);
  EXPECT_EQ(node.ceiling, 5000U);
  EXPECT_EQ(node.epoch, 1U);
}

// Nobody polls between the steps.
TEST_F(EtcdLivenessTest, it_goes_on_as_long_as_extensions_do) {
  const FleetRoot root = make_fleet();
  std::vector<FleetNode> held = take_for(root, 7, 1000);
  const EtcdKeyValue key = key_of(7);
  for (int i = 0; i < 8; ++i) {
    usleep(kBetweenExtensions);
    held = done(extension(root, held, 1000));
    EXPECT_TRUE(held.at(0).alive);
    EXPECT_TRUE(is_alive(7)) << i;
  }
  EXPECT_EQ(lease_of(7), key.lease);
  EXPECT_EQ(key_of(7).revision, key.revision);  // nothing was put again
}

TEST_F(EtcdLivenessTest, an_extension_is_one_write_to_etcd) {
  EtcdCluster cluster(1);
  cluster.start();
  const auto store = open(cluster);
  wait_until_ready(*store);
  // The last that a member writes of its own accord is where it is to be found.
  const auto is_known = [&cluster] {
    const EtcdAnswer answer = cluster.ask("/v3/cluster/member/list", "{}");
    return answer.body && to_text(*answer.body).find("clientURLs") != std::string::npos;
  };
  for (int i = 0; i < 500 && !is_known(); ++i) usleep(10'000);
  ASSERT_TRUE(is_known());
  const FleetRoot root = make_fleet(*store);
  FleetWrite first = taking(root, untaken(7, 1), incarnation(1));
  first.alive_ms = 2000;
  std::vector<FleetNode> held = done(*store, first);
  const auto written = [&cluster] {
    std::uint64_t index = 0;
    const EtcdAnswer answer = cluster.ask("/v3/maintenance/status", "{}");
    EXPECT_TRUE(read_number(answer.body.get(), "raftIndex", index));
    return index;
  };
  const std::uint64_t before = written();
  for (int i = 0; i < 6; ++i) {
    usleep(kBetweenExtensions);
    held = done(*store, extension(root, held, 2000));
  }
  EXPECT_EQ(written() - before, 6U);
  EXPECT_TRUE(read(*store, 7, 7).view.nodes.at(0).alive);
}

TEST_F(EtcdLivenessTest, a_lease_that_is_gone_is_granted_anew) {
  const FleetRoot root = make_fleet();
  std::vector<FleetNode> held = take_for(root, 7, 2000);
  revoke(lease_of(7));
  EXPECT_FALSE(is_alive(7));
  usleep(kRenewalDue);
  // This one's keep-alive learns of it, the next one sees to it.
  held = done(extension(root, held, 2000));
  held = done(extension(root, held, 2000));
  EXPECT_TRUE(is_alive(7));

  // Where the lease is needed at once, it is granted in the same step.
  revoke(lease_of(7));
  take_for(root, 8, 2000);
  EXPECT_TRUE(is_alive(8));
  held = done(extension(root, held, 2000));
  EXPECT_TRUE(is_alive(7));
}

TEST_F(EtcdLivenessTest, a_pause_longer_than_the_lease_ends_with_the_next_extension) {
  const FleetRoot root = make_fleet();
  std::vector<FleetNode> held = take_for(root, 7, 1000);
  lives_for(7, 5 * kTestSecond);
  ASSERT_FALSE(is_alive(7));
  done(extension(root, held, 1000));
  EXPECT_TRUE(is_alive(7));
}

TEST_F(EtcdLivenessTest, a_key_that_somebody_removed_comes_back) {
  const FleetRoot root = make_fleet();
  const std::vector<FleetNode> held = take_for(root, 7, 5000);
  EtcdTransaction removal;
  removal.remove(EtcdKeys(prefix_).alive(7), {});
  shared_cluster().ask("/v3/kv/txn", removal.text());
  EXPECT_FALSE(read(*store_, 0, 9).view.nodes.at(0).alive);
  done(extension(root, held, 5000));
  EXPECT_TRUE(is_alive(7));
}

TEST_F(EtcdLivenessTest, a_longer_time_is_granted_as_asked) {
  const FleetRoot root = make_fleet();
  const std::vector<FleetNode> held = take_for(root, 7, 1000);
  done(extension(root, held, 5000));
  EXPECT_GE(lives_for(7, 5 * kTestSecond / 2), 5 * kTestSecond / 2);
}

// Rotation takes the new node before it leaves the old one.
TEST_F(EtcdLivenessTest, one_block_is_released_and_the_other_lives_on) {
  const FleetRoot root = make_fleet();
  const std::vector<FleetNode> old = take_for(root, 7, 1000);
  std::vector<FleetNode> fresh = take_for(root, 9, 1000);
  EXPECT_TRUE(is_alive(7));
  EXPECT_TRUE(is_alive(9));
  done(releasing(root, old));
  EXPECT_FALSE(is_alive(7));
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(is_alive(9)) << i;
    usleep(kBetweenExtensions);
    fresh = done(extension(root, fresh, 1000));
  }
  EXPECT_EQ(lease_of(7), 0U);
  EXPECT_EQ(seen(7, 7).nodes.at(0).state, NodeState::free);
}

// Both hang on one lease. Whatever becomes of the release, what is held doesn't keep alive
// what isn't.
TEST_F(EtcdLivenessTest, a_block_that_could_not_be_released_does_not_live_on_with_the_other) {
  const FleetRoot root = make_fleet();
  const std::vector<FleetNode> old = take_for(root, 7, 1000);
  std::vector<FleetNode> fresh = take_for(root, 9, 1000);
  FleetWrite failing = releasing(root, old);
  ++failing.nodes.front().revision;
  EXPECT_EQ(write(*store_, failing).outcome, StoreOutcome::conflict);
  for (int i = 0; i < 5; ++i) {
    usleep(kBetweenExtensions);
    fresh = done(extension(root, fresh, 1000));
    EXPECT_TRUE(is_alive(9)) << i;
  }
  EXPECT_FALSE(is_alive(7));
}

TEST_F(EtcdLivenessTest, nobody_keeps_alive_what_was_taken_from_him) {
  const FleetRoot root = make_fleet();
  const std::vector<FleetNode> lost = take_for(root, 7, 1000);
  std::vector<FleetNode> kept = take_for(root, 8, 1000);
  {
    const auto other = open(shared_cluster());
    FleetWrite write = taking(root, lost, incarnation(2));
    write.alive_ms = 1000;
    done(*other, write);
    EXPECT_TRUE(is_alive(7));
  }
  EXPECT_EQ(write(*store_, extension(root, lost, 1000)).outcome, StoreOutcome::conflict);
  for (int i = 0; i < 7; ++i) {
    usleep(kBetweenExtensions);
    kept = done(extension(root, kept, 1000));
  }
  EXPECT_FALSE(is_alive(7));
  EXPECT_TRUE(is_alive(8));
}

TEST_F(EtcdLivenessTest, a_node_taken_back_is_alive_for_who_took_it) {
  const FleetRoot root = make_fleet();
  FleetWrite back = taking(root, take_for(root, 7, 1000), incarnation(2));
  back.alive_ms = 1000;
  {
    const auto other = open(shared_cluster());
    back.nodes = done(*other, back);
  }
  back.holder = incarnation(1);
  std::vector<FleetNode> held = done(back);
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(is_alive(7)) << i;
    usleep(kBetweenExtensions);
    held = done(extension(root, held, 1000));
  }
}

TEST_F(EtcdLivenessTest, a_store_that_is_destroyed_leaves_its_node_alive) {
  const FleetRoot root = make_fleet();
  take_for(root, 7, 1000);
  store_.reset();
  EXPECT_TRUE(is_alive(7));
  EXPECT_GE(lives_for(7, 5 * kTestSecond), 700 * kTestMs);
  EXPECT_FALSE(is_alive(7));
}

}  // namespace
}  // namespace idgen
