#include "idgen/layout.h"

#include <cstdint>
#include <limits>
#include <string>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "layouts.h"

namespace idgen {
namespace {

using test::any_id;
using test::any_instant;
using test::kEpoch2025Us;
using test::parsed;
using test::valid_definition;

constexpr std::int64_t kMaxInt64 = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMinInt64 = std::numeric_limits<std::int64_t>::min();

Layout default_layout() {
  return parse_layout(kDefaultLayout, kEpoch2025Us).layout;
}

// ---------------------------------------------------------------------------
// Round trips

RC_GTEST_PROP(Decode, encode_gives_back_every_id, ()) {
  const Layout layout = parsed(valid_definition(true));
  const std::int64_t id = any_id(layout);
  const Parts parts = decode(layout, id);
  RC_ASSERT(parts.fault == Fault::none);
  RC_ASSERT(parts.node == (parts.region << layout.shard.width | parts.shard));
  // Any instant within the tick gives the same ID.
  const std::int64_t within = *rc::gen::inRange<std::int64_t>(0, layout.tick_us);
  const IdResult again =
      encode(layout, tick_start_us(layout, parts.tick) + within, parts.node, parts.sequence);
  RC_ASSERT(again.fault == Fault::none);
  RC_ASSERT(again.id == id);
}

RC_GTEST_PROP(Decode, layouts_of_64_bits_keep_every_bit_pattern, ()) {
  const Layout layout = parsed(
      *rc::gen::element<std::string>("time:42 region:5 shard:5 sequence:12", "time:48 sequence:16",
                                     "time:46 sequence:18", "shard:10 time:42 sequence:12"));
  RC_ASSERT(layout.total_width() == 64u);
  const auto id = *rc::gen::arbitrary<std::int64_t>();
  const Parts parts = decode(layout, id);
  RC_ASSERT(parts.fault == Fault::none);
  const IdResult again =
      encode(layout, tick_start_us(layout, parts.tick), parts.node, parts.sequence);
  RC_ASSERT(again.fault == Fault::none);
  RC_ASSERT(again.id == id);
}

RC_GTEST_PROP(Encode, decode_gives_back_every_part, ()) {
  const Layout layout = parsed(valid_definition(*rc::gen::arbitrary<bool>()));
  const std::int64_t instant = any_instant(layout);
  const auto node = *rc::gen::inRange<std::int64_t>(0, std::int64_t(layout.max_node()) + 1);
  const auto sequence = *rc::gen::inRange<std::int64_t>(0, std::int64_t(layout.sequence.max()) + 1);
  const IdResult id = encode(layout, instant, node, sequence);
  RC_ASSERT(id.fault == Fault::none);
  const Parts parts = decode(layout, id.id);
  RC_ASSERT(parts.fault == Fault::none);
  RC_ASSERT(parts.node == node);
  RC_ASSERT(parts.sequence == sequence);
  RC_ASSERT(tick_start_us(layout, parts.tick) <= instant);
  RC_ASSERT(instant - tick_start_us(layout, parts.tick) < layout.tick_us);
}

TEST(Decode, refuses_negative_ids_and_unused_bits) {
  const Layout layout = default_layout();
  EXPECT_EQ(decode(layout, -1).fault, Fault::negative);
  EXPECT_EQ(decode(layout, kMinInt64).fault, Fault::negative);
  EXPECT_EQ(decode(layout, kMaxInt64).fault, Fault::none);
  const Layout js53 = parse_layout("time:41 shard:4 sequence:8", kEpoch2025Us).layout;
  EXPECT_EQ(decode(js53, (std::int64_t{1} << 53) - 1).fault, Fault::none);
  EXPECT_EQ(decode(js53, std::int64_t{1} << 53).fault, Fault::unused_bits);
  EXPECT_EQ(decode(js53, kMaxInt64).fault, Fault::unused_bits);
  EXPECT_EQ(decode(js53, -1).fault, Fault::negative);
}

TEST(Decode, the_greatest_id_of_the_default_layout_has_every_field_full) {
  const Parts parts = decode(default_layout(), kMaxInt64);
  EXPECT_EQ(parts.tick, (std::uint64_t{1} << 41) - 1);
  EXPECT_EQ(parts.node, 1023u);
  EXPECT_EQ(parts.region, 7u);
  EXPECT_EQ(parts.shard, 127u);
  EXPECT_EQ(parts.sequence, 4095u);
}

// ---------------------------------------------------------------------------
// Refusals: nothing is masked

RC_GTEST_PROP(Encode, refuses_every_value_that_is_too_wide, ()) {
  const Layout layout = parsed(valid_definition(*rc::gen::arbitrary<bool>()));
  const std::int64_t instant = any_instant(layout);
  const auto max_node = static_cast<std::int64_t>(layout.max_node());
  const auto max_sequence = static_cast<std::int64_t>(layout.sequence.max());
  RC_ASSERT(encode(layout, instant, max_node, max_sequence).fault == Fault::none);
  for (const std::int64_t beyond :
       {max_node + 1, 2 * max_node + 2, std::int64_t{-1}, kMinInt64, kMaxInt64}) {
    RC_ASSERT(encode(layout, instant, beyond, 0).fault == Fault::node_too_wide);
  }
  for (const std::int64_t beyond :
       {max_sequence + 1, 2 * max_sequence + 2, std::int64_t{-1}, kMinInt64, kMaxInt64}) {
    RC_ASSERT(encode(layout, instant, 0, beyond).fault == Fault::sequence_too_wide);
  }
}

RC_GTEST_PROP(NodeOf, is_the_inverse_of_region_and_shard, ()) {
  const Layout layout = parsed(valid_definition(*rc::gen::arbitrary<bool>()));
  const auto max_region = static_cast<std::int64_t>(layout.region.max());
  const auto max_shard = static_cast<std::int64_t>(layout.shard.max());
  const auto region = *rc::gen::inRange<std::int64_t>(0, max_region + 1);
  const auto shard = *rc::gen::inRange<std::int64_t>(0, max_shard + 1);
  const NodeResult node = node_of(layout, region, shard);
  RC_ASSERT(node.fault == Fault::none);
  const Parts parts = decode(layout, encode(layout, layout.epoch_us, node.node, 0).id);
  RC_ASSERT(parts.region == region);
  RC_ASSERT(parts.shard == shard);
  for (const std::int64_t beyond : {max_region + 1, std::int64_t{-1}, kMinInt64, kMaxInt64}) {
    RC_ASSERT(node_of(layout, beyond, 0).fault == Fault::region_too_wide);
  }
  for (const std::int64_t beyond : {max_shard + 1, std::int64_t{-1}, kMinInt64, kMaxInt64}) {
    RC_ASSERT(node_of(layout, 0, beyond).fault == Fault::shard_too_wide);
  }
}

RC_GTEST_PROP(Ticks, times_outside_the_field_are_refused, ()) {
  const Layout layout = parsed(valid_definition(*rc::gen::arbitrary<bool>()));
  const std::int64_t end = layout.end_us();
  for (const std::int64_t before : {layout.epoch_us - 1, std::int64_t{0}, kMinInt64}) {
    RC_ASSERT(tick_containing(layout, before).fault == Fault::before_epoch);
    RC_ASSERT(tick_not_before(layout, before).fault == Fault::before_epoch);
    RC_ASSERT(encode(layout, before, 0, 0).fault == Fault::before_epoch);
  }
  for (const std::int64_t after : {end, end + 1, kMaxInt64}) {
    RC_ASSERT(tick_containing(layout, after).fault == Fault::past_end);
    RC_ASSERT(tick_not_before(layout, after).fault == Fault::past_end);
    RC_ASSERT(encode(layout, after, 0, 0).fault == Fault::past_end);
  }
  RC_ASSERT(tick_containing(layout, layout.epoch_us).tick == 0u);
  RC_ASSERT(tick_containing(layout, end - 1).tick == layout.time.max());
  RC_ASSERT(tick_not_before(layout, end - layout.tick_us).tick == layout.time.max());
  // Behind the last tick's beginning no further tick begins.
  if (layout.tick_us > 1) {
    RC_ASSERT(tick_not_before(layout, end - layout.tick_us + 1).fault == Fault::past_end);
  }
}

// ---------------------------------------------------------------------------
// Bounds

RC_GTEST_PROP(MinId, half_open_ranges_tile_exactly, ()) {
  const Layout layout = parsed(valid_definition(true));
  if (layout.time.shift + layout.time.width != layout.total_width()) {
    RC_ASSERT(min_id(layout, layout.epoch_us).fault == Fault::not_ordered_by_time);
    return;
  }
  std::int64_t a = any_instant(layout);
  std::int64_t b = any_instant(layout);
  if (a > b) std::swap(a, b);
  const IdResult low = min_id(layout, a);
  const IdResult high = min_id(layout, b);
  RC_PRE(low.fault == Fault::none && high.fault == Fault::none);
  // Close to the bounds, and anywhere.
  const std::int64_t last =
      static_cast<std::int64_t>((std::uint64_t{1} << layout.total_width()) - 1);
  for (const std::int64_t id : {any_id(layout), low.id, low.id - 1, high.id, high.id - 1,
                                high.id + 1, std::int64_t{0}, last}) {
    if (id < 0 || id > last) continue;
    const std::int64_t time = tick_start_us(layout, decode(layout, id).tick);
    RC_ASSERT((id >= low.id && id < high.id) == (time >= a && time < b));
  }
}

TEST(MinId, edges_of_the_default_layout) {
  const Layout layout = default_layout();
  EXPECT_EQ(min_id(layout, kEpoch2025Us).id, 0);
  EXPECT_EQ(min_id(layout, kEpoch2025Us + 1).id, std::int64_t{1} << 22);
  EXPECT_EQ(min_id(layout, kEpoch2025Us + 1000).id, std::int64_t{1} << 22);
  EXPECT_EQ(min_id(layout, kEpoch2025Us - 1).fault, Fault::before_epoch);
  EXPECT_EQ(min_id(layout, layout.end_us()).fault, Fault::past_end);
  EXPECT_EQ(min_id(layout, layout.end_us() - 1).fault, Fault::past_end);
  EXPECT_EQ(min_id(layout, layout.end_us() - 1000).id, ((std::int64_t{1} << 41) - 1) << 22);
}

TEST(MinId, in_64_bits_the_negative_half_is_refused) {
  const Layout layout = parse_layout("time:42 shard:10 sequence:12", 0).layout;
  const std::int64_t half = (std::int64_t{1} << 41) * 1000;
  EXPECT_EQ(min_id(layout, half - 1000).id, kMaxInt64 - (std::int64_t{1} << 22) + 1);
  EXPECT_EQ(min_id(layout, half).fault, Fault::turned_negative);
  EXPECT_EQ(min_id(layout, half - 999).fault, Fault::turned_negative);
  EXPECT_LT(encode(layout, half, 0, 0).id, 0);
}

}  // namespace
}  // namespace idgen
