#include "registry/local_registry.h"

#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include <unistd.h>

#include <gtest/gtest.h>

namespace idgen {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kSystem = 7449876543210987654u;

class LocalRegistryTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "idgen-local-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    root_ = name;
  }
  void TearDown() override { fs::remove_all(root_); }

  std::string directory(const char *name = "data") const { return (root_ / name).string(); }
  static Layout layout(std::string_view text = kDefaultLayout) {
    return parse_layout(text, parse_epoch(kDefaultEpoch).unix_us).layout;
  }
  LocalRegistry open(const char *name = "data", std::string_view text = kDefaultLayout) const {
    return {directory(name), layout(text), kSystem};
  }
  static RegistryReply ask(LocalRegistry &registry, const RegistryRequest &request) {
    RegistryReply reply;
    registry.begin(request);
    EXPECT_TRUE(registry.poll(reply));
    RegistryReply none;
    EXPECT_FALSE(registry.poll(none)) << "a reply comes once";
    EXPECT_EQ(reply.ask, request.ask);
    return reply;
  }
  static RegistryRequest acquire(std::uint64_t incarnation, std::uint64_t tick) {
    RegistryRequest request;
    request.ask = RegistryAsk::acquire;
    request.incarnation.words = {incarnation, 0};
    request.issuing_tick = tick;
    request.ticks = 200;
    return request;
  }
  static RegistryRequest extend(std::uint64_t incarnation, std::uint64_t ceiling) {
    RegistryRequest request;
    request.ask = RegistryAsk::extend;
    request.incarnation.words = {incarnation, 0};
    request.ceiling = ceiling;
    return request;
  }

  fs::path root_;
};

TEST_F(LocalRegistryTest, a_first_start_draws_a_node_but_never_0) {
  std::set<std::uint32_t> nodes;
  for (int i = 0; i < 30; ++i) {
    fs::remove_all(directory());
    LocalRegistry registry = open("data", "time:41 shard:1 sequence:12");
    const RegistryReply reply = ask(registry, acquire(1, 5000));
    ASSERT_EQ(reply.outcome, RegistryOutcome::done) << reply.message;
    EXPECT_EQ(reply.node, 1u);
    fs::remove_all(directory());
    LocalRegistry wide = open();
    nodes.insert(ask(wide, acquire(1, 5000)).node);
  }
  EXPECT_GT(nodes.size(), 10u);
  EXPECT_EQ(nodes.count(0), 0u);
}

TEST_F(LocalRegistryTest, the_floor_is_above_all_that_was_ever_promised) {
  LocalRegistry first = open();
  const RegistryReply one = ask(first, acquire(1, 5000));
  EXPECT_EQ(one.floor, 5000u);
  EXPECT_EQ(one.ceiling, 5200u);
  EXPECT_EQ(ask(first, extend(1, 9000)).ceiling, 9000u);
  // After a restart the clock may be behind.
  LocalRegistry second = open();
  const RegistryReply two = ask(second, acquire(2, 4000));
  EXPECT_EQ(two.node, one.node);
  EXPECT_EQ(two.floor, 9000u);
  EXPECT_EQ(two.ceiling, 9200u);
}

TEST_F(LocalRegistryTest, a_ceiling_never_goes_down) {
  LocalRegistry registry = open();
  ask(registry, acquire(1, 5000));
  ask(registry, extend(1, 9000));
  EXPECT_EQ(ask(registry, extend(1, 6000)).ceiling, 9000u);
  LocalRegistry again = open();
  EXPECT_EQ(ask(again, acquire(2, 0)).floor, 9000u);
}

TEST_F(LocalRegistryTest, extends_only_what_this_incarnation_holds) {
  LocalRegistry registry = open();
  EXPECT_EQ(ask(registry, extend(1, 9000)).outcome, RegistryOutcome::refused);
  ask(registry, acquire(1, 5000));
  EXPECT_EQ(ask(registry, extend(2, 9000)).outcome, RegistryOutcome::refused);
}

TEST_F(LocalRegistryTest, resumes_only_its_own_node_and_no_further_than_published) {
  LocalRegistry first = open();
  const RegistryReply held = ask(first, acquire(1, 5000));
  RegistryRequest resume;
  resume.ask = RegistryAsk::resume;
  resume.incarnation.words = {1, 0};
  resume.node = held.node;
  resume.ceiling = held.ceiling - 50;
  LocalRegistry worker = open();
  const RegistryReply reply = ask(worker, resume);
  EXPECT_EQ(reply.outcome, RegistryOutcome::done);
  EXPECT_EQ(reply.ceiling, held.ceiling - 50) << "U3: what was read back is no ceiling";
  EXPECT_EQ(ask(worker, extend(1, 9000)).ceiling, 9000u);

  for (int what = 0; what < 3; ++what) {
    RegistryRequest wrong = resume;
    if (what == 0) wrong.incarnation.words = {2, 0};
    if (what == 1) wrong.node = held.node + 1;
    if (what == 2) wrong.ceiling = 20000;
    LocalRegistry other = open();
    EXPECT_EQ(ask(other, wrong).outcome, RegistryOutcome::refused) << what;
  }
}

TEST_F(LocalRegistryTest, a_copy_takes_another_node_and_no_copys_copy_returns) {
  std::set<std::uint32_t> used;
  std::string from = "data";
  LocalRegistry original = open();
  used.insert(ask(original, acquire(1, 5000)).node);
  for (int i = 0; i < 20; ++i) {
    const std::string to = "copy" + std::to_string(i);
    fs::copy(directory(from.c_str()), directory(to.c_str()));
    LocalRegistry copy = open(to.c_str());
    const RegistryReply reply = ask(copy, acquire(100 + static_cast<std::uint64_t>(i), 5000));
    ASSERT_EQ(reply.outcome, RegistryOutcome::done) << reply.message;
    EXPECT_TRUE(used.insert(reply.node).second) << "node " << reply.node << " again";
    EXPECT_NE(reply.message.find("copy"), std::string::npos);
    from = to;
  }
}

// A copied record is a floor as any other: the copy goes on behind what the
// original had promised when it was taken.
TEST_F(LocalRegistryTest, a_copy_starts_at_the_ceiling_it_was_copied_with) {
  LocalRegistry original = open();
  ask(original, acquire(1, 5000));
  ask(original, extend(1, 9000));
  fs::copy(directory(), directory("copy"));
  LocalRegistry copy = open("copy");
  const RegistryReply reply = ask(copy, acquire(2, 5000));
  EXPECT_EQ(reply.floor, 9000u);
  EXPECT_EQ(reply.ceiling, 9200u);
}

TEST_F(LocalRegistryTest, a_copy_is_not_resumed) {
  LocalRegistry original = open();
  const RegistryReply held = ask(original, acquire(1, 5000));
  fs::copy(directory(), directory("copy"));
  RegistryRequest resume;
  resume.ask = RegistryAsk::resume;
  resume.incarnation.words = {1, 0};
  resume.node = held.node;
  resume.ceiling = held.ceiling;
  LocalRegistry copy = open("copy");
  EXPECT_EQ(ask(copy, resume).outcome, RegistryOutcome::refused);
}

TEST_F(LocalRegistryTest, a_node_is_drawn_in_the_region_asked_for) {
  RegistryRequest request = acquire(1, 5000);
  request.region = 5;
  LocalRegistry registry = open();
  const std::uint32_t node = ask(registry, request).node;
  EXPECT_EQ(node >> 7, 5u);
  LocalRegistry same = open();
  EXPECT_EQ(ask(same, request).node, node);
  // A node of another region than the one that is now configured is given up.
  request.region = 2;
  LocalRegistry moved = open();
  EXPECT_EQ(ask(moved, request).node >> 7, 2u);
  request.shard = 11;
  LocalRegistry pinned = open();
  EXPECT_EQ(ask(pinned, request).node, 2u << 7 | 11u);
}

// Every node that may be drawn is, with none that may not.
TEST_F(LocalRegistryTest, copies_draw_every_node_that_is_left) {
  std::set<std::uint32_t> drawn;
  for (int i = 0; i < 300; ++i) {
    fs::remove_all(root_);
    fs::create_directories(root_);
    LocalRegistry original = open("data", "time:41 shard:2 sequence:12");
    RegistryRequest pinned = acquire(1, 5000);
    pinned.shard = 2;
    ask(original, pinned);
    fs::copy(directory(), directory("copy"));
    LocalRegistry copy = open("copy", "time:41 shard:2 sequence:12");
    const RegistryReply reply = ask(copy, acquire(2, 5000));
    drawn.insert(reply.node);
    EXPECT_NE(reply.message.find("1 in 2"), std::string::npos) << reply.message;
  }
  EXPECT_EQ(drawn, (std::set<std::uint32_t>{1, 3}));
}

TEST_F(LocalRegistryTest, a_copy_keeps_its_node_at_the_next_start) {
  LocalRegistry original = open();
  ask(original, acquire(1, 5000));
  fs::copy(directory(), directory("copy"));
  LocalRegistry copy = open("copy");
  const RegistryReply first = ask(copy, acquire(2, 5000));
  LocalRegistry again = open("copy");
  EXPECT_EQ(ask(again, acquire(3, 5000)).node, first.node);
}

TEST_F(LocalRegistryTest, a_copy_refuses_the_node_of_its_original_even_when_pinned) {
  LocalRegistry original = open();
  const std::uint32_t node = ask(original, acquire(1, 5000)).node;
  fs::copy(directory(), directory("copy"));
  RegistryRequest pinned = acquire(2, 5000);
  pinned.shard = node;
  LocalRegistry copy = open("copy");
  EXPECT_EQ(ask(copy, pinned).outcome, RegistryOutcome::refused);
  // And later too, after it has had a node of its own for a while.
  LocalRegistry free = open("copy");
  ASSERT_EQ(ask(free, acquire(3, 5000)).outcome, RegistryOutcome::done);
  LocalRegistry later = open("copy");
  EXPECT_EQ(ask(later, pinned).outcome, RegistryOutcome::refused);
}

TEST_F(LocalRegistryTest, a_region_that_has_node_0_only_says_what_to_set) {
  LocalRegistry registry = open("data", "time:41 region:10 sequence:12");
  const RegistryReply reply = ask(registry, acquire(1, 5000));
  EXPECT_EQ(reply.outcome, RegistryOutcome::refused);
  EXPECT_NE(reply.message.find("set idgen.region"), std::string::npos) << reply.message;
  RegistryRequest other = acquire(1, 5000);
  other.region = 1;
  EXPECT_EQ(ask(registry, other).node, 1u);
}

TEST_F(LocalRegistryTest, another_layout_is_refused) {
  LocalRegistry registry = open();
  ask(registry, acquire(1, 5000));
  LocalRegistry other = open("data", "time:41 shard:10 sequence:12");
  const RegistryReply reply = ask(other, acquire(2, 5000));
  EXPECT_EQ(reply.outcome, RegistryOutcome::layout_mismatch);
  EXPECT_NE(reply.recorded_layout.find(kDefaultLayout), std::string::npos);
}

TEST_F(LocalRegistryTest, another_epoch_is_another_layout) {
  LocalRegistry registry = open();
  ask(registry, acquire(1, 5000));
  LocalRegistry other(
      directory(), parse_layout(kDefaultLayout, parse_epoch("2024-01-01").unix_us).layout, kSystem);
  const RegistryReply reply = ask(other, acquire(2, 5000));
  EXPECT_EQ(reply.outcome, RegistryOutcome::layout_mismatch);
  EXPECT_NE(reply.recorded_layout.find(kDefaultEpoch), std::string::npos);
}

TEST_F(LocalRegistryTest, a_damaged_record_is_refused_not_replaced) {
  LocalRegistry registry = open();
  ask(registry, acquire(1, 5000));
  std::ofstream(directory() + "/record", std::ios::app) << "x";
  LocalRegistry other = open();
  EXPECT_EQ(ask(other, acquire(2, 5000)).outcome, RegistryOutcome::refused);
}

TEST_F(LocalRegistryTest, the_end_of_the_time_field_is_refused_not_wrapped) {
  LocalRegistry registry = open("data", "time:13 shard:4 sequence:12");
  EXPECT_EQ(ask(registry, acquire(1, 8000)).ceiling, 8191u);
  LocalRegistry again = open("data", "time:13 shard:4 sequence:12");
  EXPECT_EQ(ask(again, acquire(2, 8000)).outcome, RegistryOutcome::exhausted);
}

}  // namespace
}  // namespace idgen
