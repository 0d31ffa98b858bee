#include "idgen/layout.h"

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "layouts.h"

namespace idgen {
namespace {

using test::kEpoch2025Us;
using test::valid_definition;

LayoutFault fault_of(std::string_view definition) {
  return parse_layout(definition, kEpoch2025Us).fault;
}
LayoutFault issuing_fault_of(std::string_view definition) {
  const LayoutParse parse = parse_layout(definition, kEpoch2025Us);
  EXPECT_TRUE(parse.ok()) << definition;
  return is_issuable(parse.layout);
}

TEST(LayoutText, the_default_is_the_picture_in_the_header) {
  const LayoutParse parse = parse_layout(kDefaultLayout, parse_epoch(kDefaultEpoch).unix_us);
  ASSERT_TRUE(parse.ok());
  EXPECT_EQ(parse.layout.time, (Field{41, 22}));
  EXPECT_EQ(parse.layout.region, (Field{3, 19}));
  EXPECT_EQ(parse.layout.shard, (Field{7, 12}));
  EXPECT_EQ(parse.layout.sequence, (Field{12, 0}));
  EXPECT_EQ(parse.layout.tick_us, 1000);
  EXPECT_EQ(parse.layout.epoch_us, 1262304000000000);
  EXPECT_EQ(to_text(parse.layout).view(), kDefaultLayout);
  EXPECT_EQ(is_issuable(parse.layout), LayoutFault::none);
}

TEST(LayoutText, js53_fits_a_javascript_number) {
  const LayoutParse parse =
      parse_layout("time:41 region:0 shard:4 sequence:8 tick:1ms", kEpoch2025Us);
  ASSERT_TRUE(parse.ok());
  EXPECT_EQ(parse.layout.total_width(), 53u);
  EXPECT_EQ(is_issuable(parse.layout), LayoutFault::none);
  EXPECT_EQ(to_text(parse.layout).view(), "time:41 shard:4 sequence:8 tick:1ms");
}

RC_GTEST_PROP(LayoutText, what_is_printed_parses_to_the_same_layout, ()) {
  const std::string definition = valid_definition(*rc::gen::arbitrary<bool>());
  const LayoutParse first = parse_layout(definition, kEpoch2025Us);
  RC_ASSERT(first.ok());
  const LayoutText text = to_text(first.layout);
  const LayoutParse again = parse_layout(text.view(), kEpoch2025Us);
  RC_ASSERT(again.ok());
  RC_ASSERT(again.layout == first.layout);
  RC_ASSERT(to_text(again.layout).view() == text.view());
}

RC_GTEST_PROP(LayoutText, fields_lie_in_the_order_in_which_they_are_listed, ()) {
  const std::string definition = valid_definition(true);
  const LayoutParse parse = parse_layout(definition, kEpoch2025Us);
  RC_ASSERT(parse.ok());
  const Layout &layout = parse.layout;
  std::uint64_t covered = 0;
  unsigned last_shift = 64;
  for (std::size_t at = 0; at < definition.size(); at = definition.find(' ', at)) {
    if (definition[at] == ' ') ++at;
    const std::string_view item = std::string_view(definition).substr(at);
    const Field *field = item.starts_with("time:")       ? &layout.time
                         : item.starts_with("region:")   ? &layout.region
                         : item.starts_with("shard:")    ? &layout.shard
                         : item.starts_with("sequence:") ? &layout.sequence
                                                         : nullptr;
    if (field == nullptr || !field->present()) continue;
    RC_ASSERT(field->shift + field->width ==
              (last_shift == 64 ? layout.total_width() : last_shift));
    last_shift = field->shift;
    RC_ASSERT((covered & field->put(field->max())) == 0u);
    covered |= field->put(field->max());
  }
  RC_ASSERT(last_shift == 0u);
  RC_ASSERT(covered == (std::uint64_t{1} << layout.total_width()) - 1);
}

RC_GTEST_PROP(LayoutText, no_text_whatever_breaks_the_parser, ()) {
  const std::string text = *rc::gen::container<std::string>(
      rc::gen::element(' ', ':', 't', 'i', 'm', 'e', 'k', 'c', '1', '4', '9', '-', '\0', '\xff'));
  const LayoutParse parse = parse_layout(text, *rc::gen::arbitrary<std::int64_t>());
  RC_ASSERT(describe(parse.fault)[0] != '\0');
  if (!parse.where.empty()) {
    RC_ASSERT(parse.where.data() >= text.data());
    RC_ASSERT(parse.where.data() + parse.where.size() <= text.data() + text.size());
  }
}

TEST(LayoutText, blanks_zero_widths_and_a_sign_change_nothing) {
  const Layout expected = parse_layout("time:41 shard:10 sequence:12", kEpoch2025Us).layout;
  for (const char *same :
       {"  time:41\tshard:10\n sequence:12 ", "sign:1 time:41 shard:10 sequence:12",
        "time:41 region:0 shard:10 sequence:12", "tick:1ms time:41 shard:10 sequence:12",
        "tick:1000us time:41 shard:10 sequence:12"}) {
    const LayoutParse parse = parse_layout(same, kEpoch2025Us);
    ASSERT_TRUE(parse.ok()) << same;
    EXPECT_EQ(parse.layout, expected) << same;
  }
}

TEST(LayoutText, ticks_print_in_their_largest_unit) {
  const auto tick = [](const char *text) {
    const std::string definition = std::string("time:10 ") + text;
    return std::string(to_text(parse_layout(definition, kEpoch2025Us).layout).view());
  };
  EXPECT_EQ(tick("tick:1000000us"), "time:10 tick:1s");
  EXPECT_EQ(tick("tick:3600s"), "time:10 tick:3600s");
  EXPECT_EQ(tick("tick:1500ms"), "time:10 tick:1500ms");
  EXPECT_EQ(tick("tick:10us"), "time:10 tick:10us");
  EXPECT_EQ(tick(""), "time:10 tick:1ms");
}

TEST(LayoutText, the_longest_definition_is_not_cut) {
  const LayoutParse parse =
      parse_layout("time:10 region:10 shard:13 sequence:31 tick:3599999999us", kEpoch2025Us);
  ASSERT_TRUE(parse.ok());
  EXPECT_EQ(to_text(parse.layout).view(),
            "time:10 region:10 shard:13 sequence:31 tick:3599999999us");
}

TEST(LayoutFault, empty) {
  EXPECT_EQ(fault_of(""), LayoutFault::empty);
  EXPECT_EQ(fault_of(" \t\n"), LayoutFault::empty);
}

TEST(LayoutFault, malformed_item) {
  for (const char *text : {"time", "time:41 shard", "time:", "time:4x", "time:-1", "time:+1",
                           "time: 41", "time:99999999999999999999", ":", "time:41:1"}) {
    const LayoutFault fault = fault_of(text);
    EXPECT_TRUE(fault == LayoutFault::malformed_item ||
                (std::string_view(text) == ":" && fault == LayoutFault::unknown_field))
        << text;
  }
  const LayoutParse parse = parse_layout("time:41 shard sequence:12", kEpoch2025Us);
  EXPECT_EQ(parse.where, "shard");
}

TEST(LayoutFault, unknown_field) {
  for (const char *text : {"node:10", "Time:41", "time:41 sign:1", "timex:41", "tim:41"}) {
    EXPECT_EQ(fault_of(text), LayoutFault::unknown_field) << text;
  }
}

TEST(LayoutFault, repeated_field) {
  EXPECT_EQ(fault_of("time:41 time:41"), LayoutFault::repeated_field);
  EXPECT_EQ(fault_of("time:41 region:0 region:0"), LayoutFault::repeated_field);
  EXPECT_EQ(fault_of("time:41 tick:1ms tick:1ms"), LayoutFault::repeated_field);
}

TEST(LayoutFault, bad_width) {
  for (const char *text :
       {"time:0", "time:63", "time:41 sequence:32", "time:41 region:32", "time:41 shard:32",
        "time:20 region:16 shard:16", "sign:0 time:41", "sign:2 time:41", "sign: time:41"}) {
    EXPECT_EQ(fault_of(text), LayoutFault::bad_width) << text;
  }
  EXPECT_EQ(fault_of("time:20 region:15 shard:16"), LayoutFault::none);
  EXPECT_EQ(fault_of("time:20 sequence:31"), LayoutFault::none);
}

TEST(LayoutFault, bad_tick) {
  for (const char *text :
       {"tick:0ms", "tick:ms", "tick:1", "tick:1m", "tick:1.5ms", "tick:-1ms", "tick:3601s",
        "tick:3600001ms", "tick:99999999999s", "tick:", "tick:1 ms", "tick:1MS"}) {
    EXPECT_EQ(fault_of(std::string("time:20 ") + text), LayoutFault::bad_tick) << text;
  }
  EXPECT_EQ(fault_of("time:20 tick:3600s"), LayoutFault::none);
  EXPECT_EQ(fault_of("time:20 tick:1us"), LayoutFault::none);
}

TEST(LayoutFault, missing_time) {
  EXPECT_EQ(fault_of("shard:10 sequence:12"), LayoutFault::missing_time);
  EXPECT_EQ(fault_of("sign:1"), LayoutFault::missing_time);
  EXPECT_EQ(fault_of("tick:1ms"), LayoutFault::missing_time);
}

TEST(LayoutFault, too_wide) {
  EXPECT_EQ(fault_of("time:43 shard:10 sequence:12"), LayoutFault::too_wide);
  EXPECT_EQ(fault_of("time:42 shard:10 sequence:12"), LayoutFault::none);
  EXPECT_EQ(fault_of("sign:1 time:42 shard:10 sequence:12"), LayoutFault::too_wide);
}

TEST(LayoutFault, beyond_calendar) {
  EXPECT_EQ(fault_of("time:62"), LayoutFault::beyond_calendar);
  EXPECT_EQ(fault_of("time:41 tick:3600s"), LayoutFault::beyond_calendar);
  EXPECT_EQ(parse_layout("time:41", -1).fault, LayoutFault::beyond_calendar);
  EXPECT_EQ(parse_layout("time:41", std::numeric_limits<std::int64_t>::max()).fault,
            LayoutFault::beyond_calendar);
  EXPECT_EQ(parse_layout("time:41", std::numeric_limits<std::int64_t>::min()).fault,
            LayoutFault::beyond_calendar);
  // 30000-01-01 exactly is the last end allowed.
  constexpr std::int64_t kLastEpoch = 884'541'340'800'000'000 - (std::int64_t{1} << 41) * 1000;
  EXPECT_EQ(parse_layout("time:41", kLastEpoch).fault, LayoutFault::none);
  EXPECT_EQ(parse_layout("time:41", kLastEpoch + 1).fault, LayoutFault::beyond_calendar);
  EXPECT_EQ(parse_layout("time:62 tick:1us", 0).fault, LayoutFault::beyond_calendar);
}

TEST(LayoutFault, each_has_a_sentence) {
  for (int i = 0; i <= static_cast<int>(LayoutFault::short_sequence); ++i) {
    const std::string_view sentence = describe(static_cast<LayoutFault>(i));
    ASSERT_FALSE(sentence.empty()) << i;
    EXPECT_EQ(sentence.back(), '.') << sentence;
  }
}

TEST(IsIssuable, only_time_region_shard_sequence_from_the_top) {
  EXPECT_EQ(issuing_fault_of("time:41 region:3 shard:7 sequence:12"), LayoutFault::none);
  EXPECT_EQ(issuing_fault_of("time:41 region:10 sequence:12"), LayoutFault::none);
  EXPECT_EQ(issuing_fault_of("time:41 shard:7 region:3 sequence:12"), LayoutFault::wrong_order);
  EXPECT_EQ(issuing_fault_of("shard:10 time:41 sequence:12"), LayoutFault::wrong_order);
  EXPECT_EQ(issuing_fault_of("time:39 sequence:8 shard:16"), LayoutFault::wrong_order);
}

TEST(IsIssuable, only_where_the_sign_bit_is_free) {
  EXPECT_EQ(issuing_fault_of("time:42 shard:10 sequence:12"), LayoutFault::needs_sign_bit);
  EXPECT_EQ(issuing_fault_of("time:42 shard:10 sequence:11"), LayoutFault::none);
}

TEST(IsIssuable, only_with_a_node_and_enough_sequence) {
  EXPECT_EQ(issuing_fault_of("time:41 sequence:12"), LayoutFault::no_node);
  EXPECT_EQ(issuing_fault_of("time:41 shard:10 sequence:4"), LayoutFault::short_sequence);
  EXPECT_EQ(issuing_fault_of("time:41 shard:10"), LayoutFault::short_sequence);
  EXPECT_EQ(issuing_fault_of("time:41 shard:1 sequence:5"), LayoutFault::none);
}

// ---------------------------------------------------------------------------
// Epochs

TEST(Epoch, known_instants) {
  const struct {
    const char *text;
    std::int64_t ms;
  } rows[] = {
      {"1970-01-01", 0},
      {"1970-01-01T00:00:00Z", 0},
      {"2025-01-01T00:00:00Z", 1735689600000},
      {"2025-01-01 00:00:00", 1735689600000},
      {"2010-11-04T01:42:54.657Z", 1288834974657},
      {"2024-02-29", 1709164800000},
      {"2000-02-29T23:59:59.999Z", 951868799999},
      {"9999-12-31T23:59:59.999Z", 253402300799999},
      {"0", 0},
      {"100000000000", 100000000000},
      {"1288834974657", 1288834974657},
      {"253402300799999", 253402300799999},
  };
  for (const auto &row : rows) {
    const EpochParse parse = parse_epoch(row.text);
    EXPECT_TRUE(parse.ok) << row.text;
    EXPECT_EQ(parse.unix_us, row.ms * 1000) << row.text;
  }
}

TEST(Epoch, what_is_no_instant_is_refused) {
  for (const char *text : {"",
                           " ",
                           "now",
                           "2025",
                           "20250101",
                           "20250101000",
                           "99999999999",
                           "-1",
                           "+1",
                           "2025-1-1",
                           "2025-01",
                           "2025-01-01T",
                           "2025-01-01T00",
                           "2025-01-01T00:00",
                           "2025-01-01T00:00:00z",
                           "2025-01-01T00:00:00+00",
                           "2025-01-01T00:00:00ZZ",
                           "2025-01-01T00:00:00.Z",
                           "2025-01-01T00:00:00.1Z",
                           "2025-01-01T00:00:00.1234Z",
                           "2025-01-01t00:00:00",
                           " 2025-01-01",
                           "2025-01-01 ",
                           "2025-02-29",
                           "2100-02-29",
                           "2025-04-31",
                           "2025-13-01",
                           "2025-00-01",
                           "2025-01-00",
                           "2025-01-32",
                           "2025-01-01T24:00:00",
                           "2025-01-01T00:60:00",
                           "2025-01-01T00:00:60",
                           "1969-12-31T23:59:59.999Z",
                           "0000-01-01",
                           "10000-01-01",
                           "2025/01/01",
                           "2025-01-01T0a:00:00",
                           "2025-01-+1",
                           "4611686018427388",
                           "99999999999999999999",
                           "1.5",
                           "0x10"}) {
    EXPECT_FALSE(parse_epoch(text).ok) << text;
  }
}

RC_GTEST_PROP(Epoch, what_is_printed_parses_to_the_same_instant, ()) {
  // To the end of the year 9999, the last one with four digits.
  const auto ms = *rc::gen::inRange<std::int64_t>(0, 253402300800000);
  const LayoutText text = epoch_to_text(ms * 1000);
  const EpochParse parse = parse_epoch(text.view());
  RC_ASSERT(parse.ok);
  RC_ASSERT(parse.unix_us == ms * 1000);
}

TEST(Epoch, what_is_accepted_prints_as_something_that_is_accepted) {
  for (const char *text :
       {"253402300799999", "253402300800000", "1000000000000000", "4611686018427387"}) {
    const EpochParse parse = parse_epoch(text);
    if (!parse.ok) continue;
    const LayoutText printed = epoch_to_text(parse.unix_us);
    const EpochParse again = parse_epoch(printed.view());
    EXPECT_TRUE(again.ok) << text << " prints as " << printed.view();
    EXPECT_EQ(again.unix_us, parse.unix_us) << text << " prints as " << printed.view();
  }
}

TEST(Epoch, prints_milliseconds_only_where_there_are_any) {
  EXPECT_EQ(epoch_to_text(kEpoch2025Us).view(), "2025-01-01T00:00:00Z");
  EXPECT_EQ(epoch_to_text(kEpoch2025Us + 7000).view(), "2025-01-01T00:00:00.007Z");
}

}  // namespace
}  // namespace idgen
