#include "registry/local_registry.h"

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <string>

#include <unistd.h>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace idgen {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kSystem = 7449876543210987654u;

// In memory, where there is such a place: records are written some 100,000 times here,
// and it is not about how (durable_store_test).
fs::path scratch_place() {
  return access("/dev/shm", W_OK | X_OK) == 0 ? fs::path("/dev/shm") : fs::temp_directory_path();
}

class LocalRegistryTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (scratch_place() / "idgen-local-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    root_ = name;
  }
  void TearDown() override { fs::remove_all(root_); }

  std::string directory(const char *name = "data") const { return (root_ / name).string(); }
  void remove_data() const {
    fs::remove_all(directory());
    fs::remove(directory() + ".marker");
  }
  static Layout layout(std::string_view text = kDefaultLayout) {
    return parse_layout(text, parse_epoch(kDefaultEpoch).unix_us).layout;
  }
  // A registry and the file it keeps.
  struct Opened {
    Opened(const std::string &path, const Layout &layout)
        : file(path), registry(file, layout, LocalHost::here(kSystem)) {}
    RecordFile file;
    LocalRegistry registry;
    std::uint32_t node = 0;
  };
  Opened open(const char *name = "data", std::string_view text = kDefaultLayout) const {
    return {directory(name), layout(text)};
  }
  // Extends the node that was granted last, unless told otherwise.
  static RegistryReply ask(Opened &opened, RegistryRequest request) {
    if (request.ask == RegistryAsk::extend && request.node == 0) request.node = opened.node;
    const RegistryReply reply = ask(opened.registry, request);
    if (reply.outcome == RegistryOutcome::done) opened.node = reply.node;
    return reply;
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
    remove_data();
    Opened registry = open("data", "time:41 shard:1 sequence:12");
    const RegistryReply reply = ask(registry, acquire(1, 5000));
    ASSERT_EQ(reply.outcome, RegistryOutcome::done) << reply.message;
    EXPECT_EQ(reply.node, 1u);
    remove_data();
    Opened wide = open();
    nodes.insert(ask(wide, acquire(1, 5000)).node);
  }
  EXPECT_GT(nodes.size(), 10u);
  EXPECT_EQ(nodes.count(0), 0u);
}

TEST_F(LocalRegistryTest, the_floor_is_above_all_that_was_ever_promised) {
  Opened first = open();
  const RegistryReply one = ask(first, acquire(1, 5000));
  EXPECT_EQ(one.floor, 5000u);
  EXPECT_EQ(one.ceiling, 5200u);
  EXPECT_EQ(ask(first, extend(1, 9000)).ceiling, 9000u);
  // After a restart the clock may be behind.
  Opened second = open();
  const RegistryReply two = ask(second, acquire(2, 4000));
  EXPECT_EQ(two.node, one.node);
  EXPECT_EQ(two.floor, 9000u);
  EXPECT_EQ(two.ceiling, 9200u);
}

TEST_F(LocalRegistryTest, a_ceiling_never_goes_down) {
  Opened registry = open();
  ask(registry, acquire(1, 5000));
  ask(registry, extend(1, 9000));
  EXPECT_EQ(ask(registry, extend(1, 6000)).ceiling, 9000u);
  Opened again = open();
  EXPECT_EQ(ask(again, acquire(2, 0)).floor, 9000u);
}

TEST_F(LocalRegistryTest, extends_only_what_this_incarnation_holds) {
  Opened registry = open();
  EXPECT_EQ(ask(registry, extend(1, 9000)).outcome, RegistryOutcome::refused);
  ask(registry, acquire(1, 5000));
  EXPECT_EQ(ask(registry, extend(2, 9000)).outcome, RegistryOutcome::refused);
  RegistryRequest other = extend(1, 9000);
  other.node = registry.node + 1;
  EXPECT_EQ(ask(registry, other).outcome, RegistryOutcome::refused);
  EXPECT_EQ(ask(registry, extend(1, 9000)).outcome, RegistryOutcome::done);
}

TEST_F(LocalRegistryTest, resumes_only_its_own_node_and_no_further_than_published) {
  Opened first = open();
  const RegistryReply held = ask(first, acquire(1, 5000));
  RegistryRequest resume;
  resume.ask = RegistryAsk::resume;
  resume.incarnation.words = {1, 0};
  resume.node = held.node;
  resume.ceiling = held.ceiling - 50;
  Opened worker = open();
  const RegistryReply reply = ask(worker, resume);
  EXPECT_EQ(reply.outcome, RegistryOutcome::done);
  EXPECT_EQ(reply.ceiling, held.ceiling - 50) << "U3: what was read back is no ceiling";
  EXPECT_EQ(ask(worker, extend(1, 9000)).ceiling, 9000u);

  for (int what = 0; what < 3; ++what) {
    RegistryRequest wrong = resume;
    if (what == 0) wrong.incarnation.words = {2, 0};
    if (what == 1) wrong.node = held.node + 1;
    if (what == 2) wrong.ceiling = 20000;
    Opened other = open();
    EXPECT_EQ(ask(other, wrong).outcome, RegistryOutcome::refused) << what;
  }
}

TEST_F(LocalRegistryTest, a_copy_takes_another_node_and_no_copys_copy_returns) {
  std::set<std::uint32_t> used;
  std::string from = "data";
  Opened original = open();
  used.insert(ask(original, acquire(1, 5000)).node);
  for (int i = 0; i < 20; ++i) {
    const std::string to = "copy" + std::to_string(i);
    fs::copy(directory(from.c_str()), directory(to.c_str()));
    Opened copy = open(to.c_str());
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
  Opened original = open();
  ask(original, acquire(1, 5000));
  ask(original, extend(1, 9000));
  fs::copy(directory(), directory("copy"));
  Opened copy = open("copy");
  const RegistryReply reply = ask(copy, acquire(2, 5000));
  EXPECT_EQ(reply.floor, 9000u);
  EXPECT_EQ(reply.ceiling, 9200u);
}

TEST_F(LocalRegistryTest, a_copy_is_not_resumed) {
  Opened original = open();
  const RegistryReply held = ask(original, acquire(1, 5000));
  fs::copy(directory(), directory("copy"));
  RegistryRequest resume;
  resume.ask = RegistryAsk::resume;
  resume.incarnation.words = {1, 0};
  resume.node = held.node;
  resume.ceiling = held.ceiling;
  Opened copy = open("copy");
  EXPECT_EQ(ask(copy, resume).outcome, RegistryOutcome::refused);
}

TEST_F(LocalRegistryTest, a_node_is_drawn_in_the_region_asked_for) {
  RegistryRequest request = acquire(1, 5000);
  request.region = 5;
  Opened registry = open();
  const std::uint32_t node = ask(registry, request).node;
  EXPECT_EQ(node >> 7, 5u);
  Opened same = open();
  EXPECT_EQ(ask(same, request).node, node);
  // A node of another region than the one that is now configured is given up.
  request.region = 2;
  Opened moved = open();
  EXPECT_EQ(ask(moved, request).node >> 7, 2u);
  request.shard = 11;
  Opened pinned = open();
  EXPECT_EQ(ask(pinned, request).node, 2u << 7 | 11u);
}

// Every node that may be drawn is, with none that may not.
TEST_F(LocalRegistryTest, copies_draw_every_node_that_is_left) {
  std::set<std::uint32_t> drawn;
  for (int i = 0; i < 300; ++i) {
    fs::remove_all(root_);
    fs::create_directories(root_);
    Opened original = open("data", "time:41 shard:2 sequence:12");
    RegistryRequest pinned = acquire(1, 5000);
    pinned.shard = 2;
    ask(original, pinned);
    fs::copy(directory(), directory("copy"));
    Opened copy = open("copy", "time:41 shard:2 sequence:12");
    const RegistryReply reply = ask(copy, acquire(2, 5000));
    drawn.insert(reply.node);
    EXPECT_NE(reply.message.find("1 in 2"), std::string::npos) << reply.message;
  }
  EXPECT_EQ(drawn, (std::set<std::uint32_t>{1, 3}));
}

// On a file system where nothing tells an original, each start is a copy's.
TEST_F(LocalRegistryTest, without_a_node_left_the_ways_out_are_named_and_a_confirmation_is_one) {
  const std::string small = "time:41 shard:2 sequence:12";
  {
    Opened original = open("data", small);
    ASSERT_EQ(ask(original, acquire(1, 5000)).outcome, RegistryOutcome::done);
  }
  std::string last = directory();
  for (int i = 0; i < 2; ++i) {
    const std::string next = directory(("copy" + std::to_string(i)).c_str());
    fs::copy(last, next);
    last = next;
    Opened copy{next, layout(small)};
    ASSERT_EQ(ask(copy, acquire(2, 5000)).outcome, RegistryOutcome::done);
  }
  fs::copy(last, directory("full"));
  Opened full = open("full", small);
  RegistryRequest wanted = acquire(3, 7000);
  RegistryReply reply = ask(full, wanted);
  EXPECT_EQ(reply.outcome, RegistryOutcome::refused);
  for (const char *way : {"snowflake_confirm_copy()", "idgen.region", "layout", "fleet"}) {
    EXPECT_NE(reply.message.find(way), std::string::npos) << way << ": " << reply.message;
  }
  EXPECT_EQ(ask(full, wanted).outcome, RegistryOutcome::refused) << "not unless confirmed";
  wanted.confirmed = true;
  reply = ask(full, wanted);
  ASSERT_EQ(reply.outcome, RegistryOutcome::done) << reply.message;
  EXPECT_NE(reply.message.find("confirmed to be gone"), std::string::npos) << reply.message;
  EXPECT_GE(reply.floor, 7000u);
  EXPECT_NE(reply.node, 0u);
}

// A confirmation takes nothing from an original while there is a node that is free.
TEST_F(LocalRegistryTest, a_confirmation_brings_no_former_node_back_without_need) {
  const std::string small = "time:41 shard:2 sequence:12";
  for (int i = 0; i < 20; ++i) {
    fs::remove_all(root_);
    fs::create_directory(root_);
    Opened original = open("data", small);
    const std::uint32_t node = ask(original, acquire(1, 5000)).node;
    fs::copy(directory(), directory("copy"));
    Opened copy = open("copy", small);
    RegistryRequest wanted = acquire(2, 5000);
    wanted.confirmed = true;
    EXPECT_NE(ask(copy, wanted).node, node);
  }
}

TEST_F(LocalRegistryTest, a_copy_keeps_its_node_at_the_next_start) {
  Opened original = open();
  ask(original, acquire(1, 5000));
  fs::copy(directory(), directory("copy"));
  Opened copy = open("copy");
  const RegistryReply first = ask(copy, acquire(2, 5000));
  Opened again = open("copy");
  EXPECT_EQ(ask(again, acquire(3, 5000)).node, first.node);
}

TEST_F(LocalRegistryTest, a_copy_refuses_the_node_of_its_original_even_when_pinned) {
  Opened original = open();
  const std::uint32_t node = ask(original, acquire(1, 5000)).node;
  fs::copy(directory(), directory("copy"));
  RegistryRequest pinned = acquire(2, 5000);
  pinned.shard = node;
  Opened copy = open("copy");
  EXPECT_EQ(ask(copy, pinned).outcome, RegistryOutcome::refused);
  // And later too, after it has had a node of its own for a while.
  Opened free = open("copy");
  ASSERT_EQ(ask(free, acquire(3, 5000)).outcome, RegistryOutcome::done);
  Opened later = open("copy");
  EXPECT_EQ(ask(later, pinned).outcome, RegistryOutcome::refused);
}

// The confirmation is for this directory: it is kept, and no copy inherits it.
TEST_F(LocalRegistryTest, a_confirmed_copy_takes_the_pinned_node_for_good) {
  Opened original = open();
  const std::uint32_t node = ask(original, acquire(1, 5000)).node;
  fs::copy(directory(), directory("copy"));
  RegistryRequest pinned = acquire(2, 5000);
  pinned.shard = node;
  {
    Opened copy = open("copy");
    const RegistryReply refused = ask(copy, pinned);
    EXPECT_EQ(refused.outcome, RegistryOutcome::refused);
    EXPECT_NE(refused.message.find("snowflake_confirm_copy()"), std::string::npos);
    pinned.confirmed = true;
    const RegistryReply reply = ask(copy, pinned);
    ASSERT_EQ(reply.outcome, RegistryOutcome::done) << reply.message;
    EXPECT_EQ(reply.node, node);
    EXPECT_GE(reply.floor, 5200u) << "above the copied ceiling";
  }
  pinned.confirmed = false;
  pinned.incarnation.words = {3, 0};
  Opened again = open("copy");
  EXPECT_EQ(ask(again, pinned).outcome, RegistryOutcome::done);
  fs::copy(directory("copy"), directory("copy2"));
  Opened second = open("copy2");
  EXPECT_EQ(ask(second, pinned).outcome, RegistryOutcome::refused);
}

// The record may have named it once, and may have been lost or overwritten.
TEST_F(LocalRegistryTest, a_pinned_node_that_no_record_names_starts_ahead_of_the_clock) {
  RegistryRequest pinned = acquire(1, 5000);
  pinned.shard = 17;
  pinned.unvouched_tick = 68000;
  pinned.window = 1000;
  {
    Opened first = open();
    const RegistryReply reply = ask(first, pinned);
    ASSERT_EQ(reply.outcome, RegistryOutcome::done) << reply.message;
    EXPECT_EQ(reply.floor, 68000u);
    EXPECT_EQ(reply.raised, 63000u) << "so that the lead is no rollback";
    EXPECT_NE(reply.message.find("names node 17"), std::string::npos) << reply.message;
  }
  // From now on the record does.
  pinned.incarnation.words = {2, 0};
  pinned.unvouched_tick = 90000;
  {
    Opened again = open();
    const RegistryReply reply = ask(again, pinned);
    EXPECT_EQ(reply.floor, 68200u);
    EXPECT_EQ(reply.raised, 0u);
    // Another node is another matter; the one that was left is known.
    pinned.shard = 18;
    EXPECT_EQ(ask(again, pinned).floor, 90000u);
    pinned.shard = 17;
    pinned.unvouched_tick = 200000;
    EXPECT_EQ(ask(again, pinned).floor, 90200u);
  }
  // A block, of which one node is known.
  pinned.incarnation.words = {3, 0};
  pinned.shard = 16;
  pinned.log2_lanes = 1;
  Opened wider = open();
  EXPECT_EQ(ask(wider, pinned).floor, 200000u);
}

TEST_F(LocalRegistryTest, a_pinned_node_whose_record_was_overwritten_starts_ahead_of_the_clock) {
  RegistryRequest pinned = acquire(1, 5000);
  Opened other = open("other");
  pinned.shard = 18;
  ASSERT_EQ(ask(other, pinned).outcome, RegistryOutcome::done);
  Opened mine = open();
  pinned.shard = 17;
  ASSERT_EQ(ask(mine, pinned).outcome, RegistryOutcome::done);
  // As pg_rewind does.
  fs::copy(directory("other") + "/record", directory() + "/record",
           fs::copy_options::overwrite_existing);
  pinned.unvouched_tick = 68000;
  Opened rewound = open();
  const RegistryReply reply = ask(rewound, pinned);
  ASSERT_EQ(reply.outcome, RegistryOutcome::done) << reply.message;
  EXPECT_EQ(reply.floor, 68000u);
}

TEST_F(LocalRegistryTest, a_drawn_node_starts_at_the_clock) {
  RegistryRequest drawn = acquire(1, 5000);
  drawn.unvouched_tick = 68000;
  Opened first = open();
  EXPECT_EQ(ask(first, drawn).floor, 5000u);
}

// Also a node that the original had left for another when it was copied.
TEST_F(LocalRegistryTest, a_confirmed_copy_starts_above_every_ceiling_of_the_node) {
  Opened original = open();
  const std::uint32_t left = ask(original, acquire(1, 90000)).node;
  const std::uint64_t ceiling = ask(original, extend(1, 90700)).ceiling;
  RegistryRequest rotate = acquire(1, 50000);
  rotate.fresh = true;
  ASSERT_EQ(ask(original, rotate).outcome, RegistryOutcome::done);
  // A copy of a copy, which has had a node of its own.
  fs::copy(directory(), directory("first"));
  Opened first = open("first");
  ASSERT_EQ(ask(first, acquire(2, 50000)).outcome, RegistryOutcome::done);
  fs::copy(directory("first"), directory("second"));
  for (const char *name : {"first", "second"}) {
    Opened copy = open(name);
    RegistryRequest pinned = acquire(3, 51000);
    pinned.shard = left;
    EXPECT_EQ(ask(copy, pinned).outcome, RegistryOutcome::refused) << name;
    pinned.confirmed = true;
    const RegistryReply reply = ask(copy, pinned);
    ASSERT_EQ(reply.outcome, RegistryOutcome::done) << reply.message;
    EXPECT_EQ(reply.node, left);
    EXPECT_GT(reply.floor, ceiling) << name;
  }
}

TEST_F(LocalRegistryTest, a_rotation_that_could_not_follow_the_clock_is_refused) {
  Opened registry = open("data", "time:41 shard:10 sequence:12");
  ask(registry, acquire(1, 900000));
  RegistryRequest request = acquire(1, 0);
  request.fresh = true;
  // Each further back, until the list of nodes left overflows.
  int rotations = 0;
  for (std::uint64_t tick = 890000; tick > 100000; tick -= 3000, ++rotations) {
    request.issuing_tick = tick;
    request.latest = tick + 1000;
    const RegistryReply reply = ask(registry, request);
    if (reply.outcome == RegistryOutcome::refused) break;
    EXPECT_LE(reply.floor, request.latest);
  }
  EXPECT_EQ(rotations, 257) << "one more than the list holds";
  // Nothing was changed by it: the node is held, and later ones can be had.
  EXPECT_EQ(ask(registry, extend(1, 950000)).outcome, RegistryOutcome::done);
  request.issuing_tick = 960000;
  request.latest = 961000;
  EXPECT_EQ(ask(registry, request).outcome, RegistryOutcome::done);
}

TEST_F(LocalRegistryTest, says_what_an_earlier_run_left_of_the_time) {
  const auto look = [](Opened &opened) {
    RegistryRequest request;
    request.ask = RegistryAsk::look;
    return ask(opened, request);
  };
  Opened registry = open();
  EXPECT_EQ(look(registry).outcome, RegistryOutcome::done);
  EXPECT_FALSE(look(registry).evidence.known);
  EXPECT_FALSE(fs::exists(directory() + "/record")) << "looking changes nothing";
  RegistryRequest request = acquire(1, 5000);
  request.boottime = 111;
  request.issuing_ns = 222;
  request.window = 333;
  ask(registry, request);
  Opened later = open();
  EXPECT_EQ(look(later).evidence, (ClockEvidence{true, true, 111, 222, 333}));
  fs::copy(directory(), directory("copy"));
  Opened copy = open("copy");
  EXPECT_FALSE(look(copy).evidence.known) << "another machine's time";
  EXPECT_EQ(look(copy).evidence.window, 333) << "but it begins above the same ceiling";
  RecordFile file(directory());
  LocalHost rebooted = LocalHost::here(kSystem);
  rebooted.boot = "another";
  LocalRegistry after(file, layout(), rebooted);
  request.ask = RegistryAsk::look;
  EXPECT_EQ(ask(after, request).evidence, (ClockEvidence{true, false, 111, 222, 333}));
}

// A disk on which the rename shows, but its directory's fsync fails.
struct UnsureStore final : RecordStore {
  explicit UnsureStore(RecordStore &store) : file(store) {}
  Load load(OwnRecord &record, bool &copied, std::string &why) const override {
    return file.load(record, copied, why);
  }
  bool store(OwnRecord &record, std::string &why) override {
    return file.store(record, why) && sure;
  }
  RecordStore &file;
  bool sure = false;
};

TEST_F(LocalRegistryTest, a_boot_id_that_cannot_be_read_is_not_the_same_boot) {
  for (const char *boot : {"", "unknown", "4f1c"}) {
    RecordFile file(directory(boot));
    LocalHost host = LocalHost::here(kSystem);
    host.boot = boot;
    LocalRegistry first(file, layout(), host);
    ASSERT_EQ(ask(first, acquire(1, 5000)).outcome, RegistryOutcome::done);
    LocalRegistry second(file, layout(), host);
    RegistryRequest look;
    look.ask = RegistryAsk::look;
    const RegistryReply reply = ask(second, look);
    EXPECT_TRUE(reply.evidence.known);
    EXPECT_EQ(reply.evidence.same_boot, std::string("4f1c") == boot) << boot;
  }
}

TEST_F(LocalRegistryTest, tries_that_fail_do_not_carry_the_floor_away) {
  Opened before = open();
  const std::uint64_t ceiling = ask(before, acquire(1, 5000)).ceiling;
  RecordFile file(directory());
  UnsureStore store(file);
  LocalRegistry registry(store, layout(), LocalHost::here(kSystem));
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(ask(registry, acquire(2, 5000)).outcome, RegistryOutcome::failed);
  }
  store.sure = true;
  const RegistryReply reply = ask(registry, acquire(2, 5000));
  EXPECT_EQ(reply.outcome, RegistryOutcome::done);
  EXPECT_EQ(reply.floor, ceiling);
}

// Policy `rotate`.
TEST_F(LocalRegistryTest, a_fresh_node_starts_at_the_time_asked_for_and_the_old_one_is_remembered) {
  Opened registry = open();
  const std::uint32_t old = ask(registry, acquire(1, 50000)).node;
  ask(registry, extend(1, 59000));
  RegistryRequest request = acquire(1, 5000);
  request.fresh = true;
  const RegistryReply fresh = ask(registry, request);
  ASSERT_EQ(fresh.outcome, RegistryOutcome::done) << fresh.message;
  EXPECT_NE(fresh.node, old);
  EXPECT_EQ(fresh.floor, 5000u);
  EXPECT_EQ(fresh.ceiling, 5200u);
  // It is taken again strictly above its ceiling only: the word must not be set
  // back to an ID that could have been issued.
  RegistryRequest pinned = acquire(1, 6000);
  pinned.shard = old;
  const RegistryReply back = ask(registry, pinned);
  EXPECT_EQ(back.node, old);
  EXPECT_EQ(back.floor, 59001u);
  // A copy names them all.
  fs::copy(directory(), directory("copy"));
  Opened copy = open("copy");
  for (const std::uint32_t node : {old, fresh.node}) {
    RegistryRequest taken = acquire(2, 90000);
    taken.shard = node;
    EXPECT_EQ(ask(copy, taken).outcome, RegistryOutcome::refused) << node;
  }
}

TEST_F(LocalRegistryTest, a_pinned_node_is_not_rotated) {
  Opened registry = open();
  RegistryRequest request = acquire(1, 50000);
  request.shard = 5;
  ask(registry, request);
  request.fresh = true;
  EXPECT_EQ(ask(registry, request).outcome, RegistryOutcome::refused);
  request.fresh = false;
  EXPECT_EQ(ask(registry, request).outcome, RegistryOutcome::done) << "it is still held";
}

TEST_F(LocalRegistryTest, rotation_ends_when_every_node_was_held_at_later_times) {
  Opened registry = open("data", "time:41 shard:2 sequence:12");
  ask(registry, acquire(1, 90000));
  RegistryRequest request = acquire(1, 0);
  request.fresh = true;
  std::set<std::uint32_t> nodes;
  for (std::uint64_t tick = 80000; tick >= 70000; tick -= 10000) {
    request.issuing_tick = tick;
    const RegistryReply reply = ask(registry, request);
    ASSERT_EQ(reply.outcome, RegistryOutcome::done) << reply.message;
    nodes.insert(reply.node);
  }
  EXPECT_EQ(nodes.size(), 2u);
  request.issuing_tick = 60000;
  EXPECT_EQ(ask(registry, request).outcome, RegistryOutcome::refused);
  // Above what they were left with, they may be had again.
  request.issuing_tick = 100000;
  const RegistryReply again = ask(registry, request);
  EXPECT_EQ(again.outcome, RegistryOutcome::done) << again.message;
}

// U4, for each node, whatever is asked: nobody is given a window that he or
// somebody else of this directory was given before.
RC_GTEST_FIXTURE_PROP(LocalRegistryTest, windows_of_a_node_never_overlap, ()) {
  fs::remove_all(root_);
  fs::create_directories(root_);
  // So few and so many that the list of nodes left overflows.
  auto opened = std::make_unique<Opened>(directory(), layout("time:41 shard:8 sequence:12"));
  std::map<std::uint32_t, std::uint64_t> highest;
  std::uint64_t incarnation = 1;
  std::uint64_t ceiling = 0;
  std::uint32_t current = 0;
  bool held = false;
  const auto steps = *rc::gen::inRange(1, 150);
  for (int i = 0; i < steps; ++i) {
    const auto what = *rc::gen::inRange(0, 8);
    if (what == 0) {
      opened = std::make_unique<Opened>(directory(), layout("time:41 shard:8 sequence:12"));
      ++incarnation;
      held = false;
    }
    if (what == 1 && held) {
      ceiling = ask(*opened, extend(incarnation, ceiling + 100)).ceiling;
      highest[current] = ceiling;
      continue;
    }
    RegistryRequest request = acquire(incarnation, *rc::gen::inRange<std::uint64_t>(1, 100000));
    request.fresh = held && what > 3;
    if (what == 2) request.shard = *rc::gen::inRange(0, 256);
    const RegistryReply reply = ask(*opened, request);
    if (reply.outcome != RegistryOutcome::done) continue;
    RC_ASSERT(reply.floor >= highest[reply.node]);
    highest[reply.node] = ceiling = reply.ceiling;
    current = reply.node;
    held = true;
  }
}

TEST_F(LocalRegistryTest, a_region_that_has_node_0_only_says_what_to_set) {
  Opened registry = open("data", "time:41 region:10 sequence:12");
  const RegistryReply reply = ask(registry, acquire(1, 5000));
  EXPECT_EQ(reply.outcome, RegistryOutcome::refused);
  EXPECT_NE(reply.message.find("set idgen.region"), std::string::npos) << reply.message;
  RegistryRequest other = acquire(1, 5000);
  other.region = 1;
  EXPECT_EQ(ask(registry, other).node, 1u);
}

TEST_F(LocalRegistryTest, another_layout_is_refused) {
  Opened registry = open();
  ask(registry, acquire(1, 5000));
  Opened other = open("data", "time:41 shard:10 sequence:12");
  const RegistryReply reply = ask(other, acquire(2, 5000));
  EXPECT_EQ(reply.outcome, RegistryOutcome::layout_mismatch);
  EXPECT_NE(reply.recorded_layout.find(kDefaultLayout), std::string::npos);
}

TEST_F(LocalRegistryTest, another_epoch_is_another_layout) {
  Opened registry = open();
  ask(registry, acquire(1, 5000));
  Opened other(directory(), parse_layout(kDefaultLayout, parse_epoch("2024-01-01").unix_us).layout);
  const RegistryReply reply = ask(other, acquire(2, 5000));
  EXPECT_EQ(reply.outcome, RegistryOutcome::layout_mismatch);
  EXPECT_NE(reply.recorded_layout.find(kDefaultEpoch), std::string::npos);
}

TEST_F(LocalRegistryTest, a_damaged_record_is_refused_not_replaced) {
  Opened registry = open();
  ask(registry, acquire(1, 5000));
  std::ofstream(directory() + "/record", std::ios::app) << "x";
  Opened other = open();
  EXPECT_EQ(ask(other, acquire(2, 5000)).outcome, RegistryOutcome::refused);
}

TEST_F(LocalRegistryTest, the_end_of_the_time_field_is_refused_not_wrapped) {
  Opened registry = open("data", "time:13 shard:4 sequence:12");
  EXPECT_EQ(ask(registry, acquire(1, 8000)).ceiling, 8191u);
  Opened again = open("data", "time:13 shard:4 sequence:12");
  EXPECT_EQ(ask(again, acquire(2, 8000)).outcome, RegistryOutcome::exhausted);
}

TEST_F(LocalRegistryTest, a_rotation_takes_another_node_above_the_ceiling_of_the_old) {
  Opened registry = open();
  ASSERT_EQ(ask(registry, acquire(1, 5000)).outcome, RegistryOutcome::done);
  const std::uint32_t old = registry.node;
  RegistryRequest wanted = acquire(1, 5100);
  wanted.another = true;
  const RegistryReply reply = ask(registry, wanted);
  ASSERT_EQ(reply.outcome, RegistryOutcome::done) << reply.message;
  EXPECT_NE(reply.node, old);
  EXPECT_EQ(reply.floor, 5200u);
  wanted.shard = 5;
  EXPECT_EQ(ask(registry, wanted).outcome, RegistryOutcome::refused);
  RegistryRequest release = acquire(1, 5300);
  release.ask = RegistryAsk::release;
  release.node = old;
  EXPECT_EQ(ask(registry, release).outcome, RegistryOutcome::done);
}

TEST_F(LocalRegistryTest, has_no_fleet) {
  Opened registry = open();
  for (const RegistryAsk what : {RegistryAsk::list, RegistryAsk::raise, RegistryAsk::retire}) {
    RegistryRequest request = acquire(1, 5000);
    request.ask = what;
    EXPECT_EQ(ask(registry, request).outcome, RegistryOutcome::refused);
  }
}

// --- lanes ---------------------------------------------------------------------

TEST_F(LocalRegistryTest, an_aligned_block_is_drawn_but_never_the_one_with_node_0) {
  std::set<std::uint32_t> nodes;
  for (int i = 0; i < 40; ++i) {
    remove_data();
    Opened registry = open("data", "time:41 shard:5 sequence:12");
    RegistryRequest request = acquire(1, 5000);
    request.log2_lanes = 3;
    const RegistryReply reply = ask(registry, request);
    ASSERT_EQ(reply.outcome, RegistryOutcome::done) << reply.message;
    EXPECT_EQ(reply.log2_lanes, 3u);
    EXPECT_EQ(reply.node % 8, 0u);
    nodes.insert(reply.node);
  }
  EXPECT_EQ(nodes, (std::set<std::uint32_t>{8, 16, 24}));
  // All nodes: one of them is node 0.
  remove_data();
  Opened registry = open("data", "time:41 shard:5 sequence:12");
  RegistryRequest request = acquire(1, 5000);
  request.log2_lanes = 5;
  EXPECT_EQ(ask(registry, request).outcome, RegistryOutcome::refused);
  request.shard = 0;
  EXPECT_EQ(ask(registry, request).outcome, RegistryOutcome::done);
}

TEST_F(LocalRegistryTest, a_block_is_kept_extended_and_resumed_as_one) {
  std::uint32_t node = 0;
  {
    Opened registry = open();
    RegistryRequest request = acquire(1, 5000);
    request.log2_lanes = 6;
    node = ask(registry, request).node;
    RegistryRequest more = extend(1, 9000);
    EXPECT_EQ(ask(registry, more).outcome, RegistryOutcome::refused) << "of so many lanes";
    more.log2_lanes = 6;
    const RegistryReply extended = ask(registry, more);
    EXPECT_EQ(extended.outcome, RegistryOutcome::done);
    EXPECT_EQ(extended.log2_lanes, 6u);
  }
  Opened again = open();
  RegistryRequest resume = acquire(1, 0);
  resume.ask = RegistryAsk::resume;
  resume.node = node;
  resume.ceiling = 9000;
  EXPECT_EQ(ask(again, resume).outcome, RegistryOutcome::refused) << "of so many lanes";
  resume.log2_lanes = 6;
  const RegistryReply resumed = ask(again, resume);
  EXPECT_EQ(resumed.outcome, RegistryOutcome::done);
  EXPECT_EQ(resumed.log2_lanes, 6u);
  Opened restarted = open();
  RegistryRequest request = acquire(2, 5000);
  request.log2_lanes = 6;
  const RegistryReply reply = ask(restarted, request);
  EXPECT_EQ(reply.node, node);
  EXPECT_EQ(reply.floor, 9000u);
}

// U4, U5: with other lanes than before, each node's ceiling is remembered.
TEST_F(LocalRegistryTest, other_lanes_are_other_nodes_above_all_that_was_promised) {
  std::map<std::uint32_t, std::uint64_t> ceilings;
  std::uint64_t highest = 0;
  for (const unsigned lanes : {0u, 2u, 5u, 0u, 3u, 3u, 1u, 6u, 0u, 4u}) {
    Opened registry = open("data", "time:41 shard:7 sequence:12");
    RegistryRequest request = acquire(1 + highest, 100);
    request.log2_lanes = static_cast<std::uint8_t>(lanes);
    const RegistryReply reply = ask(registry, request);
    ASSERT_EQ(reply.outcome, RegistryOutcome::done) << reply.message;
    EXPECT_EQ(reply.node % (1u << lanes), 0u);
    EXPECT_GE(reply.floor, highest);
    for (unsigned i = 0; i < 1u << lanes; ++i) {
      EXPECT_GE(reply.floor, ceilings[reply.node + i]);
      ceilings[reply.node + i] = reply.ceiling;
    }
    highest = reply.ceiling;
  }
}

// Policy `rotate`: each block back in time is free of what the later ones were promised.
TEST_F(LocalRegistryTest, rotation_of_blocks_never_comes_back_to_a_node_with_a_later_ceiling) {
  Opened registry = open("data", "time:41 shard:7 sequence:12");
  RegistryRequest request = acquire(1, 900000);
  request.log2_lanes = 4;
  RegistryReply reply = ask(registry, request);
  std::set<std::uint32_t> blocks = {reply.node};
  request.fresh = true;
  for (std::uint64_t tick = 800000; tick >= 300000; tick -= 100000) {
    request.issuing_tick = tick;
    request.latest = tick + 1000;
    reply = ask(registry, request);
    ASSERT_EQ(reply.outcome, RegistryOutcome::done) << reply.message;
    EXPECT_EQ(reply.node % 16, 0u);
    EXPECT_TRUE(blocks.insert(reply.node).second) << "block " << reply.node << " again";
  }
  EXPECT_EQ(blocks.size(), 7u) << "all but the one with node 0";
  request.issuing_tick = 200000;
  request.latest = 201000;
  EXPECT_EQ(ask(registry, request).outcome, RegistryOutcome::refused);
}

TEST_F(LocalRegistryTest, a_copy_takes_no_node_of_the_blocks_its_original_has_held) {
  for (const unsigned lanes : {0u, 1u, 4u}) {
    for (int i = 0; i < 10; ++i) {
      remove_data();
      fs::remove_all(directory("copy"));
      fs::remove(directory("copy") + ".marker");
      std::uint32_t node = 0;
      {
        Opened original = open("data", "time:41 shard:5 sequence:12");
        RegistryRequest request = acquire(1, 5000);
        request.log2_lanes = 3;
        node = ask(original, request).node;
      }
      fs::copy(directory(), directory("copy"));
      Opened copy = open("copy", "time:41 shard:5 sequence:12");
      RegistryRequest request = acquire(2, 6000);
      request.log2_lanes = static_cast<std::uint8_t>(lanes);
      const RegistryReply reply = ask(copy, request);
      if (lanes == 4) {  // of two blocks one has node 0
        if (node >= 16) {
          EXPECT_EQ(reply.outcome, RegistryOutcome::refused);
          continue;
        }
      }
      ASSERT_EQ(reply.outcome, RegistryOutcome::done) << reply.message;
      for (std::uint32_t n = reply.node; n < reply.node + (1u << lanes); ++n) {
        EXPECT_NE(n / 8, node / 8);
      }
      RegistryRequest pinned = acquire(3, 7000);
      pinned.shard = node + 5;
      EXPECT_EQ(ask(copy, pinned).outcome, RegistryOutcome::refused);
    }
  }
}

}  // namespace
}  // namespace idgen
