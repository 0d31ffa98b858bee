// Answers that are lost, held back or make no sense: what the store then says of a
// step must be true.

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <string>

#include "etcd_fixture.h"
#include "etcd_proxy.h"

namespace idgen {
namespace {

using Fate = EtcdProxy::Fate;

bool is(const std::string &request, const char *path) {
  return request.starts_with(std::string("POST ") + path + " ");
}

bool is_write(const std::string &request) {
  return request.find("request_put") != std::string::npos;
}

class EtcdFaultTest : public EtcdTest {
 protected:
  void SetUp() override {
    EtcdTest::SetUp();
    root_ = make_fleet();
    through_ = open_hosts(proxy_.host());
    // Whatever comes first on the way in has been seen to.
    ASSERT_EQ(read(*through_, 0, 9).outcome, StoreOutcome::done);
  }

  std::unique_ptr<FleetStore> open_hosts(const std::string &hosts) const {
    std::string error;
    auto store = open_etcd_store("etcd://" + hosts + "/" + prefix_, error);
    EXPECT_NE(store, nullptr) << error;
    return store;
  }

  // Each write (or, if not `writes`, each read) has this fate; counts them.
  void judge(Fate fate, bool writes = true) {
    count_ = 0;
    proxy_.judge_by([this, fate, writes](const std::string &request) {
      if (!is(request, "/v3/kv/txn") || is_write(request) != writes) return Fate::pass;
      ++count_;
      return fate;
    });
  }

  EtcdProxy proxy_{shared_cluster().host(0)};
  std::unique_ptr<FleetStore> through_;
  FleetRoot root_;
  std::atomic<int> count_ = 0;
};

TEST_F(EtcdFaultTest, a_write_whose_answer_is_lost_is_unknown_and_not_repeated) {
  const auto both = open_hosts(proxy_.host() + "," + shared_cluster().hosts());
  judge(Fate::lose_answer);
  std::uint32_t node = 7;
  for (FleetStore *store : {through_.get(), both.get()}) {
    count_ = 0;
    const StoreResult result = write(*store, taking(root_, untaken(node, 1), incarnation(1)));
    EXPECT_EQ(result.outcome, StoreOutcome::unknown);
    EXPECT_EQ(count_, 1);
    const FleetView view = seen(node, node);
    ASSERT_EQ(view.nodes.size(), 1U);  // it was done, and once
    EXPECT_EQ(view.nodes[0].epoch, 1U);
    EXPECT_TRUE(view.nodes[0].alive);
    ++node;
  }
  // The next step goes to another member.
  EXPECT_EQ(write(*both, extending(root_, seen(8, 8).nodes)).outcome, StoreOutcome::done);
}

TEST_F(EtcdFaultTest, a_read_whose_answer_is_lost_is_asked_of_another) {
  for (const Fate fate : {Fate::lose_answer, Fate::hold, Fate::no_json, Fate::no_leader}) {
    judge(fate, false);
    const auto both = open_hosts(proxy_.host() + "," + shared_cluster().host(1));
    EXPECT_EQ(read(*both, 0, 9, kTestSecond).outcome, StoreOutcome::done);
    EXPECT_EQ(count_, 1);
  }
}

TEST_F(EtcdFaultTest, a_write_without_an_answer_that_makes_sense_is_unknown) {
  for (const Fate fate : {Fate::hold, Fate::no_json, Fate::no_leader}) {
    judge(fate);
    const auto both = open_hosts(proxy_.host() + "," + shared_cluster().hosts());
    const StoreResult result =
        write(*both, taking(root_, untaken(7, 1), incarnation(1)), kTestSecond);
    EXPECT_EQ(result.outcome, StoreOutcome::unknown);
    EXPECT_EQ(count_, 1);
    EXPECT_TRUE(seen(7, 7).nodes.empty());
  }
}

TEST_F(EtcdFaultTest, a_node_held_again_after_a_lost_release_is_alive) {
  StoreResult result = write(*through_, taking(root_, untaken(7, 1), incarnation(1)));
  ASSERT_EQ(result.outcome, StoreOutcome::done) << result.message;
  judge(Fate::lose_answer);
  EXPECT_EQ(write(*through_, releasing(root_, result.nodes)).outcome, StoreOutcome::unknown);
  judge(Fate::pass);
  const FleetView view = seen(7, 7);
  EXPECT_EQ(view.nodes.at(0).state, NodeState::free);
  EXPECT_FALSE(view.nodes.at(0).alive);
  EXPECT_EQ(write(*through_, extending(root_, view.nodes)).outcome, StoreOutcome::done);
  EXPECT_TRUE(seen(7, 7).nodes.at(0).alive);
}

TEST_F(EtcdFaultTest, a_keep_alive_that_hangs_holds_no_step_up) {
  std::atomic<int> keep_alives = 0;
  proxy_.judge_by([&](const std::string &request) {
    if (!is(request, "/v3/lease/keepalive")) return Fate::pass;
    ++keep_alives;
    return Fate::hold;
  });
  FleetWrite first = taking(root_, untaken(7, 1), incarnation(1));
  first.alive_ms = 2000;
  StoreResult result = write(*through_, first);
  ASSERT_EQ(result.outcome, StoreOutcome::done) << result.message;
  for (int i = 0; i < 3; ++i) {
    usleep(300'000);  // the next keep-alive is due
    FleetWrite extension = extending(root_, result.nodes);
    extension.alive_ms = 2000;
    const std::int64_t begun = monotonic_now();
    result = write(*through_, extension);
    ASSERT_EQ(result.outcome, StoreOutcome::done) << result.message;
    EXPECT_LE(monotonic_now() - begun, 500 * kTestMs);
  }
  EXPECT_GE(keep_alives, 2);
  // None has come through: the lease is granted anew before it ends.
  for (int i = 0; i < 4; ++i) {
    usleep(600'000);  // in all, longer than a lease
    FleetWrite extension = extending(root_, result.nodes);
    extension.alive_ms = 2000;
    result = write(*through_, extension);
    ASSERT_EQ(result.outcome, StoreOutcome::done) << result.message;
    EXPECT_TRUE(seen(7, 7).nodes.at(0).alive) << i;
  }
}

// A ceiling can't be judged by a clock that isn't known.
TEST_F(EtcdFaultTest, without_a_date_there_is_no_clock) {
  proxy_.judge_by([](const std::string &) { return Fate::strip_date; });
  const auto store = open_hosts(proxy_.host());
  const StoreResult result = read(*store, 0, 9);
  ASSERT_EQ(result.outcome, StoreOutcome::done) << result.message;
  EXPECT_EQ(result.view.clock_us, 0);
  EXPECT_TRUE(result.view.root.exists);
  FleetWrite far = taking(root_, untaken(7, 1), incarnation(1));
  far.window_us = 1;
  far.ceiling_us = now_us() + 3'600'000'000;
  EXPECT_EQ(write(*store, far).outcome, StoreOutcome::done);
}

TEST_F(EtcdFaultTest, a_full_database_is_refused) {
  EtcdCluster cluster(1);
  cluster.start();
  const auto store = open(cluster);
  wait_until_ready(*store);
  const FleetRoot root = make_fleet(*store);
  // The alarm is what a full database raises.
  std::uint64_t member_id = 0;
  const EtcdAnswer status = cluster.ask("/v3/maintenance/status", "{}");
  ASSERT_TRUE(read_number(member(status.body.get(), "header"), "member_id", member_id));
  cluster.ask("/v3/maintenance/alarm", R"({"action":"ACTIVATE","alarm":"NOSPACE","memberID":")" +
                                           std::to_string(member_id) + R"("})");
  StoreResult result = write(*store, taking(root, untaken(7, 1), incarnation(1)));
  EXPECT_EQ(result.outcome, StoreOutcome::refused);
  EXPECT_NE(result.message.find("database space exceeded"), std::string::npos) << result.message;
  result = read(*store, 0, 9);
  EXPECT_EQ(result.outcome, StoreOutcome::done) << result.message;
  EXPECT_TRUE(result.view.nodes.empty());
}

// As where the gateway is switched off, or something else listens.
TEST_F(EtcdFaultTest, without_a_gateway_it_is_refused) {
  EtcdCluster cluster(1, {"--enable-grpc-gateway=false"});
  cluster.start();
  const auto store = open(cluster);
  StoreResult result;
  const std::int64_t begun = monotonic_now();
  do {
    result = read(*store, 0, 9, kTestSecond);
  } while (result.outcome == StoreOutcome::unknown && monotonic_now() - begun < 10 * kTestSecond);
  EXPECT_EQ(result.outcome, StoreOutcome::refused);
  EXPECT_NE(result.message.find("no v3 JSON gateway"), std::string::npos) << result.message;
}

}  // namespace
}  // namespace idgen
