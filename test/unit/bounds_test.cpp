// Bounds that compare any int64 with any time: what SQL's operators between IDs
// and times are made of.

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "idgen/layout.h"
#include "layouts.h"

namespace idgen {
namespace {

using test::kEpoch2025Us;
using test::parsed;

constexpr std::int64_t kMaxInt64 = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMinInt64 = std::numeric_limits<std::int64_t>::min();

__extension__ typedef __int128 Wide;

// The time of any int64, carried on beyond the layout's ends, by arithmetic that
// can't overflow.
Wide time_of(const Layout &layout, std::int64_t id) {
  return Wide{layout.epoch_us} + Wide{id >> layout.time.shift} * layout.tick_us;
}

// Layouts that IDs are issued in, narrow and wide, of fine ticks and coarse ones.
Layout issuable_layout() {
  const unsigned sequence = *rc::gen::inRange(kMinSequenceBits, 20u);
  const unsigned region = *rc::gen::inRange(0u, 6u);
  const unsigned shard = *rc::gen::inRange(1u, 10u);
  const unsigned time = *rc::gen::inRange(10u, std::min(42u, 63 - sequence - region - shard) + 1);
  const std::int64_t epoch_us = *rc::gen::element<std::int64_t>(0, kEpoch2025Us, 1);
  const Layout layout =
      parsed("time:" + std::to_string(time) + " region:" + std::to_string(region) +
                 " shard:" + std::to_string(shard) + " sequence:" + std::to_string(sequence) +
                 " tick:" + *rc::gen::element<std::string>("1us", "10us", "1ms", "100ms"),
             epoch_us);
  RC_ASSERT(is_issuable(layout) == LayoutFault::none);
  return layout;
}

// Where PostgreSQL's times begin, and a good deal earlier.
constexpr std::int64_t kEarliest = -(std::int64_t{1} << 62);

// Times that matter to `layout`, and any.
std::int64_t some_instant(const Layout &layout, std::int64_t id) {
  const Wide time = time_of(layout, id);
  const auto close = static_cast<std::int64_t>(
      std::clamp<Wide>(time, kEarliest + layout.tick_us, kMaxInt64 - layout.tick_us));
  return *rc::gen::oneOf(
      rc::gen::inRange(kEarliest, kMaxInt64),
      rc::gen::inRange(close - layout.tick_us, close + layout.tick_us),
      rc::gen::element(close, close - 1, close + 1, layout.epoch_us, layout.epoch_us - 1,
                       layout.end_us(), layout.end_us() - 1, kEarliest, kMaxInt64));
}

std::int64_t some_id(const Layout &layout) {
  const auto any = *rc::gen::arbitrary<std::int64_t>();
  const std::int64_t first = (any >> layout.time.shift) * (std::int64_t{1} << layout.time.shift);
  const auto last = static_cast<std::int64_t>((std::uint64_t{1} << layout.total_width()) - 1);
  return *rc::gen::element(std::int64_t{any}, first, std::max(first, kMinInt64 + 1) - 1,
                           std::int64_t{0}, std::int64_t{-1}, last,
                           std::min(last, kMaxInt64 - 1) + 1, kMinInt64, kMaxInt64 - 1);
}

RC_GTEST_PROP(Bounds, compare_as_the_times_do, ()) {
  const Layout layout = issuable_layout();
  const std::int64_t id = some_id(layout);
  const std::int64_t instant = some_instant(layout, id);
  if (id == kMaxInt64) {
    RC_ASSERT(id >= bound_after(layout, instant));
    return;
  }
  RC_ASSERT((id >= bound_not_before(layout, instant)) == (time_of(layout, id) >= instant));
  RC_ASSERT((id >= bound_after(layout, instant)) == (time_of(layout, id) > instant));
}

RC_GTEST_PROP(Bounds, agree_with_decode_and_min_id_within_the_layout, ()) {
  const Layout layout = issuable_layout();
  const std::int64_t instant = test::any_instant(layout);
  const std::int64_t id = test::any_id(layout);
  const std::int64_t time = tick_start_us(layout, decode(layout, id).tick);
  if (id != kMaxInt64) {
    RC_ASSERT((id >= bound_not_before(layout, instant)) == (time >= instant));
    RC_ASSERT((id >= bound_after(layout, instant)) == (time > instant));
  }
  const IdResult least = min_id(layout, instant);
  if (least.fault == Fault::none) RC_ASSERT(bound_not_before(layout, instant) == least.id);
}

RC_GTEST_PROP(Bounds, lie_between_two_ticks_or_at_the_ends, ()) {
  const Layout layout = issuable_layout();
  const std::int64_t instant = some_instant(layout, some_id(layout));
  const std::int64_t within = (std::int64_t{1} << layout.time.shift) - 1;
  for (const std::int64_t bound :
       {bound_not_before(layout, instant), bound_after(layout, instant)}) {
    RC_ASSERT(bound == kMaxInt64 || (bound & within) == 0);
  }
}

TEST(Bounds, of_the_default_layout) {
  const Layout layout = parse_layout(kDefaultLayout, kEpoch2025Us).layout;
  constexpr std::int64_t kTick = std::int64_t{1} << 22;
  EXPECT_EQ(bound_not_before(layout, kEpoch2025Us), 0);
  EXPECT_EQ(bound_after(layout, kEpoch2025Us), kTick);
  EXPECT_EQ(bound_not_before(layout, kEpoch2025Us + 1), kTick);
  EXPECT_EQ(bound_after(layout, kEpoch2025Us + 1), kTick);
  EXPECT_EQ(bound_not_before(layout, kEpoch2025Us + 1000), kTick);
  EXPECT_EQ(bound_after(layout, kEpoch2025Us + 1000), 2 * kTick);
  // Before the epoch, towards the past.
  EXPECT_EQ(bound_not_before(layout, kEpoch2025Us - 1), 0);
  EXPECT_EQ(bound_after(layout, kEpoch2025Us - 1), 0);
  EXPECT_EQ(bound_not_before(layout, kEpoch2025Us - 1000), -kTick);
  EXPECT_EQ(bound_after(layout, kEpoch2025Us - 1000), 0);
}

TEST(Bounds, of_times_beyond_all_ids_are_the_ends) {
  const Layout layout = parse_layout(kDefaultLayout, kEpoch2025Us).layout;
  const std::int64_t last_tick = layout.end_us() - layout.tick_us;
  EXPECT_EQ(bound_not_before(layout, last_tick), kMaxInt64 - (std::int64_t{1} << 22) + 1);
  EXPECT_EQ(bound_after(layout, last_tick), kMaxInt64);
  EXPECT_EQ(bound_not_before(layout, last_tick + 1), kMaxInt64);
  for (const std::int64_t late : {layout.end_us(), kMaxInt64 - 1, kMaxInt64}) {
    EXPECT_EQ(bound_not_before(layout, late), kMaxInt64);
    EXPECT_EQ(bound_after(layout, late), kMaxInt64);
  }
  for (const std::int64_t early :
       {std::int64_t{-1'000'000'000'000'000}, kMinInt64 + 1, kMinInt64}) {
    EXPECT_EQ(bound_not_before(layout, early), kMinInt64);
    EXPECT_EQ(bound_after(layout, early), kMinInt64);
  }
}

}  // namespace
}  // namespace idgen
