// The layouts of others that the extension ships, as they stand in its install
// script, against IDs whose parts have been published (shared knowledge of the
// field; docs/reference.md says how far each is known).

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <regex>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "idgen/layout.h"

namespace idgen {
namespace {

using Presets = std::map<std::string, Layout>;

// Rows of kind 'p' of the install script: ('name', 'definition', 'epoch', ...).
Presets shipped() {
  std::ifstream file(IDGEN_INSTALL_SCRIPT);
  const std::string script{std::istreambuf_iterator<char>(file), {}};
  static const std::regex row(
      R"re(\('(\w+)', '((?:sign|time|region|shard|sequence)[^']*)', '([^']*)',)re");
  Presets presets;
  for (std::sregex_iterator at(script.begin(), script.end(), row), end; at != end; ++at) {
    const EpochParse epoch = parse_epoch((*at)[3].str());
    const std::string definition = (*at)[2];
    const LayoutParse parse = parse_layout(definition, epoch.unix_us);
    EXPECT_TRUE(epoch.ok && parse.ok()) << (*at)[0];
    presets.emplace((*at)[1], parse.layout);
  }
  return presets;
}

struct Known {
  const char *name;
  std::int64_t id;
  std::int64_t unix_ms;
  std::int64_t tolerance_ms;  // what is known of the time, where it isn't exact
  std::uint32_t node;
  std::uint32_t sequence;
};

constexpr std::int64_t kDayMs = 86400000;
constexpr std::uint32_t kAny = ~0u;

const Known kKnown[] = {
    {"twitter", 1541815603606036480, 1656432460105, 0, 378, 0},
    {"discord", 105484726235607040, 1445219918546, 0, kAny, kAny},
    {"discord", 937847820382261308, 1643670744749, 0, 1 * 32 + 5, 60},
    {"discord", 175928847299117063, 1462015105796, 0, 1 * 32 + 0, 7},
    {"instagram", 1949525278281554174, 1546621545106, kDayMs, kAny, kAny},
    {"mastodon", 103270115826048975, 1575776913849, 52, 0, kAny},
    {"sonyflake_v1", 600114305433927938, 1767225600000, 0, 258, 5},
    {"sonyflake_v2", 52908628377927938, 1767225600000, 0, 258, 5},
    {"baidu", 9185265162859347977, 1731000000000, 0, 4, 9},
    {"baidu_readme", 180363646902239241, 1484799346000, 0, 4, 9},
    {"leaf", 2006515713438658569, 1767225600000, 0, 3, 9},
    {"seata_legacy", 308351234998353920, 1661951863312, 0, kAny, kAny},
    {"seata", 180462466153357319, 1666189364682, 0, 20, 7},
    {"tsid", 38352658567418867, 1586980786360, 0, kAny, kAny},
    {"pgedge_v1", 136169504773242881, 1704996539845, 0, 1, 0},
    {"pgedge", 170505378935607296, 1713182850175, 0, 1, 0},
    {"cockroach", 148656994422095873, 1465436914411, 0, 1, 0},
    {"tidb_tso", 443852055297916932, 1693161221687, 0, 0, 4},
    {"katsubushi", 283890203179880448, 1487755098863, 0, kAny, kAny},
};

TEST(Presets, are_the_ones_that_are_documented) {
  std::set<std::string> names;
  for (const auto &[name, layout] : shipped()) names.insert(name);
  EXPECT_EQ(names,
            (std::set<std::string>{"baidu", "baidu_readme", "cockroach", "discord", "hazelcast",
                                   "instagram", "js53", "katsubushi", "leaf", "mastodon", "pgedge",
                                   "pgedge_v1", "seata", "seata_legacy", "sonyflake_v1",
                                   "sonyflake_v2", "tidb_tso", "tsid", "twitter"}));
}

TEST(Presets, read_ids_that_are_published) {
  const Presets presets = shipped();
  std::set<std::string> unknown = {"hazelcast", "js53"};  // no pair is known of these
  for (const auto &[name, layout] : presets) {
    const bool tried =
        std::any_of(std::begin(kKnown), std::end(kKnown),
                    [&wanted = name](const Known &known) { return known.name == wanted; });
    EXPECT_NE(tried, unknown.count(name) == 1) << name;
  }
  for (const Known &known : kKnown) {
    ASSERT_EQ(presets.count(known.name), 1u) << known.name;
    const Layout &layout = presets.at(known.name);
    const Parts parts = decode(layout, known.id);
    ASSERT_EQ(parts.fault, Fault::none) << known.name;
    const std::int64_t ms = tick_start_us(layout, parts.tick) / 1000;
    EXPECT_NEAR(static_cast<double>(ms - known.unix_ms), 0, static_cast<double>(known.tolerance_ms))
        << known.name << " " << known.id << " " << ms;
    if (known.node != kAny) {
      EXPECT_EQ(parts.node, known.node) << known.name;
    }
    if (known.sequence != kAny) {
      EXPECT_EQ(parts.sequence, known.sequence) << known.name;
    }
  }
}

TEST(Presets, give_back_a_million_random_ids_each) {
  std::mt19937_64 random(20260101);  // NOLINT(cert-msc32-c,cert-msc51-cpp): repeatable
  for (const auto &[name, layout] : shipped()) {
    const unsigned spare = 64 - layout.total_width();
    for (int i = 0; i < 1'000'000; ++i) {
      const auto id = static_cast<std::int64_t>(random() >> spare);
      const Parts parts = decode(layout, id);
      ASSERT_EQ(parts.fault, Fault::none) << name << " " << id;
      const IdResult again =
          encode(layout, tick_start_us(layout, parts.tick), parts.node, parts.sequence);
      ASSERT_TRUE(again.fault == Fault::none && again.id == id) << name << " " << id;
    }
  }
}

TEST(Presets, refuse_every_field_that_is_too_wide) {
  for (const auto &[name, layout] : shipped()) {
    const std::int64_t instant = layout.epoch_us;
    const auto max_node = static_cast<std::int64_t>(layout.max_node());
    const auto max_sequence = static_cast<std::int64_t>(layout.sequence.max());
    const auto max_region = static_cast<std::int64_t>(layout.region.max());
    const auto max_shard = static_cast<std::int64_t>(layout.shard.max());
    EXPECT_EQ(encode(layout, instant, max_node, max_sequence).fault, Fault::none) << name;
    EXPECT_EQ(encode(layout, instant, max_node + 1, 0).fault, Fault::node_too_wide) << name;
    EXPECT_EQ(encode(layout, instant, -1, 0).fault, Fault::node_too_wide) << name;
    EXPECT_EQ(encode(layout, instant, 0, max_sequence + 1).fault, Fault::sequence_too_wide) << name;
    EXPECT_EQ(encode(layout, instant, 0, -1).fault, Fault::sequence_too_wide) << name;
    EXPECT_EQ(node_of(layout, max_region + 1, 0).fault, Fault::region_too_wide) << name;
    EXPECT_EQ(node_of(layout, 0, max_shard + 1).fault, Fault::shard_too_wide) << name;
    EXPECT_EQ(encode(layout, layout.end_us(), 0, 0).fault, Fault::past_end) << name;
    EXPECT_EQ(encode(layout, layout.epoch_us - 1, 0, 0).fault, Fault::before_epoch) << name;
    if (layout.total_width() < 64) {
      const auto beyond = static_cast<std::int64_t>(std::uint64_t{1} << layout.total_width());
      EXPECT_NE(decode(layout, beyond).fault, Fault::none) << name;
      EXPECT_EQ(decode(layout, -1).fault, Fault::negative) << name;
    }
  }
}

}  // namespace
}  // namespace idgen
